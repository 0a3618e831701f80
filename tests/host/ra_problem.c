// ra_problem.c — see ra_problem.h.
#include "tests/host/ra_problem.h"
#include <stdio.h>
#include <string.h>

void rp_init(struct rp *p, struct jit_arena *a) {
    *p = (struct rp){.a = a};
    p->in.vregs = 1;
    p->in.allocatable = RP_ALLOCATABLE;
    p->in.callee_saved = RP_CALLEE_SAVED;
    p->in.scratch_int = R11;
    p->in.scratch_fp = XMM0 + 15;
}

uint32_t rp_value(struct rp *p, enum ra_class cls, uint32_t bytes) {
    p->vreg = jit_grow(p->a, p->vreg, &p->vreg_cap, p->in.vregs + 1, sizeof *p->vreg);
    p->vreg[p->in.vregs] = (struct ra_vreg){(uint8_t)cls, (uint8_t)bytes, false, RA_NONE};
    return p->in.vregs++;
}

uint32_t rp_block(struct rp *p) {
    p->block = jit_grow(p->a, p->block, &p->block_cap, p->in.blocks + 1, sizeof *p->block);
    p->block[p->in.blocks] = (struct ra_block){.begin = p->in.insns, .end = p->in.insns};
    return p->in.blocks++;
}

void rp_insn(struct rp *p) {
    p->insn = jit_grow(p->a, p->insn, &p->insn_cap, p->in.insns + 1, sizeof *p->insn);
    p->insn[p->in.insns++] = (struct ra_insn){.first = p->in.operands};
    p->block[p->in.blocks - 1].end = p->in.insns;
}

static void add(struct rp *p, uint32_t vreg, enum ra_kind kind, enum ra_when when, enum ra_how how,
                uint32_t fixed) {
    p->operand = jit_grow(p->a, p->operand, &p->operand_cap, p->in.operands + 1, sizeof *p->operand);
    p->operand[p->in.operands++] =
        (struct ra_operand){vreg, (uint8_t)kind, (uint8_t)when, (uint8_t)how, (uint8_t)fixed};
    p->insn[p->in.insns - 1].count++;
}

void rp_use(struct rp *p, uint32_t vreg, enum ra_when when, enum ra_how how, uint32_t fixed) {
    add(p, vreg, RA_USE, when, how, fixed);
}

void rp_def(struct rp *p, uint32_t vreg, enum ra_when when, enum ra_how how, uint32_t fixed) {
    add(p, vreg, RA_DEF, when, how, fixed);
}

void rp_clobber(struct rp *p, uint32_t mask) { p->insn[p->in.insns - 1].clobber = mask; }

static const uint32_t *copy(struct rp *p, uint32_t n, const uint32_t *list) {
    uint32_t *c = JIT_ARRAY(p->a, uint32_t, n + 1);
    if (n) memcpy(c, list, n * sizeof *c);
    return c;
}

void rp_params(struct rp *p, uint32_t n, const uint32_t *vregs) {
    p->block[p->in.blocks - 1].params = n;
    p->block[p->in.blocks - 1].param = copy(p, n, vregs);
}

void rp_jump(struct rp *p, uint32_t to, uint32_t n, const uint32_t *args) {
    struct ra_block *b = &p->block[p->in.blocks - 1];
    rp_insn(p);
    b->succs = 1;
    b->succ = copy(p, 1, &to);
    b->args = n;
    b->arg = copy(p, n, args);
}

void rp_branch(struct rp *p, uint32_t yes, uint32_t no) {
    struct ra_block *b = &p->block[p->in.blocks - 1];
    b->succs = 2;
    b->succ = copy(p, 2, (uint32_t[]){yes, no});
}

void rp_return(struct rp *p) { p->block[p->in.blocks - 1].succs = 0; }

void rp_finish(struct rp *p) {
    p->in.insn = p->insn;
    p->in.operand = p->operand;
    p->in.vreg = p->vreg;
    p->in.block = p->block;
    for (uint32_t b = 0; b < p->in.blocks; b++)
        for (uint32_t i = 0; i < p->block[b].succs; i++) p->block[p->block[b].succ[i]].preds++;
    uint32_t **pred = JIT_ARRAY(p->a, uint32_t *, p->in.blocks);
    for (uint32_t b = 0; b < p->in.blocks; b++) {
        p->block[b].pred = pred[b] = JIT_ARRAY(p->a, uint32_t, p->block[b].preds + 1);
    }
    for (uint32_t b = 0; b < p->in.blocks; b++)
        for (uint32_t i = 0; i < p->block[b].succs; i++) *pred[p->block[b].succ[i]]++ = b;
}

uint32_t rp_const(struct rp *p, bool remat) {
    uint32_t v = rp_value(p, RA_INT, 8);
    p->vreg[v].remat = remat;
    rp_insn(p);
    rp_def(p, v, RA_LATE, RA_REG, 0);
    return v;
}

uint32_t rp_op(struct rp *p, uint32_t a, uint32_t b) {
    uint32_t v = rp_value(p, RA_INT, 8);
    rp_insn(p);
    rp_def(p, v, RA_LATE, RA_REG, 0);
    rp_use(p, a, RA_EARLY, RA_REG, 0);
    rp_use(p, b, RA_EARLY, RA_ANY, 0);
    return v;
}

uint32_t rp_add(struct rp *p, uint32_t a, uint32_t b) {
    uint32_t v = rp_value(p, p->vreg[a].cls, p->vreg[a].bytes);
    rp_insn(p);
    rp_def(p, v, RA_LATE, RA_REUSE, 1);
    rp_use(p, a, RA_EARLY, RA_REG, 0);
    rp_use(p, b, RA_EARLY, RA_ANY, 0);
    return v;
}

static const uint8_t int_arg[] = {RDI, RSI, RDX, RCX, R8, R9};

uint32_t rp_call(struct rp *p, uint32_t n, const uint32_t *args) {
    uint32_t v = rp_value(p, RA_INT, 8);
    rp_insn(p);
    for (uint32_t i = 0; i < n; i++) rp_use(p, args[i], RA_EARLY, RA_FIXED, int_arg[i]);
    rp_def(p, v, RA_LATE, RA_FIXED, RAX);
    rp_clobber(p, RP_CALL_CLOBBERS);
    return v;
}

// ---- random programs ----

static uint32_t rnd(struct rp *p, uint32_t n) {
    p->random = p->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(p->random >> 33) % n;
}

struct gen {
    struct rp *p;
    uint32_t *env[3]; // values in scope: integers, floats, vectors
    uint32_t n[3], cap[3];
    uint32_t left;  // instructions to make, about
    uint32_t reach; // how old the values are that get used
    bool calls, small;
};
struct scope {
    uint32_t n[3];
};

static uint32_t pick(struct gen *g, uint32_t kind) {
    uint32_t n = g->n[kind], span = rnd(g->p, 4) ? g->reach : n;
    if (span > n) span = n;
    return g->env[kind][n - 1 - rnd(g->p, span)];
}

static void bring(struct gen *g, uint32_t kind, uint32_t v) {
    g->env[kind] = jit_grow(g->p->a, g->env[kind], &g->cap[kind], g->n[kind] + 1, sizeof(uint32_t));
    g->env[kind][g->n[kind]++] = v;
}

static struct scope enter(const struct gen *g) {
    struct scope s;
    memcpy(s.n, g->n, sizeof s.n);
    return s;
}
static void leave(struct gen *g, struct scope s) { memcpy(g->n, s.n, sizeof s.n); }

static uint32_t fresh(struct gen *g, uint32_t kind) {
    return rp_value(g->p, kind ? RA_FP : RA_INT, kind == 2 ? 16 : rnd(g->p, 2) ? 8 : 4);
}

static enum ra_how reg_or_any(struct gen *g) { return rnd(g->p, 2) ? RA_REG : RA_ANY; }

static void make_call(struct gen *g) {
    struct rp *p = g->p;
    rp_insn(p);
    uint32_t ints = rnd(p, g->small ? 3 : 7), fps = rnd(p, 3);
    for (uint32_t i = 0; i < ints; i++)
        rp_use(p, pick(g, 0), RA_EARLY, RA_FIXED, g->small ? (i ? RDX : RCX) : int_arg[i % 6]);
    if (ints == 3 && g->small) { // rdx twice: not allowed
        p->in.operands--;
        p->insn[p->in.insns - 1].count--;
    }
    for (uint32_t i = 0; i < fps; i++) rp_use(p, pick(g, 1), RA_EARLY, RA_FIXED, XMM0 + i);
    if (!rnd(p, 3) && !g->small) rp_use(p, pick(g, 0), RA_EARLY, RA_REG, 0);
    rp_clobber(p, RP_CALL_CLOBBERS);
    uint32_t kind = rnd(p, 3);
    if (kind == 2) return;
    uint32_t v = fresh(g, kind);
    rp_def(p, v, RA_LATE, RA_FIXED, kind ? XMM0 : RAX);
    bring(g, kind, v);
}

static void make_division(struct gen *g) {
    struct rp *p = g->p;
    uint32_t a = pick(g, 0), b = pick(g, 0), quotient = fresh(g, 0), rest = fresh(g, 0);
    rp_insn(p);
    rp_use(p, a, RA_EARLY, RA_FIXED, RAX);
    rp_use(p, b, RA_LATE, reg_or_any(g), 0);
    bool want_rest = rnd(p, 2);
    if (want_rest) {
        rp_def(p, rest, RA_EARLY, RA_FIXED, RDX);
        rp_def(p, quotient, RA_LATE, RA_FIXED, RAX);
        bring(g, 0, rest);
    } else {
        rp_def(p, quotient, RA_LATE, RA_FIXED, RAX);
        rp_clobber(p, 1u << RDX);
        // never defined: rest is unused
    }
    bring(g, 0, quotient);
}

static void make_insn(struct gen *g) {
    struct rp *p = g->p;
    uint32_t kind = rnd(p, 10) < 6 ? 0 : rnd(p, 5) < 4 ? 1 : 2, what = rnd(p, 16);
    if (g->left) g->left--;
    if (what == 0 && g->calls) {
        make_call(g);
        return;
    }
    if (what == 1) {
        make_division(g);
        return;
    }
    rp_insn(p);
    if (what < 4) { // store
        rp_use(p, pick(g, 0), RA_EARLY, RA_REG, 0);
        rp_use(p, pick(g, kind), rnd(p, 4) ? RA_EARLY : RA_LATE, RA_REG, 0);
        return;
    }
    uint32_t a = pick(g, kind), b = pick(g, kind), v = fresh(g, kind);
    if (what == 4) { // shift
        kind = 0;
        a = pick(g, 0);
        v = fresh(g, 0);
        rp_def(p, v, RA_LATE, RA_REUSE, 2);
        rp_use(p, pick(g, 0), RA_EARLY, RA_FIXED, RCX);
        rp_use(p, a, RA_EARLY, RA_REG, 0);
    } else if (what == 5) { // constant
        p->vreg[v].remat = true;
        rp_def(p, v, RA_LATE, RA_REG, 0);
    } else if (what == 6) { // copy
        rp_def(p, v, RA_LATE, RA_REG, 0);
        rp_use(p, a, RA_EARLY, reg_or_any(g), 0);
        p->insn[p->in.insns - 1].is_move = p->vreg[a].bytes == p->vreg[v].bytes;
    } else if (what == 7) { // with a temporary
        rp_def(p, v, rnd(p, 2) ? RA_LATE : RA_EARLY, rnd(p, 8) ? RA_REG : RA_ANY, 0);
        rp_def(p, fresh(g, rnd(p, 3)), RA_EARLY, RA_REG, 0);
        rp_use(p, a, rnd(p, 2) ? RA_EARLY : RA_LATE, reg_or_any(g), 0);
    } else if (what < 12) { // three operands
        rp_def(p, v, RA_LATE, RA_REG, 0);
        rp_use(p, a, RA_EARLY, RA_REG, 0);
        rp_use(p, b, rnd(p, 6) ? RA_EARLY : RA_LATE, reg_or_any(g), 0);
    } else {
        p->insn[p->in.insns - 1].commutes = rnd(p, 2) && p->vreg[a].bytes == p->vreg[b].bytes;
        rp_def(p, v, RA_LATE, RA_REUSE, 1);
        rp_use(p, a, RA_EARLY, RA_REG, 0);
        rp_use(p, b, rnd(p, 6) ? RA_EARLY : RA_LATE, reg_or_any(g), 0);
    }
    bring(g, kind, v);
}

static void straight(struct gen *g) {
    for (uint32_t n = rnd(g->p, 12); n; n--) make_insn(g);
}

static void patch(struct rp *p, uint32_t block, uint32_t index, uint32_t to) {
    ((uint32_t *)p->block[block].succ)[index] = to;
}

// Ends the block with a conditional branch; the targets are patched later.
static uint32_t conditional(struct gen *g) {
    struct rp *p = g->p;
    rp_insn(p);
    rp_use(p, pick(g, 0), RA_EARLY, reg_or_any(g), 0);
    if (!rnd(p, 4)) rp_def(p, fresh(g, 0), RA_EARLY, RA_REG, 0);
    rp_branch(p, 0, 0);
    return p->in.blocks - 1;
}

#define JOIN_MAX 6
struct join { // parameters of a block to come or, for a loop, that is there
    uint32_t n, kind[JOIN_MAX], param[JOIN_MAX];
};
static struct join new_join(struct gen *g) {
    struct join j = {.n = rnd(g->p, JOIN_MAX + 1)};
    for (uint32_t i = 0; i < j.n; i++) {
        j.kind[i] = rnd(g->p, 3);
        j.param[i] = rp_value(g->p, j.kind[i] ? RA_FP : RA_INT, j.kind[i] == 2 ? 16 : 8);
    }
    return j;
}
static uint32_t jump(struct gen *g, const struct join *j, uint32_t to) {
    uint32_t args[JOIN_MAX];
    for (uint32_t i = 0; i < j->n; i++) args[i] = pick(g, j->kind[i]);
    rp_jump(g->p, to, j->n, args);
    return g->p->in.blocks - 1;
}
static uint32_t land(struct gen *g, const struct join *j) {
    uint32_t b = rp_block(g->p);
    rp_params(g->p, j->n, j->param);
    for (uint32_t i = 0; i < j->n; i++) bring(g, j->kind[i], j->param[i]);
    return b;
}

static void sequence(struct gen *g, uint32_t depth);

static void make_if(struct gen *g, uint32_t depth) {
    struct rp *p = g->p;
    struct join j = new_join(g);
    struct scope s = enter(g);
    uint32_t branch = conditional(g);
    patch(p, branch, 0, rp_block(p));
    sequence(g, depth + 1);
    uint32_t one = jump(g, &j, 0);
    leave(g, s);
    patch(p, branch, 1, rp_block(p));
    if (rnd(p, 2)) sequence(g, depth + 1);
    uint32_t other = jump(g, &j, 0);
    leave(g, s);
    uint32_t end = land(g, &j);
    patch(p, one, 0, end);
    patch(p, other, 0, end);
}

static void make_loop(struct gen *g, uint32_t depth) {
    struct rp *p = g->p;
    struct join entry = new_join(g), exit = new_join(g);
    struct scope outside = enter(g);
    uint32_t before = jump(g, &entry, 0), header = land(g, &entry), exits[3], n = 0;
    patch(p, before, 0, header);
    sequence(g, depth + 1);
    for (uint32_t more = rnd(p, 3); more;
         more--) { // a break or a continue, with the block of the critical edge
        uint32_t branch = conditional(g);
        patch(p, branch, 0, rp_block(p));
        if (rnd(p, 2))
            exits[n++] = jump(g, &exit, 0);
        else
            jump(g, &entry, header);
        patch(p, branch, 1, rp_block(p));
        sequence(g, depth + 1);
    }
    uint32_t latch = conditional(g);
    patch(p, latch, 0, rp_block(p));
    jump(g, &entry, header);
    patch(p, latch, 1, rp_block(p));
    exits[n++] = jump(g, &exit, 0);
    leave(g, outside);
    uint32_t end = land(g, &exit);
    while (n) patch(p, exits[--n], 0, end);
}

static void sequence(struct gen *g, uint32_t depth) {
    for (uint32_t n = 1 + rnd(g->p, 3); n; n--) {
        straight(g);
        if (depth > 4 || g->left < 8) continue;
        uint32_t what = rnd(g->p, 3);
        if (what == 0) make_if(g, depth);
        if (what == 1) make_loop(g, depth);
    }
}

void rp_random(struct rp *p, uint64_t seed, uint32_t size) {
    p->random = seed * 0x9E3779B97F4A7C15u + 1;
    struct gen g = {.p = p, .left = size, .reach = 2 + rnd(p, 24), .calls = rnd(p, 4) != 0};
    if (!rnd(p, 4)) { // few registers
        g.small = true;
        p->in.allocatable =
            1u << RAX | 1u << RCX | 1u << RDX | 1u << RBX | 1u << RSI | 1u << R12 | 0x3F0000u;
    }
    if (!rnd(p, 4)) p->in.live_work = 1 + rnd(p, 100); // most values are homed
    rp_block(p);
    rp_insn(p);
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t a = fresh(&g, 0), b = fresh(&g, 1);
        rp_def(p, a, RA_LATE, RA_FIXED, g.small ? i : int_arg[i]);
        rp_def(p, b, RA_LATE, RA_FIXED, XMM0 + i);
        bring(&g, 0, a);
        bring(&g, 1, b);
    }
    uint32_t v = fresh(&g, 2);
    rp_insn(p);
    rp_def(p, v, RA_LATE, RA_REG, 0);
    bring(&g, 2, v);
    do sequence(&g, 0);
    while (g.left > 8);
    rp_insn(p);
    rp_use(p, pick(&g, 0), RA_EARLY, RA_FIXED, RAX);
    rp_return(p);
    rp_finish(p);
}

// ---- dump, for when a test fails ----

static void print_loc(ra_loc loc) {
    if (loc < 16)
        printf("r%u", loc);
    else if (loc < 32)
        printf("x%u", loc - 16);
    else if (RA_IS_SLOT(loc))
        printf("[%u]", loc - RA_SLOT(0));
    else
        printf("%s", loc == RA_REMAT ? "remat" : "none");
}

void rp_dump(const struct rp *p, const struct ra_output *out) {
    static const char how[] = {'r', 'a', 'f', 'u'};
    uint32_t m = 0;
    for (uint32_t b = 0; b < p->in.blocks; b++) {
        const struct ra_block *k = &p->in.block[b];
        printf("block %u", b);
        for (uint32_t i = 0; i < k->params; i++) printf(" v%u", k->param[i]);
        printf(" <-");
        for (uint32_t i = 0; i < k->preds; i++) printf(" %u", k->pred[i]);
        printf("\n");
        for (uint32_t i = k->begin; i < k->end; i++) {
            for (; out && m < out->moves && out->move[m].at == i; m++) {
                printf("        v%u ", out->move[m].vreg);
                print_loc(out->move[m].from);
                printf(" -> ");
                print_loc(out->move[m].to);
                printf("\n");
            }
            const struct ra_insn *n = &p->in.insn[i];
            printf("  %3u:", i);
            for (uint32_t j = n->first; j < n->first + n->count; j++) {
                const struct ra_operand *o = &p->in.operand[j];
                printf(" %s%s v%u:%c%u", o->kind == RA_DEF ? "def" : "use",
                       o->when == RA_LATE ? "L" : "E", o->vreg, how[o->how], o->fixed);
                if (out) {
                    printf("=");
                    print_loc(out->loc[j]);
                }
            }
            if (n->clobber) printf(" clobber %x", n->clobber);
            printf("%s\n", n->is_move ? " move" : "");
        }
        printf("  ->");
        for (uint32_t i = 0; i < k->succs; i++) printf(" %u", k->succ[i]);
        for (uint32_t i = 0; i < k->args; i++) printf(" v%u", k->arg[i]);
        printf("\n");
    }
}
