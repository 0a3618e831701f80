// test_x64_memory.c — the code generator end to end, as test_x64.c: instructions that work on memory in place of a register (updates, comparisons, tests),
// and where they must not be used: values, neighbours, order.
#include "tests/host/x64_case.h"

#define OPERATORS 5u
#define BEFORE 0x8899aabbccddeeffull // what lies in memory

static const char *const operator[] = {"add", "sub", "and", "or", "xor"};
static const struct access {
    const char *type, *load, *store;
    unsigned bytes;
} accesses[] = {
    {"i32", "load", "store", 4},       {"i32", "load8_u", "store8", 1},
    {"i32", "load8_s", "store8", 1},   {"i32", "load16_u", "store16", 2},
    {"i32", "load16_s", "store16", 2}, {"i64", "load", "store", 8},
    {"i64", "load8_u", "store8", 1},   {"i64", "load16_s", "store16", 2},
    {"i64", "load32_u", "store32", 4}, {"i64", "load32_s", "store32", 4},
};
#define ACCESSES (sizeof accesses / sizeof *accesses)
static const int64_t constants[] = {0,         1,         -1,         127,      128,
                                    -128,      255,       32768,      -32769,   0xfffff,
                                    INT32_MAX, INT32_MIN, 0xff00ff00, INT64_MIN};
#define CONSTANTS (sizeof constants / sizeof *constants)

static uint64_t operate(unsigned op, uint64_t a, uint64_t b) {
    return op == 0 ? a + b : op == 1 ? a - b : op == 2 ? a & b : op == 3 ? a | b : a ^ b;
}

static uint64_t low(unsigned bytes) { return bytes == 8 ? UINT64_MAX : (1ull << 8 * bytes) - 1; }

// memory[at] = memory[at] OP x, or x OP memory[at], for each width; x a parameter or a constant. What lies beside it must stay.
static void test_updates(void **state) {
    (void)state;
    struct text t = {0};
    add(&t, "(module (memory 1)");
    for (unsigned a = 0; a < ACCESSES; a++)
        for (unsigned op = 0; op < OPERATORS; op++)
            for (unsigned side = 0; side < 2; side++)
                for (unsigned k = 0; k <= CONSTANTS; k++) {
                    const struct access *c = &accesses[a];
                    bool wide = c->type[1] == '6';
                    char load[80], x[80];
                    snprintf(load, sizeof load, "(%s.%s offset=3 (local.get 0))", c->type, c->load);
                    if (k < CONSTANTS)
                        snprintf(x, sizeof x, "(%s.const %" PRId64 ")", c->type,
                                 wide ? constants[k] : (int64_t)(int32_t)constants[k]);
                    else
                        snprintf(x, sizeof x, wide ? "(local.get 1)" : "(i32.wrap_i64 (local.get 1))");
                    add(&t,
                        "(func (param i32 i64) (result i64) (i64.store (local.get 0) (i64.const "
                        "%" PRId64 ")) (i64.store offset=8 (local.get 0) (i64.const -1))"
                        "(%s.%s offset=3 (local.get 0) (%s.%s %s %s))"
                        "(i64.xor (i64.rotl (i64.load offset=8 (local.get 0)) (i64.const 9)) "
                        "(i64.load (local.get 0))))",
                        (int64_t)BEFORE, c->type, c->store, c->type, operator[op], side ? x : load,
                        side ? load : x);
                }
    add(&t, ")");
    struct module m = load(&t);
    uint32_t f = 0;
    for (unsigned a = 0; a < ACCESSES; a++)
        for (unsigned op = 0; op < OPERATORS; op++)
            for (unsigned side = 0; side < 2; side++)
                for (unsigned k = 0; k <= CONSTANTS; k++, f++) {
                    unsigned bytes = accesses[a].bytes;
                    uint64_t x = k < CONSTANTS ? (uint64_t)constants[k] : 0x13579bdf2468ace0;
                    uint64_t both[2] = {BEFORE, UINT64_MAX}, old = 0, new;
                    memcpy(&old, (uint8_t *)both + 3, bytes);
                    new = side ? operate(op, x, old) : operate(op, old, x);
                    memcpy((uint8_t *)both + 3, &new, bytes);
                    uint64_t want = both[0] ^ (both[1] << 9 | both[1] >> 55);
                    if (call(m, f, 64, 0x13579bdf2468ace0) != want)
                        fail_msg("%s.%s %s side %u constant %u", accesses[a].type,
                                 accesses[a].load, operator[op], side, k);
                }
    drop(m);
}

// Looks like an update, but is none: something else happens between the load and the store, the place or the width is another, or
// the old or the new value is wanted besides. And of an update outside of the memory nothing is left.
static void test_no_updates(void **state) {
    (void)state;
    struct text t = {0};
    add(&t,
        "(module (memory 1)"
        "(func (result i64) (local i32) (i64.store (i32.const 0) (i64.const 5)) (local.set 0 "
        "(i32.load (i32.const 0)))"
        " (i32.store (i32.const 0) (i32.const 100)) (i32.store (i32.const 0) (i32.add (local.get "
        "0) (i32.const 1)))"
        " (i64.load (i32.const 0)))"
        "(func (result i64) (i64.store (i32.const 0) (i64.const 5)) (i32.store offset=4 (i32.const "
        "0)"
        " (i32.add (i32.load (i32.const 0)) (i32.const 1))) (i64.load (i32.const 0)))"
        "(func (result i64) (i64.store (i32.const 0) (i64.const 0x1ff)) (i32.store (i32.const 0)"
        " (i32.add (i32.load8_u (i32.const 0)) (i32.const 1))) (i64.load (i32.const 0)))"
        "(func (result i64) (local i64) (i64.store (i32.const 0) (i64.const 7)) (i64.store "
        "(i32.const 0)"
        " (local.tee 0 (i64.sub (i64.load (i32.const 0)) (i64.const 3))))"
        " (i64.mul (local.get 0) (i64.load (i32.const 0))))"
        "(func (result i64) (local i64) (i64.store (i32.const 0) (i64.const 7)) (i64.store "
        "(i32.const 0)"
        " (i64.xor (local.tee 0 (i64.load (i32.const 0))) (i64.const 3)))"
        " (i64.mul (local.get 0) (i64.load (i32.const 0))))"
        "(func (param i32) (result i64) (local i32) (i64.store (i32.const 8) (i64.const 7)) "
        "(local.set 1 (i32.load offset=8 (i32.const 0)))"
        " (if (local.get 0) (then (i32.store (i32.const 8) (i32.const 20))))"
        " (i32.store (i32.const 8) (i32.add (local.get 1) (i32.const 1))) (i64.load (i32.const 8)))"
        "(func (param i32) (result i64) (i64.store (i32.const 0) (i64.const 6))" // a shifted term
        " (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.shl (local.get 0) "
        "(i32.const 2))))"
        " (i64.load (i32.const 0)))"
        "(func (param i32) (result i64) (local i32) (i64.store (i32.const 0) (i64.const 0)) "
        "(local.set 1 (i32.load offset=24 (i32.const 0)))"
        " (i32.store (local.get 0) (i32.const 3)) (i32.store (local.get 1) (i32.add (i32.load "
        "(local.get 0)) (i32.const 1)))"
        " (i64.load (i32.const 0)))"
        "(func (result i64) (i64.store (i32.const 65533) (i64.add (i64.load (i32.const 65533)) "
        "(i64.const 1))) (i64.const 0)))");
    static const uint64_t want[] = {6, 5 | 6ull << 32, 0x100, 16, 28, 8, 26, 4 | 3ull << 40};
    struct module m = load(&t);
    for (uint32_t f = 0; f < sizeof want / sizeof *want; f++)
        assert_int_equal(call(m, f, 5, 0), want[f]);
    uint64_t unused;
    assert_false(try(m, sizeof want / sizeof *want, NULL, &unused));
    assert_int_equal(info.kind, SFI_TRAP_MEMORY);
    drop(m);
}

// Loaded, and compared with a constant or tested: as a branch's condition, as a select's, negated, and as a value.
static void test_conditions(void **state) {
    (void)state;
    static const char *const compare[] = {"eq",   "ne",   "lt_u", "gt_u", "le_u",
                                          "ge_u", "lt_s", "gt_s", "and"};
    enum { COMPARES = sizeof compare / sizeof *compare, SHAPES = 4 };
    static const char *const shape[SHAPES] = {
        "(if (result i32) %s (then (i32.const 1)) (else (i32.const 0))))",
        "(select (i32.const 1) (i32.const 0) %s))",
        "(if (result i32) (i32.eqz %s) (then (i32.const 0)) (else (i32.const 1))))",
        "(i32.ne (i32.const 0) %s))",
    };
    static const int32_t bytes[] = {0, 1, 0x7f, 0x80, 0xff};
    struct text t = {0};
    add(&t, "(module (memory 1)");
    for (unsigned a = 0; a < 5; a++) // those of i32
        for (unsigned op = 0; op < COMPARES; op++)
            for (unsigned k = 0; k < CONSTANTS; k++)
                for (unsigned s = 0; s < SHAPES; s++) {
                    char cond[160];
                    snprintf(cond, sizeof cond, "(i32.%s (i32.%s (i32.const 8)) (i32.const %d))",
                             compare[op], accesses[a].load, (int32_t)constants[k]);
                    add(&t,
                        "(func (param i32) (result i32) (i32.store (i32.const 8) (local.get 0))");
                    add(&t, shape[s], cond);
                }
    for (unsigned a = 0; a < 5; a++) // the load alone
        add(&t,
            "(func (param i32) (result i32) (i32.store (i32.const 8) (local.get 0)) (if (result "
            "i32)"
            "(i32.%s (i32.const 8)) (then (i32.const 1)) (else (i32.const 0))))",
            accesses[a].load);
    add(&t, ")");
    struct module m = load(&t);
    uint32_t f = 0;
    for (unsigned a = 0; a <= 5; a++)
        for (unsigned op = 0; op < (a < 5 ? COMPARES : 5); op++)
            for (unsigned k = 0; k < (a < 5 ? CONSTANTS : 1); k++)
                for (unsigned s = 0; s < (a < 5 ? SHAPES : 1); s++, f++)
                    for (unsigned b = 0; b < 25; b++) {
                        uint32_t value = (uint32_t)(bytes[b % 5] | bytes[b / 5] << 8 | (b & 1) << 31);
                        unsigned kind = a < 5 ? a : op;
                        uint32_t v = value & (uint32_t)low(accesses[kind].bytes);
                        if (kind == 2) v = (uint32_t)(int8_t)v;
                        if (kind == 4) v = (uint32_t)(int16_t)v;
                        uint32_t c = (uint32_t)constants[k];
                        bool want[COMPARES] = {
                            v == c,      v != c, v<c, v> c,
                            v <= c,      v >= c, (int32_t)v<(int32_t)c, (int32_t)v>(int32_t) c,
                            (v & c) != 0};
                        if ((uint32_t)call(m, f, value, 0) != (a < 5 ? want[op] : v != 0))
                            fail_msg("load %u %s %x with %x, shape %u", a, compare[op], value, c, s);
                    }
    drop(m);
}

// One bit of 64, and sums of three terms.
static void test_bits_and_sums(void **state) {
    (void)state;
    struct text t = {0};
    add(&t, "(module");
    for (unsigned k = 0; k < 64; k++)
        add(&t,
            "(func (param i64 i64) (result i64) (select (local.get 0) (local.get 1)"
            "(i64.ne (i64.const 0) (i64.and (local.get 0) (i64.const %" PRId64 ")))))",
            (int64_t)(1ull << k));
    for (unsigned k = 0; k < CONSTANTS; k++)
        for (unsigned shift = 0; shift < 4; shift++)
            for (unsigned side = 0; side < 2; side++)
                add(&t,
                    "(func (param i32 i64) (result i64) (local i32) (local.set 2 (i32.wrap_i64 "
                    "(local.get 1)))"
                    "(i64.extend_i32_u (i32.add (i32.add (local.get %u) (i32.shl (local.get %u) "
                    "(i32.const %u))) (i32.const %d))))",
                    side ? 2 : 0, side ? 0 : 2, shift, (int32_t)constants[k]);
    add(&t, ")");
    struct module m = load(&t);
    for (uint32_t f = 0; f < 64; f++)
        for (unsigned b = 0; b < 64; b++) {
            uint64_t x = b & 1 ? ~(1ull << f) : 1ull << b;
            assert_int_equal(call(m, f, x, 77), x >> f & 1 ? x : 77);
        }
    uint32_t f = 64, x = 0x87654321, y = 0xfedcba98;
    for (unsigned k = 0; k < CONSTANTS; k++)
        for (unsigned shift = 0; shift < 4; shift++)
            for (unsigned side = 0; side < 2; side++, f++) {
                uint32_t sum = side ? y + (x << shift) : x + (y << shift);
                assert_int_equal(call(m, f, x, y), (uint32_t)(sum + (uint32_t)constants[k]));
            }
    drop(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_updates),
        cmocka_unit_test(test_no_updates),
        cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_bits_and_sums),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
