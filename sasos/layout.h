// layout.h — the one address space, as a picture; the only place where its numbers stand.
//
//  0xFFFF_FFFF_E000_0000  arena, RX           512 MiB  verified code; every direct call to a kernel stub is a rel32
//  0xFFFF_FFFF_8000_0000  kernel image          1 GiB  text RX, rodata R, data RW
//  0xFFFF_C000_0000_0000  MMIO                  1 TiB  device registers of the kernel's own (ECAM, APIC, HPET, VT-d), UC
//  0xFFFF_B000_0000_0000  arena, RW alias     512 MiB  mapped only while a module is being written; never together with RX
//  0xFFFF_A000_0000_0000  stacks                1 TiB  a cell of 4 MiB and 5 pages each: guard below and above
//  0xFFFF_9000_0000_0000  heap                  1 TiB  kernel objects, page granular
//  0xFFFF_8000_0000_0000  direct map           16 TiB  all RAM except the arena's frames, RW NX
//  ---------------------  non-canonical hole
//  0x0000_2000_0000_0000  sandbox slots        64 TiB  4096 slots of 16 GiB (sfi-jit/sfi.h: struct of a slot)
//  0x0000_0000_0000_0000  nothing: null pointers fault
//
// Nothing is executable but kernel text and sealed arena pages; nothing executable is writable through any mapping
// (the arena's frames are taken out of the direct map at boot).
#ifndef SASOS_LAYOUT_H
#define SASOS_LAYOUT_H
#include "sfi-jit/sfi.h"

#define SLOTS_BASE 0x0000200000000000ull
#define SLOTS_MAX 4096ull
#define DIRECT_MAP_BASE 0xffff800000000000ull
#define DIRECT_MAP_SIZE (16ull << 40)
#define HEAP_BASE 0xffff900000000000ull
#define HEAP_SIZE (1ull << 40)
#define STACKS_BASE 0xffffa00000000000ull
#define STACKS_SIZE (1ull << 40)
// [guard 1 MiB+ | stack | guard ≥ 1 MiB]: a frame (≤ SFI_FRAME_MAX) cannot step over a guard. The odd pages are there because the tops of stacks
// that are in use by turns would else fall into one set of every TLB that is indexed by low bits of the page number.
#define STACK_CELL ((4ull << 20) + 5 * 4096)
#define ARENA_RW_BASE 0xffffb00000000000ull
#define MMIO_BASE 0xffffc00000000000ull
#define MMIO_SIZE (1ull << 40)
#define KERNEL_BASE 0xffffffff80000000ull
#define KERNEL_MAX (1ull << 30)
#define ARENA_BASE 0xffffffffe0000000ull
#define ARENA_SIZE (511ull << 20)

_Static_assert(SLOTS_BASE % SFI_SLOT_SIZE == 0, "a slot is found by a shift");
_Static_assert(SLOTS_BASE + SLOTS_MAX * SFI_SLOT_SIZE <= 0x0000800000000000ull,
               "slots lie in the low canonical half");
_Static_assert(DIRECT_MAP_BASE + DIRECT_MAP_SIZE <= HEAP_BASE, "tiles");
_Static_assert(HEAP_BASE + HEAP_SIZE <= STACKS_BASE, "tiles");
_Static_assert(STACKS_BASE + STACKS_SIZE <= ARENA_RW_BASE, "tiles");
_Static_assert(ARENA_RW_BASE + ARENA_SIZE <= MMIO_BASE, "tiles");
_Static_assert(MMIO_BASE + MMIO_SIZE <= KERNEL_BASE, "tiles");
_Static_assert(KERNEL_BASE + KERNEL_MAX <= ARENA_BASE, "tiles");
_Static_assert(ARENA_BASE + ARENA_SIZE - 1 - KERNEL_BASE < 1ull << 31,
               "every arena-to-kernel call is a rel32");
_Static_assert(STACK_CELL / 4096 % 2, "tops of stacks spread over all sets of a TLB");
_Static_assert(STACK_CELL >= 3 * (1ull << 20) && SFI_FRAME_MAX <= 1u << 19,
               "guards outsize any untouched step");
#endif
