// calls.c — the kernel calls as the rig gives them: the same meaning as sasos/run/hostcall.def says, without anything to grant or refuse.
#include "bench/rig/rig.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CALL(name) \
    int64_t rig_##name(struct rig_domain *d, uint64_t a, uint64_t b, uint64_t c, uint64_t e)
#define UNUSED (void)d, (void)a, (void)b, (void)c, (void)e

CALL(log) {
    UNUSED;
    uint32_t length = (uint32_t)b;
    if (length >= sizeof d->line) length = sizeof d->line - 1;
    const char *text = rig_pointer(d, a, length);
    if (!text) return E_FAULT;
    memcpy(d->line, text, length);
    d->line[length] = 0;
    d->lines++;
    if (!d->quiet) fprintf(stderr, "%s: %s\n", d->name, d->line);
    return 0;
}

CALL(time_ns) {
    UNUSED;
    struct rig_stack *s = d->stack;
    struct timespec t;
    if (d == s->app && s->marks < RIG_MARKS)
        s->mark[s->marks++] = (struct rig_mark){rig_tsc(), s->time};
    if (d->device && d->device->look) d->device->look(d->device);
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000 + t.tv_nsec;
}

CALL(exit) {
    UNUSED;
    rig_fail("%s: exit %d", d->name, (int32_t)a);
}

CALL(arg) {
    UNUSED;
    uint32_t index = (uint32_t)a, size = (uint32_t)c;
    if (index >= d->args) return E_NOENT;
    uint32_t length = (uint32_t)strlen(d->arg[index]), copied = length < size ? length : size;
    char *to = rig_pointer(d, b, copied);
    if (!to) return E_FAULT;
    memcpy(to, d->arg[index], copied);
    return length;
}

// The driver, if something is pending for it. False: nothing is.
static bool deliver(struct rig_stack *s, struct rig_domain *driver) {
    uint32_t events = driver->pending | (driver->device->irqs & driver->device->irqs_enabled);
    driver->pending = driver->device->irqs = 0;
    if (!events) return false;
    uint64_t before = s->timing ? rig_tsc() : 0;
    rig_enter(driver, &driver->event, events);
    if (s->timing) {
        s->time.event += rig_tsc() - before - rig_tsc_cost();
        s->time.events++;
    }
    return true;
}

// One round of the machine: the devices, then the drivers. False: nothing happened.
static bool turn(struct rig_stack *s) {
    uint64_t latency = s->port[0].device->latency, before = s->timing || latency ? rig_tsc() : 0;
    bool moved = false;
    for (unsigned i = 0; i < s->ports; i++) {
        struct rig_device *device = s->port[i].device;
        moved = device->pump(device) || moved;
    }
    while (moved && latency && rig_tsc() - before < latency)
        ;
    if (s->timing) {
        s->time.model += rig_tsc() - before - rig_tsc_cost();
        s->time.models++;
    }
    for (unsigned i = 0; i < s->ports; i++) moved = deliver(s, s->port[i].driver) || moved;
    return moved;
}

CALL(wait) {
    UNUSED;
    uint32_t wanted = (uint32_t)a;
    for (;;) {
        uint32_t got = d->pending & wanted;
        d->pending &= ~got;
        if (got) return (int32_t)(got & INT32_MAX);
        if (!turn(d->stack)) return 0; // nobody is left who could wake it
    }
}

CALL(chan_count) {
    UNUSED;
    return d->channels;
}
CALL(chan_map) {
    UNUSED;
    return (uint32_t)a < d->channels ? d->channel_address[(uint32_t)a] : 0;
}
CALL(chan_size) {
    UNUSED;
    return (uint32_t)a < d->channels ? d->channel[(uint32_t)a]->pages.size : 0;
}
CALL(chan_signal) {
    UNUSED;
    uint32_t n = (uint32_t)a;
    if (n >= d->channels) return E_NOENT;
    struct rig_channel *channel = d->channel[n];
    unsigned other = !d->channel_side[n];
    if (!channel->end[other]) return E_PEER;
    channel->end[other]->pending |= SASOS_EVENT_CHANNEL(channel->index[other]);
    return 0;
}

CALL(pci_config_read) {
    UNUSED;
    uint32_t offset = (uint32_t)a, bytes = (uint32_t)b, value = 0;
    const struct rig_device *device = d->device;
    if (bytes > 4 || offset > sizeof device->config - bytes) return E_INVAL;
    memcpy(&value, device->config + offset, bytes);
    return value;
}
CALL(pci_bar_map) {
    UNUSED;
    uint32_t offset = (uint32_t)b, bytes = (uint32_t)c, first = offset / RIG_PAGE;
    struct rig_device *device = d->device;
    if ((uint32_t)a || !bytes || offset >= device->pages.size || bytes > device->pages.size - offset)
        return 0;
    uint32_t pages = (offset + bytes - 1) / RIG_PAGE - first + 1;
    uint32_t at = rig_map_registers(&d->space, device, first, pages);
    return at ? at + offset % RIG_PAGE : 0;
}
CALL(pci_enable) {
    UNUSED;
    return 0;
}
CALL(dma_alloc) {
    UNUSED;
    struct rig_pages pages = rig_pages_new(((uint32_t)a + RIG_PAGE - 1) & ~(RIG_PAGE - 1));
    return rig_map_dma(&d->space, &pages);
}
CALL(irq_enable) {
    UNUSED;
    if ((uint32_t)a >= SASOS_IRQS_MAX) return E_NOENT;
    d->device->irqs_enabled |= 1u << (uint32_t)a;
    return 0;
}

// Whose call it is: a driver is called by its application only.
CALL(caller_channel) {
    UNUSED;
    for (uint32_t i = 0; d != d->stack->app && i < d->channels; i++)
        if (d->channel[i]->end[!d->channel_side[i]] == d->stack->app) return i;
    return E_NOENT;
}

// What a domain may do without anybody noticing here.
CALL(counter) {
    UNUSED;
    return 0;
}
CALL(timer) {
    UNUSED;
    return 0; // never: what drivers do by it is no part of a request
}
CALL(chan_generation) {
    UNUSED;
    return (uint32_t)a < d->channels ? 1 : E_NOENT; // nobody dies here
}

// The rig is an IOMMU that lets everything through: bus addresses are the driver's own, and there are no shadow rings.
CALL(dma_mode) {
    UNUSED;
    return SASOS_DMA_BY_IOMMU;
}
CALL(dma_address) {
    UNUSED;
    return (uint32_t)a;
}
#define NO_SHADOW(name) \
    CALL(name) {        \
        UNUSED;         \
        return E_INVAL; \
    }
NO_SHADOW(virtio_start)
NO_SHADOW(virtio_queue)
NO_SHADOW(virtio_vector)
NO_SHADOW(virtio_state)
NO_SHADOW(virtq_publish)
NO_SHADOW(virtq_collect)
