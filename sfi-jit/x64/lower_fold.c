// lower_fold.c — what instruction selection decides before it emits anything: see lower.h.
//
// In this order, as each step relies on the ones before: spread the demand for clean upper halves from addresses backwards through
// PHIs; find values that are other values' names; count uses; mark what is folded into its user. Folding never duplicates, drops or reorders an effect: a load moves to its only user, and only if
// no effect lies between the two.
#include "sfi-jit/lib.h"
#include "sfi-jit/x64/lower.h"

struct counts {
    uint32_t *conds;   // [value]: uses as a condition
    uint32_t *effects; // [load]: effects of its block up to and with it
    uint32_t now;      // effects so far in this block
};

bool x64_is_compare(const struct ir_ins *i) { return i->op >= IR_EQ && i->op <= IR_FGE; }

bool x64_negation(const struct x64_lower *l, const struct ir_ins *i) {
    uint64_t bits;
    return (i->op == IR_EQ || i->op == IR_NE) && x64_is_const(l, i->b, &bits) && bits == 0;
}

static bool uses_condition(const struct x64_lower *l, const struct ir_ins *i) {
    return i->op == IR_BRANCH || i->op == IR_SELECT || x64_negation(l, i);
}

static void count_uses(struct x64_lower *l, struct counts *c) {
    struct ir_func *f = l->f;
    for (uint32_t k = 0; k < f->orders; k++)
        for (ir_ref r = f->block[f->order[k]].first; r; r = f->ins[r].next) {
            uint32_t n;
            const ir_ref *operand = ir_operands(f, r, &n);
            for (uint32_t j = 0; j < n; j++) l->uses[operand[j]]++;
            if (uses_condition(l, &f->ins[r])) c->conds[f->ins[r].a]++;
        }
}

// ---- loads as operands -------------------------------------------------------------------------

static bool full_load(const struct x64_lower *l, const struct counts *c, ir_ref r, uint32_t block) {
    const struct ir_ins *i = x64_ins(l, r);
    return i->op == IR_LOAD && i->aux == IR_MEM_FULL && i->block == block && l->uses[r] == 1 &&
           c->effects[r] == c->now;
}

static void take(struct x64_lower *l, ir_ref user, ir_ref operand, uint8_t flag) {
    l->fold[user] |= flag;
    l->fold[operand] |= FOLD_SKIP;
}

static bool scale_shift(const struct x64_lower *l, ir_ref r) {
    const struct ir_ins *i = x64_ins(l, r);
    uint64_t bits;
    return i->op == IR_SHL && l->uses[r] == 1 && x64_is_const(l, i->b, &bits) && bits >= 1 &&
           bits <= 3 && !x64_is_const(l, i->a, &bits);
}

// The "less" that an addition or subtraction takes as its carry, when nobody else wants it: operand b, or its extension. 0 if none.
static ir_ref carry_of(const struct x64_lower *l, ir_ref b) {
    const struct ir_ins *i = x64_ins(l, b);
    uint64_t bits;
    if (l->uses[b] != 1) return 0;
    if (i->op == IR_EXTU) {
        b = i->a;
        i = x64_ins(l, b);
        if (l->uses[b] != 1) return 0;
    }
    if ((i->op != IR_LTU && i->op != IR_GTU) || l->fold[b] & (FOLD_RM_A | FOLD_RM_B)) return 0;
    return x64_is_const(l, i->op == IR_LTU ? i->a : i->b, &bits) ? 0 : b;
}

static bool fold_carry(struct x64_lower *l, ir_ref r) {
    struct ir_ins *i = x64_ins(l, r);
    uint64_t bits;
    ir_ref carry = i->op == IR_ADD || i->op == IR_SUB ? carry_of(l, i->b) : 0;
    if (!carry && i->op == IR_ADD && (carry = carry_of(l, i->a))) {
        ir_ref other = i->b;
        i->b = i->a;
        i->a = other;
    }
    if (!carry || x64_is_const(l, i->a, &bits)) return false;
    take(l, r, i->b, FOLD_CARRY);
    l->fold[carry] |= FOLD_SKIP;
    return true;
}

// Operators with an rm operand for b; with commutative ones a may be it as well.
static void fold_operands(struct x64_lower *l, struct counts *c, ir_ref r, uint32_t block) {
    const struct ir_ins *i = x64_ins(l, r);
    uint64_t bits;
    if (fold_carry(l, r)) return;
    switch (i->op) {
    case IR_ADD:
        if (scale_shift(l, i->b)) {
            take(l, r, i->b, FOLD_LEA_B);
            return;
        }
        if (scale_shift(l, i->a)) {
            take(l, r, i->a, FOLD_LEA_A);
            return;
        }
        break;
    case IR_SUB:
    case IR_MUL:
    case IR_AND:
    case IR_OR:
    case IR_XOR:
    case IR_FADD:
    case IR_FSUB:
    case IR_FMUL:
    case IR_FDIV: break;
    case IR_CLZ:
    case IR_CTZ:
    case IR_POPCNT:
    case IR_FSQRT:
    case IR_PROMOTE:
    case IR_DEMOTE:
        if (full_load(l, c, i->a, block)) take(l, r, i->a, FOLD_RM_A);
        return;
    case IR_VUN:
    case IR_VBIN:
    case IR_VCOM: {
        uint8_t rm = x64_simd_rm(i);
        ir_ref value;
        uint64_t order[2];
        if (x64_simd_rotation(l, i, &value, order)) {
            take(l, r, i->a, FOLD_ROTATE);
            take(l, r, i->b, FOLD_ROTATE);
            return;
        }
        if (rm & FOLD_RM_B && full_load(l, c, i->b, block))
            take(l, r, i->b, FOLD_RM_B);
        else if (rm & FOLD_RM_A && full_load(l, c, i->a, block))
            take(l, r, i->a, FOLD_RM_A);
        return;
    }
    default: return;
    }
    if (x64_is_const(l, i->a, &bits) || x64_is_const(l, i->b, &bits)) return;
    if (full_load(l, c, i->b, block))
        take(l, r, i->b, FOLD_RM_B);
    else if (ir_op_info[i->op].flags & IRF_COMM && full_load(l, c, i->a, block))
        take(l, r, i->a, FOLD_RM_A);
}

// The comparison that a condition boils down to, if it is used here alone; else 0.
static ir_ref sole_compare(const struct x64_lower *l, ir_ref cond) {
    for (;;) {
        const struct ir_ins *i = x64_ins(l, cond);
        if (!(l->fold[cond] & FOLD_SKIP) || l->uses[cond] != 1 || !x64_is_compare(i)) return 0;
        if (!x64_negation(l, i) || !(l->fold[i->a] & FOLD_SKIP)) return cond;
        cond = i->a;
    }
}

static void fold_compare(struct x64_lower *l, struct counts *c, ir_ref r, uint32_t block) {
    const struct ir_ins *i = x64_ins(l, r);
    uint64_t bits;
    bool is_float = i->op >= IR_FEQ;
    // vucomis has its memory operand on the right, and FLT, FLE are computed with exchanged operands (lower_float.c).
    bool exchanged = i->op == IR_FLT || i->op == IR_FLE;
    if (is_float) {
        if (full_load(l, c, exchanged ? i->a : i->b, block))
            take(l, r, exchanged ? i->a : i->b, exchanged ? FOLD_RM_A : FOLD_RM_B);
    } else if (!x64_is_const(l, i->a, &bits)) {
        if (full_load(l, c, i->b, block))
            take(l, r, i->b, FOLD_RM_B);
        else if (full_load(l, c, i->a, block))
            take(l, r, i->a, FOLD_RM_A);
    }
}

static void fold_block(struct x64_lower *l, struct counts *c, uint32_t block) {
    struct ir_func *f = l->f;
    c->now = 0;
    for (ir_ref r = f->block[block].first; r; r = f->ins[r].next) {
        const struct ir_ins *i = &f->ins[r];
        bool effect = ir_op_info[i->op].flags & IRF_EFFECT;
        if (x64_is_compare(i)) {
            if (c->conds[r] == l->uses[r])
                l->fold[r] |= FOLD_SKIP; // made where it is used
            else if (!x64_negation(l, i))
                fold_compare(l, c, r, block);
        } else if (l->uses[r] == 0 && !effect && !(ir_op_info[i->op].flags & IRF_TERM)) {
            l->fold[r] |= FOLD_SKIP;
        } else if (i->op == IR_AND && l->uses[r] == 1 && c->conds[r] == 1) {
            l->fold[r] |= FOLD_SKIP; // becomes a TEST
        } else {
            fold_operands(l, c, r, block);
        }
        if (uses_condition(l, i) && !(l->fold[r] & FOLD_SKIP)) {
            ir_ref compare = sole_compare(l, i->a);
            if (compare) fold_compare(l, c, compare, block);
        }
        c->now += effect;
        c->effects[r] = c->now;
    }
}

// ---- clean upper halves ------------------------------------------------------------------------

struct demand {
    ir_ref *list;
    uint32_t count, cap;
};

static void demand(struct x64_lower *l, struct demand *d, ir_ref r) {
    if (l->fold[r] & FOLD_CLEAN) return;
    l->fold[r] |= FOLD_CLEAN;
    if (x64_ins(l, r)->op != IR_PHI) return;
    d->list = jit_grow(l->arena, d->list, &d->cap, d->count + 1, sizeof *d->list);
    d->list[d->count++] = r;
}

// Takes a as an address.
static bool is_access(uint8_t op) {
    return op == IR_LOAD || op == IR_STORE || (op >= IR_VLOAD && op <= IR_ATOMIC_CMPXCHG);
}

static void find_demand(struct x64_lower *l) {
    struct ir_func *f = l->f;
    struct demand d = {0};
    for (uint32_t k = 0; k < f->orders; k++)
        for (ir_ref r = f->block[f->order[k]].first; r; r = f->ins[r].next) {
            const struct ir_ins *i = &f->ins[r];
            if (is_access(i->op) || i->op == IR_EXTU) demand(l, &d, i->a);
            if (x64_is_short_bulk(l, i)) {
                demand(l, &d, f->pool[i->a]);
                if (i->imm == SFI_BI_MEMORY_COPY) demand(l, &d, f->pool[i->a + 1]);
            }
        }
    while (d.count) {
        uint32_t n;
        const ir_ref *operand = ir_operands(f, d.list[--d.count], &n);
        for (uint32_t j = 0; j < n; j++) demand(l, &d, operand[j]);
    }
}

// A WRAP is its operand where the upper half does not matter, and a PHI with one operand is that.
static void find_names(struct x64_lower *l) {
    struct ir_func *f = l->f;
    uint64_t bits;
    for (uint32_t k = 0; k < f->orders; k++) {
        const struct ir_block *b = &f->block[f->order[k]];
        for (ir_ref r = b->first; r; r = f->ins[r].next) {
            const struct ir_ins *i = &f->ins[r];
            if (i->op == IR_PHI && b->preds == 1) l->alias[r] = x64_name(l, f->pool[i->a]);
            if (i->op == IR_WRAP && (!(l->fold[r] & FOLD_CLEAN) || x64_is_const(l, i->a, &bits)))
                l->alias[r] = x64_name(l, i->a);
        }
    }
}

void x64_fold(struct x64_lower *l) {
    struct counts c = {.conds = JIT_ARRAY(l->arena, uint32_t, l->f->inss),
                       .effects = JIT_ARRAY(l->arena, uint32_t, l->f->inss)};
    find_demand(l);
    find_names(l);
    count_uses(l, &c);
    for (uint32_t k = 0; k < l->f->orders; k++) fold_block(l, &c, l->f->order[k]);
}
