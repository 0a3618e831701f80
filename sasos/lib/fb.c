// fb.c — the text screen of fb.h. The font is drawn five by seven and shown at double height, in white on black.
#include "sasos/lib/fb.h"
#include "efi/bootinfo.h"
#include "sasos/arch/io.h"
#include "sasos/mem/pt.h"

#define CELL_WIDTH 8u
#define CELL_HEIGHT 16u
#define GLYPH_WIDTH 5
#define GLYPH_HEIGHT 7
#define GLYPH_DESCENDS (1ull << 35)
#define INK 0xffffffffu

// One glyph a word, from U+0020: seven rows of five bits, the top left pixel in bit 34. A set bit is ink. Bit 35: the glyph has a
// descender and stands one row lower.
// clang-format off
static const uint64_t font[95] = {
    0x000000000, 0x108421004, 0x294a00000, 0x295f57d4a, 0x11f0707c4, 0x672222273, 0x32544564d, 0x108800000, //   ! " # $ % & '
    0x088842082, 0x208210888, 0x009575480, 0x0084f9080, 0x000001888, 0x0000f8000, 0x00000018c, 0x042222210, // ( ) * + , - . /
    0x3a33ae62e, 0x11942109f, 0x3a213221f, 0x3a213062e, 0x08ca97c42, 0x7e1e0862e, 0x1910f462e, 0x7c2221108, // 0 1 2 3 4 5 6 7
    0x3a317462e, 0x3a317844c, 0x018c03180, 0x018c03088, 0x0c8882083, 0x001f07c00, 0x608208898, 0x3a2111004, // 8 9 : ; < = > ?
    0x3a37ade0f, 0x11518fe31, 0x7a31f463e, 0x3a308422e, 0x72518c65c, 0x7e10f421f, 0x7e10f4210, 0x3a30bc62f, // @ A B C D E F G
    0x4631fc631, 0x38842108e, 0x1c4210a4c, 0x4654c5251, 0x42108421f, 0x4775ac631, 0x4739ace71, 0x3a318c62e, // H I J K L M N O
    0x7a31f4210, 0x3a318d64d, 0x7a31f5251, 0x3e107043e, 0x7c8421084, 0x46318c62e, 0x46318a944, 0x4631ad771, // P Q R S T U V W
    0x462a22a31, 0x462a21084, 0x7c222221f, 0x39084210e, 0x420820821, 0x38421084e, 0x115100000, 0x00000001f, // X Y Z [ (backslash) ] ^ _
    0x208200000, 0x000e0be2f, 0x421e8c63e, 0x000f8420f, 0x042f8c62f, 0x000e8fe0f, 0x1928e2108, 0x81f18bc2e, // ` a b c d e f g
    0x421e8c631, 0x100c2108e, 0x880610a4c, 0x4212a6292, 0x30842108e, 0x001aad6b5, 0x001e8c631, 0x000e8c62e, // h i j k l m n o
    0x83d18fa10, 0x81f18bc21, 0x0017c4210, 0x000f8383e, 0x211c42126, 0x00118c62f, 0x00118a944, 0x0011ad6aa, // p q r s t u v w
    0x001151151, 0x823151110, 0x001f1111f, 0x190882106, 0x108421084, 0x30420884c, 0x0008a8800, // x y z { | } ~
};
// clang-format on

static volatile uint32_t *pixels;
static uint32_t pitch, columns, rows, column, row; // pitch in pixels, the others in cells

static void clear_row(uint32_t r) {
    for (uint32_t y = 0; y < CELL_HEIGHT; y++)
        for (uint32_t x = 0; x < columns * CELL_WIDTH; x++)
            pixels[(r * CELL_HEIGHT + y) * pitch + x] = 0;
}

static void new_line(void) {
    column = 0;
    row = (row + 1) % rows;
    clear_row(row);
    clear_row((row + 1) % rows); // the gap between newest and oldest text
}

static void draw(char c) {
    uint64_t glyph = c >= ' ' && c <= '~' ? font[c - ' '] : font['?' - ' '];
    volatile uint32_t *cell = pixels + row * CELL_HEIGHT * pitch + column * CELL_WIDTH;
    if (glyph & GLYPH_DESCENDS) cell += 2 * pitch;
    for (int y = 0; y < GLYPH_HEIGHT; y++)
        for (int x = 0; x < GLYPH_WIDTH; x++) {
            if (!(glyph >> (34 - y * GLYPH_WIDTH - x) & 1)) continue;
            volatile uint32_t *p = cell + 2 * y * (int)pitch + x + 1;
            p[0] = p[pitch] = INK;
        }
}

void fb_init(const struct bootinfo *info) {
    uint64_t size = (uint64_t)info->fb_pitch * info->fb_height;
    if (!info->fb_base || info->fb_pitch % 4 || info->fb_pitch / 4 < info->fb_width) return;
    if (info->fb_width < CELL_WIDTH || info->fb_height < 2 * CELL_HEIGHT) return;
    pixels = pt_map_mmio(info->fb_base, size, PT_W | PT_WC);
    if (!pixels) return;
    pitch = info->fb_pitch / 4;
    columns = info->fb_width / CELL_WIDTH;
    rows = info->fb_height / CELL_HEIGHT;
    for (uint32_t r = 0; r < rows; r++) clear_row(r);
}

void fb_write(const char *s, size_t n) {
    if (!pixels) return;
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '\n' || column == columns) new_line();
        if (s[i] == '\n' || s[i] == '\r') continue;
        draw(s[i]);
        column++;
    }
}
