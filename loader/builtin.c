// builtin.c — what compiled code calls the runtime for: growth, bulk operations, tables, references (SFI_BUILTIN_LIST).
//
// Callers are sandboxed code: every argument is whatever the registers held. Indices of segments, tables, functions and globals, which
// an honest compiler takes from the validated module, are checked like all others; a wrong one is SFI_TRAP_HOST. The
// upper half of an i32 is undefined and masked off by ldr_arg32(). An operation that traps has not begun (spec 4.4.6, 4.4.7).
#include "loader/private.h"

static void require(struct ldr_instance *inst, bool ok, enum sfi_trap kind) {
    if (!ok) ldr_trap(inst, kind);
}
static struct ldr_table *table_arg(struct ldr_instance *inst, uint32_t index) {
    require(inst, index < inst->m->tables, SFI_TRAP_HOST);
    return inst->table[index];
}
// A reference that may go into the table: null, or (functions) a real one.
static uint32_t ref_arg(struct ldr_instance *inst, const struct ldr_table *t, uint64_t ref) {
    require(inst, t->type == WASM_FUNCREF ? !ref || ldr_ref_get(inst->store, ref) : ref <= UINT32_MAX,
            SFI_TRAP_HOST);
    return (uint32_t)ref;
}

static int64_t memory_grow(struct ldr_instance *inst, const struct ldr_args *a) {
    return inst->memory ? (int64_t)ldr_memory_grow(inst->memory, ldr_arg32(a, 0)) : UINT32_MAX;
}
int64_t ldr_builtin_fill(struct ldr_instance *inst, const struct ldr_args *a) {
    uint32_t n = ldr_arg32(a, 2);
    void *dst = ldr_memory_at(inst, ldr_arg32(a, 0), n);
    require(inst, dst, SFI_TRAP_MEMORY);
    memset(dst, (int)(ldr_arg32(a, 1) & 0xff), n);
    return 0;
}
int64_t ldr_builtin_copy(struct ldr_instance *inst, const struct ldr_args *a) {
    uint32_t n = ldr_arg32(a, 2);
    void *dst = ldr_memory_at(inst, ldr_arg32(a, 0), n);
    void *src = ldr_memory_at(inst, ldr_arg32(a, 1), n);
    require(inst, dst && src, SFI_TRAP_MEMORY);
    memmove(dst, src, n);
    return 0;
}
static int64_t memory_init(struct ldr_instance *inst, const struct ldr_args *a) {
    uint32_t segment = ldr_arg32(a, 3);
    require(inst, segment < inst->m->datas, SFI_TRAP_HOST);
    require(inst, ldr_memory_init(inst, segment, ldr_arg32(a, 0), ldr_arg32(a, 1), ldr_arg32(a, 2)),
            SFI_TRAP_MEMORY);
    return 0;
}
static int64_t data_drop(struct ldr_instance *inst, const struct ldr_args *a) {
    require(inst, ldr_arg32(a, 0) < inst->m->datas, SFI_TRAP_HOST);
    inst->data_dropped[ldr_arg32(a, 0)] = 1;
    return 0;
}
static int64_t table_get(struct ldr_instance *inst, const struct ldr_args *a) {
    const struct ldr_table *t = table_arg(inst, ldr_arg32(a, 1));
    require(inst, ldr_arg32(a, 0) < t->length, SFI_TRAP_TABLE_ACCESS);
    return ldr_table_get(t, ldr_arg32(a, 0));
}
static int64_t table_set(struct ldr_instance *inst, const struct ldr_args *a) {
    struct ldr_table *t = table_arg(inst, ldr_arg32(a, 2));
    require(inst, ldr_arg32(a, 0) < t->length, SFI_TRAP_TABLE_ACCESS);
    ldr_table_set(t, ldr_arg32(a, 0), ref_arg(inst, t, ldr_arg(a, 1)));
    return 0;
}
static void fill(struct ldr_table *t, uint32_t at, uint32_t ref, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) ldr_table_set(t, at + i, ref);
}
static int64_t table_grow(struct ldr_instance *inst, const struct ldr_args *a) {
    struct ldr_table *t = table_arg(inst, ldr_arg32(a, 2));
    uint32_t ref = ref_arg(inst, t, ldr_arg(a, 0)), n = ldr_arg32(a, 1), old = t->length;
    if (!ldr_table_grow(t, n)) return UINT32_MAX;
    fill(t, old, ref, n);
    return old;
}
static int64_t table_fill(struct ldr_instance *inst, const struct ldr_args *a) {
    struct ldr_table *t = table_arg(inst, ldr_arg32(a, 3));
    uint32_t at = ldr_arg32(a, 0), n = ldr_arg32(a, 2);
    require(inst, (uint64_t)at + n <= t->length, SFI_TRAP_TABLE_ACCESS);
    fill(t, at, ref_arg(inst, t, ldr_arg(a, 1)), n);
    return 0;
}
static int64_t table_copy(struct ldr_instance *inst, const struct ldr_args *a) {
    struct ldr_table *dst = table_arg(inst, ldr_arg32(a, 3)), *src = table_arg(inst, ldr_arg32(a, 4));
    uint32_t to = ldr_arg32(a, 0), from = ldr_arg32(a, 1), n = ldr_arg32(a, 2);
    require(inst, dst->type == src->type, SFI_TRAP_HOST);
    require(inst, (uint64_t)to + n <= dst->length && (uint64_t)from + n <= src->length,
            SFI_TRAP_TABLE_ACCESS);
    for (uint32_t k = 0; k < n; k++) { // backwards where forwards would overwrite what is still to be read
        uint32_t i = to > from ? n - 1 - k : k;
        ldr_table_set(dst, to + i, ldr_table_get(src, from + i));
    }
    return 0;
}
static int64_t table_init(struct ldr_instance *inst, const struct ldr_args *a) {
    uint32_t segment = ldr_arg32(a, 3);
    const struct ldr_table *t = table_arg(inst, ldr_arg32(a, 4));
    require(inst, segment < inst->m->elems && inst->m->elem[segment].type == t->type, SFI_TRAP_HOST);
    require(inst,
            ldr_table_init(inst, ldr_arg32(a, 4), segment, ldr_arg32(a, 0), ldr_arg32(a, 1),
                           ldr_arg32(a, 2)),
            SFI_TRAP_TABLE_ACCESS);
    return 0;
}
static int64_t elem_drop(struct ldr_instance *inst, const struct ldr_args *a) {
    require(inst, ldr_arg32(a, 0) < inst->m->elems, SFI_TRAP_HOST);
    inst->elem_dropped[ldr_arg32(a, 0)] = 1;
    return 0;
}
static int64_t ref_func(struct ldr_instance *inst, const struct ldr_args *a) {
    uint32_t f = ldr_arg32(a, 0);
    require(inst, f < inst->m->funcs && inst->m->func[f].declared_ref, SFI_TRAP_HOST);
    uint32_t ref = ldr_ref(inst, f);
    require(inst, ref != 0, SFI_TRAP_HOST);
    return ref;
}
// Where a wait or notify is: in bounds, aligned.
static void *atomic_arg(struct ldr_instance *inst, const struct ldr_args *a, unsigned offset,
                        unsigned bytes) {
    uint64_t at = (uint64_t)ldr_arg32(a, 0) + ldr_arg32(a, offset);
    require(inst, at % bytes == 0, SFI_TRAP_UNALIGNED);
    void *p = at <= UINT32_MAX ? ldr_memory_at(inst, (uint32_t)at, bytes) : NULL;
    require(inst, p, SFI_TRAP_MEMORY);
    return p;
}
static int64_t memory_notify(struct ldr_instance *inst, const struct ldr_args *a) {
    const uint8_t *p = atomic_arg(inst, a, 2, 4);
    if (!inst->memory->shared) return 0; // nobody can wait there
    return ldr_plat_notify(inst->memory, (uint64_t)p - inst->window, ldr_arg32(a, 1));
}
static int64_t wait_at(struct ldr_instance *inst, const struct ldr_args *a, unsigned bytes) {
    const void *p = atomic_arg(inst, a, 3, bytes);
    uint64_t expected = bytes == 4 ? ldr_arg32(a, 1) : ldr_arg(a, 1);
    require(inst, inst->memory->shared, SFI_TRAP_NOT_SHARED);
    return ldr_plat_wait_at(inst->memory, (uint64_t)p - inst->window, p, bytes, expected,
                            (int64_t)ldr_arg(a, 2));
}
static int64_t memory_wait32(struct ldr_instance *inst, const struct ldr_args *a) {
    return wait_at(inst, a, 4);
}
static int64_t memory_wait64(struct ldr_instance *inst, const struct ldr_args *a) {
    return wait_at(inst, a, 8);
}
static uint64_t *cell_arg(struct ldr_instance *inst, uint32_t g) {
    require(inst, g < inst->m->imported_globals && inst->m->global[g].is_mutable, SFI_TRAP_HOST);
    return inst->cell[g];
}
static int64_t global_get(struct ldr_instance *inst, const struct ldr_args *a) {
    return (int64_t)*cell_arg(inst, ldr_arg32(a, 0));
}
static int64_t global_get_high(struct ldr_instance *inst, const struct ldr_args *a) {
    return (int64_t)cell_arg(inst, ldr_arg32(a, 0))[1];
}
static int64_t global_set_high(struct ldr_instance *inst, const struct ldr_args *a) {
    cell_arg(inst, ldr_arg32(a, 0))[1] = ldr_arg(a, 1);
    return 0;
}
static int64_t global_set(struct ldr_instance *inst, const struct ldr_args *a) {
    *cell_arg(inst, ldr_arg32(a, 0)) = ldr_arg(a, 1);
    return 0;
}

const struct ldr_hostfunc ldr_builtins[SFI_BUILTINS_USED] = {
#define X(f) \
    { .module = "built-in", .name = #f, .fn = f }
    [SFI_BI_MEMORY_GROW] = X(memory_grow),
    [SFI_BI_MEMORY_FILL] = {.module = "built-in", .name = "memory_fill", .fn = ldr_builtin_fill},
    [SFI_BI_MEMORY_COPY] = {.module = "built-in", .name = "memory_copy", .fn = ldr_builtin_copy},
    [SFI_BI_MEMORY_INIT] = X(memory_init),
    [SFI_BI_DATA_DROP] = X(data_drop),
    [SFI_BI_TABLE_GET] = X(table_get),
    [SFI_BI_TABLE_SET] = X(table_set),
    [SFI_BI_TABLE_GROW] = X(table_grow),
    [SFI_BI_TABLE_FILL] = X(table_fill),
    [SFI_BI_TABLE_COPY] = X(table_copy),
    [SFI_BI_TABLE_INIT] = X(table_init),
    [SFI_BI_ELEM_DROP] = X(elem_drop),
    [SFI_BI_REF_FUNC] = X(ref_func),
    [SFI_BI_GLOBAL_GET] = X(global_get),
    [SFI_BI_GLOBAL_SET] = X(global_set),
    [SFI_BI_GLOBAL_GET_HIGH] = X(global_get_high),
    [SFI_BI_GLOBAL_SET_HIGH] = X(global_set_high),
    [SFI_BI_MEMORY_NOTIFY] = X(memory_notify),
    [SFI_BI_MEMORY_WAIT32] = X(memory_wait32),
    [SFI_BI_MEMORY_WAIT64] = X(memory_wait64),
#undef X
};

_Static_assert(SFI_BUILTINS_USED == SFI_BI_MEMORY_WAIT64 + 1,
               "every built-in has its function above");

// One link a built-in: all take integer registers only, in order.
static const struct ldr_link links[SFI_BUILTINS_USED] = {
#define X(id, text) [SFI_BI_##id] = {.func = &ldr_builtins[SFI_BI_##id], .params = SFI_INT_ARGS},
    SFI_BUILTIN_LIST(X)
#undef X
};
const struct ldr_link *ldr_builtin_link(unsigned builtin) { return &links[builtin]; }
