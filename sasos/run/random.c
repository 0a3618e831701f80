// random.c — see random.h.
#include "sasos/run/random.h"
#include "sasos/arch/cpu.h"
#include "sasos/arch/lock.h"
#include "sasos/arch/time.h"
#include "sasos/lib/log.h"
#include "sasos/lib/mem.h"

#define JITTER_ROUNDS 4096
#define HARDWARE_WORDS 8 // of 64 bits: twice what the key holds

static struct spinlock lock;
static uint32_t key[8];

static uint32_t rotate(uint32_t x, unsigned n) { return x << n | x >> (32 - n); }

static void quarter(uint32_t x[16], unsigned a, unsigned b, unsigned c, unsigned d) {
    x[a] += x[b], x[d] = rotate(x[d] ^ x[a], 16);
    x[c] += x[d], x[b] = rotate(x[b] ^ x[c], 12);
    x[a] += x[b], x[d] = rotate(x[d] ^ x[a], 8);
    x[c] += x[d], x[b] = rotate(x[b] ^ x[c], 7);
}

void chacha20_block(const uint32_t k[8], uint32_t counter, const uint32_t nonce[3], uint8_t out[64]) {
    const uint32_t start[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, k[0], k[1],
                                k[2],       k[3],       k[4],       k[5],       k[6], k[7],
                                counter,    nonce[0],   nonce[1],   nonce[2]};
    uint32_t x[16];
    memcpy(x, start, sizeof x);
    for (int i = 0; i < 10; i++) {
        for (unsigned c = 0; c < 4; c++) quarter(x, c, c + 4, c + 8, c + 12);
        for (unsigned c = 0; c < 4; c++)
            quarter(x, c, (c + 1) % 4 + 4, (c + 2) % 4 + 8, (c + 3) % 4 + 12);
    }
    for (unsigned i = 0; i < 16; i++) x[i] += start[i];
    memcpy(out, x, 64); // little endian, as this machine
}

// The state moves on; `out` is a key of its own for one request.
static void next_key(uint32_t out[8]) {
    uint64_t now = cpu_rdtsc();
    const uint32_t nonce[3] = {(uint32_t)now, (uint32_t)(now >> 32), 1};
    uint32_t block[16];
    uint64_t flags = spin_lock(&lock);
    chacha20_block(key, 0, nonce, (uint8_t *)block);
    memcpy(key, block, sizeof key);
    spin_unlock(&lock, flags);
    memcpy(out, block + 8, 32);
    memset(block, 0, sizeof block);
}

void random_bytes(uint8_t *out, size_t n) {
    static const uint32_t nonce[3];
    uint32_t k[8];
    next_key(k);
    for (uint32_t i = 0; n; i++) {
        uint8_t block[64];
        size_t part = MIN(n, sizeof block);
        chacha20_block(k, i, nonce, block);
        memcpy(out, block, part);
        out += part;
        n -= part;
    }
    __asm__ volatile("" : : "r"(memset(k, 0, sizeof k)) : "memory"); // not optimised away
}

void random_add(const uint8_t *bytes, size_t n) {
    do { // 32 bytes at a time; the last part's length is the nonce's
        uint32_t part[8] = {0}, block[16];
        size_t length = MIN(n, sizeof part);
        memcpy(part, bytes, length);
        const uint32_t nonce[3] = {(uint32_t)length, 0, 2};
        uint64_t flags = spin_lock(&lock);
        for (unsigned i = 0; i < 8; i++) part[i] ^= key[i];
        chacha20_block(part, 0, nonce, (uint8_t *)block);
        memcpy(key, block, sizeof key);
        spin_unlock(&lock, flags);
        bytes += length;
        n -= length;
    } while (n);
}

void random_init(void) {
    uint64_t hardware[HARDWARE_WORDS];
    unsigned got = 0;
    while (got < HARDWARE_WORDS && cpu_random64(&hardware[got])) got++;
    random_add((const uint8_t *)hardware, got * sizeof *hardware);
    uint64_t clock = time_unix_ns();
    random_add((const uint8_t *)&clock, sizeof clock);
    for (unsigned i = 0; i < JITTER_ROUNDS / 4; i++) {
        uint64_t ticks[4];
        for (unsigned k = 0; k < 4; k++) {
            ticks[k] = cpu_rdtsc();
            for (volatile unsigned spin = (unsigned)(ticks[k] & 15); spin; spin--)
                ;
        }
        random_add((const uint8_t *)ticks, sizeof ticks);
    }
    if (got < HARDWARE_WORDS)
        log_warn("random",
                 "this processor gives no random numbers: seeded by timing alone, which an "
                 "observer of the machine may guess");
}
