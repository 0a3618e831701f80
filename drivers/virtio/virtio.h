// virtio.h — modern (1.x) virtio over PCI for drivers: transport, feature negotiation, split virtqueues.
// Clauses: Virtual I/O Device (VIRTIO) Version 1.2.
//
// The device is not trusted with more than its function: everything that it writes (used ring, configuration, feature bits) is input.
// Where there is an IOMMU it must offer VIRTIO_F_ACCESS_PLATFORM, that is, its DMA must go through it: a device without it would bypass the
// fence silently, so it is refused. All queue memory lies in the DMA area; its 32-bit addresses are the device's too.
//
// Without an IOMMU the kernel keeps the device's registers and rings, and ours are shadows (`shadow`): virtq_kick() has the kernel check and
// pass on what was added, virtq_used() has it fetch what was used. Indirect descriptors are then never negotiated. A driver that uses the
// functions below need not know.
#ifndef SASOS_VIRTIO_H
#define SASOS_VIRTIO_H
#include "drivers/sdk/sasos.h"

enum { // 6 Reserved feature bits
    VIRTIO_F_INDIRECT_DESC = 28,
    VIRTIO_F_EVENT_IDX = 29,
    VIRTIO_F_VERSION_1 = 32,
    VIRTIO_F_ACCESS_PLATFORM = 33,
};
#define VIRTIO_BIT(n) (1ull << (n))

enum { // 2.1 Device status field
    VIRTIO_ACKNOWLEDGE = 1,
    VIRTIO_DRIVER = 2,
    VIRTIO_DRIVER_OK = 4,
    VIRTIO_FEATURES_OK = 8,
    VIRTIO_DEVICE_NEEDS_RESET = 64,
    VIRTIO_FAILED = 128,
};

enum { VIRTQ_DESC_F_NEXT = 1, VIRTQ_DESC_F_WRITE = 2, VIRTQ_DESC_F_INDIRECT = 4 }; // 2.7.5

struct virtq_desc { // 2.7.5
    uint64_t addr;
    uint32_t len;
    uint16_t flags, next;
};

struct virtio_device {
    uint32_t common, notify, isr,
        device; // addresses of the structures of 4.1.4; device = 0 if there is none
    uint32_t device_length, notify_multiplier;
    bool shadow;       // common and notify are the kernel's
    uint64_t features; // negotiated
};

struct virtq {
    uint32_t desc, avail, used; // addresses
    uint32_t size, room;        // power of two; for how many entries it has memory
    uint32_t doorbell;          // address
    uint16_t index;
    uint16_t avail_index; // our own, authoritative
    uint16_t kicked;      // avail_index at the last virtq_kick()
    uint16_t used_index;  // next used entry to look at
    bool event_idx;
    bool shadow; // of the kernel's ring
    bool quiet;  // see virtq_quiet()
    bool armed;  // an interrupt is due when entry armed_at is used
    uint16_t armed_at;
};

// Finds the structures, resets the device, negotiates `required | (wanted ∩ offered)` plus VERSION_1 and ACCESS_PLATFORM.
// 0, or E_NODEV with a line in the log that says what is missing.
int virtio_open(struct virtio_device *v, uint64_t required, uint64_t wanted);
// Resets an opened device and negotiates again, like virtio_open(): then its queues are set up again and virtio_ready() follows.
int virtio_restart(struct virtio_device *v, uint64_t required, uint64_t wanted);
// Message `vector` comes when the device's configuration structure, or its status, has changed. 0 or E_NODEV.
int virtio_config_vector(struct virtio_device *v, uint16_t vector);
uint8_t virtio_status(struct virtio_device *v);
// Sets up queue `index` with at most `max_size` entries, its interrupt being message `vector`. 0 or an error. *q is zero, or
// has been this device's queue `index` before a restart: its memory is used again.
int virtio_queue(struct virtio_device *v, struct virtq *q, uint16_t index, uint32_t max_size,
                 uint16_t vector);
void virtio_ready(struct virtio_device *v); // DRIVER_OK
void virtio_reset(struct virtio_device *v); // and waits until the device says so (bounded)

// Descriptor at `at` (2.7.5), in two stores.
static inline void virtq_describe(uint32_t at, uint64_t addr, uint32_t len, uint16_t flags,
                                  uint32_t next) {
    volatile uint64_t *d = (volatile uint64_t *)(uintptr_t)at;
    keep_base(d);
    d[0] = addr;
    d[1] = len | (uint64_t)flags << 32 | (uint64_t)next << 48;
}

// Makes descriptor chain `head` available, at the next virtq_kick(); in a batch, it is the k-th of it and virtq_added() ends the batch.
static inline void virtq_put(const struct virtq *q, uint32_t k, uint16_t head) {
    volatile uint16_t *entry =
        (volatile uint16_t *)(uintptr_t)(q->avail + 2 * ((q->avail_index + k) & (q->size - 1)));
    keep_base(entry);
    entry[2] = head;
}
static inline void virtq_added(struct virtq *q, uint32_t n) {
    q->avail_index = (uint16_t)(q->avail_index + n);
}
static inline void virtq_add(struct virtq *q, uint16_t head) {
    virtq_put(q, 0, head);
    virtq_added(q, 1);
}

// 2.7.13.3 and .4: the chains that were added are the device's, and it is told unless it said that it need not be.
void virtq_kick(struct virtq *q);

// Quiet: the device need not interrupt for this queue; its used entries are looked for when there is something else to do. When quiet
// ends, entries may be there already: look once more.
void virtq_quiet(struct virtq *q, bool quiet);

// Nothing seems to be used: arms interrupts unless the queue is quiet, and looks once more; the kernel's ring is fetched. As virtq_there().
int virtq_look(struct virtq *q);

// How many used entries there are, or an error: the kernel has found an impossible one. Once it returns 0, interrupts are armed again, unless the queue is quiet.
// No more than the queue has, however far the device says that it has come.
static inline int virtq_there(struct virtq *q) {
    keep_base(q);
    uint32_t n = (uint16_t)(read16(q->used + 2) - q->used_index);
    if (!n) return virtq_look(q);
    return (int)(n < q->size ? n : q->size);
}
// The k-th of them: its id (unchecked: input!) and length. They are done with by virtq_took().
static inline uint32_t virtq_get(const struct virtq *q, uint32_t k, uint32_t *out_length) {
    barrier_compiler(); // 2.7.14: the index before the entry
    const volatile uint32_t *entry =
        (const volatile uint32_t *)(uintptr_t)(q->used + 8 * ((q->used_index + k) & (q->size - 1)));
    keep_base(entry);
    uint32_t id = entry[1];
    *out_length = entry[2];
    return id;
}
static inline void virtq_took(struct virtq *q, uint32_t n) {
    q->used_index = (uint16_t)(q->used_index + n);
}

// One at a time: true and the next one, with an impossible id where the kernel has found one.
static inline bool virtq_used(struct virtq *q, uint32_t *out_id, uint32_t *out_length) {
    int there = virtq_there(q);
    *out_id = UINT32_MAX;
    *out_length = 0;
    if (there <= 0) return there < 0;
    *out_id = virtq_get(q, 0, out_length);
    virtq_took(q, 1);
    return true;
}
#endif
