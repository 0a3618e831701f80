// profile.h — where a program spends its time: a sample of the instruction pointer at each tick of the CPU-time clock.
//
// For bench/jit.py --hot, in processes of one thread. The handler only counts, in a fixed table; samples outside the given
// range (libc, the kernel, functions of the host) are one number. On a kernel of 250 Hz a second of work gives 250 samples.
#ifndef BENCH_PROFILE_H
#define BENCH_PROFILE_H
#include <stdbool.h>
#include <stdint.h>

// Counts what lies in [base, base + size), at most 1 MiB of it, from now on.
void profile_start(uint64_t base, uint64_t size);
// Stops, and writes a line "offset count" for each address that was met, then "outside count". False: the file cannot be written.
bool profile_stop(const char *path);
#endif
