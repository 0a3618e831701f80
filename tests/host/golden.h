// golden.h — tests whose files say what comes out: FOLDER/*.wat hold a module and, behind ";;| ", the text that `make` makes of it;
// a line ";;passes NAME…" is for `make`. A file whose text differs is shown with what came out, and fails the test.
#ifndef TESTS_HOST_GOLDEN_H
#define TESTS_HOST_GOLDEN_H
#include "tests/host/wasm_case.h"
#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct text {
    char *s; // NULL: empty
    size_t n;
};

static inline void text_put(void *text, const char *s, size_t n) {
    struct text *t = text;
    t->s = realloc(t->s, t->n + n + 1);
    memcpy(t->s + t->n, s, n);
    t->n += n;
    t->s[t->n] = 0;
}

struct golden {
    struct wbytes module;
    char passes[256];
    struct text out;
};

static inline void golden_file(const char *path, void (*make)(struct golden *g)) {
    struct text expected = {0};
    struct golden g = {.module = wbytes_wat(path)};
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    char line[256];
    while (fgets(line, sizeof line, f)) {
        if (!strncmp(line, ";;| ", 4)) text_put(&expected, line + 4, strlen(line + 4));
        if (!strncmp(line, ";;passes ", 9)) strcpy(g.passes, line + 9);
    }
    fclose(f);
    make(&g);
    if (!expected.s || !g.out.s || strcmp(g.out.s, expected.s)) {
        fprintf(stderr, "# %s: what came out is\n%s# end\n", path, g.out.s ? g.out.s : "");
        fail();
    }
    free(expected.s);
    free(g.out.s);
    free(g.module.bytes);
}

// All of the folder's files, of which there are at least that many.
static inline void golden_folder(const char *folder, uint32_t least, void (*make)(struct golden *g)) {
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    uint32_t files = 0;
    for (struct dirent *e; (e = readdir(dir));) {
        char path[300];
        if (!strstr(e->d_name, ".wat")) continue;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        golden_file(path, make);
        files++;
    }
    closedir(dir);
    assert_true(files >= least);
}
#endif
