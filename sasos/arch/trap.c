// trap.c — GDT and TSS of each CPU, the IDT of all, and what each exception leads to (trap.h says who is asked; Intel SDM volume 3A chapter 6).
#include "sasos/arch/trap.h"
#include "sasos/arch/apic.h"
#include "sasos/arch/cpu.h"
#include "sasos/arch/irq.h"
#include "sasos/arch/offsets.h"
#include "sasos/arch/smp.h"
#include "sasos/layout.h"
#include "sasos/lib/log.h"
#include "sasos/lib/mem.h"
#include "sasos/lib/panic.h"
#include "sasos/mem/arena.h"
#include "sasos/mem/stack.h"

#define IST_STACK (16u << 10)
#define EARLY_STACK (8u << 10)

enum ist { IST_NMI = 1, IST_DF, IST_MC, IST_DB, IST_PF, IST_FAULT, IST_IRQ, IST_COUNT = IST_IRQ };

struct __attribute__((packed)) tss {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3, io_map;
};
_Static_assert(sizeof(struct tss) == 104, "Intel SDM volume 3A, figure 8-11");

struct gate {
    uint16_t offset_low, selector;
    uint8_t ist, type;
    uint16_t offset_mid;
    uint32_t offset_high, reserved;
};
_Static_assert(sizeof(struct gate) == 16, "Intel SDM volume 3A, figure 6-8");

struct __attribute__((packed)) table_pointer {
    uint16_t limit;
    uint64_t base;
};

extern const char vector_stubs[]; // 256 × 32 bytes
void cpu_load_gdt(const struct table_pointer *gdt);
void trap_exception(struct trap_frame *frame);
void trap_immediate(struct trap_frame *frame);
_Noreturn void trap_nested(struct trap_frame *frame);

static struct tables { // of one CPU
    uint64_t gdt[5];
    struct tss tss;
} tables[CPUS_MAX];
static struct gate idt[256]; // of all
static __attribute__((aligned(16))) uint8_t early_stacks[IST_COUNT + 1][EARLY_STACK];
static trap_sandbox_hook_fn *sandbox_hook;
static trap_tick_hook_fn *tick_hook;
static trap_stop_hook_fn *stop_hook;
static uint64_t nmi_count, forged_count;

static uint8_t ist_of(unsigned vector) {
    switch (vector) {
    case TRAP_NMI: return IST_NMI;
    case TRAP_DF: return IST_DF;
    case TRAP_MC: return IST_MC;
    case TRAP_DB: return IST_DB;
    case TRAP_PF: return IST_PF;
    default: return vector < 32 ? IST_FAULT : IST_IRQ;
    }
}

static void set_stacks(struct cpu *c, uint64_t tops[IST_COUNT + 1]) {
    for (int i = 0; i < IST_COUNT; i++) tables[c->index].tss.ist[i] = tops[i];
    c->irq_stack_top = tops[IST_IRQ - 1];
    c->fault_stack_top = tops[IST_COUNT];
}

void trap_init_early(void) {
    uint64_t tops[IST_COUNT + 1];
    for (int i = 0; i <= IST_COUNT; i++) tops[i] = (uint64_t)early_stacks[i] + EARLY_STACK;
    set_stacks(cpu_this(), tops);
    for (unsigned v = 0; v < 256; v++) {
        uint64_t at = (uint64_t)vector_stubs + 32 * v;
        idt[v] = (struct gate){
            .offset_low = (uint16_t)at,
            .selector = SEL_CODE,
            .ist = ist_of(v),
            .type = 0x8e, // present, DPL 0, interrupt gate: IF is cleared
            .offset_mid = (uint16_t)(at >> 16),
            .offset_high = (uint32_t)(at >> 32),
        };
    }
    trap_load();
}

void trap_load(void) {
    struct tables *t = &tables[cpu_this()->index];
    t->tss.io_map = sizeof t->tss; // no I/O bitmap
    uint64_t base = (uint64_t)&t->tss;
    t->gdt[SEL_CODE / 8] = 0x00209b0000000000ull; // 64-bit code, present, DPL 0
    t->gdt[SEL_DATA / 8] = 0x0000930000000000ull;
    t->gdt[SEL_TSS / 8] =
        (sizeof t->tss - 1) | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24 & 0xff) << 56;
    t->gdt[SEL_TSS / 8 + 1] = base >> 32;
    cpu_load_gdt(&(struct table_pointer){sizeof t->gdt - 1, (uint64_t)t->gdt});
    __asm__ volatile("ltr %w0" : : "r"(SEL_TSS));
    struct table_pointer pointer = {sizeof idt - 1, (uint64_t)idt};
    __asm__ volatile("lidt %0" : : "m"(pointer));
    // Loading a selector leaves gs alone: its base is cpu_init_gs()'s.
}

bool trap_prepare(struct cpu *c) {
    uint64_t tops[IST_COUNT + 1];
    for (int i = 0; i <= IST_COUNT; i++)
        if (!(tops[i] = stack_alloc(IST_STACK))) {
            while (i--) stack_free(tops[i]);
            return false;
        }
    set_stacks(c, tops);
    return true;
}

void trap_init(void) {
    if (!trap_prepare(cpu_this()))
        panic_refuse("there is not enough memory for the interrupt stacks");
}

void trap_set_sandbox_hook(trap_sandbox_hook_fn *hook) { sandbox_hook = hook; }
void trap_set_tick_hook(trap_tick_hook_fn *hook) { tick_hook = hook; }
void trap_set_stop_hook(trap_stop_hook_fn *hook) { stop_hook = hook; }
void trap_tick(struct trap_frame *frame) {
    if (tick_hook) tick_hook(frame);
}
void trap_stop(struct trap_frame *frame) {
    if (stop_hook) stop_hook(frame);
}
uint64_t trap_nmi_count(void) { return __atomic_load_n(&nmi_count, __ATOMIC_RELAXED); }

bool trap_in_arena(uint64_t rip) { return arena_contains(rip); }
bool trap_in_slots(uint64_t address) { return address - SLOTS_BASE < SLOTS_MAX * SFI_SLOT_SIZE; }
bool trap_in_stack_guard(uint64_t address) { return stack_is_guard(address); }

const char *trap_name(uint64_t vector) {
    static const char *const names[32] = {
        [0] = "#DE divide error",
        [1] = "#DB debug",
        [2] = "NMI",
        [3] = "#BP breakpoint",
        [4] = "#OF overflow",
        [5] = "#BR bound range",
        [6] = "#UD invalid opcode",
        [7] = "#NM no coprocessor",
        [8] = "#DF double fault",
        [10] = "#TS invalid TSS",
        [11] = "#NP segment not present",
        [12] = "#SS stack segment",
        [13] = "#GP general protection",
        [14] = "#PF page fault",
        [16] = "#MF x87 error",
        [17] = "#AC alignment check",
        [18] = "#MC machine check",
        [19] = "#XM SIMD floating point",
        [20] = "#VE virtualisation",
        [21] = "#CP control protection",
    };
    return vector < 32 && names[vector] ? names[vector] : "reserved exception";
}

// A vector below 32 that is in service in the local APIC was raised by a device, not by the CPU.
static bool forged(const struct trap_frame *f) {
    if (!apic_ready() || !apic_in_service((uint8_t)f->vector)) return false;
    __atomic_add_fetch(&forged_count, 1, __ATOMIC_RELAXED);
    apic_eoi();
    return true;
}

uint64_t trap_forged_count(void) { return __atomic_load_n(&forged_count, __ATOMIC_RELAXED); }

static void panic_exception(const struct trap_frame *f, uint64_t address, const char *when) {
    if (f->vector == TRAP_PF)
        panic_trap(f, "%s%s: %s at %016llx (%s%s)", trap_name(f->vector), when,
                   f->error & TRAP_PF_FETCH   ? "execution"
                   : f->error & TRAP_PF_WRITE ? "write"
                                              : "read",
                   (unsigned long long)address, f->error & TRAP_PF_PRESENT ? "protected" : "not mapped",
                   trap_in_stack_guard(address) ? ", a stack guard" : "");
    panic_trap(f, "%s%s, error code %llx", trap_name(f->vector), when, (unsigned long long)f->error);
}

// On the fault stack, interrupts off.
void trap_exception(struct trap_frame *f) {
    uint64_t address = f->vector == TRAP_PF ? cpu_read_cr2() : 0;
    if (forged(f)) return;
    bool candidate = f->vector == TRAP_PF || f->vector == TRAP_UD || f->vector == TRAP_DE ||
                     f->vector == TRAP_GP || f->vector == TRAP_SS;
    // Never for a fault of an interrupt handler: whatever it touched, no module's instruction was at fault.
    if (candidate && sandbox_hook && !cpu_this()->irq_depth) {
        bool memory = f->vector == TRAP_PF && (trap_in_slots(address) || trap_in_stack_guard(address));
        if ((trap_in_arena(f->rip) || memory) && sandbox_hook(f, address)) return;
    }
    panic_exception(f, address, "");
}

// NMI, #DF, #MC: on their own IST stacks, possibly between any two instructions of the kernel. Nothing here may fault.
void trap_immediate(struct trap_frame *f) {
    switch (f->vector) {
    case TRAP_NMI:
        // A device can send one (MSI delivery mode, or the vector); counted, never fatal. Or another CPU, that ends the machine.
        if (forged(f)) return;
        __atomic_add_fetch(&nmi_count, 1, __ATOMIC_RELAXED);
        smp_on_nmi();
        return;
    case TRAP_MC:
        if (forged(f)) return;
        panic_exception(f, 0, "");
    default:
        if (forged(f)) return; // an APIC refuses vectors below 16 (SDM 11.5.2); QEMU's does not
        panic_exception(f, 0, f->vector == TRAP_DF ? " (the kernel's stack may have overflowed)" : "");
    }
}

_Noreturn void trap_nested(struct trap_frame *f) {
    panic_exception(f, f->vector == TRAP_PF ? cpu_read_cr2() : 0,
                    " while another one was being handled");
    __builtin_unreachable();
}
