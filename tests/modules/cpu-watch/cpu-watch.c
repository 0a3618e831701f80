// cpu-watch.c — reads the trace while other applications run, and says of each module on which CPUs its thread went to sleep and was woken:
// "NAME: on CPUs MASK, woken on MASK". It is the configuration's last module. Needs `observe`.
#include "drivers/sdk/sasos.h"

#define MODULES 32u

static uint32_t on[MODULES], woken[MODULES];

// All that came since event `from`; where to go on. Read as it comes: the trace keeps the newest events only.
static uint64_t read_on(uint64_t from) {
    static struct sasos_trace t[64];
    for (int32_t n; (n = sasos_trace_read(from, t, 64)) > 0; from = t[n - 1].number + 1)
        for (int32_t i = 0; i < n; i++) {
            if (t[i].module >= MODULES) continue;
            if (t[i].kind == SASOS_TRACE_SLEEP) on[t[i].module] |= 1u << t[i].cpu;
            if (t[i].kind == SASOS_TRACE_WAKE) woken[t[i].module] |= 1u << t[i].more;
        }
    return from;
}

static bool others_run(void) {
    static struct sasos_dom_info d;
    uint32_t running = 0;
    for (uint32_t i = 0; sasos_dom_info(i, &d, sizeof(d)) > 0; i++)
        running += d.kind == SASOS_APP && d.state == SASOS_RUNNING;
    return running > 1;
}

int32_t SASOS_EXPORT(app_main)(void) {
    static struct sasos_dom_info d;
    uint64_t from = 0;
    while (others_run()) {
        from = read_on(from);
        sasos_wait(0, 1000000);
    }
    read_on(from);
    for (uint32_t i = 0; i < MODULES && sasos_dom_info(i, &d, sizeof(d)) > 0; i++)
        log_line("%s: on CPUs %x, woken on %x, last on %u", d.name, on[i], woken[i], d.cpu);
    return 0;
}
