// irq.c — the vector table of irq.h, one for all CPUs: which of them gets an interrupt is in the device's message.
#include "sasos/arch/irq.h"
#include "sasos/arch/apic.h"
#include "sasos/arch/cpu.h"
#include "sasos/arch/lock.h"
#include "sasos/arch/trap.h"
#include "sasos/lib/panic.h"
#include "sasos/run/thread.h"
#include <stddef.h>

struct trap_frame *irq_dispatch(struct trap_frame *frame);

static struct vector {
    irq_handler_fn *handler; // NULL: free
    void *arg;
    uint64_t count;
    uint32_t running; // CPUs in the handler
} vectors[256];
static uint64_t unexpected;
static struct spinlock lock; // for allocation

int irq_alloc(irq_handler_fn *handler, void *arg) {
    KASSERT(handler);
    uint64_t flags = spin_lock(&lock);
    int found = -1;
    for (int v = IRQ_VECTOR_FIRST; v <= IRQ_VECTOR_LAST && found < 0; v++) {
        if (vectors[v].handler) continue;
        vectors[v].arg = arg;
        vectors[v].count = 0;
        // Release: whoever sees the handler sees its argument.
        __atomic_store_n(&vectors[v].handler, handler, __ATOMIC_RELEASE);
        found = v;
    }
    spin_unlock(&lock, flags);
    return found;
}

void irq_free(int vector) {
    KASSERT(vector >= IRQ_VECTOR_FIRST && vector <= IRQ_VECTOR_LAST && vectors[vector].handler);
    KASSERT(!cpu_in_handler());
    struct vector *v = &vectors[vector];
    // Both sides store, then look (here the handler, then `running`; in run_handler() the other way round), each with a full
    // barrier between: so either this side sees that one in the handler, or that one sees that there is none.
    __atomic_store_n(&v->handler, NULL, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&v->running, __ATOMIC_SEQ_CST)) smp_relax();
}

static bool run_handler(struct vector *v) {
    __atomic_add_fetch(&v->running, 1, __ATOMIC_SEQ_CST);
    irq_handler_fn *handler = __atomic_load_n(&v->handler, __ATOMIC_SEQ_CST);
    if (handler) handler(v->arg); // not reused meanwhile: irq_free() waits for us
    __atomic_sub_fetch(&v->running, 1, __ATOMIC_RELEASE);
    return handler;
}

uint64_t irq_count(int vector) { return vector >= 0 && vector < 256 ? vectors[vector].count : 0; }
uint64_t irq_unexpected(void) { return __atomic_load_n(&unexpected, __ATOMIC_RELAXED); }
uint64_t irq_msi_address(void) { return 0xfee00000u | (uint64_t)(apic_id() & 0xff) << 12; }

// On the interrupt stack, interrupts off. Returns the frame to go on with.
struct trap_frame *irq_dispatch(struct trap_frame *frame) {
    struct cpu *c = cpu_this();
    uint8_t v = (uint8_t)frame->vector;
    c->irq_depth++;
    __atomic_add_fetch(&vectors[v].count, 1, __ATOMIC_RELAXED);
    thr_trace_interrupt(v);
    if (v == IRQ_VECTOR_TIMER) {
        apic_eoi();
        if (apic_timer_due()) {
            trap_tick(frame);
            thr_tick();
        }
    } else if (v == IRQ_VECTOR_RESCHEDULE) {
        apic_eoi();
        thr_on_reschedule();
    } else if (v == IRQ_VECTOR_SMP) {
        apic_eoi();
        smp_on_request(frame);
    } else if (run_handler(&vectors[v])) {
        apic_eoi();
    } else {
        __atomic_add_fetch(&unexpected, 1, __ATOMIC_RELAXED);
        // The APIC's spurious vector is not in service and must not be ended (SDM 11.9); nor must a stray 8259 interrupt.
        if (apic_ready() && apic_in_service(v)) apic_eoi();
    }
    c->irq_depth--;
    return thr_irq_exit(frame);
}
