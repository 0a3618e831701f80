// cpus.h — tests of several CPUs (cpus.c), for ktest.c.
#ifndef KTEST_CPUS_H
#define KTEST_CPUS_H

// Number of bad points.
unsigned ktest_cpus(void);
// All CPUs print, then one panics; or all panic at once.
_Noreturn void ktest_panic_one(void);
_Noreturn void ktest_panic_all(void);
#endif
