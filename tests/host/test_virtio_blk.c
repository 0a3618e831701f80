// test_virtio_blk.c — the virtio-blk driver against a device that is played here: the chains that it makes, and devices that answer what was not
// asked, twice, with any status, at random too. What a client may ask is checked by the same code as NVMe's: tests/host/test_nvme.c.
#include <pthread.h>
#include <sched.h>

#include "tests/host/sdk_shim.h"

#include "drivers/sdk/log.c"
#include "drivers/sdk/text.c"
#include "drivers/virtio/blk/blk.c"
#include "drivers/virtio/virtio.c"

#define CHANNEL (4u << 20)
#define COMMON SHIM_BAR
#define NOTIFY (SHIM_BAR + 0x1000)
#define CONFIG (SHIM_BAR + 0x2000)
#define SECTORS (1u << 22)

static struct {
    uint8_t config[256];
    uint16_t seen, used; // of the available ring; entries of the used ring
} dev;

static void device_step(void) {}

static uint32_t device_config(uint32_t offset, uint32_t bytes) {
    uint32_t v = 0;
    if (offset + bytes <= sizeof(dev.config)) memcpy(&v, dev.config + offset, bytes);
    return v;
}

static void capability(uint32_t at, uint8_t type, uint32_t offset, uint32_t length, uint8_t next) {
    dev.config[at] = PCI_CAP_VENDOR;
    dev.config[at + 1] = next;
    dev.config[at + 3] = type;
    memcpy(dev.config + at + 8, &offset, 4);
    memcpy(dev.config + at + 12, &length, 4);
}

// Both words of the features read alike: what is in the upper one means nothing that the driver wants in the lower one.
static void new_device(uint16_t queue_size, uint32_t features) {
    shim_reset(1, CHANNEL);
    memset(&blk, 0, sizeof(blk));
    memset(&bs, 0, sizeof(bs));
    memset(&dev, 0, sizeof(dev));
    dev.config[PCI_STATUS] = PCI_STATUS_CAP_LIST;
    dev.config[PCI_CAPABILITIES] = 0x40;
    capability(0x40, CAP_COMMON, 0, COMMON_SIZE, 0x50);
    capability(0x50, CAP_NOTIFY, 0x1000, 4, 0x64);
    capability(0x64, CAP_DEVICE, 0x2000, 64, 0);
    write32(COMMON + DEVICE_FEATURE, features | 3); // VERSION_1, ACCESS_PLATFORM
    write16(COMMON + QUEUE_SIZE, queue_size);
    write64(CONFIG, SECTORS);
}

#define INDIRECT (1u << VIRTIO_F_INDIRECT_DESC)
#define EVENT_IDX (1u << VIRTIO_F_EVENT_IDX)
#define FLUSH (1u << VIRTIO_BLK_F_FLUSH)

static uint32_t ring(uint32_t which) { return (uint32_t)read64(COMMON + which); }
static uint32_t size(void) { return read16(COMMON + QUEUE_SIZE); }

static struct blk_channel *client(void) {
    return (struct blk_channel *)(uintptr_t)sasos_chan_map(0);
}
static void ask(const struct blk_request *r) {
    struct blk_channel *c = client();
    c->request[c->request_ring.head % BLK_RING] = *r;
    c->request_ring.head++;
    assert_int_equal(blk_submit(), 0);
}
static struct blk_completion answer(void) {
    struct blk_channel *c = client();
    if (c->completion_ring.tail == c->completion_ring.head)
        return (struct blk_completion){UINT32_MAX, -1};
    return c->completion[c->completion_ring.tail++ % BLK_RING];
}

struct chain {
    uint32_t head, count;
    struct virtq_desc desc[4];
};
static bool next_chain(struct chain *out) {
    if (dev.seen == read16(ring(QUEUE_DRIVER) + 2)) return false;
    out->head = read16(ring(QUEUE_DRIVER) + 4 + 2 * (dev.seen++ % size()));
    assert_true(out->head < size());
    const struct virtq_desc *table = (const struct virtq_desc *)(uintptr_t)ring(QUEUE_DESC);
    uint32_t i = out->head, entries = size();
    if (table[i].flags & VIRTQ_DESC_F_INDIRECT) {
        assert_true(table[i].flags == VIRTQ_DESC_F_INDIRECT && table[i].len % 16 == 0);
        entries = table[i].len / 16;
        table = (const struct virtq_desc *)(uintptr_t)table[i].addr;
        i = 0;
    }
    for (out->count = 0;; i = out->desc[out->count++].next) {
        assert_true(i < entries && out->count < 4);
        out->desc[out->count] = table[i];
        if (!(table[i].flags & VIRTQ_DESC_F_NEXT)) break;
    }
    out->count++;
    return true;
}
static void post(uint32_t id, uint32_t length) {
    uint32_t used = ring(QUEUE_DEVICE);
    write32(used + 4 + 8 * (dev.used % size()), id);
    write32(used + 8 + 8 * (dev.used % size()), length);
    write16(used + 2, ++dev.used);
}

static void chains(void **state) {
    (void)state;
    static const struct {
        uint16_t size;
        uint32_t features;
    } kinds[] = {{128, INDIRECT | EVENT_IDX | FLUSH},
                 {256, INDIRECT | FLUSH},
                 {8, FLUSH | EVENT_IDX},
                 {1024, FLUSH}};
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        new_device(kinds[k].size, kinds[k].features);
        assert_int_equal(driver_start(), 0);
        assert_int_equal(size(), kinds[k].size > 256 ? 256 : kinds[k].size); // made smaller, and the device was told
        for (uint32_t n = 0; n < 1000; n++) {
            uint32_t op = n % 3, bytes = op == BLK_FLUSH ? 0 : 512 * (1 + n % 2048);
            ask(&(struct blk_request){.op = op,
                                      .cookie = n,
                                      .sector = n * 1000,
                                      .count = bytes / 512,
                                      .buffer = BLK_DATA + 16 * n});
            struct chain c;
            assert_true(next_chain(&c));
            assert_int_equal(c.count, op == BLK_FLUSH ? 2 : 3);
            uint32_t header = (uint32_t)c.desc[0].addr, last = c.count - 1;
            assert_true(c.desc[0].len == 16 && !(c.desc[0].flags & VIRTQ_DESC_F_WRITE));
            assert_int_equal(read32(header), op == BLK_READ ? 0 : op == BLK_WRITE ? 1 : 4);
            assert_int_equal(read32(header + 4), 0);
            assert_int_equal(read64(header + 8), op == BLK_FLUSH ? 0 : n * 1000);
            if (op != BLK_FLUSH) {
                assert_int_equal(c.desc[1].addr, SHIM_CHANNEL + BLK_DATA + 16 * n);
                assert_int_equal(c.desc[1].len, bytes);
                assert_int_equal(c.desc[1].flags & VIRTQ_DESC_F_WRITE,
                                 op == BLK_READ ? VIRTQ_DESC_F_WRITE : 0);
            }
            assert_true(c.desc[last].len == 1 && c.desc[last].flags == VIRTQ_DESC_F_WRITE);
            assert_int_equal(read8((uint32_t)c.desc[last].addr), STATUS_PENDING);
            if (n % 5)
                write8((uint32_t)c.desc[last].addr, n % 7 ? 0 : (uint8_t)n); // else: not written at all
            post(c.head, 1);
            driver_event(SASOS_EVENT_IRQ(0));
            struct blk_completion a = answer();
            assert_int_equal(a.cookie, n);
            assert_int_equal(a.status, n % 5 == 0 || (n % 7 == 0 && (uint8_t)n) ? E_IO : 0);
        }
    }
    new_device(128, INDIRECT); // no cache: a flush is answered here
    assert_int_equal(driver_start(), 0);
    ask(&(struct blk_request){.op = BLK_FLUSH, .cookie = 5});
    struct chain c;
    assert_false(next_chain(&c));
    assert_int_equal(answer().status, 0);
}

static void bad_answers(void **state) {
    (void)state;
    static const uint32_t ids[] = {5, 9, 127, 128, 384, 0xffff, 0x10000, UINT32_MAX};
    for (uint32_t direct = 0; direct < 2; direct++)
        for (size_t i = 0; i <= sizeof(ids) / sizeof(ids[0]) + direct; i++) {
            new_device(128, FLUSH | EVENT_IDX | (direct ? 0 : INDIRECT));
            assert_int_equal(driver_start(), 0);
            struct chain c;
            for (uint32_t n = 0; n < 3; n++) {
                ask(&(struct blk_request){.op = BLK_READ, .cookie = n, .count = 1, .buffer = BLK_DATA});
                assert_true(next_chain(&c));
            }
            uint32_t left = 3;
            if (i < sizeof(ids) / sizeof(ids[0])) {
                post(ids[i] * (direct ? CHAIN : 1), 1);
            } else if (i == sizeof(ids) / sizeof(ids[0])) { // twice
                write8((uint32_t)c.desc[2].addr, 0);
                post(c.head, 1);
                post(c.head, 1);
                left = 2;
            } else {
                post(c.head + 1, 1); // in the middle of a chain
            }
            driver_event(SASOS_EVENT_IRQ(0));
            assert_true(strstr(shim.log, "not in flight"));
            assert_int_equal(read8(COMMON + DEVICE_STATUS), 0);
            if (left == 2) assert_int_equal(answer().status, 0);
            for (uint32_t n = 0; n < left; n++) assert_int_equal(answer().status, E_IO);
            assert_int_equal(answer().cookie, UINT32_MAX);
            ask(&(struct blk_request){.op = BLK_READ, .count = 1, .buffer = BLK_DATA});
            assert_int_equal(answer().status, E_IO);
        }
}

static void bad_devices(void **state) {
    (void)state;
    for (int what = 0; what < 9; what++) {
        new_device(128, INDIRECT);
        if (what == 0) dev.config[PCI_STATUS] = 0;
        if (what == 1) dev.config[0x41] = 0x40; // the list is a loop
        if (what == 2) capability(0x40, CAP_COMMON, 0, COMMON_SIZE - 1, 0x50);
        if (what == 3) capability(0x40, CAP_COMMON, SHIM_BAR_BYTES - 8, COMMON_SIZE, 0x50);
        if (what == 4) write32(COMMON + DEVICE_FEATURE, INDIRECT | 1); // no ACCESS_PLATFORM
        if (what == 5) write16(COMMON + QUEUE_SIZE, 0);
        if (what == 6) write16(COMMON + QUEUE_SIZE, 96);           // no power of two
        if (what == 7) capability(0x64, CAP_DEVICE, 0x2000, 7, 0); // no room for the capacity
        if (what == 8) shim.irqs = 0;
        int32_t error = driver_start();
        if (error != (what == 8 ? E_DENIED : E_NODEV))
            fail_msg("case %d: %d, log: %s", what, error, shim.log);
        assert_int_equal(client()->info.version, 0);
    }
    for (uint32_t most = 0; most < 8; most++) { // no memory for one thing after the other
        new_device(128, INDIRECT), shim.dma_max = most * 4096;
        if (driver_start() == 0) break;
        assert_true(most < 7);
    }
}

// A random device: every request is answered at most once, and only what was asked.
static void random_device(void **state) {
    (void)state;
    srandom(3);
    for (int round = 0; round < 300; round++) {
        new_device((uint16_t)(8u << random() % 5),
                   FLUSH | (random() & 1 ? INDIRECT : 0) | (random() & 1 ? EVENT_IDX : 0));
        assert_int_equal(driver_start(), 0);
        uint8_t asked[512] = {0};
        for (uint32_t cookie = 0; cookie < 400; cookie++) {
            asked[cookie] = 1;
            if (client()->request_ring.head - client()->request_ring.tail < BLK_RING)
                ask(&(struct blk_request){.op = (uint32_t)random() % 3,
                                          .cookie = cookie,
                                          .sector = 8,
                                          .count = 8,
                                          .buffer = BLK_DATA});
            struct chain c;
            while (random() % 3 && next_chain(&c)) {
                write8((uint32_t)c.desc[c.count - 1].addr, random() % 5 ? 0 : (uint8_t)random());
                post(random() % 150 ? c.head : (uint32_t)random(), (uint32_t)random());
            }
            if (random() % 100 == 0) write16(ring(QUEUE_DEVICE) + 2, dev.used = (uint16_t)random());
            driver_event((uint32_t)random());
            for (struct blk_completion a; (a = answer()).cookie != UINT32_MAX;) {
                assert_true(a.cookie <= cookie && asked[a.cookie] == 1);
                asked[a.cookie] = 2;
            }
        }
    }
}

// A client that changes its requests while the driver reads them. Whatever the driver read first is what it checked and what
// it told the device: data inside the channel's data area, sectors inside the disk.
static volatile bool flipping;

static void *flip(void *arg) {
    struct blk_channel *c = arg;
    uint32_t seed = 7;
    while (flipping) {
        seed = seed * 1664525u + 1013904223u;
        struct blk_request *r = &c->request[(c->request_ring.head - 1) % BLK_RING]; // the last one made
        *(volatile uint32_t *)&r->buffer = seed & 1u << 20 ? BLK_DATA : 0xfffff000u;
        *(volatile uint32_t *)&r->count = seed & 1u << 21 ? 1 : 0x00800001u;
        *(volatile uint64_t *)&r->sector = seed & 1u << 22 ? 1 : SECTORS;
    }
    return NULL;
}

static void flipping_client(void **state) {
    (void)state;
    pthread_t thread;
    new_device(64, INDIRECT);
    assert_int_equal(driver_start(), 0);
    struct blk_channel *c = client();
    flipping = true;
    assert_int_equal(pthread_create(&thread, NULL, flip, c), 0);
    uint32_t accepted = 0, refused_ones = 0;
    for (uint32_t i = 0; i < 5000000 && (accepted < 20000 || refused_ones < 20000); i++) {
        c->request_ring.head++;
        c->request[(c->request_ring.head - 1) % BLK_RING].op = BLK_READ;
        assert_int_equal(blk_submit(), 0);
        for (struct chain k; next_chain(&k);) {
            accepted++;
            assert_int_equal(k.count, 3);
            assert_in_range(read64((uint32_t)k.desc[0].addr + 8), 0, SECTORS - 1);
            assert_true(k.desc[1].len && k.desc[1].len % 512 == 0);
            assert_in_range(k.desc[1].addr, SHIM_CHANNEL + BLK_DATA, SHIM_CHANNEL + CHANNEL - 1);
            assert_in_range(k.desc[1].addr + k.desc[1].len, SHIM_CHANNEL, SHIM_CHANNEL + CHANNEL);
            assert_true(read64((uint32_t)k.desc[0].addr + 8) + k.desc[1].len / 512 <= SECTORS);
            write8((uint32_t)k.desc[2].addr, 0);
            post(k.head, k.desc[1].len + 1);
        }
        driver_event(1);
        for (struct blk_completion a; (a = answer()).cookie != UINT32_MAX;)
            refused_ones += a.status != 0;
    }
    flipping = false;
    pthread_join(thread, NULL);
    assert_true(accepted > 100 && refused_ones > 100);
}

// ---- both sides announce, then look ----
enum { ROUNDS = 400000 };
static struct side {
    _Alignas(64) volatile uint32_t announced;
    volatile bool here;
    uint32_t saw[ROUNDS]; // of the other, after announcing round i
} sides[2];

static void *announce(void *side) {
    struct side *mine = side, *other = &sides[mine == sides];
    for (mine->here = true; !other->here;) sched_yield();
    for (uint32_t i = 0; i < ROUNDS; i++) {
        mine->announced = i + 1;
        barrier_full();
        mine->saw[i] = other->announced;
    }
    return NULL;
}

// Whom I did not see announce came later, and must have seen me. Without a barrier most runs have a round where neither saw the other.
static void announce_and_look(void **state) {
    (void)state;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, announce, &sides[1]), 0);
    announce(&sides[0]);
    pthread_join(thread, NULL);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        uint32_t unseen = sides[0].saw[i];
        if (unseen < ROUNDS) assert_true(sides[1].saw[unseen] >= i + 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flipping_client), cmocka_unit_test(chains),
        cmocka_unit_test(bad_answers),     cmocka_unit_test(bad_devices),
        cmocka_unit_test(random_device),   cmocka_unit_test(announce_and_look),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
