// lower_simd.h — what the files for vectors share: steps of sequences, numbers of operators. Private to lower_simd.c, lower_lanes.c,
// lower_shuffle.c.
//
// A step makes one machine instruction. `d` is the vreg that its result goes to, 0 for a new one; returns it.
#ifndef X64_LOWER_SIMD_H
#define X64_LOWER_SIMD_H
#include "sfi-jit/wasm/reader.h"
#include "sfi-jit/x64/lower.h"

#define OP(name) (WASM_OP_##name - WASM_OP_SIMD)
#define REPEAT8(byte) (0x0101010101010101u * (uint64_t)(byte))
#define REPEAT16(word) (0x0001000100010001u * (uint64_t)(word))
#define REPEAT32(dword) ((uint64_t)(dword) << 32 | (dword))

uint32_t x64_v3(struct x64_lower *l, uint32_t d, enum x64_mop op, uint32_t a, uint32_t b);
uint32_t x64_v3i(struct x64_lower *l, uint32_t d, enum x64_mop op, uint32_t a, uint32_t b,
                 unsigned imm);
// With a constant of the pool on the right.
uint32_t x64_v3p(struct x64_lower *l, uint32_t d, enum x64_mop op, uint32_t a, uint64_t low,
                 uint64_t high);
uint32_t x64_v2(struct x64_lower *l, uint32_t d, enum x64_mop op, uint32_t a);
uint32_t x64_v2i(struct x64_lower *l, uint32_t d, enum x64_mop op, uint32_t a, unsigned imm);
uint32_t x64_vzero(struct x64_lower *l);

void x64_lower_lanes(struct x64_lower *l,
                     ir_ref r); // lower_lanes.c: splats, single lanes, their loads and stores
void x64_lower_shuffle(struct x64_lower *l, ir_ref r); // lower_shuffle.c
#endif
