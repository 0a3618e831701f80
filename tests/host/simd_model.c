// simd_model.c — see simd_model.h. WebAssembly 4.3.2 and 4.3.3, written for being read.
#include "tests/host/simd_model.h"
#include "sfi-jit/wasm/reader.h"
#include <math.h>

#define LANES(field, n, expr)                                  \
    for (unsigned k = 0; k < (n); k++) out->field[k] = (expr); \
    return true
#define CASE(op, field, n, expr) \
    case WASM_OP_##op: LANES(field, n, expr)
// Operators that all integer shapes have: S signed, U unsigned lanes.
#define INTS(shape, S, U, n, bits)                                             \
    CASE(shape##_ADD, U, n, a->U[k] + b->U[k]);                                \
    CASE(shape##_SUB, U, n, a->U[k] - b->U[k]);                                \
    CASE(shape##_NEG, U, n, 0 - a->U[k]);                                      \
    CASE(shape##_ABS, U, n, a->S[k] < 0 ? 0 - a->U[k] : a->U[k]);              \
    CASE(shape##_EQ, S, n, -(a->U[k] == b->U[k]));                             \
    CASE(shape##_NE, S, n, -(a->U[k] != b->U[k]));                             \
    CASE(shape##_LT_S, S, n, -(a->S[k] < b->S[k]));                            \
    CASE(shape##_GT_S, S, n, -(a->S[k] > b->S[k]));                            \
    CASE(shape##_LE_S, S, n, -(a->S[k] <= b->S[k]));                           \
    CASE(shape##_GE_S, S, n, -(a->S[k] >= b->S[k]));                           \
    CASE(shape##_SHL, U, n, a->U[k] << (count & (bits - 1)));                  \
    CASE(shape##_SHR_U, U, n, a->U[k] >> (count & (bits - 1)));                \
    CASE(shape##_SHR_S, S, n, a->S[k] >> (count & (bits - 1)));                \
    case WASM_OP_##shape##_ALL_TRUE: {                                         \
        bool all = true;                                                       \
        for (unsigned k = 0; k < n; k++) all &= a->U[k] != 0;                  \
        LANES(u32, 4, all);                                                    \
    }                                                                          \
    case WASM_OP_##shape##_BITMASK: {                                          \
        uint32_t mask = 0;                                                     \
        for (unsigned k = 0; k < n; k++) mask |= (uint32_t)(a->S[k] < 0) << k; \
        LANES(u32, 4, mask);                                                   \
    }
// Those that 64 bits lack.
#define SMALL(shape, S, U, n)                                         \
    CASE(shape##_LT_U, S, n, -(a->U[k] < b->U[k]));                   \
    CASE(shape##_GT_U, S, n, -(a->U[k] > b->U[k]));                   \
    CASE(shape##_LE_U, S, n, -(a->U[k] <= b->U[k]));                  \
    CASE(shape##_GE_U, S, n, -(a->U[k] >= b->U[k]));                  \
    CASE(shape##_MIN_S, S, n, a->S[k] < b->S[k] ? a->S[k] : b->S[k]); \
    CASE(shape##_MAX_S, S, n, a->S[k] > b->S[k] ? a->S[k] : b->S[k]); \
    CASE(shape##_MIN_U, U, n, a->U[k] < b->U[k] ? a->U[k] : b->U[k]); \
    CASE(shape##_MAX_U, U, n, a->U[k] > b->U[k] ? a->U[k] : b->U[k])
#define NARROWEST(shape, S, U, n, bits)                              \
    CASE(shape##_ADD_SAT_S, S, n, clamp_s(a->S[k] + b->S[k], bits)); \
    CASE(shape##_SUB_SAT_S, S, n, clamp_s(a->S[k] - b->S[k], bits)); \
    CASE(shape##_ADD_SAT_U, U, n, clamp_u(a->U[k] + b->U[k], bits)); \
    CASE(shape##_SUB_SAT_U, U, n, clamp_u(a->U[k] - b->U[k], bits)); \
    CASE(shape##_AVGR_U, U, n, (a->U[k] + b->U[k] + 1) >> 1)
// From lanes of half the width.
#define WIDER(shape, from, S, U, n, s, u)                                           \
    CASE(shape##_EXTEND_LOW_##from##_S, S, n, a->s[k]);                             \
    CASE(shape##_EXTEND_HIGH_##from##_S, S, n, a->s[k + n]);                        \
    CASE(shape##_EXTEND_LOW_##from##_U, U, n, a->u[k]);                             \
    CASE(shape##_EXTEND_HIGH_##from##_U, U, n, a->u[k + n]);                        \
    CASE(shape##_EXTMUL_LOW_##from##_S, S, n, (int64_t)a->s[k] * b->s[k]);          \
    CASE(shape##_EXTMUL_HIGH_##from##_S, S, n, (int64_t)a->s[k + n] * b->s[k + n]); \
    CASE(shape##_EXTMUL_LOW_##from##_U, U, n, (uint64_t)a->u[k] * b->u[k]);         \
    CASE(shape##_EXTMUL_HIGH_##from##_U, U, n, (uint64_t)a->u[k + n] * b->u[k + n])
#define PAIRS(shape, from, S, U, n, s, u)                                          \
    CASE(shape##_EXTADD_PAIRWISE_##from##_S, S, n, a->s[2 * k] + a->s[2 * k + 1]); \
    CASE(shape##_EXTADD_PAIRWISE_##from##_U, U, n, (unsigned)a->u[2 * k] + a->u[2 * k + 1])
#define FLOATS(shape, F, U, S, n, sign)                              \
    CASE(shape##_EQ, S, n, -(a->F[k] == b->F[k]));                   \
    CASE(shape##_NE, S, n, -(a->F[k] != b->F[k]));                   \
    CASE(shape##_LT, S, n, -(a->F[k] < b->F[k]));                    \
    CASE(shape##_GT, S, n, -(a->F[k] > b->F[k]));                    \
    CASE(shape##_LE, S, n, -(a->F[k] <= b->F[k]));                   \
    CASE(shape##_GE, S, n, -(a->F[k] >= b->F[k]));                   \
    CASE(shape##_ABS, U, n, a->U[k] & ~sign);                        \
    CASE(shape##_NEG, U, n, a->U[k] ^ sign);                         \
    CASE(shape##_ADD, F, n, a->F[k] + b->F[k]);                      \
    CASE(shape##_SUB, F, n, a->F[k] - b->F[k]);                      \
    CASE(shape##_MUL, F, n, a->F[k] * b->F[k]);                      \
    CASE(shape##_DIV, F, n, a->F[k] / b->F[k]);                      \
    CASE(shape##_PMIN, U, n, b->F[k] < a->F[k] ? b->U[k] : a->U[k]); \
    CASE(shape##_PMAX, U, n, a->F[k] < b->F[k] ? b->U[k] : a->U[k]); \
    CASE(shape##_MIN, F, n, minimum(a->F[k], b->F[k]));              \
    CASE(shape##_MAX, F, n, -minimum(-a->F[k], -b->F[k]));           \
    CASE(shape##_SQRT, F, n, sqrt(a->F[k]));                         \
    CASE(shape##_CEIL, F, n, ceil(a->F[k]));                         \
    CASE(shape##_FLOOR, F, n, floor(a->F[k]));                       \
    CASE(shape##_TRUNC, F, n, trunc(a->F[k]));                       \
    CASE(shape##_NEAREST, F, n, nearbyint(a->F[k]))

static int32_t clamp_s(int32_t v, unsigned bits) {
    int32_t max = (1 << (bits - 1)) - 1;
    return v > max ? max : v < -max - 1 ? -max - 1 : v;
}
static int32_t clamp_u(int32_t v, unsigned bits) {
    int32_t max = (1 << bits) - 1;
    return v > max ? max : v < 0 ? 0 : v;
}
static double minimum(double a, double b) {
    if (isnan(a) || isnan(b)) return NAN;
    if (a == b) return signbit(a) ? a : b; // −0 is less than 0
    return a < b ? a : b;
}
static int32_t to_s32(double v) {
    return isnan(v)             ? 0
           : v >= 2147483647.0  ? INT32_MAX
           : v <= -2147483648.0 ? INT32_MIN
                                : (int32_t)v;
}
static uint32_t to_u32(double v) {
    return isnan(v) || v <= 0 ? 0 : v >= 4294967295.0 ? UINT32_MAX : (uint32_t)v;
}
static unsigned bits_of(uint8_t v) { return (unsigned)__builtin_popcount(v); }

unsigned simd_float_lanes(uint32_t op) {
    if (op == WASM_OP_F64X2_PROMOTE_LOW_F32X4) return 64;
    if (op == WASM_OP_F32X4_DEMOTE_F64X2_ZERO) return 32;
    if (op >= WASM_OP_F32X4_CEIL && op <= WASM_OP_F32X4_NEAREST) return 32;
    if (op == WASM_OP_F64X2_CEIL || op == WASM_OP_F64X2_FLOOR || op == WASM_OP_F64X2_TRUNC ||
        op == WASM_OP_F64X2_NEAREST)
        return 64;
    if (op >= WASM_OP_F32X4_SQRT && op <= WASM_OP_F32X4_MAX)
        return 32; // abs, neg, pmin, pmax keep payloads
    return op >= WASM_OP_F64X2_SQRT && op <= WASM_OP_F64X2_MAX ? 64 : 0;
}

static bool integers(uint32_t op, const union vec *a, const union vec *b, uint32_t count,
                     union vec *out) {
    switch (op) {
        INTS(I8X16, i8, u8, 16, 8);
        INTS(I16X8, i16, u16, 8, 16);
        INTS(I32X4, i32, u32, 4, 32);
        INTS(I64X2, i64, u64, 2, 64);
        SMALL(I8X16, i8, u8, 16);
        SMALL(I16X8, i16, u16, 8);
        SMALL(I32X4, i32, u32, 4);
        NARROWEST(I8X16, i8, u8, 16, 8);
        NARROWEST(I16X8, i16, u16, 8, 16);
        WIDER(I16X8, I8X16, i16, u16, 8, i8, u8);
        WIDER(I32X4, I16X8, i32, u32, 4, i16, u16);
        WIDER(I64X2, I32X4, i64, u64, 2, i32, u32);
        PAIRS(I16X8, I8X16, i16, u16, 8, i8, u8);
        PAIRS(I32X4, I16X8, i32, u32, 4, i16, u16);
        CASE(I16X8_MUL, u16, 8, (uint32_t)a->u16[k] * b->u16[k]);
        CASE(I32X4_MUL, u32, 4, a->u32[k] * b->u32[k]);
        CASE(I64X2_MUL, u64, 2, a->u64[k] * b->u64[k]);
        CASE(I8X16_POPCNT, u8, 16, bits_of(a->u8[k]));
        CASE(I16X8_Q15MULR_SAT_S, i16, 8, clamp_s((a->i16[k] * b->i16[k] + 0x4000) >> 15, 16));
        CASE(I32X4_DOT_I16X8_S, u32, 4,
             (uint32_t)(a->i16[2 * k] * b->i16[2 * k]) +
                 (uint32_t)(a->i16[2 * k + 1] * b->i16[2 * k + 1]));
        CASE(I8X16_NARROW_I16X8_S, i8, 16, clamp_s(k < 8 ? a->i16[k] : b->i16[k - 8], 8));
        CASE(I8X16_NARROW_I16X8_U, u8, 16, clamp_u(k < 8 ? a->i16[k] : b->i16[k - 8], 8));
        CASE(I16X8_NARROW_I32X4_S, i16, 8, clamp_s(k < 4 ? a->i32[k] : b->i32[k - 4], 16));
        CASE(I16X8_NARROW_I32X4_U, u16, 8, clamp_u(k < 4 ? a->i32[k] : b->i32[k - 4], 16));
        CASE(I8X16_SWIZZLE, u8, 16, b->u8[k] < 16 ? a->u8[b->u8[k]] : 0);
    default: return false;
    }
}

static bool floats(uint32_t op, const union vec *a, const union vec *b, union vec *out) {
    switch (op) {
        FLOATS(F32X4, f32, u32, i32, 4, 0x80000000u);
        FLOATS(F64X2, f64, u64, i64, 2, 0x8000000000000000u);
        CASE(I32X4_TRUNC_SAT_F32X4_S, i32, 4, to_s32(a->f32[k]));
        CASE(I32X4_TRUNC_SAT_F32X4_U, u32, 4, to_u32(a->f32[k]));
        CASE(I32X4_TRUNC_SAT_F64X2_S_ZERO, i32, 4, k < 2 ? to_s32(a->f64[k]) : 0);
        CASE(I32X4_TRUNC_SAT_F64X2_U_ZERO, u32, 4, k < 2 ? to_u32(a->f64[k]) : 0);
        CASE(F32X4_CONVERT_I32X4_S, f32, 4, (float)a->i32[k]);
        CASE(F32X4_CONVERT_I32X4_U, f32, 4, (float)a->u32[k]);
        CASE(F64X2_CONVERT_LOW_I32X4_S, f64, 2, a->i32[k]);
        CASE(F64X2_CONVERT_LOW_I32X4_U, f64, 2, a->u32[k]);
        CASE(F32X4_DEMOTE_F64X2_ZERO, f32, 4, k < 2 ? (float)a->f64[k] : 0);
        CASE(F64X2_PROMOTE_LOW_F32X4, f64, 2, a->f32[k]);
    default: return false;
    }
}

static bool lanes(uint32_t op, const union vec *a, const union vec *b, uint32_t n, unsigned lane,
                  union vec *out) {
    switch (op) {
        CASE(I8X16_SPLAT, u8, 16, (uint8_t)n);
        CASE(I16X8_SPLAT, u16, 8, (uint16_t)n);
        CASE(I32X4_SPLAT, u32, 4, n);
    case WASM_OP_F32X4_SPLAT: LANES(u32, 4, a->u32[0]);
    case WASM_OP_I64X2_SPLAT:
    case WASM_OP_F64X2_SPLAT:
        LANES(u64, 2, a->u64[0]);
        CASE(I8X16_EXTRACT_LANE_S, i32, 4, a->i8[lane]);
        CASE(I8X16_EXTRACT_LANE_U, i32, 4, a->u8[lane]);
        CASE(I16X8_EXTRACT_LANE_S, i32, 4, a->i16[lane]);
        CASE(I16X8_EXTRACT_LANE_U, i32, 4, a->u16[lane]);
    case WASM_OP_F32X4_EXTRACT_LANE:
    case WASM_OP_I32X4_EXTRACT_LANE: LANES(u32, 4, a->u32[lane]);
    case WASM_OP_F64X2_EXTRACT_LANE:
    case WASM_OP_I64X2_EXTRACT_LANE:
        LANES(u64, 2, a->u64[lane]);
        CASE(I8X16_REPLACE_LANE, u8, 16, k == lane ? b->u8[0] : a->u8[k]);
        CASE(I16X8_REPLACE_LANE, u16, 8, k == lane ? b->u16[0] : a->u16[k]);
    case WASM_OP_F32X4_REPLACE_LANE:
    case WASM_OP_I32X4_REPLACE_LANE: LANES(u32, 4, k == lane ? b->u32[0] : a->u32[k]);
    case WASM_OP_F64X2_REPLACE_LANE:
    case WASM_OP_I64X2_REPLACE_LANE: LANES(u64, 2, k == lane ? b->u64[0] : a->u64[k]);
    default: return false;
    }
}

bool simd_model(uint32_t op, const union vec *a, const union vec *b, const union vec *c, uint32_t n,
                unsigned lane, union vec *out) {
    switch (op) {
        CASE(V128_NOT, u64, 2, ~a->u64[k]);
        CASE(V128_AND, u64, 2, a->u64[k] & b->u64[k]);
        CASE(V128_ANDNOT, u64, 2, a->u64[k] & ~b->u64[k]);
        CASE(V128_OR, u64, 2, a->u64[k] | b->u64[k]);
        CASE(V128_XOR, u64, 2, a->u64[k] ^ b->u64[k]);
        CASE(V128_BITSELECT, u64, 2, (a->u64[k] & c->u64[k]) | (b->u64[k] & ~c->u64[k]));
        CASE(V128_ANY_TRUE, u32, 4, (a->u64[0] | a->u64[1]) != 0);
    default:
        return integers(op, a, b, n, out) || floats(op, a, b, out) || lanes(op, a, b, n, lane, out);
    }
}
