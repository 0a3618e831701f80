// cpu.h — the processor: what it must have, its control registers, and the kernel's state of each.
//
// cpu_check() runs before any CR4 bit is touched (QEMU 7.2's TCG hangs on a reserved one) and refuses, with a sentence, a
// processor without what compiled modules or the kernel rely on. gs holds the address of this CPU's struct cpu from
// cpu_init_gs() on and is never changed (no swapgs: there is only ring 0, and modules cannot name a segment).
//
// A thread may be moved to another CPU between any two instructions while interrupts are on. So cpu_this() is for code that
// has them off; anything else reads one field at a time by CPU_READ(), a single instruction.
#ifndef SASOS_ARCH_CPU_H
#define SASOS_ARCH_CPU_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CPUS_MAX 64u // a set of CPUs is one word

struct cpu;
struct thread;
struct trap_frame;

struct cpu_features { // optional ones; the required ones are simply there
    bool smep, smap, umip, pages_1g, x2apic, rdrand, rdseed, xsaveopt, invariant_tsc, hypervisor;
    uint32_t xsave_size; // bytes of an XSAVE area for XCR0 = x87 | SSE | AVX
    uint64_t xcr0;
    uint32_t phys_bits;
    char vendor[13], brand[49], hypervisor_name[13];
};

void cpu_init_gs(struct cpu *c); // first of all: the trap entries use it
void cpu_check(void);            // refuses or fills the features
const struct cpu_features *cpu_features(void);
// True if this CPU, another than the one that booted, has all that cpu_check() found or demands.
bool cpu_check_same(void);
// This CPU's control registers (CR0, CR4, EFER, XCR0, PAT). After cpu_check().
void cpu_init(void);

// ---- State of one CPU. Fields that assembly uses have their offsets in arch/offsets.h, asserted in arch/offsets.c. ----
struct cpu {
    struct cpu *self;
    struct thread *current;   // owned by this CPU's scheduler, changed with interrupts off
    uint64_t irq_stack_top;   // IST of interrupts; also the scheduler's own stack
    uint64_t fault_stack_top; // where exception handlers run after they left their IST
    uint64_t fault_depth;     // > 0 while one runs: another fault then is a panic
    struct thread *idle;
    uint32_t index, apic_id;
    uint32_t irq_depth; // > 0 in an interrupt handler
    bool need_resched;
    uint64_t timer_deadline; // ns, what the local APIC timer is armed for; UINT64_MAX: nothing
    // arch/smp.c, written by this CPU and read by others
    uint64_t flushed; // the latest request to forget translations that it has carried out
    uint64_t synced;  // the latest smp_sync() that it has answered
    uint32_t stage;   // of its start
    uint64_t tsc_seen;
};

// Interrupts are off, or the CPU does not matter.
static inline struct cpu *cpu_this(void) {
    struct cpu *c;
    __asm__ volatile("movq %%gs:0, %0" : "=r"(c));
    return c;
}
#define CPU_READ(field)                                                                         \
    __extension__({                                                                             \
        __typeof__(((struct cpu *)0)->field) value_;                                            \
        __asm__ volatile("mov %%gs:%c1, %0" : "=r"(value_) : "i"(offsetof(struct cpu, field))); \
        value_;                                                                                 \
    })
// In an interrupt or exception handler.
static inline bool cpu_in_handler(void) { return CPU_READ(irq_depth) || CPU_READ(fault_depth); }

// ---- Instructions ----
static inline void cpu_halt(void) { __asm__ volatile("hlt" : : : "memory"); }
// Interrupts come through only when the CPU is halted: none is lost between the two (Intel SDM 2B, STI).
static inline void cpu_wait_for_interrupt(void) {
    __asm__ volatile("sti; hlt; cli" : : : "memory");
}
static inline void cpu_pause(void) { __asm__ volatile("pause"); }
static inline uint64_t cpu_rdtsc(void) {
    uint32_t lo, hi;
    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
    return (uint64_t)hi << 32 | lo;
}
static inline uint64_t cpu_rdmsr(uint32_t msr) {
    uint32_t lo, hi;
    __asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
    return (uint64_t)hi << 32 | lo;
}
static inline void cpu_wrmsr(uint32_t msr, uint64_t v) {
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)) : "memory");
}
static inline uint64_t cpu_read_cr2(void) {
    uint64_t v;
    __asm__ volatile("movq %%cr2, %0" : "=r"(v));
    return v;
}
static inline uint64_t cpu_read_cr3(void) {
    uint64_t v;
    __asm__ volatile("movq %%cr3, %0" : "=r"(v));
    return v;
}
static inline void cpu_write_cr3(uint64_t v) {
    __asm__ volatile("movq %0, %%cr3" : : "r"(v) : "memory");
}
static inline void cpu_invlpg(uint64_t va) {
    __asm__ volatile("invlpg (%0)" : : "r"(va) : "memory");
}

// Interrupts off, and what they were before; restore with the value returned.
static inline uint64_t cpu_irq_save(void) {
    uint64_t flags;
    __asm__ volatile("pushfq; popq %0; cli" : "=r"(flags) : : "memory");
    return flags;
}
static inline void cpu_irq_restore(uint64_t flags) {
    if (flags & (1u << 9)) __asm__ volatile("sti" : : : "memory");
}
// Takes the interrupts that are pending; interrupts are as before when it returns.
static inline void cpu_irq_window(void) {
    uint64_t flags = cpu_irq_save();
    __asm__ volatile("sti; nop; cli"
                     :
                     :
                     : "memory"); // taken after the nop: sti holds them off for one instruction
    cpu_irq_restore(flags);
}
static inline bool cpu_irqs_on(void) {
    uint64_t flags;
    __asm__ volatile("pushfq; popq %0" : "=r"(flags) : : "memory");
    return flags & (1u << 9);
}

// Hardware random number, false where the CPU has none or it failed. Not a seed by itself.
bool cpu_random64(uint64_t *out);
#endif
