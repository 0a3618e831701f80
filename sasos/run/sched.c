// sched.c — which thread runs on which CPU (thread.h, sched.h).
//
// One way in, two ways out. A thread runs when frame_resume() gets its frame. It stops running either in an interrupt,
// whose frame and vector registers are copied into the struct (thr_irq_exit), or by thread_switch_away(), which fills the
// frame with what the calling convention preserves. Either way the stack of the scheduler is the interrupt stack, and a thread's
// on_cpu is cleared there, when nothing of the thread is in use any more.
//
// Placement. A woken thread goes where it ran last if it can run there at once; else to an idle CPU; else here if it can run here at
// once; else where it ran last. It also stays where it ran last while a driver runs there: drivers compute for microseconds, and a
// request's chain of wake-ups then needs no second CPU. A CPU without work takes threads from the others, and the tick of a CPU
// with threads to spare wakes one that is idle. Pinned threads are never moved.
//
// Wake-ups of another CPU. running_level is changed by its CPU and read by wakers under that CPU's lock, in one step with its
// queue: either the waker sees what the CPU runs now and interrupts it if that must give way, or the CPU sees the new thread. A
// CPU that halts looked with interrupts off: the interrupt that comes after the look ends the halt.
#include "sasos/run/sched.h"
#include "sasos/arch/apic.h"
#include "sasos/arch/irq.h"
#include "sasos/arch/time.h"
#include "sasos/layout.h"
#include "sasos/lib/mem.h"
#include "sasos/lib/panic.h"
#include "sasos/lib/trace.h"
#include "sasos/mem/heap.h"

#define MXCSR_DEFAULT 0x1f80u
#define XSAVE_MXCSR 24 // Intel SDM volume 1, table 13-1
#define XSAVE_MIN 576  // legacy area and header
#define RFLAGS_IF (1ull << 9)
#define LEVEL_IDLE THR_LEVELS

_Static_assert(offsetof(struct thread, frame) == 0, "entry.S is given the thread's frame");

void thread_switch_away(struct trap_frame *frame); // entry.S; returns when the thread runs again
struct trap_frame *thread_switch_to(void);         // for entry.S

struct queue {
    struct thread *first, *last;
};
struct __attribute__((aligned(64))) sched { // of one CPU
    struct spinlock lock;
    uint32_t running_level; // what runs here: LEVEL_IDLE, nothing
    uint32_t queued;        // threads in `ready`; read without the lock as a hint
    struct queue ready[THR_LEVELS];
    struct thread *timed;   // by deadline
    uint64_t next_deadline; // of the first; changed under the lock, read by its CPU without
};

static struct sched scheds[CPUS_MAX];
static uint64_t idle_cpus; // a bit each; a hint
static __attribute__((aligned(64))) uint8_t cleared_vectors[4096];
static bool started;

bool sched_started(void) { return __atomic_load_n(&started, __ATOMIC_ACQUIRE); }

static struct sched *own(void) { return &scheds[cpu_this()->index]; }

// ---- Vector state ------------------------------------------------------------------------------------------------------------

static void vectors_save(struct thread *t) {
    uint64_t mask = cpu_features()->xcr0;
    if (cpu_features()->xsaveopt)
        __asm__ volatile("xsaveopt64 (%0)"
                         :
                         : "r"(t->xsave), "a"((uint32_t)mask), "d"((uint32_t)(mask >> 32))
                         : "memory");
    else
        __asm__ volatile("xsave64 (%0)"
                         :
                         : "r"(t->xsave), "a"((uint32_t)mask), "d"((uint32_t)(mask >> 32))
                         : "memory");
    t->vectors_saved = true;
}

static void vectors_restore(struct thread *t) {
    uint64_t mask = cpu_features()->xcr0;
    // An area whose header is zero sets every component to its initial state; MXCSR is loaded in any case.
    uint8_t *area = t->vectors_saved ? t->xsave : cleared_vectors;
    __asm__ volatile("xrstor64 (%0)"
                     :
                     : "r"(area), "a"((uint32_t)mask), "d"((uint32_t)(mask >> 32))
                     : "memory");
}

static void vectors_init(uint8_t *area) {
    uint32_t mxcsr = MXCSR_DEFAULT;
    memcpy(area + XSAVE_MXCSR, &mxcsr, sizeof mxcsr);
}

struct thread *sched_thread(const char *name, enum thr_level level) {
    size_t head = ALIGN_UP(sizeof(struct thread), 64); // kalloc aligns to the size class: 64 at least
    struct thread *t = kzalloc(head + cpu_features()->xsave_size);
    if (!t) return NULL;
    t->xsave = (uint8_t *)t + head;
    KASSERT((uint64_t)t->xsave % 64 == 0);
    vectors_init(t->xsave);
    t->level = level;
    t->pinned = THR_ANY_CPU;
    t->module = SASOS_TRACE_KERNEL;
    str_copy(t->name, sizeof t->name, name);
    return t;
}

void sched_thread_free(struct thread *t) { kfree(t); }

// ---- Queues ------------------------------------------------------------------------------------------------------------------

static void queue_add(struct sched *s, struct thread *t, bool at_head) {
    struct queue *q = &s->ready[t->level];
    if (at_head || !q->first) {
        t->next = q->first;
        q->first = t;
        if (!t->next) q->last = t;
    } else {
        t->next = NULL;
        q->last->next = t;
        q->last = t;
    }
    __atomic_store_n(&s->queued, s->queued + 1, __ATOMIC_RELAXED);
}

static void queue_remove(struct sched *s, struct queue *q, struct thread *before, struct thread *t) {
    if (before)
        before->next = t->next;
    else
        q->first = t->next;
    if (q->last == t) q->last = before;
    t->next = NULL;
    __atomic_store_n(&s->queued, s->queued - 1, __ATOMIC_RELAXED);
}

static uint32_t level_of(uint32_t cpu) {
    return __atomic_load_n(&scheds[cpu].running_level, __ATOMIC_RELAXED);
}

// Hints only are read here: sched_ready() finds out under the lock whether the CPU must be told.
static uint32_t place(const struct thread *t) {
    uint32_t last = t->cpu, here = cpu_this()->index;
    if (t->pinned != THR_ANY_CPU) return (uint32_t)t->pinned;
    if (smp_count() == 1) return 0;
    // Its CPU is still leaving its stack, and will look at its queue next. (Set before it began to wait, and so before it was claimed:
    // a look that finds it clear is right.)
    if (__atomic_load_n(&t->on_cpu, __ATOMIC_RELAXED)) return last;
    uint32_t there = level_of(last);
    if (t->level < there) return last;
    if (there == THR_DRIVER && t->level == THR_APPLICATION &&
        !__atomic_load_n(&scheds[last].queued, __ATOMIC_RELAXED))
        return last;
    uint64_t idle = __atomic_load_n(&idle_cpus, __ATOMIC_RELAXED);
    if (idle >> here & 1) return here;
    if (idle) return (uint32_t)__builtin_ctzll(idle);
    return t->level < level_of(here) ? here : last;
}

bool sched_claim(struct thread *t, enum thr_state from) {
    uint32_t s = __atomic_load_n(&t->state, __ATOMIC_RELAXED);
    // Acquire and release: who wins goes on with what the thread, or the last to touch it, has written.
    while ((s & ~THR_INTERRUPT_PENDING) == from)
        if (__atomic_compare_exchange_n(&t->state, &s, (s & THR_INTERRUPT_PENDING) | THR_READY,
                                        false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            return true;
    return false;
}

bool sched_enter(struct thread *t, enum thr_state to) {
    uint32_t running = THR_RUNNING;
    return __atomic_compare_exchange_n(&t->state, &running, to, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_RELAXED);
}

// From RUNNING or READY, keeping a pending interrupt.
static void set_state(struct thread *t, enum thr_state from, enum thr_state to) {
    uint32_t was = __atomic_fetch_xor(&t->state, from ^ to, __ATOMIC_ACQ_REL);
    KASSERT((was & ~THR_INTERRUPT_PENDING) == from);
}

void sched_ready(struct thread *t) {
    uint32_t cpu = place(t);
    TRACE(WAKE, t->module, 0, cpu);
    struct sched *s = &scheds[cpu];
    spin_take(&s->lock);
    t->cpu = cpu;
    queue_add(s, t, false);
    bool gives_way = t->level < s->running_level;
    spin_give(&s->lock);
    if (!gives_way) return;
    if (cpu == cpu_this()->index)
        cpu_this()->need_resched = true;
    else
        smp_interrupt(cpu, IRQ_VECTOR_RESCHEDULE);
}

void sched_requeue(struct thread *t, bool at_head) {
    struct sched *s = own();
    set_state(t, THR_RUNNING, THR_READY);
    spin_take(&s->lock);
    t->cpu = cpu_this()->index;
    // Whoever keeps its place keeps what is left of its slice: else one that drivers preempt often would never come to its end.
    uint64_t now = time_now_ns();
    t->slice_left = at_head && t->slice_end > now ? t->slice_end - now : 0;
    queue_add(s, t, at_head);
    spin_give(&s->lock);
}

// A thread of another CPU that may run here. Not one whose CPU is still on its stack: that one will be looking at its queue.
static struct thread *steal(void) {
    uint32_t here = cpu_this()->index, n = smp_count();
    for (uint32_t i = 1; i < n; i++) {
        struct sched *s = &scheds[(here + i) % n];
        if (!__atomic_load_n(&s->queued, __ATOMIC_RELAXED)) continue;
        spin_take(&s->lock);
        for (int level = 0; level < THR_LEVELS; level++)
            for (struct thread *t = s->ready[level].first, *before = NULL; t; before = t, t = t->next) {
                if (t->pinned != THR_ANY_CPU || __atomic_load_n(&t->on_cpu, __ATOMIC_ACQUIRE))
                    continue;
                queue_remove(s, &s->ready[level], before, t);
                spin_give(&s->lock);
                return t;
            }
        spin_give(&s->lock);
    }
    return NULL;
}

static struct thread *take_first(struct sched *s) {
    for (int level = 0; level < THR_LEVELS; level++) {
        struct thread *t = s->ready[level].first;
        if (!t) continue;
        queue_remove(s, &s->ready[level], NULL, t);
        return t;
    }
    return NULL;
}

// What runs next here; the idle thread if there is nothing anywhere.
static struct thread *pick(void) {
    struct cpu *c = cpu_this();
    struct sched *s = own();
    struct thread *stolen = NULL;
    for (bool tried = false;; tried = true) {
        spin_take(&s->lock);
        if (stolen) {
            stolen->cpu = c->index;
            queue_add(s, stolen, false); // beside what came meanwhile
        }
        struct thread *t = take_first(s);
        if (t || tried) {
            // In one step with the look at the queue (see the top of this file).
            __atomic_store_n(&s->running_level, t ? t->level : LEVEL_IDLE, __ATOMIC_RELAXED);
            spin_give(&s->lock);
            return t ? t : c->idle;
        }
        spin_give(&s->lock);
        stolen = steal();
    }
}

// ---- Timers --------------------------------------------------------------------------------------------------------------------

static void timed_changed(struct sched *s) {
    __atomic_store_n(&s->next_deadline, s->timed ? s->timed->deadline : THR_FOREVER, __ATOMIC_RELAXED);
}

static void timed_add(struct thread *t, uint64_t deadline) {
    struct sched *s = own();
    spin_take(&s->lock);
    struct thread **p = &s->timed;
    while (*p && (*p)->deadline <= deadline) p = &(*p)->timed_next;
    t->deadline = deadline;
    t->timed_next = *p;
    *p = t;
    t->timed_on = s;
    timed_changed(s);
    spin_give(&s->lock);
}

// By the thread itself, wherever it runs now.
static void timed_remove(struct thread *t) {
    // Acquire: the CPU that took it off the list (and then cleared this) did nothing to it afterwards.
    struct sched *s = __atomic_load_n(&t->timed_on, __ATOMIC_ACQUIRE);
    if (!s) return;
    spin_take(&s->lock);
    for (struct thread **p = &s->timed; *p && t->timed_on; p = &(*p)->timed_next) {
        if (*p != t) continue;
        *p = t->timed_next;
        t->timed_on = NULL;
        timed_changed(s);
        break;
    }
    spin_give(&s->lock);
}

// Those whose time has come and whom nobody else has claimed: a list by `next`.
static struct thread *timed_take(struct sched *s, uint64_t now) {
    struct thread *due = NULL, **last = &due;
    spin_take(&s->lock);
    while (s->timed && s->timed->deadline <= now) {
        struct thread *t = s->timed;
        s->timed = t->timed_next;
        // Claimed first: once timed_on is clear the thread may be in another wait already.
        if (sched_claim(t, THR_WAITING) || sched_claim(t, THR_HELD)) {
            t->next = NULL;
            *last = t;
            last = &t->next;
        }
        __atomic_store_n(&t->timed_on, NULL, __ATOMIC_RELEASE);
    }
    timed_changed(s);
    spin_give(&s->lock);
    return due;
}

static void arm_timer(void) {
    struct cpu *c = cpu_this();
    uint64_t want = __atomic_load_n(&own()->next_deadline, __ATOMIC_RELAXED);
    if (c->current != c->idle) want = MIN(want, time_now_ns() + THR_TICK_NS);
    // A timer that fires earlier than needed comes here again; only a later one must be moved.
    if (want < c->timer_deadline) apic_timer_arm(want);
}

// ---- Shares ----------------------------------------------------------------------------------------------------------------------

void thr_set_share(struct thread *t, uint32_t percent) {
    t->share_ns = THR_SHARE_NS / 100 * percent;
}

// cpu_ns is as of `now`.
static void enter_window(struct thread *t, uint64_t now) {
    if (t->window == now / THR_SHARE_NS) return;
    t->window = now / THR_SHARE_NS;
    t->window_cpu_ns = t->cpu_ns;
}

void thr_hold_if_over(void) {
    struct cpu *c = cpu_this();
    struct thread *t = c->current;
    KASSERT(cpu_in_handler());
    if (!t->share_ns) return;
    uint64_t now = time_now_ns();
    t->cpu_ns += now - t->run_since;
    t->run_since = now;
    enter_window(t, now);
    if (t->cpu_ns - t->window_cpu_ns < t->share_ns || t->exempt) return;
    t->held_until = (t->window + 1) * THR_SHARE_NS;
    c->need_resched = true;
}

static void let_go(struct thread *t) {
    if (!sched_claim(t, THR_HELD)) return;
    timed_remove(t);
    sched_ready(t);
}

// Its state is saved. It is on no list of timers: it was not waiting.
static void hold(struct thread *t) {
    timed_add(t, t->held_until); // first: who lets it go finds it there
    t->held_until = 0;
    set_state(t, THR_RUNNING, THR_HELD);
    // Either thr_exempt() finds it held, or this look sees what that wrote before it looked.
    if (__atomic_load_n(&t->exempt, __ATOMIC_SEQ_CST)) let_go(t);
}

void thr_exempt(struct thread *t, bool exempt) {
    uint64_t flags = cpu_irq_save();
    __atomic_store_n(&t->exempt, exempt, __ATOMIC_SEQ_CST);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (exempt) let_go(t);
    sched_preempt(flags);
    cpu_irq_restore(flags);
}

// ---- Switching -------------------------------------------------------------------------------------------------------------------

// The running thread's state is saved. From here on it may run elsewhere, or be freed.
static void leave(struct cpu *c) {
    struct thread *t = c->current;
    t->cpu_ns += time_now_ns() - t->run_since;
    c->current = c->idle;
    // Release: who sees the flag clear sees the frame and the registers that were saved.
    __atomic_store_n(&t->on_cpu, 0, __ATOMIC_RELEASE);
}

static void mark_idle(const struct cpu *c, bool idle) {
    uint64_t bit = 1ull << c->index;
    bool was = __atomic_load_n(&idle_cpus, __ATOMIC_RELAXED) & bit;
    if (was == idle) return;
    if (idle)
        __atomic_fetch_or(&idle_cpus, bit, __ATOMIC_RELAXED);
    else
        __atomic_fetch_and(&idle_cpus, ~bit, __ATOMIC_RELAXED);
}

static struct trap_frame *run(struct thread *t) {
    struct cpu *c = cpu_this();
    // No thread comes here before its last CPU has left it: place() keeps it with that CPU until then, steal() passes over it.
    KASSERT(!__atomic_load_n(&t->on_cpu, __ATOMIC_ACQUIRE));
    __atomic_store_n(&t->on_cpu, 1, __ATOMIC_RELAXED);
    uint64_t now = time_now_ns();
    c->current = t;
    c->need_resched = false;
    mark_idle(c, t == c->idle);
    if (t != c->idle) set_state(t, THR_READY, THR_RUNNING);
    t->run_since = now;
    if (t->share_ns) enter_window(t, now);
    t->slice_end = now + (t->slice_left ? t->slice_left : THR_SLICE_NS);
    t->slice_left = 0;
    // A domain may have been killed while this thread was in its code, preempted: look before it goes on there.
    if (t->vectors_saved && t->frame.rip >= ARENA_BASE && t->stops_seen != smp_stops())
        apic_self_ipi(IRQ_VECTOR_SMP);
    vectors_restore(t);
    arm_timer();
    return &t->frame;
}

// On the scheduler's stack; the thread that gave up the CPU has its state saved and is on whatever list it waits on.
struct trap_frame *thread_switch_to(void) {
    leave(cpu_this());
    return run(pick());
}

void sched_leave(void) {
    struct thread *t = cpu_this()->current;
    KASSERT(!cpu_irqs_on() && !cpu_in_handler());
    t->vectors_saved = false;
    thread_switch_away(&t->frame);
}

void sched_sleep(struct thread *t, uint64_t deadline) {
    KASSERT(started && t != cpu_this()->idle);
    TRACE(SLEEP, t->module, deadline, 0);
    if (deadline != THR_FOREVER) timed_add(t, deadline);
    sched_leave();
    timed_remove(t);
}

struct trap_frame *thr_irq_exit(struct trap_frame *frame) {
    struct cpu *c = cpu_this();
    if (!sched_started()) return frame;
    if (!c->need_resched) {
        arm_timer();
        return frame;
    }
    struct thread *t = c->current;
    t->frame = *frame;
    vectors_save(t);
    bool kept = time_now_ns() < t->slice_end;
    // A thread that was preempted by a higher level keeps its place; one whose slice is over goes to the end.
    if (t->held_until)
        hold(t);
    else if (t != c->idle)
        sched_requeue(t, kept);
    leave(c);
    return run(pick());
}

void thr_trace_interrupt(uint8_t vector) {
    if (vector == IRQ_VECTOR_TIMER)
        TRACE(TIMER, cpu_this()->current->module, 0, 0);
    else
        TRACE(INTERRUPT, cpu_this()->current->module, vector, 0);
}

void thr_stops_checked(uint64_t count) { cpu_this()->current->stops_seen = count; }

void thr_on_reschedule(void) {
    struct sched *s = own();
    spin_take(&s->lock);
    for (uint32_t l = 0; l < s->running_level && l < THR_LEVELS; l++)
        if (s->ready[l].first) cpu_this()->need_resched = true;
    spin_give(&s->lock);
}

void thr_tick(void) {
    struct cpu *c = cpu_this();
    struct sched *s = own();
    c->timer_deadline = THR_FOREVER; // it has fired
    if (!sched_started()) return;
    uint64_t now = time_now_ns();
    for (struct thread *t = timed_take(s, now), *next; t; t = next) {
        next = t->next;
        sched_ready(t);
    }
    struct thread *t = c->current;
    t->cpu_ns += now - t->run_since;
    t->run_since = now;
    if (t == c->idle) return;
    bool over = now >= t->slice_end;
    if (over) t->slice_end = now; // should it be preempted
    spin_take(&s->lock);
    for (uint32_t l = 0; over && l <= t->level; l++)
        if (s->ready[l].first) c->need_resched = true;
    bool spare = s->queued > 0;
    spin_give(&s->lock);
    uint64_t idle = spare ? __atomic_load_n(&idle_cpus, __ATOMIC_RELAXED) : 0;
    if (idle)
        smp_interrupt((unsigned)__builtin_ctzll(idle), IRQ_VECTOR_RESCHEDULE); // it will steal
}

void sched_preempt(uint64_t flags) {
    struct cpu *c = cpu_this();
    if (!c->need_resched || !started || c->irq_depth) return;
    if (!(flags & RFLAGS_IF)) {
        apic_self_ipi(IRQ_VECTOR_RESCHEDULE);
        return;
    }
    if (c->current != c->idle) sched_requeue(c->current, true);
    sched_leave();
}

// ---- CPUs ------------------------------------------------------------------------------------------------------------------------

bool thr_init_cpu(struct cpu *c) {
    struct thread *t = sched_thread("idle", THR_APPLICATION);
    if (!t) return false;
    t->state = THR_RUNNING;
    t->on_cpu = 1;
    t->cpu = c->index;
    t->pinned = (int)c->index;
    scheds[c->index].running_level = LEVEL_IDLE;
    scheds[c->index].next_deadline = THR_FOREVER;
    c->idle = c->current = t;
    return true;
}

void thr_init(void) {
    KASSERT(cpu_features()->xsave_size >= XSAVE_MIN &&
            cpu_features()->xsave_size <= sizeof cleared_vectors);
    vectors_init(cleared_vectors);
    if (!thr_init_cpu(cpu_this())) panic_refuse("there is not enough memory for threads");
    vectors_restore(cpu_this()->current);
}

// For the idle thread: something is on this CPU's queue, taken from another's if need be.
static bool work_here(void) {
    struct sched *s = own();
    spin_take(&s->lock);
    bool some = s->queued > 0;
    spin_give(&s->lock);
    struct thread *stolen = some ? NULL : steal();
    if (!stolen) return some;
    spin_take(&s->lock);
    stolen->cpu = cpu_this()->index;
    queue_add(s, stolen, false);
    spin_give(&s->lock);
    return true;
}

void thr_start(void) {
    struct cpu *c = cpu_this();
    __asm__ volatile("cli");
    vectors_restore(c->idle);
    if (c->index == 0) {
        // Release: what the boot has set up is there for those who see it.
        __atomic_store_n(&started, true, __ATOMIC_RELEASE);
        for (unsigned i = 1; i < smp_count(); i++) smp_interrupt(i, IRQ_VECTOR_RESCHEDULE);
    }
    mark_idle(c, true);
    for (;;) {
        if (sched_started()) {
            // With interrupts off: this thread may not run again for a long time once it is preempted, and would keep what it had
            // begun to free.
            thr_bury();
            if (work_here()) {
                sched_leave();
                continue;
            }
        }
        arm_timer();
        cpu_wait_for_interrupt(); // interrupts are off again after it
    }
}
