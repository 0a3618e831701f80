// sched.h — between sched.c (which thread runs where) and thread.c (life, waiting): not for others.
//
// Each CPU has a queue of ready threads a level, under its own lock. A thread is on at most one queue. `state` alone decides who may
// put a waiting thread on one: the one whose compare-and-exchange takes it from WAITING to READY (sched_claim). A waker, the timer and
// thr_interrupt() may all try; one wins, and what the others leave behind (its place on a list of waiters or of timers) the
// thread removes itself when it runs.
//
// on_cpu is set while a CPU is on the thread's stack, which may be a little longer than it is RUNNING: until it is clear the thread
// runs nowhere else, and is not freed.
#ifndef SASOS_RUN_SCHED_H
#define SASOS_RUN_SCHED_H
#include "sasos/arch/lock.h"
#include "sasos/run/thread.h"

#define THR_INTERRUPT_PENDING 0x80u // in `state`: thr_interrupt() not yet seen by thr_wait()

struct thread {
    struct trap_frame frame; // first: where execution goes on, while not running
    uint8_t *xsave;          // 64-aligned
    bool vectors_saved;      // xsave is this thread's; else the registers come back cleared
    bool joinable, listed;   // listed: on the list of its event's waiters
    uint32_t on_cpu;
    uint32_t state; // enum thr_state, and THR_INTERRUPT_PENDING; atomic
    enum thr_level level;
    uint32_t cpu;             // on whose queue it is, or where it ran last
    int pinned;               // the only CPU that it may run on; THR_ANY_CPU
    struct thread *next;      // on a queue, or on the list of the dead
    struct thread *wait_next; // on a list of waiters, under that list's lock
    struct thread *timed_next;
    struct sched *timed_on; // whose list of timers it is on; under that one's lock
    uint64_t deadline;
    uint64_t run_since, slice_end, slice_left, cpu_ns;
    uint64_t share_ns;              // what it may run in a window; 0: no limit
    uint64_t window, window_cpu_ns; // the window's number; cpu_ns when it was first seen
    uint64_t held_until;            // ns; set between a tick and the end of its interrupt, else 0
    bool exempt;                    // from its share; atomic
    uint64_t stops_seen;            // smp_stops() when it was last looked at for that, running
    uint64_t stack_top;
    uint32_t stack_size;
    struct event ended; // joinable: its end
    void *data;
    uint16_t module; // whose home it is; SASOS_TRACE_KERNEL
    char name[THR_NAME_MAX];
};

// A thread without a stack, not yet on any queue. NULL: no memory.
struct thread *sched_thread(const char *name, enum thr_level level);
void sched_thread_free(struct thread *t);

// In all of these interrupts are off.
bool sched_claim(struct thread *t, enum thr_state from);
bool sched_enter(struct thread *t, enum thr_state to); // RUNNING → to; false if an interrupt is pending
void sched_ready(struct thread *t); // of a claimed or new thread: to a queue, and the CPU told
void sched_sleep(struct thread *t, uint64_t deadline); // gives up the CPU; back when somebody has claimed it
void sched_leave(void);                                // gives up the CPU, for good or as READY
void sched_requeue(struct thread *t, bool at_head); // the running thread, on this CPU's queue
// After something was made ready outside of an interrupt handler: gives way to a higher level, at once or, where the caller
// has interrupts off (`flags` of cpu_irq_save()), as soon as it has them on again.
void sched_preempt(uint64_t flags);
bool sched_started(void);
#endif
