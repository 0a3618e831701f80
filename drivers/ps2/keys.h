// keys.h — from a PS/2 keyboard's scan codes to bytes of a terminal: US layout, keys without a character as xterm's escape sequences.
// Pure: no device, no kernel; tests/host/test_ps2.c runs it.
//
// The codes are set 1 (IBM PS/2 Technical Reference, Keyboards, 1990), as the controller's translation gives them; bytes of set 2 go through
// keys_from_set2() first. The decoder holds the state of the modifier keys; any sequence of bytes leaves it in a sane state.
#ifndef SASOS_PS2_KEYS_H
#define SASOS_PS2_KEYS_H
#include <stdbool.h>
#include <stdint.h>

#define KEYS_BYTES 8u // a key gives at most

struct keys {
    bool left_shift, right_shift, left_control, right_control, left_alt, right_alt;
    bool caps_lock, num_lock;
    bool extended;   // an E0 came before
    bool released;   // set 2: an F0 came before
    uint8_t to_skip; // bytes of the Pause key that are still to come
};

// One byte of set 1. Returns how many bytes of output it makes: 0 to KEYS_BYTES.
uint32_t keys_decode(struct keys *k, uint8_t code, uint8_t out[KEYS_BYTES]);
// One byte of set 2: false if it only announces the next, else true and the byte of set 1.
bool keys_from_set2(struct keys *k, uint8_t code, uint8_t *out);
#endif
