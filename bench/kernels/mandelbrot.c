// mandelbrot.c — iterations per point of the Mandelbrot set on an n × n picture: a tight floating-point loop with an early exit.
//
// Group: numeric
// Size: n = 320
#include "bench/kernels/kernel.h"

uint64_t kernel(uint32_t n) {
    uint64_t sum = 0;
    for (uint32_t row = 0; row < n; row++)
        for (uint32_t column = 0; column < n; column++) {
            double cr = 3.0 * column / n - 2.25, ci = 2.5 * row / n - 1.25, r = 0, i = 0;
            uint32_t steps = 0;
            while (steps < 500 && r * r + i * i < 4) {
                double next = r * r - i * i + cr;
                i = 2 * r * i + ci;
                r = next;
                steps++;
            }
            sum = mix(sum, steps);
        }
    return sum;
}
