// regalloc.c — ra_run(): the steps of register allocation, in order. regalloc.h states the problem, regalloc_priv.h how it is seen inside.
#include "sfi-jit/x64/regalloc_priv.h"

_Noreturn void ra_broken(struct ra_state *s, const char *message) {
    jit_fail(s->a, JIT_ERR_INTERNAL, 0, UINT32_MAX, message);
}

uint32_t ra_new_piece(struct ra_state *s, uint32_t vreg, uint32_t from, uint32_t to, uint32_t range,
                      uint32_t use) {
    s->piece = jit_grow(s->a, s->piece, &s->piece_cap, s->pieces + 1, sizeof *s->piece);
    s->piece[s->pieces] = (struct ra_piece){vreg, from, to, range, use, NONE, RA_NONE};
    return s->pieces++;
}

uint32_t ra_affinity(struct ra_state *s, uint32_t vreg) {
    struct ra_value *v = s->value;
    while (v[vreg].affinity != vreg) vreg = v[vreg].affinity = v[v[vreg].affinity].affinity;
    return vreg;
}

void ra_run(struct jit_arena *a, const struct ra_input *in, struct ra_output *out) {
    *out = (struct ra_output){.loc = JIT_ARRAY(a, ra_loc, in->operands)};
    memset(out->loc, 0xFF, sizeof *out->loc * in->operands); // RA_NONE
    for (uint32_t i = 0; i < in->insns; i++) out->used |= in->insn[i].clobber;

    struct ra_state *s = JIT_NEW(a, struct ra_state);
    s->a = a;
    s->in = in;
    s->out = out;
    ra_build(s); // live ranges, uses, what registers are taken for
    ra_wish(s);  // which values should share a register
    ra_start(s); // the pieces to begin with, in order
    ra_scan(s);  // a place for every piece of every value's life
    ra_moves(s); // slot numbers, operands, moves
}
