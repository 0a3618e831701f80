// asm.h — a function assembler that obeys sfi.h: bundles, branch lengths, labels with their clean sets, trap sites.
//
// Instructions are collected as units: an instruction or a whole template, which x64_asm_finish() lays out so that none crosses a
// bundle, with branches as short as they can be, and appends to the module. Until then positions are unit numbers.
//
// Clean sets. The verifier walks the code once and knows, per register, whether its upper half is zero; so does this assembler, with
// the state at the block's head as an unknown: a register is `clean` (written clean since), `kept` (as at the block's head) or
// neither. Every instruction's effect is told by x64_def32() or x64_def(): exactly what the verifier will conclude, or less.
// At the end a must-analysis over the blocks finds what holds at their heads, and each label declares that. So a label never
// declares more than what holds, and a wrong x64_def32() is found by the verifier, not by an attacker.
//
// Labels 0 … blocks−1 are the blocks; x64_new_label() makes more, for use inside a block (forward only) or for stubs.
#ifndef X64_ASM_H
#define X64_ASM_H
#include "sfi-jit/x64/encode.h"
#include "sfi-jit/x64/link.h"
#include "sfi-jit/x64/regalloc.h"

enum x64_unit_kind { UNIT_PLAIN, UNIT_JMP, UNIT_JCC };
struct x64_unit {
    uint32_t at; // in bytes; branches have none there
    uint8_t len; // of branches: 2 while short
    uint8_t kind, cc;
    bool align, end; // at a bundle's start; control does not go on behind it
    uint32_t label;  // of branches
};

struct x64_zstate {
    uint16_t clean, kept;
};
struct x64_label {
    uint32_t unit;  // UINT32_MAX until bound
    uint32_t block; // whose head state `z` builds on; UINT32_MAX: none, declares nothing
    struct x64_zstate z;
    bool used;
};
struct x64_asm_site {
    uint32_t unit, wasm;
    uint16_t kind, aux;
};
struct x64_asm_inner { // a rel32 inside a template, at bytes[at]; the template's last branch
    uint32_t unit, at, label;
};

struct x64_asm {
    struct jit_arena *arena; // scratch: dies with the function
    struct x64_module *module;
    uint8_t *bytes;
    uint32_t size, cap;
    struct x64_unit *unit;
    uint32_t units, unit_cap;
    struct x64_label *label;
    uint32_t labels, label_cap;
    struct x64_asm_site *site;
    uint32_t sites, site_cap;
    struct x64_asm_inner *inner;
    uint32_t inners, inner_cap;
    struct x64_reloc *reloc; // `at` counts in bytes[]
    uint32_t *reloc_unit;
    uint32_t relocs, reloc_cap, reloc_unit_cap;
    struct x64_zstate z;
    struct x64_zstate *block_out; // [blocks]
    uint32_t block, blocks;
    uint32_t first_table; // of this function, in the module
    bool dead;            // the last unit ended control
    bool align_next;
};

void x64_asm_init(struct x64_asm *s, struct jit_arena *scratch, struct x64_module *m, uint32_t blocks);

// ---- instructions. An `rm` of kind RM_RIP names the pool constant `disp`.
void x64_op(struct x64_asm *s, uint32_t opc, bool w, unsigned reg, struct x64_rm rm,
            unsigned imm_bytes, uint64_t imm);
void x64_vex(struct x64_asm *s, uint32_t opc, bool w, unsigned reg, unsigned v, struct x64_rm rm,
             unsigned imm_bytes, uint64_t imm);
// Raw bytes as one unit: fixed instructions and templates.
void x64_raw(struct x64_asm *s, const uint8_t *bytes, unsigned n);
// A relocation inside the unit just made; `back` bytes before its end lies the disp32,
// `tail` bytes behind which its instruction ends.
void x64_reloc(struct x64_asm *s, enum x64_reloc_kind kind, uint32_t target, unsigned back,
               unsigned tail);
// The same for a branch inside a template. The clean set is the one told so far.
void x64_inner_branch(struct x64_asm *s, uint32_t label, unsigned back);
void x64_jmp(struct x64_asm *s, uint32_t label);
void x64_jcc(struct x64_asm *s, enum x64_cc cc, uint32_t label);
void x64_end(struct x64_asm *s); // the unit just made ends control
void x64_site(struct x64_asm *s, uint16_t kind, uint32_t wasm, uint16_t aux); // the *next* unit may trap

// ---- what the instruction just made does to the clean set
static inline void x64_def32(struct x64_asm *s, unsigned reg) {
    s->z.clean |= (uint16_t)(1u << reg);
    s->z.kept &= (uint16_t) ~(1u << reg);
}
static inline void x64_def(struct x64_asm *s, unsigned reg) {
    s->z.clean &= (uint16_t) ~(1u << reg);
    s->z.kept &= (uint16_t) ~(1u << reg);
}
static inline void x64_def_size(struct x64_asm *s, unsigned reg, unsigned size) {
    if (size == 4)
        x64_def32(s, reg);
    else
        x64_def(s, reg);
}

// ---- labels
uint32_t x64_new_label(struct x64_asm *s);
void x64_begin_block(struct x64_asm *s, uint32_t block, bool align);
void x64_end_block(struct x64_asm *s);
void x64_bind(struct x64_asm *s, uint32_t label);      // inside a block
void x64_bind_stub(struct x64_asm *s, uint32_t label); // behind all blocks
void x64_use_label(struct x64_asm *s, uint32_t label); // an edge from here that is no jmp or jcc

// Declares a jump table with these block labels as entries; returns its number.
uint32_t x64_new_table(struct x64_asm *s, const uint32_t *label, uint32_t count);

// Lays the function out at the module's end. `ra` gives the edges between blocks.
void x64_asm_finish(struct x64_asm *s, const struct ra_input *ra, uint32_t frame, uint32_t sig);
#endif
