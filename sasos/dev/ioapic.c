// ioapic.c — see ioapic.h. Registers by the names of the Intel 82093AA data sheet.
#include "sasos/dev/ioapic.h"
#include "sasos/arch/apic.h"
#include "sasos/arch/io.h"
#include "sasos/arch/lock.h"
#include "sasos/dev/acpi.h"
#include "sasos/dev/iommu.h"
#include "sasos/lib/log.h"
#include "sasos/mem/pt.h"

#define IOREGSEL 0x00
#define IOWIN 0x10
#define IOAPICVER 0x01
#define IOREDTBL(n) (0x10 + 2 * (n))
#define REDIR_INTPOL (1ull << 13) // active low
#define REDIR_LEVEL (1ull << 15)  // trigger mode
#define REDIR_MASK (1ull << 16)
#define REDIR_DESTINATION(apic_id) ((uint64_t)((apic_id)&0xff) << 56)

static volatile uint8_t *regs[ACPI_IOAPICS_MAX]; // NULL: not there
static unsigned inputs[ACPI_IOAPICS_MAX];
static struct spinlock lock; // the select register, and what is read and changed through it

static struct line {
    irq_handler_fn *handler; // NULL: free
    void *arg;
    unsigned unit, input;
    bool level;
    int vector, remap; // remap: -1 without
} lines[IOAPIC_LINES];

static uint32_t read_register(unsigned unit, unsigned index) {
    mmio_write32(regs[unit] + IOREGSEL, index);
    return mmio_read32(regs[unit] + IOWIN);
}
static void write_register(unsigned unit, unsigned index, uint32_t value) {
    mmio_write32(regs[unit] + IOREGSEL, index);
    mmio_write32(regs[unit] + IOWIN, value);
}
// The half with the mask bit comes last when an entry is opened, first when it is closed: it is closed here before it changes.
static void write_entry(unsigned unit, unsigned input, uint64_t entry) {
    uint64_t flags = spin_lock(&lock);
    write_register(unit, IOREDTBL(input), (uint32_t)REDIR_MASK);
    write_register(unit, IOREDTBL(input) + 1, (uint32_t)(entry >> 32));
    write_register(unit, IOREDTBL(input), (uint32_t)entry);
    spin_unlock(&lock, flags);
}
static void set_mask(const struct line *l, bool masked) {
    uint64_t flags = spin_lock(&lock);
    uint32_t low = read_register(l->unit, IOREDTBL(l->input)) & ~(uint32_t)REDIR_MASK;
    write_register(l->unit, IOREDTBL(l->input), low | (masked ? (uint32_t)REDIR_MASK : 0));
    spin_unlock(&lock, flags);
}

void ioapic_init(void) {
    const struct acpi_info *a = acpi();
    for (unsigned i = 0; i < a->ioapic_count; i++) {
        regs[i] = pt_map_mmio(a->ioapics[i].address, 4096, PT_W | PT_UC);
        if (!regs[i]) {
            log_error("ioapic", "cannot map the I/O APIC at %x: its lines are not served",
                      a->ioapics[i].address);
            continue;
        }
        inputs[i] = (read_register(i, IOAPICVER) >> 16 & 0xff) + 1;
        for (unsigned n = 0; n < inputs[i]; n++) write_entry(i, n, REDIR_MASK);
    }
}

// Where a line arrives: bits 1:0 of flags are its polarity (3: active low), 3:2 its trigger (3: level); 0 = as the bus has it (ACPI §5.2.12.5).
static bool find(unsigned number, struct line *out, bool *out_low) {
    const struct acpi_info *a = acpi();
    uint32_t gsi = number, flags = 0;
    for (unsigned i = 0; i < a->override_count; i++)
        if (a->overrides[i].irq == number) gsi = a->overrides[i].gsi, flags = a->overrides[i].flags;
    out->level = (flags >> 2 & 3) == 3;
    *out_low = (flags & 3) == 3;
    for (unsigned i = 0; i < a->ioapic_count; i++)
        if (regs[i] && gsi >= a->ioapics[i].gsi_base && gsi - a->ioapics[i].gsi_base < inputs[i]) {
            out->unit = i;
            out->input = gsi - a->ioapics[i].gsi_base;
            return true;
        }
    return false;
}

static void on_interrupt(void *arg) {
    struct line *l = arg;
    if (l->level) set_mask(l, true);
    l->handler(l->arg);
}

enum status ioapic_bind(unsigned number, irq_handler_fn *handler, void *arg) {
    if (number >= IOAPIC_LINES) return ST_INVALID;
    struct line *l = &lines[number];
    bool low;
    if (l->handler) return ST_EXISTS;
    if (!find(number, l, &low)) return ST_NOT_FOUND;
    l->vector = irq_alloc(on_interrupt, l);
    if (l->vector < 0) return ST_NO_SPACE;
    uint64_t entry = (uint64_t)l->vector | REDIR_DESTINATION(apic_id());
    l->remap = -1;
    if (iommu_interrupt_remapping()) {
        l->remap = iommu_irq_alloc_ioapic(acpi()->ioapics[l->unit].id, (uint8_t)l->vector,
                                          apic_id(), l->level, &entry);
        if (l->remap < 0) {
            irq_free(l->vector);
            return ST_NO_SPACE;
        }
    }
    l->handler = handler;
    l->arg = arg;
    write_entry(l->unit, l->input,
                entry | (low ? REDIR_INTPOL : 0) | (l->level ? REDIR_LEVEL : 0) | REDIR_MASK);
    return ST_OK;
}

void ioapic_unmask(unsigned number) { set_mask(&lines[number], false); }

void ioapic_free(unsigned number) {
    struct line *l = &lines[number];
    write_entry(l->unit, l->input, REDIR_MASK);
    if (l->remap >= 0) iommu_irq_free(l->remap);
    irq_free(l->vector);
    l->handler = NULL;
}
