// blk-check.c — a client of the block class that knows what the disk must hold: writes, reads and flushes of all sizes at all alignments,
// many at once, each read compared; and requests that must be refused, each with its error.
//
// The channel's data area is divided into buffers; a buffer has a zone of the disk of its own, so requests in flight never overlap. The
// content of a sector is a function of its number and of how often it was written, which are its first word. Argument 0: how many requests;
// argument 1: go on until the driver had so many lives. At the end a hash of how often each sector was written is logged, for the host to
// compare with the disk. With the grant `observe` also what the kernel has allocated, at first and at last. Exit status 0 says that all was right.
#include "drivers/sdk/blkclient.h"

#define BIG 3u // buffers for the longest requests
#define BIG_BYTES ((1u << 20) + 4096u)
#define SMALL 40u
#define SMALL_BYTES 16384u
#define BUFFERS (BIG + SMALL)
#define SECTORS_MAX 65536u
#define WORDS (BLK_SECTOR / 8)
#define TIMEOUT_NS (20ll * 1000000000)

struct buffer {
    uint32_t at, bytes;         // in the channel
    uint32_t zone, zone_length; // sectors
    struct blk_request r;       // in flight
    bool busy;
};

static struct {
    struct bc bc;
    uint32_t block;
    struct buffer buffer[BUFFERS];
    uint16_t generation[SECTORS_MAX];
    uint64_t state;
    uint32_t busy;
} t = {.state = 0x2545f4914f6cdd1d};

static int fail(const char *what, int64_t value) {
    log_line("%s (%ld)", what, value);
    return 1;
}

static uint32_t random_below(uint32_t n) { // xorshift64
    t.state ^= t.state << 13;
    t.state ^= t.state >> 7;
    t.state ^= t.state << 17;
    return (uint32_t)(t.state >> 32) % n;
}

// Word i of a sector after its n-th writing.
static uint64_t word(uint32_t sector, uint32_t generation, uint32_t i) {
    uint64_t x = (uint64_t)sector << 32 | generation;
    if (i) x = (x << 8 ^ i) * 0x9e3779b97f4a7c15u;
    return i ? x ^ x >> 29 : x;
}

static uint64_t *data_of(const struct blk_request *r) {
    return (uint64_t *)(uintptr_t)(t.bc.address + r->buffer);
}

static void fill(const struct blk_request *r) {
    uint64_t *p = data_of(r);
    for (uint32_t s = (uint32_t)r->sector; s < r->sector + r->count; s++) {
        t.generation[s]++;
        for (uint32_t i = 0; i < WORDS; i++) *p++ = word(s, t.generation[s], i);
    }
}

// Sectors that were never written are whatever they were.
static bool compare(const struct blk_request *r) {
    const uint64_t *p = data_of(r);
    for (uint32_t s = (uint32_t)r->sector; s < r->sector + r->count; s++)
        for (uint32_t i = 0; i < WORDS; i++, p++)
            if (t.generation[s] && *p != word(s, t.generation[s], i)) {
                log_line(
                    "sector %u, word %u: %lx instead of %lx (request of %u sectors from %lu to %x)",
                    s, i, *p, word(s, t.generation[s], i), r->count, r->sector, r->buffer);
                return false;
            }
    return true;
}

static void produce(const struct blk_request *r, uint32_t tag) {
    bc_queue(&t.bc, r->op, r->sector, r->count, r->buffer, tag);
}

// Waits for a result. 0 or an error.
static int next_result(uint32_t *out_tag, int32_t *out_status) {
    int32_t got = bc_wait(&t.bc, TIMEOUT_NS);
    if (got > 0) got = bc_next(&t.bc, out_tag, out_status);
    return got > 0 ? 0 : fail("no answer", got);
}

static int open_disk(void) {
    int32_t error = bc_open(&t.bc, 0, TIMEOUT_NS);
    if (error) return fail("the driver is not ready", error);
    if (t.bc.size < BLK_DATA + BIG * BIG_BYTES + SMALL * SMALL_BYTES)
        return fail("the channel is too small", t.bc.size);
    t.block = t.bc.block;
    uint64_t sectors = t.bc.sectors;
    if (sectors > SECTORS_MAX) sectors = SECTORS_MAX;
    uint32_t zone = (uint32_t)sectors / (BIG * 8 + SMALL) & ~(t.block - 1), at = BLK_DATA, sector = 0;
    if (zone < 16 || t.block < 1) return fail("the disk is too small", (int64_t)sectors);
    for (uint32_t i = 0; i < BUFFERS; i++) {
        struct buffer *b = &t.buffer[i];
        *b = (struct buffer){.at = at,
                             .bytes = i < BIG ? BIG_BYTES : SMALL_BYTES,
                             .zone = sector,
                             .zone_length = i < BIG ? 8 * zone : zone};
        at += b->bytes;
        sector += b->zone_length;
    }
    return 0;
}

static void start_random(uint32_t cookie) {
    struct buffer *b = &t.buffer[cookie];
    uint32_t blocks = b->bytes / BLK_SECTOR / t.block, zone_blocks = b->zone_length / t.block;
    if (blocks > BLK_COUNT_MAX / t.block) blocks = BLK_COUNT_MAX / t.block;
    if (blocks > zone_blocks) blocks = zone_blocks;
    uint32_t count = random_below(4) ? 1 + random_below(blocks) : blocks;
    uint32_t slack = b->bytes - count * t.block * BLK_SECTOR;
    uint32_t what = random_below(16);
    b->r = (struct blk_request){.op = what == 0  ? BLK_FLUSH
                                      : what < 8 ? BLK_WRITE
                                                 : BLK_READ,
                                .sector = b->zone + t.block * random_below(zone_blocks - count + 1),
                                .count = count * t.block,
                                .buffer = b->at + 16 * random_below(slack / 16 + 1)};
    if (b->r.op == BLK_WRITE) fill(&b->r);
    produce(&b->r, cookie);
    b->busy = true;
    t.busy++;
}

static int finish(void) {
    uint32_t tag = 0;
    int32_t status = 0;
    if (next_result(&tag, &status)) return 1;
    if (tag >= BUFFERS || !t.buffer[tag].busy) return fail("an answer to no question", tag);
    struct buffer *b = &t.buffer[tag];
    if (status) return fail("a request failed", status);
    b->busy = false;
    t.busy--;
    return b->r.op == BLK_READ && !compare(&b->r);
}

static int exercise(uint32_t requests, uint32_t lives) {
    uint32_t started = 0, done = 0;
    while (done < requests || t.busy) {
        if ((uint32_t)t.bc.generation < lives && requests - started < BUFFERS) requests += BUFFERS;
        uint32_t batch = 0;
        for (uint32_t i = 0; i < BUFFERS && started < requests; i++)
            if (!t.buffer[i].busy && random_below(3)) {
                start_random(i);
                started++;
                batch++;
            }
        if (batch && bc_send(&t.bc)) return fail("bc_send", 0);
        if (t.busy && finish()) return 1;
        done = started - t.busy;
    }
    return 0;
}

static int read_back(void) {
    const struct buffer *last = &t.buffer[BUFFERS - 1];
    for (uint32_t s = 0; s < last->zone + last->zone_length; s += t.block) {
        uint32_t tag;
        int32_t status = 0;
        struct blk_request r = {.op = BLK_READ, .sector = s, .count = t.block, .buffer = BLK_DATA};
        produce(&r, 0);
        bc_send(&t.bc);
        if (next_result(&tag, &status)) return 1;
        if (status || !compare(&r)) return fail("reading back", s);
    }
    return 0;
}

static int refusals(void) {
    uint64_t end = t.bc.sectors;
    uint32_t b = t.block;
    const struct {
        struct blk_request r;
        int32_t status;
    } cases[] = {
        {{.op = 3, .count = b, .buffer = BLK_DATA}, E_INVAL},
        {{.op = BLK_READ, .count = 0, .buffer = BLK_DATA}, E_INVAL},
        {{.op = BLK_READ, .count = BLK_COUNT_MAX + b, .buffer = BLK_DATA}, E_INVAL},
        {{.op = BLK_READ, .count = UINT32_MAX, .buffer = BLK_DATA}, E_INVAL},
        {{.op = BLK_READ, .count = 1u << 23, .buffer = BLK_DATA}, E_INVAL},
        {{.op = BLK_READ, .count = b, .buffer = BLK_DATA + 8}, E_INVAL},
        {{.op = BLK_READ, .count = b, .buffer = BLK_DATA - 16}, E_INVAL},
        {{.op = BLK_READ, .count = b, .buffer = t.bc.size}, E_INVAL},
        {{.op = BLK_READ, .count = b, .buffer = t.bc.size - b * BLK_SECTOR + 16}, E_INVAL},
        {{.op = BLK_WRITE, .count = b, .buffer = 0xfffffff0}, E_INVAL},
        {{.op = BLK_READ, .sector = end, .count = b, .buffer = BLK_DATA}, E_RANGE},
        {{.op = BLK_READ, .sector = end - b, .count = 2 * b, .buffer = BLK_DATA}, E_RANGE},
        {{.op = BLK_WRITE, .sector = UINT64_MAX - b + 1, .count = b, .buffer = BLK_DATA}, E_RANGE},
        {{.op = BLK_READ, .sector = end - b, .count = b, .buffer = t.bc.size - b * BLK_SECTOR}, 0},
        {{.op = BLK_FLUSH, .sector = UINT64_MAX, .count = UINT32_MAX}, 0},
        {{.op = BLK_READ, .sector = 1, .count = 1, .buffer = BLK_DATA}, b > 1 ? E_INVAL : 0},
    };
    for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint32_t tag = 0;
        int32_t status = 0;
        produce(&cases[i].r, 1000 + i);
        bc_send(&t.bc);
        if (next_result(&tag, &status)) return 1;
        if (tag != 1000 + i || status != cases[i].status) {
            log_line("case %u: status %d instead of %d", i, status, cases[i].status);
            return 1;
        }
    }
    return 0;
}

static uint32_t number_argument(uint32_t index) {
    char text[16];
    int32_t length = sasos_arg(index, text, sizeof(text));
    uint32_t n = 0;
    for (int32_t i = 0; i < length && i < 9; i++) n = n * 10 + (uint32_t)(text[i] - '0');
    return n;
}

// What the kernel has given out, to everybody.
static void log_kernel(void) {
    struct sasos_sys_info s;
    if (sasos_sys_info(&s, sizeof(s)) > 0)
        log_line("the kernel has %lu objects, %lu frames are free", s.kernel_objects,
                 s.memory_free / 4096);
}

static uint64_t hash_generations(void) { // FNV-1a, 64 bits
    const struct buffer *last = &t.buffer[BUFFERS - 1];
    uint64_t h = 0xcbf29ce484222325;
    for (uint32_t s = 0; s < last->zone + last->zone_length; s++)
        h = (h ^ t.generation[s]) * 0x100000001b3;
    return h;
}

int32_t SASOS_EXPORT(app_main)(void) {
    uint32_t requests = number_argument(0), lives = number_argument(1);
    if (open_disk() || refusals()) return 1;
    log_kernel();
    if (exercise(requests, lives) || read_back()) return 1;
    log_line("%u requests answered, all data as written", requests);
    log_line("%u lives, writings %lx", t.bc.generation, hash_generations());
    log_kernel();
    return 0;
}
