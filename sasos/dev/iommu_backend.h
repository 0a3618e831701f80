// iommu_backend.h — what iommu.c asks of a kind of IOMMU, and what it gives it. Not for anyone else;
// see iommu.h.
//
// A backend owns its units: their tables of devices, queues, fault records and interrupt entries.
// iommu.c owns domains, their page tables and who is attached where. Functions of a backend are
// called only after start() has returned true, never on a data path.
#ifndef SASOS_DEV_IOMMU_BACKEND_H
#define SASOS_DEV_IOMMU_BACKEND_H
#include "sasos/arch/lock.h"
#include "sasos/dev/iommu.h"
#include "sasos/dev/iommu_pt.h"

#define IOMMU_UNITS_MAX 16u

struct iommu_domain {
    struct iommu_pt pt;
    uint16_t id; // never 0: VT-d caches not-present entries under it where CAP.CM = 1 (§6.1)
    uint16_t functions; // attached
    uint32_t units; // bit i: a function behind unit i is or was attached, so that unit may cache translations of this domain
};
_Static_assert(IOMMU_UNITS_MAX <= 32, "a domain's units are bits of a word");

struct iommu_limits { // what all units have in common
    unsigned units;
    unsigned levels, physical_bits;
    unsigned domain_ids;
    bool large_pages;
};

struct iommu_backend {
    const char *name;
    const struct iommu_pt_format *format;
    // True if firmware describes units of this kind.
    bool (*found)(void);
    // All units translate, everything blocked; false: none is used, the log has said why.
    bool (*start)(struct iommu_limits *out);
    // Fault events and interrupt remapping; after start(). True if interrupts are remapped.
    bool (*start_interrupts)(void);
    int (*unit_of)(const struct pci_fn *fn); // which unit sees its requests; -1 none
    // The function's entry ↔ this domain, confirmed by the unit. enter: NO_MEMORY changes nothing.
    enum status (*enter)(unsigned unit, const struct pci_fn *fn, const struct iommu_domain *dom);
    void (*leave)(unsigned unit, const struct pci_fn *fn, const struct iommu_domain *dom);
    // No translation of the domain is cached when it returns, and none is in use.
    void (*invalidate)(unsigned unit, const struct iommu_domain *dom);
    // Entries that were not present are now: the hardware is told where it needs to be.
    void (*mapped)(unsigned unit, const struct iommu_domain *dom);
    void (*flush)(const void *start, uint64_t size); // page tables become visible to all units
    void (*poll_faults)(void);
    const char *(*fault_text)(uint8_t reason);
    bool (*refused)(void); // see iommu_refused(); both NULL where every refusal is recorded
    void (*expect_unrecorded)(void);
    int (*irq_alloc)(const struct pci_fn *fn, uint8_t vector, uint32_t apic_id,
                     uint64_t *out_address, uint32_t *out_data);
    int (*irq_alloc_ioapic)(uint8_t ioapic, uint8_t vector, uint32_t apic_id, bool level,
                            uint64_t *out_entry);
    void (*irq_free)(int handle);
};

extern const struct iommu_backend vtd_backend, amdvi_backend;

// ---- iommu.c, for the backends ----
void iommu_count_invalidation(void);
// The only function that is attached behind that unit; NULL if there are none or several.
const struct pci_fn *iommu_sole_function(unsigned unit);

// ---- iommu_fault.c, for the backends ----
void iommu_fault_deliver(const struct iommu_fault *f); // attributes, counts, logs, calls back
void iommu_fault_lost(void);
void iommu_fault_forget(const struct pci_fn *fn); // a new owner: its storm counter starts again
void iommu_fault_totals(uint64_t *out_faults, uint64_t *out_lost);
#endif
