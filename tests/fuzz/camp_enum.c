// enum — structured enumeration of encodings (generator G1), judged by O1 and O2.
//
// All strings of up to two of the eleven legacy prefixes × no REX and all sixteen × the maps 1-byte, 0F, 0F38, 0F3A ×
// opcode × ModRM × SIB; all of VEX2; VEX3 with all fields; the escapes to EVEX, XOP and REX2 with all continuations of two
// bytes. Displacement and immediate take boundary values at random. An item is a prefix of an opcode: 256 opcodes.
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/probe.h"
#include <string.h>

static const uint8_t prefixes[] = {0x66, 0xf2, 0xf3, 0xf0, 0x67, 0x26,
                                   0x2e, 0x36, 0x3e, 0x64, 0x65};
enum {
    PREFIXES = sizeof prefixes,
    STRINGS = 1 + PREFIXES + PREFIXES * PREFIXES,
    LEGACY = STRINGS * 17 * 4,
    VEX2 = 256,
    VEX3 = 65536,
    ESCAPES = 4 * 256,
};

static uint8_t buffer[32];

// All ModRM and SIB bytes behind the n bytes in `buffer`.
static void try_operands(unsigned n) {
    static const uint8_t sibs[] = {0x24, 0x04, 0x44, 0x25, 0xe4, 0x00,
                                   0x26, 0x64, 0x07, 0x37, 0x3f, 0xc7};
    static const uint8_t fills[][8] = {
        {0, 0, 0, 0, 0, 0, 0, 0},
        {0x7f, 0, 0, 0x40, 0x30, 0, 0, 0x40},
        {0x80, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
        {0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 0x7f},
        {0xf0, 0xff, 0xef, 0xff, 0x11, 0x22, 0x33, 0x44},
        {0x20, 0, 0, 0, 0x80, 0, 0, 0x12},
        {0x00, 0xb0, 0xef, 0xff, 0x55, 0, 0, 0x12}, // −SFI_CTX_MEM_PAGES
        {0x30, 0x02, 0, 0, 0x80, 0xff, 0xff, 0xff},
        {0x40, 0, 0, 0, 0x48, 0, 0, 0},
        {0xfe, 0xc3, 0xcc, 0, 0x01, 0, 0, 0},
        {0xfc, 0xff, 0xff, 0xff, 0xfa, 0xff, 0xff, 0xff},
    };
    uint64_t noise = fuzz_noise();
    for (unsigned modrm = 0; modrm < 256; modrm++) {
        bool sib = modrm < 0xc0 && (modrm & 7) == 4;
        buffer[n] = (uint8_t)modrm;
        for (unsigned s = 0; s < (sib ? sizeof sibs : 1); s++) {
            buffer[n + 1] = sibs[s];
            noise = noise * 6364136223846793005u + 1442695040888963407u;
            memcpy(buffer + n + (sib ? 2 : 1),
                   fills[(noise >> 40) % (sizeof fills / sizeof *fills)], 8);
            probe_try(buffer);
        }
    }
}

static void try_opcodes(unsigned n) {
    for (unsigned op = 0; op < 256; op++) {
        buffer[n] = (uint8_t)op;
        try_operands(n + 1);
    }
}

static void try_legacy(unsigned i) {
    unsigned rex = i % 17, map = i / 17 % 4, string = i / 17 / 4, n = 0;
    if (string > PREFIXES) {
        buffer[n++] = prefixes[(string - 1 - PREFIXES) / PREFIXES];
        buffer[n++] = prefixes[(string - 1 - PREFIXES) % PREFIXES];
    } else if (string) {
        buffer[n++] = prefixes[string - 1];
    }
    if (rex) buffer[n++] = (uint8_t)(0x3f + rex);
    if (map) buffer[n++] = 0x0f;
    if (map >= 2) buffer[n++] = map == 2 ? 0x38 : 0x3a;
    try_opcodes(n);
}

// Where nothing can be accepted (L=1, other maps), a few operands do.
static void try_vex3(unsigned i) {
    unsigned map = i >> 8 & 31;
    buffer[0] = 0xc4;
    buffer[1] = (uint8_t)(i >> 8);
    buffer[2] = (uint8_t)i;
    if (map >= 1 && map <= 3 && !(i & 4)) {
        try_opcodes(3);
        return;
    }
    for (unsigned op = 0; op < 256; op++) {
        buffer[3] = (uint8_t)op;
        for (unsigned k = 0; k < 4; k++) {
            memset(buffer + 4, "\x00\x38\x7c\xc1"[k], 12);
            probe_try(buffer);
        }
    }
}

static void try_escape(unsigned i) {
    buffer[0] = "\x62\x8f\xd5\x0f"[i / 256];
    buffer[1] = (uint8_t)i;
    for (unsigned second = 0; second < 256; second++) {
        buffer[2] = (uint8_t)second;
        for (unsigned third = 0; third < 256; third++) {
            buffer[3] = (uint8_t)third;
            memset(buffer + 4, "\x00\x38\x7c\xc1"[third & 3], 12);
            probe_try(buffer);
        }
    }
}

static void item(uint64_t number) {
    unsigned i = (unsigned)number;
    memset(buffer, 0, sizeof buffer);
    if (i < LEGACY) {
        try_legacy(i);
    } else if ((i -= LEGACY) < VEX2) {
        buffer[0] = 0xc5;
        buffer[1] = (uint8_t)i;
        try_opcodes(2);
    } else if ((i -= VEX2) < VEX3) {
        try_vex3(i);
    } else {
        try_escape(i - VEX3);
    }
}

int main(int argc, char **argv) {
    static const struct fuzz_campaign campaign = {"enum", LEGACY + VEX2 + VEX3 + ESCAPES, false,
                                                  probe_setup, item};
    return fuzz_main(argc, argv, &campaign);
}
