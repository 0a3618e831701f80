// licm.c — opt_licm(): what a loop computes anew each turn though nothing of it changes is computed before the loop.
//
// Compilers for WebAssembly have done this already; left are values that only appear here (a division's reciprocal product, an
// inlined body) or that they thought cheaper. A hoisted value occupies a register through the whole loop, so only operators that take several cycles
// are hoisted, and only a few out of each loop. Nothing with an effect moves.
#include "sfi-jit/opt/opt.h"

#define HOISTS_MAX 4u // out of one loop

static bool is_dear(const struct ir_ins *i) {
    if (ir_op_info[i->op].flags & (IRF_EFFECT | IRF_TERM | IRF_PIN)) return false;
    return i->op == IR_MUL || i->op == IR_MULHU || i->op == IR_MULHS ||
           (i->op >= IR_FADD && i->op <= IR_DEMOTE) || (i->op >= IR_VUN && i->op <= IR_VSPLAT);
}

// The one block that leads into the loop at `head` from outside, UINT32_MAX if there are several.
static uint32_t before(const struct ir_func *f, uint32_t head) {
    uint32_t found = UINT32_MAX;
    for (uint32_t k = 0; k < f->block[head].preds; k++) {
        uint32_t p = f->block[head].pred[k];
        if (f->block[p].order >= f->block[head].order) continue;
        if (found != UINT32_MAX) return UINT32_MAX;
        found = p;
    }
    return found;
}

static void move_to_end(struct ir_func *f, ir_ref r, uint32_t block) {
    struct ir_ins *i = &f->ins[r];
    struct ir_block *from = &f->block[i->block], *to = &f->block[block];
    *(i->prev ? &f->ins[i->prev].next : &from->first) = i->next;
    f->ins[i->next].prev = i->prev;
    i->block = block;
    i->prev = f->ins[to->last].prev;
    i->next = to->last;
    *(i->prev ? &f->ins[i->prev].next : &to->first) = r;
    f->ins[to->last].prev = r;
}

// Out of the loop at `head`, with the constants it needs.
static bool hoist(struct ir_func *f, ir_ref r, uint32_t head, uint32_t to) {
    uint32_t n;
    const ir_ref *operand = ir_operands(f, r, &n);
    for (uint32_t k = 0; k < n; k++) {
        const struct ir_ins *o = &f->ins[operand[k]];
        if (o->op != IR_CONST && f->block[o->block].order >= f->block[head].order) return false;
    }
    for (uint32_t k = 0; k < n; k++)
        if (f->block[f->ins[operand[k]].block].order >= f->block[head].order)
            move_to_end(f, operand[k], to);
    move_to_end(f, r, to);
    return true;
}

void opt_licm(struct ir_func *f) {
    struct {
        uint32_t hoists, before; // before + 1, 0 if not known yet
    } *loop = NULL;              // [its head]
    for (uint32_t k = 0; k < f->orders; k++) {
        if (f->block[f->order[k]].loop == UINT32_MAX) continue;
        if (!loop) loop = jit_alloc(f->arena, f->blocks * sizeof *loop);
        for (ir_ref r = f->block[f->order[k]].first, next; r; r = next) {
            next = f->ins[r].next;
            if (!is_dear(&f->ins[r])) continue;
            for (;;) { // out of one loop after another
                uint32_t head = f->block[f->ins[r].block].loop;
                if (head == UINT32_MAX || loop[head].hoists == HOISTS_MAX) break;
                if (!loop[head].before) loop[head].before = before(f, head) + 1;
                if (!loop[head].before) loop[head].hoists = HOISTS_MAX; // nowhere to go
                if (!loop[head].before || !hoist(f, r, head, loop[head].before - 1)) break;
                loop[head].hoists++;
            }
        }
    }
}
