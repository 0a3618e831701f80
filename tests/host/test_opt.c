// test_opt.c — the optimiser: what passes make of small modules, and that the intervals of opt_range() hold.
//
// tests/opt/*.wat hold a module, a line ";;passes NAME…", and behind ";;| " the dump of its functions after these passes. The IR
// is checked between them.
#include "sfi-jit/opt/opt.h"
#include "tests/host/wasm_case.h"
#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void direct(struct ir_func *f) { opt_direct(f, opt_tables(f->arena, f->module)); }

static const struct {
    const char *name;
    void (*run)(struct ir_func *f);
} pass[] = {
    {"inline", opt_inline}, {"merge", opt_merge},   {"licm", opt_licm},
    {"fold", opt_fold},     {"gvn", opt_gvn},       {"address", opt_address},
    {"dead", opt_dead},     {"rebase", opt_rebase}, {"split", ir_split_critical_edges},
    {"sink", opt_sink},     {"direct", direct},     {"bytes", opt_bytes},
};

struct text {
    char *s;
    size_t n;
};

static void put(void *ctx, const char *s, size_t n) {
    struct text *t = ctx;
    t->s = realloc(t->s, t->n + n + 1);
    memcpy(t->s + t->n, s, n);
    t->n += n;
    t->s[t->n] = 0;
}

struct job {
    struct wbytes module;
    char passes[256];
    struct text out;
};

static void run_pass(struct ir_func *f, const char *name) {
    for (size_t k = 0; k < sizeof pass / sizeof *pass; k++)
        if (!strcmp(pass[k].name, name)) {
            pass[k].run(f);
            assert_null(ir_check(f));
            return;
        }
    fail_msg("no pass %s", name);
}

static void optimise_all(struct wcase *c, void *arg) {
    struct job *j = arg;
    const struct wasm_module *m = wasm_parse(&c->arena, j->module.bytes, j->module.size);
    for (uint32_t i = m->imported_funcs; i < m->funcs; i++) {
        char names[sizeof j->passes], *rest = names;
        strcpy(names, j->passes);
        struct ir_func *f = ir_build(&c->arena, m, i);
        for (char *name; (name = strtok_r(rest, " \n", &rest));) run_pass(f, name);
        ir_dump(f, put, &j->out);
    }
}

static void compare(const char *path) {
    struct text expected = {0};
    struct job j = {.module = wbytes_wat(path)};
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    char line[256];
    while (fgets(line, sizeof line, f)) {
        if (!strncmp(line, ";;| ", 4)) put(&expected, line + 4, strlen(line + 4));
        if (!strncmp(line, ";;passes ", 9)) strcpy(j.passes, line + 9);
    }
    fclose(f);
    struct wcase c;
    wcase_begin(&c);
    assert_int_equal(wcase_try(&c, optimise_all, &j), JIT_OK);
    wcase_end(&c);
    if (!expected.s || strcmp(j.out.s, expected.s)) {
        fprintf(stderr, "# %s: the dump is\n%s# end\n", path, j.out.s);
        fail();
    }
    free(expected.s);
    free(j.out.s);
    free(j.module.bytes);
}

static void test_dumps(void **state) {
    (void)state;
    DIR *dir = opendir("tests/opt");
    assert_non_null(dir);
    uint32_t files = 0;
    for (struct dirent *e; (e = readdir(dir));) {
        char path[300];
        if (!strstr(e->d_name, ".wat")) continue;
        snprintf(path, sizeof path, "tests/opt/%s", e->d_name);
        compare(path);
        files++;
    }
    closedir(dir);
    assert_true(files >= 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_dumps)};
    return cmocka_run_group_tests_name("opt", tests, NULL, NULL);
}
