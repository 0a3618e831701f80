// msix.c — MSI-X tables (see msix.h). PCIe = PCI Express Base 5.0.
//
// Message address and data are written only while the entry is masked (§6.1.4.5: changing an
// unmasked entry is undefined), and the mask bit is read back, so that after msix_mask() no new
// message leaves the device.
#include "sasos/dev/msix.h"

#include "sasos/arch/apic.h"
#include "sasos/arch/io.h"
#include "sasos/dev/iommu.h"
#include "sasos/lib/panic.h"
#include "sasos/mem/heap.h"
#include "sasos/mem/pt.h"

enum { // §7.7.2.5–9, one entry
    ENTRY_SIZE = 16,
    MESSAGE_ADDRESS = 0,
    MESSAGE_UPPER_ADDRESS = 4,
    MESSAGE_DATA = 8,
    VECTOR_CONTROL = 12,
    MASK_BIT = 1,
};
enum { MESSAGE_CONTROL = 2, MSIX_ENABLE = 1 << 15, FUNCTION_MASK = 1 << 14 }; // §7.7.2.2

struct msix_entry {
    int vector, irte; // -1: none
};

struct msix {
    const struct pci_fn *fn;
    volatile uint8_t *table;
    unsigned count;
    struct msix_entry entries[];
};

static volatile uint8_t *entry_at(const struct msix *m, unsigned index) {
    KASSERT(index < m->count);
    return m->table + (uint64_t)index * ENTRY_SIZE;
}

static void control_write(const struct pci_fn *fn, uint16_t clear, uint16_t set) {
    volatile uint8_t *control = fn->cfg + fn->caps.msix + MESSAGE_CONTROL;
    mmio_write16(control, (uint16_t)((mmio_read16(control) & ~clear) | set));
}

enum status msix_open(const struct pci_fn *fn, struct msix **out) {
    if (!fn->msix.count) return ST_NOT_FOUND;
    struct msix *m = kzalloc(sizeof *m + fn->msix.count * sizeof m->entries[0]);
    if (!m) return ST_NO_MEMORY;
    m->fn = fn;
    m->count = fn->msix.count;
    m->table = pt_map_mmio(fn->bars[fn->msix.table_bar].base + fn->msix.table_offset,
                           (uint64_t)m->count * ENTRY_SIZE, PT_W | PT_UC);
    if (!m->table) {
        kfree(m);
        return ST_NO_MEMORY;
    }
    pci_decode(fn);
    // The function mask is held while the entries are still what somebody else left in them.
    control_write(fn, 0, MSIX_ENABLE | FUNCTION_MASK);
    for (unsigned i = 0; i < m->count; i++) {
        m->entries[i] = (struct msix_entry){-1, -1};
        mmio_write32(entry_at(m, i) + VECTOR_CONTROL, MASK_BIT);
    }
    control_write(fn, FUNCTION_MASK, 0);
    *out = m;
    return ST_OK;
}

unsigned msix_count(const struct msix *m) { return m->count; }

enum status msix_bind(struct msix *m, unsigned index, irq_handler_fn *handler, void *arg) {
    if (index >= m->count) return ST_INVALID;
    struct msix_entry *e = &m->entries[index];
    if (e->vector >= 0) return ST_EXISTS;
    int vector = irq_alloc(handler, arg);
    if (vector < 0) return ST_NO_SPACE;
    uint64_t address = irq_msi_address();
    uint32_t data = irq_msi_data(vector);
    int irte = -1;
    if (iommu_interrupt_remapping()) {
        irte = iommu_irq_alloc(m->fn, (uint8_t)vector, apic_id(), &address, &data);
        if (irte < 0) {
            irq_free(vector);
            return ST_NO_SPACE;
        }
    }
    *e = (struct msix_entry){vector, irte};
    msix_mask(m, index);
    msix_message(m, index, address, data);
    return ST_OK;
}

void msix_message(struct msix *m, unsigned index, uint64_t address, uint32_t data) {
    volatile uint8_t *entry = entry_at(m, index);
    uint32_t masked = mmio_read32(entry + VECTOR_CONTROL) & MASK_BIT;
    msix_mask(m, index);
    mmio_write32(entry + MESSAGE_ADDRESS, (uint32_t)address);
    mmio_write32(entry + MESSAGE_UPPER_ADDRESS, (uint32_t)(address >> 32));
    mmio_write32(entry + MESSAGE_DATA, data);
    mmio_write32(entry + VECTOR_CONTROL, masked);
}

void msix_unmask(struct msix *m, unsigned index) {
    KASSERT(index < m->count && m->entries[index].vector >= 0);
    mmio_write32(entry_at(m, index) + VECTOR_CONTROL, 0);
}

void msix_mask(struct msix *m, unsigned index) {
    volatile uint8_t *entry = entry_at(m, index);
    mmio_write32(entry + VECTOR_CONTROL, MASK_BIT);
    (void)mmio_read32(entry + VECTOR_CONTROL); // §6.1.4.6: the read completes after the write took effect
}

uint64_t msix_interrupts(const struct msix *m, unsigned index) {
    KASSERT(index < m->count);
    return m->entries[index].vector < 0 ? 0 : irq_count(m->entries[index].vector);
}

void msix_close(struct msix *m) {
    for (unsigned i = 0; i < m->count; i++) msix_mask(m, i);
    control_write(m->fn, MSIX_ENABLE, FUNCTION_MASK);
    for (unsigned i = 0; i < m->count; i++) {
        // First nobody can raise the vector, then it gets a new owner.
        if (m->entries[i].irte >= 0) iommu_irq_free(m->entries[i].irte);
        if (m->entries[i].vector >= 0) irq_free(m->entries[i].vector);
    }
    pt_unmap_mmio((void *)(uintptr_t)m->table, (uint64_t)m->count * ENTRY_SIZE);
    kfree(m);
}
