// test_opt.c — the optimiser: what passes make of small modules, and that the intervals of opt_range() hold.
//
// tests/opt/*.wat hold a module, a line ";;passes NAME…", and behind ";;| " the dump of its functions after these passes. The IR
// is checked between them.
#include "sfi-jit/opt/opt.h"
#include "tests/host/golden.h"

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
    struct golden *g = arg;
    const struct wasm_module *m = wasm_parse(&c->arena, g->module.bytes, g->module.size);
    for (uint32_t i = m->imported_funcs; i < m->funcs; i++) {
        char names[sizeof g->passes], *rest = names;
        strcpy(names, g->passes);
        struct ir_func *f = ir_build(&c->arena, m, i);
        for (char *name; (name = strtok_r(rest, " \n", &rest));) run_pass(f, name);
        ir_dump(f, text_put, &g->out);
    }
}

static void optimised(struct golden *g) {
    struct wcase c;
    wcase_begin(&c);
    assert_int_equal(wcase_try(&c, optimise_all, g), JIT_OK);
    wcase_end(&c);
}

static void test_dumps(void **state) {
    (void)state;
    golden_folder("tests/opt", 9, optimised);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_dumps)};
    return cmocka_run_group_tests_name("opt", tests, NULL, NULL);
}
