// test_random.c — the system's random numbers: RFC 8439's block, and a state that moves on.
#include "kernel_shim.h"

static inline uint64_t cpu_rdtsc(void) { return 0; }
static unsigned hardware_left;
static bool cpu_random64(uint64_t *out) {
    *out = hardware_left * 0x9e3779b97f4a7c15ull;
    return hardware_left && hardware_left--;
}
static unsigned warnings;
#define SASOS_LIB_LOG_H
#define log_warn(...) (void)warnings++

#include "sasos/arch/time.h"
uint64_t time_unix_ns(void) { return 1; }
#include "sasos/run/random.c"

// RFC 8439 §2.3.2.
static void block(void **state) {
    (void)state;
    uint8_t bytes[32], out[64];
    uint32_t k[8];
    const uint32_t nonce[3] = {0x09000000, 0x4a000000, 0};
    static const uint8_t want[64] = {
        0x10, 0xf1, 0xe7, 0xe4, 0xd1, 0x3b, 0x59, 0x15, 0x50, 0x0f, 0xdd, 0x1f, 0xa3,
        0x20, 0x71, 0xc4, 0xc7, 0xd1, 0xf4, 0xc7, 0x33, 0xc0, 0x68, 0x03, 0x04, 0x22,
        0xaa, 0x9a, 0xc3, 0xd4, 0x6c, 0x4e, 0xd2, 0x82, 0x64, 0x46, 0x07, 0x9f, 0xaa,
        0x09, 0x14, 0xc2, 0xd7, 0x05, 0xd9, 0x8b, 0x02, 0xa2, 0xb5, 0x12, 0x9c, 0xd1,
        0xde, 0x16, 0x4e, 0xb9, 0xcb, 0xd0, 0x83, 0xe8, 0xa2, 0x50, 0x3c, 0x4e};
    for (unsigned i = 0; i < 32; i++) bytes[i] = (uint8_t)i;
    memcpy(k, bytes, 32);
    chacha20_block(k, 1, nonce, out);
    assert_memory_equal(out, want, 64);
}

static void moves_on(void **state) {
    (void)state;
    static uint8_t a[4096], b[4096];
    uint32_t before[8];
    hardware_left = HARDWARE_WORDS;
    random_init();
    assert_int_equal(warnings, 0);
    memcpy(before, key, 32);
    random_bytes(a, sizeof a);
    assert_memory_not_equal(before, key, 32);
    for (size_t i = 0; i + 32 <= sizeof a; i++) // neither state is ever given out
        if (!memcmp(a + i, before, 32) || !memcmp(a + i, key, 32))
            fail_msg("the key is in the output");
    random_bytes(b, sizeof b);
    for (size_t i = 0; i < sizeof a; i += 16) assert_memory_not_equal(a + i, b + i, 16);
    // The same state gives the same numbers (the counter is 0 here), another addition others; every length counts.
    memcpy(key, before, 32);
    random_bytes(b, 100);
    assert_memory_equal(a, b, 100);
    uint8_t seen[66][8];
    for (unsigned n = 0; n < 66; n++) {
        static const uint8_t zeros[66];
        memcpy(key, before, 32);
        random_add(zeros, n);
        memcpy(seen[n], key, 8);
        for (unsigned i = 0; i < n; i++) assert_memory_not_equal(seen[i], seen[n], 8);
    }
}

static void says_so_without_hardware(void **state) {
    (void)state;
    hardware_left = 3;
    warnings = 0;
    random_init();
    assert_int_equal(warnings, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(block),
        cmocka_unit_test(moves_on),
        cmocka_unit_test(says_so_without_hardware),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
