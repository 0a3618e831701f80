// check.c — ir_check(): every invariant that ir.h names, looked at without trust in what maintains it.
//
// Dominators are computed anew by the plain iterative method, so that graph.c is checked and not repeated. Slow on purpose;
// for tests and for test builds between passes. It may be called on any function after ir_analyse(); the checker itself
// assumes only that vectors are as long as their counts say. Returns the first breach's text, or NULL.
#include "sfi-jit/ir/ir.h"
#include "sfi-jit/lib.h"
#include "sfi-jit/wasm/reader.h"

#define NONE UINT32_MAX

struct check {
    const struct ir_func *f;
    const char *breach;
    uint32_t *seq;      // position of an instruction among all that are linked in; 0 = not linked
    uint32_t *idom;     // own computation
    uint32_t *in, *out; // interval of a block in a walk over the dominator tree
};

static bool fail(struct check *c, const char *breach) {
    if (!c->breach) c->breach = breach;
    return false;
}
#define NEED(condition, breach)                   \
    do {                                          \
        if (!(condition)) return fail(c, breach); \
    } while (0)

static uint32_t count(const uint32_t *list, uint32_t n, uint32_t value) {
    uint32_t k = 0;
    for (uint32_t i = 0; i < n; i++) k += list[i] == value;
    return k;
}

static bool edges(struct check *c) {
    const struct ir_func *f = c->f;
    NEED(f->blocks > 0, "no blocks");
    NEED(f->block[0].preds == 0, "entry block has a predecessor");
    for (uint32_t b = 0; b < f->blocks; b++) {
        const struct ir_block *block = &f->block[b];
        for (uint32_t k = 0; k < block->succs; k++) {
            uint32_t s = block->succ[k];
            NEED(s < f->blocks, "successor out of range");
            const struct ir_block *to = &f->block[s];
            if (k && block->succ[k - 1] == s) continue; // switches have long runs of the same
            NEED(count(to->pred, to->preds, b) == count(block->succ, block->succs, s),
                 "edge in succ but not in pred");
        }
        for (uint32_t k = 0; k < block->preds; k++) {
            NEED(block->pred[k] < f->blocks, "predecessor out of range");
            const struct ir_block *from = &f->block[block->pred[k]];
            if (k && block->pred[k - 1] == block->pred[k]) continue;
            NEED(count(from->succ, from->succs, b), "edge in pred but not in succ");
        }
    }
    return true;
}

static bool order(struct check *c) {
    const struct ir_func *f = c->f;
    uint32_t ordered = 0;
    NEED(f->orders > 0 && f->order[0] == 0, "order does not begin with the entry block");
    for (uint32_t i = 0; i < f->orders; i++)
        NEED(f->order[i] < f->blocks && f->block[f->order[i]].order == i,
             "order of a block is wrong");
    for (uint32_t b = 0; b < f->blocks; b++) {
        const struct ir_block *block = &f->block[b];
        if (block->order == NONE) {
            NEED(!block->first && !block->succs && !block->preds, "unreachable block is not empty");
            continue;
        }
        ordered++;
        bool from_before = b == 0;
        for (uint32_t k = 0; k < block->preds; k++)
            from_before |= f->block[block->pred[k]].order < block->order;
        NEED(from_before, "order is not a reverse post order");
    }
    NEED(ordered == f->orders, "block missing in the order");
    return true;
}

static uint32_t common(const struct check *c, uint32_t a, uint32_t b) {
    const struct ir_block *block = c->f->block;
    while (a != b) {
        while (block[a].order > block[b].order) a = c->idom[a];
        while (block[b].order > block[a].order) b = c->idom[b];
    }
    return a;
}

static bool dominates(const struct check *c, uint32_t a, uint32_t b) {
    return c->in[a] <= c->in[b] && c->out[b] <= c->out[a];
}

static bool dominators(struct check *c) {
    const struct ir_func *f = c->f;
    for (uint32_t b = 0; b < f->blocks; b++) c->idom[b] = NONE;
    c->idom[0] = 0;
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t i = 1; i < f->orders; i++) {
            const struct ir_block *block = &f->block[f->order[i]];
            uint32_t idom = NONE;
            for (uint32_t k = 0; k < block->preds; k++)
                if (c->idom[block->pred[k]] != NONE)
                    idom = idom == NONE ? block->pred[k] : common(c, idom, block->pred[k]);
            changed |= c->idom[f->order[i]] != idom;
            c->idom[f->order[i]] = idom;
        }
    }
    for (uint32_t i = 0; i < f->orders; i++)
        NEED(f->block[f->order[i]].idom == c->idom[f->order[i]], "immediate dominator is wrong");
    // Sizes of subtrees bottom up, then intervals top down.
    uint32_t *size = JIT_ARRAY(f->arena, uint32_t, f->blocks);
    uint32_t *used = JIT_ARRAY(f->arena, uint32_t, f->blocks);
    for (uint32_t i = f->orders; i-- > 0;) {
        size[f->order[i]]++;
        if (i) size[c->idom[f->order[i]]] += size[f->order[i]];
    }
    for (uint32_t i = 0; i < f->orders; i++) {
        uint32_t b = f->order[i], up = c->idom[b];
        if (i) {
            c->in[b] = c->in[up] + 1 + used[up];
            used[up] += size[b];
        }
        c->out[b] = c->in[b] + size[b];
    }
    return true;
}

static bool loops(struct check *c) {
    const struct ir_func *f = c->f;
    for (uint32_t i = 0; i < f->orders; i++) {
        uint32_t b = f->order[i];
        const struct ir_block *block = &f->block[b];
        bool head = false;
        for (uint32_t k = 0; k < block->preds; k++) {
            uint32_t p = block->pred[k];
            if (f->block[p].order < i) continue;
            NEED(dominates(c, b, p), "graph is not reducible");
            head = true;
            uint32_t loop = f->block[p].loop;
            while (loop != NONE && loop != b) loop = f->block[loop].outer;
            NEED(loop == b, "edge back from outside the loop");
        }
        NEED(head == (block->loop == b), "loop head is wrong");
        uint32_t around = head ? block->outer : block->loop;
        NEED(around == NONE || (around < f->blocks && f->block[around].loop == around &&
                                f->block[around].order < i),
             "loop is wrong");
        NEED(block->loop_depth == (around == NONE ? 0 : f->block[around].loop_depth) + head,
             "loop depth is wrong");
        if (i == 0) continue;
        // Contiguous: the block before is in the same loop, or this one begins or ends loops.
        uint32_t loop = f->block[f->order[i - 1]].loop;
        while (loop != around && loop != NONE) loop = f->block[loop].outer;
        NEED(loop == around, "loop body is not contiguous");
    }
    return true;
}

static bool links(struct check *c) {
    const struct ir_func *f = c->f;
    uint32_t seq = 0;
    for (uint32_t i = 0; i < f->orders; i++) {
        uint32_t b = f->order[i];
        ir_ref prev = 0;
        NEED(f->block[b].first, "block is empty");
        for (ir_ref r = f->block[b].first; r; prev = r, r = f->ins[r].next) {
            NEED(r < f->inss && !c->seq[r], "instruction list is broken");
            NEED(f->ins[r].op < IR_OPS && f->ins[r].op != IR_NOP, "no operator");
            NEED(f->ins[r].block == b && f->ins[r].prev == prev, "instruction list is broken");
            c->seq[r] = ++seq;
            uint8_t op = f->ins[r].op;
            bool term = ir_op_info[op].flags & IRF_TERM;
            NEED(term == (r == f->block[b].last), "terminator not at the block's end");
            uint8_t before = prev ? f->ins[prev].op : (uint8_t)op;
            if (op == IR_PARAM)
                NEED(b == 0 && before == IR_PARAM, "param not at the head of the entry");
            if (op == IR_PHI) NEED(before == IR_PHI, "phi not at the head of its block");
            if (op == IR_RESULT)
                NEED(prev && (before == IR_RESULT ? f->ins[prev].a : prev) == f->ins[r].a,
                     "result not behind its call");
        }
    }
    return true;
}

static bool uses(struct check *c, ir_ref r) {
    struct ir_func *f = (struct ir_func *)c->f; // ir_operands() gives no const view
    const struct ir_ins *ins = &f->ins[r];
    uint32_t n;
    if (ir_op_info[ins->op].operands == IR_POOL)
        NEED(ins->a <= f->pools && ins->b <= f->pools - ins->a, "operands outside the pool");
    const ir_ref *operand = ir_operands(f, r, &n);
    const struct ir_block *block = &f->block[ins->block];
    if (ins->op == IR_PHI) NEED(n == block->preds, "phi operands do not match the predecessors");
    for (uint32_t k = 0; k < n; k++) {
        ir_ref d = operand[k];
        NEED(d && d < f->inss && c->seq[d], "operand is not in the function");
        NEED(f->ins[d].type != IR_VOID, "operand has no value");
        if (ins->op == IR_PHI) {
            NEED(dominates(c, f->ins[d].block, block->pred[k]),
                 "phi operand does not dominate its edge");
            NEED(f->ins[d].type == ins->type, "phi operand has another type");
            if (k && block->pred[k] == block->pred[k - 1])
                NEED(d == operand[k - 1], "phi operands differ on edges from one block");
        } else if (f->ins[d].block == ins->block) {
            NEED(c->seq[d] < c->seq[r], "use before its definition");
        } else {
            NEED(dominates(c, f->ins[d].block, ins->block), "definition does not dominate its use");
        }
    }
    return true;
}

// A call's operands and results against a function type; `extra` more operands follow the arguments.
static bool call_types(struct check *c, ir_ref r, uint32_t type, uint32_t extra) {
    struct ir_func *f = (struct ir_func *)c->f;
    NEED(type < f->module->types, "type index out of range");
    const struct wasm_functype *t = &f->module->type[type];
    uint32_t n;
    const ir_ref *operand = ir_operands(f, r, &n);
    NEED(n == t->params + extra, "number of arguments");
    for (uint32_t k = 0; k < t->params; k++)
        NEED(f->ins[operand[k]].type == ir_type_of(t->type[k]), "type of an argument");
    if (extra) NEED(f->ins[operand[n - 1]].type == IR_I32, "type of the row index");
    if (ir_op_info[f->ins[r].op].flags & IRF_TERM) { // a tail call: the function's own results
        const struct wasm_functype *own = &f->module->type[f->module->func[f->index].type];
        NEED(t->results == own->results, "number of results");
        for (uint32_t k = 0; k < t->results; k++)
            NEED(t->type[t->params + k] == own->type[own->params + k], "type of a result");
        return true;
    }
    uint32_t k = 0;
    for (ir_ref v = r; k < t->results; k++, v = f->ins[v].next) {
        NEED(v && (k == 0 || (f->ins[v].op == IR_RESULT && f->ins[v].imm == k)),
             "results of a call");
        NEED(f->ins[v].type == ir_type_of(t->type[t->params + k]), "type of a result");
    }
    if (t->results == 0) NEED(f->ins[r].type == IR_VOID, "type of a result");
    return true;
}

#define INT(t) ((t) == IR_I32 || (t) == IR_I64)
#define FP(t) ((t) == IR_F32 || (t) == IR_F64)
#define WITHIN(op, first, last) ((op) >= IR_##first && (op) <= IR_##last)

// The value operators, which ops.def keeps in families: true for right types and for operators of other kinds.
static bool value_types(uint32_t op, uint32_t t, uint32_t a, uint32_t b) {
    if (WITHIN(op, ADD, ROTR)) return INT(t) && a == t && b == t;
    if (WITHIN(op, CLZ, SEXT16)) return INT(t) && a == t;
    if (WITHIN(op, EQ, GEU)) return t == IR_I32 && INT(a) && a == b;
    if (WITHIN(op, FEQ, FGE)) return t == IR_I32 && FP(a) && a == b;
    if (WITHIN(op, FADD, FCOPYSIGN)) return FP(t) && a == t && b == t;
    if (WITHIN(op, FABS, FNEAREST)) return FP(t) && a == t;
    if (WITHIN(op, S2F, U2F)) return FP(t) && INT(a);
    if (WITHIN(op, F2S, F2U_SAT)) return INT(t) && FP(a);
    switch (op) {
    case IR_SEXT32: return t == IR_I64 && a == t;
    case IR_WRAP: return t == IR_I32 && a == IR_I64;
    case IR_EXTS: return t == IR_I64 && a == IR_I32;
    case IR_EXTU: return t == IR_I64 && a == IR_I32;
    case IR_MULHU:
    case IR_MULHS: return t == IR_I64 && a == t && b == t;
    case IR_BSWAP: return INT(t) && a == t;
    case IR_PROMOTE: return t == IR_F64 && a == IR_F32;
    case IR_DEMOTE: return t == IR_F32 && a == IR_F64;
    case IR_BITCAST:
        if (INT(t)) return a == (t == IR_I32 ? IR_F32 : IR_F64);
        return FP(t) && a == (t == IR_F32 ? IR_I32 : IR_I64);
    case IR_ATOMIC_LOAD: return INT(t) && a == IR_I32;
    case IR_ATOMIC_STORE:
    case IR_ATOMIC_AND:
    case IR_ATOMIC_OR:
    case IR_ATOMIC_XOR: return t == IR_VOID && a == IR_I32 && INT(b);
    case IR_ATOMIC_ADD:
    case IR_ATOMIC_SUB:
    case IR_ATOMIC_XCHG:
    case IR_ATOMIC_CMPXCHG: return INT(t) && a == IR_I32 && b == t;
    case IR_VUN: return t == IR_V128 && a == IR_V128;
    case IR_VBIN:
    case IR_VCOM:
    case IR_VBITSELECT:
    case IR_VSHUFFLE: return t == IR_V128 && a == IR_V128 && b == IR_V128;
    case IR_VSHIFT: return t == IR_V128 && a == IR_V128 && b == IR_I32;
    case IR_VTEST: return t == IR_I32 && a == IR_V128;
    case IR_VSPLAT: return t == IR_V128 && a != IR_V128;
    case IR_VEXTRACT: return t != IR_V128 && a == IR_V128;
    case IR_VREPLACE: return t == IR_V128 && a == IR_V128 && b != IR_V128;
    case IR_VLOAD: return t == IR_V128 && a == IR_I32;
    case IR_VLOAD_LANE: return t == IR_V128 && a == IR_I32 && b == IR_V128;
    case IR_VSTORE_LANE: return t == IR_VOID && a == IR_I32 && b == IR_V128;
    default: return true;
    }
}
_Static_assert(IR_ROTR - IR_ADD == 14 && IR_SEXT16 - IR_CLZ == 4 && IR_GEU - IR_EQ == 9 &&
                   IR_FGE - IR_FEQ == 5 && IR_FCOPYSIGN - IR_FADD == 6 &&
                   IR_FNEAREST - IR_FABS == 6 && IR_U2F - IR_S2F == 1 && IR_F2U_SAT - IR_F2S == 3,
               "families of ops.def, relied on in value_types()");

static bool types(struct check *c, ir_ref r) {
    const struct ir_func *f = c->f;
    const struct ir_ins *i = &f->ins[r];
    if (i->op >= IR_VUN && i->op <= IR_VSTORE_LANE)
        NEED(i->aux < 0x100 && wasm_op_info[WASM_OP_SIMD + i->aux].ir == i->op, "vector operator");
    uint32_t t = i->type, n = ir_op_info[i->op].operands, from = 0, from2 = 0;
    if (n != IR_POOL && n >= 1) from = f->ins[i->a].type;
    if (n != IR_POOL && n >= 2) from2 = f->ins[i->b].type;
    const struct wasm_functype *type = &f->module->type[f->module->func[f->index].type];
    const char *wrong = "type of an instruction";
    NEED(value_types(i->op, t, from, from2), wrong);
    if (ir_op_info[i->op].flags & IRF_TERM) NEED(t == IR_VOID, wrong);
    switch (i->op) {
    case IR_CONST:
        NEED(INT(t) || FP(t) || t == IR_V128, wrong);
        if (t == IR_I32 || t == IR_F32) NEED(i->imm >> 32 == 0, "constant is not zero-extended");
        break;
    case IR_PARAM: NEED(i->imm < type->params && t == ir_type_of(type->type[i->imm]), wrong); break;
    case IR_PHI: NEED(t != IR_VOID, wrong); break;
    case IR_SELECT:
        NEED(t != IR_VOID && from == IR_I32 && from2 == t && f->ins[i->c].type == t, wrong);
        break;
    case IR_LOAD:
        NEED(t != IR_VOID && from == IR_I32 && i->aux <= IR_MEM_FULL && i->imm >> 32 == 0, wrong);
        NEED(i->aux == IR_MEM_FULL || INT(t), wrong);
        break;
    case IR_STORE: {
        bool narrow = i->aux == IR_MEM_8U || i->aux == IR_MEM_16U || i->aux == IR_MEM_32U;
        NEED(t == IR_VOID && from == IR_I32 && i->imm >> 32 == 0, wrong);
        NEED(i->aux == IR_MEM_FULL || (INT(from2) && narrow), wrong);
        break;
    }
    case IR_MEMSIZE: NEED(t == IR_I32 && f->module->memories, wrong); break;
    case IR_GLOBAL_GET:
        NEED(i->imm < f->module->globals, "global index out of range");
        NEED(t == ir_type_of(f->module->global[i->imm].type), wrong);
        break;
    case IR_GLOBAL_SET:
        NEED(i->imm < f->module->globals, "global index out of range");
        NEED(t == IR_VOID && from == ir_type_of(f->module->global[i->imm].type), wrong);
        break;
    case IR_TABLE_LEN: NEED(t == IR_I32 && i->imm < f->module->tables, wrong); break;
    case IR_FENCE: NEED(t == IR_VOID, wrong); break;
    case IR_RETURN_CALL:
        NEED(i->imm >= f->module->imported_funcs, "tail call of an import");
        // fall through
    case IR_CALL:
        NEED(i->imm < f->module->funcs, "function index out of range");
        return call_types(c, r, f->module->func[i->imm].type, 0);
    case IR_CALL_BUILTIN: NEED(i->imm < SFI_BUILTINS_USED, "no such built-in"); break;
    case IR_RETURN_CALL_INDIRECT:
    case IR_CALL_INDIRECT:
        NEED(i->aux < f->module->tables && i->imm <= UINT32_MAX, "table index out of range");
        return call_types(c, r, (uint32_t)i->imm, 1);
    case IR_RESULT: {
        uint8_t op = f->ins[i->a].op;
        NEED(t != IR_VOID && (op == IR_CALL || op == IR_CALL_INDIRECT), wrong);
        NEED(i->imm == (f->ins[i->prev].op == IR_RESULT ? f->ins[i->prev].imm + 1 : 1), wrong);
        break;
    }
    case IR_ATOMIC_CMPXCHG: NEED(f->ins[i->c].type == t, wrong); break;
    case IR_VBITSELECT: NEED(f->ins[i->c].type == IR_V128, wrong); break;
    case IR_VSHUFFLE:
        NEED(f->ins[i->c].type == IR_V128 && f->ins[i->c].op == IR_CONST, "lanes of a shuffle");
        break;
    case IR_BRANCH: NEED(from == IR_I32, wrong); break;
    case IR_SWITCH: NEED(from == IR_I32, wrong); break;
    case IR_RETURN:
        NEED(i->b == type->results, "number of results");
        for (uint32_t k = 0; k < type->results; k++)
            NEED(f->ins[f->pool[i->a + k]].type == ir_type_of(type->type[type->params + k]),
                 "type of a result");
        break;
    case IR_TRAP: NEED(i->aux > SFI_TRAP_NONE && i->aux < SFI_TRAP_COUNT, wrong); break;
    default: break;
    }
    return true;
}

static bool successors(struct check *c, uint32_t b) {
    const struct ir_block *block = &c->f->block[b];
    const char *wrong = "number of successors";
    switch ((enum ir_op)c->f->ins[block->last].op) {
    case IR_JUMP: NEED(block->succs == 1, wrong); break;
    case IR_BRANCH: NEED(block->succs == 2, wrong); break;
    case IR_SWITCH: NEED(block->succs >= 1, wrong); break;
    default: NEED(block->succs == 0, wrong);
    }
    return true;
}

static bool everything(struct check *c) {
    const struct ir_func *f = c->f;
    if (!edges(c) || !order(c) || !dominators(c) || !loops(c) || !links(c)) return false;
    for (uint32_t i = 0; i < f->orders; i++) {
        if (!successors(c, f->order[i])) return false;
        for (ir_ref r = f->block[f->order[i]].first; r; r = f->ins[r].next)
            if (!uses(c, r) || !types(c, r)) return false;
    }
    return true;
}

const char *ir_check(const struct ir_func *f) {
    struct jit_mark mark = jit_mark(f->arena);
    struct check c = {.f = f};
    c.seq = JIT_ARRAY(f->arena, uint32_t, f->inss);
    c.idom = JIT_ARRAY(f->arena, uint32_t, f->blocks);
    c.in = JIT_ARRAY(f->arena, uint32_t, f->blocks);
    c.out = JIT_ARRAY(f->arena, uint32_t, f->blocks);
    everything(&c);
    jit_release(f->arena, mark);
    return c.breach;
}
