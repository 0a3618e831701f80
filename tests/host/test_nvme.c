// test_nvme.c — the NVMe driver against a controller that is played here: what it puts into its queues, walked as the specification says; and
// controllers that lie about themselves, answer what was not asked, twice, or never, at random too.
#include "tests/host/sdk_shim.h"

#include "drivers/nvme/nvme.c"
#include "drivers/sdk/log.c"
#include "drivers/sdk/text.c"

#define CHANNEL (4u << 20)
#define DATA_PAGES_MAX 257u

static struct {
    uint64_t cap;
    uint8_t controller[4096], namespace[4096];
    uint32_t nsid, csts_ready;
    bool dead, mute, enabled;    // never ready; admin commands get no answer
    uint32_t admin_head, refuse; // opcode that is refused
    struct {
        uint32_t sq, cq, size, tail, posted;
    } queue[QUEUES_MAX + 1];
} dev;

static void post(uint32_t q, uint16_t cid, uint16_t status) {
    uint32_t at = dev.queue[q].cq + dev.queue[q].posted % dev.queue[q].size * 16;
    uint32_t phase = !(dev.queue[q].posted / dev.queue[q].size & 1);
    write64(at, 0x1122334455667788); // nothing of this may matter
    write32(at + 8, 0xdeadbeef);
    write32(at + 12, cid | phase << 16 | (uint32_t)status << 17);
    dev.queue[q].posted++;
}

static void admin_command(const struct nvme_command *c) {
    uint16_t status = c->opcode == dev.refuse ? 1 : 0;
    if (c->opcode == NVME_ADMIN_IDENTIFY && !status) {
        void *to = (void *)(uintptr_t)c->prp1;
        memset(to, 0, 4096);
        if (c->cdw10 == NVME_CNS_CONTROLLER) memcpy(to, dev.controller, 4096);
        if (c->cdw10 == NVME_CNS_NAMESPACE) memcpy(to, dev.namespace, 4096);
        if (c->cdw10 == NVME_CNS_ACTIVE_LIST) memcpy(to, &dev.nsid, 4);
    }
    uint32_t id = c->cdw10 & 0xffff, entries = (c->cdw10 >> 16) + 1;
    if (c->opcode == NVME_ADMIN_CREATE_CQ && !status) {
        assert_true(id >= 1 && id <= QUEUES_MAX);
        dev.queue[id].cq = (uint32_t)c->prp1;
        dev.queue[id].size = entries;
        assert_int_equal(c->cdw11, (id - 1) << 16 | 3);
    }
    if (c->opcode == NVME_ADMIN_CREATE_SQ && !status) {
        dev.queue[id].sq = (uint32_t)c->prp1;
        assert_int_equal(dev.queue[id].size, entries);
        assert_int_equal(c->cdw11, id << 16 | 1);
    }
    post(0, c->cid, status);
}

static void device_step(void) {
    bool enable = read32(SHIM_BAR + NVME_CC) & 1;
    if (enable && !dev.enabled) {
        memset(dev.queue, 0, sizeof(dev.queue));
        dev.queue[0].sq = (uint32_t)read64(SHIM_BAR + NVME_ASQ);
        dev.queue[0].cq = (uint32_t)read64(SHIM_BAR + NVME_ACQ);
        dev.queue[0].size = (read32(SHIM_BAR + NVME_AQA) & 0xfff) + 1;
        dev.admin_head = 0;
        for (uint32_t i = 0; i < 64; i++) write32(SHIM_BAR + NVME_DOORBELLS + 4 * i, 0);
    }
    dev.enabled = enable;
    if (dev.dead) return;
    write32(SHIM_BAR + NVME_CSTS, enable ? dev.csts_ready : 0);
    while (enable && !dev.mute && dev.admin_head != read32(SHIM_BAR + NVME_DOORBELLS)) {
        const struct nvme_command *sq = (const struct nvme_command *)(uintptr_t)dev.queue[0].sq;
        admin_command(&sq[dev.admin_head]);
        dev.admin_head = (dev.admin_head + 1) % dev.queue[0].size;
    }
}

static uint32_t device_config(uint32_t offset, uint32_t bytes) {
    (void)offset, (void)bytes;
    return 0;
}

// A good controller of 2048 MiB with blocks of 512 << shift bytes; the driver's state as new.
static void new_device(uint32_t channels, uint32_t shift, uint8_t mdts) {
    shim_reset(channels, CHANNEL);
    memset(&nvme, 0, sizeof(nvme));
    memset(&bs, 0, sizeof(bs));
    memset(&dev, 0, sizeof(dev));
    dev.cap = 255 | 2ull << 24 | 1ull << 37;
    write64(SHIM_BAR + NVME_CAP, dev.cap);
    dev.nsid = 7;
    dev.csts_ready = NVME_CSTS_RDY;
    dev.controller[NVME_ID_MDTS] = mdts;
    dev.controller[NVME_ID_VWC] = 1;
    uint64_t blocks = (1ull << 22) >> shift;
    memcpy(dev.namespace + NVME_NS_NSZE, &blocks, 8);
    dev.namespace[NVME_NS_LBAF + 2] = (uint8_t)(9 + shift);
}

static struct blk_channel *client(uint32_t i) {
    return (struct blk_channel *)(uintptr_t)sasos_chan_map(i);
}
static void ask(uint32_t channel, const struct blk_request *r) {
    struct blk_channel *c = client(channel);
    c->request[c->request_ring.head % BLK_RING] = *r;
    c->request_ring.head++;
    assert_int_equal(blk_submit(), 0);
}
// The next completion, or {−1, −1} if there is none.
static struct blk_completion answer(uint32_t channel) {
    struct blk_channel *c = client(channel);
    if (c->completion_ring.tail == c->completion_ring.head)
        return (struct blk_completion){UINT32_MAX, -1};
    return c->completion[c->completion_ring.tail++ % BLK_RING];
}
static bool next_command(uint32_t q, struct nvme_command *out) {
    if (dev.queue[q].tail == read32(SHIM_BAR + NVME_DOORBELLS + 8 * q)) return false;
    memcpy(out, (void *)(uintptr_t)(dev.queue[q].sq + dev.queue[q].tail * 64), 64);
    dev.queue[q].tail = (dev.queue[q].tail + 1) % dev.queue[q].size;
    return true;
}

// 4.3: checks that the command's pages are the `bytes` bytes from `address` on.
static void expect_pages(const struct nvme_command *c, uint32_t address, uint32_t bytes) {
    uint64_t page[DATA_PAGES_MAX + 1] = {c->prp1};
    uint32_t pages = (address % 4096 + bytes + 4095) / 4096;
    assert_true(pages <= DATA_PAGES_MAX);
    if (pages == 2) page[1] = c->prp2;
    uint64_t at = c->prp2;
    for (uint32_t i = 1; pages > 2 && i < pages; i++, at += 8) {
        if (at % 4096 == 4096 - 8 && i + 1 < pages)
            at = read64((uint32_t)at); // the last entry of a page leads on
        page[i] = read64((uint32_t)at);
    }
    assert_int_equal(page[0], address);
    for (uint32_t i = 1; i < pages; i++) assert_int_equal(page[i], (address & ~4095u) + i * 4096);
}

static void commands(void **state) {
    (void)state;
    for (uint32_t shift = 0; shift <= 3; shift += 3) {
        for (uint8_t mdts = 0; mdts <= 7; mdts++) {
            new_device(1, shift, mdts);
            assert_int_equal(driver_start(), 0);
            assert_int_equal(client(0)->info.block, 1u << shift);
            assert_int_equal(client(0)->info.sectors, 1u << 22);
            uint32_t most = mdts ? 8u << mdts : BLK_COUNT_MAX, block = 1u << shift;
            srandom(mdts);
            for (int n = 0; n < 300; n++) {
                uint32_t count = block * (1 + (uint32_t)random() % (BLK_COUNT_MAX / block));
                if (n % 3) count = block * (1 + (uint32_t)random() % 16);
                uint32_t last = CHANNEL - count * 512,
                         buffer = BLK_DATA + (uint32_t)random() % (last - BLK_DATA + 1);
                struct blk_request r = {
                    .op = n & 1 ? BLK_READ : BLK_WRITE,
                    .cookie = (uint32_t)n,
                    .count = count,
                    .sector = block * ((uint32_t)random() % ((1u << 22) / block - count / block)),
                    .buffer = buffer & ~15u};
                ask(0, &r);
                struct nvme_command c;
                uint16_t cids[128];
                uint32_t done = 0, parts = 0;
                while (next_command(1, &c)) {
                    uint32_t part = count - done < most ? count - done : most;
                    assert_int_equal(c.opcode, n & 1 ? 2 : 1);
                    assert_int_equal(c.nsid, 7);
                    assert_int_equal((c.cdw10 | (uint64_t)c.cdw11 << 32) << shift, r.sector + done);
                    assert_int_equal(((c.cdw12 & 0xffff) + 1) << shift, part);
                    expect_pages(&c, SHIM_CHANNEL + r.buffer + done * 512, part * 512);
                    cids[parts++] = c.cid;
                    done += part;
                }
                assert_int_equal(done, count);
                for (uint32_t i = parts; i-- > 0;) { // answered backwards, one of them badly
                    assert_int_equal(answer(0).cookie, UINT32_MAX);
                    post(1, cids[i], n % 7 == 0 && i == parts / 2 ? 0x281 : 0);
                    driver_event(SASOS_EVENT_IRQ(0));
                }
                struct blk_completion a = answer(0);
                assert_int_equal(a.cookie, n);
                assert_int_equal(a.status, n % 7 ? 0 : E_IO);
                assert_int_equal(bs.lane[0].free_count, bs.lane[0].slots);
            }
        }
    }
}

static void statuses(void **state) {
    (void)state;
    static const struct {
        uint16_t status;
        int32_t error;
    } cases[] = {{0, 0},         {0x80, E_RANGE},  {0x20, E_READONLY}, {0x182, E_READONLY},
                 {0x4280, E_IO}, {0x4080, E_RANGE}};
    new_device(1, 0, 0);
    assert_int_equal(driver_start(), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct nvme_command c;
        ask(0, &(struct blk_request){.op = BLK_FLUSH, .cookie = (uint32_t)i});
        assert_true(next_command(1, &c) && c.opcode == 0 && c.nsid == 7 && !c.prp1 && !c.prp2 &&
                    !c.cdw10 && !c.cdw12);
        post(1, c.cid, cases[i].status);
        driver_event(0); // whatever the event is
        assert_int_equal(answer(0).status, cases[i].error);
    }
}

// Each client has its queue; the fifth shares the first one's.
static void queues(void **state) {
    (void)state;
    new_device(5, 0, 0);
    assert_int_equal(driver_start(), 0);
    assert_int_equal(bs.lanes, 4);
    for (uint32_t i = 0; i < 5; i++) {
        struct nvme_command c;
        ask(i, &(struct blk_request){.op = BLK_READ, .cookie = i, .count = 8, .buffer = BLK_DATA});
        assert_true(next_command(1 + i % 4, &c));
        assert_int_equal(c.prp1, sasos_chan_map(i) + BLK_DATA);
        post(1 + i % 4, c.cid, 0);
        driver_event(SASOS_EVENT_IRQ(i % 4));
        assert_int_equal(answer(i).cookie, i);
        assert_int_equal(shim.signals[i], 1);
    }
    new_device(3, 0, 0);
    shim.irqs = 2; // no more are granted: two queues are enough
    assert_int_equal(driver_start(), 0);
    assert_int_equal(bs.lanes, 2);
}

static void refused(int32_t error, const char *why) {
    int32_t got = driver_start();
    if (got != error || !strstr(shim.log, why))
        fail_msg("%d instead of %d, log: %s", got, error, shim.log);
    assert_int_equal(client(0)->info.version, 0);
}

static void bad_controllers(void **state) {
    (void)state;
    new_device(1, 0, 0), write64(SHIM_BAR + NVME_CAP, UINT64_MAX), refused(E_NODEV, "capabilities");
    new_device(1, 0, 0), write64(SHIM_BAR + NVME_CAP, dev.cap & ~(1ull << 37)),
        refused(E_NODEV, "capabilities");
    new_device(1, 0, 0), write64(SHIM_BAR + NVME_CAP, dev.cap | 1ull << 48),
        refused(E_NODEV, "capabilities");
    new_device(1, 0, 0), write64(SHIM_BAR + NVME_CAP, dev.cap | 15ull << 32),
        refused(E_NODEV, "error -11"); // doorbells beyond the BAR
    new_device(1, 0, 0), write64(SHIM_BAR + NVME_CAP, dev.cap & ~0xffffull),
        refused(E_NODEV, "error -11"); // queues of one entry
    new_device(1, 0, 0), write64(SHIM_BAR + NVME_CAP, (dev.cap & ~0xffffull) | 30),
        dev.controller[NVME_ID_MDTS] = 1;
    refused(E_NODEV, "error -11"); // 128 parts do not fit into a queue of 16
    new_device(1, 0, 0), dev.csts_ready = 0, refused(E_IO, "does not become ready");
    new_device(1, 0, 0), dev.csts_ready = NVME_CSTS_RDY | NVME_CSTS_CFS,
                         refused(E_IO, "does not become ready");
    new_device(1, 0, 0), dev.dead = true, write32(SHIM_BAR + NVME_CSTS, 1),
                         refused(E_IO, "does not stop");
    new_device(1, 0, 0), dev.dead = true, write32(SHIM_BAR + NVME_CSTS, UINT32_MAX),
                         refused(E_IO, "does not stop");
    new_device(1, 0, 0), dev.mute = true, refused(E_IO, "admin command 6: no answer");
    for (uint32_t opcode = 1; opcode <= 9; opcode += opcode == 1 ? 4 : opcode == 6 ? 3 : 1) {
        new_device(1, 0, 0), dev.refuse = opcode;
        refused(E_IO, "status 1");
    }
    new_device(1, 0, 0), dev.nsid = 0, refused(E_NODEV, "no active namespace");
    static const uint8_t lbads[] = {0, 8, 13, 64, 255};
    for (size_t i = 0; i < sizeof(lbads); i++) {
        new_device(1, 0, 0), dev.namespace[NVME_NS_LBAF + 2] = lbads[i];
        refused(E_NODEV, "which is not supported");
    }
    new_device(1, 0, 0), dev.namespace[NVME_NS_LBAF] = 8,
                         refused(E_NODEV, "which is not supported"); // metadata
    new_device(1, 0, 0), dev.namespace[NVME_NS_DPS] = 1, refused(E_NODEV, "which is not supported");
    new_device(1, 3, 0), memset(dev.namespace, 0xff, 8),
        refused(E_NODEV, "which is not supported"); // more than 2^64 sectors
    for (uint32_t most = 0; most < 40; most++) {    // no memory for one thing after the other
        new_device(1, 0, 0), shim.dma_max = most * 4096;
        if (driver_start() == 0) break;
        assert_true(most < 39);
    }
}

static void failed(uint32_t asked) {
    assert_true(strstr(shim.log, "not in flight"));
    assert_int_equal(read32(SHIM_BAR + NVME_CC), 0);
    for (uint32_t i = 0; i < asked; i++) assert_int_equal(answer(0).status, E_IO);
    assert_int_equal(answer(0).cookie, UINT32_MAX);
    ask(0, &(struct blk_request){.op = BLK_READ, .count = 1, .buffer = BLK_DATA});
    assert_int_equal(answer(0).status, E_IO); // and so does all that comes later
}

static void bad_answers(void **state) {
    (void)state;
    for (int what = 0; what < 4; what++) {
        new_device(1, 0, 0);
        assert_int_equal(driver_start(), 0);
        struct nvme_command c;
        for (uint32_t i = 0; i < 3; i++) {
            ask(0, &(struct blk_request){.op = BLK_READ, .cookie = i, .count = 1, .buffer = BLK_DATA});
            assert_true(next_command(1, &c));
        }
        uint32_t left = 3;
        if (what == 0) post(1, 3, 0);   // a free slot
        if (what == 1) post(1, 128, 0); // no slot
        if (what == 2) post(1, 0xffff, 0);
        if (what == 3) { // twice
            post(1, c.cid, 0);
            post(1, c.cid, 0);
            left = 2;
        }
        driver_event(SASOS_EVENT_IRQ(0));
        if (what == 3) assert_int_equal(answer(0).status, 0);
        failed(left);
    }
}

// Requests that must be refused, by the client's process alone: no command is made.
static void refusals(void **state) {
    (void)state;
    static const struct {
        uint32_t op, count, buffer;
        uint64_t sector;
        int32_t error;
    } cases[] = {
        {3, 8, BLK_DATA, 0, E_INVAL},
        {BLK_READ, 0, BLK_DATA, 0, E_INVAL},
        {BLK_READ, BLK_COUNT_MAX + 8, BLK_DATA, 0, E_INVAL},
        {BLK_READ, UINT32_MAX - 7, BLK_DATA, 0, E_INVAL},
        {BLK_READ, 1u << 23, BLK_DATA, 0, E_INVAL}, // 2^32 bytes
        {BLK_READ, 8, BLK_DATA + 8, 0, E_INVAL},
        {BLK_READ, 8, BLK_DATA - 16, 0, E_INVAL},
        {BLK_READ, 8, 0, 0, E_INVAL},
        {BLK_READ, 8, CHANNEL, 0, E_INVAL},
        {BLK_READ, 8, CHANNEL + 16, 0, E_INVAL},
        {BLK_READ, 8, CHANNEL - 4096 + 16, 0, E_INVAL},
        {BLK_WRITE, 8, UINT32_MAX & ~15u, 0, E_INVAL},
        {BLK_READ, 4, BLK_DATA, 0, E_INVAL}, // half a block
        {BLK_READ, 8, BLK_DATA, 4, E_INVAL},
        {BLK_READ, 8, BLK_DATA, 1u << 22, E_RANGE},
        {BLK_READ, 16, BLK_DATA, (1u << 22) - 8, E_RANGE},
        {BLK_WRITE, 8, BLK_DATA, UINT64_MAX - 7, E_RANGE},
        {BLK_WRITE, 8, BLK_DATA, 0, E_READONLY},
    };
    new_device(1, 3, 0);
    dev.namespace[NVME_NS_NSATTR] = 1;
    assert_int_equal(driver_start(), 0);
    assert_int_equal(client(0)->info.flags, BLK_READONLY | BLK_CAN_FLUSH);
    struct nvme_command c;
    for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ask(0, &(struct blk_request){
                   cases[i].op, i, cases[i].sector, cases[i].count, cases[i].buffer, {0}});
        assert_int_equal(answer(0).status, cases[i].error);
        assert_false(next_command(1, &c));
    }
    ask(0, &(struct blk_request){
               .op = BLK_READ, .sector = (1u << 22) - 8, .count = 8, .buffer = CHANNEL - 4096});
    assert_true(next_command(1, &c));
}

// A client that does not take its answers gets no more than its ring holds.
static void lazy_client(void **state) {
    (void)state;
    new_device(1, 0, 0);
    assert_int_equal(driver_start(), 0);
    struct nvme_command c;
    uint32_t commands = 0;
    for (uint32_t i = 0; i < 250; i++) {
        if (client(0)->request_ring.head - client(0)->request_ring.tail < BLK_RING)
            ask(0, &(struct blk_request){.op = BLK_READ, .cookie = i, .count = 1, .buffer = BLK_DATA});
        for (; next_command(1, &c); commands++)
            if (i < 100) post(1, c.cid, 0);
        driver_event(0);
    }
    assert_int_equal(commands, BLK_RING);
    for (uint32_t i = 0; i < 100; i++) assert_int_equal(answer(0).cookie, i);
    blk_submit();
    for (commands = 0; next_command(1, &c);) commands++;
    assert_int_equal(commands, 100); // 28 are on the way
}

// Random clients and a random device, together: every request is answered at most once, and only what was asked.
static void random_all(void **state) {
    (void)state;
    srandom(2);
    for (int round = 0; round < 200; round++) {
        new_device(2, 0, (uint8_t)(random() % 4));
        assert_int_equal(driver_start(), 0);
        static uint8_t asked[2][1 << 16];
        memset(asked, 0, sizeof(asked));
        uint32_t cookie = 0;
        for (int n = 0; n < 300; n++) {
            uint32_t i = (uint32_t)random() & 1;
            struct blk_channel *c = client(i);
            if (c->request_ring.head - c->request_ring.tail < BLK_RING) {
                struct blk_request r = {.op = (uint32_t)random() % 4,
                                        .cookie = cookie,
                                        .sector = (uint64_t)random() % (1u << 23),
                                        .count = (uint32_t)random() % 2100,
                                        .buffer = (uint32_t)random() % (CHANNEL + 4096) & ~7u};
                asked[i][cookie++] = 1;
                ask(i, &r);
            }
            struct nvme_command command;
            while (random() % 3 && next_command(1 + i, &command)) {
                uint32_t at = (uint32_t)command.prp1 - sasos_chan_map(i);
                if (command.opcode != NVME_FLUSH)
                    assert_true(at >= BLK_DATA && at < CHANNEL &&
                                (command.cdw12 + 1) * 512 <= CHANNEL - at);
                post(1 + i, random() % 200 ? command.cid : (uint16_t)random(),
                     random() % 5 ? 0 : (uint16_t)random());
            }
            if (random() % 50 == 0) {
                uint32_t at = dev.queue[1 + i].cq + (uint32_t)random() % (dev.queue[1 + i].size * 16);
                write8(at, (uint8_t)random());
            }
            if (random() % 200 == 0)
                c->request_ring.head = (uint32_t)random(); // breaks its own ring
            if (random() % 200 == 0) c->completion_ring.tail = (uint32_t)random();
            driver_event((uint32_t)random());
            if (c->completion_ring.head - c->completion_ring.tail > BLK_RING) continue;
            for (struct blk_completion a; (a = answer(i)).status <= 0 && a.cookie != UINT32_MAX;) {
                if (bs.channel[i].requests.broken || bs.channel[i].completions.broken) continue;
                assert_true(a.cookie < cookie && asked[i][a.cookie] == 1);
                asked[i][a.cookie] = 2;
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands),    cmocka_unit_test(statuses),
        cmocka_unit_test(queues),      cmocka_unit_test(bad_controllers),
        cmocka_unit_test(bad_answers), cmocka_unit_test(refusals),
        cmocka_unit_test(lazy_client), cmocka_unit_test(random_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
