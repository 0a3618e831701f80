// link.c — see link.h.
#include "sfi-jit/x64/link.h"
#include "sfi-jit/lib.h"
#include "sfi-jit/x64/encode.h"

void x64_module_init(struct x64_module *m, struct jit_arena *a, const struct wasm_module *wasm,
                     const struct jit_options *options) {
    *m = (struct x64_module){.arena = a, .wasm = wasm, .options = options};
    m->func = JIT_ARRAY(a, struct sfi_func, wasm->funcs - wasm->imported_funcs);
    m->cap = wasm->size < SFI_CODE_MAX / 4 ? 4 * wasm->size + 4096 : SFI_CODE_MAX;
    m->bytes = jit_alloc(a, m->cap);
    uint32_t thunks = SFI_THUNK_SIZE * (SFI_BUILTINS + wasm->imported_funcs);
    x64_module_room(m, thunks);
    m->size = thunks;
}

uint8_t *x64_module_room(struct x64_module *m, uint32_t n) {
    if (n > SFI_CODE_MAX - m->size)
        jit_fail(m->arena, JIT_ERR_LIMIT, 0, UINT32_MAX, "too much code in one module");
    m->bytes = jit_grow(m->arena, m->bytes, &m->cap, m->size + n, 1);
    return memset(m->bytes + m->size, 0xcc, n);
}

// ---- constants ---------------------------------------------------------------------------------

static unsigned class_of(unsigned bytes) { return bytes == 16 ? 0 : bytes == 8 ? 1 : 2; }

static uint64_t *pool_words(const struct x64_module *m, uint32_t ref) {
    return &m->pool[ref >> 30].word[(size_t)(ref & 0x3fffffff) * (ref >> 30 == 0 ? 2 : 1)];
}

static uint32_t *pool_find(struct x64_module *m, unsigned cls, uint64_t lo, uint64_t hi) {
    uint64_t h = (lo * 0x9e3779b97f4a7c15u ^ hi * 0xc2b2ae3d27d4eb4fu ^ cls) * 0x9e3779b97f4a7c15u;
    for (uint32_t i = (uint32_t)(h >> 32);; i++) {
        uint32_t *e = &m->pool_hash[i & (m->pool_hash_size - 1)];
        if (!*e) return e;
        uint32_t ref = *e - 1;
        const uint64_t *w = pool_words(m, ref);
        if (ref >> 30 == cls && w[0] == lo && (cls || w[1] == hi)) return e;
    }
}

static void pool_rehash(struct x64_module *m) {
    m->pool_hash_size = m->pool_hash_size ? 2 * m->pool_hash_size : 64;
    m->pool_hash = JIT_ARRAY(m->arena, uint32_t, m->pool_hash_size);
    for (unsigned c = 0; c < 3; c++)
        for (uint32_t i = 0; i < m->pool[c].count; i++) {
            const uint64_t *w = pool_words(m, c << 30 | i);
            *pool_find(m, c, w[0], c ? 0 : w[1]) = (c << 30 | i) + 1;
        }
}

uint32_t x64_pool(struct x64_module *m, unsigned bytes, uint64_t lo, uint64_t hi) {
    unsigned cls = class_of(bytes);
    if (2 * (m->pool_used + 1) > m->pool_hash_size) pool_rehash(m);
    uint32_t *e = pool_find(m, cls, lo, hi);
    if (!*e) {
        struct x64_pool_class *p = &m->pool[cls];
        p->word = jit_grow(m->arena, p->word, &p->cap, p->count + 1, cls ? 8 : 16);
        uint32_t ref = cls << 30 | p->count++;
        uint64_t *w = pool_words(m, ref);
        w[0] = lo;
        if (!cls) w[1] = hi;
        *e = ref + 1;
        m->pool_used++;
    }
    return *e - 1;
}

// ---- the end -----------------------------------------------------------------------------------

static void put_pool(struct x64_module *m, uint32_t offset[3]) {
    for (unsigned c = 0; c < 3; c++) {
        unsigned bytes = 16u >> c;
        uint8_t *p = x64_module_room(m, m->pool[c].count * bytes);
        offset[c] = m->size;
        for (uint32_t i = 0; i < m->pool[c].count; i++) {
            const uint64_t *w = pool_words(m, c << 30 | i);
            p = x64_put_imm(p, w[0], bytes < 8 ? 4 : 8);
            if (!c) p = x64_put_imm(p, w[1], 8);
        }
        m->size += m->pool[c].count * bytes;
    }
}

static void put_tables(struct x64_module *m, struct sfi_jump_table *out) {
    for (uint32_t t = 0; t < m->tables; t++) {
        uint32_t count = m->table[t].count;
        uint8_t *p = x64_module_room(m, 4 * count);
        out[t] = (struct sfi_jump_table){m->size, count};
        for (uint32_t k = 0; k < count; k++)
            p = x64_put_imm(p, m->entry[m->table[t].first + k] - m->size, 4);
        m->size += 4 * count;
    }
}

static uint32_t *thunk_sigs(struct x64_module *m, uint32_t thunks) {
    uint32_t *sig = JIT_ARRAY(m->arena, uint32_t, thunks); // built-ins: no stack words
    for (uint32_t i = SFI_BUILTINS; i < thunks; i++) {
        const struct wasm_func *f = &m->wasm->func[i - SFI_BUILTINS];
        sig[i] = m->options->sig_id(m->options->ctx, &m->wasm->type[f->type]);
    }
    return sig;
}

// A call's target is a function index, or a built-in counted from the top.
static uint32_t call_target(const struct x64_module *m, uint32_t func) {
    if (func > UINT32_MAX - SFI_BUILTINS) return (UINT32_MAX - func) * SFI_THUNK_SIZE;
    if (func < m->wasm->imported_funcs) return (SFI_BUILTINS + func) * SFI_THUNK_SIZE;
    return m->func[func - m->wasm->imported_funcs].start;
}

void x64_link(struct x64_module *m, struct jit_code *out) {
    uint32_t pad = -m->size & (SFI_BUNDLE - 1);
    x64_module_room(m, pad);
    m->size += pad;
    uint32_t data = m->size, offset[3];
    put_pool(m, offset);
    uint32_t pool_end = m->size;
    struct sfi_jump_table *table = JIT_ARRAY(m->arena, struct sfi_jump_table, m->tables);
    put_tables(m, table);

    uint32_t *sig_site = JIT_ARRAY(m->arena, uint32_t, m->relocs), sig_sites = 0;
    for (uint32_t i = 0; i < m->relocs; i++) {
        const struct x64_reloc *r = &m->reloc[i];
        uint32_t to = 0;
        if (r->kind == X64_REL_SIG) { // is what it should be
            sig_site[sig_sites++] = r->at;
            continue;
        }
        switch ((enum x64_reloc_kind)r->kind) {
        case X64_REL_CALL: to = call_target(m, r->target); break;
        case X64_REL_TABLE: to = table[r->target].offset; break;
        case X64_REL_POOL:
            to = offset[r->target >> 30] + (r->target & 0x3fffffff) * (16u >> (r->target >> 30));
            break;
        case X64_REL_SIG: break;
        }
        x64_put_imm(m->bytes + r->at, to - (r->at + 4 + r->tail), 4);
    }

    uint32_t thunks = SFI_BUILTINS + m->wasm->imported_funcs;
    m->stats.wasm_bytes = m->wasm->size;
    m->stats.code_bytes = m->size;
    *out = (struct jit_code){
        .sfi = {.bytes = m->bytes,
                .size = m->size,
                .thunks = thunks,
                .thunk_sigs = thunk_sigs(m, thunks),
                .funcs = m->funcs,
                .labels = m->labels,
                .jump_tables = m->tables,
                .func = m->func,
                .label = m->label,
                .jump_table = table,
                .pool = data,
                .pool_size = pool_end - data,
                .data = data},
        .bytes = m->bytes,
        .site = m->site,
        .sites = m->sites,
        .sig_site = sig_site,
        .sig_sites = sig_sites,
        .stats = m->stats,
    };
}
