// virtio_net.c — model of a virtio-net device (VIRTIO 1.2, 5.1): what is sent vanishes after a look at it, and frames come from nowhere, a burst at each
// turn, as rig_net_load() says. Frames are numbered from byte 16 on; a sent frame with another number than the next, or of another size than
// it should have, ends the program: a driver that loses, doubles or cuts frames is found out. (What comes is checked by the application.)
#include "bench/rig/virtio.h"
#include <stdlib.h>
#include <string.h>

enum {
    F_MAC = 5,
    F_MRG_RXBUF = 15,
    F_STATUS = 16,
    F_INDIRECT = 28,
    F_EVENT_IDX = 29,
    F_VERSION_1 = 32,
    F_ACCESS_PLATFORM = 33
};
enum { RECEIVEQ = 0, TRANSMITQ = 1 }; // 5.1.2
#define HEADER 12u                    // 5.1.6, with num_buffers
#define NUMBER_AT 16u

struct vnet {
    struct vdev v;
    uint32_t size, burst; // of what comes; burst 0: nothing does
    uint32_t sent, received;
};

static void check_sent(struct vnet *n, const struct vdev_chain *c) {
    uint32_t total = 0, number = 0;
    for (unsigned i = 0; i < c->pieces; i++) {
        if (c->piece[i].write) rig_fail("virtio-net: a frame to send that the device should write");
        total += c->piece[i].length;
    }
    if (c->pieces < 2 || c->piece[0].length != HEADER || total != HEADER + n->size)
        rig_fail("virtio-net: a frame of %u bytes in %u pieces", total, c->pieces);
    memcpy(&number, c->piece[1].at + NUMBER_AT, 4);
    if (number != n->sent)
        rig_fail("virtio-net: frame %u was sent in the place of %u", number, n->sent);
    n->sent++;
}

static bool send(struct vnet *n) {
    struct vdev_chain c;
    if (!vdev_kicked(&n->v, TRANSMITQ)) return false;
    while (vdev_pop(&n->v, TRANSMITQ, &c)) {
        check_sent(n, &c);
        vdev_push(&n->v, TRANSMITQ, c.head, 0);
    }
    vdev_interrupt(&n->v, TRANSMITQ);
    return true;
}

static bool receive(struct vnet *n) {
    struct vdev_chain c;
    uint32_t done = 0;
    vdev_kicked(&n->v, RECEIVEQ);
    if (!n->v.queue[RECEIVEQ].enabled) return false;
    while (done < n->burst && vdev_pop(&n->v, RECEIVEQ, &c)) {
        struct vdev_piece *p = &c.piece[0];
        if (c.pieces != 1 || !p->write || p->length < HEADER + n->size)
            rig_fail("virtio-net: a receive buffer that is none");
        memset(p->at, 0, HEADER);
        p->at[10] = 1; // num_buffers
        memset(p->at + HEADER, 0x5a, n->size);
        memcpy(p->at + HEADER + NUMBER_AT, &n->received, 4);
        n->received++;
        done++;
        vdev_push(&n->v, RECEIVEQ, c.head, HEADER + n->size);
    }
    vdev_interrupt(&n->v, RECEIVEQ);
    return done;
}

static bool pump(struct rig_device *d) {
    struct vnet *n = (struct vnet *)d;
    bool sent = send(n);
    return receive(n) || sent;
}

void rig_net_load(struct rig_device *d, uint32_t size, uint32_t burst) {
    struct vnet *n = (struct vnet *)d;
    n->size = size;
    n->burst = burst;
    n->sent = n->received = 0;
}

struct rig_device *rig_virtio_net(struct rig_disk *disk) {
    static const uint8_t config[12] = {0x52, 0x54, 0, 0x12, 0x34, 0x56, 1}; // 5.1.4: MAC, link up
    struct vnet *n = calloc(1, sizeof *n);
    (void)disk;
    if (!n) rig_fail("no memory");
    vdev_init(&n->v, "virtio-net", 1,
              1ull << F_MAC | 1ull << F_MRG_RXBUF | 1ull << F_STATUS | 1ull << F_INDIRECT |
                  1ull << F_EVENT_IDX | 1ull << F_VERSION_1 | 1ull << F_ACCESS_PLATFORM,
              2, config, sizeof config);
    n->v.device.pump = pump;
    return &n->v.device;
}
