// covariance.c — covariance matrix of n variables over n observations: means, centring, and products along columns,
// whose stride defeats vectors and rewards good addressing.
//
// Group: numeric
// Size: n = 330
#include "bench/kernels/kernel.h"

#define MOST 400
static double data[MOST][MOST], mean[MOST], cov[MOST][MOST];

uint64_t kernel(uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = 0; j < n; j++) data[i][j] = (double)(i * j % 89) / 89 + j;
    for (uint32_t j = 0; j < n; j++) {
        mean[j] = 0;
        for (uint32_t i = 0; i < n; i++) mean[j] += data[i][j];
        mean[j] /= n;
    }
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = 0; j < n; j++) data[i][j] -= mean[j];
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = i; j < n; j++) {
            double s = 0;
            for (uint32_t k = 0; k < n; k++) s += data[k][i] * data[k][j];
            cov[i][j] = cov[j][i] = s / (n - 1);
        }
    uint64_t sum = 0;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = 0; j < n; j++) sum = mix_double(sum, cov[i][j]);
    return sum;
}
