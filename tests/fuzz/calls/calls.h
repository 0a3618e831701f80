// calls.h — the real kernel calls in a Linux process, over a kernel that keeps books (kernel.c), for the campaign "calls".
//
// Three domains: A, a driver with a PCI function and a channel to B; B, a library with ports and lines; C, a bystander that has a channel to
// B. sasos/run's calls, channels and device.c, and sasos/dev/pci.c are the kernel's own sources. Beneath them every frame has an owner, every
// mapping is recorded, and any request may be refused.
//
// Oracles. O7: what ldr_memory_at() gives is an alias nobody can read or write; copying functions know better, and see that no byte of a
// module's memory is read twice in one call. O8: what is mapped, for whom, and that a life leaves nothing.
#ifndef TESTS_FUZZ_CALLS_H
#define TESTS_FUZZ_CALLS_H
#include "sasos/run/domain.h"

enum { CALLS_A, CALLS_B, CALLS_C, CALLS_DOMAINS };
#define CALLS_CHANNEL 8192u
#define CALLS_DMA (64u << 10)

struct calls_state { // what must be as before when no life is left
    uint64_t frames, mappings, fences, tables, lines, vectors;
};
extern struct dom calls_dom[CALLS_DOMAINS];
extern struct config_module calls_config[CALLS_DOMAINS];
extern unsigned calls_fail_at; // the n-th request of the kernel from now on is refused; 0: none

void calls_setup(void); // the domains' configuration, the machine
// Loaded domains: their channels, as the kernel attaches them.
void calls_connect(void);
void calls_grants(void); // others, at random
void calls_begin(void);  // a kernel call begins: nothing has been read
struct calls_state calls_state(void);
void calls_check(void); // configuration space, at the end of a call; the fences
#endif
