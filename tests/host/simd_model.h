// simd_model.h — vector operators in plain C, lane by lane: what test_simd.c compares the compiler's code with.
#ifndef TESTS_SIMD_MODEL_H
#define TESTS_SIMD_MODEL_H
#include <stdbool.h>
#include <stdint.h>

union vec {
    uint8_t u8[16];
    int8_t i8[16];
    uint16_t u16[8];
    int16_t i16[8];
    uint32_t u32[4];
    int32_t i32[4];
    uint64_t u64[2];
    int64_t i64[2];
    float f32[4];
    double f64[2];
};

// Lane type of the operator's result, for comparing NaNs: 32, 64, or 0 for integers.
unsigned simd_float_lanes(uint32_t op);
// Computes the operator (enum wasm_op) with operands a, b, c, a shift count or scalar n, and a lane number. False: no model of it.
bool simd_model(uint32_t op, const union vec *a, const union vec *b, const union vec *c, uint32_t n,
                unsigned lane, union vec *out);
#endif
