// call_peer.c — kernel calls between domains: channels, and the memory and end of the domain that called.
//
// caller_*: a callee may look into the memory of whoever called it, for as long as the call lasts, and end it. That is what the client's
// configuration gave it by `connect`; no other domain's memory can be named.
#include "sasos/lib/mem.h"
#include "sasos/run/hostcall.h"

CALL(chan_count) {
    (void)args;
    return caller(inst)->channels;
}

CALL(chan_map) {
    struct dom *d = caller(inst);
    uint32_t i = ldr_arg32(args, 0);
    return i < d->channels ? d->channel[i].address : 0;
}

CALL(chan_size) {
    struct dom *d = caller(inst);
    uint32_t i = ldr_arg32(args, 0);
    return i < d->channels ? d->channel[i].channel->size : 0;
}

CALL(chan_signal) { return chan_signal(caller(inst), ldr_arg32(args, 0)); }

CALL(chan_generation) { return chan_generation(caller(inst), ldr_arg32(args, 0)); }

CALL(caller_channel) {
    (void)args;
    struct dom *d = caller(inst);
    struct ldr_instance *from = ldr_caller(inst);
    for (uint32_t i = 0; from && i < d->channels; i++) {
        const struct dom_channel *c = &d->channel[i];
        if (c->channel->end[!c->side] == ldr_user(from)) return i;
    }
    return E_NOENT;
}

CALL(caller_read) {
    struct ldr_instance *from = ldr_caller(inst);
    uint32_t n = ldr_arg32(args, 2);
    if (!from) return E_NOENT;
    void *to = ldr_memory_at(inst, ldr_arg32(args, 0), n);
    const void *there = ldr_memory_at(from, ldr_arg32(args, 1), n);
    if (!to || !there) return E_FAULT;
    memmove(to, there, n); // a channel may be in both
    return 0;
}

CALL(caller_write) {
    struct ldr_instance *from = ldr_caller(inst);
    uint32_t n = ldr_arg32(args, 2);
    if (!from) return E_NOENT;
    void *there = ldr_memory_at(from, ldr_arg32(args, 0), n);
    const void *mine = ldr_memory_at(inst, ldr_arg32(args, 1), n);
    if (!there || !mine) return E_FAULT;
    memmove(there, mine, n);
    return 0;
}

CALL(caller_exit) {
    struct ldr_instance *from = ldr_caller(inst);
    if (!from) return E_NOENT;
    struct dom *d = ldr_user(from);
    if (d->end == DOM_END_NONE) d->status = (int32_t)ldr_arg32(args, 0);
    dom_kill(d, DOM_END_EXIT);
    return 0;
}
