// channel.h — the module's channels with its clients: the kernel calls behind session.c.
#ifndef EXT4_CHANNEL_H
#define EXT4_CHANNEL_H
#include <stdint.h>

int32_t channel_of_caller(void); // < 0: the caller has none
uint8_t *channel_base(uint32_t channel, uint32_t *out_size);
// A bit for each channel whose other end has died since the last call.
uint32_t channel_dead(void);
#endif
