// dice.c — the worked example of docs/write-a-driver.md: throws dice with the randomness of a virtio entropy device
// (Virtual I/O Device Version 1.2, clause 5.4), for one client.
//
// The client calls dice_throw(n). When its channel's first 32-bit word is n, that many faces, 1 to 6, lie behind it, and the channel was
// signalled. One throw at a time. What the device writes and what the client asks are input: checked here, once, and used then.
#include "drivers/virtio/virtio.h"

#define BYTES 64u // what the device is asked for at once
#define MOST 1024u

static struct {
    struct virtio_device device;
    struct virtq queue;
    uint32_t buffer;       // in the DMA area: the device knows it by the same number
    uint32_t client;       // channel of the throw under way
    uint32_t wanted, done; // faces of it; wanted = 0: none is under way
    uint64_t thrown;
    bool failed;
} dice;

static void ask(void) {
    virtq_add(&dice.queue, 0); // descriptor 0 is the buffer
    virtq_kick(&dice.queue);
}

int32_t SASOS_EXPORT(driver_start)(void) {
    int error = virtio_open(&dice.device, 0, VIRTIO_BIT(VIRTIO_F_EVENT_IDX));
    if (!error) error = sasos_irq_enable(0);
    if (!error)
        error = virtio_queue(&dice.device, &dice.queue, 0, 1, 0); // queue 0, one entry, message 0
    if (error) return error;
    dice.buffer = sasos_dma_alloc(BYTES);
    if (!dice.buffer) return E_NOMEM;
    write64(dice.queue.desc, dice.buffer);
    write64(dice.queue.desc + 8, BYTES | (uint64_t)VIRTQ_DESC_F_WRITE << 32);
    virtio_ready(&dice.device);
    log_line("the dice are on the table");
    return 0;
}

// Runs on the client's thread, in this domain; nobody else is in it meanwhile.
int32_t SASOS_EXPORT(dice_throw)(uint32_t count) {
    int32_t client = sasos_caller_channel();
    if (client < 0) return client;
    if (count == 0 || count > MOST || 4 + count > sasos_chan_size((uint32_t)client)) return E_INVAL;
    if (dice.failed) return E_IO;
    if (dice.wanted) return E_AGAIN;
    dice.client = (uint32_t)client;
    dice.wanted = count;
    dice.done = 0;
    write32(sasos_chan_map(dice.client), 0);
    ask();
    return 0;
}

// A byte is a face; 252 to 255 are thrown away, since 6 does not divide 256.
static void take(uint32_t length) {
    uint32_t faces = sasos_chan_map(dice.client) + 4;
    for (uint32_t i = 0; i < length && dice.done < dice.wanted; i++) {
        uint8_t byte = read8(dice.buffer + i);
        if (byte < 252) write8(faces + dice.done++, byte % 6 + 1);
    }
}

int32_t SASOS_EXPORT(driver_event)(uint32_t events) {
    (void)events; // interrupts may be forged, so the queue says what there is to do
    uint32_t id, length;
    while (!dice.failed && virtq_used(&dice.queue, &id, &length)) {
        if (!dice.wanted || id != 0 || length == 0 || length > BYTES) {
            log_line("the device answered with buffer %u, %u bytes: it is reset", id, length);
            virtio_reset(&dice.device);
            dice.failed = true;
            return 0;
        }
        take(length);
        if (dice.done < dice.wanted) {
            ask();
            continue;
        }
        sasos_counter(0, (int64_t)(dice.thrown += dice.done));
        barrier_compiler(); // the faces before the word
        write32(sasos_chan_map(dice.client), dice.wanted);
        dice.wanted = 0;
        sasos_chan_signal(dice.client); // a dead client is no error
    }
    return 0;
}
