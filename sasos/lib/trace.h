// trace.h — what happened lately, on all CPUs: one ring of the newest events (abi.h: struct sasos_trace), switched on by the
// configuration or the operator.
//
// Off, an event costs a load and a branch that is always predicted. On, its writer takes the next number, and with it a place in the
// ring, and waits for nobody. Any context but an NMI. Read by trace_read(), and by a panic if it is on.
#ifndef SASOS_LIB_TRACE_H
#define SASOS_LIB_TRACE_H
#include "sasos/run/abi.h"
#include <stdbool.h>

#define TRACE_EVENTS 4096u

extern bool trace_on; // changed at any time
// `module`: its number in the configuration, or SASOS_TRACE_KERNEL.
#define TRACE(kind, module, value, more)                                                \
    (__builtin_expect(__atomic_load_n(&trace_on, __ATOMIC_RELAXED), 0)                  \
         ? trace_put(SASOS_TRACE_##kind, (uint16_t)(module), (value), (uint32_t)(more)) \
         : (void)0)
void trace_put(enum sasos_trace_kind kind, uint16_t module, uint64_t value, uint32_t more);
// The event of that number, or the next one that is kept; false: there is none yet.
bool trace_read(uint64_t number, struct sasos_trace *out);
void trace_print(void); // the newest few, to the console
#endif
