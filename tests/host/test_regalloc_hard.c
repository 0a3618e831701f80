// test_regalloc_hard.c — the register allocator against what breaks allocators: random programs and the symbolic checker, the checker against
// broken allocations, input that breaks the rules, and programs so large that quadratic behaviour would show.
#include "tests/host/ra_case.h"

// ---- random programs ----

static void test_random(void **state) {
    (void)state;
    static const struct {
        uint32_t seeds, size;
    } rounds[] = {{4000, 8}, {2500, 30}, {1200, 80}, {60, 500}};
    for (size_t r = 0; r < sizeof rounds / sizeof *rounds; r++) {
        for (uint32_t seed = 0; seed < rounds[r].seeds; seed++) {
            struct jit_mark mark = jit_mark(&arena);
            struct rp p;
            struct ra_output out;
            rp_init(&p, &arena);
            rp_random(&p, seed + 100000 * r, rounds[r].size);
            run(&p, &out);
            const char *wrong = ra_check(&arena, &p.in, &out);
            if (wrong) fail_msg("seed %u, size %u: %s", seed, rounds[r].size, wrong);
            jit_release(&arena, mark);
        }
    }
}

// The checker must see through an allocation that was tampered with. Not each change makes a wrong program (a value may lie in two
// places), but nearly all do.
static void test_checker_sees_damage(void **state) {
    (void)state;
    uint32_t seen = 0, tried = 0;
    for (uint32_t seed = 0; seed < 150; seed++) {
        struct jit_mark mark = jit_mark(&arena);
        struct rp p;
        struct ra_output out;
        rp_init(&p, &arena);
        rp_random(&p, seed, 30);
        run(&p, &out);
        for (uint32_t k = 0; k < 8; k++) {
            struct ra_output broken = out;
            uint32_t pick = (uint32_t)(seed * 7919 + k * 104729);
            broken.move = JIT_ARRAY(&arena, struct ra_move, out.moves + 1);
            broken.loc = JIT_ARRAY(&arena, ra_loc, p.in.operands);
            memcpy(broken.move, out.move, out.moves * sizeof *out.move);
            memcpy(broken.loc, out.loc, p.in.operands * sizeof *out.loc);
            if (k % 2 && out.moves) { // leave a move out
                uint32_t i = pick % out.moves;
                memmove(broken.move + i, broken.move + i + 1, (out.moves - i - 1) * sizeof *out.move);
                broken.moves--;
            } else { // look for an operand elsewhere
                uint32_t i = pick % p.in.operands;
                if (p.in.operand[i].kind == RA_DEF) continue;
                if (RA_IS_REG(out.loc[i])) broken.loc[i] ^= 1;
            }
            tried++;
            seen += ra_check(&arena, &p.in, &broken) != NULL;
        }
        jit_release(&arena, mark);
    }
    assert_true(tried > 500 && seen * 10 > tried * 9);
}

// ---- broken input ----

static void expect_broken(struct rp *p, const char *message) {
    struct ra_output out;
    if (!setjmp(failed)) {
        ra_run(&arena, &p->in, &out);
        fail_msg("accepted; expected: %s", message);
    }
    assert_int_equal(arena.error.status, JIT_ERR_INTERNAL);
    assert_string_equal(arena.error.message, message);
}

static void test_broken_input(void **state) {
    (void)state;
    struct rp p;
    uint32_t arg[2];
    start(&p, 1, arg);
    struct loop l = open_loop(&p, 0, NULL, NULL);
    branch_on(&p, arg[0], l.header, l.header + 1);
    rp_block(&p);
    ret(&p, arg[0]);
    expect_broken(&p, "critical edge");

    start(&p, 1, arg);
    uint32_t v = rp_value(&p, RA_INT, 8);
    ret(&p, v);
    expect_broken(&p, "use of a value without a definition");

    start(&p, 1, arg);
    branch_on(&p, arg[0], 1, 2);
    rp_block(&p);
    v = rp_const(&p, false);
    rp_jump(&p, 3, 0, NULL);
    rp_block(&p);
    rp_jump(&p, 3, 0, NULL);
    rp_block(&p);
    ret(&p, v);
    expect_broken(&p, "use without a definition before it");

    start(&p, 2, arg);
    rp_insn(&p);
    rp_use(&p, arg[0], RA_EARLY, RA_FIXED, RCX);
    rp_use(&p, arg[1], RA_EARLY, RA_FIXED, RCX);
    ret(&p, arg[0]);
    expect_broken(&p, "two values fixed to one register");

    start(&p, 1, arg);
    rp_insn(&p);
    for (int i = 0; i < 14; i++) rp_def(&p, rp_value(&p, RA_INT, 8), RA_EARLY, RA_REG, 0);
    ret(&p, arg[0]);
    expect_broken(&p, "an instruction needs more registers than there are");
}

// Values that each live in a few blocks far apart: they share registers in each other's holes, more of them than the scan keeps account of.
static void test_many_holes(void **state) {
    (void)state;
    enum { N = 200, STAGES = 4 };
    struct rp p;
    struct ra_output out;
    uint32_t arg[2], value[N];
    start(&p, 2, arg);
    for (uint32_t i = 0; i < N; i++) { // test, first stage of chain i, next test, …
        uint32_t b = p.in.blocks;
        branch_on(&p, arg[0], b, b + 1);
        rp_block(&p);
        value[i] = rp_op(&p, arg[0], arg[1]);
        rp_jump(&p, 2 * N + 1 + i, 0, NULL);
        rp_block(&p);
    }
    rp_insn(&p);
    rp_use(&p, arg[1], RA_EARLY, RA_FIXED, RAX);
    rp_return(&p);
    for (uint32_t stage = 1; stage <= STAGES; stage++) {
        for (uint32_t i = 0; i < N; i++) {
            rp_block(&p);
            uint32_t x = rp_op(&p, value[i], value[i]);
            if (i % 3 == stage % 3) x = rp_op(&p, x, arg[stage % 2]);
            if (stage < STAGES) {
                rp_jump(&p, p.in.blocks - 1 + N, 0, NULL);
            } else {
                rp_insn(&p);
                rp_use(&p, x, RA_EARLY, RA_FIXED, RAX);
                rp_return(&p);
            }
        }
    }
    rp_finish(&p);
    run_checked(&p, &out);
}

// ---- size ----

// Time does not explode: each of these takes minutes if something in the allocator is quadratic in its numbers.
static void test_many_values_live_across_many_calls(void **state) {
    (void)state;
    enum { N = 20000 };
    struct rp p;
    struct ra_output out;
    uint32_t *v = JIT_ARRAY(&arena, uint32_t, N);
    start(&p, 0, NULL);
    for (uint32_t i = 0; i < N; i++) v[i] = rp_const(&p, false);
    uint32_t x = v[0];
    for (uint32_t i = 0; i < N; i++) {
        x = rp_add(&p, x, v[i * 7919 % N]);
        if (i % 4 == 0) x = rp_call(&p, 1, &x);
    }
    ret(&p, x);
    run(&p, &out);
    assert_true(out.slots < N);
}

// Each value lives in all blocks behind its definition.
static void test_many_values_live_in_many_blocks(void **state) {
    (void)state;
    enum { N = 6000 };
    struct rp p;
    struct ra_output out;
    uint32_t *v = JIT_ARRAY(&arena, uint32_t, N);
    start(&p, 0, NULL);
    for (uint32_t i = 0; i < N; i++) v[i] = rp_const(&p, false);
    for (uint32_t i = 0; i < N; i++) {
        uint32_t b = p.in.blocks;
        branch_on(&p, v[i], b, b + 1);
        rp_block(&p);
        v[i] = rp_op(&p, v[i], v[N - 1 - i]);
        rp_jump(&p, b + 2, 0, NULL);
        rp_block(&p);
        rp_jump(&p, b + 2, 0, NULL);
        rp_block(&p);
        v[i] = v[N / 2];
    }
    uint32_t x = v[0];
    for (uint32_t i = 0; i < N; i++) x = rp_op(&p, x, v[i]);
    ret(&p, x);
    run(&p, &out);
    assert_true(out.slots <= N);
}

static void test_deep_loops(void **state) {
    (void)state;
    enum { N = 2000 };
    struct rp p;
    struct ra_output out;
    uint32_t arg[1];
    start(&p, 1, arg);
    struct loop *l = JIT_ARRAY(&arena, struct loop, N);
    uint32_t *v = JIT_ARRAY(&arena, uint32_t, N);
    for (uint32_t i = 0; i < N; i++) {
        l[i] = open_loop(&p, 0, NULL, NULL);
        v[i] = rp_op(&p, arg[0], i ? v[i - 1] : arg[0]);
    }
    for (uint32_t i = N; i-- > 0;) close_loop(&p, l[i], v[i], 0, NULL);
    ret(&p, v[N - 1]);
    run(&p, &out);
    assert_true(out.moves < 20 * N);
}

static void test_many_parameters(void **state) {
    (void)state;
    enum { N = 4000 };
    struct rp p;
    struct ra_output out;
    uint32_t *v = JIT_ARRAY(&arena, uint32_t, N), *w = JIT_ARRAY(&arena, uint32_t, N);
    start(&p, 0, NULL);
    for (uint32_t i = 0; i < N; i++) v[i] = rp_const(&p, false);
    for (uint32_t round = 0; round < 8; round++) { // each time in another order
        for (uint32_t i = 0; i < N; i++) w[i] = rp_value(&p, RA_INT, 8);
        rp_jump(&p, p.in.blocks, N, v);
        rp_block(&p);
        rp_params(&p, N, w);
        for (uint32_t i = 0; i < N; i++) v[i] = w[(i * 7 + round) % N];
    }
    ret(&p, v[0]);
    run(&p, &out);
    assert_true(out.slots <= 2 * N + 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_random),
        TEST(test_checker_sees_damage),
        TEST(test_broken_input),
        TEST(test_many_holes),
        TEST(test_many_values_live_across_many_calls),
        TEST(test_many_values_live_in_many_blocks),
        TEST(test_deep_loops),
        TEST(test_many_parameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
