// reclean.c — x64_reclean(): which saved registers hold addresses after a call.
//
// The verifier trusts no callee to keep upper halves zero: after a call its clean set is empty. A callee compiled here does keep them, so
// nothing is wrong with the values, but those that become addresses again have to be shown to be clean, by a `mov r32, r32`. The best
// place is directly behind the call, once, rather than at each access: the accesses may be in loops.
//
// So: a backward analysis over the allocated code. A register is wanted at a point if an access uses it as index on a path from
// there without anything that writes it, or a call, in between. What is wanted behind a call is cleaned there.
#include "sfi-jit/x64/minsn.h"

struct reclean {
    const struct x64_code *code;
    const struct ra_output *ra;
    uint16_t *after; // [insn]: the result, for calls
};

static bool is_call(const struct x64_insn *i) { return i->op == MOP_CALL || i->op == MOP_CALLI; }

static uint16_t bit(ra_loc loc) { return loc < 16 ? (uint16_t)(1u << loc) : 0; }

// What is wanted before instruction n, if `wanted` is wanted after it; its moves not included.
static uint16_t before_insn(const struct reclean *c, uint32_t n, uint16_t wanted) {
    const struct x64_insn *i = &c->code->insn[n];
    const struct ra_insn *r = &c->code->ra[n];
    if (is_call(i)) {
        c->after[n] = wanted;
        return 0;
    }
    for (uint32_t k = 0; k < r->count; k++)
        if (c->code->operand[r->first + k].kind == RA_DEF)
            wanted &= (uint16_t)~bit(c->ra->loc[r->first + k]);
    if (i->mem == XM_INDEX && i->op != MOP_LEA) wanted |= bit(c->ra->loc[r->first + r->count - 1]);
    return wanted;
}

// Backwards through block b; *move is the number of moves before and in it.
static uint16_t before_block(const struct reclean *c, uint32_t b, uint16_t wanted, uint32_t *move) {
    const struct ra_block *block = &c->code->block[b];
    for (uint32_t n = block->end; n-- > block->begin;) {
        wanted = before_insn(c, n, wanted);
        for (; *move > 0 && c->ra->move[*move - 1].at == n; --*move)
            wanted &= (uint16_t)~bit(c->ra->move[*move - 1].to);
    }
    return wanted;
}

uint16_t *x64_reclean(struct jit_arena *a, const struct x64_code *code, const struct ra_output *ra) {
    uint32_t n = 0;
    while (n < code->insns && !is_call(&code->insn[n])) n++;
    if (n == code->insns) return NULL;
    struct reclean c = {code, ra, JIT_ARRAY(a, uint16_t, code->insns)};
    uint16_t *in = JIT_ARRAY(a, uint16_t, code->blocks), *out = JIT_ARRAY(a, uint16_t, code->blocks);
    uint32_t *moves = JIT_ARRAY(a, uint32_t, code->blocks); // before the block's end
    for (bool first = true, changed = true; changed; first = false) {
        changed = false;
        uint32_t move = ra->moves;
        for (uint32_t b = code->blocks; b-- > 0;) {
            uint16_t before = out[b];
            for (uint32_t k = 0; k < code->block[b].succs; k++)
                out[b] |= in[code->block[b].succ[k]];
            if (first)
                moves[b] = move;
            else if (out[b] == before)
                continue;
            move = moves[b];
            uint16_t wanted = before_block(&c, b, out[b], &move);
            changed |= wanted != in[b];
            in[b] = wanted;
        }
    }
    return c.after;
}
