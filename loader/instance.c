// instance.c — the link step: check everything, then commit.
//
// Order of ldr_instantiate(), which is also the order of what may fail:
//   bind      every import is resolved and its type compared; limits against what is granted
//   reserve   slot, context, code block, memory, tables: all memory is taken, nothing is linked yet
//   verify    the code, copied into the block, is accepted by sfi_verify() as it will run; then come thunks and stubs; then it is sealed
//   commit    importers are counted, the instance is found by fault handlers, globals and segments are written (spec 4.5.4)
// Up to the commit nothing outside the new instance has changed, and a failure frees it whole.
#include "loader/private.h"
#include "sfi-jit/verify/verify.h"

static enum ldr_status import_error(struct ldr_error *e, const struct wasm_import *i, const char *what) {
    struct ldr_text t;
    e->status = LDR_UNLINKABLE;
    e->offset = 0;
    ldr_text_init(&t, e->text, sizeof e->text);
    ldr_text_str(&t, what);
    ldr_text_str(&t, ": ");
    ldr_text_name(&t, i->module.text, i->module.length);
    ldr_text_str(&t, ".");
    ldr_text_name(&t, i->name.text, i->name.length);
    return LDR_UNLINKABLE;
}

// ---- Bind ----
static uint8_t type_of_letter(char c) {
    switch (c) {
    case 'i': return WASM_I32;
    case 'I': return WASM_I64;
    case 'f': return WASM_F32;
    case 'F': return WASM_F64;
    case 'v': return WASM_V128;
    case 'r': return WASM_FUNCREF;
    case 'e': return WASM_EXTERNREF;
    default: ldr_plat_panic(__FILE__, __LINE__, "type string of a host function");
    }
}
static bool host_type_matches(const char *text, const struct wasm_functype *type) {
    uint32_t n = 0, params = UINT32_MAX;
    if (*text == '*') return type->results <= 1;
    for (; *text; text++) {
        if (*text == ':') {
            params = n;
            continue;
        }
        if (n == type->params + type->results || type_of_letter(*text) != type->type[n])
            return false;
        n++;
    }
    if (params == UINT32_MAX) params = n;
    return n == type->params + type->results && params == type->params;
}
// Import matching of limits: what is there is at least what is wanted, and promises to grow no further.
static bool limits_match(uint32_t size, bool has_max, uint32_t max, const struct wasm_limits *want) {
    return size >= want->min && (!want->has_max || (has_max && max <= want->max));
}

struct ldr_extern ldr_export(struct ldr_instance *inst, const char *name, uint32_t length) {
    static const uint8_t kinds[] = {
        [WASM_FUNC] = LDR_EXT_FUNC, [WASM_TABLE] = LDR_EXT_TABLE, [WASM_MEMORY] = LDR_EXT_MEMORY, [WASM_GLOBAL] = LDR_EXT_GLOBAL};
    for (uint32_t i = 0; i < inst->m->exports; i++) {
        const struct wasm_export *x = &inst->m->export[i];
        if (x->name.length == length && !memcmp(x->name.text, name, length))
            return (struct ldr_extern){.kind = kinds[x->kind], .instance = inst, .index = x->index};
    }
    return (struct ldr_extern){.kind = LDR_EXT_NONE};
}

// A function that an instance has imported itself is really somebody else's.
static void follow(struct ldr_extern *x) {
    while (x->kind == LDR_EXT_FUNC && x->index < x->instance->m->imported_funcs) {
        *x = x->instance->from[x->instance->import_of[x->index]];
    }
}

static bool type_matches(const struct ldr_instance *inst, const struct wasm_import *i,
                         const struct ldr_extern *x) {
    const struct wasm_module *m = inst->m;
    const struct ldr_instance *from = x->instance;
    switch (i->kind) {
    case WASM_FUNC:
        if (x->kind == LDR_EXT_HOST)
            return host_type_matches(x->host->type, &m->type[m->func[i->index].type]);
        return x->kind == LDR_EXT_FUNC && from->code->type_sig[from->m->func[x->index].type] ==
                                              inst->code->type_sig[m->func[i->index].type];
    case WASM_TABLE: {
        if (x->kind != LDR_EXT_TABLE) return false;
        const struct ldr_table *t = from->table[x->index];
        return t->type == m->table[i->index].elem_type &&
               limits_match(t->length, t->has_max, t->declared_max, &m->table[i->index].limits);
    }
    case WASM_MEMORY:
        return x->kind == LDR_EXT_MEMORY && x->index == 0 &&
               from->memory->shared == m->memory[i->index].shared &&
               limits_match(from->memory->pages, from->memory->has_max, from->memory->declared_max,
                            &m->memory[i->index]);
    case WASM_GLOBAL: {
        const struct wasm_global *g = &m->global[i->index];
        if (x->kind == LDR_EXT_CONST) return !g->is_mutable && g->type == x->type;
        return x->kind == LDR_EXT_GLOBAL && from->m->global[x->index].type == g->type &&
               from->m->global[x->index].is_mutable == g->is_mutable;
    }
    }
    return false;
}

static enum ldr_status bind(struct ldr_instance *inst, const struct ldr_imports *imports,
                            struct ldr_error *e) {
    const struct wasm_module *m = inst->m;
    for (uint32_t k = 0; k < m->imports; k++) {
        const struct wasm_import *i = &m->import[k];
        struct ldr_extern *x = &inst->from[k];
        if (i->kind == WASM_FUNC) inst->import_of[i->index] = k;
        if (!imports || !imports->resolve(imports->ctx, i, x) || x->kind == LDR_EXT_NONE) {
            x->kind = LDR_EXT_NONE;
            return import_error(e, i, "unknown import");
        }
        follow(x);
        if (x->kind == LDR_EXT_HOST || x->kind == LDR_EXT_CONST) x->instance = NULL;
        if (!type_matches(inst, i, x)) return import_error(e, i, "incompatible import type");
        bool same = x->instance && x->instance->store == inst->store;
        if (x->instance && !same && i->kind != WASM_FUNC &&
            !(i->kind == WASM_GLOBAL && !m->global[i->index].is_mutable))
            return import_error(e, i, "only functions are shared between domains");
        if (x->kind == LDR_EXT_FUNC && !x->instance->stub[x->index])
            return import_error(e, i, "not callable from outside");
    }
    return LDR_OK;
}

// ---- Reserve ----
static bool arrays(struct ldr_instance *inst) {
    const struct wasm_module *m = inst->m;
    size_t size = 0;
    const size_t sizes[] = {
        sizeof *inst->from * m->imports,
        sizeof *inst->link * m->imported_funcs,
        sizeof *inst->stub * m->funcs,
        sizeof *inst->cell * m->globals,
        sizeof *inst->table * m->tables,
        sizeof *inst->ref * m->funcs,
        m->elems,
        m->datas,
        sizeof *inst->import_of * m->imported_funcs,
    };
    enum { N = sizeof sizes / sizeof *sizes };
    uint8_t *at[N];
    for (unsigned i = 0; i < N; i++) size += (sizes[i] + 15) & ~(size_t)15;
    if (!size) size = 16;
    uint8_t *p = ldr_plat_alloc(size);
    if (!p) return false;
    inst->arrays = p;
    inst->arrays_size = size;
    for (unsigned i = 0; i < N; i++) {
        at[i] = p;
        p += (sizes[i] + 15) & ~(size_t)15;
    }
    inst->from = (void *)at[0];
    inst->link = (void *)at[1];
    inst->stub = (void *)at[2];
    inst->cell = (void *)at[3];
    inst->table = (void *)at[4];
    inst->ref = (void *)at[5];
    inst->elem_dropped = at[6];
    inst->data_dropped = at[7];
    inst->import_of = (void *)at[8];
    return true;
}

static enum ldr_status context(struct ldr_instance *inst) {
    enum ldr_status status = ldr_plat_slot_alloc(&inst->window);
    if (status != LDR_OK) return status;
    uint64_t globals = ldr_page_up(16ull * inst->m->globals);
    // Results, words and private page lie together; globals begin at the top.
    status = ldr_plat_map(inst->window, -(int64_t)SFI_CTX_PRIVATE,
                          SFI_CTX_PRIVATE - SFI_CTX_GLOBALS, LDR_MAP_WRITE);
    if (status == LDR_OK && globals)
        status = ldr_plat_map(inst->window, -(int64_t)globals, globals, LDR_MAP_WRITE);
    if (status != LDR_OK) {
        ldr_plat_slot_free(inst->window);
        inst->window = 0;
        return status;
    }
    inst->priv = ldr_context(inst->window, SFI_CTX_PRIVATE);
    inst->priv->instance = inst;
    return LDR_OK;
}

static enum ldr_status memories(struct ldr_instance *inst, const struct ldr_limits *limits,
                                struct ldr_error *e) {
    const struct wasm_module *m = inst->m;
    uint32_t pages = limits ? limits->memory_pages : 65536;
    uint32_t rows = limits && limits->table_rows ? limits->table_rows : SFI_TABLE_ROWS;
    if (pages > 65536) pages = 65536;
    if (rows > SFI_TABLE_ROWS) rows = SFI_TABLE_ROWS;
    for (uint32_t i = m->imported_tables; i < m->tables; i++) {
        if (m->table[i].limits.min > rows)
            return ldr_error(e, LDR_LIMIT, 0, "beyond a limit: table is larger than granted");
        if (!(inst->table[i] = ldr_table_new(inst, i, &m->table[i], rows)))
            return ldr_error(e, LDR_NO_MEMORY, 0, "out of memory: table");
    }
    if (m->memories > 1) return ldr_error(e, LDR_UNSUPPORTED, 0, "not supported: many memories");
    if (m->memories > m->imported_memories) {
        if (m->memory[0].min > pages)
            return ldr_error(e, LDR_LIMIT, 0, "beyond a limit: memory is larger than granted");
        if (!(inst->memory = ldr_memory_new(inst, &m->memory[0], pages)))
            return ldr_error(e, LDR_NO_MEMORY, 0, "out of memory: memory");
    }
    for (uint32_t i = 0; i < m->globals; i++)
        inst->cell[i] = ldr_context(inst->window, SFI_CTX_GLOBAL(i));
    for (uint32_t k = 0; k < m->imports; k++) {
        const struct wasm_import *i = &m->import[k];
        const struct ldr_extern *x = &inst->from[k];
        bool ok = true;
        if (i->kind == WASM_TABLE) {
            inst->table[i->index] = x->instance->table[x->index];
            ok = ldr_table_import(inst->table[i->index], inst, i->index);
            if (!ok) inst->table[i->index] = NULL;
        } else if (i->kind == WASM_MEMORY) {
            inst->memory = x->instance->memory;
            ok = ldr_memory_import(inst->memory, inst);
        } else if (i->kind == WASM_GLOBAL && m->global[i->index].is_mutable) {
            inst->cell[i->index] = x->instance->cell[x->index];
        }
        if (!ok) return ldr_error(e, LDR_NO_MEMORY, 0, "out of memory: imports");
    }
    return LDR_OK;
}

static bool host_links(struct ldr_instance *inst) {
    const struct wasm_module *m = inst->m;
    for (uint32_t k = 0; k < m->imports; k++) {
        const struct ldr_extern *x = &inst->from[k];
        uint32_t f = m->import[k].index;
        if (m->import[k].kind != WASM_FUNC) continue;
        if (x->kind == LDR_EXT_FUNC) {
            inst->stub[f] = x->instance->stub[x->index];
            continue;
        }
        const struct wasm_functype *type = &m->type[m->func[f].type];
        struct ldr_link *l = ldr_plat_alloc(sizeof *l + type->params * sizeof *l->place);
        if (!l) return false;
        uint16_t *place = (uint16_t *)(l + 1);
        bool integers = true; // in registers, so in order
        for (uint32_t i = 0; i < type->params; i++) {
            place[i] = (uint16_t)jit_arg_place(type, i);
            integers &= place[i] < SFI_INT_ARGS;
        }
        *l = (struct ldr_link){x->host, type, type->params, integers ? NULL : place};
        inst->link[f] = l;
    }
    return true;
}

// ---- Verify ----
// Marks in `stub` who can be called from outside: in a domain what it exports, in a store all that a reference may name.
static void mark_stubs(struct ldr_instance *inst) {
    const struct wasm_module *m = inst->m;
    for (uint32_t i = 0; i < m->exports; i++)
        if (m->export[i].kind == WASM_FUNC && m->export[i].index >= m->imported_funcs)
            inst->stub[m->export[i].index] = 1;
    for (uint32_t f = m->imported_funcs; f < m->funcs; f++)
        if (inst->store->policy == LDR_STORE && m->func[f].declared_ref) inst->stub[f] = 1;
}

static enum ldr_status rejection(struct ldr_error *e, const struct sfi_rejection *r) {
    struct ldr_text t;
    e->status = LDR_REJECTED;
    e->offset = r->offset;
    ldr_text_init(&t, e->text, sizeof e->text);
    ldr_text_str(&t, "rejected by the verifier: ");
    ldr_text_str(&t, sfi_rule_name(r->rule));
    ldr_text_str(&t, " (");
    ldr_text_str(&t, sfi_rule_text(r->rule));
    ldr_text_str(&t, ") at code offset ");
    ldr_text_hex(&t, r->offset);
    return LDR_REJECTED;
}

static enum ldr_status code_block(struct ldr_instance *inst, struct ldr_error *e) {
    const struct wasm_module *m = inst->m;
    struct sfi_code c = inst->code->jit.sfi;
    uint32_t stubs = (c.size + SFI_BUNDLE - 1) & ~(SFI_BUNDLE - 1), size = stubs;
    mark_stubs(inst);
    for (uint32_t f = m->imported_funcs; f < m->funcs; f++)
        if (inst->stub[f]) size += ldr_stub_size(inst, f);
    enum ldr_status status = ldr_plat_code_alloc(size, &inst->block);
    if (status != LDR_OK) return ldr_error(e, status, 0, "no room for the code");

    // The one gate. `c.bytes` is the block itself, through the alias that only we write and only now.
    memcpy(inst->block.rw, c.bytes, c.size);
    c.bytes = inst->block.rw;
    size_t places = SFI_PLACES(c.size) * sizeof(struct sfi_place);
    struct sfi_place *place = ldr_plat_alloc(places);
    if (!place) return ldr_error(e, LDR_NO_MEMORY, 0, "out of memory");
    struct sfi_rejection r;
    uint64_t start = __builtin_ia32_rdtsc();
    enum sfi_status verdict = sfi_verify(&c, place, &r);
    inst->cycles_verify = __builtin_ia32_rdtsc() - start;
    ldr_plat_free(place, places);
    if (verdict != SFI_ACCEPTED) return rejection(e, &r);

    for (uint32_t i = 0; i < m->imported_funcs; i++)
        if (inst->link[i] && !ldr_thunk_reaches(&inst->block, (uint64_t)inst->link[i]->func->fn))
            return ldr_error(e, LDR_ARGUMENT, 0, "host function is out of reach of the code");
    ldr_thunks_make(inst);
    for (uint32_t f = m->imported_funcs; f < m->funcs; f++)
        if (inst->stub[f]) stubs += ldr_stub_make(inst, f, stubs);
    status = ldr_plat_code_seal(&inst->block);
    return status == LDR_OK ? LDR_OK : ldr_error(e, status, 0, "the code cannot be sealed");
}

// ---- Commit ----
static void constant(struct ldr_instance *inst, const struct wasm_constexpr *c, uint64_t out[2]) {
    out[0] = out[1] = 0;
    switch (c->kind) {
    case WASM_CE_CONST:
        out[0] = c->value;
        out[1] = c->high;
        break;
    case WASM_CE_GLOBAL: memcpy(out, inst->cell[c->value], 16); break;
    case WASM_CE_REF_FUNC: out[0] = inst->ref[c->value]; break;
    case WASM_CE_SUM: out[0] = wasm_const_sum(inst->m, c, inst->cell); break;
    case WASM_CE_REF_NULL: break;
    }
}
static uint32_t offset(struct ldr_instance *inst, const struct wasm_constexpr *c) {
    uint64_t value[2];
    constant(inst, c, value);
    return (uint32_t)value[0];
}
static bool references(struct ldr_instance *inst) {
    for (uint32_t f = 0; f < inst->m->funcs; f++)
        if (inst->m->func[f].declared_ref && !ldr_ref(inst, f)) return false;
    return true;
}
static void globals(struct ldr_instance *inst) {
    const struct wasm_module *m = inst->m;
    for (uint32_t k = 0; k < m->imports; k++) {
        const struct wasm_import *i = &m->import[k];
        const struct ldr_extern *x = &inst->from[k];
        if (i->kind != WASM_GLOBAL || m->global[i->index].is_mutable) continue;
        if (x->kind == LDR_EXT_CONST)
            memcpy(inst->cell[i->index], (uint64_t[]){x->value, x->high}, 16);
        else
            memcpy(inst->cell[i->index], x->instance->cell[x->index], 16);
    }
    for (uint32_t i = m->imported_globals; i < m->globals; i++)
        constant(inst, &m->global[i].init, inst->cell[i]);
}
static enum sfi_trap segments(struct ldr_instance *inst) {
    const struct wasm_module *m = inst->m;
    for (uint32_t i = 0; i < m->elems; i++) {
        const struct wasm_elem *s = &m->elem[i];
        if (s->mode == WASM_ELEM_PASSIVE) continue;
        if (s->mode == WASM_ELEM_ACTIVE &&
            !ldr_table_init(inst, s->table, i, offset(inst, &s->offset), 0, s->count))
            return SFI_TRAP_TABLE_ACCESS;
        inst->elem_dropped[i] = 1;
    }
    for (uint32_t i = 0; i < m->datas; i++) {
        const struct wasm_data *s = &m->data[i];
        if (!s->active) continue;
        if (!ldr_memory_init(inst, i, offset(inst, &s->offset), 0, s->size)) return SFI_TRAP_MEMORY;
        inst->data_dropped[i] = 1;
    }
    return SFI_TRAP_NONE;
}
enum sfi_trap ldr_initialise(struct ldr_instance *inst) {
    globals(inst);
    return segments(inst);
}
static void count_links(struct ldr_instance *inst, uint32_t by) {
    for (uint32_t k = 0; k < inst->m->imports; k++)
        if (inst->from[k].instance) inst->from[k].instance->links += by;
}

// Frees whatever there is of an instance, which is in no list (any more). References to its functions name nothing then.
void ldr_instance_destroy(struct ldr_instance *inst) {
    const struct wasm_module *m = inst->m;
    if (inst->linked) count_links(inst, UINT32_MAX);
    for (uint32_t i = 0; i < inst->store->funcs; i++)
        if (inst->store->func[i].inst == inst) inst->store->func[i] = (struct ldr_func){0};
    for (uint32_t i = 0; inst->arrays && i < m->imported_tables; i++)
        if (inst->table[i]) ldr_table_leave(inst->table[i], inst);
    if (m->imported_memories && inst->memory) ldr_memory_leave(inst->memory, inst);
    for (uint32_t i = m->imported_tables; inst->arrays && i < m->tables; i++)
        ldr_table_delete(inst->table[i]);
    if (!m->imported_memories) ldr_memory_delete(inst->memory);
    for (uint32_t i = 0; inst->arrays && i < m->imported_funcs; i++)
        if (inst->link[i])
            ldr_plat_free(inst->link[i],
                          sizeof(struct ldr_link) + inst->link[i]->params * sizeof(uint16_t));
    if (inst->block.size) ldr_plat_code_free(&inst->block);
    if (inst->window) ldr_plat_slot_free(inst->window);
    if (inst->arrays) ldr_plat_free(inst->arrays, inst->arrays_size);
    ldr_code_release(inst->code);
    ldr_plat_free(inst, sizeof *inst);
}

static enum ldr_status build(struct ldr_instance *inst, const struct ldr_imports *imports,
                             const struct ldr_limits *limits, struct ldr_error *e) {
    enum ldr_status status;
    if (!arrays(inst)) return ldr_error(e, LDR_NO_MEMORY, 0, "out of memory");
    if ((status = bind(inst, imports, e)) != LDR_OK) return status;
    if ((status = context(inst)) != LDR_OK) return ldr_error(e, status, 0, "no slot");
    if (!host_links(inst)) return ldr_error(e, LDR_NO_MEMORY, 0, "out of memory");
    if ((status = code_block(inst, e)) != LDR_OK) return status;
    return memories(inst, limits, e);
}

enum ldr_status ldr_instantiate(struct ldr_store *store, struct ldr_code *code, const char *name,
                                const struct ldr_imports *imports, const struct ldr_limits *limits,
                                void *user, struct ldr_instance **out_inst,
                                struct ldr_error *out_error) {
    uint32_t length = 0;
    while (name[length]) length++;
    *out_inst = NULL;
    struct ldr_instance *inst = ldr_plat_alloc(sizeof *inst);
    if (!inst) return ldr_error(out_error, LDR_NO_MEMORY, 0, "out of memory");
    inst->store = store;
    inst->code = code;
    inst->m = code->module;
    inst->user = user;
    ldr_name_copy(inst->name, name, length);
    ldr_code_hold(code);
    enum ldr_status status = build(inst, imports, limits, out_error);
    if (status != LDR_OK) {
        ldr_instance_destroy(inst);
        return status;
    }
    if (!references(inst)) {
        ldr_instance_destroy(inst);
        return ldr_error(out_error, LDR_NO_MEMORY, 0, "out of memory: references");
    }
    count_links(inst, 1);
    inst->linked = true;
    inst->store_next = store->instances;
    store->instances = inst;
    ldr_instance_list_add(inst);
    enum sfi_trap trap = ldr_initialise(inst);
    if (trap != SFI_TRAP_NONE) {
        ldr_error(out_error, LDR_TRAPPED, 0, ldr_trap_text(trap));
        if (store->policy == LDR_DOMAIN) ldr_instance_free(inst);
        return LDR_TRAPPED;
    }
    *out_inst = inst;
    return LDR_OK;
}

bool ldr_instance_free(struct ldr_instance *inst) {
    struct ldr_store *s = inst->store;
    // In a store references to its functions may be anywhere: it goes with the store.
    if (s->policy == LDR_STORE || inst->links || inst->priv->owner) return false;
    struct ldr_instance **at = &s->instances;
    while (*at != inst) at = &(*at)->store_next;
    *at = inst->store_next;
    ldr_instance_list_remove(inst);
    ldr_plat_sync();
    ldr_instance_destroy(inst);
    return true;
}

// ---- What it is ----
void *ldr_user(const struct ldr_instance *inst) { return inst->user; }
const char *ldr_name(const struct ldr_instance *inst) { return inst->name; }
uint64_t ldr_window(const struct ldr_instance *inst) { return inst->window; }
struct ldr_code *ldr_instance_code(const struct ldr_instance *inst) {
    return inst->code;
}
uint64_t ldr_verify_cycles(const struct ldr_instance *inst) { return inst->cycles_verify; }
uint32_t ldr_memory_pages(const struct ldr_instance *inst) {
    return inst->memory ? inst->memory->pages : 0;
}
bool ldr_find_func(struct ldr_instance *inst, const char *name, uint32_t *out_index) {
    const struct wasm_export *x = wasm_find_export(inst->m, name, WASM_FUNC);
    if (!x) return false;
    *out_index = x->index;
    return true;
}
bool ldr_global_value(struct ldr_instance *inst, uint32_t index, uint8_t *out_type, uint64_t *out_bits) {
    if (index >= inst->m->globals) return false;
    *out_type = inst->m->global[index].type;
    memcpy(out_bits, inst->cell[index], *out_type == WASM_V128 ? 16 : 8);
    return true;
}
