// judge.h — a whole block through the verifier, and what it accepts through the policy (O2) and the CPU (O3).
#ifndef TESTS_FUZZ_JUDGE_H
#define TESTS_FUZZ_JUDGE_H
#include "sfi-jit/sfi.h"

// Counts the block; accepted ones are judged by vpolicy_block() and, if `run` > 0, each of the first `run` functions is
// executed once (exec_setup() first). Returns whether it was accepted.
bool judge_block(const struct sfi_code *code, unsigned run);
#endif
