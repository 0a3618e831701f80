// range.c — opt_range(): for every integer value an interval of what it can be, read as an unsigned number of its type.
//
// One walk in reverse post order; an operand that was not visited yet (it comes around a loop) is judged by its own operator alone. PHIs
// at loop heads that go up or down by a constant step are bounded by a test that every turn passes: see counted().
// The intervals hold wherever the value is defined. They say nothing about an i32's upper half (x64/).
#include "sfi-jit/opt/opt.h"

#define TESTS_MAX 8u    // tests looked at for one PHI: they lie between the loop's end and its head
#define NEST_MAX 8u     // loops around a test, at most
#define COUNTERS_MAX 4u // PHIs looked at for how often a loop turns

struct range {
    struct ir_func *f;
    struct opt_interval *of;
};

static struct opt_interval all(uint8_t type) {
    return (struct opt_interval){0, type == IR_I32 ? UINT32_MAX : UINT64_MAX};
}
static struct opt_interval upto(uint64_t hi) { return (struct opt_interval){0, hi}; }
static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }
static uint64_t most(uint64_t a, uint64_t b) { return a > b ? a : b; }

// All ones below the highest bit of v.
static uint64_t filled(uint64_t v) { return v ? UINT64_MAX >> __builtin_clzll(v) : 0; }

static bool constant(const struct ir_func *f, ir_ref r, uint64_t *out) {
    *out = f->ins[r].imm;
    return f->ins[r].op == IR_CONST;
}

// ---- one operator --------------------------------------------------------------------------------------------------------------------

// Sum, product and shift to the left are exact if even the highest does not wrap.
static struct opt_interval arithmetic(const struct ir_ins *i, struct opt_interval a,
                                      struct opt_interval b) {
    struct opt_interval whole = all(i->type);
    uint64_t lo, hi;
    bool wraps;
    switch (i->op) {
    case IR_ADD:
        if (a.lo + b.lo > whole.hi || a.lo + b.lo < a.lo) { // wraps always
            lo = (a.lo + b.lo) & whole.hi;
            hi = (a.hi + b.hi) & whole.hi;
            return lo <= hi && i->type == IR_I32 ? (struct opt_interval){lo, hi} : whole;
        }
        wraps = __builtin_add_overflow(a.hi, b.hi, &hi);
        lo = a.lo + b.lo;
        break;
    case IR_SUB:
        wraps = a.lo < b.hi;
        lo = a.lo - b.hi;
        hi = a.hi - b.lo;
        break;
    case IR_MUL:
        wraps = __builtin_mul_overflow(a.hi, b.hi, &hi);
        lo = wraps ? 0 : a.lo * b.lo;
        break;
    default: // SHL by a constant
        wraps = b.lo != b.hi || b.hi >= 64 || a.hi << b.hi >> b.hi != a.hi;
        lo = wraps ? 0 : a.lo << b.lo;
        hi = wraps ? 0 : a.hi << b.hi;
        break;
    }
    return wraps || hi > whole.hi ? whole : (struct opt_interval){lo, hi};
}

static struct opt_interval loaded(const struct ir_ins *i) {
    switch (i->aux) {
    case IR_MEM_8U: return upto(0xff);
    case IR_MEM_16U: return upto(0xffff);
    case IR_MEM_32U: return upto(UINT32_MAX);
    default: return all(i->type);
    }
}

static struct opt_interval of_operator(const struct range *s, ir_ref r, struct opt_interval a,
                                       struct opt_interval b, struct opt_interval c) {
    const struct ir_ins *i = &s->f->ins[r];
    uint64_t width = i->type == IR_I32 ? 32 : 64;
    switch (i->op) {
    case IR_CONST: return (struct opt_interval){i->imm, i->imm};
    case IR_LOAD: return loaded(i);
    case IR_ADD:
    case IR_SUB:
    case IR_MUL: return arithmetic(i, a, b);
    case IR_SHL: return b.lo == b.hi && b.hi < width ? arithmetic(i, a, b) : all(i->type);
    case IR_AND: return upto(least(a.hi, b.hi));
    case IR_OR: return (struct opt_interval){most(a.lo, b.lo), filled(a.hi | b.hi)};
    case IR_XOR: return upto(filled(a.hi | b.hi));
    case IR_SHRU:
        if (b.lo != b.hi || b.hi >= width) return upto(a.hi);
        return (struct opt_interval){a.lo >> b.lo, a.hi >> b.hi};
    case IR_DIVU: return upto(a.hi);
    case IR_REMU: return upto(b.hi ? least(a.hi, b.hi - 1) : 0);
    case IR_CLZ:
    case IR_CTZ:
    case IR_POPCNT: return upto(width);
    case IR_SEXT8: return a.hi <= INT8_MAX ? a : all(i->type);
    case IR_SEXT16: return a.hi <= INT16_MAX ? a : all(i->type);
    case IR_SEXT32:
    case IR_EXTS: return a.hi <= INT32_MAX ? a : all(i->type);
    case IR_WRAP: return a.hi <= UINT32_MAX ? a : all(i->type);
    case IR_EXTU: return a;
    case IR_SELECT: return (struct opt_interval){least(b.lo, c.lo), most(b.hi, c.hi)};
    case IR_VTEST: return upto(0xffff);
    default: return i->op >= IR_EQ && i->op <= IR_FGE ? upto(1) : all(i->type);
    }
}

static bool is_int(uint8_t type) { return type == IR_I32 || type == IR_I64; }

// PHIs and SELECTs choose among values.
static bool chooses(const struct ir_func *f, ir_ref r) {
    const struct ir_ins *i = &f->ins[r];
    return (i->op == IR_PHI || i->op == IR_SELECT) && is_int(i->type);
}

// What is chosen from: where it lies, and how many.
static const ir_ref *choices(struct ir_func *f, ir_ref r, uint32_t *out_n) {
    const ir_ref *operand = ir_operands(f, r, out_n);
    if (f->ins[r].op == IR_PHI) return operand;
    *out_n = 2;
    return operand + 1;
}

static ir_ref web_of(ir_ref *web, ir_ref r) {
    while (web[r] != r) r = web[r] = web[web[r]];
    return r;
}

// PHIs and SELECTs that choose among each other are, all of them, never anything but one of the other values that they choose among:
// so a state that a loop only sets to constants is bounded by them.
static void find_webs(struct range *s) {
    struct ir_func *f = s->f;
    ir_ref *member = NULL, *web = NULL;
    uint32_t members = 0, cap = 0, n;
    for (ir_ref r = 1; r < f->inss; r++) {
        if (!chooses(f, r)) continue;
        if (!web) web = JIT_ARRAY(f->arena, ir_ref, f->inss);
        member = jit_grow(f->arena, member, &cap, members + 1, sizeof *member);
        member[members++] = web[r] = r;
        s->of[r] = (struct opt_interval){UINT64_MAX, 0};
    }
    for (uint32_t m = 0; m < members; m++) {
        const ir_ref *v = choices(f, member[m], &n);
        for (uint32_t k = 0; k < n; k++)
            if (web[v[k]]) web[web_of(web, v[k])] = web_of(web, member[m]);
    }
    for (uint32_t m = 0; m < members; m++) {
        const ir_ref *v = choices(f, member[m], &n);
        struct opt_interval *of = &s->of[web_of(web, member[m])];
        for (uint32_t k = 0; k < n; k++)
            if (!web[v[k]])
                *of = (struct opt_interval){least(of->lo, s->of[v[k]].lo),
                                            most(of->hi, s->of[v[k]].hi)};
    }
    for (uint32_t m = 0; m < members; m++) {
        struct opt_interval of = s->of[web_of(web, member[m])];
        s->of[member[m]] = of.lo <= of.hi ? of : all(f->ins[member[m]].type);
    }
}

// Both hold; where nothing is left, the place is never reached.
static struct opt_interval both(struct opt_interval a, struct opt_interval b) {
    struct opt_interval out = {most(a.lo, b.lo), least(a.hi, b.hi)};
    return out.lo <= out.hi ? out : a;
}

static struct opt_interval of_value(const struct range *s, ir_ref r) {
    const struct ir_ins *i = &s->f->ins[r];
    uint8_t operands = ir_op_info[i->op].operands;
    ir_ref operand[3] = {i->a, i->b, i->c};
    struct opt_interval in[3] = {{0, 0}, {0, 0}, {0, 0}};
    for (uint32_t k = 0; operands != IR_POOL && k < operands; k++) {
        in[k] = s->of[operand[k]];
        if (!is_int(s->f->ins[operand[k]].type)) in[k] = upto(UINT64_MAX);
    }
    return of_operator(s, r, in[0], in[1], in[2]);
}

// ---- loops ---------------------------------------------------------------------------------------------------------------------------

struct counter { // PHI: `start` on every other edge, itself + step on the edge back
    ir_ref phi, next;
    struct opt_interval start;
    uint32_t step; // modulo 2³²
};

// The blocks of the loop at `head`, the inner ones' too.
static bool inside(const struct ir_func *f, uint32_t block, uint32_t head) {
    uint32_t loop = f->block[block].loop, depth = f->block[head].loop_depth;
    while (loop != UINT32_MAX && f->block[loop].loop_depth > depth) loop = f->block[loop].outer;
    return loop == head;
}

// Turns end when v = n: how far does the PHI come? v is the PHI or the next one.
static bool until_equal(const struct counter *c, bool is_next, struct opt_interval n,
                        struct opt_interval *out) {
    if (n.lo != n.hi) return false;
    bool down = c->step >> 31;
    uint64_t step = down ? 0 - c->step & UINT32_MAX : c->step;
    uint64_t first = is_next ? step : 0, room; // distance of the first v from the start
    // Only a distance that the step divides surely ends the loop: so one of a known start, or steps of 1.
    if (step != 1 && c->start.lo != c->start.hi) return false;
    if (down) {
        if (c->start.lo < n.lo + first) return false;
        room = c->start.lo - n.lo;
        if (room % step) return false;
        *out = (struct opt_interval){n.lo + first, c->start.hi};
    } else {
        uint64_t end = n.lo == 0 ? 1ull << 32 : n.lo; // counted up to zero
        if (c->start.hi + first > end) return false;
        room = end - c->start.hi;
        if (room % step) return false;
        *out = (struct opt_interval){c->start.lo, end - first};
        if (out->hi > UINT32_MAX) return false;
    }
    return true;
}

// Turns go on while v < n.
static bool while_less(const struct counter *c, bool is_next, bool is_signed, struct opt_interval n,
                       struct opt_interval *out) {
    uint64_t top = is_signed ? INT32_MAX : UINT32_MAX;
    if (c->step == 0 || c->step > INT32_MAX || c->start.hi > top) return false;
    uint64_t bound = is_signed && n.hi > INT32_MAX ? INT32_MAX : n.hi; // v ≤ bound − 1
    uint64_t last = bound ? bound - 1 : 0;
    uint64_t hi = most(c->start.hi, is_next ? last : last + c->step);
    // Neither the PHI nor what comes next may wrap.
    if (most(hi, last) > top - (is_next ? c->step : 0)) return false;
    *out = (struct opt_interval){c->start.lo, hi};
    return true;
}

static enum ir_op opposite(enum ir_op op) {
    static const uint8_t to[] = {IR_NE,  IR_EQ,  IR_GES, IR_GEU, IR_LES,
                                 IR_LEU, IR_GTS, IR_GTU, IR_LTS, IR_LTU};
    return to[op - IR_EQ];
}

// What a branch at the end of block `at` says about the counter, if every turn that goes on takes its edge inside.
static bool bounded_by(const struct range *s, const struct counter *c, uint32_t at, uint32_t head,
                       struct opt_interval *out) {
    const struct ir_func *f = s->f;
    const struct ir_block *b = &f->block[at];
    const struct ir_ins *end = &f->ins[b->last];
    if (end->op != IR_BRANCH) return false;
    for (uint32_t k = 0; k < 2; k++)
        if (f->block[b->succ[k]].loop_depth > f->block[head].loop_depth + NEST_MAX) return false;
    bool stay0 = inside(f, b->succ[0], head), stay1 = inside(f, b->succ[1], head);
    if (stay0 == stay1) return false;
    const struct ir_ins *test = &f->ins[end->a];
    bool is_compare = test->op >= IR_EQ && test->op <= IR_GEU;
    ir_ref v = is_compare ? test->a : end->a;
    if (v != c->phi && v != c->next) return false;
    enum ir_op op = is_compare ? (enum ir_op)test->op : IR_NE; // v itself: v ≠ 0
    if (stay1) op = opposite(op);
    struct opt_interval n = is_compare ? s->of[test->b] : upto(0);
    switch (op) {
    case IR_NE: return until_equal(c, v == c->next, n, out);
    case IR_LTU:
    case IR_LTS: return while_less(c, v == c->next, op == IR_LTS, n, out);
    case IR_LEU:
    case IR_LES:
        if (n.hi >= (op == IR_LES ? INT32_MAX : UINT32_MAX)) return false;
        n.hi++;
        return while_less(c, v == c->next, op == IR_LES, n, out);
    default: return false;
    }
}

// The walk up from the edge back over its dominators passes the blocks that every turn passes.
// False, and everything, if no test is of use; else the PHI never wraps.
static bool counted(const struct range *s, const struct counter *c, uint32_t head, uint32_t latch,
                    struct opt_interval *out) {
    const struct ir_func *f = s->f;
    for (uint32_t k = 0, at = latch; k < TESTS_MAX; k++, at = f->block[at].idom) {
        if (bounded_by(s, c, at, head, out)) return true;
        if (at == head) break;
    }
    *out = all(IR_I32);
    return false;
}

// The PHI as a counter; false if it is something else. *out_latch is where the edge back comes from.
static bool counter(const struct range *s, ir_ref r, struct counter *out, uint32_t *out_latch) {
    const struct ir_func *f = s->f;
    const struct ir_ins *i = &f->ins[r];
    const struct ir_block *b = &f->block[i->block];
    struct counter c = {.phi = r, .start = {UINT64_MAX, 0}};
    uint64_t step;
    if (i->type != IR_I32) return false;
    for (uint32_t k = 0; k < i->b; k++) {
        ir_ref v = f->pool[i->a + k];
        const struct opt_interval *in = &s->of[v];
        if (f->block[b->pred[k]].order < b->order) {
            c.start = (struct opt_interval){least(c.start.lo, in->lo), most(c.start.hi, in->hi)};
        } else {
            if (c.next) return false;
            c.next = v;
            *out_latch = b->pred[k];
        }
    }
    const struct ir_ins *next = &f->ins[c.next];
    if (!c.next || next->op != IR_ADD || next->a != r || !constant(f, next->b, &step)) return false;
    c.step = (uint32_t)step;
    *out = c;
    return c.step != 0;
}

static uint64_t magnitude(uint32_t step) { return step >> 31 ? 0u - step : step; }

// How often the loop at `head` goes back at most.
static uint64_t turns_of(const struct range *s, uint32_t head) {
    const struct ir_func *f = s->f;
    uint64_t turns = UINT64_MAX - 1; // of them nothing is known
    uint32_t latch, looked = 0;
    struct counter c;
    for (ir_ref r = f->block[head].first; f->ins[r].op == IR_PHI; r = f->ins[r].next) {
        struct opt_interval in;
        if (!counter(s, r, &c, &latch)) continue;
        if (counted(s, &c, head, latch, &in))
            turns = least(turns, (in.hi - in.lo) / magnitude(c.step));
        if (++looked == COUNTERS_MAX) break;
    }
    return turns;
}

static struct opt_interval counted_by_turns(const struct counter *c, uint64_t turns) {
    uint64_t way;
    bool down = c->step >> 31;
    if (__builtin_mul_overflow(turns, magnitude(c->step), &way)) return all(IR_I32);
    if (down ? way > c->start.lo : way > UINT32_MAX - c->start.hi) return all(IR_I32);
    return (struct opt_interval){c->start.lo - (down ? way : 0), c->start.hi + (down ? 0 : way)};
}

// turns = UINT64_MAX: not at the head of a loop.
static struct opt_interval join(const struct range *s, ir_ref r, uint64_t turns) {
    struct ir_func *f = s->f;
    const struct ir_ins *i = &f->ins[r];
    struct opt_interval out = {UINT64_MAX, 0};
    struct counter c;
    uint32_t latch;
    if (turns != UINT64_MAX && counter(s, r, &c, &latch)) {
        struct opt_interval in, by = counted_by_turns(&c, turns);
        counted(s, &c, i->block, latch, &in);
        return by.hi - by.lo < in.hi - in.lo ? by : in;
    }
    for (uint32_t k = 0; k < i->b; k++) {
        ir_ref v = f->pool[i->a + k];
        if (v == r) continue;
        out = (struct opt_interval){least(out.lo, s->of[v].lo), most(out.hi, s->of[v].hi)};
    }
    return out.lo > out.hi ? all(i->type) : out;
}

// Values of one block. PHIs at a loop's head come first, and share its number of turns.
static void visit(struct range *s, uint32_t block) {
    const struct ir_func *f = s->f;
    bool head = f->block[block].loop == block && f->ins[f->block[block].first].op == IR_PHI;
    uint64_t turns = head ? turns_of(s, block) : UINT64_MAX;
    for (ir_ref r = f->block[block].first; r; r = f->ins[r].next) {
        if (!is_int(f->ins[r].type)) continue;
        struct opt_interval of = f->ins[r].op == IR_PHI ? join(s, r, turns) : of_value(s, r);
        s->of[r] = chooses(f, r) ? both(of, s->of[r]) : of;
    }
}

struct opt_interval *opt_range(struct ir_func *f) {
    struct range s = {f, JIT_ARRAY(f->arena, struct opt_interval, f->inss)};
    // What is asked for before its turn, through an edge back, is known by its operator.
    for (ir_ref r = 1; r < f->inss; r++) {
        const struct ir_ins *i = &f->ins[r];
        struct opt_interval a = all(IR_I64), b = a;
        if (!is_int(i->type)) continue;
        s.of[r] = all(i->type);
        if (ir_op_info[i->op].operands == IR_POOL) continue;
        if (i->op == IR_SELECT) continue;
        if (ir_op_info[i->op].operands == 2 && f->ins[i->b].op == IR_CONST)
            b = (struct opt_interval){f->ins[i->b].imm, f->ins[i->b].imm};
        if (is_int(f->ins[i->a].type)) a = all(f->ins[i->a].type);
        s.of[r] = of_operator(&s, r, a, b, a);
    }
    find_webs(&s);
    for (uint32_t k = 0; k < f->orders; k++) visit(&s, f->order[k]);
    return s.of;
}
