// thread.c — the life of threads, and waiting (thread.h). Which of them runs where is sched.c's business.
//
// Events and mutexes have a lock each. A thread that waits puts itself on the list and into the state WAITING under it; a waker
// claims the first waiter that nobody else has claimed, under it too. So a waker comes either before, and its bits are seen,
// or after, and finds the thread: no wake-up is lost. Every return from thr_wait() has taken the lock after the waker whose bits it
// brings: the event may be freed then.
#include "sasos/run/thread.h"
#include "sasos/arch/cpu.h"
#include "sasos/arch/offsets.h"
#include "sasos/arch/time.h"
#include "sasos/lib/mem.h"
#include "sasos/lib/panic.h"
#include "sasos/mem/stack.h"
#include "sasos/run/sched.h"

#define RFLAGS_IF (1ull << 9)
#define RFLAGS_FIXED (1ull << 1)

extern const char thread_begin[];

static struct spinlock dead_lock;
static struct thread *dead; // by `next`

// ---- Life ----------------------------------------------------------------------------------------------------------------------

struct thread *thr_spawn(const struct thr_spec *spec, thr_fn *fn, void *arg) {
    KASSERT(spec->level < THR_LEVELS);
    KASSERT(spec->cpu == THR_ANY_CPU || (spec->cpu >= 0 && (unsigned)spec->cpu < smp_count()));
    thr_bury();
    struct thread *t = sched_thread(spec->name, spec->level);
    if (!t) return NULL;
    t->stack_size = (uint32_t)ALIGN_UP(spec->stack_size ? spec->stack_size : STACK_DEFAULT, 4096);
    t->stack_top = stack_alloc(t->stack_size);
    if (!t->stack_top) {
        sched_thread_free(t);
        return NULL;
    }
    t->pinned = spec->cpu;
    t->joinable = spec->joinable;
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
    t->cpu = cpu_this()->index;
    sched_ready(t);
    sched_preempt(flags);
    cpu_irq_restore(flags);
    return t;
}

struct thread *thr_create(const char *name, enum thr_level level, uint32_t stack_size, thr_fn *fn,
                          void *arg) {
    const struct thr_spec spec = {
        .name = name, .level = level, .stack_size = stack_size, .cpu = THR_ANY_CPU};
    return thr_spawn(&spec, fn, arg);
}

static void bury(struct thread *t) {
    stack_free(t->stack_top);
    sched_thread_free(t);
}

void thr_bury(void) {
    while (__atomic_load_n(&dead, __ATOMIC_RELAXED)) {
        uint64_t flags = spin_lock(&dead_lock);
        struct thread **p = &dead, *t;
        // Acquire: its CPU has left its stack.
        while ((t = *p) && __atomic_load_n(&t->on_cpu, __ATOMIC_ACQUIRE)) p = &t->next;
        if (t) *p = t->next;
        spin_unlock(&dead_lock, flags);
        if (!t) return;
        bury(t);
    }
}

void thr_exit(void) {
    __asm__ volatile("cli");
    struct thread *t = cpu_this()->current;
    KASSERT(t != cpu_this()->idle);
    // Freed by whoever joins it, by the next thr_spawn() or by an idle thread: not here, where its stack is still in use.
    __atomic_store_n(&t->state, THR_DEAD, __ATOMIC_RELEASE);
    if (t->joinable) {
        thr_wake(&t->ended, 1);
    } else {
        spin_take(&dead_lock);
        t->next = dead;
        __atomic_store_n(&dead, t, __ATOMIC_RELAXED);
        spin_give(&dead_lock);
    }
    sched_leave();
    panic("a dead thread runs");
}

void thr_join(struct thread *t) {
    KASSERT(t->joinable && t != thr_current());
    thr_wait(&t->ended, THR_FOREVER);
    // It has interrupts off and leaves its stack next.
    while (__atomic_load_n(&t->on_cpu, __ATOMIC_ACQUIRE)) smp_relax();
    bury(t);
}

struct thread *thr_current(void) {
    return CPU_READ(current);
}

void thr_yield(void) {
    uint64_t flags = cpu_irq_save();
    sched_requeue(cpu_this()->current, false);
    sched_leave();
    cpu_irq_restore(flags);
}

// ---- Waiting -------------------------------------------------------------------------------------------------------------------------

static void waiters_add(struct thread **list, struct thread *t) {
    while (*list) list = &(*list)->wait_next;
    t->wait_next = NULL;
    *list = t;
    t->listed = true;
}

static void waiters_remove(struct thread **list, struct thread *t) {
    for (; *list; list = &(*list)->wait_next) {
        if (*list != t) continue;
        *list = t->wait_next;
        break;
    }
    t->listed = false;
}

static bool interrupt_taken(struct thread *t) {
    // Acquire: with what the interrupter wrote before.
    return __atomic_fetch_and(&t->state, ~THR_INTERRUPT_PENDING, __ATOMIC_ACQ_REL) &
           THR_INTERRUPT_PENDING;
}

uint32_t thr_wait(struct event *e, uint64_t deadline_ns) {
    uint64_t flags = cpu_irq_save();
    struct thread *t = cpu_this()->current;
    uint32_t bits;
    for (;;) {
        spin_take(&e->lock);
        if (t->listed) waiters_remove(&e->waiters, t); // ended by the timer or an interruption
        bits = e->bits;
        e->bits = 0;
        if (interrupt_taken(t)) bits |= THR_INTERRUPTED;
        if (bits || (deadline_ns != THR_FOREVER && deadline_ns <= time_now_ns())) break;
        waiters_add(&e->waiters, t);
        bool waits = sched_enter(t, THR_WAITING); // from here on it may be claimed
        spin_give(&e->lock);
        if (waits) sched_sleep(t, deadline_ns);
        // Somebody else may have taken the bits first, so look again.
    }
    spin_give(&e->lock);
    cpu_irq_restore(flags);
    return bits;
}

void thr_wake(struct event *e, uint32_t bits) {
    KASSERT(bits && !(bits & THR_INTERRUPTED));
    uint64_t flags = spin_lock(&e->lock);
    e->bits |= bits;
    struct thread *t = e->waiters;
    while (t && !sched_claim(t, THR_WAITING)) t = t->wait_next; // those are on their way already
    if (t) waiters_remove(&e->waiters, t);
    spin_give(&e->lock); // e may be gone from here on; t cannot, being nobody's but ours
    if (t) sched_ready(t);
    sched_preempt(flags);
    cpu_irq_restore(flags);
}

void thr_sleep_until(uint64_t deadline_ns) {
    uint64_t flags = cpu_irq_save();
    struct thread *t = cpu_this()->current;
    while (time_now_ns() < deadline_ns && sched_enter(t, THR_WAITING)) sched_sleep(t, deadline_ns);
    cpu_irq_restore(flags);
}

void thr_interrupt(struct thread *t) {
    uint64_t flags = cpu_irq_save();
    // One word: either the thread sees the bit when it tries to enter its wait, or it is claimed out of it here.
    __atomic_fetch_or(&t->state, THR_INTERRUPT_PENDING, __ATOMIC_ACQ_REL);
    // A thread that waits for a mutex goes on waiting: it gets the mutex, and the interruption at its next thr_wait().
    if (sched_claim(t, THR_WAITING)) sched_ready(t);
    sched_preempt(flags);
    cpu_irq_restore(flags);
}

void thr_lock(struct mutex *m) {
    uint64_t flags = spin_lock(&m->lock);
    struct thread *t = cpu_this()->current;
    KASSERT(m->owner != t);
    bool got = !m->owner;
    if (got) {
        m->owner = t;
    } else {
        waiters_add(&m->waiters, t);
        __atomic_fetch_xor(&t->state, THR_RUNNING ^ THR_WAITING_MUTEX, __ATOMIC_ACQ_REL);
    }
    spin_give(&m->lock);
    if (!got) {
        sched_sleep(t, THR_FOREVER);
        KASSERT(m->owner == t); // handed over by thr_unlock()
    }
    cpu_irq_restore(flags);
}

void thr_unlock(struct mutex *m) {
    uint64_t flags = spin_lock(&m->lock);
    KASSERT(m->owner == cpu_this()->current);
    struct thread *t = m->owner = m->waiters;
    if (t) {
        waiters_remove(&m->waiters, t);
        bool claimed = sched_claim(t, THR_WAITING_MUTEX);
        KASSERT(claimed);
    }
    spin_give(&m->lock);
    if (t) sched_ready(t);
    sched_preempt(flags);
    cpu_irq_restore(flags);
}

// ---- Accessors -----------------------------------------------------------------------------------------------------------------------

void *thr_data(const struct thread *t) { return t->data; }
void thr_set_data(struct thread *t, void *data, uint16_t module) {
    t->data = data;
    t->module = module;
}
const char *thr_name(const struct thread *t) { return t->name; }
uint64_t thr_cpu_ns(const struct thread *t) { return t->cpu_ns; }
uint64_t thr_stack_bottom(const struct thread *t) { return t->stack_top - t->stack_size; }
uint32_t thr_cpu(const struct thread *t) { return __atomic_load_n(&t->cpu, __ATOMIC_RELAXED); }
