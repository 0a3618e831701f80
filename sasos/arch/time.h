// time.h — the clock: nanoseconds since the kernel was entered, from the time-stamp counter.
//
// Calibrated once, against the HPET or the ACPI PM timer, together with the local APIC timer. Monotonic; valid in any
// context; 0 before time_init(). Modules get time only through checked calls with the granularity that policy allows.
#ifndef SASOS_ARCH_TIME_H
#define SASOS_ARCH_TIME_H
#include <stdbool.h>
#include <stdint.h>

#define TIME_MS 1000000ull
#define TIME_FOREVER UINT64_MAX

struct bootinfo;

// Reads acpi() for HPET and PM timer; refuses a machine that has neither.
void time_init(const struct bootinfo *info, uint64_t tsc_kernel_entry);
uint64_t time_now_ns(void);
uint64_t time_tsc_to_ns(uint64_t ticks);
uint64_t time_unix_ns(void);     // since 1970, 0 if the firmware had no clock
void time_delay_ns(uint64_t ns); // busy; for hardware that needs microseconds
#endif
