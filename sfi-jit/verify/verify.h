// verify.h — the verifier: may this machine code run in ring 0, next to the kernel?
//
// sfi_verify reads a block's final bytes and its side tables, front to back, and accepts it only if every rule of
// sfi.h holds. It is the one gate: code that it accepts cannot leave its slot, its frame and its context, whatever the
// compiler did. Nothing in `code` is trusted except that the arrays have the lengths it gives, that nobody writes any of
// it or of `place` meanwhile, and that thunk_sigs comes from the linker. No allocation, no recursion, no state between calls.
//
// The caller must make the bytes executable only after acceptance, unwritable from then on, at a bundle-aligned address.
#ifndef SFI_VERIFY_H
#define SFI_VERIFY_H
#include "sfi-jit/sfi.h"

enum sfi_status { SFI_ACCEPTED, SFI_REJECTED };

// Names of the rules, in rules.def.
enum sfi_rule {
    SFI_RULE_NONE,
#define RULE(name, text) SFI_RULE_##name,
#include "sfi-jit/verify/rules.def"
#undef RULE
    SFI_RULE_COUNT,
};

struct sfi_rejection {
    enum sfi_rule rule; // the first one that failed, SFI_RULE_NONE when accepted
    uint32_t offset;    // in the block: the instruction, function, label or table that failed it
};

// Working memory: what begins in a bundle.
struct sfi_place {
    uint32_t next : 27; // 1 + the number of its first label, or 0
    uint32_t at : 5;    // that label's offset in the bundle
    uint16_t clean;     // and clean set
    uint16_t entry;     // 1 + the stack words of its function or thunk, or 0
};
#define SFI_PLACES(size) (((size) + SFI_BUNDLE - 1) / SFI_BUNDLE)
_Static_assert(SFI_CODE_MAX < 1 << 27, "a label's number fits, as each has a byte of its own");
_Static_assert(SFI_BUNDLE == 1 << 5, "an offset in a bundle fits");
_Static_assert(SFI_THUNK_SIZE == SFI_BUNDLE, "a thunk has a place of its own");

// `place` is SFI_PLACES(code->size) long (not used for more than SFI_CODE_MAX), and what was in it does not matter.
// SFI_ACCEPTED, or SFI_REJECTED with the reason in *out (which is always written). Any context, any thread.
enum sfi_status sfi_verify(const struct sfi_code *code, struct sfi_place *place,
                           struct sfi_rejection *out);

// "MEM_DIRTY" and its sentence; "NONE" and "accepted" for SFI_RULE_NONE and for what is not a rule.
const char *sfi_rule_name(enum sfi_rule rule);
const char *sfi_rule_text(enum sfi_rule rule);
#endif
