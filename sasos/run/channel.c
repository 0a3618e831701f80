// channel.c — the pages that two domains share: made once, mapped into both windows, and into the fence of a driver's device.
//
// A channel has no protocol of its own: what lies in it is the business of the class (drivers/sdk/blk.h). The kernel maps it, carries
// one event bit each way, and says E_PEER when the other end is gone.
#include "sasos/arch/cpu.h"
#include "sasos/lib/mem.h"
#include "sasos/lib/panic.h"
#include "sasos/mem/frame.h"
#include "sasos/mem/pt.h"
#include "sasos/run/domain.h"

enum status chan_attach(struct dom *d, struct channel *c, unsigned side) {
    KASSERT(!c->end[side]);
    if (d->channels == SASOS_CHANNELS_MAX) return ST_NO_SPACE;
    if (!c->pa) {
        uint64_t frames = c->size / FRAME_SIZE;
        c->pa = frame_alloc_run(frames, c->size >= FRAME_2M ? FRAME_2M / FRAME_SIZE : 1, FRAME_ZERO);
        if (!c->pa) return ST_NO_MEMORY;
    }
    if (side == CHAN_SERVER) // a new server starts with a new channel: nothing of an earlier one's state is left in it
        memset(pt_direct(c->pa), 0, c->size);
    c->lives[side]++;
    uint32_t address = dom_map_dma(d, c->pa, c->size, false);
    if (!address) return ST_NO_MEMORY;
    d->channel[d->channels] = (struct dom_channel){c, (uint8_t)side, address};
    c->index[side] = (uint8_t)d->channels++;
    __atomic_store_n(&c->end[side], d, __ATOMIC_RELEASE);
    return ST_OK;
}

int32_t chan_signal(struct dom *d, uint32_t index) {
    if (index >= d->channels) return E_NOENT;
    const struct dom_channel *mine = &d->channel[index];
    unsigned other = !mine->side;
    uint64_t flags =
        cpu_irq_save(); // on any CPU the peer is not freed before this is over: destroy() in domain.c
    struct dom *peer = __atomic_load_n(&mine->channel->end[other], __ATOMIC_ACQUIRE);
    if (peer) thr_wake(&peer->events, SASOS_EVENT_CHANNEL(mine->channel->index[other]));
    cpu_irq_restore(flags);
    return peer ? 0 : E_PEER;
}

int32_t chan_generation(const struct dom *d, uint32_t index) {
    if (index >= d->channels) return E_NOENT;
    const struct channel *c = d->channel[index].channel;
    unsigned other = !d->channel[index].side;
    return __atomic_load_n(&c->end[other], __ATOMIC_ACQUIRE) ? (int32_t)(c->lives[other] & INT32_MAX)
                                                             : E_PEER;
}

void chan_detach_all(struct dom *d) {
    for (uint32_t i = 0; i < d->channels; i++) {
        struct dom_channel *mine = &d->channel[i];
        if (mine->channel->end[mine->side] != d) continue;
        mine->channel->end[mine->side] = NULL;
        chan_signal(d, i); // wakes the peer, whose next signal or request then gets E_PEER
    }
}
