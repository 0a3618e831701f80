// netload.c — load on a network device: sends, receives or sends back frames of one size in batches, and says how long it took.
//
// Arguments: one measurement each, "OP:SIZE:BATCH:COUNT". OP is
//   tx       sends COUNT frames, BATCH with each call of the driver, and waits only when all buffers are in its hands, and for the last
//   rx       receives COUNT frames, with all buffers posted; BATCH is the other side's
//   forward  receives COUNT frames and sends each back from the buffer in which it came
// SIZE is the frame's, 64 to 1514 bytes, without FCS. The result is one line "cell tx:64:32:1000 ns=… errors=…"; a frame is wrong when the number
// in it (from byte 16 on, little endian) is not the one that is next; the first that comes may have any. The number of channels is asked
// for exactly twice for each measurement, around it: there instructions are counted, since a driver asks for the time too, but not for that.
// Channel 0 is the device (drivers/sdk/net.h).
#include "bench/apps/cells.h"
#include "drivers/sdk/net.h"

__attribute__((import_module("net"), import_name("net_attach"))) int32_t net_attach(void);
__attribute__((import_module("net"), import_name("net_submit"))) int32_t net_submit(void);

#define BUFFERS 256u
#define SIGNALLED 64u // tx: one frame in so many asks for a signal: a wait ends before all are sent
#define NUMBER_AT 16u
#define TIMEOUT_NS (10ll * 1000000000)

enum op { TX, RX, FORWARD };
struct cell {
    enum op op;
    uint32_t size, batch, count;
};
static struct {
    struct net_channel *shared;
    struct ring transmit, sent, post, receive;
    uint32_t free_count, free_buffer[BUFFERS];
    uint32_t done, errors, next; // frames; next: the number expected or sent
    bool came;                   // any frame
} net;

static uint32_t *number_of(uint32_t buffer, uint32_t start) {
    return (uint32_t *)(uintptr_t)((uintptr_t)net.shared + buffer + start + NUMBER_AT);
}

static void put_frame(uint32_t buffer, uint32_t start, uint32_t length, uint32_t flags) {
    struct net_transmit *entry = &net.shared->transmit[ring_slot(&net.transmit)];
    keep_base(entry);
    *entry = (struct net_transmit){.buffer = buffer + start,
                                   .length = (uint16_t)length,
                                   .flags = (uint16_t)flags,
                                   .cookie = buffer};
    ring_produced(&net.transmit);
}

static void post_buffer(uint32_t buffer) {
    net.shared->post[ring_slot(&net.post)] = buffer;
    ring_produced(&net.post);
}

static void take_sent(const struct cell *c) {
    while (ring_pending(&net.sent)) {
        uint32_t buffer = net.shared->sent[ring_slot(&net.sent)];
        ring_consumed(&net.sent);
        if (c->op == FORWARD)
            post_buffer(buffer);
        else
            net.free_buffer[net.free_count++ % BUFFERS] = buffer;
        net.done++;
    }
}

static void take_received(const struct cell *c) {
    while (ring_pending(&net.receive)) {
        const struct net_receive *entry = &net.shared->receive[ring_slot(&net.receive)];
        keep_base(entry);
        struct net_receive r = *entry;
        ring_consumed(&net.receive);
        uint32_t *number = number_of(r.buffer, r.start);
        if (r.length != c->size || (*number != net.next && net.came)) net.errors++;
        net.next = *number + 1;
        net.came = true;
        if (c->op == FORWARD) {
            put_frame(r.buffer, r.start, r.length, 0);
        } else {
            post_buffer(r.buffer);
            net.done++;
        }
    }
}

static void send_batch(const struct cell *c) {
    for (uint32_t i = 0; i < c->batch && net.free_count && net.next < c->count; i++) {
        uint32_t buffer = net.free_buffer[--net.free_count];
        *number_of(buffer, 0) = net.next++;
        bool asks = net.next % SIGNALLED == 0 || net.next == c->count;
        put_frame(buffer, 0, c->size, asks ? NET_SIGNAL : 0);
    }
}

static int32_t attach(const struct cell *c) {
    int32_t error = net_attach();
    if (error) return error;
    ring_init(&net.transmit, &net.shared->transmit_ring, NET_RING);
    ring_init(&net.sent, &net.shared->sent_ring, NET_RING);
    ring_init(&net.post, &net.shared->post_ring, NET_RING);
    ring_init(&net.receive, &net.shared->receive_ring, NET_RING);
    net.free_count = net.done = net.errors = net.next = 0;
    net.came = false;
    for (uint32_t i = 0; i < BUFFERS; i++) {
        uint32_t buffer = NET_DATA + i * NET_BUFFER;
        if (c->op == TX)
            net.free_buffer[net.free_count++] = buffer;
        else
            post_buffer(buffer);
    }
    return 0;
}

static int32_t pass(const struct cell *c) {
    while (net.done < c->count) {
        if (c->op == TX) send_batch(c);
        int32_t error = net_submit();
        if (error) return error;
        bool more = c->op == TX && net.free_count && net.next < c->count;
        if (!more && !ring_pending(&net.receive) && !ring_pending(&net.sent) &&
            sasos_wait(SASOS_EVENT_CHANNEL(0), TIMEOUT_NS) <= 0)
            return E_IO;
        take_sent(c);
        take_received(c);
        if (net.sent.broken || net.receive.broken) return E_PEER;
    }
    return 0;
}

// ---- what to do ----
static bool parse(const char *text, struct cell *out) {
    const char *at = text;
    if (cell_word(&at, "tx"))
        out->op = TX;
    else if (cell_word(&at, "rx"))
        out->op = RX;
    else if (cell_word(&at, "forward"))
        out->op = FORWARD;
    else
        return false;
    out->size = cell_number(&at);
    out->batch = cell_number(&at);
    out->count = cell_number(&at);
    return out->size >= 64 && out->size <= NET_FRAME_MAX && out->batch &&
           out->batch <= BUFFERS / 2 && out->count && *at == 0;
}

static int32_t measure(const char *text) {
    struct cell c;
    if (!parse(text, &c)) {
        log_line("cannot do %s: OP:SIZE:BATCH:COUNT", text);
        return 1;
    }
    int32_t error = attach(&c);
    sasos_chan_count();
    int64_t before = sasos_time_ns();
    if (!error) error = pass(&c);
    int64_t ns = sasos_time_ns() - before;
    sasos_chan_count();
    log_line("cell %s ns=%ld errors=%u", text, ns, net.errors);
    if (error) log_line("stopped by error %d after %u frames", error, net.done);
    return error || net.errors;
}

int32_t SASOS_EXPORT(app_main)(void) {
    net.shared = (struct net_channel *)(uintptr_t)sasos_chan_map(0);
    if (!net.shared || sasos_chan_size(0) < NET_DATA + BUFFERS * NET_BUFFER ||
        net.shared->info.version != NET_INFO_VERSION) {
        log_line("channel 0 is no network device that is ready, or too small");
        return 1;
    }
    return cells(measure);
}
