// ring.c — a driver's request path without its device: a split virtqueue (virtio 1.1, 2.6) with descriptor chains, a free list,
// avail and used rings, and a device side that completes out of order and touches each buffer.
//
// Group: drivers
// Size: n = 28000
#include "bench/kernels/kernel.h"

#define QUEUE 128u
#define NEXT 1u
#define WRITE 2u
struct desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags, next;
};
struct used {
    uint32_t id, len;
};
static volatile struct desc desc[QUEUE];
static volatile uint16_t avail_idx, avail_ring[QUEUE], used_idx;
static volatile struct used used_ring[QUEUE];
static uint16_t free_head, free_count, avail_seen, used_seen;
static uint32_t buffer[QUEUE][16], header[QUEUE][4];
static uint8_t status[QUEUE];

static void reset(void) {
    for (uint32_t i = 0; i < QUEUE; i++) desc[i].next = (uint16_t)(i + 1);
    free_head = 0;
    free_count = QUEUE;
    avail_idx = used_idx = avail_seen = used_seen = 0;
}
static uint16_t take_desc(uint64_t addr, uint32_t len, uint16_t flags) {
    uint16_t d = free_head;
    free_head = desc[d].next;
    free_count--;
    desc[d].addr = addr;
    desc[d].len = len;
    desc[d].flags = flags;
    return d;
}
static int submit(uint32_t sector, int write) {
    if (free_count < 3) return 0;
    uint16_t h = take_desc(0, 16, NEXT);
    header[h][0] = (uint32_t)write;
    header[h][2] = sector;
    uint16_t b = take_desc(h, 64, (uint16_t)(NEXT | (write ? 0 : WRITE)));
    uint16_t s = take_desc(h, 1, WRITE);
    desc[h].next = b;
    desc[b].next = s;
    avail_ring[avail_idx % QUEUE] = h;
    __atomic_thread_fence(__ATOMIC_RELEASE);
    avail_idx = (uint16_t)(avail_idx + 1);
    return 1;
}
static void device(uint32_t *seed) {
    uint16_t pending[QUEUE];
    uint32_t n = 0;
    while (avail_seen != avail_idx) pending[n++] = avail_ring[avail_seen++ % QUEUE];
    while (n) {
        uint32_t pick = next_random(seed) % n;
        uint16_t h = pending[pick], d = h;
        uint32_t written = 0;
        pending[pick] = pending[--n];
        for (;; d = desc[d].next) {
            if (desc[d].flags & WRITE) written += desc[d].len;
            if (!(desc[d].flags & NEXT)) break;
        }
        if (!header[h][0])
            for (uint32_t i = 0; i < 16; i++) buffer[h][i] = header[h][2] * 2654435761u + i;
        status[h] = 0;
        used_ring[used_idx % QUEUE].id = h;
        used_ring[used_idx % QUEUE].len = written;
        used_idx = (uint16_t)(used_idx + 1);
    }
}
static uint64_t reap(uint64_t sum) {
    while (used_seen != used_idx) {
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        uint32_t h = used_ring[used_seen % QUEUE].id, len = used_ring[used_seen++ % QUEUE].len;
        if (h >= QUEUE || status[h]) return 0;
        for (uint32_t i = 0; i < 16; i += 4) sum = mix(sum, buffer[h][i] + len);
        uint16_t d = (uint16_t)h;
        uint32_t chain = 1;
        for (; desc[d].flags & NEXT; d = desc[d].next) chain++;
        desc[d].next = free_head;
        free_head = (uint16_t)h;
        free_count = (uint16_t)(free_count + chain);
    }
    return sum;
}

uint64_t kernel(uint32_t n) {
    uint32_t seed = 113;
    uint64_t sum = 0;
    reset();
    for (uint32_t i = 0; i < QUEUE; i++)
        for (uint32_t k = 0; k < 16; k++) buffer[i][k] = i * k;
    for (uint32_t t = 0; t < n; t++) {
        while (submit(next_random(&seed), t & 1)) {
        }
        device(&seed);
        sum = reap(sum);
    }
    return sum;
}
