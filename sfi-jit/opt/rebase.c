// rebase.c — opt_rebase(): loop counters that start below zero start at zero.
//
// Compilers like to count from −n up to 0, with n folded into the addresses: `load (p + (n + &a))`. That sum wraps on every turn, so
// no part of it can become an offset. With q = p + n for a counter, q goes from 0 to n, and p + (n + &a) = q + &a does not wrap.
// Every use of p becomes one of q − n, merged with the constants that follow: sums with a constant and tests for equality cost
// nothing; if other uses would, the loop stays as it is.
#include "sfi-jit/opt/opt.h"

struct rebase {
    struct ir_func *f;
    uint32_t *shift; // [value]: what must be added to get what it was, once it is rebased; 0: it is not
    uint32_t *costs; // [value]: uses that cost an instruction, or may
    uint32_t *gains; // uses as parts of addresses
};

static bool constant(const struct ir_func *f, ir_ref r, uint64_t *out) {
    *out = f->ins[r].imm;
    return r && f->ins[r].op == IR_CONST;
}

// r = phi(negative constant, r + positive constant) → that sum, else 0.
static ir_ref counter(const struct ir_func *f, ir_ref r, uint32_t *out_start) {
    const struct ir_ins *i = &f->ins[r];
    uint64_t start, step;
    if (i->type != IR_I32 || i->b != 2) return 0;
    const struct ir_block *b = &f->block[i->block];
    uint32_t back = f->block[b->pred[0]].order >= b->order ? 0 : 1;
    if (f->block[b->pred[1 - back]].order >= b->order) return 0;
    ir_ref next = f->pool[i->a + back];
    if (!constant(f, f->pool[i->a + 1 - back], &start) || start <= INT32_MAX) return 0;
    if (f->ins[next].op != IR_ADD || f->ins[next].a != r || !constant(f, f->ins[next].b, &step))
        return 0;
    if (step == 0 || step > INT32_MAX) return 0;
    *out_start = (uint32_t)start;
    return next;
}

// v is a next value that, as it was, equals what the counter is now: it started one step below zero.
static bool is_counter_now(const struct rebase *s, ir_ref v) {
    const struct ir_ins *i = &s->f->ins[v];
    return i->op == IR_ADD && (uint32_t)s->f->ins[i->b].imm + s->shift[v] == 0;
}

// How use number k of a candidate by r comes off.
static void judge(struct rebase *s, ir_ref r, ir_ref v, uint32_t k) {
    const struct ir_ins *i = &s->f->ins[r];
    uint64_t c;
    bool has = k == 0 && ir_op_info[i->op].operands == 2 && constant(s->f, i->b, &c);
    if (has && i->op == IR_ADD && !s->shift[r]) s->gains[v]++;
    if (has && (i->op == IR_ADD || i->op == IR_EQ || i->op == IR_NE)) return;
    if (i->op == IR_BRANCH || (i->op == IR_PHI && s->shift[r])) return; // becomes ≠ a constant
    if (!is_counter_now(s, v)) s->costs[v]++;
}

static void rewrite(struct rebase *s, ir_ref r, uint32_t k) {
    struct ir_func *f = s->f;
    uint32_t n;
    ir_ref *operand = ir_operands(f, r, &n), v = operand[k];
    struct ir_ins *i = &f->ins[r];
    uint64_t c = 0;
    uint32_t shift = s->shift[v];
    if (s->shift[r]) return; // the counter itself
    if (is_counter_now(s, v)) {
        operand[k] = f->ins[v].a;
        return;
    }
    if (i->op == IR_BRANCH) { // v ≠ 0
        ir_ref zero = ir_insert_before(f, r, IR_CONST, IR_I32, 0, 0, 0, 0u - shift);
        ir_ref test = ir_insert_before(f, r, IR_NE, IR_I32, v, zero, 0, 0);
        f->ins[r].a = test;
        return;
    }
    constant(f, i->b, &c);
    uint32_t sum = i->op == IR_ADD ? (uint32_t)c + shift : (uint32_t)c - shift;
    ir_ref by = ir_insert_before(f, r, IR_CONST, IR_I32, 0, 0, 0, sum);
    f->ins[r].b = by;
}

// Calls act() for each operand that is a counter or its next value.
static void each_use(struct rebase *s, bool judging) {
    struct ir_func *f = s->f;
    uint32_t inss = f->inss; // new ones are not looked at
    for (uint32_t j = 0; j < f->orders; j++)
        for (ir_ref r = f->block[f->order[j]].first; r; r = f->ins[r].next) {
            uint32_t n;
            ir_operands(f, r, &n);
            for (uint32_t k = 0; r < inss && k < n; k++) {
                ir_ref v = ir_operands(f, r, &n)[k];
                if (v >= inss || !s->shift[v]) continue;
                if (judging)
                    judge(s, r, v, k);
                else
                    rewrite(s, r, k);
            }
        }
}

void opt_rebase(struct ir_func *f) {
    struct rebase s = {.f = f};
    uint32_t start, found = 0;
    for (uint32_t j = 0; j < f->orders; j++) {
        const struct ir_block *b = &f->block[f->order[j]];
        if (b->loop != f->order[j]) continue;
        for (ir_ref r = b->first; f->ins[r].op == IR_PHI; r = f->ins[r].next) {
            ir_ref next = counter(f, r, &start);
            if (!next) continue;
            if (!found++) {
                s.shift = JIT_ARRAY(f->arena, uint32_t, f->inss);
                s.costs = JIT_ARRAY(f->arena, uint32_t, f->inss);
                s.gains = JIT_ARRAY(f->arena, uint32_t, f->inss);
            }
            s.shift[r] = s.shift[next] = start;
        }
    }
    if (!found) return;
    each_use(&s, true);
    found = 0;
    for (uint32_t j = 0; j < f->orders; j++) {
        const struct ir_block *b = &f->block[f->order[j]];
        if (b->loop != f->order[j]) continue;
        for (ir_ref r = b->first; f->ins[r].op == IR_PHI; r = f->ins[r].next) {
            if (!s.shift[r]) continue;
            ir_ref next = counter(f, r, &start);
            if (s.costs[r] + s.costs[next] || s.gains[r] + s.gains[next] == 0) {
                s.shift[r] = s.shift[next] = 0;
                continue;
            }
            found++;
            uint32_t k = f->block[b->pred[0]].order >= b->order ? 1 : 0; // from outside
            ir_ref zero = ir_insert_before(f, f->block[b->pred[k]].last, IR_CONST, IR_I32, 0, 0, 0, 0);
            f->pool[f->ins[r].a + k] = zero;
        }
    }
    if (found) each_use(&s, false);
}
