// regalloc.h — register allocation as a closed problem: a control flow graph of instructions with constrained operands in,
// a location for each operand and a list of moves out. Knows nothing of opcodes, IR or encodings, so it can be tested alone.
//
// Input   Values are virtual registers (vreg ≥ 1) in SSA: one definition each, dominated uses. Block parameters stand for phis: block
//         b's params[i] gets, along each edge into it, the predecessor's branch argument i. There are no critical edges: a block with
//         several successors (the same one twice counts) has none with several predecessors, parameters or not. The edge's
//         moves would have no place otherwise; the emitter drops an edge block that stayed empty.
//         Instructions are numbered 0…n−1, blocks hold contiguous ranges in layout order; the order is reverse post order with loop
//         bodies contiguous. The last instruction of a block is its branch or return; it defines nothing but EARLY temporaries that
//         are not FIXED. The jump of a block with one successor has neither operands nor clobbers (edge moves come right before it).
//         Block 0 is the entry: no predecessors, no parameters. Every block is reachable.
// Points  Each instruction has an early point (operands are read) and a late point (results are written). An EARLY use ends before
//         late; a LATE use lives through (so it never shares a register with a definition); an EARLY definition is written
//         before the uses end (temporaries: an EARLY def never shares a register with a use).
// Clobber A clobbered register holds no value across the late point (calls: everything caller-saved). A clobbered register may still
//         be a FIXED definition of the same instruction.
// Limits  FIXED names allocatable registers only, and no register twice among an instruction's uses, or among its definitions. Besides
//         the FIXED ones and the clobbers an instruction needs fewer registers at once than the class has left.
// Output  For each operand its location; for REUSE definitions the same register as the reused use (the allocator inserts the copy when
//         the used value lives on). Moves happen *in parallel* at a gap: before instruction `at`. ra_sequence() turns one gap's
//         parallel moves into a sequence, using exchanges or a scratch location where there are cycles; it is called by ra_run(), so
//         the moves list is already sequential. Edge moves are put at the end of a predecessor with one successor (before its branch)
//         or at the head of a successor with one predecessor.
// Slots   Stack slots are 8 bytes; a 16-byte value takes two, n and n + 1, with n even. Slots of 16-byte values come first and are
//         shared with no smaller value, so slots overlap only where they are equal. Slot numbers start at 0.
// Cost    Linear in practice: n log n. Live-range splitting around calls and loops, spilling by loop-weighted use distance,
//         rematerialisation of values whose vreg says so (constants): the move then has source RA_REMAT. If an instruction does nothing
//         but define such a value (its only operand, in any register), and nobody needs it before it is made anew, the operand's
//         location is RA_REMAT, and the instruction is to be left out.
#ifndef RA_REGALLOC_H
#define RA_REGALLOC_H
#include "sfi-jit/arena.h"
#include <stdbool.h>

enum ra_class { RA_INT, RA_FP };
// A location: physical register 0–15 GPR (x86 numbers), 16–31 xmm, or a stack slot, or nothing.
typedef uint32_t ra_loc;
#define RA_NONE UINT32_MAX
#define RA_REMAT (UINT32_MAX - 1) // move source: make the value anew (vreg is in the move)
#define RA_SLOT(n) (64u + (n))
#define RA_IS_REG(loc) ((loc) < 32u)
#define RA_IS_SLOT(loc) ((loc) >= 64u && (loc) < RA_REMAT)

enum ra_kind { RA_USE, RA_DEF };
enum ra_when { RA_EARLY, RA_LATE }; // uses are usually EARLY, definitions LATE
enum ra_how {
    RA_REG,   // any register of the class
    RA_ANY,   // register or stack slot (an operand that may be memory)
    RA_FIXED, // the register in `fixed`
    RA_REUSE, // definitions only: the register of operand number `fixed` of the same instruction (a USE, EARLY, RA_REG)
};
struct ra_operand {
    uint32_t vreg;
    uint8_t kind, when, how, fixed;
};
struct ra_insn {
    uint32_t first, count; // operands, in ra_input.operand
    uint32_t clobber;      // bit n: register n (0–31)
    bool is_move; // operand 0 is a definition and 1 a use of a plain copy: coalesce if possible (never required)
    bool commutes; // the operand that a definition reuses and the one after it may change places, if both are EARLY and not FIXED:
        // then the first one's location holds the second one's value, and the other way round
};
struct ra_vreg {
    uint8_t cls;   // enum ra_class
    uint8_t bytes; // 4, 8, 16: how much a spill must keep
    bool remat;    // may be made anew anywhere without inputs
    uint32_t hint; // preferred register, or RA_NONE
};
struct ra_block {
    uint32_t begin, end; // instructions [begin, end)
    uint32_t preds, succs;
    const uint32_t *pred, *succ; // block numbers = positions in layout order
    uint32_t params;
    const uint32_t *param; // vregs
    uint32_t args;         // arguments to succ[0]'s parameters (only when succs == 1), else 0
    const uint32_t *arg;   // vregs
};
struct ra_input {
    uint32_t insns, operands, vregs, blocks; // vregs: highest number + 1; vreg 0 unused
    const struct ra_insn *insn;
    const struct ra_operand *operand;
    const struct ra_vreg *vreg;
    const struct ra_block *block;
    uint32_t allocatable; // bit n: register n may be used (never rsp, r15; r11 is kept as the emitter's scratch)
    uint32_t callee_saved; // bit n: using it costs a save: prefer others for short lives
    uint32_t live_work; // (value, block) pairs that liveness may visit before it estimates; 0: in proportion to the size
    // Registers for breaking cycles and slot-to-slot moves (r11, xmm15): not allocatable.
    uint32_t scratch_int, scratch_fp;
};
struct ra_move {
    uint32_t at; // before instruction `at`; sorted by at; within one `at`, execute in order
    ra_loc from, to;
    uint32_t vreg; // whose value (class and width; RA_REMAT: what to make)
};
struct ra_output {
    ra_loc *loc; // [operands]
    struct ra_move *move;
    uint32_t moves, slots;
    uint32_t used; // bit n: register n is written somewhere (for saving callee-saved ones)
};

// Allocates in `a`. Does not return (jit_fail) without memory, beyond limits, or with JIT_ERR_INTERNAL when the input breaks a rule.
void ra_run(struct jit_arena *a, const struct ra_input *in, struct ra_output *out);

// Sequences n parallel moves (each `to` once, any `from` may repeat). Cycles are broken through the class's scratch register,
// slot-to-slot moves go through it too; a cycle with two slot-to-slot moves needs `spare` besides, the first of two unused slots.
// out has room for 4·n moves (more than are written: the rest is work space). Returns how many were written, n log n.
uint32_t ra_sequence(const struct ra_move *moves, uint32_t n, const struct ra_vreg *vreg,
                     uint32_t scratch_int, uint32_t scratch_fp, ra_loc spare,
                     struct ra_move *out); // x64/pmove.c

// For tests: follows every value through locations and moves symbolically; NULL or what is wrong. Takes
// blocks × locations × values bits. (x64/regalloc_check.c)
const char *ra_check(struct jit_arena *a, const struct ra_input *in, const struct ra_output *out);
#endif
