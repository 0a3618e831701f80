// test_x64.c — the code generator end to end: text modules compiled, verified, run, and compared with what C computes.
//
// Where the specification's suite looks at each operator, this looks at what a code generator adds: constants folded into operands, divisions
// by constants, upper halves left dirty, values that outnumber the registers, conversions at their limits, folded loads, switches.
// Functions are built from many small expressions in one module, since starting a module is what costs.
#include "loader/private.h"
#include "sfi-jit/host/host.h"
#include "tests/host/wat.h"
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// cmocka wants those before it
#include <cmocka.h>

static struct ldr_thread *thread;

struct text {
    char *at;
    size_t size, cap;
};

static void add(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct text *t, const char *format, ...) {
    for (;;) {
        va_list args;
        va_start(args, format);
        char *end = t->at ? t->at + t->size : NULL;
        size_t n = (size_t)vsnprintf(end, t->cap - t->size, format, args);
        va_end(args);
        if (n < t->cap - t->size) {
            t->size += n;
            return;
        }
        t->cap = 2 * t->cap + n + 4096;
        t->at = realloc(t->at, t->cap);
    }
}

struct module {
    struct ldr_store *store;
    struct ldr_instance *inst;
};

static bool no_imports(void *ctx, const struct wasm_import *i, struct ldr_extern *out) {
    (void)ctx;
    (void)i;
    (void)out;
    return false;
}

static struct module load(struct text *t) {
    struct module m = {.store = ldr_store_new(LDR_STORE)};
    struct ldr_compile_options options = {.check = true, .dump_func = UINT32_MAX};
    struct ldr_imports imports = {NULL, no_imports};
    struct ldr_limits limits = {.memory_pages = 65536};
    struct ldr_code *code;
    struct ldr_error e;
    size_t size;
    uint8_t *bytes = wat(t->at, &size);
    if (ldr_compile(bytes, size, &options, &code, &e) != LDR_OK) fail_msg("%s", e.text);
    if (ldr_instantiate(m.store, code, "m", &imports, &limits, NULL, &m.inst, &e) != LDR_OK)
        fail_msg("%s", e.text);
    ldr_code_release(code);
    free(bytes);
    free(t->at);
    *t = (struct text){0};
    return m;
}

static void drop(struct module m) { // instances of such a store go with it
    assert_true(ldr_store_free(m.store));
}

static struct ldr_trap_info info;
static bool try(struct module m, uint32_t func, const uint64_t *args, uint64_t *out) {
    memset(&info, 0, sizeof info);
    host_signals();
    return ldr_call(thread, m.inst, func, args, out, &info) == LDR_OK;
}

static uint64_t call(struct module m, uint32_t func, uint64_t a, uint64_t b) {
    uint64_t result = 0;
    if (!try(m, func, (uint64_t[]){a, b}, &result))
        fail_msg("func %u trapped: %d", func, info.kind);
    return result;
}

static const uint32_t values32[] = {
    0,   1,          2,          3,          7,          100,        127,
    128, 0x7ffffffe, 0x7fffffff, 0x80000000, 0x80000001, 0xfffffffe, 0xffffffff,
    6,   0x12345678, 0xcafebabe, 99999,      65535,      65536,      1u << 20};
#define VALUES32 (sizeof values32 / sizeof *values32)

// ---- constants ---------------------------------------------------------------------------------

// Every operator with every kind of constant on either side.
static void test_divide_by_constants(void **state) {
    (void)state;
    static const char *const op[] = {"div_u", "rem_u", "div_s", "rem_s"};
    uint32_t divisor[64 * 4];
    unsigned n = 0;
    static const uint32_t some[] = {3,          5,          6,    7,     9,          10,
                                    11,         13,         14,   25,    60,         100,
                                    125,        641,        1000, 10007, 0x7fffffff, 0x80000001,
                                    0xaaaaaaab, 0xcccccccd, 28,   84,    1000000007, 0xfffffffb};
    for (unsigned i = 0; i < sizeof some / sizeof *some; i++) {
        divisor[n++] = some[i];
        divisor[n++] = 0 - some[i];
    }
    for (unsigned k = 0; k < 32; k++) {
        divisor[n++] = 1u << k;
        divisor[n++] = (1u << k) + 1;
        if (k) divisor[n++] = (1u << k) - 1;
        divisor[n++] = 0 - (1u << k);
    }
    struct text t = {0};
    add(&t, "(module");
    for (unsigned d = 0; d < n; d++)
        for (unsigned o = 0; o < 4; o++)
            add(&t, "(func (param i32) (result i32) (i32.%s (local.get 0) (i32.const %u)))", op[o],
                divisor[d]);
    add(&t, ")");
    struct module m = load(&t);
    for (unsigned d = 0; d < n; d++)
        for (unsigned v = 0; v < VALUES32 * 5; v++) {
            // Around multiples of the divisor is where a rounded reciprocal goes wrong.
            uint32_t q = values32[v / 5], x = v % 5 < 2 ? q : q * divisor[d] + v % 5 - 3;
            int32_t sx = (int32_t)x, sd = (int32_t)divisor[d];
            bool overflow = x == 0x80000000 && sd == -1;
            assert_int_equal((uint32_t)call(m, 4 * d, x, 0), x / divisor[d]);
            assert_int_equal((uint32_t)call(m, 4 * d + 1, x, 0), x % divisor[d]);
            uint64_t unused;
            if (overflow)
                assert_false(try(m, 4 * d + 2, (uint64_t[]){x}, &unused));
            else
                assert_int_equal((int32_t)call(m, 4 * d + 2, x, 0), sx / sd);
            assert_int_equal((int32_t)call(m, 4 * d + 3, x, 0), overflow ? 0 : sx % sd);
        }
    drop(m);
}

static void test_divide_wide(void **state) {
    (void)state;
    static const char *const op[] = {"div_u", "rem_u", "div_s", "rem_s"};
    static const uint64_t some[] = {3,
                                    5,
                                    6,
                                    7,
                                    9,
                                    10,
                                    11,
                                    14,
                                    19,
                                    25,
                                    28,
                                    60,
                                    100,
                                    125,
                                    641,
                                    1000,
                                    1461,
                                    86400,
                                    1000003,
                                    1000000000,
                                    6700417,
                                    274177,
                                    0x5555555555555555,
                                    0xaaaaaaaaaaaaaaab,
                                    0xcccccccccccccccd,
                                    0x7ffffffffffffffd,
                                    1000000000000000003};
    static const uint64_t values[] = {0,
                                      1,
                                      2,
                                      3,
                                      7,
                                      100,
                                      INT32_MAX,
                                      1ull << 31,
                                      UINT32_MAX,
                                      1ull << 32,
                                      INT64_MAX,
                                      1ull << 63,
                                      UINT64_MAX,
                                      1ull << 62,
                                      0x123456789abcdef0,
                                      UINT64_MAX / 2 + 2,
                                      UINT64_MAX - 1,
                                      0xcafebabedeadbeef};
    uint64_t divisor[64 * 4 + 2 * sizeof some / 8];
    unsigned n = 0;
    for (unsigned i = 0; i < sizeof some / 8; i++) {
        divisor[n++] = some[i];
        divisor[n++] = 0 - some[i];
    }
    for (unsigned k = 0; k < 64; k++) {
        divisor[n++] = 1ull << k;
        divisor[n++] = (1ull << k) + 1;
        if (k) divisor[n++] = (1ull << k) - 1;
        divisor[n++] = 0 - (1ull << k);
    }
    struct text t = {0};
    add(&t, "(module");
    for (unsigned d = 0; d < n; d++)
        for (unsigned o = 0; o < 4; o++)
            add(&t, "(func (param i64) (result i64) (i64.%s (local.get 0) (i64.const %" PRIu64 ")))",
                op[o], divisor[d]);
    add(&t, ")");
    struct module m = load(&t);
    for (unsigned d = 0; d < n; d++)
        for (unsigned v = 0; v < sizeof values / 8 * 6; v++) {
            // Around multiples of the divisor, and of the greatest one there is.
            uint64_t q = values[v / 6], by = divisor[d];
            uint64_t x = v % 6 == 0   ? q
                         : v % 6 == 5 ? UINT64_MAX / by * by - (q & 1)
                                      : q * by + v % 6 - 3;
            int64_t sx = (int64_t)x, sd = (int64_t)by;
            assert_int_equal(call(m, 4 * d, x, 0), x / by);
            assert_int_equal(call(m, 4 * d + 1, x, 0), x % by);
            uint64_t unused;
            if (x == 1ull << 63 && sd == -1) {
                assert_false(try(m, 4 * d + 2, (uint64_t[]){x}, &unused));
                assert_int_equal(call(m, 4 * d + 3, x, 0), 0);
                continue;
            }
            assert_int_equal(call(m, 4 * d + 2, x, 0), (uint64_t)(sx / sd));
            assert_int_equal(call(m, 4 * d + 3, x, 0), (uint64_t)(sx % sd));
        }
    drop(m);
}

// Counts are taken modulo the width, constant or not.
static void test_shifts(void **state) {
    (void)state;
    static const char *const op[] = {"shl", "shr_s", "shr_u", "rotl", "rotr"};
    struct text t = {0};
    add(&t, "(module");
    for (unsigned o = 0; o < 5; o++) {
        add(&t, "(func (param i32 i32) (result i32) (i32.%s (local.get 0) (local.get 1)))", op[o]);
        add(&t, "(func (param i64 i64) (result i64) (i64.%s (local.get 0) (local.get 1)))", op[o]);
        for (unsigned n = 0; n < 130; n++)
            add(&t,
                "(func (param i32) (result i32) (i32.%s (local.get 0) (i32.const %u)))"
                "(func (param i64) (result i64) (i64.%s (local.get 0) (i64.const %u)))",
                op[o], n, op[o], n);
    }
    add(&t, ")");
    struct module m = load(&t);
    uint64_t x = 0x8123456789abcdefu;
    for (unsigned o = 0; o < 5; o++)
        for (unsigned n = 0; n < 130; n++) {
            uint32_t f = o * 262;
            assert_int_equal((uint32_t)call(m, f + 2 + 2 * n, x, 0), (uint32_t)call(m, f, x, n));
            assert_int_equal(call(m, f + 3 + 2 * n, x, 0), call(m, f + 1, x, n));
        }
    drop(m);
}

// ---- clean upper halves ------------------------------------------------------------------------

// Whatever an i32 was made by, as an address it is 32 bits wide: addresses with rubbish above.
static void test_dirty_addresses(void **state) {
    (void)state;
    struct text t = {0};
    add(&t, "(module (memory 1) (data (i32.const 64) \"*\") (table funcref (elem $id)) (global $g "
            "(mut i32) (i32.const 0))"
            "(func $id (param i32) (result i32) (local.get 0))"
            "(func (param i64) (result i32) (i32.load8_u (i32.wrap_i64 (local.get 0))))"
            "(func (param i32) (result i32) (i32.load8_u (local.get 0)))"
            "(func (param i64) (result i32) (i32.load8_u (call $id (i32.wrap_i64 (local.get 0)))))"
            "(func (param i64) (result i32) (i32.load8_u (call_indirect (param i32) (result i32) "
            "(i32.wrap_i64 (local.get 0)) (i32.const 0))))"
            "(func (param i64) (result i32) (global.set $g (i32.wrap_i64 (local.get 0))) "
            "(i32.load8_u (global.get $g)))"
            "(func (param i64 i32) (result i32) (i32.load8_u (select (i32.wrap_i64 (local.get 0)) "
            "(local.get 1) "
            "(i32.const 1))))"
            "(func (param i64 i32) (result i32) (loop (local.set 1 (i32.wrap_i64 (local.get 0))) "
            "(br_if 0 "
            "(i32.eqz (local.get 1)))) (i32.load8_u (local.get 1)))"
            "(func (param i64) (result i32) (local i32) (local.set 1 (i32.wrap_i64 (local.get 0))) "
            "(drop (call $id (i32.const 1))) (i32.load8_u (local.get 1)))" // kept across a call
            "(func (param i64) (result i64) (i64.extend_i32_u (i32.wrap_i64 (local.get 0))))"
            "(func (param i64) (result i64) (i64.extend_i32_u (call $id (i32.wrap_i64 (local.get "
            "0))))))");
    struct module m = load(&t);
    uint64_t dirty = 0xdeadbeef00000040u;
    for (uint32_t f = 1; f <= 8; f++) assert_int_equal((uint32_t)call(m, f, dirty, dirty), '*');
    assert_int_equal(call(m, 9, dirty, 0), 64);
    assert_int_equal(call(m, 10, dirty, 0), 64);
    drop(m);
}

// memory.copy and memory.fill of a constant number of bytes: as memmove and memset, or a trap with nothing written.
static void test_short_bulk(void **state) {
    (void)state;
    enum { LAST = 130, END = 65536 };
    struct text t = {0};
    add(&t, "(module (memory (export \"memory\") 1 1)");
    for (uint32_t n = 0; n <= LAST; n++)
        add(&t,
            "(func (param i32 i32) (memory.copy (local.get 0) (local.get 1) (i32.const %u)))"
            "(func (param i32 i32) (memory.fill (local.get 0) (i32.const %u) (i32.const %u)))",
            n, n * 77, n);
    add(&t, ")");
    struct module m = load(&t);
    uint8_t *memory = ldr_memory_at(m.inst, 0, END), *want = malloc(END);
    for (uint32_t i = 0; i < END; i++) memory[i] = want[i] = (uint8_t)(i * 7 + (i >> 8));
    for (uint32_t n = 0; n <= LAST; n++) {
        uint32_t pairs[][2] = {{300, 700},         {300, 301},     {300, 300 + n / 2 + 1},
                               {300 + n / 2, 300}, {END - n, 100}, {100, END - n}};
        for (unsigned k = 0; k < sizeof pairs / sizeof *pairs; k++) {
            call(m, 2 * n, pairs[k][0], pairs[k][1]);
            memmove(want + pairs[k][0], want + pairs[k][1], n);
            call(m, 2 * n + 1, pairs[k][0] + 1000 - 1000 * (k == 4), 0);
            memset(want + pairs[k][0] + 1000 - 1000 * (k == 4), (uint8_t)(n * 77), n);
        }
        uint64_t outside[][2] = {
            {END - n + 1, 100}, {100, END - n + 1}, {UINT32_MAX, 100}, {100, UINT32_MAX}};
        for (unsigned k = 0; k < 4 && n; k++) {
            assert_false(try(m, 2 * n, outside[k], NULL));
            assert_int_equal(info.kind, SFI_TRAP_MEMORY);
            if (k % 2 == 0) assert_false(try(m, 2 * n + 1, outside[k], NULL));
        }
        assert_memory_equal(memory, want, END);
    }
    free(want);
    drop(m);
}

// Offsets from 2³¹ on; sums from 2³² on trap and do not wrap.
static void test_offsets(void **state) {
    (void)state;
    static const uint32_t offset[] = {0,          65528,      65529,     0x7fffffff,
                                      0x80000000, 0xfffffff8, 0xffffffff};
    struct text t = {0};
    add(&t, "(module (memory 1)");
    for (unsigned k = 0; k < 7; k++)
        add(&t,
            "(func (param i32) (result i64) (i64.load offset=%u (local.get 0)))"
            "(func (param i32) (result i64) (i64.load offset=%u (i32.const 0xffffff00)))",
            offset[k], offset[k]);
    add(&t, ")");
    struct module m = load(&t);
    for (unsigned k = 0; k < 7; k++)
        for (unsigned v = 0; v < VALUES32; v++) {
            uint64_t unused, sum = (uint64_t)offset[k] + values32[v];
            assert_int_equal(try(m, 2 * k, (uint64_t[]){values32[v]}, &unused), sum <= 65528);
            assert_false(try(m, 2 * k + 1, (uint64_t[]){0}, &unused));
            assert_int_equal(info.kind, SFI_TRAP_MEMORY);
        }
    drop(m);
}

// ---- floating point ----------------------------------------------------------------------------

static double number(uint64_t bits) {
    double d;
    memcpy(&d, &bits, 8);
    return d;
}
static uint64_t bits_of(double d) {
    uint64_t bits;
    memcpy(&bits, &d, 8);
    return bits;
}
static uint32_t bits_of_f(float f) {
    uint32_t bits;
    memcpy(&bits, &f, 4);
    return bits;
}

static void test_from_int(void **state) {
    (void)state;
    struct text t = {0};
    add(&t, "(module (func (param i64) (result f64) (f64.convert_i64_u (local.get 0)))"
            "(func (param i64) (result f32) (f32.convert_i64_u (local.get 0)))"
            "(func (param i64) (result f64) (f64.convert_i64_s (local.get 0)))"
            "(func (param i64) (result f32) (f32.convert_i64_s (local.get 0)))"
            "(func (param i32) (result f64) (f64.convert_i32_u (local.get 0)))"
            "(func (param i32) (result f32) (f32.convert_i32_u (local.get 0))))");
    struct module m = load(&t);
    uint64_t x = 0x9e3779b97f4a7c15u;
    for (unsigned k = 0; k < 20000; k++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        uint64_t v = k & 1 ? x >> (x & 63)
                           : (x & 1 ? 0 - (1ull << (x >> 58)) : (1ull << (x >> 58)) + (x >> 1 & 1));
        assert_int_equal(call(m, 0, v, 0), bits_of((double)v));
        assert_int_equal((uint32_t)call(m, 1, v, 0), bits_of_f((float)v));
        assert_int_equal(call(m, 2, v, 0), bits_of((double)(int64_t)v));
        assert_int_equal((uint32_t)call(m, 3, v, 0), bits_of_f((float)(int64_t)v));
        assert_int_equal(call(m, 4, v, 0), bits_of((double)(uint32_t)v));
        assert_int_equal((uint32_t)call(m, 5, v, 0), bits_of_f((float)(uint32_t)v));
    }
    drop(m);
}

// Around every limit of every integer type: saturated value, or the right trap.
static void test_to_int(void **state) {
    (void)state;
    static const char *const type[] = {"i32", "i64"};
    static const char *const sign[] = {"s", "u"};
    struct text t = {0};
    add(&t, "(module");
    for (unsigned k = 0; k < 4; k++)
        add(&t,
            "(func (param f64) (result %s) (%s.trunc_f64_%s (local.get 0)))"
            "(func (param f64) (result %s) (%s.trunc_sat_f64_%s (local.get 0)))",
            type[k / 2], type[k / 2], sign[k % 2], type[k / 2], type[k / 2], sign[k % 2]);
    add(&t, ")");
    struct module m = load(&t);
    static const double limit[4][2] = {
        {-0x1p31, 0x1p31}, {0, 0x1p32}, {-0x1p63, 0x1p63}, {0, 0x1p64}}; // [low, high)
    static const double base[] = {0,      0.5,    1,      1.5,   0x1p31,   0x1p32, 0x1p52,
                                  0x1p53, 0x1p63, 0x1p64, 1e300, INFINITY, NAN};
    for (unsigned b = 0; b < sizeof base / sizeof *base; b++)
        for (int step = -2; step <= 2; step++)
            for (int minus = 0; minus < 2; minus++) {
                double x = number(bits_of(base[b]) + (uint64_t)(base[b] > 0 ? step : 0));
                if (step == 2) x = base[b] - 1;
                x = minus ? -x : x;
                for (unsigned k = 0; k < 4; k++) {
                    double whole = trunc(x);
                    bool nan = isnan(x), fits = !nan && whole >= limit[k][0] && whole < limit[k][1];
                    uint64_t result = 0, mask = k < 2 ? UINT32_MAX : UINT64_MAX;
                    uint64_t low = (uint64_t)(int64_t)limit[k][0];
                    uint64_t high = k == 0   ? INT32_MAX
                                    : k == 1 ? UINT32_MAX
                                    : k == 2 ? INT64_MAX
                                             : UINT64_MAX;
                    uint64_t right = nan     ? 0
                                     : !fits ? (x < 0 ? low : high)
                                     : x < 0 ? (uint64_t)(int64_t)whole
                                             : (uint64_t)whole;
                    assert_int_equal(try(m, 2 * k, (uint64_t[]){bits_of(x)}, &result), fits);
                    if (fits) assert_int_equal(result & mask, right & mask);
                    if (!fits)
                        assert_int_equal(info.kind, nan ? SFI_TRAP_CONVERSION : SFI_TRAP_OVERFLOW);
                    assert_int_equal(call(m, 2 * k + 1, bits_of(x), 0) & mask, right & mask);
                }
            }
    drop(m);
}

// A comparison decides a branch, a select of each class, or is a value: all agree, with NaN in play and either operand in memory.
static void test_float_compare(void **state) {
    (void)state;
    static const char *const op[] = {"eq", "ne", "lt", "gt", "le", "ge"};
    struct text t = {0};
    add(&t, "(module (memory 1)");
    for (unsigned o = 0; o < 6; o++)
        add(&t,
            "(func (param f64 f64) (result i32) (f64.%1$s (local.get 0) (local.get 1)))"
            "(func (param f64 f64) (result i32) (if (result i32) (f64.%1$s (local.get 0) "
            "(local.get 1)) (then (i32.const 1)) "
            "(else (i32.const 0))))"
            "(func (param f64 f64) (result i32) (i32.eqz (f64.%1$s (local.get 0) (local.get 1))))"
            "(func (param f64 f64) (result i32) (select (i32.const 1) (i32.const 0) (f64.%1$s "
            "(local.get 0) (local.get 1))))"
            "(func (param f64 f64) (result f64) (select (f64.const 0x0.0000000000001p-1022) "
            "(f64.const 0) (f64.%1$s (local.get 0) "
            "(local.get 1))))"
            "(func (param f64 f64) (result i32) (block (br_if 0 (i32.eqz (f64.%1$s (local.get 0) "
            "(local.get 1)))) (return "
            "(i32.const 1))) (i32.const 0))"
            "(func (param f64 f64) (result i32) (f64.store (i32.const 8) (local.get 0)) (f64.store "
            "(i32.const 16) (local.get 1))"
            "(if (result i32) (f64.%1$s (f64.load (i32.const 8)) (f64.load (i32.const 16))) (then "
            "(i32.const 1)) (else "
            "(i32.const 0))))",
            op[o]);
    add(&t, ")");
    struct module m = load(&t);
    static const double x[] = {0, -0.0, 1, -1, INFINITY, -INFINITY, NAN};
    for (unsigned i = 0; i < 7; i++)
        for (unsigned j = 0; j < 7; j++) {
            double a = x[i], b = x[j];
            bool want[] = {a == b, a != b, a<b, a> b, a <= b, a >= b};
            for (uint32_t o = 0; o < 6; o++)
                for (uint32_t f = 0; f < 7; f++)
                    assert_int_equal((uint32_t)call(m, 7 * o + f, bits_of(a), bits_of(b)),
                                     want[o] ^ (f == 2));
        }
    drop(m);
}

// ---- pressure and shape --------------------------------------------------------------------------

// Forty sums of each type live at once, across a call and a loop; parameters beyond the registers; all results but two in the context.
static void test_pressure(void **state) {
    (void)state;
    struct text t = {0};
    static const char *const type[] = {"i32", "i64", "f64"};
    add(&t, "(module (func $nop) (func $f (param");
    for (unsigned k = 0; k < 60; k++) add(&t, " %s", type[k % 3]);
    add(&t, ") (result");
    for (unsigned k = 0; k < 60; k++) add(&t, " %s", type[k % 3]);
    add(&t, ") (local i32) (local.set 60 (i32.const 3)) (loop");
    for (unsigned k = 0; k < 60; k++)
        add(&t, " (local.set %u (%s.add (local.get %u) (local.get %u)))", k, type[k % 3], k,
            (k + 3) % 60);
    add(&t, " (call $nop) (br_if 0 (local.tee 60 (i32.sub (local.get 60) (i32.const 1)))))");
    for (unsigned k = 0; k < 60; k++) add(&t, " (local.get %u)", k);
    add(&t, ") (func (result");
    for (unsigned k = 0; k < 60; k++) add(&t, " %s", type[k % 3]);
    add(&t, ")");
    for (unsigned k = 0; k < 60; k++) add(&t, " (%s.const %u)", type[k % 3], k + 1);
    add(&t, " (call $f)))");
    struct module m = load(&t);
    uint64_t want[60], have[60];
    for (unsigned k = 0; k < 60; k++) want[k] = k + 1;
    for (unsigned round = 0; round < 3; round++)
        for (unsigned k = 0; k < 60; k++) want[k] += want[(k + 3) % 60];
    assert_true(try(m, 2, NULL, have));
    for (unsigned k = 0; k < 60; k++) {
        if (k % 3 == 2) want[k] = bits_of((double)want[k]);
        assert_int_equal(k % 3 ? have[k] : (uint32_t)have[k], want[k]);
    }
    drop(m);
}

// Switches of each size, with gaps and repeats, forwards and backwards.
static void test_switches(void **state) {
    (void)state;
    struct text t = {0};
    add(&t, "(module");
    for (unsigned n = 0; n < 40; n++) {
        add(&t, "(func (param i32) (result i32) (local i32) (loop $again");
        for (unsigned k = 0; k <= n; k++) add(&t, "(block $b%u ", k);
        add(&t, "(br_table");
        for (unsigned k = 0; k < n; k++) add(&t, k == 7 ? " $again" : " $b%u", k % 11 == 5 ? 0 : k);
        add(&t, " $b%u (local.get 0) (local.set 0 (i32.const 1)))", n);
        for (unsigned k = 0; k <= n; k++) add(&t, ") (return (i32.const %u))", 100 + k);
        add(&t, ") (unreachable))");
    }
    add(&t, ")");
    struct module m = load(&t);
    for (uint32_t n = 0; n < 40; n++)
        for (uint32_t x = 0; x < 50; x++) {
            uint32_t k = x < n ? x : n;
            if (k == 7 && x < n) k = 1; // round again
            if (k % 11 == 5 && k < n) k = 0;
            uint32_t wide = x < 45 ? x : 0 - x;
            if (wide != x) k = n;
            assert_int_equal((uint32_t)call(m, n, wide, 0), 100 + n - k); // blocks nest
        }
    drop(m);
}

// Switches with few places to go to, in long and short runs of cases: bisected, up to 300 cases.
static void test_switch_runs(void **state) {
    (void)state;
    struct text t = {0};
    add(&t, "(module");
    for (unsigned run = 1; run <= 60; run += run < 4 ? 1 : 7) {
        add(&t, "(func (param i32) (result i32)");
        for (unsigned k = 0; k <= 3; k++) add(&t, "(block $b%u ", k);
        add(&t, "(br_table");
        for (unsigned k = 0; k < 5 * run; k++) add(&t, " $b%u", k / run * 2 % 3);
        add(&t, " $b3 (local.get 0))");
        for (unsigned k = 0; k <= 3; k++) add(&t, ") (return (i32.const %u))", 100 + k);
        add(&t, "(unreachable))");
    }
    add(&t, ")");
    struct module m = load(&t);
    uint32_t f = 0;
    for (unsigned run = 1; run <= 60; run += run < 4 ? 1 : 7, f++)
        for (uint32_t x = 0; x < 310; x++) {
            uint32_t k = x < 5 * run ? x / run * 2 % 3 : 3;
            assert_int_equal((uint32_t)call(m, f, x < 305 ? x : 0 - x, 0), 103 - (x < 305 ? k : 3));
        }
    drop(m);
}

// Switches between two places, up to and beyond 32 cases; the one behind the last case is either of them.
static void test_binary_switches(void **state) {
    (void)state;
    static const uint32_t bits[] = {0x5,        0xa,        0x55555555, 0xaaaaaaaa,
                                    0x80000001, 0x12345678, 0xfffffffd, 0x6b00};
    struct text t = {0};
    add(&t, "(module");
    for (unsigned b = 0; b < sizeof bits / 4; b++)
        for (unsigned n = 3; n < 36; n++) {
            add(&t, "(func (param i32) (result i32) (block $b1 (block $b0 (br_table");
            for (unsigned k = 0; k < n; k++) add(&t, " $b%u", k < 32 ? bits[b] >> k & 1 : k & 1);
            add(&t, " $b%u (local.get 0))) (return (i32.const 0))) (i32.const 1))", n & 1);
        }
    add(&t, ")");
    struct module m = load(&t);
    uint32_t f = 0;
    for (unsigned b = 0; b < sizeof bits / 4; b++)
        for (unsigned n = 3; n < 36; n++, f++)
            for (uint32_t x = 0; x < 70; x++) {
                uint32_t to = x >= n ? n & 1 : x < 32 ? bits[b] >> x & 1 : x & 1;
                assert_int_equal((uint32_t)call(m, f, x < 64 ? x : 0 - x, 0), x < 64 ? to : n & 1);
            }
    drop(m);
}

static uint32_t rotl(uint32_t v, unsigned n) { return v << (n & 31) | v >> (-n & 31); }

// Bytes in the opposite order, in each register: of what is in many at once.
static void test_bytes(void **state) {
    (void)state;
    static const char *const step[2] = {
        "(i32.add (i32.or (i32.or (i32.shl %s (i32.const 24)) (i32.and (i32.shl %s (i32.const 8)) "
        "(i32.const 0xff0000)))"
        " (i32.or (i32.and (i32.shr_u %s (i32.const 8)) (i32.const 0xff00)) (i32.shr_u %s "
        "(i32.const 24)))) (local.get 0))",
        "(i32.or (i32.shl (i32.and %s (i32.const 255)) (i32.const 8)) (i32.shr_u (i32.and %s "
        "(i32.const 0xff00)) (i32.const 8)))"};
    struct text t = {0};
    add(&t, "(module");
    for (unsigned kind = 0; kind < 2; kind++) {
        add(&t, "(func (param i32 i32) (result i32) (local");
        for (unsigned k = 0; k < 14; k++) add(&t, " i32");
        add(&t, ")");
        for (unsigned k = 2; k < 16; k++)
            add(&t, "(local.set %u (i32.rotl (local.get 0) (i32.add (local.get 1) (i32.const %u))))",
                k, k);
        for (unsigned k = 2; k < 16; k++) {
            char v[24];
            snprintf(v, sizeof v, "(local.get %u)", k);
            add(&t, "(local.set %u ", k);
            add(&t, step[kind], v, v, v, v);
            add(&t, ")");
        }
        for (unsigned k = 2; k < 16; k++)
            add(&t, "(local.set 0 (i32.add (i32.rotl (local.get 0) (i32.const 3)) (local.get %u)))", k);
        add(&t, "(local.get 0))");
    }
    add(&t, "(func (param i64) (result i64) (i64.or (i64.or"
            "(i64.or (i64.shl (local.get 0) (i64.const 56)) (i64.shl (i64.and (local.get 0) "
            "(i64.const 0xff00)) (i64.const 40)))"
            "(i64.or (i64.shl (i64.and (local.get 0) (i64.const 0xff0000)) (i64.const 24)) "
            "(i64.shl (i64.and (local.get 0) (i64.const 0xff000000)) (i64.const 8))))"
            "(i64.or (i64.or (i64.and (i64.shr_u (local.get 0) (i64.const 8)) (i64.const "
            "0xff000000)) (i64.and (i64.shr_u (local.get 0) (i64.const 24)) (i64.const 0xff0000)))"
            "(i64.or (i64.and (i64.shr_u (local.get 0) (i64.const 40)) (i64.const 0xff00)) "
            "(i64.shr_u (local.get 0) (i64.const 56)))))))");
    struct module m = load(&t);
    for (uint32_t i = 0; i < VALUES32; i++) {
        uint32_t x = values32[i], want[2] = {x, x};
        for (uint32_t k = 2; k < 16; k++) {
            uint32_t v = rotl(x, (i + k) & 31), low = (v & 0xff) << 8 | (v >> 8 & 0xff);
            want[0] = rotl(want[0], 3) + __builtin_bswap32(v) + x;
            want[1] = rotl(want[1], 3) + low;
        }
        assert_int_equal((uint32_t)call(m, 0, x, i), want[0]);
        assert_int_equal((uint32_t)call(m, 1, x, i), want[1]);
        uint64_t wide = x * 0x9e3779b97f4a7c15u;
        assert_int_equal(call(m, 2, wide, 0), __builtin_bswap64(wide));
    }
    drop(m);
}

// An effect between a load and its use keeps the load where it is.
static void test_folded_loads(void **state) {
    (void)state;
    struct text t = {0};
    add(&t, "(module (memory 1)"
            "(func (result i32) (local i32) (i32.store (i32.const 0) (i32.const 5)) (local.set 0 "
            "(i32.load (i32.const 0)))"
            " (i32.store (i32.const 0) (i32.const 9)) (i32.add (i32.const 1) (i32.mul (local.get "
            "0) (local.get 0))))"
            "(func (param i32) (result i32) (local i32) (i32.store (i32.const 0) (i32.const 5)) "
            "(local.set 1 (i32.load (i32.const 0)))"
            " (i32.store (i32.const 0) (i32.const 9)) (i32.sub (local.get 0) (local.get 1)))"
            "(func (param i32) (result i32) (local i32) (i32.store (i32.const 0) (i32.const 5))"
            " (local.set 1 (i32.lt_u (local.get 0) (i32.load (i32.const 0)))) (i32.store "
            "(i32.const 0) (i32.const 9))"
            " (if (result i32) (local.get 1) (then (i32.const 1)) (else (i32.const 0))))"
            "(func (result i32) (drop (i32.load (i32.const 65533))) (i32.const 1)))"); // its trap counts
    struct module m = load(&t);
    uint64_t unused;
    assert_int_equal((uint32_t)call(m, 0, 0, 0), 26);
    assert_int_equal((uint32_t)call(m, 1, 7, 0), 2);
    assert_int_equal((uint32_t)call(m, 2, 7, 0), 0);
    assert_int_equal((uint32_t)call(m, 2, 4, 0), 1);
    assert_false(try(m, 3, NULL, &unused));
    drop(m);
}

static int setup(void **state) {
    (void)state;
    host_init("test_x64");
    thread = host_thread(1 << 20);
    return 0;
}
static int teardown(void **state) {
    (void)state;
    ldr_thread_free(thread);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_divide_by_constants),
        cmocka_unit_test(test_divide_wide),
        cmocka_unit_test(test_shifts),
        cmocka_unit_test(test_dirty_addresses),
        cmocka_unit_test(test_offsets),
        cmocka_unit_test(test_short_bulk),
        cmocka_unit_test(test_from_int),
        cmocka_unit_test(test_to_int),
        cmocka_unit_test(test_float_compare),
        cmocka_unit_test(test_pressure),
        cmocka_unit_test(test_switches),
        cmocka_unit_test(test_switch_runs),
        cmocka_unit_test(test_binary_switches),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_folded_loads),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
