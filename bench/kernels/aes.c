// aes.c — AES-128 (FIPS 197) encryption in counter mode with the usual four tables of words, made from the field arithmetic; n × 256 blocks.
//
// Group: embedded
// Size: n = 2000
#include "bench/kernels/kernel.h"

#define ROUNDS 10
#define BLOCKS 256
static uint8_t sbox[256];
static uint32_t t0[256], t1[256], t2[256], t3[256], key[4 * (ROUNDS + 1)];

static uint32_t ror(uint32_t x, int n) { return x >> n | x << (32 - n); }
static uint8_t rol8(uint8_t x, int n) { return (uint8_t)(x << n | x >> (8 - n)); }
static uint8_t twice(uint8_t x) { return (uint8_t)(x << 1 ^ (x & 0x80 ? 0x1b : 0)); }

static void make_tables(void) {
    uint8_t p = 1, q = 1; // p runs through the field by 3, q by its inverse
    do {
        p ^= twice(p);
        q ^= (uint8_t)(q << 1);
        q ^= (uint8_t)(q << 2);
        q ^= (uint8_t)(q << 4);
        if (q & 0x80) q ^= 0x09;
        sbox[p] = q ^ rol8(q, 1) ^ rol8(q, 2) ^ rol8(q, 3) ^ rol8(q, 4) ^ 0x63;
    } while (p != 1);
    sbox[0] = 0x63;
    for (int i = 0; i < 256; i++) {
        uint32_t s = sbox[i], d = twice(sbox[i]);
        t0[i] = d << 24 | s << 16 | s << 8 | (s ^ d);
        t1[i] = ror(t0[i], 8);
        t2[i] = ror(t0[i], 16);
        t3[i] = ror(t0[i], 24);
    }
}

static uint32_t substitute(uint32_t w) {
    return (uint32_t)sbox[w >> 24] << 24 | (uint32_t)sbox[w >> 16 & 255] << 16 |
           (uint32_t)sbox[w >> 8 & 255] << 8 | sbox[w & 255];
}
static void expand_key(uint32_t seed) {
    uint8_t rcon = 1;
    for (int i = 0; i < 4; i++) key[i] = next_random(&seed);
    for (int i = 4; i < 4 * (ROUNDS + 1); i++) {
        uint32_t w = key[i - 1];
        if (i % 4 == 0) {
            w = substitute(ror(w, 24)) ^ (uint32_t)rcon << 24;
            rcon = twice(rcon);
        }
        key[i] = key[i - 4] ^ w;
    }
}

static void encrypt(const uint32_t in[4], uint32_t out[4]) {
    const uint32_t *k = key;
    uint32_t a = in[0] ^ k[0], b = in[1] ^ k[1], c = in[2] ^ k[2], d = in[3] ^ k[3];
    for (int r = 1; r < ROUNDS; r++) {
        k += 4;
        uint32_t e = t0[a >> 24] ^ t1[b >> 16 & 255] ^ t2[c >> 8 & 255] ^ t3[d & 255] ^ k[0];
        uint32_t f = t0[b >> 24] ^ t1[c >> 16 & 255] ^ t2[d >> 8 & 255] ^ t3[a & 255] ^ k[1];
        uint32_t g = t0[c >> 24] ^ t1[d >> 16 & 255] ^ t2[a >> 8 & 255] ^ t3[b & 255] ^ k[2];
        d = t0[d >> 24] ^ t1[a >> 16 & 255] ^ t2[b >> 8 & 255] ^ t3[c & 255] ^ k[3];
        a = e, b = f, c = g;
    }
    k += 4;
    const uint32_t s[7] = {a, b, c, d, a, b, c};
    for (int i = 0; i < 4; i++)
        out[i] = k[i] ^ ((uint32_t)sbox[s[i] >> 24] << 24 | (uint32_t)sbox[s[i + 1] >> 16 & 255] << 16 |
                         (uint32_t)sbox[s[i + 2] >> 8 & 255] << 8 | sbox[s[i + 3] & 255]);
}

uint64_t kernel(uint32_t n) {
    uint64_t sum = 0;
    make_tables();
    expand_key(53);
    for (uint32_t t = 0; t < n; t++)
        for (uint32_t i = 0; i < BLOCKS; i++) {
            uint32_t counter[4] = {0x01234567, 0x89abcdef, t, i}, out[4];
            encrypt(counter, out);
            sum = mix(sum, (uint64_t)(out[0] ^ out[2]) << 32 | (out[1] ^ out[3]));
        }
    return sum;
}
