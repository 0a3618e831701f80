// memory.c — lwIP's heap: blocks of 64 bytes · 2ⁿ from free lists, one a size; constant time, never given back to another size.
//
// What is allocated here are packets that we hold ourselves (headers, small data, copies made when receive buffers were scarce) and datagram
// records. The memory grows with the module's up to what the manifest asks; then allocations fail, which lwIP and our callers expect.
#include "apps/lwip/stack.h"
#include <string.h>

#define SIZES 11u // 64 … 65536
#define SPAN 65536u
#define MAGIC 0x5a5a0000u

struct block {      // in front of what the caller sees; `next` only while free
    uint32_t magic; // MAGIC | size number, or its complement while free
    uint32_t pad;
    struct block *next;
};
#define HEAD 8u

static struct {
    struct block *free[SIZES];
    uintptr_t at, end; // of the span that is being cut up
    uint32_t used;
} heap;

uint32_t memory_used(void) { return heap.used; }

// A new block, cut from the module's memory. What is left of a span when a bigger block is needed goes to the free lists.
static struct block *cut(uint32_t size_number) {
    uint32_t size = 64u << size_number;
    while (heap.end - heap.at < size) {
        for (uint32_t k = SIZES; k-- > 0;) {
            if (heap.end - heap.at < 64u << k) continue;
            struct block *b = (struct block *)heap.at;
            heap.at += 64u << k;
            b->magic = ~(MAGIC | k);
            b->next = heap.free[k];
            heap.free[k] = b;
            k++; // the same size may fit again
        }
        size_t page = __builtin_wasm_memory_grow(0, SPAN >> 16);
        if (page == (size_t)-1) return NULL;
        heap.at = page << 16;
        heap.end = heap.at + SPAN;
    }
    struct block *b = (struct block *)heap.at;
    heap.at += size;
    return b;
}

void *port_malloc(size_t n) {
    uint32_t k = 0;
    if (n > (64u << (SIZES - 1)) - HEAD) return NULL;
    while ((64u << k) - HEAD < n) k++;
    struct block *b = heap.free[k];
    if (b)
        heap.free[k] = b->next;
    else if (!(b = cut(k)))
        return NULL;
    b->magic = MAGIC | k;
    heap.used += 64u << k;
    return (uint8_t *)b + HEAD;
}

void *port_calloc(size_t count, size_t n) {
    if (n && count > UINT32_MAX / n) return NULL;
    void *p = port_malloc(count * n);
    if (p) memset(p, 0, count * n);
    return p;
}

void port_free(void *p) {
    struct block *b = (struct block *)((uint8_t *)p - HEAD);
    uint32_t k = b->magic & 0xffff;
    if ((b->magic & 0xffff0000u) != MAGIC || k >= SIZES)
        port_assert("a block of the heap is freed twice or damaged", 0);
    b->magic = ~b->magic;
    b->next = heap.free[k];
    heap.free[k] = b;
    heap.used -= 64u << k;
}
