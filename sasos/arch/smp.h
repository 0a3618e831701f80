// smp.h — several CPUs: their start, and what one may ask of the others.
//
// The CPU that booted is number 0; smp_start() starts those that the firmware's MADT calls enabled, one after the other, and
// leaves off, with a line each, what it cannot use. Numbers are dense, and none goes away.
//
// Requests. Each is a counter that only grows; a CPU answers by storing the count that it has seen, so one interrupt may answer
// several requests, and a lost one cannot be.
//   smp_flush   forget cached translations. Also answered by who spins for a lock with interrupts off (smp_relax): safe
//               with locks held. Never from an interrupt handler.
//   smp_sync    have left every handler and every section with interrupts off that had begun before. Answered in an interrupt
//               only. What such sections could find (a pointer in a list) may be freed afterwards. Interrupts are on
//               and no lock is held.
//   smp_stop_sandboxed   look now, not at the next tick, whether what you run has been killed. Not waited for.
#ifndef SASOS_ARCH_SMP_H
#define SASOS_ARCH_SMP_H
#include "sasos/arch/cpu.h"

struct trap_frame;

void smp_init(void);      // first of all, on the CPU that boots
void smp_start(void);     // the others; they wait for thr_start()
unsigned smp_count(void); // of CPUs that run

void smp_flush(void);
void smp_sync(void);
void smp_stop_sandboxed(void);
// How often smp_stop_sandboxed() was called.
uint64_t smp_stops(void);
// Raises `vector` on that CPU. Interrupts are off.
void smp_interrupt(unsigned index, uint8_t vector);

// For a panic, power-off and reset: all others stop where they are, for ever, by NMI. False: another CPU does this already, and
// this one must halt. Any context.
bool smp_stop_others(void);
// On an NMI: does not return if this CPU was told to stop.
void smp_on_nmi(void);

// IRQ_VECTOR_SMP, from arch/irq.c.
void smp_on_request(struct trap_frame *frame);

// One turn of any loop that waits for another CPU.
extern uint64_t smp_flush_wanted;
void smp_flush_self(void);
static inline void smp_relax(void) {
    cpu_pause();
    // Acquire is in smp_flush_self(); here a late look only means another turn.
    if (__atomic_load_n(&smp_flush_wanted, __ATOMIC_RELAXED) != CPU_READ(flushed)) smp_flush_self();
}
#endif
