// regalloc_scan.c — linear scan over the pieces of the values' lives, in the order of their starts.
//
// At each piece's start the scan knows, per register, who holds it now (`active`: at most one piece), who will hold it again after a
// hole in its life (`resting`: a few; beyond that a register is only given until the next hole), and where fixed uses and clobbers
// take it. A piece gets a register that stays free to its end, else the one that stays free longest and is split before that
// ends, else one is taken from the piece whose life in memory costs least, or the piece itself goes to memory.
// A piece in memory is split again before the next use that deserves a register, so it gets its second chance there. Splits
// are moved out of loops: a value spilled before a loop comes back at the loop's head, one that a loop does not use leaves before it.
//
// Every decision only looks ahead from the present position, with cursors that never go back further than a hoisted split; pieces
// start where a use, a fixed register or a loop asks for it, so their number is bounded by those.
#include "sfi-jit/x64/regalloc_priv.h"

#define RESTING 8u
#define LOOK_AHEAD 64u // steps of comparing two pieces before the answer is guessed, safely

struct scan {
    struct ra_state *s;
    uint32_t held; // bit r: active[r] is a piece
    uint32_t active[REGS];
    uint32_t active_end[REGS];
    uint32_t resting[REGS][RESTING], resting_from[REGS][RESTING];
    uint32_t resting_n[REGS];
    uint32_t rested;     // bit r: resting_n[r] > 0
    uint32_t next_event; // nothing in active or resting changes before
    uint32_t *heap;      // pieces made by splitting, by start
    uint32_t heap_n, heap_cap;
    uint32_t pos;
    uint32_t class_mask[2];
    uint32_t rival[REGS], rival_block; // how much the parameters of a block want each register
    uint32_t limit[REGS]; // for the piece at hand: from where the register is taken, active pieces aside
};

static void heap_push(struct scan *c, uint32_t piece) {
    struct ra_state *s = c->s;
    c->heap = jit_grow(s->a, c->heap, &c->heap_cap, c->heap_n + 1, sizeof *c->heap);
    uint32_t i = c->heap_n++, from = s->piece[piece].from;
    for (; i && s->piece[c->heap[(i - 1) / 2]].from > from; i = (i - 1) / 2)
        c->heap[i] = c->heap[(i - 1) / 2];
    c->heap[i] = piece;
}

static uint32_t heap_pop(struct scan *c) {
    const struct ra_piece *p = c->s->piece;
    uint32_t top = c->heap[0], last = c->heap[--c->heap_n], i = 0;
    for (;;) {
        uint32_t k = 2 * i + 1;
        if (k >= c->heap_n) break;
        if (k + 1 < c->heap_n && p[c->heap[k + 1]].from < p[c->heap[k]].from) k++;
        if (p[c->heap[k]].from >= p[last].from) break;
        c->heap[i] = c->heap[k];
        i = k;
    }
    c->heap[i] = last;
    return top;
}

// ---- places in the code ----

// The last place at or before `pos` where a piece may end.
static uint32_t split_floor(uint32_t pos) { return pos & 3 ? (pos & ~3u) + 1 : pos; }

// The outermost loop around `pos` that starts behind `after`, or NONE.
static uint32_t outer_loop_after(const struct ra_state *s, uint32_t pos, uint32_t after) {
    uint32_t found = NONE;
    for (uint32_t l = ra_loop_at(s, pos); s->loop[l].start > after; l = s->loop[l].parent)
        found = l;
    return found;
}

// Moves a split at `pos` out of the loops that start behind `after`.
static uint32_t hoist(const struct ra_state *s, uint32_t pos, uint32_t after) {
    uint32_t l = outer_loop_after(s, pos, after);
    return l == NONE ? pos : s->loop[l].start;
}

// ---- pieces ----

static uint32_t skip_uses(struct ra_state *s, struct ra_piece *p, uint32_t pos) {
    uint32_t end = s->value[p->vreg].use_end;
    while (p->use < end && s->use[p->use].pos < pos) p->use++;
    return p->use < end && s->use[p->use].pos < p->to ? p->use : NONE;
}

// Cuts piece i at `pos` and returns the second half, which has no place yet. pos is behind its start, before its end. The cursors of
// i may stand behind pos (a hoisted split): there are no uses between.
static uint32_t split(struct ra_state *s, uint32_t i, uint32_t pos) {
    struct ra_piece *p = &s->piece[i];
    uint32_t r = p->range, u = p->use, use_end = s->value[p->vreg].use_end;
    while (s->range[r].from > pos) r--;
    while (s->range[r].to <= pos) r++;
    while (u < use_end && s->use[u].pos < pos) u++;
    uint32_t from = pos, to = pos;
    if (s->range[r].from >= pos) { // in a hole, or right behind one
        from = s->range[r].from;
        to = s->range[r - 1].to;
    }
    uint32_t second = ra_new_piece(s, p->vreg, from, p->to, r, u);
    p = &s->piece[i];
    s->piece[second].next = p->next;
    p->next = second;
    p->to = to;
    if (p->range > r) p->range = r;
    return second;
}

static bool needs_register(const struct ra_state *s, uint32_t vreg, uint32_t use) {
    return s->use[use].need == NEED_REG || (s->use[use].need == NEED_ANY && s->in->vreg[vreg].remat);
}

// Where a piece in memory should become one in a register, behind `after`: or NONE.
static uint32_t reload_point(struct ra_state *s, const struct ra_piece *p, uint32_t after) {
    uint32_t end = s->value[p->vreg].use_end;
    for (uint32_t u = p->use; u < end && s->use[u].pos < p->to; u++) {
        const struct ra_pos_use *use = &s->use[u];
        if (use->pos <= after || use->need == NEED_ALIAS) continue;
        uint32_t loop = s->value[p->vreg].homed ? NONE : outer_loop_after(s, use->pos, after);
        if (loop != NONE) return s->loop[loop].start;
        if (needs_register(s, p->vreg, u)) return split_floor(use->pos);
        // A memory operand is cheaper than a load, two of them are not.
        if (use->need == NEED_ANY && split_floor(use->pos) > after && u + 1 < end &&
            s->use[u + 1].pos < p->to && s->use[u + 1].pos < use->pos + 64 &&
            s->block_of[s->use[u + 1].pos >> 2] == s->block_of[use->pos >> 2])
            return split_floor(use->pos);
    }
    return NONE;
}

static void to_memory(struct scan *c, uint32_t i) {
    struct ra_state *s = c->s;
    struct ra_piece *p = &s->piece[i];
    struct ra_value *v = &s->value[p->vreg];
    bool remat = s->in->vreg[p->vreg].remat;
    p->loc = remat ? RA_REMAT : IN_SLOT;
    if (!remat) v->spilled = true;
    v->last = i;
    uint32_t at = reload_point(s, p, p->from > c->pos ? p->from : c->pos);
    if (at != NONE) heap_push(c, split(s, i, at));
}

// ---- active and resting pieces ----

static void event(struct scan *c, uint32_t pos) {
    if (pos < c->next_event) c->next_event = pos;
}

// Puts piece i, which owns register r and whose range cursor is at or behind the present, where it belongs.
static void place(struct scan *c, uint32_t r, uint32_t i) {
    struct ra_state *s = c->s;
    struct ra_piece *p = &s->piece[i];
    if (p->to <= c->pos) return;
    uint32_t end = p->to;
    if (p->range != NONE) {
        while (s->range[p->range].to <= c->pos) p->range++;
        const struct ra_range *range = &s->range[p->range];
        if (range->from > c->pos) {
            uint32_t n = c->resting_n[r]++; // there is room: find_limits()
            c->rested |= 1u << r;
            c->resting[r][n] = i;
            c->resting_from[r][n] = range->from;
            event(c, range->from);
            return;
        }
        if (range->to < end) end = range->to;
    }
    if (c->held >> r & 1) ra_broken(s, "two pieces in one register");
    c->held |= 1u << r;
    c->active[r] = i;
    c->active_end[r] = end;
    event(c, end);
}

static void advance(struct scan *c, uint32_t pos) {
    c->pos = pos;
    if (pos < c->next_event) return;
    c->next_event = POS_MAX;
    for (uint32_t m = c->held; m; m &= m - 1) {
        uint32_t r = (uint32_t)__builtin_ctz(m);
        if (c->active_end[r] > pos) {
            event(c, c->active_end[r]);
            continue;
        }
        c->held &= ~(1u << r);
        place(c, r, c->active[r]);
    }
    for (uint32_t m = c->rested; m; m &= m - 1) {
        uint32_t r = (uint32_t)__builtin_ctz(m), n = c->resting_n[r];
        c->resting_n[r] = 0;
        c->rested &= ~(1u << r);
        for (uint32_t k = 0; k < n; k++) {
            uint32_t i = c->resting[r][k];
            if (c->resting_from[r][k] <= pos) {
                place(c, r, i);
                continue;
            }
            c->resting[r][c->resting_n[r]] = i;
            c->resting_from[r][c->resting_n[r]++] = c->resting_from[r][k];
            c->rested |= 1u << r;
            event(c, c->resting_from[r][k]);
        }
    }
}

// ---- where registers are taken ----

// The first entry from k on that ends behind pos: in steps that double, so that a long hole costs little.
static uint32_t gallop(const struct ra_fixed_list *l, uint32_t k, uint32_t pos) {
    uint32_t step = 1;
    while (k < l->n && l->entry[k].to <= pos) {
        while (k + 2 * step < l->n && l->entry[k + 2 * step].to <= pos) step *= 2;
        k += step;
        step = 1;
    }
    return k;
}

// The first position at which the piece and a list of taken stretches meet.
static uint32_t meets_fixed(struct ra_state *s, const struct ra_piece *p, struct ra_fixed_list *l) {
    while (l->cursor < l->n && l->entry[l->cursor].to <= p->from) l->cursor++;
    uint32_t r = p->range;
    for (uint32_t k = l->cursor; k < l->n && l->entry[k].from < p->to;) {
        const struct ra_fixed *f = &l->entry[k];
        while (s->range[r].to <= f->from) r++; // stops: the last range ends at or behind p->to
        if (s->range[r].from >= f->to) {
            k = gallop(l, k, s->range[r].from);
        } else {
            if (f->vreg != p->vreg) return f->from > p->from ? f->from : p->from;
            k++;
        }
    }
    return POS_MAX;
}

static uint32_t meets_clobber(struct ra_state *s, const struct ra_piece *p, struct ra_clobbers *l) {
    while (l->cursor < l->n && 4 * l->insn[l->cursor] + 3 < p->from) l->cursor++;
    uint32_t r = p->range;
    for (uint32_t k = l->cursor; k < l->n;) {
        uint32_t pos = 4 * l->insn[k] + 3, step = 1;
        if (pos >= p->to) break;
        while (s->range[r].to <= pos) r++;
        if (s->range[r].from <= pos) return pos;
        while (k + 2 * step < l->n && 4 * l->insn[k + 2 * step] + 3 < s->range[r].from) step *= 2;
        k += step;
    }
    return POS_MAX;
}

// Where the piece first meets a resting one; maybe too early, never too late.
static uint32_t meets_piece(struct ra_state *s, const struct ra_piece *p, const struct ra_piece *q) {
    uint32_t a = p->range, b = q->range;
    for (uint32_t n = 0;; n++) {
        const struct ra_range *x = &s->range[a], *y = &s->range[b];
        uint32_t from = x->from > y->from ? x->from : y->from;
        if (from < p->from) from = p->from;
        if (from >= p->to || from >= q->to) return POS_MAX;
        if (from < x->to && from < y->to) return from;
        if (n == LOOK_AHEAD) return from;
        if (x->to <= from) {
            if (++a == s->value[p->vreg].range_end) return POS_MAX;
        } else if (++b == s->value[q->vreg].range_end) {
            return POS_MAX;
        }
    }
}

static void find_limits(struct scan *c, const struct ra_piece *p, uint32_t regs) {
    struct ra_state *s = c->s;
    uint32_t clobber_at[CLOBBER_SETS];
    bool has_hole = s->range[p->range].to < p->to;
    uint32_t after_hole = has_hole ? s->range[p->range + 1].from : POS_MAX;
    for (uint32_t k = 0; k < s->clobber_sets; k++)
        clobber_at[k] = s->clobber[k].mask & regs ? meets_clobber(s, p, &s->clobber[k]) : POS_MAX;
    for (uint32_t m = regs; m; m &= m - 1) {
        uint32_t r = (uint32_t)__builtin_ctz(m);
        uint32_t limit = s->fixed[r].cursor < s->fixed[r].n ? meets_fixed(s, p, &s->fixed[r]) : POS_MAX;
        for (uint32_t k = 0; k < s->clobber_sets; k++)
            if (s->clobber[k].mask >> r & 1 && clobber_at[k] < limit) limit = clobber_at[k];
        for (uint32_t k = 0; k < c->resting_n[r]; k++) {
            if (c->resting_from[r][k] >= p->to) continue;
            uint32_t at = meets_piece(s, p, &s->piece[c->resting[r][k]]);
            if (at < limit) limit = at;
        }
        if (c->resting_n[r] == RESTING && after_hole < limit) limit = after_hole;
        c->limit[r] = limit;
    }
    const struct ra_value *v = &s->value[p->vreg];
    if (!v->homed) return;
    uint32_t block_end = 4 * ra_block_at(s, p->from)->end; // in a register only within the block
    for (uint32_t r = 0; r < REGS; r++)
        if (p->to > block_end && c->limit[r] > block_end) c->limit[r] = block_end;
}

// ---- choice ----

static void assign(struct scan *c, uint32_t i, uint32_t r) {
    struct ra_state *s = c->s;
    struct ra_piece *p = &s->piece[i];
    struct ra_value *v = &s->value[p->vreg];
    p->loc = r;
    s->out->used |= 1u << r;
    v->last = i;
    struct ra_value *root = &s->value[ra_affinity(s, p->vreg)];
    if (root->want == 255 || (v->def_operand == NONE && p->from == v->def)) root->want = (uint8_t)r;
    place(c, r, i);
}

// Assigns register r up to `limit`; what is left of the piece waits for its turn.
static void assign_until(struct scan *c, uint32_t i, uint32_t r, uint32_t limit) {
    struct ra_state *s = c->s;
    if (limit < s->piece[i].to) {
        uint32_t last_use = s->piece[i].from;
        for (uint32_t u = s->piece[i].use;
             u < s->value[s->piece[i].vreg].use_end && s->use[u].pos < limit; u++)
            last_use = s->use[u].pos;
        uint32_t at = hoist(s, split_floor(limit), last_use);
        heap_push(c, split(s, i, at));
    }
    assign(c, i, r);
}

// What it costs that piece i is in memory from the present on. *out_next: its next use.
static uint32_t memory_cost(struct scan *c, uint32_t i, uint32_t *out_next) {
    struct ra_state *s = c->s;
    struct ra_piece *p = &s->piece[i];
    uint32_t u = skip_uses(s, p, c->pos), cost = 0;
    *out_next = u == NONE ? POS_MAX : s->use[u].pos;
    if (u != NONE) {
        uint32_t l = ra_loop_at(s, s->use[u].pos);
        while (s->loop[l].start > c->pos) l = s->loop[l].parent;
        cost = ra_weight(s->loop[l].depth);
        if (!needs_register(s, p->vreg, u)) cost /= 2;
    }
    // Around a back edge the next use is one that was passed already in this loop.
    const struct ra_loop *loop = &s->loop[ra_loop_at(s, c->pos)];
    const struct ra_value *v = &s->value[p->vreg];
    if (loop->depth && p->to >= loop->end && v->def < loop->start &&
        (p->from > loop->start || (p->use > v->use && s->use[p->use - 1].pos >= loop->start)))
        cost += ra_weight(loop->depth);
    return s->in->vreg[p->vreg].remat ? cost / 2 : cost;
}

// Whether the piece can leave its register now: nothing of the present instruction may want it there.
static bool evictable(struct scan *c, uint32_t i) {
    struct ra_state *s = c->s;
    struct ra_piece *p = &s->piece[i];
    if (p->range == NONE) return false;
    uint32_t insn_end = (c->pos | 3) + 1, start = split_floor(c->pos), u = p->use;
    uint32_t use_end = s->value[p->vreg].use_end;
    while (u > s->value[p->vreg].use && s->use[u - 1].pos >= start) u--;
    for (; u < use_end && s->use[u].pos < insn_end; u++)
        if (s->use[u].pos >= start && needs_register(s, p->vreg, u)) return false;
    return true;
}

static void evict(struct scan *c, uint32_t r) {
    struct ra_state *s = c->s;
    uint32_t i = c->active[r];
    struct ra_piece *p = &s->piece[i];
    c->held &= ~(1u << r);
    uint32_t at = split_floor(c->pos), last_use = p->from;
    uint32_t u = p->use;
    const struct ra_value *v = &s->value[p->vreg];
    while (u < v->use_end && s->use[u].pos < at) u++;
    while (u > v->use && s->use[u - 1].pos >= at) u--;
    if (u > v->use && s->use[u - 1].pos > last_use) last_use = s->use[u - 1].pos;
    at = hoist(s, at, last_use);
    to_memory(c, at > p->from ? split(s, i, at) : i);
}

// Serves the present instruction's uses of a piece that cannot stay in a register through it: a register is held just for the
// operand, a move in the gap fills it, the value itself lies in memory. False if there is no register.
static bool hold_for_operand(struct scan *c, uint32_t i, uint32_t regs) {
    struct ra_state *s = c->s;
    struct ra_piece *p = &s->piece[i];
    uint32_t vreg = p->vreg, insn = c->pos >> 2, need = 0, best = NONE, best_cost = NONE;
    uint32_t first = skip_uses(s, p, c->pos), end = s->value[vreg].use_end;
    for (uint32_t u = first; u < end && s->use[u].pos < 4 * insn + 4; u++) {
        if (s->use[u].pos == s->value[vreg].def) return false;
        need = s->use[u].pos + 1;
    }
    for (uint32_t m = regs; m; m &= m - 1) {
        uint32_t r = (uint32_t)__builtin_ctz(m), next, cost = 0;
        if (c->limit[r] < need) continue;
        if (c->held >> r & 1) {
            if (!evictable(c, c->active[r])) continue;
            cost = 1 + memory_cost(c, c->active[r], &next);
        }
        if (cost < best_cost) {
            best = r;
            best_cost = cost;
        }
    }
    if (best == NONE) return false;
    if (c->held >> best & 1) evict(c, best);
    uint8_t how = NEED_MOVED;
    for (uint32_t u = first; u < end && s->use[u].pos < 4 * insn + 4; u++) {
        s->use[u].need = how;
        s->use[u].pos =
            4 * insn; // read by the move; positions stay in order, since nothing before is in this instruction
        s->use[u].fixed = (uint8_t)best;
        s->out->loc[s->use[u].operand] = best;
        how = NEED_ALIAS;
    }
    uint32_t held = ra_new_piece(s, vreg, c->pos, need, NONE, NONE);
    s->piece[held].loc = best;
    s->out->used |= 1u << best;
    place(c, best, held);
    return true;
}

// No register is free for long enough.
static void allocate_taken(struct scan *c, uint32_t i, uint32_t regs) {
    struct ra_state *s = c->s;
    struct ra_piece *p = &s->piece[i];
    uint32_t own_next, own_cost = memory_cost(c, i, &own_next);
    uint32_t u = skip_uses(s, p, c->pos), end = s->value[p->vreg].use_end, insn_end = (c->pos | 3) + 1;
    bool must = false;
    for (; c->pos & 3 && u < end && s->use[u].pos < insn_end && !must; u++)
        must = needs_register(s, p->vreg, u);
    // It has to keep the register to the next place where it can leave, behind its first use.
    uint32_t need = must || own_next == POS_MAX ? insn_end + 1 : split_floor(own_next) + 4;
    if (need > p->to) need = p->to;
    uint32_t best = NONE, best_cost = NONE, best_next = 0;
    for (uint32_t m = regs; m; m &= m - 1) {
        uint32_t r = (uint32_t)__builtin_ctz(m), next = POS_MAX, cost = 0;
        if (c->limit[r] < need) continue;
        if (c->held >> r & 1) {
            if (!evictable(c, c->active[r])) continue;
            cost = memory_cost(c, c->active[r], &next);
        }
        if (best == NONE || cost < best_cost || (cost == best_cost && next > best_next)) {
            best = r;
            best_cost = cost;
            best_next = next;
        }
    }
    if (!must &&
        (best == NONE || own_cost < best_cost || (own_cost == best_cost && own_next >= best_next))) {
        to_memory(c, i);
    } else if (best != NONE) {
        if (c->held >> best & 1) evict(c, best);
        assign_until(c, i, best, c->limit[best]);
    } else if (hold_for_operand(c, i, regs)) {
        to_memory(c, i);
    } else {
        ra_broken(s, "an instruction needs more registers than there are");
    }
}

// Of two registers that last long enough, whether a is the better one: better hinted, then wanted by fewer of the block's other
// parameters, then one that needs no saving, then the one that would be free for the shorter time.
static bool better(const struct scan *c, uint32_t a, uint32_t b, const uint32_t *weight, bool param) {
    if (weight[a] != weight[b]) return weight[a] > weight[b];
    if (param && c->rival[a] != c->rival[b]) return c->rival[a] < c->rival[b];
    uint32_t to_save = c->s->in->callee_saved & ~c->s->out->used;
    if ((to_save >> a & 1) != (to_save >> b & 1)) return to_save >> b & 1;
    return c->limit[a] < c->limit[b];
}

static void allocate(struct scan *c, uint32_t i) {
    struct ra_state *s = c->s;
    struct ra_piece *p = &s->piece[i];
    uint32_t regs = c->class_mask[s->in->vreg[p->vreg].cls], weight[REGS] = {0};
    const struct ra_value *v = &s->value[p->vreg];
    if (v->homed && !(p->from & 3) && p->from != v->def) {
        to_memory(c, i);
        return;
    }
    find_limits(c, p, regs & ~c->held);
    ra_hints(s, p, c->limit, weight);
    bool param = v->def_operand == NONE && p->from == v->def;
    if (param && c->rival_block != v->def_block) {
        memset(c->rival, 0, sizeof c->rival);
        ra_rivals(s, v->def_block, c->rival);
        c->rival_block = v->def_block;
    }
    uint32_t best = NONE, longest = NONE;
    for (uint32_t m = regs & ~c->held; m; m &= m - 1) {
        uint32_t r = (uint32_t)__builtin_ctz(m);
        if (c->limit[r] >= p->to) {
            if (best == NONE || better(c, r, best, weight, param)) best = r;
        } else if (longest == NONE || c->limit[r] > c->limit[longest] ||
                   (c->limit[r] == c->limit[longest] && weight[r] > weight[longest])) {
            longest = r;
        }
    }
    if (best != NONE) {
        assign(c, i, best);
        return;
    }
    uint32_t first = skip_uses(s, p, c->pos);
    if (longest != NONE && first != NONE) {
        uint32_t first_pos = s->use[first].pos;
        if (hoist(s, split_floor(c->limit[longest]), first_pos) > first_pos) {
            assign_until(c, i, longest, c->limit[longest]);
            return;
        }
    }
    find_limits(c, p, regs & c->held);
    allocate_taken(c, i, regs);
}

void ra_scan(struct ra_state *s) {
    struct scan *c = JIT_NEW(s->a, struct scan);
    c->s = s;
    c->next_event = POS_MAX;
    c->rival_block = NONE;
    c->class_mask[RA_INT] = s->in->allocatable & 0xFFFFu;
    c->class_mask[RA_FP] = s->in->allocatable & 0xFFFF0000u;
    for (uint32_t next = 0; next < s->ordered || c->heap_n;) {
        uint32_t i;
        if (!c->heap_n ||
            (next < s->ordered && s->piece[s->order[next]].from <= s->piece[c->heap[0]].from))
            i = s->order[next++];
        else
            i = heap_pop(c);
        advance(c, s->piece[i].from);
        allocate(c, i);
    }
}
