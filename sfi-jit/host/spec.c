// spec.c — see spec.h.
#include "sfi-jit/host/spec.h"
#include "sfi-jit/lib.h"
#include "sfi-jit/wasm/module.h"

struct bytes { // points into the stream
    const char *at;
    uint32_t length;
    bool given;
};
struct cursor {
    const uint8_t *at, *end;
    bool bad; // read past the end: all that was read since is zero
};
struct value {
    uint8_t type, lane;
    uint32_t classes;
    uint64_t bits[2];
};
struct action {
    bool call;
    struct bytes module, field;
    uint32_t count;
    struct cursor args;
};
struct named { // a module by its script name or by what it was registered as
    struct named *next;
    struct bytes name;
    struct ldr_instance *inst;
};
struct answer {
    enum ldr_status status;
    uint32_t count;
    uint8_t type[SPEC_VALUES_MAX];
    uint64_t bits[2 * SPEC_VALUES_MAX]; // as ldr_call() gives them
    struct ldr_trap_info trap;
    const char *wrong; // the script asks for what is not there
};
struct run {
    struct spec *spec;
    struct spec_check check;
    struct ldr_store *store; // of the script
    struct ldr_instance *current, *spectest, *shared;
    struct named *names, *registered;
    const char *error;
    struct answer answer;
    uint64_t args[2 * SPEC_VALUES_MAX];
};

static void tell(const struct run *r, const char *format, ...) {
    va_list args;
    va_start(args, format);
    r->spec->report(r->spec->ctx, &r->check, format, args);
    va_end(args);
}
static void pass(struct run *r) {
    r->spec->passed++;
    tell(r, NULL);
}
#define FAIL(r, ...) ((r)->spec->failed++, tell(r, __VA_ARGS__))

// ---- The stream ----
static uint64_t take(struct cursor *c, unsigned size) {
    uint64_t v = 0;
    if (c->bad || (size_t)(c->end - c->at) < size) {
        c->bad = true;
        return 0;
    }
    for (unsigned i = 0; i < size; i++) v |= (uint64_t)c->at[i] << 8 * i;
    c->at += size;
    return v;
}
static struct bytes take_bytes(struct cursor *c) {
    struct bytes b = {.length = (uint32_t)take(c, 4), .given = true};
    if (c->bad || (size_t)(c->end - c->at) < b.length) {
        c->bad = true;
        return (struct bytes){.at = ""};
    }
    b.at = (const char *)c->at;
    c->at += b.length;
    return b;
}
static struct bytes take_name(struct cursor *c) {
    bool given = take(c, 1);
    struct bytes b = take_bytes(c);
    b.given = given;
    return b;
}
static struct value take_value(struct cursor *c) {
    struct value v = {.type = (uint8_t)take(c, 1), .lane = (uint8_t)take(c, 1)};
    v.classes = (uint32_t)take(c, 4);
    v.bits[0] = take(c, 8);
    if (v.type == WASM_V128) v.bits[1] = take(c, 8);
    if (v.lane != 8 && v.lane != 16 && v.lane != 32 && v.lane != 64) c->bad = true;
    return v;
}
static struct action take_action(struct cursor *c) {
    struct action a = {.call = take(c, 1)};
    a.module = take_name(c);
    a.field = take_bytes(c);
    a.count = (uint32_t)take(c, 4);
    a.args = *c;
    for (uint32_t i = 0; i < a.count && !c->bad; i++) take_value(c);
    return a;
}
// Terminated and cut off where it does not fit; for messages.
static const char *text_of(struct bytes b, char out[LDR_NAME_MAX]) {
    uint32_t n = b.length < LDR_NAME_MAX - 1 ? b.length : LDR_NAME_MAX - 1;
    memcpy(out, b.at, n);
    out[n] = 0;
    return out;
}
static bool same_bytes(struct bytes a, const char *b, uint32_t length) {
    return a.length == length && !memcmp(a.at, b, length);
}
static uint32_t length_of(const char *s) {
    uint32_t n = 0;
    while (s[n]) n++;
    return n;
}

// ---- The host module "spectest" ----
static int64_t print(struct ldr_instance *inst, const struct ldr_args *args) {
    (void)inst, (void)args;
    return 0;
}
static const struct ldr_hostfunc prints[] = {
    {.name = "print", .type = ":", .fn = print},
    {.name = "print_i32", .type = "i:", .fn = print},
    {.name = "print_i64", .type = "I:", .fn = print},
    {.name = "print_f32", .type = "f:", .fn = print},
    {.name = "print_f64", .type = "F:", .fn = print},
    {.name = "print_i32_f32", .type = "if:", .fn = print},
    {.name = "print_f64_f64", .type = "FF:", .fn = print},
};
// (module (table (export "table") 10 20 funcref) (memory (export "memory") 1 2)
//   (global (export "global_i32") i32 (i32.const 666)) … i64 666, f32 666.6, f64 666.6)
static const uint8_t spectest_wasm[] = {
    0,    'a', 's',  'm',  1,    0,    0,    0,    4,    5,    1,    0x70, 1, 10, 20, // table
    5,    4,   1,    1,    1,    2,                                                   // memory
    6,    33,  4,                                                                     // globals
    0x7f, 0,   0x41, 0x9a, 5,    0x0b,                                                //
    0x7e, 0,   0x42, 0x9a, 5,    0x0b,                                                //
    0x7d, 0,   0x43, 0x66, 0xa6, 0x26, 0x44, 0x0b,                                    //
    0x7c, 0,   0x44, 0xcd, 0xcc, 0xcc, 0xcc, 0xcc, 0xd4, 0x84, 0x40, 0x0b,            //
    7,    70,  6,                                                                     // exports
    5,    't', 'a',  'b',  'l',  'e',  1,    0,                                       //
    6,    'm', 'e',  'm',  'o',  'r',  'y',  2,    0,                                 //
    10,   'g', 'l',  'o',  'b',  'a',  'l',  '_',  'i',  '3',  '2',  3,    0,         //
    10,   'g', 'l',  'o',  'b',  'a',  'l',  '_',  'i',  '6',  '4',  3,    1,         //
    10,   'g', 'l',  'o',  'b',  'a',  'l',  '_',  'f',  '3',  '2',  3,    2,         //
    10,   'g', 'l',  'o',  'b',  'a',  'l',  '_',  'f',  '6',  '4',  3,    3,
};
// (module (memory (export "shared_memory") 1 2 shared)): the rest of "spectest", as a module has one memory
static const uint8_t shared_wasm[] = {
    0,  'a', 's', 'm', 1,   0,   0,   0,   5,   4,   1,   3,   1,   2,   7, 17, 1,
    13, 's', 'h', 'a', 'r', 'e', 'd', '_', 'm', 'e', 'm', 'o', 'r', 'y', 2, 0,
};

// ---- Names ----
static bool name_set(struct run *r, struct named **list, struct bytes name, struct ldr_instance *inst) {
    struct named *n = ldr_plat_alloc(sizeof *n);
    if (!n) {
        r->error = "out of memory";
        return false;
    }
    *n = (struct named){.next = *list, .name = name, .inst = inst};
    *list = n;
    return true;
}
static struct ldr_instance *name_find(const struct named *n, const char *name, uint32_t length) {
    while (n && !same_bytes(n->name, name, length)) n = n->next;
    return n ? n->inst : NULL;
}
static void names_free(struct named **list) {
    while (*list) {
        struct named *next = (*list)->next;
        ldr_plat_free(*list, sizeof **list);
        *list = next;
    }
}
// The module of that name, or the one loaded last.
static struct ldr_instance *module_of(const struct run *r, struct bytes name) {
    return name.given ? name_find(r->names, name.at, name.length) : r->current;
}

static bool resolve(void *ctx, const struct wasm_import *i, struct ldr_extern *out) {
    const struct run *r = ctx;
    struct bytes module = {i->module.text, i->module.length, true},
                 name = {i->name.text, i->name.length, true};
    struct ldr_instance *from = r->spectest;
    if (!same_bytes(module, "spectest", 8)) {
        from = name_find(r->registered, module.at, module.length);
    } else {
        for (size_t k = 0; k < sizeof prints / sizeof *prints; k++)
            if (same_bytes(name, prints[k].name, length_of(prints[k].name))) {
                *out = (struct ldr_extern){.kind = LDR_EXT_HOST, .host = &prints[k]};
                return true;
            }
    }
    if (!from) return false;
    *out = ldr_export(from, name.at, name.length);
    if (out->kind == LDR_EXT_NONE && from == r->spectest)
        *out = ldr_export(r->shared, name.at, name.length);
    return true;
}

// ---- Modules ----
// Compiles, links and starts: the first thing that fails is the answer.
static enum ldr_status load(struct run *r, const uint8_t *bytes, size_t size, const char *name,
                            struct ldr_instance **out_inst, struct ldr_error *e) {
    struct ldr_code *code;
    struct ldr_imports imports = {r, resolve};
    struct ldr_compile_options options = {.check = r->spec->ir_check, .dump_func = UINT32_MAX};
    enum ldr_status status = ldr_compile(bytes, size, &options, &code, e);
    if (status != LDR_OK) return status;
    struct ldr_trap_info trap;
    status = ldr_instantiate(r->store, code, name, &imports, NULL, r->spec->user, out_inst, e);
    ldr_code_release(code);
    if (status != LDR_OK) return status;
    status = ldr_start(r->spec->thread, *out_inst, &trap);
    if (status != LDR_OK) {
        e->status = status;
        ldr_trap_format(&trap, e->text, sizeof e->text);
    }
    return status;
}
static enum ldr_status load_bytes(struct run *r, struct bytes bytes, const char *name,
                                  struct ldr_instance **out_inst, struct ldr_error *e) {
    return load(r, (const uint8_t *)bytes.at, bytes.length, name, out_inst, e);
}
static void end_script(struct run *r) {
    names_free(&r->names);
    names_free(&r->registered);
    if (r->store && !ldr_store_free(r->store)) r->error = "the store is still in use";
    r->store = NULL;
    r->current = r->spectest = r->shared = NULL;
}
static void do_script(struct run *r, struct cursor *c) {
    struct ldr_error e;
    struct bytes path = take_bytes(c);
    end_script(r);
    r->check.path = path.at;
    r->check.path_length = path.length;
    if (c->bad || r->error) return;
    r->store = ldr_store_new(LDR_STORE);
    if (!r->store ||
        load(r, spectest_wasm, sizeof spectest_wasm, "spectest", &r->spectest, &e) != LDR_OK ||
        load(r, shared_wasm, sizeof shared_wasm, "spectest", &r->shared, &e) != LDR_OK)
        r->error = "the module spectest cannot be made";
}
static void do_module(struct run *r, struct cursor *c) {
    char text[LDR_NAME_MAX];
    struct ldr_error e;
    struct ldr_instance *inst = NULL;
    struct bytes name = take_name(c), label = take_bytes(c), bytes = take_bytes(c);
    if (c->bad) return;
    r->current = NULL;
    if (load_bytes(r, bytes, text_of(label, text), &inst, &e) == LDR_OK) {
        r->current = inst;
        pass(r);
    } else {
        FAIL(r, "%s", e.text);
    }
    if (name.given) name_set(r, &r->names, name, r->current);
}
static bool contains(const char *text, const char *part) {
    for (uint32_t n = length_of(part); *text; text++)
        if (length_of(text) >= n && !memcmp(text, part, n)) return true;
    return false;
}
static void do_rejected(struct run *r, struct cursor *c) {
    char text[LDR_NAME_MAX];
    struct ldr_error e;
    struct ldr_instance *inst;
    enum ldr_status want = (enum ldr_status)take(c, 1);
    struct bytes reason = take_bytes(c), bytes = take_bytes(c);
    switch (want) {
    case LDR_INVALID: r->check.kind = "assert_invalid"; break;
    case LDR_MALFORMED: r->check.kind = "assert_malformed"; break;
    case LDR_UNLINKABLE: r->check.kind = "assert_unlinkable"; break;
    case LDR_TRAPPED: r->check.kind = "assert_uninstantiable"; break;
    default: c->bad = true; break;
    }
    if (c->bad) return;
    enum ldr_status status = load_bytes(r, bytes, "rejected", &inst, &e);
    text_of(reason, text);
    // Flag 2 of limits alone: malformed in 2.0, and in the threads proposal, which gives it a meaning, invalid.
    if (want == LDR_MALFORMED && status == LDR_INVALID &&
        contains(e.text, "shared memory must have maximum"))
        status = want;
    if (status == want)
        pass(r);
    else if (status == LDR_OK)
        FAIL(r, "accepted, but expected: %s", text);
    else
        FAIL(r, "%s (expected %s: %s)", e.text, ldr_status_text(want), text);
}
static void do_register(struct run *r, struct cursor *c) {
    struct bytes name = take_name(c), as = take_bytes(c);
    if (!c->bad) name_set(r, &r->registered, as, module_of(r, name));
}

// ---- Actions ----
static unsigned words_of(uint8_t type) { return type == WASM_V128 ? 2 : 1; }

static void invoke(struct run *r, struct ldr_instance *inst, uint32_t func, struct action *action) {
    struct answer *a = &r->answer;
    const struct wasm_functype *type = ldr_func_type(inst, func);
    uint64_t *next = r->args;
    if (action->count != type->params || type->params > SPEC_VALUES_MAX ||
        type->results > SPEC_VALUES_MAX) {
        a->wrong = "number of arguments";
        return;
    }
    for (uint32_t i = 0; i < action->count; i++) {
        struct value v = take_value(&action->args);
        if (v.type != type->type[i]) {
            a->wrong = "arguments that do not fit the function";
            return;
        }
        memcpy(next, v.bits, words_of(v.type) * sizeof *next);
        next += words_of(v.type);
    }
    a->status = ldr_call(r->spec->thread, inst, func, r->args, a->bits, &a->trap);
    a->count = type->results;
    memcpy(a->type, type->type + type->params, type->results);
}
static void act(struct run *r, struct action *action) {
    struct answer *a = &r->answer;
    struct ldr_instance *inst = module_of(r, action->module);
    a->wrong = NULL;
    if (!inst) {
        a->wrong = "no such module (did it fail to load?)";
        return;
    }
    struct ldr_extern x = ldr_export(inst, action->field.at, action->field.length);
    if (x.kind == LDR_EXT_FUNC && action->call) {
        invoke(r, inst, x.index, action);
    } else if (x.kind == LDR_EXT_GLOBAL && !action->call) {
        a->status = LDR_OK;
        a->count = 1;
        ldr_global_value(inst, x.index, &a->type[0], &a->bits[0]);
    } else {
        a->wrong = "no such export";
    }
}

static bool nan_matches(enum spec_class want, bool is_double, uint64_t bits) {
    uint64_t quiet_bit = is_double ? 1ull << 51 : 1ull << 22;
    uint64_t exponent = is_double ? 0x7ffull << 52 : 0xffull << 23;
    uint64_t magnitude = bits & (is_double ? ~(1ull << 63) : 0x7fffffffull);
    if (want == SPEC_NAN_CANONICAL) return magnitude == (exponent | quiet_bit);
    return (magnitude & (exponent | quiet_bit)) == (exponent | quiet_bit);
}
static bool value_matches(const struct value *want, uint8_t type, const uint64_t *got) {
    if (want->type != type) return false;
    uint64_t mask = want->lane == 64 ? UINT64_MAX : (1ull << want->lane) - 1;
    unsigned lanes = type == WASM_V128 ? 128 / want->lane : 1;
    for (unsigned i = 0, at = 0; i < lanes; i++, at += want->lane) {
        enum spec_class class = want->classes >> 2 * i & 3;
        uint64_t bits = got[at / 64] >> at % 64 & mask;
        bool good;
        switch (class) {
        case SPEC_EXACT: good = bits == (want->bits[at / 64] >> at % 64 & mask); break;
        case SPEC_ANY_REFERENCE:
            good = bits && (type == WASM_FUNCREF || type == WASM_EXTERNREF);
            break;
        default: good = want->lane >= 32 && nan_matches(class, want->lane == 64, bits); break;
        }
        if (!good) return false;
    }
    return true;
}
static bool returned(struct run *r) {
    const struct answer *a = &r->answer;
    char text[300];
    if (a->wrong) {
        FAIL(r, "%s", a->wrong);
    } else if (a->status == LDR_TRAPPED) {
        ldr_trap_format(&a->trap, text, sizeof text);
        FAIL(r, "%s", text);
    } else if (a->status != LDR_OK) {
        FAIL(r, "%s", ldr_status_text(a->status));
    } else {
        return true;
    }
    return false;
}
static void do_action(struct run *r, struct cursor *c) {
    struct action action = take_action(c);
    if (c->bad) return;
    act(r, &action);
    if (returned(r)) pass(r);
}
static void do_return(struct run *r, struct cursor *c) {
    const struct answer *a = &r->answer;
    struct action action = take_action(c);
    uint32_t count = (uint32_t)take(c, 4);
    if (c->bad) return;
    act(r, &action);
    if (!returned(r)) return;
    if (a->count != count) {
        FAIL(r, "%u results, expected %u", a->count, count);
        return;
    }
    const uint64_t *got = a->bits;
    for (uint32_t i = 0; i < count; i++, got += words_of(a->type[i - 1])) {
        struct value want = take_value(c);
        if (c->bad) return;
        if (value_matches(&want, a->type[i], got)) continue;
        FAIL(r, "result %u is 0x%llx %llx, expected 0x%llx %llx, classes %x, of type %x", i,
             (unsigned long long)got[0], (unsigned long long)(a->type[i] == WASM_V128 ? got[1] : 0),
             (unsigned long long)want.bits[0], (unsigned long long)want.bits[1], want.classes,
             want.type);
        return;
    }
    pass(r);
}
static void do_trap(struct run *r, struct cursor *c) {
    char text[LDR_NAME_MAX];
    const struct answer *a = &r->answer;
    struct action action = take_action(c);
    enum sfi_trap want = (enum sfi_trap)take(c, 1);
    struct bytes reason = take_bytes(c);
    if (c->bad) return;
    if (want != SFI_TRAP_NONE) r->check.kind = "assert_exhaustion";
    act(r, &action);
    text_of(reason, text);
    if (a->wrong) {
        FAIL(r, "%s", a->wrong);
        return;
    }
    if (a->status != LDR_TRAPPED) {
        FAIL(r, "no trap, expected: %s", text);
        return;
    }
    // The script's text may be shorter than ours or carry the element's number behind it.
    const char *got = ldr_trap_text(a->trap.kind);
    uint32_t length = length_of(got);
    bool same = want != SFI_TRAP_NONE
                    ? a->trap.kind == want
                    : !memcmp(reason.at, got, length < reason.length ? length : reason.length);
    if (same)
        pass(r);
    else
        FAIL(r, "trap \"%s\", expected \"%s\"", got, text);
}
static void do_unknown(struct run *r, struct cursor *c) {
    (void)c;
    FAIL(r, "unknown command");
}

static const struct {
    const char *name;
    void (*run)(struct run *, struct cursor *);
} verbs[SPEC_VERBS] = {
    [SPEC_SCRIPT] = {"script", do_script},
    [SPEC_MODULE] = {"module", do_module},
    [SPEC_REGISTER] = {"register", do_register},
    [SPEC_ACTION] = {"action", do_action},
    [SPEC_RETURN] = {"assert_return", do_return},
    [SPEC_TRAP] = {"assert_trap", do_trap},
    [SPEC_REJECTED] = {"assert_rejected", do_rejected},
    [SPEC_UNKNOWN] = {"command", do_unknown},
};

bool spec_run(struct spec *spec, const uint8_t *stream, size_t size, const char **out_error) {
    struct cursor all = {.at = stream, .end = stream + size};
    struct run *r = ldr_plat_alloc(sizeof *r);
    *out_error = "out of memory";
    if (!r) return false;
    r->spec = spec;
    while (all.at != all.end && !r->error) {
        uint64_t length = take(&all, 4);
        r->check.line = (uint32_t)take(&all, 4);
        uint64_t verb = take(&all, 1);
        if (all.bad || verb >= SPEC_VERBS || length > (size_t)(all.end - all.at) ||
            (verb != SPEC_SCRIPT && !r->store)) {
            r->error = "not a stream of commands";
            break;
        }
        struct cursor c = {.at = all.at, .end = all.at + length};
        all.at += length;
        r->check.kind = verbs[verb].name;
        verbs[verb].run(r, &c);
        if (c.bad && !r->error) r->error = "a command that does not parse";
    }
    end_script(r);
    *out_error = r->error;
    bool good = !r->error;
    ldr_plat_free(r, sizeof *r);
    return good;
}
