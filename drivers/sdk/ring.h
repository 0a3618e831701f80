// ring.h — single-producer single-consumer ring of fixed-size entries in memory shared by two domains that do not trust each other.
//
// Indices run freely (mod 2³²); entry = index & (size − 1). Each side writes only its own index and keeps a private copy of it; the
// peer's index is *input*: it is read once, checked (distance ≤ size) and then used. A peer that breaks the rule is found out, and the
// ring is dead: nothing of it is used again. x86 keeps store → store and load → load order, so a compiler barrier is enough.
// Lines: head and tail lie on cache lines of their own.
#ifndef SASOS_RING_H
#define SASOS_RING_H
#include "drivers/sdk/sasos.h"

struct ring_shared {
    volatile uint32_t head; // entries produced; written by the producer
    uint8_t pad0[60];
    volatile uint32_t tail; // entries consumed; written by the consumer
    uint8_t pad1[60];
};
_Static_assert(sizeof(struct ring_shared) == 128, "shared layout");

struct ring { // one side's private view
    struct ring_shared *shared;
    uint32_t mine; // our index, authoritative
    uint32_t size; // power of two
    bool broken;   // the peer's index was impossible
};

static inline void ring_init(struct ring *r, struct ring_shared *shared, uint32_t size) {
    *r = (struct ring){.shared = shared, .size = size};
}

// Producer: how many entries may be written; 0 also when broken.
static inline uint32_t ring_space(struct ring *r) {
    uint32_t used = r->mine - r->shared->tail;
    barrier_compiler();
    if (used > r->size) r->broken = true;
    return r->broken ? 0 : r->size - used;
}

// Consumer: how many entries may be read; 0 also when broken.
static inline uint32_t ring_pending(struct ring *r) {
    uint32_t ready = r->shared->head - r->mine;
    barrier_compiler();
    if (ready > r->size) r->broken = true;
    return r->broken ? 0 : ready;
}

static inline uint32_t ring_slot(const struct ring *r) { return r->mine & (r->size - 1); }

// Many at once: `mine` has been moved beyond what was written, or read; now the peer hears of it.
static inline void ring_publish(struct ring *r) {
    barrier_compiler(); // the entries before the index
    r->shared->head = r->mine;
}
static inline void ring_release(struct ring *r) {
    barrier_compiler(); // our copies of the entries before their places are given back
    r->shared->tail = r->mine;
}

static inline void ring_produced(struct ring *r) {
    r->mine++;
    ring_publish(r);
}
static inline void ring_consumed(struct ring *r) {
    r->mine++;
    ring_release(r);
}
#endif
