// checksum.c — the internet checksum (RFC 1071) of packets of 40 to 1500 bytes, by 16-bit words and by 64-bit words with end-around carry.
//
// Group: drivers
// Size: n = 2000
#include "bench/kernels/kernel.h"

#define BYTES 65536
static uint8_t data[BYTES];

static uint16_t fold(uint64_t s) {
    while (s >> 16) s = (s & 0xffff) + (s >> 16);
    return (uint16_t)~s;
}
static uint16_t by_16(const uint8_t *p, uint32_t n) {
    uint32_t s = 0;
    for (; n > 1; n -= 2, p += 2) {
        uint16_t v;
        __builtin_memcpy(&v, p, 2);
        s += v;
    }
    return fold(n ? s + *p : s);
}
static uint16_t by_64(const uint8_t *p, uint32_t n) {
    uint64_t s = 0;
    for (; n >= 8; n -= 8, p += 8) {
        uint64_t v;
        __builtin_memcpy(&v, p, 8);
        s += v;
        s += s < v;
    }
    s = (s & 0xffffffff) + (s >> 32);
    for (; n > 1; n -= 2, p += 2) s += p[0] | p[1] << 8;
    return fold(n ? s + *p : s);
}

uint64_t kernel(uint32_t n) {
    uint32_t seed = 107;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < BYTES; i++) data[i] = (uint8_t)next_random(&seed);
    for (uint32_t t = 0; t < n; t++)
        for (uint32_t at = 0, size; at + 1500 <= BYTES; at += size) {
            size = (40 + next_random(&seed) % 1460) & ~1u;
            uint16_t a = by_16(data + at, size), b = by_64(data + at, size);
            if (a != b) return 0;
            sum = mix(sum, a);
        }
    return sum;
}
