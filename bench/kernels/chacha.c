// chacha.c — the ChaCha20 stream cipher (RFC 8439, 2.3) over n × 4 KiB: additions, rotations, sixteen live words.
//
// Group: embedded
// Size: n = 3600
#include "bench/kernels/kernel.h"

static uint32_t rol(uint32_t x, int n) { return x << n | x >> (32 - n); }

#define QUARTER(a, b, c, d)                                                                     \
    (a += b, d = rol(d ^ a, 16), c += d, b = rol(b ^ c, 12), a += b, d = rol(d ^ a, 8), c += d, \
     b = rol(b ^ c, 7))

static void block(const uint32_t in[16], uint32_t out[16]) {
    uint32_t x[16];
    for (int i = 0; i < 16; i++) x[i] = in[i];
    for (int round = 0; round < 10; round++) {
        QUARTER(x[0], x[4], x[8], x[12]);
        QUARTER(x[1], x[5], x[9], x[13]);
        QUARTER(x[2], x[6], x[10], x[14]);
        QUARTER(x[3], x[7], x[11], x[15]);
        QUARTER(x[0], x[5], x[10], x[15]);
        QUARTER(x[1], x[6], x[11], x[12]);
        QUARTER(x[2], x[7], x[8], x[13]);
        QUARTER(x[3], x[4], x[9], x[14]);
    }
    for (int i = 0; i < 16; i++) out[i] = x[i] + in[i];
}

uint64_t kernel(uint32_t n) {
    static uint32_t data[1024];
    uint32_t seed = 101, in[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574}, stream[16];
    uint64_t sum = 0;
    for (int i = 4; i < 16; i++) in[i] = next_random(&seed);
    for (int i = 0; i < 1024; i++) data[i] = next_random(&seed);
    for (uint32_t t = 0; t < n; t++)
        for (int at = 0; at < 1024; at += 16) {
            block(in, stream);
            for (int i = 0; i < 16; i++) data[at + i] ^= stream[i];
            in[12]++;
        }
    for (int i = 0; i < 1024; i++) sum = mix(sum, data[i]);
    return sum;
}
