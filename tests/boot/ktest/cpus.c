// cpus.c — several CPUs tested from inside: wake-ups, timers, mutexes, placement, forgotten translations, kills, panics.
//
// Runs on any number of CPUs; with one CPU every "other" CPU is the same one, and what needs two says so and passes. Counts are
// exact; time is only waited for, never asserted but for "not too early".
#include "tests/boot/ktest/cpus.h"
#include "sasos/arch/apic.h"
#include "sasos/arch/cpu.h"
#include "sasos/arch/irq.h"
#include "sasos/arch/lock.h"
#include "sasos/arch/smp.h"
#include "sasos/arch/time.h"
#include "sasos/arch/trap.h"
#include "sasos/lib/mem.h"
#include "sasos/lib/panic.h"
#include "sasos/lib/printf.h"
#include "sasos/mem/arena.h"
#include "sasos/mem/frame.h"
#include "sasos/mem/heap.h"
#include "sasos/mem/pt.h"
#include "sasos/mem/slot.h"
#include "sasos/mem/stack.h"
#include "sasos/run/sched.h"

#define ROUND_TRIPS 10000u
#define INCREMENTS 20000u
#define SHOOTDOWNS 200u

static unsigned bad, cpus, other; // other: the last CPU

static void check(bool good, const char *name) {
    kprintf("%s %s\n", good ? "ok" : "BAD", name);
    bad += !good;
}

static struct thread *on(unsigned cpu, enum thr_level level, thr_fn *fn, void *arg) {
    const struct thr_spec spec = {.name = "tester", .level = level, .cpu = (int)cpu, .joinable = true};
    struct thread *t = thr_spawn(&spec, fn, arg);
    KASSERT(t);
    return t;
}

static void join_all(struct thread **t, unsigned n) {
    for (unsigned i = 0; i < n; i++) thr_join(t[i]);
}

static bool set(volatile bool *b) { return __atomic_load_n(b, __ATOMIC_ACQUIRE); }
static void until(volatile bool *b) {
    while (!set(b)) smp_relax();
}

// ---- Wake-ups --------------------------------------------------------------------------------------------------------------------

static struct event ping, pong;
static uint64_t pings;

static void answer(void *arg) {
    (void)arg;
    for (unsigned i = 0; i < ROUND_TRIPS; i++) {
        thr_wait(&ping, THR_FOREVER);
        pings++;
        thr_wake(&pong, 1);
    }
}

// Wakes and time-outs race: the waiter's deadline is always about to pass. Each wake-up is acknowledged before the next.
static struct event raced, acknowledged[2];
static uint64_t seen_bits[2], timeouts;
#define RACES 3000u

static void racer(void *arg) {
    unsigned me = (unsigned)(uint64_t)arg;
    for (unsigned i = 0; i < RACES; i++) {
        thr_wake(&raced, 1u << me);
        thr_wait(&acknowledged[me], THR_FOREVER);
    }
}

static struct event interrupted_event, interruption_seen;

static void interrupted(void *arg) {
    for (uint64_t i = 0; i < (uint64_t)arg; i++) {
        while (!(thr_wait(&interrupted_event, THR_FOREVER) & THR_INTERRUPTED)) {
        }
        thr_wake(&interruption_seen, 1);
    }
}

static void test_wakes(void) {
    struct thread *t[2] = {on(other, THR_APPLICATION, answer, NULL)};
    uint64_t start = time_now_ns();
    for (unsigned i = 0; i < ROUND_TRIPS; i++) {
        thr_wake(&ping, 1);
        thr_wait(&pong, THR_FOREVER);
    }
    uint64_t ns = (time_now_ns() - start) / ROUND_TRIPS;
    thr_join(t[0]);
    check(pings == ROUND_TRIPS, "10,000 round trips between two CPUs");
    kprintf("cross-cpu-round-trip-ns %llu\n", (unsigned long long)ns);

    t[0] = on(0, THR_APPLICATION, racer, (void *)0);
    t[1] = on(other, THR_DRIVER, racer, (void *)1);
    while (seen_bits[0] + seen_bits[1] < 2 * RACES) {
        uint32_t got = thr_wait(&raced, time_now_ns() + 2000);
        timeouts += !got;
        for (unsigned i = 0; i < 2; i++)
            if (got >> i & 1) seen_bits[i]++, thr_wake(&acknowledged[i], 1);
    }
    join_all(t, 2);
    check(seen_bits[0] == RACES && seen_bits[1] == RACES && !raced.bits && !raced.waiters,
          "wake-ups that race with time-outs are neither lost nor doubled");

    t[0] = on(other, THR_APPLICATION, interrupted, (void *)2000);
    for (unsigned i = 0; i < 2000; i++) {
        thr_interrupt(t[0]);
        thr_wait(&interruption_seen, THR_FOREVER);
    }
    thr_join(t[0]);
    check(!interrupted_event.waiters, "2,000 interruptions of a thread on another CPU");
}

// ---- Counters, locks -------------------------------------------------------------------------------------------------------------

static uint64_t atomic_count, locked_count, mutex_count;
static struct spinlock count_lock;
static struct mutex count_mutex;

static void counts(void *arg) {
    (void)arg;
    for (unsigned i = 0; i < INCREMENTS; i++) {
        __atomic_add_fetch(&atomic_count, 1, __ATOMIC_RELAXED);
        uint64_t flags = spin_lock(&count_lock);
        locked_count++;
        spin_unlock(&count_lock, flags);
        if (i % 16) continue;
        thr_lock(&count_mutex);
        mutex_count++;
        thr_unlock(&count_mutex);
    }
}

static struct mutex queue_mutex;
static unsigned turns[CPUS_MAX], turn;

static void queues_up(void *arg) {
    thr_lock(&queue_mutex);
    turns[turn++] = (unsigned)(uint64_t)arg;
    thr_unlock(&queue_mutex);
}

static unsigned waiting(struct mutex *m) {
    uint64_t flags = spin_lock(&m->lock);
    unsigned n = 0;
    for (struct thread *t = m->waiters; t; t = t->wait_next) n++;
    spin_unlock(&m->lock, flags);
    return n;
}

static void test_locks(void) {
    struct thread *t[CPUS_MAX];
    for (unsigned i = 0; i < cpus; i++) t[i] = on(i, THR_APPLICATION, counts, NULL);
    join_all(t, cpus);
    check(atomic_count == (uint64_t)cpus * INCREMENTS && locked_count == atomic_count,
          "atomic and locked counters are exact");
    check(mutex_count == (uint64_t)cpus * (INCREMENTS / 16), "a mutex excludes across CPUs");

    thr_lock(&queue_mutex);
    for (unsigned i = 0; i < cpus; i++) {
        t[i] = on(cpus - 1 - i, THR_APPLICATION, queues_up, (void *)(uint64_t)i);
        while (waiting(&queue_mutex) != i + 1) thr_sleep_until(time_now_ns() + TIME_MS);
    }
    thr_unlock(&queue_mutex);
    join_all(t, cpus);
    bool good = turn == cpus;
    for (unsigned i = 0; i < turn; i++) good &= turns[i] == i;
    check(good, "a mutex goes to those who wait in their order");
}

// ---- Timers, placement -----------------------------------------------------------------------------------------------------------

static uint32_t early, astray;

static void sleeper(void *arg) {
    for (unsigned i = 0; i < 20; i++) {
        uint64_t wake = time_now_ns() + 200000 * (1 + i % 5);
        thr_sleep_until(wake);
        if (time_now_ns() < wake) __atomic_add_fetch(&early, 1, __ATOMIC_RELAXED);
        if (CPU_READ(index) != (uint32_t)(uint64_t)arg)
            __atomic_add_fetch(&astray, 1, __ATOMIC_RELAXED);
    }
}

static uint64_t ran_on; // a bit a CPU
static volatile bool enough;

static void computes(void *arg) {
    volatile uint64_t *count = arg;
    while (!set(&enough)) {
        (*count)++;
        __atomic_fetch_or(&ran_on, 1ull << CPU_READ(index), __ATOMIC_RELAXED);
    }
}

static void test_timers(void) {
    struct thread *t[2 * CPUS_MAX];
    for (unsigned i = 0; i < cpus; i++) t[i] = on(i, THR_APPLICATION, sleeper, (void *)(uint64_t)i);
    join_all(t, cpus);
    check(!early, "a timer on each CPU, none early");
    check(!astray, "pinned threads stay where they are");

    // Twice as many as there are CPUs, all started here: they spread without being told to, and each gets on.
    static volatile uint64_t progress[2 * CPUS_MAX];
    const struct thr_spec spec = {
        .name = "anywhere", .level = THR_APPLICATION, .cpu = THR_ANY_CPU, .joinable = true};
    for (unsigned i = 0; i < 2 * cpus; i++)
        KASSERT((t[i] = thr_spawn(&spec, computes, (void *)&progress[i])));
    uint64_t end = time_now_ns() + 10000 * TIME_MS;
    bool good = false;
    while (!good && time_now_ns() < end) {
        thr_sleep_until(time_now_ns() + TIME_MS);
        good = __builtin_popcountll(__atomic_load_n(&ran_on, __ATOMIC_RELAXED)) == (int)cpus;
        for (unsigned i = 0; i < 2 * cpus; i++) good &= progress[i] > 0;
    }
    __atomic_store_n(&enough, true, __ATOMIC_RELEASE);
    join_all(t, 2 * cpus);
    check(good, "computing threads spread over all CPUs, and all get on");
}

// ---- Code that is run and stopped on one CPU ---------------------------------------------------------------------------------------

static struct { // of a CPU: where a claimed trap or a stop goes on
    uint64_t rip, rsp;
    uint64_t faults, address;
    bool stopped;
} unwind[CPUS_MAX];
static const uint8_t *code; // 0: mov eax,[rdi]; ret   3: inc qword [rdi]; jmp 3

static bool on_fault(struct trap_frame *f, uint64_t address) {
    unsigned i = cpu_this()->index;
    if (!unwind[i].rip) return false;
    unwind[i].faults++;
    unwind[i].address = address;
    f->rip = unwind[i].rip;
    f->rsp = unwind[i].rsp;
    return true;
}

static volatile bool stop_wanted;

static void on_stop(struct trap_frame *f) {
    unsigned i = cpu_this()->index;
    if (!set(&stop_wanted) || !unwind[i].rip || f->rip - (uint64_t)code > 16) return;
    unwind[i].stopped = true;
    f->rip = unwind[i].rip;
    f->rsp = unwind[i].rsp;
}

// By a thread that is pinned.
static void call(const uint8_t *at, volatile void *arg) {
    unsigned i = CPU_READ(index);
    __asm__ volatile("leaq 1f(%%rip), %%rax\n"
                     "pushq %%rbp; pushq %%rbx; pushq %%r12; pushq %%r13; pushq %%r14; pushq "
                     "%%r15; pushq %%rcx\n"
                     "movq %%rsp, 8(%%rcx)\n"
                     "movq %%rax, (%%rcx)\n"
                     "callq *%%rsi\n"
                     "1: popq %%rcx; movq $0, (%%rcx)\n"
                     "popq %%r15; popq %%r14; popq %%r13; popq %%r12; popq %%rbx; popq %%rbp\n"
                     : "+S"(at), "+D"(arg)
                     : "c"(&unwind[i])
                     : "rax", "rdx", "r8", "r9", "r10", "r11", "cc", "memory");
}

static void make_code(void) {
    static const uint8_t bytes[] = {0x8b, 0x07, 0xc3, 0x48, 0xff, 0x07, 0xeb, 0xfb};
    static struct arena_code a;
    KASSERT(arena_alloc(sizeof bytes, &a) == ST_OK);
    memcpy(a.rw, bytes, sizeof bytes);
    KASSERT(arena_seal(&a) == ST_OK);
    code = (const uint8_t *)arena_address(&a);
    trap_set_sandbox_hook(on_fault);
    trap_set_stop_hook(on_stop);
}

// ---- Translations that must be forgotten -------------------------------------------------------------------------------------------

static uint64_t page;     // what the other CPU reads
static uint32_t go, seen; // rounds
static uint64_t wrong_faults;

// Reads the page while it is mapped, so that the translation is remembered; then again when told that it is not.
static void reader(void *arg) {
    unsigned i = CPU_READ(index);
    for (uint32_t round = 1; round <= (uint64_t)arg; round++) {
        while (__atomic_load_n(&go, __ATOMIC_ACQUIRE) != 2 * round - 1) smp_relax();
        uint64_t before = unwind[i].faults;
        call(code, (void *)page);
        wrong_faults += unwind[i].faults != before;
        __atomic_store_n(&seen, 2 * round - 1, __ATOMIC_RELEASE);
        while (__atomic_load_n(&go, __ATOMIC_ACQUIRE) != 2 * round) smp_relax();
        call(code, (void *)page);
        wrong_faults += unwind[i].faults != before + 1 || unwind[i].address != page;
        __atomic_store_n(&seen, 2 * round, __ATOMIC_RELEASE);
    }
}

static void tell(uint32_t what) {
    __atomic_store_n(&go, what, __ATOMIC_RELEASE);
    while (__atomic_load_n(&seen, __ATOMIC_ACQUIRE) != what) smp_relax();
}

static struct spinlock unmap_lock;
static volatile bool spinning;

static void spins(void *arg) {
    (void)arg;
    uint64_t flags = cpu_irq_save();
    __atomic_store_n(&spinning, true, __ATOMIC_RELEASE);
    spin_take(&unmap_lock);
    spin_give(&unmap_lock);
    cpu_irq_restore(flags);
}

// Maps, fills, checks and unmaps in parallel with all others.
static uint64_t spoilt;
static void churns(void *arg) {
    uint64_t me = 0x0101010101010101ull * (1 + (uint64_t)arg);
    for (unsigned round = 0; round < 60; round++) {
        uint64_t top = stack_alloc(8192);
        uint64_t *large = kalloc(3 * 4096), *small = kalloc(16 + round % 500);
        uint64_t *on_stack = (uint64_t *)(top - 8192);
        KASSERT(top && large && small);
        for (unsigned i = 0; i < 8192 / 8; i += 16) on_stack[i] = me + round;
        for (unsigned i = 0; i < 3 * 512; i += 16) large[i] = me ^ round;
        small[0] = me;
        for (unsigned i = 0; i < 8192 / 8; i += 16)
            if (on_stack[i] != me + round) __atomic_add_fetch(&spoilt, 1, __ATOMIC_RELAXED);
        for (unsigned i = 0; i < 3 * 512; i += 16)
            if (large[i] != (me ^ round)) __atomic_add_fetch(&spoilt, 1, __ATOMIC_RELAXED);
        if (small[0] != me) __atomic_add_fetch(&spoilt, 1, __ATOMIC_RELAXED);
        kfree(small);
        stack_free(top);
        kfree(large);
    }
}

static void test_shootdown(void) {
    int slot = slot_alloc();
    page = slot_window(slot);
    struct thread *t[CPUS_MAX];
    if (cpus > 1) {
        t[0] = on(other, THR_APPLICATION, reader, (void *)(uint64_t)SHOOTDOWNS);
        uint64_t least = UINT64_MAX;
        for (uint32_t i = 1; i <= SHOOTDOWNS; i++) {
            KASSERT(slot_map_new(slot, 0, 4096, PT_W) == ST_OK);
            tell(2 * i - 1);
            uint64_t start = time_now_ns();
            slot_unmap(slot, 0, 4096);
            least = MIN(least, time_now_ns() - start);
            tell(2 * i);
        }
        thr_join(t[0]);
        kprintf("least-unmap-ns %llu\n", (unsigned long long)least);
        KASSERT(slot_map_new(slot, 0, 4096, PT_W) == ST_OK);
        t[0] = on(other, THR_APPLICATION, spins, NULL);
        uint64_t flags = cpu_irq_save();
        spin_take(&unmap_lock);
        until(&spinning);
        slot_unmap(slot, 0, 4096);
        spin_give(&unmap_lock);
        cpu_irq_restore(flags);
        thr_join(t[0]);
    }
    check(!wrong_faults, "an unmapped page faults on another CPU that remembered it");
    check(true, "a CPU that spins for a lock with interrupts off forgets too");
    slot_free(slot);

    uint64_t objects = heap_stats().objects;
    for (unsigned i = 0; i < cpus; i++) t[i] = on(i, THR_APPLICATION, churns, (void *)(uint64_t)i);
    join_all(t, cpus);
    check(!spoilt && heap_stats().objects == objects, "stacks and heap under all CPUs at once");
}

// ---- Interrupts, kills -------------------------------------------------------------------------------------------------------------

static volatile bool entered, release, left, sync_saw_it, free_saw_it;
static int vector;

static void slow_handler(void *arg) {
    (void)arg;
    __atomic_store_n(&entered, true, __ATOMIC_RELEASE);
    until(&release);
    left = true;
}

static void syncs(void *arg) {
    (void)arg;
    smp_sync();
    sync_saw_it = left;
}

static void frees(void *arg) {
    (void)arg;
    irq_free(vector);
    free_saw_it = left;
}

static void test_sync(void) {
    if (cpus == 1) {
        check(true, "smp_sync and irq_free wait for handlers elsewhere: one CPU");
        return;
    }
    vector = irq_alloc(slow_handler, NULL);
    uint64_t flags = cpu_irq_save();
    smp_interrupt(other, (uint8_t)vector);
    cpu_irq_restore(flags);
    until(&entered);
    struct thread *t[2] = {on(0, THR_APPLICATION, syncs, NULL), on(0, THR_APPLICATION, frees, NULL)};
    thr_sleep_until(time_now_ns() + 5 * TIME_MS);
    __atomic_store_n(&release, true, __ATOMIC_RELEASE);
    join_all(t, 2);
    check(sync_saw_it && free_saw_it, "smp_sync and irq_free wait for handlers elsewhere");
}

static volatile uint64_t beats;
static volatile bool hold, holding;

static void loops(void *arg) {
    (void)arg;
    call(code + 3, &beats);
}

static void holds(void *arg) {
    (void)arg;
    __atomic_store_n(&holding, true, __ATOMIC_RELEASE);
    while (set(&hold)) smp_relax();
}

static void await_beat(void) {
    for (uint64_t at = beats; beats == at;) thr_sleep_until(time_now_ns() + 100000);
}

// The stop hook alone redirects here: what ends these loops is not a tick.
static void test_kill(void) {
    struct thread *t = on(other, THR_APPLICATION, loops, NULL);
    await_beat();
    __atomic_store_n(&stop_wanted, true, __ATOMIC_RELEASE);
    smp_stop_sandboxed();
    thr_join(t);
    check(unwind[other].stopped, "a loop on another CPU is stopped by interrupt");

    // The loop is preempted when it is stopped: it must not go on when it gets the CPU back.
    __atomic_store_n(&stop_wanted, false, __ATOMIC_RELEASE);
    unwind[other].stopped = false;
    hold = true;
    t = on(other, THR_APPLICATION, loops, NULL);
    await_beat();
    if (cpus > 1) {
        struct thread *h = on(other, THR_DRIVER, holds, NULL);
        until(&holding);
        __atomic_store_n(&stop_wanted, true, __ATOMIC_RELEASE);
        smp_stop_sandboxed();
        uint64_t at = beats;
        __atomic_store_n(&hold, false, __ATOMIC_RELEASE);
        thr_join(h);
        thr_join(t);
        check(unwind[other].stopped && beats == at,
              "so is one that is preempted, before its next instruction");
    } else {
        check(true, "so is one that is preempted: one CPU");
    }
}

static void tests(void *arg) {
    (void)arg;
    make_code();
    test_wakes();
    test_locks();
    test_timers();
    test_shootdown();
    test_sync();
    test_kill();
    trap_set_sandbox_hook(NULL);
    trap_set_stop_hook(NULL);
}

unsigned ktest_cpus(void) {
    cpus = smp_count();
    other = cpus - 1;
    kprintf("cpus %u\n", cpus);
    thr_join(on(0, THR_APPLICATION, tests, NULL));
    return bad;
}

// ---- Panics ------------------------------------------------------------------------------------------------------------------------

static uint32_t at_gate;

static void chatters(void *arg) {
    __atomic_add_fetch(&at_gate, 1, __ATOMIC_ACQ_REL);
    for (;;) kprintf("chatter %u\n", (unsigned)(uint64_t)arg);
}

static void panics(void *arg) {
    __atomic_add_fetch(&at_gate, 1, __ATOMIC_ACQ_REL);
    while (__atomic_load_n(&at_gate, __ATOMIC_ACQUIRE) < smp_count()) smp_relax();
    panic("CPU %u has had enough", (unsigned)(uint64_t)arg);
}

void ktest_panic_one(void) {
    unsigned n = smp_count();
    for (unsigned i = 1; i < n; i++) on(i, THR_APPLICATION, chatters, (void *)(uint64_t)i);
    while (__atomic_load_n(&at_gate, __ATOMIC_ACQUIRE) < n - 1) smp_relax();
    thr_sleep_until(time_now_ns() + 5 * TIME_MS);
    panic("one CPU has had enough");
}

void ktest_panic_all(void) {
    for (unsigned i = 1; i < smp_count(); i++) on(i, THR_APPLICATION, panics, (void *)(uint64_t)i);
    panics(NULL);
    __builtin_unreachable();
}
