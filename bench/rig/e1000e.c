// e1000e.c — model of an Intel 82574L (datasheet 318694, revision 3.4) as far as its driver goes: one queue each way, legacy receive
// descriptors (7.1.4.1), context and data descriptors (7.2.10), messages that mask their causes (7.4.3). What is sent and received: struct rig_load.
//
// All registers are plain memory once the driver has started, so the model looks at them at its turns: IMS and IMC are taken and cleared there.
// A reset, which the driver waits for, is noticed when it asks for the time.
#include "bench/rig/rig.h"
#include <stdlib.h>
#include <string.h>

enum { // 10.2
    CTRL = 0x0000,
    STATUS = 0x0008,
    IMS = 0x00d0,
    IMC = 0x00d8,
    RDBAL = 0x2800,
    RDLEN = 0x2808,
    RDH = 0x2810,
    RDT = 0x2818,
    TDBAL = 0x3800,
    TDLEN = 0x3808,
    TDH = 0x3810,
    TDT = 0x3818,
    RAL0 = 0x5400,
    RAH0 = 0x5404,
};
enum { CTRL_RST = 1 << 26 };
enum { STATUS_VALUE = 1 << 1 | 2 << 6 }; // link up, 1000 Mbit/s
enum { CAUSE_RXQ0 = 1 << 20, CAUSE_TXQ0 = 1 << 22 };
enum { RX_DD = 1, RX_EOP = 2 };
enum { TX_DTYP = 15 << 20, TX_DTYP_DATA = 1 << 20, TX_EOP = 1 << 24, TX_RS = 1 << 27 };
enum { TX_DD = 1 };
#define PAGES 6u
#define BUFFER 2048u // RCTL.BSIZE 00
#define FIRST 64u    // bytes of a frame that rig_frame_sent() may look at

struct descriptor {
    uint64_t address;
    uint32_t word2, word3;
};
struct nic {
    struct rig_device device;
    uint32_t mask, causes;
    uint32_t total;       // of the frame that is being sent
    const uint8_t *start; // of its first fragment
};

static uint32_t get(struct nic *n, uint32_t at) {
    uint32_t v;
    memcpy(&v, n->device.pages.at + at, 4);
    return v;
}
static void put(struct nic *n, uint32_t at, uint32_t v) { memcpy(n->device.pages.at + at, &v, 4); }

static void *reach(struct nic *n, uint64_t address, uint64_t size) {
    void *p = rig_dma(n->device.space, address, size);
    if (!p) rig_fail("e1000e: DMA outside of the driver's area: 0x%lx", address);
    return p;
}

// The ring at the registers from `base` on: its descriptors and their number, 0 if there is none yet.
static uint32_t ring(struct nic *n, uint32_t base, uint32_t length, struct descriptor **out) {
    uint32_t count = get(n, length) / sizeof(struct descriptor);
    uint64_t address = get(n, base) | (uint64_t)get(n, base + 4) << 32;
    *out = count ? reach(n, address, count * sizeof **out) : NULL;
    return count;
}

static bool send(struct nic *n) {
    struct descriptor *d;
    uint32_t count = ring(n, TDBAL, TDLEN, &d), head = get(n, TDH), tail = get(n, TDT);
    if (!count || head == tail) return false;
    for (; head != tail; head = (head + 1) % count) {
        uint32_t length = d[head].word2 & 0xfffff, command = d[head].word2;
        if ((command & TX_DTYP) == TX_DTYP_DATA) {
            const uint8_t *at = reach(n, d[head].address, length);
            if (!n->total) n->start = at;
            if (!n->total && length < FIRST) rig_fail("e1000e: a frame of %u bytes", length);
            n->total += length;
            if (command & TX_EOP) {
                rig_frame_sent(&n->device, n->start, n->total);
                n->total = 0;
            }
        }
        if (command & TX_RS)
            __atomic_store_n(&d[head].word3, d[head].word3 | TX_DD, __ATOMIC_RELEASE);
    }
    put(n, TDH, head);
    n->causes |= CAUSE_TXQ0;
    return true;
}

static bool receive(struct nic *n) {
    struct descriptor *d;
    struct rig_load *load = &n->device.load;
    uint32_t count = ring(n, RDBAL, RDLEN, &d), head = get(n, RDH), tail = get(n, RDT), done = 0;
    for (; count && head != tail && done < load->burst; head = (head + 1) % count, done++) {
        rig_frame_comes(&n->device, reach(n, d[head].address, BUFFER));
        d[head].word2 = load->size;
        __atomic_store_n(&d[head].word3, RX_DD | RX_EOP, __ATOMIC_RELEASE);
    }
    if (!done) return false;
    put(n, RDH, head);
    n->causes |= CAUSE_RXQ0;
    return true;
}

// Message 0 for both queues.
static bool interrupt(struct nic *n) {
    n->mask &= ~get(n, IMC);
    n->mask |= get(n, IMS);
    put(n, IMC, 0), put(n, IMS, 0);
    uint32_t now = n->causes & n->mask;
    n->causes &= ~now;
    n->mask &= ~now;
    n->device.irqs |= now ? 1 : 0;
    return now;
}

static bool pump(struct rig_device *d) {
    struct nic *n = (struct nic *)d;
    bool sent = send(n), received = receive(n);
    return interrupt(n) || sent || received;
}

static void look(struct rig_device *d) {
    struct nic *n = (struct nic *)d;
    if (!(get(n, CTRL) & CTRL_RST)) return;
    static const uint32_t cleared[] = {CTRL, IMS, IMC, RDLEN, RDH, RDT, TDLEN, TDH, TDT};
    for (unsigned i = 0; i < sizeof cleared / sizeof *cleared; i++) put(n, cleared[i], 0);
    n->mask = n->causes = n->total = 0;
}

static void access(struct rig_device *d, uint32_t offset, bool write) {
    (void)d, (void)offset, (void)write; // memory, as the model finds it
}

struct rig_device *rig_e1000e(struct rig_disk *disk) {
    static const uint8_t address[8] = {0x52, 0x54, 0, 0x12, 0x34, 0x56, 0, 0x80}; // RAH.AV
    struct nic *n = calloc(1, sizeof *n);
    (void)disk;
    if (!n) rig_fail("no memory");
    n->device = (struct rig_device){.name = "e1000e",
                                    .doorbells = (1u << PAGES) - 1,
                                    .before = access,
                                    .after = access,
                                    .pump = pump,
                                    .look = look};
    n->device.pages = rig_pages_new(PAGES * RIG_PAGE);
    memcpy(n->device.pages.at + RAL0, address, sizeof address);
    put(n, STATUS, STATUS_VALUE);
    return &n->device;
}
