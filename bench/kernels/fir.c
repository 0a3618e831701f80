// fir.c — a 64-tap finite impulse response filter on 16-bit samples with 32-bit sums and saturation, n blocks of 1024.
//
// Group: embedded
// Size: n = 3000
#include "bench/kernels/kernel.h"

#define TAPS 64
#define BLOCK 1024
static int16_t sample[BLOCK + TAPS], out[BLOCK], tap[TAPS];

static int16_t saturate(int32_t v) {
    return (int16_t)(v > INT16_MAX ? INT16_MAX : v < INT16_MIN ? INT16_MIN : v);
}

uint64_t kernel(uint32_t n) {
    uint32_t seed = 41;
    uint64_t sum = 0;
    for (int i = 0; i < TAPS; i++) tap[i] = (int16_t)(next_random(&seed) % 4001 - 2000);
    for (int i = 0; i < BLOCK + TAPS; i++) sample[i] = (int16_t)next_random(&seed);
    for (uint32_t b = 0; b < n; b++) {
        for (int i = 0; i < BLOCK; i++) {
            int32_t s = 1 << 14;
            for (int k = 0; k < TAPS; k++) s += sample[i + k] * tap[k];
            out[i] = saturate(s >> 15);
        }
        for (int i = 0; i < TAPS; i++) sample[i] = sample[BLOCK + i];
        for (int i = 0; i < BLOCK; i++) sample[TAPS + i] = (int16_t)(out[i] ^ (int16_t)(i * 77));
        sum = mix(sum, (uint16_t)out[b % BLOCK]);
    }
    for (int i = 0; i < BLOCK; i++) sum = mix(sum, (uint16_t)out[i]);
    return sum;
}
