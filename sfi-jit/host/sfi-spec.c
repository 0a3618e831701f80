// sfi-spec — runs the WebAssembly specification's test scripts, as wast2json writes them.
//
//   sfi-spec [--quiet | --list] FILE.json…
//
// Every module goes the ordinary way: validate, compile, verify, link. A failed check is one line, FILE.json:LINE: what; the last
// line is "N passed, N failed", and the exit status is 1 if any failed, 2 if a file cannot be read. What counts: each command
// except "register". An assertion about a rejected module wants the right kind of rejection (malformed, invalid, unlinkable);
// one about a trap wants the specification's text. assert_malformed of text modules is skipped (there is no text parser here).
// --list prints every check with its outcome, --quiet only the last line.
#include "sfi-jit/host/host.h"
#include "sfi-jit/host/json.h"
#include "sfi-jit/host/value.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STACK_SIZE (4u << 20)
#define ARGS_MAX 1024

struct named { // a module by its script name or by what it was registered as
    struct named *next;
    char *name;
    size_t length;
    struct ldr_instance *inst;
};
struct script {
    const char *path;
    const struct json *command;
    struct ldr_store *store;
    struct ldr_thread *thread;
    struct ldr_instance *current, *spectest;
    struct named *names, *registered;
};
static unsigned passed, failed, skipped;
static bool quiet, list;

static const char *kind_of(const struct json *command) {
    const char *kind = json_text(command, "type");
    return kind ? kind : "?";
}
static void outcome(const struct script *s, bool ok, const char *format, ...) {
    ok ? passed++ : failed++;
    if (quiet || (ok && !list)) return;
    const char *line = json_text(s->command, "line");
    printf("%s:%s: %s", s->path, line ? line : "?", kind_of(s->command));
    if (!ok) {
        va_list args;
        va_start(args, format);
        printf(": FAILED: ");
        vprintf(format, args);
        va_end(args);
    }
    putchar('\n');
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

// ---- Names ----
static void name_set(struct named **list_at, const char *name, size_t length,
                     struct ldr_instance *inst) {
    struct named *n = malloc(sizeof *n);
    if (!n || !(n->name = malloc(length + 1))) die("out of memory");
    memcpy(n->name, name, length);
    n->length = length;
    n->inst = inst;
    n->next = *list_at;
    *list_at = n;
}
static struct named *name_find(struct named *n, const char *name, size_t length) {
    while (n && (n->length != length || memcmp(n->name, name, length))) n = n->next;
    return n;
}
static void names_free(struct named *n) {
    while (n) {
        struct named *next = n->next;
        free(n->name);
        free(n);
        n = next;
    }
}

static bool resolve(void *ctx, const struct wasm_import *i, struct ldr_extern *out) {
    const struct script *s = ctx;
    if (i->module.length == 8 && !memcmp(i->module.text, "spectest", 8)) {
        for (size_t k = 0; k < sizeof prints / sizeof *prints; k++)
            if (strlen(prints[k].name) == i->name.length &&
                !memcmp(prints[k].name, i->name.text, i->name.length)) {
                *out = (struct ldr_extern){.kind = LDR_EXT_HOST, .host = &prints[k]};
                return true;
            }
        *out = ldr_export(s->spectest, i->name.text, i->name.length);
        return true;
    }
    const struct named *n = name_find(s->registered, i->module.text, i->module.length);
    if (!n || !n->inst) return false;
    *out = ldr_export(n->inst, i->name.text, i->name.length);
    return true;
}

// ---- Modules ----
static uint8_t *read_module(const struct script *s, size_t *out_size) {
    const char *file = json_text(s->command, "filename"), *slash = strrchr(s->path, '/');
    char path[4096];
    int n = snprintf(path, sizeof path, "%.*s%s", slash ? (int)(slash - s->path + 1) : 0, s->path,
                     file ? file : "");
    return n > 0 && (size_t)n < sizeof path ? host_read_file(path, out_size) : NULL;
}
// Compiles, links and starts: the first thing that fails is the answer.
static enum ldr_status load(struct script *s, const uint8_t *bytes, size_t size,
                            struct ldr_instance **out_inst, struct ldr_error *e) {
    struct ldr_code *code;
    struct ldr_imports imports = {s, resolve};
    struct ldr_compile_options options = {.check = true, .dump_func = UINT32_MAX};
    const char *name = json_text(s->command, "name");
    if (!name) name = json_text(s->command, "filename");
    enum ldr_status status = ldr_compile(bytes, size, &options, &code, e);
    if (status != LDR_OK) return status;
    struct ldr_trap_info trap;
    status =
        ldr_instantiate(s->store, code, name ? name : "module", &imports, NULL, NULL, out_inst, e);
    ldr_code_release(code);
    if (status != LDR_OK) return status;
    status = ldr_start(s->thread, *out_inst, &trap);
    if (status != LDR_OK) {
        e->status = status;
        ldr_trap_format(&trap, e->text, sizeof e->text);
    }
    return status;
}
static void do_module(struct script *s) {
    size_t size;
    struct ldr_error e;
    struct ldr_instance *inst = NULL;
    uint8_t *bytes = read_module(s, &size);
    const struct json *name = json_get(s->command, "name");
    s->current = NULL;
    if (!bytes) {
        outcome(s, false, "cannot read the module");
    } else if (load(s, bytes, size, &inst, &e) == LDR_OK) {
        s->current = inst;
        outcome(s, true, "");
    } else {
        outcome(s, false, "%s", e.text);
    }
    if (name) name_set(&s->names, name->text, name->length, s->current);
    free(bytes);
}
static void do_rejected(struct script *s, enum ldr_status want) {
    const char *kind = json_text(s->command, "module_type"), *text = json_text(s->command, "text");
    size_t size;
    struct ldr_error e;
    struct ldr_instance *inst;
    if (kind && strcmp(kind, "binary")) {
        skipped++;
        return;
    }
    uint8_t *bytes = read_module(s, &size);
    enum ldr_status status = LDR_OK;
    if (!bytes) {
        outcome(s, false, "cannot read the module");
        return;
    }
    status = load(s, bytes, size, &inst, &e);
    if (status == LDR_OK)
        outcome(s, false, "accepted, but expected: %s", text ? text : "");
    else
        outcome(s, status == want, "%s (expected %s: %s)", e.text, ldr_status_text(want),
                text ? text : "");
    free(bytes);
}

// ---- Actions ----
static uint8_t type_of(const struct json *v) {
    static const uint8_t types[] = {WASM_I32,  WASM_I64,     WASM_F32,      WASM_F64,
                                    WASM_V128, WASM_FUNCREF, WASM_EXTERNREF};
    const char *name = json_text(v, "type");
    for (size_t i = 0; name && i < sizeof types; i++)
        if (!strcmp(name, value_type_name(types[i]))) return types[i];
    return 0;
}
static unsigned words_of(uint8_t type) { return type == WASM_V128 ? 2 : 1; }

// The width of a vector's lanes in bits, by its "lane_type"; 0 if there is no such type.
static unsigned lane_bits(const struct json *v) {
    const char *lane = json_text(v, "lane_type");
    unsigned long bits = lane ? strtoul(lane + 1, NULL, 10) : 0;
    return bits == 8 || bits == 16 || bits == 32 || bits == 64 ? (unsigned)bits : 0;
}
// Lanes are decimal numbers, the first one lowest; one that is a pattern for a NaN counts as 0.
static bool vector_of(const struct json *v, uint64_t out[2]) {
    const struct json *lanes = json_get(v, "value");
    unsigned bits = lane_bits(v), at = 0;
    out[0] = out[1] = 0;
    if (!lanes || lanes->kind != JSON_ARRAY || !bits) return false;
    for (const struct json *lane = lanes->first; lane; lane = lane->next, at += bits) {
        if (at >= 128 || !lane->text) return false;
        uint64_t value = strtoull(lane->text, NULL, 10);
        out[at / 64] |= (bits == 64 ? value : value & ((1ull << bits) - 1)) << at % 64;
    }
    return at == 128;
}
// Floating-point values are given as the decimal number of their bits, references as "null" or a number, which the
// host represents by its successor.
static bool bits_of(const struct json *v, uint64_t *out) {
    const char *text = json_text(v, "value");
    if (type_of(v) == WASM_V128) return vector_of(v, out);
    if (!text) return false;
    if (type_of(v) == WASM_FUNCREF || type_of(v) == WASM_EXTERNREF) {
        *out = strcmp(text, "null") ? strtoull(text, NULL, 10) + 1 : 0;
        return true;
    }
    char *end;
    *out = strtoull(text, &end, 10);
    return end != text && !*end;
}

struct answer {
    enum ldr_status status;
    uint32_t count;
    uint8_t type[ARGS_MAX];
    uint64_t bits[2 * ARGS_MAX]; // as ldr_call() gives them
    struct ldr_trap_info trap;
    const char *wrong; // the script asks for what is not there
};
static void invoke(struct script *s, struct ldr_instance *inst, uint32_t func,
                   const struct json *args, struct answer *a) {
    const struct wasm_functype *type = ldr_func_type(inst, func);
    uint64_t values[2 * ARGS_MAX], *next = values;
    uint32_t n = 0;
    for (const struct json *v = args ? args->first : NULL; v; v = v->next, n++) {
        if (n >= type->params || n >= ARGS_MAX || type->type[n] != type_of(v) || !bits_of(v, next)) {
            a->wrong = "arguments that do not fit the function";
            return;
        }
        next += words_of(type->type[n]);
    }
    if (n != type->params || type->results > ARGS_MAX) {
        a->wrong = "number of arguments";
        return;
    }
    a->status = ldr_call(s->thread, inst, func, values, a->bits, &a->trap);
    a->count = type->results;
    memcpy(a->type, type->type + type->params, type->results);
}
static void act(struct script *s, struct answer *a) {
    const struct json *action = json_get(s->command, "action"), *field = json_get(action, "field"),
                      *module = json_get(action, "module");
    const char *kind = json_text(action, "type");
    struct ldr_instance *inst = s->current;
    a->wrong = NULL;
    if (module) {
        const struct named *n = name_find(s->names, module->text, module->length);
        inst = n ? n->inst : NULL;
    }
    if (!inst || !field || !kind) {
        a->wrong = "no such module (did it fail to load?)";
        return;
    }
    struct ldr_extern x = ldr_export(inst, field->text, (uint32_t)field->length);
    if (x.kind == LDR_EXT_FUNC && !strcmp(kind, "invoke")) {
        invoke(s, inst, x.index, json_get(action, "args"), a);
    } else if (x.kind == LDR_EXT_GLOBAL && !strcmp(kind, "get")) {
        a->status = LDR_OK;
        a->count = 1;
        ldr_global_value(inst, x.index, &a->type[0], &a->bits[0]);
    } else {
        a->wrong = "no such export";
    }
}

static bool nan_matches(const char *want, bool is_double, uint64_t bits) {
    uint64_t quiet_bit = is_double ? 1ull << 51 : 1ull << 22;
    uint64_t exponent = is_double ? 0x7ffull << 52 : 0xffull << 23;
    uint64_t magnitude = bits & (is_double ? ~(1ull << 63) : 0x7fffffffull);
    if (!strcmp(want, "nan:canonical")) return magnitude == (exponent | quiet_bit);
    return (magnitude & (exponent | quiet_bit)) == (exponent | quiet_bit);
}
static bool vector_matches(const struct json *want, const uint64_t *got) {
    const struct json *lane = json_get(want, "value");
    unsigned bits = lane_bits(want), at = 0;
    uint64_t expected[2];
    if (!vector_of(want, expected)) return false;
    for (lane = lane->first; lane; lane = lane->next, at += bits) {
        uint64_t mask = bits == 64 ? UINT64_MAX : (1ull << bits) - 1;
        uint64_t value = got[at / 64] >> at % 64 & mask;
        bool same = value == (expected[at / 64] >> at % 64 & mask);
        if (strncmp(lane->text, "nan:", 4) ? !same : !nan_matches(lane->text, bits == 64, value))
            return false;
    }
    return true;
}
static bool value_matches(const struct json *want, uint8_t type, const uint64_t *got) {
    const char *text = json_text(want, "value");
    uint64_t expected, bits = *got;
    if (type_of(want) != type) return false;
    if (type == WASM_V128) return vector_matches(want, got);
    if (type == WASM_I32 || type == WASM_F32) bits &= UINT32_MAX;
    if (!text)
        return bits != 0 && (type == WASM_FUNCREF || type == WASM_EXTERNREF); // any reference
    if (!strncmp(text, "nan:", 4)) return nan_matches(text, type == WASM_F64, bits);
    return bits_of(want, &expected) && expected == bits;
}
static void do_return(struct script *s, bool check) {
    static struct answer a;
    act(s, &a);
    if (a.wrong) {
        outcome(s, false, "%s", a.wrong);
        return;
    }
    if (a.status != LDR_OK) {
        char text[300];
        ldr_trap_format(&a.trap, text, sizeof text);
        outcome(s, false, "%s", a.status == LDR_TRAPPED ? text : ldr_status_text(a.status));
        return;
    }
    const struct json *want = json_get(s->command, "expected");
    uint32_t i = 0;
    const uint64_t *got = a.bits;
    for (want = check && want ? want->first : NULL; want; want = want->next, i++) {
        if (i >= a.count || !value_matches(want, a.type[i], got)) {
            const char *text = json_text(want, "value");
            bool vector = i < a.count && a.type[i] == WASM_V128;
            outcome(s, false, "result %u is 0x%llx %llx, expected %s %s", i,
                    i < a.count ? (unsigned long long)*got : 0, vector ? (unsigned long long)got[1] : 0,
                    json_text(want, "type"), text ? text : "(any)");
            return;
        }
        got += words_of(a.type[i]);
    }
    outcome(s, !check || i == a.count, "%u results, expected %u", a.count, i);
}
static void do_trap(struct script *s, enum sfi_trap want) {
    static struct answer a;
    const char *text = json_text(s->command, "text");
    act(s, &a);
    if (a.wrong) {
        outcome(s, false, "%s", a.wrong);
    } else if (a.status != LDR_TRAPPED) {
        outcome(s, false, "no trap, expected: %s", text ? text : "any");
    } else {
        // The script's text may be shorter than ours or carry the element's number behind it.
        const char *got = ldr_trap_text(a.trap.kind);
        bool same = want != SFI_TRAP_NONE ? a.trap.kind == want
                                          : !text || !strncmp(text, got, strlen(got)) ||
                                                !strncmp(text, got, strlen(text));
        outcome(s, same, "trap \"%s\", expected \"%s\"", got, text ? text : "?");
    }
}

static void do_register(struct script *s) {
    const struct json *name = json_get(s->command, "name"), *as = json_get(s->command, "as");
    struct ldr_instance *inst = s->current;
    if (name) {
        const struct named *n = name_find(s->names, name->text, name->length);
        inst = n ? n->inst : NULL;
    }
    if (as) name_set(&s->registered, as->text, as->length, inst);
}

static const struct verb {
    const char *name;
    void (*plain)(struct script *);
    enum { PLAIN, ACTION, RETURN, TRAP, REJECTED } kind;
    int want;
} verbs[] = {
    {"module", do_module, PLAIN, 0},
    {"register", do_register, PLAIN, 0},
    {"action", NULL, ACTION, 0},
    {"assert_return", NULL, RETURN, 0},
    {"assert_trap", NULL, TRAP, SFI_TRAP_NONE},
    {"assert_exhaustion", NULL, TRAP, SFI_TRAP_STACK},
    {"assert_invalid", NULL, REJECTED, LDR_INVALID},
    {"assert_malformed", NULL, REJECTED, LDR_MALFORMED},
    {"assert_unlinkable", NULL, REJECTED, LDR_UNLINKABLE},
    {"assert_uninstantiable", NULL, REJECTED, LDR_TRAPPED},
};
static void run_command(struct script *s) {
    const char *kind = kind_of(s->command);
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        const struct verb *v = &verbs[i];
        if (strcmp(v->name, kind)) continue;
        switch (v->kind) {
        case PLAIN: v->plain(s); return;
        case ACTION: do_return(s, false); return;
        case RETURN: do_return(s, true); return;
        case TRAP: do_trap(s, (enum sfi_trap)v->want); return;
        case REJECTED: do_rejected(s, (enum ldr_status)v->want); return;
        }
    }
    outcome(s, false, "unknown command");
}

static bool run_file(const char *path, struct ldr_thread *thread) {
    size_t size;
    unsigned line = 0;
    struct ldr_error e;
    uint8_t *text = host_read_file(path, &size);
    struct json *root = text ? json_parse((const char *)text, size, &line) : NULL;
    const struct json *commands = json_get(root, "commands");
    struct script s = {.path = path, .thread = thread};
    if (!commands || commands->kind != JSON_ARRAY) {
        if (text)
            fprintf(stderr, "sfi-spec: %s: line %u: not a script in JSON\n", path, line);
        else
            fprintf(stderr, "sfi-spec: %s: %m\n", path);
        free(text);
        json_free(root);
        return false;
    }
    s.store = ldr_store_new(LDR_STORE);
    if (!s.store || load(&s, spectest_wasm, sizeof spectest_wasm, &s.spectest, &e) != LDR_OK)
        die("the module spectest cannot be made: %s", s.store ? e.text : "out of memory");
    for (s.command = commands->first; s.command; s.command = s.command->next) run_command(&s);
    names_free(s.names);
    names_free(s.registered);
    if (!ldr_store_free(s.store)) die("%s: the store is still in use", path);
    json_free(root);
    free(text);
    return true;
}

int main(int argc, char **argv) {
    int i = 1;
    bool readable = true;
    host_init("sfi-spec");
    for (; i < argc && argv[i][0] == '-'; i++) {
        if (!strcmp(argv[i], "--quiet"))
            quiet = true;
        else if (!strcmp(argv[i], "--list"))
            list = true;
        else
            die("unknown option %s (usage: sfi-spec [--quiet | --list] FILE.json...)", argv[i]);
    }
    if (i == argc) die("no files (usage: sfi-spec [--quiet | --list] FILE.json...)");
    struct ldr_thread *thread = host_thread(STACK_SIZE);
    for (; i < argc; i++) readable &= run_file(argv[i], thread);
    ldr_thread_free(thread);
    if (skipped && !quiet) printf("%u text modules skipped\n", skipped);
    printf("%u passed, %u failed\n", passed, failed);
    return !readable ? 2 : failed ? 1 : 0;
}
