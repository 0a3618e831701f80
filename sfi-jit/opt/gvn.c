// gvn.c — opt_gvn(): a pure value equal to one that dominates it is replaced by that.
//
// Blocks are walked in reverse post order, so dominators come first; a hash table keeps the first value of each kind, and a newer
// one takes an entry over when the old one does not dominate it. Operands are replaced on the way, so chains of equal values fold in one
// walk. Dominance is asked by intervals of a numbering of the dominator tree.
#include "sfi-jit/lib.h"
#include "sfi-jit/opt/opt.h"

struct gvn {
    struct ir_func *f;
    ir_ref *to;
    ir_ref *table;
    uint32_t mask;
    uint32_t *enter, *leave; // [block]: its subtree in the dominator tree is [enter, leave)
};

// Subtree sizes bottom-up in reverse order, then places top-down: no recursion, no child lists.
static void number_tree(struct gvn *s) {
    struct ir_func *f = s->f;
    uint32_t *size = JIT_ARRAY(f->arena, uint32_t, f->blocks);
    uint32_t *next = JIT_ARRAY(f->arena, uint32_t, f->blocks); // where the next child's subtree begins
    for (uint32_t k = f->orders; k-- > 0;) {
        uint32_t b = f->order[k];
        size[b]++;
        if (k) size[f->block[b].idom] += size[b];
    }
    for (uint32_t k = 0; k < f->orders; k++) {
        uint32_t b = f->order[k], up = f->block[b].idom;
        s->enter[b] = k ? next[up] : 0;
        if (k) next[up] += size[b];
        next[b] = s->enter[b] + 1;
        s->leave[b] = s->enter[b] + size[b];
    }
}

static bool dominates(const struct gvn *s, uint32_t a, uint32_t b) {
    return s->enter[a] <= s->enter[b] && s->enter[b] < s->leave[a];
}

static bool equal(const struct ir_ins *a, const struct ir_ins *b) {
    return a->op == b->op && a->type == b->type && a->aux == b->aux && a->a == b->a &&
           a->b == b->b && a->c == b->c && a->imm == b->imm;
}

static uint64_t hash(const struct ir_ins *i) {
    uint64_t h = (i->op | (uint64_t)i->aux << 8) * 0x9e3779b97f4a7c15u ^ i->imm;
    h = (h ^ i->a) * 0xff51afd7ed558ccdu;
    h = (h ^ i->b ^ (uint64_t)i->c << 32 ^ (uint64_t)i->type << 60) * 0xc4ceb9fe1a85ec53u;
    return h ^ h >> 32;
}

static void visit(struct gvn *s, ir_ref r) {
    struct ir_func *f = s->f;
    uint32_t n;
    ir_ref *operand = ir_operands(f, r, &n);
    for (uint32_t k = 0; k < n; k++)
        if (s->to[operand[k]]) operand[k] = s->to[operand[k]];
    struct ir_ins *i = &f->ins[r];
    if (ir_op_info[i->op].flags & (IRF_EFFECT | IRF_TERM | IRF_PIN) || i->op == IR_NOP) return;
    if (ir_op_info[i->op].flags & IRF_COMM && i->a > i->b && f->ins[i->b].op != IR_CONST) {
        ir_ref t = i->a;
        i->a = i->b;
        i->b = t;
    }
    uint32_t at = (uint32_t)hash(i) & s->mask;
    for (; s->table[at]; at = (at + 1) & s->mask) {
        const struct ir_ins *old = &f->ins[s->table[at]];
        if (!equal(old, i)) continue;
        if (dominates(s, old->block, i->block)) {
            s->to[r] = s->table[at];
            return;
        }
        break; // takes its place
    }
    s->table[at] = r;
}

void opt_gvn(struct ir_func *f) {
    struct gvn s = {.f = f};
    uint32_t size = 64;
    while (size < 2 * f->inss) size *= 2;
    s.mask = size - 1;
    s.to = JIT_ARRAY(f->arena, ir_ref, f->inss);
    s.table = JIT_ARRAY(f->arena, ir_ref, size);
    s.enter = JIT_ARRAY(f->arena, uint32_t, f->blocks);
    s.leave = JIT_ARRAY(f->arena, uint32_t, f->blocks);
    number_tree(&s);
    for (uint32_t k = 0; k < f->orders; k++)
        for (ir_ref r = f->block[f->order[k]].first; r; r = f->ins[r].next) visit(&s, r);
    ir_forward(f, s.to); // what PHIs had before it was seen
}
