// emit.h — from allocated machine instructions to the function assembler. Private to emit*.c.
//
// Frame, from rsp upwards: spill slots, saved registers. r11 and xmm15 belong to the emitter: they hold nothing
// between two machine instructions.
#ifndef X64_EMIT_H
#define X64_EMIT_H
#include "sfi-jit/x64/asm.h"
#include "sfi-jit/x64/minsn.h"

#define SCRATCH R11
#define FSCRATCH 15u

struct x64_stub { // code behind the blocks: a trap, or what finds out which one it is
    uint32_t label, wasm;
    uint16_t kind, aux;
    uint8_t ftoi_size, ftoi_reg; // not 0: NaN in this xmm means CONVERSION, else OVERFLOW
};

struct x64_emitter {
    struct x64_asm s;
    struct jit_arena *arena;
    const struct x64_code *code;
    const struct ra_input *in;
    const struct ra_output *ra;
    uint32_t frame, saved; // bytes; offset of the saved registers, behind the slots
    uint32_t move;         // next of ra->move
    const struct x64_order *order;
    uint32_t block, at;      // being emitted, and its place in the order
    bool *align;             // [blocks]: a jump table's target
    const uint16_t *reclean; // x64_reclean()
    uint32_t zero_unit;      // if this is s.units: ZF says whether zero_reg is 0
    uint8_t zero_reg, zero_size;
    struct x64_stub *stub;
    uint32_t stubs, stub_cap;
};

static inline ra_loc x64_loc(const struct x64_emitter *e, uint32_t insn, uint32_t operand) {
    return e->ra->loc[e->code->ra[insn].first + operand];
}
// A general register or an xmm's number.
static inline unsigned x64_reg(const struct x64_emitter *e, uint32_t insn, uint32_t operand) {
    return x64_loc(e, insn, operand) & 15;
}
// The operand that ModRM names: `operand`, or the instruction's memory operand whose index register `operand` is. If the
// access may trap this is noted for the next unit.
struct x64_rm x64_rm_of(struct x64_emitter *e, uint32_t insn, uint32_t operand);
struct x64_rm x64_slot(ra_loc loc);
// The label of a stub that traps.
uint32_t x64_trap_label(struct x64_emitter *e, enum sfi_trap kind, uint32_t wasm, uint16_t aux);
uint32_t x64_ftoi_label(struct x64_emitter *e, uint32_t wasm, unsigned reg, unsigned fsize);
void x64_load_imm(struct x64_asm *s, unsigned reg, uint64_t imm);
// The bits of 4 or 8 bytes; of 16 bytes see X64_VECTOR_ONES.
void x64_load_const(struct x64_asm *s, unsigned xmm, unsigned bytes, uint64_t bits);

// Each emits one instruction of its kind.
void x64_emit_int(struct x64_emitter *e, uint32_t insn);     // emit_int.c
void x64_emit_float(struct x64_emitter *e, uint32_t insn);   // emit_float.c
void x64_emit_simd(struct x64_emitter *e, uint32_t insn);    // emit_simd.c
void x64_emit_control(struct x64_emitter *e, uint32_t insn); // emit_control.c
void x64_emit_stubs(struct x64_emitter *e);                  // emit_control.c
void x64_find_targets(struct x64_emitter *e);                // emit_control.c

// What mops.def says of an operator.
enum x64_form {
    FORM_NONE,
    FORM_COPY,
    FORM_MOVI,
    FORM_ZERO,
    FORM_RM,
    FORM_LEA,
    FORM_ALU,
    FORM_CMP,
    FORM_TEST,
    FORM_IMUL,
    FORM_IMUL3,
    FORM_ONE,
    FORM_BSWAP,
    FORM_SHIFT,
    FORM_SHIFTX,
    FORM_RORX,
    FORM_SETCC,
    FORM_CMOV,
    FORM_DIVIDE,
    FORM_MULHIGH,
    FORM_STORE,
    FORM_UPDATE,
    FORM_ATOMIC,
    FORM_FCOPY,
    FORM_FCONST,
    FORM_FLOAD,
    FORM_FSTORE,
    FORM_F3,
    FORM_F2,
    FORM_ROUND,
    FORM_FB,
    FORM_UCOM,
    FORM_ITOF,
    FORM_UTOF,
    FORM_FTOI,
    FORM_MOVIF,
    FORM_MOVFI,
    FORM_MINMAX,
    FORM_FSEL,
    FORM_V3,
    FORM_V3I,
    FORM_V2,
    FORM_V2I,
    FORM_VSI,
    FORM_VEX,
    FORM_VMASK,
    FORM_VTEST,
    FORM_VST,
    FORM_JMP,
    FORM_JCC,
    FORM_SWITCH,
    FORM_JTABLE,
    FORM_RET,
    FORM_TAIL,
    FORM_TAILI,
    FORM_CALL,
    FORM_CALLI,
    FORM_TRAPIF,
    FORM_TRAP,
    FORM_FENCE,
    FORM_FIRST_FLOAT = FORM_FCOPY,
    FORM_FIRST_SIMD = FORM_V3,
    FORM_FIRST_CONTROL = FORM_JMP,
};
struct x64_mop_info {
    uint8_t form, digit;
    uint32_t opcode;
    const char *text;
};
extern const struct x64_mop_info x64_mop_info[MOPS];
#endif
