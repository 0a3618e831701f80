// terminal.c — the program's terminal: a driver of the terminal class (drivers/sdk/tty.h) at `connect tty DRIVER 16K`.
//
// SASOS_STDIN says what comes of the keys:
//   console  (default) lines: shown and edited here (Backspace, Ctrl-W, Ctrl-U), and read when they are whole. Ctrl-D at the begin of
//            one is the end of input, elsewhere it passes on what is there. Ctrl-C ends the program.
//   raw      bytes as they come, nothing shown, nothing with a meaning
//   none     standard input is at its end. Ctrl-C ends the program
//
// Output comes here unless the machine's console is granted; in lines, its line ends become CR LF. Nothing runs here between the program's
// calls, so keys are looked at at the begin of a call and in every wait. Bytes that are in the channel when the driver dies are lost.
#include "apps/wasi/wasi.h"
#include "drivers/sdk/tty.h"

#define CTRL(c) ((c)&31)
#define LINE 4096u // the longest line
#define STATUS_INTERRUPTED 130

#ifdef __wasm__
#define IMPORT(name) __attribute__((import_module("tty"), import_name(#name)))
#else
#define IMPORT(name)
#endif
IMPORT(tty_attach) int32_t tty_attach(void);
IMPORT(tty_submit) int32_t tty_submit(void);

uint32_t terminal_events;
static enum { CONSOLE, RAW, NONE } mode;
static struct tty_channel *tty; // NULL: there is none
static struct ring input, output;
static uint32_t channel;
static int32_t life; // of the driver; 0: not attached
static bool interrupted;

static uint8_t text[LINE];     // what was typed:
static uint32_t whole, length; // may be read; with the line that is being typed
static bool ended;             // behind what is whole, input ends

static void attach(void) {
    life = sasos_chan_generation(channel);
    ring_init(&input, &tty->input_ring, TTY_RING);
    ring_init(&output, &tty->output_ring, TTY_RING);
    if (life < 0 || tty_attach() < 0) life = 0;
}

// ---- Output ----
// Takes a part of the bytes, 0 when there is no room.
static uint32_t put(const uint8_t *bytes, uint32_t n) {
    uint32_t done = 0;
    for (; done < n; done++) {
        bool end = bytes[done] == '\n' && mode != RAW;
        if (ring_space(&output) < 1u + end) break;
        if (end) tty_put(&output, tty->output, (const uint8_t *)"\r", 1);
        tty_put(&output, tty->output, &bytes[done], 1);
    }
    return done;
}

int32_t terminal_write(const uint8_t *bytes, uint32_t n) {
    while (n) {
        uint32_t done = life ? put(bytes, n) : 0;
        if (done) tty_submit();
        bytes += done, n -= done;
        if (!n) break;
        if (!life && sasos_chan_generation(channel) != E_AGAIN)
            return ERRNO_IO; // it will not come back
        if (wait_until(terminal_events, FOREVER) < 0) return ERRNO_INTR;
    }
    return SUCCESS;
}

// What is typed appears where the output does; without room it does not.
static void show(const char *s, uint32_t n) {
    if (stdio_console)
        sasos_console_write(s, n);
    else if (put((const uint8_t *)s, n))
        tty_submit();
}

// ---- Input ----
static bool is_tail(uint8_t c) { return (c & 0xc0) == 0x80; } // of a character in UTF-8
static bool is_control(uint8_t c) { return c < 32 || c == 127; }

// Takes back the last character of the line.
static void erase(void) {
    while (length > whole + 1 && is_tail(text[length - 1])) length--;
    uint8_t c = text[--length];
    show("\b \b\b \b", is_control(c) ? 6 : 3);
}

static void erase_word(void) {
    while (length > whole && text[length - 1] == ' ') erase();
    while (length > whole && text[length - 1] != ' ') erase();
}

static void insert(uint8_t c) {
    char shown[2] = {is_control(c) ? '^' : (char)c, (char)(c ^ 64)};
    if (length == LINE - 1) { // the last place is for the line's end
        show("\a", 1);
        return;
    }
    text[length++] = c;
    show(shown, is_control(c) ? 2 : 1);
}

static void key(uint8_t c) {
    switch (c) {
    case '\r':
    case '\n':
        text[length++] = '\n';
        whole = length;
        show("\n", 1);
        break;
    case '\b':
    case 127:
        if (length > whole) erase();
        break;
    case CTRL('u'):
        while (length > whole) erase();
        break;
    case CTRL('w'): erase_word(); break;
    case CTRL('d'):
        ended |= length == whole;
        whole = length;
        break;
    case '\t': insert(' '); break; // of one width, so that it can be taken back
    default: insert(c);
    }
}

// Takes what was typed, as long as there is place for it.
static void take(void) {
    uint8_t c;
    while (!interrupted && (mode == NONE || (length < LINE && !ended)) &&
           tty_take(&input, tty->input, &c, 1)) {
        if (c == CTRL('c') && mode != RAW) {
            interrupted = true;
            show("^C\n", 3);
        } else if (mode == RAW) {
            text[length++] = c;
            whole = length;
        } else if (mode == CONSOLE) {
            key(c);
        }
    }
    if (life) tty_submit(); // there is room again
}

bool terminal_look(bool event) {
    if (!tty) return false;
    if (event && sasos_chan_generation(channel) != life) attach();
    if (life && ring_pending(&input)) take();
    if (!interrupted) return false;
    if (process_running) { // else it waits for the program that is being set up
        interrupted = false;
        wasi_proc_exit(STATUS_INTERRUPTED);
    }
    return true;
}

bool terminal_ready(uint64_t *out_n) {
    *out_n = whole;
    return !tty || mode == NONE || whole || ended ||
           (!life && sasos_chan_generation(channel) != E_AGAIN);
}

int32_t terminal_read(bool nonblock, uint32_t *out_n) {
    uint64_t ready;
    *out_n = 0;
    if (!iov_left()) return SUCCESS;
    while (!terminal_ready(&ready)) {
        if (nonblock) return ERRNO_AGAIN;
        if (wait_until(terminal_events, FOREVER) < 0) return ERRNO_INTR;
    }
    uint32_t end = 0, n = iov_left() < whole ? (uint32_t)iov_left() : whole;
    while (mode != RAW && end < n && text[end++] != '\n') // one line
        ;
    if (mode != RAW) n = end;
    int32_t error = iov_scatter(text, n);
    if (error) return error;
    if (!whole) ended = false; // told once
    *out_n = n;
    memmove(text, text + n, length - n);
    whole -= n, length -= n;
    if (life) take(); // what had no place
    return SUCCESS;
}

void terminal_forget(void) {
    whole = length = 0;
    ended = false;
}

int32_t terminal_start(void) {
    static const char *const modes[] = {[CONSOLE] = "console", [RAW] = "raw", [NONE] = "none"};
    char word[16] = "console";
    option("STDIN", word, sizeof(word));
    while (mode < 3 && !text_same(word, text_length(word), modes[mode], text_length(modes[mode])))
        mode++;
    if (mode == 3) {
        log_line("expected: SASOS_STDIN=console, raw or none");
        return E_INVAL;
    }
    for (uint32_t i = 0; i < (uint32_t)sasos_chan_count(); i++) {
        struct tty_channel *t = (struct tty_channel *)(uintptr_t)sasos_chan_map(i);
        if (!t || sasos_chan_size(i) < sizeof(*t) || t->info.version != TTY_INFO_VERSION) continue;
        tty = t;
        channel = i;
        terminal_events = SASOS_EVENT_CHANNEL(i);
        attach();
        return 0;
    }
    return 0;
}
