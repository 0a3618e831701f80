// slot.c — sandbox slots (slot.h). All placement is by offset from the window base and checked here, once.
#include "sasos/mem/slot.h"
#include "sasos/arch/lock.h"
#include "sasos/lib/mem.h"
#include "sasos/lib/panic.h"
#include "sasos/mem/frame.h"
#include "sasos/mem/pt.h"

#define BELOW_MAX \
    ((int64_t)SFI_TABLE_ENTRIES(0)) // context and tables reach this far below the window
#define SLOT_FLAGS (PT_R | PT_W | PT_UC | PT_WC | PT_OWNED | PT_4K)

static struct spinlock lock;
static uint64_t live[SLOTS_MAX / 64];
static uint32_t next; // where the search starts: a freed slot rests before its addresses come back

static uint64_t slot_start(int slot) { return SLOTS_BASE + (uint64_t)slot * SFI_SLOT_SIZE; }
static bool is_live(int slot) {
    return slot >= 0 && slot < (int)SLOTS_MAX && live[slot / 64] >> (slot % 64) & 1;
}

int slot_alloc(void) {
    int found = SLOT_NONE;
    uint64_t irq = spin_lock(&lock);
    for (uint32_t i = 0; i < SLOTS_MAX && found < 0; i++) {
        uint32_t s = (next + i) % SLOTS_MAX;
        if (live[s / 64] >> (s % 64) & 1) continue;
        live[s / 64] |= 1ull << (s % 64);
        next = s + 1;
        found = (int)s;
    }
    spin_unlock(&lock, irq);
    return found;
}

void slot_free(int slot) {
    KASSERT(is_live(slot));
    pt_unmap(slot_start(slot), SFI_SLOT_SIZE);
    pt_free_slot_tables(slot_start(slot));
    uint64_t irq = spin_lock(&lock);
    live[slot / 64] &= ~(1ull << (slot % 64));
    spin_unlock(&lock, irq);
}

int slot_of(uint64_t address) {
    uint64_t slot = (address - SLOTS_BASE) >> SFI_SLOT_SHIFT;
    return address >= SLOTS_BASE && slot < SLOTS_MAX ? (int)slot : SLOT_NONE;
}

// True if [offset, offset + len) lies in the window, or in the context and table area below it, and not across its base.
static bool placed(int64_t offset, uint64_t len) {
    if (!len || len > SFI_WINDOW_SIZE || offset < -BELOW_MAX || offset >= (int64_t)SFI_WINDOW_SIZE)
        return false;
    return offset + (int64_t)len <= (offset < 0 ? 0 : (int64_t)SFI_WINDOW_SIZE);
}

enum status slot_map(int slot, int64_t offset, uint64_t pa, uint64_t len, unsigned flags) {
    KASSERT(is_live(slot));
    if (!placed(offset, len)) return ST_INVALID;
    if (flags & ~(unsigned)SLOT_FLAGS) return ST_DENIED;
    return pt_map(slot_window(slot) + (uint64_t)offset, pa, len, flags);
}

enum status slot_map_new(int slot, int64_t offset, uint64_t len, unsigned flags) {
    KASSERT(is_live(slot));
    if (!placed(offset, len)) return ST_INVALID;
    if (flags & ~(unsigned)SLOT_FLAGS) return ST_DENIED;
    return pt_map_new(slot_window(slot) + (uint64_t)offset, len, flags);
}

void slot_unmap(int slot, int64_t offset, uint64_t len) {
    KASSERT(is_live(slot) && placed(offset, len));
    pt_unmap(slot_window(slot) + (uint64_t)offset, len);
}

static void count_owned(void *arg, uint64_t va, uint64_t pa, uint64_t size, unsigned flags) {
    (void)va, (void)pa;
    if (flags & PT_OWNED) *(uint64_t *)arg += size / FRAME_SIZE;
}

uint64_t slot_frames(int slot) {
    KASSERT(is_live(slot));
    uint64_t frames = 0;
    pt_walk(slot_start(slot), SFI_SLOT_SIZE, count_owned, &frames);
    return frames;
}

static void check_one(void *arg, uint64_t va, uint64_t pa, uint64_t size, unsigned flags) {
    (void)pa;
    uint64_t window = *(uint64_t *)arg;
    if (va < window - (uint64_t)BELOW_MAX || va + size > window + SFI_WINDOW_SIZE)
        panic("a guard of the slot with window %llx is mapped at %llx", (unsigned long long)window,
              (unsigned long long)va);
    if (flags & PT_X) panic("slot memory at %llx is executable", (unsigned long long)va);
}

void slot_check(int slot) {
    KASSERT(is_live(slot));
    uint64_t window = slot_window(slot);
    pt_walk(slot_start(slot), SFI_SLOT_SIZE, check_one, &window);
}
