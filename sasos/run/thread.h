// thread.h — preemptive threads on all CPUs, and how they wait.
//
// Every thread has one stack (mem/stack.h) on which kernel code and, through crossings, modules run. Two levels, round robin
// within each: DRIVER threads are woken by interrupts and run before APPLICATION threads at once; a thread that stays
// runnable is preempted when its slice (THR_SLICE_NS) is over. Kernel code is preemptible except under a spinlock, in
// handlers and between cpu_irq_save/restore. Unless pinned to one CPU a thread may be moved to another whenever it is not
// running.
//
// Where a thread's state is: preempted by an interrupt, its full trap frame and XSAVE area are in struct thread (nothing of
// it is left on the interrupt stack); given up voluntarily, only what the C calling convention preserves is kept, and its
// vector registers come back cleared, so that no domain's data is left in them for another's thread.
//
// Waiting: an event is a word of bits. thr_wake() ORs bits in and may be called from interrupt handlers; thr_wait() takes
// all bits and clears them, or sleeps. Test and sleep are one step under the event's lock, and bits stay until
// taken: a wake-up before the wait is not lost, from whatever CPU. An event may be freed after a thr_wait() that has brought the
// last bits anybody will set.
#ifndef SASOS_RUN_THREAD_H
#define SASOS_RUN_THREAD_H
#include "sasos/arch/lock.h"
#include "sasos/arch/trap.h"
#include <stdbool.h>
#include <stdint.h>

#define THR_NAME_MAX 32
#define THR_SLICE_NS 4000000ull
#define THR_TICK_NS 1000000ull
#define THR_SHARE_NS 100000000ull // the windows in which shares are counted
#define THR_FOREVER UINT64_MAX
#define THR_ANY_CPU (-1)

enum thr_level { THR_DRIVER, THR_APPLICATION, THR_LEVELS };
// HELD: preempted, having had its share; only the timer ends that.
enum thr_state { THR_READY, THR_RUNNING, THR_WAITING, THR_WAITING_MUTEX, THR_HELD, THR_DEAD };

struct thread; // allocated by thr_create(), freed after its end by the scheduler

struct event { // all zero at first
    struct spinlock lock;
    uint32_t bits;
    struct thread *waiters; // in order of arrival; one waker's bits go to the first
};
// Returned by thr_wait besides the event's own bits 0–30: somebody called thr_interrupt().
#define THR_INTERRUPTED (1u << 31)

struct mutex { // all zero at first
    struct spinlock lock;
    struct thread *owner;
    struct thread *waiters; // in order of arrival; unlock hands over to the first, so none starves and none is missed
};

// Makes the boot context this CPU's idle thread; thr_init_cpu() makes one for another CPU (false: no memory). Threads run, on every CPU
// that has called thr_start(), from the boot CPU's call on.
void thr_init(void);
bool thr_init_cpu(struct cpu *c);
_Noreturn void thr_start(void);

typedef void thr_fn(void *arg);
// NULL when memory is out. The thread is ready at once; returning from fn is thr_exit().
struct thread *thr_create(const char *name, enum thr_level level, uint32_t stack_size, thr_fn *fn,
                          void *arg);
struct thr_spec {
    const char *name;
    enum thr_level level;
    uint32_t stack_size; // 0: STACK_DEFAULT
    int cpu;             // THR_ANY_CPU, or the only one that it will ever run on
    bool joinable;       // its creator calls thr_join(), once
};
struct thread *thr_spawn(const struct thr_spec *spec, thr_fn *fn, void *arg);
_Noreturn void thr_exit(void);
// Waits for the thread's end and frees it: nothing of it runs, on any CPU, when this returns.
void thr_join(struct thread *t);
struct thread *thr_current(void);
void thr_yield(void);

// Bits that were set (0: the deadline, ns of time_now_ns(), passed). THR_FOREVER: no deadline. A past deadline only polls.
uint32_t thr_wait(struct event *e, uint64_t deadline_ns);
void thr_wake(struct event *e, uint32_t bits); // any context; bits in 0–30, not none
void thr_sleep_until(uint64_t deadline_ns);
// Makes the thread's current or next thr_wait return THR_INTERRUPTED (once). Any context.
void thr_interrupt(struct thread *t);

void thr_lock(struct mutex *m);
void thr_unlock(struct mutex *m); // by the owner only

// Accessors for run/: the domain record that belongs to the thread (opaque here), name, CPU time, stack.
void *thr_data(const struct thread *t);
void thr_set_data(struct thread *t, void *data, uint16_t module); // its number, for the trace
const char *thr_name(const struct thread *t);
uint64_t thr_cpu_ns(const struct thread *t); // time spent running; the running thread's own up to its last tick
uint64_t thr_stack_bottom(const struct thread *t);
uint32_t thr_cpu(const struct thread *t); // where it runs or ran last

// At most so much of a CPU in each window (0: no limit). Nothing happens by itself: thr_hold_if_over(), called by a tick's hook that finds the
// current thread where it may stay for that long, preempts it until the window ends if it has had its share.
void thr_set_share(struct thread *t, uint32_t percent);
void thr_hold_if_over(void);
// While exempt it is not held, and one that is held goes on at once. What it computes counts all the same. Any context.
void thr_exempt(struct thread *t, bool exempt);

// ---- For arch/ only ----
// Called at the end of every interrupt; returns the frame to resume, the same one or another thread's.
struct trap_frame *thr_irq_exit(struct trap_frame *frame);
void thr_tick(void);
void thr_trace_interrupt(uint8_t vector);
void thr_on_reschedule(void);           // IRQ_VECTOR_RESCHEDULE
void thr_stops_checked(uint64_t count); // the running thread was looked at, as of that smp_stops()
void thr_bury(void);                    // frees threads that are dead
#endif
