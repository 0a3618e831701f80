// stack.c — stacks in cells (stack.h). A stack ends 1 MiB below its cell's end and is at most 2 MiB, so at least 1 MiB stays
// unmapped on either side, whatever the neighbours are.
#include "sasos/mem/stack.h"
#include "sasos/arch/lock.h"
#include "sasos/layout.h"
#include "sasos/lib/mem.h"
#include "sasos/mem/frame.h"
#include "sasos/mem/pt.h"

#define CELLS 4096u
#define TOP_OFFSET (STACK_CELL - SFI_STACK_GUARD)
_Static_assert(STACK_MAX + 2ull * SFI_STACK_GUARD <= STACK_CELL, "guards on both sides");
_Static_assert(CELLS *STACK_CELL <= STACKS_SIZE, "cells fit");

static struct spinlock lock;
static uint32_t sizes[CELLS]; // bytes, 0: free

uint64_t stack_alloc(uint32_t size) {
    size = (uint32_t)ALIGN_UP(size, FRAME_SIZE);
    KASSERT(size && size <= STACK_MAX);
    uint64_t irq = spin_lock(&lock);
    uint32_t cell = 0;
    while (cell < CELLS && __atomic_load_n(&sizes[cell], __ATOMIC_ACQUIRE)) cell++;
    if (cell < CELLS) sizes[cell] = size;
    spin_unlock(&lock, irq);
    if (cell == CELLS) return 0;
    uint64_t top = STACKS_BASE + cell * STACK_CELL + TOP_OFFSET;
    if (pt_map_new(top - size, size, PT_W) == ST_OK) return top;
    __atomic_store_n(&sizes[cell], 0, __ATOMIC_RELEASE);
    return 0;
}

void stack_free(uint64_t top) {
    uint64_t cell = (top - STACKS_BASE) / STACK_CELL;
    KASSERT(cell < CELLS && top == STACKS_BASE + cell * STACK_CELL + TOP_OFFSET && sizes[cell]);
    pt_unmap(top - sizes[cell], sizes[cell]);
    // Release: whoever finds the cell free finds it unmapped. (The finder has the lock; the giver need not.)
    __atomic_store_n(&sizes[cell], 0, __ATOMIC_RELEASE);
}

bool stack_is_guard(uint64_t address) {
    if (address - STACKS_BASE >= STACKS_SIZE) return false;
    uint64_t cell = (address - STACKS_BASE) / STACK_CELL, offset = (address - STACKS_BASE) % STACK_CELL;
    uint64_t size = cell < CELLS ? sizes[cell] : 0;
    return offset < TOP_OFFSET - size || offset >= TOP_OFFSET;
}
