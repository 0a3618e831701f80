// sock.h — the sockets class: what a network stack (apps/lwip) gives to its clients, by calls with scalar arguments and one channel a client.
//
// Calls are the stack's exports and never block. A result is ≥ 0, or an error of abi.h or enum sock_error; E_AGAIN says: not now, wait.
// Which client calls the stack learns from the kernel, so a handle means nothing in another client's hands. Data and addresses lie in
// the client's channel, in the space from SOCK_DATA to its end, which is the client's alone to use: `at` arguments are offsets in the
// channel. The stack copies during the call: when it returns, the space is the client's again.
//
// Waiting. state[index] holds the SOCK_* bits that are true now (index = SOCK_INDEX(handle)); the stack keeps it up to date, also during a
// call. When a bit becomes true outside a call, the index is put into the ready ring (at most once until taken) and the channel is
// signalled, once a batch. So a client looks at state[] without any call; if nothing suits, it calls sock_flush(), waits for
// SASOS_EVENT_CHANNEL(n), takes what is in the ready ring, and looks again: sock_wait() below is that loop for one socket.
// What sock_send() and the like queue leaves at the latest with sock_flush(): whoever is about to wait calls it first.
//
// Life. A client calls sock_attach() once before anything else: all that it had before is closed, and both rings' indices are zero. At a
// client's death all its sockets are closed. At the stack's death every call gives E_DEAD until it is back; then chan_generation() of the channel
// has changed, every handle gives E_NOENT, and the client starts over with sock_attach(): TCP connections do not survive the *stack's* death
// (they do survive the network driver's). Closing a connection with unread data, and every abortive end, sends RST.
//
// Quota: SOCK_MAX handles a client; a client's buffers inside the stack are limited too: sock_send() then takes less, or says E_AGAIN.
#ifndef SASOS_SOCK_H
#define SASOS_SOCK_H
#include "drivers/sdk/ring.h"

#define SOCK_MAX 2048u   // handles of one client
#define SOCK_RING 4096u  // entries of the ready ring
#define SOCK_DATA 16384u // offset of the client's space in the channel
#define SOCK_INFO_VERSION \
    0x316b6373u // "sck1": a client can tell by it which of its channels this is
#define SOCK_INDEX(handle) ((uint32_t)(handle)&0xffffu)

enum sock_type { SOCK_STREAM = 1, SOCK_DGRAM = 2 };
enum sock_state { // bits of state[index]
    SOCK_READABLE = 1, // recv has data or the end of the stream; accept has a connection; a datagram is there
    SOCK_WRITABLE = 2, // connected, and send would take something
    SOCK_EOF = 4,      // the peer has closed its direction; what it sent before may still be unread
    SOCK_ERROR = 8,    // the connection is dead: every call on it says why, until it is closed
};
enum sock_error { // besides those of abi.h: E_AGAIN, E_INVAL, E_NOENT (no such handle), E_NOMEM (quota), E_FAULT (range outside the space)
    SOCK_E_REFUSED = -40,
    SOCK_E_RESET = -41,
    SOCK_E_TIMEOUT = -42,
    SOCK_E_IN_USE = -43,
    SOCK_E_UNREACHABLE = -44,
    SOCK_E_NOT_CONNECTED = -45,
    SOCK_E_CONNECTED = -46, // already
    SOCK_E_TOO_LONG = -47,  // a datagram
    SOCK_E_SHUT = -48,      // sending after shutdown
    SOCK_E_NO_NAME = -49,   // the name does not exist, or no server answers
};
enum sock_how { SOCK_SHUT_RECEIVE = 1, SOCK_SHUT_SEND = 2 };
enum sock_option { SOCK_NODELAY = 1, SOCK_KEEPALIVE = 2, SOCK_BROADCAST = 3, SOCK_V6ONLY = 4 };
enum sock_flags { SOCK_PEEK = 1 }; // of recv

struct sock_address { // family 4: ip[0…3]; 6: all of it. Port in host order. Family 0 in bind: any address of both families.
    uint8_t family, pad;
    uint16_t port;
    uint8_t ip[16];
};
_Static_assert(sizeof(struct sock_address) == 20, "shared layout");

struct sock_channel {
    struct {                       // written by the stack
        volatile uint32_t version; // SOCK_INFO_VERSION once the stack is ready
        volatile uint32_t changes; // counts changes of what follows; odd while one is being made
        volatile uint32_t link_up, mtu;
        uint8_t mac[6], pad0[2];
        struct sock_address address4, gateway4, dns; // family 0: none (yet)
        struct sock_address address6[3];             // valid ones
        uint8_t prefix4, pad1[47];
    } info;
    struct ring_shared ready_ring;
    uint16_t ready[SOCK_RING];        // indices
    volatile uint8_t state[SOCK_MAX]; // SOCK_* bits
};
_Static_assert(offsetof(struct sock_channel, ready_ring) % 64 == 0, "lines of their own");
_Static_assert(sizeof(struct sock_channel) <= SOCK_DATA, "the client's space follows");

// The calls. In a manifest: `import sock.sock_open` and so on, for those that are used; in the configuration: connect sock lwip 1M.
#ifndef SOCK_CALL // the stack itself makes them exports
#define SOCK_CLIENT
#define SOCK_CALL(name) __attribute__((import_module("sock"), import_name(#name))) int32_t name
#endif
SOCK_CALL(sock_attach)(void);        // 0; see Life
SOCK_CALL(sock_open)(uint32_t type); // a handle
// Port 0: some free one. Connecting and listening sockets need not be bound before.
SOCK_CALL(sock_bind)(int32_t s, uint32_t address_at);
SOCK_CALL(sock_listen)(int32_t s, uint32_t backlog);
// The new connection's handle; the peer's address is stored unless address_at is 0.
SOCK_CALL(sock_accept)(int32_t s, uint32_t address_at);
// E_AGAIN: under way, wait for WRITABLE or ERROR. For datagrams: fixes the peer, 0.
SOCK_CALL(sock_connect)(int32_t s, uint32_t address_at);
// Bytes taken, 1 … n, or E_AGAIN; a datagram is taken as a whole.
SOCK_CALL(sock_send)(int32_t s, uint32_t at, uint32_t n);
SOCK_CALL(sock_send_to)(int32_t s, uint32_t at, uint32_t n, uint32_t address_at);
// Bytes; 0: the peer has finished. Of datagrams exactly one, cut off at n; flags: enum sock_flags.
SOCK_CALL(sock_recv)(int32_t s, uint32_t at, uint32_t n, uint32_t flags);
SOCK_CALL(sock_recv_from)(int32_t s, uint32_t at, uint32_t n, uint32_t flags, uint32_t address_at);
SOCK_CALL(sock_shutdown)(int32_t s, uint32_t how);
SOCK_CALL(sock_close)(int32_t s); // the handle is gone at once; what was sent is still delivered
SOCK_CALL(sock_option)(int32_t s, uint32_t option, uint32_t value);
SOCK_CALL(sock_name)(int32_t s, uint32_t peer, uint32_t address_at); // own address, or the peer's
SOCK_CALL(sock_error)(int32_t s); // the error of a socket with SOCK_ERROR, else 0
// Looks a name up (family 4, 6, or 0: whatever comes first): 1 and an address. E_AGAIN: asked; wait for the channel's event and call again
// with the same name. One at a time for each client.
SOCK_CALL(sock_resolve)(uint32_t name_at, uint32_t n, uint32_t family, uint32_t address_at);
SOCK_CALL(sock_flush)(void);

#ifdef SOCK_CLIENT
struct sock_client {
    struct sock_channel *shared;
    struct ring ready;
    uint32_t number, size; // of the channel
};

// Finds the channel by what the stack wrote there, and attaches. 0, E_NOENT (no stack at any channel), or an error.
static inline int32_t sock_client_open(struct sock_client *c) {
    for (uint32_t i = 0; i < (uint32_t)sasos_chan_count(); i++) {
        struct sock_channel *shared = (struct sock_channel *)(uintptr_t)sasos_chan_map(i);
        if (sasos_chan_size(i) <= SOCK_DATA || shared->info.version != SOCK_INFO_VERSION) continue;
        *c = (struct sock_client){.shared = shared, .number = i, .size = sasos_chan_size(i)};
        int32_t error = sock_attach();
        ring_init(&c->ready, &shared->ready_ring, SOCK_RING);
        return error;
    }
    return E_NOENT;
}

static inline uint32_t sock_state(const struct sock_client *c, int32_t s) {
    return c->shared->state[SOCK_INDEX(s) % SOCK_MAX];
}

// Index of a socket of which something became true, -1: no more. An index is a hint: look at its state.
static inline int32_t sock_next_ready(struct sock_client *c) {
    if (!ring_pending(&c->ready)) return -1;
    uint32_t index = c->shared->ready[ring_slot(&c->ready)];
    ring_consumed(&c->ready);
    return (int32_t)(index % SOCK_MAX);
}

// Blocks until one of `bits` (or ERROR) is true of the socket: its state. 0: the time is over. Takes and drops what is in the ready ring.
static inline uint32_t sock_wait(struct sock_client *c, int32_t s, uint32_t bits, int64_t timeout_ns) {
    for (bool over = false;;) {
        while (sock_next_ready(c) >= 0)
            ;
        uint32_t state = sock_state(c, s);
        if (state & (bits | SOCK_ERROR)) return state;
        if (over || sock_flush() < 0) return 0;
        over = sasos_wait(SASOS_EVENT_CHANNEL(c->number), timeout_ns) <= 0;
    }
}
#endif
#endif
