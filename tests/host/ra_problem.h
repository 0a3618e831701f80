// ra_problem.h — builds register allocation problems for tests: by hand, instruction by instruction, or at random.
//
// A problem is an ra_input under construction. Blocks are made in layout order; instructions go to the newest block; predecessors are
// derived from the successors in the end. rp_random() makes structured programs (nested loops with breaks and continues, branches that
// join, values of all ages and classes) with the constraints that x86-64 code has.
#ifndef TESTS_RA_PROBLEM_H
#define TESTS_RA_PROBLEM_H
#include "sfi-jit/x64/regalloc.h"

enum { // x86 numbers
    RAX,
    RCX,
    RDX,
    RBX,
    RSP,
    RBP,
    RSI,
    RDI,
    R8,
    R9,
    R10,
    R11,
    R12,
    R13,
    R14,
    R15,
    XMM0,
};
#define RP_ALLOCATABLE 0x7FFF77EFu                                  // all but rsp, r11, r15, xmm15
#define RP_CALLEE_SAVED 0x7028u                                     // rbx rbp r12 r13 r14
#define RP_CALL_CLOBBERS (0xFFFF0FFFu & ~(RP_CALLEE_SAVED | 0x10u)) // everything else but rsp

struct rp {
    struct ra_input in;
    struct ra_insn *insn;
    struct ra_operand *operand;
    struct ra_vreg *vreg;
    struct ra_block *block;
    uint32_t insn_cap, operand_cap, vreg_cap, block_cap;
    struct jit_arena *a;
    uint64_t random;
};

void rp_init(struct rp *p, struct jit_arena *a);
uint32_t rp_value(struct rp *p, enum ra_class cls, uint32_t bytes); // a new vreg
uint32_t rp_block(struct rp *p); // starts a block at the present instruction
void rp_insn(struct rp *p);      // starts an instruction in the newest block
void rp_use(struct rp *p, uint32_t vreg, enum ra_when when, enum ra_how how, uint32_t fixed);
void rp_def(struct rp *p, uint32_t vreg, enum ra_when when, enum ra_how how, uint32_t fixed);
void rp_clobber(struct rp *p, uint32_t mask);
// Ends the newest block with its branch instruction (the newest instruction, made here if it has no operands to get).
void rp_params(struct rp *p, uint32_t n, const uint32_t *vregs); // of the newest block
void rp_jump(struct rp *p, uint32_t to, uint32_t n, const uint32_t *args);
void rp_branch(struct rp *p, uint32_t yes, uint32_t no); // by the newest instruction
void rp_return(struct rp *p);                            // by the newest instruction
void rp_finish(struct rp *p);                            // predecessors, and p->in

// Common instructions. All return the vreg that they define.
uint32_t rp_const(struct rp *p, bool remat);
uint32_t rp_op(struct rp *p, uint32_t a, uint32_t b);  // three-operand, b may be in memory
uint32_t rp_add(struct rp *p, uint32_t a, uint32_t b); // two-operand: REUSE of a
uint32_t rp_call(struct rp *p, uint32_t n, const uint32_t *args);

void rp_random(struct rp *p, uint64_t seed, uint32_t size);
void rp_dump(const struct rp *p, const struct ra_output *out);
#endif
