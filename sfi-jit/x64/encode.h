// encode.h — x86-64 instruction bytes: one call, one instruction, the canonical encoding that sfi.h asks for.
//
// Pure functions of their arguments. They write at most X64_INSN_MAX bytes at `p` and return the end. Canonical means: mandatory
// prefix, a REX only if it has an effect, the shortest displacement, the two-byte VEX prefix where it can express the
// instruction. The shortest *immediate* and the right opcode of a pair are the caller's choice (x64/asm.h).
// A RIP-relative displacement is written as zero: it is the last four bytes before the immediate, for a relocation to fill.
// Reference: Intel SDM volume 2, 2.1–2.3. Checked against llvm-mc by tests/host/test_x64_encode.c.
#ifndef X64_ENCODE_H
#define X64_ENCODE_H
#include <stdbool.h>
#include <stdint.h>

#define X64_INSN_MAX 15u

enum x64_reg {
    RAX,
    RCX,
    RDX,
    RBX,
    RSP,
    RBP,
    RSI,
    RDI,
    R8,
    R9,
    R10,
    R11,
    R12,
    R13,
    R14,
    R15,
};

enum x64_cc { // the condition's number in Jcc, SETcc and CMOVcc; cc ^ 1 is its opposite
    CC_O,
    CC_NO,
    CC_B,
    CC_AE,
    CC_E,
    CC_NE,
    CC_BE,
    CC_A,
    CC_S,
    CC_NS,
    CC_P,
    CC_NP,
    CC_L,
    CC_GE,
    CC_LE,
    CC_G,
};

// The operand that ModRM.rm names.
enum x64_rm_kind { RM_REG, RM_BASE, RM_SIB, RM_INDEX, RM_RIP };
struct x64_rm {
    uint8_t kind;  // enum x64_rm_kind
    uint8_t base;  // RM_REG: the register itself (general or xmm); RM_BASE, RM_SIB
    uint8_t index; // RM_SIB, RM_INDEX: not rsp
    uint8_t scale; // log2
    int32_t disp;
};

// An opcode: number, mandatory prefix (as VEX.pp counts them) and map.
enum { PP_NONE, PP_66, PP_F3, PP_F2 };
#define X64_OPC(pp, map, op) ((uint32_t)(op) | (uint32_t)(pp) << 8 | (uint32_t)(map) << 12)
enum {
    X64_REG8 = 1 << 16, // ModRM.reg is a byte register: sil, dil, bpl need a REX
    X64_RM8 = 1 << 17,  // the same for ModRM.rm, if it is a register
    X64_LOCK = 1 << 18, // with the lock prefix
};

// Legacy (REX) encoding. `w`: 64-bit operand size. `reg`: register or /digit.
uint8_t *x64_put_legacy(uint8_t *p, uint32_t opc, bool w, unsigned reg, const struct x64_rm *rm);
// VEX.128 encoding; `v` is VEX.vvvv's register, 0 where unused.
uint8_t *x64_put_vex(uint8_t *p, uint32_t opc, bool w, unsigned reg, unsigned v,
                     const struct x64_rm *rm);
// Little-endian immediate of 1, 2, 4 or 8 bytes.
uint8_t *x64_put_imm(uint8_t *p, uint64_t imm, unsigned bytes);
// Fills n bytes with the longest of SFI_NOPS.
void x64_put_nops(uint8_t *p, unsigned n);

static inline struct x64_rm x64_rm_reg(unsigned reg) {
    return (struct x64_rm){.kind = RM_REG, .base = (uint8_t)reg};
}
static inline struct x64_rm x64_rm_base(unsigned base, int32_t disp) {
    return (struct x64_rm){.kind = RM_BASE, .base = (uint8_t)base, .disp = disp};
}
static inline struct x64_rm x64_rm_sib(unsigned base, unsigned index, unsigned scale, int32_t disp) {
    return (struct x64_rm){RM_SIB, (uint8_t)base, (uint8_t)index, (uint8_t)scale, disp};
}
#endif
