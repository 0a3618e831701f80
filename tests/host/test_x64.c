// test_x64.c — the code generator end to end: text modules compiled, verified, run, and compared with what C computes.
//
// Where the specification's suite looks at each operator, this looks at what a code generator adds: constants folded into operands, divisions
// by constants, upper halves left dirty, conversions at their limits. test_x64_shape.c: what whole functions are made of.
#include "tests/host/x64_case.h"

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
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
