// decode.h — the verifier's own decoder: one instruction of the allow-list, and what it does as far as safety goes.
//
// Private to sfi-jit/verify/ and its tests. The decoder knows encodings (canonical or not, on the list or not) and
// reports effects; it knows no state and no policy. Direct control flow, frames, templates, ud2 and filler are not
// instructions to it: verify.c recognises them by their exact bytes first, everything else comes here.
#ifndef SFI_VERIFY_DECODE_H
#define SFI_VERIFY_DECODE_H
#include "sfi-jit/verify/verify.h"

#define SFI_INSN_BYTES 16 // what the decoder may read; no accepted instruction is longer than 15

enum {
    SFI_RAX = 0,
    SFI_RDX = 2,
    SFI_RSP = 4,
    SFI_R11 = 11,
    SFI_R15 = 15,
    SFI_RIP = 16,    // as a base
    SFI_NO_REG = 17, // no base, no index
};

struct sfi_insn {
    uint8_t width;            // bytes accessed in memory, 0: none
    uint8_t base, index;      // of the memory operand, SFI_RIP and SFI_NO_REG included
    uint8_t scale;            // log2
    bool reads, writes;       // memory
    bool atomic;              // allowed on the window only
    int32_t disp;             // of the memory operand
    uint16_t named;           // GPRs that appear as register operands, or as base and index of lea
    uint16_t zeroed, dirtied; // GPRs written: with an upper half of zero, or not known to be
};

// The length of the instruction at p[0..15], or minus the rule that it breaks.
int sfi_decode(const uint8_t *p, struct sfi_insn *out);
#endif
