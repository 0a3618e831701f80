// irq.h — interrupt vectors for devices: allocation, dispatch, counters.
//
// A vector means the same handler on every CPU; dev/ writes it into an MSI-X entry or an interrupt-remapping entry. A
// handler runs on the interrupt stack with interrupts off, must not wait or allocate (it calls thr_wake), and returns before
// the end-of-interrupt is sent. The same handler may run on two CPUs at once. Every vector is possibly spurious: a handler treats its call as "look", not as "it has
// happened". Vectors without a handler are counted and ended, never fatal.
#ifndef SASOS_ARCH_IRQ_H
#define SASOS_ARCH_IRQ_H
#include <stdbool.h>
#include <stdint.h>

#define IRQ_VECTOR_FIRST 0x30
#define IRQ_VECTOR_LAST 0xef
#define IRQ_VECTOR_TIMER 0xf0
#define IRQ_VECTOR_RESCHEDULE 0xf1 // from any CPU: look at your queue of threads
#define IRQ_VECTOR_SMP 0xf2        // from any CPU: a request of arch/smp.h
#define IRQ_VECTOR_SPURIOUS 0xff

typedef void irq_handler_fn(void *arg);

int irq_alloc(irq_handler_fn *handler, void *arg); // vector, or -1 when all are taken
// After it returns the handler does not run, on any CPU, and will not run again. The device must be silent already, or its
// interrupts are counted as unexpected. Not from a handler.
void irq_free(int vector);
uint64_t irq_count(int vector);
uint64_t irq_unexpected(void); // interrupts on vectors without a handler, since boot

// Message for an MSI to this CPU (or, for a thread that may be moved, one that it has run on) in compatibility format (Intel SDM 3A 11.11.1, 11.11.2): fixed, edge.
uint64_t irq_msi_address(void);
static inline uint32_t irq_msi_data(int vector) { return (uint32_t)vector; }
#endif
