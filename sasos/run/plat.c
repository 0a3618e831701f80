// plat.c — loader/platform.h on the kernel's own memory: code in the arena, slots, stacks, heap, waiting.
#include "loader/platform.h"
#include "sasos/lib/panic.h"
#include "sasos/mem/arena.h"
#include "sasos/mem/heap.h"
#include "sasos/mem/pt.h"
#include "sasos/mem/slot.h"
#include "sasos/mem/stack.h"
#include "sasos/run/domain.h"

static enum ldr_status from_status(enum status s) {
    switch (s) {
    case ST_OK: return LDR_OK;
    case ST_NO_MEMORY: return LDR_NO_MEMORY;
    case ST_NO_SPACE: return LDR_NO_SPACE;
    default: panic("loader: impossible request, %s", status_text(s));
    }
}

static struct arena_code block_code(const struct ldr_block *b) {
    return (struct arena_code){
        .offset = (uint32_t)(b->rx - ARENA_BASE), .pages = (uint32_t)b->host, .rw = b->rw};
}

enum ldr_status ldr_plat_code_alloc(uint32_t size, struct ldr_block *out) {
    struct arena_code code;
    enum status s = arena_alloc(size, &code);
    if (s == ST_OK)
        *out = (struct ldr_block){
            .rw = code.rw, .rx = arena_address(&code), .size = size, .host = code.pages};
    return from_status(s);
}

enum ldr_status ldr_plat_code_seal(struct ldr_block *b) {
    struct arena_code code = block_code(b);
    enum status s = arena_seal(&code);
    b->rw = code.rw;
    return from_status(s);
}

void ldr_plat_code_free(struct ldr_block *b) {
    struct arena_code code = block_code(b);
    arena_free(&code);
}

enum ldr_status ldr_plat_slot_alloc(uint64_t *out_window) {
    int slot = slot_alloc();
    if (slot == SLOT_NONE) return LDR_NO_SPACE;
    *out_window = slot_window(slot);
    return LDR_OK;
}

void ldr_plat_slot_free(uint64_t window) { slot_free(slot_of(window)); }

enum ldr_status ldr_plat_map(uint64_t window, int64_t offset, uint64_t size, unsigned flags) {
    (void)flags; // all are writable, and any page could be shared (share.c)
    return from_status(slot_map_new(slot_of(window), offset, size, PT_W));
}

void ldr_plat_unmap(uint64_t window, int64_t offset, uint64_t size) {
    slot_unmap(slot_of(window), offset, size);
}

enum ldr_status ldr_plat_stack_alloc(uint32_t size, uint64_t *out_top) {
    *out_top = stack_alloc(size);
    return *out_top ? LDR_OK : LDR_NO_MEMORY;
}

void ldr_plat_stack_free(uint64_t top, uint32_t size) {
    (void)size;
    stack_free(top);
}

void *ldr_plat_alloc(size_t size) { return kzalloc(size); }

void ldr_plat_free(void *p, size_t size) {
    (void)size;
    kfree(p);
}

void ldr_plat_wait(struct ldr_instance *inst) {
    thr_wait(&((struct dom *)ldr_user(inst))->monitor, THR_FOREVER);
}

void ldr_plat_wake(struct ldr_instance *inst) {
    thr_wake(&((struct dom *)ldr_user(inst))->monitor, 1);
}

// Domains share no memory: nobody could notify.
uint32_t ldr_plat_wait_at(const struct ldr_memory *memory, uint64_t offset, const void *p,
                          unsigned bytes, uint64_t expected, int64_t timeout) {
    (void)memory, (void)offset, (void)timeout;
    uint64_t now = bytes == 4 ? __atomic_load_n((const uint32_t *)p, __ATOMIC_SEQ_CST)
                              : __atomic_load_n((const uint64_t *)p, __ATOMIC_SEQ_CST);
    return now == expected ? 2 : 1;
}

uint32_t ldr_plat_notify(const struct ldr_memory *memory, uint64_t offset, uint32_t count) {
    (void)memory, (void)offset, (void)count;
    return 0;
}

// Its home thread may be waiting while a client's thread was inside.
void ldr_plat_died(struct ldr_instance *inst) { dom_died(ldr_user(inst)); }

void ldr_plat_sync(void) { smp_sync(); }

_Noreturn void ldr_plat_panic(const char *file, int line, const char *what) {
    panic_at(file, line, "%s", what);
}
