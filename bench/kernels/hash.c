// hash.c — a hash table with open addressing: n words of varying length are interned, counted and looked up (FNV-1a, comparison of bytes).
//
// Group: text
// Size: n = 500000
#include "bench/kernels/kernel.h"

#define SLOTS 16384u
#define POOL 262144u
struct slot {
    uint32_t hash, at, length, count;
};
static struct slot slot[SLOTS];
static uint8_t pool[POOL];

static struct slot *intern(const uint8_t *word, uint32_t n, uint32_t *used) {
    uint32_t h = 2166136261u;
    for (uint32_t i = 0; i < n; i++) h = (h ^ word[i]) * 16777619u;
    for (uint32_t k = h;; k++) {
        struct slot *s = &slot[k % SLOTS];
        if (!s->length) {
            *s = (struct slot){h, *used, n, 0};
            for (uint32_t i = 0; i < n; i++) pool[(*used)++] = word[i];
            return s;
        }
        if (s->hash != h || s->length != n) continue;
        uint32_t i = 0;
        while (i < n && pool[s->at + i] == word[i]) i++;
        if (i == n) return s;
    }
}

uint64_t kernel(uint32_t n) {
    uint32_t seed = 149, used = 0;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < SLOTS; i++) slot[i] = (struct slot){0, 0, 0, 0};
    for (uint32_t t = 0; t < n; t++) {
        uint8_t word[16];
        uint32_t r = next_random(&seed), which = (r & 8191) * (r >> 13 & 8191) >> 13,
                 length = 3 + which % 13;
        for (uint32_t i = 0; i < length; i++) {
            word[i] = (uint8_t)('a' + (which + i) % 26);
            which = which * 5 + (which >> 3);
        }
        sum += ++intern(word, length, &used)->count;
    }
    for (uint32_t i = 0; i < SLOTS; i++) sum = mix(sum, slot[i].hash ^ slot[i].count);
    return mix(sum, used);
}
