// indirect.c — indirect calls: an object's operations through a table (polymorphic and monomorphic), and a chain of filters whose
// functions are chosen at run time.
//
// Group: calls
// Size: n = 130000
#include "bench/kernels/kernel.h"

struct shape;
struct ops {
    uint32_t (*area)(const struct shape *);
    void (*grow)(struct shape *, uint32_t);
};
struct shape {
    const struct ops *ops;
    uint32_t a, b;
};
typedef uint32_t filter(uint32_t, uint32_t);

static uint32_t square_area(const struct shape *s) { return s->a * s->a; }
static void square_grow(struct shape *s, uint32_t by) { s->a += by; }
static uint32_t box_area(const struct shape *s) { return s->a * s->b; }
static void box_grow(struct shape *s, uint32_t by) { s->b += by & s->a; }
static uint32_t triangle_area(const struct shape *s) { return s->a * s->b / 2; }
static void triangle_grow(struct shape *s, uint32_t by) {
    s->a ^= by;
    s->b++;
}
static const struct ops square = {square_area, square_grow}, box = {box_area, box_grow},
                        triangle = {triangle_area, triangle_grow};

static uint32_t add(uint32_t x, uint32_t k) { return x + k; }
static uint32_t xor (uint32_t x, uint32_t k) { return x ^ k; } static uint32_t
    rotate(uint32_t x, uint32_t k) {
    return x << (k & 31) | x >> (-k & 31);
}
static uint32_t multiply(uint32_t x, uint32_t k) { return x * (k | 1); }
static filter *const filters[] = {add, xor, rotate, multiply};

uint64_t kernel(uint32_t n) {
    static struct shape shape[64];
    static filter *volatile chain[16];
    uint32_t seed = 137;
    uint64_t sum = 0;
    for (int i = 0; i < 64; i++) {
        uint32_t r = next_random(&seed);
        shape[i] = (struct shape){r % 3 == 0   ? &square
                                  : r % 3 == 1 ? &box
                                               : &triangle,
                                  r >> 8 & 255, r >> 16 & 255};
    }
    for (int i = 0; i < 16; i++) chain[i] = filters[next_random(&seed) % 4];
    for (uint32_t t = 0; t < n; t++) {
        uint32_t x = t;
        for (int i = 0; i < 16; i++) x = chain[i](x, t + (uint32_t)i);
        for (int i = 0; i < 16; i++) {
            struct shape *s = &shape[(x + (uint32_t)i) % 64];
            s->ops->grow(s, x >> i & 7);
            x += s->ops->area(s);
        }
        sum = mix(sum, x);
    }
    return sum;
}
