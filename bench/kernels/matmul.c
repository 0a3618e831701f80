// matmul.c — product of two matrices of doubles, plain three loops in the order i, k, j, whose inner loop runs along rows.
//
// Group: numeric
// Size: n = 460
#include "bench/kernels/kernel.h"

#define MOST 512
static double a[MOST][MOST], b[MOST][MOST], c[MOST][MOST];

uint64_t kernel(uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = 0; j < n; j++) {
            a[i][j] = (double)((i * j + 1) % n) / n;
            b[i][j] = (double)((i * (j + 1) + 2) % n) / n;
            c[i][j] = 0;
        }
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < n; k++)
            for (uint32_t j = 0; j < n; j++) c[i][j] += a[i][k] * b[k][j];
    uint64_t sum = 0;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = 0; j < n; j++) sum = mix_double(sum, c[i][j]);
    return sum;
}
