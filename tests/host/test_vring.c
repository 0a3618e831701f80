// test_vring.c — shadow rings: every way in which a driver's chain can be wrong, every way in which a device's used entry can, and random
// drivers against random devices. Both rings are heap blocks of exactly their size, so that an access outside is an AddressSanitizer report.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sasos/dev/vring.c"

enum { N = 8, NEXT = 1, WRITE = 2, INDIRECT = 4 };
static const struct vring_extent extents[] = {{0x80000000, 0x2000, 0x7000000},
                                              {0x80002000, 0x1000, 0x1000000},
                                              {0x80400000, 0x200000, 0x40000000}};
enum { EXTENTS = 3 };

static struct vring ring;
static struct vring_part real, shadow;
static struct vring_fault fault;

static struct vring_part part(uint32_t size) {
    return (struct vring_part){calloc(size, 16), calloc(1, 6 + 2 * size), calloc(1, 6 + 8 * size)};
}

static void drop(struct vring_part p) {
    free((void *)p.desc);
    free((void *)p.avail);
    free((void *)p.used);
}

static void open_size(uint32_t size, bool event_idx) {
    real = part(size);
    shadow = part(size);
    vring_init(&ring, real, size, event_idx);
}

static int setup(void **state) {
    (void)state;
    open_size(N, false);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    drop(real);
    drop(shadow);
    return 0;
}

static void desc(uint32_t i, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next) {
    shadow.desc[i].addr = addr;
    shadow.desc[i].len = len;
    shadow.desc[i].flags = flags;
    shadow.desc[i].next = next;
}

static void add(uint16_t head) {
    shadow.avail->ring[shadow.avail->idx & (ring.size - 1)] = head;
    shadow.avail->idx++;
}

static bool publish(void) { return vring_publish(&ring, shadow, extents, EXTENTS, &fault); }

static void device_uses(uint32_t id, uint32_t len) {
    real.used->ring[real.used->idx & (ring.size - 1)] = (struct vring_used_elem){id, len};
    real.used->idx++;
}

static void good_chain(void **state) {
    (void)state;
    desc(3, 0x80000010, 16, NEXT, 5);
    desc(5, 0x80400000, 0x200000, NEXT | WRITE, 0);
    desc(0, 0x80002fff, 1, WRITE, 77);
    add(3);
    assert_true(publish());
    assert_int_equal(real.avail->idx, 1);
    assert_int_equal(real.avail->ring[0], 3);
    assert_int_equal(real.desc[3].addr, 0x7000010);
    assert_int_equal(real.desc[3].len, 16);
    assert_int_equal(real.desc[3].next, 5);
    assert_int_equal(real.desc[5].addr, 0x40000000);
    assert_int_equal(real.desc[5].flags, NEXT | WRITE);
    assert_int_equal(real.desc[0].addr, 0x1000fff);
    assert_int_equal(real.desc[0].next, 0);
    assert_true(vring_must_notify(&ring));
    assert_false(vring_must_notify(&ring));
    assert_int_equal(vring_collect(&ring, shadow), 0);
    device_uses(3, 1234);
    assert_int_equal(vring_collect(&ring, shadow), 1);
    assert_int_equal(shadow.used->idx, 1);
    assert_int_equal(shadow.used->ring[0].id, 3);
    assert_int_equal(shadow.used->ring[0].len, 1234);
    add(3); // it is the driver's again
    assert_true(publish());
}

// One thing wrong in the second part of a chain of three: nothing of it is seen by the device.
static void refused(enum vring_refusal why, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next) {
    desc(0, 0x80000000, 16, NEXT, 1);
    desc(1, addr, len, flags, next);
    desc(2, 0x80000020, 1, WRITE, 0);
    add(0);
    assert_false(publish());
    assert_int_equal(fault.why, why);
    assert_int_equal(real.avail->idx, 0);
    teardown(NULL);
    setup(NULL);
}

static void bad_chains(void **state) {
    (void)state;
    refused(VRING_OUTSIDE, 0x7fffffff, 2, NEXT, 2); // begins below
    refused(VRING_OUTSIDE, 0x80003000, 1, NEXT, 2); // above
    refused(VRING_OUTSIDE, 0x80002fff, 2, NEXT, 2); // straddles the end
    refused(VRING_OUTSIDE, 0x80001fff, 2, NEXT, 2); // two pieces that are neighbours only for the driver
    refused(VRING_OUTSIDE, 0x80400000, 0x200001, NEXT, 2);   // a byte too long
    refused(VRING_OUTSIDE, 0x80000010, 0xfffffff0, NEXT, 2); // the sum overflows 32 bits
    refused(VRING_OUTSIDE, UINT64_MAX, 2, NEXT, 2);          // and 64
    refused(VRING_OUTSIDE, 0x180000000, 1, NEXT, 2);         // right but for the high half
    refused(VRING_OUTSIDE, 0, 1, NEXT, 2);
    refused(VRING_OUTSIDE, 0x7000000, 16, NEXT, 2); // a physical address
    refused(VRING_EMPTY, 0x80000000, 0, NEXT, 2);
    refused(VRING_FLAGS, 0x80000000, 16, INDIRECT, 0);
    refused(VRING_FLAGS, 0x80000000, 16, NEXT | 0x8000, 2);
    refused(VRING_NUMBER, 0x80000000, 16, NEXT, N);
    refused(VRING_NUMBER, 0x80000000, 16, NEXT, 0xffff);
    refused(VRING_BUSY, 0x80000000, 16, NEXT, 0); // a loop
    refused(VRING_BUSY, 0x80000000, 16, NEXT, 1);

    desc(0, 0x80000000, 16, NEXT | WRITE, 1); // to write, then to read
    desc(1, 0x80000000, 16, 0, 0);
    add(0);
    assert_false(publish());
    assert_int_equal(fault.why, VRING_ORDER);
}

static void bad_rings(void **state) {
    (void)state;
    add(N); // no such head
    assert_false(publish());
    assert_int_equal(fault.why, VRING_NUMBER);
    teardown(NULL), setup(NULL);
    shadow.avail->idx = N + 1;
    assert_false(publish());
    assert_int_equal(fault.why, VRING_INDEX);
    teardown(NULL), setup(NULL);
    shadow.avail->idx = 0xffff; // backwards
    assert_false(publish());
    assert_int_equal(fault.why, VRING_INDEX);
    teardown(NULL), setup(NULL);
    desc(4, 0x80000000, 1, 0, 0);
    add(4);
    assert_true(publish());
    add(4); // twice
    assert_false(publish());
    assert_int_equal(fault.why, VRING_BUSY);
    assert_int_equal(fault.descriptor, 4);
    teardown(NULL), setup(NULL);
    desc(4, 0x80000000, 1, 0, 0);
    desc(5, 0x80000000, 1, NEXT, 4); // into another's
    add(4);
    add(5);
    assert_false(publish());
    assert_int_equal(fault.why, VRING_BUSY);
    assert_int_equal(real.avail->idx, 0); // nor the good one before it
}

static void one_in_flight(void) {
    desc(1, 0x80000000, 1, NEXT, 2);
    desc(2, 0x80000000, 1, 0, 0);
    add(1);
    assert_true(publish());
}

static void bad_devices(void **state) {
    (void)state;
    static const uint32_t ids[] = {0, 2, N, 0x10001, UINT32_MAX}; // 2 is inside a chain
    for (unsigned i = 0; i < sizeof ids / sizeof *ids; i++) {
        one_in_flight();
        device_uses(ids[i], 1);
        assert_int_equal(vring_collect(&ring, shadow), -1);
        assert_int_equal(shadow.used->idx, 0);
        assert_int_equal(vring_collect(&ring, shadow), -1); // for good
        teardown(NULL), setup(NULL);
    }
    one_in_flight();
    device_uses(1, 1);
    device_uses(1, 1); // twice: the first counts
    assert_int_equal(vring_collect(&ring, shadow), 1);
    assert_true(ring.broken);
    assert_int_equal(vring_collect(&ring, shadow), -1);
    teardown(NULL), setup(NULL);
    one_in_flight();
    real.used->idx = N + 1;
    assert_int_equal(vring_collect(&ring, shadow), -1);
}

// §2.7.10
static void suppression(void **state) {
    (void)state;
    desc(0, 0x80000000, 1, 0, 0);
    real.used->flags = 1; // NO_NOTIFY
    shadow.avail->flags = 0xffff;
    add(0);
    assert_true(publish());
    assert_false(vring_must_notify(&ring));
    assert_int_equal(real.avail->flags, 1); // NO_INTERRUPT, and nothing that is not defined
    teardown(NULL);
    open_size(N, true);
    shadow.avail->ring[N] = 0xabcd; // used_event
    desc(0, 0x80000000, 1, 0, 0);
    desc(1, 0x80000000, 1, 0, 0);
    *(volatile uint16_t *)&real.used->ring[N] = 1; // avail_event: after the second
    add(0);
    assert_true(publish());
    assert_int_equal(real.avail->ring[N], 0xabcd);
    assert_int_equal(real.avail->flags, 0);
    assert_false(vring_must_notify(&ring));
    add(1);
    assert_true(publish());
    assert_true(vring_must_notify(&ring));
    shadow.avail->ring[N] = 7;
    assert_int_equal(vring_collect(&ring, shadow), 0);
    assert_int_equal(real.avail->ring[N], 7);
}

// ---- random ----

static uint64_t seed = 0x9e3779b97f4a7c15;
static uint32_t rnd(uint32_t n) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)((seed >> 32) % n);
}

static bool inside(uint64_t pa, uint64_t len) {
    for (unsigned i = 0; i < EXTENTS; i++)
        if (pa >= extents[i].pa && pa + len <= extents[i].pa + extents[i].bytes) return true;
    return false;
}

// What the device finds at a head is a chain that ends, inside the extents, with none of its descriptors in another chain.
static void check_chain(uint32_t head, bool *taken) {
    for (uint32_t i = head, n = 0;; n++) {
        assert_true(n < ring.size && i < ring.size && !taken[i]);
        taken[i] = true;
        assert_true(inside(real.desc[i].addr, real.desc[i].len) && real.desc[i].len);
        assert_int_equal(real.desc[i].flags & ~(NEXT | WRITE), 0);
        if (!(real.desc[i].flags & NEXT)) return;
        i = real.desc[i].next;
    }
}

// Mostly sound, so that rounds are long; sometimes anything.
static void random_desc(uint32_t i) {
    const struct vring_extent *e = &extents[rnd(EXTENTS)];
    uint32_t at = rnd(e->bytes), most = e->bytes - at;
    bool wild = rnd(64) == 0;
    uint64_t addr = wild ? (uint64_t)rnd(UINT32_MAX) << rnd(33) : e->address + at;
    desc(i, addr, wild && rnd(2) ? rnd(UINT32_MAX) : 1 + rnd(most),
         wild ? (uint16_t)rnd(65536) : WRITE | (rnd(3) == 0), (uint16_t)rnd(wild ? 65536 : ring.size));
}

static void random_round(void) {
    uint32_t heads[VRING_SIZE_MAX], in_flight = 0;
    teardown(NULL);
    open_size(1u << rnd(7), rnd(2));
    for (unsigned step = 0; step < 200; step++) {
        bool taken[VRING_SIZE_MAX] = {false};
        uint16_t before = shadow.avail->idx;
        for (uint32_t i = rnd(4); i; i--) {
            uint32_t d = rnd(ring.size);
            if (ring.next[d] == VRING_FREE || rnd(64) == 0) random_desc(d);
            add((uint16_t)(rnd(256) ? d : rnd(65536)));
        }
        if (rnd(512) == 0) shadow.avail->idx = (uint16_t)rnd(65536);
        uint16_t seen = real.avail->idx;
        bool good = publish();
        if (!good) assert_int_equal(real.avail->idx, seen);
        if (!good) break; // the end of the domain
        for (uint16_t i = before; i != real.avail->idx; i++)
            heads[in_flight++] = real.avail->ring[i & (ring.size - 1)];
        for (uint32_t i = 0; i < in_flight; i++) check_chain(heads[i], taken);
        for (uint32_t i = 0; i < ring.size; i++)
            assert_int_equal(taken[i], ring.next[i] != VRING_FREE);
        uint32_t used = 0;
        while (in_flight && rnd(3)) {
            uint32_t k = rnd(in_flight);
            device_uses(heads[k], rnd(UINT32_MAX));
            heads[k] = heads[--in_flight];
            used++;
        }
        bool lie = rnd(100) == 0;
        if (lie) device_uses(rnd(2) ? rnd(UINT32_MAX) : rnd(ring.size), 0);
        int32_t got = vring_collect(&ring, shadow);
        if (ring.broken) assert_true(lie);
        if (ring.broken || lie) break;
        assert_int_equal(got, used);
    }
}

static void random_rings(void **state) {
    (void)state;
    for (unsigned i = 0; i < 30000; i++) random_round();
}

static void layout(void **state) {
    (void)state;
    uint32_t avail, used, before = 0;
    for (uint32_t size = 1; size <= VRING_SIZE_MAX; size *= 2) {
        uint32_t all = vring_layout(size, &avail, &used);
        assert_true(avail >= 16 * size && avail % 2 == 0 && used >= avail + 6 + 2 * size &&
                    used % 4 == 0);
        assert_true(all >= used + 6 + 8 * size && all > before);
        before = all;
    }
    for (int why = VRING_OK; why <= VRING_OUTSIDE; why++)
        assert_true(strlen(vring_refusal_text(why)) > 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void) {
    const struct CMUnitTest tests[] = {
        T(good_chain),  T(bad_chains),   T(bad_rings), T(bad_devices),
        T(suppression), T(random_rings), T(layout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
