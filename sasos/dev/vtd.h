// vtd.h — DMA fence: Intel VT-d in legacy mode with second-stage translation, and interrupt
// remapping (Intel Virtualization Technology for Directed I/O, rev. 5.10; "VT-d" below and in the
// sources).
//
// From vtd_init() on every remapping unit translates and no device has a context entry: all DMA is
// blocked and recorded. A driver gets a domain; only what vtd_map() put into it can be reached by
// the functions attached to it, at the I/O virtual addresses (IOVA) chosen by the caller: SASOS
// maps each DMA page at the driver's own 32-bit address.
//
// A device that is blocked may still tell its driver "success" (most do): only the fault record
// knows. Whoever owns a function registers with vtd_on_fault() and fails what is outstanding.
//
// vtd_unmap, vtd_detach and vtd_domain_destroy return after the hardware has confirmed that no
// cached translation is left and that DMA which used one is drained; only then may frames be
// reused. A unit that does not answer is a panic: without it nothing is fenced. Not from interrupt
// handlers, except vtd_poll_faults(). One caller at a time per domain.
#ifndef SASOS_DEV_VTD_H
#define SASOS_DEV_VTD_H
#include "sasos/dev/pci.h"
#include "sasos/status.h"
#include <stdbool.h>
#include <stdint.h>

enum vtd_rights { VTD_R = 1 << 0, VTD_W = 1 << 1 }; // as the device sees it

struct vtd_domain; // the memory one driver's devices can reach; as many as the hardware has domain ids (at most 255 here)

// Translation on for all units, everything blocked. Without a usable DMAR table, or if not every
// unit can do what is needed, vtd_present() is false and the console says why; then no function
// that can do DMA may be granted.
void vtd_init(void);
bool vtd_present(void);
bool vtd_interrupt_remapping(void);

enum status vtd_domain_create(struct vtd_domain **out); // NO_MEMORY; NO_SPACE: ids are out; UNSUPPORTED: not vtd_present()
// Every function must be detached. Frees page tables, never the mapped frames.
void vtd_domain_destroy(struct vtd_domain *dom);

// From the return on the function's DMA goes through the domain. EXISTS if it is attached anywhere;
// DENIED if no unit covers it, its requests cannot be told apart from others' (behind a
// conventional bridge), or it is a virtio device that would go around the IOMMU.
enum status vtd_attach(struct vtd_domain *dom, const struct pci_fn *fn);
void vtd_detach(struct vtd_domain *dom, const struct pci_fn *fn);

// Page aligned; [iova, iova + len) must be unmapped, below 4 GiB and outside of the interrupt range
// 0xFEEx_xxxx. 2 MiB entries are used where both addresses and the length allow. On failure nothing
// is changed.
enum status vtd_map(struct vtd_domain *dom, uint64_t iova, uint64_t phys, uint64_t len,
                    unsigned rights);
// Pages that are not mapped are skipped. NO_MEMORY only if the range cuts a 2 MiB entry; then
// nothing is changed.
enum status vtd_unmap(struct vtd_domain *dom, uint64_t iova, uint64_t len);

struct vtd_fault {
    uint16_t segment, rid;
    uint8_t reason; // VT-d §7.1.3; text by vtd_fault_text()
    bool write;
    bool interrupt;   // an interrupt request was refused: address is the remapping index
    uint64_t address; // page of the IOVA
};
// Called for every recorded fault, in interrupt context: no waiting, no allocation. One callback;
// fn may be NULL (unknown id).
typedef void vtd_fault_fn(const struct vtd_fault *fault, const struct pci_fn *fn);
void vtd_on_fault(vtd_fault_fn *callback);
const char *vtd_fault_text(uint8_t reason);
uint64_t vtd_fault_count(const struct pci_fn *fn); // recorded faults of this function since boot
// Faults of this function are looked for (a test) and not logged as errors; NULL ends it.
void vtd_fault_expect(const struct pci_fn *fn);
// Reads the fault records at once. Records may be lost when faults come faster than they are read;
// vtd_faults_lost() counts.
void vtd_poll_faults(void);
uint64_t vtd_faults_lost(void);

// One interrupt-remapping entry: `rid` alone may raise it, it arrives as `vector` at the processor
// with that APIC id. For msix.c. -1 when the table is full. The message to program is returned.
int vtd_irte_alloc(const struct pci_fn *fn, uint8_t vector, uint32_t apic_id, uint64_t *out_address,
                   uint32_t *out_data);
void vtd_irte_free(int index);
#endif
