// run.c — times one kernel under sfi-jit: run FILE.wasm N CALLS [--profile FILE]
//
// The module takes the ordinary way (compile, verify, seal, instantiate); then its export `kernel` is called CALLS times with N, after one
// call that is not counted. Prints one line of JSON: the checksum, the CPU time of each call in nanoseconds, and what compiling cost, best of
// some repetitions. The time is that of ldr_call(), which adds less than a microsecond. A kernel that returns different numbers from
// call to call, a trap or a rejection ends with a message and status 1.
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

// Compiles several times, as long as it takes little: *out_code is the last one, the times are the best.
static void compile(const uint8_t *bytes, size_t size, struct ldr_code **out_code) {
    uint64_t parse = UINT64_MAX, compile = UINT64_MAX, started = cpu_ns();
    struct ldr_error e;
    for (int i = 0; i < 2 || (i < 9 && cpu_ns() - started < 200000000); i++) {
        uint64_t p, c;
        if (i) ldr_code_release(*out_code);
        if (ldr_compile(bytes, size, NULL, out_code, &e) != LDR_OK) die("refused: %s", e.text);
        ldr_code_cycles(*out_code, &p, &c);
        parse = least(parse, p);
        compile = least(compile, c);
    }
    const struct jit_code *j = ldr_code_jit(*out_code);
    const struct sfi_code *s = &j->sfi;
    uint64_t text = 0;
    for (uint32_t i = 0; i < s->funcs; i++) text += s->func[i].size;
    printf("{\"wasm_bytes\": %u, \"functions\": %u, \"code_bytes\": %u, \"text_bytes\": %" PRIu64
           ", \"nop_bytes\": %u, "
           "\"values\": %u, \"spills\": %u, \"parse_s\": %.9f, \"compile_s\": %.9f, ",
           j->stats.wasm_bytes, s->funcs, s->size, text, j->stats.nop_bytes, j->stats.ir_values,
           j->stats.spills, host_cycle_seconds(parse), host_cycle_seconds(compile));
}

int main(int argc, char **argv) {
    size_t size = 0;
    struct ldr_code *code;
    struct ldr_instance *inst;
    struct ldr_error e;
    struct ldr_trap_info info;
    struct wasi wasi = {0};
    uint32_t func;
    char text[400];
    host_init("bench");
    if (argc != 4 && !(argc == 6 && !strcmp(argv[4], "--profile")))
        die("usage: run FILE.wasm N CALLS [--profile FILE]");
    uint8_t *bytes = host_read_file(argv[1], &size);
    if (!bytes) die("%s: %s", argv[1], strerror(errno));
    uint64_t n = strtoul(argv[2], NULL, 0), sum = 0;
    unsigned long calls = strtoul(argv[3], NULL, 0);
    compile(bytes, size, &code);

    struct ldr_thread *thread = host_thread(STACK);
    struct ldr_store *store = ldr_store_new(LDR_DOMAIN);
    struct ldr_imports imports = {NULL, resolve};
    struct ldr_limits limits = {.memory_pages = 65536, .table_rows = SFI_TABLE_ROWS};
    uint64_t verify = UINT64_MAX;
    for (int i = 0; i < 5; i++) { // instances of the same code: each is verified anew
        if (!store ||
            ldr_instantiate(store, code, "kernel", &imports, &limits, &wasi, &inst, &e) != LDR_OK)
            die("refused: %s", e.text);
        verify = least(verify, ldr_verify_cycles(inst));
        if (i < 4) ldr_instance_free(inst);
    }
    printf("\"verify_s\": %.9f, \"ns\": [", host_cycle_seconds(verify));
    if (!ldr_find_func(inst, "kernel", &func)) die("no export \"kernel\"");
    if (argc == 6)
        profile_start(inst->block.rx, ldr_code_jit(code)->sfi.size); // offsets are those of sfi-dump
    for (unsigned long i = 0; i <= calls; i++) {
        uint64_t result = 0, start = cpu_ns();
        if (ldr_call(thread, inst, func, &n, &result, &info) != LDR_OK) {
            ldr_trap_format(&info, text, sizeof text);
            die("trap: %s", text);
        }
        uint64_t ns = cpu_ns() - start;
        if (i && result != sum)
            die("two calls, two results: %016" PRIx64 ", %016" PRIx64, sum, result);
        sum = result;
        if (i) printf("%s%" PRIu64, i > 1 ? ", " : "", ns);
    }
    printf("], \"checksum\": \"%016" PRIx64 "\"}\n", sum);
    if (argc == 6 && !profile_stop(argv[5])) die("%s: %s", argv[5], strerror(errno));
    return fflush(stdout) != 0;
}
