// main.c — the rig's program: cycles per request of a block driver, sandboxed and native, on this CPU.
//
//   rig hz                                            the time-stamp counter's frequency
//   rig DRIVER APP.wasm DRIVER.wasm ROUNDS CELL…      DRIVER: virtio-blk, nvme, virtio-net or e1000e; virtio-net-ports, e1000e-ports: two
//                                                     devices. CELL: an argument of bench/apps/blkload, netload or netports, one measurement
//
// Every round runs a cell sandboxed and native in turn, as a whole and with the time divided, the fastest of three tries each. A line of JSON for
// each cell: {"cell": …, "sandboxed": {…}, "native": {…}}, each of the two having lists with a number a round, in time-stamp counts per request:
//   total    the whole, undisturbed: application, crossings, driver, device model
//   model    the device model
//   event    inside driver_event(), entered from C as the kernel does it
//   submit   inside the driver's call, entered from C too (which for a module costs more than the true crossing in `total` does)
// and events, submits: how often each of these was entered per request. One run that is not counted comes first.
// DEVICE_US=n in the environment makes the model answer that many microseconds after it has looked, as a device of that latency would.
// CHANNEL_TWICE=1 gives the native application and driver an address each for the channel, as sandboxed ones have.
// A measurement with OP verify checks data and gives no numbers; the exit status is 1 if anything failed.
#include "bench/rig/rig.h"
#include "sfi-jit/host/host.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHANNEL (9u << 20)
#define DISK \
    (1ull << 20) // small enough for the cache: the model should disturb as little as it can
#define ROUNDS_MAX 101
#define TRIES 3

extern const struct rig_twin twin_blkload, twin_netload, twin_virtio_blk, twin_nvme,
    twin_virtio_net, twin_e1000e, twin_netports, twin_virtio_net_b, twin_e1000e_b;

static const struct kind {
    const char *name;
    const struct rig_twin *app, *driver[RIG_PORTS];
    struct rig_device *(*device)(struct rig_disk *disk);
    void (*load)(struct rig_device *d, uint32_t size, uint32_t burst); // NULL: the application says all
} kinds[] = {
    {"virtio-blk", &twin_blkload, {&twin_virtio_blk}, rig_virtio_blk, NULL},
    {"nvme", &twin_blkload, {&twin_nvme}, rig_nvme, NULL},
    {"virtio-net", &twin_netload, {&twin_virtio_net}, rig_virtio_net, rig_net_load},
    {"e1000e", &twin_netload, {&twin_e1000e}, rig_e1000e, rig_net_load},
    {"virtio-net-ports", &twin_netports, {&twin_virtio_net, &twin_virtio_net_b}, rig_virtio_net, rig_net_load},
    {"e1000e-ports", &twin_netports, {&twin_e1000e, &twin_e1000e_b}, rig_e1000e, rig_net_load}};
static const struct kind *kind;

enum { SANDBOXED, NATIVE, SIDES };
static const char *const side_name[SIDES] = {"sandboxed", "native"};
struct side {
    struct rig_stack *whole, *divided;
};
enum { TOTAL, MODEL, EVENT, SUBMIT, EVENTS, SUBMITS, FIELDS };
static const char *const field_name[FIELDS] = {"total",  "model",  "event",
                                               "submit", "events", "submits"};

static void run(struct rig_stack *s, const char *cell) {
    char op[16] = "";
    unsigned size = 0, burst = 0;
    s->app->quiet = true;
    if (kind->load && sscanf(cell, "%15[a-z]:%u:%u", op, &size, &burst) == 3)
        for (unsigned i = 0; i < s->ports; i++) // what comes, comes on the first port
            kind->load(s->port[i].device, size, i || !strcmp(op, "tx") ? 0 : burst);
    if (rig_stack_run(s, cell) || s->marks < RIG_MARKS) rig_fail("%s: %s", cell, s->app->line);
}

static double count_of(const char *cell) {
    const char *colon = strrchr(cell, ':');
    return colon ? atof(colon + 1) : 0;
}

// Of some tries the fastest: what else the machine does is left out.
static void measure(struct side *side, const char *cell, double *out) {
    double n = count_of(cell), best = HUGE_VAL;
    struct rig_stack *s = side->divided;
    out[TOTAL] = HUGE_VAL;
    for (int i = 0; i < TRIES; i++) {
        run(side->whole, cell);
        double total = (double)(side->whole->mark[1].tsc - side->whole->mark[0].tsc) / n;
        if (total < out[TOTAL]) out[TOTAL] = total;
    }
    s->timing = true;
    rig_stack_bracket(s, true);
    for (int i = 0; i < TRIES; i++) {
        run(s, cell);
        const struct rig_time *a = &s->mark[0].time, *b = &s->mark[1].time;
        double driver = (double)(b->event - a->event + b->submit - a->submit);
        if (driver >= best) continue;
        best = driver;
        out[MODEL] = (double)(b->model - a->model) / n;
        out[EVENT] = (double)(b->event - a->event) / n;
        out[SUBMIT] = (double)(b->submit - a->submit) / n;
        out[EVENTS] = (double)(b->events - a->events) / n;
        out[SUBMITS] = (double)(b->submits - a->submits) / n;
    }
    s->timing = false;
    rig_stack_bracket(s, false);
}

static void cell_line(struct side side[SIDES], const char *cell, int rounds) {
    static double value[SIDES][ROUNDS_MAX][FIELDS];
    for (int i = 0; i < SIDES; i++) run(side[i].whole, cell), run(side[i].divided, cell);
    for (int r = 0; r < rounds; r++)
        for (int i = 0; i < SIDES; i++) {
            int which = (i + r) % SIDES; // neither is always first
            measure(&side[which], cell, value[which][r]);
        }
    printf("{\"cell\": \"%s\"", cell);
    for (int i = 0; i < SIDES; i++) {
        printf(", \"%s\": {", side_name[i]);
        for (int f = 0; f < FIELDS; f++) {
            printf("%s\"%s\": [", f ? ", " : "", field_name[f]);
            for (int r = 0; r < rounds; r++) printf("%s%.5f", r ? ", " : "", value[i][r][f]);
            printf("]");
        }
        printf("}");
    }
    printf("}\n");
    fflush(stdout);
}

static double frequency(void) { // of the time-stamp counter
    double start = host_seconds();
    uint64_t cycles = rig_tsc();
    while (host_seconds() - start < 0.05)
        ;
    return (double)(rig_tsc() - cycles) / (host_seconds() - start);
}

// One for each port. The array lasts until the next call.
static struct rig_device *const *new_devices(struct rig_disk *disk) {
    static struct rig_device *device[RIG_PORTS];
    static double hz;
    const char *us = getenv("DEVICE_US");
    if (us && hz == 0) hz = frequency();
    for (unsigned i = 0; i < RIG_PORTS && kind->driver[i]; i++) {
        device[i] = kind->device(disk);
        device[i]->latency = us ? (uint64_t)(atof(us) * 1e-6 * hz) : 0;
    }
    return device;
}

int main(int argc, char **argv) {
    host_init("rig");
    rig_space_init();
    if (argc == 2 && !strcmp(argv[1], "hz")) return printf("%.0f\n", frequency()) < 0;
    for (unsigned i = 0; argc > 5 && i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(argv[1], kinds[i].name)) kind = &kinds[i];
    int rounds = kind ? atoi(argv[4]) : 0;
    if (rounds < 1 || rounds > ROUNDS_MAX) {
        fprintf(stderr, "usage: rig DRIVER APP.wasm DRIVER.wasm ROUNDS CELL...\n");
        return 2;
    }
    struct rig_disk disk = {calloc(1, DISK), DISK / 512};
    if (!disk.data) rig_fail("no memory");
    struct side side[SIDES];
    side[SANDBOXED].whole = rig_stack_sandboxed(argv[2], argv[3], new_devices(&disk), CHANNEL, false);
    side[SANDBOXED].divided = rig_stack_sandboxed(argv[2], argv[3], new_devices(&disk), CHANNEL, true);
    side[NATIVE].whole = rig_stack_native(kind->app, kind->driver, new_devices(&disk), CHANNEL);
    side[NATIVE].divided = side[NATIVE].whole;
    rig_stack_start(side[SANDBOXED].whole);
    rig_stack_start(side[SANDBOXED].divided);
    rig_stack_start(side[NATIVE].whole);
    for (int i = 5; i < argc; i++) {
        if (strncmp(argv[i], "verify:", 7)) {
            cell_line(side, argv[i], rounds);
            continue;
        }
        for (int k = 0; k < SIDES; k++) {
            memset(disk.data, 0, DISK);
            run(side[k].whole, argv[i]);
            printf("{\"cell\": \"%s\", \"%s\": \"%s\"}\n", argv[i], side_name[k],
                   side[k].whole->app->line);
        }
    }
    return fflush(stdout) != 0;
}
