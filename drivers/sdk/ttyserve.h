// ttyserve.h — the server's side of the terminal class (tty.h): what every terminal driver does alike.
//
// Included by exactly one source of a driver; it gives the module its exports tty_attach() and tty_submit(). A terminal has one client. The
// driver calls ts_open() when its device is ready, ts_input() with what came, and ts_pump() whenever the device may take more; it
// supplies device_write(), and device_resume(), which is told that the client has room again.
#ifndef SASOS_TTYSERVE_H
#define SASOS_TTYSERVE_H
#include "drivers/sdk/tty.h"

static struct {
    struct tty_channel *shared; // NULL: nobody is connected
    struct ring input, output;
    bool attached, full; // the client has attached; its output ring was full when it was looked at
} ts;

// ---- supplied by the driver ----
static uint32_t device_write(const uint8_t *bytes, uint32_t length); // takes what it can; returns how much
static void device_resume(void);

// ---- for the driver ----

// The terminal is ready. 0 or an error.
static int ts_open(uint32_t columns, uint32_t rows) {
    if (sasos_chan_count() == 0) return 0;
    if (sasos_chan_size(0) < sizeof(struct tty_channel)) return E_INVAL;
    ts.shared = (struct tty_channel *)(uintptr_t)sasos_chan_map(0);
    ts.shared->info.columns = columns;
    ts.shared->info.rows = rows;
    ts.shared->info.lost = 0;
    barrier_compiler();
    ts.shared->info.version = TTY_INFO_VERSION;
    return 0;
}

static inline uint32_t ts_room(void) { return ts.attached ? ring_space(&ts.input) : 0; }

// What does not fit is lost, and counted: a driver that can wait asks ts_room() first.
static inline void ts_input(const uint8_t *bytes, uint32_t length) {
    if (!ts.attached) return; // nobody listens
    uint32_t put = tty_put(&ts.input, ts.shared->input, bytes, length);
    if (put < length) ts.shared->info.lost += length - put;
    if (put) sasos_chan_signal(0);
}

// Hands the client's output to the device, as long as it takes some. True if some is left.
static bool ts_pump(void) {
    uint32_t moved = 0, ready = 0;
    while (ts.attached && (ready = ring_pending(&ts.output)) != 0) {
        if (ready == TTY_RING) ts.full = true;
        uint32_t at = ts.output.mine & (TTY_RING - 1);
        uint32_t length = ready < TTY_RING - at ? ready : TTY_RING - at; // up to the ring's end
        uint32_t taken = device_write(ts.shared->output + at, length);
        ts.output.mine += taken;
        moved += taken;
        if (taken < length) break;
    }
    if (!moved) return ready;
    barrier_compiler(); // the device has its copy before the place is given back
    ts.shared->output_ring.tail = ts.output.mine;
    if (ts.full) sasos_chan_signal(0);
    ts.full = false;
    return ring_pending(&ts.output);
}

// ---- the class's calls ----

int32_t SASOS_EXPORT(tty_attach)(void) {
    if (!ts.shared) return E_NOENT;
    ring_init(&ts.input, &ts.shared->input_ring, TTY_RING);
    ring_init(&ts.output, &ts.shared->output_ring, TTY_RING);
    ts.shared->input_ring.head = ts.shared->input_ring.tail = 0;
    ts.shared->output_ring.head = ts.shared->output_ring.tail = 0;
    ts.attached = true;
    device_resume();
    return 0;
}

int32_t SASOS_EXPORT(tty_submit)(void) {
    if (!ts.attached) return E_INVAL;
    ts_pump();
    device_resume();
    return ts.output.broken || ts.input.broken ? E_INVAL : 0; // attach again
}
#endif
