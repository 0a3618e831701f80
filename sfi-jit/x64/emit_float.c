// emit_float.c — floating-point operators, all VEX encoded; those of several instructions branch inside their block by labels of their own.
#include "sfi-jit/x64/emit.h"

#define TWO_63 0x43e0000000000000u // 2⁶³ as a double
#define TWO_63F 0x5f000000u        // and as a float

static unsigned scalar_pp(unsigned fsize) { return fsize == 4 ? PP_F3 : PP_F2; }

static void vex3(struct x64_emitter *e, uint32_t opc, unsigned d, unsigned a, unsigned b) {
    x64_vex(&e->s, opc, false, d, a, x64_rm_reg(b), 0, 0);
}

// vucomiss, vucomisd
static void compare(struct x64_emitter *e, unsigned fsize, unsigned a, struct x64_rm b) {
    x64_vex(&e->s, X64_OPC(fsize == 4 ? PP_NONE : PP_66, 1, 0x2e), false, a, 0, b, 0, 0);
}

static void zero(struct x64_emitter *e, unsigned xmm) {
    vex3(e, X64_OPC(PP_NONE, 1, 0x57), xmm, xmm, xmm); // vxorps
}

static void move(struct x64_emitter *e, unsigned d, unsigned a) {
    if (d != a) vex3(e, X64_OPC(PP_NONE, 1, 0x28), d, 0, a); // vmovaps
}

// ---- minimum and maximum -----------------------------------------------------------------------

// Ordered and different is what is expected, and vmin/vmax are right there. Equal: they may be zeros of two signs, which "or" (min) and "and"
// (max) of the bits tell apart. Unordered: their sum is a quiet NaN made of an operand.
static void emit_minmax(struct x64_emitter *e, uint32_t insn, const struct x64_insn *i) {
    unsigned d = x64_reg(e, insn, 0), a = x64_reg(e, insn, 1), b = x64_reg(e, insn, 2);
    const struct x64_mop_info *info = &x64_mop_info[i->op];
    unsigned pp = scalar_pp(i->fsize);
    uint32_t nan = x64_new_label(&e->s), done = x64_new_label(&e->s);
    vex3(e, X64_OPC(pp, 1, info->opcode), d, a, b);
    compare(e, i->fsize, a, x64_rm_reg(b));
    x64_jcc(&e->s, CC_NE, done);
    x64_jcc(&e->s, CC_P, nan);
    vex3(e, X64_OPC(PP_NONE, 1, info->digit), d, a, b); // vorps, vandps
    x64_jmp(&e->s, done);
    x64_bind(&e->s, nan);
    vex3(e, X64_OPC(pp, 1, 0x58), d, a, b); // vadd
    x64_bind(&e->s, done);
}

// ---- conversions -------------------------------------------------------------------------------

static void from_int(struct x64_emitter *e, unsigned d, unsigned size, unsigned fsize, struct x64_rm a) {
    x64_vex(&e->s, X64_OPC(scalar_pp(fsize), 1, 0x2a), size == 8, d, d, a, 0, 0); // vcvtsi2s
}

// vcvtts…2si: 0x8000… for what does not fit.
static void to_int(struct x64_emitter *e, unsigned d, unsigned size, unsigned fsize, unsigned a) {
    x64_vex(&e->s, X64_OPC(scalar_pp(fsize), 1, 0x2c), size == 8, d, 0, x64_rm_reg(a), 0, 0);
    x64_def_size(&e->s, d, size);
}

static void mov32(struct x64_emitter *e, unsigned d, unsigned a) {
    x64_op(&e->s, 0x89, false, a, x64_rm_reg(d), 0, 0);
    x64_def32(&e->s, d);
}

static void test64(struct x64_emitter *e, unsigned reg) {
    x64_op(&e->s, 0x85, true, reg, x64_rm_reg(reg), 0, 0);
}

// Half the number, its last bit kept sticky so that it rounds the same, converted and doubled.
static void emit_utof(struct x64_emitter *e, uint32_t insn, const struct x64_insn *i) {
    struct x64_asm *s = &e->s;
    unsigned d = x64_reg(e, insn, 0), t = x64_reg(e, insn, 1), a = x64_reg(e, insn, 2);
    uint32_t big = x64_new_label(s), done = x64_new_label(s);
    zero(e, d);
    test64(e, a);
    x64_jcc(s, CC_S, big);
    from_int(e, d, 8, i->fsize, x64_rm_reg(a));
    x64_jmp(s, done);
    x64_bind(s, big);
    x64_op(s, 0x89, true, a, x64_rm_reg(t), 0, 0);
    x64_op(s, 0xc1, true, 5, x64_rm_reg(t), 1, 1); // shr t, 1
    mov32(e, SCRATCH, a);
    x64_op(s, 0x83, false, 4, x64_rm_reg(SCRATCH), 1, 1); // and r11d, 1
    x64_op(s, 0x09, true, SCRATCH, x64_rm_reg(t), 0, 0);  // or t, r11
    x64_def(s, t);
    from_int(e, d, 8, i->fsize, x64_rm_reg(t));
    vex3(e, X64_OPC(scalar_pp(i->fsize), 1, 0x58), d, d, d);
    x64_bind(s, done);
    x64_def(s, t);
}

struct ftoi {
    unsigned d, a, size, fsize;
    bool is_signed, saturate;
    uint32_t wasm;
};

// What did not fit, saturating: NaN → 0, else by sign. Goes to `done`, the state being that d was written.
static void saturate(struct x64_emitter *e, const struct ftoi *c, uint32_t done) {
    struct x64_asm *s = &e->s;
    uint64_t max = c->size == 4 ? (c->is_signed ? INT32_MAX : UINT32_MAX)
                                : (c->is_signed ? INT64_MAX : UINT64_MAX);
    zero(e, FSCRATCH);
    compare(e, c->fsize, c->a, x64_rm_reg(FSCRATCH));
    x64_load_imm(s, c->d, 0); // no xor: the flags live
    if (c->is_signed) {
        x64_jcc(s, CC_P, done);
        x64_load_imm(s, c->d, max);
        x64_jcc(s, CC_A, done);
        x64_load_imm(s, c->d, max + 1);
    } else {
        x64_jcc(s, CC_B, done); // below or unordered
        x64_load_imm(s, c->d, max);
    }
}

static void misfit(struct x64_emitter *e, const struct ftoi *c, enum x64_cc bad, uint32_t done) {
    if (!c->saturate) {
        x64_jcc(&e->s, bad, x64_ftoi_label(e, c->wasm, c->a, c->fsize));
    } else {
        x64_jcc(&e->s, bad ^ 1, done);
        saturate(e, c, done);
    }
}

// 32 bits: by way of 64, which hold every result; it fits if it is its own extension.
static void to_int32(struct x64_emitter *e, const struct ftoi *c, uint32_t done) {
    struct x64_asm *s = &e->s;
    to_int(e, SCRATCH, 8, c->fsize, c->a);
    if (c->is_signed) {
        x64_op(s, 0x63, true, c->d, x64_rm_reg(SCRATCH), 0, 0); // movsxd
        x64_def(s, c->d);
    } else {
        mov32(e, c->d, SCRATCH);
    }
    x64_op(s, 0x39, true, SCRATCH, x64_rm_reg(c->d), 0, 0); // cmp
    misfit(e, c, CC_NE, done);
}

// 64 bits, signed: 0x8000… stands for −2⁶³ or for a misfit.
static void to_int64(struct x64_emitter *e, const struct ftoi *c, uint32_t done) {
    struct x64_asm *s = &e->s;
    to_int(e, c->d, 8, c->fsize, c->a);
    x64_op(s, 0x83, true, 7, x64_rm_reg(c->d), 1, 1); // cmp d, 1 overflows
    x64_jcc(s, CC_NO, done);
    if (c->saturate) {
        saturate(e, c, done);
        return;
    }
    uint64_t limit = c->fsize == 4 ? TWO_63F | 0x80000000u : TWO_63 | 1ull << 63;
    struct x64_rm rm = {.kind = RM_RIP, .disp = (int32_t)x64_pool(s->module, c->fsize, limit, 0)};
    uint32_t bad = x64_ftoi_label(e, c->wasm, c->a, c->fsize);
    compare(e, c->fsize, c->a, rm);
    x64_jcc(s, CC_NE, bad);
    x64_jcc(s, CC_P, bad);
}

// 64 bits, unsigned: numbers from 2⁶³ on are converted without that bit.
static void to_uint64(struct x64_emitter *e, const struct ftoi *c, uint32_t done) {
    struct x64_asm *s = &e->s;
    uint32_t ref = x64_pool(s->module, c->fsize, c->fsize == 4 ? TWO_63F : TWO_63, 0);
    struct x64_rm limit = {.kind = RM_RIP, .disp = (int32_t)ref};
    to_int(e, c->d, 8, c->fsize, c->a);
    test64(e, c->d);
    x64_jcc(s, CC_NS, done);
    x64_vex(s, X64_OPC(scalar_pp(c->fsize), 1, 0x5c), false, FSCRATCH, c->a, limit, 0, 0); // vsub
    to_int(e, SCRATCH, 8, c->fsize, FSCRATCH);
    x64_load_imm(s, c->d, 1ull << 63);
    x64_op(s, 0x31, true, SCRATCH, x64_rm_reg(c->d), 0, 0); // xor
    test64(e, SCRATCH);
    misfit(e, c, CC_S, done);
}

static void emit_ftoi(struct x64_emitter *e, uint32_t insn, const struct x64_insn *i) {
    struct x64_asm *s = &e->s;
    struct ftoi c = {.d = x64_reg(e, insn, 0),
                     .a = x64_reg(e, insn, 1),
                     .size = i->size,
                     .fsize = i->fsize,
                     .is_signed = i->imm & FTOI_SIGNED,
                     .saturate = i->imm & FTOI_SATURATE,
                     .wasm = i->wasm};
    uint32_t done = x64_new_label(s);
    if (c.size == 4)
        to_int32(e, &c, done);
    else if (c.is_signed)
        to_int64(e, &c, done);
    else
        to_uint64(e, &c, done);
    x64_bind(s, done);
    if (c.size == 4) mov32(e, c.d, c.d);
}

// ---- the rest ----------------------------------------------------------------------------------

// d = condition ? b : a, in a's register.
static void emit_fsel(struct x64_emitter *e, uint32_t insn, const struct x64_insn *i) {
    unsigned d = x64_reg(e, insn, 0), b = x64_reg(e, insn, 2);
    if (d == b) return;
    uint32_t skip = x64_new_label(&e->s);
    if (i->cc == CC_FEQ) {
        x64_jcc(&e->s, CC_NE, skip);
        x64_jcc(&e->s, CC_P, skip);
    } else {
        x64_jcc(&e->s, i->cc ^ 1, skip);
    }
    move(e, d, b);
    x64_bind(&e->s, skip);
}

// Scalar operators with one operand merge into a second one: the same if it is a register, so that there is no false dependency.
static void emit_merge(struct x64_emitter *e, uint32_t insn, uint32_t opc, unsigned imm_bytes,
                       uint64_t imm) {
    unsigned d = x64_reg(e, insn, 0);
    struct x64_rm a = x64_rm_of(e, insn, 1);
    x64_vex(&e->s, opc, false, d, a.kind == RM_REG ? a.base : FSCRATCH, a, imm_bytes, imm);
}

static uint32_t fp_move(unsigned bytes) {
    return X64_OPC(bytes == 4 ? PP_F3 : bytes == 8 ? PP_F2 : PP_NONE, 1, 0x10);
}

void x64_emit_float(struct x64_emitter *e, uint32_t insn) {
    struct x64_asm *s = &e->s;
    const struct x64_insn *i = &e->code->insn[insn];
    const struct x64_mop_info *info = &x64_mop_info[i->op];
    unsigned pp = scalar_pp(i->fsize), d = e->code->ra[insn].count ? x64_reg(e, insn, 0) : 0;
    switch ((enum x64_form)info->form) {
    case FORM_FCOPY: move(e, d, x64_reg(e, insn, 1)); break;
    case FORM_FCONST: x64_load_const(s, d, i->fsize, i->imm); break;
    case FORM_FLOAD: x64_vex(s, fp_move(i->fsize), false, d, 0, x64_rm_of(e, insn, 1), 0, 0); break;
    case FORM_FSTORE:
        x64_vex(s, fp_move(i->fsize) + 1, false, d, 0, x64_rm_of(e, insn, 1), 0, 0);
        break;
    case FORM_F3:
        x64_vex(s, X64_OPC(pp, 1, info->opcode), false, d, x64_reg(e, insn, 1),
                x64_rm_of(e, insn, 2), 0, 0);
        break;
    case FORM_F2: emit_merge(e, insn, X64_OPC(pp, 1, info->opcode), 0, 0); break;
    case FORM_ROUND:
        emit_merge(e, insn, X64_OPC(PP_66, 3, i->fsize == 4 ? 0x0a : 0x0b), 1, i->imm);
        break;
    case FORM_FB:
        x64_vex(s, X64_OPC(PP_NONE, 1, info->opcode), false, d, x64_reg(e, insn, 1),
                x64_rm_of(e, insn, 2), 0, 0);
        break;
    case FORM_UCOM: compare(e, i->fsize, d, x64_rm_of(e, insn, 1)); break;
    case FORM_ITOF:
        zero(e, d);
        from_int(e, d, i->size, i->fsize, x64_rm_of(e, insn, 1));
        break;
    case FORM_UTOF: emit_utof(e, insn, i); break;
    case FORM_FTOI: emit_ftoi(e, insn, i); break;
    case FORM_MOVIF:
        x64_vex(s, X64_OPC(PP_66, 1, 0x6e), i->size == 8, d, 0, x64_rm_reg(x64_reg(e, insn, 1)), 0, 0);
        break;
    case FORM_MOVFI:
        x64_vex(s, X64_OPC(PP_66, 1, 0x7e), i->size == 8, x64_reg(e, insn, 1), 0, x64_rm_reg(d), 0, 0);
        x64_def_size(s, d, i->size);
        break;
    case FORM_MINMAX: emit_minmax(e, insn, i); break;
    case FORM_FSEL: emit_fsel(e, insn, i); break;
    default: __builtin_trap();
    }
}
