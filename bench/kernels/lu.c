// lu.c — LU decomposition without pivoting of a diagonally dominant matrix, then one forward and back substitution.
//
// Group: numeric
// Size: n = 512
#include "bench/kernels/kernel.h"

#define MOST 512
static double a[MOST][MOST], x[MOST], y[MOST];

uint64_t kernel(uint32_t n) {
    uint32_t seed = 17;
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t j = 0; j < n; j++) a[i][j] = (double)(next_random(&seed) % 1000) / 1000;
        a[i][i] += n;
    }
    for (uint32_t k = 0; k < n; k++)
        for (uint32_t i = k + 1; i < n; i++) {
            double factor = a[i][k] /= a[k][k];
            for (uint32_t j = k + 1; j < n; j++) a[i][j] -= factor * a[k][j];
        }
    for (uint32_t i = 0; i < n; i++) {
        double w = i + 1;
        for (uint32_t j = 0; j < i; j++) w -= a[i][j] * y[j];
        y[i] = w;
    }
    for (uint32_t i = n; i-- > 0;) {
        double w = y[i];
        for (uint32_t j = i + 1; j < n; j++) w -= a[i][j] * x[j];
        x[i] = w / a[i][i];
    }
    uint64_t sum = 0;
    for (uint32_t i = 0; i < n; i++) sum = mix_double(mix_double(sum, x[i]), a[i][n - 1 - i]);
    return sum;
}
