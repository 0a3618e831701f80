// run.c — times code under sfi-jit.
//
//   run FILE.wasm N CALLS [--profile FILE]            a kernel: its export `kernel` is called CALLS times with N, after one call
//                                                     that is not counted; one line of JSON on standard output
//   run FILE.wasm --wasi [--profile FILE] [ARGS…]     a WASI command: one run of it; the JSON is the last line on standard error
//
// The module takes the ordinary way: compile, verify, seal, instantiate. The JSON has the CPU time of each call in nanoseconds (that of ldr_call(),
// which adds less than a microsecond), a kernel's checksum, and what compiling and verifying took, best of some repetitions.
// A kernel that returns different numbers from call to call, a trap, a rejection or an exit status ≠ 0 ends with a message and status 1.
#include "bench/profile.h"
#include "loader/private.h"
#include "sfi-jit/host/host.h"
#include "sfi-jit/host/wasi.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STACK (64u << 20)
#define COMPILE_LEAST 3       // repetitions of compiling, and
#define COMPILE_MOST 9        // how many if they are quick:
#define COMPILE_NS 200000000u // less than this together
#define VERIFY 5              // repetitions

struct bench {
    const char *file, *profile;
    FILE *out;
    struct wasi wasi;
    struct ldr_code *code;
    struct ldr_thread *thread;
    struct ldr_instance *inst;
};

static _Noreturn void fail(const char *what, const char *why) {
    fprintf(stderr, "run: %s: %s\n", what, why);
    exit(1);
}

static uint64_t cpu_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}
static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

static bool resolve(void *ctx, const struct wasm_import *import, struct ldr_extern *out) {
    (void)ctx;
    *out = (struct ldr_extern){.kind = LDR_EXT_HOST, .host = wasi_find(import)};
    return out->host;
}

static void compile(struct bench *b) {
    uint64_t parse = UINT64_MAX, compile = UINT64_MAX, started = cpu_ns(), text = 0;
    struct ldr_error e;
    size_t size = 0;
    uint8_t *bytes = host_read_file(b->file, &size);
    if (!bytes) fail(b->file, strerror(errno));
    for (int i = 0; i < COMPILE_LEAST || (i < COMPILE_MOST && cpu_ns() - started < COMPILE_NS); i++) {
        uint64_t p, c;
        if (i) ldr_code_release(b->code);
        if (ldr_compile(bytes, size, NULL, &b->code, &e) != LDR_OK) fail("refused", e.text);
        ldr_code_cycles(b->code, &p, &c);
        parse = least(parse, p);
        compile = least(compile, c);
    }
    free(bytes);
    const struct jit_code *j = ldr_code_jit(b->code);
    for (uint32_t i = 0; i < j->sfi.funcs; i++) text += j->sfi.func[i].size;
    fprintf(b->out,
            "{\"module_bytes\": %zu, \"wasm_bytes\": %u, \"functions\": %u, \"code_bytes\": %u, "
            "\"text_bytes\": %" PRIu64 ", \"nop_bytes\": %u, \"values\": %u, \"spills\": %u, "
            "\"parse_s\": %.9f, \"compile_s\": %.9f, ",
            size, j->stats.wasm_bytes, j->sfi.funcs, j->sfi.size, text, j->stats.nop_bytes,
            j->stats.ir_values, j->stats.spills, host_cycle_seconds(parse),
            host_cycle_seconds(compile));
}

static void instantiate(struct bench *b) {
    struct ldr_error e;
    struct ldr_store *store = ldr_store_new(LDR_DOMAIN);
    struct ldr_imports imports = {NULL, resolve};
    struct ldr_limits limits = {.memory_pages = 65536, .table_rows = SFI_TABLE_ROWS};
    uint64_t verify = UINT64_MAX;
    if (!store) fail("store", "out of memory");
    b->thread = host_thread(STACK);
    for (int i = 0; i < VERIFY; i++) { // each instance's copy of the code is verified anew
        if (i) ldr_instance_free(b->inst);
        if (ldr_instantiate(store, b->code, "bench", &imports, &limits, &b->wasi, &b->inst, &e) != LDR_OK)
            fail("refused", e.text);
        verify = least(verify, ldr_verify_cycles(b->inst));
    }
    fprintf(b->out, "\"verify_s\": %.9f, \"ns\": [", host_cycle_seconds(verify));
    // Offsets are those that sfi-dump shows.
    if (b->profile) profile_start(b->inst->block.rx, ldr_code_jit(b->code)->sfi.size);
}

static uint64_t call(struct bench *b, const char *export, uint64_t argument) {
    struct ldr_trap_info info;
    uint64_t result = 0;
    uint32_t func;
    char text[400];
    if (!ldr_find_func(b->inst, export, &func)) fail(b->file, "no such export");
    enum ldr_status status = ldr_call(b->thread, b->inst, func, &argument, &result, &info);
    if (b->wasi.exited && !b->wasi.status) return 0;
    if (b->wasi.exited) fail(b->file, "exit status is not 0");
    if (status == LDR_OK) return result;
    ldr_trap_format(&info, text, sizeof text);
    fail("trap", text);
}

static void kernel(struct bench *b, uint64_t n, unsigned long calls) {
    uint64_t sum = 0;
    for (unsigned long i = 0; i <= calls; i++) {
        uint64_t before = cpu_ns(), result = call(b, "kernel", n), ns = cpu_ns() - before;
        if (i && result != sum) fail(b->file, "two calls return different sums");
        sum = result;
        if (i) fprintf(b->out, "%s%" PRIu64, i > 1 ? ", " : "", ns);
    }
    fprintf(b->out, "], \"checksum\": \"%016" PRIx64 "\"}\n", sum);
}

static void command(struct bench *b) {
    uint64_t before = cpu_ns();
    call(b, "_start", 0);
    fprintf(b->out, "%" PRIu64 "]}\n", cpu_ns() - before);
}

int main(int argc, char **argv) {
    host_init("run");
    bool wasi = argc > 2 && !strcmp(argv[2], "--wasi");
    struct bench b = {.file = argv[1], .out = wasi ? stderr : stdout};
    int next = wasi ? 3 : 4;
    if (argc > next + 1 && !strcmp(argv[next], "--profile")) {
        b.profile = argv[next + 1];
        next += 2;
    }
    if (argc < next || (!wasi && argc != next)) {
        fprintf(stderr, "usage: run FILE.wasm N CALLS [--profile FILE]\n"
                        "       run FILE.wasm --wasi [--profile FILE] [ARGS...]\n");
        return 2;
    }
    compile(&b);
    instantiate(&b);
    if (!wasi) {
        kernel(&b, strtoul(argv[2], NULL, 0), strtoul(argv[3], NULL, 0));
    } else {
        argv[next - 1] = argv[1]; // the command's own name, before its arguments
        b.wasi.arg = argv + next - 1;
        b.wasi.args = (uint32_t)(argc - next + 1);
        command(&b);
    }
    if (b.profile && !profile_stop(b.profile)) fail(b.profile, strerror(errno));
    return fflush(stdout) != 0;
}
