// validate.c — function bodies: spec 3.3, by the algorithm of its appendix 7.3 (a stack of types, a stack of control frames).
//
// Both stacks lie on the heap, bounded by the body's size. An operand type 0 is "unknown": below the bottom of an unreachable
// frame's stack everything matches. What the row in ops.def says is checked from the row; instructions whose types depend on
// more have a case in instruction(). Types of whole lists (labels, calls, blocks) are compared as bytes, so that long lists
// named by short instructions stay cheap; comparing one by one, needed beside unknowns, is rationed.
#include "sfi-jit/sfi.h"
#include "sfi-jit/wasm/reader.h"

#define UNKNOWN 0

struct frame {
    const uint8_t *in, *out; // types that a block takes and leaves
    uint32_t ins, outs;
    uint32_t height;  // of the stack of types below the block's own
    uint32_t checked; // last br_table that looked at this label
    uint8_t op;       // WASM_OP_BLOCK (a function's body, too), LOOP, IF, ELSE
    bool unreachable;
};

struct validator {
    struct wasm_reader r;
    struct wasm_module *m;
    const uint8_t *at; // instruction, for errors
    const uint8_t *end; // of the body; the reader goes on to the module's, as the specification's decoder does
    uint8_t *stack, *local;
    uint32_t height, stack_cap, frames, frame_cap, locals, local_cap;
    struct frame *frame;
    uint64_t all_locals;
    uint32_t br_tables;
    uint32_t ration; // of comparisons one by one
    bool data_count;
};

// A module that is malformed further on is malformed, not invalid: before v->at is blamed, the body's rest is read.
static _Noreturn void invalid(struct validator *v, const char *message) {
    v->r.p = v->at;
    for (uint32_t open = v->frames; open;) {
        uint32_t op = wasm_opcode(&v->r);
        wasm_skip_immediate(&v->r, wasm_op_info[op].imm);
        open += op == WASM_OP_BLOCK || op == WASM_OP_LOOP || op == WASM_OP_IF;
        open -= op == WASM_OP_END;
    }
    if (v->r.p != v->end) wasm_fail(&v->r, JIT_ERR_MALFORMED, "section size mismatch");
    wasm_fail_at(&v->r, JIT_ERR_INVALID, v->at, message);
}

static _Noreturn void malformed(struct validator *v, const char *message) {
    wasm_fail(&v->r, JIT_ERR_MALFORMED, message);
}

static struct frame *innermost(struct validator *v) { return &v->frame[v->frames - 1]; }

// ---- The stack of types -------------------------------------------------------------------------------------------------------
static void push(struct validator *v, uint8_t type) {
    if (v->height == v->stack_cap)
        v->stack = jit_grow(v->r.arena, v->stack, &v->stack_cap, v->height + 1, 1);
    v->stack[v->height++] = type;
}

static uint8_t pop_any(struct validator *v) {
    const struct frame *f = innermost(v);
    if (v->height > f->height) return v->stack[--v->height];
    if (!f->unreachable) invalid(v, "type mismatch: nothing on the stack");
    return UNKNOWN;
}

static inline void pop(struct validator *v, uint8_t type) {
    uint8_t have = pop_any(v);
    if (have != type && have != UNKNOWN) invalid(v, "type mismatch");
}

static void push_list(struct validator *v, const uint8_t *type, uint32_t n) {
    if (n == 0) return;
    v->stack = jit_grow(v->r.arena, v->stack, &v->stack_cap, v->height + n, 1);
    memcpy(v->stack + v->height, type, n);
    v->height += n;
}

// That the top of the stack has these types.
static void check_list(struct validator *v, const uint8_t *type, uint32_t n) {
    const struct frame *f = innermost(v);
    uint32_t have = v->height - f->height;
    if (n == 0 || (have >= n && !memcmp(v->stack + v->height - n, type, n))) return;
    if (have < n && !f->unreachable) invalid(v, "type mismatch: nothing on the stack");
    if (have > n) have = n;
    if (have > v->ration) wasm_fail(&v->r, JIT_ERR_LIMIT, "function too complex");
    v->ration -= have;
    for (uint32_t k = 1; k <= have; k++) {
        uint8_t t = v->stack[v->height - k];
        if (t != type[n - k] && t != UNKNOWN) invalid(v, "type mismatch");
    }
}

static void pop_list(struct validator *v, const uint8_t *type, uint32_t n) {
    check_list(v, type, n);
    uint32_t have = v->height - innermost(v)->height;
    v->height -= have < n ? have : n;
}

static void set_unreachable(struct validator *v) {
    v->height = innermost(v)->height;
    innermost(v)->unreachable = true;
}

// ---- Control frames -----------------------------------------------------------------------------------------------------------
static void push_frame(struct validator *v, uint8_t op, const uint8_t *in, uint32_t ins,
                       const uint8_t *out, uint32_t outs) {
    if (v->frames >= WASM_MAX_NESTING)
        wasm_fail_at(&v->r, JIT_ERR_LIMIT, v->at, "blocks nested too deeply");
    v->frame = jit_grow(v->r.arena, v->frame, &v->frame_cap, v->frames + 1, sizeof *v->frame);
    v->frame[v->frames++] =
        (struct frame){.op = op, .in = in, .ins = ins, .out = out, .outs = outs, .height = v->height};
    push_list(v, in, ins);
}

static void block(struct validator *v, uint8_t op) {
    static const uint8_t single[] = {
        [WASM_I32] = WASM_I32,  [WASM_I64] = WASM_I64,         [WASM_F32] = WASM_F32,
        [WASM_F64] = WASM_F64,  [WASM_FUNCREF] = WASM_FUNCREF, [WASM_EXTERNREF] = WASM_EXTERNREF,
        [WASM_V128] = WASM_V128};
    int64_t t = wasm_block_type(&v->r);
    if (op == WASM_OP_IF) pop(v, WASM_I32);
    if (t < 0) {
        uint8_t result = (uint8_t)(-1 - t);
        push_frame(v, op, NULL, 0, &single[result], result != WASM_NO_RESULT);
        return;
    }
    if (t >= v->m->types) invalid(v, "unknown type");
    const struct wasm_functype *type = &v->m->type[t];
    pop_list(v, type->type, type->params);
    push_frame(v, op, type->type, type->params, type->type + type->params, type->results);
}

static void leave_frame(struct validator *v) {
    const struct frame *f = innermost(v);
    pop_list(v, f->out, f->outs);
    if (v->height != f->height) invalid(v, "type mismatch: values left on the stack");
}

static void end(struct validator *v) {
    leave_frame(v);
    struct frame f = *innermost(v);
    if (f.op == WASM_OP_IF && (f.ins != f.outs || (f.ins && memcmp(f.in, f.out, f.ins))))
        invalid(v, "type mismatch: if without else");
    v->frames--;
    push_list(v, f.out, f.outs);
}

static void else_(struct validator *v) {
    struct frame *f = innermost(v);
    if (f->op != WASM_OP_IF) wasm_fail_at(&v->r, JIT_ERR_MALFORMED, v->at, "END opcode expected");
    leave_frame(v);
    f->op = WASM_OP_ELSE;
    f->unreachable = false;
    push_list(v, f->in, f->ins);
}

static struct frame *label(struct validator *v) {
    uint32_t depth = wasm_u32(&v->r);
    if (depth >= v->frames) invalid(v, "unknown label");
    return &v->frame[v->frames - 1 - depth];
}

static const uint8_t *label_types(const struct frame *f, uint32_t *out_count) {
    *out_count = f->op == WASM_OP_LOOP ? f->ins : f->outs;
    return f->op == WASM_OP_LOOP ? f->in : f->out;
}

static void br_table(struct validator *v) {
    uint32_t n = wasm_u32(&v->r), arity = 0, previous = 0;
    const struct frame *last = NULL;
    if (n > wasm_left(&v->r)) malformed(v, "unexpected end of section or function");
    pop(v, WASM_I32);
    v->br_tables++;
    for (uint32_t k = 0; k <= n; k++) {
        struct frame *f = label(v);
        if (f == last) continue;
        last = f;
        const uint8_t *types = label_types(f, &arity);
        if (k && arity != previous) invalid(v, "type mismatch: labels of a table differ in arity");
        previous = arity;
        if (f->checked != v->br_tables) check_list(v, types, arity);
        f->checked = v->br_tables;
    }
    set_unreachable(v);
}

// ---- Instructions --------------------------------------------------------------------------------------------------------------
static uint32_t table_index(struct validator *v) {
    uint32_t t = wasm_u32(&v->r);
    if (t >= v->m->tables) invalid(v, "unknown table");
    return t;
}

// Of an instruction that may write it.
static uint32_t named_table(struct validator *v) {
    uint32_t t = table_index(v);
    v->m->table[t].named = true;
    return t;
}

static uint32_t global_index(struct validator *v) {
    uint32_t g = wasm_u32(&v->r);
    if (g >= v->m->globals) invalid(v, "unknown global");
    return g;
}

static uint32_t elem_index(struct validator *v) {
    uint32_t e = wasm_u32(&v->r);
    if (e >= v->m->elems) invalid(v, "unknown elem segment");
    return e;
}

static uint32_t func_index(struct validator *v) {
    uint32_t f = wasm_u32(&v->r);
    if (f >= v->m->funcs) invalid(v, "unknown function");
    return f;
}

static void data_segment(struct validator *v, uint32_t d) {
    if (d >= v->m->datas) invalid(v, "unknown data segment");
    if (!v->data_count) malformed(v, "data count section required");
}

static void memory(struct validator *v) {
    if (wasm_byte(&v->r) != 0) {
        v->r.p--;
        malformed(v, "zero byte expected");
    }
    if (!v->m->memories) invalid(v, "unknown memory");
}

static uint32_t memarg(struct validator *v, uint32_t natural) {
    uint32_t align = wasm_u32(&v->r);
    if (align >= 32) malformed(v, "malformed memop flags");
    wasm_u32(&v->r);
    if (!v->m->memories) invalid(v, "unknown memory");
    if (align > natural) invalid(v, "alignment must not be larger than natural");
    return align;
}

static void atomic_memarg(struct validator *v, uint32_t natural) {
    if (memarg(v, natural) != natural) invalid(v, "alignment of an atomic access must be natural");
}

static void lanes(struct validator *v, uint32_t count, uint32_t limit) {
    for (uint32_t k = 0; k < count; k++)
        if (wasm_byte(&v->r) >= limit) invalid(v, "invalid lane index");
}

// An immediate of a row that is checked from the row alone. Returns the type of the table it names, if it names one.
static uint8_t check_immediate(struct validator *v, const struct wasm_op_info *info) {
    const struct wasm_module *m = v->m;
    switch ((enum wasm_imm)info->imm) {
    case WASM_IMM_MEMARG: memarg(v, info->aux >> 4); break;
    case WASM_IMM_ATOMIC: atomic_memarg(v, info->aux >> 4); break;
    case WASM_IMM_ATOMIC4: atomic_memarg(v, 2); break;
    case WASM_IMM_ATOMIC8: atomic_memarg(v, 3); break;
    case WASM_IMM_MEMARG_LANE:
        memarg(v, info->aux >> 4);
        lanes(v, 1, 16u >> (info->aux >> 4));
        break;
    case WASM_IMM_LANE: lanes(v, 1, info->aux); break;
    case WASM_IMM_SHUFFLE: lanes(v, 16, 32); break;
    case WASM_IMM_MEMORY: memory(v); break;
    case WASM_IMM_MEMORY_MEMORY:
        memory(v);
        memory(v);
        break;
    case WASM_IMM_DATA_MEMORY: {
        uint32_t d = wasm_u32(&v->r);
        memory(v);
        data_segment(v, d);
        break;
    }
    case WASM_IMM_DATA: data_segment(v, wasm_u32(&v->r)); break;
    case WASM_IMM_ELEM: elem_index(v); break;
    case WASM_IMM_TABLE: return m->table[named_table(v)].elem_type;
    case WASM_IMM_ELEM_TABLE: {
        uint32_t e = elem_index(v), t = named_table(v);
        if (m->elem[e].type != m->table[t].elem_type)
            invalid(v, "type mismatch: elements and table");
        break;
    }
    case WASM_IMM_TABLE_TABLE: {
        uint32_t to = named_table(v), from = table_index(v);
        if (m->table[to].elem_type != m->table[from].elem_type)
            invalid(v, "type mismatch: tables of different types");
        break;
    }
    case WASM_IMM_REF_FUNC:
        if (!m->func[func_index(v)].declared_ref) invalid(v, "undeclared function reference");
        break;
    case WASM_IMM_ZERO:
        if (wasm_byte(&v->r) != 0) malformed(v, "zero byte expected");
        break;
    default: wasm_skip_immediate(&v->r, info->imm); break;
    }
    return 0;
}

static void by_row(struct validator *v, const struct wasm_op_info *info) {
    uint8_t table = info->imm == WASM_IMM_NONE ? 0 : check_immediate(v, info);
    for (uint32_t k = info->operands; k-- > 0;)
        pop(v, info->operand[k] == WASM_TYPE_OF_TABLE ? table : info->operand[k]);
    if (info->result) push(v, info->result == WASM_TYPE_OF_TABLE ? table : info->result);
}

static bool is_ref(uint8_t type) { return type == WASM_FUNCREF || type == WASM_EXTERNREF; }

static void select(struct validator *v) {
    pop(v, WASM_I32);
    uint8_t a = pop_any(v), b = pop_any(v);
    if (is_ref(a) || is_ref(b) || (a != b && a != UNKNOWN && b != UNKNOWN))
        invalid(v, "type mismatch");
    push(v, a == UNKNOWN ? b : a);
}

static void select_typed(struct validator *v) {
    uint32_t n = wasm_u32(&v->r);
    if (n > wasm_left(&v->r)) malformed(v, "unexpected end of section or function");
    if (n != 1) invalid(v, "invalid result arity");
    uint8_t t = wasm_value_type(&v->r);
    pop(v, WASM_I32);
    pop(v, t);
    pop(v, t);
    push(v, t);
}

static void call(struct validator *v, const struct wasm_functype *t) {
    pop_list(v, t->type, t->params);
    push_list(v, t->type + t->params, t->results);
}

// A call whose results are the function's own.
static void tail_call(struct validator *v, const struct wasm_functype *t) {
    pop_list(v, t->type, t->params);
    const struct frame *f = &v->frame[0];
    if (t->results != f->outs || (f->outs && memcmp(t->type + t->params, f->out, f->outs)))
        invalid(v, "type mismatch: results of a tail call");
    set_unreachable(v);
}

static const struct wasm_functype *called_by_table(struct validator *v) {
    uint32_t type = wasm_u32(&v->r);
    uint32_t table = table_index(v);
    if (v->m->table[table].elem_type != WASM_FUNCREF)
        invalid(v, "type mismatch: not a table of functions");
    if (type >= v->m->types) invalid(v, "unknown type");
    pop(v, WASM_I32);
    return &v->m->type[type];
}

static uint8_t local_type(struct validator *v) {
    uint32_t l = wasm_u32(&v->r);
    if (l >= v->locals) invalid(v, "unknown local");
    return v->local[l];
}

static void instruction(struct validator *v, uint32_t op) {
    uint32_t n;
    const uint8_t *types;
    switch (op) {
    case WASM_OP_UNREACHABLE: set_unreachable(v); break;
    case WASM_OP_NOP: break;
    case WASM_OP_BLOCK:
    case WASM_OP_LOOP:
    case WASM_OP_IF: block(v, (uint8_t)op); break;
    case WASM_OP_ELSE: else_(v); break;
    case WASM_OP_END: end(v); break;
    case WASM_OP_BR:
        types = label_types(label(v), &n);
        check_list(v, types, n);
        set_unreachable(v);
        break;
    case WASM_OP_BR_IF:
        types = label_types(label(v), &n);
        pop(v, WASM_I32);
        pop_list(v, types, n);
        push_list(v, types, n);
        break;
    case WASM_OP_BR_TABLE: br_table(v); break;
    case WASM_OP_RETURN:
        check_list(v, v->frame[0].out, v->frame[0].outs);
        set_unreachable(v);
        break;
    case WASM_OP_CALL: call(v, &v->m->type[v->m->func[func_index(v)].type]); break;
    case WASM_OP_CALL_INDIRECT: call(v, called_by_table(v)); break;
    case WASM_OP_RETURN_CALL: tail_call(v, &v->m->type[v->m->func[func_index(v)].type]); break;
    case WASM_OP_RETURN_CALL_INDIRECT: tail_call(v, called_by_table(v)); break;
    case WASM_OP_DROP: pop_any(v); break;
    case WASM_OP_SELECT: select(v); break;
    case WASM_OP_SELECT_T: select_typed(v); break;
    case WASM_OP_LOCAL_GET: push(v, local_type(v)); break;
    case WASM_OP_LOCAL_SET: pop(v, local_type(v)); break;
    case WASM_OP_LOCAL_TEE: {
        uint8_t t = local_type(v);
        pop(v, t);
        push(v, t);
        break;
    }
    case WASM_OP_GLOBAL_GET: push(v, v->m->global[global_index(v)].type); break;
    case WASM_OP_GLOBAL_SET: {
        const struct wasm_global *g = &v->m->global[global_index(v)];
        if (!g->is_mutable) invalid(v, "global is immutable");
        pop(v, g->type);
        break;
    }
    case WASM_OP_REF_NULL: push(v, wasm_ref_type(&v->r)); break;
    case WASM_OP_REF_IS_NULL: {
        uint8_t t = pop_any(v);
        if (t != UNKNOWN && !is_ref(t)) invalid(v, "type mismatch");
        push(v, WASM_I32);
        break;
    }
    default: by_row(v, &wasm_op_info[op]); break;
    }
}

// ---- Bodies ---------------------------------------------------------------------------------------------------------------------
static void read_locals(struct validator *v, const struct wasm_functype *type) {
    uint64_t total = type->params, declared = 0;
    v->locals = 0;
    v->local = jit_grow(v->r.arena, v->local, &v->local_cap, WASM_MAX_LOCALS, 1);
    if (type->params) memcpy(v->local, type->type, type->params);
    for (uint32_t groups = wasm_u32(&v->r); groups; groups--) {
        uint32_t n = wasm_u32(&v->r);
        declared += n;
        if (declared > UINT32_MAX) malformed(v, "too many locals");
        uint8_t t = wasm_value_type(&v->r);
        if (total + n <= WASM_MAX_LOCALS) memset(v->local + total, t, n);
        total += n;
    }
    v->all_locals += total;
    if (total > WASM_MAX_LOCALS || v->all_locals > WASM_MAX_ALL_LOCALS(v->m->size))
        wasm_fail(&v->r, JIT_ERR_LIMIT, "too many locals");
    v->locals = (uint32_t)total;
}

static void body(struct validator *v, uint32_t index) {
    struct wasm_func *f = &v->m->func[index];
    const struct wasm_functype *type = &v->m->type[f->type];
    v->r.func = index;
    v->r.p = v->at = v->m->bytes + f->body;
    v->end = v->r.p + f->body_size;
    v->height = v->frames = 0;
    v->ration = 1000000 + 256 * f->body_size;
    read_locals(v, type);
    f->locals = v->locals;
    push_frame(v, WASM_OP_BLOCK, NULL, 0, type->type + type->params, type->results);
    while (v->frames) {
        v->at = v->r.p;
        instruction(v, wasm_opcode(&v->r));
    }
    if (v->r.p != v->end) malformed(v, "section size mismatch");
}

void wasm_validate_bodies(struct jit_arena *a, struct wasm_module *m, bool data_count) {
    struct jit_mark mark = jit_mark(a);
    struct validator v = {.r = {.arena = a, .base = m->bytes, .end = m->bytes + m->size},
                          .m = m,
                          .data_count = data_count};
    for (uint32_t i = m->imported_funcs; i < m->funcs; i++) body(&v, i);
    jit_release(a, mark);
}
