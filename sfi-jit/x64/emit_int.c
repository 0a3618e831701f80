// emit_int.c — integer operators: one function a form of mops.def. After each instruction stands what it does to the clean set.
#include "sfi-jit/x64/emit.h"

static bool fits8(uint64_t v) { return (uint64_t)(int64_t)(int8_t)v == v; }

static void emit_copy(struct x64_emitter *e, uint32_t insn, const struct x64_insn *i) {
    unsigned d = x64_reg(e, insn, 0), a = x64_reg(e, insn, 1);
    if (i->op == MOP_COPY && d == a) return;
    x64_op(&e->s, 0x89, i->size == 8, a, x64_rm_reg(d), 0, 0);
    x64_def_size(&e->s, d, i->size);
}

static void emit_rm(struct x64_emitter *e, uint32_t insn, const struct x64_insn *i) {
    unsigned d = x64_reg(e, insn, 0);
    x64_op(&e->s, x64_mop_info[i->op].opcode, i->size == 8, d, x64_rm_of(e, insn, 1), 0, 0);
    x64_def_size(&e->s, d, i->size);
}

static void emit_lea(struct x64_emitter *e, uint32_t insn, const struct x64_insn *i) {
    unsigned d = x64_reg(e, insn, 0), a = x64_reg(e, insn, 1);
    struct x64_rm rm = {.kind = RM_INDEX, .index = (uint8_t)a, .scale = i->scale, .disp = i->disp};
    if (i->mem == XM_BASE)
        rm = x64_rm_base(a, i->disp);
    else if (i->mem == XM_INDEX)
        rm = x64_rm_sib(a, x64_reg(e, insn, 2), i->scale, i->disp);
    x64_op(&e->s, 0x8d, i->size == 8, d, rm, 0, 0);
    x64_def_size(&e->s, d, i->size);
}

// op r/m, imm: the group 80–83, with the shortest immediate. Less than four bytes: of memory.
static void group_imm(struct x64_emitter *e, uint8_t size, unsigned digit, struct x64_rm rm,
                      uint64_t imm) {
    uint32_t prefix = size == 2 ? X64_OPC(PP_66, 0, 0) : 0;
    if (size == 2) imm = (uint64_t)(int64_t)(int16_t)imm;
    if (size == 1)
        x64_op(&e->s, 0x80, false, digit, rm, 1, imm);
    else if (fits8(imm))
        x64_op(&e->s, prefix | 0x83, size == 8, digit, rm, 1, imm);
    else
        x64_op(&e->s, prefix | 0x81, size == 8, digit, rm, size == 2 ? 2 : 4, imm);
}

// The unit just made left ZF as a test of `reg` would.
static void sets_zero_flag(struct x64_emitter *e, unsigned reg, uint8_t size) {
    e->zero_unit = e->s.units;
    e->zero_reg = (uint8_t)reg;
    e->zero_size = size;
}

static void emit_alu(struct x64_emitter *e, uint32_t insn, const struct x64_insn *i) {
    const struct x64_mop_info *info = &x64_mop_info[i->op];
    unsigned d = x64_reg(e, insn, 0);
    bool wide = i->size == 8;
    if (i->has_imm) {
        group_imm(e, i->size, info->digit, x64_rm_reg(d), i->imm);
    } else {
        struct x64_rm rm = x64_rm_of(e, insn, 2);
        if (rm.kind == RM_REG)
            x64_op(&e->s, info->opcode, wide, rm.base, x64_rm_reg(d), 0, 0);
        else
            x64_op(&e->s, info->opcode + 2, wide, d, rm, 0, 0);
    }
    x64_def_size(&e->s, d, i->size);
    sets_zero_flag(e, d, i->size);
}

static void emit_cmp(struct x64_emitter *e, uint32_t insn, const struct x64_insn *i) {
    bool wide = i->size == 8;
    if (i->has_imm) {
        group_imm(e, i->size, 7, x64_rm_of(e, insn, 0), i->imm);
        return;
    }
    unsigned a = x64_reg(e, insn, 0);
    struct x64_rm rm = x64_rm_of(e, insn, 1);
    if (rm.kind == RM_REG)
        x64_op(&e->s, 0x39, wide, rm.base, x64_rm_reg(a), 0, 0);
    else
        x64_op(&e->s, 0x3b, wide, a, rm, 0, 0);
}

static bool zero_flag_known(const struct x64_emitter *e, uint32_t insn, const struct x64_insn *i) {
    uint8_t cc = e->code->insn[insn + 1].cc; // who asks comes next
    return e->zero_unit == e->s.units && x64_reg(e, insn, 0) == e->zero_reg &&
           x64_reg(e, insn, 1) == e->zero_reg && i->size == e->zero_size &&
           (cc == CC_E || cc == CC_NE);
}

// Only "zero" and, of two registers, the sign are asked for.
static void emit_test(struct x64_emitter *e, uint32_t insn, const struct x64_insn *i) {
    if (i->op == MOP_BT) {
        x64_op(&e->s, X64_OPC(0, 1, 0xba), i->size == 8, 4, x64_rm_reg(x64_reg(e, insn, 0)), 1, i->imm);
        return;
    }
    if (i->mem) {
        unsigned bytes = i->size == 1 ? 1 : 4;
        x64_op(&e->s, bytes == 1 ? 0xf6 : 0xf7, i->size == 8, 0, x64_rm_of(e, insn, 0), bytes, i->imm);
        return;
    }
    struct x64_rm a = x64_rm_reg(x64_reg(e, insn, 0));
    if (!i->has_imm && zero_flag_known(e, insn, i)) return;
    if (!i->has_imm)
        x64_op(&e->s, 0x85, i->size == 8, x64_reg(e, insn, 1), a, 0, 0);
    else if (i->imm <= 0x7f)
        x64_op(&e->s, 0xf6 | X64_RM8, false, 0, a, 1, i->imm);
    else
        x64_op(&e->s, 0xf7, i->size == 8 && (int64_t)i->imm < 0, 0, a, 4, i->imm);
}

static void emit_imul(struct x64_emitter *e, uint32_t insn, const struct x64_insn *i) {
    unsigned d = x64_reg(e, insn, 0);
    if (i->op == MOP_IMUL) {
        x64_op(&e->s, X64_OPC(0, 1, 0xaf), i->size == 8, d, x64_rm_of(e, insn, 2), 0, 0);
    } else {
        bool is_short = fits8(i->imm);
        x64_op(&e->s, is_short ? 0x6b : 0x69, i->size == 8, d, x64_rm_of(e, insn, 1),
               is_short ? 1 : 4, i->imm);
    }
    x64_def_size(&e->s, d, i->size);
}

static void emit_bswap(struct x64_emitter *e, unsigned d, bool wide) {
    uint8_t bytes[3], *p = bytes;
    if (wide || d >= 8) *p++ = (uint8_t)(0x40 | (unsigned)wide << 3 | d >> 3);
    *p++ = 0x0f;
    *p++ = (uint8_t)(0xc8 | (d & 7));
    x64_raw(&e->s, bytes, (unsigned)(p - bytes));
    x64_def_size(&e->s, d, wide ? 8 : 4);
}

static void emit_mulhigh(struct x64_emitter *e, uint32_t insn, const struct x64_insn *i) {
    x64_op(&e->s, 0xf7, true, x64_mop_info[i->op].digit, x64_rm_reg(x64_reg(e, insn, 2)), 0, 0);
    x64_def(&e->s, RAX);
    x64_def(&e->s, RDX);
}

static void emit_shift(struct x64_emitter *e, uint32_t insn, const struct x64_insn *i) {
    unsigned d = x64_reg(e, insn, 0), digit = x64_mop_info[i->op].digit;
    x64_op(&e->s, i->has_imm ? 0xc1 : 0xd3, i->size == 8, digit, x64_rm_reg(d), i->has_imm ? 1 : 0,
           i->imm);
    x64_def_size(&e->s, d, i->size);
}

static void emit_vex(struct x64_emitter *e, uint32_t insn, const struct x64_insn *i) {
    unsigned d = x64_reg(e, insn, 0);
    bool rorx = i->op == MOP_RORX;
    unsigned count = rorx ? 0 : x64_reg(e, insn, 2);
    x64_vex(&e->s, x64_mop_info[i->op].opcode, i->size == 8, d, count, x64_rm_of(e, insn, 1), rorx,
            i->imm);
    x64_def_size(&e->s, d, i->size);
}

static void setcc(struct x64_emitter *e, unsigned cc, unsigned reg) {
    x64_op(&e->s, X64_OPC(0, 1, 0x90 + cc) | X64_RM8, false, 0, x64_rm_reg(reg), 0, 0);
    x64_def(&e->s, reg);
}

static void emit_setcc(struct x64_emitter *e, uint32_t insn, const struct x64_insn *i) {
    unsigned d = x64_reg(e, insn, 0);
    if (i->cc >= CC_FEQ) { // equal and ordered; not equal or unordered
        bool equal = i->cc == CC_FEQ;
        setcc(e, equal ? CC_E : CC_NE, d);
        setcc(e, equal ? CC_NP : CC_P, SCRATCH);
        x64_op(&e->s, equal ? 0x21 : 0x09, false, SCRATCH, x64_rm_reg(d), 0, 0);
    } else {
        setcc(e, i->cc, d);
    }
    x64_op(&e->s, X64_OPC(0, 1, 0xb6) | X64_RM8, false, d, x64_rm_reg(d), 0, 0); // movzx
    x64_def32(&e->s, d);
}

static void emit_cmov(struct x64_emitter *e, uint32_t insn, const struct x64_insn *i) {
    unsigned d = x64_reg(e, insn, 0);
    bool twice = i->cc == CC_FNE;
    unsigned cc = twice ? CC_NE : i->cc;
    x64_op(&e->s, X64_OPC(0, 1, 0x40 + cc), i->size == 8, d, x64_rm_of(e, insn, 2), 0, 0);
    if (twice)
        x64_op(&e->s, X64_OPC(0, 1, 0x40 + CC_P), i->size == 8, d, x64_rm_of(e, insn, 2), 0, 0);
    x64_def_size(&e->s, d, i->size);
}

static void emit_divide(struct x64_emitter *e, uint32_t insn, const struct x64_insn *i) {
    static const uint8_t cdq[] = {0x99}, cqo[] = {0x48, 0x99};
    if (i->op == MOP_DIVU) {
        x64_op(&e->s, 0x31, false, RDX, x64_rm_reg(RDX), 0, 0);
        x64_def32(&e->s, RDX);
    } else {
        x64_raw(&e->s, i->size == 8 ? cqo : cdq, i->size == 8 ? 2 : 1);
        x64_def_size(&e->s, RDX, i->size);
    }
    x64_site(&e->s, (uint16_t)i->imm, i->wasm, 0);
    x64_op(&e->s, 0xf7, i->size == 8, x64_mop_info[i->op].digit, x64_rm_reg(x64_reg(e, insn, 2)), 0, 0);
    x64_def_size(&e->s, RAX, i->size);
    x64_def_size(&e->s, RDX, i->size);
}

static void emit_store(struct x64_emitter *e, uint32_t insn, const struct x64_insn *i) {
    bool wide = i->size == 8;
    uint32_t prefix = i->size == 2 ? X64_OPC(PP_66, 0, 0) : 0;
    if (i->has_imm) {
        uint32_t opc = prefix | (i->size == 1 ? 0xc6 : 0xc7);
        x64_op(&e->s, opc, wide, 0, x64_rm_of(e, insn, 0), wide ? 4 : i->size, i->imm);
    } else {
        uint32_t opc = prefix | (i->size == 1 ? 0x88 | X64_REG8 : 0x89);
        x64_op(&e->s, opc, wide, x64_reg(e, insn, 0), x64_rm_of(e, insn, 1), 0, 0);
    }
}

static void emit_update(struct x64_emitter *e, uint32_t insn, const struct x64_insn *i) {
    const struct x64_mop_info *info = &x64_mop_info[i->op];
    if (i->has_imm) {
        group_imm(e, i->size, info->digit, x64_rm_of(e, insn, 0), i->imm);
        return;
    }
    uint32_t opc = i->size == 1   ? (info->opcode - 1) | X64_REG8
                   : i->size == 2 ? info->opcode | X64_OPC(PP_66, 0, 0)
                                  : info->opcode;
    x64_op(&e->s, opc, i->size == 8, x64_reg(e, insn, 0), x64_rm_of(e, insn, 1), 0, 0);
}

// The register operand is the value: the last one before the memory operand.
static void emit_atomic(struct x64_emitter *e, uint32_t insn, const struct x64_insn *i) {
    uint32_t opc = x64_mop_info[i->op].opcode, value = i->op == MOP_CMPXCHG ? 2 : 0;
    uint32_t mem = i->op == MOP_CMPXCHG ? 3 : i->op == MOP_XADD || i->op == MOP_XCHG ? 2 : 1;
    if (i->size == 2) opc |= X64_OPC(PP_66, 0, 0);
    if (i->size == 1) opc = (opc - 1) | X64_REG8;
    unsigned reg = x64_reg(e, insn, value);
    x64_op(&e->s, opc, i->size == 8, reg, x64_rm_of(e, insn, mem), 0, 0);
    if (i->op == MOP_CMPXCHG)
        x64_def(&e->s, RAX);
    else if (i->op == MOP_XADD && i->size == 4)
        x64_def32(&e->s, reg);
    else if (i->op == MOP_XADD || i->op == MOP_XCHG)
        x64_def(&e->s, reg);
}

void x64_emit_int(struct x64_emitter *e, uint32_t insn) {
    const struct x64_insn *i = &e->code->insn[insn];
    switch ((enum x64_form)x64_mop_info[i->op].form) {
    case FORM_NONE: break;
    case FORM_COPY: emit_copy(e, insn, i); break;
    case FORM_MOVI: x64_load_imm(&e->s, x64_reg(e, insn, 0), i->imm); break;
    case FORM_ZERO: {
        unsigned d = x64_reg(e, insn, 0);
        x64_op(&e->s, 0x31, false, d, x64_rm_reg(d), 0, 0); // xor
        x64_def32(&e->s, d);
        break;
    }
    case FORM_RM: emit_rm(e, insn, i); break;
    case FORM_ATOMIC: emit_atomic(e, insn, i); break;
    case FORM_LEA: emit_lea(e, insn, i); break;
    case FORM_ALU: emit_alu(e, insn, i); break;
    case FORM_CMP: emit_cmp(e, insn, i); break;
    case FORM_TEST: emit_test(e, insn, i); break;
    case FORM_IMUL:
    case FORM_IMUL3: emit_imul(e, insn, i); break;
    case FORM_ONE: {
        unsigned d = x64_reg(e, insn, 0);
        x64_op(&e->s, 0xf7, i->size == 8, x64_mop_info[i->op].digit, x64_rm_reg(d), 0, 0);
        x64_def_size(&e->s, d, i->size);
        break;
    }
    case FORM_BSWAP: emit_bswap(e, x64_reg(e, insn, 0), i->size == 8); break;
    case FORM_SHIFT: emit_shift(e, insn, i); break;
    case FORM_SHIFTX:
    case FORM_RORX: emit_vex(e, insn, i); break;
    case FORM_SETCC: emit_setcc(e, insn, i); break;
    case FORM_CMOV: emit_cmov(e, insn, i); break;
    case FORM_MULHIGH: emit_mulhigh(e, insn, i); break;
    case FORM_DIVIDE: emit_divide(e, insn, i); break;
    case FORM_STORE: emit_store(e, insn, i); break;
    case FORM_UPDATE: emit_update(e, insn, i); break;
    default: __builtin_trap();
    }
}
