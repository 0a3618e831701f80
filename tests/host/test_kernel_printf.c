// test_kernel_printf.c — the kernel's formatter against the C library's, for every combination that it promises to share.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sasos/lib/printf.c"

size_t str_len(const char *s) { return strlen(s); } // lib/mem.c, which would bring a second memcpy

// Same text, same length, at sizes around the truncation.
#define SAME(...)                                                                             \
    do {                                                                                      \
        for (size_t size = 0; size < 40; size += size < 4 ? 1 : 9) {                          \
            char want[64], got[64];                                                           \
            memset(want, '~', sizeof want), memset(got, '~', sizeof got);                     \
            int n = snprintf(want, size, __VA_ARGS__), m = ksnprintf(got, size, __VA_ARGS__); \
            assert_int_equal(n, m);                                                           \
            assert_memory_equal(want, got, sizeof got);                                       \
        }                                                                                     \
    } while (0)

static void integers(void **state) {
    (void)state;
    static const long long values[] = {0,
                                       1,
                                       -1,
                                       7,
                                       10,
                                       255,
                                       -128,
                                       65535,
                                       2147483647,
                                       -2147483648ll,
                                       4294967295ll,
                                       9223372036854775807ll,
                                       -9223372036854775807ll - 1};
    for (unsigned i = 0; i < sizeof values / sizeof *values; i++) {
        long long v = values[i];
        SAME("%d|%i", (int)v, (int)v);
        SAME("%u %x %X", (unsigned)v, (unsigned)v, (unsigned)v);
        SAME("%ld %lu", (long)v, (unsigned long)v);
        SAME("%lld", v);
        SAME("%llx", (unsigned long long)v);
        SAME("%zu", (size_t)v);
        SAME("%hd %hu", (short)v, (unsigned short)v);
        SAME("%hhd %hhx", (signed char)v, (unsigned char)v);
        SAME("%12d|%-12d|", (int)v, (int)v);
        SAME("%012d", (int)v);
        SAME("%020llx", (unsigned long long)v);
        SAME("%.3d|%.0d|%8.4d|%-8.4d|", (int)v, (int)v, (int)v, (int)v);
        SAME("%08.4x", (unsigned)v);
        SAME("%*d %-*d|", 6, (int)v, 6, (int)v);
        SAME("%*u", -9, (unsigned)v);
    }
}

static void texts(void **state) {
    (void)state;
    char raw[3] = {'a', 'b', 'c'}; // not terminated: a precision bounds it
    SAME("plain");
    SAME("%s", "");
    SAME("%s and %s", "one", "two");
    SAME("%10s|%-10s|", "right", "left");
    SAME("%.2s|%5.1s|", "cut", "cut");
    SAME("%.3s %.*s", raw, 2, raw);
    SAME("%c%c%3c|%-3c|", 'x', 'y', 'z', 'w');
    SAME("100%%");
    SAME("%p", (void *)0x1234abcd);
    SAME("%40s|", "a field longer than sixteen");
}

static void own(void **state) {
    (void)state;
    char buf[32];
    ksnprintf(buf, sizeof buf, "%s", (const char *)NULL);
    assert_string_equal(buf, "(null)");
    // A wrong conversion comes out as it stands, a lone percent sign too.
    const char *wrong = "a %y b %";
    ksnprintf(buf, sizeof buf, wrong, 1);
    assert_string_equal(buf, wrong);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(integers), cmocka_unit_test(texts),
                                       cmocka_unit_test(own)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
