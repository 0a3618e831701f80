// bulk.S against memmove and memset: every length up to the longest, overlaps in both directions, and nothing outside written.
//
// The routines are called as a thunk would, on a window of this test's own; only calls that they finish by themselves, as the
// others need an instance (the specification's tests have those).
#include "loader/private.h"
#include "sfi-jit/sfi.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
// cmocka's header needs those before it
#include <cmocka.h>

#define SHORT 2048u
#define PAGE 65536u
#define EXTENT_AT (2 * PAGE + 100)
#define EXTENT_SIZE 5000u

static uint8_t *window, copy[EXTENT_AT + EXTENT_SIZE];

static void fill_window(unsigned seed) {
    for (uint32_t i = 0; i < sizeof copy; i++)
        window[i] = copy[i] = (uint8_t)(i * 7 + (i >> 8) * 13 + seed);
}

// The upper halves of i32 arguments are undefined: all ones here.
static void call(void (*f)(void), uint64_t a, uint64_t b, uint64_t c) {
    const uint64_t dirty = 0xffffffffull << 32;
    a |= dirty, b |= dirty, c |= dirty;
    uint64_t at = (uint64_t)window;
    __asm__ volatile("lea -128(%%rsp), %%rsp; mov %%rcx, %%r15; call *%%rax; lea 128(%%rsp), %%rsp"
                     : "+D"(a), "+S"(b), "+d"(c), "+a"(f), "+c"(at)
                     :
                     : "r8", "r9", "r10", "r11", "r15", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4",
                       "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "memory", "cc");
}

static void check_copy(uint32_t dst, uint32_t src, uint32_t n) {
    call(ldr_bulk_copy, dst, src, n);
    memmove(copy + dst, copy + src, n);
    if (memcmp(window, copy, sizeof copy)) fail_msg("copy %u to %u, %u bytes", src, dst, n);
}

static void test_copy(void **state) {
    (void)state;
    static const uint32_t apart[] = {1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 63, 64, 65, 100, 127, 129};
    for (uint32_t n = 0; n <= SHORT; n++) {
        fill_window(n);
        check_copy(100, 9001, n);
        check_copy(PAGE - n, 40, n); // to the memory's end
        check_copy(77, PAGE - n, n);
        for (unsigned k = 0; k < sizeof apart / sizeof *apart; k++) {
            check_copy(20000, 20000 + apart[k], n);
            if (n <= 128 || n <= apart[k]) check_copy(30000 + apart[k], 30000, n);
        }
    }
}

// The host's pages above the memory: both ends of them, and both directions.
static void test_extent(void **state) {
    (void)state;
    const uint32_t end = EXTENT_AT + EXTENT_SIZE;
    for (uint32_t n = 0; n <= SHORT; n++) {
        fill_window(n);
        check_copy(EXTENT_AT, 40, n);
        check_copy(end - n, 9001, n);
        check_copy(300, EXTENT_AT, n);
        check_copy(PAGE - n, end - n, n);
        if (2 * n <= EXTENT_SIZE) check_copy(EXTENT_AT, end - n, n);
        call(ldr_bulk_fill, EXTENT_AT, n, n);
        memset(copy + EXTENT_AT, (int)(n & 0xff), n);
        call(ldr_bulk_fill, end - n, n + 1, n);
        memset(copy + end - n, (int)((n + 1) & 0xff), n);
        if (memcmp(window + EXTENT_AT, copy + EXTENT_AT, EXTENT_SIZE))
            fail_msg("fill at the ends, %u bytes", n);
    }
}

static void test_fill(void **state) {
    (void)state;
    for (uint32_t n = 0; n <= SHORT; n++) {
        uint32_t at[] = {1000 + n, PAGE - n};
        fill_window(n);
        for (unsigned k = 0; k < 2; k++) {
            call(ldr_bulk_fill, at[k], 0x1200 | (n & 0xff), n);
            memset(copy + at[k], (int)(n & 0xff), n);
            if (memcmp(window, copy, sizeof copy)) fail_msg("fill %u, %u bytes", at[k], n);
        }
    }
}

int main(void) {
    size_t below = 0x106000;
    uint8_t *map =
        mmap(NULL, below + sizeof copy, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) return 1;
    window = map + below;
    *(uint32_t *)ldr_context((uint64_t)window, SFI_CTX_MEM_PAGES) = 1;
    struct ldr_private *priv = ldr_context((uint64_t)window, SFI_CTX_PRIVATE);
    priv->extent_at = EXTENT_AT;
    priv->extent_size = EXTENT_SIZE;
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_copy), cmocka_unit_test(test_extent),
                                       cmocka_unit_test(test_fill)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
