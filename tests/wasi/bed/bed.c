// bed.c — runs a WASI program with the personality (build/modules/wasi.wasm) in a Linux process, as the kernel links them.
//
//   wasi-bed [OPTIONS] PROGRAM.wasm [ARGS…]
//     --env NAME=VALUE   of the personality's instance (SASOS_… are its options)
//     --blob NAME=FILE   a file that is granted to it
//     --no-console       output goes line by line to the log, which is standard output then (else standard error)
//     --no-entropy       it is not granted random bytes
//     --twice            the program runs again, with the same personality; the status is that of the second time
//     --wasi FILE        another personality
//
// Both are compiled, verified and linked by the loader, each in a store of its own; the kernel's calls are stand-ins. Exit status: the
// program's; 134 after a trap of it; 3 when the personality dies or does not start; 2 for wrong usage or modules that are refused.
#include "sasos/run/abi.h"
#include "sfi-jit/host/host.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define WORDS 64u

static struct {
    struct ldr_thread *thread;
    struct ldr_instance *wasi, *program;
    const char *env[WORDS], *arg[WORDS];
    uint32_t envs, args, blobs;
    struct {
        const char *name;
        uint8_t *bytes;
        size_t size;
    } blob[8];
    bool console, entropy, twice, exited;
    int32_t life; // how many programs there were
    int32_t status;
} bed = {.console = true, .entropy = true};

// ---- The kernel's calls ----
#define CALL(name) static int64_t k_##name(struct ldr_instance *inst, const struct ldr_args *a)
#define UNUSED (void)inst, (void)a

CALL(log) {
    uint32_t n = ldr_arg32(a, 1);
    const char *text = ldr_memory_at(inst, ldr_arg32(a, 0), n);
    if (!text) return E_FAULT;
    fprintf(bed.console ? stderr : stdout, "%.*s\n", (int)n, text);
    return 0;
}
CALL(console_write) {
    uint32_t n = ldr_arg32(a, 1);
    if (!bed.console) return E_DENIED;
    const char *text = ldr_memory_at(inst, ldr_arg32(a, 0), n);
    if (!text) return E_FAULT;
    fwrite(text, 1, n, stdout);
    return (int32_t)n;
}
static int64_t clock_ns(clockid_t id) {
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}
CALL(time_ns) { return UNUSED, clock_ns(CLOCK_MONOTONIC); }
CALL(wall_ns) { return UNUSED, clock_ns(CLOCK_REALTIME); }
static int64_t word(struct ldr_instance *inst, const struct ldr_args *a, const char **list,
                    uint32_t count) {
    uint32_t i = ldr_arg32(a, 0), size = ldr_arg32(a, 2);
    if (i >= count) return E_NOENT;
    uint32_t n = (uint32_t)strlen(list[i]), copied = n < size ? n : size;
    void *to = ldr_memory_at(inst, ldr_arg32(a, 1), copied);
    if (!to) return E_FAULT;
    memcpy(to, list[i], copied);
    return n;
}
CALL(arg) { return word(inst, a, bed.arg, bed.args); }
CALL(env) { return word(inst, a, bed.env, bed.envs); }
CALL(wait) {
    (void)inst;
    int64_t ns = (int64_t)ldr_arg(a, 1);
    if (ns < 0) die("the program waits for ever");
    nanosleep(&(struct timespec){ns / 1000000000, ns % 1000000000}, NULL);
    return 0;
}
CALL(random) {
    uint32_t n = ldr_arg32(a, 1);
    if (!bed.entropy) return E_DENIED;
    if (n > 4096) return E_INVAL;
    void *to = ldr_memory_at(inst, ldr_arg32(a, 0), n);
    return !to ? E_FAULT : getrandom(to, n, 0) == n ? 0 : E_IO;
}
static int32_t copy(struct ldr_instance *from, uint32_t from_at, struct ldr_instance *to,
                    uint32_t to_at, uint32_t n) {
    if (!bed.program) return E_NOENT;
    void *here = ldr_memory_at(to, to_at, n);
    const void *there = ldr_memory_at(from, from_at, n);
    if (!here || !there) return E_FAULT;
    memmove(here, there, n);
    return 0;
}
CALL(caller_read) {
    return copy(bed.program, ldr_arg32(a, 1), inst, ldr_arg32(a, 0), ldr_arg32(a, 2));
}
CALL(caller_write) {
    return copy(inst, ldr_arg32(a, 1), bed.program, ldr_arg32(a, 0), ldr_arg32(a, 2));
}
CALL(caller_exit) {
    (void)inst;
    if (!bed.program) return E_NOENT;
    bed.exited = true;
    bed.status = (int32_t)ldr_arg32(a, 0);
    ldr_kill(bed.program, SFI_TRAP_KILLED);
    return 0;
}
CALL(chan_count) { return UNUSED, 0; }
CALL(caller_channel) { return UNUSED, 0; }
CALL(chan_generation) { return UNUSED, bed.life; }
CALL(blob_find) {
    uint32_t n = ldr_arg32(a, 1);
    const char *name = ldr_memory_at(inst, ldr_arg32(a, 0), n);
    if (!name) return E_FAULT;
    for (uint32_t i = 0; i < bed.blobs; i++)
        if (strlen(bed.blob[i].name) == n && !memcmp(bed.blob[i].name, name, n)) return (int32_t)i;
    return E_NOENT;
}
CALL(blob_size) {
    (void)inst;
    uint32_t i = ldr_arg32(a, 0);
    return i < bed.blobs ? (int64_t)bed.blob[i].size : E_NOENT;
}
CALL(blob_read) {
    uint32_t i = ldr_arg32(a, 0), n = ldr_arg32(a, 3);
    int64_t at = (int64_t)ldr_arg(a, 1);
    if (i >= bed.blobs || at < 0) return E_INVAL;
    if ((uint64_t)at >= bed.blob[i].size) return 0;
    if (n > bed.blob[i].size - (uint64_t)at) n = (uint32_t)(bed.blob[i].size - (uint64_t)at);
    void *to = ldr_memory_at(inst, ldr_arg32(a, 2), n);
    if (!to) return E_FAULT;
    memcpy(to, bed.blob[i].bytes + at, n);
    return (int32_t)n;
}
CALL(denied) { return UNUSED, E_DENIED; }

static const struct {
    const char *name;
    ldr_host_fn *fn;
} calls[] = {
#define F(name) \
    { #name, k_##name }
    F(log),
    F(console_write),
    F(time_ns),
    F(wall_ns),
    F(arg),
    F(env),
    F(wait),
    F(random),
    F(caller_read),
    F(caller_write),
    F(caller_exit),
    F(blob_find),
    F(blob_size),
    F(blob_read),
    F(chan_count),
    F(caller_channel),
    F(chan_generation),
};

// Every kernel call, denied but for those above.
static struct ldr_hostfunc functions[] = {
#define X(result, name, parameters, types, text) {SASOS_NAMESPACE, #name, types, k_denied, NULL},
#include "sasos/run/hostcall.def"
#undef X
};
// What is not connected is denied too, as the kernel does it for optional imports.
static const struct ldr_hostfunc absent = {"", "", "*", k_denied, NULL};
static bool kernel(void *ctx, const struct wasm_import *i, struct ldr_extern *out) {
    (void)ctx;
    *out = (struct ldr_extern){.kind = LDR_EXT_HOST, .host = &absent};
    for (size_t k = 0; k < sizeof functions / sizeof *functions; k++) {
        struct ldr_hostfunc *f = &functions[k];
        if (strlen(f->name) != i->name.length || memcmp(f->name, i->name.text, i->name.length))
            continue;
        for (size_t c = 0; c < sizeof calls / sizeof *calls; c++)
            if (!strcmp(calls[c].name, f->name)) f->fn = calls[c].fn;
        out->host = f;
    }
    return true;
}
static bool personality(void *ctx, const struct wasm_import *i, struct ldr_extern *out) {
    (void)ctx;
    if (i->module.length != 22 || memcmp(i->module.text, "wasi_snapshot_preview1", 22))
        return false;
    *out = ldr_export(bed.wasi, i->name.text, i->name.length);
    return true;
}

static struct ldr_instance *load(const char *path, bool (*resolve)(void *, const struct wasm_import *,
                                                                   struct ldr_extern *)) {
    size_t size;
    struct ldr_code *code;
    struct ldr_instance *inst;
    struct ldr_error e;
    struct ldr_imports imports = {NULL, resolve};
    uint8_t *bytes = host_read_file(path, &size);
    if (!bytes) die("%s: %s", path, strerror(errno));
    if (ldr_compile(bytes, size, NULL, &code, &e) != LDR_OK ||
        ldr_instantiate(ldr_store_new(LDR_DOMAIN), code, path, &imports, NULL, NULL, &inst, &e) != LDR_OK)
        die("%s: %s", path, e.text);
    free(bytes);
    return inst;
}

static enum ldr_status call(struct ldr_instance *inst, const char *name, uint64_t *result) {
    uint32_t func;
    struct ldr_trap_info info;
    char text[400];
    if (!ldr_find_func(inst, name, &func)) die("%s has no export %s", ldr_name(inst), name);
    enum ldr_status s = ldr_call(bed.thread, inst, func, NULL, result, &info);
    if (s == LDR_TRAPPED && !bed.exited) {
        ldr_trap_format(&info, text, sizeof text);
        fflush(stdout);
        fprintf(stderr, "wasi-bed: trap: %s\n", text);
    }
    return s;
}

static const char *value_of(char *option) { // "NAME=VALUE": cuts it
    char *equals = option ? strchr(option, '=') : NULL;
    if (!equals) die("NAME=VALUE is expected; the file's comment says what there is");
    *equals = 0;
    return equals + 1;
}

int main(int argc, char **argv) {
    const char *wasi = "build/modules/wasi.wasm";
    uint64_t result = 0;
    int i = 1;
    host_init("wasi-bed");
    for (; i < argc && argv[i][0] == '-'; i++) {
        if (!strcmp(argv[i], "--env") && bed.envs < WORDS && i + 1 < argc) {
            bed.env[bed.envs++] = argv[++i];
        } else if (!strcmp(argv[i], "--blob") && bed.blobs < 8) {
            const char *file = value_of(argv[++i]);
            bed.blob[bed.blobs].name = argv[i];
            bed.blob[bed.blobs].bytes = host_read_file(file, &bed.blob[bed.blobs].size);
            if (!bed.blob[bed.blobs++].bytes) die("%s: %s", file, strerror(errno));
        } else if (!strcmp(argv[i], "--no-console")) {
            bed.console = false;
        } else if (!strcmp(argv[i], "--no-entropy")) {
            bed.entropy = false;
        } else if (!strcmp(argv[i], "--twice")) {
            bed.twice = true;
        } else if (!strcmp(argv[i], "--wasi") && i + 1 < argc) {
            wasi = argv[++i];
        } else {
            die("unknown or incomplete option %s", argv[i]);
        }
    }
    if (i == argc) die("usage: wasi-bed [OPTIONS] PROGRAM.wasm [ARGS...]");
    const char *program = argv[i++];
    for (; i < argc && bed.args < WORDS; i++) bed.arg[bed.args++] = argv[i];

    bed.thread = host_thread(1u << 20);
    bed.wasi = load(wasi, kernel);
    if (call(bed.wasi, "library_start", &result) != LDR_OK || (int32_t)result) {
        fflush(stdout);
        fprintf(stderr, "wasi-bed: the personality does not start (%d)\n", (int32_t)result);
        return 3;
    }
    enum ldr_status s = LDR_OK;
    for (int time = 0; time <= bed.twice; time++) {
        bed.exited = false;
        bed.life++;
        bed.program = load(program, personality);
        s = call(bed.program, "_start", &result);
        if (fflush(stdout)) return 2;
        if (ldr_is_dead(bed.wasi)) {
            fprintf(stderr, "wasi-bed: the personality died\n");
            return 3;
        }
    }
    return bed.exited ? bed.status & 255 : s == LDR_OK ? 0 : 134;
}
