// channel.c — the pages that two domains share: made once, mapped into both windows, and into the fence of a driver's device.
//
// A channel has no protocol of its own: what lies in it is the business of the class (drivers/sdk/blk.h). The kernel maps it, carries
// one event bit each way, counts the server's lives, and says E_PEER while the other end is not there. Its pages and what is in them
// outlive both.
#include "sasos/lib/panic.h"
#include "sasos/mem/frame.h"
#include "sasos/run/domain.h"

enum status chan_attach(struct dom *d, struct channel *c, unsigned side) {
    KASSERT(!c->dom[side]);
    if (d->channels == SASOS_CHANNELS_MAX) return ST_NO_SPACE;
    if (!c->pa) {
        uint64_t frames = c->size / FRAME_SIZE;
        c->pa = frame_alloc_run(frames, c->size >= FRAME_2M ? FRAME_2M / FRAME_SIZE : 1, FRAME_ZERO);
        if (!c->pa) return ST_NO_MEMORY;
    }
    uint32_t address = dom_map_dma(d, c->pa, c->size, false);
    if (!address) return ST_NO_MEMORY;
    d->channel[d->channels] = (struct dom_channel){c, (uint8_t)side, address};
    c->index[side] = (uint8_t)d->channels++;
    c->dom[side] = d;
    return ST_OK;
}

void chan_open_all(struct dom *d) {
    for (uint32_t i = 0; i < d->channels; i++) {
        struct dom_channel *mine = &d->channel[i];
        mine->channel->lives[mine->side]++;
        __atomic_store_n(&mine->channel->end[mine->side], d, __ATOMIC_RELEASE);
    }
}

int32_t chan_signal(struct dom *d, uint32_t index) {
    if (index >= d->channels) return E_NOENT;
    const struct dom_channel *mine = &d->channel[index];
    unsigned other = !mine->side;
    struct dom *peer = __atomic_load_n(&mine->channel->end[other], __ATOMIC_ACQUIRE);
    if (peer) thr_wake(&peer->events, SASOS_EVENT_CHANNEL(mine->channel->index[other]));
    return peer ? 0 : E_PEER;
}

int32_t chan_generation(const struct dom *d, uint32_t index) {
    if (index >= d->channels) return E_NOENT;
    const struct channel *c = d->channel[index].channel;
    unsigned other = !d->channel[index].side;
    if (__atomic_load_n(&c->end[other], __ATOMIC_ACQUIRE))
        return (int32_t)(c->lives[other] & INT32_MAX);
    return c->dom[other] && c->dom[other]->wanted ? E_AGAIN : E_PEER;
}

void chan_tell_all(struct dom *d) {
    for (uint32_t i = 0; i < d->channels; i++) chan_signal(d, i);
}

void chan_close_all(struct dom *d) {
    for (uint32_t i = 0; i < d->channels; i++) {
        struct dom **end = d->channel[i].channel->end, *other;
        __atomic_store_n(&end[d->channel[i].side], NULL, __ATOMIC_RELEASE);
        other = __atomic_load_n(&end[!d->channel[i].side], __ATOMIC_ACQUIRE);
        if (other) thr_wake(&other->orders, DOM_ORDER_LEFT);
    }
}
