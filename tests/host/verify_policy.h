// verify_policy.h — what code may do, computed from Zydis' operands (explicit and hidden) alone.
//
// The oracle that shares no decoder, table or state with the verifier. vpolicy_insn() judges one instruction that is no
// branch; vpolicy_block() walks a whole block with its side tables and demands every rule of sfi.h that keeps code inside,
// in its own way. Both may be laxer than the verifier where nothing can escape (encodings need not be canonical); they
// must never be stricter about what is accepted, nor laxer about what is reached.
#ifndef TESTS_VERIFY_POLICY_H
#define TESTS_VERIFY_POLICY_H
#include "sfi-jit/sfi.h"
#include <Zydis/Zydis.h>

// Where an instruction stands: offsets in the block, and its function's frame and stack words.
struct vplace {
    uint32_t at, frame, words, pool, pool_size;
};

struct veffects {
    uint16_t written32,
        written; // GPRs written; those whose upper half is zero afterwards, whatever happens
    uint16_t needs_clean; // the index of a window access
    unsigned width;       // of the access to memory
    bool reads, writes;
};

// Privileged, system, string, flag-state, cache and stack instructions.
bool vpolicy_is_system(const ZydisDecodedInstruction *insn);

// NULL, or what is wrong. Branches are wrong.
const char *vpolicy_insn(const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *ops,
                         const struct vplace *place, struct veffects *out);

// NULL, or what is wrong at *out_at.
const char *vpolicy_block(const struct sfi_code *code, uint32_t *out_at);
#endif
