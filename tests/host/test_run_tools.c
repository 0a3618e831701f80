// test_run_tools.c — the small parts of the hosted tools: JSON, values as text.
#include "sfi-jit/host/json.h"
#include "sfi-jit/host/value.h"
#include "sfi-jit/wasm/module.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct json *parse(const char *text, size_t length, unsigned *line) {
    char *copy = malloc(length ? length : 1); // ASan sees a step too far
    memcpy(copy, text, length);
    struct json *j = json_parse(copy, length, line);
    free(copy);
    return j;
}

static void json_values(void **state) {
    (void)state;
    unsigned line;
    static const char text[] =
        " {\"a\": [1, -2.5e+3, true, false, null, {}], \"b\":\n \"x\\\"\\\\\\/\\n\\u0041\\u00e9"
        "\\u20ac\\ud83d\\ude00\\u0000z\", \"deep\": {\"c\": \"d\"}} ";
    struct json *j = parse(text, strlen(text), &line);
    assert_non_null(j);
    const struct json *a = json_get(j, "a"), *b = json_get(j, "b");
    assert_int_equal(a->kind, JSON_ARRAY);
    assert_string_equal(a->first->text, "1");
    assert_string_equal(a->first->next->text, "-2.5e+3");
    assert_int_equal(a->first->next->next->kind, JSON_TRUE);
    assert_int_equal(b->length, 17);
    assert_memory_equal(b->text, "x\"\\/\nA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\0z", 17);
    assert_string_equal(json_text(json_get(j, "deep"), "c"), "d");
    assert_null(json_get(j, "c"));
    assert_null(json_text(NULL, "c"));
    json_free(j);
    // Cut anywhere it is no JSON, and nothing is read beyond the cut.
    for (size_t n = 0; n < strlen(text) - 1; n++) assert_null(parse(text, n, &line));
}
static void json_mistakes(void **state) {
    (void)state;
    static const char *const wrong[] = {"",       "{",        "[1,]",    "{\"a\" 1}",
                                        "{a: 1}", "tru",      "\"\\x\"", "\"\\u12\"",
                                        "[1] 2",  "{\"a\":}", "nul",     "\"abc"};
    unsigned line;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_null(parse(wrong[i], strlen(wrong[i]), &line));
    assert_null(parse("[1,\n2,\n x]", 10, &line));
    assert_int_equal(line, 3);
    char deep[400];
    memset(deep, '[', sizeof deep);
    assert_null(parse(deep, sizeof deep, &line));
}

static void values(void **state) {
    (void)state;
    static const struct {
        uint8_t type;
        const char *text;
        bool ok;
        uint64_t bits;
    } cases[] = {
        {WASM_I32, "-2147483648", true, 0x80000000},
        {WASM_I32, "4294967295", true, 0xffffffff},
        {WASM_I32, "-2147483649", false, 0},
        {WASM_I32, "0x100000000", false, 0},
        {WASM_I32, "-0x80000000", true, 0x80000000},
        {WASM_I32, "", false, 0},
        {WASM_I32, "-", false, 0},
        {WASM_I32, "--1", false, 0},
        {WASM_I32, " 1", false, 0},
        {WASM_I32, "1 ", false, 0},
        {WASM_I32, "0x", false, 0},
        {WASM_I64, "18446744073709551615", true, UINT64_MAX},
        {WASM_I64, "18446744073709551616", false, 0},
        {WASM_I64, "-9223372036854775808", true, 1ull << 63},
        {WASM_I64, "-9223372036854775809", false, 0},
        {WASM_F32, "1.5", true, 0x3fc00000},
        {WASM_F32, "-0", true, 0x80000000},
        {WASM_F32, "inf", true, 0x7f800000},
        {WASM_F32, "-nan", true, 0xffc00000},
        {WASM_F32, "nan:0x1", true, 0x7f800001},
        {WASM_F32, "nan:0x800000", false, 0},
        {WASM_F32, "nan:0x0", false, 0},
        {WASM_F32, "1e400", true, 0x7f800000},
        {WASM_F32, "infinity", false, 0},
        {WASM_F64, "0x1.8p1", true, 0x4008000000000000},
        {WASM_F64, "nan:0x8000000000001", true, 0x7ff8000000000001},
        {WASM_F64, "one", false, 0},
        {WASM_EXTERNREF, "null", true, 0},
        {WASM_EXTERNREF, "1", false, 0},
        {WASM_V128, "1", false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t bits = 0;
        bool ok = value_parse(cases[i].type, cases[i].text, &bits);
        if (ok != cases[i].ok || (ok && bits != cases[i].bits)) fail_msg("%s", cases[i].text);
        if (!ok || cases[i].type == WASM_EXTERNREF) continue;
        char text[64];
        uint64_t again;
        value_print(cases[i].type, bits, text, sizeof text); // what is printed can be read
        assert_true(value_parse(cases[i].type, text, &again) && again == bits);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_values),
        cmocka_unit_test(json_mistakes),
        cmocka_unit_test(values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
