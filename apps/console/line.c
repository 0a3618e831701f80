// line.c — see line.h. After every change the whole line is drawn again; only a character at the end is just appended.
#include "apps/console/line.h"
#include <stdbool.h>

#define CTRL(c) ((c)&31)

static uint32_t copy(char *to, const char *from) {
    uint32_t n = 0;
    for (; from[n] && n < LINE_MAX - 1; n++) to[n] = from[n];
    to[n] = 0;
    return n;
}

static bool same(const char *a, const char *b) {
    while (*a && *a == *b) a++, b++;
    return *a == *b;
}

void line_show(const struct line *l, struct text *echo) {
    text_format(echo, "\r%s", l->prompt);
    for (uint32_t i = 0; i < l->length; i++) text_char(echo, l->text[i]);
    text_format(echo, "\x1b[K");
    if (l->cursor < l->length) text_format(echo, "\x1b[%uD", l->length - l->cursor);
}

void line_start(struct line *l, const char *prompt, struct text *echo) {
    l->prompt = prompt;
    l->length = l->cursor = 0;
    l->shown = l->count;
    line_show(l, echo);
}

static void insert(struct line *l, char c, struct text *echo) {
    if (l->length == LINE_MAX - 1) {
        text_char(echo, '\a');
        return;
    }
    for (uint32_t i = l->length; i > l->cursor; i--) l->text[i] = l->text[i - 1];
    l->text[l->cursor++] = c;
    l->length++;
    if (l->cursor == l->length)
        text_char(echo, c);
    else
        line_show(l, echo);
}

void line_insert(struct line *l, const char *text, struct text *echo) {
    while (*text) insert(l, *text++, echo);
}

// Takes out [from, to).
static void cut(struct line *l, uint32_t from, uint32_t to, struct text *echo) {
    for (uint32_t i = to; i < l->length; i++) l->text[from + i - to] = l->text[i];
    l->length -= to - from;
    l->cursor = from;
    line_show(l, echo);
}

static void move(struct line *l, uint32_t cursor, struct text *echo) {
    l->cursor = cursor <= l->length ? cursor : l->length;
    line_show(l, echo);
}

// Another line of the history takes the place of this one.
static void recall(struct line *l, uint32_t which, struct text *echo) {
    if (which > l->count || l->count - which > LINE_HISTORY) {
        text_char(echo, '\a');
        return;
    }
    l->shown = which;
    l->length = which == l->count ? 0 : copy(l->text, l->history[which % LINE_HISTORY]);
    move(l, l->length, echo);
}

static enum line_event finish(struct line *l, struct text *echo) {
    l->text[l->length] = 0;
    text_format(echo, "\r\n");
    if (l->length && (l->count == 0 || !same(l->text, l->history[(l->count - 1) % LINE_HISTORY])))
        copy(l->history[l->count++ % LINE_HISTORY], l->text);
    return LINE_READY;
}

static uint32_t word_start(const struct line *l) {
    uint32_t i = l->cursor;
    while (i && l->text[i - 1] == ' ') i--;
    while (i && l->text[i - 1] != ' ') i--;
    return i;
}

// xterm: ESC [ letter, ESC O letter, ESC [ digit ~.
static void sequence(struct line *l, uint8_t byte, struct text *echo) {
    if (l->escape == 1) {
        l->escape = byte == '[' || byte == 'O' ? 2 : 0;
        return;
    }
    if (l->escape == 2 && byte >= '0' && byte <= '9') {
        l->digit = (char)byte;
        l->escape = 3;
        return;
    }
    if (l->escape == 3 && ((byte >= '0' && byte <= '9') || byte == ';')) {
        l->digit = 0; // with more digits or a modifier: none that is known here
        return;
    }
    char key = l->escape == 2                       ? (char)byte
               : byte != '~'                        ? 0
               : l->digit == '1' || l->digit == '7' ? 'H'
               : l->digit == '4' || l->digit == '8' ? 'F'
               : l->digit == '3'                    ? 'X'
                                                    : 0;
    l->escape = 0;
    switch (key) {
    case 'A': recall(l, l->shown - 1, echo); break;
    case 'B': recall(l, l->shown + 1, echo); break;
    case 'C': move(l, l->cursor + 1, echo); break;
    case 'D': move(l, l->cursor ? l->cursor - 1 : 0, echo); break;
    case 'H': move(l, 0, echo); break;
    case 'F': move(l, l->length, echo); break;
    case 'X':
        if (l->cursor < l->length) cut(l, l->cursor, l->cursor + 1, echo);
        break;
    default: break;
    }
}

enum line_event line_key(struct line *l, uint8_t byte, struct text *echo) {
    char before = l->before;
    l->before = (char)byte;
    if (l->escape) {
        sequence(l, byte, echo);
        return LINE_NOTHING;
    }
    switch (byte) {
    case 27: l->escape = 1; break;
    case '\n':
        if (before == '\r') break;
        return finish(l, echo);
    case '\r': return finish(l, echo);
    case '\t': return LINE_TAB;
    case 127:
    case CTRL('H'):
        if (l->cursor) cut(l, l->cursor - 1, l->cursor, echo);
        break;
    case CTRL('D'):
        if (l->cursor < l->length) cut(l, l->cursor, l->cursor + 1, echo);
        break;
    case CTRL('A'): move(l, 0, echo); break;
    case CTRL('E'): move(l, l->length, echo); break;
    case CTRL('B'): move(l, l->cursor ? l->cursor - 1 : 0, echo); break;
    case CTRL('F'): move(l, l->cursor + 1, echo); break;
    case CTRL('P'): recall(l, l->shown - 1, echo); break;
    case CTRL('N'): recall(l, l->shown + 1, echo); break;
    case CTRL('U'): cut(l, 0, l->cursor, echo); break;
    case CTRL('K'):
        l->length = l->cursor;
        line_show(l, echo);
        break;
    case CTRL('W'): cut(l, word_start(l), l->cursor, echo); break;
    case CTRL('L'):
        text_format(echo, "\x1b[H\x1b[J");
        line_show(l, echo);
        break;
    case CTRL('C'):
        text_format(echo, "^C\r\n");
        line_start(l, l->prompt, echo);
        break;
    default:
        if (byte >= 32 && byte < 127) insert(l, (char)byte, echo);
        break;
    }
    return LINE_NOTHING;
}
