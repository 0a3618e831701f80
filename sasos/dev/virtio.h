// virtio.h — the little that the kernel itself must know of virtio functions (VIRTIO 1.2, over
// PCI): whether their DMA obeys the IOMMU, how to reset them, how to make one attempt a DMA
// that must be blocked, and how to set up a queue where the kernel owns the rings (vring.h).
//
// A virtio device that does not offer VIRTIO_F_ACCESS_PLATFORM reaches memory by physical address
// whatever the IOMMU says (§6.1): it is software, and the fence is in its hands. Such a function is
// never attached. Drivers are modules and do all else. The calls here use the function's registers:
// only while no driver reaches them. Not from interrupt handlers.
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

// ---- the registers of one function, for who drives its queues ----
struct virtio_transport {
    volatile uint8_t *common, *notify;
    struct pci_virtio_cap common_cap, notify_cap;
};
bool virtio_open(const struct pci_fn *fn,
                 struct virtio_transport *out);        // false: not a modern device, or no memory
void virtio_close(struct virtio_transport *t);         // leaves the device as it is
bool virtio_restart(const struct virtio_transport *t); // like virtio_reset()
// Reset, then initialisation up to FEATURES_OK with what is both wanted and offered. False: the device did not take part.
bool virtio_negotiate(const struct virtio_transport *t, uint64_t wanted, uint64_t *out_features);
uint8_t virtio_status(const struct virtio_transport *t, uint8_t add); // §2.1; sets those bits first
bool virtio_config_message(const struct virtio_transport *t, uint16_t message);
uint32_t virtio_queue_size(const struct virtio_transport *t, uint16_t queue); // at most; 0: there is none
// Gives the queue its rings (descriptors, available, used: bus addresses) and enables it. Where it is notified; NULL: impossible.
volatile uint8_t *virtio_queue_start(const struct virtio_transport *t, uint16_t queue,
                                     uint16_t size, const uint64_t rings[3], uint16_t message);
void virtio_notify(volatile uint8_t *doorbell, uint16_t queue);

// True if that page of the BAR holds device-specific configuration or the ISR status, and nothing by which a queue is set up or notified.
bool virtio_page_harmless(const struct pci_fn *fn, unsigned bar, uint64_t offset);
// True if all memory that such a device reaches is named in descriptors. Others name memory in the buffers themselves (GPU, balloon).
bool virtio_can_be_shadowed(const struct pci_fn *fn);
#endif
