// test_wasm.c — decoder and validator: refusals by name and place, every truncation and many mutations of good modules, names,
// memory that runs out, modules made to be expensive.
#include "sfi-jit/wasm/reader.h"
#include "tests/host/wasm_case.h"
#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t header[] = {0, 'a', 's', 'm', 1, 0, 0, 0};

static void parse(struct wcase *c, void *arg) {
    const struct wbytes *b = arg;
    wasm_parse(&c->arena, b->bytes, b->size);
}

static void build(struct wcase *c, void *arg) {
    const char *breach = wcase_build_all(c, arg);
    if (breach) fail_msg("%s", breach);
}

// Without ir_check(), which is slow on purpose.
static void build_unchecked(struct wcase *c, void *arg) {
    const struct wbytes *b = arg;
    const struct wasm_module *m = wasm_parse(&c->arena, b->bytes, b->size);
    for (uint32_t i = m->imported_funcs; i < m->funcs; i++) {
        struct jit_mark mark = jit_mark(&c->arena);
        ir_split_critical_edges(ir_build(&c->arena, m, i));
        jit_release(&c->arena, mark);
    }
}

// ---- Refusals --------------------------------------------------------------------------------------------------------------------
static enum jit_status status_named(const char *name) {
    static const char *const names[] = {"ok", "malformed", "invalid", "limit", "unsupported"};
    for (int s = 0; s < 5; s++)
        if (!strcmp(names[s], name)) return s;
    fail_msg("no status %s", name);
    return JIT_OK;
}

static void test_rejected(void **state) {
    (void)state;
    FILE *f = fopen("tests/wasm/rejected.txt", "r");
    assert_non_null(f);
    char line[512], status[32], message[128], hex[400];
    unsigned offset, lines = 0, wrong = 0;
    while (fgets(line, sizeof line, f)) {
        if (line[0] == '#') continue;
        assert_int_equal(
            sscanf(line, "%31s | %127[^|]| %u | %399[^\n]", status, message, &offset, hex), 4);
        message[strlen(message) - 1] = 0;
        bool raw = !strncmp(hex, "raw ", 4);
        struct wbytes tail = wbytes_hex(raw ? hex + 4 : hex), module = tail;
        if (!raw) {
            module = (struct wbytes){malloc(8 + tail.size), 8 + tail.size};
            memcpy(module.bytes, header, 8);
            memcpy(module.bytes + 8, tail.bytes, tail.size);
        }
        struct wcase c;
        wcase_begin(&c);
        enum jit_status got = wcase_try(&c, parse, &module);
        const struct jit_error *e = &c.arena.error;
        if (got != status_named(status) || strcmp(e->message, message) || e->offset != offset)
            wrong++, print_error("%s   got %d %s @%u\n", line, got, got ? e->message : "", e->offset);
        wcase_end(&c);
        if (!raw) free(module.bytes);
        free(tail.bytes);
        lines++;
    }
    fclose(f);
    assert_int_equal(wrong, 0);
    assert_true(lines > 30);
}

// ---- Truncations, mutations -----------------------------------------------------------------------------------------------------
static struct wbytes samples[16];
static uint32_t sample_count;

static int load_samples(void **state) {
    (void)state;
    DIR *dir = opendir("tests/ir");
    if (!dir) return -1;
    for (struct dirent *e; (e = readdir(dir));) {
        char path[300];
        if (!strstr(e->d_name, ".wat") || sample_count == 16) continue;
        snprintf(path, sizeof path, "tests/ir/%s", e->d_name);
        samples[sample_count++] = wbytes_wat(path);
    }
    closedir(dir);
    return sample_count ? 0 : -1;
}

static int free_samples(void **state) {
    (void)state;
    while (sample_count) free(samples[--sample_count].bytes);
    return 0;
}

static enum jit_status build_copy(const uint8_t *bytes, size_t size) {
    struct wbytes copy = wbytes_copy(bytes, size);
    struct wcase c;
    wcase_begin(&c);
    enum jit_status status = wcase_try(&c, build, &copy);
    wcase_end(&c);
    free(copy.bytes);
    return status;
}

static void test_truncations(void **state) {
    (void)state;
    for (uint32_t s = 0; s < sample_count; s++) {
        uint32_t good = 0;
        for (size_t n = 0; n < samples[s].size; n++) {
            enum jit_status status = build_copy(samples[s].bytes, n);
            if (status == JIT_OK)
                good++; // ends with a section
            else
                assert_int_equal(status, JIT_ERR_MALFORMED);
        }
        assert_true(good < 12);
        assert_int_equal(build_copy(samples[s].bytes, samples[s].size), JIT_OK);
    }
}

// Whatever passes must build into IR that the checker finds good.
static void test_mutations(void **state) {
    (void)state;
    static const uint8_t flips[] = {0x01, 0x06, 0x10, 0x7f, 0x80};
    uint32_t good = 0, bad = 0;
    for (uint32_t s = 0; s < sample_count; s++) {
        uint8_t *m = samples[s].bytes;
        for (size_t n = 8; n < samples[s].size; n++) {
            for (size_t k = 0; k < sizeof flips; k++) {
                m[n] ^= flips[k];
                enum jit_status status = build_copy(m, samples[s].size);
                m[n] ^= flips[k];
                assert_int_not_equal(status, JIT_ERR_INTERNAL);
                assert_int_not_equal(status, JIT_ERR_MEMORY);
                *(status == JIT_OK ? &good : &bad) += 1;
            }
        }
    }
    assert_true(good > 1000 && bad > 1000);
}

static void test_no_memory(void **state) {
    (void)state;
    for (size_t n = 1;; n++) {
        struct wcase c;
        wcase_begin(&c);
        c.fail_at = n;
        enum jit_status status = wcase_try(&c, build, &samples[0]);
        wcase_end(&c);
        if (status == JIT_OK) {
            assert_true(n > 1);
            return;
        }
        assert_int_equal(status, JIT_ERR_MEMORY);
    }
}

// ---- What a module says -----------------------------------------------------------------------------------------------------------
static void look_inside(struct wcase *c, void *arg) {
    const struct wbytes *b = arg;
    const struct wasm_module *m = wasm_parse(&c->arena, b->bytes, b->size);
    assert_int_equal(m->types, 1);
    assert_int_equal(m->funcs, 2);
    assert_int_equal(m->imported_funcs, 1);
    assert_int_equal(m->imports, 1);
    assert_int_equal(m->import[0].kind, WASM_FUNC);
    assert_memory_equal(m->import[0].module.text, "m", 1);
    assert_memory_equal(m->import[0].name.text, "f", 1);
    assert_int_equal(m->start, 1);
    assert_int_equal(m->customs, 2);
    assert_memory_equal(m->bytes + m->custom[0].start, "xyz", 3);
    assert_int_equal(m->custom[0].size, 3);
    const struct wasm_export *e = wasm_find_export(m, "go", WASM_FUNC);
    assert_non_null(e);
    assert_int_equal(e->index, 1);
    assert_true(m->func[1].declared_ref);
    assert_false(m->func[0].declared_ref);
    assert_null(wasm_find_export(m, "go", WASM_TABLE));
    assert_null(wasm_find_export(m, "g", WASM_FUNC));
    assert_int_equal(m->func[0].debug_name.length, 2);
    assert_memory_equal(m->func[0].debug_name.text, "ab", 2);
    assert_int_equal(m->func[1].debug_name.length, 0); // its name is broken: no error
    assert_int_equal(m->func[1].locals, 3);
    assert_int_equal(m->data[0].size, 2);
    assert_memory_equal(m->bytes + m->data[0].start, "hi", 2);
    assert_int_equal(m->data[0].offset.value, 0xfffffff0);
    assert_int_equal(m->memory[0].max, 4);
    assert_true(wasm_functype_equal(&m->type[0], &m->type[0]));
}

static void test_module(void **state) {
    (void)state;
    struct wbytes b = wbytes_hex("0061736d01000000"
                                 "00 05 01 78 78797a"            // custom "x": xyz
                                 "01 04 01 60 00 00"             // type
                                 "02 07 01 01 6d 01 66 00 00"    // import m.f
                                 "03 02 01 00"                   // function
                                 "05 04 01 01 01 04"             // memory 1 4
                                 "07 06 01 02 676f 00 01"        // export go
                                 "08 01 01"                      // start
                                 "0a 08 01 06 02 02 7f 01 7e 0b" // code: 3 locals
                                 "0b 08 01 00 41 70 0b 02 6869"  // data
                                 "00 12 04 6e616d65 01 09 02 00 02 6162 01 02 ff61 ffff");
    struct wcase c;
    wcase_begin(&c);
    enum jit_status status = wcase_try(&c, look_inside, &b);
    if (status) fail_msg("%s @%u", c.arena.error.message, c.arena.error.offset);
    wcase_end(&c);
    free(b.bytes);
}

static void test_utf8(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool good;
    } cases[] = {
        {"", true},
        {"plain", true},
        {"\xc2\x80\xdf\xbf", true},
        {"\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80", true},
        {"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", true},
        {"\x80", false},
        {"\xc1\xbf", false},
        {"\xc2", false},
        {"\xc2\xc0", false},
        {"\xe0\x9f\xbf", false},     // overlong
        {"\xed\xa0\x80", false},     // surrogate
        {"\xf0\x8f\xbf\xbf", false}, // overlong
        {"\xf4\x90\x80\x80", false}, // beyond U+10FFFF
        {"\xf5\x80\x80\x80", false},
        {"a\xe2\x82", false},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct wbytes b = wbytes_copy(cases[k].text, strlen(cases[k].text));
        assert_int_equal(wasm_is_utf8(b.bytes, (uint32_t)b.size), cases[k].good);
        free(b.bytes);
    }
}

// ---- Bombs -------------------------------------------------------------------------------------------------------------------------
struct writer {
    uint8_t *p;
    size_t n;
};

static void leb(struct writer *w, uint32_t value) {
    for (; value >= 0x80; value >>= 7) w->p[w->n++] = (uint8_t)(value | 0x80);
    w->p[w->n++] = (uint8_t)value;
}

static void bytes(struct writer *w, size_t times, const char *hex) {
    struct wbytes b = wbytes_hex(hex);
    for (; times; times--, w->n += b.size) memcpy(w->p + w->n, b.bytes, b.size);
    free(b.bytes);
}

// A module of `funcs` functions (i32) -> () with this body and 49,000 locals.
static enum jit_status explode(const struct writer *body, uint32_t funcs) {
    struct writer w = {malloc((body->n + 16) * (funcs + 1) + 64), 0},
                  code = {malloc((body->n + 16) * (funcs + 1)), 0};
    bytes(&w, 1, "0061736d01000000 0105 0160 01 7f 00 03");
    struct writer types = {malloc(funcs + 8), 0};
    leb(&types, funcs);
    bytes(&types, funcs, "00");
    leb(&w, (uint32_t)types.n);
    memcpy(w.p + w.n, types.p, types.n);
    w.n += types.n;
    leb(&code, funcs);
    for (uint32_t k = 0; k < funcs; k++) {
        leb(&code, (uint32_t)body->n + 5);
        bytes(&code, 1, "01 e8fe02 7f");
        memcpy(code.p + code.n, body->p, body->n);
        code.n += body->n;
    }
    w.p[w.n++] = 10;
    leb(&w, (uint32_t)code.n);
    memcpy(w.p + w.n, code.p, code.n);
    w.n += code.n;
    struct wbytes module = wbytes_copy(w.p, w.n);
    free(w.p);
    free(code.p);
    free(types.p);
    struct wcase c;
    wcase_begin(&c);
    enum jit_status status = wcase_try(&c, build_unchecked, &module);
    wcase_end(&c);
    free(module.bytes);
    return status;
}

static void write_locals(struct writer *w, uint32_t n) {
    for (uint32_t k = 1; k <= n; k++) {
        bytes(w, 1, "4101 21");
        leb(w, k);
    }
}

static void test_bombs(void **state) {
    (void)state;
    struct writer w = {malloc(8 << 20), 0};
    bytes(&w, 1, "0b");
    assert_int_equal(explode(&w, 20), JIT_OK);
    assert_int_equal(explode(&w, 30), JIT_ERR_LIMIT); // a million locals without code

    w.n = 0; // 49,000 locals written within 9,000 loops
    bytes(&w, 9000, "0340");
    write_locals(&w, 49000);
    bytes(&w, 9000, "2000 0d00 0b");
    bytes(&w, 1, "0b");
    assert_int_equal(explode(&w, 1), JIT_ERR_LIMIT);

    w.n = 0; // and with branches to one label between the writes
    bytes(&w, 1, "0240");
    for (uint32_t k = 1; k <= 49000; k++) {
        bytes(&w, 1, "2000 0d00 4101 21");
        leb(&w, k);
    }
    bytes(&w, 1, "0b 0b");
    assert_int_equal(explode(&w, 1), JIT_ERR_LIMIT);

    w.n = 0; // long, and harmless: 50,000 blocks one after the other among 49,000 locals
    bytes(&w, 50000, "0240 2000 0d00 4101 2105 0b");
    bytes(&w, 1, "0b");
    assert_int_equal(explode(&w, 1), JIT_OK);

    w.n = 0; // a table of 100,000 entries for four labels
    bytes(&w, 4, "0240");
    bytes(&w, 1, "2000 0e");
    leb(&w, 100000);
    bytes(&w, 25000, "00010203");
    bytes(&w, 1, "00 0b0b0b0b 0b");
    assert_int_equal(explode(&w, 1), JIT_OK);
    free(w.p);
}

static void test_deep_nesting(void **state) {
    (void)state;
    struct writer w = {malloc(1 << 20), 0};
    bytes(&w, 9999, "0240");
    bytes(&w, 10000, "0b");
    assert_int_equal(explode(&w, 1), JIT_OK);
    w.n = 0;
    bytes(&w, 10000, "0240");
    bytes(&w, 10001, "0b");
    assert_int_equal(explode(&w, 1), JIT_ERR_LIMIT);
    free(w.p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rejected),  cmocka_unit_test(test_truncations),
        cmocka_unit_test(test_mutations), cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_module),    cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_bombs),     cmocka_unit_test(test_deep_nesting),
    };
    return cmocka_run_group_tests(tests, load_samples, free_samples);
}
