// disk.h — the least of a virtio-blk driver (VIRTIO 1.2 §4.1, §5.2) for tests inside the kernel: one
// request at a time, and to any bus address. The disk does what it is told; the fence decides.
//
// The function is attached to `dom` already. Rings and the data buffer are one page at DISK_IOVA.
#ifndef SASOS_KTEST_DISK_H
#define SASOS_KTEST_DISK_H
#include "sasos/dev/iommu.h"

#define DISK_IOVA 0x80000000ull
#define DISK_DATA 0x800u // a sector's room in the page

struct disk {
    const struct pci_fn *fn;
    volatile uint8_t *common, *notify;
    struct pci_virtio_cap common_cap, notify_cap;
    uint8_t *page;
    uint16_t nth;
};

const struct pci_fn *disk_find(unsigned nth); // NULL: there is no such disk
// `frame` becomes the page; queue 0 raises that MSI-X message.
void disk_open(struct disk *d, const struct pci_fn *fn, struct iommu_domain *dom, uint64_t frame,
               unsigned message);
// Initialises the device again after a reset.
void disk_start(struct disk *d, unsigned message);
// A request is handed over, its end is not awaited.
void disk_submit(struct disk *d, uint64_t address, uint32_t bytes, bool to_memory, uint64_t sector);
// Sectors from the disk to that bus address, or from there to the disk; true if the device says
// success within half a second.
bool disk_transfer(struct disk *d, uint64_t address, uint32_t bytes, bool to_memory, uint64_t sector);
void disk_close(struct disk *d); // unmaps; the device is the caller's to reset
#endif
