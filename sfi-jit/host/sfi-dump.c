// sfi-dump — what the compiler makes of a module: sfi-dump [--passes LETTERS] [--func N] [--asm] [--check] [-o OUT] FILE.wasm
//
// --passes i, o, m, r (compile.c) prints the named forms of each function, --func restricts that to one. Without --passes the tables
// of functions and the statistics are printed. --asm disassembles each function with objdump, its labels and their clean sets
// in between. -o writes the code as sfi-verify reads it. --check runs the compiler's own checks between passes.
// The code is verified in any case: exit status 1 if it is rejected, 2 if the module is refused.
#include "sfi-jit/host/codefile.h"
#include "sfi-jit/host/verify.h"
#include "sfi-jit/jit.h"
#include <inttypes.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct host {
    struct jit_host jit;
    jmp_buf failed;
};

static void *host_alloc(void *ctx, size_t bytes) {
    (void)ctx;
    return calloc(1, bytes);
}

static void host_release(void *ctx, void *chunk, size_t bytes) {
    (void)ctx;
    (void)bytes;
    free(chunk);
}

static _Noreturn void host_fail(void *ctx) { longjmp(((struct host *)ctx)->failed, 1); }

static void put(void *ctx, const char *text, size_t n) { fwrite(text, 1, n, ctx); }

// Ids for one module alone: the number of the first equal type.
static uint32_t sig_id(void *ctx, const struct wasm_functype *type) {
    const struct wasm_module *m = *(struct wasm_module **)ctx;
    uint32_t i = 0;
    while (!wasm_functype_equal(&m->type[i], type)) i++;
    return SFI_SIG_MAKE(i + 1, 0);
}

static uint8_t *read_file(const char *path, size_t *out_size) {
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END) != 0) {
        perror(path);
        exit(2);
    }
    size_t size = (size_t)ftell(f);
    uint8_t *bytes = malloc(size + 1);
    rewind(f);
    if (fread(bytes, 1, size, f) != size) {
        perror(path);
        exit(2);
    }
    fclose(f);
    *out_size = size;
    return bytes;
}

static void print_labels(const struct jit_code *c, const struct sfi_func *f) {
    static const char *const reg[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                      "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
    for (uint32_t i = 0; i < c->sfi.labels; i++) {
        const struct sfi_label *l = &c->sfi.label[i];
        if (l->offset < f->start || l->offset >= f->start + f->size) continue;
        printf("  label %x clean:", l->offset);
        for (unsigned r = 0; r < 16; r++)
            if (l->clean >> r & 1) printf(" %s", reg[r]);
        printf("\n");
    }
    for (uint32_t i = 0; i < c->sites; i++)
        if (c->site[i].code >= f->start && c->site[i].code < f->start + f->size)
            printf("  site %x wasm %x kind %u aux %u\n", c->site[i].code, c->site[i].wasm,
                   c->site[i].kind, c->site[i].aux);
}

static void disassemble(const struct jit_code *c, const struct sfi_func *f) {
    char path[] = "/tmp/sfi-dump-XXXXXX", command[200];
    int fd = mkstemp(path);
    if (fd < 0 || write(fd, c->bytes + f->start, f->size) != (ssize_t)f->size) {
        perror(path);
        exit(2);
    }
    close(fd);
    snprintf(command, sizeof command,
             "objdump -D -b binary -m i386:x86-64 -M intel --adjust-vma=0x%x %s | tail -n +8",
             f->start, path);
    fflush(stdout);
    if (system(command) != 0) fprintf(stderr, "sfi-dump: objdump failed\n");
    unlink(path);
}

static void print_code(const struct jit_code *c, const struct wasm_module *m, bool assembly,
                       uint32_t only) {
    for (uint32_t i = 0; i < c->sfi.funcs; i++) {
        const struct sfi_func *f = &c->sfi.func[i];
        uint32_t index = m->imported_funcs + i;
        if (only != UINT32_MAX && only != index) continue;
        struct wasm_name name = m->func[index].debug_name;
        printf("func %u %.*s: at %x, %u bytes, frame %u\n", index, (int)name.length,
               name.length ? name.text : "", f->start, f->size, f->frame);
        if (assembly) {
            print_labels(c, f);
            disassemble(c, f);
        }
    }
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int main(int argc, char **argv) {
    static struct host h;
    static struct jit_arena arena;
    static struct wasm_module *m;
    struct jit_options options = {
        .sig_id = sig_id, .ctx = &m, .dump_func = UINT32_MAX, .put = put, .put_ctx = stdout};
    const char *path = NULL, *save = NULL;
    bool assembly = false;
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i];
        bool more = i + 1 < argc;
        if (!strcmp(a, "--passes") && more)
            options.dump = argv[++i];
        else if (!strcmp(a, "--func") && more)
            options.dump_func = (uint32_t)strtoul(argv[++i], NULL, 0);
        else if (!strcmp(a, "-o") && more)
            save = argv[++i];
        else if (!strcmp(a, "--asm"))
            assembly = true;
        else if (!strcmp(a, "--check"))
            options.check = true;
        else
            path = a[0] == '-' ? NULL : a;
    }
    if (!path) {
        fprintf(
            stderr,
            "usage: sfi-dump [--passes LETTERS] [--func N] [--asm] [--check] [-o OUT] FILE.wasm\n");
        return 2;
    }
    size_t size;
    uint8_t *bytes = read_file(path, &size);
    h.jit = (struct jit_host){&h, host_alloc, host_release, host_fail};
    jit_arena_init(&arena, &h.jit, 0);
    if (setjmp(h.failed)) {
        fprintf(stderr, "%s: %s (offset %" PRIu32 ", function %" PRIu32 ")\n", path,
                arena.error.message, arena.error.offset, arena.error.func);
        return 2;
    }
    struct jit_code code;
    double start = seconds();
    m = wasm_parse(&arena, bytes, size);
    double parsed = seconds();
    jit_compile(&arena, m, &options, &code);
    double compiled = seconds();
    struct sfi_rejection why;
    bool accepted = host_verify(&code.sfi, &why) == SFI_ACCEPTED;
    double verified = seconds();
    if (assembly || !options.dump) print_code(&code, m, assembly, options.dump_func);
    if (!options.dump)
        printf("%u bytes of code from %u (%u of them no-ops), %u values, %u spill slots; "
               "parsed in %.1f ms, compiled in %.1f ms (%.1f MB/s), verified in %.2f ms\n",
               code.stats.code_bytes, code.stats.wasm_bytes, code.stats.nop_bytes, code.stats.ir_values,
               code.stats.spills, (parsed - start) * 1e3, (compiled - parsed) * 1e3,
               (double)size * 1e-6 / (compiled - parsed), (verified - compiled) * 1e3);
    if (save && !codefile_save(save, &code.sfi)) {
        perror(save);
        return 2;
    }
    if (accepted) return 0;
    printf("rejected: %s at %x: %s\n", sfi_rule_name(why.rule), why.offset, sfi_rule_text(why.rule));
    return 1;
}
