// load.c — see rig.h: the frames of the network models.
#include "bench/rig/rig.h"
#include <string.h>

#define NUMBER_AT 16u

void rig_net_load(struct rig_device *d, uint32_t size, uint32_t burst) {
    d->load = (struct rig_load){.size = size, .burst = burst};
}

void rig_frame_comes(struct rig_device *d, uint8_t *to) {
    memset(to, 0x5a, d->load.size);
    memcpy(to + NUMBER_AT, &d->load.received, 4);
    d->load.received++;
}

void rig_frame_sent(struct rig_device *d, const uint8_t *start, uint32_t total) {
    uint32_t number;
    if (total != d->load.size) rig_fail("%s: a frame of %u bytes", d->name, total);
    memcpy(&number, start + NUMBER_AT, 4);
    if (number != d->load.sent)
        rig_fail("%s: frame %u was sent in the place of %u", d->name, number, d->load.sent);
    d->load.sent++;
}
