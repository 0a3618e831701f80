// arena.c — see arena.h. Chunks are at least 256 KiB, so that a small function costs no call of the host.
#include "sfi-jit/arena.h"
#include "sfi-jit/lib.h"

#define CHUNK_MIN ((size_t)256 << 10)

struct jit_chunk {
    struct jit_chunk *older;
    size_t bytes;      // with this header
    uint8_t *used_end; // once there is a newer one
    _Alignas(16) uint8_t data[];
};

void jit_arena_init(struct jit_arena *a, const struct jit_host *host, size_t limit) {
    *a = (struct jit_arena){.host = host, .limit = limit};
}

_Noreturn void jit_fail(struct jit_arena *a, enum jit_status status, uint32_t offset, uint32_t func,
                        const char *message) {
    a->error = (struct jit_error){status, offset, func, message};
    a->host->fail(a->host->ctx);
    __builtin_trap(); // a host whose fail() returns is broken
}

static void give_back(struct jit_arena *a, struct jit_chunk *c) {
    if (c && a->host->release) a->host->release(a->host->ctx, c, c->bytes);
}

static void new_chunk(struct jit_arena *a, size_t bytes) {
    size_t size = sizeof(struct jit_chunk) + bytes;
    if (size < CHUNK_MIN) size = CHUNK_MIN;
    if (a->limit && a->used + size > a->limit)
        jit_fail(a, JIT_ERR_LIMIT, 0, UINT32_MAX, "compilation needs more memory than its limit");
    struct jit_chunk *c = a->spare;
    if (!c || c->bytes < size) {
        a->spare = NULL;
        give_back(a, c);
        c = a->host->alloc(a->host->ctx, size);
        if (!c) jit_fail(a, JIT_ERR_MEMORY, 0, UINT32_MAX, "out of memory");
        c->bytes = size;
    } else {
        a->spare = NULL;
        size = c->bytes;
    }
    if (a->chunk) a->chunk->used_end = a->next;
    c->older = a->chunk;
    a->chunk = c;
    a->next = c->data;
    a->end = (uint8_t *)c + size;
    a->used += size;
}

void *jit_alloc(struct jit_arena *a, size_t bytes) {
    if (bytes > SIZE_MAX / 4)
        jit_fail(a, JIT_ERR_LIMIT, 0, UINT32_MAX, "compilation needs more memory than its limit");
    bytes = (bytes + 15) & ~(size_t)15;
    if ((size_t)(a->end - a->next) < bytes || !a->next) new_chunk(a, bytes);
    void *p = a->next;
    a->next += bytes;
    return p;
}

struct jit_mark jit_mark(struct jit_arena *a) {
    return (struct jit_mark){a->chunk, a->next, a->end, a->used};
}

void jit_release(struct jit_arena *a, struct jit_mark mark) {
    // Zero what will be handed out again: jit_alloc() promises zeroed memory. The largest of the chunks beyond the mark is kept,
    // as fresh memory costs a fault a page; the others go back to the host, or, where it takes none, stay unused until the end.
    uint8_t *used_end = a->next;
    while (a->chunk != mark.chunk) {
        struct jit_chunk *c = a->chunk, *spare = a->spare;
        a->chunk = c->older;
        if (!spare || spare->bytes < c->bytes) {
            memset(c->data, 0, (size_t)(used_end - c->data));
            a->spare = c;
            c = spare;
        }
        give_back(a, c);
        if (a->chunk) used_end = a->chunk->used_end;
    }
    if (mark.next) {
        memset(mark.next, 0, (size_t)(used_end - mark.next));
    } else { // nothing is in use
        give_back(a, a->spare);
        a->spare = NULL;
    }
    a->next = mark.next;
    a->end = mark.end;
    a->used = mark.used;
}

void *jit_grow_further(struct jit_arena *a, void *old, uint32_t *cap, uint32_t want, size_t size) {
    uint32_t n = *cap < 8 ? 8 : *cap;
    while (n < want) n = n < UINT32_MAX / 2 ? n * 2 : want;
    void *p = jit_alloc(a, (size_t)n * size);
    if (*cap) memcpy(p, old, *cap * size);
    *cap = n;
    return p;
}
