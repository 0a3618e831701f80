// regalloc_priv.h — what the three parts of the register allocator share; nothing else includes it.
//
// ra_run() is: intervals (regalloc_live.c) → wishes (regalloc_hint.c) → linear scan (regalloc_scan.c) → slots and moves
// (regalloc_moves.c).
//
// Positions. Instruction i has four: 4i is its gap, where moves read; 4i+1 is behind the gap, where moves have written; 4i+2 is early;
// 4i+3 is late. Ranges are half open. So a value that a move takes away at i lives to 4i+1, an EARLY use to 4i+3, a LATE use
// to 4i+4; a LATE definition starts at 4i+3, an EARLY or REUSE one at 4i+1. A block's live-in values start at 4·begin, its live-out
// values end at 4·end.
// A value's life is cut into pieces, each in one place. A piece starts at 4i+1 (there was a move in the gap), or at the first position
// of a block (the moves are on the edges). Never in the middle of an instruction.
//
// Moved operands. A FIXED use, and the use that a REUSE definition takes over, are not read in place: they are the source of a
// move in the gap into the demanded register, wherever the value lies. So they put no constraint on the value's own piece.
// A FIXED definition makes a pinned first piece [definition, gap of the next instruction]; the rest is allocated freely.
#ifndef RA_REGALLOC_PRIV_H
#define RA_REGALLOC_PRIV_H
#include "sfi-jit/lib.h"
#include "sfi-jit/x64/regalloc.h"

#define NONE UINT32_MAX
#define REGS 32u
#define POS_MAX UINT32_MAX
#define CLOBBER_SETS 4u // distinct big clobber sets kept as such

enum ra_need {
    NEED_REG,   // in place, in a register
    NEED_ANY,   // in place, anywhere
    NEED_MOVED, // read by a move in the gap
    NEED_ALIAS, // found where another operand's move put it
    NEED_ARG,   // read by an edge's moves
};
struct ra_pos_use {
    uint32_t pos;
    uint32_t operand; // NEED_ARG: counted over all blocks' arguments
    uint8_t need;
    uint8_t fixed; // NEED_MOVED: the register it goes to, or 255
};
struct ra_range {
    uint32_t from, to;
};

// One piece of a value's life, or (range == NONE) a register held for one operand of one instruction.
struct ra_piece {
    uint32_t vreg, from, to;
    uint32_t range, use; // cursors: not beyond the first range or use that still matters
    uint32_t next;       // the value's next piece
    ra_loc loc;          // register, RA_REMAT, IN_SLOT, or RA_NONE before allocation
};
#define IN_SLOT 32u // the value's own slot; its number is chosen in the end

struct ra_value {
    uint32_t def; // position; NONE: no definition seen
    uint32_t def_block;
    uint32_t def_operand; // or NONE: block parameter
    uint32_t range, range_end;
    uint32_t use, use_end; // its uses by position; a definition counts as one, except a constant's
    uint32_t first, last;  // pieces; last: the newest one that has a location
    uint32_t affinity;     // union-find parent: values joined by moves and branch arguments
    uint32_t target;       // a parameter that this value becomes, maybe by REUSE definitions, or 0
    uint32_t source;       // the value whose register a REUSE definition takes over, or 0
    uint32_t param_index;  // of a block parameter
    ra_loc slot;
    uint8_t want; // of an affinity root: register that a member got, or 255
    uint8_t wish; // register that a FIXED use wants in the end, or 255
    bool crosses; // of an affinity root: a member lives across a call
    bool spilled; // needs a slot
    bool homed;   // see regalloc_live.c
};
struct ra_loop {
    uint32_t start, end; // positions
    uint32_t parent;     // loop 0 is the function: [0, POS_MAX), its own parent
    uint32_t depth;
};
struct ra_fixed { // register taken for [from, to), except by vreg itself
    uint32_t from, to, vreg;
};
struct ra_fixed_list {
    struct ra_fixed *entry;
    uint32_t n, cap, cursor;
};
struct ra_clobbers { // the instructions with one clobber set
    uint32_t mask;
    uint32_t *insn;
    uint32_t n, cap, cursor;
};
struct ra_state {
    struct jit_arena *a;
    const struct ra_input *in;
    struct ra_output *out;
    uint32_t *block_of; // instruction → block
    uint32_t *loop_of;  // block → loop
    struct ra_loop *loop;
    struct ra_value *value;
    struct ra_range *range;
    struct ra_pos_use *use;
    struct ra_piece *piece;
    uint32_t pieces, piece_cap;
    uint32_t args; // of all branches
    uint32_t ranges, range_cap;
    uint32_t *order; // pieces by start
    uint32_t ordered;
    struct ra_fixed_list fixed[REGS];
    struct ra_clobbers clobber[CLOBBER_SETS];
    uint32_t clobber_sets;
};

_Noreturn void ra_broken(struct ra_state *s, const char *message); // the input breaks a rule of regalloc.h
uint32_t ra_new_piece(struct ra_state *s, uint32_t vreg, uint32_t from, uint32_t to, uint32_t range,
                      uint32_t use);
uint32_t ra_affinity(struct ra_state *s, uint32_t vreg); // its root

void ra_build(struct ra_state *s); // regalloc_live.c
void ra_wish(struct ra_state *s);  // regalloc_hint.c; may change which uses are where
void ra_start(struct ra_state *s); // regalloc_live.c
void ra_scan(struct ra_state *s);  // regalloc_scan.c
void ra_moves(struct ra_state *s); // regalloc_moves.c

// Adds to each register's weight what it would save to have piece p there; limit[r]: how long p could stay in it.
void ra_hints(struct ra_state *s, const struct ra_piece *p, const uint32_t *limit, uint32_t *weight);

// The same for all parameters of a block together, as far as their arguments tell.
void ra_rivals(const struct ra_state *s, uint32_t block, uint32_t *weight);

static inline const struct ra_block *ra_block_at(const struct ra_state *s, uint32_t pos) {
    return &s->in->block[s->block_of[pos >> 2]];
}
// Whether the operand is the definition of a constant that may be left out: see regalloc.h, Cost.
static inline bool ra_is_constant(const struct ra_state *s, uint32_t operand) {
    const struct ra_operand *o = &s->in->operand[operand];
    return s->in->vreg[o->vreg].remat && o->kind == RA_DEF && o->how == RA_REG &&
           s->in->insn[s->value[o->vreg].def >> 2].count == 1;
}
static inline uint32_t ra_loop_at(const struct ra_state *s, uint32_t pos) {
    return s->loop_of[s->block_of[pos >> 2]];
}
// How often code in a loop of this depth runs, for comparing only.
static inline uint32_t ra_weight(uint32_t depth) { return 2u << (3 * (depth < 7 ? depth : 7)); }
#endif
