// calls.c — direct calls and little else: Fibonacci, Ackermann and Takeuchi by recursion, and mutual recursion with five arguments.
//
// Group: calls
// Size: n = 35
#include "bench/kernels/kernel.h"

static uint32_t fibonacci(uint32_t n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }
static uint32_t ackermann(uint32_t m, uint32_t n) {
    if (!m) return n + 1;
    return ackermann(m - 1, n ? ackermann(m, n - 1) : 1);
}
static int32_t tak(int32_t x, int32_t y, int32_t z) {
    if (y >= x) return z;
    return tak(tak(x - 1, y, z), tak(y - 1, z, x), tak(z - 1, x, y));
}
static uint64_t ping(uint32_t n, uint64_t a, uint64_t b, uint32_t c, uint32_t d);
static __attribute__((noinline)) uint64_t pong(uint32_t n, uint64_t a, uint64_t b, uint32_t c,
                                               uint32_t d) {
    return n ? ping(n - 1, b, a + c, d, c) + b : a ^ d;
}
static __attribute__((noinline)) uint64_t ping(uint32_t n, uint64_t a, uint64_t b, uint32_t c,
                                               uint32_t d) {
    return n ? pong(n - 1, a + d, b ^ n, c + 1, d) * 3 : b + c;
}

uint64_t kernel(uint32_t n) {
    uint64_t sum = mix(0, fibonacci(n));
    sum = mix(sum, ackermann(2, n * 8));
    sum = mix(sum, (uint32_t)tak((int32_t)n / 2 + 3, (int32_t)n / 3 + 2, (int32_t)n / 5));
    for (uint32_t i = 0; i < 20000; i++) sum = mix(sum, ping(n, i, sum, 3, 5));
    return sum;
}
