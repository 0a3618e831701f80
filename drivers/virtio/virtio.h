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

// Makes descriptor chain `head` available. The device may see it at once; it is told by virtq_kick().
static inline void virtq_add(struct virtq *q, uint16_t head) {
    write16(q->avail + 4 + 2 * (q->avail_index & (q->size - 1)), head);
    barrier_compiler(); // 2.7.13.3: the entry before the index
    write16(q->avail + 2, ++q->avail_index);
}

void virtq_kick(struct virtq *q); // 2.7.13.4: the doorbell, unless the device said that it needs none

// Quiet: the device need not interrupt for this queue; its used entries are looked for when there is something else to do. When quiet
// ends, entries may be there already: look once more.
void virtq_quiet(struct virtq *q, bool quiet);

// Next used entry: true and its id (unchecked: input!) and length; an impossible id where the kernel has found one. Once it returns false, interrupts are armed
// again, unless the queue is quiet.
bool virtq_used(struct virtq *q, uint32_t *out_id, uint32_t *out_length);
#endif
