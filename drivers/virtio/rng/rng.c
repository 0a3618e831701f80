// rng.c — virtio entropy driver (Virtual I/O Device Version 1.2, clause 5.4): gives the system's random numbers what the host has.
//
// One buffer is with the device at any time. What it returns is mixed in by the kernel and never used alone, so a device that lies can add nothing
// but also take nothing away. The first BYTES have come when the driver is ready (or PATIENCE is over), then as many come each INTERVAL.
#include "drivers/virtio/virtio.h"

#define BYTES 64u
#define INTERVAL_NS (60ll * 1000000000)
#define PATIENCE_NS (200ll * 1000000)

static struct {
    struct virtio_device device;
    struct virtq queue;
    uint32_t buffer;
    uint64_t given; // bytes
    bool asked, failed;
} rng;

static void ask(void) {
    if (rng.asked || rng.failed) return;
    rng.asked = true;
    virtq_add(&rng.queue, 0);
    virtq_kick(&rng.queue);
}

// What the device has answered, if it has.
static void take(void) {
    uint32_t id, length;
    if (rng.failed || !virtq_used(&rng.queue, &id, &length)) return;
    if (id != 0 || !rng.asked || length == 0 || length > BYTES) { // 5.4.6.1: at least a byte
        log_line("the device answered with buffer %u, %u bytes: it is reset", id, length);
        virtio_reset(&rng.device);
        rng.failed = true;
        return;
    }
    rng.asked = false;
    if (sasos_entropy_add((const uint8_t *)(uintptr_t)rng.buffer, length) == 0) rng.given += length;
    sasos_timer(sasos_time_ns() + INTERVAL_NS);
}

int32_t SASOS_EXPORT(driver_start)(void) {
    int error = virtio_open(&rng.device, 0, VIRTIO_BIT(VIRTIO_F_EVENT_IDX));
    if (!error) error = sasos_irq_enable(0);
    if (!error) error = virtio_queue(&rng.device, &rng.queue, 0, 1, 0);
    if (error) return error;
    rng.buffer = sasos_dma_alloc(BYTES);
    if (!rng.buffer) return E_NOMEM;
    write64(rng.queue.desc, rng.buffer);
    write64(rng.queue.desc + 8, BYTES | (uint64_t)VIRTQ_DESC_F_WRITE << 32);
    virtio_ready(&rng.device);
    ask();
    for (int64_t start = sasos_time_ns(); rng.asked && sasos_time_ns() - start < PATIENCE_NS;)
        take();
    log_line("%lu bytes of the host's entropy are mixed in", rng.given);
    return 0;
}

int32_t SASOS_EXPORT(driver_event)(uint32_t events) {
    take();
    if (events & SASOS_EVENT_TIMER) ask();
    return 0;
}
