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

// The load r, whose only user is what it is asked for, may be made here.
static bool movable_load(const struct x64_lower *l, const struct counts *c, ir_ref r, uint32_t block) {
    const struct ir_ins *i = x64_ins(l, r);
    return i->op == IR_LOAD && i->block == block && l->uses[r] == 1 && c->effects[r] == c->now;
}

static bool full_load(const struct x64_lower *l, const struct counts *c, ir_ref r, uint32_t block) {
    return x64_ins(l, r)->aux == IR_MEM_FULL && movable_load(l, c, r, block);
}

static void take(struct x64_lower *l, ir_ref user, ir_ref operand, uint8_t flag) {
    l->fold[user] |= flag;
    l->fold[operand] |= FOLD_SKIP;
}

uint8_t x64_access_size(const struct x64_lower *l, const struct ir_ins *i) {
    static const uint8_t bytes[] = {
        [IR_MEM_8S] = 1,  [IR_MEM_8U] = 1,  [IR_MEM_16S] = 2,
        [IR_MEM_16U] = 2, [IR_MEM_32S] = 4, [IR_MEM_32U] = 4,
    };
    if (i->aux != IR_MEM_FULL) return bytes[i->aux];
    return x64_size(i->op == IR_STORE ? x64_ins(l, i->b)->type : i->type);
}

// As movable_load(); and an instruction on that many bytes of memory does what one on the extended value and the constant does: all its bits
// that are not among them are known to be zero in both. 16 bits, and an immediate that needs them all, are slow to decode.
static bool narrow_load(const struct x64_lower *l, const struct counts *c, ir_ref r, uint64_t bits,
                        uint32_t block) {
    uint8_t aux = x64_ins(l, r)->aux;
    return movable_load(l, c, r, block) &&
           ((aux == IR_MEM_8U && bits <= 0xff) || (aux == IR_MEM_16U && bits <= 0x7f));
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

// A sum of two values whose only use is `user`, right behind it: the address arithmetic of arrays ends in the addition of a constant.
static bool plain_sum(const struct x64_lower *l, ir_ref r, ir_ref user) {
    const struct ir_ins *i = x64_ins(l, r);
    uint64_t bits;
    if (i->op != IR_ADD || l->uses[r] != 1 ||
        l->fold[r] & (FOLD_SKIP | FOLD_RM_A | FOLD_RM_B | FOLD_CARRY))
        return false;
    if (x64_is_const(l, i->a, &bits) || x64_is_const(l, i->b, &bits)) return false;
    ir_ref next = i->next;
    while (next && x64_ins(l, next)->op == IR_CONST) next = x64_ins(l, next)->next;
    return next == user;
}

// A store of what was loaded from there, with the same width, and changed: one instruction makes both accesses.
static void fold_update(struct x64_lower *l, struct counts *c, ir_ref r, uint32_t block) {
    const struct ir_ins *s = x64_ins(l, r), *v = x64_ins(l, s->b);
    uint8_t *fold = &l->fold[s->b];
    if (v->op != IR_ADD && v->op != IR_SUB && v->op != IR_AND && v->op != IR_OR && v->op != IR_XOR)
        return;
    if (l->uses[s->b] != 1 || v->block != block || *fold & FOLD_CARRY) return;
    for (uint32_t k = 0; k < (v->op == IR_SUB ? 1 : 2); k++) {
        ir_ref load = k ? v->b : v->a, other = k ? v->a : v->b;
        const struct ir_ins *i = x64_ins(l, load);
        if (!movable_load(l, c, load, block) || x64_name(l, i->a) != x64_name(l, s->a) ||
            i->imm != s->imm || x64_access_size(l, i) != x64_access_size(l, s))
            continue;
        if (*fold & (FOLD_LEA_A | FOLD_LEA_B)) l->fold[other] &= (uint8_t)~FOLD_SKIP;
        *fold = (*fold & FOLD_CLEAN) | FOLD_SKIP | (k ? FOLD_RM_B : FOLD_RM_A);
        take(l, r, load, FOLD_RM_B);
        return;
    }
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
        if (x64_is_const(l, i->b, &bits) && x64_fits32(bits) && plain_sum(l, i->a, r)) {
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
    case IR_STORE: fold_update(l, c, r, block); return;
    default: return;
    }
    if (x64_is_const(l, i->a, &bits) || x64_is_const(l, i->b, &bits)) return;
    if (full_load(l, c, i->b, block))
        take(l, r, i->b, FOLD_RM_B);
    else if (ir_op_info[i->op].flags & IRF_COMM && full_load(l, c, i->a, block))
        take(l, r, i->a, FOLD_RM_A);
}

// The comparison or the AND that a condition boils down to, if it is used here alone; else 0.
static ir_ref sole_test(const struct x64_lower *l, ir_ref cond) {
    for (;;) {
        const struct ir_ins *i = x64_ins(l, cond);
        if (!(l->fold[cond] & FOLD_SKIP) || l->uses[cond] != 1) return 0;
        if (!x64_is_compare(i)) return i->op == IR_AND ? cond : 0;
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
        bool is_signed = i->op == IR_LTS || i->op == IR_GTS || i->op == IR_LES || i->op == IR_GES;
        if (full_load(l, c, i->b, block))
            take(l, r, i->b, FOLD_RM_B);
        else if (full_load(l, c, i->a, block) ||
                 (!is_signed && x64_is_const(l, i->b, &bits) && narrow_load(l, c, i->a, bits, block)))
            take(l, r, i->a, FOLD_RM_A);
    }
}

// An AND that is only tested.
static void fold_test(struct x64_lower *l, struct counts *c, ir_ref r, uint32_t block) {
    const struct ir_ins *i = x64_ins(l, r);
    uint64_t bits;
    if (x64_is_const(l, i->b, &bits) &&
        ((full_load(l, c, i->a, block) && x64_fits32(bits)) ||
         (x64_ins(l, i->a)->aux == IR_MEM_8U && narrow_load(l, c, i->a, bits, block))))
        take(l, r, i->a, FOLD_RM_A);
}

// `cond` is the condition of the instruction that comes next.
static void fold_condition(struct x64_lower *l, struct counts *c, ir_ref cond, uint32_t block) {
    ir_ref test = sole_test(l, cond);
    if (test && x64_is_compare(x64_ins(l, test)))
        fold_compare(l, c, test, block);
    else if (test)
        fold_test(l, c, test, block);
    else if (movable_load(l, c, cond, block)) // compared with 0
        l->fold[cond] |= FOLD_SKIP;
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
            fold_condition(l, c, i->a, block);
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
