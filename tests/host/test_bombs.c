// test_bombs.c — modules made to cost the compiler more than their size: time and memory stay linear, limits have names.
//
// Each shape is compiled at two sizes, the second four times the first: its memory is bounded by a constant a byte of module, and it may
// take ten times as long, of processor time and at best of three tries (quadratic would be sixteen times). What is compiled goes
// through the verifier, which has the same to prove.
#include "loader/loader.h"
#include "sfi-jit/host/host.h"
#include "sfi-jit/host/verify.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define MEMORY_A_BYTE 1200u // of the compiler's, the arena's doubling included
#define MEMORY_BASE (32u << 20)

static uint8_t *module;
static uint32_t size, room;

// ---- writing --------------------------------------------------------------------------------------------------------------------
static void byte(unsigned b) {
    if (size == room) {
        room = room ? 2 * room : 1 << 20;
        if (!(module = realloc(module, room))) abort();
    }
    module[size++] = (uint8_t)b;
}
static void leb(uint32_t v) {
    for (; v >= 0x80; v >>= 7) byte(v | 0x80);
    byte(v);
}
// Hexadecimal text, n times.
static void hex(uint32_t n, const char *text) {
    while (n--)
        for (const char *p = text; *p;) {
            unsigned b;
            if (*p == ' ') {
                p++;
                continue;
            }
            if (sscanf(p, "%2x", &b) != 1) abort();
            byte(b);
            p += 2;
        }
}
// i32 accesses of memory at 0: `local` stored, or loaded.
static void store_local(uint32_t local) {
    hex(1, "4100 20");
    leb(local);
    hex(1, "360200");
}
static void load_local(uint32_t local) {
    hex(1, "4100 280200 21");
    leb(local);
}

// A module of `funcs` times the same function with `params` and `locals` i32, one memory, one table. The body is written by `write`.
static void build(void (*write)(uint32_t n), uint32_t n, uint32_t params, uint32_t locals,
                  uint32_t funcs) {
    size = 0;
    write(n);
    uint8_t *body = malloc(size + 1);
    uint32_t body_size = size;
    if (!body) abort();
    memcpy(body, module, size);
    size = 0;
    hex(1, "0061736d01000000");
    for (unsigned id = 1; id <= 10; id++) {
        if (id == 2 || (id > 5 && id < 10)) continue;
        byte(id);
        uint32_t at = size;
        hex(1, "0000000000"); // its size, to be filled in
        switch (id) {
        case 1:
            hex(1, "0160");
            leb(params);
            hex(params, "7f");
            byte(0);
            break;
        case 3:
            leb(funcs);
            hex(funcs, "00");
            break;
        case 4: hex(1, "01700001"); break;
        case 5: hex(1, "010001"); break;
        case 10:
            leb(funcs);
            for (uint32_t k = 0; k < funcs; k++) {
                uint32_t digits = 1; // of the count of locals
                for (uint32_t v = locals; v >= 0x80; v >>= 7) digits++;
                leb(digits + 2 + body_size + 1);
                byte(1), leb(locals), byte(0x7f);
                for (uint32_t j = 0; j < body_size; j++) byte(body[j]);
                byte(0x0b);
            }
        }
        uint32_t length = size - at - 5;
        for (unsigned k = 0; k < 5; k++)
            module[at + k] = (uint8_t)(length >> 7 * k & 0x7f) | (k < 4 ? 0x80 : 0);
    }
    free(body);
}

// ---- shapes ---------------------------------------------------------------------------------------------------------------------
static void straight(uint32_t n) {
    hex(n, "2000 4105 6a 2101 2001 2000 73 2100");
    store_local(0);
}
static void many_locals(uint32_t n) { // all change in a loop, and are wanted behind it
    for (uint32_t k = 0; k < n; k++) load_local(k);
    hex(1, "0340");
    for (uint32_t k = 0; k < n; k++) {
        byte(0x20), leb(k);
        hex(1, "4101 6a 21"), leb(k);
    }
    hex(1, "2000 0d00 0b");
    for (uint32_t k = 0; k < n; k++) store_local(k);
}
static void nested_blocks(uint32_t n) {
    hex(n, "0240");
    for (uint32_t k = 0; k < n; k++) {
        hex(1, "2000 0d"), leb(k);
        hex(1, "2000 4101 6a 2100");
    }
    hex(n, "0b");
    store_local(0);
}
static void nested_loops(uint32_t n) {
    hex(n, "0340 2000 4101 6a 2100");
    hex(n, "2000 0d00 0b");
    store_local(0);
}
static void nested_ifs(uint32_t n) {
    hex(n, "2000 0440 2001 4103 6a 2101 05 2001 4105 6c 2101");
    hex(n, "0b");
    store_local(1);
}
static void one_table(uint32_t n) {
    hex(1000, "0240");
    hex(1, "2000 0e"), leb(n);
    for (uint32_t k = 0; k <= n; k++) leb(k * 7 % 1000);
    for (uint32_t k = 0; k < 1000; k++) hex(1, "2001 4101 6a 2101 0b");
    store_local(1);
}
static void many_tables(uint32_t n) {
    hex(n, "0240 0240 0240 0240 0240 0240 2000 0e06 00 01 02 03 04 05 00 0b 2001 0d04 2001 4101 6a "
           "2101 0b 0b 0b 0b 0b");
    store_local(1);
}
static void pressure(uint32_t n) { // n values at once
    hex(n, "4100 280200");
    hex(n - 1, "6a");
    hex(1, "2100");
    store_local(0);
}
static void calls(uint32_t n) {
    for (uint32_t k = 0; k < 60; k++) load_local(k);
    hex(n, "1000"); // of itself
    for (uint32_t k = 0; k < 60; k++) store_local(k);
}
static void wide_calls(uint32_t n) {
    while (n--) {
        for (uint32_t k = 0; k < 1000; k++) byte(0x20), leb(k);
        hex(1, "1000");
    }
}
static void loops(uint32_t n) { // values live across all of them
    for (uint32_t k = 0; k < 30; k++) load_local(k);
    hex(n, "0340 2000 4101 6a 2200 0d00 0b");
    for (uint32_t k = 0; k < 30; k++) store_local(k);
}
static void one_label(uint32_t n) {
    hex(1, "0240");
    hex(n, "2000 0d00 2001 4101 6a 2101");
    hex(1, "0b");
    store_local(1);
}
static void diamonds(uint32_t n) {
    hex(n, "2000 0440 2001 4101 6a 2101 05 2001 2000 6c 2102 0b");
    store_local(1);
    store_local(2);
}
static void tiny(uint32_t n) {
    (void)n;
    store_local(0);
}
static void atomics(uint32_t n) {
    hex(n, "4100 2000 fe2c0200 2100");
    store_local(0);
}
static void traps(uint32_t n) {
    hex(n, "2000 2001 6d 2100");
    store_local(0);
}

static const struct shape {
    const char *name;
    void (*write)(uint32_t n);
    uint32_t n, params, locals, funcs;
    bool locals_grow, funcs_grow;
} shapes[] = {
    {"straight", straight, 20000, 0, 2, 1, false, false},
    {"many locals", many_locals, 3000, 0, 0, 1, true, false},
    {"nested blocks", nested_blocks, 2400, 0, 1, 1, false, false},
    {"nested loops", nested_loops, 2400, 0, 1, 1, false, false},
    {"nested ifs", nested_ifs, 2400, 0, 2, 1, false, false},
    {"one table", one_table, 60000, 0, 2, 1, false, false},
    {"many tables", many_tables, 1500, 0, 2, 1, false, false},
    {"pressure", pressure, 12000, 0, 1, 1, false, false},
    {"calls", calls, 4000, 0, 60, 1, false, false},
    {"wide calls", wide_calls, 30, 1000, 0, 1, false, false},
    {"loops", loops, 2000, 0, 30, 1, false, false},
    {"one label", one_label, 8000, 0, 2, 1, false, false},
    {"diamonds", diamonds, 4000, 0, 3, 1, false, false},
    {"tiny functions", tiny, 1, 0, 1, 8000, false, true},
    {"atomics", atomics, 3000, 0, 1, 1, false, false},
    {"traps", traps, 6000, 0, 2, 1, false, false},
};

static enum ldr_status compile(struct ldr_error *e, double *out_seconds) {
    struct ldr_compile_options options = {.memory_limit = MEMORY_BASE + (size_t)MEMORY_A_BYTE * size,
                                          .dump_func = UINT32_MAX};
    struct timespec start, end;
    struct sfi_rejection r;
    struct ldr_code *code;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
    enum ldr_status status = ldr_compile(module, size, &options, &code, e);
    if (status == LDR_OK && host_verify(&ldr_code_jit(code)->sfi, &r) != SFI_ACCEPTED)
        fail_msg("%s", sfi_rule_text(r.rule));
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    if (status == LDR_OK) ldr_code_release(code);
    *out_seconds = (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) * 1e-9;
    return status;
}
static double measure(const struct shape *s, uint32_t times) {
    struct ldr_error e;
    double seconds;
    uint32_t n = s->n * times;
    build(s->write, n, s->params, s->locals_grow ? n : s->locals,
          s->funcs_grow ? s->funcs * times : s->funcs);
    if (compile(&e, &seconds) != LDR_OK) fail_msg("%s, %u: %s", s->name, times, e.text);
    return seconds;
}

static void all_is_linear(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
        double small = 0, large = 0;
        for (unsigned attempt = 0; attempt < 3; attempt++) {
            double a = measure(&shapes[k], 1), b = measure(&shapes[k], 4);
            if (!attempt || a < small) small = a;
            if (!attempt || b < large) large = b;
            if (large < 10 * small + 0.02) break;
        }
        print_message("# %s: %.0f ms, %.0f ms for four times as much\n", shapes[k].name,
                      small * 1e3, large * 1e3);
        if (large > 10 * small + 0.02) fail_msg("%s is not linear", shapes[k].name);
    }
}

static void names(const char *name, void (*write)(uint32_t n), uint32_t n, uint32_t locals) {
    struct ldr_error e;
    double seconds;
    build(write, n, 0, locals, 1);
    assert_int_equal(compile(&e, &seconds), LDR_LIMIT);
    if (!strstr(e.text, name)) fail_msg("\"%s\" in place of \"%s\"", e.text, name);
    assert_true(seconds < 20);
}
static void limits_have_names(void **state) {
    (void)state;
    names("too many locals", tiny, 1, 50001);
    names("function body too large", straight, 700000, 2);
    names("blocks nested too deeply", nested_blocks, 10000, 1);
    names("a function needs too large a stack frame", pressure, 70000, 1);
}

static int finish(void **state) {
    (void)state;
    free(module);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_is_linear),
        cmocka_unit_test(limits_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, finish);
}
