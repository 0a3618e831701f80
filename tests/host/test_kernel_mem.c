// test_kernel_mem.c — the kernel's memcpy, memmove, memset and memcmp, exhaustively over small lengths and distances.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define memcpy kernel_memcpy
#define memmove kernel_memmove
#define memset kernel_memset
#define memcmp kernel_memcmp
#include "sasos/lib/mem.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp

#define SIZE 120
static uint8_t got[SIZE], want[SIZE];

static void fill(void) {
    for (unsigned i = 0; i < SIZE; i++) got[i] = want[i] = (uint8_t)(i * 7 + 1);
}

static void moves(void **state) {
    (void)state;
    for (unsigned from = 0; from < 50; from++)
        for (unsigned to = 0; to < 50; to++)
            for (unsigned n = 0; n < 70; n++) {
                fill();
                uint8_t copy[70];
                for (unsigned i = 0; i < n; i++) copy[i] = want[from + i];
                for (unsigned i = 0; i < n; i++) want[to + i] = copy[i];
                assert_ptr_equal(kernel_memmove(got + to, got + from, n), got + to);
                assert_memory_equal(got, want, SIZE);
                if (from < to + n && to < from + n) continue;
                fill();
                for (unsigned i = 0; i < n; i++) want[to + i] = want[from + i];
                assert_ptr_equal(kernel_memcpy(got + to, got + from, n), got + to);
                assert_memory_equal(got, want, SIZE);
            }
}

static void sets(void **state) {
    (void)state;
    for (unsigned at = 0; at < 20; at++)
        for (unsigned n = 0; n < 70; n++) {
            fill();
            for (unsigned i = 0; i < n; i++) want[at + i] = 0xc3;
            assert_ptr_equal(kernel_memset(got + at, 0x5c3, n), got + at); // only the low byte counts
            assert_memory_equal(got, want, SIZE);
        }
}

static void compares(void **state) {
    (void)state;
    for (unsigned n = 0; n < 40; n++)
        for (unsigned at = 0; at < 40; at++) {
            fill();
            got[at] = 0xff, want[at] = 1; // as unsigned bytes
            int r = kernel_memcmp(got, want, n);
            assert_true(at < n ? r > 0 : r == 0);
            assert_true(at < n ? kernel_memcmp(want, got, n) < 0 : 1);
        }
}

static void strings(void **state) {
    (void)state;
    char small[4];
    str_copy(small, sizeof small, "abcdef");
    assert_string_equal(small, "abc");
    str_copy(small, sizeof small, "x");
    assert_string_equal(small, "x");
    str_copy(small, 0, "y");
    assert_string_equal(small, "x");
    assert_true(str_eq("", "") && str_eq("ab", "ab") && !str_eq("ab", "abc") && !str_eq("abc", "ab"));
    assert_int_equal(str_len("four"), 4);
    assert_int_equal(ALIGN_UP(4097, 4096), 8192);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(moves), cmocka_unit_test(sets),
                                       cmocka_unit_test(compares), cmocka_unit_test(strings)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
