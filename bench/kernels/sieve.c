// sieve.c — primes below n by the sieve of Eratosthenes, once with bytes and once with bits.
//
// Group: integer
// Size: n = 4000000
#include "bench/kernels/kernel.h"

// clang leaves these loops alone for x86-64; for wasm32 with vectors clang 14 would make scatters of them, out of single lanes, that take
// three to four times as long under every engine.
#define NO_VECTORS _Pragma("clang loop vectorize(disable)")

#define MOST 4000000u
static uint8_t composite[MOST];
static uint32_t odd_composite[MOST / 64 + 1];

uint64_t kernel(uint32_t n) {
    uint32_t bytes = 0, bits = n > 2;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < n; i++) composite[i] = 0;
    for (uint32_t i = 2; i < n; i++) {
        if (composite[i]) continue;
        bytes++;
        sum = mix(sum, i);
        NO_VECTORS
        for (uint64_t k = (uint64_t)i * i; k < n; k += i) composite[k] = 1;
    }
    for (uint32_t i = 0; i <= n / 64; i++) odd_composite[i] = 0;
    for (uint32_t i = 3; i < n; i += 2) {
        if (odd_composite[i / 64] >> (i / 2 % 32) & 1) continue;
        bits++;
        if (i >= 65536) continue;
        NO_VECTORS
        for (uint32_t k = i * i; k < n; k += 2 * i) odd_composite[k / 64] |= 1u << (k / 2 % 32);
    }
    return bytes == bits ? mix(sum, bytes) : 0;
}
