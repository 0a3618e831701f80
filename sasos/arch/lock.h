// lock.h — the kernel's spinlock: interrupts off, then test-and-set.
//
// With one CPU only the first half matters; the second is there so that a second CPU changes no caller. Held for a bounded,
// short time; never across anything that waits. Not recursive (asserted).
#ifndef SASOS_ARCH_LOCK_H
#define SASOS_ARCH_LOCK_H
#include "sasos/arch/cpu.h"
#include "sasos/lib/panic.h"

struct spinlock {
    uint32_t held;
};

static inline uint64_t spin_lock(struct spinlock *l) {
    uint64_t flags = cpu_irq_save();
    // Acquire: nothing of the critical section may be read before the lock is ours.
    while (__atomic_exchange_n(&l->held, 1, __ATOMIC_ACQUIRE)) cpu_pause();
    return flags;
}

static inline void spin_unlock(struct spinlock *l, uint64_t flags) {
    KASSERT(l->held);
    // Release: everything of the critical section is visible before the lock is free.
    __atomic_store_n(&l->held, 0, __ATOMIC_RELEASE);
    cpu_irq_restore(flags);
}
#endif
