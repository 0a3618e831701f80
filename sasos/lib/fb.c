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

static const uint64_t font[] = {
#include "sasos/lib/font.def"
};
_Static_assert(sizeof(font) / sizeof(font[0]) == 95, "U+0020 to U+007E");

static volatile uint32_t *pixels;
static struct fb_screen screen;
static volatile bool away;                         // a domain has the screen
static bool dirty;                                 // what is on it is not ours
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
    screen = (struct fb_screen){info->fb_base, info->fb_width, info->fb_height, info->fb_pitch,
                                info->fb_format};
    pitch = info->fb_pitch / 4;
    columns = info->fb_width / CELL_WIDTH;
    rows = info->fb_height / CELL_HEIGHT;
    for (uint32_t r = 0; r < rows; r++) clear_row(r);
}

void fb_write(const char *s, size_t n) {
    if (!pixels || away) return;
    for (uint32_t r = 0; dirty && r < rows; r++) clear_row(r);
    dirty = false;
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '\n' || column == columns) new_line();
        if (s[i] == '\n' || s[i] == '\r') continue;
        draw(s[i]);
        column++;
    }
}

const struct fb_screen *fb_screen(void) { return pixels ? &screen : NULL; }

void fb_give(bool to_domain) {
    dirty = true; // before it is ours again
    away = to_domain;
}
