// net.c — virtio-net driver (Virtual I/O Device Version 1.2, clause 5.1): serves the network class (drivers/sdk/net.h) to one client.
//
// The device reads and writes the client's buffers in place; the virtio header of a frame to send lies in our own DMA memory, that of a
// received frame at the start of the client's buffer. A frame to send takes one descriptor for the header and one a fragment; a receive
// buffer takes one. Interrupts for sent frames are off unless the client asked to be signalled: their descriptors are taken back whenever there is
// something else to do. One pair of queues; `struct virtq` pairs would be the unit of multiqueue, each with a channel of its own.
// Not trusted: the client's fragments (checked before use, from a private copy; a bad one ends the client's use until it attaches again) and
// everything that the device writes (used ids and lengths, headers, configuration): a bad one resets the device, and it stays silent until the client attaches again.
#include "drivers/sdk/netserve.h"
#include "drivers/virtio/virtio.h"

enum { // 5.1.3 Feature bits
    VIRTIO_NET_F_CSUM = 0,
    VIRTIO_NET_F_GUEST_CSUM = 1,
    VIRTIO_NET_F_MTU = 3,
    VIRTIO_NET_F_MAC = 5,
    VIRTIO_NET_F_GUEST_TSO4 = 7,
    VIRTIO_NET_F_GUEST_TSO6 = 8,
    VIRTIO_NET_F_HOST_TSO4 = 11,
    VIRTIO_NET_F_HOST_TSO6 = 12,
    VIRTIO_NET_F_MRG_RXBUF = 15,
    VIRTIO_NET_F_STATUS = 16,
};
enum { VIRTIO_NET_S_LINK_UP = 1 }; // 5.1.4
enum {
    CONFIG_MAC = 0,
    CONFIG_STATUS = 6,
    CONFIG_MTU = 10
};     // offsets in struct virtio_net_config, 5.1.4
enum { // 5.1.6 struct virtio_net_hdr
    VIRTIO_NET_HDR_F_NEEDS_CSUM = 1,
    VIRTIO_NET_HDR_F_DATA_VALID = 2,
    VIRTIO_NET_HDR_GSO_TCPV4 = 1,
    VIRTIO_NET_HDR_GSO_TCPV6 = 4,
};
#define HEADER 12u       // bytes of it in the layout of version 1
#define HEADER_SPACE 16u // between two of ours
#define QUEUE_MAX 512u
#define BUFFERS_MAX 33u // of one received frame: NET_LARGE_MAX and a header
enum { VECTOR_QUEUES = 0, VECTOR_CONFIG = 1 };
enum { RECEIVEQ = 0, TRANSMITQ = 1 }; // 5.1.2

// The descriptors of a queue that are not in the device's hands. Chains are kept in our memory: what the device could have changed is not read back.
struct descriptors {
    uint32_t free_count;
    uint16_t free[QUEUE_MAX];
    uint16_t next[QUEUE_MAX];   // in its chain
    uint16_t length[QUEUE_MAX]; // of the chain that begins there; 0: none does
};

static struct {
    struct virtio_device device;
    struct virtq rx, tx;
    struct descriptors rx_desc, tx_desc;
    uint32_t headers; // address: HEADER_SPACE bytes for each descriptor of the transmit queue
    bool can_merge;
    uint32_t rx_left; // buffers still to come of the frame that is being received
    uint32_t rx_buffer[QUEUE_MAX];
    uint32_t tx_cookie[QUEUE_MAX];
    bool tx_signal[QUEUE_MAX];
} net;

static void descriptors_init(struct descriptors *d, uint32_t size) {
    d->free_count = size;
    for (uint32_t i = 0; i < size; i++) {
        d->free[i] = (uint16_t)(size - 1 - i);
        d->length[i] = 0;
    }
}

static void write_desc(const struct virtq *q, uint32_t i, uint32_t addr, uint32_t len,
                       uint16_t flags, uint16_t next) {
    write64(q->desc + 16 * i, addr);
    write64(q->desc + 16 * i + 8, len | (uint64_t)flags << 32 | (uint64_t)next << 48);
}

static void fail_device(const char *why, uint32_t value) {
    log_line("%s (%u): the device is reset", why, value);
    ns.failed = true;
    virtio_reset(&net.device);
}

// ---- to the device ----

static void post_buffers(void) {
    uint32_t buffer;
    while (net.rx_desc.free_count && ns_buffer(&buffer)) {
        uint16_t i = net.rx_desc.free[--net.rx_desc.free_count];
        net.rx_desc.length[i] = 1;
        net.rx_buffer[i] = buffer;
        write_desc(&net.rx, i, ns.address + buffer, NET_BUFFER, VIRTQ_DESC_F_WRITE, 0);
        virtq_add(&net.rx, i);
    }
}

// The header of a frame, from its first fragment. False: it asks for what the device has not offered, or contradicts itself.
static bool write_header(uint32_t at, const struct net_transmit *f, uint32_t total) {
    uint32_t gso = 0;
    if (f->flags & (NET_CHECKSUM | NET_SEGMENT4 | NET_SEGMENT6)) {
        // Our own view of what the device can: info lies in the client's reach too.
        uint32_t can =
            (net.device.features & VIRTIO_BIT(VIRTIO_NET_F_CSUM) ? NET_CAN_CHECKSUM : 0u) |
            (net.device.features & VIRTIO_BIT(VIRTIO_NET_F_HOST_TSO4) ? NET_CAN_SEGMENT4 : 0u) |
            (net.device.features & VIRTIO_BIT(VIRTIO_NET_F_HOST_TSO6) ? NET_CAN_SEGMENT6 : 0u);
        if (!(f->flags & NET_CHECKSUM) || !(can & NET_CAN_CHECKSUM)) return false;
        if (f->checksum_start + f->checksum_offset + 2u > total) return false;
        if (f->flags & NET_SEGMENT4) gso = VIRTIO_NET_HDR_GSO_TCPV4;
        if (f->flags & NET_SEGMENT6) gso = VIRTIO_NET_HDR_GSO_TCPV6;
        if (gso == VIRTIO_NET_HDR_GSO_TCPV4 && !(can & NET_CAN_SEGMENT4)) return false;
        if (gso == VIRTIO_NET_HDR_GSO_TCPV6 && !(can & NET_CAN_SEGMENT6)) return false;
    }
    if (gso ? !f->segment_size || f->header_length >= total || total > NET_LARGE_MAX
            : total > NET_FRAME_MAX)
        return false;
    // flags 8 | gso_type 8 | hdr_len 16 | gso_size 16 | csum_start 16; csum_offset 16 | num_buffers 16
    write64(at, (f->flags & NET_CHECKSUM ? VIRTIO_NET_HDR_F_NEEDS_CSUM : 0u) | gso << 8 |
                    (gso ? (uint64_t)f->header_length << 16 | (uint64_t)f->segment_size << 32 : 0) |
                    (f->flags & NET_CHECKSUM ? (uint64_t)f->checksum_start << 48 : 0));
    write32(at + 8, f->flags & NET_CHECKSUM ? f->checksum_offset : 0);
    return true;
}

static bool device_room(uint32_t count) {
    uint32_t in_flight = (net.tx.size - net.tx_desc.free_count) / 2;
    return net.tx_desc.free_count >= count + 1 && ring_space(&ns.sent) > in_flight;
}

static bool device_send(uint32_t count) {
    uint16_t head = net.tx_desc.free[net.tx_desc.free_count - 1], at = head;
    struct net_transmit first = {0};
    uint32_t total = 0;
    for (uint32_t k = 0; k < count; k++) {
        struct net_transmit f;
        if (!ns_fragment(k, &f)) return false;
        if (k == 0) first = f;
        total += f.length;
        uint16_t i = net.tx_desc.free[net.tx_desc.free_count - 2 - k];
        net.tx_desc.next[at] = i;
        at = i;
        bool last = k == count - 1;
        write_desc(&net.tx, i, ns.address + f.buffer, f.length, last ? 0 : VIRTQ_DESC_F_NEXT,
                   last ? 0 : net.tx_desc.free[net.tx_desc.free_count - 3 - k]);
    }
    uint32_t header = net.headers + head * HEADER_SPACE;
    if (!write_header(header, &first, total)) return false;
    write_desc(&net.tx, head, header, HEADER, VIRTQ_DESC_F_NEXT, net.tx_desc.next[head]);
    net.tx_desc.free_count -= count + 1;
    net.tx_desc.length[head] = (uint16_t)(count + 1);
    net.tx_cookie[head] = first.cookie;
    net.tx_signal[head] = first.flags & NET_SIGNAL;
    ns.signals += net.tx_signal[head];
    virtq_add(&net.tx, head);
    ns.count[NS_SENT_FRAMES]++;
    ns.count[NS_SENT_BYTES] += total;
    return true;
}

// ---- from the device ----

// Sent frames go back to the client. True: one of them asked for a signal.
static bool collect_sent(void) {
    bool signal = false;
    uint32_t head, length;
    while (!ns.failed && virtq_used(&net.tx, &head, &length)) {
        if (head >= net.tx.size || !net.tx_desc.length[head]) {
            fail_device("the device sent a frame that is not in flight", head);
            return true;
        }
        uint16_t i = (uint16_t)head;
        for (uint32_t n = net.tx_desc.length[head]; n; n--) {
            net.tx_desc.free[net.tx_desc.free_count++] = i;
            i = net.tx_desc.next[i];
        }
        net.tx_desc.length[head] = 0;
        signal |= net.tx_signal[head];
        ns.signals -= net.tx_signal[head];
        ns_sent(net.tx_cookie[head]);
    }
    return signal;
}

// The first buffer of a frame begins with its header. False: the device wrote what cannot be.
static bool begin_frame(uint32_t at, uint32_t length, uint16_t *out_flags) {
    if (length < HEADER) return false;
    uint32_t flags = read8(at), buffers = net.can_merge ? read16(at + 10) : 1;
    barrier_compiler();
    if (buffers == 0 || buffers > BUFFERS_MAX) return false;
    net.rx_left = buffers;
    // 5.1.6.4.2: with NEEDS_CSUM the frame has not left the host; its checksum is not there, and need not be checked.
    *out_flags = flags & (VIRTIO_NET_HDR_F_DATA_VALID | VIRTIO_NET_HDR_F_NEEDS_CSUM) &&
                         net.device.features & VIRTIO_BIT(VIRTIO_NET_F_GUEST_CSUM)
                     ? NET_VERIFIED
                     : 0;
    return true;
}

// Received frames go to the client. True: there were some.
static bool collect_received(void) {
    bool any = false;
    uint32_t id, length;
    while (!ns.failed && ns.attached && ring_space(&ns.receive) && virtq_used(&net.rx, &id, &length)) {
        if (id >= net.rx.size || !net.rx_desc.length[id] || length > NET_BUFFER) {
            fail_device("the device filled a buffer that it does not have", id);
            return true;
        }
        net.rx_desc.length[id] = 0;
        net.rx_desc.free[net.rx_desc.free_count++] = (uint16_t)id;
        uint16_t flags = 0, start = 0;
        if (!net.rx_left) {
            if (!begin_frame(ns.address + net.rx_buffer[id], length, &flags)) {
                fail_device("the device wrote an impossible header, length", length);
                return true;
            }
            start = HEADER;
        }
        net.rx_left--;
        struct net_receive *r = &ns.shared->receive[ring_slot(&ns.receive)];
        keep_base(r);
        r->buffer = net.rx_buffer[id];
        r->start = start;
        r->length = (uint16_t)(length - start);
        r->flags = flags | (net.rx_left ? NET_MORE : 0);
        ring_produced(&ns.receive);
        ns.count[NS_RECEIVED_FRAMES] += !net.rx_left;
        ns.count[NS_RECEIVED_BYTES] += length - start;
        any = true;
    }
    return any;
}

// All there is to do, in both directions; the client is signalled if there is something for it.
static void device_work(void) {
    if (!ns.attached || ns.failed) return;
    bool news = collect_received(), again;
    do {
        news |= collect_sent();
        ns_transmit();
        // Interrupts for sent frames only when somebody waits for them; when that begins, some may have been sent already.
        bool needed = ns.signals || ring_pending(&ns.transmit);
        again = needed && net.tx.quiet && !ns.failed;
        if (!ns.failed) virtq_quiet(&net.tx, !needed);
    } while (again);
    post_buffers();
    if (!ns.failed) {
        virtq_kick(&net.rx);
        virtq_kick(&net.tx);
    }
    ns_done(news);
}

// ---- life ----

static void read_config(void) {
    bool status =
        net.device.features & VIRTIO_BIT(VIRTIO_NET_F_STATUS) && net.device.device_length >= 8;
    ns.shared->info.link_up =
        !status || read16(net.device.device + CONFIG_STATUS) & VIRTIO_NET_S_LINK_UP;
}

static uint64_t wanted(void) {
    return VIRTIO_BIT(VIRTIO_NET_F_CSUM) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_CSUM) |
           VIRTIO_BIT(VIRTIO_NET_F_MTU) | VIRTIO_BIT(VIRTIO_NET_F_HOST_TSO4) |
           VIRTIO_BIT(VIRTIO_NET_F_HOST_TSO6) | VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF) |
           VIRTIO_BIT(VIRTIO_NET_F_STATUS) | VIRTIO_BIT(VIRTIO_F_EVENT_IDX);
}

// Large received frames come in several buffers, so they need MRG_RXBUF (5.1.3.1: TSO needs CSUM in the same direction).
static uint64_t wanted_large(void) {
    return wanted() | VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO4) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO6);
}

// From a reset device to one that works, all queues empty.
static int bring_up(bool first) {
    struct virtio_device *v = &net.device;
    uint64_t required = VIRTIO_BIT(VIRTIO_NET_F_MAC);
    int error = first ? virtio_open(v, required, wanted_large())
                      : virtio_restart(v, required, wanted_large());
    if (!error && !(v->features & VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF)))
        error = virtio_restart(v, required, wanted());
    if (error) return error;
    net.can_merge = v->features & VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF);
    if (!v->device || v->device_length < 6) {
        log_line("the device has no configuration structure");
        return E_NODEV;
    }
    error = virtio_config_vector(v, VECTOR_CONFIG);
    if (!error) error = virtio_queue(v, &net.rx, RECEIVEQ, QUEUE_MAX, VECTOR_QUEUES);
    if (!error) error = virtio_queue(v, &net.tx, TRANSMITQ, QUEUE_MAX, VECTOR_QUEUES);
    if (error) return error;
    descriptors_init(&net.rx_desc, net.rx.size);
    descriptors_init(&net.tx_desc, net.tx.size);
    net.rx_left = 0;
    virtio_ready(v);
    return 0;
}

static int device_restart(void) { return bring_up(false); }

static void device_describe(void) {
    uint64_t f = net.device.features;
    bool checksum = f & VIRTIO_BIT(VIRTIO_NET_F_CSUM);
    ns.shared->info.can =
        (checksum ? NET_CAN_CHECKSUM : 0u) |
        (checksum && f & VIRTIO_BIT(VIRTIO_NET_F_HOST_TSO4) ? NET_CAN_SEGMENT4 : 0u) |
        (checksum && f & VIRTIO_BIT(VIRTIO_NET_F_HOST_TSO6) ? NET_CAN_SEGMENT6 : 0u) |
        (f & VIRTIO_BIT(VIRTIO_NET_F_GUEST_CSUM) ? NET_CAN_VERIFY : 0u) |
        (f & VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO4) ? NET_CAN_RECEIVE_LARGE : 0u);
    uint32_t mtu = NET_FRAME_MAX - 14;
    if (f & VIRTIO_BIT(VIRTIO_NET_F_MTU) && net.device.device_length >= 12) {
        uint32_t says = read16(net.device.device + CONFIG_MTU);
        if (says >= 576 && says < mtu) mtu = says; // more is not ours to use
    }
    ns.shared->info.mtu = mtu;
    ns.shared->info.speed = 0;
    for (uint32_t i = 0; i < 6; i++)
        ns.shared->info.mac[i] = read8(net.device.device + CONFIG_MAC + i);
    read_config();
}

int32_t SASOS_EXPORT(driver_start)(void) {
    int error = ns_open();
    if (!error) error = sasos_irq_enable(VECTOR_QUEUES);
    if (!error) error = sasos_irq_enable(VECTOR_CONFIG);
    if (!error) error = bring_up(true);
    if (error) return error;
    net.headers = sasos_dma_alloc(net.tx.size * HEADER_SPACE);
    if (!net.headers) return E_NOMEM;
    ns_describe();
    volatile uint8_t *mac = ns.shared->info.mac;
    log_line("%x:%x:%x:%x:%x:%x, link %s, MTU %u, queues of %u and %u%s%s%s%s%s", mac[0], mac[1],
             mac[2], mac[3], mac[4], mac[5], ns.shared->info.link_up ? "up" : "down",
             ns.shared->info.mtu, net.rx.size, net.tx.size, net.rx.event_idx ? ", event index" : "",
             net.can_merge ? ", mergeable buffers" : "",
             ns.shared->info.can & NET_CAN_CHECKSUM ? ", checksums" : "",
             ns.shared->info.can & NET_CAN_SEGMENT4 ? ", segmentation" : "",
             ns.shared->info.can & NET_CAN_RECEIVE_LARGE ? ", large receive" : "");
    return 0;
}

int32_t SASOS_EXPORT(driver_event)(uint32_t events) {
    if (events & SASOS_EVENT_IRQ(VECTOR_CONFIG)) { // 5.1.4: the link; 2.1.2: or the device is broken
        read_config();
        if (!ns.failed && virtio_status(&net.device) & VIRTIO_DEVICE_NEEDS_RESET)
            fail_device("the device needs a reset, status", virtio_status(&net.device));
        sasos_chan_signal(0);
    }
    device_work();
    return 0;
}
