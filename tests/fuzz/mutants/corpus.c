// corpus.c — the names of all cases of tests/verify/*.txt on which this verifier's verdict is not the one that is written
// there, one a line. With SFI_MUTANT (runtime.c) it tells which check a case depends on.
#include "sfi-jit/host/verify.h"
#include "tests/host/verify_case.h"
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

static void try_line(const char *line) {
    char name[64], expect[24];
    int used = 0;
    struct vcase c;
    struct sfi_rejection why;
    if (line[0] == '#' || sscanf(line, "%63s %23s %n", name, expect, &used) != 2 ||
        vcase_build(&c, line + used))
        return;
    host_verify(&c.code, &why);
    if (strcmp(why.rule ? sfi_rule_name(why.rule) : "accept", expect) != 0) puts(name);
    vcase_free(&c);
}

int main(void) {
    glob_t files;
    setrlimit(RLIMIT_CPU, &(struct rlimit){2, 2}); // some mutants never end
    if (glob("tests/verify/*.txt", 0, NULL, &files) != 0) return 2;
    for (size_t i = 0; i < files.gl_pathc; i++) {
        char line[4096];
        FILE *file = fopen(files.gl_pathv[i], "r");
        while (file && fgets(line, sizeof line, file)) try_line(line);
        if (file) fclose(file);
    }
    globfree(&files);
    return 0;
}
