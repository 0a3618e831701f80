// rogue.c — a hostile driver, for the demonstration: has a virtio-blk disk and tells it to write outside the driver's DMA area.
//
// It sets the disk up as any driver does, then asks for sector 0 at a bus address where, without translation, the kernel's memory
// would be. The IOMMU must refuse that write and the kernel must end this domain for it. If the disk completes the request and
// nobody ends us, we say so.
#include "drivers/virtio/virtio.h"

#define TARGET 0x00100000u // not in any DMA area; with translation off: the second megabyte of RAM

static struct virtio_device device;
static struct virtq queue;

int32_t SASOS_EXPORT(driver_start)(void) {
    int error = virtio_open(&device, 0, 0);
    if (!error) error = sasos_irq_enable(0);
    if (!error) error = virtio_queue(&device, &queue, 0, 8, 0);
    uint32_t memory = sasos_dma_alloc(64);
    if (error || !memory) return error ? error : E_NOMEM;
    virtio_ready(&device);
    write32(memory, 0); // VIRTIO_BLK_T_IN of sector 0
    write64(memory + 8, 0);
    const struct virtq_desc chain[3] = {{memory, 16, VIRTQ_DESC_F_NEXT, 1},
                                        {TARGET, 512, VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE, 2},
                                        {memory + 16, 1, VIRTQ_DESC_F_WRITE, 0}};
    for (uint32_t i = 0; i < 3; i++) {
        write64(queue.desc + 16 * i, chain[i].addr);
        write32(queue.desc + 16 * i + 8, chain[i].len);
        write32(queue.desc + 16 * i + 12, chain[i].flags | (uint32_t)chain[i].next << 16);
    }
    log_line("telling the disk to write its sector 0 to bus address %x, which is not mine", TARGET);
    virtq_add(&queue, 0);
    virtq_kick(&queue);
    return 0;
}

int32_t SASOS_EXPORT(driver_event)(uint32_t events) {
    uint32_t id, length;
    if ((events & SASOS_EVENT_IRQ(0)) && virtq_used(&queue, &id, &length))
        log_line("the disk says that it has written %u bytes there, and I am still alive", length);
    return 0;
}
