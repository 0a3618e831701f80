// kernel_shim.h — what a kernel source needs to run inside a hosted unit test: included before the source itself.
//
// Panics and refusals become a longjmp to where the test expects one. There is one CPU, never in an interrupt; the lock
// polices itself (nobody takes it twice, nobody leaves it held).
#ifndef TEST_KERNEL_SHIM_H
#define TEST_KERNEL_SHIM_H
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sasos/lib/panic.h"

// In the place of sasos/arch/lock.h and what it includes.
#define SASOS_ARCH_LOCK_H
#define SASOS_ARCH_CPU_H
struct cpu {
    uint32_t irq_depth;
    uint64_t fault_depth;
};
static struct cpu shim_cpu;
static inline bool cpu_in_handler(void) { return shim_cpu.irq_depth || shim_cpu.fault_depth; }
struct spinlock {
    uint32_t held;
};
static inline uint64_t spin_lock(struct spinlock *l) {
    assert_int_equal(l->held, 0);
    l->held = 1;
    return 0;
}
static inline void spin_unlock(struct spinlock *l, uint64_t flags) {
    (void)flags;
    assert_int_equal(l->held, 1);
    l->held = 0;
}

static jmp_buf shim_panic;
static char shim_text[256];

_Noreturn void panic_at(const char *file, int line, const char *fmt, ...) {
    (void)file, (void)line;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(shim_text, sizeof shim_text, fmt, ap);
    va_end(ap);
    longjmp(shim_panic, 1);
}

_Noreturn void panic_refuse(const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(shim_text, sizeof shim_text, fmt, ap);
    va_end(ap);
    longjmp(shim_panic, 1);
}

// The statement must panic with a text that contains `part`. `lock` is what it leaves held.
#define PANICS(lock, part, statement)                                        \
    do {                                                                     \
        if (!setjmp(shim_panic)) {                                           \
            statement;                                                       \
            fail_msg("no panic: " #statement);                               \
        }                                                                    \
        (lock).held = 0;                                                     \
        if (!strstr(shim_text, part)) fail_msg("panic says: %s", shim_text); \
    } while (0)
#endif
