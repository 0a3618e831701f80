// block.h — random blocks in the language that the verifier accepts, or one flaw away from it (generator G5).
//
// Up to three functions with frames, stack arguments, labels, branches, calls, both templates, accesses of every form, of
// rows drawn from the whole allow-list. The generator keeps the proof state as the verifier's decoder tells it, so most
// blocks without a flaw are accepted; what a block does is for the oracles to see.
#ifndef TESTS_FUZZ_BLOCK_H
#define TESTS_FUZZ_BLOCK_H
#include "sfi-jit/sfi.h"

enum { BLOCK_BYTES = 8192, BLOCK_FUNCS = 4, BLOCK_LABELS = 64, BLOCK_TABLES = 8, BLOCK_THUNKS = 2 };

struct block {
    _Alignas(32) uint8_t bytes[BLOCK_BYTES];
    struct sfi_func func[BLOCK_FUNCS];
    struct sfi_label label[BLOCK_LABELS];
    struct sfi_jump_table table[BLOCK_TABLES];
    uint32_t thunk_sig[BLOCK_THUNKS];
    struct sfi_code code;
};

// From fuzz_noise().
void block_make(struct block *out);
// Breaks one thing: a byte, an instruction's place, a label, a function, a number.
void block_flaw(struct block *b);
#endif
