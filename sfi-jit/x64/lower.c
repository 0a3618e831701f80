// lower.c — instruction selection: from a function's IR to machine instructions with constrained operands. See lower.h.
//
// This file has the walk over the blocks, the building blocks, conditions and ends of blocks; the operators are in lower_*.c.
// Blocks keep their order and edges; block number = position in f->order. The operands of PHIs become branch arguments; a PHI of a block
// with one predecessor is just another name of its operand.
#include "sfi-jit/x64/lower.h"
#include "sfi-jit/lib.h"

// ---- building instructions ---------------------------------------------------------------------

struct x64_insn *x64_new(struct x64_lower *l, enum x64_mop op, uint8_t size) {
    struct x64_code *o = &l->out;
    if (o->insns == l->insn_cap) {
        uint32_t cap = l->insn_cap;
        o->insn = jit_grow(l->arena, o->insn, &l->insn_cap, cap + 1, sizeof *o->insn);
        o->ra = jit_grow(l->arena, o->ra, &cap, cap + 1, sizeof *o->ra);
    }
    o->ra[o->insns] = (struct ra_insn){.first = o->operands};
    o->insn[o->insns] = (struct x64_insn){.op = (uint8_t)op, .size = size, .wasm = l->wasm};
    return &o->insn[o->insns++];
}

uint32_t x64_new_vreg(struct x64_lower *l, uint8_t ir_type) {
    struct x64_code *o = &l->out;
    if (o->vregs == l->vreg_cap) {
        uint32_t cap = l->vreg_cap;
        o->vreg = jit_grow(l->arena, o->vreg, &l->vreg_cap, cap + 1, sizeof *o->vreg);
        o->vconst = jit_grow(l->arena, o->vconst, &cap, cap + 1, sizeof *o->vconst);
    }
    o->vreg[o->vregs] = (struct ra_vreg){
        .cls = x64_is_float(ir_type) ? RA_FP : RA_INT, .bytes = x64_size(ir_type), .hint = RA_NONE};
    return o->vregs++;
}

void x64_operand(struct x64_lower *l, uint32_t vreg, enum ra_kind kind, enum ra_when when,
                 enum ra_how how, uint32_t fixed) {
    struct x64_code *o = &l->out;
    o->operand = jit_grow(l->arena, o->operand, &l->operand_cap, o->operands + 1, sizeof *o->operand);
    o->operand[o->operands++] =
        (struct ra_operand){vreg, (uint8_t)kind, (uint8_t)when, (uint8_t)how, (uint8_t)fixed};
    o->ra[o->insns - 1].count++;
}

void x64_clobber(struct x64_lower *l, uint32_t registers) {
    l->out.ra[l->out.insns - 1].clobber |= registers;
}

void x64_set_mem(struct x64_insn *i, const struct x64_src *s) {
    i->mem = s->mem;
    i->disp = s->disp;
    i->wasm = s->wasm;
}

void x64_in_src(struct x64_lower *l, const struct x64_src *s) {
    struct x64_insn *i = &l->out.insn[l->out.insns - 1];
    switch (s->kind) {
    case SRC_VREG: x64_in_any(l, s->vreg); break;
    case SRC_IMM:
        i->has_imm = true;
        i->imm = s->imm;
        break;
    case SRC_MEM:
        x64_set_mem(i, s);
        if (s->vreg) x64_in(l, s->vreg);
        break;
    }
}

// ---- values ------------------------------------------------------------------------------------

ir_ref x64_name(const struct x64_lower *l, ir_ref r) { return l->alias[r] ? l->alias[r] : r; }

bool x64_is_const(const struct x64_lower *l, ir_ref r, uint64_t *out_bits) {
    uint8_t type = x64_ins(l, r)->type;
    const struct ir_ins *i = x64_ins(l, x64_name(l, r));
    if (i->op != IR_CONST || type == IR_V128) return false;
    *out_bits = type == IR_I32 ? (uint64_t)(int64_t)(int32_t)i->imm : i->imm;
    return true;
}

uint32_t x64_vreg_of(struct x64_lower *l, ir_ref r) {
    r = x64_name(l, r);
    if (!l->vreg[r]) l->vreg[r] = x64_new_vreg(l, x64_ins(l, r)->type);
    return l->vreg[r];
}

uint32_t x64_imm(struct x64_lower *l, uint8_t ir_type, uint64_t bits) {
    uint32_t v = x64_new_vreg(l, ir_type);
    bool is_float = x64_is_float(ir_type);
    if (x64_size(ir_type) == 4) bits = (uint32_t)bits;
    l->out.vreg[v].remat = true;
    l->out.vconst[v] = bits;
    struct x64_insn *i = x64_new(l,
                                 is_float ? MOP_FCONST
                                 : bits   ? MOP_MOVI
                                          : MOP_ZERO,
                                 x64_size(ir_type));
    i->fsize = i->size;
    i->imm = bits;
    x64_out(l, v);
    return v;
}

uint32_t x64_imm_vector(struct x64_lower *l, uint64_t low, uint64_t high) {
    uint32_t v = x64_new_vreg(l, IR_V128);
    uint64_t code = (low | high) == 0            ? 0
                    : (low & high) == UINT64_MAX ? X64_VECTOR_ONES
                                                 : 1ull + x64_pool(l->module, 16, low, high);
    l->out.vreg[v].remat = true;
    l->out.vconst[v] = code;
    struct x64_insn *i = x64_new(l, MOP_FCONST, 16);
    i->fsize = 16;
    i->imm = code;
    x64_out(l, v);
    return v;
}

uint32_t x64_use(struct x64_lower *l, ir_ref r) {
    uint64_t bits, v128[2];
    if (x64_is_const(l, r, &bits)) return x64_imm(l, x64_ins(l, r)->type, bits);
    const struct ir_ins *i = x64_ins(l, x64_name(l, r));
    if (i->op != IR_CONST) return x64_vreg_of(l, r);
    ir_v128(i, v128);
    return x64_imm_vector(l, v128[0], v128[1]);
}

struct x64_src x64_source(struct x64_lower *l, ir_ref r, bool load, bool imm_ok) {
    const struct ir_ins *i = x64_ins(l, r);
    uint64_t bits;
    if (load) return x64_address(l, i);
    if (x64_is_const(l, r, &bits)) {
        if (x64_is_float(i->type) && bits != 0) {
            uint32_t ref = x64_pool(l->module, x64_size(i->type), bits, 0);
            return (struct x64_src){.kind = SRC_MEM, .mem = XM_POOL, .disp = (int32_t)ref};
        }
        if (imm_ok && !x64_is_float(i->type) && x64_fits32(bits))
            return (struct x64_src){.kind = SRC_IMM, .imm = bits};
    }
    const struct ir_ins *named = x64_ins(l, x64_name(l, r));
    if (named->op == IR_CONST && named->type == IR_V128) {
        uint64_t v128[2];
        ir_v128(named, v128);
        uint32_t ref = x64_pool(l->module, 16, v128[0], v128[1]);
        return (struct x64_src){.kind = SRC_MEM, .mem = XM_POOL, .disp = (int32_t)ref};
    }
    return (struct x64_src){.kind = SRC_VREG, .vreg = x64_use(l, r)};
}

// ---- conditions --------------------------------------------------------------------------------

void x64_trap_if(struct x64_lower *l, enum x64_cc cc, enum sfi_trap trap) {
    struct x64_insn *i = x64_new(l, MOP_TRAPIF, 0);
    i->cc = (uint8_t)cc;
    i->imm = trap;
}

// Conditions of a op b, and of b op a, from IR_EQ on.
static const uint8_t compare_cc[] = {CC_E, CC_NE, CC_L,  CC_B,  CC_G,
                                     CC_A, CC_LE, CC_BE, CC_GE, CC_AE};
static const uint8_t exchanged_cc[] = {CC_E, CC_NE, CC_G,  CC_A,  CC_L,
                                       CC_B, CC_GE, CC_AE, CC_LE, CC_BE};

// A comparison or test of what the load `r` would get.
static void memory_with_imm(struct x64_lower *l, enum x64_mop op, ir_ref r, uint64_t imm) {
    struct x64_src mem = x64_source(l, r, true, false);
    x64_new(l, op, x64_access_size(l, x64_ins(l, r)));
    x64_in_src(l, &mem);
    struct x64_insn *n = &l->out.insn[l->out.insns - 1];
    n->has_imm = true;
    n->imm = imm;
}

static uint8_t compare_int(struct x64_lower *l, ir_ref r) {
    const struct ir_ins *i = x64_ins(l, r);
    uint8_t fold = l->fold[r], size = x64_size(x64_ins(l, i->a)->type);
    uint64_t bits;
    bool exchange = fold & FOLD_RM_A || x64_is_const(l, i->a, &bits);
    ir_ref left = exchange ? i->b : i->a, right = exchange ? i->a : i->b;
    const uint8_t *cc = exchange ? exchanged_cc : compare_cc;
    bool is_const = x64_is_const(l, left, &bits);
    if (is_const && fold & FOLD_RM_A && x64_fits32(bits)) {
        memory_with_imm(l, MOP_CMP, right, bits);
        return compare_cc[i->op - IR_EQ];
    }
    uint32_t a = x64_use(l, left);
    struct x64_src b = x64_source(l, right, fold & (FOLD_RM_A | FOLD_RM_B), true);
    if (b.kind == SRC_IMM && b.imm == 0) {
        x64_new(l, MOP_TEST, size);
        x64_in(l, a);
        x64_in(l, a);
    } else {
        x64_new(l, MOP_CMP, size);
        x64_in(l, a);
        x64_in_src(l, &b);
    }
    return cc[i->op - IR_EQ];
}

static uint8_t compare_float(struct x64_lower *l, ir_ref r) {
    // "Less" sets CF, but so does "unordered": so a < b is asked as b > a.
    static const uint8_t float_cc[] = {CC_FEQ, CC_FNE, CC_A, CC_A, CC_AE, CC_AE};
    const struct ir_ins *i = x64_ins(l, r);
    bool exchange = i->op == IR_FLT || i->op == IR_FLE;
    uint32_t a = x64_use(l, exchange ? i->b : i->a);
    struct x64_src b =
        x64_source(l, exchange ? i->a : i->b, l->fold[r] & (FOLD_RM_A | FOLD_RM_B), false);
    x64_new(l, MOP_VUCOM, 0)->fsize = x64_size(x64_ins(l, i->a)->type);
    x64_in(l, a);
    x64_in_src(l, &b);
    return float_cc[i->op - IR_FEQ];
}

// r is not made by itself and no comparison: an AND, tested.
static uint8_t test_and(struct x64_lower *l, ir_ref r) {
    const struct ir_ins *i = x64_ins(l, r);
    uint64_t bits;
    bool exchange = x64_is_const(l, i->a, &bits);
    bool is_const = exchange || x64_is_const(l, i->b, &bits);
    if (l->fold[r] & FOLD_RM_A) {
        memory_with_imm(l, MOP_TEST, i->a, bits);
        return CC_NE;
    }
    uint32_t a = x64_use(l, exchange ? i->b : i->a);
    if (is_const && !x64_fits32(bits) && (bits & (bits - 1)) == 0) { // one bit, beyond immediates
        struct x64_insn *n = x64_new(l, MOP_BT, 8);
        n->has_imm = true;
        n->imm = (uint64_t)__builtin_ctzll(bits);
        x64_in(l, a);
        return CC_B;
    }
    struct x64_src b = x64_source(l, exchange ? i->a : i->b, false, true);
    x64_new(l, MOP_TEST, x64_size(i->type));
    x64_in(l, a);
    if (b.kind == SRC_VREG)
        x64_in(l, b.vreg);
    else
        x64_in_src(l, &b);
    return CC_NE;
}

uint8_t x64_condition(struct x64_lower *l, ir_ref r) {
    uint8_t invert = 0;
    for (;;) {
        const struct ir_ins *i = x64_ins(l, r);
        bool made = !(l->fold[r] & FOLD_SKIP);
        if (!made && x64_is_compare(i)) {
            if (x64_negation(l, i) && !(l->fold[r] & FOLD_RM_A)) {
                invert ^= i->op == IR_EQ;
                r = i->a;
                continue;
            }
            return (i->op < IR_FEQ ? compare_int(l, r) : compare_float(l, r)) ^ invert;
        }
        if (!made && i->op == IR_AND) return test_and(l, r) ^ invert;
        if (!made && i->op == IR_LOAD) {
            memory_with_imm(l, MOP_CMP, r, 0);
            return CC_NE ^ invert;
        }
        uint32_t v = x64_use(l, r);
        x64_new(l, MOP_TEST, x64_size(i->type));
        x64_in(l, v);
        x64_in(l, v);
        return CC_NE ^ invert;
    }
}

// ---- blocks ------------------------------------------------------------------------------------

#define PIECES_MAX 8u // of a switch that is bisected; more are looked up in a table

#define BITS_MAX 32u // cases between two places: looked up in a constant

// Only two places to go to.
static bool is_binary(const struct ir_block *b) {
    uint32_t one = 0;
    if (b->succs > BITS_MAX + 1) return false;
    while (b->succ[one] == b->succ[0]) one++; // there are several pieces
    for (uint32_t k = one; k < b->succs; k++)
        if (b->succ[k] != b->succ[0] && b->succ[k] != b->succ[one]) return false;
    return true;
}

static void lower_switch(struct x64_lower *l, const struct ir_ins *i) {
    const struct ir_block *b = &l->f->block[i->block];
    struct x64_code *o = &l->out;
    uint32_t pieces = 1; // cases in a row that go to one place
    for (uint32_t k = 1; k < b->succs; k++) pieces += b->succ[k] != b->succ[k - 1];
    if (pieces == 1) {
        x64_new(l, MOP_JMP, 0);
        return;
    }
    uint32_t index = x64_use(l, i->a);
    bool table = pieces > PIECES_MAX && !is_binary(b);
    struct x64_insn *n = x64_new(l, table ? MOP_JTABLE : MOP_SWITCH, 4);
    n->imm = b->succs;
    n->disp = (int32_t)o->targets;
    o->target =
        jit_grow(l->arena, o->target, &l->target_cap, o->targets + b->succs, sizeof *o->target);
    for (uint32_t k = 0; k < b->succs; k++) o->target[o->targets++] = l->f->block[b->succ[k]].order;
    if (table) {
        x64_in_fixed(l, index, RAX);
        x64_clobber(l, 1u << RAX);
    } else {
        x64_in(l, index);
    }
}

static void lower_branch(struct x64_lower *l, const struct ir_ins *i) {
    const struct ir_block *b = &l->f->block[i->block];
    if (b->succ[0] == b->succ[1]) {
        x64_new(l, MOP_JMP, 0);
        return;
    }
    uint8_t cc = x64_condition(l, i->a);
    x64_new(l, MOP_JCC, 0)->cc = cc;
}

static void lower_ins(struct x64_lower *l, ir_ref r) {
    const struct ir_ins *i = x64_ins(l, r);
    l->wasm = i->wasm;
    switch ((enum ir_op)i->op) {
    case IR_NOP:
    case IR_CONST:
    case IR_PHI:
    case IR_PARAM:  // x64_lower_params()
    case IR_RESULT: // x64_lower_call()
    case IR_OPS: break;
    case IR_FADD:
    case IR_FSUB:
    case IR_FMUL:
    case IR_FDIV:
    case IR_FMIN:
    case IR_FMAX:
    case IR_FCOPYSIGN:
    case IR_FABS:
    case IR_FNEG:
    case IR_FSQRT:
    case IR_FCEIL:
    case IR_FFLOOR:
    case IR_FTRUNC:
    case IR_FNEAREST:
    case IR_S2F:
    case IR_U2F:
    case IR_F2S:
    case IR_F2U:
    case IR_F2S_SAT:
    case IR_F2U_SAT:
    case IR_PROMOTE:
    case IR_DEMOTE:
    case IR_BITCAST: x64_lower_float(l, r); break;
    case IR_LOAD:
    case IR_STORE:
    case IR_MEMSIZE:
    case IR_TABLE_LEN:
    case IR_GLOBAL_GET:
    case IR_GLOBAL_SET: x64_lower_memory(l, r); break;
    case IR_ATOMIC_LOAD:
    case IR_ATOMIC_STORE:
    case IR_ATOMIC_ADD:
    case IR_ATOMIC_SUB:
    case IR_ATOMIC_AND:
    case IR_ATOMIC_OR:
    case IR_ATOMIC_XOR:
    case IR_ATOMIC_XCHG:
    case IR_ATOMIC_CMPXCHG: x64_lower_atomic(l, r); break;
    case IR_VUN:
    case IR_VBIN:
    case IR_VCOM:
    case IR_VBITSELECT:
    case IR_VSHIFT:
    case IR_VTEST:
    case IR_VSPLAT:
    case IR_VEXTRACT:
    case IR_VREPLACE:
    case IR_VSHUFFLE:
    case IR_VLOAD:
    case IR_VLOAD_LANE:
    case IR_VSTORE_LANE: x64_lower_simd(l, r); break;
    case IR_CALL_BUILTIN:
        if (x64_is_short_bulk(l, i)) {
            x64_lower_bulk(l, r);
            break;
        }
        x64_lower_call(l, r);
        break;
    case IR_CALL:
    case IR_CALL_INDIRECT: x64_lower_call(l, r); break;
    case IR_JUMP: x64_new(l, MOP_JMP, 0); break;
    case IR_BRANCH: lower_branch(l, i); break;
    case IR_SWITCH: lower_switch(l, i); break;
    case IR_RETURN: x64_lower_return(l, r); break;
    case IR_RETURN_CALL:
    case IR_RETURN_CALL_INDIRECT: x64_lower_tail_call(l, r); break;
    case IR_TRAP: x64_new(l, MOP_TRAP, 0)->imm = i->aux; break;
    case IR_FENCE: x64_new(l, MOP_FENCE, 0); break;
    default: x64_lower_int(l, r); break;
    }
}

// Positions of the blocks in a list of edges, each named once: the allocator sees no parallel edges.
static uint32_t *positions(struct x64_lower *l, const uint32_t *blocks, uint32_t n, uint32_t *out_n) {
    uint32_t *p = JIT_ARRAY(l->arena, uint32_t, n);
    l->lists++;
    *out_n = 0;
    for (uint32_t k = 0; k < n; k++)
        if (l->list_of[blocks[k]] != l->lists) {
            l->list_of[blocks[k]] = l->lists;
            p[(*out_n)++] = l->f->block[blocks[k]].order;
        }
    return p;
}

static bool live_phi(const struct x64_lower *l, ir_ref r) { return x64_ins(l, r)->op == IR_PHI; }

// PHIs become parameters; with one predecessor, names.
static void lower_phis(struct x64_lower *l, const struct ir_block *b, struct ra_block *out) {
    uint32_t n = 0;
    for (ir_ref r = b->first; r && live_phi(l, r); r = x64_ins(l, r)->next) n++;
    uint32_t *param = JIT_ARRAY(l->arena, uint32_t, n);
    for (ir_ref r = b->first; r && live_phi(l, r); r = x64_ins(l, r)->next) {
        if (b->preds != 1 && l->uses[r]) param[out->params++] = x64_vreg_of(l, r);
    }
    out->param = param;
}

// Before the block's last instruction: constants among the arguments are made here.
static void lower_args(struct x64_lower *l, uint32_t block, struct ra_block *out) {
    const struct ir_block *b = &l->f->block[block];
    if (b->succs != 1 || l->f->block[b->succ[0]].preds == 1) return;
    const struct ir_block *to = &l->f->block[b->succ[0]];
    uint32_t n = 0, k = l->edge[block];
    for (ir_ref r = to->first; r && live_phi(l, r); r = x64_ins(l, r)->next) n++;
    uint32_t *arg = JIT_ARRAY(l->arena, uint32_t, n);
    for (ir_ref r = to->first; r && live_phi(l, r); r = x64_ins(l, r)->next)
        if (l->uses[r]) arg[out->args++] = x64_use(l, l->f->pool[x64_ins(l, r)->a + k]);
    out->arg = arg;
}

static void lower_block(struct x64_lower *l, uint32_t position) {
    uint32_t block = l->f->order[position];
    const struct ir_block *b = &l->f->block[block];
    struct ra_block *out = &l->out.block[position];
    *out = (struct ra_block){.begin = l->out.insns};
    out->pred = positions(l, b->pred, b->preds, &out->preds);
    out->succ = positions(l, b->succ, b->succs, &out->succs);
    lower_phis(l, b, out);
    if (position == 0) x64_lower_params(l);
    for (ir_ref r = b->first; r; r = x64_ins(l, r)->next) {
        if (r == b->last) lower_args(l, block, out);
        if (!(l->fold[r] & FOLD_SKIP)) lower_ins(l, r);
    }
    out->end = l->out.insns;
}

void x64_lower(struct jit_arena *a, struct x64_module *m, struct ir_func *f, struct x64_code *out) {
    struct x64_lower l = {.arena = a,
                          .module = m,
                          .f = f,
                          .vreg = JIT_ARRAY(a, uint32_t, f->inss),
                          .alias = JIT_ARRAY(a, ir_ref, f->inss),
                          .uses = JIT_ARRAY(a, uint32_t, f->inss),
                          .fold = JIT_ARRAY(a, uint8_t, f->inss),
                          .list_of = JIT_ARRAY(a, uint32_t, f->blocks),
                          .edge = JIT_ARRAY(a, uint32_t, f->blocks)};
    l.out.blocks = f->orders;
    l.out.block = JIT_ARRAY(a, struct ra_block, f->orders);
    l.out.vregs = 1;                        // 0 is none
    l.vreg_cap = l.insn_cap = f->inss + 16; // about one each of a value
    l.out.vreg = JIT_ARRAY(a, struct ra_vreg, l.vreg_cap);
    l.out.vconst = JIT_ARRAY(a, uint64_t, l.vreg_cap);
    l.out.insn = JIT_ARRAY(a, struct x64_insn, l.insn_cap);
    l.out.ra = JIT_ARRAY(a, struct ra_insn, l.insn_cap);
    l.operand_cap = 2 * l.insn_cap;
    l.out.operand = JIT_ARRAY(a, struct ra_operand, l.operand_cap);
    x64_fold(&l);
    for (uint32_t b = 0; b < f->blocks; b++)
        for (uint32_t k = 0; k < f->block[b].preds; k++) l.edge[f->block[b].pred[k]] = k;
    for (uint32_t p = 0; p < f->orders; p++) lower_block(&l, p);
    *out = l.out;
}
