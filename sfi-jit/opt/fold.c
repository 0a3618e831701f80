// fold.c — opt_fold(): one walk in reverse post order; each value is simplified with its operands already simple.
//
// A value is either rewritten in place (same reference, simpler operator), or replaced: replaced values are collected in `to`, uses
// are redirected at the end, and what is left without uses is for opt_dead(). Branches on constants become jumps, and the graph is
// analysed anew.
#include "sfi-jit/lib.h"
#include "sfi-jit/opt/opt.h"

struct fold {
    struct ir_func *f;
    ir_ref *to; // [value at the start]: what replaces it, or 0
    uint32_t inss;
    bool edges; // some were cut
};

static ir_ref resolve(const struct fold *s, ir_ref r) {
    while (r < s->inss && s->to[r]) r = s->to[r];
    return r;
}

static bool constant(const struct fold *s, ir_ref r, uint64_t *out) {
    const struct ir_ins *i = &s->f->ins[r];
    *out = i->imm;
    return i->op == IR_CONST;
}

static void become_const(struct fold *s, ir_ref r, uint64_t bits) {
    struct ir_ins *i = &s->f->ins[r];
    i->op = IR_CONST;
    i->aux = 0;
    i->a = i->b = i->c = 0;
    i->imm = bits;
}

static void replace(struct fold *s, ir_ref r, ir_ref by) {
    if (r != by) s->to[r] = by;
}

// A constant operand for r, made before it.
static ir_ref make(struct fold *s, ir_ref r, uint8_t type, uint64_t bits) {
    return ir_insert_before(s->f, r, IR_CONST, (enum ir_type)type, 0, 0, 0, bits);
}

static enum ir_op exchanged(enum ir_op op) {
    switch (op) {
    case IR_LTS: return IR_GTS;
    case IR_LTU: return IR_GTU;
    case IR_GTS: return IR_LTS;
    case IR_GTU: return IR_LTU;
    case IR_LES: return IR_GES;
    case IR_LEU: return IR_GEU;
    case IR_GES: return IR_LES;
    case IR_GEU: return IR_LEU;
    default: return op;
    }
}

static bool is_compare(enum ir_op op) { return op >= IR_EQ && op <= IR_FGE; }

// ---- operators with a constant on the right ------------------------------------------------------

// (x op c) op c2 for the associative operators.
static void reassociate(struct fold *s, ir_ref r, uint64_t c) {
    struct ir_ins *i = &s->f->ins[r];
    const struct ir_ins *inner = &s->f->ins[i->a];
    uint64_t c1;
    if (inner->op != i->op || !constant(s, inner->b, &c1)) return;
    ir_ref x = inner->a;
    ir_ref k = make(s, r, i->type, opt_eval((enum ir_op)i->op, i->type, i->type, c1, c));
    s->f->ins[r].a = x;
    s->f->ins[r].b = k;
}

// r is "a = 0". Of a comparison this is the opposite one; with NaN in play only equality has an opposite, but a second negation
// undoes the first. So no chain of negations is longer than one.
static void negate(struct fold *s, ir_ref r) {
    static const uint8_t opposite[] = {
        [IR_EQ] = IR_NE,   [IR_NE] = IR_EQ,   [IR_LTS] = IR_GES, [IR_LTU] = IR_GEU,
        [IR_GTS] = IR_LES, [IR_GTU] = IR_LEU, [IR_LES] = IR_GTS, [IR_LEU] = IR_GTU,
        [IR_GES] = IR_LTS, [IR_GEU] = IR_LTU, [IR_FEQ] = IR_FNE, [IR_FNE] = IR_FEQ,
        [IR_FGE] = IR_NOP, // the array's end
    };
    struct ir_ins *i = &s->f->ins[r];
    const struct ir_ins *a = &s->f->ins[i->a], *b = &s->f->ins[a->a];
    uint64_t bits;
    if (!is_compare((enum ir_op)a->op)) return;
    if (a->op == IR_EQ && constant(s, a->b, &bits) && bits == 0 && is_compare((enum ir_op)b->op)) {
        replace(s, r, a->a);
    } else if (opposite[a->op]) {
        i->op = opposite[a->op];
        i->b = a->b;
        i->a = a->a;
    }
}

static void with_zero(struct fold *s, ir_ref r) {
    const struct ir_ins *i = &s->f->ins[r], *a = &s->f->ins[i->a];
    switch (i->op) {
    case IR_ADD:
    case IR_SUB:
    case IR_OR:
    case IR_XOR:
    case IR_SHL:
    case IR_SHRS:
    case IR_SHRU:
    case IR_ROTL:
    case IR_ROTR: replace(s, r, i->a); break;
    case IR_MUL:
    case IR_AND:
    case IR_LTU: become_const(s, r, 0); break;
    case IR_GEU: become_const(s, r, 1); break;
    case IR_NE:
        if (is_compare((enum ir_op)a->op)) replace(s, r, i->a);
        break;
    case IR_EQ: negate(s, r); break;
    default: break;
    }
}

// (x shifted by c1) shifted by c, the same way; and of what is shifted to the right with its sign, the sign alone.
static void shift_again(struct fold *s, ir_ref r, unsigned c, unsigned width) {
    struct ir_ins *i = &s->f->ins[r];
    const struct ir_ins *inner = &s->f->ins[i->a];
    ir_ref x = inner->a;
    uint64_t c1;
    if (inner->op < IR_SHL || inner->op > IR_SHRU || !constant(s, inner->b, &c1)) return;
    unsigned sum = c + (c1 & (width - 1));
    if (inner->op != i->op) {
        if (inner->op == IR_SHRS && i->op == IR_SHRU && c == width - 1) i->a = x;
    } else if (sum >= width && i->op != IR_SHRS) {
        become_const(s, r, 0);
    } else {
        ir_ref k = make(s, r, i->type, sum < width ? sum : width - 1);
        s->f->ins[r].a = x;
        s->f->ins[r].b = k;
    }
}

static void right_constant(struct fold *s, ir_ref r, uint64_t c) {
    struct ir_ins *i = &s->f->ins[r];
    uint64_t ones = s->f->ins[i->b].type == IR_I32 ? UINT32_MAX : UINT64_MAX;
    unsigned width = ones == UINT32_MAX ? 32 : 64;
    bool is_shift = i->op >= IR_SHL && i->op <= IR_ROTR;
    if (c == 0 || (is_shift && (c & (width - 1)) == 0)) {
        with_zero(s, r);
        return;
    }
    switch (i->op) {
    case IR_SHL:
    case IR_SHRS:
    case IR_SHRU: shift_again(s, r, (unsigned)(c & (width - 1)), width); break;
    case IR_SUB: { // as an addition, so that chains fold
        ir_ref k = make(s, r, i->type, (0 - c) & ones);
        s->f->ins[r].op = IR_ADD;
        s->f->ins[r].b = k;
        reassociate(s, r, (0 - c) & ones);
        break;
    }
    case IR_ADD: reassociate(s, r, c); break;
    case IR_XOR: reassociate(s, r, c); break;
    case IR_AND:
        if (c == ones)
            replace(s, r, i->a);
        else
            reassociate(s, r, c);
        break;
    case IR_OR:
        if (c == ones)
            become_const(s, r, c);
        else
            reassociate(s, r, c);
        break;
    case IR_MUL:
        if (c == 1) {
            replace(s, r, i->a);
        } else if ((c & (c - 1)) == 0) {
            ir_ref k = make(s, r, i->type, (uint64_t)__builtin_ctzll(c));
            s->f->ins[r].op = IR_SHL;
            s->f->ins[r].b = k;
        }
        break;
    default: break;
    }
}

// ---- operators by kind ---------------------------------------------------------------------------

static void same_operands(struct fold *s, ir_ref r) {
    switch (s->f->ins[r].op) {
    case IR_AND:
    case IR_OR: replace(s, r, s->f->ins[r].a); break;
    case IR_SUB:
    case IR_XOR:
    case IR_NE:
    case IR_LTS:
    case IR_LTU:
    case IR_GTS:
    case IR_GTU: become_const(s, r, 0); break;
    case IR_EQ:
    case IR_LES:
    case IR_LEU:
    case IR_GES:
    case IR_GEU: become_const(s, r, 1); break;
    default: break;
    }
}

static void fold_binary(struct fold *s, ir_ref r) {
    struct ir_ins *i = &s->f->ins[r];
    uint8_t operand_type = s->f->ins[i->a].type;
    uint64_t a, b;
    bool left = constant(s, i->a, &a), right = constant(s, i->b, &b);
    if (!opt_can_eval((enum ir_op)i->op, operand_type)) return;
    if (left && right) {
        become_const(s, r, opt_eval((enum ir_op)i->op, i->type, operand_type, a, b));
        return;
    }
    bool compare = is_compare((enum ir_op)i->op);
    if (left && (compare || ir_op_info[i->op].flags & IRF_COMM)) {
        ir_ref t = i->a;
        i->a = i->b;
        i->b = t;
        i->op = (uint8_t)exchanged((enum ir_op)i->op);
        b = a;
        right = true;
    }
    if (right)
        right_constant(s, r, b);
    else if (i->a == i->b)
        same_operands(s, r);
}

static void fold_unary(struct fold *s, ir_ref r) {
    struct ir_ins *i = &s->f->ins[r];
    const struct ir_ins *a = &s->f->ins[i->a];
    uint64_t bits;
    if (constant(s, i->a, &bits) && i->op == IR_BITCAST) {
        become_const(s, r, bits);
    } else if (constant(s, i->a, &bits) && opt_can_eval((enum ir_op)i->op, a->type)) {
        become_const(s, r, opt_eval((enum ir_op)i->op, i->type, a->type, bits, 0));
    } else if (i->op == IR_WRAP && (a->op == IR_EXTU || a->op == IR_EXTS)) {
        replace(s, r, a->a);
    } else if (i->op == IR_BITCAST && a->op == IR_BITCAST && s->f->ins[a->a].type == i->type) {
        replace(s, r, a->a);
    } else if (i->op == IR_EXTU && a->op == IR_WRAP) {
        ir_ref x = a->a, mask = make(s, r, IR_I64, UINT32_MAX);
        i = &s->f->ins[r];
        i->op = IR_AND;
        i->a = x;
        i->b = mask;
    }
}

static void fold_division(struct fold *s, ir_ref r) {
    uint64_t d;
    if (!constant(s, s->f->ins[r].b, &d)) return;
    ir_ref by = opt_divide(s->f, r, d);
    if (by) replace(s, r, by);
}

static void fold_select(struct fold *s, ir_ref r) {
    const struct ir_ins *i = &s->f->ins[r];
    uint64_t cond;
    if (i->b == i->c)
        replace(s, r, i->b);
    else if (constant(s, i->a, &cond))
        replace(s, r, (uint32_t)cond ? i->b : i->c);
}

// The same value on every edge, itself apart.
static void fold_phi(struct fold *s, ir_ref r) {
    uint32_t n;
    const ir_ref *operand = ir_operands(s->f, r, &n);
    ir_ref one = 0;
    for (uint32_t k = 0; k < n; k++) {
        if (operand[k] == r || operand[k] == one) continue;
        if (one) return;
        one = operand[k];
    }
    if (one) replace(s, r, one);
}

// A branch or switch on a constant has one successor.
static void fold_branch(struct fold *s, ir_ref r) {
    struct ir_ins *i = &s->f->ins[r];
    struct ir_block *b = &s->f->block[i->block];
    uint64_t v;
    if (!constant(s, i->a, &v)) return;
    v = (uint32_t)v;
    uint32_t k = i->op == IR_BRANCH ? v == 0 : v < b->succs ? (uint32_t)v : b->succs - 1;
    i->op = IR_JUMP;
    i->a = 0;
    b->succ[0] = b->succ[k];
    b->succs = 1;
    s->edges = true;
}

static void fold_ins(struct fold *s, ir_ref r) {
    uint32_t n;
    ir_ref *operand = ir_operands(s->f, r, &n);
    for (uint32_t k = 0; k < n; k++) operand[k] = resolve(s, operand[k]);
    struct ir_ins *i = &s->f->ins[r];
    switch (i->op) {
    case IR_PHI: fold_phi(s, r); break;
    case IR_DIVS:
    case IR_DIVU:
    case IR_REMS:
    case IR_REMU: fold_division(s, r); break;
    case IR_SELECT: fold_select(s, r); break;
    case IR_BRANCH:
    case IR_SWITCH: fold_branch(s, r); break;
    default:
        if (ir_op_info[i->op].flags & (IRF_EFFECT | IRF_TERM | IRF_PIN)) break;
        if (n == 2) fold_binary(s, r);
        if (n == 1) fold_unary(s, r);
        break;
    }
}

void opt_fold(struct ir_func *f) {
    struct fold s = {.f = f, .inss = f->inss, .to = JIT_ARRAY(f->arena, ir_ref, f->inss)};
    for (uint32_t k = 0; k < f->orders; k++) {
        uint32_t block = f->order[k];
        for (ir_ref r = f->block[block].first, next; r; r = next) {
            next = f->ins[r].next;
            fold_ins(&s, r);
            // A division that cannot trap has become pure values: nothing of it is left.
            if (s.to[r] && f->ins[r].op >= IR_DIVS && f->ins[r].op <= IR_REMU) ir_remove(f, r);
        }
    }
    ir_ref *to = JIT_ARRAY(f->arena, ir_ref, f->inss); // new values are not replaced
    memcpy(to, s.to, s.inss * sizeof *to);
    ir_forward(f, to);
    if (s.edges) ir_analyse(f);
}
