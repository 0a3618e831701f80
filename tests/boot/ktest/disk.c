// disk.c — see disk.h.
#include "tests/boot/ktest/disk.h"

#include "sasos/arch/cpu.h"
#include "sasos/arch/io.h"
#include "sasos/arch/time.h"
#include "sasos/lib/mem.h"
#include "sasos/lib/panic.h"
#include "sasos/mem/pt.h"

enum { DESCRIPTORS = 0, AVAILABLE = 0x100, USED = 0x200, HEADER = 0x400, STATUS = 0x500 };

const struct pci_fn *disk_find(unsigned nth) {
    const struct pci_fn *fn;
    for (unsigned i = 0; (fn = pci_get(i)); i++)
        if (fn->vendor == 0x1af4 && (fn->device == 0x1042 || fn->device == 0x1001) && nth-- == 0)
            return fn;
    return NULL;
}

static void queue_address(volatile uint8_t *common, unsigned o, uint64_t iova) {
    mmio_write32(common + o, (uint32_t)iova);
    mmio_write32(common + o + 4, (uint32_t)(iova >> 32));
}

void disk_start(struct disk *d, unsigned message) {
    volatile uint8_t *common = d->common;
    memset(d->page, 0, 0x300);
    d->nth = 0;
    for (unsigned status = 1; status <= 3; status += 2) mmio_write8(common + 0x14, (uint8_t)status);
    mmio_write32(common + 0x08, 1); // feature bits 63:32: VERSION_1, ACCESS_PLATFORM
    mmio_write32(common + 0x0c, 3);
    mmio_write8(common + 0x14, 11);
    mmio_write16(common + 0x16, 0);
    mmio_write16(common + 0x18, 4);
    mmio_write16(common + 0x1a, (uint16_t)message);
    queue_address(common, 0x20, DISK_IOVA + DESCRIPTORS);
    queue_address(common, 0x28, DISK_IOVA + AVAILABLE);
    queue_address(common, 0x30, DISK_IOVA + USED);
    mmio_write16(common + 0x1c, 1);
    mmio_write8(common + 0x14, 15);
}

void disk_open(struct disk *d, const struct pci_fn *fn, struct iommu_domain *dom, uint64_t frame,
               unsigned message) {
    *d = (struct disk){.fn = fn, .page = pt_direct(frame)};
    KASSERT(pci_virtio_cap(fn, 1, 0, &d->common_cap) && pci_virtio_cap(fn, 2, 0, &d->notify_cap));
    const struct pci_virtio_cap *c = &d->common_cap, *n = &d->notify_cap;
    pci_decode(fn);
    d->common = pt_map_mmio(fn->bars[c->bar].base + c->offset, c->length, PT_W | PT_UC);
    d->notify = pt_map_mmio(fn->bars[n->bar].base + n->offset, n->length, PT_W | PT_UC);
    KASSERT(d->common && d->notify &&
            iommu_map(dom, DISK_IOVA, frame, 4096, IOMMU_R | IOMMU_W) == ST_OK);
    pci_enable(fn);
    disk_start(d, message);
}

void disk_submit(struct disk *d, uint64_t address, uint32_t bytes, bool to_memory, uint64_t sector) {
    uint64_t *ring =
        (uint64_t *)(d->page + DESCRIPTORS); // address; length, flags << 32 (1 next, 2 device writes), next << 48 (§2.7.5)
    uint64_t flags = to_memory ? 3 : 1;
    memcpy(ring,
           (uint64_t[]){DISK_IOVA + HEADER, 16 | 1ull << 32 | 1ull << 48, address,
                        bytes | flags << 32 | 2ull << 48, DISK_IOVA + STATUS, 1 | 2ull << 32},
           48);
    *(volatile uint64_t *)(d->page + HEADER) = to_memory ? 0 : 1; // VIRTIO_BLK_T_IN, _OUT (§5.2.6)
    *(volatile uint64_t *)(d->page + HEADER + 8) = sector;
    d->page[STATUS] = 0xff;
    d->nth++;
    __atomic_thread_fence(__ATOMIC_RELEASE); // the chain is there before the device is told
    *(volatile uint16_t *)(d->page + AVAILABLE + 2) = d->nth; // every ring entry names descriptor 0
    mmio_write16(d->notify, 0);
}

bool disk_transfer(struct disk *d, uint64_t address, uint32_t bytes, bool to_memory, uint64_t sector) {
    volatile uint16_t *used = (volatile uint16_t *)(d->page + USED);
    disk_submit(d, address, bytes, to_memory, sector);
    uint64_t deadline = time_now_ns() + 500 * TIME_MS;
    while (used[1] != d->nth && time_now_ns() < deadline) cpu_pause();
    return used[1] == d->nth && d->page[STATUS] == 0;
}

void disk_close(struct disk *d) {
    pt_unmap_mmio((void *)(uint64_t)d->common, d->common_cap.length);
    pt_unmap_mmio((void *)(uint64_t)d->notify, d->notify_cap.length);
}
