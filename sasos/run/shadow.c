// shadow.c — virtio without an IOMMU: the kernel owns the device's registers and rings, the driver has shadows of them (domain.h: dma).
//
// The driver never reaches common configuration or doorbells (virtio_page_harmless()). What it wants the device to do passes vring_publish(),
// which knows the only memory that the device may be told of: the domain's extents. What it may not say ends the domain with DOM_END_DMA, as
// the IOMMU's fault would. Feature bits by which the device would look elsewhere than in the rings are never negotiated.
//
// The calls run in the domain, so one at a time; shadow_open() and shadow_close() run while nobody is inside.
#include "sasos/dev/virtio.h"
#include "sasos/lib/log.h"
#include "sasos/lib/mem.h"
#include "sasos/mem/frame.h"
#include "sasos/mem/heap.h"
#include "sasos/mem/pt.h"
#include "sasos/run/hostcall.h"

#define BIT(n) (1ull << (n))
// §6: bits of the device's type, and of the reserved ones EVENT_IDX, VERSION_1 and ACCESS_PLATFORM (a device that offers it insists on it).
#define FEATURES ((BIT(24) - 1) | (BIT(63) - BIT(50)) | EVENT_IDX | VERSION_1 | BIT(33))
#define EVENT_IDX BIT(29)
#define VERSION_1 BIT(32)
enum { DRIVER_OK = 4, FAILED = 128, RESET = 256 }; // §2.1; RESET is ours

struct queue {
    struct vring *ring; // NULL: not set up
    uint64_t pa;        // of the parts that the device sees
    uint32_t frames;
    uint32_t desc, avail, used; // the shadow's addresses
    volatile uint8_t *doorbell;
};

struct shadow {
    struct virtio_transport device;
    uint64_t features;
    struct queue queue[SASOS_RINGS_MAX];
};

// The device has confirmed a reset.
static void drop_queues(struct dom *d) {
    struct shadow *s = d->shadow;
    memset(d->ring, 0, sizeof d->ring);
    for (uint32_t i = 0; i < SASOS_RINGS_MAX; i++) {
        struct queue *q = &s->queue[i];
        if (q->pa) frame_free(q->pa, q->frames);
        kfree(q->ring);
        *q = (struct queue){0};
    }
}

static bool reset(struct dom *d) {
    if (!virtio_restart(&d->shadow->device)) return false;
    drop_queues(d);
    return true;
}

// For the operator to see: the domain's own words, since the ring may go at any time.
static void tell(struct dom *d, uint32_t index, const struct vring *r) {
    d->ring[index] = (struct sasos_ring_info){(uint16_t)r->size, r->published, r->used, r->broken};
}

enum status shadow_open(struct dom *d) {
    struct shadow *s = kzalloc(sizeof *s);
    if (!s) return ST_NO_MEMORY;
    if (!virtio_open(d->fn, &s->device)) {
        kfree(s);
        log_error("run", "%s: its virtio device has no modern interface, without which it is not to be had on a machine without an IOMMU",
                  dom_name(d));
        return ST_UNSUPPORTED;
    }
    d->shadow = s;
    return ST_OK;
}

bool shadow_close(struct dom *d) {
    struct shadow *s = d->shadow;
    bool done = reset(d);
    virtio_close(&s->device);
    if (done) kfree(s);
    d->shadow = NULL;
    return done;
}

// ---- kernel calls ----

CALL(virtio_start) {
    struct shadow *s = caller(inst)->shadow;
    if (!s) return E_DENIED;
    if (!reset(caller(inst))) return E_IO;
    uint64_t wanted = (ldr_arg(args, 0) & FEATURES) | VERSION_1 | BIT(33);
    if (!virtio_negotiate(&s->device, wanted, &s->features) || !(s->features & VERSION_1)) {
        virtio_status(&s->device, FAILED);
        return E_NODEV;
    }
    return (int64_t)s->features;
}

CALL(virtio_vector) {
    struct shadow *s = caller(inst)->shadow;
    if (!s) return E_DENIED;
    return virtio_config_message(&s->device, (uint16_t)ldr_arg32(args, 0)) ? 0 : E_NODEV;
}

CALL(virtio_state) {
    struct shadow *s = caller(inst)->shadow;
    uint32_t bits = ldr_arg32(args, 0);
    if (!s) return E_DENIED;
    if (bits == RESET) return reset(caller(inst)) ? 0 : E_IO;
    if (bits & ~(uint32_t)(DRIVER_OK | FAILED)) return E_INVAL;
    return virtio_status(&s->device, (uint8_t)bits);
}

// The shadow's parts, if they are wholly in the driver's memory.
static bool shadow_of(struct ldr_instance *inst, const struct queue *q, uint32_t size,
                      struct vring_part *out) {
    if (q->desc % 16 || q->avail % 2 || q->used % 4) return false; // §2.7
    out->desc = ldr_memory_at(inst, q->desc, 16 * size);
    out->avail = ldr_memory_at(inst, q->avail, 6 + 2 * size);
    out->used = ldr_memory_at(inst, q->used, 6 + 8 * size);
    return out->desc && out->avail && out->used;
}

static struct queue *queue_of(struct shadow *s, uint32_t index) {
    return s && index < SASOS_RINGS_MAX && s->queue[index].ring ? &s->queue[index] : NULL;
}

// Rings for the device, and the device's queue on them.
static int32_t open_queue(struct dom *d, uint32_t index, struct queue q, uint32_t size,
                          uint16_t message) {
    struct shadow *s = d->shadow;
    uint32_t avail, used, bytes = vring_layout(size, &avail, &used);
    q.frames = (bytes + FRAME_SIZE - 1) / FRAME_SIZE;
    q.ring = kalloc(sizeof *q.ring);
    if (!q.ring || !(q.pa = frame_alloc_run(q.frames, 1, FRAME_ZERO))) {
        kfree(q.ring);
        return E_NOMEM;
    }
    uint8_t *at = pt_direct(q.pa);
    vring_init(q.ring, (struct vring_part){(void *)at, (void *)(at + avail), (void *)(at + used)},
               size, s->features & EVENT_IDX);
    q.doorbell = virtio_queue_start(&s->device, (uint16_t)index, (uint16_t)size,
                                    (uint64_t[3]){q.pa, q.pa + avail, q.pa + used}, message);
    s->queue[index] = q;
    tell(d, index, q.ring);
    if (q.doorbell) return (int32_t)size;
    return reset(d) ? E_NODEV : E_IO; // it may have kept part of it
}

CALL(virtio_queue) {
    struct shadow *s = caller(inst)->shadow;
    uint32_t index = ldr_arg32(args, 0), size = ldr_arg32(args, 1);
    struct queue q = {
        .desc = ldr_arg32(args, 2), .avail = ldr_arg32(args, 3), .used = ldr_arg32(args, 4)};
    struct vring_part shadow;
    if (!s) return E_DENIED;
    if (index >= SASOS_RINGS_MAX) return E_NOENT;
    if (size == 0 || size > VRING_SIZE_MAX || (size & (size - 1))) return E_INVAL;
    if (!shadow_of(inst, &q, size, &shadow)) return E_FAULT;
    if (s->queue[index].ring) return E_AGAIN;
    uint32_t most = virtio_queue_size(&s->device, (uint16_t)index);
    if (!most) return E_NOENT;
    if (!dom_handle_left(caller(inst))) return E_NOMEM;
    return open_queue(caller(inst), index, q, MIN(size, most), (uint16_t)ldr_arg32(args, 5));
}

CALL(virtq_publish) {
    struct dom *d = caller(inst);
    uint32_t index = ldr_arg32(args, 0);
    struct queue *q = queue_of(d->shadow, index);
    struct vring_part shadow;
    struct vring_fault fault;
    if (!q) return E_NOENT;
    if (!shadow_of(inst, q, q->ring->size, &shadow)) return E_FAULT;
    if (!vring_publish(q->ring, shadow, d->extent, d->extents, &fault)) {
        d->ring_fault = fault;
        d->ring_queue = index;
        dom_kill(d, DOM_END_DMA);
        ldr_trap(inst, SFI_TRAP_KILLED);
    }
    tell(d, index, q->ring);
    if (vring_must_notify(q->ring)) virtio_notify(q->doorbell, (uint16_t)index);
    return 0;
}

CALL(virtq_collect) {
    struct dom *d = caller(inst);
    uint32_t index = ldr_arg32(args, 0);
    struct queue *q = queue_of(d->shadow, index);
    struct vring_part shadow;
    if (!q) return E_NOENT;
    if (!shadow_of(inst, q, q->ring->size, &shadow)) return E_FAULT;
    bool broken = q->ring->broken;
    int32_t n = vring_collect(q->ring, shadow);
    tell(d, index, q->ring);
    if (q->ring->broken && !broken)
        log_warn("run", "%s: its device used what it did not have in queue %u", dom_name(d), index);
    return n < 0 ? E_IO : n;
}
