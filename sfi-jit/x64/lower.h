// lower.h — instruction selection's shared state and building blocks. Private to lower*.c.
//
// Selection walks the blocks in layout order and each block forwards, but decides before (lower_fold.c) which values are not made by
// themselves: constants, comparisons that only conditions use, loads and shifts that their one user takes as an operand. A load is only
// taken where no other effect lies between it and its user.
//
// Clean upper halves. An i32's upper half is zero in its vreg by construction of its defining instruction (32-bit destinations; moves and
// spills of 4-byte vregs are 32 bits wide) except for parameters, call results and WRAP, which is no instruction but another name for
// its operand. lower_fold.c finds what must be clean (addresses, operands of EXTU, through PHIs); where one of these exceptions must
// be, its definition gets a `mov r32, r32`.
#ifndef X64_LOWER_H
#define X64_LOWER_H
#include "sfi-jit/ir/ir.h"
#include "sfi-jit/x64/link.h"
#include "sfi-jit/x64/minsn.h"

enum {
    FOLD_SKIP = 1, // not made by itself
    FOLD_RM_A = 2, // operand a, or b, is a load that this instruction takes as its memory operand; STORE, B: with what is done to it
    FOLD_RM_B = 4,
    FOLD_LEA_A = 8, // operand a, or b, is a shift that becomes the scale of a lea; A: or a sum, whose terms do
    FOLD_LEA_B = 16,
    FOLD_CLEAN = 32,  // must have a clean upper half
    FOLD_ROTATE = 64, // both operands are shifts that make a rotation
    FOLD_CARRY = 128, // operand b is an unsigned "less" (extended, or not) that becomes the carry
};

struct x64_lower {
    struct jit_arena *arena;
    struct x64_module *module;
    struct ir_func *f;
    uint32_t *vreg; // [value]: 0 until asked for
    ir_ref *alias;  // [value]: another name for that value, or 0
    uint32_t *uses; // [value]
    uint8_t *fold;  // [value]: FOLD_*
    struct x64_code out;
    uint32_t insn_cap, operand_cap, vreg_cap, target_cap;
    uint32_t *edge;           // [block with one successor]: which of that one's predecessors it is
    uint32_t *list_of, lists; // [block]: the last list of edges that named it
    uint32_t wasm;            // of the operator being lowered
    ir_ref added;             // value that the ADD before instruction `added_at` has made
    uint32_t added_at;
};

// The second, flexible operand of an instruction.
struct x64_src {
    enum { SRC_VREG, SRC_IMM, SRC_MEM } kind;
    uint32_t vreg; // SRC_VREG; SRC_MEM: the index or 0
    uint64_t imm;
    uint8_t mem; // enum x64_mem
    int32_t disp;
    uint32_t wasm;
};

static inline struct ir_ins *x64_ins(const struct x64_lower *l, ir_ref r) { return &l->f->ins[r]; }
static inline bool x64_is_float(uint8_t ir_type) { return ir_type >= IR_F32; }
static inline uint8_t x64_size(uint8_t ir_type) {
    return ir_type == IR_I32 || ir_type == IR_F32 ? 4 : ir_type == IR_V128 ? 16 : 8;
}
static inline bool x64_fits32(uint64_t v) { return (uint64_t)(int64_t)(int32_t)v == v; }

// ---- building instructions: x64_new() begins one, then its operands are added in order, nothing in between
struct x64_insn *x64_new(struct x64_lower *l, enum x64_mop op, uint8_t size);
uint32_t x64_new_vreg(struct x64_lower *l, uint8_t ir_type);
void x64_operand(struct x64_lower *l, uint32_t vreg, enum ra_kind kind, enum ra_when when,
                 enum ra_how how, uint32_t fixed);
static inline void x64_out(struct x64_lower *l, uint32_t vreg) {
    x64_operand(l, vreg, RA_DEF, RA_LATE, RA_REG, 0);
}
static inline void x64_out_reuse(struct x64_lower *l, uint32_t vreg) {
    x64_operand(l, vreg, RA_DEF, RA_LATE, RA_REUSE, 1);
}
static inline void x64_out_fixed(struct x64_lower *l, uint32_t vreg, uint32_t reg) {
    x64_operand(l, vreg, RA_DEF, RA_LATE, RA_FIXED, reg);
}
static inline void x64_in(struct x64_lower *l, uint32_t vreg) {
    x64_operand(l, vreg, RA_USE, RA_EARLY, RA_REG, 0);
}
static inline void x64_in_late(struct x64_lower *l, uint32_t vreg) {
    x64_operand(l, vreg, RA_USE, RA_LATE, RA_REG, 0);
}
static inline void x64_in_any(struct x64_lower *l, uint32_t vreg) {
    x64_operand(l, vreg, RA_USE, RA_EARLY, RA_ANY, 0);
}
static inline void x64_in_fixed(struct x64_lower *l, uint32_t vreg, uint32_t reg) {
    x64_operand(l, vreg, RA_USE, RA_EARLY, RA_FIXED, reg);
}
void x64_clobber(struct x64_lower *l, uint32_t registers);
// Adds `s` as the flexible operand (vreg, immediate, memory) of the instruction just begun.
void x64_in_src(struct x64_lower *l, const struct x64_src *s);

// ---- values
bool x64_is_const(const struct x64_lower *l, ir_ref r,
                  uint64_t *out_bits); // bits: sign-extended from the type's width; never a V128
ir_ref x64_name(const struct x64_lower *l, ir_ref r); // follows aliases
uint32_t x64_vreg_of(struct x64_lower *l, ir_ref r);  // the vreg that holds r
uint32_t x64_use(struct x64_lower *l, ir_ref r); // the same, constants made on the spot (spoils flags)
uint32_t x64_imm(struct x64_lower *l, uint8_t ir_type, uint64_t bits);
uint32_t x64_imm_vector(struct x64_lower *l, uint64_t low, uint64_t high);
// r as a flexible operand; `load`: r is a load folded here. Constants that fit become immediates if imm_ok.
struct x64_src x64_source(struct x64_lower *l, ir_ref r, bool load, bool imm_ok);
uint8_t x64_access_size(const struct x64_lower *l, const struct ir_ins *i); // of a LOAD or STORE
// The memory operand of a LOAD or STORE.
struct x64_src x64_address(struct x64_lower *l, const struct ir_ins *i);
struct x64_src x64_address_at(struct x64_lower *l, ir_ref a, uint64_t offset, uint32_t wasm);
void x64_set_mem(struct x64_insn *i, const struct x64_src *s);
// Emits what sets the flags for r ≠ 0 and returns the condition.
uint8_t x64_condition(struct x64_lower *l, ir_ref r);
void x64_trap_if(struct x64_lower *l, enum x64_cc cc, enum sfi_trap trap);

// ---- the parts
void x64_fold(struct x64_lower *l); // lower_fold.c
bool x64_is_compare(const struct ir_ins *i);
bool x64_negation(const struct x64_lower *l, const struct ir_ins *i); // i is "a = 0" or "a ≠ 0"
void x64_lower_int(struct x64_lower *l, ir_ref r);                    // lower_int.c
void x64_lower_float(struct x64_lower *l, ir_ref r);                  // lower_float.c
void x64_lower_memory(struct x64_lower *l, ir_ref r);                 // lower_mem.c
void x64_lower_atomic(struct x64_lower *l, ir_ref r);                 // lower_atomic.c
// A memory.copy or memory.fill that is done in place: lower_bulk.c.
bool x64_is_short_bulk(const struct x64_lower *l, const struct ir_ins *i);
void x64_lower_bulk(struct x64_lower *l, ir_ref r);
void x64_lower_simd(struct x64_lower *l, ir_ref r); // lower_simd.c
// Which of a vector operator's operands may be a load of 16 bytes: FOLD_RM_A, FOLD_RM_B.
uint8_t x64_simd_rm(const struct ir_ins *i);
// The operator is two shifts by constants that make a rotation by whole bytes: its value, and the order of its bytes as vpshufb wants it.
bool x64_simd_rotation(const struct x64_lower *l, const struct ir_ins *i, ir_ref *out_value,
                       uint64_t out_order[2]);
void x64_lower_params(struct x64_lower *l); // lower_call.c
void x64_lower_call(struct x64_lower *l, ir_ref r);
void x64_lower_return(struct x64_lower *l, ir_ref r);
void x64_lower_tail_call(struct x64_lower *l, ir_ref r);
#endif
