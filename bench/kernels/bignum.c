// bignum.c — long numbers: n decimal digits of pi by a spigot (divisions by varying numbers), and 1024-bit products with 64-bit limbs' carries.
//
// Group: integer
// Size: n = 1100
#include "bench/kernels/kernel.h"

#define MOST 2000
#define LIMBS 32
static uint32_t cell[MOST * 10 / 3 + 2], x[LIMBS], y[LIMBS], z[2 * LIMBS];

static uint64_t digits_of_pi(uint32_t n) { // Rabinowitz and Wagon
    uint32_t cells = n * 10 / 3 + 1, nines = 0, held = 0;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < cells; i++) cell[i] = 2;
    for (uint32_t d = 0; d < n; d++) {
        uint32_t q = 0;
        for (uint32_t i = cells; i > 0; i--) {
            uint32_t v = 10 * cell[i - 1] + q * i;
            cell[i - 1] = v % (2 * i - 1);
            q = v / (2 * i - 1);
        }
        cell[0] = q % 10;
        q /= 10;
        if (q == 9) {
            nines++;
            continue;
        }
        sum = mix(sum, held + (q == 10));
        for (; nines; nines--) sum = mix(sum, q == 10 ? 0 : 9);
        held = q == 10 ? 0 : q;
    }
    return sum;
}
static void multiply(void) {
    for (int i = 0; i < 2 * LIMBS; i++) z[i] = 0;
    for (int i = 0; i < LIMBS; i++) {
        uint64_t carry = 0;
        for (int j = 0; j < LIMBS; j++) {
            carry += (uint64_t)x[i] * y[j] + z[i + j];
            z[i + j] = (uint32_t)carry;
            carry >>= 32;
        }
        z[i + LIMBS] = (uint32_t)carry;
    }
}

uint64_t kernel(uint32_t n) {
    uint32_t seed = 139;
    uint64_t sum = digits_of_pi(n);
    for (int i = 0; i < LIMBS; i++) {
        x[i] = next_random(&seed);
        y[i] = next_random(&seed);
    }
    for (uint32_t t = 0; t < 20 * n; t++) {
        multiply();
        for (int i = 0; i < LIMBS; i++) x[i] = z[i] ^ z[LIMBS + i];
        sum = mix(sum, x[t % LIMBS]);
    }
    return sum;
}
