// lower_simd.c — vector operators (WebAssembly 4.3.2, 4.3.3, lane by lane): AVX-128 instructions, and sequences of them where there is no
// one instruction.
//
// `simple` has the operators that are one instruction, perhaps with exchanged operands or a complement behind it; the others have a
// function each. Sequences are made of ordinary machine operators with new vregs between, so register allocation sees everything.
#include "sfi-jit/x64/lower_simd.h"
#include "sfi-jit/lib.h"

// Predicates of vcmpps, vcmppd (SDM volume 2, table 3-1).
enum { CMP_EQ, CMP_LT, CMP_LE, CMP_UNORD, CMP_NEQ, CMP_NLT };
enum { ROUND_NEAREST = 8, ROUND_FLOOR, ROUND_CEIL, ROUND_TRUNC }; // inexact results raise nothing

// ---- steps -------------------------------------------------------------------------------------

static uint32_t dest(struct x64_lower *l, uint32_t d) { return d ? d : x64_new_vreg(l, IR_V128); }

uint32_t x64_v3(struct x64_lower *l, uint32_t d, enum x64_mop op, uint32_t a, uint32_t b) {
    d = dest(l, d);
    x64_new(l, op, 16);
    x64_out(l, d);
    x64_in(l, a);
    x64_in(l, b);
    return d;
}
uint32_t x64_v3i(struct x64_lower *l, uint32_t d, enum x64_mop op, uint32_t a, uint32_t b,
                 unsigned imm) {
    d = x64_v3(l, d, op, a, b);
    l->out.insn[l->out.insns - 1].imm = imm;
    return d;
}
// With a constant of the pool on the right.
uint32_t x64_v3p(struct x64_lower *l, uint32_t d, enum x64_mop op, uint32_t a, uint64_t low,
                 uint64_t high) {
    d = dest(l, d);
    struct x64_insn *n = x64_new(l, op, 16);
    n->mem = XM_POOL;
    n->disp = (int32_t)x64_pool(l->module, 16, low, high);
    x64_out(l, d);
    x64_in(l, a);
    return d;
}
uint32_t x64_v2i(struct x64_lower *l, uint32_t d, enum x64_mop op, uint32_t a, unsigned imm) {
    d = dest(l, d);
    x64_new(l, op, 16)->imm = imm;
    x64_out(l, d);
    x64_in(l, a);
    return d;
}
uint32_t x64_v2(struct x64_lower *l, uint32_t d, enum x64_mop op, uint32_t a) {
    return x64_v2i(l, d, op, a, 0);
}
static uint32_t complement(struct x64_lower *l, uint32_t d, uint32_t a) {
    return x64_v3p(l, d, MOP_VPXOR, a, UINT64_MAX, UINT64_MAX);
}
uint32_t x64_vzero(struct x64_lower *l) { return x64_imm_vector(l, 0, 0); }
static uint32_t ones(struct x64_lower *l) { return x64_imm_vector(l, UINT64_MAX, UINT64_MAX); }
static uint32_t upper_half(struct x64_lower *l, uint32_t a) {
    return x64_v2i(l, 0, MOP_VPSHUFD, a, 0xee);
}

// ---- one instruction -----------------------------------------------------------------------------

enum {
    SWAP = 1,
    NOT = 2,
    NARROW = 4
}; // NARROW: as a memory operand it would be less than 16 bytes
struct simple {
    uint8_t mop, flags, imm;
};
#define ROW(name, mop, flags, imm) [OP(name)] = {MOP_##mop, flags, imm}
#define INTS(shape, w)                                                                       \
    ROW(shape##_EQ, VPCMPEQ##w, 0, 0), ROW(shape##_NE, VPCMPEQ##w, NOT, 0),                  \
        ROW(shape##_GT_S, VPCMPGT##w, 0, 0), ROW(shape##_LT_S, VPCMPGT##w, SWAP, 0),         \
        ROW(shape##_LE_S, VPCMPGT##w, NOT, 0), ROW(shape##_GE_S, VPCMPGT##w, SWAP | NOT, 0), \
        ROW(shape##_ADD, VPADD##w, 0, 0), ROW(shape##_SUB, VPSUB##w, 0, 0)
#define SMALL_INTS(shape, w, uw)                                                              \
    INTS(shape, w), ROW(shape##_MIN_S, VPMINS##w, 0, 0), ROW(shape##_MAX_S, VPMAXS##w, 0, 0), \
        ROW(shape##_MIN_U, VPMIN##uw, 0, 0), ROW(shape##_MAX_U, VPMAX##uw, 0, 0),             \
        ROW(shape##_ABS, VPABS##w, 0, 0)
#define SATURATING(shape, w)                                                               \
    ROW(shape##_ADD_SAT_S, VPADDS##w, 0, 0), ROW(shape##_ADD_SAT_U, VPADDUS##w, 0, 0),     \
        ROW(shape##_SUB_SAT_S, VPSUBS##w, 0, 0), ROW(shape##_SUB_SAT_U, VPSUBUS##w, 0, 0), \
        ROW(shape##_AVGR_U, VPAVG##w, 0, 0)
#define FLOATS(shape, w)                                                                \
    ROW(shape##_EQ, VCMP##w, 0, CMP_EQ), ROW(shape##_NE, VCMP##w, 0, CMP_NEQ),          \
        ROW(shape##_LT, VCMP##w, 0, CMP_LT), ROW(shape##_LE, VCMP##w, 0, CMP_LE),       \
        ROW(shape##_GT, VCMP##w, SWAP, CMP_LT), ROW(shape##_GE, VCMP##w, SWAP, CMP_LE), \
        ROW(shape##_ADD, VADD##w, 0, 0), ROW(shape##_SUB, VSUB##w, 0, 0),               \
        ROW(shape##_MUL, VMUL##w, 0, 0), ROW(shape##_DIV, VDIV##w, 0, 0),               \
        ROW(shape##_PMIN, VMIN##w, SWAP, 0), ROW(shape##_PMAX, VMAX##w, SWAP, 0),       \
        ROW(shape##_SQRT, VSQRT##w, 0, 0), ROW(shape##_CEIL, VROUND##w, 0, ROUND_CEIL), \
        ROW(shape##_FLOOR, VROUND##w, 0, ROUND_FLOOR),                                  \
        ROW(shape##_TRUNC, VROUND##w, 0, ROUND_TRUNC),                                  \
        ROW(shape##_NEAREST, VROUND##w, 0, ROUND_NEAREST)

static const struct simple simple[256] = {
    SMALL_INTS(I8X16, B, UB),
    SMALL_INTS(I16X8, W, UW),
    SMALL_INTS(I32X4, D, UD),
    INTS(I64X2, Q),
    SATURATING(I8X16, B),
    SATURATING(I16X8, W),
    FLOATS(F32X4, PS),
    FLOATS(F64X2, PD),
    ROW(I16X8_MUL, VPMULLW, 0, 0),
    ROW(I32X4_MUL, VPMULLD, 0, 0),
    ROW(I32X4_DOT_I16X8_S, VPMADDWD, 0, 0),
    ROW(V128_AND, VPAND, 0, 0),
    ROW(V128_ANDNOT, VPANDN, SWAP, 0),
    ROW(V128_OR, VPOR, 0, 0),
    ROW(V128_XOR, VPXOR, 0, 0),
    ROW(I8X16_NARROW_I16X8_S, VPACKSSWB, 0, 0),
    ROW(I8X16_NARROW_I16X8_U, VPACKUSWB, 0, 0),
    ROW(I16X8_NARROW_I32X4_S, VPACKSSDW, 0, 0),
    ROW(I16X8_NARROW_I32X4_U, VPACKUSDW, 0, 0),
    ROW(I16X8_EXTEND_LOW_I8X16_S, VPMOVSXBW, NARROW, 0),
    ROW(I16X8_EXTEND_LOW_I8X16_U, VPMOVZXBW, NARROW, 0),
    ROW(I32X4_EXTEND_LOW_I16X8_S, VPMOVSXWD, NARROW, 0),
    ROW(I32X4_EXTEND_LOW_I16X8_U, VPMOVZXWD, NARROW, 0),
    ROW(I64X2_EXTEND_LOW_I32X4_S, VPMOVSXDQ, NARROW, 0),
    ROW(I64X2_EXTEND_LOW_I32X4_U, VPMOVZXDQ, NARROW, 0),
    ROW(F64X2_PROMOTE_LOW_F32X4, VCVTPS2PD, NARROW, 0),
    ROW(F32X4_DEMOTE_F64X2_ZERO, VCVTPD2PS, 0, 0),
    ROW(F32X4_CONVERT_I32X4_S, VCVTDQ2PS, 0, 0),
    ROW(F64X2_CONVERT_LOW_I32X4_S, VCVTDQ2PD, NARROW, 0),
};

uint8_t x64_simd_rm(const struct ir_ins *i) {
    const struct simple *s = &simple[i->aux];
    if (!s->mop || s->flags & NARROW) return 0;
    if (i->op == IR_VCOM) return FOLD_RM_A | FOLD_RM_B;
    return i->op == IR_VUN || s->flags & SWAP ? FOLD_RM_A : FOLD_RM_B;
}

static bool is_vector_const(const struct x64_lower *l, ir_ref r) {
    return x64_ins(l, x64_name(l, r))->op == IR_CONST;
}

bool x64_simd_rotation(const struct x64_lower *l, const struct ir_ins *i, ir_ref *out_value,
                       uint64_t out_order[2]) {
    static const uint8_t lane_of[256] = {
        [OP(I16X8_SHL)] = 16, [OP(I32X4_SHL)] = 32, [OP(I64X2_SHL)] = 64};
    if (i->aux != OP(V128_OR) || x64_ins(l, i->a)->op != IR_VSHIFT ||
        x64_ins(l, i->b)->op != IR_VSHIFT || l->uses[i->a] != 1 || l->uses[i->b] != 1)
        return false;
    const struct ir_ins *left = x64_ins(l, i->a), *right = x64_ins(l, i->b), *t = left;
    if (!lane_of[left->aux]) {
        left = right;
        right = t;
    }
    unsigned lane = lane_of[left->aux];
    uint64_t n, m;
    if (!lane || right->aux != left->aux + (OP(I16X8_SHR_U) - OP(I16X8_SHL)) ||
        left->a != right->a || !x64_is_const(l, left->b, &n) || !x64_is_const(l, right->b, &m))
        return false;
    n &= lane - 1;
    if (n == 0 || n % 8 || n + (m & (lane - 1)) != lane) return false;
    unsigned bytes = lane / 8, by = (unsigned)n / 8;
    out_order[0] = out_order[1] = 0;
    for (unsigned k = 0; k < 16; k++) {
        uint64_t from = (k & ~(bytes - 1)) + ((k + bytes - by) & (bytes - 1));
        out_order[k / 8] |= from << 8 * (k % 8);
    }
    *out_value = left->a;
    return true;
}
_Static_assert(OP(I32X4_SHR_U) - OP(I32X4_SHL) == OP(I16X8_SHR_U) - OP(I16X8_SHL) &&
                   OP(I64X2_SHR_U) - OP(I64X2_SHL) == OP(I16X8_SHR_U) - OP(I16X8_SHL),
               "the shapes number their shifts alike");

static void lower_simple(struct x64_lower *l, ir_ref r) {
    const struct ir_ins *i = x64_ins(l, r);
    if (l->fold[r] & FOLD_ROTATE) {
        ir_ref value;
        uint64_t order[2];
        x64_simd_rotation(l, i, &value, order);
        uint32_t a = x64_use(l, value);
        x64_v3p(l, x64_vreg_of(l, r), MOP_VPSHUFB, a, order[0], order[1]);
        return;
    }
    const struct simple *s = &simple[i->aux];
    uint8_t fold = l->fold[r] & (FOLD_RM_A | FOLD_RM_B);
    uint32_t result = x64_vreg_of(l, r), d = s->flags & NOT ? x64_new_vreg(l, IR_V128) : result;
    ir_ref left = i->a, right = i->b;
    bool exchange = s->flags & SWAP || (i->op == IR_VCOM && !(fold & FOLD_RM_B) &&
                                        (fold & FOLD_RM_A || is_vector_const(l, left)));
    if (exchange) {
        left = i->b;
        right = i->a;
    }
    bool unary = i->op == IR_VUN;
    uint32_t a = unary ? 0 : x64_use(l, left);
    struct x64_src b = x64_source(l, unary ? i->a : right, fold, false);
    x64_new(l, s->mop, 16)->imm = s->imm;
    x64_out(l, d);
    if (!unary) x64_in(l, a);
    x64_in_src(l, &b);
    if (s->flags & NOT) complement(l, result, d);
}

// ---- integers ------------------------------------------------------------------------------------

// a ≤ b is min(a, b) = a; a ≥ b is max(a, b) = a.
static void compare_unsigned(struct x64_lower *l, ir_ref r, enum x64_mop limit, enum x64_mop equal,
                             bool negate) {
    const struct ir_ins *i = x64_ins(l, r);
    uint32_t result = x64_vreg_of(l, r), a = x64_use(l, i->a), b = x64_use(l, i->b);
    uint32_t t = x64_v3(l, 0, limit, a, b);
    t = x64_v3(l, negate ? 0 : result, equal, a, t);
    if (negate) complement(l, result, t);
}

// By 32-bit halves: low · low + (low · high + high · low) · 2³².
static void mul64(struct x64_lower *l, uint32_t d, uint32_t a, uint32_t b) {
    uint32_t t = x64_v3(l, 0, MOP_VPMULUDQ, x64_v2i(l, 0, MOP_VPSRLQI, a, 32), b);
    uint32_t u = x64_v3(l, 0, MOP_VPMULUDQ, x64_v2i(l, 0, MOP_VPSRLQI, b, 32), a);
    t = x64_v2i(l, 0, MOP_VPSLLQI, x64_v3(l, 0, MOP_VPADDQ, t, u), 32);
    x64_v3(l, d, MOP_VPADDQ, t, x64_v3(l, 0, MOP_VPMULUDQ, a, b));
}

// (x ^ s) − s with s = −1 where x is negative.
static void abs64(struct x64_lower *l, uint32_t d, uint32_t a) {
    uint32_t s = x64_v3(l, 0, MOP_VPCMPGTQ, x64_vzero(l), a);
    x64_v3(l, d, MOP_VPSUBQ, x64_v3(l, 0, MOP_VPXOR, a, s), s);
}

// By nibbles, from a table.
static void popcnt8(struct x64_lower *l, uint32_t d, uint32_t a) {
    uint32_t table = x64_imm_vector(l, 0x0302020102010100u, 0x0403030203020201u);
    uint32_t low = x64_v3p(l, 0, MOP_VPAND, a, REPEAT8(15), REPEAT8(15));
    uint32_t high =
        x64_v3p(l, 0, MOP_VPAND, x64_v2i(l, 0, MOP_VPSRLWI, a, 4), REPEAT8(15), REPEAT8(15));
    low = x64_v3(l, 0, MOP_VPSHUFB, table, low);
    x64_v3(l, d, MOP_VPADDB, low, x64_v3(l, 0, MOP_VPSHUFB, table, high));
}

// The product of −32768 with itself alone comes out wrong, and as the only one with that sign.
static void q15mulr(struct x64_lower *l, uint32_t d, uint32_t a, uint32_t b) {
    uint32_t t = x64_v3(l, 0, MOP_VPMULHRSW, a, b);
    x64_v3(l, d, MOP_VPXOR, t, x64_v3p(l, 0, MOP_VPCMPEQW, t, REPEAT16(0x8000), REPEAT16(0x8000)));
}

static void extend_multiply(struct x64_lower *l, uint32_t d, uint32_t op, uint32_t a, uint32_t b) {
    bool high = op & 1, is_unsigned; // each group is low_s, high_s, low_u, high_u from an even number
    uint32_t t, u;
    if (op <= OP(I16X8_EXTMUL_HIGH_I8X16_U)) {
        is_unsigned = op >= OP(I16X8_EXTMUL_LOW_I8X16_U);
        enum x64_mop extend = is_unsigned ? MOP_VPMOVZXBW : MOP_VPMOVSXBW;
        t = x64_v2(l, 0, extend, high ? upper_half(l, a) : a);
        u = x64_v2(l, 0, extend, high ? upper_half(l, b) : b);
        x64_v3(l, d, MOP_VPMULLW, t, u);
    } else if (op <= OP(I32X4_EXTMUL_HIGH_I16X8_U)) {
        is_unsigned = op >= OP(I32X4_EXTMUL_LOW_I16X8_U);
        t = x64_v3(l, 0, MOP_VPMULLW, a, b);
        u = x64_v3(l, 0, is_unsigned ? MOP_VPMULHUW : MOP_VPMULHW, a, b);
        x64_v3(l, d, high ? MOP_VPUNPCKHWD : MOP_VPUNPCKLWD, t, u);
    } else {
        is_unsigned = op >= OP(I64X2_EXTMUL_LOW_I32X4_U);
        t = x64_v2i(l, 0, MOP_VPSHUFD, a, high ? 0xfa : 0x50);
        u = x64_v2i(l, 0, MOP_VPSHUFD, b, high ? 0xfa : 0x50);
        x64_v3(l, d, is_unsigned ? MOP_VPMULUDQ : MOP_VPMULDQ, t, u);
    }
}
_Static_assert(OP(I16X8_EXTMUL_LOW_I8X16_S) % 2 == 0 && OP(I32X4_EXTMUL_LOW_I16X8_S) % 2 == 0 &&
                   OP(I64X2_EXTMUL_LOW_I32X4_S) % 2 == 0,
               "odd numbers are the high halves");

static void extend_high(struct x64_lower *l, uint32_t d, enum x64_mop op, uint32_t a) {
    x64_v2(l, d, op, upper_half(l, a));
}

static void add_pairs(struct x64_lower *l, uint32_t d, uint32_t op, uint32_t a) {
    uint32_t t;
    switch (op) {
    case OP(I16X8_EXTADD_PAIRWISE_I8X16_S): // vpmaddubsw takes its first operand as unsigned
        x64_v3(l, d, MOP_VPMADDUBSW, x64_imm_vector(l, REPEAT8(1), REPEAT8(1)), a);
        break;
    case OP(I16X8_EXTADD_PAIRWISE_I8X16_U):
        x64_v3p(l, d, MOP_VPMADDUBSW, a, REPEAT8(1), REPEAT8(1));
        break;
    case OP(I32X4_EXTADD_PAIRWISE_I16X8_S):
        x64_v3p(l, d, MOP_VPMADDWD, a, REPEAT16(1), REPEAT16(1));
        break;
    default: // signed, 32768 less each
        t = x64_v3p(l, 0, MOP_VPXOR, a, REPEAT16(0x8000), REPEAT16(0x8000));
        t = x64_v3p(l, 0, MOP_VPMADDWD, t, REPEAT16(1), REPEAT16(1));
        x64_v3p(l, d, MOP_VPADDD, t, REPEAT32(0x10000), REPEAT32(0x10000));
    }
}

// ---- shifts --------------------------------------------------------------------------------------

// The count modulo `lane` bits plus `more`, as the shifts by an xmm want it.
static uint32_t count_in_xmm(struct x64_lower *l, uint32_t count, unsigned lane, unsigned more) {
    uint32_t v = x64_new_vreg(l, IR_I32), x = x64_new_vreg(l, IR_V128);
    struct x64_insn *n = x64_new(l, MOP_AND, 4);
    n->has_imm = true;
    n->imm = lane - 1;
    x64_out_reuse(l, v);
    x64_in(l, count);
    if (more) {
        uint32_t sum = x64_new_vreg(l, IR_I32);
        n = x64_new(l, MOP_ADD, 4);
        n->has_imm = true;
        n->imm = more;
        x64_out_reuse(l, sum);
        x64_in(l, v);
        v = sum;
    }
    x64_new(l, MOP_MOVIF, 4);
    x64_out(l, x);
    x64_in(l, v);
    return x;
}

// There are no shifts of bytes: words are shifted, and what came from the neighbour is masked off.
static void shift8_const(struct x64_lower *l, uint32_t d, uint32_t op, uint32_t a, unsigned n) {
    uint64_t left = REPEAT8(0xff << n & 0xff), right = REPEAT8(0xff >> n), sign = REPEAT8(0x80 >> n);
    uint32_t t;
    switch (op) {
    case OP(I8X16_SHL):
        x64_v3p(l, d, MOP_VPAND, x64_v2i(l, 0, MOP_VPSLLWI, a, n), left, left);
        break;
    case OP(I8X16_SHR_U):
        x64_v3p(l, d, MOP_VPAND, x64_v2i(l, 0, MOP_VPSRLWI, a, n), right, right);
        break;
    default:
        t = x64_v3p(l, 0, MOP_VPAND, x64_v2i(l, 0, MOP_VPSRLWI, a, n), right, right);
        t = x64_v3p(l, 0, MOP_VPXOR, t, sign, sign); // the sign's copies come by the borrow
        x64_v3p(l, d, MOP_VPSUBB, t, sign, sign);
    }
}

static void shift8(struct x64_lower *l, uint32_t d, uint32_t op, uint32_t a, uint32_t count) {
    uint32_t n8 = count_in_xmm(l, count, 8, 8), n, mask, low, high;
    if (op == OP(I8X16_SHR_S)) { // in the upper bytes of words
        low = x64_v3(l, 0, MOP_VPSRAW, x64_v3(l, 0, MOP_VPUNPCKLBW, a, a), n8);
        high = x64_v3(l, 0, MOP_VPSRAW, x64_v3(l, 0, MOP_VPUNPCKHBW, a, a), n8);
        x64_v3(l, d, MOP_VPACKSSWB, low, high);
        return;
    }
    n = count_in_xmm(l, count, 8, 0);
    mask = x64_v3(l, 0, MOP_VPSRLW, ones(l), n8); // 0xff >> n in every word, then in every byte
    mask = x64_v3(l, 0, MOP_VPACKUSWB, mask, mask);
    if (op == OP(I8X16_SHL))
        x64_v3(l, d, MOP_VPSLLW, x64_v3(l, 0, MOP_VPAND, a, mask), n);
    else
        x64_v3(l, d, MOP_VPAND, x64_v3(l, 0, MOP_VPSRLW, a, n), mask);
}

static void lower_shift(struct x64_lower *l, ir_ref r) {
    static const struct {
        uint8_t op, imm_op, lane;
    } of[256] = {
        [OP(I8X16_SHL)] = {0, 0, 8},
        [OP(I8X16_SHR_S)] = {0, 0, 8},
        [OP(I8X16_SHR_U)] = {0, 0, 8},
        [OP(I16X8_SHL)] = {MOP_VPSLLW, MOP_VPSLLWI, 16},
        [OP(I16X8_SHR_S)] = {MOP_VPSRAW, MOP_VPSRAWI, 16},
        [OP(I16X8_SHR_U)] = {MOP_VPSRLW, MOP_VPSRLWI, 16},
        [OP(I32X4_SHL)] = {MOP_VPSLLD, MOP_VPSLLDI, 32},
        [OP(I32X4_SHR_S)] = {MOP_VPSRAD, MOP_VPSRADI, 32},
        [OP(I32X4_SHR_U)] = {MOP_VPSRLD, MOP_VPSRLDI, 32},
        [OP(I64X2_SHL)] = {MOP_VPSLLQ, MOP_VPSLLQI, 64},
        [OP(I64X2_SHR_S)] = {MOP_VPSRLQ, MOP_VPSRLQI, 64},
        [OP(I64X2_SHR_U)] = {MOP_VPSRLQ, MOP_VPSRLQI, 64},
    };
    const struct ir_ins *i = x64_ins(l, r);
    unsigned lane = of[i->aux].lane;
    bool sign64 = i->aux == OP(I64X2_SHR_S);
    uint64_t bits, top = 1ull << 63;
    uint32_t d = x64_vreg_of(l, r), a = x64_use(l, i->a);
    if (x64_is_const(l, i->b, &bits)) {
        unsigned n = (unsigned)bits & (lane - 1);
        if (lane == 8) {
            shift8_const(l, d, i->aux, a, n);
        } else if (sign64) {
            uint32_t t = x64_v2i(l, 0, MOP_VPSRLQI, a, n);
            t = x64_v3p(l, 0, MOP_VPXOR, t, top >> n, top >> n);
            x64_v3p(l, d, MOP_VPSUBQ, t, top >> n, top >> n);
        } else {
            x64_v2i(l, d, of[i->aux].imm_op, a, n);
        }
        return;
    }
    uint32_t count = x64_use(l, i->b);
    if (lane == 8) {
        shift8(l, d, i->aux, a, count);
        return;
    }
    uint32_t n = count_in_xmm(l, count, lane, 0);
    if (!sign64) {
        x64_v3(l, d, of[i->aux].op, a, n);
        return;
    }
    uint32_t sign = x64_v3(l, 0, MOP_VPSRLQ, x64_imm_vector(l, top, top), n);
    uint32_t t = x64_v3(l, 0, MOP_VPXOR, x64_v3(l, 0, MOP_VPSRLQ, a, n), sign);
    x64_v3(l, d, MOP_VPSUBQ, t, sign);
}

// ---- floating point ------------------------------------------------------------------------------

// Both orders, because the hardware's minimum gives its second operand for NaNs and zeros; then "or" keeps the sign of a zero and makes
// a NaN of any NaN. Canonical: the payload is cleared but for its first bit.
static void lower_min(struct x64_lower *l, uint32_t d, uint32_t a, uint32_t b, bool is_double) {
    enum x64_mop min = is_double ? MOP_VMINPD : MOP_VMINPS;
    uint32_t t = x64_v3(l, 0, MOP_VORPS, x64_v3(l, 0, min, a, b), x64_v3(l, 0, min, b, a));
    uint32_t nan = x64_v3i(l, 0, is_double ? MOP_VCMPPD : MOP_VCMPPS, t, t, CMP_UNORD);
    t = x64_v3(l, 0, MOP_VORPS, t, nan);
    nan = x64_v2i(l, 0, is_double ? MOP_VPSRLQI : MOP_VPSRLDI, nan, is_double ? 13 : 10);
    x64_v3(l, d, MOP_VANDNPS, nan, t);
}

// The same; of two zeros the difference has the sign bit alone, and −0 − −0 is +0.
static void lower_max(struct x64_lower *l, uint32_t d, uint32_t a, uint32_t b, bool is_double) {
    enum x64_mop max = is_double ? MOP_VMAXPD : MOP_VMAXPS;
    uint32_t t = x64_v3(l, 0, max, a, b);
    uint32_t differ = x64_v3(l, 0, MOP_VXORPS, t, x64_v3(l, 0, max, b, a));
    t = x64_v3(l, 0, MOP_VORPS, t, differ);
    t = x64_v3(l, 0, is_double ? MOP_VSUBPD : MOP_VSUBPS, t, differ);
    uint32_t nan = x64_v3i(l, 0, is_double ? MOP_VCMPPD : MOP_VCMPPS, t, t, CMP_UNORD);
    nan = x64_v2i(l, 0, is_double ? MOP_VPSRLQI : MOP_VPSRLDI, nan, is_double ? 13 : 10);
    x64_v3(l, d, MOP_VANDNPS, nan, t);
}

#define F32_2_31 REPEAT32(0x4f000000u) // 2³¹ as floats
#define F32_2_16 REPEAT32(0x47800000u)
#define F64_2_52 0x4330000000000000u
#define F64_INT_MAX 0x41dfffffffc00000u  // 2³¹ − 1
#define F64_UINT_MAX 0x41efffffffe00000u // 2³² − 1

// vcvttps2dq gives 0x80000000 for all that does not fit: right for negative numbers, wrong in every bit for positive ones.
static void trunc_f32_s(struct x64_lower *l, uint32_t d, uint32_t a) {
    uint32_t t = x64_v3(l, 0, MOP_VANDPS, a, x64_v3i(l, 0, MOP_VCMPPS, a, a, CMP_EQ)); // NaN → 0
    uint32_t big = x64_v3p(l, 0, MOP_VCMPPS, t, F32_2_31, F32_2_31);
    l->out.insn[l->out.insns - 1].imm = CMP_NLT;
    x64_v3(l, d, MOP_VPXOR, x64_v2(l, 0, MOP_VCVTTPS2DQ, t), big);
}

// In two parts: what vcvttps2dq can do, which leaves 2³¹ for all that is larger, and the rest of these.
static void trunc_f32_u(struct x64_lower *l, uint32_t d, uint32_t a) {
    uint32_t none = x64_vzero(l), t = x64_v3(l, 0, MOP_VMAXPS, a, none); // NaN and negative → 0
    uint32_t rest = x64_v3p(l, 0, MOP_VSUBPS, t, F32_2_31, F32_2_31);
    uint32_t huge = x64_v3p(l, 0, MOP_VCMPPS, rest, F32_2_31, F32_2_31);
    l->out.insn[l->out.insns - 1].imm = CMP_NLT;
    rest = x64_v3(l, 0, MOP_VPXOR, x64_v2(l, 0, MOP_VCVTTPS2DQ, rest), huge);
    rest = x64_v3(l, 0, MOP_VPMAXSD, rest, none);
    x64_v3(l, d, MOP_VPADDD, x64_v2(l, 0, MOP_VCVTTPS2DQ, t), rest);
}

// The limit, or 0 in place of a NaN, is the second operand, which vminpd gives for NaNs.
static void trunc_f64_s(struct x64_lower *l, uint32_t d, uint32_t a) {
    uint32_t limit = x64_v3i(l, 0, MOP_VCMPPD, a, a, CMP_EQ);
    limit = x64_v3p(l, 0, MOP_VANDPS, limit, F64_INT_MAX, F64_INT_MAX);
    x64_v2(l, d, MOP_VCVTTPD2DQ, x64_v3(l, 0, MOP_VMINPD, a, limit));
}

// A whole number below 2³² added to 2⁵² stands in the lower half of the sum.
static void trunc_f64_u(struct x64_lower *l, uint32_t d, uint32_t a) {
    uint32_t none = x64_vzero(l), t = x64_v3(l, 0, MOP_VMAXPD, a, none);
    t = x64_v3p(l, 0, MOP_VMINPD, t, F64_UINT_MAX, F64_UINT_MAX);
    t = x64_v2i(l, 0, MOP_VROUNDPD, t, ROUND_TRUNC);
    t = x64_v3p(l, 0, MOP_VADDPD, t, F64_2_52, F64_2_52);
    x64_v3i(l, d, MOP_VSHUFPS, t, none, 0x88);
}

// Upper and lower 16 bits are exact; only the sum is rounded.
static void convert_f32_u(struct x64_lower *l, uint32_t d, uint32_t a) {
    uint32_t low = x64_v3p(l, 0, MOP_VPAND, a, REPEAT32(0xffffu), REPEAT32(0xffffu));
    uint32_t high = x64_v2(l, 0, MOP_VCVTDQ2PS, x64_v2i(l, 0, MOP_VPSRLDI, a, 16));
    high = x64_v3p(l, 0, MOP_VMULPS, high, F32_2_16, F32_2_16);
    x64_v3(l, d, MOP_VADDPS, high, x64_v2(l, 0, MOP_VCVTDQ2PS, low));
}

static void convert_f64_u(struct x64_lower *l, uint32_t d, uint32_t a) {
    uint64_t exponent = REPEAT32(0x43300000u);
    uint32_t t = x64_v3p(l, 0, MOP_VPUNPCKLDQ, a, exponent, exponent);
    x64_v3p(l, d, MOP_VSUBPD, t, F64_2_52, F64_2_52);
}

// ---- tests ---------------------------------------------------------------------------------------

static void lower_test(struct x64_lower *l, ir_ref r) {
    const struct ir_ins *i = x64_ins(l, r);
    uint32_t a = x64_use(l, i->a), d = x64_vreg_of(l, r);
    enum x64_mop op = MOP_NONE, equal = MOP_NONE;
    switch (i->aux) {
    case OP(I16X8_BITMASK): a = x64_v3(l, 0, MOP_VPACKSSWB, a, x64_vzero(l)); // fall through
    case OP(I8X16_BITMASK): op = MOP_VPMOVMSKB; break;
    case OP(I32X4_BITMASK): op = MOP_VMOVMSKPS; break;
    case OP(I64X2_BITMASK): op = MOP_VMOVMSKPD; break;
    case OP(I8X16_ALL_TRUE): equal = MOP_VPCMPEQB; break;
    case OP(I16X8_ALL_TRUE): equal = MOP_VPCMPEQW; break;
    case OP(I32X4_ALL_TRUE): equal = MOP_VPCMPEQD; break;
    case OP(I64X2_ALL_TRUE): equal = MOP_VPCMPEQQ; break;
    }
    if (op) {
        x64_new(l, op, 4);
        x64_out(l, d);
        x64_in(l, a);
        return;
    }
    if (equal)
        a = x64_v3(l, 0, equal, a, x64_vzero(l)); // no lane is zero: the comparison's result is
    x64_new(l, MOP_VPTEST, 16);
    x64_in(l, a);
    x64_in(l, a);
    x64_new(l, MOP_SETCC, 4)->cc = equal ? CC_E : CC_NE;
    x64_out(l, d);
}

// ---- the rest ------------------------------------------------------------------------------------

static void lower_unary(struct x64_lower *l, ir_ref r) {
    const struct ir_ins *i = x64_ins(l, r);
    uint64_t sign32 = REPEAT32(0x80000000u), sign64 = 1ull << 63;
    uint32_t d = x64_vreg_of(l, r), a = x64_use(l, i->a);
    switch (i->aux) {
    case OP(V128_NOT): complement(l, d, a); break;
    case OP(I8X16_NEG): x64_v3(l, d, MOP_VPSUBB, x64_vzero(l), a); break;
    case OP(I16X8_NEG): x64_v3(l, d, MOP_VPSUBW, x64_vzero(l), a); break;
    case OP(I32X4_NEG): x64_v3(l, d, MOP_VPSUBD, x64_vzero(l), a); break;
    case OP(I64X2_NEG): x64_v3(l, d, MOP_VPSUBQ, x64_vzero(l), a); break;
    case OP(I64X2_ABS): abs64(l, d, a); break;
    case OP(I8X16_POPCNT): popcnt8(l, d, a); break;
    case OP(F32X4_ABS): x64_v3p(l, d, MOP_VANDPS, a, ~sign32, ~sign32); break;
    case OP(F32X4_NEG): x64_v3p(l, d, MOP_VXORPS, a, sign32, sign32); break;
    case OP(F64X2_ABS): x64_v3p(l, d, MOP_VANDPS, a, ~sign64, ~sign64); break;
    case OP(F64X2_NEG): x64_v3p(l, d, MOP_VXORPS, a, sign64, sign64); break;
    case OP(I16X8_EXTEND_HIGH_I8X16_S): extend_high(l, d, MOP_VPMOVSXBW, a); break;
    case OP(I16X8_EXTEND_HIGH_I8X16_U): x64_v3(l, d, MOP_VPUNPCKHBW, a, x64_vzero(l)); break;
    case OP(I32X4_EXTEND_HIGH_I16X8_S): extend_high(l, d, MOP_VPMOVSXWD, a); break;
    case OP(I32X4_EXTEND_HIGH_I16X8_U): x64_v3(l, d, MOP_VPUNPCKHWD, a, x64_vzero(l)); break;
    case OP(I64X2_EXTEND_HIGH_I32X4_S): extend_high(l, d, MOP_VPMOVSXDQ, a); break;
    case OP(I64X2_EXTEND_HIGH_I32X4_U): x64_v3(l, d, MOP_VPUNPCKHDQ, a, x64_vzero(l)); break;
    case OP(I32X4_TRUNC_SAT_F32X4_S): trunc_f32_s(l, d, a); break;
    case OP(I32X4_TRUNC_SAT_F32X4_U): trunc_f32_u(l, d, a); break;
    case OP(I32X4_TRUNC_SAT_F64X2_S_ZERO): trunc_f64_s(l, d, a); break;
    case OP(I32X4_TRUNC_SAT_F64X2_U_ZERO): trunc_f64_u(l, d, a); break;
    case OP(F32X4_CONVERT_I32X4_U): convert_f32_u(l, d, a); break;
    case OP(F64X2_CONVERT_LOW_I32X4_U): convert_f64_u(l, d, a); break;
    default: add_pairs(l, d, i->aux, a);
    }
}

static void lower_binary(struct x64_lower *l, ir_ref r) {
    const struct ir_ins *i = x64_ins(l, r);
    switch (i->aux) {
    case OP(I8X16_LT_U): compare_unsigned(l, r, MOP_VPMAXUB, MOP_VPCMPEQB, true); return;
    case OP(I8X16_GT_U): compare_unsigned(l, r, MOP_VPMINUB, MOP_VPCMPEQB, true); return;
    case OP(I8X16_LE_U): compare_unsigned(l, r, MOP_VPMINUB, MOP_VPCMPEQB, false); return;
    case OP(I8X16_GE_U): compare_unsigned(l, r, MOP_VPMAXUB, MOP_VPCMPEQB, false); return;
    case OP(I16X8_LT_U): compare_unsigned(l, r, MOP_VPMAXUW, MOP_VPCMPEQW, true); return;
    case OP(I16X8_GT_U): compare_unsigned(l, r, MOP_VPMINUW, MOP_VPCMPEQW, true); return;
    case OP(I16X8_LE_U): compare_unsigned(l, r, MOP_VPMINUW, MOP_VPCMPEQW, false); return;
    case OP(I16X8_GE_U): compare_unsigned(l, r, MOP_VPMAXUW, MOP_VPCMPEQW, false); return;
    case OP(I32X4_LT_U): compare_unsigned(l, r, MOP_VPMAXUD, MOP_VPCMPEQD, true); return;
    case OP(I32X4_GT_U): compare_unsigned(l, r, MOP_VPMINUD, MOP_VPCMPEQD, true); return;
    case OP(I32X4_LE_U): compare_unsigned(l, r, MOP_VPMINUD, MOP_VPCMPEQD, false); return;
    case OP(I32X4_GE_U): compare_unsigned(l, r, MOP_VPMAXUD, MOP_VPCMPEQD, false); return;
    }
    uint32_t d = x64_vreg_of(l, r), a = x64_use(l, i->a), b = x64_use(l, i->b);
    switch (i->aux) {
    case OP(I8X16_SWIZZLE): // numbers from 16 on get their sign bit, which makes a zero
        x64_v3(l, d, MOP_VPSHUFB, a, x64_v3p(l, 0, MOP_VPADDUSB, b, REPEAT8(0x70), REPEAT8(0x70)));
        break;
    case OP(I64X2_MUL): mul64(l, d, a, b); break;
    case OP(I16X8_Q15MULR_SAT_S): q15mulr(l, d, a, b); break;
    case OP(F32X4_MIN): lower_min(l, d, a, b, false); break;
    case OP(F32X4_MAX): lower_max(l, d, a, b, false); break;
    case OP(F64X2_MIN): lower_min(l, d, a, b, true); break;
    case OP(F64X2_MAX): lower_max(l, d, a, b, true); break;
    default: extend_multiply(l, d, i->aux, a, b);
    }
}

static void lower_bitselect(struct x64_lower *l, ir_ref r) {
    const struct ir_ins *i = x64_ins(l, r);
    uint32_t yes = x64_use(l, i->a), no = x64_use(l, i->b), mask = x64_use(l, i->c);
    uint32_t t = x64_v3(l, 0, MOP_VPAND, yes, mask);
    x64_v3(l, x64_vreg_of(l, r), MOP_VPOR, t, x64_v3(l, 0, MOP_VPANDN, mask, no));
}

void x64_lower_simd(struct x64_lower *l, ir_ref r) {
    const struct ir_ins *i = x64_ins(l, r);
    bool is_simple = simple[i->aux].mop;
    switch (i->op) {
    case IR_VUN: is_simple ? lower_simple(l, r) : lower_unary(l, r); break;
    case IR_VBIN:
    case IR_VCOM: is_simple ? lower_simple(l, r) : lower_binary(l, r); break;
    case IR_VBITSELECT: lower_bitselect(l, r); break;
    case IR_VSHIFT: lower_shift(l, r); break;
    case IR_VTEST: lower_test(l, r); break;
    case IR_VSPLAT:
    case IR_VEXTRACT:
    case IR_VREPLACE:
    case IR_VLOAD:
    case IR_VLOAD_LANE:
    case IR_VSTORE_LANE: x64_lower_lanes(l, r); break;
    case IR_VSHUFFLE: x64_lower_shuffle(l, r); break;
    }
}
