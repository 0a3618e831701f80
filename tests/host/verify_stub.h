// verify_stub.h — one instruction of the allow-list on the real CPU, between a state that goes in and one that comes out.
//
// Oracle O4: after it ran, a register that the verifier calls zeroed has an upper half of zero, one that it calls
// untouched is untouched, memory changed only where the operand lies and only if the instruction writes, and no flag but
// the arithmetic ones moved. For instructions that access nothing outside vstub_window. One thread.
#ifndef TESTS_VERIFY_STUB_H
#define TESTS_VERIFY_STUB_H
#include "sfi-jit/verify/decode.h"
#include <stddef.h>

enum { VSTUB_WINDOW = 1 << 14 };
extern uint8_t vstub_window[VSTUB_WINDOW]; // r15 points here, before the instruction runs

struct vstub_state {
    uint64_t gpr[16]; // rsp is not taken in
    uint64_t flags;
    uint64_t unused[15];
    uint8_t xmm[16][16];
};

// NULL, or why nothing can run here.
const char *vstub_setup(void);
// Runs it once, whatever it does; *state becomes what it left.
void vstub_run(const uint8_t *bytes, unsigned n, struct vstub_state *state);
// The same, and NULL or which claim of *insn is false. `address`: of its access in the window.
const char *vstub_check(const uint8_t *bytes, unsigned n, const struct sfi_insn *insn,
                        struct vstub_state *state, size_t address);
#endif
