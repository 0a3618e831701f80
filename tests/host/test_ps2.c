// test_ps2.c — the PS/2 driver's decoder (drivers/ps2/keys.c): layout, modifiers, grey keys, both scan code sets, and arbitrary bytes.
#include "drivers/ps2/keys.c"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void expect_set1(const char *codes, const char *want) {
    struct keys k = {.num_lock = true};
    char got[256] = "";
    for (; *codes; codes++) {
        uint8_t out[KEYS_BYTES];
        uint32_t n = keys_decode(&k, (uint8_t)*codes, out);
        strncat(got, (const char *)out, n);
    }
    assert_string_equal(got, want);
}

static void characters(void **state) {
    (void)state;
    expect_set1("\x1e\x9e\x30\xb0", "ab");
    expect_set1("\x2a\x1e\x9e\xaa\x1e", "Aa"); // shift held, then not
    expect_set1("\x36\x02\xb6\x02", "!1");     // right shift
    expect_set1("\x1d\x2e\x9d\x2e", "\x03"
                                    "c");        // control
    expect_set1("\xe0\x1d\x1a\xe0\x9d", "\x1b"); // right control, [
    expect_set1("\x38\x10\xb8\x10", "\x1bqq");   // alt
    expect_set1("\x3a\xba\x1e\x2a\x1e\xaa\x02\x3a\x1e",
                "Aa1a"); // caps lock turns shift round, for letters only
    expect_set1("\x1c\x0e\x0f\x39\x01", "\r\x7f\t \x1b");
    expect_set1("\x56\x2b", "\\\\");
}

static void other_keys(void **state) {
    (void)state;
    expect_set1("\xe0\x48\xe0\xc8\xe0\x50\xe0\x4b\xe0\x4d", "\x1b[A\x1b[B\x1b[D\x1b[C");
    expect_set1("\xe0\x2a\xe0\x47\xe0\xc7\xe0\xaa\x1e",
                "\x1b[Ha"); // shifts made up around a grey key do not shift
    expect_set1("\xe0\x52\xe0\x53\xe0\x49\xe0\x51\xe0\x4f", "\x1b[2~\x1b[3~\x1b[5~\x1b[6~\x1b[F");
    expect_set1("\x3b\x3e\x3f\x44\x57\x58", "\x1bOP\x1bOS\x1b[15~\x1b[21~\x1b[23~\x1b[24~");
    expect_set1("\x47\x52\x53\x4e\x37", "70.+*");
    expect_set1("\x45\xc5\x47\x4c\x4a", "\x1b[H5-"); // without num lock
    expect_set1("\x2a\x48\xaa\x48", "\x1b[A8");      // shift turns num lock round
    expect_set1("\xe0\x35\xe0\x1c\x2a\xe0\x35", "/\r/");
    expect_set1("\xe1\x1d\x45\xe1\x9d\xc5\x47", "7"); // Pause does not change num lock
    expect_set1("\xe0\x5b\x5b\x59\x7f\x1e", "a");     // keys that mean nothing here
}

static void second_set(void **state) {
    (void)state;
    static const uint8_t codes[] = {0x1c, 0xf0, 0x1c, 0x12, 0x32, 0xf0, 0x12, 0x32, 0xe0,
                                    0x75, 0xe0, 0xf0, 0x75, 0x83, 0xf0, 0x83, 0xe1, 0x14,
                                    0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77, 0x6c};
    struct keys k = {.num_lock = true};
    char got[64] = "";
    for (size_t i = 0; i < sizeof(codes); i++) {
        uint8_t out[KEYS_BYTES], one;
        if (keys_from_set2(&k, codes[i], &one))
            strncat(got, (const char *)out, keys_decode(&k, one, out));
    }
    assert_string_equal(got, "aBb\x1b[A\x1b[18~7");
}

// Whatever the keyboard sends: at most KEYS_BYTES, and nothing is read or written outside (the sanitizers watch).
static void any_bytes(void **state) {
    (void)state;
    struct keys k = {0};
    srandom(1);
    for (int i = 0; i < 1000000; i++) {
        uint8_t *out = malloc(KEYS_BYTES), one = (uint8_t)random();
        if (i & 0x10000 ? keys_from_set2(&k, one, &one) : true)
            assert_true(keys_decode(&k, one, out) <= KEYS_BYTES);
        free(out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(characters),
        cmocka_unit_test(other_keys),
        cmocka_unit_test(second_set),
        cmocka_unit_test(any_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
