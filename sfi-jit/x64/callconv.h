// callconv.h — the calling convention as an iterator: what callconv.c says for whole types, one argument or result at a time.
#ifndef X64_CALLCONV_H
#define X64_CALLCONV_H
#include <stdbool.h>
#include <stdint.h>

struct x64_args { // zeroed at the start
    uint32_t ints, floats, others;
};
// Place of the next argument, numbered as jit_arg_place() does.
uint32_t x64_next_arg(struct x64_args *a, bool is_float);

struct x64_results {
    uint32_t ints, floats, others;
};
// Place of the next result, numbered as jit_result_place() does.
int x64_next_result(struct x64_results *r, bool is_float);

// The machine register (0–15 general, 16–31 xmm) of an argument place below 32.
static inline uint32_t x64_arg_reg(uint32_t place) {
    static const uint8_t int_reg[] = {7, 6, 2, 1, 8, 9}; // rdi rsi rdx rcx r8 r9
    return place < 16 ? int_reg[place] : place;
}
#endif
