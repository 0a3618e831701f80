// busy.c — an application that computes for as many milliseconds as its argument says, and tells when it had a CPU: every stretch of time
// in which no two looks at the clock were further apart than GAP_NS, as "window START END" in microseconds;
// and how often it looked, "work N".
#include "drivers/sdk/sasos.h"

#define GAP_NS 50000000
#define WINDOWS 32u

__attribute__((export_name("app_main"))) int32_t app_main(void) {
    static int64_t from[WINDOWS], to[WINDOWS];
    char text[8] = "";
    sasos_arg(0, text, sizeof(text) - 1);
    int64_t ms = 0, work = 0;
    for (const char *c = text; *c >= '0' && *c <= '9'; c++) ms = ms * 10 + (*c - '0');
    uint32_t n = 0;
    int64_t start = sasos_time_ns(), now = start;
    from[0] = start;
    while (now - start < ms * 1000000 && n < WINDOWS) {
        int64_t last = now;
        work++;
        now = sasos_time_ns();
        if (now - last <= GAP_NS) continue;
        to[n++] = last;
        if (n < WINDOWS) from[n] = now;
    }
    if (n < WINDOWS) to[n++] = now;
    for (uint32_t i = 0; i < n; i++) log_line("window %ld %ld", from[i] / 1000, to[i] / 1000);
    log_line("work %ld", work);
    return 0;
}
