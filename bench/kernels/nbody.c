// nbody.c — five bodies under gravity, n steps of a symplectic integrator: floating-point latency, square root, division.
//
// Group: numeric
// Size: n = 400000
#include "bench/kernels/kernel.h"

#define BODIES 5
struct body {
    double at[3], speed[3], mass;
};

static void push(struct body *p, struct body *q, double dt) {
    double d[3], square = 0;
    for (int k = 0; k < 3; k++) {
        d[k] = p->at[k] - q->at[k];
        square += d[k] * d[k];
    }
    double magnitude = dt / (square * __builtin_sqrt(square));
    for (int k = 0; k < 3; k++) {
        p->speed[k] -= d[k] * q->mass * magnitude;
        q->speed[k] += d[k] * p->mass * magnitude;
    }
}

uint64_t kernel(uint32_t n) {
    static struct body b[BODIES];
    for (int i = 0; i < BODIES; i++)
        for (int k = 0; k < 3; k++) {
            b[i].at[k] = i * (k + 1) * 1.75 - k;
            b[i].speed[k] = (i - 2) * 0.125 * (k - 1);
            b[i].mass = i ? 0.03125 * i : 39.5;
        }
    for (uint32_t t = 0; t < n; t++) {
        for (int i = 0; i < BODIES; i++)
            for (int j = i + 1; j < BODIES; j++) push(&b[i], &b[j], 0.0009765625);
        for (int i = 0; i < BODIES; i++)
            for (int k = 0; k < 3; k++) b[i].at[k] += 0.0009765625 * b[i].speed[k];
    }
    uint64_t sum = 0;
    for (int i = 0; i < BODIES; i++)
        for (int k = 0; k < 3; k++) sum = mix_double(mix_double(sum, b[i].at[k]), b[i].speed[k]);
    return sum;
}
