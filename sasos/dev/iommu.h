// iommu.h — the DMA fence: which memory and which interrupts a device can reach, whatever kind of
// IOMMU the machine has (VT-d: vtd.c; AMD-Vi: amdvi.c).
//
// From iommu_init() on every unit translates and no device has memory: all DMA is blocked and
// recorded. A driver gets a domain; only what iommu_map() put into it can be reached by the
// functions attached to it, at the I/O virtual addresses (IOVA) chosen by the caller: SASOS maps
// each DMA page at the driver's own 32-bit address.
//
// A device that is blocked may still tell its driver "success" (most do): only the fault record
// knows. Whoever owns a function registers with iommu_on_fault() and fails what is outstanding.
//
// iommu_unmap, iommu_detach and iommu_domain_destroy return after the hardware has confirmed that
// no cached translation is left and that DMA which used one is drained; only then may frames be
// reused. A unit that does not answer is a panic: without it nothing is fenced. Not from interrupt
// handlers, except iommu_poll_faults(). One caller at a time per domain. Nothing here is called per
// request: iommu_counters() lets a test show it.
#ifndef SASOS_DEV_IOMMU_H
#define SASOS_DEV_IOMMU_H
#include "sasos/dev/pci.h"
#include "sasos/status.h"
#include <stdbool.h>
#include <stdint.h>

enum iommu_rights { IOMMU_R = 1 << 0, IOMMU_W = 1 << 1 }; // as the device sees it

struct iommu_domain; // the memory one driver's devices can reach; at most 255, or as many as the hardware has ids

// Translation on for all units, everything blocked. Without a usable table of units, or if not
// every unit can do what is needed, iommu_present() is false and the console says why; then no
// function that can do DMA may be granted.
void iommu_init(void);
bool iommu_present(void);
const char *iommu_kind(void);    // "VT-d", "AMD-Vi", or "none"
const char *iommu_why_not(void); // a clause, NULL where iommu_present()
bool iommu_interrupt_remapping(void);

enum status iommu_domain_create(struct iommu_domain **out); // NO_MEMORY; NO_SPACE: ids are out; UNSUPPORTED: not present
// Every function must be detached. Frees page tables, never the mapped frames.
void iommu_domain_destroy(struct iommu_domain *dom);

// From the return on the function's DMA goes through the domain. EXISTS if it is attached anywhere;
// DENIED if no unit covers it, its requests cannot be told apart from others' (behind a
// conventional bridge, or under another function's id), or it is a virtio device that would go
// around the IOMMU.
enum status iommu_attach(struct iommu_domain *dom, const struct pci_fn *fn);
void iommu_detach(struct iommu_domain *dom, const struct pci_fn *fn);

// Page aligned; [iova, iova + len) must be unmapped, below 4 GiB and outside of the interrupt range
// 0xFEEx_xxxx. 2 MiB entries are used where both addresses and the length allow. On failure nothing
// is changed.
enum status iommu_map(struct iommu_domain *dom, uint64_t iova, uint64_t phys, uint64_t len,
                      unsigned rights);
// Pages that are not mapped are skipped. NO_MEMORY only if the range cuts a 2 MiB entry; then
// nothing is changed.
enum status iommu_unmap(struct iommu_domain *dom, uint64_t iova, uint64_t len);

struct iommu_fault {
    uint16_t segment, rid;
    uint8_t reason; // the hardware's code; text by iommu_fault_text()
    bool write;
    bool interrupt;   // an interrupt request was refused: address is what the hardware says of it
    uint64_t address; // page of the IOVA, or IOMMU_ADDRESS_UNKNOWN
};
#define IOMMU_ADDRESS_UNKNOWN UINT64_MAX
// Called for every recorded fault, in interrupt context: no waiting, no allocation. One callback;
// fn may be NULL (unknown id).
typedef void iommu_fault_fn(const struct iommu_fault *fault, const struct pci_fn *fn);
void iommu_on_fault(iommu_fault_fn *callback);
const char *iommu_fault_text(uint8_t reason);
uint64_t iommu_fault_count(const struct pci_fn *fn); // recorded faults of this function since boot
// Faults of this function are looked for (a test) and not logged as errors; NULL ends it.
void iommu_fault_expect(const struct pci_fn *fn);
// Reads the fault records at once. Records may be lost when faults come faster than they are read;
// the counters say how often.
void iommu_poll_faults(void);
// For the self-test: true if a unit has signalled since the last call that it refused a request, be
// it recorded or not. Where that is all there is, iommu_expect_unrecorded() makes every poll look,
// and takes such a refusal for a fault of the one function that is attached behind the unit.
bool iommu_refused(void);
void iommu_expect_unrecorded(void);

// One interrupt entry: `rid` alone may raise it, it arrives as `vector` at the processor with that
// APIC id. The message to program is returned, with a handle ≥ 0; -1 when the table is full or
// memory is out. Only where iommu_interrupt_remapping(). The function must be attached.
int iommu_irq_alloc(const struct pci_fn *fn, uint8_t vector, uint32_t apic_id,
                    uint64_t *out_address, uint32_t *out_data);
// The same for an input of the I/O APIC with that id; *out_entry is its redirection entry, to
// which the caller adds polarity, trigger and mask. -1 also if the firmware does not say under
// which id that I/O APIC sends: its interrupts are then blocked.
int iommu_irq_alloc_ioapic(uint8_t ioapic, uint8_t vector, uint32_t apic_id, bool level,
                           uint64_t *out_entry);
void iommu_irq_free(int handle);

struct iommu_counters {     // since boot
    uint64_t invalidations; // commands that a unit confirmed
    uint64_t maps, unmaps;
    uint64_t faults, faults_lost; // recorded; times that records were full
};
struct iommu_counters iommu_counters(void);
void iommu_report(void); // the same, as a line of the log
#endif
