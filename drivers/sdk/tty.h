// tty.h — the terminal class: what lies in a channel between a driver of a byte terminal (serial line, console, keyboard, screen) and its client.
//
// Two rings of bytes. Input is what a person or a line sent: characters in UTF-8, keys without a character as the escape sequences of
// xterm (ESC [ A for "up"). Output is what is to be shown or sent; the driver neither adds nor changes line ends.
//
// `tty_attach()` begins, or begins anew: both rings are empty, and info is valid. Until then the driver does not look at the rings. A client
// calls it at its own start, and when chan_generation() says that the driver has been restarted: bytes that were in the rings are lost.
// `tty_submit()` says that there is output, or room for input after the ring was full. The driver signals the channel when there is input, or
// room for output after the ring was full.
// Input for which there is no room waits in a driver that can hold its device back, and is dropped in one that cannot; none is
// dropped silently: info.lost counts it.
#ifndef SASOS_TTY_H
#define SASOS_TTY_H
#include "drivers/sdk/ring.h"

#define TTY_RING 4096u // bytes of each ring
#define TTY_INFO_VERSION \
    0x31797474u // "tty1": a client can tell by it which of its channels this is

struct tty_channel {
    struct {                             // written by the driver
        volatile uint32_t version;       // TTY_INFO_VERSION once a client may attach
        volatile uint32_t columns, rows; // 0: unknown
        volatile uint32_t lost;          // bytes of input
        uint8_t pad[112];
    } info;
    struct ring_shared input_ring, output_ring;
    uint8_t input[TTY_RING], output[TTY_RING];
};
_Static_assert(offsetof(struct tty_channel, input_ring) == 128, "shared layout");
_Static_assert(sizeof(struct tty_channel) <= 12288, "three pages");

// Puts at most `length` bytes; returns how many there was room for.
static inline uint32_t tty_put(struct ring *r, uint8_t *bytes, const uint8_t *from, uint32_t length) {
    uint32_t room = ring_space(r);
    if (length > room) length = room;
    for (uint32_t i = 0; i < length; i++) bytes[(r->mine + i) & (TTY_RING - 1)] = from[i];
    barrier_compiler(); // the bytes before the index
    r->mine += length;
    r->shared->head = r->mine;
    return length;
}

// Takes at most `length` bytes; returns how many there were.
static inline uint32_t tty_take(struct ring *r, const uint8_t *bytes, uint8_t *to, uint32_t length) {
    uint32_t ready = ring_pending(r);
    if (length > ready) length = ready;
    for (uint32_t i = 0; i < length; i++) to[i] = bytes[(r->mine + i) & (TTY_RING - 1)];
    barrier_compiler(); // our copy before its place is given back
    r->mine += length;
    r->shared->tail = r->mine;
    return length;
}
#endif
