// test_order.c — the order of blocks: tests/order/*.wat hold a module and, behind ";;| ", the order of each function's blocks as the dump
// after register allocation gives it (sfi-jit/x64/order.c).
#include "loader/private.h"
#include "sfi-jit/verify/verify.h"
#include "tests/host/wasm_case.h"
#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

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

// Compiled, with the compiler's checks, and verified.
static void compile(struct wbytes module, struct text *out) {
    struct ldr_compile_options options = {
        .check = true, .dump = "r", .dump_func = UINT32_MAX, .put = put, .put_ctx = out};
    struct ldr_code *code;
    struct ldr_error e;
    struct sfi_rejection r;
    if (ldr_compile(module.bytes, module.size, &options, &code, &e) != LDR_OK)
        fail_msg("%s", e.text);
    if (sfi_verify(&ldr_code_jit(code)->sfi, &r) != SFI_ACCEPTED)
        fail_msg("%s", sfi_rule_text(r.rule));
    ldr_code_release(code);
}

static void compare(const char *path) {
    struct text expected = {0}, orders = {0}, dump = {0};
    struct wbytes module = wbytes_wat(path);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    char line[256];
    while (fgets(line, sizeof line, f))
        if (!strncmp(line, ";;| ", 4)) put(&expected, line + 4, strlen(line + 4));
    fclose(f);
    compile(module, &dump);
    for (char *rest = dump.s, *l; (l = strtok_r(rest, "\n", &rest));)
        if (!strncmp(l, "  order ", 8)) {
            put(&orders, l + 2, strlen(l + 2));
            put(&orders, "\n", 1);
        }
    if (!expected.s || !orders.s || strcmp(orders.s, expected.s)) {
        fprintf(stderr, "# %s: the orders are\n%s# end\n", path, orders.s);
        fail();
    }
    free(expected.s);
    free(orders.s);
    free(dump.s);
    free(module.bytes);
}

static void test_orders(void **state) {
    (void)state;
    DIR *dir = opendir("tests/order");
    assert_non_null(dir);
    uint32_t files = 0;
    for (struct dirent *e; (e = readdir(dir));) {
        char path[300];
        if (!strstr(e->d_name, ".wat")) continue;
        snprintf(path, sizeof path, "tests/order/%s", e->d_name);
        compare(path);
        files++;
    }
    closedir(dir);
    assert_true(files >= 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_orders)};
    return cmocka_run_group_tests_name("order", tests, NULL, NULL);
}
