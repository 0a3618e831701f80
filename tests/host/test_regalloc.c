// test_regalloc.c — the register allocator on closed problems: random programs against the symbolic checker, the checker against
// broken allocations, named small programs with the quality that is expected of them, and big ones against quadratic behaviour.
#include "tests/host/ra_problem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
// cmocka wants those before it
#include <cmocka.h>

// ---- host ----

static jmp_buf failed;
static void *host_alloc(void *ctx, size_t bytes) {
    (void)ctx;
    return calloc(1, bytes);
}
static void host_release(void *ctx, void *chunk, size_t bytes) {
    (void)ctx;
    (void)bytes;
    free(chunk);
}
static _Noreturn void host_fail(void *ctx) {
    (void)ctx;
    longjmp(failed, 1);
}
static const struct jit_host host = {NULL, host_alloc, host_release, host_fail};
static struct jit_arena arena;

static int setup(void **state) {
    (void)state;
    jit_arena_init(&arena, &host, 0);
    return 0;
}
static int teardown(void **state) {
    (void)state;
    jit_release(&arena, (struct jit_mark){0});
    return 0;
}

static void run(struct rp *p, struct ra_output *out) {
    if (setjmp(failed)) fail_msg("ra_run: %s", arena.error.message);
    ra_run(&arena, &p->in, out);
}

static void run_checked(struct rp *p, struct ra_output *out) {
    run(p, out);
    const char *wrong = ra_check(&arena, &p->in, out);
    if (wrong) {
        rp_dump(p, out);
        fail_msg("%s", wrong);
    }
}

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

static void ret(struct rp *p, uint32_t v) {
    rp_insn(p);
    rp_use(p, v, RA_EARLY, RA_FIXED, RAX);
    rp_return(p);
    rp_finish(p);
}

static void start(struct rp *p, uint32_t params, uint32_t *out_param) // in rdi, rsi, …
{
    static const uint8_t reg[] = {RDI, RSI, RDX, RCX, R8, R9};
    rp_init(p, &arena);
    rp_block(p);
    rp_insn(p);
    for (uint32_t i = 0; i < params; i++) {
        out_param[i] = rp_value(p, RA_INT, 8);
        rp_def(p, out_param[i], RA_LATE, RA_FIXED, reg[i]);
    }
}

static void branch_on(struct rp *p, uint32_t v, uint32_t yes, uint32_t no) // a conditional branch on v
{
    rp_insn(p);
    rp_use(p, v, RA_EARLY, RA_REG, 0);
    rp_branch(p, yes, no);
}

// A loop of three blocks: header (with its parameters), the block of the back edge, the exit. make_body() ends before the branch.
struct loop {
    uint32_t header, first_insn;
};
static struct loop open_loop(struct rp *p, uint32_t n, const uint32_t *args, const uint32_t *params) {
    uint32_t header = p->in.blocks;
    rp_jump(p, header, n, args);
    rp_block(p);
    rp_params(p, n, params);
    return (struct loop){header, p->in.insns};
}
static uint32_t close_loop(struct rp *p, struct loop l, uint32_t condition, uint32_t n,
                           const uint32_t *args) {
    uint32_t b = p->in.blocks;
    branch_on(p, condition, b, b + 1);
    rp_block(p);
    rp_jump(p, l.header, n, args);
    rp_block(p);
    return p->in.insns; // where the loop's instructions end
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
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
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
