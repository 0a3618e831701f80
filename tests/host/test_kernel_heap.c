// test_kernel_heap.c — the kernel heap in an address range of its own, with page mapping played by mprotect: what the heap has
// not mapped faults here too. Random use against a model, injected failures of mapping, and the mistakes that must panic.
#include "tests/host/kernel_shim.h"

#include <sys/mman.h>

#include "sasos/mem/heap.c"

#define RANGE (1ull << 32)
static uint8_t *range;
static uint64_t mapped_pages;
static int fail_after = -1; // mappings until one fails; −1: never

enum status pt_map_new(uint64_t va, uint64_t len, unsigned flags) {
    assert_true(va % 4096 == 0 && len && len % 4096 == 0 && flags == PT_W);
    assert_true(va >= (uint64_t)range && va + len <= (uint64_t)range + RANGE);
    if (fail_after == 0) return ST_NO_MEMORY;
    if (fail_after > 0) fail_after--;
    assert_int_equal(mprotect((void *)va, len, PROT_READ | PROT_WRITE), 0);
    mapped_pages += len / 4096;
    return ST_OK;
}

void pt_unmap(uint64_t va, uint64_t len) {
    // Gone with its contents: mapped again, the pages are zero.
    assert_ptr_equal(mmap((void *)va, len, PROT_NONE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0),
                     (void *)va);
    mapped_pages -= len / 4096;
}

static int start(void **state) {
    (void)state;
    pt_unmap((uint64_t)range, RANGE);
    mapped_pages = 0;
    fail_after = -1;
    heap_init((uint64_t)range, RANGE);
    return 0;
}

static void sizes(void **state) {
    (void)state;
    for (size_t size = 0; size < 20000; size += size < 70 ? 1 : 61) {
        uint8_t *p = kalloc(size), *q = kzalloc(size);
        assert_true(p && q && p != q);
        size_t align = size > 2048 ? 4096 : 16;
        while (align < size && align < 4096) align *= 2;
        assert_int_equal((uint64_t)p % align, 0);
        memset(p, 0x55, size);
        for (size_t i = 0; i < size; i++) assert_int_equal(q[i], 0);
        memset(q, 0xaa, size);
        kfree(p), kfree(q);
    }
    kfree(NULL);
    assert_int_equal(heap_stats().objects, 0);
}

static void model(void **state) {
    (void)state;
    enum { LIVE = 500 };
    static struct {
        uint8_t *p;
        size_t size;
    } live[LIVE];
    uint64_t seed = 2;
    for (unsigned step = 0; step < 60000; step++) {
        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        uint32_t r = (uint32_t)(seed >> 33);
        unsigned i = r % LIVE;
        size_t size = r >> 9 & 15 ? (r >> 13) % 2500 : (r >> 13) % 60000;
        if (!live[i].p) {
            live[i].p = kalloc(live[i].size = size);
        } else {
            for (size_t k = 0; k < live[i].size; k += 1 + k / 8)
                assert_int_equal(live[i].p[k], (uint8_t)i);
            kfree(live[i].p);
            live[i].p = NULL;
            continue;
        }
        assert_non_null(live[i].p);
        memset(live[i].p, (int)(uint8_t)i, live[i].size);
        assert_int_equal(heap_stats().bytes_mapped, mapped_pages * 4096);
    }
    for (unsigned i = 0; i < LIVE; i++) kfree(live[i].p), live[i].p = NULL;
    assert_int_equal(heap_stats().objects, 0);
    // What stays: page descriptors, and at most one empty slab a class.
    assert_true(mapped_pages <= CLASSES + descriptors_mapped / 4096);
}

static void exhaustion(void **state) {
    (void)state;
    for (int budget = 0; budget < 12; budget++) {
        start(NULL);
        fail_after = budget;
        void *p[8] = {kalloc(16),  kalloc(2000), kalloc(5000),  kalloc(1 << 20),
                      kalloc(100), kalloc(40),   kzalloc(9000), kalloc(300)};
        unsigned got = 0;
        for (unsigned i = 0; i < 8; i++) got += p[i] != NULL;
        assert_true(got < 8 || budget >= 8);
        assert_int_equal(heap_stats().objects, got);
        fail_after = -1;
        for (unsigned i = 0; i < 8; i++) {
            if (p[i]) memset(p[i], 1, 16);
            void *q = kalloc(5000); // goes on after a failure
            assert_non_null(q);
            kfree(q), kfree(p[i]);
        }
        assert_int_equal(heap_stats().objects, 0);
    }
    void *p = kalloc(100);
    fail_after = 0;
    assert_null(kalloc(50000));
    fail_after = -1;
    assert_null(kalloc(RANGE));
    assert_null(kalloc(SIZE_MAX));
    kfree(p);
}

static void mistakes(void **state) {
    (void)state;
    uint8_t *p = kalloc(64), *big = kalloc(10000), other;
    PANICS(lock, "assertion", kfree(p + 8));
    PANICS(lock, "assertion", kfree(big + 64));
    PANICS(lock, "is no allocation", kfree(big + 4096));
    PANICS(lock, "is no allocation", kfree(&other));
    kfree(big);
    PANICS(lock, "is no allocation", kfree(big));
    shim_cpu.irq_depth = 1;
    PANICS(lock, "assertion", kalloc(8));
    PANICS(lock, "assertion", kfree(p));
    shim_cpu.irq_depth = 0;
    kfree(p);
}

int main(void) {
    range = mmap(NULL, RANGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(sizes, start),
        cmocka_unit_test_setup(model, start),
        cmocka_unit_test_setup(exhaustion, start),
        cmocka_unit_test_setup(mistakes, start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
