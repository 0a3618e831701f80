// fannkuch.c — the longest run of prefix reversals over all permutations of n numbers, and their alternating sum: short loops over small arrays.
//
// Group: integer
// Size: n = 9
#include "bench/kernels/kernel.h"

#define MOST 12

uint64_t kernel(uint32_t n) {
    int32_t perm[MOST], work[MOST], count[MOST], flips_most = 0, alternating = 0;
    int32_t r = (int32_t)n, even = 1;
    for (uint32_t i = 0; i < n; i++) perm[i] = (int32_t)i;
    for (;;) {
        for (; r > 1; r--) count[r - 1] = r;
        if (perm[0]) {
            int32_t flips = 0;
            for (uint32_t i = 0; i < n; i++) work[i] = perm[i];
            for (int32_t first; (first = work[0]) != 0; flips++)
                for (int32_t low = 0, high = first; low < high; low++, high--) {
                    int32_t t = work[low];
                    work[low] = work[high];
                    work[high] = t;
                }
            if (flips > flips_most) flips_most = flips;
            alternating += even ? flips : -flips;
        }
        even = !even;
        for (;; r++) { // the next permutation
            if (r == (int32_t)n) return mix((uint32_t)flips_most, (uint32_t)alternating);
            int32_t first = perm[0];
            for (int32_t i = 0; i < r; i++) perm[i] = perm[i + 1];
            perm[r] = first;
            if (--count[r] > 0) break;
        }
    }
}
