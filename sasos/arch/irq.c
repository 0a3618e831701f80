// irq.c — the vector table of irq.h. One CPU's today: a vector means the same handler on every CPU, so that more CPUs change
// the message address only.
#include "sasos/arch/irq.h"
#include "sasos/arch/apic.h"
#include "sasos/arch/cpu.h"
#include "sasos/arch/trap.h"
#include "sasos/lib/panic.h"
#include "sasos/run/thread.h"
#include <stddef.h>

struct trap_frame *irq_dispatch(struct trap_frame *frame);
void trap_tick(struct trap_frame *frame); // trap.c

static struct vector {
    irq_handler_fn *handler; // NULL: free
    void *arg;
    uint64_t count;
} vectors[256];
static uint64_t unexpected;

int irq_alloc(irq_handler_fn *handler, void *arg) {
    KASSERT(handler);
    uint64_t flags = cpu_irq_save();
    int found = -1;
    for (int v = IRQ_VECTOR_FIRST; v <= IRQ_VECTOR_LAST && found < 0; v++) {
        if (vectors[v].handler) continue;
        vectors[v] = (struct vector){handler, arg, 0};
        found = v;
    }
    cpu_irq_restore(flags);
    return found;
}

void irq_free(int vector) {
    KASSERT(vector >= IRQ_VECTOR_FIRST && vector <= IRQ_VECTOR_LAST && vectors[vector].handler);
    uint64_t flags = cpu_irq_save(); // on one CPU: no handler is running
    vectors[vector] = (struct vector){0};
    cpu_irq_restore(flags);
}

uint64_t irq_count(int vector) { return vector >= 0 && vector < 256 ? vectors[vector].count : 0; }
uint64_t irq_unexpected(void) { return unexpected; }
bool irq_in_handler(void) { return cpu_this()->irq_depth > 0; }
uint64_t irq_msi_address(void) { return 0xfee00000u | (uint64_t)(apic_id() & 0xff) << 12; }

// On the interrupt stack, interrupts off. Returns the frame to go on with.
struct trap_frame *irq_dispatch(struct trap_frame *frame) {
    struct cpu *c = cpu_this();
    uint8_t v = (uint8_t)frame->vector;
    c->irq_depth++;
    vectors[v].count++;
    if (v == IRQ_VECTOR_TIMER) {
        apic_eoi();
        trap_tick(frame);
        thr_tick();
    } else if (v == IRQ_VECTOR_RESCHEDULE) {
        apic_eoi(); // all the work is in thr_irq_exit()
    } else if (vectors[v].handler) {
        vectors[v].handler(vectors[v].arg);
        apic_eoi();
    } else {
        unexpected++;
        // The APIC's spurious vector is not in service and must not be ended (SDM 11.9); nor must a stray 8259 interrupt.
        if (apic_ready() && apic_in_service(v)) apic_eoi();
    }
    c->irq_depth--;
    return thr_irq_exit(frame);
}
