// cache.c — compiled code that was made elsewhere: written by ldr_cache(), read in place of compiling.
//
// Nothing here is trusted, as nothing of the compiler's output is: machine code goes to the verifier, functions' signatures are the module's own, and
// what the side tables say is the verifier's to judge. Checked here are the lengths, and that code and module belong together,
// which is for the user who mixed up files, not against an attacker.
//
// Signature ids are numbers of one running system. In a cache each is the number of the first equal type of the module, plus one, at the places
// that `sig` lists; the reader puts the system's own there.
//
// Little endian, no padding: struct header | func[funcs] {start, size, frame} | label | jump_table | site | sig | bytes.
#include "loader/private.h"

#define MAGIC 0x3165646f63666973ull // "sifcode1"

struct header {
    uint64_t magic, module; // identity of the module
    uint32_t size, funcs, labels, jump_tables, pool, pool_size, data, sites, sigs, zero;
};
struct func {
    uint32_t start, size, frame;
};
_Static_assert(sizeof(struct header) == 56 && sizeof(struct func) == 12 &&
                   sizeof(struct sfi_label) == 8 && sizeof(struct sfi_jump_table) == 8 &&
                   sizeof(struct sfi_trap_site) == 12,
               "the format");

// In the manner of FNV-1a, by words.
static uint64_t identity(const uint8_t *bytes, size_t size) {
    uint64_t h = 0xcbf29ce484222325ull ^ size, word = 0;
    for (size_t at = 0; at < size; at += sizeof word) {
        word = 0;
        memcpy(&word, bytes + at, size - at < sizeof word ? size - at : sizeof word);
        h = (h ^ word) * 0x9e3779b97f4a7c15ull;
        h ^= h >> 29;
    }
    return h;
}

static bool equal_types(const struct wasm_functype *a, const struct wasm_functype *b) {
    return a->params == b->params && a->results == b->results &&
           memcmp(a->type, b->type, a->params + a->results) == 0;
}

// ---- writing ----

uint32_t ldr_cache_sig_id(void *ctx, const struct wasm_functype *type) {
    const struct wasm_module *m = ctx;
    uint32_t i = 0;
    while (!equal_types(&m->type[i], type))
        i++; // the compiler asks for the module's own types only
    return SFI_SIG_MAKE(i + 1, 0);
}

static uint8_t *put(uint8_t *at, const void *from, size_t size) {
    if (size) memcpy(at, from, size);
    return at + size;
}

enum ldr_status ldr_cache_write(const uint8_t *module, size_t module_size, const struct jit_code *j,
                                uint8_t **out_cache, size_t *out_size, struct ldr_error *e) {
    const struct sfi_code *s = &j->sfi;
    struct header h = {.magic = MAGIC,
                       .module = identity(module, module_size),
                       .size = s->size,
                       .funcs = s->funcs,
                       .labels = s->labels,
                       .jump_tables = s->jump_tables,
                       .pool = s->pool,
                       .pool_size = s->pool_size,
                       .data = s->data,
                       .sites = j->sites,
                       .sigs = j->sig_sites};
    size_t size = sizeof h + s->funcs * sizeof(struct func) + s->labels * sizeof *s->label +
                  s->jump_tables * sizeof *s->jump_table + j->sites * sizeof *j->site +
                  j->sig_sites * sizeof *j->sig_site + s->size;
    uint8_t *at = *out_cache = ldr_plat_alloc(size);
    if (!at) return ldr_error(e, LDR_NO_MEMORY, 0, "out of memory");
    *out_size = size;
    at = put(at, &h, sizeof h);
    for (uint32_t i = 0; i < s->funcs; i++) {
        struct func f = {s->func[i].start, s->func[i].size, s->func[i].frame};
        at = put(at, &f, sizeof f);
    }
    at = put(at, s->label, s->labels * sizeof *s->label);
    at = put(at, s->jump_table, s->jump_tables * sizeof *s->jump_table);
    at = put(at, j->site, j->sites * sizeof *j->site);
    at = put(at, j->sig_site, j->sig_sites * sizeof *j->sig_site);
    put(at, j->bytes, s->size);
    return LDR_OK;
}

// ---- reading ----

static const uint8_t *take(struct jit_arena *a, const uint8_t *from, size_t size, void *out) {
    void *copy = jit_alloc(a, size ? size : 1);
    if (size) memcpy(copy, from, size);
    memcpy(out, &copy, sizeof copy);
    return from + size;
}

// Puts the system's signature ids where the module's type numbers are. False: a place or number that cannot be.
static bool put_sigs(const struct jit_code *j, const struct wasm_module *m, const uint32_t *type_sig) {
    for (uint32_t i = 0; i < j->sig_sites; i++) {
        uint32_t at = j->sig_site[i], id;
        if (j->sfi.size < 4 || at > j->sfi.size - 4) return false;
        memcpy(&id, j->bytes + at, 4);
        uint32_t type = id / SFI_SIG_MAKE(1, 0) - 1; // of 0: no type
        if (type >= m->types || SFI_SIG_MAKE(type + 1, 0) != id) return false;
        memcpy(j->bytes + at, &type_sig[type], 4);
    }
    return true;
}

const char *ldr_cache_read(struct jit_arena *a, const struct wasm_module *m, const uint32_t *type_sig,
                           const uint8_t *cache, size_t size, struct jit_code *out) {
    struct header h;
    if (size < sizeof h) return "its compiled code is cut off";
    memcpy(&h, cache, sizeof h);
    if (h.magic != MAGIC) return "its compiled code is not in a form that this system knows";
    if (h.module != identity(m->bytes, m->size))
        return "the compiled code is another module's, or of an older version of this one";
    // Sums of a few 36-bit products do not wrap.
    size_t funcs = (size_t)h.funcs * sizeof(struct func),
           labels = (size_t)h.labels * sizeof(struct sfi_label);
    size_t tables = (size_t)h.jump_tables * sizeof(struct sfi_jump_table);
    size_t sites = (size_t)h.sites * sizeof(struct sfi_trap_site),
           sigs = (size_t)h.sigs * sizeof(uint32_t);
    if (funcs + labels + tables + sites + sigs + h.size != size - sizeof h)
        return "the lengths in its compiled code do not add up";
    if (h.funcs != m->funcs - m->imported_funcs || h.size > SFI_CODE_MAX)
        return "its compiled code has not the module's functions";
    struct func *func;
    *out = (struct jit_code){.sfi = {.size = h.size,
                                     .thunks = SFI_BUILTINS + m->imported_funcs,
                                     .funcs = h.funcs,
                                     .labels = h.labels,
                                     .jump_tables = h.jump_tables,
                                     .pool = h.pool,
                                     .pool_size = h.pool_size,
                                     .data = h.data},
                             .sites = h.sites,
                             .sig_sites = h.sigs};
    const uint8_t *at = take(a, cache + sizeof h, funcs, &func);
    at = take(a, at, labels, &out->sfi.label);
    at = take(a, at, tables, &out->sfi.jump_table);
    at = take(a, at, sites, &out->site);
    at = take(a, at, sigs, &out->sig_site);
    take(a, at, h.size, &out->bytes);
    out->sfi.bytes = out->bytes;
    struct sfi_func *defined = JIT_ARRAY(a, struct sfi_func, h.funcs);
    for (uint32_t i = 0; i < h.funcs; i++)
        defined[i] = (struct sfi_func){.start = func[i].start,
                                       .size = func[i].size,
                                       .frame = func[i].frame,
                                       .sig = type_sig[m->func[m->imported_funcs + i].type]};
    out->sfi.func = defined;
    return put_sigs(out, m, type_sig) ? NULL
                                      : "its compiled code has signatures that the module has not";
}
