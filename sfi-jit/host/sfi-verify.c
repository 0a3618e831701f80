// sfi-verify — judge compiled modules as the kernel would: sfi-verify [--speed] FILE…
//
// FILE is what sfi-run --save and sfi-dump write (codefile.h). Prints "accepted" or the rule that rejected it, where,
// and the bundle it is in. Exit status: 0 all accepted, 1 one was rejected, 2 one could not be read.
#include "sfi-jit/host/codefile.h"
#include "sfi-jit/host/verify.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

// The bundle around `offset`, with the byte at `offset` marked.
static void print_bundle(const struct sfi_code *code, uint32_t offset) {
    uint32_t start = offset / SFI_BUNDLE * SFI_BUNDLE;
    for (uint32_t line = start; line < start + SFI_BUNDLE && line < code->size; line += 16) {
        printf("  %08x ", line);
        for (uint32_t i = line; i < line + 16 && i < code->size; i++)
            printf("%c%02x", i == offset ? '>' : ' ', code->bytes[i]);
        printf("\n");
    }
}

static void print_place(const struct sfi_code *code, uint32_t offset) {
    for (uint32_t i = 0; i < code->funcs; i++) {
        const struct sfi_func *f = &code->func[i];
        if (offset >= f->start && offset - f->start < f->size)
            printf(" (function %u + 0x%x)", i, offset - f->start);
    }
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

// Best of rounds of at least 50 ms each.
static void print_speed(const struct sfi_code *code) {
    double best = 0;
    for (int round = 0; round < 5; round++) {
        double start = now(), spent;
        unsigned long runs = 0;
        do {
            struct sfi_rejection unused;
            host_verify(code, &unused);
            runs++;
            spent = now() - start;
        } while (spent < 0.05);
        double speed = (double)runs * (double)code->size / spent * 1e-6;
        if (speed > best) best = speed;
    }
    printf("  %.0f MB/s\n", best);
}

static int judge(const char *path, bool speed) {
    const char *error;
    struct sfi_code *code = codefile_load(path, &error);
    if (!code) {
        fprintf(stderr, "%s: %s\n", path, error);
        return 2;
    }
    struct sfi_rejection why;
    bool accepted = host_verify(code, &why) == SFI_ACCEPTED;
    if (accepted) {
        printf("%s: accepted: %u bytes, %u functions, %u labels, %u jump tables, %u thunks\n", path,
               code->size, code->funcs, code->labels, code->jump_tables, code->thunks);
        if (speed) print_speed(code);
    } else {
        printf("%s: rejected: %s at 0x%x", path, sfi_rule_name(why.rule), why.offset);
        print_place(code, why.offset);
        printf(": %s\n", sfi_rule_text(why.rule));
        print_bundle(code, why.offset);
    }
    codefile_free(code);
    return accepted ? 0 : 1;
}

int main(int argc, char **argv) {
    bool speed = argc > 1 && strcmp(argv[1], "--speed") == 0;
    int worst = 0;
    if (argc < 2 + speed || argv[1 + speed][0] == '-') {
        fprintf(stderr, "usage: sfi-verify [--speed] FILE...\n");
        return 2;
    }
    for (int i = 1 + speed; i < argc; i++) {
        int status = judge(argv[i], speed);
        if (status > worst) worst = status;
    }
    return worst;
}
