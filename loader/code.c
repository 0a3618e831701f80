// code.c — bytes to compiled code: decode, validate, compile, and keep what outlives the compiler.
//
// The compiler works in an arena of its own that is thrown away; the module's description stays, since names, segments
// and types are read later. What is kept of the compiler's output is copied: machine code as plain data, side tables, trap
// sites. None of it is trusted. The two things that the verifier cannot know are checked here: each function is
// marked with the canonical signature of its type, and thunks are counted as the imports demand.
#include "loader/private.h"

struct ldr_chunk { // of a pile: 16 bytes in front of what the arena gets
    struct ldr_chunk *next;
    size_t size;
};
struct ldr_pile { // all chunks of one arena, and where its failure goes
    struct ldr_chunk *chunks;
    struct ldr_jump jump;
    struct jit_host host;
    struct jit_arena arena;
};
_Static_assert(sizeof(struct ldr_chunk) == 16, "chunks stay 16-byte aligned");

static void *pile_alloc(void *ctx, size_t bytes) {
    struct ldr_pile *p = ctx;
    struct ldr_chunk *c = ldr_plat_alloc(bytes + sizeof *c);
    if (!c) return NULL;
    c->next = p->chunks;
    c->size = bytes + sizeof *c;
    p->chunks = c;
    return c + 1;
}
static void pile_release(void *ctx, void *chunk, size_t bytes) {
    struct ldr_pile *p = ctx;
    struct ldr_chunk *c = (struct ldr_chunk *)chunk - 1, **at = &p->chunks;
    (void)bytes;
    while (*at != c) at = &(*at)->next;
    *at = c->next;
    ldr_plat_free(c, c->size);
}
static _Noreturn void pile_fail(void *ctx) {
    struct ldr_pile *p = ctx;
    ldr_jump(&p->jump);
}
static struct ldr_pile *pile_new(size_t limit) {
    struct ldr_pile *p = ldr_plat_alloc(sizeof *p);
    if (!p) return NULL;
    p->host = (struct jit_host){p, pile_alloc, pile_release, pile_fail};
    jit_arena_init(&p->arena, &p->host, limit);
    return p;
}
static void pile_free(struct ldr_pile *p) {
    if (!p) return;
    for (struct ldr_chunk *c = p->chunks, *next; c; c = next) {
        next = c->next;
        ldr_plat_free(c, c->size);
    }
    ldr_plat_free(p, sizeof *p);
}

static enum ldr_status status_of(enum jit_status s) {
    switch (s) {
    case JIT_OK: return LDR_OK;
    case JIT_ERR_MALFORMED: return LDR_MALFORMED;
    case JIT_ERR_INVALID: return LDR_INVALID;
    case JIT_ERR_LIMIT: return LDR_LIMIT;
    case JIT_ERR_UNSUPPORTED: return LDR_UNSUPPORTED;
    case JIT_ERR_MEMORY: return LDR_NO_MEMORY;
    case JIT_ERR_INTERNAL: break;
    }
    return LDR_INTERNAL;
}
static enum ldr_status pile_error(const struct ldr_pile *p, struct ldr_error *e) {
    struct ldr_text t;
    const struct jit_error *j = &p->arena.error;
    e->status = status_of(j->status);
    e->offset = j->offset;
    ldr_text_init(&t, e->text, sizeof e->text);
    ldr_text_str(&t, ldr_status_text(e->status));
    ldr_text_str(&t, ": ");
    ldr_text_str(&t, j->message ? j->message : "no reason given");
    if (j->func != UINT32_MAX) {
        ldr_text_str(&t, ", function ");
        ldr_text_dec(&t, j->func);
    }
    if (j->offset) {
        ldr_text_str(&t, ", offset ");
        ldr_text_hex(&t, j->offset);
    }
    return e->status;
}

struct work {
    struct ldr_code *code;
    struct ldr_pile *compile;
    const struct ldr_compile_options *options;
    struct jit_code jit; // in the compile pile
    uint32_t *type_sig;  // likewise
    const char *wrong;   // with the cache; NULL: nothing
};

static void parse(void *arg) {
    struct work *w = arg;
    w->code->module = wasm_parse(&w->code->parse->arena, w->code->bytes, w->code->bytes_size);
}

static uint32_t sig_id(void *ctx, const struct wasm_functype *type) {
    struct work *w = ctx;
    uint32_t id = ldr_sig_id(type);
    if (!id)
        jit_fail(&w->compile->arena, JIT_ERR_LIMIT, 0, UINT32_MAX, "no room for another function type");
    return id;
}

static void compile(void *arg) {
    struct work *w = arg;
    const struct wasm_module *m = w->code->module;
    struct jit_options o = {.sig_id = sig_id, .ctx = w};
    bool cached = w->options && w->options->cached;
    if (w->options) {
        o.dump = w->options->dump;
        o.dump_func = w->options->dump_func;
        o.put = w->options->put;
        o.put_ctx = w->options->put_ctx;
        o.check = w->options->check;
    }
    w->type_sig = JIT_ARRAY(&w->compile->arena, uint32_t, m->types);
    for (uint32_t i = 0; i < m->types; i++) w->type_sig[i] = sig_id(w, &m->type[i]);
    if (cached)
        w->wrong = ldr_cache_read(&w->compile->arena, m, w->type_sig, w->options->cached,
                                  w->options->cached_size, &w->jit);
    else
        jit_compile(&w->compile->arena, m, &o, &w->jit);
}

// For a cache: compiles with numbers of types in the place of the system's signature ids.
static void compile_apart(void *arg) {
    struct work *w = arg;
    struct wasm_module *m = w->code->module;
    struct jit_options o = {.sig_id = ldr_cache_sig_id, .ctx = m};
    jit_compile(&w->compile->arena, m, &o, &w->jit);
}

// What the side tables say about types must be what the module says: the verifier takes their word for it.
static bool agrees(const struct work *w) {
    const struct wasm_module *m = w->code->module;
    const struct sfi_code *s = &w->jit.sfi;
    if (s->size > SFI_CODE_MAX || s->funcs != m->funcs - m->imported_funcs ||
        s->thunks != SFI_BUILTINS + m->imported_funcs || s->bytes != w->jit.bytes)
        return false;
    for (uint32_t i = 0; i < s->funcs; i++)
        if (s->func[i].sig != w->type_sig[m->func[m->imported_funcs + i].type]) return false;
    return true;
}

struct part { // of the copies
    const void *from;
    size_t size;
    void *to;
};
static bool keep(struct ldr_code *code, const struct work *w) {
    const struct sfi_code *s = &w->jit.sfi;
    struct part parts[] = {
        {s->bytes, s->size, NULL},
        {s->func, sizeof *s->func * s->funcs, NULL},
        {s->label, sizeof *s->label * s->labels, NULL},
        {s->jump_table, sizeof *s->jump_table * s->jump_tables, NULL},
        {w->jit.site, sizeof *w->jit.site * w->jit.sites, NULL},
        {w->type_sig, sizeof(uint32_t) * code->module->types, NULL},
        {NULL, sizeof(uint32_t) * s->thunks, NULL},
    };
    enum { N = sizeof parts / sizeof *parts };
    size_t size = 0;
    for (unsigned i = 0; i < N; i++) size += (parts[i].size + 31) & ~(size_t)31;
    uint8_t *at = ldr_plat_alloc(size);
    if (!at) return false;
    code->copies = at;
    code->copies_size = size;
    for (unsigned i = 0; i < N; i++) {
        parts[i].to = at;
        if (parts[i].from && parts[i].size) memcpy(at, parts[i].from, parts[i].size);
        at += (parts[i].size + 31) & ~(size_t)31;
    }
    code->jit = w->jit;
    code->jit.bytes = parts[0].to;
    code->jit.sfi.bytes = parts[0].to;
    code->jit.sfi.func = parts[1].to;
    code->jit.sfi.label = parts[2].to;
    code->jit.sfi.jump_table = parts[3].to;
    code->jit.site = parts[4].to;
    code->type_sig = parts[5].to;
    // Our own: built-ins take no stack words (signature 0), imports what their type says.
    uint32_t *thunk_sigs = parts[6].to;
    for (uint32_t i = 0; i < code->module->imported_funcs; i++)
        thunk_sigs[SFI_BUILTINS + i] = code->type_sig[code->module->func[i].type];
    code->jit.sfi.thunk_sigs = thunk_sigs;
    return true;
}

static void code_free(struct ldr_code *code) {
    pile_free(code->parse);
    if (code->bytes) ldr_plat_free(code->bytes, code->bytes_size ? code->bytes_size : 1);
    if (code->copies) ldr_plat_free(code->copies, code->copies_size);
    ldr_plat_free(code, sizeof *code);
}

static enum ldr_status run(struct work *w, struct ldr_error *e) {
    struct ldr_code *code = w->code;
    uint64_t start = __builtin_ia32_rdtsc();
    if (ldr_protect(&code->parse->jump, parse, w)) return pile_error(code->parse, e);
    code->cycles_parse = __builtin_ia32_rdtsc() - start;
    if (!w->compile) return LDR_OK;
    start = __builtin_ia32_rdtsc();
    if (ldr_protect(&w->compile->jump, compile, w)) return pile_error(w->compile, e);
    if (w->wrong) return ldr_error(e, LDR_ARGUMENT, 0, w->wrong);
    if (!agrees(w))
        return ldr_error(e, LDR_INTERNAL, 0, "compiler error: side tables do not match the module");
    if (!keep(code, w)) return ldr_error(e, LDR_NO_MEMORY, 0, "out of memory");
    code->cycles_compile = __builtin_ia32_rdtsc() - start;
    return LDR_OK;
}

static enum ldr_status build(const uint8_t *bytes, size_t size, bool compile_too,
                             const struct ldr_compile_options *options, struct ldr_code **out_code,
                             struct ldr_error *e) {
    if (size > WASM_MAX_SIZE) return ldr_error(e, LDR_LIMIT, 0, "beyond a limit: module size");
    struct work w = {.options = options};
    struct ldr_code *code = w.code = ldr_plat_alloc(sizeof *code);
    size_t limit = options ? options->memory_limit : 0;
    enum ldr_status status = LDR_NO_MEMORY;
    if (!code) return ldr_error(e, LDR_NO_MEMORY, 0, "out of memory");
    code->uses = 1;
    code->bytes_size = size;
    code->bytes = ldr_plat_alloc(size ? size : 1);
    code->parse = pile_new(limit);
    if (compile_too) w.compile = pile_new(limit);
    if (!code->bytes || !code->parse || (compile_too && !w.compile)) {
        ldr_error(e, LDR_NO_MEMORY, 0, "out of memory");
    } else {
        if (size) memcpy(code->bytes, bytes, size);
        status = run(&w, e);
    }
    pile_free(w.compile);
    if (status != LDR_OK || !compile_too)
        code_free(code);
    else
        *out_code = code;
    return status;
}

enum ldr_status ldr_compile(const uint8_t *bytes, size_t size,
                            const struct ldr_compile_options *options, struct ldr_code **out_code,
                            struct ldr_error *out_error) {
    *out_code = NULL;
    return build(bytes, size, true, options, out_code, out_error);
}
enum ldr_status ldr_cache(const uint8_t *bytes, size_t size, uint8_t **out_cache, size_t *out_size,
                          struct ldr_error *e) {
    struct ldr_code code = {
        .bytes = (uint8_t *)(uintptr_t)bytes, .bytes_size = size, .parse = pile_new(0)};
    struct work w = {.code = &code, .compile = pile_new(0)};
    enum ldr_status status = LDR_OK;
    *out_cache = NULL;
    if (!code.parse || !w.compile)
        status = ldr_error(e, LDR_NO_MEMORY, 0, "out of memory");
    else if (ldr_protect(&code.parse->jump, parse, &w))
        status = pile_error(code.parse, e);
    else if (ldr_protect(&w.compile->jump, compile_apart, &w))
        status = pile_error(w.compile, e);
    else
        status = ldr_cache_write(bytes, size, &w.jit, out_cache, out_size, e);
    pile_free(w.compile);
    pile_free(code.parse);
    return status;
}
enum ldr_status ldr_validate(const uint8_t *bytes, size_t size, struct ldr_error *out_error) {
    struct ldr_code *none;
    return build(bytes, size, false, NULL, &none, out_error);
}

void ldr_code_hold(struct ldr_code *code) { code->uses++; }
void ldr_code_release(struct ldr_code *code) {
    if (!--code->uses) code_free(code);
}
const struct wasm_module *ldr_code_module(const struct ldr_code *code) { return code->module; }
const struct jit_code *ldr_code_jit(const struct ldr_code *code) { return &code->jit; }
void ldr_code_cycles(const struct ldr_code *code, uint64_t *out_parse, uint64_t *out_compile) {
    *out_parse = code->cycles_parse;
    *out_compile = code->cycles_compile;
}
const char *ldr_code_custom(const struct ldr_code *code, const char *name, uint32_t *out_size) {
    const struct wasm_module *m = code->module;
    for (uint32_t i = 0; i < m->customs; i++)
        if (ldr_str_eq(name, m->custom[i].name.text, m->custom[i].name.length)) {
            *out_size = m->custom[i].size;
            return (const char *)code->bytes + m->custom[i].start;
        }
    return NULL;
}
