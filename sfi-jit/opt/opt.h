// opt.h — the optimiser: one file a pass, each a function from a function's IR to a better one that computes the same.
//
// A pass leaves the IR well formed (ir_check). Effects keep their order and number: only a division whose divisor is a constant that
// cannot trap may become something pure. Passes that change edges run ir_analyse() themselves.
#ifndef OPT_H
#define OPT_H
#include "sfi-jit/ir/ir.h"

// What is known of the module's tables, for all its functions; NULL if nothing. (direct.c)
struct opt_tables;
struct opt_tables *opt_tables(struct jit_arena *a, const struct wasm_module *m);
// Indirect calls whose callee is known become direct ones. (direct.c)
void opt_direct(struct ir_func *f, struct opt_tables *tables);
// Calls of small leaf functions of the module become their bodies. (inline.c)
void opt_inline(struct ir_func *f);
// Blocks in a row become one. (merge.c)
void opt_merge(struct ir_func *f);
// Constant folding, algebraic identities, branches on constants, PHIs of one value. Constants move to the right. (fold.c)
void opt_fold(struct ir_func *f);
// Equal pure values become one, where one dominates the other. (gvn.c)
void opt_gvn(struct ir_func *f);
// Bytes put together in the opposite order are one operator. (bytes.c)
void opt_bytes(struct ir_func *f);
// Dear values that do not change in a loop are computed before it. (licm.c)
void opt_licm(struct ir_func *f);
// Removes pure values that nobody uses, cycles of PHIs included. (dead.c)
void opt_dead(struct ir_func *f);
// Loop counters that start below zero start at zero. (rebase.c)
void opt_rebase(struct ir_func *f);
// Constant parts of addresses become offsets, where the sum surely does not wrap. (address.c)
void opt_address(struct ir_func *f);
// Loop variables' next values move down, behind the last use of the present ones. Needs split edges. (sink.c)
void opt_sink(struct ir_func *f);

// What an integer value can be, unsigned: lo ≤ value ≤ hi.
struct opt_interval {
    uint64_t lo, hi;
};
// [value of type I32 or I64], f->inss of them. (range.c)
struct opt_interval *opt_range(struct ir_func *f);
// The value of an integer operator with constant operands, zero-extended; `op` is pure and total. (eval.c)
uint64_t opt_eval(enum ir_op op, uint8_t type, uint8_t operand_type, uint64_t a, uint64_t b);
// True if opt_eval() knows the operator.
bool opt_can_eval(enum ir_op op, uint8_t operand_type);
// A value before `at` that equals at's quotient or remainder by constant `d`, or 0 if the division had better stay. (divide.c)
ir_ref opt_divide(struct ir_func *f, ir_ref at, uint64_t d);
#endif
