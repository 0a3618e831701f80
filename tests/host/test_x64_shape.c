// test_x64_shape.c — the code generator end to end, as test_x64.c: values that outnumber the registers, switches, bytes put together, folded
// loads.
#include "tests/host/x64_case.h"

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pressure),    cmocka_unit_test(test_switches),
        cmocka_unit_test(test_switch_runs), cmocka_unit_test(test_binary_switches),
        cmocka_unit_test(test_bytes),       cmocka_unit_test(test_folded_loads),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
