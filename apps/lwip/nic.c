// nic.c — lwIP's network interface on the network device class (drivers/sdk/net.h): nothing is copied between the device and lwIP.
//
// A received buffer becomes a pbuf that goes back to the device when lwIP frees it. A frame to send is made of a slot, into which the headers (and
// whatever else lies in our own memory) are copied, and of references to chunks, which hold the data of streams: a chunk's count says how
// many frames in flight refer to it. A frame waits for the next one: what follows it in the same stream joins it, if the device can cut up the
// whole (segmentation offload); lwIP knows nothing of that. When the driver has been restarted, everything in flight is forgotten (lost, as on any network) and TCP sends again.
// Hostile: the driver. A buffer that it does not have, or a length that does not fit, ends the use of the device until its next life.
// The content of posted buffers can change under lwIP: that confuses at most this module, whose walls are the sandbox's.
#include "apps/lwip/stack.h"
#include <lwip/etharp.h>
#include <lwip/ethip6.h>
#include <lwip/inet_chksum.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/snmp.h>
#include <netif/ethernet.h>
#include <string.h>

__attribute__((import_module("net"), import_name("net_attach"))) int32_t net_attach(void);
__attribute__((import_module("net"), import_name("net_submit"))) int32_t net_submit(void);

#define RX_MAX 1024u
#define SLOTS_MAX 256u
#define SLOT 2048u
#define SLOT_RANGES (NET_FRAGMENTS_MAX - 1)
#define CHUNKS_MAX 2048u
#define POST_BATCH 64u
#define SUBMIT_BATCH 32u
#define JOINED_MAX 65535u // bytes of a frame that the device cuts up
enum { ETHERTYPE_IP4 = 0x0800, ETHERTYPE_IP6 = 0x86dd, PROTOCOL_TCP = 6 };
enum { TCP_HEADER = 20 };

struct rx {
    struct pbuf_custom custom; // first: lwIP's free function gets it
    bool posted;
};
struct slot { // of a frame in flight
    bool busy;
    uint8_t ranges;
    struct {
        uint16_t first, count; // chunks that it refers to
    } range[SLOT_RANGES];
};

// Of a frame with data of a stream, all that must be the same in one that joins it, and what must follow.
struct part {
    uint8_t addresses[32];
    uint8_t ports[4], ack[4], window[2];
    uint32_t sequence, payload;
    uint16_t headers; // bytes up to the payload; 0: it is no such frame
    uint8_t flags;
};

struct netif nic_netif;
static struct {
    uint32_t count;             // fragments; 0: there is none
    uint32_t slot, total, used; // used: bytes of the slot's memory
    uint32_t segments;
    struct part part; // of the first segment, but for sequence: what would follow
    struct net_transmit fragment[NET_FRAGMENTS_MAX];
} open; // the latest frame, which the driver has not seen yet
static struct {
    uint32_t channel;
    struct net_channel *shared;
    struct ring transmit, sent, post, receive;
    bool up; // attached to a driver that lives
    int32_t generation,
        refused; // the driver's life that we are attached to; the one that we have nothing to do with any more
    uint32_t can;
    uint32_t rx_count, slots, chunks;
    uint32_t rx_at, slots_at, chunks_at; // offsets in the channel
    struct rx rx[RX_MAX];
    uint32_t rx_free_count, rx_posted;
    uint16_t rx_free[RX_MAX];
    struct pbuf *frame; // that is being put together
    uint32_t frame_flags;
    struct slot slot[SLOTS_MAX];
    uint32_t slot_free_count;
    uint16_t slot_free[SLOTS_MAX];
    uint16_t chunk_refs[CHUNKS_MAX];
    uint32_t chunk_free_count;
    uint16_t chunk_free[CHUNKS_MAX];
    uint32_t queued, posted; // frames and buffers since the last submission
    bool stalled;            // a frame found no room
} nic;

static uint8_t *at(uint32_t offset) { return (uint8_t *)nic.shared + offset; }

static void down(const char *why, uint32_t value) {
    if (nic.up) log_line("the network driver %s (%u): not used until its next life", why, value);
    nic.up = false;
    nic.refused = nic.generation;
}

// ---- chunks ----

static void chunk_unref(uint16_t chunk) {
    if (--nic.chunk_refs[chunk] == 0) nic.chunk_free[nic.chunk_free_count++] = chunk;
}

uint16_t nic_chunk_alloc(void) {
    if (!nic.chunk_free_count) return NIC_NO_CHUNK;
    uint16_t chunk = nic.chunk_free[--nic.chunk_free_count];
    nic.chunk_refs[chunk] = 1;
    return chunk;
}

void nic_chunk_free(uint16_t chunk) { chunk_unref(chunk); }
uint8_t *nic_chunk_data(uint16_t chunk) { return at(nic.chunks_at + chunk * NIC_CHUNK); }
uint32_t nic_chunks_free(void) { return nic.chunk_free_count; }

// ---- sending ----

static void slot_done(uint32_t i) {
    struct slot *s = &nic.slot[i];
    for (uint32_t k = 0; k < s->ranges; k++)
        for (uint32_t c = 0; c < s->range[k].count; c++)
            chunk_unref((uint16_t)(s->range[k].first + c));
    s->busy = false;
    nic.slot_free[nic.slot_free_count++] = (uint16_t)i;
}

static void collect_sent(void) {
    while (ring_pending(&nic.sent)) {
        uint32_t i = *(volatile uint32_t *)&nic.shared->sent[ring_slot(&nic.sent)];
        ring_consumed(&nic.sent);
        if (i >= nic.slots || !nic.slot[i].busy) {
            down("sent a frame that it does not have", i);
            return;
        }
        slot_done(i);
    }
}

// The device computes a TCP checksum over what the field holds: the pseudo header's sum (net.h). `head` are the frame's headers in the slot.
static void offload_checksum(uint8_t *head, uint32_t n, struct net_transmit *first) {
    uint32_t type = (uint32_t)head[12] << 8 | head[13], start, sum, length;
    if (type == ETHERTYPE_IP4 && n >= 54 && head[23] == PROTOCOL_TCP) {
        start = 14 + (head[14] & 15u) * 4;
        length = ((uint32_t)head[16] << 8 | head[17]) + 14 - start;
        sum = port_checksum(head + 26, 8);
    } else if (type == ETHERTYPE_IP6 && n >= 74 && head[20] == PROTOCOL_TCP) {
        start = 54;
        length = (uint32_t)head[18] << 8 | head[19];
        sum = port_checksum(head + 22, 32);
    } else {
        return;
    }
    if (start + 18 > n) return;
    sum += lwip_htons(PROTOCOL_TCP) + lwip_htons((uint16_t)length);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    head[start + 16] = (uint8_t)sum;
    head[start + 17] = (uint8_t)(sum >> 8);
    first->flags |= NET_CHECKSUM;
    first->checksum_start = (uint16_t)start;
    first->checksum_offset = 16;
}

// Chunks that [payload, payload + n) lies in; false: it lies in our own memory.
static bool in_chunks(const void *payload, uint32_t n, uint32_t *out_offset, uint16_t *out_first,
                      uint16_t *out_count) {
    uint32_t offset = (uint32_t)((uintptr_t)payload - (uintptr_t)nic.shared);
    if (offset < nic.chunks_at || offset >= nic.chunks_at + nic.chunks * NIC_CHUNK) return false;
    uint32_t first = (offset - nic.chunks_at) / NIC_CHUNK,
             last = (offset + n - 1 - nic.chunks_at) / NIC_CHUNK;
    *out_offset = offset;
    *out_first = (uint16_t)first;
    *out_count = (uint16_t)(last - first + 1);
    return true;
}

// Whether the frame has data of a stream, all in chunks, behind plain headers.
static struct part part_of(const struct pbuf *p) {
    const uint8_t *h = p->payload;
    struct part part = {0};
    uint32_t tcp, offset;
    uint16_t first, chunks;
    if (p->len == 54 && h[12] == 0x08 && !h[13] && h[14] == 0x45 && !(h[20] & 0x3f) && !h[21] &&
        h[23] == PROTOCOL_TCP && nic.can & NET_CAN_SEGMENT4) {
        tcp = 34;
        memcpy(part.addresses, h + 26, 8);
    } else if (p->len == 74 && h[12] == 0x86 && h[13] == 0xdd && h[20] == PROTOCOL_TCP &&
               nic.can & NET_CAN_SEGMENT6) {
        tcp = 54;
        memcpy(part.addresses, h + 22, 32);
    } else {
        return part;
    }
    part.flags = h[tcp + 13];
    if (h[tcp + 12] != TCP_HEADER / 4 << 4 || (part.flags & ~(TCP_PSH | TCP_FIN)) != TCP_ACK)
        return part;
    for (const struct pbuf *q = p->next; q; q = q->next)
        if (!in_chunks(q->payload, q->len, &offset, &first, &chunks)) return part;
    memcpy(part.ports, h + tcp, 4);
    part.sequence = (uint32_t)h[tcp + 4] << 24 | (uint32_t)h[tcp + 5] << 16 |
                    (uint32_t)h[tcp + 6] << 8 | h[tcp + 7];
    memcpy(part.ack, h + tcp + 8, 4);
    memcpy(part.window, h + tcp + 14, 2);
    part.payload = p->tot_len - p->len;
    if (part.payload) part.headers = p->len;
    return part;
}

// The end of the open frame refers to these chunks.
static void refer(struct slot *slot, uint16_t first, uint16_t chunks) {
    if (slot->ranges) {
        uint16_t last = slot->range[slot->ranges - 1].first + slot->range[slot->ranges - 1].count - 1;
        if (last == first) first++, chunks--; // a reference is there already
        for (uint16_t c = 0; c < chunks; c++) nic.chunk_refs[first + c]++;
        if (last + 1 == first) {
            slot->range[slot->ranges - 1].count += chunks;
            return;
        }
    } else {
        for (uint16_t c = 0; c < chunks; c++) nic.chunk_refs[first + c]++;
    }
    slot->range[slot->ranges].first = first;
    slot->range[slot->ranges++].count = chunks;
}

// Puts a piece at the end of the open frame.
static void append(const void *payload, uint16_t n) {
    struct slot *slot = &nic.slot[open.slot];
    uint32_t memory = nic.slots_at + open.slot * SLOT, offset;
    uint16_t first, chunks;
    // The headers are ours, and of fragments and ranges one is left for what has to be copied.
    if (open.count && open.count < NET_FRAGMENTS_MAX - 1 && slot->ranges < SLOT_RANGES &&
        in_chunks(payload, n, &offset, &first, &chunks)) {
        refer(slot, first, chunks);
    } else {
        offset = memory + open.used;
        memcpy(at(offset), payload, n);
        open.used += n;
    }
    struct net_transmit *last = open.count ? &open.fragment[open.count - 1] : NULL;
    if (last && last->buffer + last->length == offset)
        last->length += n;
    else
        open.fragment[open.count++] = (struct net_transmit){.buffer = offset, .length = n};
    open.total += n;
}

// Whether the frame has joined the open one.
static bool join(const struct pbuf *p, const struct part *part) {
    struct part *o = &open.part;
    uint32_t pieces = pbuf_clen(p) - 1u;
    if (!open.count || !part->headers || part->headers != o->headers ||
        part->sequence != o->sequence || part->payload > o->payload ||
        open.total != o->headers + open.segments * o->payload || // the last one was a short one
        o->flags & TCP_FIN || open.total + part->payload > JOINED_MAX ||
        open.count + pieces > NET_FRAGMENTS_MAX - 1 ||
        nic.slot[open.slot].ranges + pieces > SLOT_RANGES || memcmp(part->ports, o->ports, 4) ||
        memcmp(part->ack, o->ack, 4) || memcmp(part->window, o->window, 2) ||
        memcmp(part->addresses, o->addresses, sizeof(o->addresses)))
        return false;
    for (const struct pbuf *q = p->next; q; q = q->next)
        if (q->len) append(q->payload, q->len);
    o->sequence += part->payload;
    o->flags |= part->flags;
    open.segments++;
    return true;
}

// The headers of a frame of several segments.
static void write_joined(uint8_t *head, struct net_transmit *first) {
    uint32_t length = open.total - 14;
    bool ip4 = open.part.headers == 54;
    if (ip4) {
        head[16] = (uint8_t)(length >> 8);
        head[17] = (uint8_t)length;
        head[24] = head[25] = 0;
        uint16_t sum = (uint16_t)~port_checksum(head + 14, 20);
        memcpy(head + 24, &sum, 2);
    } else {
        length -= 40;
        head[18] = (uint8_t)(length >> 8);
        head[19] = (uint8_t)length;
    }
    head[open.part.headers - TCP_HEADER + 13] = open.part.flags;
    first->flags |= ip4 ? NET_SEGMENT4 : NET_SEGMENT6;
    first->segment_size = (uint16_t)open.part.payload;
    first->header_length = open.part.headers;
}

// The driver may have the open frame.
static void finish(void) {
    if (!open.count) return;
    struct net_transmit *first = &open.fragment[0];
    uint8_t *head = at(first->buffer);
    if (open.segments > 1) write_joined(head, first);
    if (nic.can & NET_CAN_CHECKSUM) offload_checksum(head, first->length, first);
    for (uint32_t k = 0; k < open.count; k++) {
        if (k < open.count - 1) open.fragment[k].flags |= NET_MORE;
        nic.shared->transmit[ring_slot(&nic.transmit)] = open.fragment[k];
        ring_produced(&nic.transmit);
    }
    open.count = 0;
    nic.queued++;
}

static bool room(void) {
    return nic.slot_free_count && ring_space(&nic.transmit) >= NET_FRAGMENTS_MAX;
}

static err_t output(struct netif *netif, struct pbuf *p) {
    (void)netif;
    if (!nic.up) return ERR_OK; // lost, as by any network
    if (p->tot_len > SLOT - 64) return ERR_BUF;
    struct part part = part_of(p);
    if (join(p, &part)) return ERR_OK;
    finish();
    if (nic.queued >= SUBMIT_BATCH) nic_flush();
    if (!room()) {
        nic_flush();
        collect_sent();
        if (!nic.up) return ERR_OK;
        if (!room()) {
            nic.stalled = true;
            return ERR_MEM;
        }
    }
    open.slot = nic.slot_free[--nic.slot_free_count];
    open.total = open.used = 0;
    open.segments = 1;
    open.part = part;
    open.part.sequence += part.payload;
    nic.slot[open.slot].busy = true;
    nic.slot[open.slot].ranges = 0;
    for (const struct pbuf *q = p; q; q = q->next)
        if (q->len) append(q->payload, q->len);
    open.fragment[0].cookie = open.slot;
    if (nic.slot_free_count < nic.slots / 2)
        open.fragment[0].flags |= NET_SIGNAL; // who waits for a slot will be told
    return ERR_OK;
}

// ---- receiving ----

static void rx_free(struct pbuf *p) {
    nic.rx_free[nic.rx_free_count++] = (uint16_t)((struct rx *)p - nic.rx);
}

uint32_t nic_held(void) { return nic.rx_count - nic.rx_free_count - nic.rx_posted; }
bool nic_low(void) { return nic.rx_free_count + nic.rx_posted < nic.rx_count / 2; }

static void deliver(struct pbuf *p, uint32_t flags) {
    uint16_t checks = NETIF_CHECKSUM_CHECK_TCP | NETIF_CHECKSUM_CHECK_UDP;
    if (flags & NET_VERIFIED)
        nic_netif.chksum_flags &= (uint16_t)~checks;
    else
        nic_netif.chksum_flags |= checks;
    if (nic_netif.input(p, &nic_netif) != ERR_OK) pbuf_free(p);
}

static void receive(void) {
    while (nic.up && ring_pending(&nic.receive)) {
        struct net_receive r = nic.shared->receive[ring_slot(&nic.receive)];
        barrier_compiler(); // checked and used is the copy
        ring_consumed(&nic.receive);
        uint32_t i = (r.buffer - nic.rx_at) / NET_BUFFER;
        if (r.buffer < nic.rx_at || (r.buffer - nic.rx_at) % NET_BUFFER || i >= nic.rx_count ||
            !nic.rx[i].posted || r.start > NET_BUFFER || r.length > NET_BUFFER - r.start) {
            down("returned a buffer that it does not have", r.buffer);
            return;
        }
        nic.rx[i].posted = false;
        nic.rx_posted--;
        nic.rx[i].custom.custom_free_function = rx_free;
        struct pbuf *p = pbuf_alloced_custom(PBUF_RAW, r.length, PBUF_REF, &nic.rx[i].custom,
                                             at(r.buffer + r.start), r.length);
        if (!nic.frame) {
            nic.frame = p;
            nic.frame_flags = r.flags;
        } else if (nic.frame->tot_len + r.length > UINT16_MAX) {
            pbuf_free(p); // longer than any frame can be: what is there is judged by its headers
        } else {
            pbuf_cat(nic.frame, p);
        }
        if (r.flags & NET_MORE) continue;
        p = nic.frame;
        nic.frame = NULL;
        deliver(p, nic.frame_flags);
    }
}

// ---- life ----

// To a driver's new life. Frames and buffers of the earlier one are ours again: net_attach() has seen to that.
static bool attach(void) {
    int32_t generation = sasos_chan_generation(nic.channel);
    if (generation < 0 || generation == nic.refused) return false;
    if (net_attach() != 0 || nic.shared->info.version != NET_INFO_VERSION) return false;
    ring_init(&nic.transmit, &nic.shared->transmit_ring, NET_RING);
    ring_init(&nic.sent, &nic.shared->sent_ring, NET_RING);
    ring_init(&nic.post, &nic.shared->post_ring, NET_RING);
    ring_init(&nic.receive, &nic.shared->receive_ring, NET_RING);
    for (uint32_t i = 0; i < nic.slots; i++)
        if (nic.slot[i].busy) slot_done(i);
    for (uint32_t i = 0; i < nic.rx_count; i++)
        if (nic.rx[i].posted) {
            nic.rx[i].posted = false;
            nic.rx_free[nic.rx_free_count++] = (uint16_t)i;
        }
    nic.rx_posted = nic.queued = nic.posted = open.count = 0;
    if (nic.frame) pbuf_free(nic.frame);
    nic.frame = NULL;
    nic.generation = generation;
    nic.can = nic.shared->info.can;
    nic_netif.chksum_flags = NETIF_CHECKSUM_ENABLE_ALL;
    if (nic.can & NET_CAN_CHECKSUM) nic_netif.chksum_flags &= (uint16_t)~NETIF_CHECKSUM_GEN_TCP;
    nic.up = true;
    stack_count[COUNT_ATTACHED]++;
    return true;
}

static void send_again(bool lost) {
    struct tcp_pcb *next;
    for (struct tcp_pcb *pcb = tcp_active_pcbs; pcb; pcb = next) {
        next = pcb->next;
        if (lost && pcb->unacked && tcp_rexmit_rto_prepare(pcb) == ERR_OK)
            tcp_rexmit_rto_commit(pcb);
        if (pcb->unsent) tcp_output(pcb);
    }
}

bool nic_waiting(void) { return !nic.up && nic.refused != nic.generation; }

void nic_poll(void) {
    if (nic.up && sasos_chan_generation(nic.channel) != nic.generation) nic.up = false;
    if (!nic.up) {
        bool first = nic.generation == 0;
        if (!attach()) return;
        if (!first) {
            log_line("the network driver is back");
            send_again(true);
        }
    }
    receive();
    collect_sent();
    if (nic.receive.broken || nic.sent.broken || nic.transmit.broken || nic.post.broken)
        down("broke a ring", 0);
    bool link = nic.up && nic.shared->info.link_up;
    if (link != (bool)netif_is_link_up(&nic_netif)) {
        log_line("link %s", link ? "up" : "down");
        if (link)
            netif_set_link_up(&nic_netif);
        else
            netif_set_link_down(&nic_netif);
        setup_online();
        sock_publish();
    }
    if (nic.stalled && nic.slot_free_count >= nic.slots / 2) {
        nic.stalled = false;
        send_again(false);
    }
}

void nic_flush(void) {
    if (!nic.up) return;
    while (nic.rx_free_count && ring_space(&nic.post)) {
        uint32_t i = nic.rx_free[--nic.rx_free_count];
        nic.shared->post[ring_slot(&nic.post)] = nic.rx_at + i * NET_BUFFER;
        ring_produced(&nic.post);
        nic.rx[i].posted = true;
        nic.rx_posted++;
        nic.posted++;
    }
    finish();
    if (!nic.queued && nic.posted < POST_BATCH) return;
    nic.queued = nic.posted = 0;
    int32_t error = net_submit();
    if (error) nic.up = false; // it died, or its device failed: attached again when it can be
}

static err_t init(struct netif *netif) {
    netif->name[0] = 'e';
    netif->name[1] = 'n';
    netif->output = etharp_output;
    netif->output_ip6 = ethip6_output;
    netif->linkoutput = output;
    netif->mtu =
        (u16_t)(nic.shared->info.mtu < 1500 && nic.shared->info.mtu >= 576 ? nic.shared->info.mtu
                                                                           : 1500);
    netif->hwaddr_len = 6;
    for (uint32_t i = 0; i < 6; i++) netif->hwaddr[i] = nic.shared->info.mac[i];
    netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_MLD6;
    return ERR_OK;
}

int32_t nic_start(uint32_t channel) {
    nic.channel = channel;
    nic.shared = (struct net_channel *)(uintptr_t)sasos_chan_map(channel);
    uint32_t room = sasos_chan_size(channel) - NET_DATA;
    if (sasos_chan_size(channel) < NET_DATA + (1u << 19)) {
        log_line("the channel to the network driver is too small: %u bytes", sasos_chan_size(channel));
        return E_INVAL;
    }
    nic.rx_count = room / 3 / NET_BUFFER < RX_MAX ? room / 3 / NET_BUFFER : RX_MAX;
    nic.slots = room / 6 / SLOT < SLOTS_MAX ? room / 6 / SLOT : SLOTS_MAX;
    nic.rx_at = NET_DATA;
    nic.slots_at = nic.rx_at + nic.rx_count * NET_BUFFER;
    nic.chunks_at = nic.slots_at + nic.slots * SLOT;
    nic.chunks = (sasos_chan_size(channel) - nic.chunks_at) / NIC_CHUNK;
    if (nic.chunks > CHUNKS_MAX) nic.chunks = CHUNKS_MAX;
    for (uint32_t i = 0; i < nic.rx_count; i++) nic.rx_free[nic.rx_free_count++] = (uint16_t)i;
    for (uint32_t i = nic.slots; i-- > 0;) nic.slot_free[nic.slot_free_count++] = (uint16_t)i;
    for (uint32_t i = nic.chunks; i-- > 0;) nic.chunk_free[nic.chunk_free_count++] = (uint16_t)i;
    if (!netif_add(&nic_netif, IP4_ADDR_ANY4, IP4_ADDR_ANY4, IP4_ADDR_ANY4, NULL, init, ethernet_input))
        return E_NOMEM;
    netif_set_default(&nic_netif);
    if (!attach()) {
        log_line("the network driver does not attach");
        return E_IO;
    }
    log_line("%u receive buffers, %u frames to send in flight, %u chunks of %u bytes for data",
             nic.rx_count, nic.slots, nic.chunks, NIC_CHUNK);
    return 0;
}
