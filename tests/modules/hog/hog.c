// hog.c — a driver that computes for a fifth of a second, once, soon after it was started, and says from when to when (microseconds).
// Drivers come before applications: no application runs on its CPU in that time.
#include "drivers/sdk/sasos.h"

__attribute__((export_name("driver_start"))) int32_t driver_start(void) {
    return sasos_timer(sasos_time_ns() + 50000000);
}

__attribute__((export_name("driver_event"))) int32_t driver_event(int32_t events) {
    if (!(events & SASOS_EVENT_TIMER)) return 0;
    int64_t start = sasos_time_ns(), now = start;
    while (now - start < 200000000) now = sasos_time_ns();
    log_line("window %ld %ld", start / 1000, now / 1000);
    return 0;
}
