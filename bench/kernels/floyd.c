// floyd.c — Floyd and Warshall's shortest paths between all pairs of a dense graph, 32-bit integer weights.
//
// Group: numeric
// Size: n = 330
#include "bench/kernels/kernel.h"

#define MOST 512
static int32_t path[MOST][MOST];

uint64_t kernel(uint32_t n) {
    uint32_t seed = 23;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = 0; j < n; j++)
            path[i][j] = i == j ? 0 : (int32_t)(next_random(&seed) % 9973) + 1;
    for (uint32_t k = 0; k < n; k++)
        for (uint32_t i = 0; i < n; i++)
            for (uint32_t j = 0; j < n; j++) {
                int32_t around = path[i][k] + path[k][j];
                if (around < path[i][j]) path[i][j] = around;
            }
    uint64_t sum = 0;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = 0; j < n; j++) sum = mix(sum, (uint32_t)path[i][j]);
    return sum;
}
