// address.c — opt_address(): constant parts of addresses become the accesses' offsets.
//
// A source language's a[i] with a global a reaches us as `load (i·4 + &a)`, offset 0, because an offset is added without wrapping and a
// sum of i32 wraps. So x + C may become offset C only where x + C cannot wrap, which opt_range() knows of some x: then
// both name the same byte, or trap alike. Constants are looked for through sums, shifts and products that do not wrap either.
// What is left of an address is rebuilt without them, once, if nothing else needs the parts.
#include "sfi-jit/lib.h"
#include "sfi-jit/opt/opt.h"

#define DEPTH_MAX 6u

struct address {
    struct ir_func *f;
    struct opt_interval *of;
    uint32_t of_cap;
    uint32_t *uses;      // [value at the start]
    struct split *split; // the same
    uint32_t inss;
    uint32_t made; // rebuilt values
};
// value = base + add, as integers: no wrapping. base = 0: not looked at yet.
struct split {
    ir_ref base;
    int64_t add;
};

static struct split find(struct address *s, ir_ref r, uint32_t depth);

static bool constant(const struct address *s, ir_ref r, uint64_t *out) {
    *out = s->f->ins[r].imm;
    return s->f->ins[r].op == IR_CONST;
}

// A new value before r; its interval is hi.
static ir_ref make(struct address *s, ir_ref r, enum ir_op op, ir_ref a, ir_ref b, uint64_t hi) {
    ir_ref v = ir_insert_before(s->f, r, op, IR_I32, a, b, 0, 0);
    s->of = jit_grow(s->f->arena, s->of, &s->of_cap, v + 1, sizeof *s->of);
    s->of[v] = (struct opt_interval){0, hi};
    s->made++;
    return v;
}

// x + C or x − C for a constant, exactly.
static struct split plus_constant(struct address *s, ir_ref x, uint32_t c, uint32_t depth) {
    struct split none = {0, 0};
    int64_t add = c;
    if (s->of[x].hi + c > UINT32_MAX) {
        if (s->of[x].lo < 0 - c) return none; // it need not wrap
        add -= 1ll << 32;
    }
    struct split inner = find(s, x, depth);
    inner.add += add;
    return inner;
}

static bool alone(const struct address *s, ir_ref r, struct split part) {
    return part.add == 0 || (r < s->inss && s->uses[r] == 1);
}

static struct split plus(struct address *s, ir_ref r, uint32_t depth) {
    struct split none = {0, 0};
    ir_ref a = s->f->ins[r].a, b = s->f->ins[r].b;
    if (s->of[a].hi + s->of[b].hi > UINT32_MAX) return none;
    struct split x = find(s, a, depth), y = find(s, b, depth);
    if (x.add + y.add == 0 || !alone(s, a, x) || !alone(s, b, y)) return none;
    uint64_t hi = s->of[x.base].hi + s->of[y.base].hi;
    if (hi > UINT32_MAX) return none;
    return (struct split){make(s, r, IR_ADD, x.base, y.base, hi), x.add + y.add};
}

// x · factor, written as op with operand b.
static struct split times(struct address *s, ir_ref r, uint64_t factor, uint32_t depth) {
    struct split none = {0, 0};
    ir_ref a = s->f->ins[r].a, b = s->f->ins[r].b;
    if (factor > UINT16_MAX || s->of[a].hi * factor > UINT32_MAX) return none;
    struct split x = find(s, a, depth);
    if (x.add == 0 || !alone(s, a, x) || s->of[x.base].hi * factor > UINT32_MAX) return none;
    ir_ref base = make(s, r, (enum ir_op)s->f->ins[r].op, x.base, b, s->of[x.base].hi * factor);
    return (struct split){base, x.add * (int64_t)factor};
}

// Low bits of r that are surely zero.
static uint32_t zero_bits(const struct address *s, ir_ref r) {
    const struct ir_ins *i = &s->f->ins[r];
    uint64_t c;
    if (i->op == IR_SHL && constant(s, i->b, &c)) return (1u << (c & 31)) - 1;
    if (i->op == IR_AND && constant(s, i->b, &c)) return (uint32_t)~c & ((uint32_t)c - 1);
    return 0;
}

static struct split look(struct address *s, ir_ref r, uint32_t depth) {
    const struct ir_ins *i = &s->f->ins[r];
    uint64_t c;
    bool has = ir_op_info[i->op].operands == 2 && constant(s, i->b, &c);
    switch (i->op) {
    case IR_ADD: return has ? plus_constant(s, i->a, (uint32_t)c, depth) : plus(s, r, depth);
    case IR_OR: // adds, where the other has no bits
        if (has && (c & ~(uint64_t)zero_bits(s, i->a)) == 0)
            return plus_constant(s, i->a, (uint32_t)c, depth);
        break;
    case IR_SHL:
        if (has) return times(s, r, 1ull << (c & 31), depth);
        break;
    case IR_MUL:
        if (has) return times(s, r, c, depth);
        break;
    default: break;
    }
    return (struct split){0, 0};
}

static struct split find(struct address *s, ir_ref r, uint32_t depth) {
    if (r >= s->inss || depth == 0 || s->f->ins[r].type != IR_I32) return (struct split){r, 0};
    if (s->split[r].base) return s->split[r];
    struct split found = look(s, r, depth - 1);
    if (!found.base) found = (struct split){r, 0};
    return s->split[r] = found;
}

static void access(struct address *s, ir_ref r) {
    struct split at = find(s, s->f->ins[r].a, DEPTH_MAX);
    struct ir_ins *i = &s->f->ins[r];
    int64_t offset = (int64_t)(i->imm & UINT32_MAX) + at.add;
    if (at.base == i->a || offset < 0 || offset > INT32_MAX) return;
    i->a = at.base;
    i->imm = (i->imm & ~(uint64_t)UINT32_MAX) | (uint64_t)offset;
}

static bool is_access(uint8_t op) {
    return op == IR_LOAD || op == IR_STORE || (op >= IR_VLOAD && op <= IR_VSTORE_LANE);
}

void opt_address(struct ir_func *f) {
    struct jit_arena *a = f->arena;
    uint32_t accesses = 0, inss = f->inss;
    uint32_t *uses = JIT_ARRAY(a, uint32_t, inss);
    for (ir_ref r = 1; r < inss; r++) {
        uint32_t n;
        const ir_ref *operand = ir_operands(f, r, &n);
        for (uint32_t k = 0; k < n; k++) uses[operand[k]]++;
        accesses += is_access(f->ins[r].op) && f->ins[f->ins[r].a].op != IR_CONST;
    }
    if (!accesses) return;
    struct address s = {.f = f, .uses = uses, .inss = inss, .of_cap = inss, .of = opt_range(f)};
    s.split = JIT_ARRAY(a, struct split, inss);
    for (uint32_t k = 0; k < f->orders; k++)
        for (ir_ref r = f->block[f->order[k]].first; r; r = f->ins[r].next)
            if (is_access(f->ins[r].op)) access(&s, r);
}
