// layout.c — x64_asm_finish(): from units to bytes in the module's block.
//
// Branches start short and only ever grow, so the iteration ends; a position is the one of the last round, in which nothing
// grew, so every displacement fits. A few rounds are enough but for code made to need more, where all branches become long.
// Padding before a unit that would cross a bundle is NOPs, or CC where control cannot come. NOPs inside of loops cost most: so an
// innermost loop without calls begins where its own units need the fewest NOPs and bundles, at most a bundle behind where it could
// begin. Of other loops only the way from the head to a template close behind is looked at, which otherwise needs many NOPs to begin a
// bundle. The search is made anew in each round, since it depends on the lengths; it is linear in the code, as long loops are left out.
#include "sfi-jit/lib.h"
#include "sfi-jit/x64/asm.h"

#define ROUNDS 10u
#define NOP_MAX 9u // bytes: the longest of SFI_NOPS

// Costs, in parts of a NOP that runs once a round of the loop.
#define NOP_COST 20u
#define BUNDLE_COST 20u
#define ENTRY_COST 5u    // of a NOP before the loop
#define PAD_BYTES 2u     // of padding cost 1
#define TEMPLATE_MIN 23u // bytes: longer than any instruction
#define LOOP_UNITS 100u  // longer loops begin anywhere
#define NEAR_UNITS 8u    // from a loop's head to a template

static uint32_t align_up(uint32_t n) { return (n + SFI_BUNDLE - 1) & ~(SFI_BUNDLE - 1); }

static uint32_t fit(const struct x64_unit *u, uint32_t at) {
    return u->align || (at & (SFI_BUNDLE - 1)) + u->len > SFI_BUNDLE ? align_up(at) : at;
}

static uint32_t nops_in(uint32_t bytes) { return (bytes + NOP_MAX - 1) / NOP_MAX; }

// What the NOPs and bundles of the loop [head, last] cost when it begins at `at`; `most` or more is not told exactly.
static uint32_t loop_cost(const struct x64_asm *s, uint32_t head, uint32_t last, uint32_t at,
                          uint32_t most) {
    uint32_t cost = 0, start = fit(&s->unit[head], at) / SFI_BUNDLE;
    at = fit(&s->unit[head], at);
    for (uint32_t i = head; i <= last && cost < most; i++) {
        uint32_t to = fit(&s->unit[i], at);
        cost += NOP_COST * nops_in(to - at);
        at = to + s->unit[i].len;
    }
    return cost + BUNDLE_COST * ((at - 1) / SFI_BUNDLE - start);
}

// Where the loop [head, last] begins best, from `at` on; `dead`: control does not come from above.
static uint32_t loop_start(const struct x64_asm *s, uint32_t head, uint32_t last, uint32_t at,
                           bool dead) {
    uint32_t best = at, least = loop_cost(s, head, last, at, UINT32_MAX);
    for (uint32_t pad = 1; pad < SFI_BUNDLE; pad++) {
        uint32_t before = pad / PAD_BYTES + (dead ? 0 : ENTRY_COST * nops_in(pad));
        if (before >= least) break;
        uint32_t cost = before + loop_cost(s, head, last, at + pad, least - before);
        if (cost < least) best = at + pad, least = cost;
    }
    return best;
}

static uint32_t place(const struct x64_asm *s, const uint32_t *loop, uint32_t *pos) {
    uint32_t at = 0;
    bool dead = false;
    for (uint32_t i = 0; i < s->units; i++) {
        const struct x64_unit *u = &s->unit[i];
        if (loop[i]) at = loop_start(s, i, loop[i], at, dead);
        pos[i] = fit(u, at);
        at = pos[i] + u->len;
        dead = u->end;
    }
    return at;
}

// A direct call or a template: a round of such a loop is long, and recursion may enter it as often as it goes round.
static bool is_call(const struct x64_asm *s, const struct x64_unit *u) {
    return u->kind == UNIT_PLAIN &&
           ((u->len == 5 && s->bytes[u->at] == 0xe8) || u->len >= TEMPLATE_MIN);
}

// The template that follows closely on unit i, 0 if there is none.
static uint32_t template_behind(const struct x64_asm *s, uint32_t i) {
    for (uint32_t k = i; k < s->units && k < i + NEAR_UNITS; k++) {
        if (s->unit[k].len >= TEMPLATE_MIN) return k;
        if (s->unit[k].end) break;
    }
    return 0;
}

// The last unit of each innermost loop without calls, by its first; of other loops that of what is looked at; 0 for all other
// units. A loop is what lies between a backward branch and its target.
static uint32_t *find_loops(const struct x64_asm *s, const uint32_t *branch, uint32_t branches) {
    uint32_t *last = JIT_ARRAY(s->arena, uint32_t, s->units + 1);
    uint32_t inner = UINT32_MAX, call = UINT32_MAX; // the next head, and the next call, behind i
    for (uint32_t k = 0; k < branches; k++) {
        uint32_t to = s->label[s->unit[branch[k]].label].unit;
        if (to <= branch[k]) last[to] = branch[k];
    }
    for (uint32_t i = s->units; i-- > 0;) {
        if (is_call(s, &s->unit[i])) call = i;
        if (!last[i]) continue;
        bool innermost = inner > last[i] && call > last[i];
        inner = i;
        if (!innermost || last[i] - i >= LOOP_UNITS) last[i] = template_behind(s, i);
        if (s->unit[i].align) last[i] = 0;
    }
    return last;
}

static uint32_t target(const struct x64_asm *s, const uint32_t *pos, const struct x64_unit *u) {
    return pos[s->label[u->label].unit];
}

// Positions of all units, relative to the function's start; returns its size.
static uint32_t layout(struct x64_asm *s, uint32_t *pos) {
    uint32_t branches = 0;
    uint32_t *branch = JIT_ARRAY(s->arena, uint32_t, s->units + 1);
    for (uint32_t i = 0; i < s->units; i++)
        if (s->unit[i].kind != UNIT_PLAIN) branch[branches++] = i;
    const uint32_t *loop = find_loops(s, branch, branches);
    for (unsigned round = 0;; round++) {
        uint32_t size = place(s, loop, pos);
        bool grown = false;
        uint32_t left = 0;
        for (uint32_t k = 0; k < branches; k++) {
            struct x64_unit *u = &s->unit[branch[k]];
            int64_t d = (int64_t)target(s, pos, u) - (int64_t)(pos[branch[k]] + u->len);
            if (d >= -128 && d <= 127 && round < ROUNDS) {
                branch[left++] = branch[k];
            } else {
                u->len = u->kind == UNIT_JMP ? 5 : 6;
                grown = true;
            }
        }
        branches = left;
        if (!grown) return size;
    }
}

static void put_branch(uint8_t *p, const struct x64_unit *u, uint32_t displacement) {
    if (u->len == 2) {
        p[0] = u->kind == UNIT_JMP ? 0xeb : (uint8_t)(0x70 | u->cc);
        p[1] = (uint8_t)displacement;
    } else {
        if (u->kind == UNIT_JCC) *p++ = 0x0f;
        *p++ = u->kind == UNIT_JMP ? 0xe9 : (uint8_t)(0x80 | u->cc);
        x64_put_imm(p, displacement, 4);
    }
}

// No NOP crosses a bundle.
static void put_padding(uint8_t *out, uint32_t at, uint32_t to) {
    uint32_t middle = align_up(at) < to ? align_up(at) : at;
    x64_put_nops(out + at, middle - at);
    x64_put_nops(out + middle, to - middle);
}

static void put_units(struct x64_asm *s, const uint32_t *pos, uint8_t *out, uint32_t size) {
    uint32_t at = 0;
    bool end = false;
    for (uint32_t i = 0; i < s->units; i++) {
        const struct x64_unit *u = &s->unit[i];
        if (!end && pos[i] > at) {
            put_padding(out, at, pos[i]);
            s->module->stats.nop_bytes += pos[i] - at;
        } else {
            memset(out + at, 0xcc, pos[i] - at);
        }
        at = pos[i] + u->len;
        end = u->end;
        if (u->kind == UNIT_PLAIN)
            memcpy(out + pos[i], s->bytes + u->at, u->len);
        else
            put_branch(out + pos[i], u, target(s, pos, u) - at);
    }
    memset(out + at, 0xcc, size - at);
    for (uint32_t i = 0; i < s->inners; i++) {
        const struct x64_asm_inner *n = &s->inner[i];
        uint32_t field = pos[n->unit] + (n->at - s->unit[n->unit].at);
        x64_put_imm(out + field, pos[s->label[n->label].unit] - (field + 4), 4);
    }
}

// What is clean at each block's head: the greatest solution, so that loops keep what they do not destroy.
static uint16_t *clean_at_heads(struct x64_asm *s, const struct ra_input *ra) {
    uint16_t *in = JIT_ARRAY(s->arena, uint16_t, s->blocks);
    for (uint32_t b = 1; b < s->blocks; b++) in[b] = 0xffff;
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t b = 1; b < s->blocks; b++) {
            uint16_t z = 0xffff;
            for (uint32_t k = 0; k < ra->block[b].preds; k++) {
                uint32_t p = ra->block[b].pred[k];
                z &= (uint16_t)((in[p] & s->block_out[p].kept) | s->block_out[p].clean);
            }
            if (!ra->block[b].preds) z = 0;
            changed |= z != in[b];
            in[b] = z;
        }
    }
    return in;
}

// Labels at one place declare what all of them can: sorted by place, one entry a place.
static void put_labels(struct x64_asm *s, const uint32_t *pos, const uint16_t *in, uint32_t start) {
    struct x64_module *m = s->module;
    // unit_label[u] = clean set of the label at unit u, or none.
    uint32_t *at_unit = JIT_ARRAY(s->arena, uint32_t, s->units + 1);
    for (uint32_t i = 0; i < s->labels; i++) {
        const struct x64_label *l = &s->label[i];
        if (!l->used) continue;
        uint32_t z = l->block == UINT32_MAX ? 0 : (in[l->block] & l->z.kept) | l->z.clean;
        uint32_t old = at_unit[l->unit];
        at_unit[l->unit] = 0x10000 | (old ? old & z : z);
    }
    for (uint32_t u = 0; u < s->units; u++) {
        if (!at_unit[u]) continue;
        m->label = jit_grow(m->arena, m->label, &m->label_cap, m->labels + 1, sizeof *m->label);
        m->label[m->labels++] = (struct sfi_label){start + pos[u], at_unit[u] & 0xffff};
    }
}

void x64_asm_finish(struct x64_asm *s, const struct ra_input *ra, uint32_t frame, uint32_t sig) {
    struct x64_module *m = s->module;
    uint32_t *pos = JIT_ARRAY(s->arena, uint32_t, s->units + 1);
    uint32_t size = layout(s, pos);
    uint32_t start = align_up(m->size);
    uint8_t *out = x64_module_room(m, start - m->size + size) + (start - m->size);
    put_units(s, pos, out, size);
    m->size = start + size;
    m->func[m->funcs++] = (struct sfi_func){start, size, frame, sig};
    put_labels(s, pos, clean_at_heads(s, ra), start);

    for (uint32_t i = 0; i < s->sites; i++) {
        const struct x64_asm_site *t = &s->site[i];
        m->site = jit_grow(m->arena, m->site, &m->site_cap, m->sites + 1, sizeof *m->site);
        m->site[m->sites++] = (struct sfi_trap_site){start + pos[t->unit], t->wasm, t->kind, t->aux};
    }
    for (uint32_t i = 0; i < s->relocs; i++) {
        struct x64_reloc r = s->reloc[i];
        uint32_t u = s->reloc_unit[i];
        r.at = start + pos[u] + (r.at - s->unit[u].at);
        m->reloc = jit_grow(m->arena, m->reloc, &m->reloc_cap, m->relocs + 1, sizeof *m->reloc);
        m->reloc[m->relocs++] = r;
    }
    for (uint32_t t = s->first_table; t < m->tables; t++)
        for (uint32_t k = 0; k < m->table[t].count; k++) {
            uint32_t *e = &m->entry[m->table[t].first + k];
            *e = start + pos[s->label[*e].unit];
        }
}
