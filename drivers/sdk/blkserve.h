// blkserve.h — the server's side of the block class (blk.h): what every block driver does alike, whatever its device is.
//
// Included by exactly one source of a driver; it gives the module its exports blk_attach() and blk_submit(). The driver describes its disk in `bs`,
// makes lanes (one for each queue of the device) and calls bs_open(); from then on it gets device_start() for each piece of work, in a
// free slot of a lane, and device_kick() once after a batch of them. It answers each slot once with bs_finish(), and
// ends a batch of answers with bs_answered(). A channel belongs to one lane for ever, so lanes share nothing but `bs`.
//
// A request that is longer than the device's largest transfer is cut into parts, one slot each; the first part's slot keeps the
// account. A request is accepted only when there are slots for all of its parts and room for its completion, so that completing
// never waits. Not trusted: requests (checked here, from a private copy) and ring indices (ring.h). A slot number that the device made up
// is found by bs_busy(), before bs_finish().
#ifndef SASOS_BLKSERVE_H
#define SASOS_BLKSERVE_H
#include "drivers/sdk/blk.h"

#define BS_SLOTS 128u // at most, in flight in one lane
#define BS_LANES SASOS_CHANNELS_MAX

struct bs_channel {
    _Alignas(64) struct blk_channel *shared; // aligned: a power of two bytes
    uint32_t address, size; // of the channel in our window, which is also the device's
    struct ring requests, completions;
    uint32_t in_flight, index, lane;
    bool attached; // its client knows this life of the driver
};

struct bs_slot {
    uint32_t cookie;
    int32_t status; // in a request's first slot: the worst of its parts
    uint8_t busy, channel;
    uint8_t first; // the request's first slot
    uint8_t left;  // in that one: parts not yet answered
    uint32_t pad;  // a power of two
};

struct bs_lane {
    uint32_t slots, free_count; // of `slots` in all
    uint8_t free_slot[BS_SLOTS];
    struct bs_slot slot[BS_SLOTS];
};

// One part of a request, checked: it lies in the medium and in the channel.
struct bs_work {
    uint32_t op;      // enum blk_op
    uint32_t address; // bus address of the data
    uint64_t sector;
    uint32_t count;  // sectors; a flush has none
    uint32_t offset; // of the data in the channel
};

static struct {
    uint64_t sectors;
    uint32_t block; // sectors in a block of the medium: a power of two
    uint32_t part;  // largest transfer in sectors, a multiple of block; BLK_COUNT_MAX: never cut
    bool read_only, can_flush, failed;
    uint32_t lanes, channels;
    uint32_t answered; // channels with completions that are not published yet
    struct bs_lane lane[BS_LANES];
    struct bs_channel channel[SASOS_CHANNELS_MAX];
} bs;

// ---- supplied by the driver ----
// Inlined, so that *w stays in registers.
__attribute__((always_inline)) static inline void
device_start(uint32_t lane, uint32_t slot, uint32_t channel, const struct bs_work *w);
static void device_kick(uint32_t lane); // tells the device of all that was started

// ---- for the driver ----

// A new lane; at most BS_SLOTS of `slots` are used.
static void bs_lane_open(uint32_t slots) {
    struct bs_lane *l = &bs.lane[bs.lanes++];
    l->slots = slots < BS_SLOTS ? slots : BS_SLOTS;
    l->free_count = 0;
    for (uint32_t s = l->slots; s-- > 0;) {
        l->slot[s].busy = 0;
        l->free_slot[l->free_count++] = (uint8_t)s; // the lowest is taken first
    }
}

static inline bool bs_busy(uint32_t lane, uint32_t slot) {
    return slot < bs.lane[lane].slots && bs.lane[lane].slot[slot].busy;
}

static inline void bs_complete(struct bs_channel *c, uint32_t cookie, int32_t status) {
    struct blk_completion *entry = &c->shared->completion[c->completions.mine++ % BLK_RING];
    keep_base(entry);
    *entry = (struct blk_completion){cookie, status};
    bs.answered |= 1u << c->index;
}

// The device is done with a busy slot. Clients see nothing of it before bs_answered().
static inline void bs_finish(uint32_t lane, uint32_t slot, int32_t status) {
    struct bs_lane *l = &bs.lane[lane];
    keep_base(l);
    struct bs_slot *s = &l->slot[slot], *first = s;
    keep_base(s);
    s->busy = 0;
    if (s->first != slot) {
        first = &l->slot[s->first];
        l->free_slot[l->free_count++] = (uint8_t)slot;
    }
    keep_base(first);
    if (status) first->status = status;
    if (--first->left) return;
    l->free_slot[l->free_count++] = s->first; // kept until now, for the account
    struct bs_channel *c = &bs.channel[s->channel];
    keep_base(c);
    c->in_flight--;
    bs_complete(c, first->cookie, first->status);
}

// Publishes the completions and wakes the clients that got some, each once.
static void bs_answered(void) {
    for (uint32_t i = 0; bs.answered; i++) {
        if (!(bs.answered & 1u << i)) continue;
        bs.answered &= ~(1u << i);
        struct bs_channel *c = &bs.channel[i];
        ring_publish(&c->completions);
        sasos_chan_signal(i);
    }
}

// The device cannot be used any more (the driver has reset it): what is in flight and what still comes ends with E_IO.
static void bs_fail_all(void) {
    bs.failed = true;
    for (uint32_t l = 0; l < bs.lanes; l++)
        for (uint32_t s = 0; s < bs.lane[l].slots; s++)
            if (bs.lane[l].slot[s].busy) bs_finish(l, s, E_IO);
}

// What is wrong with a request, or 0. `r` is our private copy.
static inline int32_t bs_check(const struct bs_channel *c, const struct blk_request *r) {
    if (r->op > BLK_WRITE) return r->op == BLK_FLUSH ? 0 : E_INVAL;
    if (r->count - 1 >= BLK_COUNT_MAX) return E_INVAL;
    if (r->buffer < BLK_DATA || r->buffer % 16 || r->buffer > c->size ||
        r->count * BLK_SECTOR > c->size - r->buffer)
        return E_INVAL;
    if (((uint32_t)r->sector | r->count) & (bs.block - 1)) return E_INVAL;
    if (r->sector > bs.sectors || r->count > bs.sectors - r->sector) return E_RANGE;
    if (r->op == BLK_WRITE && bs.read_only) return E_READONLY;
    return 0;
}

// A slot for one part of a request.
static inline uint32_t bs_take(struct bs_lane *l, uint32_t channel, struct bs_slot **out) {
    uint32_t s = l->free_slot[--l->free_count];
    struct bs_slot *slot = &l->slot[s];
    keep_base(slot);
    slot->busy = 1;
    slot->channel = (uint8_t)channel;
    *out = slot;
    return s;
}

static inline uint32_t bs_take_first(struct bs_lane *l, uint32_t channel,
                                     const struct blk_request *r, uint32_t parts) {
    struct bs_slot *slot;
    uint32_t s = bs_take(l, channel, &slot);
    slot->first = (uint8_t)s;
    slot->left = (uint8_t)parts;
    slot->cookie = r->cookie;
    slot->status = 0;
    return s;
}

// All parts of a request that must be cut; there are slots for them.
__attribute__((noinline)) static void bs_start_parts(struct bs_channel *c,
                                                     const struct blk_request *r, uint32_t parts) {
    struct bs_lane *l = &bs.lane[c->lane];
    struct bs_work w = {r->op, c->address + r->buffer, r->sector, bs.part, r->buffer};
    uint32_t first = 0;
    for (uint32_t i = 0, left = r->count; i < parts; i++) {
        uint32_t s;
        if (i == 0) {
            s = first = bs_take_first(l, c->index, r, parts);
        } else {
            struct bs_slot *slot;
            s = bs_take(l, c->index, &slot);
            slot->first = (uint8_t)first;
        }
        if (left < w.count) w.count = left;
        device_start(c->lane, s, c->index, &w);
        w.sector += w.count;
        w.address += w.count * BLK_SECTOR;
        w.offset += w.count * BLK_SECTOR;
        left -= w.count;
    }
}

// Takes what the client has asked for, as long as there are slots and room for every completion that could come.
static bool bs_serve(struct bs_channel *c) {
    if (!c->attached) return false;
    keep_base(c);
    uint32_t ready = ring_pending(&c->requests);
    if (!ready) return false;
    // What the loop changes is kept in registers: its stores could change everything else.
    uint32_t room = ring_space(&c->completions), mine = c->requests.mine, busy = c->in_flight;
    uint32_t lane = c->lane, index = c->index, before = busy;
    struct bs_lane *l = &bs.lane[lane];
    keep_base(l);
    for (; ready && room > busy; ready--) {
        const struct blk_request *entry = &c->shared->request[mine % BLK_RING];
        keep_base(entry);
        struct blk_request r = *entry;
        barrier_compiler(); // checked and used is the copy, whatever the client does to its entry meanwhile
        int32_t status = bs.failed ? E_IO : bs_check(c, &r);
        if (status || (r.op == BLK_FLUSH && !bs.can_flush)) { // no cache: each write is stable already
            bs_complete(c, r.cookie, status);
            room--; // what was started is counted by `busy`
        } else if (r.op != BLK_FLUSH && r.count > bs.part) {
            uint32_t parts = (r.count + bs.part - 1) / bs.part;
            if (parts > l->free_count) break;
            struct blk_request cut = r; // so that `r` has no address and stays in registers
            bs_start_parts(c, &cut, parts);
            busy++;
        } else {
            if (!l->free_count) break;
            struct bs_work w = {r.op, c->address + r.buffer, r.sector,
                                r.op == BLK_FLUSH ? 0 : r.count, r.buffer};
            device_start(lane, bs_take_first(l, index, &r, 1), index, &w);
            busy++;
        }
        mine++;
    }
    c->requests.mine = mine;
    c->in_flight = busy;
    ring_release(&c->requests);
    return busy != before;
}

static void bs_serve_lane(uint32_t lane) {
    bool started = false;
    for (uint32_t i = lane; i < bs.channels; i += bs.lanes) started |= bs_serve(&bs.channel[i]);
    if (started) device_kick(lane);
}

static void bs_serve_all(void) {
    for (uint32_t i = 0; i < bs.lanes; i++) bs_serve_lane(i);
    bs_answered();
}

// The disk is described and the lanes are open: the channels may be used. 0 or an error.
static int bs_open(void) {
    for (uint32_t i = 0; i < bs.lanes; i++) // the longest request must fit into an idle lane
        if ((BLK_COUNT_MAX + bs.part - 1) / bs.part > bs.lane[i].slots) return E_NODEV;
    bs.channels = (uint32_t)sasos_chan_count();
    for (uint32_t i = 0; i < bs.channels; i++) {
        struct bs_channel *c = &bs.channel[i];
        *c = (struct bs_channel){
            .address = sasos_chan_map(i), .size = sasos_chan_size(i), .index = i, .lane = i % bs.lanes};
        if (!c->address || c->size < BLK_DATA) return E_INVAL;
        c->shared = (struct blk_channel *)(uintptr_t)c->address;
        ring_init(&c->requests, &c->shared->request_ring, BLK_RING);
        ring_init(&c->completions, &c->shared->completion_ring, BLK_RING);
        const struct ring_shared *r = &c->shared->request_ring, *a = &c->shared->completion_ring;
        c->attached = !r->head && !r->tail && !a->head && !a->tail; // a new channel
        c->shared->info.flags =
            (bs.read_only ? BLK_READONLY : 0u) | (bs.can_flush ? BLK_CAN_FLUSH : 0u);
        c->shared->info.sectors = bs.sectors;
        c->shared->info.block = bs.block;
        barrier_compiler();
        c->shared->info.version = BLK_INFO_VERSION;
    }
    return 0;
}

// The class's calls. A client, or the next life of one, begins: both rings are as new. E_AGAIN while the device is still at work on what was
// asked for before, and may write into its buffers; the channel is signalled when that is over.
int32_t SASOS_EXPORT(blk_attach)(void) {
    uint32_t i = (uint32_t)sasos_caller_channel();
    if (i >= bs.channels) return E_DENIED;
    struct bs_channel *c = &bs.channel[i];
    c->attached = false;
    if (c->in_flight) return E_AGAIN;
    c->shared->request_ring.head = c->shared->request_ring.tail = 0;
    c->shared->completion_ring.head = c->shared->completion_ring.tail = 0;
    ring_init(&c->requests, &c->shared->request_ring, BLK_RING);
    ring_init(&c->completions, &c->shared->completion_ring, BLK_RING);
    c->attached = true;
    return 0;
}

// A client has put requests into its ring.
int32_t SASOS_EXPORT(blk_submit)(void) {
    bs_serve_all();
    return 0;
}
#endif
