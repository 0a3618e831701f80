// virtio.h — the little that the kernel itself must know of virtio functions (VIRTIO 1.2, over
// PCI): whether their DMA obeys the IOMMU, how to reset them, and how to make one attempt a DMA
// that must be blocked.
//
// A virtio device that does not offer VIRTIO_F_ACCESS_PLATFORM reaches memory by physical address
// whatever the IOMMU says (§6.1): it is software, and the fence is in its hands. Such a function is
// never attached. Drivers are modules and do all else. The calls here use the function's registers:
// only while no driver has it. Not from interrupt handlers.
#ifndef SASOS_DEV_VIRTIO_H
#define SASOS_DEV_VIRTIO_H
#include "sasos/dev/pci.h"
#include <stdbool.h>
#include <stdint.h>

bool virtio_is(const struct pci_fn *fn); // by vendor and device id, §4.1.2
// True if it is a modern device that offers VIRTIO_F_VERSION_1 and VIRTIO_F_ACCESS_PLATFORM.
bool virtio_obeys_iommu(const struct pci_fn *fn);
// Device reset, §4.1.4.3.1; returns when no buffer is in use any more. False if it cannot be done
// or takes more than a second.
bool virtio_reset(const struct pci_fn *fn);
// Gives queue 0, of one entry, three rings in pages at `iova` (descriptors, available, used) and
// notifies it, so that the device reads there. Configuration changes raise that MSI-X entry; -1: none.
// It is left running: reset it afterwards.
bool virtio_provoke(const struct pci_fn *fn, uint64_t iova, int message);
#endif
