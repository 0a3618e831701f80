// decode.c — wasm_parse(): the module's structure (spec 5.5), and all validation outside function bodies (spec 3.4).
//
// One pass over the sections in their order. What a section may refer to comes before it in the binary, so each index, limit and
// constant expression is checked where it is read; bodies are validated after the last section (validate.c). Like the
// specification's own decoder, a section is read to the module's end if need be, and must then have ended where it said.
// Vectors: a count is compared with the bytes left before anything is allocated for it; every element takes at least one.
#include "sfi-jit/sfi.h"
#include "sfi-jit/wasm/reader.h"

_Static_assert(WASM_MAX_GLOBALS == SFI_GLOBALS_MAX, "each global has its place in the context");
_Static_assert(WASM_MAX_TABLES == SFI_TABLES_MAX, "each table has its rows");

enum section {
    CUSTOM,
    TYPE,
    IMPORT,
    FUNCTION,
    TABLE,
    MEMORY,
    GLOBAL,
    EXPORT,
    START,
    ELEMENT,
    CODE,
    DATA,
    DATA_COUNT,
    SECTIONS,
};

struct decoder {
    struct wasm_reader r;
    struct wasm_module *m;
    uint32_t func_cap, table_cap, memory_cap, global_cap, custom_cap;
    uint32_t bodies, inits, constops, constop_cap;
    bool has_data_count;
    uint32_t data_count;
};

static _Noreturn void malformed(struct decoder *d, const char *message) {
    wasm_fail(&d->r, JIT_ERR_MALFORMED, message);
}

static _Noreturn void invalid(struct decoder *d, const char *message) {
    wasm_fail(&d->r, JIT_ERR_INVALID, message);
}

static void limit(struct decoder *d, uint32_t value, uint32_t max, const char *message) {
    if (value > max) wasm_fail(&d->r, JIT_ERR_LIMIT, message);
}

// How many bytes follow, or how many elements of at least one byte each.
static uint32_t length_or(struct decoder *d, const char *message) {
    const uint8_t *at = d->r.p;
    uint32_t n = wasm_u32(&d->r);
    if (n > wasm_left(&d->r)) wasm_fail_at(&d->r, JIT_ERR_MALFORMED, at, message);
    return n;
}

static uint32_t length(struct decoder *d) {
    return length_or(d, "unexpected end of section or function");
}

static struct wasm_name read_name(struct decoder *d) {
    uint32_t n = length_or(d, "length out of bounds");
    if (!wasm_is_utf8(d->r.p, n)) malformed(d, "malformed UTF-8 encoding");
    struct wasm_name name = {(const char *)d->r.p, n};
    d->r.p += n;
    return name;
}

// ---- Types, limits ----------------------------------------------------------------------------------------------------------
static void read_types(struct decoder *d) {
    struct wasm_module *m = d->m;
    uint32_t n = length(d);
    limit(d, n, WASM_MAX_TYPES, "too many types");
    m->type = JIT_ARRAY(d->r.arena, struct wasm_functype, n);
    for (; m->types < n; m->types++) {
        uint8_t form = wasm_byte(&d->r);
        if (form != 0x60) {
            d->r.p--;
            malformed(d, form & 0x80 ? "integer representation too long" : "malformed type definition");
        }
        struct wasm_functype *t = &m->type[m->types];
        t->params = length(d);
        limit(d, t->params, WASM_MAX_PARAMS, "too many parameters");
        const uint8_t *params = d->r.p;
        for (uint32_t i = 0; i < t->params; i++) wasm_value_type(&d->r);
        t->results = length(d);
        limit(d, t->results, WASM_MAX_RESULTS, "too many results");
        const uint8_t *results = d->r.p;
        for (uint32_t i = 0; i < t->results; i++) wasm_value_type(&d->r);
        uint8_t *type = JIT_ARRAY(d->r.arena, uint8_t, t->params + t->results);
        memcpy(type, params, t->params);
        memcpy(type + t->params, results, t->results);
        t->type = type;
    }
}

static uint32_t type_index(struct decoder *d) {
    uint32_t t = wasm_u32(&d->r);
    if (t >= d->m->types) invalid(d, "unknown type");
    return t;
}

// Flags: 1 has a maximum, 2 is shared (memories).
static struct wasm_limits read_limits(struct decoder *d, uint32_t most_flags) {
    const uint8_t *at = d->r.p;
    uint32_t flags = wasm_byte(&d->r);
    if (flags > most_flags) {
        d->r.p--;
        if (flags >= 4 && flags <= 7)
            wasm_fail(&d->r, JIT_ERR_UNSUPPORTED, "64-bit memories and tables are not supported");
        malformed(d, flags & 0x80 ? "integer representation too long" : "integer too large");
    }
    if (flags == 2) wasm_fail_at(&d->r, JIT_ERR_INVALID, at, "shared memory must have maximum");
    struct wasm_limits l = {
        .min = wasm_u32(&d->r), .max = UINT32_MAX, .has_max = flags & 1, .shared = flags & 2};
    if (l.has_max) l.max = wasm_u32(&d->r);
    return l;
}

static void add_func(struct decoder *d, uint32_t type) {
    struct wasm_module *m = d->m;
    limit(d, m->funcs + 1, WASM_MAX_FUNCS, "too many functions");
    m->func = jit_grow(d->r.arena, m->func, &d->func_cap, m->funcs + 1, sizeof *m->func);
    m->func[m->funcs++].type = type;
}

static void add_table(struct decoder *d) {
    struct wasm_module *m = d->m;
    limit(d, m->tables + 1, WASM_MAX_TABLES, "too many tables");
    m->table = jit_grow(d->r.arena, m->table, &d->table_cap, m->tables + 1, sizeof *m->table);
    struct wasm_table *t = &m->table[m->tables++];
    t->elem_type = wasm_ref_type(&d->r);
    t->limits = read_limits(d, 1);
    if (t->limits.min > t->limits.max) invalid(d, "size minimum must not be greater than maximum");
}

static void add_memory(struct decoder *d) {
    struct wasm_module *m = d->m;
    m->memory = jit_grow(d->r.arena, m->memory, &d->memory_cap, m->memories + 1, sizeof *m->memory);
    struct wasm_limits *l = &m->memory[m->memories++];
    *l = read_limits(d, 3);
    if (l->min > 65536 || (l->has_max && l->max > 65536))
        invalid(d, "memory size must be at most 65536 pages (4GiB)");
    if (l->min > l->max) invalid(d, "size minimum must not be greater than maximum");
    if (m->memories > 1) invalid(d, "multiple memories");
}

static struct wasm_global *add_global(struct decoder *d) {
    struct wasm_module *m = d->m;
    limit(d, m->globals + 1, WASM_MAX_GLOBALS, "too many globals");
    m->global = jit_grow(d->r.arena, m->global, &d->global_cap, m->globals + 1, sizeof *m->global);
    struct wasm_global *g = &m->global[m->globals];
    g->type = wasm_value_type(&d->r);
    uint8_t is_mutable = wasm_byte(&d->r);
    if (is_mutable > 1) {
        d->r.p--;
        malformed(d, "malformed mutability");
    }
    g->is_mutable = is_mutable;
    return g;
}

// ---- Constant expressions (spec 3.3.8) ---------------------------------------------------------------------------------------
static uint32_t func_index(struct decoder *d) {
    uint32_t f = wasm_u32(&d->r);
    if (f >= d->m->funcs) invalid(d, "unknown function");
    return f;
}

// Pops two operands of an arithmetic operator, which must be of its type; one takes their place.
static void const_operator(struct decoder *d, const uint8_t *stack, uint32_t *height, uint8_t type) {
    if (*height < 2 || stack[*height - 1] != type || stack[*height - 2] != type)
        invalid(d, "type mismatch in a constant expression");
    --*height;
}

static void add_constop(struct decoder *d, uint32_t kind, bool is_32, uint64_t value) {
    struct wasm_module *m = d->m;
    m->constop =
        jit_grow(d->r.arena, m->constop, &d->constop_cap, d->constops + 1, sizeof *m->constop);
    m->constop[d->constops++] = (struct wasm_constop){kind, is_32, value};
}

// One instruction that makes a value.
static void const_value(struct decoder *d, uint32_t op, const uint8_t *at, struct wasm_constexpr *e) {
    struct wasm_reader *r = &d->r;
    *e = (struct wasm_constexpr){.kind = WASM_CE_CONST, .type = wasm_op_info[op].result};
    switch (op) {
    case WASM_OP_I32_CONST: e->value = (uint32_t)wasm_s32(r); break;
    case WASM_OP_I64_CONST: e->value = (uint64_t)wasm_s64(r); break;
    case WASM_OP_F32_CONST: e->value = wasm_fixed(r, 4); break;
    case WASM_OP_F64_CONST: e->value = wasm_fixed(r, 8); break;
    case WASM_OP_V128_CONST:
        e->value = wasm_fixed(r, 8);
        e->high = wasm_fixed(r, 8);
        break;
    case WASM_OP_REF_NULL:
        e->kind = WASM_CE_REF_NULL;
        e->type = wasm_ref_type(r);
        break;
    case WASM_OP_REF_FUNC:
        e->kind = WASM_CE_REF_FUNC;
        e->value = func_index(d);
        d->m->func[e->value].declared_ref = true;
        break;
    case WASM_OP_GLOBAL_GET:
        e->kind = WASM_CE_GLOBAL;
        e->value = wasm_u32(r);
        if (e->value >= d->m->imported_globals)
            wasm_fail_at(r, JIT_ERR_INVALID, at, "unknown global");
        if (d->m->global[e->value].is_mutable)
            wasm_fail_at(r, JIT_ERR_INVALID, at, "constant expression required");
        e->type = d->m->global[e->value].type;
        break;
    default: wasm_fail_at(r, JIT_ERR_INVALID, at, "constant expression required");
    }
}

static struct wasm_constexpr read_const(struct decoder *d, uint8_t type) {
    uint8_t stack[WASM_MAX_CONST_STACK];
    struct wasm_constexpr e = {.kind = WASM_CE_CONST};
    uint32_t height = 0, first = d->constops;
    bool sum = false;
    for (;;) {
        const uint8_t *at = d->r.p;
        uint32_t op = wasm_opcode(&d->r);
        if (op == WASM_OP_END) break;
        bool is_32 = op >= WASM_OP_I32_ADD && op <= WASM_OP_I32_MUL;
        if (is_32 || (op >= WASM_OP_I64_ADD && op <= WASM_OP_I64_MUL)) {
            const_operator(d, stack, &height, is_32 ? WASM_I32 : WASM_I64);
            add_constop(d, WASM_CO_ADD + op - (is_32 ? WASM_OP_I32_ADD : WASM_OP_I64_ADD), is_32, 0);
            sum = true;
            continue;
        }
        limit(d, height + 1, WASM_MAX_CONST_STACK, "constant expression too deep");
        const_value(d, op, at, &e);
        stack[height++] = e.type;
        add_constop(d, e.kind == WASM_CE_GLOBAL ? WASM_CO_GLOBAL : WASM_CO_CONST, false, e.value);
    }
    if (height != 1 || stack[0] != type) invalid(d, "type mismatch in a constant expression");
    if (sum)
        e = (struct wasm_constexpr){WASM_CE_SUM, type, first, d->constops - first};
    else
        d->constops = first; // one value needs no list
    return e;
}

uint64_t wasm_const_sum(const struct wasm_module *m, const struct wasm_constexpr *e,
                        uint64_t *const *cell) {
    uint64_t stack[WASM_MAX_CONST_STACK];
    uint32_t height = 0;
    for (uint64_t k = 0; k < e->high; k++) {
        const struct wasm_constop *o = &m->constop[e->value + k];
        if (o->kind == WASM_CO_CONST || o->kind == WASM_CO_GLOBAL) {
            stack[height++] = o->kind == WASM_CO_CONST ? o->value : *cell[o->value];
            continue;
        }
        uint64_t b = stack[--height], *a = &stack[height - 1];
        *a = o->kind == WASM_CO_ADD ? *a + b : o->kind == WASM_CO_SUB ? *a - b : *a * b;
        if (o->is_32) *a &= UINT32_MAX;
    }
    return stack[0];
}
_Static_assert(WASM_OP_I32_SUB == WASM_OP_I32_ADD + 1 && WASM_OP_I32_MUL == WASM_OP_I32_ADD + 2 &&
                   WASM_OP_I64_SUB == WASM_OP_I64_ADD + 1 &&
                   WASM_OP_I64_MUL == WASM_OP_I64_ADD + 2 && WASM_CO_MUL == WASM_CO_ADD + 2,
               "operators of constant expressions, in the same order");

// ---- Imports, exports, definitions ------------------------------------------------------------------------------------------
static void read_imports(struct decoder *d) {
    struct wasm_module *m = d->m;
    uint32_t n = length(d);
    limit(d, n, WASM_MAX_IMPORTS, "too many imports");
    m->import = JIT_ARRAY(d->r.arena, struct wasm_import, n);
    for (; m->imports < n; m->imports++) {
        struct wasm_import *i = &m->import[m->imports];
        i->module = read_name(d);
        i->name = read_name(d);
        i->kind = wasm_byte(&d->r);
        switch (i->kind) {
        case WASM_FUNC:
            i->index = m->funcs;
            add_func(d, type_index(d));
            break;
        case WASM_TABLE:
            i->index = m->tables;
            add_table(d);
            break;
        case WASM_MEMORY:
            i->index = m->memories;
            add_memory(d);
            break;
        case WASM_GLOBAL:
            i->index = m->globals;
            add_global(d);
            m->globals++;
            break;
        default: d->r.p--; malformed(d, "malformed import kind");
        }
    }
    m->imported_funcs = m->funcs;
    m->imported_tables = m->tables;
    m->imported_memories = m->memories;
    m->imported_globals = m->globals;
}

static void read_functions(struct decoder *d) {
    for (uint32_t n = length(d); n; n--) add_func(d, type_index(d));
}

static void read_tables(struct decoder *d) {
    for (uint32_t n = length(d); n; n--) add_table(d);
}

static void read_memories(struct decoder *d) {
    for (uint32_t n = length(d); n; n--) add_memory(d);
}

static void read_globals(struct decoder *d) {
    for (uint32_t n = length(d); n; n--) {
        struct wasm_global *g = add_global(d);
        g->init = read_const(d, g->type);
        d->m->globals++;
    }
}

static int compare_names(const struct wasm_name *a, const struct wasm_name *b) {
    uint32_t n = a->length < b->length ? a->length : b->length;
    int c = n ? memcmp(a->text, b->text, n) : 0;
    return c ? c : (a->length > b->length) - (a->length < b->length);
}

// By merging, so that names chosen by an adversary cost no more than others.
static void check_export_names(struct decoder *d) {
    uint32_t n = d->m->exports;
    struct jit_mark mark = jit_mark(d->r.arena);
    const struct wasm_name **from = JIT_ARRAY(d->r.arena, const struct wasm_name *, n), **t;
    const struct wasm_name **to = JIT_ARRAY(d->r.arena, const struct wasm_name *, n);
    for (uint32_t i = 0; i < n; i++) from[i] = &d->m->export[i].name;
    for (uint32_t run = 1; run < n; run *= 2, t = from, from = to, to = t) {
        for (uint32_t start = 0; start < n; start += 2 * run) {
            uint32_t middle = start + run < n ? start + run : n;
            uint32_t end = start + 2 * run < n ? start + 2 * run : n, a = start, b = middle;
            for (uint32_t k = start; k < end; k++) {
                bool left = b == end || (a < middle && compare_names(from[a], from[b]) <= 0);
                to[k] = left ? from[a++] : from[b++];
            }
        }
    }
    for (uint32_t i = 1; i < n; i++)
        if (!compare_names(from[i - 1], from[i])) invalid(d, "duplicate export name");
    jit_release(d->r.arena, mark);
}

static void read_exports(struct decoder *d) {
    struct wasm_module *m = d->m;
    uint32_t n = length(d);
    limit(d, n, WASM_MAX_EXPORTS, "too many exports");
    m->export = JIT_ARRAY(d->r.arena, struct wasm_export, n);
    for (; m->exports < n; m->exports++) {
        struct wasm_export *e = &m->export[m->exports];
        e->name = read_name(d);
        e->kind = wasm_byte(&d->r);
        if (e->kind > WASM_GLOBAL) {
            d->r.p--;
            malformed(d, "malformed export kind");
        }
        e->index = wasm_u32(&d->r);
        if (e->kind == WASM_FUNC && e->index >= m->funcs) invalid(d, "unknown function");
        if (e->kind == WASM_TABLE && e->index >= m->tables) invalid(d, "unknown table");
        if (e->kind == WASM_MEMORY && e->index >= m->memories) invalid(d, "unknown memory");
        if (e->kind == WASM_GLOBAL && e->index >= m->globals) invalid(d, "unknown global");
        if (e->kind == WASM_FUNC) m->func[e->index].declared_ref = true;
    }
    check_export_names(d);
}

static void read_start(struct decoder *d) {
    uint32_t f = func_index(d);
    const struct wasm_functype *t = &d->m->type[d->m->func[f].type];
    if (t->params || t->results) invalid(d, "start function must take and return nothing");
    d->m->start = f;
}

// ---- Segments -----------------------------------------------------------------------------------------------------------------
static void read_elem(struct decoder *d, struct wasm_elem *e) {
    // Flags (spec 5.5.12): 1 not active; 2 names its table, or is declarative; 4 expressions in place of function indices
    uint32_t flags = wasm_u32(&d->r);
    if (flags > 7) malformed(d, "malformed elements segment kind");
    bool active = !(flags & 1), exprs = flags & 4;
    e->mode = active ? WASM_ELEM_ACTIVE : flags & 2 ? WASM_ELEM_DECLARATIVE : WASM_ELEM_PASSIVE;
    e->type = WASM_FUNCREF;
    if (active) {
        if (flags & 2) e->table = wasm_u32(&d->r);
        if (e->table >= d->m->tables) invalid(d, "unknown table");
        e->offset = read_const(d, WASM_I32);
    }
    if (flags & 3) {
        if (exprs)
            e->type = wasm_ref_type(&d->r);
        else if (wasm_byte(&d->r) != 0)
            malformed(d, "malformed element kind");
    }
    if (active && d->m->table[e->table].elem_type != e->type)
        invalid(d, "type mismatch: elements of another type than the table's");
    e->count = length(d);
    limit(d, e->count, WASM_MAX_ELEM_INITS - d->inits, "too many elements");
    d->inits += e->count;
    e->init = JIT_ARRAY(d->r.arena, struct wasm_constexpr, e->count);
    for (uint32_t i = 0; i < e->count; i++) {
        if (exprs) {
            e->init[i] = read_const(d, e->type);
        } else {
            uint32_t f = func_index(d);
            d->m->func[f].declared_ref = true;
            e->init[i] = (struct wasm_constexpr){WASM_CE_REF_FUNC, WASM_FUNCREF, f, 0};
        }
    }
}

static void read_elems(struct decoder *d) {
    uint32_t n = length(d);
    limit(d, n, WASM_MAX_SEGMENTS, "too many element segments");
    d->m->elem = JIT_ARRAY(d->r.arena, struct wasm_elem, n);
    for (; d->m->elems < n; d->m->elems++) read_elem(d, &d->m->elem[d->m->elems]);
}

static void read_datas(struct decoder *d) {
    struct wasm_module *m = d->m;
    uint32_t n = length(d);
    limit(d, n, WASM_MAX_SEGMENTS, "too many data segments");
    m->data = JIT_ARRAY(d->r.arena, struct wasm_data, n);
    for (; m->datas < n; m->datas++) {
        struct wasm_data *s = &m->data[m->datas];
        uint32_t flags = wasm_u32(&d->r); // spec 5.5.14
        if (flags > 2) malformed(d, "malformed data segment kind");
        s->active = flags != 1;
        if (s->active) {
            if (flags == 2) s->memory = wasm_u32(&d->r);
            if (s->memory >= m->memories) invalid(d, "unknown memory");
            s->offset = read_const(d, WASM_I32);
        }
        s->size = length(d);
        s->start = wasm_offset(&d->r);
        d->r.p += s->size;
    }
}

// ---- Code, sections -----------------------------------------------------------------------------------------------------------
static void check_body_count(struct decoder *d) {
    if (d->bodies != d->m->funcs - d->m->imported_funcs)
        malformed(d, "function and code section have inconsistent lengths");
}

static void read_code(struct decoder *d) {
    d->bodies = length(d);
    check_body_count(d);
    for (uint32_t i = 0; i < d->bodies; i++) {
        struct wasm_func *f = &d->m->func[d->m->imported_funcs + i];
        f->body_size = length(d);
        limit(d, f->body_size, WASM_MAX_BODY, "function body too large");
        f->body = wasm_offset(&d->r);
        d->r.p += f->body_size;
    }
}

static void read_custom(struct decoder *d, const uint8_t *end) {
    struct wasm_module *m = d->m;
    struct wasm_name name = read_name(d);
    if (d->r.p > end)
        wasm_fail_at(&d->r, JIT_ERR_MALFORMED, end, "unexpected end of section or function");
    m->custom = jit_grow(d->r.arena, m->custom, &d->custom_cap, m->customs + 1, sizeof *m->custom);
    m->custom[m->customs++] = (struct wasm_custom){name, wasm_offset(&d->r), (uint32_t)(end - d->r.p)};
    d->r.p = end;
}

static void read_section(struct decoder *d, enum section id) {
    uint32_t size = length_or(d, "length out of bounds");
    const uint8_t *end = d->r.p + size;
    switch (id) {
    case CUSTOM: read_custom(d, end); break;
    case TYPE: read_types(d); break;
    case IMPORT: read_imports(d); break;
    case FUNCTION: read_functions(d); break;
    case TABLE: read_tables(d); break;
    case MEMORY: read_memories(d); break;
    case GLOBAL: read_globals(d); break;
    case EXPORT: read_exports(d); break;
    case START: read_start(d); break;
    case ELEMENT: read_elems(d); break;
    case CODE: read_code(d); break;
    case DATA: read_datas(d); break;
    case DATA_COUNT:
        d->data_count = wasm_u32(&d->r);
        d->has_data_count = true;
        break;
    case SECTIONS: break;
    }
    if (d->r.p != end) malformed(d, "section size mismatch");
}

static void read_sections(struct decoder *d) {
    // The order in which sections stand (spec 5.5.2); custom sections anywhere.
    static const uint8_t rank[SECTIONS] = {
        [TYPE] = 1,   [IMPORT] = 2, [FUNCTION] = 3, [TABLE] = 4,       [MEMORY] = 5, [GLOBAL] = 6,
        [EXPORT] = 7, [START] = 8,  [ELEMENT] = 9,  [DATA_COUNT] = 10, [CODE] = 11,  [DATA] = 12,
    };
    uint8_t last = 0;
    while (wasm_left(&d->r)) {
        uint8_t id = wasm_byte(&d->r);
        if (id >= SECTIONS) {
            d->r.p--;
            malformed(d, "malformed section id");
        }
        if (id != CUSTOM && rank[id] <= last) {
            d->r.p--;
            malformed(d, "unexpected content after last section");
        }
        if (id != CUSTOM) last = rank[id];
        read_section(d, id);
    }
}

struct wasm_module *wasm_parse(struct jit_arena *a, const uint8_t *bytes, size_t size) {
    if (size > WASM_MAX_SIZE) jit_fail(a, JIT_ERR_LIMIT, 0, UINT32_MAX, "module too large");
    struct decoder d = {.r = {a, bytes, bytes, bytes + size, UINT32_MAX}};
    struct wasm_module *m = d.m = JIT_NEW(a, struct wasm_module);
    m->bytes = bytes;
    m->size = (uint32_t)size;
    m->start = UINT32_MAX;
    if (wasm_fixed(&d.r, 4) != 0x6d736100) { // "\0asm"
        d.r.p = bytes;
        malformed(&d, "magic header not detected");
    }
    if (wasm_fixed(&d.r, 4) != 1) {
        d.r.p -= 4;
        malformed(&d, "unknown binary version");
    }
    read_sections(&d);
    check_body_count(&d);
    if (d.has_data_count && d.data_count != m->datas)
        malformed(&d, "data count and data section have inconsistent lengths");
    wasm_validate_bodies(a, m, d.has_data_count);
    for (uint32_t i = 0; i < m->customs; i++)
        if (m->custom[i].name.length == 4 && !memcmp(m->custom[i].name.text, "name", 4))
            wasm_parse_names(m, m->custom[i].start, m->custom[i].size);
    return m;
}

const struct wasm_export *wasm_find_export(const struct wasm_module *m, const char *name,
                                           enum wasm_kind kind) {
    uint32_t n = 0;
    while (name[n]) n++;
    for (uint32_t i = 0; i < m->exports; i++) {
        const struct wasm_export *e = &m->export[i];
        if (e->kind == kind && e->name.length == n && (!n || !memcmp(e->name.text, name, n)))
            return e;
    }
    return NULL;
}

bool wasm_functype_equal(const struct wasm_functype *a, const struct wasm_functype *b) {
    return a->params == b->params && a->results == b->results &&
           !memcmp(a->type, b->type, a->params + a->results);
}
