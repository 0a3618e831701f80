// ra_case.h — what the tests of the register allocator share: an arena a test, running it, and the beginnings and ends of small programs.
#ifndef TESTS_RA_CASE_H
#define TESTS_RA_CASE_H
#include "tests/host/ra_problem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
// cmocka wants those before it
#include <cmocka.h>

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

// ---- host ----

static jmp_buf failed;
static inline void *host_alloc(void *ctx, size_t bytes) {
    (void)ctx;
    return calloc(1, bytes);
}
static inline void host_release(void *ctx, void *chunk, size_t bytes) {
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

static inline int setup(void **state) {
    (void)state;
    jit_arena_init(&arena, &host, 0);
    return 0;
}
static inline int teardown(void **state) {
    (void)state;
    jit_release(&arena, (struct jit_mark){0});
    return 0;
}

static inline void run(struct rp *p, struct ra_output *out) {
    if (setjmp(failed)) fail_msg("ra_run: %s", arena.error.message);
    ra_run(&arena, &p->in, out);
}

static inline void run_checked(struct rp *p, struct ra_output *out) {
    run(p, out);
    const char *wrong = ra_check(&arena, &p->in, out);
    if (wrong) {
        rp_dump(p, out);
        fail_msg("%s", wrong);
    }
}

static inline void ret(struct rp *p, uint32_t v) {
    rp_insn(p);
    rp_use(p, v, RA_EARLY, RA_FIXED, RAX);
    rp_return(p);
    rp_finish(p);
}

static inline void start(struct rp *p, uint32_t params, uint32_t *out_param) // in rdi, rsi, …
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

static inline void branch_on(struct rp *p, uint32_t v, uint32_t yes, uint32_t no) // a conditional branch on v
{
    rp_insn(p);
    rp_use(p, v, RA_EARLY, RA_REG, 0);
    rp_branch(p, yes, no);
}

// A loop of three blocks: header (with its parameters), the block of the back edge, the exit. make_body() ends before the branch.
struct loop {
    uint32_t header, first_insn;
};
static inline struct loop open_loop(struct rp *p, uint32_t n, const uint32_t *args,
                                    const uint32_t *params) {
    uint32_t header = p->in.blocks;
    rp_jump(p, header, n, args);
    rp_block(p);
    rp_params(p, n, params);
    return (struct loop){header, p->in.insns};
}
static inline uint32_t close_loop(struct rp *p, struct loop l, uint32_t condition, uint32_t n,
                                  const uint32_t *args) {
    uint32_t b = p->in.blocks;
    branch_on(p, condition, b, b + 1);
    rp_block(p);
    rp_jump(p, l.header, n, args);
    rp_block(p);
    return p->in.insns; // where the loop's instructions end
}
#endif
