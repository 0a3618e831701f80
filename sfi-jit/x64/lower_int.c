// lower_int.c — integer operators, comparisons as values, SELECT.
#include "sfi-jit/x64/lower.h"

static struct x64_insn *unary(struct x64_lower *l, enum x64_mop op, uint8_t size, ir_ref r, ir_ref a) {
    struct x64_src from = x64_source(l, a, l->fold[r] & FOLD_RM_A, false);
    struct x64_insn *n = x64_new(l, op, size);
    x64_out(l, x64_vreg_of(l, r));
    x64_in_src(l, &from);
    return n;
}

// d = a op b with d in a's register, or in b's if they may change places.
static void two_address(struct x64_lower *l, enum x64_mop op, ir_ref r, ir_ref a,
                        const struct x64_src *b) {
    const struct ir_ins *i = x64_ins(l, r);
    uint32_t left = x64_use(l, a);
    x64_new(l, op, x64_size(i->type));
    l->out.ra[l->out.insns - 1].commutes = b->kind == SRC_VREG && ir_op_info[i->op].flags & IRF_COMM;
    x64_out_reuse(l, x64_vreg_of(l, r));
    x64_in(l, left);
    x64_in_src(l, b);
}

// a op immediate with d in a's register.
static void with_imm(struct x64_lower *l, enum x64_mop op, uint8_t size, ir_ref r, uint32_t a,
                     uint64_t imm) {
    struct x64_insn *n = x64_new(l, op, size);
    n->has_imm = true;
    n->imm = imm;
    x64_out_reuse(l, x64_vreg_of(l, r));
    x64_in(l, a);
}

static struct x64_insn *lea(struct x64_lower *l, ir_ref r, uint8_t mem, uint32_t base, uint32_t index) {
    struct x64_insn *n = x64_new(l, MOP_LEA, x64_size(x64_ins(l, r)->type));
    n->mem = mem;
    x64_out(l, x64_vreg_of(l, r));
    if (base) x64_in(l, base);
    if (index) x64_in(l, index);
    return n;
}

// Binary operators. What cannot be in a register on the left goes to the right.
static void binary(struct x64_lower *l, enum x64_mop op, ir_ref r) {
    const struct ir_ins *i = x64_ins(l, r);
    uint8_t fold = l->fold[r];
    uint64_t bits;
    bool exchange = ir_op_info[i->op].flags & IRF_COMM && !(fold & FOLD_RM_B) &&
                    (fold & FOLD_RM_A || x64_is_const(l, i->a, &bits));
    struct x64_src right = x64_source(l, exchange ? i->a : i->b, fold & (FOLD_RM_A | FOLD_RM_B), true);
    two_address(l, op, r, exchange ? i->b : i->a, &right);
}

// ---- addition ----------------------------------------------------------------------------------

static void add_imm(struct x64_lower *l, ir_ref r, ir_ref a, uint64_t imm, uint8_t size) {
    uint32_t left = x64_use(l, a);
    if (l->uses[x64_name(l, a)] == 1)
        with_imm(l, MOP_ADD, size, r, left, imm);
    else
        lea(l, r, XM_BASE, left, 0)->disp = (int32_t)imm;
}

// a + (p < q), a − (p < q): the carry of p − q. After t = a + x, "t < a" and "t < x" are the carry already.
static void lower_carry(struct x64_lower *l, ir_ref r) {
    const struct ir_ins *i = x64_ins(l, r), *less = x64_ins(l, i->b);
    if (less->op == IR_EXTU) less = x64_ins(l, less->a);
    ir_ref p = x64_name(l, less->op == IR_LTU ? less->a : less->b);
    ir_ref q = x64_name(l, less->op == IR_LTU ? less->b : less->a);
    const struct ir_ins *sum = x64_ins(l, p);
    bool carried = l->added == p && l->added_at == l->out.insns &&
                   (x64_name(l, sum->a) == q || x64_name(l, sum->b) == q);
    uint64_t bits;
    uint32_t a;
    if (carried && !x64_is_const(l, i->a, &bits) && x64_name(l, i->a) == p) {
        a = x64_vreg_of(l, p);
    } else {
        a = x64_use(l, i->a);
        uint32_t left = x64_use(l, p);
        struct x64_src right = x64_source(l, q, false, true);
        x64_new(l, MOP_CMP, x64_size(sum->type));
        x64_in(l, left);
        x64_in_src(l, &right);
    }
    with_imm(l, i->op == IR_ADD ? MOP_ADC : MOP_SBB, x64_size(i->type), r, a, 0);
}

// a + b + constant, where b may be shifted.
static void lower_sum(struct x64_lower *l, ir_ref r) {
    const struct ir_ins *i = x64_ins(l, r), *sum = x64_ins(l, i->a);
    uint8_t shifted = l->fold[i->a] & (FOLD_LEA_A | FOLD_LEA_B);
    ir_ref a = shifted == FOLD_LEA_A ? sum->b : sum->a, b = shifted == FOLD_LEA_A ? sum->a : sum->b;
    uint64_t scale = 0, disp;
    if (shifted) {
        x64_is_const(l, x64_ins(l, b)->b, &scale);
        b = x64_ins(l, b)->a;
    }
    x64_is_const(l, i->b, &disp);
    uint32_t base = x64_use(l, a);
    struct x64_insn *n = lea(l, r, XM_INDEX, base, x64_use(l, b));
    n->scale = (uint8_t)scale;
    n->disp = (int32_t)disp;
}

static void lower_add(struct x64_lower *l, ir_ref r) {
    const struct ir_ins *i = x64_ins(l, r);
    uint8_t fold = l->fold[r], size = x64_size(i->type);
    uint64_t bits;
    if (fold & FOLD_CARRY) {
        lower_carry(l, r);
        return;
    }
    if (fold & (FOLD_LEA_A | FOLD_LEA_B)) {
        if (fold & FOLD_LEA_A && x64_ins(l, i->a)->op == IR_ADD) {
            lower_sum(l, r);
            return;
        }
        const struct ir_ins *shift = x64_ins(l, fold & FOLD_LEA_A ? i->a : i->b);
        ir_ref other = fold & FOLD_LEA_A ? i->b : i->a;
        x64_is_const(l, shift->b, &bits);
        unsigned scale = (unsigned)bits;
        if (x64_is_const(l, other, &bits) && x64_fits32(bits)) {
            struct x64_insn *n = lea(l, r, XM_SCALED, 0, x64_use(l, shift->a));
            n->scale = (uint8_t)scale;
            n->disp = (int32_t)bits;
        } else {
            uint32_t base = x64_use(l, other);
            lea(l, r, XM_INDEX, base, x64_use(l, shift->a))->scale = (uint8_t)scale;
        }
        return;
    }
    ir_ref a = i->a, b = i->b;
    if (x64_is_const(l, a, &bits)) {
        a = i->b;
        b = i->a;
    }
    if (x64_is_const(l, b, &bits) && x64_fits32(bits)) {
        add_imm(l, r, a, bits, size);
    } else if (!(fold & (FOLD_RM_A | FOLD_RM_B)) && l->uses[x64_name(l, a)] > 1 &&
               l->uses[x64_name(l, b)] > 1) {
        uint32_t base = x64_use(l, a);
        lea(l, r, XM_INDEX, base, x64_use(l, b));
    } else {
        binary(l, MOP_ADD, r);
        l->added = r;
        l->added_at = l->out.insns;
    }
}

static void lower_sub(struct x64_lower *l, ir_ref r) {
    const struct ir_ins *i = x64_ins(l, r);
    uint8_t size = x64_size(i->type);
    uint64_t bits;
    if (l->fold[r] & FOLD_CARRY) {
        lower_carry(l, r);
    } else if (x64_is_const(l, i->a, &bits) && bits == 0) {
        uint32_t a = x64_use(l, i->b);
        x64_new(l, MOP_NEG, size);
        x64_out_reuse(l, x64_vreg_of(l, r));
        x64_in(l, a);
    } else if (x64_is_const(l, i->b, &bits) && x64_fits32(0 - bits)) {
        add_imm(l, r, i->a, size == 4 ? (uint64_t)(int64_t)(int32_t)(0 - bits) : 0 - bits, size);
    } else {
        binary(l, MOP_SUB, r);
    }
}

// ---- multiplication and division ---------------------------------------------------------------

static void lower_mul(struct x64_lower *l, ir_ref r) {
    const struct ir_ins *i = x64_ins(l, r);
    uint64_t bits;
    bool left = x64_is_const(l, i->a, &bits);
    if (!(left || x64_is_const(l, i->b, &bits)) || !x64_fits32(bits)) {
        binary(l, MOP_IMUL, r);
        return;
    }
    ir_ref a = left ? i->b : i->a;
    if (bits == 3 || bits == 5 || bits == 9) {
        uint32_t v = x64_use(l, a);
        lea(l, r, XM_INDEX, v, v)->scale = bits == 3 ? 1 : bits == 5 ? 2 : 3;
        return;
    }
    struct x64_src from = x64_source(l, a, false, false);
    struct x64_insn *n = x64_new(l, MOP_IMUL3, x64_size(i->type));
    n->imm = bits;
    x64_out(l, x64_vreg_of(l, r));
    x64_in_src(l, &from);
}

// A constant is put into rax: x stays where it is.
static void lower_mulhigh(struct x64_lower *l, ir_ref r) {
    const struct ir_ins *i = x64_ins(l, r);
    uint32_t b = x64_use(l, i->a), a = x64_use(l, i->b);
    x64_new(l, i->op == IR_MULHU ? MOP_MULHU : MOP_MULHS, 8);
    x64_out_fixed(l, x64_vreg_of(l, r), RDX);
    x64_in_fixed(l, a, RAX);
    x64_in(l, b);
    x64_clobber(l, 1u << RAX | 1u << RDX);
}

// #DE is the trap, its meaning given per site. Where it could be two things, one is tested for before: a zero divisor of a signed
// quotient. A signed remainder by −1 is 0, but the CPU would raise #DE for the smallest number: it divides by 1 instead.
static void lower_div(struct x64_lower *l, ir_ref r) {
    const struct ir_ins *i = x64_ins(l, r);
    uint8_t type = i->type, size = x64_size(type);
    bool is_signed = i->op == IR_DIVS || i->op == IR_REMS, rem = i->op == IR_REMS || i->op == IR_REMU;
    uint64_t bits;
    bool known = x64_is_const(l, i->b, &bits) && bits != 0 && bits != UINT64_MAX;
    uint32_t a = x64_use(l, i->a), b = x64_use(l, i->b);
    enum sfi_trap trap = SFI_TRAP_DIV_ZERO;
    if (i->op == IR_DIVS && !known) {
        x64_new(l, MOP_TEST, size);
        x64_in(l, b);
        x64_in(l, b);
        x64_trap_if(l, CC_E, SFI_TRAP_DIV_ZERO);
        trap = SFI_TRAP_OVERFLOW;
    }
    if (i->op == IR_REMS && !known) {
        uint32_t one = x64_imm(l, type, 1), safe = x64_new_vreg(l, type);
        struct x64_insn *n = x64_new(l, MOP_CMP, size);
        n->has_imm = true;
        n->imm = UINT64_MAX;
        x64_in(l, b);
        x64_new(l, MOP_CMOV, size)->cc = CC_E;
        x64_out_reuse(l, safe);
        x64_in(l, b);
        x64_in(l, one);
        b = safe;
    }
    x64_new(l, is_signed ? MOP_DIVS : MOP_DIVU, size)->imm = trap;
    // The result first: the emitter does not look at it, but every form has its definition there.
    x64_out_fixed(l, l->uses[r] ? x64_vreg_of(l, r) : x64_new_vreg(l, type), rem ? RDX : RAX);
    x64_in_fixed(l, a, RAX);
    x64_in_late(l, b);
    x64_clobber(l, 1u << RAX | 1u << RDX);
}

// ---- bits --------------------------------------------------------------------------------------

static void lower_and(struct x64_lower *l, ir_ref r) {
    const struct ir_ins *i = x64_ins(l, r);
    uint64_t bits;
    bool left = x64_is_const(l, i->a, &bits);
    if (!left && !x64_is_const(l, i->b, &bits)) {
        binary(l, MOP_AND, r);
        return;
    }
    ir_ref a = left ? i->b : i->a;
    if (bits == 0xff || bits == 0xffff) {
        unary(l, bits == 0xff ? MOP_MOVZX8 : MOP_MOVZX16, 4, r, a);
    } else if (bits == 0xffffffff && i->type == IR_I64) {
        uint32_t v = x64_use(l, a);
        x64_new(l, MOP_MOV32, 4);
        x64_out(l, x64_vreg_of(l, r));
        x64_in(l, v);
    } else if (x64_fits32(bits)) {
        // A mask of at most 31 bits clears the upper half either way: the shorter form does.
        uint32_t v = x64_use(l, a);
        with_imm(l, MOP_AND, (int64_t)bits < 0 ? x64_size(i->type) : 4, r, v, bits);
    } else {
        binary(l, MOP_AND, r);
    }
}

static void lower_xor(struct x64_lower *l, ir_ref r) {
    const struct ir_ins *i = x64_ins(l, r);
    uint64_t bits;
    bool left = x64_is_const(l, i->a, &bits);
    if ((left || x64_is_const(l, i->b, &bits)) && bits == UINT64_MAX) {
        uint32_t a = x64_use(l, left ? i->b : i->a);
        x64_new(l, MOP_NOT, x64_size(i->type));
        x64_out_reuse(l, x64_vreg_of(l, r));
        x64_in(l, a);
    } else {
        binary(l, MOP_XOR, r);
    }
}

static void lower_shift(struct x64_lower *l, ir_ref r) {
    const struct ir_ins *i = x64_ins(l, r);
    bool is_left = i->op == IR_SHL, is_signed = i->op == IR_SHRS;
    uint8_t size = x64_size(i->type);
    uint64_t bits;
    if (x64_is_const(l, i->b, &bits)) {
        uint32_t a = x64_use(l, i->a);
        with_imm(l,
                 is_left     ? MOP_SHL
                 : is_signed ? MOP_SAR
                             : MOP_SHR,
                 size, r, a, bits & (8u * size - 1));
        return;
    }
    struct x64_src from = x64_source(l, i->a, false, false);
    uint32_t count = x64_use(l, i->b);
    x64_new(l, is_left ? MOP_SHLX : is_signed ? MOP_SARX : MOP_SHRX, size);
    x64_out(l, x64_vreg_of(l, r));
    x64_in_src(l, &from);
    x64_in(l, count);
}

static void lower_rotate(struct x64_lower *l, ir_ref r) {
    const struct ir_ins *i = x64_ins(l, r);
    uint8_t size = x64_size(i->type);
    uint64_t bits;
    if (x64_is_const(l, i->b, &bits)) {
        unsigned width = 8u * size, right = (unsigned)bits & (width - 1);
        struct x64_insn *n = unary(l, MOP_RORX, size, r, i->a);
        n->imm = i->op == IR_ROTR ? right : (width - right) & (width - 1);
        return;
    }
    uint32_t a = x64_use(l, i->a), count = x64_use(l, i->b);
    x64_new(l, i->op == IR_ROTL ? MOP_ROL : MOP_ROR, size);
    x64_out_reuse(l, x64_vreg_of(l, r));
    x64_in(l, a);
    x64_in_fixed(l, count, RCX);
}

static void lower_bswap(struct x64_lower *l, ir_ref r) {
    const struct ir_ins *i = x64_ins(l, r);
    uint32_t a = x64_use(l, i->a);
    x64_new(l, MOP_BSWAP, x64_size(i->type));
    x64_out_reuse(l, x64_vreg_of(l, r));
    x64_in(l, a);
}

// ---- width -------------------------------------------------------------------------------------

static void lower_wrap(struct x64_lower *l, ir_ref r) {
    if (l->alias[r]) return; // another name for its operand
    uint32_t a = x64_use(l, x64_ins(l, r)->a);
    x64_new(l, MOP_MOV32, 4);
    x64_out(l, x64_vreg_of(l, r));
    x64_in(l, a);
}

// The operand is clean: a copy, which register allocation removes where it can.
static void lower_extu(struct x64_lower *l, ir_ref r) {
    const struct ir_ins *i = x64_ins(l, r);
    uint32_t a = x64_use(l, i->a);
    x64_new(l, MOP_COPY, 4);
    l->out.ra[l->out.insns - 1].is_move = true;
    x64_out(l, x64_vreg_of(l, r));
    x64_in(l, a);
}

// ---- choice ------------------------------------------------------------------------------------

static void lower_compare(struct x64_lower *l, ir_ref r) {
    // Not folded, or it would not be made here; a negation may stand for a folded one.
    const struct ir_ins *i = x64_ins(l, r);
    l->fold[r] |= FOLD_SKIP;
    uint8_t cc = x64_condition(l, r);
    l->fold[r] &= (uint8_t)~FOLD_SKIP;
    l->wasm = i->wasm;
    x64_new(l, MOP_SETCC, 4)->cc = cc;
    x64_out(l, x64_vreg_of(l, r));
}

static void lower_select(struct x64_lower *l, ir_ref r) {
    const struct ir_ins *i = x64_ins(l, r);
    bool is_float = x64_is_float(i->type);
    uint32_t yes = x64_use(l, i->b), no = x64_use(l, i->c);
    uint8_t cc = x64_condition(l, i->a);
    // cmov tests one flag at a time: "not equal" is either of two, so "equal" is asked the other way around. A branch
    // around a move is the opposite.
    if (cc == (is_float ? CC_FNE : CC_FEQ)) {
        uint32_t t = yes;
        yes = no;
        no = t;
        cc ^= 1;
    }
    struct x64_insn *n = x64_new(l, is_float ? MOP_FSEL : MOP_CMOV, x64_size(i->type));
    n->cc = cc;
    x64_out_reuse(l, x64_vreg_of(l, r));
    x64_in(l, no);
    if (is_float || cc == CC_FNE)
        x64_in_late(l, yes);
    else
        x64_in_any(l, yes);
}

void x64_lower_int(struct x64_lower *l, ir_ref r) {
    const struct ir_ins *i = x64_ins(l, r);
    uint8_t size = x64_size(i->type);
    switch (i->op) {
    case IR_ADD: lower_add(l, r); break;
    case IR_SUB: lower_sub(l, r); break;
    case IR_MUL: lower_mul(l, r); break;
    case IR_MULHU:
    case IR_MULHS: lower_mulhigh(l, r); break;
    case IR_DIVS:
    case IR_DIVU:
    case IR_REMS:
    case IR_REMU: lower_div(l, r); break;
    case IR_AND: lower_and(l, r); break;
    case IR_OR: binary(l, MOP_OR, r); break;
    case IR_XOR: lower_xor(l, r); break;
    case IR_SHL:
    case IR_SHRS:
    case IR_SHRU: lower_shift(l, r); break;
    case IR_ROTL:
    case IR_ROTR: lower_rotate(l, r); break;
    case IR_CLZ: unary(l, MOP_LZCNT, size, r, i->a); break;
    case IR_CTZ: unary(l, MOP_TZCNT, size, r, i->a); break;
    case IR_POPCNT: unary(l, MOP_POPCNT, size, r, i->a); break;
    case IR_BSWAP: lower_bswap(l, r); break;
    case IR_SEXT8: unary(l, MOP_MOVSX8, size, r, i->a); break;
    case IR_SEXT16: unary(l, MOP_MOVSX16, size, r, i->a); break;
    case IR_SEXT32:
    case IR_EXTS: unary(l, MOP_MOVSXD, 8, r, i->a); break;
    case IR_WRAP: lower_wrap(l, r); break;
    case IR_EXTU: lower_extu(l, r); break;
    case IR_SELECT: lower_select(l, r); break;
    default:
        if (!x64_is_compare(i)) __builtin_trap(); // an operator that nobody lowers
        lower_compare(l, r);
        break;
    }
}
