// vm.h — where things are in the machine that vm.c makes and guest.c runs in: physical addresses; all of them are also at GUEST_BASE + address.
#ifndef BENCH_RINGS_VM_H
#define BENCH_RINGS_VM_H
#include "bench/rings/rings.h"

#define GUEST_BASE 0xffffffff80000000ull
#define GUEST_MEMORY (16ull << 20)
#define GUEST_ROOT 0x1000ull // page tables: three pages
#define GUEST_GDT 0x4000ull
#define GUEST_TSS 0x5000ull
#define GUEST_IDT 0x6000ull    // empty: whatever goes wrong ends the machine
#define GUEST_STACK 0x20000ull // its top
#define GUEST_NUMBERS 0x40000ull
#define GUEST_IMAGE 0x100000ull // the file, a flat one
#define GUEST_PAGES 0x400000ull // for page()

#define VM_ROUNDS_MAX 101
struct vm_numbers {
    uint32_t rounds, times; // in: of how many calls each
    uint32_t done;
    uint64_t cycles[RINGS_KINDS][VM_ROUNDS_MAX];
};
#endif
