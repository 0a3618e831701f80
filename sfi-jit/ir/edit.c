// edit.c — making and changing IR: the table of operators, instructions, blocks, edges, uses.
//
// Vectors of a function grow by doubling inside its arena; pointers into f->ins, f->block and f->pool die when they do, so
// hold references, not pointers. Nothing here checks the IR's invariants: that is check.c.
#include "sfi-jit/ir/ir.h"
#include "sfi-jit/lib.h"

const struct ir_op_info ir_op_info[IR_OPS] = {
#define X(name, text, operands, flags) [IR_##name] = {text, operands, flags},
#include "sfi-jit/ir/ops.def"
#undef X
};
_Static_assert(sizeof(struct ir_ins) == 40, "three fit in two cache lines");
_Static_assert(offsetof(struct ir_ins, c) == offsetof(struct ir_ins, a) + 8,
               "ir_operands() takes a, b, c as an array");

// Beyond these a function is too complex to be compiled; wasm_parse() bounds what honest input can reach.
#define INS_MAX (1u << 26)
#define POOL_MAX (1u << 26)

struct ir_func *ir_new_func(struct jit_arena *a, const struct wasm_module *m, uint32_t index) {
    struct ir_func *f = JIT_NEW(a, struct ir_func);
    f->arena = a;
    f->module = m;
    f->index = index;
    f->inss = 1; // 0 is "none"
    f->ins = jit_grow(a, NULL, &f->ins_cap, 64, sizeof *f->ins);
    f->pool = jit_grow(a, NULL, &f->pool_cap, 64, sizeof *f->pool);
    return f;
}

static ir_ref new_ins(struct ir_func *f, struct ir_ins ins) {
    if (f->inss == f->ins_cap) {
        if (f->inss >= INS_MAX)
            jit_fail(f->arena, JIT_ERR_LIMIT, 0, f->index, "function too complex");
        f->ins = jit_grow(f->arena, f->ins, &f->ins_cap, f->inss + 1, sizeof *f->ins);
    }
    f->ins[f->inss] = ins;
    return f->inss++;
}

ir_ref ir_append(struct ir_func *f, uint32_t block, enum ir_op op, enum ir_type type, ir_ref a,
                 ir_ref b, ir_ref c, uint64_t imm) {
    ir_ref last = f->block[block].last;
    ir_ref r = new_ins(f, (struct ir_ins){.op = (uint8_t)op,
                                          .type = (uint8_t)type,
                                          .a = a,
                                          .b = b,
                                          .c = c,
                                          .block = block,
                                          .prev = last,
                                          .wasm = f->ins[last].wasm,
                                          .imm = imm});
    if (last)
        f->ins[last].next = r;
    else
        f->block[block].first = r;
    f->block[block].last = r;
    return r;
}

ir_ref ir_insert_before(struct ir_func *f, ir_ref at, enum ir_op op, enum ir_type type, ir_ref a,
                        ir_ref b, ir_ref c, uint64_t imm) {
    uint32_t block = f->ins[at].block;
    ir_ref prev = f->ins[at].prev;
    ir_ref r = new_ins(f, (struct ir_ins){.op = (uint8_t)op,
                                          .type = (uint8_t)type,
                                          .a = a,
                                          .b = b,
                                          .c = c,
                                          .block = block,
                                          .prev = prev,
                                          .next = at,
                                          .wasm = f->ins[at].wasm,
                                          .imm = imm});
    f->ins[at].prev = r;
    if (prev)
        f->ins[prev].next = r;
    else
        f->block[block].first = r;
    return r;
}

void ir_remove(struct ir_func *f, ir_ref r) {
    struct ir_ins *i = &f->ins[r];
    struct ir_block *b = &f->block[i->block];
    if (i->prev)
        f->ins[i->prev].next = i->next;
    else
        b->first = i->next;
    if (i->next)
        f->ins[i->next].prev = i->prev;
    else
        b->last = i->prev;
    *i = (struct ir_ins){.op = IR_NOP, .block = i->block};
}

uint32_t ir_new_block(struct ir_func *f) {
    f->block = jit_grow(f->arena, f->block, &f->block_cap, f->blocks + 1, sizeof *f->block);
    f->block[f->blocks] =
        (struct ir_block){.order = UINT32_MAX, .loop = UINT32_MAX, .outer = UINT32_MAX};
    return f->blocks++;
}

static void push(struct jit_arena *a, uint32_t **list, uint32_t *count, uint32_t value) {
    uint32_t n = *count;
    if (n == 0 || (n >= 2 && (n & (n - 1)) == 0)) { // full: the capacity follows from the count
        uint32_t *bigger = JIT_ARRAY(a, uint32_t, n ? 2 * (size_t)n : 2);
        if (n) memcpy(bigger, *list, n * sizeof **list);
        *list = bigger;
    }
    (*list)[n] = value;
    *count = n + 1;
}

void ir_add_edge(struct ir_func *f, uint32_t from, uint32_t to) {
    push(f->arena, &f->block[from].succ, &f->block[from].succs, to);
    push(f->arena, &f->block[to].pred, &f->block[to].preds, from);
}

uint32_t ir_pool_add(struct ir_func *f, const ir_ref *refs, uint32_t count) {
    if (count > POOL_MAX - f->pools)
        jit_fail(f->arena, JIT_ERR_LIMIT, 0, f->index, "function too complex");
    f->pool = jit_grow(f->arena, f->pool, &f->pool_cap, f->pools + count, sizeof *f->pool);
    uint32_t start = f->pools;
    if (count) memcpy(f->pool + start, refs, count * sizeof *refs);
    f->pools += count;
    return start;
}

// The end of r's chain. Every link passed is made to point there.
static ir_ref chase(ir_ref *to, ir_ref r) {
    ir_ref end = r;
    while (to[end]) end = to[end];
    while (to[r]) {
        ir_ref next = to[r];
        if (next != end) to[r] = end;
        r = next;
    }
    return end;
}

void ir_forward(struct ir_func *f, ir_ref *to) {
    for (ir_ref r = 1; r < f->inss; r++) {
        uint32_t n;
        ir_ref *operand = ir_operands(f, r, &n);
        for (uint32_t k = 0; k < n; k++)
            if (to[operand[k]]) operand[k] = chase(to, operand[k]);
    }
}
