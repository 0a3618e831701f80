// virtio_blk.c — model of a virtio-blk device (VIRTIO 1.2, 5.2) over a disk in memory.
#include "bench/rig/virtio.h"
#include <stdlib.h>
#include <string.h>

enum { F_FLUSH = 9, F_INDIRECT = 28, F_EVENT_IDX = 29, F_VERSION_1 = 32, F_ACCESS_PLATFORM = 33 };
enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, S_OK = 0, S_IOERR = 1, S_UNSUPP = 2 }; // 5.2.6
#define SECTOR 512u

struct vblk {
    struct vdev v;
    struct rig_disk *disk;
};

// One request; the number of bytes that the device wrote.
static uint32_t serve(struct vblk *b, struct vdev_chain *c) {
    struct vdev_piece *head = &c->piece[0], *status = &c->piece[c->pieces - 1];
    if (c->pieces < 2 || head->write || head->length < 16 || !status->write || status->length < 1)
        rig_fail("virtio-blk: a request that is none");
    uint32_t type, written = 0;
    uint64_t sector;
    memcpy(&type, head->at, 4);
    memcpy(&sector, head->at + 8, 8);
    uint8_t result = type == T_FLUSH || type == T_IN || type == T_OUT ? S_OK : S_UNSUPP;
    for (unsigned i = 1; i + 1 < c->pieces && result == S_OK; i++) {
        struct vdev_piece *p = &c->piece[i];
        uint64_t sectors = p->length / SECTOR;
        if (p->length % SECTOR || sector > b->disk->sectors ||
            sectors > b->disk->sectors - sector || p->write != (type == T_IN)) {
            result = S_IOERR;
        } else if (type == T_IN) {
            memcpy(p->at, b->disk->data + sector * SECTOR, p->length);
            written += p->length;
        } else {
            memcpy(b->disk->data + sector * SECTOR, p->at, p->length);
        }
        sector += sectors;
    }
    *status->at = result;
    return written + 1;
}

static bool pump(struct rig_device *d) {
    struct vblk *b = (struct vblk *)d;
    struct vdev_chain chain;
    if (!vdev_kicked(&b->v, 0)) return false;
    while (vdev_pop(&b->v, 0, &chain)) vdev_push(&b->v, 0, chain.head, serve(b, &chain));
    vdev_interrupt(&b->v, 0);
    return true;
}

struct rig_device *rig_virtio_blk(struct rig_disk *disk) {
    struct vblk *b = calloc(1, sizeof *b);
    uint8_t config[60] = {0};
    if (!b) rig_fail("no memory");
    b->disk = disk;
    memcpy(config, &disk->sectors, 8); // 5.2.4 capacity
    vdev_init(&b->v, "virtio-blk", 2,
              1ull << F_FLUSH | 1ull << F_INDIRECT | 1ull << F_EVENT_IDX | 1ull << F_VERSION_1 |
                  1ull << F_ACCESS_PLATFORM,
              1, config, sizeof config);
    b->v.device.pump = pump;
    return &b->v.device;
}
