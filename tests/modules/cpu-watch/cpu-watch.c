// cpu-watch.c — reads the trace and says of each module on which CPUs its thread went to sleep and was woken: "NAME: on CPUs MASK, woken on MASK".
// Then it waits until the other applications have ended. Needs `observe`.
#include "drivers/sdk/sasos.h"

#define MODULES 32u

int32_t SASOS_EXPORT(app_main)(void) {
    static struct sasos_trace t[64];
    static struct sasos_dom_info d;
    static uint32_t on[MODULES], woken[MODULES];
    int32_t n;
    for (uint64_t at = 0; (n = sasos_trace_read(at, t, 64)) > 0; at = t[n - 1].number + 1)
        for (int32_t i = 0; i < n; i++) {
            if (t[i].module >= MODULES) continue;
            if (t[i].kind == SASOS_TRACE_SLEEP) on[t[i].module] |= 1u << t[i].cpu;
            if (t[i].kind == SASOS_TRACE_WAKE) woken[t[i].module] |= 1u << t[i].more;
        }
    uint32_t own = 0; // the configuration's last
    for (uint32_t i = 0; i < MODULES && sasos_dom_info(i, &d, sizeof(d)) > 0; i++) {
        own = i;
        log_line("%s: on CPUs %x, woken on %x, last on %u", d.name, on[i], woken[i], d.cpu);
    }
    for (uint32_t i = 0; sasos_dom_info(i, &d, sizeof(d)) > 0; i++)
        if (d.kind == SASOS_APP && d.state == SASOS_RUNNING && i != own) {
            sasos_wait(0, 1000000);
            i--;
        }
    return n;
}
