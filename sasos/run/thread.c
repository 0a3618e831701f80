// thread.c — the scheduler (thread.h). All of its state belongs to the one CPU and is touched with interrupts off; that is the
// lock. (With more CPUs each gets its own queues, and a thread that is being switched away from must not be taken by another
// CPU before thread_switch_away() has left its stack.)
//
// One way in, two ways out. A thread runs when frame_resume() gets its frame. It stops running either in an interrupt,
// whose frame and vector registers are copied into the struct (thr_irq_exit), or by thread_switch_away(), which fills the
// frame with what the calling convention preserves. Either way the stack of the scheduler is the interrupt stack.
#include "sasos/run/thread.h"
#include "sasos/arch/apic.h"
#include "sasos/arch/cpu.h"
#include "sasos/arch/irq.h"
#include "sasos/arch/offsets.h"
#include "sasos/arch/time.h"
#include "sasos/lib/mem.h"
#include "sasos/lib/panic.h"
#include "sasos/mem/heap.h"
#include "sasos/mem/stack.h"

#define MXCSR_DEFAULT 0x1f80u
#define XSAVE_MXCSR 24 // Intel SDM volume 1, table 13-1
#define XSAVE_MIN 576  // legacy area and header
#define RFLAGS_IF (1ull << 9)
#define RFLAGS_FIXED (1ull << 1)

struct thread {
    struct trap_frame frame; // first: where execution goes on, while not running
    uint8_t *xsave;          // 64-aligned
    bool vectors_saved;      // xsave is this thread's; else the registers come back cleared
    bool interrupted;        // thr_interrupt() not yet seen by thr_wait()
    bool in_mutex;           // waits for a mutex: only thr_unlock() ends it
    enum thr_state state;
    enum thr_level level;
    struct thread *next;     // in the ready queue, a waiters list, or the list of the dead
    struct thread **waiting; // head of the waiters list it is on, NULL: none (mere sleep)
    struct thread *timed_next;
    uint64_t deadline; // ns; THR_FOREVER: not on the timed list
    uint64_t run_since, slice_end, cpu_ns;
    uint64_t stack_top;
    uint32_t stack_size;
    void *data;
    char name[THR_NAME_MAX];
};
_Static_assert(offsetof(struct thread, frame) == 0, "entry.S is given the thread's frame");

void thread_switch_away(struct trap_frame *frame); // entry.S; returns when the thread runs again
extern const char thread_begin[];
struct trap_frame *thread_switch_to(void); // for entry.S
_Noreturn void frame_resume(struct trap_frame *frame);

static struct queue { struct thread *first, *last; } ready[THR_LEVELS];
static struct thread *timed; // by deadline
static struct thread *dead;
static struct thread idle_thread;
static __attribute__((aligned(64))) uint8_t cleared_vectors[4096];
static bool started;

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

// ---- Queues; interrupts are off in all of these --------------------------------------------------------------------------------

static void ready_add(struct thread *t, bool at_head) {
    struct queue *q = &ready[t->level];
    t->state = THR_READY;
    if (at_head || !q->first) {
        t->next = q->first;
        q->first = t;
        if (!t->next) q->last = t;
    } else {
        t->next = NULL;
        q->last->next = t;
        q->last = t;
    }
    struct thread *current = cpu_this()->current;
    if (current == cpu_this()->idle || t->level < current->level) cpu_this()->need_resched = true;
}

static struct thread *ready_take(void) {
    for (int level = 0; level < THR_LEVELS; level++) {
        struct thread *t = ready[level].first;
        if (!t) continue;
        ready[level].first = t->next;
        t->next = NULL;
        return t;
    }
    return cpu_this()->idle;
}

static void timed_add(struct thread *t) {
    struct thread **p = &timed;
    while (*p && (*p)->deadline <= t->deadline) p = &(*p)->timed_next;
    t->timed_next = *p;
    *p = t;
}

static void timed_remove(struct thread *t) {
    if (t->deadline == THR_FOREVER) return;
    for (struct thread **p = &timed; *p; p = &(*p)->timed_next) {
        if (*p != t) continue;
        *p = t->timed_next;
        break;
    }
    t->deadline = THR_FOREVER;
}

static void waiters_remove(struct thread *t) {
    for (struct thread **p = t->waiting; p && *p; p = &(*p)->next) {
        if (*p != t) continue;
        *p = t->next;
        break;
    }
    t->waiting = NULL;
}

// Ends a wait, whatever it was for.
static void make_ready(struct thread *t) {
    KASSERT(t->state == THR_WAITING);
    waiters_remove(t);
    timed_remove(t);
    ready_add(t, false);
}

static void arm_timer(void) {
    struct cpu *c = cpu_this();
    uint64_t want = timed ? timed->deadline : THR_FOREVER;
    if (c->current != c->idle) want = MIN(want, time_now_ns() + THR_TICK_NS);
    // A timer that fires earlier than needed comes here again; only a later one must be moved.
    if (want < c->timer_deadline) apic_timer_arm(want);
}

static struct trap_frame *run(struct thread *t) {
    struct cpu *c = cpu_this();
    uint64_t now = time_now_ns();
    c->current->cpu_ns += now - c->current->run_since;
    c->current = t;
    c->need_resched = false;
    t->state = THR_RUNNING;
    t->run_since = now;
    t->slice_end = now + THR_SLICE_NS;
    vectors_restore(t);
    arm_timer();
    return &t->frame;
}

// ---- Switching -------------------------------------------------------------------------------------------------------------------

// On the scheduler's stack; the thread that gave up the CPU has its state saved and is on whatever list it waits on.
struct trap_frame *thread_switch_to(void) {
    return run(ready_take());
}

static void switch_away(void) {
    struct thread *t = cpu_this()->current;
    KASSERT(!cpu_irqs_on() && !cpu_this()->irq_depth && !cpu_this()->fault_depth);
    t->vectors_saved = false;
    thread_switch_away(&t->frame);
}

struct trap_frame *thr_irq_exit(struct trap_frame *frame) {
    struct cpu *c = cpu_this();
    if (!started) return frame;
    if (!c->need_resched) {
        arm_timer();
        return frame;
    }
    struct thread *t = c->current;
    t->frame = *frame;
    vectors_save(t);
    // A thread that was preempted by a higher level keeps its place; one whose slice is over goes to the end.
    if (t != c->idle) ready_add(t, time_now_ns() < t->slice_end);
    return run(ready_take());
}

void thr_tick(void) {
    struct cpu *c = cpu_this();
    c->timer_deadline = THR_FOREVER; // it has fired
    if (!started) return;
    uint64_t now = time_now_ns();
    while (timed && timed->deadline <= now) make_ready(timed);
    struct thread *t = c->current;
    if (t != c->idle && now >= t->slice_end) {
        t->slice_end = now; // over, should it be preempted
        for (enum thr_level l = 0; l <= t->level; l++)
            if (ready[l].first) c->need_resched = true;
    }
}

// After something was made ready outside of an interrupt handler: gives way to a higher level, at once or, where the caller
// has interrupts off, as soon as it has them on again.
static void preempt_check(uint64_t flags) {
    struct cpu *c = cpu_this();
    if (!c->need_resched || !started || c->irq_depth) return;
    if (!(flags & RFLAGS_IF)) {
        apic_self_ipi(IRQ_VECTOR_RESCHEDULE);
        return;
    }
    if (c->current != c->idle) ready_add(c->current, true);
    switch_away();
}

// ---- Life of a thread --------------------------------------------------------------------------------------------------------------

void thr_init(void) {
    KASSERT(cpu_features()->xsave_size >= XSAVE_MIN &&
            cpu_features()->xsave_size <= sizeof cleared_vectors);
    vectors_init(cleared_vectors);
    struct thread *t = &idle_thread;
    static __attribute__((aligned(64))) uint8_t idle_xsave[4096];
    t->xsave = idle_xsave;
    vectors_init(t->xsave);
    t->state = THR_RUNNING;
    t->level = THR_APPLICATION;
    t->deadline = THR_FOREVER;
    str_copy(t->name, sizeof t->name, "idle");
    cpu_this()->idle = cpu_this()->current = t;
    vectors_restore(t);
}

static void bury_dead(void) {
    for (;;) {
        uint64_t flags = cpu_irq_save();
        struct thread *t = dead;
        if (t) dead = t->next;
        cpu_irq_restore(flags);
        if (!t) return;
        stack_free(t->stack_top);
        kfree(t);
    }
}

void thr_start(void) {
    __asm__ volatile("cli");
    started = true;
    for (;;) {
        if (dead) bury_dead();
        if (ready[THR_DRIVER].first || ready[THR_APPLICATION].first) {
            switch_away();
            continue;
        }
        arm_timer();
        cpu_wait_for_interrupt(); // interrupts are off again after it
    }
}

struct thread *thr_create(const char *name, enum thr_level level, uint32_t stack_size, thr_fn *fn,
                          void *arg) {
    KASSERT(level < THR_LEVELS);
    bury_dead();
    size_t head = ALIGN_UP(sizeof(struct thread), 64); // kalloc aligns to the size class: 64 at least
    struct thread *t = kzalloc(head + cpu_features()->xsave_size);
    if (!t) return NULL;
    t->stack_size = (uint32_t)ALIGN_UP(stack_size ? stack_size : STACK_DEFAULT, 4096);
    t->stack_top = stack_alloc(t->stack_size);
    if (!t->stack_top) {
        kfree(t);
        return NULL;
    }
    t->xsave = (uint8_t *)t + head;
    KASSERT((uint64_t)t->xsave % 64 == 0);
    vectors_init(t->xsave);
    t->level = level;
    t->deadline = THR_FOREVER;
    str_copy(t->name, sizeof t->name, name);
    t->frame = (struct trap_frame){
        .rbx = (uint64_t)fn,
        .r12 = (uint64_t)arg,
        .rip = (uint64_t)thread_begin,
        .cs = SEL_CODE,
        .ss = SEL_DATA,
        .rflags = RFLAGS_FIXED | RFLAGS_IF,
        .rsp = t->stack_top,
    };
    uint64_t flags = cpu_irq_save();
    ready_add(t, false);
    preempt_check(flags);
    cpu_irq_restore(flags);
    return t;
}

void thr_exit(void) {
    __asm__ volatile("cli");
    struct thread *t = cpu_this()->current;
    KASSERT(t != cpu_this()->idle);
    // Freed by the next thr_create() or by the idle thread: not here, where its stack is still in use.
    t->state = THR_DEAD;
    t->next = dead;
    dead = t;
    switch_away();
    panic("a dead thread runs");
}

struct thread *thr_current(void) {
    return cpu_this()->current;
}

void thr_yield(void) {
    uint64_t flags = cpu_irq_save();
    ready_add(cpu_this()->current, false);
    switch_away();
    cpu_irq_restore(flags);
}

// ---- Waiting -------------------------------------------------------------------------------------------------------------------------

// Interrupts are off from before the caller's test until the switch: nobody can wake in between.
static void sleep_on(struct thread **waiters, uint64_t deadline) {
    struct thread *t = cpu_this()->current;
    KASSERT(started && t != cpu_this()->idle);
    t->state = THR_WAITING;
    t->waiting = waiters;
    t->next = NULL;
    if (waiters) {
        while (*waiters) waiters = &(*waiters)->next;
        *waiters = t;
    }
    t->deadline = deadline;
    if (deadline != THR_FOREVER) timed_add(t);
    switch_away();
}

uint32_t thr_wait(struct event *e, uint64_t deadline_ns) {
    uint64_t flags = cpu_irq_save();
    struct thread *t = cpu_this()->current;
    uint32_t bits = 0;
    for (;;) {
        bits = e->bits;
        e->bits = 0;
        if (t->interrupted) bits |= THR_INTERRUPTED;
        t->interrupted = false;
        if (bits || (deadline_ns != THR_FOREVER && deadline_ns <= time_now_ns())) break;
        sleep_on(&e->waiters,
                 deadline_ns); // woken: somebody else may have taken the bits first, so look again
    }
    cpu_irq_restore(flags);
    return bits;
}

void thr_wake(struct event *e, uint32_t bits) {
    KASSERT(bits && !(bits & THR_INTERRUPTED));
    uint64_t flags = cpu_irq_save();
    e->bits |= bits;
    if (e->waiters) make_ready(e->waiters);
    preempt_check(flags);
    cpu_irq_restore(flags);
}

void thr_sleep_until(uint64_t deadline_ns) {
    uint64_t flags = cpu_irq_save();
    while (time_now_ns() < deadline_ns && !cpu_this()->current->interrupted)
        sleep_on(NULL, deadline_ns);
    cpu_irq_restore(flags);
}

void thr_interrupt(struct thread *t) {
    uint64_t flags = cpu_irq_save();
    t->interrupted = true;
    // A thread that waits for a mutex goes on waiting: it gets the mutex, and the interruption at its next thr_wait().
    if (t->state == THR_WAITING && !t->in_mutex) make_ready(t);
    preempt_check(flags);
    cpu_irq_restore(flags);
}

bool thr_try_lock(struct mutex *m) {
    uint64_t flags = cpu_irq_save();
    bool got = !m->owner;
    if (got) m->owner = cpu_this()->current;
    cpu_irq_restore(flags);
    return got;
}

void thr_lock(struct mutex *m) {
    uint64_t flags = cpu_irq_save();
    struct thread *t = cpu_this()->current;
    KASSERT(m->owner != t);
    if (!m->owner) {
        m->owner = t;
    } else {
        t->in_mutex = true;
        sleep_on(&m->waiters, THR_FOREVER);
        t->in_mutex = false;
        KASSERT(m->owner == t); // handed over by thr_unlock()
    }
    cpu_irq_restore(flags);
}

void thr_unlock(struct mutex *m) {
    uint64_t flags = cpu_irq_save();
    KASSERT(m->owner == cpu_this()->current);
    m->owner = m->waiters;
    if (m->owner) make_ready(m->owner);
    preempt_check(flags);
    cpu_irq_restore(flags);
}

// ---- Accessors -----------------------------------------------------------------------------------------------------------------------

void *thr_data(const struct thread *t) { return t->data; }
void thr_set_data(struct thread *t, void *data) { t->data = data; }
const char *thr_name(const struct thread *t) { return t->name; }
uint64_t thr_cpu_ns(const struct thread *t) { return t->cpu_ns; }
uint64_t thr_stack_top(const struct thread *t) { return t->stack_top; }
uint64_t thr_stack_bottom(const struct thread *t) { return t->stack_top - t->stack_size; }
enum thr_level thr_level(const struct thread *t) { return t->level; }
