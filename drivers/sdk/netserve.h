// netserve.h — the server's side of the network class (net.h): what every network driver does alike, whatever its device is.
//
// Included by exactly one source of a driver; it gives the module its exports net_attach() and net_submit(). A device has one client. The
// driver calls ns_open() at its start and ns_describe() when the device works. Whenever there may be something to do it begins a round by ns_begin(), moves
// what the device has received (ns_received()) and sent (ns_sent()), calls ns_transmit(), which gives it frame after frame by device_send(),
// posts the buffers that ns_buffer() finds, and ends with ns_done(): in between the rings' indices are neither read nor written.
// The manifest's first counters are those of enum ns_counter; they are told once a second: driver_event() calls ns_tell() on
// SASOS_EVENT_TIMER, which is netserve's.
// Not trusted: what the client puts into its rings, checked here from private copies; a bad entry ends the client's use until it attaches again.
#ifndef SASOS_NETSERVE_H
#define SASOS_NETSERVE_H
#include "drivers/sdk/net.h"

#define NS_TELL_NS 1000000000ll // between two tellings of the counters: a kernel call each

enum ns_counter {
    NS_RECEIVED_FRAMES,
    NS_RECEIVED_BYTES,
    NS_SENT_FRAMES,
    NS_SENT_BYTES,
    NS_COUNTERS
};

static struct {
    struct net_channel *shared;
    uint32_t address, size; // of the channel in our window
    bool attached;          // the client knows this life of the driver
    bool failed;            // the device: it is silent until the client attaches again
    uint32_t signals;       // frames in flight that ask for a signal: the driver counts them
    struct ring transmit, sent, post, receive;
    uint32_t sent_room, receive_room, posted; // left of what ns_begin() has found
    int64_t tell_at;
    int64_t count[NS_COUNTERS], told[NS_COUNTERS];
} ns;

// ---- supplied by the driver ----
static int device_restart(void); // from whatever state to a device that works, all queues empty. 0 or an error
static void device_describe(void);       // fills in ns.shared->info, all but the version
static bool device_room(uint32_t count); // for a frame of so many fragments, and for its answer
static uint32_t device_send(uint32_t count); // the frame of ns_fragment(0 … count − 1). Its bytes; 0: it cannot be sent, nothing is changed
static void device_work(void); // all there is to do, on the client's call

// ---- for the driver ----

static void ns_describe(void) {
    device_describe();
    barrier_compiler();
    ns.shared->info.version = NET_INFO_VERSION;
}

static void ns_refuse(const char *why, uint32_t value) {
    log_line("the client %s (%u): not served until it attaches again", why, value);
    ns.attached = false;
    ns.sent_room = ns.receive_room = ns.posted = 0;
}

// A round of work begins. False: there can be none.
static inline bool ns_begin(void) {
    if (!ns.attached || ns.failed) return false;
    ns.sent_room = ring_space(&ns.sent);
    ns.receive_room = ring_space(&ns.receive);
    ns.posted = ring_pending(&ns.post);
    return true;
}

static inline bool ns_in_channel(uint32_t buffer, uint32_t length) {
    return buffer >= NET_DATA && length && buffer <= ns.size && length <= ns.size - buffer;
}

// The k-th empty buffer that the client has posted, k < ns.posted. False: it is none. They are taken by ns_took_buffers().
static inline bool ns_buffer(uint32_t k, uint32_t *out_buffer) {
    uint32_t buffer = *(volatile uint32_t *)&ns.shared->post[(ns.post.mine + k) % NET_RING];
    *out_buffer = buffer;
    return ns_in_channel(buffer, NET_BUFFER);
}
static inline void ns_took_buffers(uint32_t n) {
    ns.post.mine += n;
    ns.posted -= n;
}

// A copy of the frame's fragment `k`. False: it does not lie in the channel.
static inline bool ns_fragment(uint32_t k, struct net_transmit *out) {
    const struct net_transmit *entry = &ns.shared->transmit[(ns.transmit.mine + k) & (NET_RING - 1)];
    keep_base(entry);
    *out = *entry;
    barrier_compiler(); // checked and used is the copy
    return ns_in_channel(out->buffer, out->length);
}

// Sends as many frames as there are, whole, and room for.
static void ns_transmit(void) {
    uint32_t pending = ns.attached ? ring_pending(&ns.transmit) : 0, all = pending;
    uint32_t frames = 0, total = 0;
    while (pending) {
        uint32_t count = 1, most = pending < NET_FRAGMENTS_MAX ? pending : NET_FRAGMENTS_MAX;
        while (count <= most &&
               ns.shared->transmit[(ns.transmit.mine + count - 1) & (NET_RING - 1)].flags & NET_MORE)
            count++;
        if (count > most) {
            if (most < pending) ns_refuse("made a frame of too many fragments", count);
            break; // else the rest of the frame is still to come
        }
        if (!device_room(count)) break;
        uint32_t bytes = device_send(count);
        if (!bytes) {
            ns_refuse("made a frame that cannot be sent, fragments", count);
            break;
        }
        frames++;
        total += bytes;
        ns.transmit.mine += count;
        pending -= count;
    }
    if (pending == all) return;
    ring_release(&ns.transmit);
    ns.count[NS_SENT_FRAMES] += frames;
    ns.count[NS_SENT_BYTES] += total;
}

// The k-th of the sent frames that go back to the client; ns_sent_end() ends them. There is room, unless the client has broken the ring.
static inline void ns_sent(uint32_t k, uint32_t cookie) {
    ns.shared->sent[(ns.sent.mine + k) % NET_RING] = cookie;
}
static inline void ns_sent_end(uint32_t n) {
    uint32_t room = ns.sent_room < n ? ns.sent_room : n;
    ns.sent.mine += room;
    ns.sent_room -= room;
}

// The k-th of the received fragments that go to the client, k < ns.receive_room; ns_received_end() ends them.
static inline void ns_received(uint32_t k, uint32_t buffer, uint32_t start, uint32_t length,
                               uint32_t flags) {
    struct net_receive *r = &ns.shared->receive[(ns.receive.mine + k) % NET_RING];
    keep_base(r);
    r->buffer = buffer;
    r->start = (uint16_t)start;
    r->length = (uint16_t)length;
    r->flags = (uint16_t)flags;
}
static inline void ns_received_end(uint32_t n, uint32_t frames, uint32_t bytes) {
    ns.receive.mine += n;
    ns.receive_room -= n;
    ns.count[NS_RECEIVED_FRAMES] += frames;
    ns.count[NS_RECEIVED_BYTES] += bytes;
}

static void ns_tell(void) {
    for (uint32_t i = 0; i < NS_COUNTERS; i++)
        if (ns.count[i] != ns.told[i]) sasos_counter(i, ns.told[i] = ns.count[i]);
    ns.tell_at += NS_TELL_NS;
    sasos_timer(ns.tell_at);
}

// The client's channel. 0 or an error.
static int ns_open(void) {
    ns.address = sasos_chan_map(0);
    ns.size = sasos_chan_size(0);
    if (!ns.address || ns.size < NET_DATA + NET_BUFFER) {
        log_line("there is no client, or its channel has no room for buffers");
        return E_INVAL;
    }
    ns.shared = (struct net_channel *)(uintptr_t)ns.address;
    ns.tell_at = sasos_time_ns(); // the only look at the clock: data have to do with none
    ns_tell();
    return 0;
}

// The round is over. `news`: there is something for the client.
static void ns_done(bool news) {
    ring_publish(&ns.sent);
    ring_publish(&ns.receive);
    ring_release(&ns.post);
    if (ns.transmit.broken || ns.sent.broken || ns.post.broken || ns.receive.broken)
        ns_refuse("broke a ring", 0);
    if (news) sasos_chan_signal(0);
}

// ---- the class's calls ----

int32_t SASOS_EXPORT(net_attach)(void) {
    ns.attached = false;
    ns.signals = 0;
    ns.failed = device_restart() != 0; // the reset is what takes back the buffers of an earlier life
    if (ns.failed) return E_IO;
    struct net_channel *s = ns.shared;
    struct {
        struct ring *ring;
        struct ring_shared *shared;
    } rings[] = {{&ns.transmit, &s->transmit_ring},
                 {&ns.sent, &s->sent_ring},
                 {&ns.post, &s->post_ring},
                 {&ns.receive, &s->receive_ring}};
    for (uint32_t i = 0; i < 4; i++) {
        rings[i].shared->head = rings[i].shared->tail = 0;
        ring_init(rings[i].ring, rings[i].shared, NET_RING);
    }
    ns_describe();
    ns.attached = true;
    return 0;
}

int32_t SASOS_EXPORT(net_submit)(void) {
    device_work();
    return ns.failed ? E_IO : ns.attached ? 0 : E_INVAL;
}
#endif
