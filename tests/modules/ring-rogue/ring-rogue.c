// ring-rogue.c — a hostile virtio-blk driver on a machine without an IOMMU: publishes a request with one thing wrong, which its argument names.
// The kernel must end it in that call. "good" is the same request with nothing wrong, after everything that a call must answer with an error.
#include "drivers/sdk/sasos.h"

#define CHECK(x)                       \
    if (!(x)) {                        \
        log_line("line %u", __LINE__); \
        return E_INVAL;                \
    }
enum {
    NEXT = 1,
    WRITE = 2,
    INDIRECT = 4,
    DRIVER_OK = 4,
    RESET = 256,
    SIZE = 8,
    NO_VECTOR = 0xffff
};
enum { PAGE = 4096, AVAIL = 1024, USED = 2048, DATA = 512 };

static uint32_t ring, buffer; // one page each, `buffer` the last of the area

static void desc(uint32_t i, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next) {
    write64(ring + 16 * i, addr);
    write64(ring + 16 * i + 8, len | (uint64_t)flags << 32 | (uint64_t)next << 48);
}

// A read of sector 0: header, data, status.
static void request(void) {
    desc(0, buffer, 16, NEXT, 1);
    desc(1, buffer + DATA, 512, NEXT | WRITE, 2);
    desc(2, buffer + 16, 1, WRITE, 0);
    write16(ring + AVAIL + 4, 0);
    write16(ring + AVAIL + 2, 1);
}

static bool is(const char *a, const char *b) {
    while (*a && *a == *b) a++, b++;
    return *a == *b;
}

// The request with one thing wrong.
static void spoil(const char *how) {
    uint32_t end = buffer + PAGE;
    if (is(how, "below")) desc(1, SASOS_WINDOW_MEMORY_MAX - 512, 512, NEXT | WRITE, 2);
    if (is(how, "above")) desc(1, end, 512, NEXT | WRITE, 2);
    if (is(how, "straddling")) desc(1, end - 256, 512, NEXT | WRITE, 2);
    if (is(how, "overflow")) desc(1, buffer + 512, 0xfffffe00, NEXT | WRITE, 2);
    if (is(how, "high")) desc(1, (1ull << 32) + buffer + DATA, 512, NEXT | WRITE, 2);
    if (is(how, "kernel")) desc(1, 0x100000, 512, NEXT | WRITE, 2);
    if (is(how, "memory")) desc(1, 0x400, 512, NEXT | WRITE, 2);
    if (is(how, "header")) desc(0, 0x100000, 16, NEXT, 1);
    if (is(how, "next")) desc(1, buffer + DATA, 512, NEXT | WRITE, SIZE);
    if (is(how, "loop")) desc(1, buffer + DATA, 512, NEXT | WRITE, 0);
    if (is(how, "indirect")) desc(0, buffer + 64, 48, INDIRECT, 0);
    if (is(how, "order")) desc(2, buffer + 16, 1, 0, 0);
    if (is(how, "jump")) write16(ring + AVAIL + 2, SIZE + 1);
    if (is(how, "head")) write16(ring + AVAIL + 4, SIZE);
    if (is(how, "twice")) write16(ring + AVAIL + 2, 2), write16(ring + AVAIL + 6, 0);
}

// What the calls must refuse, and what must not be mapped.
static int32_t errors(void) {
    CHECK(sasos_virtio_queue(0, SIZE, ring, ring + AVAIL, ring + USED, 0) == E_AGAIN);
    CHECK(sasos_virtio_queue(1, 3, ring, ring + AVAIL, ring + USED, 0) == E_INVAL);
    CHECK(sasos_virtio_queue(1, 0, ring, ring + AVAIL, ring + USED, 0) == E_INVAL);
    CHECK(sasos_virtio_queue(1, 2048, ring, ring + AVAIL, ring + USED, 0) == E_INVAL);
    CHECK(sasos_virtio_queue(8, SIZE, ring, ring + AVAIL, ring + USED, 0) == E_NOENT);
    CHECK(sasos_virtio_queue(7, SIZE, ring, ring + AVAIL, ring + USED, 0) == E_NOENT);
    CHECK(sasos_virtio_queue(1, SIZE, buffer + PAGE - 64, ring + AVAIL, ring + USED, 0) == E_FAULT);
    CHECK(sasos_virtio_queue(1, SIZE, ring, SASOS_WINDOW_DEVICE, ring + USED, 0) == E_FAULT);
    CHECK(sasos_virtio_queue(1, SIZE, ring, ring + AVAIL, 0u - 8, 0) == E_FAULT);
    CHECK(sasos_virtio_queue(1, SIZE, ring + 2, ring + AVAIL, ring + USED, 0) == E_FAULT);
    CHECK(sasos_virtq_publish(1) == E_NOENT && sasos_virtq_collect(8) == E_NOENT);
    CHECK(sasos_virtio_state(1) == E_INVAL && sasos_virtio_state(RESET | DRIVER_OK) == E_INVAL);
    CHECK(sasos_dma_address(buffer + 5) == buffer + 5);
    // The structures of 4.1.4: only ISR status and device configuration are to be had, whole pages of them.
    uint32_t pages = 0;
    for (uint32_t bar = 0; bar < 6; bar++)
        for (uint32_t page = 0; page < 16; page++)
            pages += sasos_pci_bar_map(bar, page * PAGE, PAGE) != 0;
    CHECK(pages == 2);
    return 0;
}

int32_t SASOS_EXPORT(driver_start)(void) {
    char how[16] = "";
    sasos_arg(0, how, sizeof(how) - 1);
    CHECK(sasos_dma_mode() == SASOS_DMA_SHADOW && !sasos_pci_enable() && !sasos_irq_enable(0));
    int64_t features = sasos_virtio_start(INT64_MAX);
    CHECK(features > 0 && !(features & (1ll << 28 | 1ll << 34 | 1ll << 40)) && features & 1ll << 32);
    ring = sasos_dma_alloc(PAGE);
    buffer = sasos_dma_alloc(PAGE);
    CHECK(ring && buffer);
    CHECK(sasos_virtio_queue(0, SIZE, ring, ring + AVAIL, ring + USED, NO_VECTOR) == SIZE);
    request();
    if (!is(how, "good")) {
        sasos_virtio_state(DRIVER_OK);
        spoil(how);
        log_line("publishing what is wrong: %s", how);
        sasos_virtq_publish(0);
        log_line("and I am still alive");
        return 0;
    }
    int32_t error = errors();
    if (error) return error;
    sasos_virtio_state(DRIVER_OK);
    CHECK(sasos_virtq_publish(0) == 0);
    int32_t got = 0;
    for (int64_t end = sasos_time_ns() + 5000000000ll; !got && sasos_time_ns() < end;)
        got = sasos_virtq_collect(0);
    CHECK(got == 1 && read16(ring + USED + 2) == 1 && read32(ring + USED + 4) == 0);
    CHECK(read32(ring + USED + 8) == 513 && read8(buffer + 16) == 0);
    CHECK(sasos_virtio_state(RESET) == 0 && sasos_virtq_publish(0) == E_NOENT);
    log_line("the disk's first bytes are %lx", read64(buffer + DATA));
    return 0;
}

int32_t SASOS_EXPORT(driver_event)(uint32_t events) {
    (void)events;
    return 0;
}
