// host.h — what the Linux tools share: the platform's set-up, files, messages.
//
// host_init() comes first. It refuses a CPU that lacks what compiled code needs, reserves address space for code next to the
// program, and takes over SIGSEGV, SIGBUS, SIGILL and SIGFPE: faults of modules become traps (ldr_fault), all others go to who had the signal
// before, after one line that says so. Further threads that run modules call host_thread_init() themselves.
#ifndef SFI_HOST_H
#define SFI_HOST_H
#include "loader/loader.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Prints why and exits with status 2 if modules cannot run here. `tool` begins all messages of die().
void host_init(const char *tool);
void host_signals(void);     // takes the signals over again, after somebody else did (cmocka does)
void host_thread_init(void); // the signal stack of this thread
// A thread whose C stack limit fits this one; exits when memory is out.
struct ldr_thread *host_thread(uint32_t stack_size);
// Kills the instance after so many seconds of time; 0: no more.
void host_budget(struct ldr_instance *inst, double seconds);
// For tests: the n-th next request for memory (heap, pages, slot, stack, code) fails, and only that one; 0: none. Returns how many
// requests there were since the last call.
unsigned host_fail_at(unsigned n);
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
// The whole file, or NULL with errno set. malloc'ed.
uint8_t *host_read_file(const char *path, size_t *out_size);
double host_seconds(void);             // monotonic
double host_cycle_seconds(uint64_t n); // of time-stamp counts, as measured since host_init()
#endif
