// tty-echo.c — a client of the terminal class: says "ready", sends back what it gets, and ends with 0 at a "q" of its own line (the byte before
// it was a line end). A "k" of its own line kills the driver; whenever that has a new life, it attaches again and says "again". Argument 0: "echo", or
// "print": what comes is logged in hexadecimal instead. Argument 1: the driver's name.
#include "drivers/sdk/tty.h"

__attribute__((import_module("tty"), import_name("tty_attach"))) int32_t tty_attach(void);
__attribute__((import_module("tty"), import_name("tty_submit"))) int32_t tty_submit(void);

#define CHUNK 256u
#define TIMEOUT_NS (30ll * 1000000000)

static struct tty_channel *shared;
static struct ring input, output;
static int32_t life; // of the driver, that we are attached to

static int fail(const char *what, int32_t value) {
    log_line("%s (%d)", what, value);
    return 1;
}

static int attach(void) {
    ring_init(&input, &shared->input_ring, TTY_RING);
    ring_init(&output, &shared->output_ring, TTY_RING);
    int32_t error = tty_attach();
    return error ? fail("attaching failed", error) : 0;
}

static int send(const uint8_t *bytes, uint32_t length);

// Until something has happened; a new life of the driver is greeted.
static int wait(void) {
    int32_t events = sasos_wait(SASOS_EVENT_CHANNEL(0), TIMEOUT_NS), now = sasos_chan_generation(0);
    if (events <= 0) return fail("nothing comes", events);
    if (now < 0 || now == life) return 0; // dead meanwhile, or nothing new
    life = now;
    log_line("again");
    return attach() || send((const uint8_t *)"again\r\n", 7);
}

static int send(const uint8_t *bytes, uint32_t length) {
    for (uint32_t done = 0; done < length;) {
        uint32_t n = tty_put(&output, shared->output, bytes + done, length - done);
        int32_t error = n ? tty_submit() : wait();
        if (error) return fail("sending failed", error);
        done += n;
    }
    return 0;
}

static int kill_driver(void) {
    char name[40];
    int32_t length = sasos_arg(1, name, sizeof(name));
    int32_t error = length > 0 ? sasos_dom_control(name, (uint32_t)length, SASOS_KILL) : length;
    return error < 0 ? fail("killing failed", error) : 0;
}

static void print(const uint8_t *bytes, uint32_t length) {
    char text[2 * CHUNK + 1];
    for (uint32_t i = 0; i < length; i++) {
        text[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
        text[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
    }
    text[2 * length] = 0;
    log_line("got %s", text);
}

int32_t SASOS_EXPORT(app_main)(void) {
    char mode[8] = "";
    bool printing = sasos_arg(0, mode, sizeof(mode)) > 0 && mode[0] == 'p';
    shared = (struct tty_channel *)(uintptr_t)sasos_chan_map(0);
    if (shared->info.version != TTY_INFO_VERSION) return fail("the driver is not ready", 0);
    life = sasos_chan_generation(0);
    if (attach()) return 1;
    log_line("ready");
    if (send((const uint8_t *)"ready\r\n", 7)) return 1;
    uint8_t bytes[CHUNK], before = '\r';
    uint32_t total = 0;
    for (;;) {
        uint32_t n = tty_take(&input, shared->input, bytes, CHUNK);
        if (n == 0) {
            if (wait()) return 1;
            continue;
        }
        total += n;
        int32_t error = tty_submit(); // there is room again
        if (error) return fail("taking failed", error);
        if (printing)
            print(bytes, n);
        else if (send(bytes, n))
            return 1;
        for (uint32_t i = 0; i < n; before = bytes[i++]) {
            if (before != '\r' && before != '\n') continue;
            if (bytes[i] == 'q') {
                log_line("%u bytes came, %u were lost", total, shared->info.lost);
                return 0;
            }
            if (bytes[i] == 'k' && kill_driver()) return 1;
        }
    }
}
