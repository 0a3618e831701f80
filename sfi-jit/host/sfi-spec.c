// sfi-spec — runs the WebAssembly specification's test scripts, as wast2json writes them.
//
//   sfi-spec [--quiet | --list] FILE.json…
//   sfi-spec --save STREAM FILE.json…      writes what it would run to a file instead: the stream of spec.h, for the kernel
//
// A script is made a stream of commands (spec.h), modules included, and run by spec.c. A failed check is one line, FILE.json:LINE:
// what; the last line is "N passed, N failed", and the exit status is 1 if any failed, 2 if a file cannot be read or understood. What
// counts: each command except "register". An assertion about a rejected module wants the right kind of rejection (malformed,
// invalid, unlinkable); one about a trap wants the specification's text. assert_malformed of text modules is skipped (there is
// no text parser here). --list prints every check with its outcome, --quiet only the last line.
#include "sfi-jit/host/host.h"
#include "sfi-jit/host/json.h"
#include "sfi-jit/host/spec.h"
#include "sfi-jit/host/value.h"
#include "sfi-jit/wasm/module.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STACK_SIZE (4u << 20)

struct script {
    const char *path;
    const struct json *command;
    uint8_t *stream;
    size_t size, room;
    size_t record; // where the current one begins
    unsigned skipped;
};
static bool quiet, list;

// ---- Writing a stream ----
_Noreturn static void mistake(const struct script *s, const char *what) {
    const char *line = json_text(s->command, "line");
    die("%s:%s: %s", s->path, line ? line : "?", what);
}
static void put_block(struct script *s, const void *data, size_t size) {
    if (s->room - s->size < size) {
        s->room = 2 * s->room + size;
        if (!(s->stream = realloc(s->stream, s->room))) die("out of memory");
    }
    memcpy(s->stream + s->size, data, size);
    s->size += size;
}
static void put(struct script *s, unsigned size, uint64_t v) { put_block(s, &v, size); }
static void put_bytes(struct script *s, const void *data, size_t size) {
    if (size > UINT32_MAX) mistake(s, "too large");
    put(s, 4, size);
    put_block(s, data, size);
}
static void put_text(struct script *s, const char *text) {
    put_bytes(s, text ? text : "", text ? strlen(text) : 0);
}
static void put_name(struct script *s, const struct json *name) {
    put(s, 1, name != NULL);
    put_bytes(s, name ? name->text : "", name ? name->length : 0);
}
static void record(struct script *s, enum spec_verb verb) {
    const char *line = json_text(s->command, "line");
    s->record = s->size;
    put(s, 4, 0); // its size, by record_end()
    put(s, 4, line ? strtoul(line, NULL, 10) : 0);
    put(s, 1, verb);
}
static void record_end(struct script *s) {
    uint32_t size = (uint32_t)(s->size - s->record - 9);
    memcpy(s->stream + s->record, &size, sizeof size);
}
static void put_module(struct script *s) {
    const char *file = json_text(s->command, "filename"), *slash = strrchr(s->path, '/');
    char path[4096];
    size_t size;
    int n = snprintf(path, sizeof path, "%.*s%s", slash ? (int)(slash - s->path + 1) : 0, s->path,
                     file ? file : "");
    uint8_t *bytes = n > 0 && (size_t)n < sizeof path ? host_read_file(path, &size) : NULL;
    if (!bytes) mistake(s, "cannot read the module");
    put_bytes(s, bytes, size);
    free(bytes);
}

// ---- Values ----
static uint8_t type_of(const struct json *v) {
    static const uint8_t types[] = {WASM_I32,  WASM_I64,     WASM_F32,      WASM_F64,
                                    WASM_V128, WASM_FUNCREF, WASM_EXTERNREF};
    const char *name = json_text(v, "type");
    for (size_t i = 0; name && i < sizeof types; i++)
        if (!strcmp(name, value_type_name(types[i]))) return types[i];
    return 0;
}
static unsigned lane_of(const struct script *s, const struct json *v, uint8_t type) {
    const char *lane = json_text(v, "lane_type");
    unsigned long bits = type == WASM_I32 || type == WASM_F32 ? 32 : 64;
    if (type == WASM_V128) bits = lane ? strtoul(lane + 1, NULL, 10) : 0;
    if (bits != 8 && bits != 16 && bits != 32 && bits != 64) mistake(s, "no such type of lanes");
    return (unsigned)bits;
}
// One number: floating-point values are given as the decimal number of their bits, references as "null" or a number, which
// the host represents by its successor. A result may be a class instead.
static enum spec_class lane_value(const struct script *s, uint8_t type, const char *text,
                                  bool result, uint64_t *out) {
    char *end;
    bool reference = type == WASM_FUNCREF || type == WASM_EXTERNREF;
    *out = 0;
    if (result && text && !strcmp(text, "nan:canonical")) return SPEC_NAN_CANONICAL;
    if (result && text && !strcmp(text, "nan:arithmetic")) return SPEC_NAN_ARITHMETIC;
    if (result && !text && reference) return SPEC_ANY_REFERENCE;
    if (reference && text && !strcmp(text, "null")) return SPEC_EXACT;
    if (!text || !*text) mistake(s, "a value is missing");
    *out = strtoull(text, &end, 10) + reference;
    if (*end) mistake(s, "a value that is no number");
    return SPEC_EXACT;
}
static void put_value(struct script *s, const struct json *v, bool result) {
    uint8_t type = type_of(v);
    unsigned lane = lane_of(s, v, type), at = 0;
    uint32_t classes = 0;
    uint64_t bits[2] = {0, 0}, one;
    if (!type) mistake(s, "a value of unknown type");
    if (type == WASM_V128) { // lanes are decimal numbers, the first one lowest
        const struct json *lanes = json_get(v, "value");
        if (!lanes || lanes->kind != JSON_ARRAY) mistake(s, "a vector without lanes");
        for (lanes = lanes->first; lanes && at < 128; lanes = lanes->next, at += lane) {
            uint32_t class = lane_value(s, type, lanes->text, result, &one);
            classes |= class << 2 * (at / lane);
            bits[at / 64] |= (lane == 64 ? one : one & ((1ull << lane) - 1)) << at % 64;
        }
        if (at != 128 || lanes) mistake(s, "a vector of the wrong number of lanes");
    } else {
        classes = lane_value(s, type, json_text(v, "value"), result, &bits[0]);
    }
    put(s, 1, type);
    put(s, 1, lane);
    put(s, 4, classes);
    put_block(s, bits, type == WASM_V128 ? 16 : 8);
}
static void put_values(struct script *s, const struct json *values, bool results) {
    uint32_t count = 0;
    const struct json *first = values ? values->first : NULL;
    for (const struct json *v = first; v; v = v->next) count++;
    put(s, 4, count);
    for (const struct json *v = first; v; v = v->next) put_value(s, v, results);
}

// ---- Commands ----
static void put_action(struct script *s) {
    const struct json *action = json_get(s->command, "action"), *field = json_get(action, "field");
    const char *kind = json_text(action, "type");
    if (!field || !kind || (strcmp(kind, "invoke") && strcmp(kind, "get")))
        mistake(s, "an action that is none");
    put(s, 1, !strcmp(kind, "invoke"));
    put_name(s, json_get(action, "module"));
    put_bytes(s, field->text, field->length);
    put_values(s, json_get(action, "args"), false);
}
static const struct {
    const char *name;
    enum spec_verb verb;
    uint8_t want; // TRAP: enum sfi_trap; REJECTED: enum ldr_status
} commands[] = {
    {"module", SPEC_MODULE, 0},
    {"register", SPEC_REGISTER, 0},
    {"action", SPEC_ACTION, 0},
    {"assert_return", SPEC_RETURN, 0},
    {"assert_trap", SPEC_TRAP, SFI_TRAP_NONE},
    {"assert_exhaustion", SPEC_TRAP, SFI_TRAP_STACK},
    {"assert_invalid", SPEC_REJECTED, LDR_INVALID},
    {"assert_malformed", SPEC_REJECTED, LDR_MALFORMED},
    {"assert_unlinkable", SPEC_REJECTED, LDR_UNLINKABLE},
    {"assert_uninstantiable", SPEC_REJECTED, LDR_TRAPPED},
};
static void put_command(struct script *s) {
    const char *type = json_text(s->command, "type"),
               *format = json_text(s->command, "module_type");
    const struct json *name = json_get(s->command, "name"), *as = json_get(s->command, "as");
    enum spec_verb verb = SPEC_UNKNOWN;
    uint8_t want = 0;
    for (size_t i = 0; type && i < sizeof commands / sizeof *commands; i++)
        if (!strcmp(type, commands[i].name)) verb = commands[i].verb, want = commands[i].want;
    if (verb == SPEC_REJECTED && format && strcmp(format, "binary")) {
        s->skipped++;
        return;
    }
    record(s, verb);
    switch (verb) {
    case SPEC_MODULE:
        put_name(s, name);
        put_text(s, json_text(s->command, name ? "name" : "filename"));
        put_module(s);
        break;
    case SPEC_REGISTER:
        if (!as) mistake(s, "registered as nothing");
        put_name(s, name);
        put_bytes(s, as->text, as->length);
        break;
    case SPEC_ACTION: put_action(s); break;
    case SPEC_RETURN:
        put_action(s);
        put_values(s, json_get(s->command, "expected"), true);
        break;
    case SPEC_TRAP:
    case SPEC_REJECTED:
        if (verb == SPEC_TRAP) put_action(s);
        put(s, 1, want);
        put_text(s, json_text(s->command, "text"));
        if (verb == SPEC_REJECTED) put_module(s);
        break;
    default: break;
    }
    record_end(s);
}
// Adds a file to the stream. False, having said why, if it is no script.
static bool put_script(struct script *s, const char *path) {
    size_t size;
    unsigned line = 0;
    uint8_t *text = host_read_file(path, &size);
    struct json *root = text ? json_parse((const char *)text, size, &line) : NULL;
    const struct json *all = json_get(root, "commands");
    bool good = all && all->kind == JSON_ARRAY;
    s->path = path;
    s->command = NULL;
    if (good) {
        record(s, SPEC_SCRIPT);
        put_text(s, path);
        record_end(s);
        for (s->command = all->first; s->command; s->command = s->command->next) put_command(s);
    } else if (text) {
        fprintf(stderr, "sfi-spec: %s: line %u: not a script in JSON\n", path, line);
    } else {
        fprintf(stderr, "sfi-spec: %s: %m\n", path);
    }
    json_free(root);
    free(text);
    return good;
}

static void report(void *ctx, const struct spec_check *check, const char *format, va_list args) {
    (void)ctx;
    if (quiet || (!format && !list)) return;
    printf("%.*s:%u: %s", (int)check->path_length, check->path, check->line, check->kind);
    if (format) {
        printf(": FAILED: ");
        vprintf(format, args);
    }
    putchar('\n');
}
static bool save(const struct script *s, const char *path) {
    FILE *f = fopen(path, "wb");
    bool good = f && fwrite(s->stream, 1, s->size, f) == s->size;
    if (f && fclose(f)) good = false;
    if (!good) fprintf(stderr, "sfi-spec: %s: %m\n", path);
    return good;
}

int main(int argc, char **argv) {
    static const char usage[] = "usage: sfi-spec [--quiet | --list | --save STREAM] FILE.json...";
    int i = 1;
    bool readable = true;
    const char *save_to = NULL, *error;
    struct script s = {0};
    host_init("sfi-spec");
    for (; i < argc && argv[i][0] == '-'; i++) {
        if (!strcmp(argv[i], "--quiet"))
            quiet = true;
        else if (!strcmp(argv[i], "--list"))
            list = true;
        else if (!strcmp(argv[i], "--save") && i + 1 < argc)
            save_to = argv[++i];
        else
            die("unknown option %s (%s)", argv[i], usage);
    }
    if (i == argc) die("no files (%s)", usage);
    struct spec spec = {.thread = host_thread(STACK_SIZE), .ir_check = true, .report = report};
    for (; i < argc; i++) {
        readable &= put_script(&s, argv[i]);
        if (save_to) continue;
        if (!spec_run(&spec, s.stream, s.size, &error)) die("%s: %s", argv[i], error);
        s.size = 0;
    }
    if (save_to) readable &= save(&s, save_to);
    free(s.stream);
    ldr_thread_free(spec.thread);
    if (save_to) return readable ? 0 : 2;
    if (s.skipped && !quiet) printf("%u text modules skipped\n", s.skipped);
    printf("%u passed, %u failed\n", spec.passed, spec.failed);
    return !readable ? 2 : spec.failed ? 1 : 0;
}
