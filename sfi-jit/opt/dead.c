// dead.c — opt_dead(): removes pure values that nobody uses.
//
// Marking from the roots (effects and ends of blocks) rather than counting uses, so that cycles of PHIs that only feed each other
// go as well. PARAM and RESULT stay: they say where something is, and cost nothing unused.
#include "sfi-jit/lib.h"
#include "sfi-jit/opt/opt.h"

static bool is_root(const struct ir_ins *i) {
    return ir_op_info[i->op].flags & (IRF_EFFECT | IRF_TERM);
}

void opt_dead(struct ir_func *f) {
    bool *live = JIT_ARRAY(f->arena, bool, f->inss);
    ir_ref *work = JIT_ARRAY(f->arena, ir_ref, f->inss);
    uint32_t top = 0;
    for (uint32_t b = 0; b < f->blocks; b++)
        for (ir_ref r = f->block[b].first; r; r = f->ins[r].next)
            if (is_root(&f->ins[r])) {
                live[r] = true;
                work[top++] = r;
            }
    while (top) {
        uint32_t n;
        const ir_ref *operand = ir_operands(f, work[--top], &n);
        for (uint32_t k = 0; k < n; k++)
            if (!live[operand[k]]) {
                live[operand[k]] = true;
                work[top++] = operand[k];
            }
    }
    for (uint32_t b = 0; b < f->blocks; b++)
        for (ir_ref r = f->block[b].first, next; r; r = next) {
            next = f->ins[r].next;
            if (!live[r] && f->ins[r].op != IR_PARAM && f->ins[r].op != IR_RESULT) ir_remove(f, r);
        }
}
