// test_regalloc.c — the register allocator on closed problems: small programs by name, with the quality that is expected of them.
#include "tests/host/ra_case.h"

// ---- counting what an allocation costs ----

struct count {
    uint32_t copies, loads, stores;
};
static struct count count_moves(const struct ra_output *out, uint32_t from_insn, uint32_t to_insn) {
    struct count c = {0};
    for (uint32_t i = 0; i < out->moves; i++) {
        const struct ra_move *m = &out->move[i];
        if (m->at < from_insn || m->at >= to_insn) continue;
        if (!RA_IS_REG(m->to))
            c.stores++;
        else if (!RA_IS_REG(m->from))
            c.loads++;
        else
            c.copies++;
    }
    return c;
}
static void expect_moves(const struct ra_output *out, uint32_t from, uint32_t to, uint32_t copies,
                         uint32_t loads, uint32_t stores) {
    struct count c = count_moves(out, from, to);
    if (c.copies != copies || c.loads != loads || c.stores != stores)
        fail_msg("%u copies, %u loads, %u stores; expected %u, %u, %u", c.copies, c.loads, c.stores,
                 copies, loads, stores);
}

// ---- quality, by name ----

static void test_loop_stays_in_registers(void **state) {
    (void)state;
    struct rp p;
    struct ra_output out;
    uint32_t arg[2];
    start(&p, 2, arg);
    uint32_t zero = rp_const(&p, false), i = rp_value(&p, RA_INT, 8), sum = rp_value(&p, RA_INT, 8);
    struct loop l = open_loop(&p, 2, (uint32_t[]){zero, arg[0]}, (uint32_t[]){i, sum});
    uint32_t sum2 = rp_add(&p, sum, i), i2 = rp_add(&p, i, arg[1]);
    uint32_t end = close_loop(&p, l, i2, 2, (uint32_t[]){i2, sum2});
    ret(&p, sum2);
    run_checked(&p, &out);
    expect_moves(&out, l.first_insn, end, 0, 0, 0);
    assert_int_equal(out.slots, 0);
}

static void test_swap_in_loop(void **state) {
    (void)state;
    struct rp p;
    struct ra_output out;
    uint32_t arg[3];
    start(&p, 3, arg);
    uint32_t a = rp_value(&p, RA_INT, 8), b = rp_value(&p, RA_INT, 8);
    struct loop l = open_loop(&p, 2, arg, (uint32_t[]){a, b});
    uint32_t end = close_loop(&p, l, arg[2], 2, (uint32_t[]){b, a});
    ret(&p, a);
    run_checked(&p, &out);
    expect_moves(&out, l.first_insn, end, 3, 0, 0);
}

static void test_across_call_in_callee_saved(void **state) {
    (void)state;
    struct rp p;
    struct ra_output out;
    uint32_t arg[2];
    start(&p, 2, arg);
    uint32_t r = rp_call(&p, 1, &arg[0]), s = rp_add(&p, r, arg[1]);
    ret(&p, s);
    run_checked(&p, &out);
    expect_moves(&out, 0, p.in.insns, 1, 0, 0); // rsi to a saved register
    assert_int_equal(out.slots, 0);
    assert_int_equal(__builtin_popcount(out.used & RP_CALLEE_SAVED), 1);
}

static void test_short_lives_avoid_callee_saved(void **state) {
    (void)state;
    struct rp p;
    struct ra_output out;
    uint32_t arg[6];
    start(&p, 6, arg);
    uint32_t x = rp_add(&p, arg[0], arg[1]), y = rp_op(&p, arg[2], arg[3]),
             z = rp_op(&p, arg[4], arg[5]);
    ret(&p, rp_add(&p, rp_add(&p, y, x), z));
    run_checked(&p, &out);
    assert_int_equal(out.used & RP_CALLEE_SAVED, 0);
}

static void test_arguments_pass_through(void **state) {
    (void)state;
    struct rp p;
    struct ra_output out;
    uint32_t arg[4];
    start(&p, 4, arg);
    uint32_t r = rp_call(&p, 4, arg);
    ret(&p, rp_call(&p, 1, &r));
    run_checked(&p, &out);
    expect_moves(&out, 0, p.in.insns, 1, 0, 0); // rax to rdi
}

static void test_two_operand_chain(void **state) {
    (void)state;
    struct rp p;
    struct ra_output out;
    uint32_t arg[2];
    start(&p, 2, arg);
    uint32_t v = rp_const(&p, false);
    for (int i = 0; i < 20; i++) v = rp_add(&p, v, arg[i % 2]);
    ret(&p, v);
    run_checked(&p, &out);
    expect_moves(&out, 0, p.in.insns, 0, 0, 0); // the chain is in rax from its start
}

static void test_same_value_twice(void **state) {
    (void)state;
    struct rp p;
    struct ra_output out;
    uint32_t arg[1];
    start(&p, 1, arg);
    ret(&p, rp_add(&p, rp_add(&p, arg[0], arg[0]), arg[0]));
    run_checked(&p, &out);
    expect_moves(&out, 0, p.in.insns, 1, 0, 0);
}

static void test_diamond_joins_without_moves(void **state) {
    (void)state;
    struct rp p;
    struct ra_output out;
    uint32_t arg[3];
    start(&p, 3, arg);
    branch_on(&p, arg[2], 1, 2);
    rp_block(&p);
    uint32_t a = rp_op(&p, arg[0], arg[1]);
    rp_jump(&p, 3, 1, &a);
    rp_block(&p);
    uint32_t b = rp_op(&p, arg[1], arg[0]);
    rp_jump(&p, 3, 1, &b);
    rp_block(&p);
    uint32_t c = rp_value(&p, RA_INT, 8);
    rp_params(&p, 1, &c);
    ret(&p, rp_op(&p, c, c));
    run_checked(&p, &out);
    expect_moves(&out, 0, p.in.insns, 0, 0, 0);
}

static void test_spilled_before_loop_comes_back_once(void **state) {
    (void)state;
    struct rp p;
    struct ra_output out;
    uint32_t arg[6];
    start(&p, 6, arg);
    uint32_t v = rp_call(&p, 0, NULL); // six values live across it, five registers
    struct loop l = open_loop(&p, 0, NULL, NULL);
    for (int i = 0; i < 6; i++) v = rp_op(&p, v, arg[i]);
    uint32_t end = close_loop(&p, l, v, 0, NULL);
    ret(&p, v);
    run_checked(&p, &out);
    expect_moves(&out, l.first_insn, end, 0, 0, 0);
    struct count c = count_moves(&out, 0, l.first_insn);
    assert_int_equal(c.loads, 1);
    assert_int_equal(c.stores, 1);
}

// More values than registers; those that the loop does not use give way, not those that it uses.
static void test_unused_values_leave_the_loop(void **state) {
    (void)state;
    struct rp p;
    struct ra_output out;
    uint32_t arg[6], v[14];
    start(&p, 6, arg);
    for (int i = 0; i < 14; i++) v[i] = rp_op(&p, arg[i % 6], arg[(i + 1) % 6]);
    uint32_t i0 = rp_const(&p, false), i = rp_value(&p, RA_INT, 8);
    struct loop l = open_loop(&p, 1, &i0, &i);
    uint32_t x = rp_op(&p, i, v[12]), y = rp_op(&p, x, v[13]), i2 = rp_add(&p, y, v[11]);
    uint32_t end = close_loop(&p, l, i2, 1, &i2);
    uint32_t s = i2;
    for (int k = 0; k < 14; k++) s = rp_add(&p, s, v[k]);
    ret(&p, s);
    run_checked(&p, &out);
    expect_moves(&out, l.first_insn, end, 0, 0, 0);
}

// A loop that calls: one value too many for the registers that survive. One load an iteration, and no store in the loop.
static void test_call_in_loop(void **state) {
    (void)state;
    struct rp p;
    struct ra_output out;
    uint32_t arg[6];
    start(&p, 6, arg);
    struct loop l = open_loop(&p, 0, NULL, NULL);
    uint32_t v = rp_call(&p, 0, NULL);
    for (int i = 0; i < 6; i++) v = rp_add(&p, v, arg[i]);
    uint32_t end = close_loop(&p, l, v, 0, NULL);
    ret(&p, v);
    run_checked(&p, &out);
    struct count c = count_moves(&out, l.first_insn, end);
    assert_int_equal(c.stores, 0);
    assert_int_equal(c.copies, 0);
    assert_true(c.loads <= 1);
}

// A loop variable that lives across a call for part of the loop only is in a register that survives it for all of the loop.
static void test_loop_variable_across_call(void **state) {
    (void)state;
    struct rp p;
    struct ra_output out;
    uint32_t arg[1];
    start(&p, 1, arg);
    uint32_t seed = rp_const(&p, false), x = rp_value(&p, RA_INT, 8);
    struct loop l = open_loop(&p, 1, &seed, &x);
    uint32_t y = rp_add(&p, x, arg[0]), z = rp_add(&p, y, y);
    uint32_t r = rp_call(&p, 1, &z);
    uint32_t end = close_loop(&p, l, r, 1, &y);
    ret(&p, y);
    run_checked(&p, &out);
    expect_moves(&out, l.first_insn, end, 1, 0, 0); // y to rdi for z
}

// An interpreter's loop: variables go round, each arm changes one of them, by two-operand instructions of either order.
static void test_arms_change_variables_in_place(void **state) {
    (void)state;
    enum { VARS = 5, ARMS = 4 };
    struct rp p;
    struct ra_output out;
    uint32_t arg[VARS], var[VARS], joined[VARS], next[VARS];
    start(&p, VARS, arg);
    for (int i = 0; i < VARS; i++) {
        var[i] = rp_value(&p, RA_INT, 8);
        joined[i] = rp_value(&p, RA_INT, 8);
    }
    struct loop l = open_loop(&p, VARS, arg, var);
    uint32_t first_arm = p.in.blocks, join = first_arm + 2 * ARMS - 2;
    for (uint32_t a = 0; a < ARMS; a++) { // a chain of branches: arm, next test, arm, next test, …
        if (a + 1 < ARMS) {
            branch_on(&p, var[0], p.in.blocks, p.in.blocks + 1);
            rp_block(&p);
        }
        memcpy(next, var, sizeof var);
        uint32_t t = rp_add(&p, var[a + 1], var[a]); // the operands change places: var[a] is what changes
        p.insn[p.in.insns - 1].commutes = true;
        next[a] = rp_add(&p, t, var[(a + 2) % VARS]);
        rp_jump(&p, join, VARS, next);
        if (a + 1 < ARMS) rp_block(&p);
    }
    assert_int_equal(rp_block(&p), join);
    rp_params(&p, VARS, joined);
    uint32_t end = close_loop(&p, l, joined[0], VARS, joined);
    ret(&p, joined[1]);
    run_checked(&p, &out);
    expect_moves(&out, l.first_insn, end, 0, 0, 0);
}

static void test_stored_once(void **state) {
    (void)state;
    struct rp p;
    struct ra_output out;
    uint32_t v[8];
    start(&p, 0, NULL);
    for (int i = 0; i < 8; i++) v[i] = rp_const(&p, false);
    uint32_t s = v[0];
    for (int k = 0; k < 5; k++) {
        s = rp_add(&p, s, rp_call(&p, 0, NULL));
        for (int i = 0; i < 8; i++) {
            rp_insn(&p);
            rp_use(&p, v[i], RA_EARLY, RA_REG, 0);
        }
    }
    ret(&p, s);
    run_checked(&p, &out);
    uint32_t stores[64] = {0};
    for (uint32_t i = 0; i < out.moves; i++)
        if (!RA_IS_REG(out.move[i].to)) assert_int_equal(stores[out.move[i].vreg]++, 0);
    assert_true(out.slots <= 5); // 9 values live across the calls, 5 registers
}

static void test_constants_are_made_anew(void **state) {
    (void)state;
    struct rp p;
    struct ra_output out;
    uint32_t v[8];
    start(&p, 0, NULL);
    for (int i = 0; i < 8; i++) v[i] = rp_const(&p, true);
    uint32_t r = rp_call(&p, 0, NULL);
    for (int i = 0; i < 8; i++) r = rp_op(&p, r, v[i]);
    ret(&p, r);
    run_checked(&p, &out);
    assert_int_equal(out.slots, 0);
    uint32_t left_out = 0; // and not made before the call, which 5 registers survive
    for (uint32_t i = 0; i < p.in.operands; i++) left_out += out.loc[i] == RA_REMAT;
    assert_true(left_out >= 3);
}

// More loop variables than registers: those in memory stay in their slots, without moves on the back edge.
static void test_loop_variables_in_memory(void **state) {
    (void)state;
    enum { VARS = 20 };
    struct rp p;
    struct ra_output out;
    uint32_t arg[1], first[VARS], var[VARS], next[VARS];
    start(&p, 1, arg);
    for (int i = 0; i < VARS; i++) {
        first[i] = rp_op(&p, arg[0], arg[0]);
        var[i] = rp_value(&p, RA_INT, 8);
    }
    struct loop l = open_loop(&p, VARS, first, var);
    for (int i = 0; i < VARS; i++) next[i] = rp_add(&p, var[i], arg[0]);
    uint32_t end = close_loop(&p, l, next[0], VARS, next);
    ret(&p, next[1]);
    run_checked(&p, &out);
    struct count c = count_moves(&out, l.first_insn, end);
    assert_int_equal(c.copies, 0);
    assert_true(c.loads <= VARS - 11 && c.stores <= VARS - 11);
}

static void test_slots_are_shared(void **state) {
    (void)state;
    struct rp p;
    struct ra_output out;
    uint32_t r;
    start(&p, 0, NULL);
    r = rp_const(&p, false);
    for (int k = 0; k < 6; k++) {
        uint32_t v[8];
        for (int i = 0; i < 8; i++) v[i] = rp_op(&p, r, r);
        r = rp_call(&p, 0, NULL);
        for (int i = 0; i < 8; i++) r = rp_op(&p, r, v[i]);
    }
    ret(&p, r);
    run_checked(&p, &out);
    assert_true(out.slots <= 4);
}

static void test_wide_slots_are_apart(void **state) {
    (void)state;
    struct rp p;
    struct ra_output out;
    uint32_t v[6];
    start(&p, 0, NULL);
    for (int i = 0; i < 6; i++) {
        v[i] = rp_value(&p, RA_FP, i % 2 ? 16 : 8);
        rp_insn(&p);
        rp_def(&p, v[i], RA_LATE, RA_REG, 0);
    }
    uint32_t r = rp_call(&p, 0, NULL);
    for (int i = 0; i < 6; i++) {
        rp_insn(&p);
        rp_use(&p, v[i], RA_EARLY, RA_ANY, 0);
    }
    ret(&p, r);
    run_checked(&p, &out);
    assert_int_equal(out.slots, 9);
    expect_moves(&out, 0, p.in.insns, 0, 0, 6); // used where they lie
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_loop_stays_in_registers),
        TEST(test_swap_in_loop),
        TEST(test_across_call_in_callee_saved),
        TEST(test_short_lives_avoid_callee_saved),
        TEST(test_arguments_pass_through),
        TEST(test_two_operand_chain),
        TEST(test_same_value_twice),
        TEST(test_diamond_joins_without_moves),
        TEST(test_spilled_before_loop_comes_back_once),
        TEST(test_unused_values_leave_the_loop),
        TEST(test_call_in_loop),
        TEST(test_loop_variable_across_call),
        TEST(test_arms_change_variables_in_place),
        TEST(test_stored_once),
        TEST(test_constants_are_made_anew),
        TEST(test_loop_variables_in_memory),
        TEST(test_slots_are_shared),
        TEST(test_wide_slots_are_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
