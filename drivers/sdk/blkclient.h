// blkclient.h — the client's side of the block class (blk.h): requests in flight, and what happens to them when the driver dies.
//
// Included by at most one source of a module, whose manifest imports blk.blk_submit and blk.blk_attach, and whose configuration connects the
// namespace blk. One `struct bc` is one disk. A request has a number of its own (`tag`), which comes back with its result. Nothing here
// allocates or calls back; only bc_open() and bc_wait() block.
//
// A driver that dies takes with it what it had not answered. The client then waits for the next life of the channel (chan_generation()),
// attaches, and sends again whatever has no result: reads and writes can be repeated. So results are never lost and never come twice, as long
// as requests in flight do not overlap where one of them writes. An answered write is on the medium, or in its cache until a flush, whatever
// becomes of the driver. A driver that is gone for good ends the waiting with E_PEER; one that breaks the rules of the rings, with E_IO.
#ifndef SASOS_BLKCLIENT_H
#define SASOS_BLKCLIENT_H
#include "drivers/sdk/blk.h"

__attribute__((import_module("blk"), import_name("blk_submit"))) int32_t blk_submit(void);
__attribute__((import_module("blk"), import_name("blk_attach"))) int32_t blk_attach(void);

#define BC_DEPTH BLK_RING // requests in flight, at most

struct bc {
    // for the owner to read
    uint64_t sectors;
    uint32_t flags;   // enum blk_flags
    uint32_t block;   // sectors: a request's sector and count are multiples of it
    uint32_t address; // of the channel; data lie at `buffer` bytes from it, BLK_DATA or more
    uint32_t size;
    uint32_t in_flight;
    uint32_t lives; // how often the driver was found to be another one
    // private
    struct blk_channel *shared;
    struct ring requests, completions;
    uint32_t channel;
    int32_t generation; // that we are attached to, 0: none
    bool unsent;        // requests are in the ring that blk_submit() has not been called for
    struct {
        struct blk_request r; // its cookie is the slot
        uint32_t tag;
        bool busy;
    } slot[BC_DEPTH];
    uint8_t free[BC_DEPTH]; // slots that are not busy: BC_DEPTH − in_flight
};

static inline void bc_put(struct bc *c, uint32_t slot) {
    struct blk_request *entry = &c->shared->request[ring_slot(&c->requests)];
    keep_base(entry);
    *entry = c->slot[slot].r;
    ring_produced(&c->requests);
    c->unsent = true;
}

// Attaches to the driver's present life, if that is not done. 0; E_AGAIN: there is none yet, or it must first finish what an earlier
// client began (SASOS_EVENT_CHANNEL tells when to try again); or an error that stays.
static int32_t bc_attach(struct bc *c) {
    int32_t now = sasos_chan_generation(c->channel);
    if (now < 0) return now;
    if (now == c->generation) return 0;
    c->generation =
        0; // from here on the rings may be anything: a driver can die in the middle of attaching
    int32_t error = blk_attach();
    if (error == E_DEAD || error == E_AGAIN) return E_AGAIN;
    if (error) return error;
    ring_init(&c->requests, &c->shared->request_ring, BLK_RING);
    ring_init(&c->completions, &c->shared->completion_ring, BLK_RING);
    c->generation = now;
    c->lives++;
    c->sectors = c->shared->info.sectors;
    c->flags = c->shared->info.flags;
    c->block = c->shared->info.block;
    for (uint32_t i = 0; i < BC_DEPTH; i++)
        if (c->slot[i].busy) bc_put(c, i);
    return 0;
}

static inline bool bc_full(const struct bc *c) { return c->in_flight == BC_DEPTH; }

// Queues a request; bc_send() tells the driver of all that were. Not when bc_full().
static inline void bc_queue(struct bc *c, enum blk_op op, uint64_t sector, uint32_t count,
                            uint32_t buffer, uint32_t tag) {
    uint32_t s = c->free[BC_DEPTH - ++c->in_flight];
    c->slot[s].r = (struct blk_request){
        .op = op, .cookie = s, .sector = sector, .count = count, .buffer = buffer};
    c->slot[s].tag = tag;
    c->slot[s].busy = true;
    if (c->generation) bc_put(c, s); // else when it attaches
}

// 0, or an error that stays. A driver that is dead meanwhile is no error: see bc_wait().
static int32_t bc_send(struct bc *c) {
    for (int tries = 0; c->unsent && tries < 2; tries++) {
        c->unsent = false;
        int32_t error = blk_submit();
        if (!error) break;
        if (error != E_DEAD) return error;
        c->generation = 0;
        error = bc_attach(c); // it may live again already
        if (error && error != E_AGAIN) return error;
    }
    return 0;
}

// Takes a result: 1 and what it is, 0: there is none now, or an error that stays.
static int32_t bc_next(struct bc *c, uint32_t *out_tag, int32_t *out_status) {
    if (!c->generation || !ring_pending(&c->completions)) return c->completions.broken ? E_IO : 0;
    struct blk_completion done = c->shared->completion[ring_slot(&c->completions)];
    ring_consumed(&c->completions);
    if (done.cookie >= BC_DEPTH || !c->slot[done.cookie].busy)
        return E_IO; // an answer to no question
    c->slot[done.cookie].busy = false;
    c->free[BC_DEPTH - c->in_flight--] = (uint8_t)done.cookie;
    *out_tag = c->slot[done.cookie].tag;
    *out_status = done.status;
    return 1;
}

// Blocks until bc_next() has something, the time is over (0), or an error that stays. Negative time: for ever.
static int32_t bc_wait(struct bc *c, int64_t timeout_ns) {
    int64_t end = timeout_ns < 0 ? INT64_MAX : sasos_time_ns() + timeout_ns;
    for (;;) {
        if (c->generation && ring_pending(&c->completions)) return 1;
        if (c->completions.broken) return E_IO;
        int32_t error = bc_attach(c);
        if (!error) error = bc_send(c);
        if (error && error != E_AGAIN) return error;
        if (c->generation && ring_pending(&c->completions)) return 1;
        int64_t left = timeout_ns < 0 ? -1 : end - sasos_time_ns();
        if (timeout_ns >= 0 && left <= 0) return 0;
        int32_t events = sasos_wait(SASOS_EVENT_CHANNEL(c->channel), left);
        if (events < 0) return events;
    }
}

// Waits until the driver of that channel is there. 0, E_INVAL: no such channel, or too small; E_AGAIN: not in time; or another error.
static int32_t bc_open(struct bc *c, uint32_t channel, int64_t timeout_ns) {
    int64_t end = timeout_ns < 0 ? INT64_MAX : sasos_time_ns() + timeout_ns;
    *c = (struct bc){
        .channel = channel, .address = sasos_chan_map(channel), .size = sasos_chan_size(channel)};
    if (!c->address || c->size < BLK_DATA) return E_INVAL;
    c->shared = (struct blk_channel *)(uintptr_t)c->address;
    for (uint32_t i = 0; i < BC_DEPTH; i++) c->free[i] = (uint8_t)i;
    for (;;) {
        int32_t error = bc_attach(c);
        if (!error && c->shared->info.version != BLK_INFO_VERSION) error = E_INVAL;
        if (error != E_AGAIN) return error;
        int64_t left = timeout_ns < 0 ? -1 : end - sasos_time_ns();
        if (timeout_ns >= 0 && left <= 0) return E_AGAIN;
        int32_t events = sasos_wait(SASOS_EVENT_CHANNEL(channel), left);
        if (events < 0) return events;
    }
}
#endif
