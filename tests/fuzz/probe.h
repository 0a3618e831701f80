// probe.h — one instruction in a minimal function: does sfi_verify() accept it, how long is it to sfi_verify(), and is what
// is accepted right to two foreign decoders (O1) and to the policy of tests/host/verify_policy.h (O2)?
#ifndef TESTS_FUZZ_PROBE_H
#define TESTS_FUZZ_PROBE_H
#include <stdint.h>

void probe_setup(void);
// Judges the instruction that bytes[0..14] begin with, if it is accepted where all registers are clean, there is a frame,
// and there are incoming arguments and a pool. Counts it in fuzz_counts.
void probe_try(const uint8_t *bytes);
#endif
