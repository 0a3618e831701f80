// line.h — the line editor: bytes of a terminal in, edited lines out.
//
// Pure: it knows no device. Each byte may produce text for the terminal, which line_key() appends to `echo`. Understood are printable ASCII,
// the arrow keys, Home, End and Delete as xterm sends them, and the control characters that shells have: A E B F D H U K W L P N C.
// History: the last LINE_HISTORY lines, without repeats in a row.
#ifndef CONSOLE_LINE_H
#define CONSOLE_LINE_H
#include "drivers/sdk/text.h"

#define LINE_MAX 160u
#define LINE_HISTORY 32u

enum line_event { LINE_NOTHING, LINE_READY, LINE_TAB };

struct line {
    const char *prompt;
    char text[LINE_MAX]; // 0 at the end when LINE_READY
    uint32_t length, cursor;
    char history[LINE_HISTORY][LINE_MAX];
    uint32_t count;  // lines ever put into the history
    uint32_t shown;  // which one is being looked at; = count: the new line
    uint32_t escape; // how much of an escape sequence has come: 1 ESC, 2 ESC [, 3 ESC [ digit
    char digit;
    char before; // the last byte: CR LF is one end
};

void line_start(struct line *l, const char *prompt, struct text *echo); // shows the prompt; the history stays
enum line_event line_key(struct line *l, uint8_t byte, struct text *echo);
void line_show(const struct line *l, struct text *echo);               // prompt and line, again
void line_insert(struct line *l, const char *text, struct text *echo); // as if typed
#endif
