// minsn.h — machine instructions before and during register allocation: what lower.c makes and emit.c reads.
//
// Instruction i is described twice, in parallel arrays: struct x64_insn says what it is, struct ra_insn which operands it has
// (regalloc.h). Operands come in the order that mops.def gives for the operator's form; the index register of a memory operand
// stands where the `rm` operand would stand.
#ifndef X64_MINSN_H
#define X64_MINSN_H
#include "sfi-jit/x64/encode.h"
#include "sfi-jit/x64/regalloc.h"

enum x64_mop {
#define X(name, text, form, opcode, digit) MOP_##name,
#include "sfi-jit/x64/mops.def"
#undef X
    MOPS,
};

enum x64_mem { // the memory operand of an instruction
    XM_NONE,   // rm is an operand: a register, or the slot of a spilled value
    XM_INDEX, // [r15 + operand + disp]: the operand is clean; LEA: [operand + operand << scale + disp]
    XM_ABS,    // [r15 + disp], disp ≥ 0
    XM_CTX,    // [r15 − disp]
    XM_POOL,   // constant `disp` of the pool
    XM_BASE,   // LEA: [operand + disp]
    XM_SCALED, // LEA: [operand << scale + disp]
};

// Conditions beyond the CPU's: equality of floating-point numbers looks at two flags.
enum { CC_FEQ = 16, CC_FNE = 17 };

enum x64_ftoi { // MOP_FTOI, besides size (of the integer) and fsize
    FTOI_SIGNED = 1,
    FTOI_SATURATE = 2,
};

struct x64_insn {
    uint8_t op; // enum x64_mop
    uint8_t size, fsize;
    uint8_t cc;
    uint8_t mem;   // enum x64_mem
    uint8_t scale; // LEA
    bool has_imm;
    int32_t disp;
    uint32_t wasm; // offset of the operator that may trap here
    uint64_t imm;
};

struct x64_code { // a function, selected
    struct x64_insn *insn;
    struct ra_insn *ra;
    struct ra_operand *operand;
    struct ra_vreg *vreg;
    uint64_t *vconst; // of vregs that can be made anew: the constant's bits, for 16 bytes as below
    struct ra_block *block;
    uint32_t *target; // of switches: imm blocks from target[disp]
    uint32_t insns, operands, vregs, blocks, targets;
};

// The constant of a 16-byte vreg, in vconst and in FCONST's imm: 0, X64_VECTOR_ONES, or 1 + its place in the pool.
#define X64_VECTOR_ONES UINT64_MAX

struct ir_func;
struct x64_module;
struct jit_options;

// Instruction selection. (lower*.c)
void x64_lower(struct jit_arena *a, struct x64_module *m, struct ir_func *f, struct x64_code *out);
// For each instruction that is a call: the registers whose clean upper halves must be made known anew behind it; NULL if there is none.
// (reclean.c)
uint16_t *x64_reclean(struct jit_arena *a, const struct x64_code *code, const struct ra_output *ra);
// One block of several that hold the same moves and jump to the same place. The graph is not that of the IR any more, nor one for
// ra_check(). (twins.c)
void x64_twins(struct jit_arena *a, const struct x64_code *code, struct ra_output *ra);
struct x64_order {
    uint32_t blocks,
        *order; // what is laid out, in order; behind the last one stands the number of all blocks
    uint32_t *move;    // [block]: the first of ra->move in it
    bool *empty;       // [block]: only a jump; never laid out
    uint32_t *goes_to; // [block]: itself, or where the chain of empty blocks ends
};
// Where the blocks go. (order.c)
struct x64_order *x64_order(struct jit_arena *a, const struct x64_code *code,
                            const struct ra_output *ra);
// Encodes an allocated function and appends it to the module. (emit*.c)
void x64_emit(struct jit_arena *a, struct x64_module *m, const struct x64_code *code,
              const struct ra_input *in, const struct ra_output *ra, const struct x64_order *order,
              uint32_t sig);
// Textual form; with locations, and the order of the blocks, if `ra` and `order` are not NULL. (mdump.c)
void x64_dump(const struct x64_code *code, const struct ra_output *ra, const struct x64_order *order,
              void (*put)(void *ctx, const char *text, size_t n), void *ctx);
#endif
