// vtd_unit.h — what the parts of the VT-d code share: one struct per remapping unit. Not for anyone
// else; see iommu.h.
//
// vtd.c finds and starts the units and owns their context entries; vtd_queue.c is the only writer of the
// invalidation queue and GCMD_REG; vtd_fault.c of the fault registers; vtd_remap.c of the
// interrupt-remapping table.
#ifndef SASOS_DEV_VTD_UNIT_H
#define SASOS_DEV_VTD_UNIT_H
#include "sasos/arch/io.h"
#include "sasos/arch/lock.h"
#include "sasos/dev/acpi.h"
#include "sasos/dev/iommu_backend.h"
#include "sasos/dev/vtd_regs.h"

struct vtd_unit {
    volatile uint8_t *regs;
    uint64_t cap, ecap;
    unsigned index; // of its DRHD in acpi()
    uint16_t segment;
    uint64_t root;          // physical: root table
    uint64_t contexts[256]; // physical: context table of each bus, 0 = the root entry is not present
    // The queue: under the lock, filled and drained by one caller at a time.
    struct spinlock queue_lock;
    uint64_t (*queue)[2];
    uint64_t queue_phys, status_phys;
    volatile uint32_t *status; // the wait descriptor writes here
    uint32_t sequence;
    unsigned tail;
};

_Static_assert(ACPI_DRHD_MAX <= IOMMU_UNITS_MAX, "every unit has its bit in a domain");
extern struct vtd_unit vtd_units[ACPI_DRHD_MAX];
extern unsigned vtd_unit_count;

static inline uint32_t vtd_read32(const struct vtd_unit *u, unsigned o) {
    return mmio_read32(u->regs + o);
}
static inline uint64_t vtd_read64(const struct vtd_unit *u, unsigned o) {
    return mmio_read64(u->regs + o);
}
static inline void vtd_write32(struct vtd_unit *u, unsigned o, uint32_t v) {
    mmio_write32(u->regs + o, v);
}
static inline void vtd_write64(struct vtd_unit *u, unsigned o, uint64_t v) {
    mmio_write64(u->regs + o, v);
}

// Makes [start, start + size) visible to a unit that does not snoop (ECAP.C = 0); for others a
// compiler barrier is enough, because x86 keeps stores in order.
void vtd_flush_cache(const struct vtd_unit *u, const void *start, uint64_t size);

// ---- vtd_queue.c ----
enum status vtd_queue_start(struct vtd_unit *u); // NO_MEMORY
// Sets one of TE, QIE, IRE or pulses SRTP, SIRTP, and waits for the status bit.
void vtd_command_set(struct vtd_unit *u, uint32_t bit);
void vtd_command_clear(struct vtd_unit *u, uint32_t bit);
void vtd_write_buffer_flush(struct vtd_unit *u); // nothing where CAP.RWBF = 0
// Queues n (≤ 8) descriptors and a wait descriptor; returns when the unit has done them. Panics if
// it does not answer.
void vtd_invalidate(struct vtd_unit *u, const uint64_t (*descriptors)[2], unsigned n);

// ---- vtd_fault.c ----
void vtd_fault_start(void);
void vtd_poll_faults(void);
const char *vtd_fault_text(uint8_t reason);

// ---- vtd_remap.c ----
bool vtd_remap_start(void); // true: on, in all units
int vtd_irq_alloc(const struct pci_fn *fn, uint8_t vector, uint32_t apic_id, uint64_t *out_address,
                  uint32_t *out_data);
int vtd_irq_alloc_ioapic(uint8_t ioapic, uint8_t vector, uint32_t apic_id, bool level,
                         uint64_t *out_entry);
void vtd_irq_free(int handle);
#endif
