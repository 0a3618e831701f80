// regalloc_live.c — live ranges and use positions of every value, loops, and what each physical register is taken for.
//
// Liveness is exact and sparse: from each use outside the defining block, walk against the edges to the definition; the work is
// the number of blocks that values live in, which the ranges have to be made from anyway. Values are done one at a time, so the marks
// are one word a block, and most values (one block) never walk.
// That number can be quadratic in the function's size. When it gets out of proportion, the values that are left and live in several
// blocks are *homed*: between blocks such a value is always in its slot, and within a block in a register only from a use on.
// Then it takes no liveness but an estimate from above (its slot's life) and no moves on edges.
// Loops are found by their back edges: a loop is the run of blocks from its header to the last block that jumps back.
// An input that breaks the rules of regalloc.h where this can see it ends in ra_broken().
#include "sfi-jit/x64/regalloc_priv.h"

#define LOOP_DEPTH_MAX 32u // loops nested deeper count as part of the one around them

struct walk {
    uint32_t *in_mark, *out_mark; // per block: the value last seen live there
    uint32_t *list, *stack;
    uint32_t listed;
    int64_t left; // how many blocks may still be walked before values get homed
};

static void push_range(struct ra_state *s, struct ra_value *v, uint32_t from, uint32_t to) {
    if (s->ranges > v->range && s->range[s->ranges - 1].to == from) {
        s->range[s->ranges - 1].to = to;
        return;
    }
    s->range = jit_grow(s->a, s->range, &s->range_cap, s->ranges + 1, sizeof *s->range);
    s->range[s->ranges++] = (struct ra_range){from, to};
}

static void push_fixed(struct ra_state *s, uint32_t reg, uint32_t from, uint32_t to, uint32_t vreg) {
    struct ra_fixed_list *l = &s->fixed[reg];
    if (l->n && l->entry[l->n - 1].to > from) {
        if (l->entry[l->n - 1].vreg != vreg) ra_broken(s, "two values fixed to one register");
        if (l->entry[l->n - 1].to < to) l->entry[l->n - 1].to = to;
        return;
    }
    l->entry = jit_grow(s->a, l->entry, &l->cap, l->n + 1, sizeof *l->entry);
    l->entry[l->n++] = (struct ra_fixed){from, to, vreg};
}

// Big clobber sets are shared by many calls and kept once; small or rare ones go to each register's list.
static void push_clobber(struct ra_state *s, uint32_t insn, uint32_t mask) {
    mask &= s->in->allocatable;
    uint32_t k = 0;
    if (__builtin_popcount(mask) > 2) {
        while (k < s->clobber_sets && s->clobber[k].mask != mask) k++;
        if (k < CLOBBER_SETS) {
            struct ra_clobbers *c = &s->clobber[k];
            c->mask = mask;
            if (k == s->clobber_sets) s->clobber_sets++;
            c->insn = jit_grow(s->a, c->insn, &c->cap, c->n + 1, sizeof *c->insn);
            c->insn[c->n++] = insn;
            return;
        }
    }
    for (; mask; mask &= mask - 1) {
        struct ra_fixed_list *l = &s->fixed[__builtin_ctz(mask)];
        if (l->n && l->entry[l->n - 1].to > 4 * insn + 3) continue; // taken there already
        l->entry = jit_grow(s->a, l->entry, &l->cap, l->n + 1, sizeof *l->entry);
        l->entry[l->n++] = (struct ra_fixed){4 * insn + 3, 4 * insn + 4, 0};
    }
}

static void join(struct ra_state *s, uint32_t a, uint32_t b) {
    a = ra_affinity(s, a);
    b = ra_affinity(s, b);
    if (a != b) s->value[b].affinity = a;
}

static void find_loops(struct ra_state *s) {
    const struct ra_input *in = s->in;
    s->loop_of = JIT_ARRAY(s->a, uint32_t, in->blocks);
    s->loop = JIT_ARRAY(s->a, struct ra_loop, in->blocks + 1);
    s->loop[0] = (struct ra_loop){0, POS_MAX, 0, 0};
    uint32_t loops = 1, inner = 0;
    for (uint32_t b = 0; b < in->blocks; b++) {
        const struct ra_block *k = &in->block[b];
        while (4 * k->begin >= s->loop[inner].end) inner = s->loop[inner].parent;
        uint32_t last = NONE;
        for (uint32_t i = 0; i < k->preds; i++)
            if (k->pred[i] >= b && (last == NONE || k->pred[i] > last)) last = k->pred[i];
        if (last != NONE && s->loop[inner].depth < LOOP_DEPTH_MAX) {
            uint32_t end = 4 * in->block[last].end;
            s->loop[loops] = (struct ra_loop){4 * k->begin, end, inner, s->loop[inner].depth + 1};
            for (uint32_t l = inner; s->loop[l].end < end; l = s->loop[l].parent)
                s->loop[l].end = end;
            inner = loops++;
        }
        s->loop_of[b] = inner;
    }
}

static void define(struct ra_state *s, uint32_t vreg, uint32_t pos, uint32_t block, uint32_t operand) {
    struct ra_value *v = &s->value[vreg];
    if (v->def != NONE) ra_broken(s, "value defined twice");
    v->def = pos;
    v->def_block = block;
    v->def_operand = operand;
}

// Counts uses and finds definitions, so that every value's uses have their place in one array.
static void count_uses(struct ra_state *s) {
    const struct ra_input *in = s->in;
    for (uint32_t v = 0; v < in->vregs; v++) {
        s->value[v] = (struct ra_value){.def = NONE,
                                        .first = NONE,
                                        .last = NONE,
                                        .affinity = v,
                                        .slot = RA_NONE,
                                        .want = 255,
                                        .wish = 255};
    }
    for (uint32_t i = 0; i < in->operands; i++) s->value[in->operand[i].vreg].use_end++;
    for (uint32_t b = 0; b < in->blocks; b++) {
        const struct ra_block *k = &in->block[b];
        for (uint32_t i = 0; i < k->succs; i++) {
            if (in->block[k->succ[i]].params != (k->succs == 1 ? k->args : 0))
                ra_broken(s, "branch arguments do not fit the parameters");
            if (k->succs > 1 && in->block[k->succ[i]].preds > 1) ra_broken(s, "critical edge");
        }
        for (uint32_t i = 0; i < k->args; i++) s->value[k->arg[i]].use_end++;
        for (uint32_t i = 0; i < k->params; i++) {
            define(s, k->param[i], 4 * k->begin, b, NONE);
            s->value[k->param[i]].param_index = i;
        }
        for (uint32_t i = k->begin; i < k->end; i++) s->block_of[i] = b;
        if (k->succs == 1 && (in->insn[k->end - 1].count || in->insn[k->end - 1].clobber))
            ra_broken(s, "operands at the jump of a block with one successor");
    }
    uint32_t total = 0;
    for (uint32_t v = 0; v < in->vregs; v++) {
        uint32_t n = s->value[v].use_end;
        s->value[v].use = s->value[v].use_end = total;
        total += n;
    }
    s->use = JIT_ARRAY(s->a, struct ra_pos_use, total + 1);
}

// Adds behind the value's uses, which come nearly in order: operands of one instruction may be at different positions.
static void push_use(struct ra_state *s, uint32_t vreg, struct ra_pos_use use) {
    struct ra_value *v = &s->value[vreg];
    uint32_t i = v->use_end++;
    for (; i > v->use && s->use[i - 1].pos > use.pos; i--) s->use[i] = s->use[i - 1];
    s->use[i] = use;
}

static void add_operand(struct ra_state *s, uint32_t insn, uint32_t reuse_of, uint32_t reused_vreg,
                        uint32_t operand) {
    const struct ra_operand *o = &s->in->operand[operand];
    uint32_t at = 4 * insn;
    struct ra_pos_use use = {at + (o->when == RA_LATE ? 3 : 2), operand,
                             o->how == RA_ANY ? NEED_ANY : NEED_REG, 255};
    if (o->kind == RA_USE) {
        if (o->how == RA_FIXED) {
            use.pos = at;
            use.need = NEED_MOVED;
            use.fixed = o->fixed;
            s->out->loc[operand] = o->fixed;
            push_fixed(s, o->fixed, at + 1, o->when == RA_LATE ? at + 4 : at + 3, o->vreg);
        } else if (operand == reuse_of) {
            use.pos = at;
            use.need = NEED_MOVED;
        } else if (o->vreg == reused_vreg && o->when == RA_EARLY) {
            use.pos = at;
            use.need = NEED_ALIAS; // of the reused one: it lies in the definition's register when operands are read
        }
        push_use(s, o->vreg, use);
        return;
    }
    use.pos = o->when == RA_EARLY || o->how == RA_REUSE ? at + 1 : at + 3;
    const struct ra_insn *n = &s->in->insn[insn];
    if (n->is_move) join(s, s->in->operand[n->first + 1].vreg, o->vreg);
    if (o->how == RA_REUSE) s->value[o->vreg].source = s->in->operand[n->first + o->fixed].vreg;
    define(s, o->vreg, use.pos, s->block_of[insn], operand);
    if (!ra_is_constant(s, operand)) push_use(s, o->vreg, use);
    if (o->how == RA_FIXED) push_fixed(s, o->fixed, use.pos, at + 5, o->vreg);
}

static void add_insn(struct ra_state *s, uint32_t insn) {
    const struct ra_insn *n = &s->in->insn[insn];
    uint32_t reuse_of = NONE, reused_vreg = 0;
    for (uint32_t i = 0; i < n->count; i++) {
        const struct ra_operand *o = &s->in->operand[n->first + i];
        if (o->kind == RA_DEF && o->how == RA_REUSE) {
            if (reuse_of != NONE) ra_broken(s, "two REUSE definitions");
            reuse_of = n->first + o->fixed;
            reused_vreg = s->in->operand[reuse_of].vreg;
        }
    }
    for (int kind = RA_USE; kind <= RA_DEF; kind++) // so that each register's fixed list is in order
        for (uint32_t i = n->first; i < n->first + n->count; i++)
            if (s->in->operand[i].kind == kind) add_operand(s, insn, reuse_of, reused_vreg, i);
    if (n->clobber) push_clobber(s, insn, n->clobber);
}

// Pushes what lives into block b on to the blocks before it.
static void walk_up(struct ra_state *s, struct walk *w, uint32_t vreg, uint32_t use_block) {
    const struct ra_block *block = s->in->block;
    uint32_t def_block = s->value[vreg].def_block, depth = 0;
    w->in_mark[use_block] = vreg;
    w->list[w->listed++] = use_block;
    w->stack[depth++] = use_block;
    while (depth) {
        const struct ra_block *k = &block[w->stack[--depth]];
        if (!k->preds) ra_broken(s, "use without a definition before it");
        for (uint32_t i = 0; i < k->preds; i++) {
            uint32_t p = k->pred[i];
            w->out_mark[p] = vreg;
            if (p == def_block || w->in_mark[p] == vreg) continue;
            w->in_mark[p] = vreg;
            w->list[w->listed++] = p;
            w->stack[depth++] = p;
        }
    }
}

// Sorts the blocks a value lives into: by a sweep over the marks if they lie close together, else by insertion from the nearly
// sorted walk, with gaps (Shell).
static void sort_blocks(struct walk *w, uint32_t vreg) {
    uint32_t lo = NONE, hi = 0;
    for (uint32_t i = 0; i < w->listed; i++) {
        if (w->list[i] < lo) lo = w->list[i];
        if (w->list[i] > hi) hi = w->list[i];
    }
    if (hi - lo < 8 * w->listed) {
        uint32_t n = 0;
        for (uint32_t b = lo; b <= hi; b++)
            if (w->in_mark[b] == vreg) w->list[n++] = b;
        return;
    }
    uint32_t gap = 1;
    while (gap < w->listed / 3) gap = 3 * gap + 1;
    for (; gap; gap /= 3) {
        for (uint32_t i = gap; i < w->listed; i++) {
            uint32_t b = w->list[i], j = i;
            for (; j >= gap && w->list[j - gap] > b; j -= gap) w->list[j] = w->list[j - gap];
            w->list[j] = b;
        }
    }
}

// Where a value's life ends at the latest: behind its last use, or where a loop ends that it has to last through.
static uint32_t latest_end(const struct ra_state *s, const struct ra_value *v) {
    uint32_t end = s->use[v->use_end - 1].pos + 1;
    for (uint32_t u = v->use; u < v->use_end; u++) {
        uint32_t pos = s->use[u].pos, l = ra_loop_at(s, pos);
        bool merged = s->loop[l].depth == LOOP_DEPTH_MAX && s->block_of[pos >> 2] != v->def_block;
        while (s->loop[l].start > v->def || s->loop[l].end <= v->def || merged) {
            if (s->loop[l].end > end) end = s->loop[l].end;
            l = s->loop[l].parent;
            merged = false;
        }
    }
    return end;
}

static bool lives_in_one_block(const struct ra_state *s, const struct ra_value *v) {
    return v->use == v->use_end || s->block_of[s->use[v->use_end - 1].pos >> 2] == v->def_block;
}

static void build_ranges(struct ra_state *s, struct walk *w, uint32_t vreg) {
    struct ra_value *v = &s->value[vreg];
    const struct ra_block *block = s->in->block;
    uint32_t least = v->def_operand == NONE ? v->def + 1 : (v->def | 3) + 1;
    v->range = v->range_end = s->ranges;
    if (v->def_operand == NONE && v->use == v->use_end) return; // a parameter that nobody reads
    w->listed = 0;
    if (w->left <= 0 && !lives_in_one_block(s, v)) {
        v->homed = true;
        push_range(s, v, v->def, latest_end(s, v));
        v->range_end = s->ranges;
        return;
    }
    for (uint32_t i = v->use_end; i-- > v->use;) {
        uint32_t b = s->block_of[s->use[i].pos >> 2];
        if (b != v->def_block && w->in_mark[b] != vreg) walk_up(s, w, vreg, b);
    }
    w->left -= w->listed;
    uint32_t u = v->use, to = least;
    if (!w->listed) {
        if (v->use < v->use_end && s->use[v->use_end - 1].pos >= to)
            to = s->use[v->use_end - 1].pos + 1;
        if (v->use < v->use_end && s->use[v->use].pos < v->def)
            ra_broken(s, "use before the definition");
        push_range(s, v, v->def, to);
    } else {
        sort_blocks(w, vreg);
        if (w->list[0] < v->def_block) ra_broken(s, "use not dominated by its definition");
        push_range(s, v, v->def, 4 * block[v->def_block].end);
        for (uint32_t i = 0; i < w->listed; i++) {
            const struct ra_block *k = &block[w->list[i]];
            if (w->out_mark[w->list[i]] == vreg) {
                push_range(s, v, 4 * k->begin, 4 * k->end);
                continue;
            }
            while (u < v->use_end && s->use[u].pos < 4 * k->end) u++;
            push_range(s, v, 4 * k->begin, s->use[u - 1].pos + 1);
        }
    }
    v->range_end = s->ranges;
}

// The pieces that values start with, in the order of their starts. A FIXED definition has a pinned piece, which is allocated
// already, and the rest from the next instruction on.
static void start_value(struct ra_state *s, uint32_t vreg) {
    struct ra_value *v = &s->value[vreg];
    if (v->range == v->range_end) return;
    uint32_t end = s->range[v->range_end - 1].to;
    const struct ra_operand *o = v->def_operand == NONE ? NULL : &s->in->operand[v->def_operand];
    if (!o || o->how != RA_FIXED) {
        v->first = ra_new_piece(s, vreg, v->def, end, v->range, v->use);
        s->order[s->ordered++] = v->first;
        return;
    }
    uint32_t next_gap = (v->def | 3) + 2, root = ra_affinity(s, vreg);
    v->first = v->last =
        ra_new_piece(s, vreg, v->def, end < next_gap ? end : next_gap, v->range, v->use);
    s->piece[v->first].loc = o->fixed;
    s->out->used |= 1u << o->fixed;
    if (s->value[root].want == 255) s->value[root].want = o->fixed;
    if (end > next_gap) {
        uint32_t rest = ra_new_piece(s, vreg, next_gap, end, v->range, v->use);
        s->piece[v->first].next = rest;
        s->order[s->ordered++] = rest;
    }
}

// Values whose definition is an operand at `pos` (not FIXED), or, with `fixed`, those FIXED ones.
static void start_defined(struct ra_state *s, uint32_t insn, uint32_t pos, bool fixed) {
    const struct ra_insn *n = &s->in->insn[insn];
    for (uint32_t i = n->first; i < n->first + n->count; i++) {
        const struct ra_operand *o = &s->in->operand[i];
        if (o->kind == RA_DEF && (o->how == RA_FIXED) == fixed &&
            (fixed || s->value[o->vreg].def == pos))
            start_value(s, o->vreg);
    }
}

void ra_start(struct ra_state *s) {
    s->order = JIT_ARRAY(s->a, uint32_t, s->in->vregs);
    for (uint32_t b = 0; b < s->in->blocks; b++) {
        const struct ra_block *k = &s->in->block[b];
        for (uint32_t i = 0; i < k->params; i++) start_value(s, k->param[i]);
        for (uint32_t i = k->begin; i < k->end; i++) {
            if (i > k->begin) start_defined(s, i - 1, 0, true);
            start_defined(s, i, 4 * i + 1, false);
            start_defined(s, i, 4 * i + 3, false);
        }
    }
}

void ra_build(struct ra_state *s) {
    const struct ra_input *in = s->in;
    if (in->insns >= 1u << 28 || in->operands >= 1u << 28)
        jit_fail(s->a, JIT_ERR_LIMIT, 0, NONE, "function too big");
    s->block_of = JIT_ARRAY(s->a, uint32_t, in->insns + 1);
    s->value = JIT_ARRAY(s->a, struct ra_value, in->vregs);
    count_uses(s);
    find_loops(s);
    for (uint32_t b = 0; b < in->blocks; b++) {
        const struct ra_block *k = &in->block[b];
        for (uint32_t i = k->begin; i < k->end; i++) add_insn(s, i);
        for (uint32_t i = 0; i < k->args; i++) {
            uint32_t param = in->block[k->succ[0]].param[i];
            push_use(s, k->arg[i], (struct ra_pos_use){4 * k->end - 1, s->args++, NEED_ARG, 255});
            s->value[k->arg[i]].target = param;
            join(s, param, k->arg[i]);
        }
    }
    struct walk w = {.left = in->live_work};
    if (!w.left) w.left = (1 << 17) + 16 * ((int64_t)in->insns + in->operands);
    w.in_mark = JIT_ARRAY(s->a, uint32_t, in->blocks);
    w.out_mark = JIT_ARRAY(s->a, uint32_t, in->blocks);
    w.list = JIT_ARRAY(s->a, uint32_t, in->blocks + 1);
    w.stack = JIT_ARRAY(s->a, uint32_t, in->blocks + 1);
    s->range_cap = in->vregs + in->vregs / 4 + 8;
    s->range = JIT_ARRAY(s->a, struct ra_range, s->range_cap);
    s->piece_cap = in->vregs + in->vregs / 4 + 8;
    s->piece = JIT_ARRAY(s->a, struct ra_piece, s->piece_cap);
    for (uint32_t v = 1; v < in->vregs; v++) {
        if (s->value[v].def != NONE)
            build_ranges(s, &w, v);
        else if (s->value[v].use != s->value[v].use_end)
            ra_broken(s, "use of a value without a definition");
    }
}
