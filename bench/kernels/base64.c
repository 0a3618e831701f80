// base64.c — Base64 (RFC 4648) of 48 KiB and back, with a check of each character, n times.
//
// Group: embedded
// Size: n = 320
#include "bench/kernels/kernel.h"

#define BYTES 49152
static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static uint8_t plain[BYTES], back[BYTES], value[256];
static char text[BYTES / 3 * 4];

static void encode(void) {
    char *out = text;
    for (uint32_t i = 0; i < BYTES; i += 3) {
        uint32_t v = (uint32_t)plain[i] << 16 | (uint32_t)plain[i + 1] << 8 | plain[i + 2];
        *out++ = alphabet[v >> 18];
        *out++ = alphabet[v >> 12 & 63];
        *out++ = alphabet[v >> 6 & 63];
        *out++ = alphabet[v & 63];
    }
}
static int decode(void) {
    uint8_t *out = back;
    for (uint32_t i = 0; i < sizeof text; i += 4) {
        uint32_t v = 0;
        for (uint32_t k = 0; k < 4; k++) {
            uint8_t six = value[(uint8_t)text[i + k]];
            if (six == 255) return 0;
            v = v << 6 | six;
        }
        *out++ = (uint8_t)(v >> 16);
        *out++ = (uint8_t)(v >> 8);
        *out++ = (uint8_t)v;
    }
    return 1;
}

uint64_t kernel(uint32_t n) {
    uint32_t seed = 59;
    uint64_t sum = 0;
    for (int i = 0; i < 256; i++) value[i] = 255;
    for (int i = 0; i < 64; i++) value[(uint8_t)alphabet[i]] = (uint8_t)i;
    for (uint32_t i = 0; i < BYTES; i++) plain[i] = (uint8_t)(next_random(&seed) >> 8);
    for (uint32_t t = 0; t < n; t++) {
        plain[t % BYTES]++;
        encode();
        if (!decode()) return 0;
        sum = mix(sum, back[t % BYTES] + (uint32_t)text[t]);
    }
    for (uint32_t i = 0; i < BYTES; i++) sum = mix(sum, back[i]);
    return sum;
}
