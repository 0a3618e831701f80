// amdvi_unit.h — what the parts of the AMD-Vi code share: one struct per unit. Not for anyone else;
// see iommu.h.
//
// amdvi.c finds and starts the units, writes device table entries and is the only writer of the
// command buffer; amdvi_log.c reads the event log; amdvi_remap.c owns the interrupt tables.
#ifndef SASOS_DEV_AMDVI_UNIT_H
#define SASOS_DEV_AMDVI_UNIT_H
#include "sasos/arch/io.h"
#include "sasos/dev/acpi.h"
#include "sasos/dev/amdvi_regs.h"
#include "sasos/dev/iommu_backend.h"

struct amdvi_unit {
    volatile uint8_t *regs;
    const struct pci_fn *fn; // its own function, NULL if it shows none
    uint64_t features;       // AMDVI_EXTENDED_FEATURE, 0 where there is none
    uint64_t control;        // what AMDVI_CONTROL holds
    uint64_t (*table)[4];    // device table, shared by the units of a segment
    unsigned index;          // of its IVHD in acpi()
    uint16_t segment;
    bool caches_absent; // NpCache
    // The command buffer: under the lock, filled and drained by one caller at a time.
    struct spinlock command_lock;
    uint64_t (*commands)[2];
    volatile uint64_t *status; // COMPLETION_WAIT stores here
    uint64_t status_phys, sequence;
    unsigned tail;
    // amdvi_log.c
    volatile uint64_t (*log)[2];
    unsigned log_head;
};
_Static_assert(ACPI_IVHD_MAX <= IOMMU_UNITS_MAX, "every unit has its bit in a domain");
extern struct amdvi_unit amdvi_units[ACPI_IVHD_MAX];
extern unsigned amdvi_unit_count;

static inline uint64_t amdvi_read(const struct amdvi_unit *u, unsigned o) {
    return mmio_read64(u->regs + o);
}
static inline void amdvi_write(struct amdvi_unit *u, unsigned o, uint64_t v) {
    mmio_write64(u->regs + o, v);
}

// Queues n (≤ 8) commands and a COMPLETION_WAIT; returns when the unit has done them. Panics if it
// does not answer.
void amdvi_command(struct amdvi_unit *u, const uint64_t (*commands)[2], unsigned n);
// Writes AMDVI_CONTROL and, where `run` is not 0, waits until those bits of AMDVI_STATUS are as the
// control bits that switch them.
void amdvi_control(struct amdvi_unit *u, uint64_t value, uint64_t run);

// ---- amdvi_log.c ----
bool amdvi_log_init(struct amdvi_unit *u); // memory for the log, base register; false: no memory
void amdvi_log_start(void);
void amdvi_poll_faults(void);
bool amdvi_refused(void); // a unit has refused something since the last call, recorded or not
void amdvi_expect_unrecorded(void);
const char *amdvi_fault_text(uint8_t reason);

// ---- amdvi_remap.c ----
bool amdvi_remap_possible(void);     // before any unit starts
uint64_t amdvi_remap_features(void); // bits of AMDVI_CONTROL
int amdvi_irq_alloc(const struct pci_fn *fn, uint8_t vector, uint32_t apic_id,
                    uint64_t *out_address, uint32_t *out_data);
int amdvi_irq_alloc_ioapic(uint8_t ioapic, uint8_t vector, uint32_t apic_id, bool level,
                           uint64_t *out_entry);
void amdvi_irq_free(int handle);
#endif
