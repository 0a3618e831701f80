// merge.c — opt_merge(): a block and the only one behind it, which nothing else leads to, become one.
//
// Labels of WebAssembly and inlined bodies leave such pairs. Instruction selection folds loads and conditions within a block only.
#include "sfi-jit/opt/opt.h"

// What follows b without a choice, and follows nothing else.
static uint32_t only_next(const struct ir_func *f, uint32_t b) {
    const struct ir_block *block = &f->block[b];
    if (f->ins[block->last].op != IR_JUMP) return UINT32_MAX;
    return f->block[block->succ[0]].preds == 1 ? block->succ[0] : UINT32_MAX;
}

// `next` empties into b. Its edges stay as they are: successors learn their new predecessor from moved[].
static void merge(struct ir_func *f, uint32_t b, uint32_t next, ir_ref *to) {
    struct ir_block *into = &f->block[b], *from = &f->block[next];
    ir_remove(f, into->last);
    for (ir_ref r = from->first, after; f->ins[r].op == IR_PHI; r = after) {
        after = f->ins[r].next;
        to[r] = f->pool[f->ins[r].a];
        ir_remove(f, r);
    }
    for (ir_ref r = from->first; r; r = f->ins[r].next) f->ins[r].block = b;
    f->ins[from->first].prev = into->last;
    *(into->last ? &f->ins[into->last].next : &into->first) = from->first;
    into->last = from->last;
    into->succ = from->succ;
    into->succs = from->succs;
    *from = (struct ir_block){.order = UINT32_MAX, .loop = UINT32_MAX, .outer = UINT32_MAX};
}

void opt_merge(struct ir_func *f) {
    uint32_t *moved = NULL; // [block]: the one it went into, + 1
    ir_ref *to = NULL;
    for (uint32_t k = 0; k < f->orders; k++) {
        uint32_t b = f->order[k], next;
        if (moved && moved[b]) continue;
        while ((next = only_next(f, b)) != UINT32_MAX && next != b) {
            if (!moved) {
                moved = JIT_ARRAY(f->arena, uint32_t, f->blocks);
                to = JIT_ARRAY(f->arena, ir_ref, f->inss);
            }
            merge(f, b, next, to);
            moved[next] = b + 1;
        }
    }
    if (!moved) return;
    for (uint32_t b = 0; b < f->blocks; b++)
        for (uint32_t k = 0; k < f->block[b].preds; k++)
            if (moved[f->block[b].pred[k]]) f->block[b].pred[k] = moved[f->block[b].pred[k]] - 1;
    ir_forward(f, to);
    ir_analyse(f);
}
