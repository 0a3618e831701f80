// test_iommu_pt.c — the IOMMU's page tables on memory made here: every translation is compared with a
// plain array, memory runs out at each possible moment, and all pages come back.
//
// The reference walkers below are written from the specifications and share nothing with the
// builder. Physical page numbers are indices into `pages`, so a wrong address is caught;
// flush() checks that what it is given was really written.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sasos/dev/iommu_pt.c"

#define PAGES 4096
#define FIRST_PHYS 0x100000000ull

static uint64_t *pages[PAGES];
static uint64_t live;
static long allocations_left; // -1: no limit

static uint64_t fake_alloc(void *arg) {
    (void)arg;
    if (allocations_left == 0) return 0;
    if (allocations_left > 0) allocations_left--;
    for (unsigned i = 0; i < PAGES; i++)
        if (!pages[i]) {
            pages[i] = aligned_alloc(4096, 4096);
            memset(pages[i], 0, 4096);
            live++;
            return FIRST_PHYS + 4096ull * i;
        }
    return 0;
}

static uint64_t *fake_table(void *arg, uint64_t phys) {
    (void)arg;
    assert_true(phys >= FIRST_PHYS && phys < FIRST_PHYS + 4096ull * PAGES && phys % 4096 == 0);
    uint64_t *p = pages[(phys - FIRST_PHYS) / 4096];
    assert_non_null(p);
    return p;
}

static void fake_free(void *arg, uint64_t phys) {
    uint64_t *p = fake_table(arg, phys);
    free(p);
    pages[(phys - FIRST_PHYS) / 4096] = NULL;
    live--;
}

static uint64_t flushed;
static void fake_flush(void *arg, const void *start, uint64_t size) {
    (void)arg;
    assert_true(size == 8 || size == 4096);
    assert_true((uintptr_t)start % size == 0);
    flushed++;
}

static const struct iommu_pt_ops ops = {fake_alloc, fake_free, fake_table, fake_flush, NULL};
static struct iommu_pt pt;
static const struct iommu_pt_format *format;

static int setup(void **state) {
    (void)state;
    allocations_left = -1;
    return iommu_pt_init(&pt, &ops, format, 4, 40, true) != ST_OK;
}

static int vtd(void **state) {
    format = &iommu_pt_vtd;
    return setup(state);
}

static int amdvi(void **state) {
    format = &iommu_pt_amdvi;
    return setup(state);
}

static int teardown(void **state) {
    (void)state;
    iommu_pt_destroy(&pt);
    return live != 0 || pt.tables != 0;
}

// What VT-d does with an entry (VT-d 5.10 §9.8): false if it is not present.
static bool vtd_entry(uint64_t e, unsigned level, unsigned *out_rights, bool *out_leaf) {
    *out_rights = e & 3;
    if (!(e & 3)) return false;
    assert_int_equal(e & 0xfff0000000000f7cull, 0); // reserved bits and those that are not used
    *out_leaf = level == 1 || e & 0x80;
    if (level == 1) assert_false(e & 0x80);
    return true;
}

// And AMD-Vi (48882 rev. 3.09 §2.2.3): PR, Next Level, FC, IR, IW.
static bool amdvi_entry(uint64_t e, unsigned level, unsigned *out_rights, bool *out_leaf) {
    *out_rights = e >> 61 & 3;
    if (!(e & 1)) {
        assert_true(e != 0 && (e >> 9 & 7) != 0); // what QEMU needs to record a fault
        return false;
    }
    assert_int_equal(e & 0x8ff00000000001feull, 0);
    unsigned next = e >> 9 & 7;
    *out_leaf = next == 0;
    if (next)
        assert_int_equal(next, level - 1);
    else
        assert_true(e >> 60 & 1);
    return true;
}

// What the hardware would do; returns the entry's rights ANDed over all levels.
static unsigned reference(uint64_t iova, uint64_t *out_phys) {
    uint64_t table = pt.root;
    unsigned rights = 3;
    for (unsigned level = pt.levels;; level--) {
        unsigned shift = 12 + 9 * (level - 1), own;
        bool leaf;
        uint64_t e = fake_table(NULL, table)[iova >> shift & 511];
        if (!(format == &iommu_pt_vtd ? vtd_entry : amdvi_entry)(e, level, &own, &leaf)) return 0;
        rights &= own;
        if (leaf) {
            assert_true(level <= 2);
            *out_phys = (e & 0xffffffffff000ull) + (iova & ((1ull << shift) - 1));
            assert_true(level == 1 || !(e & 0x1ff000));
            return rights;
        }
        table = e & 0xffffffffff000ull;
    }
}

static void expect(uint64_t iova, uint64_t phys, unsigned rights) {
    uint64_t got = 0;
    assert_int_equal(reference(iova, &got), rights);
    if (rights) assert_int_equal(got, phys);
}

static void small_and_large(void **state) {
    (void)state;
    assert_int_equal(iommu_pt_map(&pt, 0x80000000, 0x12345000, 0x3000, 3), ST_OK);
    expect(0x80000000, 0x12345000, 3);
    expect(0x80002fff, 0x12347fff, 3);
    expect(0x80003000, 0, 0);
    expect(0x7ffff000, 0, 0);
    uint64_t tables = pt.tables;
    assert_int_equal(iommu_pt_map(&pt, 0x80200000, 0x40000000, 8u << 20, 1), ST_OK);
    assert_int_equal(pt.tables, tables); // four large leaves, no table
    expect(0x80200000, 0x40000000, 1);
    expect(0x809fffff, 0x407fffff, 1);
    // Large in the middle, small at both ends.
    assert_int_equal(iommu_pt_map(&pt, 0x90001000, 0x50001000, (6u << 20), 2), ST_OK);
    assert_int_equal(pt.tables, tables + 2);
    for (uint64_t o = 0; o < 6u << 20; o += 0x1000) expect(0x90001000 + o, 0x50001000 + o, 2);
    // The two do not match modulo 2 MiB: small leaves only.
    assert_int_equal(iommu_pt_map(&pt, 0xa0000000, 0x60001000, 2u << 20, 3), ST_OK);
    expect(0xa01ff000, 0x60200000, 3);
}

static void refused(void **state) {
    (void)state;
    const uint64_t top = 1ull << 48;
    assert_int_equal(iommu_pt_map(&pt, 0x1000, 0x1000, 0, 3), ST_INVALID);
    assert_int_equal(iommu_pt_map(&pt, 0x1001, 0x1000, 0x1000, 3), ST_INVALID);
    assert_int_equal(iommu_pt_map(&pt, 0x1000, 0x1001, 0x1000, 3), ST_INVALID);
    assert_int_equal(iommu_pt_map(&pt, 0x1000, 0x1000, 0x1001, 3), ST_INVALID);
    assert_int_equal(iommu_pt_map(&pt, 0x1000, 0x1000, 0x1000, 0), ST_INVALID);
    assert_int_equal(iommu_pt_map(&pt, 0x1000, 0x1000, 0x1000, 4), ST_INVALID);
    assert_int_equal(iommu_pt_map(&pt, top, 0x1000, 0x1000, 3), ST_INVALID);
    assert_int_equal(iommu_pt_map(&pt, top - 0x1000, 0x1000, 0x2000, 3), ST_INVALID);
    assert_int_equal(iommu_pt_map(&pt, 0x1000, 0x1000, ~0xfffull, 3), ST_INVALID);
    assert_int_equal(iommu_pt_map(&pt, 0x1000, 1ull << 40, 0x1000, 3), ST_INVALID); // 40 physical bits
    assert_int_equal(iommu_pt_map(&pt, 0x1000, (1ull << 40) - 0x1000, 0x2000, 3), ST_INVALID);
    assert_int_equal(iommu_pt_map(&pt, top - 0x1000, (1ull << 40) - 0x1000, 0x1000, 3), ST_OK);
    expect(top - 1, (1ull << 40) - 1, 3);
    assert_int_equal(iommu_pt_map(&pt, 0x400000, 0x400000, 2u << 20, 3), ST_OK);
    assert_int_equal(iommu_pt_map(&pt, 0x5ff000, 0x1000, 0x1000, 3), ST_EXISTS);
    assert_int_equal(iommu_pt_map(&pt, 0x200000, 0x200000, 4u << 20, 3), ST_EXISTS);
    expect(0x200000, 0, 0);
    uint64_t pages_gone;
    assert_int_equal(iommu_pt_unmap(&pt, 0x1, 0x1000, &pages_gone), ST_INVALID);
    assert_int_equal(iommu_pt_unmap(&pt, 0, 0, &pages_gone), ST_INVALID);
    assert_int_equal(iommu_pt_unmap(&pt, top, 0x1000, &pages_gone), ST_INVALID);
    struct iommu_pt other;
    assert_int_equal(iommu_pt_init(&other, &ops, format, 2, 40, true), ST_INVALID);
    assert_int_equal(iommu_pt_init(&other, &ops, format, 5, 40, true), ST_INVALID);
    assert_int_equal(iommu_pt_init(&other, &ops, format, 4, 53, true), ST_INVALID);
}

static void unmap_splits(void **state) {
    (void)state;
    uint64_t gone;
    assert_int_equal(iommu_pt_map(&pt, 0x80000000, 0x40000000, 6u << 20, 3), ST_OK);
    assert_int_equal(iommu_pt_unmap(&pt, 0x80101000, 0x300000, &gone),
                     ST_OK); // cuts the first and the third leaf
    assert_int_equal(gone, 0x300);
    for (uint64_t o = 0; o < 6u << 20; o += 0x1000)
        if (o >= 0x101000 && o < 0x401000)
            expect(0x80000000 + o, 0, 0);
        else
            expect(0x80000000 + o, 0x40000000 + o, 3);
    assert_int_equal(iommu_pt_unmap(&pt, 0, 1ull << 48, &gone), ST_OK); // everything, quickly
    assert_int_equal(gone, 0x600 - 0x300);
    // Its tables stay, so small leaves go into them.
    assert_int_equal(iommu_pt_map(&pt, 0x80000000, 0x40000000, 2u << 20, 1), ST_OK);
    expect(0x801ff000, 0x401ff000, 1);
    // A split without memory changes nothing.
    assert_int_equal(iommu_pt_map(&pt, 0x90000000, 0x40000000, 2u << 20, 1), ST_OK);
    allocations_left = 0;
    assert_int_equal(iommu_pt_unmap(&pt, 0x90001000, 0x1000, &gone), ST_NO_MEMORY);
    expect(0x90001000, 0x40001000, 1);
    expect(0x90000000, 0x40000000, 1);
}

static void out_of_memory(void **state) {
    (void)state;
    for (long n = 0;; n++) {
        struct iommu_pt saved = pt;
        allocations_left = n;
        enum status s = iommu_pt_map(&pt, 0x3fff000, 0x12345000, 0x402000, 3); // three leaf tables
        allocations_left = -1;
        if (s == ST_OK) {
            assert_true(n > 0);
            break;
        }
        assert_int_equal(s, ST_NO_MEMORY);
        assert_int_equal(pt.root, saved.root);
        for (uint64_t o = 0; o < 0x402000; o += 0x1000) expect(0x3fff000 + o, 0, 0);
        iommu_pt_destroy(&pt);
        assert_int_equal(live, 0);
        assert_int_equal(iommu_pt_init(&pt, &ops, format, 4, 40, true), ST_OK);
    }
    struct iommu_pt none;
    allocations_left = 0;
    assert_int_equal(iommu_pt_init(&none, &ops, format, 3, 39, false), ST_NO_MEMORY);
}

// Random maps and unmaps over 16 MiB against an array of what each page should be, for both depths,
// with and without large leaves.
static void against_model(void **state) {
    (void)state;
    enum { MODEL = 4096 };
    static uint64_t phys[MODEL];
    static unsigned rights[MODEL];
    uint32_t seed = 3;
    for (unsigned variant = 0; variant < 4; variant++) {
        struct iommu_pt keep = pt;
        assert_int_equal(iommu_pt_init(&pt, &ops, format, 3 + (variant & 1), 39, variant & 2), ST_OK);
        memset(rights, 0, sizeof rights);
        const uint64_t base = 0x8000000000ull - (uint64_t)MODEL * 4096; // up to the end of 39 bits
        for (unsigned round = 0; round < 3000; round++) {
            seed = seed * 1664525u + 1013904223u;
            uint64_t first = (seed >> 8) % MODEL, count = 1 + (seed >> 20) % 1100;
            if (seed & 64) first &= ~511ull;
            if (first + count > MODEL) count = MODEL - first;
            seed = seed * 1664525u + 1013904223u;
            bool any = false;
            for (uint64_t i = first; i < first + count; i++) any |= rights[i] != 0;
            if (seed & 1u << 30) {
                uint64_t gone, was = 0;
                for (uint64_t i = first; i < first + count; i++)
                    was += rights[i] != 0, rights[i] = 0;
                assert_int_equal(iommu_pt_unmap(&pt, base + first * 4096, count * 4096, &gone), ST_OK);
                assert_int_equal(gone, was);
            } else {
                uint64_t to = seed & 128 ? (first & 511) * 4096 + (seed >> 10 & 0xff) * IOMMU_PT_LARGE
                                         : (seed >> 8) * 4096ull;
                unsigned r = 1 + seed % 3;
                enum status s = iommu_pt_map(&pt, base + first * 4096, to, count * 4096, r);
                assert_int_equal(s, any ? ST_EXISTS : ST_OK);
                for (uint64_t i = first; i < first + count && !any; i++)
                    rights[i] = r, phys[i] = to + (i - first) * 4096;
            }
            for (unsigned i = round % 7; i < MODEL; i += 7)
                expect(base + i * 4096ull, phys[i], rights[i]);
        }
        iommu_pt_destroy(&pt);
        pt = keep;
    }
    assert_true(flushed > 0);
}

#define T(when, name) \
    { #name " " #when, name, when, teardown, NULL }
int main(void) {
#define ALL(when)                                                                              \
    T(when, small_and_large), T(when, refused), T(when, unmap_splits), T(when, out_of_memory), \
        T(when, against_model)
    const struct CMUnitTest tests[] = {ALL(vtd), ALL(amdvi)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
