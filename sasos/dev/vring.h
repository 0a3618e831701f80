// vring.h — a split virtqueue (VIRTIO 1.2 §2.7) of which a driver sees only a shadow: what it publishes is checked and translated into
// the ring that the device reads, and what the device has used is checked and copied back. For machines where no IOMMU would stop the device.
//
// Descriptor i of the shadow is descriptor i of the ring. A descriptor belongs to the device from the publication of its chain to the chain's
// used entry, and is not written meanwhile; so a chain that meets a descriptor of the device's, itself included (a loop), is refused.
// Everything in the shadow is the driver's input, and may change while it is read: each word is read once. What the device writes is input too.
// Pure: no allocation, no device register; also run on byte buffers by tests/host/test_vring.c.
#ifndef SASOS_DEV_VRING_H
#define SASOS_DEV_VRING_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VRING_SIZE_MAX 1024u

struct vring_desc { // §2.7.5
    uint64_t addr;
    uint32_t len;
    uint16_t flags, next;
};
struct vring_avail { // §2.7.6; behind the ring: used_event
    uint16_t flags, idx, ring[];
};
struct vring_used { // §2.7.8; behind the ring: avail_event
    uint16_t flags, idx;
    struct vring_used_elem {
        uint32_t id, len;
    } ring[];
};

struct vring_part { // the three parts, of the ring or of its shadow
    volatile struct vring_desc *desc;
    volatile struct vring_avail *avail;
    volatile struct vring_used *used;
};

struct vring_extent { // a piece of the driver's DMA area: physically contiguous
    uint32_t address, bytes;
    uint64_t pa;
};

struct vring {
    struct vring_part real;
    uint32_t size;      // a power of two
    bool event_idx;     // VIRTIO_F_EVENT_IDX
    bool broken;        // the device used what it did not have: nothing more is taken from it
    uint16_t published; // real.avail->idx
    uint16_t notified;  // what it was when the device was last told, or did not want to be
    uint16_t used;      // entries taken from real.used
    uint16_t next[VRING_SIZE_MAX]; // of each descriptor of the device's in its chain: VRING_LAST, or VRING_FREE if it is not the device's
    bool head[VRING_SIZE_MAX];     // it begins a chain of the device's
};
enum { VRING_FREE = 0xffff, VRING_LAST = 0xfffe };

enum vring_refusal {
    VRING_OK,
    VRING_INDEX,   // the available index is more than a ring ahead
    VRING_NUMBER,  // a descriptor's number beyond the ring
    VRING_BUSY,    // a descriptor that is the device's already, or twice in a chain
    VRING_FLAGS,   // flags other than NEXT and WRITE: indirect tables
    VRING_ORDER,   // a part to read behind one to write (§2.7.4.2)
    VRING_EMPTY,   // no bytes
    VRING_OUTSIDE, // not wholly in one extent
};
struct vring_fault {
    enum vring_refusal why;
    uint32_t descriptor; // its number; of VRING_INDEX: how far ahead
    uint64_t addr;       // of VRING_OUTSIDE
    uint32_t len;
};
const char *vring_refusal_text(enum vring_refusal why);

// Bytes of the three parts at these offsets, for `size` entries; the whole.
uint32_t vring_layout(uint32_t size, uint32_t *out_avail, uint32_t *out_used);
void vring_init(struct vring *r, struct vring_part real, uint32_t size, bool event_idx);
// Takes over all that the driver has made available since the last call. False: the ring is not to be used any more, *out says why, and the
// device has seen nothing of this call's.
bool vring_publish(struct vring *r, struct vring_part shadow, const struct vring_extent *extents,
                   uint32_t count, struct vring_fault *out);
// True if the device must be notified of what was published since the last call (§2.7.13.4, §2.7.10).
bool vring_must_notify(struct vring *r);
// The driver's wish to be interrupted, for the device to see (§2.7.7, §2.7.10); then all entries that the device has used, copied. How many; < 0: broken.
int32_t vring_collect(struct vring *r, struct vring_part shadow);
#endif
