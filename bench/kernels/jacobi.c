// jacobi.c — Jacobi's relaxation on a square: five-point stencil, two grids, n sweeps.
//
// Group: numeric
// Size: n = 300
#include "bench/kernels/kernel.h"

#define SIDE 400
static double grid[2][SIDE][SIDE];

uint64_t kernel(uint32_t n) {
    for (uint32_t i = 0; i < SIDE; i++)
        for (uint32_t j = 0; j < SIDE; j++)
            grid[0][i][j] = grid[1][i][j] = (double)(i * (j + 2) + 10) / SIDE;
    for (uint32_t t = 0; t < n; t++) {
        double(*from)[SIDE] = grid[t & 1], (*to)[SIDE] = grid[(t + 1) & 1];
        for (uint32_t i = 1; i < SIDE - 1; i++)
            for (uint32_t j = 1; j < SIDE - 1; j++)
                to[i][j] = 0.2 * (from[i][j] + from[i][j - 1] + from[i][j + 1] + from[i + 1][j] +
                                  from[i - 1][j]);
    }
    uint64_t sum = 0;
    for (uint32_t i = 0; i < SIDE; i++) sum = mix_double(sum, grid[n & 1][i][i]);
    return sum;
}
