// regalloc_moves.c — after the scan: slot numbers, the location of each operand, and the moves between pieces.
//
// Moves of one place run in parallel and are then sequenced. There are up to three such places before one instruction, in this
// order: the head of its block (edges from the one predecessor), its gap (a piece ends, a new one of the same value starts; an
// operand is moved to where it is demanded), and the tail of its block (edges to the one successor, if it is the last instruction).
// A value that is ever in its slot is stored either once, behind its definition, or each time it leaves a register for the
// slot, whichever runs less often. In the first case moves into its slot disappear, since the slot is valid all its life.
#include "sfi-jit/x64/regalloc_priv.h"

enum place { HEAD, GAP, TAIL };
struct raw_move { // before sequencing; a list per instruction
    ra_loc from, to;
    uint32_t vreg;
    uint32_t next;
    uint8_t place;
    bool store; // the value goes to its own slot
};
struct mover {
    struct ra_state *s;
    struct raw_move *move;
    uint32_t moves, move_cap;
    uint32_t *head;  // instruction → its first raw move, or NONE
    ra_loc *arg_loc; // by argument, over all blocks
    uint64_t *store_cost; // value → how often its stores would run if it is not stored at its definition
    uint32_t *list; // pieces of the value at hand
    uint32_t listed, list_cap;
};

// ---- slots ----

struct slot_pool { // slots of one width
    uint32_t *end; // slot → until when it is taken
    uint32_t slots, cap;
    struct {
        uint32_t end, slot;
    } * e; // heap by end; an entry whose slot is taken for longer by now is void
    uint32_t n, heap_cap;
};

static void pop(struct slot_pool *h) {
    uint32_t last = --h->n, i = 0;
    for (;;) {
        uint32_t k = 2 * i + 1;
        if (k >= h->n) break;
        if (k + 1 < h->n && h->e[k + 1].end < h->e[k].end) k++;
        if (h->e[k].end >= h->e[last].end) break;
        h->e[i] = h->e[k];
        i = k;
    }
    h->e[i] = h->e[last];
}

static uint32_t take_slot(struct ra_state *s, struct slot_pool *h, uint32_t start, uint32_t end,
                          uint32_t wanted) {
    uint32_t slot = wanted;
    if (slot == NONE || h->end[slot] > start) {
        while (h->n && h->e[0].end != h->end[h->e[0].slot]) pop(h);
        if (h->n && h->e[0].end <= start) {
            slot = h->e[0].slot;
            pop(h);
        } else {
            h->end = jit_grow(s->a, h->end, &h->cap, h->slots + 1, sizeof *h->end);
            slot = h->slots++;
        }
    }
    h->end[slot] = end;
    h->e = jit_grow(s->a, h->e, &h->heap_cap, h->n + 1, sizeof *h->e);
    uint32_t i = h->n++;
    for (; i && h->e[(i - 1) / 2].end > end; i = (i - 1) / 2) h->e[i] = h->e[(i - 1) / 2];
    h->e[i].end = end;
    h->e[i].slot = slot;
    return slot;
}

// The slot of a value that this one becomes or comes from, so that nothing has to be moved on the edge between.
static uint32_t wanted_slot(const struct ra_state *s, uint32_t vreg) {
    const struct ra_value *v = &s->value[vreg];
    uint8_t bytes = s->in->vreg[vreg].bytes;
    if (v->target && s->in->vreg[v->target].bytes == bytes && s->value[v->target].slot != RA_NONE)
        return s->value[v->target].slot;
    if (v->def_operand != NONE) return NONE;
    const struct ra_block *k = &s->in->block[v->def_block];
    for (uint32_t i = 0; i < k->preds && i < 8; i++) {
        uint32_t arg = s->in->block[k->pred[i]].arg[v->param_index];
        if (s->in->vreg[arg].bytes == bytes && s->value[arg].slot != RA_NONE)
            return s->value[arg].slot;
    }
    return NONE;
}

#define OFTEN 255u // no slot counts as used more often

// Numbers the slots of one word anew, those in most use first: a frame's first 128 bytes are reached with a displacement of one byte.
static uint32_t *slot_order(struct ra_state *s, uint32_t slots) {
    uint32_t *uses = JIT_ARRAY(s->a, uint32_t, slots), *rank = JIT_ARRAY(s->a, uint32_t, slots);
    uint32_t first[OFTEN + 2] = {0}; // by use, from OFTEN downwards
    for (uint32_t i = 0; i < s->pieces; i++) {
        const struct ra_piece *p = &s->piece[i];
        const struct ra_value *v = &s->value[p->vreg];
        if (!v->spilled || s->in->vreg[p->vreg].bytes == 16) continue;
        uses[v->slot]++;
    }
    for (uint32_t v = 1; v < s->in->vregs; v++)
        if (s->value[v].spilled && s->in->vreg[v].bytes != 16)
            uses[s->value[v].slot] += s->value[v].use_end - s->value[v].use;
    for (uint32_t k = 0; k < slots; k++) first[OFTEN - (uses[k] < OFTEN ? uses[k] : OFTEN) + 1]++;
    for (uint32_t u = 1; u <= OFTEN; u++) first[u] += first[u - 1];
    for (uint32_t k = 0; k < slots; k++)
        rank[k] = first[OFTEN - (uses[k] < OFTEN ? uses[k] : OFTEN)]++;
    return rank;
}

// Values whose lives, holes included, do not overlap share a slot. The order of the first pieces is the order of the definitions.
static void give_slots(struct ra_state *s) {
    struct slot_pool small = {0}, wide = {0};
    for (uint32_t i = 0; i < s->ordered; i++) {
        const struct ra_piece *p = &s->piece[s->order[i]];
        struct ra_value *v = &s->value[p->vreg];
        if (!v->spilled) continue;
        // Of a FIXED definition the store reads the gap before the rest starts, so that the slot is not needed earlier.
        v->slot = take_slot(s, s->in->vreg[p->vreg].bytes == 16 ? &wide : &small, p->from,
                            s->range[v->range_end - 1].to, wanted_slot(s, p->vreg));
    }
    const uint32_t *rank = slot_order(s, small.slots);
    for (uint32_t v = 1; v < s->in->vregs; v++) {
        if (!s->value[v].spilled) continue;
        uint32_t k = s->value[v].slot;
        s->value[v].slot = RA_SLOT(s->in->vreg[v].bytes == 16 ? 2 * k : 2 * wide.slots + rank[k]);
    }
    s->out->slots = 2 * wide.slots + small.slots;
    for (uint32_t i = 0; i < s->pieces; i++)
        if (s->piece[i].loc == IN_SLOT) s->piece[i].loc = s->value[s->piece[i].vreg].slot;
}

// ---- moves ----

static void add_move(struct mover *m, uint32_t at, enum place place, ra_loc from, ra_loc to,
                     uint32_t vreg) {
    struct ra_state *s = m->s;
    if (from == to || to == RA_REMAT) return;
    if (from == RA_NONE || to == RA_NONE) ra_broken(s, "value without a place");
    bool store = to == s->value[vreg].slot;
    if (store) m->store_cost[vreg] += ra_weight(s->loop[ra_loop_at(s, 4 * at)].depth);
    m->move = jit_grow(s->a, m->move, &m->move_cap, m->moves + 1, sizeof *m->move);
    m->move[m->moves] = (struct raw_move){from, to, vreg, m->head[at], (uint8_t)place, store};
    m->head[at] = m->moves++;
}

static void list_pieces(struct mover *m, uint32_t vreg) {
    m->listed = 0;
    for (uint32_t i = m->s->value[vreg].first; i != NONE; i = m->s->piece[i].next) {
        m->list = jit_grow(m->s->a, m->list, &m->list_cap, m->listed + 1, sizeof *m->list);
        m->list[m->listed++] = i;
    }
}

// Index in the list of the piece at `pos`, where the value lives.
static uint32_t piece_at(const struct mover *m, uint32_t pos) {
    uint32_t lo = 0, hi = m->listed;
    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (m->s->piece[m->list[mid]].from <= pos)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

static ra_loc loc_in_list(const struct mover *m, uint32_t k) { return m->s->piece[m->list[k]].loc; }

// The register of the instruction's REUSE definition.
static ra_loc reused_register(const struct ra_state *s, uint32_t insn) {
    const struct ra_operand *o = &s->in->operand[s->in->insn[insn].first];
    while (o->kind != RA_DEF || o->how != RA_REUSE) o++;
    return s->piece[s->value[o->vreg].first].loc;
}

static void place_uses(struct mover *m, uint32_t vreg) {
    struct ra_state *s = m->s;
    const struct ra_value *v = &s->value[vreg];
    uint32_t k = 0;
    for (uint32_t u = v->use; u < v->use_end; u++) {
        const struct ra_pos_use *use = &s->use[u];
        while (k + 1 < m->listed && s->piece[m->list[k + 1]].from <= use->pos) k++;
        ra_loc here = loc_in_list(m, k);
        if (use->need == NEED_ARG) {
            m->arg_loc[use->operand] = here;
            continue;
        }
        ra_loc *loc = &s->out->loc[use->operand];
        if (use->need == NEED_REG || use->need == NEED_ANY) {
            *loc = here;
            continue;
        }
        if (*loc == RA_NONE) *loc = reused_register(s, use->pos >> 2); // not FIXED
        if (use->need == NEED_ALIAS) continue;
        bool ends = k + 1 < m->listed && s->piece[m->list[k + 1]].from == use->pos + 1;
        if (ends && loc_in_list(m, k + 1) == *loc) continue; // the value moves there anyway
        add_move(m, use->pos >> 2, GAP, here, *loc, vreg);
    }
}

// A constant is not made where the first piece of its life has no use.
static void place_constant(struct mover *m, const struct ra_value *v) {
    struct ra_state *s = m->s;
    struct ra_piece *p = &s->piece[v->first];
    if (v->use == v->use_end || s->use[v->use].pos >= p->to) p->loc = RA_REMAT;
    s->out->loc[v->def_operand] = p->loc;
}

static void place_splits(struct mover *m, uint32_t vreg) {
    struct ra_state *s = m->s;
    for (uint32_t k = 1; k < m->listed; k++) {
        const struct ra_piece *p = &s->piece[m->list[k - 1]], *q = &s->piece[m->list[k]];
        if (p->to == q->from && (q->from & 3)) add_move(m, q->from >> 2, GAP, p->loc, q->loc, vreg);
    }
    if (s->value[vreg].homed) return;
    // On the edges into each block that the value lives into.
    uint32_t k = 0;
    const struct ra_value *v = &s->value[vreg];
    for (uint32_t r = v->range; r < v->range_end; r++) {
        uint32_t b = s->block_of[s->range[r].from >> 2];
        for (; b < s->in->blocks && 4 * s->in->block[b].begin < s->range[r].to; b++) {
            const struct ra_block *to = &s->in->block[b];
            uint32_t begin = 4 * to->begin;
            if (begin < s->range[r].from || begin <= v->def) continue;
            while (k + 1 < m->listed && s->piece[m->list[k + 1]].from <= begin) k++;
            for (uint32_t i = 0; i < to->preds; i++) {
                const struct ra_block *from = &s->in->block[to->pred[i]];
                uint32_t out = 4 * from->end - 1;
                const struct ra_piece *here = &s->piece[m->list[k]];
                if (out >= here->from && out < here->to) continue;
                bool tail = from->succs == 1;
                add_move(m, tail ? from->end - 1 : to->begin, tail ? TAIL : HEAD,
                         loc_in_list(m, piece_at(m, out)), here->loc, vreg);
            }
        }
    }
}

static void place_arguments(struct mover *m) {
    struct ra_state *s = m->s;
    const ra_loc *from = m->arg_loc;
    for (uint32_t b = 0; b < s->in->blocks; b++) {
        const struct ra_block *k = &s->in->block[b];
        for (uint32_t i = 0; i < k->args; i++, from++) {
            const struct ra_block *to = &s->in->block[k->succ[0]];
            uint32_t param = s->value[to->param[i]].first;
            if (param != NONE) add_move(m, k->end - 1, TAIL, *from, s->piece[param].loc, k->arg[i]);
        }
    }
}

// ---- output ----

static bool stored_at_definition(const struct mover *m, uint32_t vreg) {
    const struct ra_state *s = m->s;
    const struct ra_value *v = &s->value[vreg];
    return v->homed || s->piece[v->first].loc == v->slot ||
           m->store_cost[vreg] >= ra_weight(s->loop[s->loop_of[v->def_block]].depth);
}

static void store_at_definitions(struct mover *m) {
    struct ra_state *s = m->s;
    for (uint32_t vreg = 1; vreg < s->in->vregs; vreg++) {
        const struct ra_value *v = &s->value[vreg];
        if (!v->spilled || !stored_at_definition(m, vreg)) continue;
        uint32_t at = v->def_operand == NONE ? v->def >> 2 : (v->def >> 2) + 1;
        add_move(m, at, GAP, s->piece[v->first].loc, v->slot, vreg);
        if (s->piece[v->first].loc != v->slot) m->move[m->moves - 1].store = false;
        m->store_cost[vreg] = UINT64_MAX;
    }
}

static void sequence(struct mover *m) {
    struct ra_state *s = m->s;
    const struct ra_input *in = s->in;
    struct ra_output *out = s->out;
    uint32_t cap = 0, group_cap = 0, seq_cap = 0;
    struct ra_move *group = NULL, *seq = NULL;
    ra_loc spare = RA_SLOT((out->slots + 1) & ~1u);
    bool spare_used = false;
    for (uint32_t at = 0; at < in->insns; at++) {
        if (m->head[at] == NONE) continue;
        for (int place = HEAD; place <= TAIL; place++) {
            uint32_t n = 0;
            for (uint32_t i = m->head[at]; i != NONE; i = m->move[i].next) {
                const struct raw_move *mv = &m->move[i];
                if (mv->place != place || (mv->store && m->store_cost[mv->vreg] == UINT64_MAX))
                    continue;
                group = jit_grow(s->a, group, &group_cap, n + 1, sizeof *group);
                group[n++] = (struct ra_move){at, mv->from, mv->to, mv->vreg};
            }
            if (!n) continue;
            out->move = jit_grow(s->a, out->move, &cap, out->moves + 3 * n, sizeof *out->move);
            seq = jit_grow(s->a, seq, &seq_cap, 4 * n, sizeof *seq);
            uint32_t written =
                ra_sequence(group, n, in->vreg, in->scratch_int, in->scratch_fp, spare, seq);
            for (uint32_t i = 0; i < written; i++) {
                if (RA_IS_REG(seq[i].to)) out->used |= 1u << seq[i].to;
                if (seq[i].to == spare) spare_used = true;
                out->move[out->moves++] = seq[i];
            }
        }
    }
    if (spare_used) out->slots = spare - RA_SLOT(0) + 2;
}

void ra_moves(struct ra_state *s) {
    struct mover m = {.s = s};
    give_slots(s);
    m.head = JIT_ARRAY(s->a, uint32_t, s->in->insns);
    memset(m.head, 0xFF, sizeof *m.head * s->in->insns);
    m.arg_loc = JIT_ARRAY(s->a, ra_loc, s->args);
    m.store_cost = JIT_ARRAY(s->a, uint64_t, s->in->vregs);
    for (uint32_t v = 1; v < s->in->vregs; v++) {
        if (s->value[v].first == NONE) continue;
        uint32_t def = s->value[v].def_operand;
        if (def != NONE && ra_is_constant(s, def)) place_constant(&m, &s->value[v]);
        list_pieces(&m, v);
        place_uses(&m, v);
        if (m.listed > 1) place_splits(&m, v);
    }
    place_arguments(&m);
    store_at_definitions(&m);
    sequence(&m);
}
