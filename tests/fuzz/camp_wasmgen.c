// wasmgen — writes generated modules, and what the JIT makes of them, for camp_wasm.py to compare with other engines.
//
// With --corpus FOLDER, module i is FOLDER/i.wasm and FOLDER/i.sfi has a line an export: "r0 i64 HEX", or "r0 trap KIND".
// Every module must compile, be accepted by the verifier and link: an invalid or rejected one is a violation.
#include "loader/loader.h"
#include "sfi-jit/host/host.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/wgen.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct ldr_thread *thread;

static void setup(void) {
    host_init("wasmgen");
    thread = host_thread(1 << 20);
}

static bool resolve(void *ctx, const struct wasm_import *import, struct ldr_extern *out) {
    return (void)ctx, (void)import, (void)out, false;
}

static void call(struct ldr_instance *inst, const char *name, FILE *out) {
    uint32_t func;
    uint64_t result = 0;
    struct ldr_trap_info info = {0};
    if (!ldr_find_func(inst, name, &func)) return;
    enum ldr_status status = ldr_call(thread, inst, func, NULL, &result, &info);
    fuzz_counts.executed++;
    if (status == LDR_TRAPPED) fuzz_counts.faults++;
    if (!out) return;
    if (status == LDR_OK)
        fprintf(out, "%s i64 %llx\n", name, (unsigned long long)result);
    else
        fprintf(out, "%s trap %s\n", name,
                status == LDR_TRAPPED ? ldr_trap_text(info.kind) : ldr_status_text(status));
}

static void run(struct ldr_code *code, unsigned exports, FILE *out, const uint8_t *bytes, size_t size) {
    struct ldr_store *store = ldr_store_new(LDR_STORE);
    struct ldr_imports imports = {NULL, resolve};
    struct ldr_instance *inst;
    struct ldr_error error;
    if (ldr_instantiate(store, code, "m", &imports, NULL, NULL, &inst, &error) != LDR_OK) {
        fuzz_violation("O6", bytes, (unsigned)size, NULL, "%s", error.text);
    } else {
        fuzz_counts.accepted++;
        for (unsigned i = 0; i < exports; i++) call(inst, (char[]){'r', (char)('0' + i), 0}, out);
        call(inst, "h", out);
    }
    ldr_store_free(store);
}

static void item(uint64_t i) {
    static uint8_t bytes[WGEN_MAX];
    unsigned exports;
    size_t size = wgen_module(bytes, &exports);
    if (!size) return; // too large
    FILE *out = NULL;
    if (fuzz_corpus) {
        char path[512];
        snprintf(path, sizeof path, "%s/%llu.wasm", fuzz_corpus, (unsigned long long)i);
        out = fopen(path, "w");
        if (out) fwrite(bytes, 1, size, out), fclose(out);
        snprintf(path, sizeof path, "%s/%llu.sfi", fuzz_corpus, (unsigned long long)i);
        out = fopen(path, "w");
    }
    fuzz_counts.tried++;
    struct ldr_code *code;
    struct ldr_error error;
    struct ldr_compile_options options = {.check = true};
    if (ldr_compile(bytes, size, &options, &code, &error) != LDR_OK) {
        fuzz_violation("O6", bytes, (unsigned)size, NULL, "%s", error.text);
    } else {
        run(code, exports, out, bytes, size);
        ldr_code_release(code);
    }
    if (out) fclose(out);
}

int main(int argc, char **argv) {
    static const struct fuzz_campaign campaign = {"wasmgen", 0, true, setup, item};
    return fuzz_main(argc, argv, &campaign);
}
