// crc32.c — CRC-32 (IEEE 802.3, reflected) of 64 KiB, n times: byte by byte with one table, then four tables at a time.
//
// Group: embedded
// Size: n = 250
#include "bench/kernels/kernel.h"

#define BYTES 65536
static uint32_t table[4][256];
static uint8_t data[BYTES];

static uint32_t by_byte(uint32_t crc, const uint8_t *p, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) crc = crc >> 8 ^ table[0][(crc ^ p[i]) & 255];
    return crc;
}
static uint32_t by_word(uint32_t crc, const uint8_t *p, uint32_t n) {
    for (uint32_t i = 0; i < n; i += 4) {
        uint32_t v;
        __builtin_memcpy(&v, p + i, 4);
        v ^= crc;
        crc = table[3][v & 255] ^ table[2][v >> 8 & 255] ^ table[1][v >> 16 & 255] ^ table[0][v >> 24];
    }
    return crc;
}

uint64_t kernel(uint32_t n) {
    uint32_t seed = 47, crc = ~0u;
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t v = i;
        for (int k = 0; k < 8; k++) v = v & 1 ? v >> 1 ^ 0xedb88320u : v >> 1;
        table[0][i] = v;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (int k = 1; k < 4; k++)
            table[k][i] = table[k - 1][i] >> 8 ^ table[0][table[k - 1][i] & 255];
    for (uint32_t i = 0; i < BYTES; i++) data[i] = (uint8_t)next_random(&seed);
    uint64_t sum = 0;
    for (uint32_t t = 0; t < n; t++) {
        crc = by_byte(crc, data, BYTES / 2);
        crc = by_word(crc, data + BYTES / 2, BYTES / 2);
        sum = mix(sum, crc);
    }
    return sum;
}
