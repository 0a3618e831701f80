// fbcon.c — the firmware's screen as a terminal that only has output: a grid of cells of eight by sixteen points, drawn with the SDK's font.
//
// Grant: `framebuffer`. What programs write changes the grid (screen.c); afterwards the cells that differ from what was drawn are drawn. Video memory
// is written only, never read. A screen larger than the grid's maxima uses a part of it. The screen's form comes from the kernel.
#include "drivers/fbcon/screen.h"
#include "drivers/sdk/font.h"
#include "drivers/sdk/ttyserve.h"

#define CELL_WIDTH 8u
#define CELL_HEIGHT 16u
#define NOT_DRAWN 0 // no cell: every character is at least ' '

static struct sasos_screen form;
static uint32_t pixels; // address
static struct screen screen;
static screen_cell drawn[SCREEN_ROWS_MAX * SCREEN_COLUMNS_MAX];
static uint32_t colour[16];

static void draw(uint32_t column, uint32_t row, screen_cell cell) {
    uint32_t ink = colour[cell >> 8 & 15], paper = colour[cell >> 12];
    uint64_t glyph = font[(cell & 0xff) - FONT_FIRST];
    uint32_t top = glyph & FONT_DESCENDS ? 2 : 0; // each row of the glyph is two points high
    uint32_t line = pixels + row * CELL_HEIGHT * form.pitch + column * CELL_WIDTH * 4;
    for (uint32_t y = 0; y < CELL_HEIGHT; y++, line += form.pitch) {
        uint32_t glyph_row = (y - top) / 2, bits = 0;
        if (y >= top && glyph_row < FONT_HEIGHT)
            bits = (uint32_t)(glyph >> (FONT_WIDTH * (FONT_HEIGHT - 1 - glyph_row))) & 31u;
        bits <<= 2; // one point free on the left, two on the right
        for (uint32_t x = 0; x < CELL_WIDTH; x++)
            write32(line + 4 * x, bits & 0x80u >> x ? ink : paper);
    }
}

static screen_cell inverse(screen_cell c) {
    return (screen_cell)((c & 0xff) | (c >> 4 & 0x0f00) | (c & 0x0f00) << 4);
}

static void refresh(void) {
    uint32_t i = 0, cursor = screen.row * screen.columns + screen.column;
    for (uint32_t row = 0; row < screen.rows; row++)
        for (uint32_t column = 0; column < screen.columns; column++, i++) {
            screen_cell want = i == cursor ? inverse(screen.cell[i]) : screen.cell[i];
            if (want == drawn[i]) continue;
            draw(column, row, want);
            drawn[i] = want;
        }
}

static uint32_t device_write(const uint8_t *bytes, uint32_t length) {
    screen_write(&screen, bytes, length);
    return length;
}

static void device_resume(void) { refresh(); }

// ANSI's colours, bright ones from 8, in the order of the screen's bytes.
static void make_colours(void) {
    for (uint32_t i = 0; i < 16; i++) {
        uint32_t level = i & 8 ? 0xff : 0xaa, dark = i & 8 ? 0x55 : 0;
        uint32_t red = i & 1 ? level : dark, green = i & 2 ? level : dark, blue = i & 4 ? level : dark;
        colour[i] = form.format == SASOS_SCREEN_BGRX ? red << 16 | green << 8 | blue
                                                     : blue << 16 | green << 8 | red;
    }
}

int32_t SASOS_EXPORT(driver_start)(void) {
    pixels = sasos_screen_map(&form, sizeof(form));
    if (!pixels || form.width < CELL_WIDTH || form.height < CELL_HEIGHT) {
        log_line("there is no screen, it is not granted, or somebody else has it");
        return E_NODEV;
    }
    make_colours();
    screen_init(&screen, form.width / CELL_WIDTH, form.height / CELL_HEIGHT);
    for (uint32_t y = 0; y < form.height; y++) // what the cells do not cover too
        for (uint32_t x = 0; x < form.width; x++)
            write32(pixels + y * form.pitch + 4 * x, colour[0]);
    for (uint32_t i = 0; i < SCREEN_ROWS_MAX * SCREEN_COLUMNS_MAX; i++) drawn[i] = NOT_DRAWN;
    refresh();
    int error = ts_open(screen.columns, screen.rows);
    if (error) return error;
    log_line("%u columns, %u rows on a screen of %u by %u points", screen.columns, screen.rows,
             form.width, form.height);
    return 0;
}

int32_t SASOS_EXPORT(driver_event)(uint32_t events) {
    (void)events;
    return 0; // work comes by tty_submit() only
}
