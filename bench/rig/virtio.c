// virtio.c — see virtio.h.
#include "bench/rig/virtio.h"
#include <string.h>

enum { // 4.1.4.3
    DEVICE_FEATURE_SELECT = 0,
    DEVICE_FEATURE = 4,
    DRIVER_FEATURE_SELECT = 8,
    DRIVER_FEATURE = 12,
    NUM_QUEUES = 18,
    DEVICE_STATUS = 20,
    QUEUE_SELECT = 22,
    QUEUE_SIZE = 24,
    QUEUE_VECTOR = 26,
    QUEUE_ENABLE = 28,
    QUEUE_NOTIFY_OFF = 30,
    QUEUE_DESC = 32,
    QUEUE_AVAIL = 40,
    QUEUE_USED = 48,
    COMMON_SIZE = 64,
};
enum { COMMON = 0, DEVICE = 1, ISR = 2, NOTIFY = 3, PAGES = 4 };
enum { CAP_COMMON = 1, CAP_NOTIFY = 2, CAP_ISR = 3, CAP_DEVICE = 4, CAP_SIZE = 20 }; // 4.1.4
enum { PCI_STATUS = 6, PCI_CAPABILITIES = 0x34, PCI_CAP_VENDOR = 9, FIRST_CAP = 0x40 };
enum { STATUS_FEATURES_OK = 8 };
enum { F_EVENT_IDX = 29, F_ACCESS_PLATFORM = 33 };
enum { DESC_NEXT = 1, DESC_WRITE = 2, DESC_INDIRECT = 4 };
#define NOT_RUNG 0xffffffffu

struct desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags, next;
};

static uint16_t get16(const void *p) {
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}
static uint32_t get32(const void *p) {
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}
static uint64_t get64(const void *p) {
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static uint8_t *common(struct vdev *v) { return v->device.pages.at; }

static struct vdev_queue *selected(struct vdev *v) {
    uint16_t q = get16(common(v) + QUEUE_SELECT);
    return q < v->queues ? &v->queue[q] : NULL;
}

// What the driver would read next, all of it. Registers are small enough to be written whole.
static void show(struct vdev *v) {
    uint8_t *c = common(v);
    struct vdev_queue none = {0}, *q = selected(v);
    if (!q) q = &none;
    uint32_t select = get32(c + DEVICE_FEATURE_SELECT);
    uint32_t features = select > 1 ? 0 : (uint32_t)(v->offered >> 32 * select);
    memcpy(c + DEVICE_FEATURE, &features, 4);
    memcpy(c + NUM_QUEUES, &v->queues, 2);
    memcpy(c + QUEUE_SIZE, &q->size, 2);
    memcpy(c + QUEUE_VECTOR, &q->vector, 2);
    memcpy(c + QUEUE_ENABLE, &q->enabled, 2);
    memcpy(c + QUEUE_NOTIFY_OFF, c + QUEUE_SELECT, 2); // doorbell n is queue n's
    memcpy(c + QUEUE_DESC, &q->desc, 8);
    memcpy(c + QUEUE_AVAIL, &q->avail, 8);
    memcpy(c + QUEUE_USED, &q->used, 8);
}

static void reset(struct vdev *v) {
    memset(common(v), 0, COMMON_SIZE);
    memset(v->queue, 0, sizeof v->queue);
    for (unsigned i = 0; i < v->queues; i++) v->queue[i].size = (uint16_t)v->queue_size;
    memset(v->device.pages.at + NOTIFY * RIG_PAGE, 0xff, RIG_PAGE);
    v->accepted = 0;
}

static void before(struct rig_device *d, uint32_t offset, bool write) {
    if (offset / RIG_PAGE == COMMON && !write) show((struct vdev *)d);
}

static void after(struct rig_device *d, uint32_t offset, bool write) {
    struct vdev *v = (struct vdev *)d;
    uint8_t *c = common(v);
    if (!write || offset / RIG_PAGE != COMMON) return;
    struct vdev_queue *q = selected(v);
    switch (offset) {
    case DRIVER_FEATURE: {
        uint32_t select = get32(c + DRIVER_FEATURE_SELECT) & 1;
        v->accepted &= ~(0xffffffffull << 32 * select);
        v->accepted |= (uint64_t)get32(c + DRIVER_FEATURE) << 32 * select;
        break;
    }
    case DEVICE_STATUS:
        if (c[DEVICE_STATUS] == 0) reset(v);
        if (v->accepted & ~v->offered || !(v->accepted >> F_ACCESS_PLATFORM & 1))
            c[DEVICE_STATUS] &= (uint8_t)~STATUS_FEATURES_OK; // 2.2.2
        break;
    case QUEUE_SIZE:
        if (q) q->size = get16(c + QUEUE_SIZE);
        break;
    case QUEUE_VECTOR:
        if (q) q->vector = get16(c + QUEUE_VECTOR);
        break;
    case QUEUE_ENABLE:
        if (q) q->enabled = get16(c + QUEUE_ENABLE);
        break;
    case QUEUE_DESC:
        if (q) q->desc = get64(c + QUEUE_DESC);
        break;
    case QUEUE_AVAIL:
        if (q) q->avail = get64(c + QUEUE_AVAIL);
        break;
    case QUEUE_USED:
        if (q) q->used = get64(c + QUEUE_USED);
        break;
    default: break;
    }
}

static void *reach(struct vdev *v, uint64_t address, uint64_t size) {
    void *p = rig_dma(v->device.space, address, size);
    if (!p) rig_fail("%s: DMA outside of the driver's area: 0x%lx", v->device.name, address);
    return p;
}

bool vdev_kicked(struct vdev *v, unsigned queue) {
    uint32_t *bell = (uint32_t *)(v->device.pages.at + NOTIFY * RIG_PAGE) + queue;
    bool rung = __atomic_load_n(bell, __ATOMIC_ACQUIRE) != NOT_RUNG;
    if (rung) __atomic_store_n(bell, NOT_RUNG, __ATOMIC_RELEASE);
    return rung && v->queue[queue].enabled;
}

static void add_piece(struct vdev *v, struct vdev_chain *c, const struct desc *d) {
    if (c->pieces == VDEV_CHAIN_MAX) rig_fail("%s: a chain without end", v->device.name);
    c->piece[c->pieces++] =
        (struct vdev_piece){reach(v, d->addr, d->len), d->len, d->flags & DESC_WRITE};
}

bool vdev_pop(struct vdev *v, unsigned queue, struct vdev_chain *out) {
    struct vdev_queue *q = &v->queue[queue];
    uint8_t *avail = reach(v, q->avail, 6 + 2ull * q->size);
    if (__atomic_load_n((uint16_t *)avail + 1, __ATOMIC_ACQUIRE) == q->seen) {
        uint16_t *event =
            (uint16_t *)((uint8_t *)reach(v, q->used, 6 + 8ull * q->size) + 4 + 8 * q->size);
        *event = q->seen; // 2.7.10 avail_event: ring for the next one
        return false;
    }
    out->head = get16(avail + 4 + 2 * (q->seen % q->size));
    out->pieces = 0;
    q->seen++;
    const struct desc *table = reach(v, q->desc, 16ull * q->size);
    uint32_t entries = q->size, i = out->head;
    if (i >= entries) rig_fail("%s: descriptor %u does not exist", v->device.name, i);
    if (table[i].flags & DESC_INDIRECT) {
        entries = table[i].len / 16;
        table = reach(v, table[i].addr, table[i].len);
        i = 0;
    }
    for (;;) {
        add_piece(v, out, &table[i]);
        if (!(table[i].flags & DESC_NEXT)) return true;
        i = table[i].next;
        if (i >= entries) rig_fail("%s: descriptor %u does not exist", v->device.name, i);
    }
}

void vdev_push(struct vdev *v, unsigned queue, uint16_t head, uint32_t written) {
    struct vdev_queue *q = &v->queue[queue];
    uint8_t *used = reach(v, q->used, 6 + 8ull * q->size);
    uint32_t *entry = (uint32_t *)(used + 4 + 8 * (q->used_index % q->size));
    entry[0] = head;
    entry[1] = written;
    __atomic_store_n((uint16_t *)used + 1, ++q->used_index, __ATOMIC_RELEASE);
}

void vdev_interrupt(struct vdev *v, unsigned queue) {
    struct vdev_queue *q = &v->queue[queue];
    uint8_t *avail = reach(v, q->avail, 6 + 2ull * q->size);
    bool wanted;
    if (q->used_index == q->signalled) return;
    if (v->accepted >> F_EVENT_IDX & 1) { // 2.7.10 used_event
        uint16_t event = get16(avail + 4 + 2 * q->size);
        wanted = (uint16_t)(q->used_index - event - 1) < (uint16_t)(q->used_index - q->signalled);
    } else {
        wanted = !(get16(avail) & 1); // VIRTQ_AVAIL_F_NO_INTERRUPT
    }
    q->signalled = q->used_index;
    if (wanted && q->vector < 32) v->device.irqs |= 1u << q->vector;
}

static void add_capability(uint8_t *config, unsigned at, unsigned next, uint8_t type, unsigned page,
                           uint32_t length) {
    uint32_t offset = page * RIG_PAGE, multiplier = 4;
    config[at] = PCI_CAP_VENDOR;
    config[at + 1] = (uint8_t)next;
    config[at + 2] = CAP_SIZE;
    config[at + 3] = type;
    memcpy(config + at + 8, &offset, 4);
    memcpy(config + at + 12, &length, 4);
    memcpy(config + at + 16, &multiplier, 4); // of notify; the others do not have it
}

void vdev_init(struct vdev *v, const char *name, uint16_t id, uint64_t features, uint16_t queues,
               const void *config, size_t config_size) {
    uint8_t *c = v->device.config;
    uint32_t ids = 0x1af4u | (uint32_t)(0x1040u + id) << 16;
    v->device.name = name;
    v->device.pages = rig_pages_new(PAGES * RIG_PAGE);
    v->device.doorbells = 1u << NOTIFY;
    v->device.before = before;
    v->device.after = after;
    v->offered = features;
    v->queues = queues;
    v->queue_size = VDEV_QUEUE_SIZE;
    memcpy(c, &ids, 4);
    c[PCI_STATUS] = 0x10;
    c[PCI_CAPABILITIES] = FIRST_CAP;
    add_capability(c, FIRST_CAP, FIRST_CAP + 20, CAP_COMMON, COMMON, COMMON_SIZE);
    add_capability(c, FIRST_CAP + 20, FIRST_CAP + 40, CAP_NOTIFY, NOTIFY, 4u * queues);
    add_capability(c, FIRST_CAP + 40, FIRST_CAP + 60, CAP_ISR, ISR, 4);
    add_capability(c, FIRST_CAP + 60, 0, CAP_DEVICE, DEVICE, (uint32_t)config_size);
    memcpy(v->device.pages.at + DEVICE * RIG_PAGE, config, config_size);
    reset(v);
}
