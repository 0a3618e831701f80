// biquad.c — a cascade of eight second-order filters in direct form II transposed on single-precision samples: a chain
// of dependent additions, with state kept in memory.
//
// Group: embedded
// Size: n = 700
#include "bench/kernels/kernel.h"

#define STAGES 8
#define BLOCK 1024
struct stage {
    float b0, b1, b2, a1, a2, z1, z2;
};

uint64_t kernel(uint32_t n) {
    static struct stage stage[STAGES];
    static float signal[BLOCK];
    uint32_t seed = 43;
    uint64_t sum = 0;
    for (int i = 0; i < STAGES; i++)
        stage[i] = (struct stage){0.25f, 0.5f, 0.25f, -0.75f + 0.0625f * (float)i, 0.25f, 0, 0};
    for (uint32_t b = 0; b < n; b++) {
        for (int i = 0; i < BLOCK; i++) signal[i] = (float)(next_random(&seed) % 65536) / 32768 - 1;
        for (int s = 0; s < STAGES; s++) {
            struct stage *g = &stage[s];
            for (int i = 0; i < BLOCK; i++) {
                float x = signal[i], y = g->b0 * x + g->z1;
                g->z1 = g->b1 * x - g->a1 * y + g->z2;
                g->z2 = g->b2 * x - g->a2 * y;
                signal[i] = y;
            }
        }
        sum = mix_double(sum, signal[b % BLOCK]);
    }
    for (int i = 0; i < BLOCK; i++) sum = mix_double(sum, signal[i]);
    return sum;
}
