// netports.c — forwards frames from one network device to another, as a router or a filter does: each frame is looked at, copied from the one
// channel to the other (a driver's client owns the buffers, and two drivers share none), and sent.
//
// Arguments: one measurement each, "ports:SIZE:BATCH:COUNT": COUNT frames of SIZE bytes come on channel 0 and leave on channel 1, at most BATCH of them
// with one call of the driver. The result is one line "cell ports:64:32:1000 ns=… errors=…"; a frame is wrong when it has not the size, or when the number in it
// (from byte 16 on, little endian) does not follow the one before. The number of channels is asked for exactly twice for each
// measurement, around it, where instructions are counted.
#include "bench/apps/cells.h"
#include "drivers/sdk/net.h"

__attribute__((import_module("a"), import_name("net_attach"))) int32_t a_net_attach(void);
__attribute__((import_module("a"), import_name("net_submit"))) int32_t a_net_submit(void);
__attribute__((import_module("b"), import_name("net_attach"))) int32_t b_net_attach(void);
__attribute__((import_module("b"), import_name("net_submit"))) int32_t b_net_submit(void);

#define BUFFERS 256u
#define NUMBER_AT 16u
#define TIMEOUT_NS (10ll * 1000000000)

static struct {
    struct net_channel *in, *out;
    struct ring post, receive, transmit, sent;
    uint32_t free_count, free_buffer[BUFFERS]; // of `out`
    uint32_t size, batch, count, done, errors, next;
} net;

static uint8_t *at(struct net_channel *c, uint32_t offset) {
    return (uint8_t *)(uintptr_t)((uintptr_t)c + offset);
}

static void post_buffer(uint32_t buffer) {
    net.in->post[ring_slot(&net.post)] = buffer;
    ring_produced(&net.post);
}

static void take_sent(void) {
    while (ring_pending(&net.sent)) {
        net.free_buffer[net.free_count++ % BUFFERS] = net.out->sent[ring_slot(&net.sent)];
        ring_consumed(&net.sent);
    }
}

// One frame of the receive ring. Its driver's words are input: the copy stays within both buffers whatever they are.
static void forward(bool last) {
    struct net_receive r = net.in->receive[ring_slot(&net.receive)];
    ring_consumed(&net.receive);
    uint32_t number, place = r.buffer + r.start;
    net.done++;
    if (place < NET_DATA || place > NET_DATA + BUFFERS * NET_BUFFER - NET_FRAME_MAX) {
        net.errors++;
        return;
    }
    if (r.length != net.size) {
        net.errors++;
        post_buffer(r.buffer);
        return;
    }
    uint32_t to = net.free_buffer[--net.free_count];
    uint8_t *frame = at(net.out, to);
    __builtin_memcpy(frame, at(net.in, place), net.size);
    __builtin_memcpy(&number, frame + NUMBER_AT, 4);
    if (net.done > 1 && number != net.next) net.errors++;
    net.next = number + 1;
    net.out->transmit[ring_slot(&net.transmit)] = (struct net_transmit){
        .buffer = to, .length = (uint16_t)net.size, .flags = last ? NET_SIGNAL : 0, .cookie = to};
    ring_produced(&net.transmit);
    post_buffer(r.buffer);
}

// 0, or an error. The last batch is the second driver's when this ends.
static int32_t pass(void) {
    while (net.done < net.count) {
        uint32_t n = 0;
        take_sent();
        while (n < net.batch && net.free_count && net.done < net.count && ring_pending(&net.receive)) {
            forward(++n == net.batch || net.free_count == 1 || net.done + 1 == net.count);
        }
        int32_t error = n ? b_net_submit() : 0;
        if (!error) error = a_net_submit();
        if (error) return error;
        if (net.receive.broken || net.sent.broken) return E_PEER;
        if (n || (ring_pending(&net.receive) && net.free_count)) continue;
        if (sasos_wait(SASOS_EVENT_CHANNEL(0) | SASOS_EVENT_CHANNEL(1), TIMEOUT_NS) <= 0)
            return E_IO;
    }
    return 0;
}

static int32_t attach(void) {
    int32_t error = a_net_attach();
    if (!error) error = b_net_attach();
    ring_init(&net.post, &net.in->post_ring, NET_RING);
    ring_init(&net.receive, &net.in->receive_ring, NET_RING);
    ring_init(&net.transmit, &net.out->transmit_ring, NET_RING);
    ring_init(&net.sent, &net.out->sent_ring, NET_RING);
    net.free_count = net.done = net.errors = 0;
    for (uint32_t i = 0; i < BUFFERS; i++) {
        post_buffer(NET_DATA + i * NET_BUFFER);
        net.free_buffer[net.free_count++] = NET_DATA + i * NET_BUFFER;
    }
    return error;
}

// ---- what to do ----
static bool parse(const char *text) {
    if (!cell_word(&text, "ports")) return false;
    net.size = cell_number(&text);
    net.batch = cell_number(&text);
    net.count = cell_number(&text);
    return net.size >= 64 && net.size <= NET_FRAME_MAX && net.batch && net.batch <= BUFFERS / 2 &&
           net.count && *text == 0;
}

static int32_t measure(const char *text) {
    if (!parse(text)) {
        log_line("cannot do %s: ports:SIZE:BATCH:COUNT", text);
        return 1;
    }
    int32_t error = attach();
    sasos_chan_count();
    int64_t start = sasos_time_ns();
    if (!error) error = pass();
    int64_t ns = sasos_time_ns() - start;
    sasos_chan_count();
    log_line("cell %s ns=%ld errors=%u", text, ns, net.errors);
    if (error) log_line("stopped by error %d after %u frames", error, net.done);
    return error || net.errors;
}

static struct net_channel *channel(uint32_t n) {
    struct net_channel *c = (struct net_channel *)(uintptr_t)sasos_chan_map(n);
    bool good = c && sasos_chan_size(n) >= NET_DATA + BUFFERS * NET_BUFFER &&
                c->info.version == NET_INFO_VERSION;
    return good ? c : NULL;
}

int32_t SASOS_EXPORT(app_main)(void) {
    net.in = channel(0);
    net.out = channel(1);
    if (!net.in || !net.out) {
        log_line("channels 0 and 1 are no two network devices that are ready, or too small");
        return 1;
    }
    return cells(measure);
}
