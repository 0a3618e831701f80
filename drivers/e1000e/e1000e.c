// e1000e.c — driver for the Intel 82574L Gigabit Ethernet controller (datasheet 318694, revision 3.4): serves the network class (drivers/sdk/net.h).
//
// One receive and one transmit queue. Legacy receive descriptors (7.1.4.1); data descriptors for sending, one a fragment, and a context descriptor (7.2.10) when a
// frame asks for another checksum than the one before. Message 0 is both queues', message 1 the link's. A message masks its causes (CTRL_EXT.IAME clear,
// EIAC set: 7.4.3), so each event ends with a write to IMS; sent frames interrupt only while the client waits for one.
// Not trusted: the client's fragments (checked before use, from a private copy) and what the device writes into descriptors (lengths; a frame is done
// when its own descriptor says so, in order).
#include "drivers/sdk/netserve.h"

enum { // 10.2 register offsets
    CTRL = 0x0000,
    STATUS = 0x0008,
    CTRL_EXT = 0x0018,
    ICR = 0x00c0,
    IMS = 0x00d0,
    IMC = 0x00d8,
    EIAC = 0x00dc,
    IVAR = 0x00e4,
    RCTL = 0x0100,
    TCTL = 0x0400,
    TIPG = 0x0410,
    RDBAL = 0x2800,
    RDBAH = 0x2804,
    RDLEN = 0x2808,
    RDH = 0x2810,
    RDT = 0x2818,
    TDBAL = 0x3800,
    TDBAH = 0x3804,
    TDLEN = 0x3808,
    TDH = 0x3810,
    TDT = 0x3818,
    RXCSUM = 0x5000,
    MTA = 0x5200,
    RAL0 = 0x5400,
    RAH0 = 0x5404,
    BAR_BYTES = 0x6000,
};
enum { CTRL_FD = 1, CTRL_SLU = 1 << 6, CTRL_RST = 1 << 26 }; // 10.2.2.1
enum { STATUS_LU = 1 << 1, STATUS_SPEED_SHIFT = 6 };         // 10.2.2.2
enum {
    CAUSE_LSC = 1 << 2,
    CAUSE_RXQ0 = 1 << 20,
    CAUSE_TXQ0 = 1 << 22,
    CAUSE_OTHER = 1 << 24
}; // 10.2.4.1
enum {
    RCTL_EN = 1 << 1,
    RCTL_MPE = 1 << 4,
    RCTL_BAM = 1 << 15,
    RCTL_SECRC = 1 << 26
}; // 10.2.5.1; BSIZE 00: 2048 bytes
enum { TCTL_EN = 1 << 1, TCTL_PSP = 1 << 3, TCTL_CT = 15 << 4, TCTL_COLD = 0x3f << 12 }; // 10.2.6.1
enum { TIPG_VALUE = 8 | 8 << 10 | 6 << 20 };             // 10.2.6.2, for 1000 Mbit/s
enum { RXCSUM_IPOFLD = 1 << 8, RXCSUM_TUOFLD = 1 << 9 }; // 10.2.5.15
enum { RAH_AV = 1u << 31 };                              // 10.2.5.19
enum {
    IVAR_VALUE = 8 | 8 << 8 | 9 << 16
}; // 10.2.4.10: RxQ0 and TxQ0 message 0, other message 1, all valid
enum { RX_DD = 1, RX_EOP = 2, RX_IXSM = 4, RX_UDPCS = 0x10, RX_TCPCS = 0x20 }; // 7.1.4.1 status
enum { RX_TCPE = 0x20, RX_IPE = 0x40 };                                        // 7.1.4.1 errors
enum {
    TX_DTYP_DATA = 1 << 20,
    TX_EOP = 1 << 24,
    TX_IFCS = 1 << 25,
    TX_RS = 1 << 27,
    TX_DEXT = 1 << 29
};                                          // 7.2.10.2 word 2
enum { TX_DD = 1, TX_POPTS_TXSM = 2 << 8 }; // word 3
enum { TX_TUCMD_TCP = 1 << 24 };            // 7.2.10.1
enum { MESSAGE_QUEUES = 0, MESSAGE_OTHER = 1 };

#define RING 256u
#define RESET_NS 100000000ll
#define NO_CONTEXT UINT32_MAX

static struct {
    uint32_t registers, rx_ring, tx_ring; // addresses
    uint8_t mac[6];
    uint32_t rx_next, rx_filled; // next to look at; how many the device has
    uint32_t rx_buffer[RING];
    uint32_t tx_next, tx_done; // next to write; next to be done: run freely
    uint32_t context;          // checksum start and offset that the device has been told
    struct sent {
        uint32_t cookie;
        bool last, signal;
    } tx[RING];
    uint32_t frames; // in flight
    uint64_t bus; // where the device finds the channel: at our own number, unless nothing fences us
} net;

static uint32_t get(uint32_t r) { return read32(net.registers + r); }
static void set(uint32_t r, uint32_t v) { write32(net.registers + r, v); }

// ---- to the device ----

static void post_buffers(void) {
    // One descriptor stays empty: head = tail means that the device has none (7.1.8).
    uint32_t room = RING - 1 - net.rx_filled, n = ns.posted < room ? ns.posted : room, k;
    for (k = 0; k < n; k++) {
        uint32_t buffer, i = (net.rx_next + net.rx_filled + k) % RING;
        if (!ns_buffer(k, &buffer)) {
            ns_refuse("posted a buffer outside the channel", buffer);
            break;
        }
        net.rx_buffer[i] = buffer;
        write64(net.rx_ring + 16 * i, net.bus + buffer);
        write64(net.rx_ring + 16 * i + 8, 0);
    }
    if (!k) return;
    ns_took_buffers(k);
    net.rx_filled += k;
    barrier_compiler(); // the descriptors before the tail
    set(RDT, (net.rx_next + net.rx_filled) % RING);
}

static inline void write_tx(uint64_t low, uint64_t high) {
    uint32_t i = net.tx_next++ % RING;
    volatile uint64_t *d = (volatile uint64_t *)(uintptr_t)(net.tx_ring + 16 * i);
    keep_base(d);
    net.tx[i].last = false;
    d[0] = low;
    d[1] = high;
}

static uint32_t tx_free(void) { return RING - 1 - (net.tx_next - net.tx_done); }

static bool device_room(uint32_t count) {
    return tx_free() >= count + 1 && ns.sent_room > net.frames;
}

// The descriptors of one fragment's frame or of a longer one; the device does not look at them before transmit() tells it to.
static inline uint32_t write_frame(const struct net_transmit *first, uint32_t count) {
    bool sum = first->flags & NET_CHECKSUM;
    uint32_t start = first->checksum_start, at = start + first->checksum_offset;
    uint32_t context = start << 16 | first->checksum_offset, total = first->length;
    uint64_t options = TX_DTYP_DATA | TX_DEXT | TX_IFCS | (sum ? (uint64_t)TX_POPTS_TXSM << 32 : 0);
    if (first->flags & (NET_SEGMENT4 | NET_SEGMENT6)) return 0;
    if (sum && at > UINT8_MAX) return 0; // TUCSO has eight bits
    if (sum && context != net.context) {
        write_tx((uint64_t)start << 32 | (uint64_t)at << 40,
                 TX_DEXT | (first->checksum_offset == 16 ? TX_TUCMD_TCP : 0));
        net.context = context;
    }
    write_tx(net.bus + first->buffer, options | first->length | (count == 1 ? TX_EOP | TX_RS : 0));
    for (uint32_t k = 1; k < count; k++) {
        struct net_transmit f;
        if (!ns_fragment(k, &f)) return 0;
        total += f.length;
        write_tx(net.bus + f.buffer, options | f.length | (k == count - 1 ? TX_EOP | TX_RS : 0));
    }
    return total > NET_FRAME_MAX || (sum && at + 2 > total) ? 0 : total;
}

static uint32_t device_send(uint32_t count) {
    uint32_t next = net.tx_next, context = net.context, total;
    struct net_transmit first;
    if (!ns_fragment(0, &first)) return 0;
    total = write_frame(&first, count);
    if (!total) { // as if nothing had been written
        net.tx_next = next;
        net.context = context;
        return 0;
    }
    struct sent *last = &net.tx[(net.tx_next - 1) % RING];
    keep_base(last);
    last->last = true;
    last->cookie = first.cookie;
    last->signal = first.flags & NET_SIGNAL;
    ns.signals += last->signal;
    net.frames++;
    return total;
}

static void transmit(void) {
    uint32_t before = net.tx_next;
    ns_transmit();
    if (net.tx_next == before) return;
    barrier_compiler(); // the descriptors before the tail
    set(TDT, net.tx_next % RING);
}

// ---- from the device ----

// Sent frames go back to the client. True: one of them asked for a signal.
static bool collect_sent(void) {
    uint32_t signals = 0, n = 0;
    uint32_t done = net.tx_done, end = net.tx_next;
    for (uint32_t at = done; at != end; at++) {
        const struct sent *sent = &net.tx[at % RING];
        keep_base(sent);
        if (!sent->last) continue;
        if (!(read32(net.tx_ring + 16 * (at % RING) + 12) & TX_DD)) break;
        done = at + 1;
        signals += sent->signal;
        ns_sent(n++, sent->cookie);
    }
    net.tx_done = done;
    ns_sent_end(n);
    net.frames -= n;
    ns.signals -= signals;
    return signals;
}

// Received frames go to the client. True: there were some.
static bool collect_received(void) {
    uint32_t most = net.rx_filled < ns.receive_room ? net.rx_filled : ns.receive_room, bytes = 0, n;
    for (n = 0; n < most; n++) {
        uint32_t i = (net.rx_next + n) % RING;
        uint64_t back = read64(net.rx_ring + 16 * i + 8);
        if (!(back >> 32 & RX_DD)) break;
        uint32_t status = back >> 32 & 0xff, errors = back >> 40 & 0xff, length = back & 0xffff;
        if (length > NET_BUFFER || !(status & RX_EOP))
            length = 0; // cannot be: long frames are not enabled
        bool verified =
            status & (RX_TCPCS | RX_UDPCS) && !(status & RX_IXSM) && !(errors & (RX_TCPE | RX_IPE));
        ns_received(n, net.rx_buffer[i], 0, length, verified ? NET_VERIFIED : 0);
        bytes += length;
    }
    net.rx_next = (net.rx_next + n) % RING;
    net.rx_filled -= n;
    ns_received_end(n, n, bytes);
    return n;
}

// All there is to do, in both directions; the client is signalled if there is something for it.
static void work(void) {
    if (!ns_begin()) return;
    bool news = collect_received();
    news |= collect_sent();
    transmit();
    post_buffers();
    ns_done(news);
}

static bool waits_for_sent(void) {
    return ns.attached && !ns.failed && (ns.signals || ring_pending(&ns.transmit));
}

// What is to interrupt from now on; a cause that came while it was masked interrupts at once.
static void unmask(void) {
    set(IMS, CAUSE_RXQ0 | CAUSE_OTHER | CAUSE_LSC | (waits_for_sent() ? CAUSE_TXQ0 : 0));
}

static void device_work(void) {
    work();
    if (waits_for_sent()) unmask();
}

// ---- life ----

static void read_link(void) {
    static const uint16_t speeds[] = {10, 100, 1000, 1000};
    uint32_t status = get(STATUS);
    ns.shared->info.link_up = (status & STATUS_LU) != 0;
    ns.shared->info.speed = speeds[status >> STATUS_SPEED_SHIFT & 3];
}

static void set_ring(uint32_t low, uint32_t high, uint32_t length, uint32_t head, uint32_t tail,
                     uint32_t address) {
    uint64_t bus = (uint64_t)sasos_dma_address(address);
    set(low, (uint32_t)bus);
    set(high, (uint32_t)(bus >> 32));
    set(length, RING * 16);
    set(head, 0);
    set(tail, 0);
}

// From any state to a device that works, all queues empty.
static int device_restart(void) {
    set(IMC, UINT32_MAX);
    set(RCTL, 0);
    set(TCTL, 0);
    set(CTRL, get(CTRL) | CTRL_RST); // 4.6: software reset; ends all DMA
    int64_t limit = sasos_time_ns() + RESET_NS;
    while (get(CTRL) & CTRL_RST)
        if (sasos_time_ns() > limit) {
            log_line("the device does not end its reset");
            return E_IO;
        }
    set(IMC, UINT32_MAX);
    (void)get(ICR);                             // clears what came before
    uint32_t low = get(RAL0), high = get(RAH0); // from the NVM
    if (!(high & RAH_AV) || low & 1) {
        log_line("the device has no address");
        return E_NODEV;
    }
    for (uint32_t i = 0; i < 6; i++)
        net.mac[i] = (uint8_t)(i < 4 ? low >> 8 * i : high >> 8 * (i - 4));
    set(CTRL, (get(CTRL) | CTRL_SLU | CTRL_FD));
    for (uint32_t i = 0; i < 128; i++) set(MTA + 4 * i, 0); // 10.2.5.16
    for (uint32_t i = 0; i < 2 * RING; i++) {
        write64(net.rx_ring + 8 * i, 0);
        write64(net.tx_ring + 8 * i, 0);
    }
    net.rx_next = net.rx_filled = net.tx_next = net.tx_done = net.frames = 0;
    net.context = NO_CONTEXT;
    set_ring(RDBAL, RDBAH, RDLEN, RDH, RDT, net.rx_ring);
    set_ring(TDBAL, TDBAH, TDLEN, TDH, TDT, net.tx_ring);
    set(RXCSUM, RXCSUM_IPOFLD | RXCSUM_TUOFLD);
    set(IVAR, IVAR_VALUE);
    set(EIAC, CAUSE_RXQ0 | CAUSE_TXQ0 | CAUSE_OTHER);
    set(TIPG, TIPG_VALUE);
    set(TCTL, TCTL_EN | TCTL_PSP | TCTL_CT | TCTL_COLD);
    set(RCTL, RCTL_EN | RCTL_MPE | RCTL_BAM |
                  RCTL_SECRC); // all multicast: the client joins groups without telling us
    unmask();
    return 0;
}

static void device_describe(void) {
    ns.shared->info.can = NET_CAN_CHECKSUM | NET_CAN_VERIFY;
    ns.shared->info.mtu = NET_FRAME_MAX - 14;
    for (uint32_t i = 0; i < 6; i++) ns.shared->info.mac[i] = net.mac[i];
    read_link();
}

int32_t SASOS_EXPORT(driver_start)(void) {
    int error = ns_open();
    if (error) return error;
    net.bus = (uint64_t)sasos_dma_address(ns.address);
    net.registers = sasos_pci_bar_map(0, 0, BAR_BYTES);
    net.rx_ring = sasos_dma_alloc(RING * 16);
    net.tx_ring = sasos_dma_alloc(RING * 16);
    if (!net.registers || !net.rx_ring || !net.tx_ring) return E_NOMEM;
    error = sasos_pci_enable();
    if (!error) error = sasos_irq_enable(MESSAGE_QUEUES);
    if (!error) error = sasos_irq_enable(MESSAGE_OTHER);
    if (!error) error = device_restart();
    if (error) return error;
    ns_describe();
    log_line("%x:%x:%x:%x:%x:%x, link %s at %u Mbit/s, queues of %u, checksums", net.mac[0],
             net.mac[1], net.mac[2], net.mac[3], net.mac[4], net.mac[5],
             ns.shared->info.link_up ? "up" : "down", ns.shared->info.speed, RING);
    return 0;
}

int32_t SASOS_EXPORT(driver_event)(uint32_t events) {
    if (events & SASOS_EVENT_TIMER) ns_tell();
    if (events & SASOS_EVENT_IRQ(MESSAGE_OTHER)) {
        (void)get(ICR); // LSC is not cleared by itself
        read_link();
        sasos_chan_signal(0);
    }
    work();
    unmask();
    return 0;
}
