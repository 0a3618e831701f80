// list.c — linked lists as embedded benchmarks use them: find by key, reverse, merge sort by two criteria, unlink and relink.
//
// Group: embedded
// Size: n = 400
#include "bench/kernels/kernel.h"

#define ITEMS 2000
struct item {
    struct item *next;
    int16_t key, index;
};
static struct item pool[ITEMS];

static int by_key(const struct item *a, const struct item *b) { return a->key - b->key; }
static int by_index(const struct item *a, const struct item *b) { return a->index - b->index; }

static struct item *reverse(struct item *list) {
    struct item *done = NULL;
    while (list) {
        struct item *next = list->next;
        list->next = done;
        done = list;
        list = next;
    }
    return done;
}
// Bottom-up merge sort: lists of 1, 2, 4 … items are merged in place.
static struct item *sort(struct item *list, int (*compare)(const struct item *, const struct item *)) {
    for (uint32_t run = 1;; run *= 2) {
        struct item *p = list, *tail = NULL;
        uint32_t merges = 0;
        list = NULL;
        while (p) {
            struct item *q = p;
            uint32_t left = 0, right = run;
            merges++;
            for (; left < run && q; left++) q = q->next;
            while (left || (right && q)) {
                struct item *e;
                if (left && (!right || !q || compare(p, q) <= 0)) {
                    e = p;
                    p = p->next;
                    left--;
                } else {
                    e = q;
                    q = q->next;
                    right--;
                }
                if (tail)
                    tail->next = e;
                else
                    list = e;
                tail = e;
            }
            p = q;
        }
        if (tail) tail->next = NULL;
        if (merges <= 1) return list;
    }
}
static const struct item *find(const struct item *list, int16_t key) {
    while (list && list->key != key) list = list->next;
    return list;
}

uint64_t kernel(uint32_t n) {
    uint32_t seed = 79;
    uint64_t sum = 0;
    for (int i = 0; i < ITEMS; i++)
        pool[i] = (struct item){i + 1 < ITEMS ? &pool[i + 1] : NULL,
                                (int16_t)(next_random(&seed) % 1000), (int16_t)i};
    struct item *list = pool;
    for (uint32_t t = 0; t < n; t++) {
        for (int k = 0; k < 8; k++) {
            const struct item *p = find(list, (int16_t)(next_random(&seed) % 1100));
            sum = mix(sum, p ? (uint16_t)p->index : 0xffff);
        }
        list = reverse(list);
        if (t % 4 == 0) list = sort(list, by_key);
        if (t % 4 == 2) list = sort(list, by_index);
        struct item *out = list->next; // unlink the second, put it first
        list->next = out->next;
        out->next = list;
        list = out;
    }
    for (; list; list = list->next) sum = mix(sum, (uint16_t)list->key);
    return sum;
}
