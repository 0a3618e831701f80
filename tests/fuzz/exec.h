// exec.h — runs accepted code in this process, in a slot like the kernel's, and notices what it must not do (oracle O3).
//
// Around the window, context, tables and stack of the slot nothing is mapped, code and read-only words are not writable.
// Registers hold random values (dirty upper halves, boundary addresses), but r15 and rsp. Signals bring the machine back;
// a timer ends loops. Wrong are: a fault at an address that is neither in the window and its back guard nor in the guard
// below the stack; any signal with rip outside the block; an int3; r15, rsp, control flags or MXCSR changed; the return
// address or what lies above it changed; a return to somewhere else.
//
// One thread, one slot a process. Code runs with the rights of this process: only what sfi_verify() accepted, or a test
// that wants to see the oracle fire, may be given to it.
#ifndef TESTS_FUZZ_EXEC_H
#define TESTS_FUZZ_EXEC_H
#include "sfi-jit/sfi.h"

enum exec_end { EXEC_RETURNED, EXEC_FAULTED, EXEC_TIMED_OUT };

void exec_setup(void);
// Copies the block into executable memory, with thunks that return garbage, and table rows for its functions.
void exec_load(const struct sfi_code *code);
// Runs function `index` of the loaded block from a random state. NULL, or what is wrong.
const char *exec_run(const struct sfi_code *code, uint32_t index, enum exec_end *out_end);
#endif
