// apic.c — local APIC registers by their names in the Intel SDM, volume 3A, table 11-1; x2APIC MSR = 800h + offset / 16.
#include "sasos/arch/apic.h"
#include "sasos/arch/cpu.h"
#include "sasos/arch/io.h"
#include "sasos/arch/irq.h"
#include "sasos/arch/time.h"
#include "sasos/lib/panic.h"
#include "sasos/mem/pt.h"

#define MSR_APIC_BASE 0x1bu
#define APIC_BASE_ENABLE (1ull << 11)
#define APIC_BASE_EXTD (1ull << 10)
#define APIC_BASE_ADDRESS 0x000ffffffffff000ull
#define MSR_X2APIC 0x800u
#define MSR_X2APIC_SELF_IPI 0x83fu

#define APIC_ID 0x20
#define APIC_TPR 0x80
#define APIC_EOI 0xb0
#define APIC_SVR 0xf0
#define APIC_ISR 0x100
#define APIC_ICR_LOW 0x300
#define APIC_ICR_HIGH 0x310
#define APIC_LVT_TIMER 0x320
#define APIC_LVT_LINT0 0x350
#define APIC_LVT_LINT1 0x360
#define APIC_LVT_ERROR 0x370
#define APIC_TIMER_INITIAL 0x380
#define APIC_TIMER_CURRENT 0x390
#define APIC_TIMER_DIVIDE 0x3e0
#define APIC_ICR_SELF (1u << 18) // destination shorthand
#define APIC_ICR_PENDING (1u << 12)
#define APIC_ICR_ASSERT (1u << 14)
#define APIC_ICR_NMI (4u << 8)
#define APIC_ICR_INIT (5u << 8)
#define APIC_ICR_STARTUP (6u << 8)
#define APIC_SVR_ENABLE (1u << 8)
#define APIC_LVT_MASKED (1u << 16)
#define APIC_LVT_NMI (4u << 8)
#define APIC_DIVIDE_16 3u

#define PIC1_COMMAND 0x20
#define PIC1_DATA 0x21
#define PIC2_COMMAND 0xa0
#define PIC2_DATA 0xa1
#define PIC_VECTORS 0x20 // and the next fifteen: below IRQ_VECTOR_FIRST, above the exceptions

static volatile uint8_t *regs; // xAPIC page; NULL in x2APIC mode
static bool ready;
static uint64_t timer_hz;

static uint32_t apic_read(uint32_t reg) {
    if (regs) return mmio_read32(regs + reg);
    return (uint32_t)cpu_rdmsr(MSR_X2APIC + reg / 16);
}

static void apic_write(uint32_t reg, uint32_t v) {
    if (regs)
        mmio_write32(regs + reg, v);
    else
        cpu_wrmsr(MSR_X2APIC + reg / 16, v);
}

// Intel 8259A: both are moved out of the exceptions' way and masked; a spurious IRQ 7 or 15 then is a counted vector.
static void mask_pics(void) {
    io_out8(PIC1_COMMAND, 0x11); // ICW1: edge, cascade, ICW4 follows
    io_out8(PIC2_COMMAND, 0x11);
    io_out8(PIC1_DATA, PIC_VECTORS); // ICW2
    io_out8(PIC2_DATA, PIC_VECTORS + 8);
    io_out8(PIC1_DATA, 4); // ICW3
    io_out8(PIC2_DATA, 2);
    io_out8(PIC1_DATA, 1); // ICW4: 8086 mode
    io_out8(PIC2_DATA, 1);
    io_out8(PIC1_DATA, 0xff); // OCW1: all masked
    io_out8(PIC2_DATA, 0xff);
}

void apic_init_cpu(void) {
    uint64_t base = cpu_rdmsr(MSR_APIC_BASE) | APIC_BASE_ENABLE;
    if (cpu_features()->x2apic) {
        // Through xAPIC mode: EXTD may not be set together with ENABLE (SDM 11.12.5).
        cpu_wrmsr(MSR_APIC_BASE, base);
        cpu_wrmsr(MSR_APIC_BASE, base | APIC_BASE_EXTD);
    } else {
        cpu_wrmsr(MSR_APIC_BASE, base);
        // Each CPU sees its own at the same address.
        if (!regs) regs = pt_map_mmio(base & APIC_BASE_ADDRESS, 4096, PT_W | PT_UC);
        if (!regs) panic_refuse("there is not enough memory to map the local APIC");
    }
    apic_write(APIC_TPR, 0);
    apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED | IRQ_VECTOR_TIMER);
    apic_write(APIC_LVT_LINT0, APIC_LVT_MASKED);
    apic_write(APIC_LVT_LINT1, APIC_LVT_NMI);
    apic_write(APIC_LVT_ERROR, APIC_LVT_MASKED);
    apic_write(APIC_TIMER_DIVIDE, APIC_DIVIDE_16);
    apic_write(APIC_SVR, APIC_SVR_ENABLE | IRQ_VECTOR_SPURIOUS);
    cpu_this()->apic_id = regs ? apic_read(APIC_ID) >> 24 : apic_read(APIC_ID);
    cpu_this()->timer_deadline = TIME_FOREVER;
    if (timer_hz) apic_write(APIC_LVT_TIMER, IRQ_VECTOR_TIMER); // calibrated already
}

void apic_init(void) {
    mask_pics();
    apic_init_cpu();
    ready = true;
}

uint32_t apic_id(void) { return CPU_READ(apic_id); }
bool apic_x2apic(void) { return !regs; }
bool apic_ready(void) { return ready; }
void apic_eoi(void) { apic_write(APIC_EOI, 0); }
bool apic_in_service(uint8_t vector) {
    return apic_read(APIC_ISR + (vector / 32u) * 16u) >> (vector % 32u) & 1;
}

static void send(uint32_t id, uint32_t command) {
    if (!regs) {
        cpu_wrmsr(MSR_X2APIC + APIC_ICR_LOW / 16, (uint64_t)id << 32 | command);
        return;
    }
    while (apic_read(APIC_ICR_LOW) & APIC_ICR_PENDING) cpu_pause();
    apic_write(APIC_ICR_HIGH, id << 24);
    apic_write(APIC_ICR_LOW, command);
}

// In x2APIC mode a write of the ICR is not ordered behind earlier stores (SDM 11.12.3), and what the other CPU is to look at
// must be seen first. The write of the xAPIC's register is ordered, being one to memory.
void apic_ipi(uint32_t id, uint8_t vector) {
    if (!regs) __asm__ volatile("mfence; lfence" : : : "memory");
    send(id, APIC_ICR_ASSERT | vector);
}
void apic_nmi(uint32_t id) { send(id, APIC_ICR_ASSERT | APIC_ICR_NMI); }
void apic_init_ipi(uint32_t id) { send(id, APIC_ICR_ASSERT | APIC_ICR_INIT); }
void apic_startup(uint32_t id, uint8_t page) {
    send(id, APIC_ICR_ASSERT | APIC_ICR_STARTUP | page);
}

void apic_self_ipi(uint8_t vector) {
    if (regs)
        apic_write(APIC_ICR_LOW, APIC_ICR_SELF | vector);
    else
        cpu_wrmsr(MSR_X2APIC_SELF_IPI, vector);
}

void apic_timer_count_start(void) {
    apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED | IRQ_VECTOR_TIMER);
    apic_write(APIC_TIMER_INITIAL, UINT32_MAX);
}

uint32_t apic_timer_counted(void) { return UINT32_MAX - apic_read(APIC_TIMER_CURRENT); }

void apic_timer_set_hz(uint64_t hz) {
    timer_hz = hz;
    apic_write(APIC_TIMER_INITIAL, 0);
    apic_write(APIC_LVT_TIMER, IRQ_VECTOR_TIMER); // one-shot, not masked
}

void apic_timer_arm(uint64_t deadline_ns) {
    cpu_this()->timer_deadline = deadline_ns;
    if (deadline_ns == TIME_FOREVER) {
        apic_write(APIC_TIMER_INITIAL, 0);
        return;
    }
    uint64_t now = time_now_ns();
    // A deadline beyond the counter's reach fires early; whoever armed it finds it unmet and arms again.
    uint64_t ns = deadline_ns > now ? deadline_ns - now : 0;
    if (ns > 1000 * TIME_MS) ns = 1000 * TIME_MS;
    uint64_t ticks = ns * (timer_hz / 1000) / 1000000 + 1; // ≤ 10⁹ · 10⁷
    apic_write(APIC_TIMER_INITIAL, ticks > UINT32_MAX ? UINT32_MAX : (uint32_t)ticks);
}

bool apic_timer_due(void) {
    uint64_t deadline = cpu_this()->timer_deadline;
    if (time_now_ns() >= deadline) return true;
    apic_timer_arm(deadline);
    return false;
}
