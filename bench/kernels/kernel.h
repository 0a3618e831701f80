// kernel.h — what the compute kernels share.
//
// A kernel is one file with one entry, kernel(n): it does a fixed amount of work that grows with n and returns a checksum of everything
// it computed. It needs no libc, keeps no state from call to call (static memory is filled anew), and makes its own data
// from a fixed seed, so that every build of it, on every machine, returns the same number for the same n.
// Each file says on a line "// Size: n = N" which n makes it run some tens of milliseconds natively.
#ifndef BENCH_KERNEL_H
#define BENCH_KERNEL_H
#include <stddef.h>
#include <stdint.h>

uint64_t kernel(uint32_t n);

// Marsaglia's xorshift32; *state ≠ 0.
static inline uint32_t next_random(uint32_t *state) {
    uint32_t x = *state;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return *state = x;
}
static inline uint64_t mix(uint64_t sum, uint64_t value) {
    sum = (sum ^ value) * 0x9e3779b97f4a7c15u;
    return sum ^ sum >> 29;
}
static inline uint64_t mix_double(uint64_t sum, double value) {
    uint64_t bits;
    __builtin_memcpy(&bits, &value, sizeof bits);
    return mix(sum, bits);
}
#endif
