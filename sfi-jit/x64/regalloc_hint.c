// regalloc_hint.c — which register would save a move: nothing here is needed for correctness.
//
// Before the scan, wishes go against the flow, from uses to definitions: a value that ends as a FIXED operand wishes for that
// register, one that becomes a block parameter (its target) for the parameter's, and the value that a REUSE definition takes
// over wishes for what the definition wishes for. Operands that may change places are ordered so that the one that ends is reused.
// In the scan, each of a piece's neighbours, before and after, that has a register already votes for it, by how often the move between
// them would run.
#include "sfi-jit/x64/regalloc_priv.h"

#define PREDS_ASKED 8u
#define PARAMS_ASKED 64u

// ---- before the scan ----

// The range that contains pos, or NONE.
static uint32_t range_at(const struct ra_state *s, const struct ra_value *v, uint32_t pos) {
    uint32_t lo = v->range, hi = v->range_end;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (s->range[mid].to <= pos)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < v->range_end && s->range[lo].from <= pos ? lo : NONE;
}

static uint32_t use_of(const struct ra_state *s, const struct ra_value *v, uint32_t insn,
                       uint32_t operand) {
    uint32_t lo = v->use, hi = v->use_end;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (s->use[mid].pos < 4 * insn)
            lo = mid + 1;
        else
            hi = mid;
    }
    while (s->use[lo].operand != operand || s->use[lo].need == NEED_ARG) lo++;
    return lo;
}

static bool becomes(const struct ra_state *s, uint32_t vreg, uint32_t target) {
    return target && (vreg == target || s->value[vreg].target == target);
}

// Lets the definition reuse the other one of two operands.
static void exchange(struct ra_state *s, uint32_t insn, uint32_t operand) {
    const struct ra_operand *o = &s->in->operand[operand];
    struct ra_value *first = &s->value[o[0].vreg], *second = &s->value[o[1].vreg];
    uint32_t a = use_of(s, first, insn, operand), b = use_of(s, second, insn, operand + 1);
    uint32_t in_place = 4 * insn + 2;
    s->use[a] =
        (struct ra_pos_use){in_place, operand + 1, o[1].how == RA_ANY ? NEED_ANY : NEED_REG, 255};
    s->use[b] = (struct ra_pos_use){4 * insn, operand, NEED_MOVED, 255};
    // Where this is the end of a life, it is now the other value that lasts until operands are read.
    uint32_t r = range_at(s, first, 4 * insn), q = range_at(s, second, 4 * insn);
    if (s->range[r].to == 4 * insn + 1) s->range[r].to = in_place + 1;
    if (s->range[q].to == in_place + 1) s->range[q].to = 4 * insn + 1;
}

static void choose_reused(struct ra_state *s, uint32_t insn, struct ra_value *def, uint32_t operand) {
    const struct ra_insn *n = &s->in->insn[insn];
    const struct ra_operand *o = &s->in->operand[operand];
    if (operand + 1 >= n->first + n->count || o[1].kind != RA_USE || o[1].how == RA_FIXED ||
        o[1].when != RA_EARLY || o[0].when != RA_EARLY || o[0].vreg == o[1].vreg)
        return;
    for (uint32_t i = n->first; i < n->first + n->count; i++) { // a third use would have to be told
        const struct ra_operand *p = &s->in->operand[i];
        if (i != operand && i != operand + 1 && p->kind == RA_USE &&
            (p->vreg == o[0].vreg || p->vreg == o[1].vreg))
            return;
    }
    bool first_lives = range_at(s, &s->value[o[0].vreg], 4 * insn + 3) != NONE;
    bool second_lives = range_at(s, &s->value[o[1].vreg], 4 * insn + 3) != NONE;
    bool prefer_second = first_lives == second_lives && becomes(s, o[1].vreg, def->target) &&
                         !becomes(s, o[0].vreg, def->target);
    if ((first_lives && !second_lives) || prefer_second) {
        exchange(s, insn, operand);
        def->source = o[1].vreg;
    }
}

static void pass_wishes(struct ra_state *s, uint32_t insn, const struct ra_value *def, uint32_t source) {
    struct ra_value *v = &s->value[source];
    if (range_at(s, v, 4 * insn + 3) != NONE) return; // it has a life of its own
    if (!v->target) v->target = def->target;
    if (v->wish == 255) v->wish = def->wish;
}

static void wish_insn(struct ra_state *s, uint32_t insn) {
    const struct ra_insn *n = &s->in->insn[insn];
    for (uint32_t i = n->first; i < n->first + n->count; i++) {
        const struct ra_operand *o = &s->in->operand[i];
        struct ra_value *v = &s->value[o->vreg];
        if (o->kind == RA_USE) {
            if (o->how == RA_FIXED) v->wish = o->fixed;
        } else if (o->how == RA_REUSE) {
            if (n->commutes) choose_reused(s, insn, v, n->first + o->fixed);
            pass_wishes(s, insn, v, v->source);
        } else if (n->is_move && i == n->first) {
            pass_wishes(s, insn, v, s->in->operand[i + 1].vreg);
        }
    }
}

// Whether the value lives across an instruction with a big clobber set; a guess where its life has many parts.
static bool crosses(const struct ra_state *s, const struct ra_value *v) {
    uint32_t end = v->range_end - v->range > 8 ? v->range + 8 : v->range_end;
    for (uint32_t k = 0; k < s->clobber_sets; k++) {
        const struct ra_clobbers *c = &s->clobber[k];
        for (uint32_t r = v->range; r < end; r++) {
            uint32_t lo = 0, hi = c->n;
            while (lo < hi) {
                uint32_t mid = lo + (hi - lo) / 2;
                if (4 * c->insn[mid] + 3 < s->range[r].from)
                    lo = mid + 1;
                else
                    hi = mid;
            }
            if (lo < c->n && 4 * c->insn[lo] + 3 < s->range[r].to) return true;
        }
    }
    return false;
}

void ra_wish(struct ra_state *s) {
    const struct ra_input *in = s->in;
    for (uint32_t b = in->blocks; b-- > 0;) {
        const struct ra_block *k = &in->block[b];
        for (uint32_t i = 0; i < k->args; i++) {
            struct ra_value *v = &s->value[k->arg[i]];
            if (v->wish == 255) v->wish = s->value[in->block[k->succ[0]].param[i]].wish;
        }
        for (uint32_t i = k->end; i-- > k->begin;) wish_insn(s, i);
    }
    for (uint32_t v = 1; v < in->vregs && s->clobber_sets; v++) {
        struct ra_value *root = &s->value[ra_affinity(s, v)];
        if ((root != &s->value[v] || s->value[v].def_operand == NONE) && !root->crosses)
            root->crosses = crosses(s, &s->value[v]);
    }
}

// ---- in the scan ----

static void vote(uint32_t *weight, ra_loc loc, uint32_t w) {
    if (RA_IS_REG(loc)) weight[loc] += w;
}

static ra_loc newest_loc(const struct ra_state *s, uint32_t vreg) {
    uint32_t i = s->value[vreg].last;
    return i == NONE ? RA_NONE : s->piece[i].loc;
}

static uint32_t block_weight(const struct ra_state *s, uint32_t block) {
    return ra_weight(s->loop[s->loop_of[block]].depth);
}

// The arguments of parameter `vreg`, as far as they are placed.
static void ask_arguments(const struct ra_state *s, uint32_t vreg, uint32_t but, uint32_t *weight) {
    const struct ra_value *v = &s->value[vreg];
    const struct ra_block *k = &s->in->block[v->def_block];
    for (uint32_t i = 0; i < k->preds && i < PREDS_ASKED; i++) {
        uint32_t arg = s->in->block[k->pred[i]].arg[v->param_index];
        if (arg != but && arg != vreg)
            vote(weight, newest_loc(s, arg), block_weight(s, k->pred[i]));
    }
}

void ra_rivals(const struct ra_state *s, uint32_t block, uint32_t *weight) {
    const struct ra_block *k = &s->in->block[block];
    for (uint32_t i = 0; i < k->params && i < PARAMS_ASKED; i++)
        ask_arguments(s, k->param[i], 0, weight);
}

void ra_hints(struct ra_state *s, const struct ra_piece *p, const uint32_t *limit, uint32_t *weight) {
    const struct ra_input *in = s->in;
    const struct ra_value *v = &s->value[p->vreg];
    uint32_t here = block_weight(s, s->block_of[p->from >> 2]);
    if (p->from != v->def) { // before
        vote(weight, newest_loc(s, p->vreg), here);
    } else if (v->def_operand == NONE) {
        ask_arguments(s, p->vreg, 0, weight);
    } else {
        const struct ra_insn *n = &in->insn[p->from >> 2];
        if (v->source) vote(weight, newest_loc(s, v->source), here);
        if (n->is_move) vote(weight, newest_loc(s, in->operand[n->first + 1].vreg), here);
    }

    bool fixed = false; // after
    for (uint32_t u = p->use, n = 0; u < v->use_end && n < 4 && s->use[u].pos < p->to && !fixed;
         u++, n++) {
        const struct ra_pos_use *use = &s->use[u];
        if (use->need != NEED_MOVED || use->fixed == 255) continue;
        fixed = true;
        if (limit[use->fixed] >= use->pos)
            vote(weight, use->fixed, block_weight(s, s->block_of[use->pos >> 2]));
    }
    if (!fixed && v->wish != 255) vote(weight, v->wish, 1);
    const struct ra_value *t = &s->value[v->target];
    if (v->target && t->last != NONE)
        vote(weight, s->piece[t->first].loc, block_weight(s, t->def_block));
    else if (v->target)
        ask_arguments(s, v->target, p->vreg, weight);

    // What the values that it is joined with use, or would need.
    const struct ra_value *root = &s->value[ra_affinity(s, p->vreg)];
    if (root->want != 255) vote(weight, root->want, 1);
    if (root->crosses) { // else there would be a move on the way to the call, or back
        uint32_t w = v->target ? block_weight(s, t->def_block) : 1;
        if (v->def_operand == NONE && block_weight(s, v->def_block) > w)
            w = block_weight(s, v->def_block);
        for (uint32_t m = in->callee_saved & in->allocatable; m; m &= m - 1)
            vote(weight, (ra_loc)__builtin_ctz(m), w);
    }
    vote(weight, in->vreg[p->vreg].hint, 1);
}
