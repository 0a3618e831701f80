// sfi-run — runs a WebAssembly module in this process, under the very compiler, verifier, stubs and traps that the kernel uses.
//
//   sfi-run [OPTIONS] FILE.wasm [ARGS…]                   a WASI command: runs its export _start; ARGS are its arguments
//   sfi-run [OPTIONS] FILE.wasm --invoke NAME [VALUES…]   calls an export, prints its results, one a line
//     --env NAME=VALUE   into the module's environment, which is empty otherwise
//     --memory PAGES     the most it may grow to (64 KiB each)     --stack BYTES   of its stack (default 1 MiB)
//     --budget SECONDS   of running time, then it is killed        --stats         sizes and times on standard error
//     --save FILE        the compiled code, for sfi-verify         --help
//
// Exit status: the command's own; 0 after --invoke; 134 after a trap, which is reported with module, function and offset; 1 if the
// module is refused (invalid, unlinkable, rejected); 2 for wrong usage.
#include "sfi-jit/host/codefile.h"
#include "sfi-jit/host/host.h"
#include "sfi-jit/host/value.h"
#include "sfi-jit/host/wasi.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATUS_REFUSED 1
#define STATUS_TRAP 134

static const char usage[] =
    "usage: sfi-run [OPTIONS] FILE.wasm [ARGS...]                  run a WASI command\n"
    "       sfi-run [OPTIONS] FILE.wasm --invoke NAME [VALUES...]  call an export\n"
    "  --env NAME=VALUE  --memory PAGES  --stack BYTES  --budget SECONDS  --stats  --save FILE\n"
    "Exit status: the command's own; 134 after a trap; 1 if the module is refused; 2 for wrong "
    "usage.\n";

struct options {
    const char *file, *invoke, *save;
    bool stats;
    uint32_t memory, stack;
    double budget;
    struct wasi wasi;
    char **values;
    uint32_t value_count;
};

static uint32_t number(const char *option, const char *text, uint32_t most) {
    char *end;
    errno = 0;
    unsigned long long v = text ? strtoull(text, &end, 0) : 0;
    if (!text || errno || end == text || *end || *text == '-' || v > most)
        die("%s wants a number up to %u", option, most);
    return (uint32_t)v;
}

static void read_options(int argc, char **argv, struct options *o) {
    static char *environment[256];
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        const char *option = argv[i], *next = i + 1 < argc ? argv[i + 1] : NULL;
        if (!strcmp(option, "--help")) {
            fputs(usage, stdout);
            exit(0);
        } else if (!strcmp(option, "--stats")) {
            o->stats = true;
            continue;
        } else if (!strcmp(option, "--env")) {
            if (!next || !strchr(next, '=') || o->wasi.environs == 256)
                die("--env wants NAME=VALUE, at most 256 times");
            environment[o->wasi.environs++] = argv[i + 1];
        } else if (!strcmp(option, "--memory")) {
            o->memory = number(option, next, 65536);
        } else if (!strcmp(option, "--stack")) {
            o->stack = number(option, next, 1u << 30);
        } else if (!strcmp(option, "--budget")) {
            char *end;
            o->budget = next ? strtod(next, &end) : 0;
            if (!next || *end || !(o->budget > 0)) die("--budget wants seconds above 0");
        } else if (!strcmp(option, "--save")) {
            if (!(o->save = next)) die("--save wants a file");
        } else {
            die("unknown option %s; --help lists them", option);
        }
        i++;
    }
    if (i == argc) {
        fputs(usage, stderr);
        exit(2);
    }
    o->file = argv[i];
    o->wasi.environ = environment;
    o->wasi.arg = argv + i;
    o->wasi.args = (uint32_t)(argc - i);
    if (i + 1 < argc && !strcmp(argv[i + 1], "--invoke")) {
        if (i + 2 == argc) die("--invoke wants the name of an export");
        o->invoke = argv[i + 2];
        o->values = argv + i + 3;
        o->value_count = (uint32_t)(argc - i - 3);
        o->wasi.args = 1;
    }
}

static bool resolve(void *ctx, const struct wasm_import *import, struct ldr_extern *out) {
    (void)ctx;
    *out = (struct ldr_extern){.kind = LDR_EXT_HOST, .host = wasi_find(import)};
    return out->host;
}

static _Noreturn void refuse(const struct options *o, const struct ldr_error *e) {
    fprintf(stderr, "sfi-run: %s: %s\n", o->file, e->text);
    exit(STATUS_REFUSED);
}

static void report_stats(const struct ldr_instance *inst, double run) {
    uint64_t parse, compile;
    const struct jit_code *j = ldr_code_jit(ldr_instance_code(inst));
    ldr_code_cycles(ldr_instance_code(inst), &parse, &compile);
    fprintf(stderr,
            "module %u bytes, %u functions; code %u bytes, %u of padding; %u values, %u spills\n"
            "decode and validate %.3f ms, compile %.3f ms, verify %.3f ms, run %.3f ms\n",
            j->stats.wasm_bytes, j->sfi.funcs, j->sfi.size, j->stats.nop_bytes, j->stats.ir_values,
            j->stats.spills, host_cycle_seconds(parse) * 1e3, host_cycle_seconds(compile) * 1e3,
            host_cycle_seconds(ldr_verify_cycles(inst)) * 1e3, run * 1e3);
}

static uint64_t *read_values(const struct options *o, const struct wasm_functype *type) {
    uint64_t *args = calloc(type->params + 1, sizeof *args);
    if (!args) die("out of memory");
    if (o->value_count != type->params)
        die("%s takes %u values, not %u", o->invoke, type->params, o->value_count);
    for (uint32_t i = 0; i < type->params; i++)
        if (!value_parse(type->type[i], o->values[i], &args[i]))
            die("\"%s\" is no value of type %s (argument %u of %s)", o->values[i],
                value_type_name(type->type[i]), i + 1, o->invoke);
    return args;
}

static int trapped(const struct options *o, const struct ldr_trap_info *info) {
    char text[400];
    if (o->wasi.exited) return (int)(o->wasi.status & 0xff);
    fflush(stdout);
    ldr_trap_format(info, text, sizeof text);
    fprintf(stderr, "sfi-run: trap: %s\n", text);
    return STATUS_TRAP;
}

// Start function, _initialize (a reactor's), then what was asked for.
static int run(const struct options *o, struct ldr_thread *thread, struct ldr_instance *inst) {
    struct ldr_trap_info info;
    uint32_t func, init;
    const char *name = o->invoke ? o->invoke : "_start";
    if (!ldr_find_func(inst, name, &func)) {
        if (o->invoke) die("%s has no function export \"%s\"", o->file, name);
        die("%s is no WASI command: it does not export _start (use --invoke NAME)", o->file);
    }
    const struct wasm_functype *type = ldr_func_type(inst, func);
    uint64_t *args = read_values(o, type), *results = calloc(2 * type->results + 1, sizeof *results);
    if (!results) die("out of memory");
    enum ldr_status status = ldr_start(thread, inst, &info);
    if (status == LDR_OK && o->invoke && ldr_find_func(inst, "_initialize", &init) &&
        init != func && !ldr_func_type(inst, init)->params)
        status = ldr_call(thread, inst, init, NULL, results, &info);
    if (status == LDR_OK) status = ldr_call(thread, inst, func, args, results, &info);
    const uint64_t *at = results;
    for (uint32_t i = 0; status == LDR_OK && o->invoke && i < type->results; i++, at++) {
        char text[64];
        uint8_t t = type->type[type->params + i];
        if (t == WASM_V128) { // two words
            printf("0x%016llx%016llx\n", (unsigned long long)at[1], (unsigned long long)at[0]);
            at++;
            continue;
        }
        value_print(t, *at, text, sizeof text);
        puts(text);
    }
    free(args);
    free(results);
    return status == LDR_OK ? 0 : trapped(o, &info);
}

int main(int argc, char **argv) {
    struct options o = {.stack = 1u << 20, .memory = 65536};
    size_t size = 0;
    struct ldr_code *code;
    struct ldr_instance *inst;
    struct ldr_error e;
    host_init("sfi-run");
    read_options(argc, argv, &o);
    uint8_t *bytes = host_read_file(o.file, &size);
    if (!bytes) die("%s: %s", o.file, strerror(errno));
    if (ldr_compile(bytes, size, NULL, &code, &e) != LDR_OK) refuse(&o, &e);
    free(bytes);
    if (o.save && !codefile_save(o.save, &ldr_code_jit(code)->sfi))
        die("%s: %s", o.save, strerror(errno));

    struct ldr_thread *thread = host_thread(o.stack < 65536 ? 65536 : o.stack);
    struct ldr_store *store = ldr_store_new(LDR_DOMAIN);
    struct ldr_imports imports = {NULL, resolve};
    struct ldr_limits limits = {.memory_pages = o.memory};
    const char *slash = strrchr(o.file, '/');
    if (!store) die("out of memory");
    if (ldr_instantiate(store, code, slash ? slash + 1 : o.file, &imports, &limits, &o.wasi, &inst,
                        &e) != LDR_OK)
        refuse(&o, &e);
    ldr_code_release(code);
    if (o.budget > 0) host_budget(inst, o.budget);
    double start = host_seconds();
    int status = run(&o, thread, inst);
    if (o.stats) report_stats(inst, host_seconds() - start);
    ldr_store_free(store);
    ldr_thread_free(thread);
    return fflush(stdout) ? 2 : status;
}
