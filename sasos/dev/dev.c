// dev.c — the order in which devices come under control (see dev.h).
#include "sasos/dev/dev.h"

#include "sasos/dev/ioapic.h"
#include "sasos/dev/iommu.h"
#include "sasos/dev/msix.h"
#include "sasos/dev/pci.h"

void dev_init(void) {
    pci_init();     // every function: bus mastering, MSI, MSI-X and ATS off
    iommu_init();   // every unit: translation on, nothing mapped
    ioapic_init();  // every interrupt line masked
    msix_init();    // interrupts that come too fast are held back
    dev_selftest(); // and it does hold
}
