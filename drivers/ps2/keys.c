// keys.c — see keys.h.
#include "drivers/ps2/keys.h"

enum {
    ESCAPE = 0x1b,
    DELETE = 0x7f,
    EXTENDED = 0xe0,
    PAUSE = 0xe1,
    RELEASE = 0x80,
    SET2_RELEASE = 0xf0,
    CODES = 0x59,
};
enum { // set 1
    KEY_CONTROL = 0x1d,
    KEY_LEFT_SHIFT = 0x2a,
    KEY_SLASH = 0x35,
    KEY_RIGHT_SHIFT = 0x36,
    KEY_ALT = 0x38,
    KEY_CAPS_LOCK = 0x3a,
    KEY_F1 = 0x3b,
    KEY_F10 = 0x44,
    KEY_NUM_LOCK = 0x45,
    KEY_PAD_FIRST = 0x47,
    KEY_PAD_LAST = 0x53,
    KEY_F11 = 0x57,
    KEY_F12 = 0x58,
};

// Characters of set 1's codes from 0, without and with shift; 0: none.
// clang-format off
static const char plain[CODES] = {
    0, ESCAPE, '1', '2', '3', '4', '5', '6', '7', '8', '9', '0', '-', '=', DELETE, '\t',
    'q', 'w', 'e', 'r', 't', 'y', 'u', 'i', 'o', 'p', '[', ']', '\r', 0, 'a', 's',
    'd', 'f', 'g', 'h', 'j', 'k', 'l', ';', '\'', '`', 0, '\\', 'z', 'x', 'c', 'v',
    'b', 'n', 'm', ',', '.', '/', 0, '*', 0, ' ', 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, '7', '8', '9', '-', '4', '5', '6', '+', '1',
    '2', '3', '0', '.', 0, 0, '\\', 0, 0,
};
static const char shifted[CODES] = {
    0, ESCAPE, '!', '@', '#', '$', '%', '^', '&', '*', '(', ')', '_', '+', DELETE, '\t',
    'Q', 'W', 'E', 'R', 'T', 'Y', 'U', 'I', 'O', 'P', '{', '}', '\r', 0, 'A', 'S',
    'D', 'F', 'G', 'H', 'J', 'K', 'L', ':', '"', '~', 0, '|', 'Z', 'X', 'C', 'V',
    'B', 'N', 'M', '<', '>', '?', 0, '*', 0, ' ', 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, '7', '8', '9', '-', '4', '5', '6', '+', '1',
    '2', '3', '0', '.', 0, 0, '|', 0, 0,
};
// The keypad's keys from KEY_PAD_FIRST without Num Lock, and their grey twins: xterm's letter, or the number before '~'; 0: none.
static const char pad_keys[] = {'H', 'A', 5, 0, 'D', 0, 'C', 0, 'F', 'B', 6, 2, 3};
static const uint8_t function_keys[] = {'P', 'Q', 'R', 'S', 15, 17, 18, 19, 20, 21, 23, 24};
// From set 2 to set 1, as the controller translates.
static const uint8_t set2[] = {
    0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29, 0x59,
    0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11, 0x03, 0x5b,
    0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14, 0x13, 0x06, 0x5d,
    0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5f,
    0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0c, 0x61,
    0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36, 0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76,
    0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b, 0x7c, 0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f,
    0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45, 0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54,
    0x80, 0x81, 0x82, 0x41, 0x54,
};
// clang-format on

bool keys_from_set2(struct keys *k, uint8_t code, uint8_t *out) {
    if (code == SET2_RELEASE) {
        k->released = true;
        return false;
    }
    uint8_t one = code < sizeof(set2) ? set2[code] : code;
    if (code != EXTENDED && code != PAUSE) {
        if (k->released) one |= RELEASE;
        k->released = false;
    }
    *out = one;
    return true;
}

static uint32_t put_number(uint8_t *out, uint32_t n) {
    if (n < 10) {
        out[0] = (uint8_t)('0' + n);
        return 1;
    }
    out[0] = (uint8_t)('0' + n / 10);
    out[1] = (uint8_t)('0' + n % 10);
    return 2;
}

// ESC [ letter, or ESC [ number ~.
static uint32_t sequence(uint8_t *out, uint8_t key) {
    uint32_t n = 0;
    out[n++] = ESCAPE;
    out[n++] = '[';
    if (key >= 'A') {
        out[n++] = key;
        return n;
    }
    n += put_number(out + n, key);
    out[n++] = '~';
    return n;
}

static uint32_t function_key(uint8_t *out, uint8_t code) {
    uint8_t key = function_keys[code <= KEY_F10 ? code - KEY_F1 : 10 + code - KEY_F11];
    uint32_t n = sequence(out, key);
    if (key >= 'A') out[1] = 'O'; // F1 to F4
    return n;
}

static uint32_t character(const struct keys *k, uint8_t *out, char c) {
    uint32_t n = 0;
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (letter && k->caps_lock) c ^= 0x20;
    if ((k->left_control || k->right_control) && ((c >= '@' && c <= '~') || c == ' ')) c &= 0x1f;
    if (k->left_alt || k->right_alt) out[n++] = ESCAPE;
    out[n++] = (uint8_t)c;
    return n;
}

static bool modifier(struct keys *k, uint8_t code, bool extended, bool pressed) {
    switch (code) {
    case KEY_CONTROL: *(extended ? &k->right_control : &k->left_control) = pressed; return true;
    case KEY_ALT: *(extended ? &k->right_alt : &k->left_alt) = pressed; return true;
    case KEY_LEFT_SHIFT:
        if (!extended) k->left_shift = pressed; // with E0 it is made up around the grey keys
        return true;
    case KEY_RIGHT_SHIFT:
        if (!extended) k->right_shift = pressed;
        return true;
    case KEY_CAPS_LOCK: k->caps_lock ^= pressed; return true;
    case KEY_NUM_LOCK:
        if (!extended) k->num_lock ^= pressed;
        return true;
    default: return false;
    }
}

uint32_t keys_decode(struct keys *k, uint8_t code, uint8_t out[KEYS_BYTES]) {
    if (k->to_skip) {
        k->to_skip--;
        return 0;
    }
    if (code == PAUSE) { // E1 and two bytes for the press, the same for the release
        k->to_skip = 2;
        return 0;
    }
    if (code == EXTENDED) {
        k->extended = true;
        return 0;
    }
    bool extended = k->extended, pressed = !(code & RELEASE);
    k->extended = false;
    code &= 0x7f;
    if (modifier(k, code, extended, pressed) || !pressed || code >= CODES) return 0;
    if ((code >= KEY_F1 && code <= KEY_F10) || code == KEY_F11 || code == KEY_F12)
        return extended ? 0 : function_key(out, code);
    bool shift = k->left_shift || k->right_shift;
    if (code >= KEY_PAD_FIRST && code <= KEY_PAD_LAST && (extended || k->num_lock == shift)) {
        uint8_t key = (uint8_t)pad_keys[code - KEY_PAD_FIRST];
        if (key) return sequence(out, key);
        if (extended) return 0;
    }
    char c = (shift && !(extended && code == KEY_SLASH) ? shifted : plain)[code];
    return c ? character(k, out, c) : 0;
}
