// net-echo.c — a client of the network class: sends every frame back where it came from, from the buffer in which it was received.
//
// Frames are counted by their EtherType (0x88b5, local experimental, "IEEE 802 local 1"): byte 14 says what to do: 'e', 'k' echo, 'q' echo and end, 'a' attach again
// (what is in flight is lost) and then echo, 'b' send it with a fragment outside the channel: the driver must refuse that. Others are dropped. Exit status: 0, or 1 with a
// line that says what was wrong. Arguments: "split": frames are sent as two fragments.
#include "drivers/sdk/net.h"

__attribute__((import_module("net"), import_name("net_attach"))) int32_t net_attach(void);
__attribute__((import_module("net"), import_name("net_submit"))) int32_t net_submit(void);

#define BUFFERS 256u
#define TIMEOUT_NS (20ll * 1000000000)

static struct {
    struct net_channel *shared;
    struct ring transmit, sent, post, receive;
    bool posted[BUFFERS]; // by us, in the driver's hands
    bool split, over;
    uint32_t echoed, dropped, submits, events;
} echo;

static int fail(const char *what, int64_t value) {
    log_line("%s (%ld)", what, value);
    return 1;
}

static void post(uint32_t i) {
    echo.shared->post[ring_slot(&echo.post)] = NET_DATA + i * NET_BUFFER;
    ring_produced(&echo.post);
    echo.posted[i] = true;
}

static int attach(void) {
    int32_t error = net_attach();
    if (error) return fail("net_attach says", error);
    ring_init(&echo.transmit, &echo.shared->transmit_ring, NET_RING);
    ring_init(&echo.sent, &echo.shared->sent_ring, NET_RING);
    ring_init(&echo.post, &echo.shared->post_ring, NET_RING);
    ring_init(&echo.receive, &echo.shared->receive_ring, NET_RING);
    for (uint32_t i = 0; i < BUFFERS; i++) post(i);
    error = net_submit();
    return error ? fail("net_submit says", error) : 0;
}

static void send_fragment(uint32_t buffer, uint32_t length, uint16_t flags, uint32_t cookie) {
    echo.shared->transmit[ring_slot(&echo.transmit)] = (struct net_transmit){
        .buffer = buffer, .length = (uint16_t)length, .flags = flags, .cookie = cookie};
    ring_produced(&echo.transmit);
}

static void answer(uint32_t i, uint32_t at, uint32_t length) {
    uint8_t *f = (uint8_t *)echo.shared + at;
    for (uint32_t k = 0; k < 6; k++) {
        uint8_t t = f[k];
        f[k] = f[6 + k], f[6 + k] = t;
    }
    if (echo.split && length > 20) {
        send_fragment(at, 20, NET_MORE | NET_SIGNAL, i);
        send_fragment(at + 20, length - 20, 0, 0);
    } else {
        send_fragment(at, length, NET_SIGNAL, i);
    }
    echo.echoed++;
}

// One received frame. 0, or 1: something is wrong; 2: attach again.
static int handle(void) {
    struct net_receive r = echo.shared->receive[ring_slot(&echo.receive)];
    barrier_compiler();
    ring_consumed(&echo.receive);
    uint32_t i = (r.buffer - NET_DATA) / NET_BUFFER;
    if (r.buffer < NET_DATA || (r.buffer - NET_DATA) % NET_BUFFER || i >= BUFFERS || !echo.posted[i])
        return fail("the driver returned a buffer that it does not have", r.buffer);
    echo.posted[i] = false;
    if (r.flags & NET_MORE || r.start + r.length > NET_BUFFER)
        return fail("the driver says a length of", r.length);
    const uint8_t *f = (const uint8_t *)echo.shared + r.buffer + r.start;
    if (r.length < 15 || f[12] != 0x88 || f[13] != 0xb5) {
        echo.dropped++;
        post(i);
        return 0;
    }
    if (f[14] == 'a') return 2;
    if (f[14] == 'b') {
        send_fragment(0, 64, 0, i);
        int32_t error = net_submit();
        return error == E_INVAL ? 2 : fail("a fragment outside the channel was taken", error);
    }
    echo.over |= f[14] == 'q';
    answer(i, r.buffer + r.start, r.length);
    return 0;
}

static int turn(void) {
    while (ring_pending(&echo.sent)) {
        uint32_t i = echo.shared->sent[ring_slot(&echo.sent)];
        ring_consumed(&echo.sent);
        if (i >= BUFFERS || echo.posted[i]) return fail("the driver sent what it does not have", i);
        post(i);
    }
    while (ring_pending(&echo.receive) && ring_space(&echo.transmit) >= 2) {
        int result = handle();
        if (result == 1) return 1;
        if (result == 2 && attach()) return 1;
    }
    if (echo.receive.broken || echo.sent.broken) return fail("the driver broke a ring", 0);
    echo.submits++;
    int32_t error = net_submit();
    return error ? fail("net_submit says", error) : 0;
}

int32_t SASOS_EXPORT(app_main)(void) {
    char word[8];
    echo.split = sasos_arg(0, word, sizeof(word)) == 5;
    echo.shared = (struct net_channel *)(uintptr_t)sasos_chan_map(0);
    if (!echo.shared || sasos_chan_size(0) < NET_DATA + BUFFERS * NET_BUFFER)
        return fail("the channel is too small", sasos_chan_size(0));
    if (echo.shared->info.version != NET_INFO_VERSION) return fail("the driver is not ready", 0);
    if (attach()) return 1;
    log_line("ready");
    while (!echo.over) {
        if (sasos_wait(SASOS_EVENT_CHANNEL(0), TIMEOUT_NS) <= 0)
            return fail("no frame came for a long time", 0);
        echo.events++;
        if (turn()) return 1;
    }
    sasos_wait(SASOS_EVENT_CHANNEL(0), 1000000000); // the last frame's
    log_line("%u frames echoed, %u dropped, %u events, %u submissions", echo.echoed, echo.dropped,
             echo.events, echo.submits);
    return 0;
}
