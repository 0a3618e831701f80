// sha256.c — SHA-256 of 64 KiB, n times, with the source that the digest application ships.
//
// Group: embedded
// Size: n = 120
#include "apps/digest/sha256.c"
#include "bench/kernels/kernel.h"

#define BYTES 65536

uint64_t kernel(uint32_t n) {
    static uint8_t data[BYTES];
    uint32_t seed = 97;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < BYTES; i++) data[i] = (uint8_t)next_random(&seed);
    for (uint32_t t = 0; t < n; t++) {
        struct sha256 s;
        uint8_t digest[32];
        sha256_init(&s);
        sha256_add(&s, data, BYTES);
        sha256_finish(&s, digest);
        for (int i = 0; i < 32; i++) {
            data[i] ^= digest[i];
            sum = mix(sum, digest[i]);
        }
    }
    return sum;
}
