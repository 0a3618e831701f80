// blk.c — virtio-blk driver (Virtual I/O Device Version 1.2, clause 5.2): serves the block class to every channel it is given.
//
// Requests come checked from drivers/sdk/blkserve.h and go to the device with data in place (a channel's pages are in our DMA area).
// A slot's header, status byte and descriptors lie in our own DMA memory; what never changes of them is written once. With
// INDIRECT_DESC a slot is one descriptor of the ring and a table of three, without it three descriptors of the ring.
// Not trusted: the device's used entries (an id that is not in flight fails the device: it is reset, and everything in flight
// ends with E_IO) and the status byte.
#include "drivers/sdk/blkserve.h"
#include "drivers/virtio/virtio.h"

enum { VIRTIO_BLK_F_RO = 5, VIRTIO_BLK_F_FLUSH = 9 };                       // 5.2.3
enum { VIRTIO_BLK_T_IN = 0, VIRTIO_BLK_T_OUT = 1, VIRTIO_BLK_T_FLUSH = 4 }; // 5.2.6
enum { VIRTIO_BLK_S_OK = 0, STATUS_PENDING = 0xff };

#define SLOT_BYTES 128u // in DMA memory: header with status 32 | indirect table 48
struct header {         // 5.2.6
    uint64_t type, sector;
    uint8_t status; // the device's
};
#define SLOT_STATUS 16u
_Static_assert(offsetof(struct header, status) == SLOT_STATUS, "in DMA memory");
#define SLOT_TABLE 32u
#define CHAIN 3u // descriptors: header, data, status

static struct {
    struct virtio_device device;
    struct virtq queue;
    bool indirect;
    uint32_t slot_memory;
} blk;

static uint32_t slot_memory(uint32_t slot) { return blk.slot_memory + slot * SLOT_BYTES; }
static uint32_t slot_chain(uint32_t slot) {
    return blk.indirect ? slot_memory(slot) + SLOT_TABLE : blk.queue.desc + 16 * CHAIN * slot;
}

// All of a slot's descriptors but the data's; a flush leaves that one out by the header's `next`.
static void prepare_slot(uint32_t slot) {
    uint32_t memory = slot_memory(slot), chain = slot_chain(slot);
    virtq_describe(chain + 32, memory + SLOT_STATUS, 1, VIRTQ_DESC_F_WRITE, 0);
    if (blk.indirect)
        virtq_describe(blk.queue.desc + 16 * slot, chain, 16 * CHAIN, VIRTQ_DESC_F_INDIRECT, 0);
}

static inline void device_start(uint32_t lane, uint32_t slot, uint32_t channel,
                                const struct bs_work *w) {
    (void)lane, (void)channel;
    uint32_t memory = slot_memory(slot), chain = slot_chain(slot);
    uint16_t first = blk.indirect ? 0 : (uint16_t)(CHAIN * slot); // `next` counts within the table
    uint32_t type = w->op == BLK_READ    ? VIRTIO_BLK_T_IN
                    : w->op == BLK_WRITE ? VIRTIO_BLK_T_OUT
                                         : VIRTIO_BLK_T_FLUSH;
    volatile struct header *header = (volatile struct header *)(uintptr_t)memory;
    keep_base(header);
    header->type = type; // and the reserved word
    header->sector = w->op == BLK_FLUSH ? 0 : w->sector;
    header->status = STATUS_PENDING;
    virtq_describe(chain, memory, 16, VIRTQ_DESC_F_NEXT,
                   (uint16_t)(first + (w->op == BLK_FLUSH ? 2 : 1)));
    if (w->op != BLK_FLUSH)
        virtq_describe(chain + 16, w->address, w->count * BLK_SECTOR,
                       VIRTQ_DESC_F_NEXT | (w->op == BLK_READ ? VIRTQ_DESC_F_WRITE : 0),
                       (uint16_t)(first + 2));
    virtq_add(&blk.queue, (uint16_t)(blk.indirect ? slot : CHAIN * slot));
}

static void device_kick(uint32_t lane) {
    (void)lane;
    virtq_kick(&blk.queue);
}

static void fail_device(const char *why, uint32_t value) {
    log_line("%s (%u): the device is reset, its requests fail", why, value);
    virtio_reset(&blk.device);
    bs_fail_all();
}

// The device's answers.
static void collect(void) {
    uint32_t id, length;
    while (!bs.failed && virtq_used(&blk.queue, &id, &length)) {
        uint32_t slot = blk.indirect ? id : id / CHAIN;
        if ((!blk.indirect && id % CHAIN) || !bs_busy(0, slot))
            fail_device("the device completed a request that is not in flight", id);
        else
            bs_finish(0, slot, read8(slot_memory(slot) + SLOT_STATUS) == VIRTIO_BLK_S_OK ? 0 : E_IO);
    }
}

int32_t SASOS_EXPORT(driver_start)(void) {
    uint64_t wanted = VIRTIO_BIT(VIRTIO_BLK_F_RO) | VIRTIO_BIT(VIRTIO_BLK_F_FLUSH) |
                      VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC) | VIRTIO_BIT(VIRTIO_F_EVENT_IDX);
    int error = virtio_open(&blk.device, 0, wanted);
    if (error) return error;
    if (!blk.device.device || blk.device.device_length < 8) {
        log_line("the device has no configuration structure");
        return E_NODEV;
    }
    bs.sectors = read64(blk.device.device); // 5.2.4 capacity
    bs.block = 1;
    bs.part = BLK_COUNT_MAX;
    bs.read_only = blk.device.features & VIRTIO_BIT(VIRTIO_BLK_F_RO);
    bs.can_flush = blk.device.features &
                   VIRTIO_BIT(VIRTIO_BLK_F_FLUSH); // 5.2.6.2: without it each write is stable
    blk.indirect = blk.device.features & VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC);
    error = sasos_irq_enable(0);
    if (!error) error = virtio_queue(&blk.device, &blk.queue, 0, 256, 0);
    if (error) return error;
    bs_lane_open(blk.indirect ? blk.queue.size : blk.queue.size / CHAIN);
    uint32_t slots = bs.lane[0].slots;
    blk.slot_memory = sasos_dma_alloc(slots * SLOT_BYTES);
    if (!blk.slot_memory) return E_NOMEM;
    for (uint32_t s = 0; s < slots; s++) prepare_slot(s);
    error = bs_open();
    if (error) return error;
    virtio_ready(&blk.device);
    log_line("%lu sectors (%lu MiB)%s, %u requests in flight, %s descriptors%s", bs.sectors,
             bs.sectors >> 11, bs.read_only ? ", read-only" : "", slots,
             blk.indirect ? "indirect" : "direct", blk.queue.event_idx ? ", event index" : "");
    return 0;
}

int32_t SASOS_EXPORT(driver_event)(uint32_t events) {
    (void)events; // which one came does not matter: all there is to do is done
    collect();
    bs_serve_all();
    return 0;
}
