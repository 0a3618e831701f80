// opt.h — the optimiser: one file a pass, each a function from a function's IR to a better one that computes the same.
//
// A pass leaves the IR well formed (ir_check). Effects keep their order and number. Passes that change the graph run ir_analyse() themselves.
#ifndef OPT_H
#define OPT_H
#include "sfi-jit/ir/ir.h"

// Constant folding, algebraic identities, copies of one value through PHIs; constants move to the right of commutative operators.
void opt_fold(struct ir_func *f);
// Removes pure values that nobody uses, cycles of PHIs included.
void opt_dead(struct ir_func *f);
#endif
