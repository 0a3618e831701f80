// screen.c — see screen.h. Clauses: ECMA-48, fifth edition.
#include "drivers/fbcon/screen.h"

enum { INK = 7, PAPER = 0, TAB = 8, NUMBER_MAX = 9999 };

static screen_cell blank(const struct screen *s) { return SCREEN_CELL(' ', INK, s->paper); }

static void erase(struct screen *s, uint32_t from, uint32_t to) {
    for (uint32_t i = from; i < to; i++) s->cell[i] = blank(s);
}

static void reset(struct screen *s) {
    s->column = s->row = s->saved_column = s->saved_row = s->numbers = 0;
    s->ink = INK;
    s->paper = PAPER;
    s->bold = s->inverse = false;
    s->state = SCREEN_TEXT;
    erase(s, 0, s->columns * s->rows);
}

void screen_init(struct screen *s, uint32_t columns, uint32_t rows) {
    s->columns = columns < SCREEN_COLUMNS_MAX ? columns : SCREEN_COLUMNS_MAX;
    s->rows = rows < SCREEN_ROWS_MAX ? rows : SCREEN_ROWS_MAX;
    reset(s);
}

static void line_feed(struct screen *s) {
    if (s->row + 1 < s->rows) {
        s->row++;
        return;
    }
    uint32_t all = s->columns * s->rows;
    for (uint32_t i = s->columns; i < all; i++) s->cell[i - s->columns] = s->cell[i];
    erase(s, all - s->columns, all);
}

static void character(struct screen *s, uint8_t c) {
    if (s->column == s->columns) {
        s->column = 0;
        line_feed(s);
    }
    uint32_t ink = s->ink | (s->bold ? 8u : 0u), paper = s->paper;
    s->cell[s->row * s->columns + s->column++] =
        s->inverse ? SCREEN_CELL(c, paper, ink & 15u) : SCREEN_CELL(c, ink & 15u, paper);
}

static void text(struct screen *s, uint8_t c) {
    switch (c) {
    case 0x1b: s->state = SCREEN_ESCAPE; return;
    case '\r': s->column = 0; return;
    case '\n': line_feed(s); return;
    case '\b':
        if (s->column) s->column--;
        return;
    case '\t':
        s->column = (s->column / TAB + 1) * TAB;
        if (s->column >= s->columns) s->column = s->columns - 1;
        return;
    default:
        if (c >= 0x20 && c < 0x7f) character(s, c);
        if (c >= 0xc0)
            character(s, '?'); // the first byte of a character beyond ASCII; the others are passed over
    }
}

// 8.3.117 SGR
static void rendition(struct screen *s, uint32_t n) {
    if (n == 0) {
        s->ink = INK;
        s->paper = PAPER;
        s->bold = s->inverse = false;
    } else if (n == 1 || n == 22) {
        s->bold = n == 1;
    } else if (n == 7 || n == 27) {
        s->inverse = n == 7;
    } else if (n >= 30 && n <= 37) {
        s->ink = (uint8_t)(n - 30);
    } else if (n == 39) {
        s->ink = INK;
    } else if (n >= 40 && n <= 47) {
        s->paper = (uint8_t)(n - 40);
    } else if (n == 49) {
        s->paper = PAPER;
    } else if (n >= 90 && n <= 97) {
        s->ink = (uint8_t)(n - 90 + 8);
    } else if (n >= 100 && n <= 107) {
        s->paper = (uint8_t)(n - 100 + 8);
    }
}

static uint32_t at_most(uint32_t n, uint32_t most) { return n < most ? n : most; }

// Parameter i, with ECMA-48's default of 1 for what is missing or 0.
static uint32_t count(const struct screen *s, uint32_t i) {
    return i < s->numbers && s->number[i] ? s->number[i] : 1;
}

static void place(struct screen *s, uint32_t row, uint32_t column) {
    s->row = at_most(row, s->rows - 1);
    s->column = at_most(column, s->columns - 1);
}

static void sequence(struct screen *s, uint8_t final) {
    uint32_t here = s->row * s->columns + at_most(s->column, s->columns - 1);
    uint32_t line = s->row * s->columns, what = s->numbers ? s->number[0] : 0, n = count(s, 0);
    switch (final) {
    case 'A': place(s, s->row - at_most(n, s->row), s->column); break;
    case 'B': place(s, s->row + n, s->column); break;
    case 'C': place(s, s->row, s->column + n); break;
    case 'D': place(s, s->row, s->column - at_most(n, s->column)); break;
    case 'G': place(s, s->row, n - 1); break;
    case 'H':
    case 'f': place(s, n - 1, count(s, 1) - 1); break;
    case 'J': // 0: to the end, 1: from the beginning, 2 and 3: all
        erase(s, what == 0 ? here : 0, what == 1 ? here + 1 : s->columns * s->rows);
        break;
    case 'K': erase(s, what == 0 ? here : line, what == 1 ? here + 1 : line + s->columns); break;
    case 'm':
        if (!s->numbers) rendition(s, 0);
        for (uint32_t i = 0; i < s->numbers; i++) rendition(s, s->number[i]);
        break;
    case 's':
        s->saved_row = s->row;
        s->saved_column = s->column;
        break;
    case 'u': place(s, s->saved_row, s->saved_column); break;
    default: break;
    }
}

// 5.4 Control sequences: parameters 0x30–0x3f, then intermediates 0x20–0x2f, then one final byte.
static void sequence_byte(struct screen *s, uint8_t c) {
    if (c >= '0' && c <= '9') {
        if (!s->numbers) s->number[s->numbers++] = 0;
        uint32_t *n = &s->number[s->numbers - 1];
        *n = at_most(*n * 10 + (c - '0'), NUMBER_MAX);
    } else if (c == ';') {
        if (!s->numbers) s->number[s->numbers++] = 0;
        if (s->numbers < SCREEN_NUMBERS_MAX) s->number[s->numbers++] = 0;
    } else if (c >= 0x40 && c <= 0x7e) {
        s->state = SCREEN_TEXT;
        sequence(s, c);
    } else if (c < 0x20 || c > 0x7e) { // not of a sequence: it is given up
        s->state = SCREEN_TEXT;
        text(s, c);
    }
}

void screen_write(struct screen *s, const uint8_t *bytes, uint32_t length) {
    for (uint32_t i = 0; i < length; i++) {
        uint8_t c = bytes[i];
        if (s->state == SCREEN_TEXT) {
            text(s, c);
        } else if (s->state == SCREEN_SEQUENCE) {
            sequence_byte(s, c);
        } else {
            s->state = c == '[' ? SCREEN_SEQUENCE : SCREEN_TEXT;
            s->numbers = 0;
            if (c == 'c') reset(s);
        }
    }
}
