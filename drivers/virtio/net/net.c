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

// A queue's descriptors. Chains are kept in our memory: what the device could have changed is not read back.
struct chain {
    uint16_t next;   // descriptor: in its chain, or of the free ones
    uint16_t last;   // of the chain that begins here
    uint16_t length; // of it; 0: none does
    bool signal;     // somebody waits for it
    uint32_t client; // the client's name of it: a cookie, or a buffer
    uint32_t pad;    // a power of two
};
struct descriptors {
    uint32_t free_count;
    uint32_t free; // the first of them
    struct chain at[QUEUE_MAX];
};

static struct {
    struct virtio_device device;
    struct virtq rx, tx;
    struct descriptors rx_desc, tx_desc;
    uint32_t headers; // address: HEADER_SPACE bytes for each descriptor of the transmit queue
    bool can_merge;
    uint32_t rx_left;  // buffers still to come of the frame that is being received
    uint32_t verified; // flags of a received frame's header that stand for NET_VERIFIED
} net;

static void descriptors_init(struct descriptors *d, uint32_t size) {
    d->free_count = size;
    d->free = 0;
    for (uint32_t i = 0; i < size; i++) d->at[i] = (struct chain){.next = (uint16_t)(i + 1)};
}

// The chain that begins at `head`, in the device's hands. False: none does.
static inline bool in_flight(const struct virtq *q, struct descriptors *d, uint32_t head,
                             struct chain **out) {
    if (head >= q->size) return false;
    struct chain *c = &d->at[head];
    keep_base(c);
    *out = c;
    return c->length;
}

static void fail_device(const char *why, uint32_t value) {
    log_line("%s (%u): the device is reset", why, value);
    ns.failed = true;
    virtio_reset(&net.device);
}

// ---- to the device ----

static void post_buffers(void) {
    uint32_t n = ns.posted < net.rx_desc.free_count ? ns.posted : net.rx_desc.free_count, k;
    uint32_t i = net.rx_desc.free;
    for (k = 0; k < n; k++) {
        struct chain *c = &net.rx_desc.at[i];
        keep_base(c);
        uint32_t buffer;
        if (!ns_buffer(k, &buffer)) {
            ns_refuse("posted a buffer outside the channel", buffer);
            break;
        }
        c->length = 1;
        c->client = buffer;
        virtq_describe(net.rx.desc + 16 * i, ns.address + buffer, NET_BUFFER, VIRTQ_DESC_F_WRITE, 0);
        virtq_put(&net.rx, k, (uint16_t)i);
        i = c->next;
    }
    ns_took_buffers(k);
    virtq_added(&net.rx, k);
    net.rx_desc.free = i;
    net.rx_desc.free_count -= k;
}

// The header of a frame, from its first fragment. False: it asks for what the device has not offered, or contradicts itself.
static inline bool write_header(uint32_t at, const struct net_transmit *f, uint32_t total) {
    volatile uint64_t *header = (volatile uint64_t *)(uintptr_t)at;
    keep_base(header);
    // flags 8 | gso_type 8 | hdr_len 16 | gso_size 16 | csum_start 16; csum_offset 16 | num_buffers 16
    if (!(f->flags & (NET_CHECKSUM | NET_SEGMENT4 | NET_SEGMENT6))) {
        header[0] = header[1] = 0;
        return total <= NET_FRAME_MAX;
    }
    // Our own view of what the device can: info lies in the client's reach too.
    uint32_t can = (net.device.features & VIRTIO_BIT(VIRTIO_NET_F_CSUM) ? NET_CAN_CHECKSUM : 0u) |
                   (net.device.features & VIRTIO_BIT(VIRTIO_NET_F_HOST_TSO4) ? NET_CAN_SEGMENT4 : 0u) |
                   (net.device.features & VIRTIO_BIT(VIRTIO_NET_F_HOST_TSO6) ? NET_CAN_SEGMENT6 : 0u);
    uint32_t gso = 0;
    if (!(f->flags & NET_CHECKSUM) || !(can & NET_CAN_CHECKSUM)) return false;
    if (f->checksum_start + f->checksum_offset + 2u > total) return false;
    if (f->flags & NET_SEGMENT4) gso = VIRTIO_NET_HDR_GSO_TCPV4;
    if (f->flags & NET_SEGMENT6) gso = VIRTIO_NET_HDR_GSO_TCPV6;
    if (gso == VIRTIO_NET_HDR_GSO_TCPV4 && !(can & NET_CAN_SEGMENT4)) return false;
    if (gso == VIRTIO_NET_HDR_GSO_TCPV6 && !(can & NET_CAN_SEGMENT6)) return false;
    if (gso ? !f->segment_size || f->header_length >= total || total > NET_LARGE_MAX
            : total > NET_FRAME_MAX)
        return false;
    header[0] = VIRTIO_NET_HDR_F_NEEDS_CSUM | gso << 8 |
                (gso ? (uint64_t)f->header_length << 16 | (uint64_t)f->segment_size << 32 : 0) |
                (uint64_t)f->checksum_start << 48;
    header[1] = f->checksum_offset; // the space between two headers takes the rest of it
    return true;
}

static bool device_room(uint32_t count) {
    uint32_t in_flight = (net.tx.size - net.tx_desc.free_count) / 2;
    return net.tx_desc.free_count >= count + 1 && ns.sent_room > in_flight;
}

// The free descriptors are linked already, and so are those of the chain made of the first of them.
static uint32_t device_send(uint32_t count) {
    uint32_t head = net.tx_desc.free, header = net.headers + head * HEADER_SPACE;
    struct chain *c = &net.tx_desc.at[head];
    keep_base(c);
    struct net_transmit first;
    if (!ns_fragment(0, &first)) return 0;
    uint32_t at = c->next, next = net.tx_desc.at[at].next, total = first.length;
    virtq_describe(net.tx.desc + 16 * at, ns.address + first.buffer, first.length,
                   count > 1 ? VIRTQ_DESC_F_NEXT : 0, next);
    for (uint32_t k = 1; k < count; k++) {
        struct net_transmit f;
        if (!ns_fragment(k, &f)) return 0;
        total += f.length;
        at = next;
        next = net.tx_desc.at[at].next;
        virtq_describe(net.tx.desc + 16 * at, ns.address + f.buffer, f.length,
                       k < count - 1 ? VIRTQ_DESC_F_NEXT : 0, next);
    }
    if (!write_header(header, &first, total)) return 0;
    virtq_describe(net.tx.desc + 16 * head, header, HEADER, VIRTQ_DESC_F_NEXT, c->next);
    net.tx_desc.free = next;
    net.tx_desc.free_count -= count + 1;
    c->last = (uint16_t)at;
    c->length = (uint16_t)(count + 1);
    c->client = first.cookie;
    c->signal = first.flags & NET_SIGNAL;
    ns.signals += c->signal;
    virtq_add(&net.tx, (uint16_t)head);
    return total;
}

// ---- from the device ----

// Sent frames go back to the client. True: one of them asked for a signal.
static bool collect_sent(void) {
    uint32_t signals = 0;
    int there = 0;
    while (!ns.failed && (there = virtq_there(&net.tx)) > 0) {
        uint32_t n = (uint32_t)there, length, free = net.tx_desc.free, freed = 0;
        for (uint32_t k = 0; k < n; k++) {
            uint32_t head = virtq_get(&net.tx, k, &length);
            struct chain *c;
            if (!in_flight(&net.tx, &net.tx_desc, head, &c)) {
                fail_device("the device sent a frame that is not in flight", head);
                return true;
            }
            net.tx_desc.at[c->last].next = (uint16_t)free;
            free = head;
            freed += c->length;
            c->length = 0;
            signals += c->signal;
            ns_sent(k, c->client);
        }
        net.tx_desc.free = free;
        net.tx_desc.free_count += freed;
        virtq_took(&net.tx, n);
        ns_sent_end(n);
    }
    if (there < 0) fail_device("the device sent a frame that is not in flight", UINT32_MAX);
    ns.signals -= signals;
    return signals || there < 0;
}

// The first buffer of a frame begins with its header. False: the device wrote what cannot be.
static inline bool begin_frame(uint32_t at, uint32_t length, uint32_t *out_buffers,
                               uint32_t *out_flags) {
    if (length < HEADER) return false;
    const volatile uint8_t *header = (const volatile uint8_t *)(uintptr_t)at;
    uint32_t flags = *header;
    uint32_t buffers = net.can_merge ? *(const volatile uint16_t *)(header + 10) : 1;
    barrier_compiler();
    if (buffers == 0 || buffers > BUFFERS_MAX) return false;
    *out_buffers = buffers;
    *out_flags = flags & net.verified ? NET_VERIFIED : 0;
    return true;
}

// The next `n` used buffers. False: the device wrote what cannot be.
static bool take_received(uint32_t n) {
    uint32_t left = net.rx_left, free = net.rx_desc.free, frames = 0, bytes = 0;
    for (uint32_t k = 0; k < n; k++) {
        uint32_t length, start = 0, flags = 0, id = virtq_get(&net.rx, k, &length);
        struct chain *c;
        if (!in_flight(&net.rx, &net.rx_desc, id, &c) || length > NET_BUFFER) {
            fail_device("the device filled a buffer that it does not have", id);
            return false;
        }
        c->length = 0;
        c->next = (uint16_t)free;
        free = id;
        if (!left) {
            if (!begin_frame(ns.address + c->client, length, &left, &flags)) {
                fail_device("the device wrote an impossible header, length", length);
                return false;
            }
            start = HEADER;
        }
        left--;
        frames += !left;
        bytes += length - start;
        ns_received(k, c->client, start, length - start, flags | (left ? NET_MORE : 0));
    }
    net.rx_left = left;
    net.rx_desc.free = free;
    net.rx_desc.free_count += n;
    virtq_took(&net.rx, n);
    ns_received_end(n, frames, bytes);
    return true;
}

// Received frames go to the client. True: there were some.
static bool collect_received(void) {
    bool any = false;
    while (!ns.failed && ns.receive_room) {
        int there = virtq_there(&net.rx);
        if (!there) break;
        any = true;
        if (there < 0)
            fail_device("the device filled a buffer that it does not have", UINT32_MAX);
        else if (!take_received((uint32_t)there < ns.receive_room ? (uint32_t)there : ns.receive_room))
            break;
    }
    return any;
}

// All there is to do, in both directions; the client is signalled if there is something for it.
static void device_work(void) {
    if (!ns_begin()) return;
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
    // 5.1.6.4.2: with NEEDS_CSUM the frame has not left the host; its checksum is not there, and need not be checked.
    net.verified = v->features & VIRTIO_BIT(VIRTIO_NET_F_GUEST_CSUM)
                       ? VIRTIO_NET_HDR_F_DATA_VALID | VIRTIO_NET_HDR_F_NEEDS_CSUM
                       : 0;
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
    if (events & SASOS_EVENT_TIMER) ns_tell();
    if (events & SASOS_EVENT_IRQ(VECTOR_CONFIG)) { // 5.1.4: the link; 2.1.2: or the device is broken
        read_config();
        if (!ns.failed && virtio_status(&net.device) & VIRTIO_DEVICE_NEEDS_RESET)
            fail_device("the device needs a reset, status", virtio_status(&net.device));
        sasos_chan_signal(0);
    }
    device_work();
    return 0;
}
