// regalloc_check.c — ra_check(): is this allocation right? For tests; shares nothing with the allocator but regalloc.h.
//
// Each location holds a set of values: those whose present value it certainly contains. The sets are followed through moves, operands,
// clobbers and edges to the greatest fixpoint (a block starts with what all its predecessors agree on). Then each operand has to find
// its value in its location, and the constraints of how, class and early/late are checked.
// A definition makes all older copies of the same value stale (a loop comes round again). A parameter is defined on the edge,
// wherever its argument is at that time.
// Memory: blocks × locations × values bits, so this is not for big functions.
#include "sfi-jit/lib.h"
#include "sfi-jit/x64/regalloc.h"

struct checker {
    const struct ra_input *in;
    const struct ra_output *out;
    uint32_t locs, words; // locations: 32 registers, then slots; words of a set
    uint64_t *entry;      // block → location → set
    uint64_t *now, *old;  // location → set
    bool *reached;
    uint32_t move; // next one
};

static bool known(const struct checker *c, ra_loc loc) {
    return RA_IS_REG(loc) || (RA_IS_SLOT(loc) && loc - RA_SLOT(0) < c->out->slots);
}

static uint64_t *set_of(struct checker *c, uint64_t *state, ra_loc loc) {
    return state + (size_t)(RA_IS_REG(loc) ? loc : loc - RA_SLOT(0) + 32) * c->words;
}
static bool has(const uint64_t *set, uint32_t v) { return set[v / 64] >> (v % 64) & 1; }
static void put(uint64_t *set, uint32_t v) { set[v / 64] |= 1ull << (v % 64); }
static void drop(uint64_t *set, uint32_t v) { set[v / 64] &= ~(1ull << (v % 64)); }

// Forgets what the location and those it overlaps with held. Only 16-byte values overlap: slots n and n + 1.
static void forget(struct checker *c, ra_loc loc, uint32_t bytes) {
    memset(set_of(c, c->now, loc), 0, c->words * 8);
    if (!RA_IS_SLOT(loc)) return;
    uint32_t n = loc - RA_SLOT(0);
    if (bytes == 16 && n + 1 < c->out->slots) memset(set_of(c, c->now, loc + 1), 0, c->words * 8);
    if (!n) return;
    uint64_t *before = set_of(c, c->now, loc - 1);
    for (uint32_t v = 1; v < c->in->vregs; v++)
        if (c->in->vreg[v].bytes == 16) drop(before, v);
}

static void forget_value(struct checker *c, uint32_t v) {
    for (uint32_t l = 0; l < c->locs; l++) drop(c->now + (size_t)l * c->words, v);
}

static bool right_class(const struct checker *c, ra_loc loc, uint32_t v) {
    return !RA_IS_REG(loc) || (loc < 16) == (c->in->vreg[v].cls == RA_INT);
}

static const char *move(struct checker *c, const struct ra_move *m) {
    const struct ra_vreg *v = &c->in->vreg[m->vreg];
    if (!known(c, m->to) || !right_class(c, m->to, m->vreg)) return "move to a bad location";
    if (RA_IS_SLOT(m->to) && v->bytes == 16 && ((m->to & 1) || !known(c, m->to + 1)))
        return "16-byte value in a bad slot";
    if (m->from == RA_REMAT) {
        if (!v->remat || !RA_IS_REG(m->to)) return "bad rematerialisation";
        forget(c, m->to, v->bytes);
        put(set_of(c, c->now, m->to), m->vreg);
        return NULL;
    }
    if (!known(c, m->from) || !right_class(c, m->from, m->vreg)) return "move from a bad location";
    if (!RA_IS_REG(m->from) && !RA_IS_REG(m->to)) return "move from memory to memory";
    memcpy(c->old, set_of(c, c->now, m->from), c->words * 8);
    for (uint32_t i = 1; i < c->in->vregs; i++)
        if (c->in->vreg[i].bytes > v->bytes || c->in->vreg[i].cls != v->cls) drop(c->old, i);
    forget(c, m->to, v->bytes);
    memcpy(set_of(c, c->now, m->to), c->old, c->words * 8);
    return NULL;
}

// Whether operand k is one of two that have changed places.
static bool exchanged(struct checker *c, const struct ra_insn *n, uint32_t k) {
    const struct ra_operand *o = &c->in->operand[n->first];
    const ra_loc *loc = &c->out->loc[n->first];
    for (uint32_t d = 0; d < n->count && n->commutes; d++) {
        uint32_t a = o[d].fixed, b = a + 1;
        if (o[d].how != RA_REUSE || b >= n->count || (k != a && k != b)) continue;
        return o[a].when == RA_EARLY && o[b].when == RA_EARLY && o[b].how != RA_FIXED &&
               o[b].kind == RA_USE && known(c, loc[a]) && known(c, loc[b]) &&
               has(set_of(c, c->now, loc[a]), o[b].vreg) && has(set_of(c, c->now, loc[b]), o[a].vreg);
    }
    return false;
}

static const char *check_operand(struct checker *c, const struct ra_insn *n, uint32_t k, bool verify) {
    const struct ra_operand *o = &c->in->operand[n->first + k];
    ra_loc loc = c->out->loc[n->first + k];
    if (!verify) return NULL;
    if (!known(c, loc) || !right_class(c, loc, o->vreg)) return "operand in a bad location";
    if (RA_IS_REG(loc) && !(c->in->allocatable >> loc & 1))
        return "operand in a register that is not allocatable";
    if (RA_IS_SLOT(loc) && o->how != RA_ANY) return "operand in memory";
    if (o->how == RA_FIXED && loc != o->fixed) return "FIXED operand elsewhere";
    if (o->how == RA_REUSE && loc != c->out->loc[n->first + o->fixed])
        return "REUSE of another register";
    if (RA_IS_REG(loc) && o->kind == RA_DEF && !(c->out->used >> loc & 1))
        return "register written but not reported as used";
    if (o->kind == RA_USE && !has(set_of(c, c->now, loc), o->vreg) && !exchanged(c, n, k))
        return "operand does not hold its value";
    for (uint32_t i = 0; i < n->count; i++) {
        const struct ra_operand *p = &c->in->operand[n->first + i];
        if (i == k || c->out->loc[n->first + i] != loc || p->kind == RA_USE) continue;
        if (o->kind == RA_DEF) return "two definitions in one location";
        bool reused = p->how == RA_REUSE &&
                      (p->fixed == k || c->in->operand[n->first + p->fixed].vreg == o->vreg);
        if (o->when == RA_LATE || (p->when == RA_EARLY && !reused))
            return "definition overwrites a use too early";
    }
    if (o->when == RA_LATE && RA_IS_REG(loc) && n->clobber >> loc & 1 &&
        !(o->kind == RA_DEF && o->how == RA_FIXED))
        return "operand in a clobbered register";
    return NULL;
}

static const char *insn(struct checker *c, uint32_t i, bool verify) {
    const struct ra_insn *n = &c->in->insn[i];
    const char *wrong;
    for (; c->move < c->out->moves && c->out->move[c->move].at == i; c->move++)
        if ((wrong = move(c, &c->out->move[c->move]))) return wrong;
    forget(c, c->in->scratch_int, 8); // the emitter's
    forget(c, c->in->scratch_fp, 16);
    if (n->count == 1 && c->out->loc[n->first] == RA_REMAT) { // left out
        const struct ra_operand *o = &c->in->operand[n->first];
        bool may = c->in->vreg[o->vreg].remat && o->kind == RA_DEF && o->how == RA_REG;
        return may ? NULL : "an instruction is left out";
    }
    for (uint32_t k = 0; k < n->count; k++)
        if ((wrong = check_operand(c, n, k, verify))) return wrong;
    bool copied =
        n->is_move &&
        has(set_of(c, c->now, c->out->loc[n->first + 1]), c->in->operand[n->first + 1].vreg) &&
        c->out->loc[n->first] == c->out->loc[n->first + 1];
    for (uint32_t r = 0; r < 32; r++)
        if (n->clobber >> r & 1) forget(c, r, 16);
    for (uint32_t k = 0; k < n->count; k++) {
        const struct ra_operand *o = &c->in->operand[n->first + k];
        if (o->kind != RA_DEF) continue;
        ra_loc loc = c->out->loc[n->first + k];
        if (!known(c, loc)) return "definition in a bad location";
        forget_value(c, o->vreg);
        if (!copied)
            forget(c, loc, c->in->vreg[o->vreg].bytes); // a copy in place leaves what was there
        put(set_of(c, c->now, loc), o->vreg);
    }
    return NULL;
}

// Follows the edge to block t: what holds now and held on the other edges, holds there. True if that changed something.
static bool join(struct checker *c, const struct ra_block *k, uint32_t t) {
    const struct ra_block *to = &c->in->block[t];
    size_t all = (size_t)c->locs * c->words;
    uint64_t *entry = c->entry + t * all;
    bool changed = !c->reached[t];
    for (uint32_t l = 0; l < c->locs; l++) {
        uint64_t *set = c->old, *now = c->now + l * c->words;
        memcpy(set, now, c->words * 8);
        for (uint32_t i = 0; i < to->params; i++) drop(set, to->param[i]);
        for (uint32_t i = 0; i < to->params && k->succs == 1; i++)
            if (has(now, k->arg[i])) put(set, to->param[i]);
        for (uint32_t w = 0; w < c->words; w++) {
            uint64_t *e = &entry[l * c->words + w], both = c->reached[t] ? *e & set[w] : set[w];
            if (both != *e) changed = true;
            *e = both;
        }
    }
    c->reached[t] = true;
    return changed;
}

const char *ra_check(struct jit_arena *a, const struct ra_input *in, const struct ra_output *out) {
    struct checker c = {.in = in, .out = out, .locs = 32 + out->slots, .words = in->vregs / 64 + 1};
    size_t all = (size_t)c.locs * c.words;
    c.entry = JIT_ARRAY(a, uint64_t, all * in->blocks);
    c.now = JIT_ARRAY(a, uint64_t, all);
    c.old = JIT_ARRAY(a, uint64_t, c.words);
    c.reached = JIT_ARRAY(a, bool, in->blocks);
    uint32_t *first_move = JIT_ARRAY(a, uint32_t, in->blocks);
    for (uint32_t i = 1; i < out->moves; i++)
        if (out->move[i].at < out->move[i - 1].at) return "moves are not sorted";
    if (out->moves && out->move[out->moves - 1].at >= in->insns) return "move behind the end";
    for (uint32_t i = 0, b = 0; b < in->blocks; b++) {
        while (i < out->moves && out->move[i].at < in->block[b].begin) i++;
        first_move[b] = i;
    }
    c.reached[0] = true;
    const char *wrong;
    for (bool verify = false;;) {
        bool changed = false;
        for (uint32_t b = 0; b < in->blocks; b++) {
            const struct ra_block *k = &in->block[b];
            if (!c.reached[b]) continue;
            memcpy(c.now, c.entry + b * all, all * 8);
            c.move = first_move[b];
            for (uint32_t i = k->begin; i < k->end; i++)
                if ((wrong = insn(&c, i, verify))) return wrong;
            for (uint32_t i = 0; i < k->succs; i++)
                if (join(&c, k, k->succ[i])) changed = true;
        }
        if (verify) return NULL;
        verify = !changed; // once more, now that it is known what holds at each block
    }
}
