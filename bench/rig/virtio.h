// virtio.h — the device side of modern virtio over PCI with split queues, for the rig's models. Clauses: VIRTIO 1.2.
//
// Registers: page 0 common configuration (4.1.4.3), page 1 device configuration, page 2 interrupt status, page 3 doorbells, one of 4 bytes a
// queue. The driver is trusted as little as a real device trusts one: an address outside its DMA area, a descriptor loop or a wrong
// direction ends the program with a message, since here it means a broken driver or a broken model.
#ifndef BENCH_RIG_VIRTIO_H
#define BENCH_RIG_VIRTIO_H
#include "bench/rig/rig.h"

#define VDEV_QUEUES 4u
#define VDEV_QUEUE_SIZE 256u
#define VDEV_CHAIN_MAX 16u

struct vdev_queue {
    uint16_t size, vector, enabled;
    uint64_t desc, avail, used;
    uint16_t seen, used_index,
        signalled; // next available entry; next used one; used index at the last interrupt
};
struct vdev {
    struct rig_device device;
    uint64_t offered, accepted;
    uint16_t queues;
    uint32_t queue_size;
    struct vdev_queue queue[VDEV_QUEUES];
};
struct vdev_piece {
    uint8_t *at;
    uint32_t length;
    bool write; // by the device
};
struct vdev_chain {
    uint16_t head;
    unsigned pieces;
    struct vdev_piece piece[VDEV_CHAIN_MAX];
};
// `config`: the device configuration's contents.
void vdev_init(struct vdev *v, const char *name, uint16_t id, uint64_t features, uint16_t queues,
               const void *config, size_t config_size);
bool vdev_kicked(struct vdev *v, unsigned queue); // the doorbell was rung since the last look
bool vdev_pop(struct vdev *v, unsigned queue,
              struct vdev_chain *out); // false: nothing available; asks for the next doorbell
void vdev_push(struct vdev *v, unsigned queue, uint16_t head, uint32_t written);
void vdev_interrupt(struct vdev *v, unsigned queue); // if the driver wants to hear of what was pushed
#endif
