// lz.c — compression of the LZ77 family, bytes out in LZ4's block form (token, literals, 16-bit offset, lengths in 255s), a hash
// table of last places, then decompression and comparison. 128 KiB of words, n times.
//
// Group: embedded
// Size: n = 30
#include "bench/kernels/kernel.h"

#define BYTES 131072u
#define HASH_BITS 13
#define LEAST 4u // shortest match
static uint8_t plain[BYTES], packed[BYTES + BYTES / 128 + 64], back[BYTES];
static uint32_t last[1u << HASH_BITS];

static uint32_t load32(const uint8_t *p) {
    uint32_t v;
    __builtin_memcpy(&v, p, 4);
    return v;
}
static uint8_t *put_length(uint8_t *out, uint32_t n) { // what is beyond the token's 15
    for (; n >= 255; n -= 255) *out++ = 255;
    *out++ = (uint8_t)n;
    return out;
}
static uint8_t *put_run(uint8_t *out, const uint8_t *from, uint32_t literals, uint32_t match) {
    uint32_t high = literals < 15 ? literals : 15, low = match < 15 ? match : 15;
    *out++ = (uint8_t)(high << 4 | low);
    if (high == 15) out = put_length(out, literals - 15);
    for (uint32_t i = 0; i < literals; i++) *out++ = from[i];
    return out;
}

static uint32_t compress(void) {
    uint8_t *out = packed;
    uint32_t at = 0, anchor = 0;
    for (uint32_t i = 0; i < 1u << HASH_BITS; i++) last[i] = UINT32_MAX;
    while (at + LEAST + 8 < BYTES) {
        uint32_t slot = load32(plain + at) * 2654435761u >> (32 - HASH_BITS), from = last[slot];
        last[slot] = at;
        if (from == UINT32_MAX || at - from > 65535 || load32(plain + from) != load32(plain + at)) {
            at++;
            continue;
        }
        uint32_t n = LEAST;
        while (at + n < BYTES - 5 && plain[from + n] == plain[at + n]) n++;
        out = put_run(out, plain + anchor, at - anchor, n - LEAST);
        *out++ = (uint8_t)(at - from);
        *out++ = (uint8_t)((at - from) >> 8);
        if (n - LEAST >= 15) out = put_length(out, n - LEAST - 15);
        at += n;
        anchor = at;
    }
    return (uint32_t)(put_run(out, plain + anchor, BYTES - anchor, 0) - packed);
}

static const uint8_t *get_length(const uint8_t *in, uint32_t *n) {
    uint8_t c;
    do *n += c = *in++;
    while (c == 255);
    return in;
}
static uint32_t decompress(uint32_t size) {
    const uint8_t *in = packed, *end = packed + size;
    uint8_t *out = back;
    for (;;) {
        uint32_t token = *in++, literals = token >> 4, match = token & 15;
        if (literals == 15) in = get_length(in, &literals);
        for (uint32_t i = 0; i < literals; i++) *out++ = *in++;
        if (in >= end) return (uint32_t)(out - back);
        const uint8_t *from = out - (in[0] | in[1] << 8);
        in += 2;
        if (match == 15) in = get_length(in, &match);
        for (match += LEAST; match; match--) *out++ = *from++;
    }
}

uint64_t kernel(uint32_t n) {
    static uint8_t word[256][8];
    uint32_t seed = 103;
    uint64_t sum = 0;
    for (int i = 0; i < 256; i++)
        for (int k = 0; k < 8; k++) word[i][k] = (uint8_t)('a' + next_random(&seed) % 26);
    for (uint32_t i = 0; i < BYTES;) {
        uint32_t r = next_random(&seed), size = 2 + (r >> 20) % 7;
        const uint8_t *w = word[(r & 255) * (r >> 8 & 255) >> 8]; // small numbers more often
        for (uint32_t k = 0; k < size && i < BYTES; k++) plain[i++] = w[k];
        if (i < BYTES) plain[i++] = ' ';
    }
    for (uint32_t t = 0; t < n; t++) {
        uint32_t size = compress();
        if (decompress(size) != BYTES) return 0;
        for (uint32_t i = 0; i < BYTES; i++)
            if (back[i] != plain[i]) return 0;
        sum = mix(sum, size);
        plain[t * 997 % BYTES] ^= 1;
    }
    for (uint32_t i = 0; i < 4096; i++) sum = mix(sum, packed[i]);
    return sum;
}
