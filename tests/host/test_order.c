// test_order.c — the order of blocks: tests/order/*.wat hold a module and, behind ";;| ", the order of each function's blocks as the dump
// after register allocation gives it (sfi-jit/x64/order.c).
#include "loader/private.h"
#include "sfi-jit/host/verify.h"
#include "tests/host/golden.h"

// Compiled, with the compiler's checks, and verified.
static void compile(struct wbytes module, struct text *out) {
    struct ldr_compile_options options = {
        .check = true, .dump = "r", .dump_func = UINT32_MAX, .put = text_put, .put_ctx = out};
    struct ldr_code *code;
    struct ldr_error e;
    struct sfi_rejection r;
    if (ldr_compile(module.bytes, module.size, &options, &code, &e) != LDR_OK)
        fail_msg("%s", e.text);
    if (host_verify(&ldr_code_jit(code)->sfi, &r) != SFI_ACCEPTED)
        fail_msg("%s", sfi_rule_text(r.rule));
    ldr_code_release(code);
}

static void orders_of(struct golden *g) {
    struct text dump = {0};
    compile(g->module, &dump);
    for (char *rest = dump.s, *l; (l = strtok_r(rest, "\n", &rest));)
        if (!strncmp(l, "  order ", 8)) {
            text_put(&g->out, l + 2, strlen(l + 2));
            text_put(&g->out, "\n", 1);
        }
    free(dump.s);
}

static void test_orders(void **state) {
    (void)state;
    golden_folder("tests/order", 2, orders_of);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_orders)};
    return cmocka_run_group_tests_name("order", tests, NULL, NULL);
}
