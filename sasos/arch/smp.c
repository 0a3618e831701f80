// smp.c — see smp.h. Starting a CPU: Intel SDM volume 3A, 9.4 (INIT, then a start-up IPI, once more if it does not answer).
//
// The page tables that a CPU begins on are the kernel's upper half and one page below 1 MiB, where the code of ap.S lies. Only
// CPUs that have not yet run a line of C use them, and they are freed: the kernel's own tables never map anything there.
#include "sasos/arch/smp.h"
#include "efi/bootinfo.h"
#include "sasos/arch/apic.h"
#include "sasos/arch/irq.h"
#include "sasos/arch/lock.h"
#include "sasos/arch/time.h"
#include "sasos/arch/trap.h"
#include "sasos/dev/acpi.h"
#include "sasos/lib/log.h"
#include "sasos/lib/mem.h"
#include "sasos/lib/panic.h"
#include "sasos/mem/frame.h"
#include "sasos/mem/pt.h"
#include "sasos/mem/stack.h"
#include "sasos/run/thread.h"

#define AP_STACK (16u << 10)
#define LOW_END 0xa0000u       // conventional memory below 1 MiB
#define INIT_NS (10 * TIME_MS) // SDM 9.4.4.1
#define STARTUP_AGAIN_NS \
    (2 * TIME_MS) // 200 us would do; an emulated CPU may take longer to be scheduled
#define STARTUP_NS (5000 * TIME_MS)
#define STOP_NS (1000 * TIME_MS)
#define PTE_P (1ull << 0)
#define PTE_W (1ull << 1)

enum stage { OFF, HERE, UNFIT, STOPPED };

extern const uint8_t ap_code[], ap_code_end[], ap_gdt_pointer[], ap_far[], ap_cr3[], ap_stack[],
    ap_cpu[], ap_entry[];
_Noreturn void smp_ap_main(struct cpu *c);

uint64_t smp_flush_wanted;
static uint64_t sync_wanted, stops;
static struct cpu cpus[CPUS_MAX];
static unsigned count = 1;
static uint32_t stopper; // number + 1 of the CPU that stops the others
static uint64_t kernel_cr3;

void smp_init(void) { cpu_init_gs(&cpus[0]); }
unsigned smp_count(void) { return __atomic_load_n(&count, __ATOMIC_ACQUIRE); }

// ---- Requests ------------------------------------------------------------------------------------------------------------------

void smp_interrupt(unsigned index, uint8_t vector) { apic_ipi(cpus[index].apic_id, vector); }

// All CPUs but this one. Interrupts are off.
static void interrupt_others(void) {
    unsigned me = cpu_this()->index, n = smp_count();
    for (unsigned i = 0; i < n; i++)
        if (i != me) smp_interrupt(i, IRQ_VECTOR_SMP);
}

void smp_flush_self(void) {
    uint64_t flags = cpu_irq_save();
    struct cpu *c = cpu_this();
    // Acquire: whoever counted up had changed the page tables before. So what this CPU looks up from here on is the new
    // state, and storing the count afterwards (release) claims no more than that.
    uint64_t wanted = __atomic_load_n(&smp_flush_wanted, __ATOMIC_ACQUIRE);
    cpu_write_cr3(cpu_read_cr3()); // no entry is global: all go, and the paging-structure caches
    __atomic_store_n(&c->flushed, wanted, __ATOMIC_RELEASE);
    cpu_irq_restore(flags);
}

void smp_flush(void) {
    unsigned n = smp_count();
    if (n == 1) return; // the caller has invalidated its own
    uint64_t flags = cpu_irq_save();
    // This CPU too: since the caller invalidated its own it may have been moved to another.
    uint64_t wanted = __atomic_add_fetch(&smp_flush_wanted, 1, __ATOMIC_SEQ_CST);
    smp_flush_self();
    interrupt_others();
    cpu_irq_restore(flags);
    for (unsigned i = 0; i < n; i++)
        while (__atomic_load_n(&cpus[i].flushed, __ATOMIC_ACQUIRE) < wanted) smp_relax();
}

void smp_sync(void) {
    KASSERT(cpu_irqs_on() && !cpu_in_handler());
    unsigned n = smp_count();
    if (n == 1) return; // nothing that had interrupts off is unfinished here
    uint64_t flags = cpu_irq_save();
    uint64_t wanted = __atomic_add_fetch(&sync_wanted, 1, __ATOMIC_SEQ_CST);
    __atomic_store_n(&cpu_this()->synced, wanted, __ATOMIC_RELEASE);
    interrupt_others();
    cpu_irq_restore(flags);
    // Acquire: what the others did in their sections is over for us as well.
    for (unsigned i = 0; i < n; i++)
        while (__atomic_load_n(&cpus[i].synced, __ATOMIC_ACQUIRE) < wanted) smp_relax();
}

uint64_t smp_stops(void) { return __atomic_load_n(&stops, __ATOMIC_ACQUIRE); }

void smp_stop_sandboxed(void) {
    uint64_t flags = cpu_irq_save();
    // After the domain was marked (full barrier): a thread that was preempted before it could look finds that the count differs
    // when it runs again, and looks then (sched.c).
    __atomic_add_fetch(&stops, 1, __ATOMIC_SEQ_CST);
    interrupt_others();
    if (apic_ready()) apic_self_ipi(IRQ_VECTOR_SMP);
    cpu_irq_restore(flags);
}

void smp_on_request(struct trap_frame *frame) {
    struct cpu *c = cpu_this();
    uint64_t wanted = __atomic_load_n(&sync_wanted, __ATOMIC_ACQUIRE);
    if (__atomic_load_n(&smp_flush_wanted, __ATOMIC_RELAXED) != c->flushed) smp_flush_self();
    // An interrupt was taken, so every section that had them off before is over; release, so that its writes are seen too.
    // Never backwards: smp_sync() on this CPU may have stored a later count than an interrupt that was already on its way.
    if (wanted > c->synced) __atomic_store_n(&c->synced, wanted, __ATOMIC_RELEASE);
    uint64_t stopped = smp_stops(); // before the look
    trap_stop(frame);
    thr_stops_checked(stopped);
}

// ---- The end -------------------------------------------------------------------------------------------------------------------

static _Noreturn void halt(void) {
    for (;;) {
        __asm__ volatile("cli");
        cpu_halt();
    }
}

bool smp_stop_others(void) {
    struct cpu *c = cpu_this();
    uint32_t nobody = 0;
    if (!__atomic_compare_exchange_n(&stopper, &nobody, c->index + 1, false, __ATOMIC_SEQ_CST,
                                     __ATOMIC_SEQ_CST))
        return nobody == c->index + 1;
    unsigned n = smp_count();
    for (unsigned i = 0; i < n; i++)
        if (i != c->index) apic_nmi(cpus[i].apic_id);
    // One that does not answer is left alone: this report is worth more than its silence.
    uint64_t end = time_now_ns() + STOP_NS;
    for (unsigned i = 0; i < n; i++)
        while (i != c->index && __atomic_load_n(&cpus[i].stage, __ATOMIC_ACQUIRE) != STOPPED &&
               time_now_ns() < end)
            cpu_pause();
    return true;
}

void smp_on_nmi(void) {
    struct cpu *c = cpu_this();
    uint32_t by = __atomic_load_n(&stopper, __ATOMIC_ACQUIRE);
    if (!by || by == c->index + 1) return;
    __atomic_store_n(&c->stage, STOPPED, __ATOMIC_RELEASE);
    halt();
}

// ---- Start ---------------------------------------------------------------------------------------------------------------------

void smp_ap_main(struct cpu *c) {
    cpu_write_cr3(kernel_cr3);
    cpu_init_gs(c);
    trap_load();
    if (!cpu_check_same()) {
        __atomic_store_n(&c->stage, UNFIT, __ATOMIC_RELEASE);
        halt();
    }
    cpu_init();
    apic_init_cpu();
    c->tsc_seen = cpu_rdtsc();
    __atomic_store_n(&c->stage, HERE, __ATOMIC_RELEASE);
    while (smp_count() <= c->index) cpu_pause();
    smp_flush_self(); // from now on requests are waited for; whatever was unmapped before is forgotten here
    thr_start();
}

// A free page below 1 MiB (the frame allocator leaves those alone), 0 if there is none.
static uint64_t low_page(void) {
    uint64_t n, best = 0;
    const struct boot_mem_range *map = frame_map(&n);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t end = MIN(map[i].base + map[i].pages * FRAME_SIZE, (uint64_t)LOW_END);
        if (map[i].type == BOOT_MEM_FREE && end >= 2 * FRAME_SIZE && end - FRAME_SIZE >= map[i].base)
            best = MAX(best, end - FRAME_SIZE);
    }
    return best;
}

struct way { // page tables to the kernel: the PML4 below 4 GiB, since real mode loads it
    uint64_t page, tables[4];
};

static void way_free(struct way *w) {
    for (unsigned i = 0; i < ARRAY_LEN(w->tables); i++)
        if (w->tables[i]) frame_free(w->tables[i], 1);
}

static bool way_make(struct way *w) {
    *w = (struct way){.page = low_page()};
    if (!w->page) return false;
    for (unsigned i = 0; i < ARRAY_LEN(w->tables); i++)
        if (!(w->tables[i] = frame_alloc(FRAME_ZERO | FRAME_LOW))) {
            way_free(w);
            return false;
        }
    uint64_t *top = pt_direct(w->tables[0]);
    memcpy(top + 256, (const uint64_t *)pt_direct(kernel_cr3) + 256, 256 * sizeof *top);
    // The page at its own address: entry 0 of every level but the last. Not writable there.
    for (unsigned i = 0; i < 3; i++)
        *(uint64_t *)pt_direct(w->tables[i]) = w->tables[i + 1] | PTE_P | PTE_W;
    ((uint64_t *)pt_direct(w->tables[3]))[w->page / FRAME_SIZE] = w->page | PTE_P;
    return true;
}

static void put(const struct way *w, const uint8_t *where, const void *value, size_t size) {
    memcpy((uint8_t *)pt_direct(w->page) + (where - ap_code), value, size);
}

static void add32(const struct way *w, const uint8_t *where, uint32_t add) {
    uint32_t v;
    memcpy(&v, where, sizeof v);
    v += add;
    put(w, where, &v, sizeof v);
}

static uint32_t stage_of(const struct cpu *c) {
    return __atomic_load_n(&c->stage, __ATOMIC_ACQUIRE);
}

// True when it runs and belongs to the others. It has had its INIT.
static bool start_one(const struct way *w, struct cpu *c, uint64_t stack) {
    memcpy(pt_direct(w->page), ap_code, (size_t)(ap_code_end - ap_code));
    add32(w, ap_gdt_pointer + 2, (uint32_t)w->page);
    add32(w, ap_far, (uint32_t)w->page);
    uint64_t entry = (uint64_t)smp_ap_main, self = (uint64_t)c;
    put(w, ap_cr3, &w->tables[0], sizeof(uint32_t));
    put(w, ap_stack, &stack, sizeof stack);
    put(w, ap_cpu, &self, sizeof self);
    put(w, ap_entry, &entry, sizeof entry);

    uint64_t before = cpu_rdtsc(), start = time_now_ns();
    apic_startup(c->apic_id, (uint8_t)(w->page / FRAME_SIZE));
    for (bool again = false; stage_of(c) == OFF && time_now_ns() - start < STARTUP_NS;) {
        cpu_pause();
        if (again || time_now_ns() - start < STARTUP_AGAIN_NS) continue;
        apic_startup(c->apic_id, (uint8_t)(w->page / FRAME_SIZE)); // without effect on one that runs
        again = true;
    }
    uint64_t after = cpu_rdtsc();
    const char *why = stage_of(c) == OFF                      ? "it does not start"
                      : stage_of(c) == UNFIT                  ? "it lacks what the first one has"
                      : c->tsc_seen - before > after - before ? "its time-stamp counter differs"
                                                              : NULL;
    if (!why) return true;
    apic_init_ipi(c->apic_id); // wherever it is: back to waiting
    log_warn("smp", "the CPU with APIC id %u is left off: %s", c->apic_id, why);
    return false;
}

void smp_start(void) {
    const struct acpi_info *a = acpi();
    uint32_t ids[CPUS_MAX];
    unsigned found = 0, more = 0, unreachable = 0;
    for (uint32_t i = 0; i < a->cpu_count; i++) {
        if (!a->cpus[i].enabled || a->cpus[i].apic_id == apic_id()) continue;
        if (!apic_x2apic() && a->cpus[i].apic_id >= 255)
            unreachable++;
        else if (found + 1 == CPUS_MAX)
            more++;
        else
            ids[found++] = a->cpus[i].apic_id;
    }
    if (more) log_warn("smp", "%u CPUs beyond the first %u are left off", more, CPUS_MAX);
    if (unreachable)
        log_warn("smp", "%u CPUs are left off: without x2APIC nothing reaches them", unreachable);
    if (!found) return;
    kernel_cr3 = cpu_read_cr3();
    struct way w;
    if (!way_make(&w)) {
        log_warn("smp", "%u CPUs are left off: there is no memory below 1 MiB for their first code",
                 found);
        return;
    }
    for (unsigned i = 0; i < found; i++) apic_init_ipi(ids[i]);
    time_delay_ns(INIT_NS);
    for (unsigned i = 0; i < found; i++) {
        struct cpu *c = &cpus[count];
        *c = (struct cpu){.index = count, .apic_id = ids[i], .timer_deadline = TIME_FOREVER};
        uint64_t stack = stack_alloc(AP_STACK);
        if (!stack || !trap_prepare(c) || !thr_init_cpu(c)) {
            log_warn("smp", "%u CPUs are left off: out of memory", found - i);
            break;
        }
        if (start_one(&w, c, stack)) __atomic_store_n(&count, count + 1, __ATOMIC_RELEASE);
    }
    way_free(&w);
    log_info("smp", "%u CPUs", count);
}
