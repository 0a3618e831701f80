// netserve.h — the server's side of the network class (net.h): what every network driver does alike, whatever its device is.
//
// Included by exactly one source of a driver; it gives the module its exports net_attach() and net_submit(). A device has one client. The
// driver calls ns_open() at its start and ns_describe() when the device works; whenever there may be something to do it moves what the
// device has received and sent (ns_sent()), calls ns_transmit(), which gives it frame after frame by device_send(), posts the buffers that
// ns_buffer() finds, and ends with ns_done(). The manifest's first counters are those of enum ns_counter.
// Not trusted: what the client puts into its rings, checked here from private copies; a bad entry ends the client's use until it attaches again.
#ifndef SASOS_NETSERVE_H
#define SASOS_NETSERVE_H
#include "drivers/sdk/net.h"

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
    int64_t count[NS_COUNTERS], told[NS_COUNTERS];
} ns;

// ---- supplied by the driver ----
static int device_restart(void); // from whatever state to a device that works, all queues empty. 0 or an error
static void device_describe(void);       // fills in ns.shared->info, all but the version
static bool device_room(uint32_t count); // for a frame of so many fragments, and for its answer
static bool device_send(uint32_t count); // the frame of ns_fragment(0 … count − 1). False: it cannot be sent, nothing is changed
static void device_work(void); // all there is to do, on the client's call

// ---- for the driver ----

// The client's channel. 0 or an error.
static int ns_open(void) {
    ns.address = sasos_chan_map(0);
    ns.size = sasos_chan_size(0);
    if (!ns.address || ns.size < NET_DATA + NET_BUFFER) {
        log_line("there is no client, or its channel has no room for buffers");
        return E_INVAL;
    }
    ns.shared = (struct net_channel *)(uintptr_t)ns.address;
    return 0;
}

static void ns_describe(void) {
    device_describe();
    barrier_compiler();
    ns.shared->info.version = NET_INFO_VERSION;
}

static void ns_refuse(const char *why, uint32_t value) {
    log_line("the client %s (%u): not served until it attaches again", why, value);
    ns.attached = false;
}

static inline bool ns_in_channel(uint32_t buffer, uint32_t length) {
    return buffer >= NET_DATA && length && buffer <= ns.size && length <= ns.size - buffer;
}

// The next empty buffer that the client has posted. False: there is none.
static inline bool ns_buffer(uint32_t *out_buffer) {
    if (!ns.attached || !ring_pending(&ns.post)) return false;
    uint32_t buffer = *(volatile uint32_t *)&ns.shared->post[ring_slot(&ns.post)];
    ring_consumed(&ns.post);
    if (!ns_in_channel(buffer, NET_BUFFER)) {
        ns_refuse("posted a buffer outside the channel", buffer);
        return false;
    }
    *out_buffer = buffer;
    return true;
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
    uint32_t pending;
    while (ns.attached && (pending = ring_pending(&ns.transmit)) != 0) {
        uint32_t count = 1, most = pending < NET_FRAGMENTS_MAX ? pending : NET_FRAGMENTS_MAX;
        while (count <= most &&
               ns.shared->transmit[(ns.transmit.mine + count - 1) & (NET_RING - 1)].flags & NET_MORE)
            count++;
        if (count > most) {
            if (most < pending) ns_refuse("made a frame of too many fragments", count);
            return; // else the rest of the frame is still to come
        }
        if (!device_room(count)) return;
        if (!device_send(count)) {
            ns_refuse("made a frame that cannot be sent, fragments", count);
            return;
        }
        ring_consumed_many(&ns.transmit, count);
    }
}

// A sent frame goes back to the client.
static inline void ns_sent(uint32_t cookie) {
    if (!ns.attached || !ring_space(&ns.sent))
        return; // no room: only when the client has broken it
    ns.shared->sent[ring_slot(&ns.sent)] = cookie;
    ring_produced(&ns.sent);
}

// `news`: there is something for the client.
static void ns_done(bool news) {
    if (ns.transmit.broken || ns.sent.broken || ns.post.broken || ns.receive.broken)
        ns_refuse("broke a ring", 0);
    if (news) sasos_chan_signal(0);
    for (uint32_t i = 0; i < NS_COUNTERS; i++)
        if (ns.count[i] != ns.told[i]) sasos_counter(i, ns.told[i] = ns.count[i]);
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
