// virtio_net.c — model of a virtio-net device (VIRTIO 1.2, 5.1). What is sent and received: struct rig_load.
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

static void check_sent(struct vdev *v, const struct vdev_chain *c) {
    uint32_t total = 0;
    for (unsigned i = 0; i < c->pieces; i++) {
        if (c->piece[i].write) rig_fail("virtio-net: a frame to send that the device should write");
        total += c->piece[i].length;
    }
    if (c->pieces < 2 || c->piece[0].length != HEADER)
        rig_fail("virtio-net: a frame of %u bytes in %u pieces", total, c->pieces);
    rig_frame_sent(&v->device, c->piece[1].at, total - HEADER);
}

static bool send(struct vdev *v) {
    struct vdev_chain c;
    if (!vdev_kicked(v, TRANSMITQ)) return false;
    while (vdev_pop(v, TRANSMITQ, &c)) {
        check_sent(v, &c);
        vdev_push(v, TRANSMITQ, c.head, 0);
    }
    vdev_interrupt(v, TRANSMITQ);
    return true;
}

static bool receive(struct vdev *v) {
    struct vdev_chain c;
    uint32_t done = 0, size = v->device.load.size;
    vdev_kicked(v, RECEIVEQ);
    if (!v->queue[RECEIVEQ].enabled) return false;
    while (done < v->device.load.burst && vdev_pop(v, RECEIVEQ, &c)) {
        struct vdev_piece *p = &c.piece[0];
        if (c.pieces != 1 || !p->write || p->length < HEADER + size)
            rig_fail("virtio-net: a receive buffer that is none");
        memset(p->at, 0, HEADER);
        p->at[10] = 1; // num_buffers
        rig_frame_comes(&v->device, p->at + HEADER);
        done++;
        vdev_push(v, RECEIVEQ, c.head, HEADER + size);
    }
    vdev_interrupt(v, RECEIVEQ);
    return done;
}

static bool pump(struct rig_device *d) {
    struct vdev *v = (struct vdev *)d;
    bool sent = send(v);
    return receive(v) || sent;
}

struct rig_device *rig_virtio_net(struct rig_disk *disk) {
    static const uint8_t config[12] = {0x52, 0x54, 0, 0x12, 0x34, 0x56, 1}; // 5.1.4: MAC, link up
    struct vdev *v = calloc(1, sizeof *v);
    (void)disk;
    if (!v) rig_fail("no memory");
    vdev_init(v, "virtio-net", 1,
              1ull << F_MAC | 1ull << F_MRG_RXBUF | 1ull << F_STATUS | 1ull << F_INDIRECT |
                  1ull << F_EVENT_IDX | 1ull << F_VERSION_1 | 1ull << F_ACCESS_PLATFORM,
              2, config, sizeof config);
    v->device.pump = pump;
    return &v->device;
}
