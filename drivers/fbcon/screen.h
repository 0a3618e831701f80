// screen.h — a text terminal as a grid of cells: what the bytes of a program do to it. Pure: no device, no kernel; tests/host/test_fbcon.c runs it.
//
// Understood is what programs of a plain VT100 with colours use: CR LF BS TAB, and of the escape sequences ESC [ … A B C D (cursor), G H f (place),
// J K (erase), m (0, 1, 7, 22, 27, 30–37, 39, 40–47, 49, 90–97, 100–107), s u (save, restore), ESC c (reset). Others are read to their end
// and do nothing. UTF-8 beyond ASCII is shown as one '?' a character. At the end of the last line the text moves up.
#ifndef SASOS_FBCON_SCREEN_H
#define SASOS_FBCON_SCREEN_H
#include <stdbool.h>
#include <stdint.h>

#define SCREEN_COLUMNS_MAX 320u
#define SCREEN_ROWS_MAX 120u
#define SCREEN_NUMBERS_MAX 8u

// A cell: the character, its colour in bits 8–11, the background's in 12–15: ANSI's order, bright ones from 8.
typedef uint16_t screen_cell;
#define SCREEN_CELL(c, ink, paper) ((screen_cell)((c) | (ink) << 8 | (paper) << 12))

struct screen {
    uint32_t columns, rows;
    uint32_t column,
        row; // of the cursor; column = columns: the line is full, the next character goes to the next one
    uint32_t saved_column, saved_row;
    uint8_t ink, paper;
    bool bold, inverse;
    enum { SCREEN_TEXT, SCREEN_ESCAPE, SCREEN_SEQUENCE } state;
    uint32_t numbers,
        number[SCREEN_NUMBERS_MAX]; // of the sequence that is being read; the last one is not finished
    screen_cell cell[SCREEN_ROWS_MAX * SCREEN_COLUMNS_MAX]; // row by row, `columns` each
};

void screen_init(struct screen *s, uint32_t columns, uint32_t rows); // clipped to the maxima
void screen_write(struct screen *s, const uint8_t *bytes, uint32_t length);
#endif
