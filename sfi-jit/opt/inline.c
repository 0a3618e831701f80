// inline.c — opt_inline(): calls of small functions that call nothing become what these functions do.
//
// The callee's IR is built afresh at each call, and its blocks are copied between the two halves of the calling block; arguments
// take its parameters' places, and where it returned, it jumps behind the call. Only leaves of few bytes are taken, so there is no
// recursion, and the growth (refused callees count as well) is bounded by the caller's own size: compiling stays linear.
// Traps keep the offset of the operator in the callee's body, from which messages name the function (loader/trap.c).
#include "sfi-jit/lib.h"
#include "sfi-jit/opt/opt.h"

#define SMALL 40u   // bytes of a callee's body
#define BUDGET 256u // bytes that any caller may grow by, and its own size on top

struct inlining {
    struct ir_func *f;
    uint32_t budget;
    uint32_t *tail; // [block at the start]: the block that has its end now; 0: itself
    struct result { // uses of `call` become uses of `value`
        ir_ref call, value;
    } * result;
    uint32_t results, result_cap;
    // one callee:
    const struct ir_func *g;
    ir_ref *value;    // [value of g]: its copy
    uint32_t *block;  // [block of g]
    uint32_t after;   // block behind the call
    ir_ref *returned; // values, in the order of the edges into `after`
    uint32_t returneds, returned_cap;
};

static bool is_leaf(const struct ir_func *g) {
    for (uint32_t k = 0; k < g->orders; k++) switch (g->ins[g->block[g->order[k]].last].op) {
        case IR_JUMP:
        case IR_BRANCH:
        case IR_SWITCH:
        case IR_RETURN:
        case IR_TRAP: break;
        default: return false;
        }
    return !g->calls;
}

// Everything behind the call and its results goes to a new block, with the edges.
static void split_block(struct inlining *s, ir_ref call) {
    struct ir_func *f = s->f;
    uint32_t b = f->ins[call].block, after = s->after = ir_new_block(f);
    struct ir_block *from = &f->block[b], *to = &f->block[after];
    ir_ref last = call;
    while (f->ins[f->ins[last].next].op == IR_RESULT) last = f->ins[last].next;
    to->first = f->ins[last].next;
    to->last = from->last;
    to->succ = from->succ;
    to->succs = from->succs;
    f->ins[to->first].prev = 0;
    f->ins[last].next = 0;
    from->last = last;
    from->succ = NULL;
    from->succs = 0;
    for (ir_ref r = to->first; r; r = f->ins[r].next) f->ins[r].block = after;
    if (!s->tail[b])
        s->tail[b] = after;
    else // a split before this one: what follows now is a callee's entry, which has no other predecessor
        f->block[to->succ[0]].pred[0] = after;
}

static void copy_ins(struct inlining *s, ir_ref r, uint32_t block, ir_ref call) {
    struct ir_func *f = s->f;
    const struct ir_ins *i = &s->g->ins[r];
    if (i->op == IR_PARAM) {
        s->value[r] = f->pool[f->ins[call].a + (uint32_t)i->imm];
    } else if (i->op == IR_RETURN) {
        s->returned = jit_grow(f->arena, s->returned, &s->returned_cap, s->returneds + i->b,
                               sizeof *s->returned);
        if (i->b) memcpy(s->returned + s->returneds, s->g->pool + i->a, i->b * sizeof *s->returned);
        s->returneds += i->b;
        f->ins[ir_append(f, block, IR_JUMP, IR_VOID, 0, 0, 0, 0)].wasm = i->wasm;
        ir_add_edge(f, block, s->after);
    } else {
        uint32_t a = i->a;
        if (ir_op_info[i->op].operands == IR_POOL) a = ir_pool_add(f, s->g->pool + i->a, i->b);
        ir_ref copy =
            ir_append(f, block, (enum ir_op)i->op, (enum ir_type)i->type, a, i->b, i->c, i->imm);
        f->ins[copy].aux = i->aux;
        f->ins[copy].wasm = i->wasm;
        s->value[r] = copy;
    }
}

static uint32_t *copy_edges(const struct inlining *s, const uint32_t *edge, uint32_t n) {
    uint32_t cap = 2;
    while (cap < n) cap *= 2;
    uint32_t *copy = JIT_ARRAY(s->f->arena, uint32_t, cap);
    for (uint32_t k = 0; k < n; k++) copy[k] = s->block[edge[k]];
    return copy;
}

static void copy_body(struct inlining *s, ir_ref call) {
    struct ir_func *f = s->f;
    const struct ir_func *g = s->g;
    s->value = JIT_ARRAY(f->arena, ir_ref, g->inss);
    s->block = JIT_ARRAY(f->arena, uint32_t, g->blocks);
    for (uint32_t k = 0; k < g->orders; k++) s->block[g->order[k]] = ir_new_block(f);
    for (uint32_t k = 0; k < g->orders; k++) {
        const struct ir_block *from = &g->block[g->order[k]];
        struct ir_block *to = &f->block[s->block[g->order[k]]];
        to->preds = from->preds;
        to->pred = copy_edges(s, from->pred, from->preds);
        to->succs = from->succs;
        to->succ = copy_edges(s, from->succ, from->succs);
        for (ir_ref r = from->first; r; r = g->ins[r].next)
            copy_ins(s, r, s->block[g->order[k]], call);
    }
    // Operands, now that all copies are there.
    for (ir_ref r = 1; r < g->inss; r++) {
        uint32_t n;
        if (!s->value[r] || g->ins[r].op == IR_PARAM) continue;
        ir_ref *operand = ir_operands(f, s->value[r], &n);
        for (uint32_t k = 0; k < n; k++) operand[k] = s->value[operand[k]];
    }
    for (uint32_t k = 0; k < s->returneds; k++) s->returned[k] = s->value[s->returned[k]];
}

// Result number `which` of `count` that each return gives.
static void replace_result(struct inlining *s, ir_ref r, uint32_t which, uint32_t count) {
    struct ir_func *f = s->f;
    uint32_t returns = f->block[s->after].preds;
    ir_ref value = returns ? s->returned[which] : 0;
    if (returns > 1) {
        uint32_t start = f->pools;
        for (uint32_t k = 0; k < returns; k++) ir_pool_add(f, &s->returned[k * count + which], 1);
        value = ir_insert_before(f, f->block[s->after].first, IR_PHI, (enum ir_type)f->ins[r].type,
                                 start, returns, 0, 0);
    }
    s->result = jit_grow(f->arena, s->result, &s->result_cap, s->results + 1, sizeof *s->result);
    s->result[s->results++] = (struct result){r, value};
}

static void inline_call(struct inlining *s, ir_ref call) {
    struct ir_func *f = s->f;
    uint32_t b = f->ins[call].block, count = 0;
    s->returneds = 0;
    split_block(s, call);
    copy_body(s, call);
    ir_append(f, b, IR_JUMP, IR_VOID, 0, 0, 0, 0);
    ir_add_edge(f, b, s->block[0]);
    for (ir_ref r = call; f->ins[r].op != IR_JUMP; r = f->ins[r].next)
        count += f->ins[r].type != IR_VOID;
    uint32_t which = 0;
    for (ir_ref r = call, next; f->ins[r].op != IR_JUMP; r = next) {
        next = f->ins[r].next;
        if (f->ins[r].type != IR_VOID) replace_result(s, r, which++, count);
        ir_remove(f, r);
    }
}

static void try_call(struct inlining *s, ir_ref call) {
    struct ir_func *f = s->f;
    const struct wasm_module *m = f->module;
    uint32_t callee = (uint32_t)f->ins[call].imm;
    if (callee < m->imported_funcs || callee == f->index) return;
    uint32_t size = m->func[callee].body_size;
    if (size > SMALL || size > s->budget) return;
    s->budget -= size;
    s->g = ir_build(f->arena, m, callee);
    if (is_leaf(s->g)) inline_call(s, call);
}

// Predecessors of the old blocks are the new ends of split ones; calls' results are the returned values.
static void finish(struct inlining *s, uint32_t blocks) {
    struct ir_func *f = s->f;
    for (uint32_t b = 0; b < blocks; b++)
        for (uint32_t k = 0; k < f->block[b].preds; k++)
            if (s->tail[f->block[b].pred[k]]) f->block[b].pred[k] = s->tail[f->block[b].pred[k]];
    ir_ref *to = JIT_ARRAY(f->arena, ir_ref, f->inss);
    for (uint32_t k = 0; k < s->results; k++) to[s->result[k].call] = s->result[k].value;
    ir_forward(f, to);
    f->calls = false;
    for (ir_ref r = 1; r < f->inss; r++)
        f->calls |= f->ins[r].op >= IR_CALL && f->ins[r].op <= IR_CALL_INDIRECT;
    ir_analyse(f);
}

void opt_inline(struct ir_func *f) {
    if (!f->calls) return;
    uint32_t blocks = f->blocks;
    struct inlining s = {.f = f, .budget = f->module->func[f->index].body_size + BUDGET};
    s.tail = JIT_ARRAY(f->arena, uint32_t, blocks);
    // Backwards, so that each instruction moves to a new block only once.
    for (uint32_t b = 0; b < blocks; b++)
        for (ir_ref r = f->block[b].last, prev; r; r = prev) {
            prev = f->ins[r].prev;
            if (f->ins[r].op == IR_CALL) try_call(&s, r);
        }
    if (f->blocks != blocks) finish(&s, blocks);
}
