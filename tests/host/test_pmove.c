// test_pmove.c — ra_sequence() on every set of parallel moves over a few locations: each target moved to from any location or not
// at all, so that all trees, cycles and fan-outs occur, within registers, slots and both.
#include "sfi-jit/x64/regalloc.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
// cmocka wants those four before it
#include <cmocka.h>

#define SCRATCH_INT 11u
#define SCRATCH_FP 31u
#define SPARE RA_SLOT(10)

enum { VREG_INT = 1, VREG_FP = 2, VREG_V128 = 3 };
static const struct ra_vreg vregs[] = {
    {0}, {RA_INT, 8, true, RA_NONE}, {RA_FP, 8, false, RA_NONE}, {RA_FP, 16, false, RA_NONE}};

// Runs the sequence on locations that hold their own number, and compares with what the parallel moves say.
static void check(const struct ra_move *moves, uint32_t n) {
    struct ra_move out[4 * 64];
    ra_loc have[80], want[80];
    for (uint32_t i = 0; i < 80; i++) have[i] = want[i] = i;
    for (uint32_t i = 0; i < n; i++) want[moves[i].to] = moves[i].from;
    uint32_t written = ra_sequence(moves, n, vregs, SCRATCH_INT, SCRATCH_FP, SPARE, out);
    assert_true(written <= 3 * n);
    for (uint32_t i = 0; i < written; i++) {
        const struct ra_move *m = &out[i];
        bool is_int = vregs[m->vreg].cls == RA_INT;
        assert_int_equal(m->at, 7);
        assert_true(RA_IS_REG(m->from) || RA_IS_REG(m->to));
        assert_false(m->from == RA_REMAT && !RA_IS_REG(m->to));
        if (RA_IS_REG(m->from)) assert_int_equal(m->from < 16, is_int);
        if (RA_IS_REG(m->to)) assert_int_equal(m->to < 16, is_int);
        have[m->to] = m->from == RA_REMAT ? RA_REMAT : have[m->from];
    }
    for (uint32_t i = 0; i < 80; i++)
        if (i != SCRATCH_INT && i != SCRATCH_FP && i != SPARE) assert_int_equal(have[i], want[i]);
}

// All maps from targets to sources over these locations. Moves between slots and int registers carry an integer; those that touch an
// xmm register, a double or vector; a map with a move between the classes is none.
static void check_all(const ra_loc *loc, uint32_t n, bool slots_hold_fp, uint32_t vreg_fp) {
    uint32_t digit[8] = {0};
    for (;;) {
        struct ra_move moves[8];
        uint32_t count = 0;
        bool possible = true;
        for (uint32_t i = 0; i < n; i++) {
            if (digit[i] == n) continue;
            ra_loc from = loc[digit[i]], to = loc[i];
            bool is_fp = (RA_IS_REG(from) && from >= 16) || (RA_IS_REG(to) && to >= 16);
            bool is_int = from < 16 || to < 16;
            if (is_fp && is_int) possible = false;
            uint32_t fp = is_fp || (!is_int && slots_hold_fp);
            moves[count++] = (struct ra_move){7, from, to, fp ? vreg_fp : VREG_INT};
        }
        if (possible) check(moves, count);
        uint32_t i = 0;
        while (i < n && digit[i] == n) digit[i++] = 0;
        if (i == n) return;
        digit[i]++;
    }
}

static void test_registers(void **state) {
    (void)state;
    check_all((const ra_loc[]){0, 1, 2, 3, 5, 7}, 6, false, VREG_FP);
    check_all((const ra_loc[]){16, 17, 18, 19, 20}, 5, false, VREG_V128);
}

static void test_slots(void **state) {
    (void)state;
    check_all((const ra_loc[]){RA_SLOT(0), RA_SLOT(1), RA_SLOT(2), RA_SLOT(3), RA_SLOT(4)}, 5,
              false, VREG_FP);
    check_all((const ra_loc[]){RA_SLOT(0), RA_SLOT(2), RA_SLOT(4), RA_SLOT(6), RA_SLOT(8)}, 5, true,
              VREG_V128);
}

static void test_registers_and_slots(void **state) {
    (void)state;
    check_all((const ra_loc[]){0, 1, 2, RA_SLOT(0), RA_SLOT(1), RA_SLOT(2)}, 6, false, VREG_FP);
    check_all((const ra_loc[]){16, 17, RA_SLOT(0), RA_SLOT(2), RA_SLOT(4)}, 5, true, VREG_V128);
}

static void test_both_classes(void **state) {
    (void)state;
    check_all((const ra_loc[]){0, 1, 16, 17, RA_SLOT(0), RA_SLOT(1)}, 6, false, VREG_FP);
    check_all((const ra_loc[]){0, 1, 16, 17, RA_SLOT(0), RA_SLOT(1)}, 6, true, VREG_FP);
}

static void test_remat(void **state) {
    (void)state;
    struct ra_move m[] = {{7, 0, 1, VREG_INT},
                          {7, RA_REMAT, 0, VREG_INT},
                          {7, RA_REMAT, RA_SLOT(1), VREG_INT},
                          {7, RA_SLOT(1), RA_SLOT(2), VREG_INT}};
    check(m, 4);
}

static void test_many(void **state) {
    (void)state;
    struct ra_move m[60];
    ra_loc loc[18]; // one cycle through registers and slots, longer than the simple sort takes
    for (uint32_t i = 0; i < 18; i++) loc[i] = i % 2 ? RA_SLOT(i / 2) : i / 2;
    for (uint32_t i = 0; i < 18; i++)
        m[i] = (struct ra_move){7, loc[i], loc[(i + 7) % 18], VREG_INT};
    check(m, 18);
    uint32_t n = 0;
    for (ra_loc to = 16; to < 31; to++)
        m[n++] = (struct ra_move){7, 16 + (to * 7 + 3) % 15, to, VREG_FP};
    for (uint32_t k = 0; k < 9; k++) m[n++] = (struct ra_move){7, 16 + k, RA_SLOT(k), VREG_FP};
    check(m, n);
}

static void test_no_needless_moves(void **state) {
    (void)state;
    struct ra_move out[16];
    struct ra_move chain[] = {
        {7, 0, 1, VREG_INT}, {7, 1, 2, VREG_INT}, {7, 2, 3, VREG_INT}, {7, 5, 5, VREG_INT}};
    assert_int_equal(ra_sequence(chain, 4, vregs, SCRATCH_INT, SCRATCH_FP, SPARE, out), 3);
    struct ra_move swap[] = {{7, 0, 1, VREG_INT}, {7, 1, 0, VREG_INT}};
    assert_int_equal(ra_sequence(swap, 2, vregs, SCRATCH_INT, SCRATCH_FP, SPARE, out), 3);
    struct ra_move memory[] = {{7, 0, RA_SLOT(0), VREG_INT}, {7, RA_SLOT(0), 0, VREG_INT}};
    assert_int_equal(ra_sequence(memory, 2, vregs, SCRATCH_INT, SCRATCH_FP, SPARE, out), 3);
    assert_int_equal(ra_sequence(NULL, 0, vregs, SCRATCH_INT, SCRATCH_FP, SPARE, out), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registers),
        cmocka_unit_test(test_slots),
        cmocka_unit_test(test_registers_and_slots),
        cmocka_unit_test(test_both_classes),
        cmocka_unit_test(test_remat),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_no_needless_moves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
