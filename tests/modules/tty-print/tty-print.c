// tty-print.c — shows on a terminal what its test looks for (tests/boot/test_screen.py): more lines than the screen has, all characters, colours. It kills
// the driver, whose name is argument 0, and shows it once more to its next life. Says "shown" in the log, and waits to be ended with the machine.
#include "drivers/sdk/tty.h"

__attribute__((import_module("tty"), import_name("tty_attach"))) int32_t tty_attach(void);
__attribute__((import_module("tty"), import_name("tty_submit"))) int32_t tty_submit(void);

#define TIMEOUT_NS (30ll * 1000000000)

static struct tty_channel *shared;
static struct ring output;

static bool show(const char *text, uint32_t length) {
    return tty_put(&output, shared->output, (const uint8_t *)text, length) == length &&
           tty_submit() == 0;
}

static int32_t show_all(void) {
    ring_init(&output, &shared->output_ring, TTY_RING);
    if (tty_attach()) return 1;
    for (uint32_t i = 0; i < 3 * shared->info.rows; i++)
        if (!show("this moves out of sight\r\n", 25)) return 2;
    static const char clear[] = "\x1b[2J\x1b[H",
                      text[] = "\x1b[3;5HSASOS draws this.\x1b[31;44m red on blue \x1b[0m";
    char all[95];
    for (uint32_t i = 0; i < 95; i++) all[i] = (char)(' ' + i);
    return show(clear, sizeof(clear) - 1) && show(all, 95) && show(text, sizeof(text) - 1) ? 0 : 3;
}

int32_t SASOS_EXPORT(app_main)(void) {
    shared = (struct tty_channel *)(uintptr_t)sasos_chan_map(0);
    char name[40];
    int32_t length = sasos_arg(0, name, sizeof(name)), life = sasos_chan_generation(0);
    int32_t error = show_all();
    if (error) return error;
    if (sasos_dom_control(name, (uint32_t)length, SASOS_KILL)) return 4;
    for (int32_t now = life; now < 0 || now == life; now = sasos_chan_generation(0))
        if (sasos_wait(SASOS_EVENT_CHANNEL(0), TIMEOUT_NS) <= 0) return 5;
    error = show_all();
    if (error) return error;
    log_line("shown on %u columns, %u rows", shared->info.columns, shared->info.rows);
    sasos_wait(SASOS_EVENT_CHANNEL(0), -1);
    return 0;
}
