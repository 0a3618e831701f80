// verdicts.c — one number for what this verifier says about many blocks: the cases of tests/verify/*.txt, each as it is and with up
// to three random bytes changed. Builds of the verifier by different compilers must agree on it (tests/escape/test_compilers.py): so a
// verifier that one of them has miscompiled is found. `verdicts COPIES` prints blocks, accepted ones, and the number.
#include "sfi-jit/host/verify.h"
#include "tests/host/verify_case.h"
#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t blocks, accepted, number = 1469598103934665603u, seed = 1;

static uint64_t next_random(void) {
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return seed;
}

static void judge(const struct vcase *c) {
    struct sfi_rejection why;
    host_verify(&c->code, &why);
    blocks++;
    accepted += !why.rule;
    number = (number ^ why.rule) * 1099511628211u;
    number = (number ^ why.offset) * 1099511628211u;
}

static void try_line(const char *line, unsigned copies) {
    char name[64], expect[24];
    int used = 0;
    struct vcase c;
    if (line[0] == '#' || sscanf(line, "%63s %23s %n", name, expect, &used) != 2 ||
        vcase_build(&c, line + used))
        return;
    judge(&c);
    bool changeable = c.bytes && c.code.size - 1 < SFI_CODE_MAX; // some cases lie about their size
    for (unsigned i = 0; i < copies && changeable; i++) {
        uint32_t at[3];
        uint8_t old[3];
        unsigned n = 1 + next_random() % 3;
        for (unsigned k = 0; k < n; k++) {
            at[k] = (uint32_t)(next_random() % c.code.size);
            old[k] = c.bytes[at[k]];
            c.bytes[at[k]] =
                (uint8_t)(next_random() & 1 ? next_random() : old[k] ^ 1u << next_random() % 8);
        }
        judge(&c);
        while (n-- > 0) c.bytes[at[n]] = old[n];
    }
    vcase_free(&c);
}

int main(int argc, char **argv) {
    glob_t files;
    unsigned copies = argc == 2 ? (unsigned)atoi(argv[1]) : 0;
    if (!copies || glob("tests/verify/*.txt", 0, NULL, &files) != 0) return 2;
    for (size_t i = 0; i < files.gl_pathc; i++) {
        char line[4096];
        FILE *file = fopen(files.gl_pathv[i], "r");
        while (file && fgets(line, sizeof line, file)) try_line(line, copies);
        if (file) fclose(file);
    }
    globfree(&files);
    printf("%lu blocks, %lu accepted, %016lx\n", blocks, accepted, number);
    return 0;
}
