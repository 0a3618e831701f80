// emit.c — emission of a function: frame, prologue, the moves of register allocation, and the walk over the blocks.
//
// sfi.h's rules on frames: `sub rsp, F` is the first instruction, `add rsp, F` stands directly before ret or a tail jump (emit_control.c).
#include "sfi-jit/x64/emit.h"
#include "sfi-jit/lib.h"

const struct x64_mop_info x64_mop_info[MOPS] = {
#define X(name, text, form, opcode, digit) [MOP_##name] = {FORM_##form, digit, opcode, text},
#include "sfi-jit/x64/mops.def"
#undef X
};

_Static_assert(MOPS <= 256, "an operator's number fits struct x64_insn");

struct x64_rm x64_slot(ra_loc loc) {
    return x64_rm_base(RSP, (int32_t)(8 * (loc - RA_SLOT(0))));
}

struct x64_rm x64_rm_of(struct x64_emitter *e, uint32_t insn, uint32_t operand) {
    const struct x64_insn *i = &e->code->insn[insn];
    if (i->mem == XM_INDEX || i->mem == XM_ABS) x64_site(&e->s, SFI_TRAP_MEMORY, i->wasm, 0);
    switch ((enum x64_mem)i->mem) {
    case XM_INDEX: return x64_rm_sib(R15, x64_reg(e, insn, operand), 0, i->disp);
    case XM_ABS:
    case XM_CTX: return x64_rm_base(R15, i->disp);
    case XM_POOL: return (struct x64_rm){.kind = RM_RIP, .disp = i->disp};
    default: break;
    }
    ra_loc loc = x64_loc(e, insn, operand);
    return RA_IS_SLOT(loc) ? x64_slot(loc) : x64_rm_reg(loc & 15);
}

// ---- moves -------------------------------------------------------------------------------------

void x64_load_imm(struct x64_asm *s, unsigned reg, uint64_t imm) {
    uint8_t bytes[10], *p = bytes;
    if (imm <= UINT32_MAX) {
        if (reg >= 8) *p++ = 0x41;
        *p++ = (uint8_t)(0xb8 | (reg & 7));
        p = x64_put_imm(p, imm, 4);
        x64_raw(s, bytes, (unsigned)(p - bytes));
        x64_def32(s, reg);
    } else if ((uint64_t)(int64_t)(int32_t)imm == imm) {
        x64_op(s, 0xc7, true, 0, x64_rm_reg(reg), 4, imm);
        x64_def(s, reg);
    } else {
        *p++ = reg >= 8 ? 0x49 : 0x48;
        *p++ = (uint8_t)(0xb8 | (reg & 7));
        p = x64_put_imm(p, imm, 8);
        x64_raw(s, bytes, (unsigned)(p - bytes));
        x64_def(s, reg);
    }
}

void x64_load_const(struct x64_asm *s, unsigned xmm, unsigned bytes, uint64_t bits) {
    if (bits == 0) {
        x64_vex(s, X64_OPC(PP_NONE, 1, 0x57), false, xmm, xmm, x64_rm_reg(xmm), 0, 0); // vxorps
        return;
    }
    if (bytes == 16 && bits == X64_VECTOR_ONES) {
        x64_vex(s, X64_OPC(PP_66, 1, 0x76), false, xmm, xmm, x64_rm_reg(xmm), 0, 0); // vpcmpeqd
        return;
    }
    uint32_t ref = bytes == 16 ? (uint32_t)bits - 1 : x64_pool(s->module, bytes, bits, 0);
    struct x64_rm rm = {.kind = RM_RIP, .disp = (int32_t)ref};
    if (bytes == 16) {
        x64_vex(s, X64_OPC(PP_NONE, 1, 0x10), false, xmm, 0, rm, 0, 0); // vmovups
        return;
    }
    x64_vex(s, X64_OPC(bytes == 4 ? PP_F3 : PP_F2, 1, 0x10), false, xmm, 0, rm, 0, 0); // vmovss, vmovsd
}

// The opcode of a floating-point load; the store's is one more.
static uint32_t fp_move(unsigned bytes) {
    return X64_OPC(bytes == 4 ? PP_F3 : bytes == 8 ? PP_F2 : PP_NONE, 1, 0x10);
}

// At most one of the two is in memory.
static void move_loc(struct x64_emitter *e, ra_loc from, ra_loc to, const struct ra_vreg *v) {
    struct x64_asm *s = &e->s;
    bool wide = v->bytes == 8;
    if (RA_IS_REG(from) && RA_IS_REG(to)) {
        if (v->cls == RA_FP) {
            x64_vex(s, X64_OPC(PP_NONE, 1, 0x28), false, to & 15, 0, x64_rm_reg(from & 15), 0, 0); // vmovaps
        } else {
            x64_op(s, 0x89, wide, from, x64_rm_reg(to), 0, 0);
            x64_def_size(s, to, v->bytes);
        }
    } else if (RA_IS_REG(to)) {
        if (v->cls == RA_FP) {
            x64_vex(s, fp_move(v->bytes), false, to & 15, 0, x64_slot(from), 0, 0);
        } else {
            x64_op(s, 0x8b, wide, to, x64_slot(from), 0, 0);
            x64_def_size(s, to, v->bytes);
        }
    } else {
        if (v->cls == RA_FP)
            x64_vex(s, fp_move(v->bytes) + 1, false, from & 15, 0, x64_slot(to), 0, 0);
        else
            x64_op(s, 0x89, wide, from, x64_slot(to), 0, 0);
    }
}

static void remat(struct x64_emitter *e, const struct ra_move *m) {
    const struct ra_vreg *v = &e->in->vreg[m->vreg];
    uint64_t bits = e->code->vconst[m->vreg];
    ra_loc to = RA_IS_REG(m->to) ? m->to : v->cls == RA_FP ? 16 + FSCRATCH : (ra_loc)SCRATCH;
    if (v->cls == RA_FP)
        x64_load_const(&e->s, to & 15, v->bytes, bits);
    else
        x64_load_imm(&e->s, to, bits);
    if (to != m->to) move_loc(e, to, m->to, v);
}

static void emit_moves(struct x64_emitter *e, uint32_t insn) {
    for (; e->move < e->ra->moves && e->ra->move[e->move].at == insn; e->move++) {
        const struct ra_move *m = &e->ra->move[e->move];
        if (m->from == RA_REMAT)
            remat(e, m);
        else if (m->from != m->to)
            move_loc(e, m->from, m->to, &e->in->vreg[m->vreg]);
    }
}

// ---- the function ------------------------------------------------------------------------------

static void make_frame(struct x64_emitter *e) {
    uint32_t saved = (uint32_t)__builtin_popcount(e->ra->used & e->in->callee_saved & 0xffff);
    uint64_t size = 8ull * saved + 8ull * e->ra->slots;
    if (size > SFI_FRAME_MAX)
        jit_fail(e->arena, JIT_ERR_LIMIT, 0, UINT32_MAX, "a function needs too large a stack frame");
    e->frame = (uint32_t)size;
    e->saved = 8 * e->ra->slots;
}

static void prologue(struct x64_emitter *e) {
    if (e->frame) {
        bool is_short = e->frame < 128;
        x64_op(&e->s, is_short ? 0x83 : 0x81, true, 5, x64_rm_reg(RSP), is_short ? 1 : 4, e->frame);
    }
    uint32_t at = e->saved;
    for (unsigned r = 0; r < 16; r++)
        if (e->ra->used & e->in->callee_saved & 1u << r) {
            x64_op(&e->s, 0x89, true, r, x64_rm_base(RSP, (int32_t)at), 0, 0);
            at += 8;
        }
}

static void emit_insn(struct x64_emitter *e, uint32_t insn) {
    const struct ra_insn *n = &e->in->insn[insn];
    if (n->count == 1 && e->ra->loc[n->first] == RA_REMAT) return;
    enum x64_form form = x64_mop_info[e->code->insn[insn].op].form;
    if (form >= FORM_FIRST_CONTROL)
        x64_emit_control(e, insn);
    else if (form >= FORM_FIRST_SIMD)
        x64_emit_simd(e, insn);
    else if (form >= FORM_FIRST_FLOAT)
        x64_emit_float(e, insn);
    else
        x64_emit_int(e, insn);
}

void x64_emit(struct jit_arena *a, struct x64_module *m, const struct x64_code *code,
              const struct ra_input *in, const struct ra_output *ra, const struct x64_order *order,
              uint32_t sig) {
    struct x64_emitter e = {.arena = a, .code = code, .in = in, .ra = ra, .order = order};
    x64_asm_init(&e.s, a, m, code->blocks);
    make_frame(&e);
    e.reclean = x64_reclean(a, code, ra);
    x64_find_targets(&e);
    for (uint32_t b = 0; b < code->blocks; b++) // what is not laid out keeps what is clean
        if (order->empty[b]) e.s.block_out[b] = (struct x64_zstate){0, 0xffff};
    for (e.at = 0; e.at < order->blocks; e.at++) {
        uint32_t b = e.block = order->order[e.at];
        e.move = order->move[b];
        if (b == 0) prologue(&e);
        x64_begin_block(&e.s, b, e.align[b]);
        e.zero_unit = UINT32_MAX;
        for (uint32_t i = in->block[b].begin; i < in->block[b].end; i++) {
            emit_moves(&e, i);
            emit_insn(&e, i);
        }
        x64_end_block(&e.s);
    }
    x64_emit_stubs(&e);
    m->stats.spills += ra->slots;
    x64_asm_finish(&e.s, in, e.frame, sig);
}
