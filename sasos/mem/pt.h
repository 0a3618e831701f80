// pt.h — the one set of page tables, made at boot, W^X by construction.
//
// pt_map() is the only way to make an entry. It refuses writable + executable in one mapping, refuses executable outside the
// kernel's text and the arena's RX range, and refuses an executable mapping in the low half altogether; two mappings of one
// frame of which one is executable and one writable are prevented where frames come from (the arena and the kernel image are
// not in the direct map). The null page and everything else below SLOTS_BASE is never mapped.
//
// 2 MiB entries are used where va, pa and length allow. Tables stay when their entries go, except a slot's (slot.h). Changes
// take effect on every CPU before the call returns. Any context but an interrupt handler; pt_lookup any.
#ifndef SASOS_MEM_PT_H
#define SASOS_MEM_PT_H
#include "sasos/layout.h"
#include "sasos/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bootinfo;

enum pt_flags {
    PT_R = 1 << 0, // always implied
    PT_W = 1 << 1,
    PT_X = 1 << 2,
    PT_UC = 1 << 3,    // device registers
    PT_WC = 1 << 4,    // framebuffers
    PT_OWNED = 1 << 5, // the frames belong to the mapping: freed when it goes
    PT_4K = 1 << 6,    // no large entries: parts will be changed or unmapped singly
};

// Builds the kernel's tables (image by segment, direct map of all RAM and ACPI tables but the arena's and the kernel's
// frames), and switches to them. No identity map is left.
void pt_init(const struct bootinfo *info, uint64_t arena_pa, uint64_t arena_size);

// All page aligned. EXISTS if a page of the range is mapped already. On failure nothing is mapped.
enum status pt_map(uint64_t va, uint64_t pa, uint64_t len, unsigned flags);
// Fresh zeroed frames, owned by the mapping. Contiguity is not promised unless the range takes 2 MiB entries.
enum status pt_map_new(uint64_t va, uint64_t len, unsigned flags);
// Pages that are not mapped are skipped. Frees owned frames, after the TLB entries are gone. The range must not cut a
// 2 MiB entry (panic).
void pt_unmap(uint64_t va, uint64_t len);
// Physical address and flags of one address; false if unmapped.
bool pt_lookup(uint64_t va, uint64_t *out_pa, unsigned *out_flags);

// RAM through the direct map. Only for frames that are in it (not the arena's, not the kernel image's).
static inline void *pt_direct(uint64_t pa) { return (void *)(DIRECT_MAP_BASE + pa); }
static inline uint64_t pt_direct_pa(const void *p) { return (uint64_t)p - DIRECT_MAP_BASE; }
// True if the whole physical range can be read through the direct map (RAM and ACPI tables).
bool pt_in_direct(uint64_t pa, uint64_t size);

// Device registers (or firmware tables outside of RAM) for the kernel itself, at a fresh address in the MMIO range; pa need
// not be page aligned. NULL when memory is out. flags: PT_W, PT_UC, PT_WC. Refuses RAM that the frame allocator manages.
void *pt_map_mmio(uint64_t pa, uint64_t len, unsigned flags);
void pt_unmap_mmio(void *va, uint64_t len);

// For slot.c: gives back the tables below the 16 GiB at va (everything in it must be unmapped), and walks its entries.
void pt_free_slot_tables(uint64_t va);
// Calls fn for each mapped run of [va, va + len); for self-checks and counting.
typedef void pt_walk_fn(void *arg, uint64_t va, uint64_t pa, uint64_t size, unsigned flags);
void pt_walk(uint64_t va, uint64_t len, pt_walk_fn *fn, void *arg);
#endif
