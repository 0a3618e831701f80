// sink.c — opt_sink(): a loop variable's next value is computed when the present one is done with.
//
// In `x = phi(start, y); y = x + 1; …x…` both live at once, so the edge back must move y to x: a move, and a jump around it, each turn.
// If y is computed behind the last use of x, both share a register, and the block on the edge back stays empty.
// So y, if nothing but the PHI and the loop's own test wants it, moves down: to the test's place; or, if the test or what follows the
// loop still needs x, into the block on the edge back. Only values whose other operand is there anyway (a constant, or from outside
// the loop) move, never deeper into loops, and nothing with an effect. Runs when critical edges are split.
#include "sfi-jit/opt/opt.h"

struct sink {
    struct ir_func *f;
    uint32_t *uses, *place, *last; // [value]: how many uses, its own place in the layout, the last use's
};

// A PHI uses its operands at the ends of the blocks before it.
static void find_places(struct sink *s) {
    struct ir_func *f = s->f;
    uint32_t n, place = 0;
    for (uint32_t k = 0; k < f->orders; k++)
        for (ir_ref r = f->block[f->order[k]].first; r; r = f->ins[r].next) s->place[r] = ++place;
    for (uint32_t k = 0; k < f->orders; k++)
        for (ir_ref r = f->block[f->order[k]].first; r; r = f->ins[r].next) {
            const ir_ref *operand = ir_operands(f, r, &n);
            const struct ir_block *b = &f->block[f->order[k]];
            for (uint32_t j = 0; j < n; j++) {
                uint32_t at = s->place[f->ins[r].op == IR_PHI ? f->block[b->pred[j]].last : r];
                s->uses[operand[j]]++;
                if (at > s->last[operand[j]]) s->last[operand[j]] = at;
            }
        }
}

// In the list before `at`, which may be in another block.
static void move(struct ir_func *f, ir_ref r, ir_ref at) {
    struct ir_ins *i = &f->ins[r];
    struct ir_block *from = &f->block[i->block], *to = &f->block[f->ins[at].block];
    *(i->prev ? &f->ins[i->prev].next : &from->first) = i->next;
    f->ins[i->next].prev = i->prev; // a value is never its block's last instruction
    i->block = f->ins[at].block;
    i->prev = f->ins[at].prev;
    i->next = at;
    *(i->prev ? &f->ins[i->prev].next : &to->first) = r;
    f->ins[at].prev = r;
}

static bool outside(const struct ir_func *f, ir_ref r, uint32_t head) {
    return f->ins[r].op == IR_CONST || f->block[f->ins[r].block].order < f->block[head].order;
}

// x and one operand from outside, an operator without effect.
static bool is_step(const struct ir_func *f, ir_ref y, ir_ref x, uint32_t head) {
    const struct ir_ins *i = &f->ins[y];
    const struct ir_op_info *o = &ir_op_info[i->op];
    if (o->flags & (IRF_EFFECT | IRF_TERM | IRF_PIN) || f->block[i->block].loop != head)
        return false;
    if (o->operands == 1) return i->a == x;
    return o->operands == 2 &&
           ((i->a == x && outside(f, i->b, head)) || (i->b == x && outside(f, i->a, head)));
}

// A condition is computed where it is used, with what it is made of: x among it, not counting what y is made of?
static bool needs(const struct ir_func *f, ir_ref condition, ir_ref x, ir_ref y, unsigned depth) {
    const struct ir_ins *i = &f->ins[condition];
    uint8_t n = ir_op_info[i->op].operands;
    ir_ref operand[3] = {i->a, i->b, i->c};
    if (condition == x || condition == y) return condition == x;
    for (uint32_t k = 0; depth && n != IR_POOL && k < n; k++)
        if (needs(f, operand[k], x, y, depth - 1)) return true;
    return false;
}

// y = step(x) arrives at x = PHI from block `from`.
static void sink_step(struct sink *s, ir_ref x, ir_ref y, uint32_t from, uint32_t head) {
    struct ir_func *f = s->f;
    ir_ref end = f->block[from].last;
    if (!is_step(f, y, x, head) || s->last[x] <= s->place[y]) return;
    if (s->last[x] == s->place[end]) return; // x goes to another PHI on the same edge
    bool empty = f->block[from].first == end && f->block[from].preds == 1;
    ir_ref branch = empty ? f->block[f->block[from].pred[0]].last : 0;
    ir_ref test = branch && f->ins[branch].op == IR_BRANCH ? f->ins[branch].a : 0;
    if (f->ins[branch].block != f->ins[y].block && f->block[f->ins[branch].block].loop != head)
        test = 0;
    bool done = test && s->last[x] <= s->place[branch] && !needs(f, test, x, y, 3);
    if (done && s->uses[y] == 1) {
        move(f, y, f->ins[branch].prev == test ? test : branch); // between the two it would cost flags
    } else if (done && s->uses[y] == 2 && test != y && s->uses[test] == 1 &&
               (f->ins[test].a == y ||
                (ir_op_info[f->ins[test].op].operands == 2 && f->ins[test].b == y)) &&
               f->ins[test].op >= IR_EQ && f->ins[test].op <= IR_GEU) {
        move(f, y, branch);
        move(f, test, branch);
    } else if (s->uses[y] == 1 && f->ins[end].op == IR_JUMP && f->block[from].loop == head) {
        move(f, y, end);
    }
}

void opt_sink(struct ir_func *f) {
    struct sink s = {.f = f};
    uint32_t loops = 0;
    for (uint32_t k = 0; k < f->orders; k++) loops += f->block[f->order[k]].loop == f->order[k];
    if (!loops) return;
    s.uses = JIT_ARRAY(f->arena, uint32_t, f->inss);
    s.place = JIT_ARRAY(f->arena, uint32_t, f->inss);
    s.last = JIT_ARRAY(f->arena, uint32_t, f->inss);
    find_places(&s);
    for (uint32_t k = 0; k < f->orders; k++) {
        uint32_t head = f->order[k];
        const struct ir_block *b = &f->block[head];
        if (b->loop != head) continue;
        for (ir_ref x = b->first; f->ins[x].op == IR_PHI; x = f->ins[x].next)
            for (uint32_t j = 0; j < b->preds; j++)
                if (f->block[b->pred[j]].order >= b->order)
                    sink_step(&s, x, f->pool[f->ins[x].a + j], b->pred[j], head);
    }
}
