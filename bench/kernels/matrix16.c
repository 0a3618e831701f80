// matrix16.c — small matrices of 16-bit integers with 32-bit results: by a constant, by a vector, by a matrix, with bit fields
// extracted, and a sum with thresholds.
//
// Group: embedded
// Size: n = 160
#include "bench/kernels/kernel.h"

#define SIDE 64
static int16_t a[SIDE][SIDE], b[SIDE][SIDE];
static int32_t c[SIDE][SIDE];

static void by_constant(int16_t k) {
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) c[i][j] = a[i][j] * k;
}
static void by_vector(void) {
    for (int i = 0; i < SIDE; i++) {
        c[i][0] = 0;
        for (int j = 0; j < SIDE; j++) c[i][0] += a[i][j] * b[0][j];
    }
}
static void by_matrix(void) {
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            int32_t s = 0;
            for (int k = 0; k < SIDE; k++) s += a[i][k] * b[k][j];
            c[i][j] = s;
        }
}
static void by_matrix_bits(void) {
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            int32_t s = 0;
            for (int k = 0; k < SIDE; k++) {
                int32_t p = a[i][k] * b[k][j];
                s += (p >> 2 & 15) * (p >> 5 & 127);
            }
            c[i][j] = s;
        }
}
static uint32_t digest(int32_t limit) {
    uint32_t total = 0;
    int32_t run = 0, before = 0;
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            int32_t now = c[i][j];
            run = (int32_t)((uint32_t)run + (uint32_t)now);
            if (run > limit) {
                total += 10;
                run = 0;
            } else {
                total += now > before;
            }
            before = now;
        }
    return total;
}

uint64_t kernel(uint32_t n) {
    uint32_t seed = 89;
    uint64_t sum = 0;
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            a[i][j] = (int16_t)(next_random(&seed) % 512 - 256);
            b[i][j] = (int16_t)(next_random(&seed) % 512 - 256);
        }
    for (uint32_t t = 0; t < n; t++) {
        by_constant((int16_t)t);
        sum = mix(sum, digest(20000));
        by_vector();
        sum = mix(sum, digest(20000));
        by_matrix();
        sum = mix(sum, digest(20000));
        by_matrix_bits();
        sum = mix(sum, digest(20000));
        a[t % SIDE][t * 7 % SIDE]++;
    }
    return sum;
}
