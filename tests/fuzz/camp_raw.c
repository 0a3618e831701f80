// raw — raw enumeration of encodings (generator G2), judged by O1 and O2: all strings of three bytes, then all of four in
// a scattered order, which begins elsewhere with each seed, then random strings without end. What follows a string is
// zeros, ones or noise.
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/probe.h"
#include <string.h>

enum { THREE = 256, FOUR = 65536, A_RUN = FOUR / 64 };

static uint8_t buffer[32];

static void try_rest(unsigned known, unsigned length) {
    uint32_t count = 1u << 8 * (length - known);
    for (uint32_t i = 0; i < count; i++) {
        for (unsigned k = known; k < length; k++) buffer[k] = (uint8_t)(i >> 8 * (length - 1 - k));
        probe_try(buffer);
    }
}

static void item(uint64_t i) {
    uint64_t noise = fuzz_noise();
    memset(buffer, noise & 1 ? 0x40 : 0, sizeof buffer);
    if (noise & 2) memcpy(buffer + 4, &noise, 8);
    if (i < THREE) {
        buffer[0] = (uint8_t)i;
        try_rest(1, 3);
    } else if (i < THREE + FOUR) {
        uint64_t k = (i - THREE + fuzz_seed() * A_RUN) * 40503 % FOUR; // odd: each once
        buffer[0] = (uint8_t)(k >> 8);
        buffer[1] = (uint8_t)k;
        try_rest(2, 4);
    } else {
        for (unsigned n = 0; n < 65536; n++) {
            for (unsigned k = 0; k < 16; k += 8) {
                noise = fuzz_noise();
                memcpy(buffer + k, &noise, 8);
            }
            probe_try(buffer);
        }
    }
}

int main(int argc, char **argv) {
    static const struct fuzz_campaign campaign = {"raw", 0, true, probe_setup, item};
    return fuzz_main(argc, argv, &campaign);
}
