// blk.c — virtio-blk driver (Virtual I/O Device Version 1.2, clause 5.2): serves the block class to every channel it is given.
//
// Requests come from the channels' request rings, go to the device with data in place (a channel's pages are in our DMA area), and
// complete into the channel's completion ring. A slot holds one request in flight: header, status byte and an indirect table in our
// own DMA memory. Without INDIRECT_DESC a slot owns three descriptors of the ring instead.
// Not trusted: the client's requests (checked before use, from a private copy) and the device's used entries (an id that is not in
// flight fails the device: it is reset, and everything in flight ends with E_IO).
#include "drivers/sdk/blk.h"
#include "drivers/virtio/virtio.h"

enum { VIRTIO_BLK_F_RO = 5, VIRTIO_BLK_F_FLUSH = 9 };                       // 5.2.3
enum { VIRTIO_BLK_T_IN = 0, VIRTIO_BLK_T_OUT = 1, VIRTIO_BLK_T_FLUSH = 4 }; // 5.2.6
enum { VIRTIO_BLK_S_OK = 0, STATUS_PENDING = 0xff };

#define SLOTS_MAX 128u
#define SLOT_BYTES 128u // in DMA memory: header 16 | status 16 | indirect table 48
#define SLOT_STATUS 16u
#define SLOT_TABLE 32u

struct channel {
    struct blk_channel *shared;
    uint32_t address, size; // of the channel in our window, which is also the device's
    struct ring requests, completions;
    uint32_t in_flight;
};

struct slot {
    bool busy;
    uint8_t channel;
    uint32_t cookie;
};

static struct {
    struct virtio_device device;
    struct virtq queue;
    uint64_t sectors;
    bool read_only, can_flush, indirect, failed;
    uint32_t slots, slot_memory;
    uint32_t free_count;
    uint8_t free_slot[SLOTS_MAX];
    struct slot slot[SLOTS_MAX];
    uint32_t channels;
    struct channel channel[SASOS_CHANNELS_MAX];
} blk;

static void write_desc(uint32_t at, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next) {
    write64(at, addr);
    write32(at + 8, len);
    write32(at + 12, flags | (uint32_t)next << 16);
}

static void complete(struct channel *c, uint32_t cookie, int32_t status) {
    c->shared->completion[ring_slot(&c->completions)] = (struct blk_completion){cookie, status};
    ring_produced(&c->completions);
}

// What is wrong with a request, or 0. `r` is our private copy.
static int32_t check(const struct channel *c, const struct blk_request *r) {
    if (r->op == BLK_FLUSH) return 0;
    if (r->op != BLK_READ && r->op != BLK_WRITE) return E_INVAL;
    if (r->count == 0 || r->count > BLK_COUNT_MAX) return E_INVAL;
    if (r->buffer < BLK_DATA || r->buffer % 16 || r->buffer > c->size ||
        r->count * BLK_SECTOR > c->size - r->buffer)
        return E_INVAL;
    if (r->sector > blk.sectors || r->count > blk.sectors - r->sector) return E_RANGE;
    if (r->op == BLK_WRITE && blk.read_only) return E_READONLY;
    return 0;
}

static void submit(struct channel *c, const struct blk_request *r) {
    uint32_t s = blk.free_slot[--blk.free_count];
    blk.slot[s] = (struct slot){true, (uint8_t)(c - blk.channel), r->cookie};
    c->in_flight++;
    uint32_t memory = blk.slot_memory + s * SLOT_BYTES;
    write32(memory, r->op == BLK_READ    ? VIRTIO_BLK_T_IN
                    : r->op == BLK_WRITE ? VIRTIO_BLK_T_OUT
                                         : VIRTIO_BLK_T_FLUSH);
    write32(memory + 4, 0);
    write64(memory + 8, r->op == BLK_FLUSH ? 0 : r->sector);
    write8(memory + SLOT_STATUS, STATUS_PENDING);
    uint32_t ring_desc = blk.queue.desc + 16 * (blk.indirect ? s : 3 * s);
    uint32_t table = blk.indirect ? memory + SLOT_TABLE : ring_desc;
    uint16_t first = blk.indirect ? 0 : (uint16_t)(3 * s), n = 0; // `next` counts within the table
    write_desc(table, memory, 16, VIRTQ_DESC_F_NEXT, (uint16_t)(first + 1));
    n++;
    if (r->op != BLK_FLUSH) {
        uint16_t direction = r->op == BLK_READ ? VIRTQ_DESC_F_WRITE : 0;
        write_desc(table + 16, c->address + r->buffer, r->count * BLK_SECTOR,
                   VIRTQ_DESC_F_NEXT | direction, (uint16_t)(first + 2));
        n++;
    }
    write_desc(table + 16u * n, memory + SLOT_STATUS, 1, VIRTQ_DESC_F_WRITE, 0);
    n++;
    if (blk.indirect) write_desc(ring_desc, table, 16u * n, VIRTQ_DESC_F_INDIRECT, 0);
    virtq_add(&blk.queue, (uint16_t)(blk.indirect ? s : 3 * s));
}

// Takes requests while there are slots, and room for every completion that could come.
static void serve(struct channel *c) {
    bool answered = false;
    while (ring_pending(&c->requests) && ring_space(&c->completions) > c->in_flight) {
        if (!blk.free_count && !blk.failed) break;
        struct blk_request r = c->shared->request[ring_slot(&c->requests)];
        barrier_compiler(); // checked and used is the copy, whatever the client does to its entry meanwhile
        ring_consumed(&c->requests);
        int32_t error = blk.failed ? E_IO : check(c, &r);
        if (!error && r.op == BLK_FLUSH && !blk.can_flush) {
            complete(c, r.cookie, 0); // 5.2.6.2: without the feature each write is already stable
            answered = true;
        } else if (error) {
            complete(c, r.cookie, error);
            answered = true;
        } else {
            submit(c, &r);
        }
    }
    if (answered) sasos_chan_signal((uint32_t)(c - blk.channel));
}

static void serve_all(void) {
    for (uint32_t i = 0; i < blk.channels; i++) serve(&blk.channel[i]);
    if (!blk.failed) virtq_kick(&blk.queue);
}

static void finish(uint32_t s, int32_t status) {
    struct channel *c = &blk.channel[blk.slot[s].channel];
    blk.slot[s].busy = false;
    blk.free_slot[blk.free_count++] = (uint8_t)s;
    c->in_flight--;
    complete(c, blk.slot[s].cookie, status);
}

static void fail_device(const char *why, uint32_t value) {
    log_line("%s (%u): the device is reset, its requests fail", why, value);
    blk.failed = true;
    virtio_reset(&blk.device);
    for (uint32_t s = 0; s < blk.slots; s++)
        if (blk.slot[s].busy) finish(s, E_IO);
}

// The device's answers. Channels that got some are signalled once.
static void collect(void) {
    uint32_t touched = 0, id, length;
    while (!blk.failed && virtq_used(&blk.queue, &id, &length)) {
        uint32_t s = blk.indirect ? id : id / 3;
        if (s >= blk.slots || (!blk.indirect && id % 3) || !blk.slot[s].busy) {
            touched = (1u << blk.channels) - 1;
            fail_device("the device completed a request that is not in flight", id);
            break;
        }
        touched |= 1u << blk.slot[s].channel;
        finish(s, read8(blk.slot_memory + s * SLOT_BYTES + SLOT_STATUS) == VIRTIO_BLK_S_OK ? 0 : E_IO);
    }
    for (uint32_t i = 0; i < blk.channels; i++)
        if (touched & 1u << i) sasos_chan_signal(i);
}

static int open_channels(void) {
    blk.channels = (uint32_t)sasos_chan_count();
    for (uint32_t i = 0; i < blk.channels; i++) {
        struct channel *c = &blk.channel[i];
        c->address = sasos_chan_map(i);
        c->size = sasos_chan_size(i);
        if (!c->address || c->size < BLK_DATA) return E_INVAL;
        c->shared = (struct blk_channel *)(uintptr_t)c->address;
        ring_init(&c->requests, &c->shared->request_ring, BLK_RING);
        ring_init(&c->completions, &c->shared->completion_ring, BLK_RING);
        c->shared->info.flags =
            (blk.read_only ? BLK_READONLY : 0u) | (blk.can_flush ? BLK_CAN_FLUSH : 0u);
        c->shared->info.sectors = blk.sectors;
        barrier_compiler();
        c->shared->info.version = BLK_INFO_VERSION;
    }
    return 0;
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
    blk.sectors = read64(blk.device.device); // 5.2.4 capacity
    blk.read_only = blk.device.features & VIRTIO_BIT(VIRTIO_BLK_F_RO);
    blk.can_flush = blk.device.features & VIRTIO_BIT(VIRTIO_BLK_F_FLUSH);
    blk.indirect = blk.device.features & VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC);
    error = sasos_irq_enable(0);
    if (!error) error = virtio_queue(&blk.device, &blk.queue, 0, 256, 0);
    if (error) return error;
    blk.slots = blk.indirect ? blk.queue.size : blk.queue.size / 3;
    if (blk.slots > SLOTS_MAX) blk.slots = SLOTS_MAX;
    blk.slot_memory = sasos_dma_alloc(blk.slots * SLOT_BYTES);
    if (!blk.slot_memory) return E_NOMEM;
    for (uint32_t s = 0; s < blk.slots; s++) blk.free_slot[blk.free_count++] = (uint8_t)s;
    error = open_channels();
    if (error) return error;
    virtio_ready(&blk.device);
    log_line("%lu sectors (%lu MiB)%s, %u requests in flight, %s descriptors%s", blk.sectors,
             blk.sectors >> 11, blk.read_only ? ", read-only" : "", blk.slots,
             blk.indirect ? "indirect" : "direct", blk.queue.event_idx ? ", event index" : "");
    return 0;
}

int32_t SASOS_EXPORT(driver_event)(uint32_t events) {
    (void)events; // which one came does not matter: all there is to do is done
    collect();
    serve_all();
    return 0;
}

// The class's call: a client has put requests into its ring.
int32_t SASOS_EXPORT(blk_submit)(void) {
    serve_all();
    return 0;
}
