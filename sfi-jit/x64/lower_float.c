// lower_float.c — floating point and conversions (WebAssembly 4.3.3, 4.3.4).
//
// The hardware's NaN rules satisfy WebAssembly's: an arithmetic result is quiet, and canonical if all NaN operands are. Minimum, maximum,
// and conversions to integers need more than one instruction with branches inside: those are single machine operators, written out
// by emit_float.c.
#include "sfi-jit/x64/lower.h"

static void scalar3(struct x64_lower *l, enum x64_mop op, ir_ref r) {
    const struct ir_ins *i = x64_ins(l, r);
    uint8_t fold = l->fold[r];
    uint64_t bits;
    bool exchange = ir_op_info[i->op].flags & IRF_COMM && !(fold & FOLD_RM_B) &&
                    (fold & FOLD_RM_A || x64_is_const(l, i->a, &bits));
    uint32_t a = x64_use(l, exchange ? i->b : i->a);
    struct x64_src b = x64_source(l, exchange ? i->a : i->b, fold & (FOLD_RM_A | FOLD_RM_B), false);
    x64_new(l, op, 0)->fsize = x64_size(i->type);
    x64_out(l, x64_vreg_of(l, r));
    x64_in(l, a);
    x64_in_src(l, &b);
}

static struct x64_insn *scalar2(struct x64_lower *l, enum x64_mop op, ir_ref r) {
    const struct ir_ins *i = x64_ins(l, r);
    uint8_t fsize = x64_size(x64_ins(l, i->a)->type);
    struct x64_src a = x64_source(l, i->a, l->fold[r] & FOLD_RM_A, false);
    struct x64_insn *n = x64_new(l, op, 0);
    n->fsize = fsize;
    x64_out(l, x64_vreg_of(l, r));
    x64_in_src(l, &a);
    return n;
}

// SSE4.1's rounding modes, with the inexact exception masked: ROUNDSD's imm8.
static void round_to(struct x64_lower *l, ir_ref r, unsigned mode) {
    scalar2(l, MOP_VROUND, r)->imm = mode | 8;
}

// d = a op mask, bit by bit, the mask being repeated over 16 bytes.
static void bitwise(struct x64_lower *l, enum x64_mop op, uint32_t d, uint32_t a, uint8_t fsize,
                    bool sign) {
    uint64_t mask = fsize == 4 ? 0x8000000080000000u : 0x8000000000000000u;
    if (!sign) mask = ~mask;
    struct x64_insn *n = x64_new(l, op, 0);
    n->fsize = fsize;
    n->mem = XM_POOL;
    n->disp = (int32_t)x64_pool(l->module, 16, mask, mask);
    x64_out(l, d);
    x64_in(l, a);
}

static void lower_sign(struct x64_lower *l, ir_ref r) {
    const struct ir_ins *i = x64_ins(l, r);
    uint8_t fsize = x64_size(i->type);
    uint32_t a = x64_use(l, i->a);
    if (i->op != IR_FCOPYSIGN) {
        bool neg = i->op == IR_FNEG;
        bitwise(l, neg ? MOP_VXOR : MOP_VAND, x64_vreg_of(l, r), a, fsize, neg);
        return;
    }
    uint32_t b = x64_use(l, i->b), magnitude = x64_new_vreg(l, i->type),
             sign = x64_new_vreg(l, i->type);
    bitwise(l, MOP_VAND, magnitude, a, fsize, false);
    bitwise(l, MOP_VAND, sign, b, fsize, true);
    x64_new(l, MOP_VOR, 0)->fsize = fsize;
    x64_out(l, x64_vreg_of(l, r));
    x64_in(l, magnitude);
    x64_in(l, sign);
}

static void lower_minmax(struct x64_lower *l, ir_ref r) {
    const struct ir_ins *i = x64_ins(l, r);
    uint32_t a = x64_use(l, i->a), b = x64_use(l, i->b);
    x64_new(l, i->op == IR_FMIN ? MOP_FMIN : MOP_FMAX, 0)->fsize = x64_size(i->type);
    x64_out(l, x64_vreg_of(l, r));
    x64_in_late(l, a); // read after the result's first half is written
    x64_in_late(l, b);
}

static void lower_from_int(struct x64_lower *l, ir_ref r) {
    const struct ir_ins *i = x64_ins(l, r);
    uint8_t from = x64_ins(l, i->a)->type, fsize = x64_size(i->type);
    uint32_t a = x64_use(l, i->a);
    if (i->op == IR_U2F && from == IR_I64) {
        uint32_t t = x64_new_vreg(l, IR_I64);
        x64_new(l, MOP_UTOF, 8)->fsize = fsize;
        x64_out(l, x64_vreg_of(l, r));
        x64_operand(l, t, RA_DEF, RA_EARLY, RA_REG, 0);
        x64_in(l, a);
        return;
    }
    if (i->op == IR_U2F) { // as a signed number of 64 bits
        uint32_t wide = x64_new_vreg(l, IR_I64);
        x64_new(l, MOP_MOV32, 4);
        x64_out(l, wide);
        x64_in(l, a);
        a = wide;
    }
    x64_new(l, MOP_ITOF, i->op == IR_U2F ? 8 : x64_size(from))->fsize = fsize;
    x64_out(l, x64_vreg_of(l, r));
    x64_in_any(l, a);
}

static void lower_to_int(struct x64_lower *l, ir_ref r) {
    const struct ir_ins *i = x64_ins(l, r);
    bool is_signed = i->op == IR_F2S || i->op == IR_F2S_SAT;
    bool saturate = i->op == IR_F2S_SAT || i->op == IR_F2U_SAT;
    uint32_t a = x64_use(l, i->a);
    struct x64_insn *n = x64_new(l, MOP_FTOI, x64_size(i->type));
    n->fsize = x64_size(x64_ins(l, i->a)->type);
    n->imm = (is_signed ? FTOI_SIGNED : 0u) | (saturate ? FTOI_SATURATE : 0u);
    x64_out(l, x64_vreg_of(l, r));
    x64_in(l, a);
}

static void lower_bitcast(struct x64_lower *l, ir_ref r) {
    const struct ir_ins *i = x64_ins(l, r);
    uint32_t a = x64_use(l, i->a);
    x64_new(l, x64_is_float(i->type) ? MOP_MOVIF : MOP_MOVFI, x64_size(i->type));
    x64_out(l, x64_vreg_of(l, r));
    x64_in(l, a);
}

void x64_lower_float(struct x64_lower *l, ir_ref r) {
    switch (x64_ins(l, r)->op) {
    case IR_FADD: scalar3(l, MOP_VADD, r); break;
    case IR_FSUB: scalar3(l, MOP_VSUB, r); break;
    case IR_FMUL: scalar3(l, MOP_VMUL, r); break;
    case IR_FDIV: scalar3(l, MOP_VDIV, r); break;
    case IR_FMIN:
    case IR_FMAX: lower_minmax(l, r); break;
    case IR_FABS:
    case IR_FNEG:
    case IR_FCOPYSIGN: lower_sign(l, r); break;
    case IR_FSQRT: scalar2(l, MOP_VSQRT, r); break;
    case IR_FNEAREST: round_to(l, r, 0); break;
    case IR_FFLOOR: round_to(l, r, 1); break;
    case IR_FCEIL: round_to(l, r, 2); break;
    case IR_FTRUNC: round_to(l, r, 3); break;
    case IR_PROMOTE:
    case IR_DEMOTE: scalar2(l, MOP_VCVTF, r); break;
    case IR_S2F:
    case IR_U2F: lower_from_int(l, r); break;
    case IR_F2S:
    case IR_F2U:
    case IR_F2S_SAT:
    case IR_F2U_SAT: lower_to_int(l, r); break;
    case IR_BITCAST: lower_bitcast(l, r); break;
    }
}
