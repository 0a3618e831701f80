// arena.c — the code arena of arena.h: one state a page, first fit.
#include "sasos/mem/arena.h"
#include "sasos/arch/lock.h"
#include "sasos/lib/mem.h"
#include "sasos/lib/panic.h"
#include "sasos/mem/frame.h"
#include "sasos/mem/pt.h"

#define ARENA_LIMIT (64ull << 20)
#define ARENA_LEAST (4ull << 20)
#define PAGES_MAX (ARENA_LIMIT / FRAME_SIZE)
_Static_assert(ARENA_LIMIT <= ARENA_SIZE, "fits its range");

enum state { FREE, WRITABLE, SEALED };

static struct spinlock lock;
static uint64_t base_pa, page_count;
static uint8_t states[PAGES_MAX];

void arena_reserve(uint64_t *out_pa, uint64_t *out_size) {
    uint64_t size =
        ALIGN_DOWN(MIN(ARENA_LIMIT, MAX(ARENA_LEAST, frame_total() * FRAME_SIZE / 64)), FRAME_2M);
    while (size && !(base_pa = frame_alloc_run(size / FRAME_SIZE, FRAME_2M / FRAME_SIZE, 0)))
        size = ALIGN_DOWN(size / 2, FRAME_2M);
    if (!size) panic_refuse("no contiguous 2 MiB of memory are free for the code arena");
    page_count = size / FRAME_SIZE;
    *out_pa = base_pa;
    *out_size = size;
}

static void set_states(uint64_t first, uint64_t pages, enum state from, enum state to) {
    for (uint64_t i = first; i < first + pages; i++) {
        KASSERT(states[i] == from);
        states[i] = to;
    }
}

static bool find_free(uint64_t pages, uint64_t *out_first) {
    uint64_t run = 0;
    for (uint64_t i = 0; i < page_count; i++) {
        run = states[i] == FREE ? run + 1 : 0;
        if (run < pages) continue;
        *out_first = i + 1 - pages;
        return true;
    }
    return false;
}

enum status arena_alloc(uint64_t size, struct arena_code *out) {
    *out = (struct arena_code){0};
    uint64_t pages = (size + FRAME_SIZE - 1) / FRAME_SIZE, first;
    if (!pages || size > ARENA_LIMIT) return size ? ST_NO_SPACE : ST_INVALID;
    uint64_t irq = spin_lock(&lock);
    bool found = find_free(pages, &first);
    if (found) set_states(first, pages, FREE, WRITABLE);
    spin_unlock(&lock, irq);
    if (!found) return ST_NO_SPACE;
    enum status st = pt_map(ARENA_RW_BASE + first * FRAME_SIZE, base_pa + first * FRAME_SIZE,
                            pages * FRAME_SIZE, PT_W | PT_4K);
    if (st != ST_OK) {
        irq = spin_lock(&lock);
        set_states(first, pages, WRITABLE, FREE);
        spin_unlock(&lock, irq);
        return st;
    }
    *out = (struct arena_code){(uint32_t)(first * FRAME_SIZE), (uint32_t)pages,
                               (uint8_t *)(ARENA_RW_BASE + first * FRAME_SIZE)};
    // Here and not on free: it covers the arena's first use as well, and a free piece is mapped nowhere in between.
    memset(out->rw, 0xcc, pages * FRAME_SIZE);
    return ST_OK;
}

enum status arena_seal(struct arena_code *code) {
    KASSERT(code->pages && code->rw);
    uint64_t first = code->offset / FRAME_SIZE, bytes = code->pages * FRAME_SIZE;
    // The alias goes first: at no time is a page writable and executable, not even at two addresses.
    pt_unmap(ARENA_RW_BASE + code->offset, bytes);
    enum status st = pt_map(ARENA_BASE + code->offset, base_pa + code->offset, bytes, PT_X);
    if (st != ST_OK) {
        // The tables of the alias are still there: this cannot fail.
        enum status back =
            pt_map(ARENA_RW_BASE + code->offset, base_pa + code->offset, bytes, PT_W | PT_4K);
        KASSERT(back == ST_OK);
        return st;
    }
    uint64_t irq = spin_lock(&lock);
    set_states(first, code->pages, WRITABLE, SEALED);
    spin_unlock(&lock, irq);
    code->rw = NULL;
    return ST_OK;
}

void arena_free(struct arena_code *code) {
    if (!code->pages) return;
    uint64_t bytes = code->pages * FRAME_SIZE;
    pt_unmap((code->rw ? ARENA_RW_BASE : ARENA_BASE) + code->offset, bytes);
    uint64_t irq = spin_lock(&lock);
    set_states(code->offset / FRAME_SIZE, code->pages, code->rw ? WRITABLE : SEALED, FREE);
    spin_unlock(&lock, irq);
    *code = (struct arena_code){0};
}

bool arena_contains(uint64_t rip) { return rip - ARENA_BASE < page_count * FRAME_SIZE; }
