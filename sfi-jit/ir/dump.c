// dump.c — the IR as text, one instruction a line: what tests compare and people read.
//
//     func 3 $name (i32 i64) -> (f32)
//     b1:                                  preds b0 b2  loop b1 depth 1
//         v7 = i32.add v5 v6
//         store.16u v7 v6 +8               address, value, offset;  loads: v9 = i64.load.8s v7 +0
//         v8 = i32.call f2 v7 v6           call.indirect: type, table, arguments, row
//         branch v8 b2 b3                  switch: the last one is the default
// Values are numbered as in the function, so numbers change when passes add and remove. Blocks stand in f->order.
#include "sfi-jit/ir/ir.h"
#include "sfi-jit/lib.h"
#include "sfi-jit/wasm/reader.h"

struct out {
    void (*put)(void *ctx, const char *text, size_t n);
    void *ctx;
    const struct ir_func *f;
};

static void text(struct out *o, const char *s) {
    size_t n = 0;
    while (s[n]) n++;
    o->put(o->ctx, s, n);
}

// prefix, then a number
static void num(struct out *o, const char *prefix, uint64_t value) {
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    text(o, prefix);
    o->put(o->ctx, digits + at, sizeof digits - at);
}

static void hex(struct out *o, uint64_t value) {
    char digits[16];
    size_t at = sizeof digits;
    do {
        digits[--at] = "0123456789abcdef"[value & 15];
        value >>= 4;
    } while (value);
    text(o, " 0x");
    o->put(o->ctx, digits + at, sizeof digits - at);
}

static const char *const type_name[] = {
    [IR_VOID] = "void", [IR_I32] = "i32", [IR_I64] = "i64",
    [IR_F32] = "f32",   [IR_F64] = "f64", [IR_V128] = "v128",
};

static void constant(struct out *o, const struct ir_ins *i) {
    bool negative = i->type == IR_I32 ? i->imm >> 31 & 1 : i->imm >> 63;
    uint64_t value = i->imm, v128[2];
    if (i->type == IR_V128) {
        ir_v128(i, v128);
        hex(o, v128[0]);
        hex(o, v128[1]);
        return;
    }
    if (i->type == IR_F32 || i->type == IR_F64) {
        hex(o, value);
        return;
    }
    if (negative) value = i->type == IR_I32 ? (uint32_t) - (uint32_t)value : -value;
    num(o, negative ? " -" : " ", value);
}

static const char *builtin_name(uint64_t number) {
    static const char *const names[] = {
#define X(name, text) text,
        SFI_BUILTIN_LIST(X)
#undef X
    };
    return number < SFI_BUILTINS_USED ? names[number] : "?";
}

static const char *trap_name(uint32_t kind) {
    static const char *const names[] = {"none",
#define X(name, text) text,
                                        SFI_TRAP_LIST(X)
#undef X
    };
    return kind < SFI_TRAP_COUNT ? names[kind] : "?";
}

static void instruction(struct out *o, ir_ref r) {
    static const char *const mem[] = {".8s", ".8u", ".16s", ".16u", ".32s", ".32u", ""};
    struct ir_func *f = (struct ir_func *)o->f; // ir_operands() gives no const view
    const struct ir_ins *i = &f->ins[r];
    const struct ir_block *block = &f->block[i->block];
    text(o, "    ");
    if (i->type != IR_VOID) {
        num(o, "v", r);
        text(o, " = ");
        text(o, type_name[i->type <= IR_V128 ? i->type : IR_VOID]);
        text(o, ".");
    }
    bool vector = i->op >= IR_VUN && i->op <= IR_VSTORE_LANE;
    text(o, vector ? wasm_op_info[WASM_OP_SIMD + (i->aux & 0xff)].text : ir_op_info[i->op].text);
    bool atomic = i->op >= IR_ATOMIC_LOAD && i->op <= IR_ATOMIC_CMPXCHG;
    if (i->op == IR_LOAD || i->op == IR_STORE || atomic)
        text(o, mem[i->aux <= IR_MEM_FULL ? i->aux : IR_MEM_FULL]);
    switch ((enum ir_op)i->op) {
    case IR_CONST: constant(o, i); break;
    case IR_CALL:
    case IR_RETURN_CALL: num(o, " f", i->imm); break;
    case IR_CALL_BUILTIN:
        text(o, " ");
        text(o, builtin_name(i->imm));
        break;
    case IR_CALL_INDIRECT:
    case IR_RETURN_CALL_INDIRECT:
        num(o, " type ", i->imm);
        num(o, " table ", i->aux);
        break;
    case IR_PARAM:
    case IR_GLOBAL_GET:
    case IR_GLOBAL_SET:
    case IR_TABLE_LEN: num(o, " ", i->imm); break;
    case IR_TRAP:
        text(o, " ");
        text(o, trap_name(i->aux));
        break;
    default: break;
    }
    uint32_t n;
    const ir_ref *operand = ir_operands(f, r, &n);
    for (uint32_t k = 0; k < n; k++) num(o, " v", operand[k]);
    if (i->op == IR_LOAD || i->op == IR_STORE || atomic) num(o, " +", i->imm);
    if (i->op >= IR_VLOAD && i->op <= IR_VSTORE_LANE) num(o, " +", (uint32_t)i->imm);
    if (i->op == IR_VLOAD_LANE || i->op == IR_VSTORE_LANE) num(o, " lane ", i->imm >> 32);
    if (i->op == IR_VEXTRACT || i->op == IR_VREPLACE) num(o, " lane ", i->imm);
    if (i->op == IR_RESULT) num(o, " ", i->imm);
    if (ir_op_info[i->op].flags & IRF_TERM)
        for (uint32_t k = 0; k < block->succs; k++) num(o, " b", block->succ[k]);
    text(o, "\n");
}

static void type_list(struct out *o, const uint8_t *type, uint32_t n) {
    text(o, "(");
    for (uint32_t k = 0; k < n; k++) {
        if (k) text(o, " ");
        switch (type[k]) {
        case WASM_I32: text(o, "i32"); break;
        case WASM_I64: text(o, "i64"); break;
        case WASM_F32: text(o, "f32"); break;
        case WASM_F64: text(o, "f64"); break;
        case WASM_V128: text(o, "v128"); break;
        case WASM_FUNCREF: text(o, "funcref"); break;
        default: text(o, "externref");
        }
    }
    text(o, ")");
}

void ir_dump(const struct ir_func *f, void (*put)(void *ctx, const char *text, size_t n), void *ctx) {
    struct out o = {put, ctx, f};
    const struct wasm_func *self = &f->module->func[f->index];
    const struct wasm_functype *type = &f->module->type[self->type];
    num(&o, "func ", f->index);
    if (self->debug_name.length) {
        text(&o, " $");
        put(ctx, self->debug_name.text, self->debug_name.length);
    }
    text(&o, " ");
    type_list(&o, type->type, type->params);
    text(&o, " -> ");
    type_list(&o, type->type + type->params, type->results);
    text(&o, "\n");
    for (uint32_t i = 0; i < f->orders; i++) {
        uint32_t b = f->order[i];
        const struct ir_block *block = &f->block[b];
        num(&o, "b", b);
        text(&o, ":");
        if (block->preds) text(&o, " preds");
        for (uint32_t k = 0; k < block->preds; k++) num(&o, " b", block->pred[k]);
        if (block->loop != UINT32_MAX) {
            num(&o, " loop b", block->loop);
            num(&o, " depth ", block->loop_depth);
        }
        text(&o, "\n");
        for (ir_ref r = block->first; r; r = f->ins[r].next) instruction(&o, r);
    }
}
