// lock.h — the kernel's spinlock: interrupts off, then test-and-set.
//
// Held for a bounded, short time; never across anything that waits for a thread or for smp_sync(). Not recursive. Who waits for
// one goes on answering other CPUs' requests to forget translations (smp_relax), so such a request may be made with locks held.
//
// Order, where two are held: heap → pt → frame; an event's or mutex's → a CPU's queue; all of these → the console's.
#ifndef SASOS_ARCH_LOCK_H
#define SASOS_ARCH_LOCK_H
#include "sasos/arch/cpu.h"
#include "sasos/arch/smp.h"
#include "sasos/lib/panic.h"

struct spinlock {
    uint32_t held;
};

// Interrupts are off already.
static inline void spin_take(struct spinlock *l) {
    // Acquire: nothing of the critical section may be read before the lock is ours. Between tries the word is only read, so
    // that those who wait do not take the cache line from the owner.
    while (__atomic_exchange_n(&l->held, 1, __ATOMIC_ACQUIRE))
        while (__atomic_load_n(&l->held, __ATOMIC_RELAXED)) smp_relax();
}

static inline void spin_give(struct spinlock *l) {
    KASSERT(l->held);
    // Release: everything of the critical section is visible before the lock is free.
    __atomic_store_n(&l->held, 0, __ATOMIC_RELEASE);
}

static inline uint64_t spin_lock(struct spinlock *l) {
    uint64_t flags = cpu_irq_save();
    spin_take(l);
    return flags;
}

static inline void spin_unlock(struct spinlock *l, uint64_t flags) {
    spin_give(l);
    cpu_irq_restore(flags);
}
#endif
