// vring.c — see vring.h.
#include "sasos/dev/vring.h"

enum { F_NEXT = 1, F_WRITE = 2 }; // §2.7.5
enum { USED_F_NO_NOTIFY = 1 };    // §2.7.10

const char *vring_refusal_text(enum vring_refusal why) {
    switch (why) {
    case VRING_INDEX: return "the available index is more than a ring ahead";
    case VRING_NUMBER: return "there is no descriptor of that number";
    case VRING_BUSY: return "it is the device's already, or its chain is a loop";
    case VRING_FLAGS: return "indirect tables and unknown flags are not allowed";
    case VRING_ORDER: return "a part to be read follows one to be written";
    case VRING_EMPTY: return "it is empty";
    case VRING_OUTSIDE: return "it does not lie inside the DMA area";
    case VRING_OK: break;
    }
    return "nothing";
}

uint32_t vring_layout(uint32_t size, uint32_t *out_avail, uint32_t *out_used) {
    *out_avail = 16 * size;                              // §2.7: descriptors 16·n
    *out_used = (*out_avail + 6 + 2 * size + 63) & ~63u; // available ring 6 + 2·n
    return *out_used + 6 + 8 * size;                     // used ring 6 + 8·n, at a multiple of 4
}

void vring_init(struct vring *r, struct vring_part real, uint32_t size, bool event_idx) {
    *r = (struct vring){.real = real, .size = size, .event_idx = event_idx};
    for (uint32_t i = 0; i < size; i++) r->next[i] = VRING_FREE;
}

// Physical address of [addr, addr + len), if it lies in one extent; 0 otherwise: no extent begins there.
static uint64_t translate(const struct vring_extent *extents, uint32_t count, uint64_t addr,
                          uint32_t len) {
    for (uint32_t i = 0; i < count; i++) {
        const struct vring_extent *e = &extents[i];
        if (addr >= e->address && addr - e->address < e->bytes && len <= e->bytes - (addr - e->address))
            return e->pa + (addr - e->address);
    }
    return 0;
}

// One chain into the ring, marked as the device's.
static enum vring_refusal take_chain(struct vring *r, uint32_t head,
                                     volatile const struct vring_desc *shadow,
                                     const struct vring_extent *extents, uint32_t count,
                                     struct vring_fault *out) {
    bool writes = false;
    for (uint32_t i = head;;) {
        out->descriptor = i;
        if (i >= r->size) return VRING_NUMBER;
        if (r->next[i] != VRING_FREE)
            return VRING_BUSY; // bounds the loop: each turn takes a free one
        const struct vring_desc d = {shadow[i].addr, shadow[i].len, shadow[i].flags, shadow[i].next};
        out->addr = d.addr;
        out->len = d.len;
        if (d.flags & ~(F_NEXT | F_WRITE)) return VRING_FLAGS;
        if (writes && !(d.flags & F_WRITE)) return VRING_ORDER;
        writes = d.flags & F_WRITE;
        if (!d.len) return VRING_EMPTY;
        uint64_t pa = translate(extents, count, d.addr, d.len);
        if (!pa) return VRING_OUTSIDE;
        bool more = d.flags & F_NEXT;
        r->next[i] = more ? d.next : VRING_LAST;
        r->real.desc[i].addr = pa;
        r->real.desc[i].len = d.len;
        r->real.desc[i].flags = d.flags;
        r->real.desc[i].next = more ? d.next : 0;
        if (!more) break;
        i = d.next;
    }
    r->head[head] = true;
    return VRING_OK;
}

// The driver's wish for interrupts: flags and used_event. They concern its own interrupt and nothing else.
static void pass_wishes(struct vring *r, struct vring_part shadow) {
    if (r->event_idx)
        r->real.avail->ring[r->size] = shadow.avail->ring[r->size];
    else
        r->real.avail->flags = shadow.avail->flags & 1;
}

bool vring_publish(struct vring *r, struct vring_part shadow, const struct vring_extent *extents,
                   uint32_t count, struct vring_fault *out) {
    uint16_t end = shadow.avail->idx, ahead = (uint16_t)(end - r->published);
    __atomic_thread_fence(__ATOMIC_ACQUIRE); // the driver's entries after its index
    *out = (struct vring_fault){.why = VRING_OK, .descriptor = ahead};
    if (ahead > r->size) out->why = VRING_INDEX;
    pass_wishes(r, shadow);
    for (uint16_t at = r->published; out->why == VRING_OK && at != end; at++) {
        uint32_t slot = at & (r->size - 1);
        uint16_t head = shadow.avail->ring[slot];
        out->why = take_chain(r, head, shadow.desc, extents, count, out);
        r->real.avail->ring[slot] = head;
    }
    if (out->why != VRING_OK) return false;
    __atomic_thread_fence(__ATOMIC_RELEASE); // §2.7.13.3: descriptors and entries before the index
    r->real.avail->idx = r->published = end;
    return true;
}

bool vring_must_notify(struct vring *r) {
    uint16_t old = r->notified;
    r->notified = r->published;
    if (old == r->published) return false;
    __atomic_thread_fence(
        __ATOMIC_SEQ_CST); // §2.7.13.4: the index before we ask whether the device wants to hear of it
    if (!r->event_idx) return !(r->real.used->flags & USED_F_NO_NOTIFY);
    uint16_t event = *(volatile uint16_t *)&r->real.used->ring[r->size]; // avail_event
    return (uint16_t)(r->published - event - 1) < (uint16_t)(r->published - old);
}

// Takes a chain back from the device; false if it does not have it.
static bool release_chain(struct vring *r, uint32_t head) {
    if (head >= r->size || !r->head[head]) return false;
    r->head[head] = false;
    for (uint16_t i = (uint16_t)head; i != VRING_LAST;) {
        uint16_t next = r->next[i];
        r->next[i] = VRING_FREE;
        i = next;
    }
    return true;
}

int32_t vring_collect(struct vring *r, struct vring_part shadow) {
    if (r->broken) return -1;
    pass_wishes(r, shadow);
    __atomic_thread_fence(__ATOMIC_SEQ_CST); // armed before the look
    uint16_t end = r->real.used->idx, begin = r->used;
    __atomic_thread_fence(__ATOMIC_ACQUIRE); // §2.7.14: the index before the entries
    if ((uint16_t)(end - begin) > r->size) r->broken = true;
    for (; !r->broken && r->used != end; r->used++) {
        uint32_t slot = r->used & (r->size - 1);
        uint32_t id = r->real.used->ring[slot].id, len = r->real.used->ring[slot].len;
        if (!release_chain(r, id)) {
            r->broken = true;
            break;
        }
        shadow.used->ring[slot].id = id;
        shadow.used->ring[slot].len = len;
    }
    __atomic_thread_fence(__ATOMIC_RELEASE); // entries before the index, for the driver
    shadow.used->idx = r->used;
    return r->broken && r->used == begin ? -1 : (uint16_t)(r->used - begin);
}
