// dct.c — what a JPEG encoder does to a picture: the 8 × 8 cosine transform in fixed point, quantisation by division, zigzag order and the
// lengths of zero runs, n pictures of 256 × 256.
//
// Group: embedded
// Size: n = 120
#include "bench/kernels/kernel.h"

#define SIDE 256
static uint8_t picture[SIDE][SIDE];
static uint8_t zigzag[64];
static int32_t quantum[64];

// Loeffler's flow graph, constants × 2^13.
static void dct8(int32_t *v, int stride) {
    int32_t s07 = v[0] + v[7 * stride], d07 = v[0] - v[7 * stride], s16 = v[stride] + v[6 * stride],
            d16 = v[stride] - v[6 * stride];
    int32_t s25 = v[2 * stride] + v[5 * stride], d25 = v[2 * stride] - v[5 * stride],
            s34 = v[3 * stride] + v[4 * stride], d34 = v[3 * stride] - v[4 * stride];
    int32_t a = s07 + s34, b = s16 + s25, c = s16 - s25, d = s07 - s34;
    v[0] = a + b;
    v[4 * stride] = a - b;
    v[2 * stride] = (d * 10703 + c * 4433) >> 13;
    v[6 * stride] = (d * 4433 - c * 10703) >> 13;
    int32_t e = (d34 * 9633 + d07 * 6437) >> 13, f = (d07 * 9633 - d34 * 6437) >> 13;
    int32_t g = (d25 * 11363 + d16 * 2260) >> 13, h = (d16 * 11363 - d25 * 2260) >> 13;
    v[stride] = f + g + h;
    v[3 * stride] = f - h;
    v[5 * stride] = e - g;
    v[7 * stride] = e - f + h;
}

static uint64_t block(uint32_t top, uint32_t left, uint64_t sum) {
    int32_t v[64];
    uint32_t run = 0;
    for (int i = 0; i < 64; i++)
        v[i] = picture[top + (uint32_t)i / 8][left + (uint32_t)i % 8] - 128;
    for (int i = 0; i < 8; i++) dct8(v + 8 * i, 1);
    for (int i = 0; i < 8; i++) dct8(v + i, 8);
    for (int i = 0; i < 64; i++) {
        int32_t q = v[zigzag[i]] / quantum[zigzag[i]];
        if (!q) {
            run++;
            continue;
        }
        sum = mix(sum, (uint64_t)run << 32 | (uint32_t)q);
        run = 0;
    }
    return sum;
}

uint64_t kernel(uint32_t n) {
    uint32_t seed = 151;
    uint64_t sum = 0;
    for (int d = 0, at = 0; d < 15; d++) // along the diagonals, in turns up and down
        for (int k = 0; k <= d; k++) {
            int row = d & 1 ? k : d - k, column = d - row;
            if (row < 8 && column < 8) zigzag[at++] = (uint8_t)(8 * row + column);
        }
    for (int i = 0; i < 64; i++) quantum[i] = 8 * (16 + 3 * (i / 8 + i % 8));
    for (uint32_t i = 0; i < SIDE; i++)
        for (uint32_t j = 0; j < SIDE; j++)
            picture[i][j] = (uint8_t)((i * j >> 6) + (next_random(&seed) & 31));
    for (uint32_t t = 0; t < n; t++)
        for (uint32_t i = 0; i < SIDE; i += 8)
            for (uint32_t j = 0; j < SIDE; j += 8) sum = block(i, j, sum);
    return sum;
}
