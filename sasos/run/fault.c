// fault.c — see fault.h.
//
// A trap in module code, the end of a budget, and DMA outside a domain's area all come here in interrupt context. Each marks the domain
// dead and redirects or wakes what must notice; reports are made later, by the domain's home thread and whoever waits for it.
#include "sasos/run/fault.h"
#include "sasos/arch/time.h"
#include "sasos/arch/trap.h"
#include "sasos/lib/log.h"
#include "sasos/run/chaos.h"
#include "sasos/run/domain.h"

static struct spinlock dma_lock; // one report a domain

static struct ldr_machine machine_of(const struct trap_frame *f) {
    return (struct ldr_machine){
        .rip = f->rip, .rsp = f->rsp, .rax = f->rax, .rdi = f->rdi, .rsi = f->rsi, .r15 = f->r15};
}

static void machine_to(const struct ldr_machine *m, struct trap_frame *f) {
    f->rip = m->rip;
    f->rsp = m->rsp;
    f->rax = m->rax;
    f->rdi = m->rdi;
    f->rsi = m->rsi;
    f->r15 = m->r15;
}

// The domain whose code the thread of `home` runs at this moment, kernel calls on its behalf included.
static struct dom *running(const struct dom *home) {
    struct ldr_instance *inst = home ? ldr_thread_instance(home->thread) : NULL;
    return inst ? ldr_user(inst) : NULL;
}

static bool on_trap(struct trap_frame *frame, uint64_t address) {
    enum ldr_fault fault;
    if (frame->vector == TRAP_PF)
        fault = LDR_FAULT_PAGE;
    else if (frame->vector == TRAP_UD)
        fault = LDR_FAULT_INVALID_OPCODE;
    else if (frame->vector == TRAP_DE)
        fault = LDR_FAULT_DIVIDE;
    else
        return false;
    struct dom *d = running(thr_data(thr_current()));
    struct ldr_machine m = machine_of(frame);
    if (!d || !ldr_fault(&m, fault, address)) return false;
    machine_to(&m, frame);
    return true;
}

// Ticks are counted by thread: those that found it in one and the same domain since it last entered or waited. Counting them by
// domain, or over all threads, would let computations that take turns reset each other's count.
static void on_tick(struct trap_frame *frame) {
    if (__atomic_load_n(&chaos_next, __ATOMIC_ACQUIRE) <= time_now_ns()) chaos_tick();
    struct dom *home = thr_data(thr_current()), *d = running(home);
    if (!d) return;
    if (ldr_thread_entered(home->thread) || home->ticked != d) {
        home->ticked = d;
        home->ticks = 0;
    }
    if (d->manifest.budget_ms && ++home->ticks > d->manifest.budget_ms && d->end == DOM_END_NONE)
        dom_kill(d, DOM_END_BUDGET);
    struct ldr_machine m = machine_of(frame);
    if (ldr_interrupt(&m, SFI_TRAP_NONE))
        machine_to(&m, frame);
    else if (d == home && ldr_instance_at(frame->rip) == d->inst)
        thr_hold_if_over(); // it keeps nobody waiting here but its own clients, as it would in a kernel call or inside another domain
}

// Some domain was killed: is it the one whose code is interrupted here?
static void on_stop(struct trap_frame *frame) {
    struct ldr_machine m = machine_of(frame);
    if (running(thr_data(thr_current())) && ldr_interrupt(&m, SFI_TRAP_NONE)) machine_to(&m, frame);
}

// Devices report success for DMA that was blocked: so the domain is dead before its next interrupt is looked at, and nothing that it
// had in flight can be reported as done.
static void on_dma_fault(const struct iommu_fault *fault, const struct pci_fn *fn) {
    struct dom *d = dom_of_function(fn);
    if (!d)
        return; // nobody's, or nobody knows whose: the IOMMU's line has said it, a few times at most
    TRACE(DMA_FAULT, d->number, fault->address, fault->reason);
    uint64_t flags = spin_lock(&dma_lock);
    if (d->end == DOM_END_NONE) {
        d->fault = *fault;
        dom_kill(d, DOM_END_DMA);
    }
    spin_unlock(&dma_lock, flags);
}

void fault_init(void) {
    trap_set_sandbox_hook(on_trap);
    trap_set_tick_hook(on_tick);
    trap_set_stop_hook(on_stop);
    iommu_on_fault(on_dma_fault);
}
