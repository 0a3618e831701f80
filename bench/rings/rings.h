// rings.h — what the usual way to call another program costs: a switch of privilege rings and of page tables, and nothing else.
//
// This is the floor of a microkernel's call, with no check, no scheduling and no message: what a crossing between two modules has to be
// compared with. It runs in ring 0 of a 64-bit machine with nothing to hide from: in the bench kernel (bench/guest/rings.c, under whatever QEMU
// is), or as all there is in a small virtual machine of its own (bench/rings/vm.c), whose times are true where KVM lets the processor run it.
// rings_begin() makes two address spaces, copies of the present one with a page for ring 3 each, and puts its own descriptor tables and
// syscall registers in place; between it and rings_end() interrupts are off and nothing else may run on this CPU.
// Intel SDM 3A: 5.8.7 and 5.8.8 (SYSCALL, SYSRET), 6.12 (gates), 4.10 (PCID).
#ifndef BENCH_RINGS_RINGS_H
#define BENCH_RINGS_RINGS_H
#include <stdbool.h>
#include <stdint.h>

#define RINGS(X)                                                                  \
    X(PLAIN, "plain", "a call in ring 0")                                         \
    X(SYSCALL, "syscall", "ring 3 to ring 0 and back: syscall, sysret")           \
    X(INT, "int", "ring 3 to ring 0 and back: int, iretq")                        \
    X(CR3, "cr3", "one switch of page tables, in ring 0")                         \
    X(CR3_PCID, "cr3-pcid", "one switch of page tables, PCID, nothing forgotten") \
    X(CALL, "call", "a call of another process and back: 2 syscalls, 2 switches") \
    X(CALL_PCID, "call-pcid", "a call of another process and back, PCID, nothing forgotten")

enum rings_kind {
#define X(name, text, what) RINGS_##name,
    RINGS(X)
#undef X
        RINGS_KINDS
};
extern const char *const rings_name[RINGS_KINDS];

// A zeroed page that every address space of this machine has, and its physical address. It is never NULL.
typedef void *rings_page_fn(uint64_t *out_physical);

// `root`: the page that CR3 names. Code and stack segment selectors of ring 0 follow each other in the GDT, as SYSCALL has it.
void rings_begin(rings_page_fn *page, const uint64_t *root);
bool rings_has(enum rings_kind kind); // false: this processor has no PCID
// Does it n times, n > 0 and even; the time-stamp counter's difference. The counter is read by rings_clock(), once before and once after.
uint64_t rings_measure(enum rings_kind kind, uint32_t n);
uint64_t rings_clock(void);
void rings_end(void);
#endif
