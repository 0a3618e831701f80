// vtd_scope.h — which remapping unit sees a function's requests. Pure; see vtd_scope.c.
#ifndef SASOS_DEV_VTD_SCOPE_H
#define SASOS_DEV_VTD_SCOPE_H
#include "sasos/dev/acpi.h"
#include "sasos/dev/pci.h"

// Index of the DRHD that covers fn (VT-d rev. 5.10 §8.3): explicit scope first, then
// INCLUDE_PCI_ALL of the segment; -1: none does.
int vtd_scope_find(const struct acpi_info *acpi, const struct pci_fn *all, unsigned count,
                   const struct pci_fn *fn);
// The requester id of the I/O APIC with that id, from the device scopes of the units; false if none
// names it.
bool vtd_scope_ioapic(const struct acpi_info *acpi, const struct pci_fn *all, unsigned count,
                      uint8_t ioapic, uint16_t *out_rid);
#endif
