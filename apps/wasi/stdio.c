// stdio.c — standard input, output and error.
//
// Output goes to the machine's console if this instance is granted `console`, else to its terminal (terminal.c), else line by line to the
// system log. Input is what is typed at the terminal; without one it is at its end.
#include "apps/wasi/wasi.h"

#define LINE 512u // the longest line that the log takes

bool stdio_console;
static char line[LINE];
static uint32_t line_length;

void stdio_flush(void) {
    if (line_length) sasos_log(line, line_length);
    line_length = 0;
}

static void to_log(const uint8_t *text, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        if (text[i] != '\n')
            line[line_length++] = (char)text[i];
        else if (!line_length)
            sasos_log("", 0);
        if (text[i] == '\n' || line_length == LINE) stdio_flush();
    }
}

int32_t stdio_write(uint32_t *out_n) {
    uint32_t total = 0;
    while (iov_left()) {
        uint32_t n = iov_left() < BUFFER_SIZE ? (uint32_t)iov_left() : BUFFER_SIZE;
        int32_t error = iov_gather(buffer, n);
        if (!error && stdio_console)
            error = errno_of(sasos_console_write((const char *)buffer, n));
        else if (!error && terminal_events)
            error = terminal_write(buffer, n);
        else if (!error)
            to_log(buffer, n);
        if (error) return total ? SUCCESS : error;
        *out_n = total += n;
    }
    return SUCCESS;
}

void stdio_start(void) { stdio_console = sasos_console_write("", 0) >= 0; }
