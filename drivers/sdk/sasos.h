// sasos.h — the SDK's one header for every module: kernel calls, events, typed device access, barriers.
//
// A driver exports `driver_start()` (find the device, set it up; ≥ 0 or an error) and `driver_event(bits)` (something happened;
// work until there is nothing left, then return: nobody else enters the domain meanwhile). An application exports `app_main()`,
// whose result is its exit status. Everything else a module does is granted by the configuration and declared in its manifest.
#ifndef SASOS_SDK_H
#define SASOS_SDK_H
#include "sasos/run/abi.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define X(result, name, parameters, types, text)                        \
    __attribute__((import_module(SASOS_NAMESPACE), import_name(#name))) \
    result sasos_##name parameters;
#include "sasos/run/hostcall.def"
#undef X

#define SASOS_EXPORT(name) __attribute__((export_name(#name))) name

// Device registers and shared memory: one access of exactly that width, in program order. An address is a 32-bit number.
static inline uint8_t read8(uint32_t a) { return *(volatile uint8_t *)(uintptr_t)a; }
static inline uint16_t read16(uint32_t a) { return *(volatile uint16_t *)(uintptr_t)a; }
static inline uint32_t read32(uint32_t a) { return *(volatile uint32_t *)(uintptr_t)a; }
static inline uint64_t read64(uint32_t a) { return *(volatile uint64_t *)(uintptr_t)a; }
static inline void write8(uint32_t a, uint8_t v) { *(volatile uint8_t *)(uintptr_t)a = v; }
static inline void write16(uint32_t a, uint16_t v) { *(volatile uint16_t *)(uintptr_t)a = v; }
static inline void write32(uint32_t a, uint32_t v) { *(volatile uint32_t *)(uintptr_t)a = v; }
static inline void write64(uint32_t a, uint64_t v) { *(volatile uint64_t *)(uintptr_t)a = v; }

// x86 keeps loads among loads and stores among stores, also as a device sees them: here only the compiler must be told.
static inline void barrier_compiler(void) { __asm__ volatile("" ::: "memory"); }
// A store before it is visible before a load after it: where both sides announce and then look (doorbell suppression). A locked instruction
// orders all accesses to ordinary memory (Intel SDM volume 3, Memory Ordering in P6 and More Recent Processor Families; AMD64 APM volume 2, 7.4.2), and
// on a line of one's own it takes a fraction of an MFENCE's time. Not an `or` of 0: compilers make that an MFENCE.
static inline void barrier_full(void) {
    static uint32_t own;
    barrier_compiler();
    (void)__atomic_exchange_n(&own, 0, __ATOMIC_SEQ_CST);
    barrier_compiler();
}

// For a pointer to an element of a static array, on a hot path: one register for it, and constant offsets. Otherwise clang keeps the address of each
// field that is used in a register of its own, since in wasm32 it cannot fold them, and the module's code spills.
#define keep_base(pointer) __asm__("" : "+r"(pointer))

const char *sasos_call_name(uint64_t row); // of a kernel call, as the trace numbers them

void log_line(const char *format, ...); // %s %d %u %x %lu %lx (64-bit: l) %c %%; one line, no newline needed

#endif
