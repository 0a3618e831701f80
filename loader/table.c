// table.c — tables: rows that only this file writes, in three arrays below the window (sfi-jit/sfi.h: entries, signatures, references).
//
// What a row's entry is depends on who can call it. In a table of one instance, an own function stands with its own address:
// the call is a plain one. Everything else is a crossing stub, which works from any window; as soon as a table is
// shared, all its rows are stubs. A row of signature 0 (null, or an external reference) is never called.
//
// Speculation and interrupts may look at any row at any time, so a row is closed (signature 0) before its entry changes and
// opened after. Rows beyond the length have no pages or signature 0.
#include "loader/private.h"

#define CHUNK 1024u // rows mapped at once: whole pages in each of the three arrays

static uint64_t *entries(const struct ldr_mapping *m) {
    return ldr_context(m->inst->window, SFI_TABLE_ENTRIES(m->index));
}
static uint32_t *sigs(const struct ldr_mapping *m) {
    return ldr_context(m->inst->window, SFI_TABLE_SIGS(m->index));
}
static uint32_t *refs(const struct ldr_mapping *m) {
    return ldr_context(m->inst->window, SFI_TABLE_REFS(m->index));
}
static void publish(const struct ldr_table *t) {
    for (uint32_t i = 0; i < t->mappings; i++)
        *(uint32_t *)ldr_context(t->mapping[i].inst->window, SFI_CTX_TABLE_LEN(t->mapping[i].index)) =
            t->length;
}

static struct span {
    int64_t at;
    uint64_t size;
} span_of(uint32_t table, unsigned array, uint32_t row, uint32_t rows) {
    static const uint32_t width[3] = {8, 4, 4};
    const uint32_t base[3] = {SFI_TABLE_ENTRIES(table), SFI_TABLE_SIGS(table), SFI_TABLE_REFS(table)};
    return (struct span){(int64_t)row * width[array] - (int64_t)base[array],
                         (uint64_t)rows * width[array]};
}
// Pages for rows [row, row + rows) in one slot; all of them or none.
static bool map_rows(const struct ldr_table *t, uint32_t mapping, uint32_t row, uint32_t rows) {
    const struct ldr_mapping *m = &t->mapping[mapping], *owner = &t->mapping[0];
    unsigned flags = LDR_MAP_WRITE | (owner->inst->store->policy == LDR_STORE ? LDR_MAP_SHARABLE : 0u);
    for (unsigned i = 0; i < 3; i++) {
        struct span s = span_of(m->index, i, row, rows);
        enum ldr_status status = mapping
                                     ? ldr_plat_share(m->inst->window, s.at, owner->inst->window,
                                                      span_of(owner->index, i, row, rows).at, s.size)
                                     : ldr_plat_map(m->inst->window, s.at, s.size, flags);
        if (status == LDR_OK) continue;
        while (i--) {
            s = span_of(m->index, i, row, rows);
            ldr_plat_unmap(m->inst->window, s.at, s.size);
        }
        return false;
    }
    return true;
}
static void unmap_rows(const struct ldr_table *t, uint32_t mapping, uint32_t row, uint32_t rows) {
    const struct ldr_mapping *m = &t->mapping[mapping];
    for (unsigned i = 0; i < 3; i++) {
        struct span s = span_of(m->index, i, row, rows);
        ldr_plat_unmap(m->inst->window, s.at, s.size);
    }
}

struct ldr_table *ldr_table_new(struct ldr_instance *owner, uint32_t index,
                                const struct wasm_table *type, uint32_t limit) {
    struct ldr_table *t = ldr_plat_alloc(sizeof *t);
    if (!t) return NULL;
    t->type = type->elem_type;
    t->has_max = type->limits.has_max;
    t->declared_max = type->limits.max;
    t->max = t->has_max && t->declared_max < limit ? t->declared_max : limit;
    if (!ldr_mapping_add(&t->mapping, &t->mappings, &t->room, (struct ldr_mapping){owner, index}) ||
        !ldr_table_grow(t, type->limits.min)) {
        ldr_table_delete(t);
        return NULL;
    }
    return t;
}
void ldr_table_delete(struct ldr_table *t) {
    if (!t) return;
    if (t->room) ldr_plat_free(t->mapping, t->room * sizeof *t->mapping);
    ldr_plat_free(t, sizeof *t);
}

bool ldr_table_import(struct ldr_table *t, struct ldr_instance *inst, uint32_t index) {
    if (!ldr_mapping_add(&t->mapping, &t->mappings, &t->room, (struct ldr_mapping){inst, index}))
        return false;
    if (t->mapped && !map_rows(t, t->mappings - 1, 0, t->mapped)) {
        t->mappings--;
        return false;
    }
    if (!t->shared) {
        t->shared = true;
        for (uint32_t i = 0; i < t->length; i++) ldr_table_set(t, i, ldr_table_get(t, i));
    }
    publish(t);
    return true;
}
void ldr_table_leave(struct ldr_table *t, struct ldr_instance *inst) {
    ldr_mapping_remove(t->mapping, &t->mappings, inst);
}

bool ldr_table_grow(struct ldr_table *t, uint32_t by) {
    if (by > t->max || t->length > t->max - by) return false;
    uint32_t want = (t->length + by + CHUNK - 1) / CHUNK * CHUNK, rows = want - t->mapped;
    if (want > t->mapped) {
        for (uint32_t i = 0; i < t->mappings; i++)
            if (!map_rows(t, i, t->mapped, rows)) {
                while (i--) unmap_rows(t, i, t->mapped, rows);
                return false;
            }
        t->mapped = want;
    }
    t->length += by;
    publish(t);
    return true;
}

void ldr_table_reset(struct ldr_table *t, uint32_t length) {
    LDR_ASSERT(t->mappings == 1 && length <= t->length);
    for (uint32_t i = 0; i < t->length; i++) ldr_table_set(t, i, 0);
    t->length = length;
    publish(t);
    uint32_t want = (length + CHUNK - 1) / CHUNK * CHUNK;
    if (t->mapped > want) unmap_rows(t, 0, want, t->mapped - want);
    t->mapped = want;
}

void ldr_table_set(struct ldr_table *t, uint32_t row, uint32_t ref) {
    const struct ldr_mapping *m = &t->mapping[0];
    uint64_t entry = 0;
    uint32_t sig = 0;
    LDR_ASSERT(row < t->length);
    if (ref && t->type == WASM_FUNCREF) {
        const struct ldr_func *f = ldr_ref_get(m->inst->store, ref);
        LDR_ASSERT(f);
        entry = f->inst == m->inst && !t->shared ? f->entry : f->stub;
        sig = entry ? f->sig : 0;
    }
    __atomic_store_n(&sigs(m)[row], 0, __ATOMIC_RELEASE);
    __atomic_store_n(&entries(m)[row], entry, __ATOMIC_RELEASE);
    refs(m)[row] = ref;
    __atomic_store_n(&sigs(m)[row], sig, __ATOMIC_RELEASE);
}
uint32_t ldr_table_get(const struct ldr_table *t, uint32_t row) {
    LDR_ASSERT(row < t->length);
    return refs(&t->mapping[0])[row];
}

bool ldr_table_init(struct ldr_instance *inst, uint32_t table, uint32_t segment, uint32_t dst,
                    uint32_t src, uint32_t n) {
    const struct wasm_elem *e = &inst->m->elem[segment];
    struct ldr_table *t = inst->table[table];
    uint32_t count = inst->elem_dropped[segment] ? 0 : e->count;
    if ((uint64_t)dst + n > t->length || (uint64_t)src + n > count) return false;
    for (uint32_t i = 0; i < n; i++) {
        const struct wasm_constexpr *c = &e->init[src + i];
        uint64_t ref = 0; // REF_NULL
        if (c->kind == WASM_CE_REF_FUNC)
            ref = inst->ref[c->value]; // made at instantiation for all that may be named
        else if (c->kind == WASM_CE_GLOBAL)
            ref = *inst->cell[c->value];
        if (t->type == WASM_FUNCREF && ref && !ldr_ref_get(inst->store, ref)) ref = 0; // a forgery
        ldr_table_set(t, dst + i, (uint32_t)ref);
    }
    return true;
}
