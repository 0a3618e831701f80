// fft.c — radix-2 fast Fourier transform of 4096 complex doubles, in place, forth and back, n times. Roots of unity come from a half-angle
// recurrence, so that no sine is needed.
//
// Group: numeric
// Size: n = 320
#include "bench/kernels/kernel.h"

#define LOG 12
#define POINTS (1u << LOG)
static double re[POINTS], im[POINTS], root_re[POINTS], root_im[POINTS];

static void make_roots(void) { // of order 2^k at [2^(k−1), 2^k)
    double c = -1, s = 0;      // angle π
    for (uint32_t half = 1; half < POINTS; half *= 2) {
        double wr = 1, wi = 0;
        for (uint32_t j = 0; j < half; j++) {
            root_re[half + j] = wr;
            root_im[half + j] = wi;
            double t = wr * c - wi * s;
            wi = wr * s + wi * c;
            wr = t;
        }
        double next = __builtin_sqrt((1 + c) / 2); // half the angle
        s = half == 1 ? 1 : s / (2 * next);
        c = half == 1 ? 0 : next;
    }
}

static void transform(double sign) {
    for (uint32_t i = 1, j = 0; i < POINTS; i++) {
        uint32_t bit = POINTS / 2;
        for (; j & bit; bit /= 2) j ^= bit;
        j ^= bit;
        if (i < j) {
            double t = re[i];
            re[i] = re[j];
            re[j] = t;
            t = im[i];
            im[i] = im[j];
            im[j] = t;
        }
    }
    for (uint32_t half = 1; half < POINTS; half *= 2)
        for (uint32_t base = 0; base < POINTS; base += 2 * half)
            for (uint32_t j = 0; j < half; j++) {
                uint32_t p = base + j, q = p + half;
                double wr = root_re[half + j], wi = sign * root_im[half + j];
                double xr = re[q] * wr - im[q] * wi, xi = re[q] * wi + im[q] * wr;
                re[q] = re[p] - xr;
                im[q] = im[p] - xi;
                re[p] += xr;
                im[p] += xi;
            }
}

uint64_t kernel(uint32_t n) {
    uint32_t seed = 31;
    uint64_t sum = 0;
    make_roots();
    for (uint32_t i = 0; i < POINTS; i++) {
        re[i] = (double)(next_random(&seed) % 2001) - 1000;
        im[i] = 0;
    }
    for (uint32_t t = 0; t < n; t++) {
        transform(1);
        sum = mix_double(sum, re[t % POINTS]);
        transform(-1);
        for (uint32_t i = 0; i < POINTS; i++) {
            re[i] /= POINTS;
            im[i] /= POINTS;
        }
    }
    for (uint32_t i = 0; i < POINTS; i++) sum = mix_double(mix_double(sum, re[i]), im[i]);
    return sum;
}
