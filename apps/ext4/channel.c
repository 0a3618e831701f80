// channel.c — see channel.h. A channel's event means that its other end signalled or is gone; only in the latter case can it not be
// signalled. Channel 0 is the disk's, and disk.c takes its events.
#include "apps/ext4/channel.h"
#include "drivers/sdk/sasos.h"

int32_t channel_of_caller(void) { return sasos_caller_channel(); }

uint8_t *channel_base(uint32_t channel, uint32_t *out_size) {
    *out_size = sasos_chan_size(channel);
    return (uint8_t *)(uintptr_t)sasos_chan_map(channel);
}

uint32_t channel_dead(void) {
    uint32_t clients = 0, dead = 0;
    for (uint32_t i = 1; i < SASOS_CHANNELS_MAX; i++) clients |= SASOS_EVENT_CHANNEL(i);
    int32_t events = sasos_wait(clients, 0);
    if (events <= 0) return 0;
    for (uint32_t i = 1; i < SASOS_CHANNELS_MAX; i++)
        if ((uint32_t)events & SASOS_EVENT_CHANNEL(i) && sasos_chan_signal(i) == E_PEER)
            dead |= 1u << i;
    return dead;
}
