// lower_call.c — parameters, calls and returns: callconv.h made into operands with fixed registers.
#include "sfi-jit/x64/callconv.h"
#include "sfi-jit/x64/lower.h"

// Everything that a callee may change: all but rbx, rbp, r12–r14 (and rsp, r15). Includes all of xmm0–15.
#define CALL_CLOBBERS                                                                     \
    (0xffff0000u | 1u << RAX | 1u << RCX | 1u << RDX | 1u << RSI | 1u << RDI | 1u << R8 | \
     1u << R9 | 1u << R10 | 1u << R11)

#define XMM0 16

static void load(struct x64_lower *l, uint32_t vreg, uint8_t type, uint8_t kind, int32_t disp) {
    struct x64_src from = {.kind = SRC_MEM, .mem = kind, .disp = disp};
    x64_new(l, x64_is_float(type) ? MOP_FLOAD : MOP_MOV, x64_size(type))->fsize = x64_size(type);
    x64_out(l, vreg);
    x64_in_src(l, &from);
}

static void store(struct x64_lower *l, ir_ref value, uint8_t kind, int32_t disp) {
    struct x64_src to = {.kind = SRC_MEM, .mem = kind, .disp = disp};
    uint8_t type = x64_ins(l, value)->type;
    uint32_t v = x64_use(l, value);
    x64_new(l, x64_is_float(type) ? MOP_FSTORE : MOP_STORE, x64_size(type))->fsize = x64_size(type);
    x64_in(l, v);
    x64_in_src(l, &to);
}

// The vreg that an i32 with an undefined upper half is put in: r's own, unless r must be clean.
static uint32_t dirty_vreg(struct x64_lower *l, ir_ref r) {
    bool clean = l->fold[r] & FOLD_CLEAN && x64_ins(l, r)->type == IR_I32;
    return clean ? x64_new_vreg(l, IR_I32) : x64_vreg_of(l, r);
}

static void clean(struct x64_lower *l, ir_ref r, uint32_t vreg) {
    uint32_t own = x64_vreg_of(l, r);
    if (own == vreg) return;
    x64_new(l, MOP_MOV32, 4);
    x64_out(l, own);
    x64_in(l, vreg);
}

void x64_lower_params(struct x64_lower *l) {
    struct ir_func *f = l->f;
    const struct wasm_functype *type = &f->module->type[f->module->func[f->index].type];
    uint32_t *place = JIT_ARRAY(l->arena, uint32_t, type->params);
    uint32_t *vreg = JIT_ARRAY(l->arena, uint32_t, type->params);
    ir_ref first = f->block[f->order[0]].first;
    struct x64_args args = {0};
    for (uint32_t k = 0; k < type->params; k++) {
        uint8_t t = type->type[k];
        place[k] = x64_next_arg(&args, t == WASM_F32 || t == WASM_F64 || t == WASM_V128);
    }
    x64_new(l, MOP_PARAMS, 0);
    for (ir_ref r = first; r && f->ins[r].op == IR_PARAM; r = f->ins[r].next) {
        uint32_t k = (uint32_t)f->ins[r].imm;
        if (l->uses[r] && place[k] < 32) {
            vreg[k] = dirty_vreg(l, r);
            x64_out_fixed(l, vreg[k], x64_arg_reg(place[k]));
        }
    }
    for (ir_ref r = first; r && f->ins[r].op == IR_PARAM; r = f->ins[r].next) {
        uint32_t k = (uint32_t)f->ins[r].imm;
        if (!l->uses[r]) continue;
        if (place[k] < 32)
            clean(l, r, vreg[k]);
        else
            load(l, x64_vreg_of(l, r), f->ins[r].type, XM_CTX, -(int32_t)SFI_CTX_RESULT(place[k] - 32));
    }
}

struct call {
    uint32_t vreg[SFI_INT_ARGS + SFI_FP_ARGS], reg[SFI_INT_ARGS + SFI_FP_ARGS], regs;
    uint32_t index; // CALL_INDIRECT: vreg of the row
    ir_ref in_rax;  // the result there, as the callee left it in rax_vreg
    uint32_t rax_vreg;
};

// The results of call r: itself and the RESULTs behind it. Registers first, then what is in the context.
static void lower_results(struct x64_lower *l, ir_ref r, bool in_context, struct call *c) {
    struct ir_func *f = l->f;
    struct x64_results results = {0};
    uint32_t at = 0; // results passed so far
    const struct ir_ins *call = x64_ins(l, r);
    if (call->type == IR_VOID) return;
    const uint8_t *types = NULL; // of a function; a built-in has one result
    if (call->op != IR_CALL_BUILTIN) {
        uint32_t t = call->op == IR_CALL ? f->module->func[call->imm].type : (uint32_t)call->imm;
        types = f->module->type[t].type + f->module->type[t].params;
    }
    for (ir_ref v = r; v && (v == r || f->ins[v].op == IR_RESULT); v = f->ins[v].next) {
        uint32_t index = v == r ? 0 : (uint32_t)f->ins[v].imm;
        int place = 0;
        for (; at <= index; at++) {
            bool is_float =
                types ? types[at] == WASM_F32 || types[at] == WASM_F64 || types[at] == WASM_V128
                      : x64_is_float(call->type);
            place = x64_next_result(&results, is_float);
        }
        if (!l->uses[v]) continue;
        if (place >= 0 && in_context)
            load(l, x64_vreg_of(l, v), f->ins[v].type, XM_CTX, -(int32_t)SFI_CTX_RESULT(place));
        if (place == -2 && !in_context) x64_out_fixed(l, x64_vreg_of(l, v), XMM0);
        if (place == -1 && !in_context) {
            c->in_rax = v;
            c->rax_vreg = dirty_vreg(l, v);
            x64_out_fixed(l, c->rax_vreg, RAX);
        }
    }
}

// Arguments in memory are stored, then register arguments named, so that constants are made last.
static void lower_args(struct x64_lower *l, const ir_ref *arg, uint32_t n, struct call *c) {
    struct x64_args args = {0};
    for (uint32_t k = 0; k < n; k++) {
        uint8_t type = x64_ins(l, arg[k])->type;
        uint32_t place = x64_next_arg(&args, x64_is_float(type));
        if (place >= 32) store(l, arg[k], XM_CTX, -(int32_t)SFI_CTX_RESULT(place - 32));
    }
    args = (struct x64_args){0};
    for (uint32_t k = 0; k < n; k++) {
        uint8_t type = x64_ins(l, arg[k])->type;
        uint32_t place = x64_next_arg(&args, x64_is_float(type));
        if (place < 32) {
            c->vreg[c->regs] = x64_use(l, arg[k]);
            c->reg[c->regs++] = x64_arg_reg(place);
        }
    }
}

void x64_lower_call(struct x64_lower *l, ir_ref r) {
    struct ir_func *f = l->f;
    const struct ir_ins *i = x64_ins(l, r);
    uint32_t n;
    const ir_ref *arg = ir_operands(f, r, &n);
    struct call c = {0};
    bool indirect = i->op == IR_CALL_INDIRECT;
    if (indirect) n--;
    lower_args(l, arg, n, &c);
    if (indirect) c.index = x64_use(l, arg[n]);

    struct x64_insn *call = x64_new(l, indirect ? MOP_CALLI : MOP_CALL, 0);
    if (indirect) {
        const struct jit_options *o = l->module->options;
        call->imm = o->sig_id(o->ctx, &f->module->type[i->imm]);
        call->disp = i->aux;
        x64_in_fixed(l, c.index, RAX);
    } else {
        call->imm = i->op == IR_CALL ? i->imm : UINT32_MAX - i->imm;
    }
    for (uint32_t k = 0; k < c.regs; k++) x64_in_fixed(l, c.vreg[k], c.reg[k]);
    lower_results(l, r, false, &c);
    x64_clobber(l, CALL_CLOBBERS);
    if (c.in_rax) clean(l, c.in_rax, c.rax_vreg);
    lower_results(l, r, true, &c);
}

void x64_lower_tail_call(struct x64_lower *l, ir_ref r) {
    struct ir_func *f = l->f;
    const struct ir_ins *i = x64_ins(l, r);
    uint32_t n;
    const ir_ref *arg = ir_operands(f, r, &n);
    struct call c = {0};
    bool indirect = i->op == IR_RETURN_CALL_INDIRECT;
    if (indirect) n--;
    lower_args(l, arg, n, &c);
    if (indirect) c.index = x64_use(l, arg[n]);
    struct x64_insn *tail = x64_new(l, indirect ? MOP_TAILI : MOP_TAIL, 0);
    tail->imm = i->imm;
    if (indirect) {
        const struct jit_options *o = l->module->options;
        tail->imm = o->sig_id(o->ctx, &f->module->type[i->imm]);
        tail->disp = i->aux;
        x64_in_fixed(l, c.index, RAX);
    }
    for (uint32_t k = 0; k < c.regs; k++) x64_in_fixed(l, c.vreg[k], c.reg[k]);
}

void x64_lower_return(struct x64_lower *l, ir_ref r) {
    uint32_t n;
    const ir_ref *value = ir_operands(l->f, r, &n);
    struct x64_results results = {0};
    ir_ref in_reg[2] = {0, 0}; // rax, xmm0
    for (uint32_t k = 0; k < n; k++) {
        int place = x64_next_result(&results, x64_is_float(x64_ins(l, value[k])->type));
        if (place >= 0)
            store(l, value[k], XM_CTX, -(int32_t)SFI_CTX_RESULT(place));
        else
            in_reg[place == -2] = value[k];
    }
    uint32_t v[2] = {0, 0};
    for (unsigned k = 0; k < 2; k++)
        if (in_reg[k]) v[k] = x64_use(l, in_reg[k]);
    x64_new(l, MOP_RET, 0);
    for (unsigned k = 0; k < 2; k++)
        if (in_reg[k]) x64_in_fixed(l, v[k], k ? XMM0 : RAX);
}
