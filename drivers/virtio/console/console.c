// console.c — virtio console driver (Virtual I/O Device Version 1.2, clause 5.3): the device's first port as a terminal.
//
// Queue 0 receives, queue 1 transmits; MULTIPORT is not negotiated, so there are no others. A buffer's number is the head of its chain.
// A received buffer is handed to the client as it has room, and is given back to the device only then: the device holds the
// line back meanwhile. Not trusted: used entries. An id that the device does not have, or a length beyond the buffer, fails it: it is
// reset and nothing more comes or goes.
#include "drivers/sdk/ttyserve.h"
#include "drivers/virtio/virtio.h"

enum { VIRTIO_CONSOLE_F_SIZE = 0 }; // 5.3.3
enum { RECEIVE = 0, TRANSMIT = 1 };

#define BUFFERS 8u
#define BYTES 512u

static struct {
    struct virtio_device device;
    struct virtq queue[2];
    uint32_t memory[2], buffers[2]; // of each queue
    bool theirs[2][BUFFERS];        // the device has it
    uint32_t first, count, taken; // received buffers that wait, oldest first; bytes handed on of that one
    struct {
        uint8_t buffer;
        uint16_t length;
    } waiting[BUFFERS];
    bool failed;
} con;

static uint32_t buffer_at(uint32_t queue, uint32_t i) { return con.memory[queue] + i * BYTES; }

static void give(uint32_t queue, uint32_t i, uint32_t length) {
    struct virtq *q = &con.queue[queue];
    write32(q->desc + 16 * i + 8, length);
    con.theirs[queue][i] = true;
    virtq_add(q, (uint16_t)i);
}

// The device's next answer: true with the buffer's number.
static bool take(uint32_t queue, uint32_t *out_buffer, uint32_t *out_length) {
    if (con.failed || !virtq_used(&con.queue[queue], out_buffer, out_length)) return false;
    if (*out_buffer < con.buffers[queue] && con.theirs[queue][*out_buffer] &&
        (queue == TRANSMIT || *out_length <= BYTES)) {
        con.theirs[queue][*out_buffer] = false;
        return true;
    }
    log_line("the device answered with buffer %u, %u bytes: it is reset", *out_buffer, *out_length);
    virtio_reset(&con.device);
    con.failed = true;
    return false;
}

// Received bytes to the client, as far as it has room.
static void deliver(void) {
    while (con.count) {
        uint32_t i = con.waiting[con.first].buffer, left = con.waiting[con.first].length - con.taken;
        uint32_t room = ts_room(), n = room < left ? room : left;
        ts_input((const uint8_t *)(uintptr_t)(buffer_at(RECEIVE, i) + con.taken), n);
        con.taken += n;
        if (n < left) break;
        con.taken = 0;
        con.first = (con.first + 1) % BUFFERS;
        con.count--;
        if (!con.failed) give(RECEIVE, i, BYTES);
    }
    if (!con.failed) virtq_kick(&con.queue[RECEIVE]);
}

static void device_resume(void) { deliver(); }

static uint32_t device_write(const uint8_t *bytes, uint32_t length) {
    uint32_t done = 0;
    if (con.failed) return length; // to nowhere
    for (uint32_t i = 0; i < con.buffers[TRANSMIT] && done < length; i++) {
        if (con.theirs[TRANSMIT][i]) continue;
        uint32_t n = length - done < BYTES ? length - done : BYTES;
        uint8_t *to = (uint8_t *)(uintptr_t)buffer_at(TRANSMIT, i);
        for (uint32_t k = 0; k < n; k++) to[k] = bytes[done + k];
        give(TRANSMIT, i, n);
        done += n;
    }
    virtq_kick(&con.queue[TRANSMIT]);
    return done;
}

static int open_queue(uint32_t queue) {
    struct virtq *q = &con.queue[queue];
    int error = virtio_queue(&con.device, q, (uint16_t)queue, BUFFERS, 0);
    if (error) return error;
    con.buffers[queue] = q->size;
    con.memory[queue] = sasos_dma_alloc(BUFFERS * BYTES);
    if (!con.memory[queue]) return E_NOMEM;
    for (uint32_t i = 0; i < q->size; i++) {
        write64(q->desc + 16 * i, buffer_at(queue, i));
        write64(q->desc + 16 * i + 8, (uint64_t)(queue == RECEIVE ? VIRTQ_DESC_F_WRITE : 0) << 32);
    }
    return 0;
}

int32_t SASOS_EXPORT(driver_start)(void) {
    int error = virtio_open(&con.device, 0,
                            VIRTIO_BIT(VIRTIO_CONSOLE_F_SIZE) | VIRTIO_BIT(VIRTIO_F_EVENT_IDX));
    if (!error) error = sasos_irq_enable(0);
    if (!error) error = open_queue(RECEIVE);
    if (!error) error = open_queue(TRANSMIT);
    if (error) return error;
    uint32_t columns = 0, rows = 0;
    if (con.device.features & VIRTIO_BIT(VIRTIO_CONSOLE_F_SIZE) && con.device.device_length >= 4) {
        columns = read16(con.device.device); // 5.3.4 cols, rows
        rows = read16(con.device.device + 2);
    }
    error = ts_open(columns, rows);
    if (error) return error;
    virtio_ready(&con.device);
    for (uint32_t i = 0; i < con.buffers[RECEIVE]; i++) give(RECEIVE, i, BYTES);
    virtq_kick(&con.queue[RECEIVE]);
    log_line("a console, %u columns and %u rows", columns, rows);
    return 0;
}

int32_t SASOS_EXPORT(driver_event)(uint32_t events) {
    (void)events; // which one came does not matter: all there is to do is done
    uint32_t i, length;
    while (take(RECEIVE, &i, &length)) {
        uint32_t last = (con.first + con.count++) % BUFFERS;
        con.waiting[last].buffer = (uint8_t)i;
        con.waiting[last].length = (uint16_t)length;
    }
    deliver();
    while (take(TRANSMIT, &i, &length)) continue;
    ts_pump();
    return 0;
}
