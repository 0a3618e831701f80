// divide.c — opt_divide(): division by a constant as shifts and multiplications.
//
// Compilers that target WebAssembly leave this to us. A rounded-up reciprocal is multiplied with instead (Granlund and Montgomery,
// "Division by invariant integers using multiplication", 1994): with d not a power of two, for x of n bits,
//   unsigned  q = x · m >> p              m = ⌊2^p / d⌋ + 1 with m·d − 2^p ≤ 2^(p−n)
//   signed    q = (x · m >> p) + (x < 0)  the same for |d| with n − 1; negated if d < 0
// For 32 bits the product has 64: an unsigned m of 33 bits is not needed, since p = 64 and the product's upper half always do. For
// 64 bits the upper half of 128 is taken. There an unsigned m of 65 bits is avoided for even d by shifting x first; else
//             t = x · (m − 2⁶⁴) >> 64,  q = (((x − t) >> 1) + t) >> (p − 65)
// and a signed m of 64 bits is taken for m − 2⁶⁴, with x added to the product's upper half.
#include "sfi-jit/opt/opt.h"

struct divide {
    struct ir_func *f;
    ir_ref at;
    uint8_t type; // of the division
};

static ir_ref op2(struct divide *v, enum ir_op op, uint8_t type, ir_ref a, ir_ref b) {
    return ir_insert_before(v->f, v->at, op, (enum ir_type)type, a, b, 0, 0);
}
static ir_ref constant(struct divide *v, uint8_t type, uint64_t bits) {
    if (type == IR_I32) bits &= UINT32_MAX;
    return ir_insert_before(v->f, v->at, IR_CONST, (enum ir_type)type, 0, 0, 0, bits);
}
static ir_ref with(struct divide *v, enum ir_op op, uint8_t type, ir_ref a, uint64_t bits) {
    return op2(v, op, type, a, constant(v, type, bits));
}

static unsigned log2_ceil(uint64_t d) { return d <= 1 ? 0 : 64 - (unsigned)__builtin_clzll(d - 1); }

static ir_ref unsigned32(struct divide *v, ir_ref x, uint32_t d) {
    ir_ref wide = op2(v, IR_EXTU, IR_I64, x, 0), q = 0;
    for (unsigned p = 32; !q && p < 32 + log2_ceil(d); p++) {
        uint64_t m = (1ull << p) / d + 1;
        if (m * d - (1ull << p) <= 1ull << (p - 32))
            q = with(v, IR_SHRU, IR_I64, with(v, IR_MUL, IR_I64, wide, m), p);
    }
    if (!q) q = with(v, IR_MULHU, IR_I64, wide, UINT64_MAX / d + 1);
    return op2(v, IR_WRAP, IR_I32, q, 0);
}

static ir_ref signed32(struct divide *v, ir_ref x, int32_t d) {
    uint32_t magnitude = d < 0 ? 0 - (uint32_t)d : (uint32_t)d;
    unsigned p = 31 + log2_ceil(magnitude);
    ir_ref product =
        with(v, IR_MUL, IR_I64, op2(v, IR_EXTS, IR_I64, x, 0), (1ull << p) / magnitude + 1);
    ir_ref q = op2(v, IR_WRAP, IR_I32, with(v, IR_SHRS, IR_I64, product, p), 0);
    ir_ref sign = with(v, IR_SHRU, IR_I32, x, 31);
    q = op2(v, IR_ADD, IR_I32, q, sign);
    return d < 0 ? op2(v, IR_SUB, IR_I32, constant(v, IR_I32, 0), q) : q;
}

// The least s with m·d − 2^p ≤ 2^(s+slack) for p = 64 + s, and m modulo 2⁶⁴.
static unsigned reciprocal64(uint64_t d, unsigned slack, uint64_t *out_m) {
    uint64_t q = 0, r = 1; // 2^p / d and what remains, one power at a time
    for (unsigned p = 0;; p++) {
        if (p >= 64 && (p - 64 + slack >= 64 || d - r <= 1ull << (p - 64 + slack))) {
            *out_m = q + 1;
            return p - 64;
        }
        bool more = r >= d - r;
        q = 2 * q + more;
        r = more ? r - (d - r) : 2 * r;
    }
}

static ir_ref unsigned64(struct divide *v, ir_ref x, uint64_t d) {
    uint64_t m;
    unsigned s = reciprocal64(d, 0, &m);
    if (s == log2_ceil(d) && d % 2 == 0) {
        unsigned k = (unsigned)__builtin_ctzll(d);
        x = with(v, IR_SHRU, IR_I64, x, k);
        d >>= k;
        s = reciprocal64(d, k, &m);
    }
    ir_ref q = with(v, IR_MULHU, IR_I64, x, m);
    if (s < log2_ceil(d)) return s ? with(v, IR_SHRU, IR_I64, q, s) : q;
    ir_ref half = with(v, IR_SHRU, IR_I64, op2(v, IR_SUB, IR_I64, x, q), 1);
    return with(v, IR_SHRU, IR_I64, op2(v, IR_ADD, IR_I64, half, q), s - 1);
}

static ir_ref signed64(struct divide *v, ir_ref x, int64_t d) {
    uint64_t m;
    unsigned s = reciprocal64(d < 0 ? 0 - (uint64_t)d : (uint64_t)d, 1, &m);
    ir_ref q = with(v, IR_MULHS, IR_I64, x, m);
    if (m >> 63) q = op2(v, IR_ADD, IR_I64, q, x);
    if (s) q = with(v, IR_SHRS, IR_I64, q, s);
    q = op2(v, IR_ADD, IR_I64, q, with(v, IR_SHRU, IR_I64, x, 63));
    return d < 0 ? op2(v, IR_SUB, IR_I64, constant(v, IR_I64, 0), q) : q;
}

// Rounds towards zero: a negative x gets 2^k − 1 added first.
static ir_ref signed_shift(struct divide *v, ir_ref x, unsigned k, bool negative) {
    unsigned width = v->type == IR_I32 ? 32 : 64;
    ir_ref q = x;
    if (k) {
        ir_ref sign = with(v, IR_SHRS, v->type, x, width - 1);
        ir_ref bias = with(v, IR_SHRU, v->type, sign, width - k);
        q = with(v, IR_SHRS, v->type, op2(v, IR_ADD, v->type, x, bias), k);
    }
    return negative ? op2(v, IR_SUB, v->type, constant(v, v->type, 0), q) : q;
}

static ir_ref quotient(struct divide *v, ir_ref x, bool is_signed, uint64_t d) {
    int64_t s = v->type == IR_I32 ? (int32_t)d : (int64_t)d;
    uint64_t magnitude = is_signed && s < 0 ? 0 - (uint64_t)s : d;
    bool power = (magnitude & (magnitude - 1)) == 0;
    unsigned k = (unsigned)__builtin_ctzll(magnitude);
    if (power && is_signed) return signed_shift(v, x, k, s < 0);
    if (power) return k ? with(v, IR_SHRU, v->type, x, k) : x;
    if (v->type == IR_I64) return is_signed ? signed64(v, x, s) : unsigned64(v, x, d);
    return is_signed ? signed32(v, x, (int32_t)d) : unsigned32(v, x, (uint32_t)d);
}

ir_ref opt_divide(struct ir_func *f, ir_ref at, uint64_t d) {
    struct divide v = {f, at, f->ins[at].type};
    enum ir_op op = (enum ir_op)f->ins[at].op;
    ir_ref x = f->ins[at].a;
    bool is_signed = op == IR_DIVS || op == IR_REMS;
    uint64_t minus_one = v.type == IR_I32 ? UINT32_MAX : UINT64_MAX;
    if (d == 0) return 0;
    if (is_signed && d == minus_one) // the quotient may overflow
        return op == IR_REMS ? constant(&v, v.type, 0) : 0;
    if (op == IR_REMU && (d & (d - 1)) == 0) return with(&v, IR_AND, v.type, x, d - 1);
    ir_ref q = quotient(&v, x, is_signed, d);
    if (!q || op == IR_DIVS || op == IR_DIVU) return q;
    return op2(&v, IR_SUB, v.type, x, with(&v, IR_MUL, v.type, q, d));
}
