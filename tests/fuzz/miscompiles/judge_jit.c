// judge_jit.c — the corpus through a JIT that miscompiles (miscompiles.py): is what it makes rejected, or harmless?
//
//   judge_jit FOLDER save    compiles the corpus and keeps the code in FOLDER       judge_jit FOLDER    compares with that
//
// Modules whose code is not what the good JIT made are looked at (with SFI_MUTANT=n this process is the n-th bad one, if it
// was linked with a bad one). What is accepted by the verifier must satisfy the policy (O2), and the functions that have changed
// run between guards (O3); a wrong result is no escape. Prints one line: "same=N refused=N rejected=N accepted=N ran=N rule=NAME",
// after "violation …" lines if something got out.
#include "loader/loader.h"
#include "sfi-jit/host/codefile.h"
#include "sfi-jit/host/host.h"
#include "sfi-jit/host/verify.h"
#include "tests/fuzz/exec.h"
#include "tests/fuzz/fuzz.h"
#include "tests/host/verify_policy.h"
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

int sfi_mutant; // the conditions that miscompiles.py put into the JIT ask for it

enum { RUN_FUNCS = 8, RUNS = 3, LARGEST = 64 << 10, CPU_SECONDS = 15 };
static unsigned same, refused, rejected, accepted, ran, violations;
static enum sfi_rule rule;

static bool alike(const struct sfi_code *a, const struct sfi_code *b) {
    return a->size == b->size && a->labels == b->labels && a->funcs == b->funcs &&
           a->data == b->data && memcmp(a->bytes, b->bytes, a->size) == 0 &&
           memcmp(a->func, b->func, a->funcs * sizeof *a->func) == 0 &&
           memcmp(a->label, b->label, a->labels * sizeof *a->label) == 0;
}

static bool changed(const struct sfi_code *good, const struct sfi_code *code, uint32_t f) {
    return f >= good->funcs || good->func[f].size != code->func[f].size ||
           memcmp(good->bytes + good->func[f].start, code->bytes + code->func[f].start,
                  code->func[f].size) != 0;
}

static void judge(const char *path, const struct sfi_code *good, const struct sfi_code *code) {
    uint32_t at;
    const char *wrong = vpolicy_block(code, &at);
    if (wrong) {
        printf("violation O2 %s: %s at +0x%x\n", path, wrong, at);
        violations++;
        return;
    }
    exec_load(code);
    unsigned funcs = 0;
    for (uint32_t i = 0; i < code->funcs && funcs < RUN_FUNCS; i++) {
        if (!changed(good, code, i)) continue;
        funcs++;
        for (unsigned run = 0; run < RUNS; run++, ran++) {
            enum exec_end end;
            wrong = exec_run(code, i, &end);
            if (!wrong) continue;
            printf("violation O3 %s: %s in function %u\n", path, wrong, i);
            violations++;
        }
    }
}

static void try_module(const char *path, const char *folder, bool save) {
    char saved[512];
    const char *name = strrchr(path, '/'), *unused;
    size_t size;
    uint8_t *bytes = host_read_file(path, &size);
    struct ldr_code *compiled;
    struct ldr_error error;
    struct sfi_rejection why;
    snprintf(saved, sizeof saved, "%s%s.code", folder, name);
    if (size > LARGEST) { // its code would be, too
        free(bytes);
        return;
    }
    enum ldr_status status = ldr_compile(bytes, size, NULL, &compiled, &error);
    const struct sfi_code *code = status == LDR_OK ? &ldr_code_jit(compiled)->sfi : NULL;
    if (save) {
        if (code && code->size <= LARGEST) codefile_save(saved, code);
        return;
    }
    struct sfi_code *good = codefile_load(saved, &unused);
    if (!good) return; // no code for it in the first place
    if (!code) {
        refused++;
    } else if (host_verify(code, &why) != SFI_ACCEPTED) {
        rejected++;
        rule = why.rule;
    } else if (alike(good, code)) {
        same++;
    } else {
        accepted++;
        judge(path, good, code);
    }
    free(bytes);
}

int main(int argc, char **argv) {
    glob_t files;
    // Some never end; a good one needs less than a second. (The timer of alarm() is exec.c's.)
    setrlimit(RLIMIT_CPU, &(struct rlimit){CPU_SECONDS, CPU_SECONDS});
    exec_setup();
    if (argc < 2 || glob("build/fuzz/corpus/*.wasm", 0, NULL, &files) != 0) return 2;
    const char *text = getenv("SFI_MUTANT");
    sfi_mutant = text ? atoi(text) : 0;
    for (size_t i = 0; i < files.gl_pathc; i++) try_module(files.gl_pathv[i], argv[1], argc > 2);
    printf("same=%u refused=%u rejected=%u accepted=%u ran=%u rule=%s\n", same, refused, rejected,
           accepted, ran, sfi_rule_name(rule));
    return violations ? 1 : 0;
}
