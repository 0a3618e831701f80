// state.c — a state machine that classifies comma-separated words as integers, floats, scientific or invalid, and counts its
// transitions; some bytes are damaged between passes. Branches and a switch.
//
// Group: embedded
// Size: n = 1000
#include "bench/kernels/kernel.h"

enum state {
    START,
    SIGN,
    INTEGER,
    POINT,
    FRACTION,
    EXPONENT,
    EXP_SIGN,
    SCIENTIFIC,
    INVALID,
    STATES
};
#define BYTES 16384
static uint8_t text[BYTES + 1];
static uint32_t transitions[STATES], finals[STATES];

static int is_digit(uint8_t c) { return c >= '0' && c <= '9'; }

static enum state step(enum state s, uint8_t c) {
    switch (s) {
    case START:
        if (is_digit(c)) return INTEGER;
        if (c == '+' || c == '-') return SIGN;
        return c == '.' ? POINT : INVALID;
    case SIGN:
        if (is_digit(c)) return INTEGER;
        return c == '.' ? POINT : INVALID;
    case INTEGER:
        if (is_digit(c)) return INTEGER;
        if (c == '.') return FRACTION;
        return c == 'e' || c == 'E' ? EXPONENT : INVALID;
    case POINT: return is_digit(c) ? FRACTION : INVALID;
    case FRACTION:
        if (is_digit(c)) return FRACTION;
        return c == 'e' || c == 'E' ? EXPONENT : INVALID;
    case EXPONENT:
        if (is_digit(c)) return SCIENTIFIC;
        return c == '+' || c == '-' ? EXP_SIGN : INVALID;
    case EXP_SIGN:
    case SCIENTIFIC: return is_digit(c) ? SCIENTIFIC : INVALID;
    default: return INVALID;
    }
}

uint64_t kernel(uint32_t n) {
    static const char *const word[] = {"5012,",     "1234,",     "-874,",     "+122,",
                                       "35.54400,", ".1234500,", "-110.700,", "+0.64400,",
                                       "5.5e3,",    "-.123e-2,", "-87e+832,", "+0.6e-12,",
                                       "T0.3e-1F,", "-T.T++Tq,", "1T3.4e4z,", "34.0e-T^,"};
    uint32_t seed = 83, at = 0;
    uint64_t sum = 0;
    while (at < BYTES)
        for (const char *p = word[next_random(&seed) % 16]; *p && at < BYTES; p++)
            text[at++] = (uint8_t)*p;
    text[BYTES] = 0;
    for (int i = 0; i < STATES; i++) transitions[i] = finals[i] = 0;
    for (uint32_t t = 0; t < n; t++) {
        enum state s = START;
        for (const uint8_t *p = text; *p; p++) {
            if (*p == ',') {
                finals[s]++;
                s = START;
            } else if (s != INVALID) {
                enum state next = step(s, *p);
                if (next != s) transitions[s]++;
                s = next;
            }
        }
        for (uint32_t i = t % 97; i < BYTES; i += 997)
            if (text[i] != ',') text[i] ^= 0x01;
    }
    for (int i = 0; i < STATES; i++) sum = mix(mix(sum, transitions[i]), finals[i]);
    return sum;
}
