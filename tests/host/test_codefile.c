// test_codefile.c — files of compiled code: what is saved is loaded, and a file that is cut, longer or made up is refused.
#include "sfi-jit/host/codefile.h"
#include "tests/host/verify_case.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
// cmocka wants those first.
#include <cmocka.h>

static char path[] = "/tmp/test_codefile.XXXXXX";

static int setup(void **state) {
    struct vcase c;
    (void)state;
    int file = mkstemp(path);
    if (file < 0 || close(file) != 0) return -1;
    if (vcase_build(&c, "T:2:1 F:16:2 48 83 ec 10 L:rax 89 c0 48 83 c4 10 c3 cc pad data pool "
                        "d64:7 endpool J:2 d32:1 d32:2"))
        return -1;
    bool saved = codefile_save(path, &c.code);
    vcase_free(&c);
    return saved ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    return unlink(path);
}

static void test_round_trip(void **state) {
    (void)state;
    const char *error;
    struct sfi_code *code = codefile_load(path, &error);
    assert_non_null(code);
    assert_null(error);
    assert_int_equal(code->size, 112);
    assert_int_equal(code->thunks, 2);
    assert_int_equal(code->funcs, 1);
    assert_int_equal(code->labels, 1);
    assert_int_equal(code->jump_tables, 1);
    assert_int_equal(code->thunk_sigs[1], SFI_SIG_MAKE(1, 1));
    assert_int_equal(code->func->start, 64);
    assert_int_equal(code->func->frame, 16);
    assert_int_equal(code->label->offset, 68);
    assert_int_equal(code->label->clean, 1);
    assert_int_equal(code->pool, 96);
    assert_int_equal(code->pool_size, 8);
    assert_int_equal(code->data, 96);
    assert_int_equal(code->jump_table->offset, 104);
    assert_int_equal(code->bytes[96], 7);
    assert_int_equal((uintptr_t)code->bytes % SFI_BUNDLE, 0);
    codefile_free(code);
}

// The whole file is refused at any other length, and header fields may say anything (ASan watches).
static void test_damaged(void **state) {
    (void)state;
    const char *error;
    uint8_t data[512];
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(data, 1, sizeof data, file);
    fclose(file);
    assert_in_range(size, 100, sizeof data - 1);
    for (size_t cut = 0; cut <= size + 1; cut++) {
        uint8_t *copy = malloc(cut ? cut : 1);
        memcpy(copy, data, cut);
        struct sfi_code *code = codefile_parse(copy, cut, &error);
        assert_int_equal(code != NULL, cut == size);
        assert_int_equal(error == NULL, cut == size);
        codefile_free(code);
        free(copy);
    }
    for (size_t i = 0; i < 40; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            data[i] ^= 1u << bit;
            codefile_free(codefile_parse(data, size, &error));
            data[i] ^= 1u << bit;
        }
    }
}

static void test_no_file(void **state) {
    (void)state;
    const char *error;
    assert_null(codefile_load("/nonexistent", &error));
    assert_non_null(error);
    assert_null(codefile_load("/", &error)); // a folder: opens, but cannot be read
    assert_non_null(error);
    assert_false(codefile_save("/nonexistent/file", &(struct sfi_code){0}));
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_no_file),
    };
    return cmocka_run_group_tests_name("files of compiled code", tests, setup, teardown);
}
