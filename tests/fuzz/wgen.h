// wgen.h — random WebAssembly modules that validate and end (generator G7).
//
// Type directed: expressions are made for the type that is wanted, from the rows of ops.def (with vectors and atomics; without relaxed
// ones, waiting, and most of what is about references), so a new instruction there is generated without a change here. Functions call only functions before them, and every loop counts down a common fuel
// global, so all of it ends. Addresses are masked into the memory, or lie at a boundary: 0, the size, 2³¹, 2³². Results of
// floating-point arithmetic are made canonical, so that engines may differ in NaN payloads.
//
// Exports: "r0" … "rN" () -> i64, to be called in order, and "h" () -> i64, a hash over memory and globals.
#ifndef TESTS_FUZZ_WGEN_H
#define TESTS_FUZZ_WGEN_H
#include <stddef.h>
#include <stdint.h>

enum { WGEN_MAX = 1 << 16 };
// From fuzz_noise(). Returns the size.
size_t wgen_module(uint8_t out[WGEN_MAX], unsigned *out_exports);
#endif
