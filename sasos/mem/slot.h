// slot.h — sandbox slots: 16 GiB of address space each, whose only mappings are what the domain owns (sfi-jit/sfi.h).
//
// A slot is named by its index; its window base is r15 of the code that runs in it. Offsets are from the window base:
// [0, 4 GiB) is the window, negative ones down to −SFI_TABLE_ENTRIES(0) are context and tables. Anything else is guard and is
// refused. Nothing in a slot is ever executable. One owner at a time: calls for one slot are not made concurrently.
#ifndef SASOS_MEM_SLOT_H
#define SASOS_MEM_SLOT_H
#include "sasos/layout.h"
#include "sasos/status.h"
#include <stdbool.h>
#include <stdint.h>

#define SLOT_NONE (-1)

int slot_alloc(void); // SLOT_NONE when all 4096 live
// Unmaps everything (owned frames are freed), gives the page tables back. No CPU may be inside any more.
void slot_free(int slot);

static inline uint64_t slot_window(int slot) {
    return SLOTS_BASE + (uint64_t)slot * SFI_SLOT_SIZE + SFI_WINDOW_OFFSET;
}
// The slot that contains an address (window, context or guard), SLOT_NONE if outside of all.
int slot_of(uint64_t address);

// flags of pt.h: PT_W, PT_UC, PT_WC, PT_OWNED, PT_4K. PT_X is refused.
enum status slot_map(int slot, int64_t offset, uint64_t pa, uint64_t len, unsigned flags);
enum status slot_map_new(int slot, int64_t offset, uint64_t len, unsigned flags); // zeroed, owned
void slot_unmap(int slot, int64_t offset, uint64_t len);
uint64_t slot_frames(int slot); // frames mapped and owned: what counts against the quota

// Panics if anything is mapped in a guard, or anything executable anywhere in the slot. The loader calls it before the first entry.
void slot_check(int slot);
#endif
