// test_kernel_frame.c — the frame allocator on a made-up memory map, with a buffer for RAM: exact accounting, alignment, limits,
// clearing, reclaim, hostile maps; and random use against a model that knows the owner of every frame.
#include "tests/host/kernel_shim.h"

#include "efi/bootinfo.h"
#include "sasos/mem/frame.c"

#define RAM_PAGES 0x4000ull // 64 MiB of address space
static uint8_t *ram;
static struct bootinfo info;

static void start(const struct boot_mem_range *r, unsigned n) {
    memset(&info, 0, sizeof info);
    memcpy(ram, r, n * sizeof *r);
    info.mem_map_count = n;
    used_bits = NULL, chunk_free = NULL, map = NULL;
    frame_init(&info, (uint64_t)ram);
}

static const struct boot_mem_range usual[] = {
    {0, 0x9f, BOOT_MEM_FREE, 7},
    {0x9f000, 0x61, BOOT_MEM_RESERVED, 0},
    {0x100000, 0x600, BOOT_MEM_FREE, 7},
    {0x700000, 0x40, BOOT_MEM_LOADER, 1},
    {0x740000, 0x10, BOOT_MEM_KERNEL, 1},
    {0x750000, 0x1b0, BOOT_MEM_FREE, 7},
    {0x900000, 0x8, BOOT_MEM_ACPI_RECLAIM, 9},
    {0xa00000, 0x3000, BOOT_MEM_FREE, 7},
};
#define USUAL usual, sizeof usual / sizeof *usual

static void accounting(void **state) {
    (void)state;
    start(USUAL);
    uint64_t usable = 0x600 + 0x1b0 + 0x3000, own = usable - frame_count_free();
    assert_true(own >= 1 && own < 8);
    assert_int_equal(frame_total(), usable + 0x9f + 0x40);
    assert_true(frame_is_ram(0x700000, 0x40000) && frame_is_ram(0x100000, 0x640000));
    assert_false(frame_is_ram(0x740000, 1));
    assert_false(frame_is_ram(0x73f000, 0x2000));
    assert_false(frame_is_ram(0x9ff000, 0x2000)); // over a hole
    assert_false(frame_is_ram(0x3a00000, 1) || frame_is_ram(UINT64_MAX - 10, 20) ||
                 frame_is_ram(0x100000, 0));
    assert_true(frame_touches_ram(0x740000, 1) && frame_touches_ram(0x9ff000, 0x1001));
    assert_false(frame_touches_ram(0x900000, 0x8000) || frame_touches_ram(0xfee00000, 4096));
}

static void everything_once(void **state) {
    (void)state;
    start(USUAL);
    uint64_t n = frame_count_free();
    uint8_t *seen = calloc(RAM_PAGES, 1);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t f = frame_alloc(0) / FRAME_SIZE;
        assert_true(f >= 0x100 && f < RAM_PAGES && !seen[f] &&
                    frame_is_ram(f * FRAME_SIZE, FRAME_SIZE));
        seen[f] = 1;
    }
    assert_int_equal(frame_alloc(0), 0);
    assert_int_equal(frame_count_free(), 0);
    for (uint64_t f = 0; f < RAM_PAGES; f++)
        if (seen[f]) frame_free(f * FRAME_SIZE, 1);
    assert_int_equal(frame_count_free(), n);
    free(seen);
}

static void runs(void **state) {
    (void)state;
    start(USUAL);
    uint64_t a = frame_alloc_2m(0), b = frame_alloc_2m(FRAME_ZERO), c = frame_alloc_run(7, 1, 0),
             d = frame_alloc_run(5, 64, FRAME_LOW);
    assert_true(a && b && a != b && a % FRAME_2M == 0 && b % FRAME_2M == 0 && c && d &&
                d % (64 * FRAME_SIZE) == 0);
    assert_int_equal(frame_alloc_run(0x3001, 1, 0), 0);
    assert_true(frame_alloc_run(0x2000, 512, 0));
    assert_int_equal(frame_alloc_run(0x2000, 1, 0), 0);
}

static void cleared(void **state) {
    (void)state;
    start(USUAL);
    uint64_t f = frame_alloc(0);
    memset(ram + f, 0xee, FRAME_SIZE);
    frame_free(f, 1);
    assert_int_equal(frame_alloc(FRAME_ZERO), f); // first fit: the same one
    for (unsigned i = 0; i < FRAME_SIZE; i++) assert_int_equal(ram[f + i], 0);
}

static void reclaim(void **state) {
    (void)state;
    start(USUAL);
    uint64_t before = frame_count_free();
    struct bootinfo kept = {
        .kernel_elf = {0x701800, 0x2000}, // touches frames 701–703
        .modules = {0x703800, 0x800},     // shares 703
        .config = {0x73ff00, 0x100},      // the last one
    };
    frame_reclaim(&kept);
    assert_int_equal(frame_count_free(), before + 0x40 - 3 - 1);
    for (uint64_t f = 0x701; f <= 0x703; f++) assert_true(is_used(f));
    assert_true(is_used(0x73f) && !is_used(0x700) && !is_used(0x704) && !is_used(0x73e) &&
                is_used(0x740));
}

static void mistakes(void **state) {
    (void)state;
    start(USUAL);
    uint64_t f = frame_alloc(0);
    frame_free(f, 1);
    PANICS(lock, "freed twice", frame_free(f, 1));
    PANICS(lock, "assertion", frame_free(0, 1));
    PANICS(lock, "assertion", frame_free(f + 1, 1));
    PANICS(lock, "assertion", frame_free(0x100000000, 1));
    PANICS(lock, "assertion", frame_alloc_run(1, 3, 0));
    shim_cpu.irq_depth = 1;
    PANICS(lock, "assertion", frame_alloc(0));
    shim_cpu.irq_depth = 0;
}

static void hostile_maps(void **state) {
    (void)state;
    static const struct boot_mem_range overlap[] = {{0x100000, 0x100, BOOT_MEM_FREE, 7},
                                                    {0x180000, 0x100, BOOT_MEM_FREE, 7}};
    static const struct boot_mem_range unsorted[] = {{0x200000, 0x10, BOOT_MEM_FREE, 7},
                                                     {0x100000, 0x10, BOOT_MEM_FREE, 7}};
    static const struct boot_mem_range odd[] = {{0x100800, 0x10, BOOT_MEM_FREE, 7}};
    static const struct boot_mem_range huge[] = {{0x100000, UINT64_MAX / 2, BOOT_MEM_FREE, 7}};
    static const struct boot_mem_range none[] = {{0x100000, 0x10, BOOT_MEM_RESERVED, 0}};
    PANICS(lock, "not in order at entry 1", start(overlap, 2));
    PANICS(lock, "not in order at entry 1", start(unsorted, 2));
    PANICS(lock, "not in order at entry 0", start(odd, 1));
    PANICS(lock, "not in order at entry 0", start(huge, 1));
    PANICS(lock, "no free memory range", start(none, 1));
}

// Random calls against an owner for every frame.
static void model(void **state) {
    (void)state;
    start(USUAL);
    enum { LIVE = 300 };
    static struct { uint64_t pa, n; } live[LIVE];
    uint16_t *owner = calloc(RAM_PAGES, sizeof *owner);
    uint64_t free_now = frame_count_free(), seed = 1;
    for (unsigned step = 0; step < 30000; step++) {
        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        uint32_t r = (uint32_t)(seed >> 33);
        unsigned i = r % LIVE;
        if (live[i].pa) {
            for (uint64_t f = live[i].pa / FRAME_SIZE, k = 0; k < live[i].n; k++) {
                assert_int_equal(owner[f + k], i + 1);
                owner[f + k] = 0;
            }
            frame_free(live[i].pa, live[i].n);
            free_now += live[i].n;
            live[i].pa = 0;
        } else {
            uint64_t n = r >> 9 & 3    ? 1
                         : r >> 11 & 7 ? 1 + (r >> 14) % 40
                                       : 512,
                     align = 1ull << (r >> 20) % 10;
            uint64_t pa = frame_alloc_run(n, n == 1 && align < 64 ? 1 : align, 0);
            if (!pa) continue;
            for (uint64_t f = pa / FRAME_SIZE, k = 0; k < n; k++) {
                assert_int_equal(owner[f + k], 0);
                owner[f + k] = (uint16_t)(i + 1);
            }
            free_now -= n;
            live[i].pa = pa, live[i].n = n;
        }
        assert_int_equal(frame_count_free(), free_now);
    }
    free(owner);
}

int main(void) {
    ram = aligned_alloc(FRAME_2M, RAM_PAGES * FRAME_SIZE);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accounting),   cmocka_unit_test(everything_once),
        cmocka_unit_test(runs),         cmocka_unit_test(cleared),
        cmocka_unit_test(reclaim),      cmocka_unit_test(mistakes),
        cmocka_unit_test(hostile_maps), cmocka_unit_test(model),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(ram);
    return failed;
}
