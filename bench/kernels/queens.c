// queens.c — all ways to put n queens on an n × n board: recursion over bit masks, and again with arrays of flags up to size 9.
//
// Group: integer
// Size: n = 13
#include "bench/kernels/kernel.h"

static uint8_t column_taken[32], rising_taken[64], falling_taken[64];

static uint32_t by_bits(uint32_t all, uint32_t columns, uint32_t left, uint32_t right) {
    if (columns == all) return 1;
    uint32_t found = 0;
    for (uint32_t open = all & ~(columns | left | right); open;) {
        uint32_t bit = open & -open;
        open ^= bit;
        found += by_bits(all, columns | bit, (left | bit) << 1, (right | bit) >> 1);
    }
    return found;
}
static uint32_t by_flags(uint32_t n, uint32_t row) {
    if (row == n) return 1;
    uint32_t found = 0;
    for (uint32_t c = 0; c < n; c++) {
        if (column_taken[c] | rising_taken[row + c] | falling_taken[row + n - c]) continue;
        column_taken[c] = rising_taken[row + c] = falling_taken[row + n - c] = 1;
        found += by_flags(n, row + 1);
        column_taken[c] = rising_taken[row + c] = falling_taken[row + n - c] = 0;
    }
    return found;
}

uint64_t kernel(uint32_t n) {
    uint64_t sum = 0;
    for (uint32_t size = 4; size <= n; size++) {
        uint32_t found = by_bits((1u << size) - 1, 0, 0, 0);
        if (size <= 9 && by_flags(size, 0) != found) return 0;
        sum = mix(sum, found);
    }
    return sum;
}
