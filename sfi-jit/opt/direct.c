// direct.c — opt_direct(): indirect calls whose callee the module itself gives away become direct ones.
//
// A table is known if nobody can write it once its segments are in: it is neither imported nor exported, and no instruction names it but
// indirect calls. Its segments must lie inside of it at constant places, and none before them may fail: a function could have got out
// by an earlier segment, and run while this table was still empty.
// A call by a constant row of a known table calls the function in it, if that has the call's type. And if all functions of the call's
// type in the table are one, in one run of rows, a call by any row compares the row with the run: inside, the call is direct; outside,
// the indirect call is left as it was, in a block of its own, and traps.
#include "sfi-jit/lib.h"
#include "sfi-jit/opt/opt.h"

#define ROWS_MAX 65536u // that are looked at, of all tables
#define FOUND 256u      // answers that are kept
#define NONE UINT32_MAX

struct opt_tables {
    struct rows {
        uint32_t *func, rows; // [rows]: function, NONE if null; rows = 0: nothing is known
    } table[WASM_MAX_TABLES];
    struct found { // the only function of a type in a table, in rows first … last; NONE if there is no such thing
        bool valid;
        uint32_t table, type, func, first, last;
    } found[FOUND];
    uint64_t budget; // rows that may be looked at in all, so that compiling stays linear
};

static bool in_bounds(const struct wasm_module *m, const struct wasm_elem *e) {
    return e->table >= m->imported_tables && e->offset.kind == WASM_CE_CONST &&
           (uint64_t)(uint32_t)e->offset.value + e->count <= m->table[e->table].limits.min;
}

static void fill(struct rows *t, const struct wasm_elem *e) {
    for (uint32_t k = 0; k < e->count; k++) {
        const struct wasm_constexpr *c = &e->init[k];
        if (c->kind != WASM_CE_REF_FUNC && c->kind != WASM_CE_REF_NULL) t->rows = 0;
        if (!t->rows) return;
        t->func[(uint32_t)e->offset.value + k] =
            c->kind == WASM_CE_REF_FUNC ? (uint32_t)c->value : NONE;
    }
}

struct opt_tables *opt_tables(struct jit_arena *a, const struct wasm_module *m) {
    struct opt_tables *o = JIT_NEW(a, struct opt_tables);
    uint32_t room = ROWS_MAX;
    o->budget = 16ull * m->size;
    for (uint32_t t = m->imported_tables; t < m->tables; t++) {
        const struct wasm_table *table = &m->table[t];
        bool open = table->named || table->limits.min > room;
        for (uint32_t k = 0; k < m->exports && !open; k++)
            open = m->export[k].kind == WASM_TABLE && m->export[k].index == t;
        o->table[t].rows = open ? 0 : table->limits.min;
        if (open) continue;
        room -= table->limits.min;
        o->table[t].func = JIT_ARRAY(a, uint32_t, table->limits.min);
        memset(o->table[t].func, 0xff, sizeof(uint32_t) * table->limits.min);
    }
    if (room == ROWS_MAX) return NULL;
    bool certain = true; // no segment so far may fail
    for (uint32_t k = 0; k < m->elems; k++) {
        const struct wasm_elem *e = &m->elem[k];
        if (e->mode != WASM_ELEM_ACTIVE) continue;
        certain = certain && in_bounds(m, e);
        struct rows *t = &o->table[e->table];
        if (!certain)
            t->rows = 0;
        else if (t->rows)
            fill(t, e);
    }
    return o;
}

struct direct {
    struct ir_func *f;
    struct opt_tables *tables;
    uint32_t *tail; // [block at the start]: the block that has its end now; 0: itself
};

static bool has_type(const struct wasm_module *m, uint32_t func, uint32_t type) {
    uint32_t own = m->func[func].type;
    return own == type || wasm_functype_equal(&m->type[own], &m->type[type]);
}

static void look(struct direct *s, const struct rows *t, struct found *out) {
    out->func = NONE;
    if (t->rows > s->tables->budget) return;
    s->tables->budget -= t->rows;
    for (uint32_t k = 0; k < t->rows; k++) {
        uint32_t func = t->func[k];
        if (func == NONE || !has_type(s->f->module, func, out->type)) continue;
        if (out->func == NONE) {
            out->func = func;
            out->first = k;
        } else if (func != out->func || out->last != k - 1) {
            out->func = NONE;
            return;
        }
        out->last = k;
    }
}

static const struct found *only_one(struct direct *s, uint32_t table, uint32_t type) {
    struct found *found = &s->tables->found[type % FOUND];
    if (!found->valid || found->table != table || found->type != type) {
        *found = (struct found){.valid = true, .table = table, .type = type};
        look(s, &s->tables->table[table], found);
    }
    return found;
}

static void make_direct(struct ir_func *f, ir_ref call, uint32_t func) {
    struct ir_ins *i = &f->ins[call];
    i->op = i->op == IR_CALL_INDIRECT ? IR_CALL : IR_RETURN_CALL;
    i->b--; // the row, behind the arguments
    i->aux = 0;
    i->imm = func;
}

// The call and everything behind it go to a new block, with the edges.
static uint32_t split_block(struct direct *s, ir_ref call) {
    struct ir_func *f = s->f;
    uint32_t b = f->ins[call].block, after = ir_new_block(f);
    struct ir_block *from = &f->block[b], *to = &f->block[after];
    to->first = call;
    to->last = from->last;
    to->succ = from->succ;
    to->succs = from->succs;
    from->last = f->ins[call].prev;
    if (from->last)
        f->ins[from->last].next = 0;
    else
        from->first = 0;
    from->succ = NULL;
    from->succs = 0;
    f->ins[call].prev = 0;
    for (ir_ref r = call; r; r = f->ins[r].next) f->ins[r].block = after;
    if (!s->tail[b])
        s->tail[b] = after;
    else // split before, further down: these two blocks have no other predecessor
        for (uint32_t k = 0; k < 2; k++) f->block[to->succ[k]].pred[0] = after;
    return after;
}

static void compare_row(struct direct *s, ir_ref call, const struct found *found) {
    struct ir_func *f = s->f;
    uint32_t first = found->first, last = found->last;
    struct ir_ins copy = f->ins[call];
    ir_ref row = f->pool[copy.a + copy.b - 1];
    uint32_t b = copy.block, after = split_block(s, call), cold = ir_new_block(f);
    ir_ref k = ir_append(f, b, IR_CONST, IR_I32, 0, 0, 0, first);
    ir_ref test = ir_append(f, b, first == last ? IR_NE : IR_SUB, IR_I32, row, k, 0, 0);
    if (first != last) {
        k = ir_append(f, b, IR_CONST, IR_I32, 0, 0, 0, last - first);
        test = ir_append(f, b, IR_GTU, IR_I32, test, k, 0, 0);
    }
    ir_append(f, b, IR_BRANCH, IR_VOID, test, 0, 0, 0);
    ir_add_edge(f, b, cold);
    ir_add_edge(f, b, after);
    ir_ref old = ir_append(f, cold, IR_CALL_INDIRECT, (enum ir_type)copy.type,
                           ir_pool_add(f, f->pool + copy.a, copy.b), copy.b, 0, copy.imm);
    f->ins[old].aux = copy.aux;
    for (ir_ref r = f->ins[call].next; f->ins[r].op == IR_RESULT; r = f->ins[r].next)
        ir_append(f, cold, IR_RESULT, (enum ir_type)f->ins[r].type, old, 0, 0, f->ins[r].imm);
    ir_append(f, cold, IR_TRAP, IR_VOID, 0, 0, 0, 0);
    f->ins[f->block[cold].last].aux = SFI_TRAP_UNREACHABLE;
    for (ir_ref r = old; r; r = f->ins[r].next) f->ins[r].wasm = copy.wasm;
    make_direct(f, call, found->func);
}

static void try_call(struct direct *s, ir_ref call) {
    const struct ir_func *f = s->f;
    const struct ir_ins *i = &f->ins[call];
    const struct rows *t = &s->tables->table[i->aux];
    const struct ir_ins *row = &f->ins[f->pool[i->a + i->b - 1]];
    uint32_t type = (uint32_t)i->imm, func = NONE;
    bool tail = i->op == IR_RETURN_CALL_INDIRECT;
    if (row->op == IR_CONST) {
        if (row->imm < t->rows) func = t->func[row->imm];
        if (func == NONE || !has_type(f->module, func, type)) return;
        if (!tail || func >= f->module->imported_funcs) make_direct(s->f, call, func);
    } else if (!tail) {
        const struct found *found = only_one(s, i->aux, type);
        if (found->func != NONE) compare_row(s, call, found);
    }
}

void opt_direct(struct ir_func *f, struct opt_tables *tables) {
    uint32_t blocks = f->blocks;
    if (!f->calls || !tables) return;
    struct direct s = {f, tables, JIT_ARRAY(f->arena, uint32_t, blocks)};
    // Backwards, so that each instruction moves to a new block only once.
    for (uint32_t b = 0; b < blocks; b++)
        for (ir_ref r = f->block[b].last, prev; r; r = prev) {
            prev = f->ins[r].prev;
            if (f->ins[r].op == IR_CALL_INDIRECT || f->ins[r].op == IR_RETURN_CALL_INDIRECT)
                try_call(&s, r);
        }
    if (f->blocks == blocks) return;
    for (uint32_t b = 0; b < blocks; b++)
        for (uint32_t k = 0; k < f->block[b].preds; k++)
            if (s.tail[f->block[b].pred[k]]) f->block[b].pred[k] = s.tail[f->block[b].pred[k]];
    ir_analyse(f);
}
