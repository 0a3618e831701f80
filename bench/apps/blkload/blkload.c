// blkload.c — load on a block device: keeps a number of requests of one size in flight, and says how long they took.
//
// Arguments: one measurement each, "OP:PATTERN:SIZE:DEPTH:COUNT". OP read, write, or verify (write COUNT requests, then read them again and
// compare); PATTERN seq or rand; SIZE in bytes, a multiple of 512; DEPTH requests in flight; COUNT requests. The result is one line
//   cell read:rand:4096:32:20000 ns=… errors=…
// The clock is read exactly twice for each measurement, around the loop. Exit status 1 if a request failed or data differed.
// Channel 0 is the disk (drivers/sdk/blk.h); it is written without asking.
#include "bench/apps/cells.h"
#include "drivers/sdk/blk.h"

__attribute__((import_module("blk"), import_name("blk_submit"))) int32_t blk_submit(void);
__attribute__((import_module("blk"), import_name("blk_attach"))) int32_t blk_attach(void);

#define DEPTH_MAX BLK_RING
#define TIMEOUT_NS (10ll * 1000000000)

struct cell {
    bool write, random, verify;
    uint32_t size, depth, count;
};

static struct {
    struct blk_channel *shared;
    uint32_t bytes;
    struct ring requests, completions;
    uint64_t sectors;
} disk;

static struct {
    uint32_t free_count, issued, done, errors;
    uint64_t next, state; // sector of the next request; of the generator
    uint8_t free_buffer[DEPTH_MAX];
    uint64_t sector[DEPTH_MAX]; // of the request that has the buffer
} load;

static uint8_t *buffer_of(const struct cell *c, uint32_t i) {
    return (uint8_t *)disk.shared + BLK_DATA + i * c->size;
}

// What a verified request writes: every word differs by sector and place.
static uint64_t word(uint64_t sector, uint32_t i) {
    return (sector + 1) * 0x9e3779b97f4a7c15ull + i * 0xbf58476d1ce4e5b9ull;
}
static void fill(const struct cell *c, uint32_t buffer, uint64_t sector) {
    uint64_t *p = (uint64_t *)buffer_of(c, buffer);
    for (uint32_t i = 0; i < c->size / 8; i++) p[i] = word(sector, i);
}
static uint32_t differs(const struct cell *c, uint32_t buffer, uint64_t sector) {
    const uint64_t *p = (const uint64_t *)buffer_of(c, buffer);
    for (uint32_t i = 0; i < c->size / 8; i++)
        if (p[i] != word(sector, i)) return 1;
    return 0;
}

static uint64_t next_sector(const struct cell *c) {
    uint32_t step = c->size / BLK_SECTOR;
    if (c->random) { // xorshift64, scaled to the number of places by a multiplication
        load.state ^= load.state << 13;
        load.state ^= load.state >> 7;
        load.state ^= load.state << 17;
        return ((load.state >> 32) * (disk.sectors / step) >> 32) * step;
    }
    uint64_t sector = load.next;
    load.next += step;
    if (load.next + step > disk.sectors) load.next = 0;
    return sector;
}

static void issue(const struct cell *c) {
    uint32_t buffer = load.free_buffer[--load.free_count];
    uint64_t sector = next_sector(c);
    load.sector[buffer] = sector;
    if (c->verify && c->write) fill(c, buffer, sector);
    struct blk_request *entry = &disk.shared->request[ring_slot(&disk.requests)];
    keep_base(entry);
    *entry = (struct blk_request){.op = c->write ? BLK_WRITE : BLK_READ,
                                  .cookie = buffer,
                                  .sector = sector,
                                  .count = c->size / BLK_SECTOR,
                                  .buffer = BLK_DATA + buffer * c->size};
    ring_produced(&disk.requests);
    load.issued++;
}

static void collect(const struct cell *c) {
    while (ring_pending(&disk.completions)) {
        const struct blk_completion *entry = &disk.shared->completion[ring_slot(&disk.completions)];
        keep_base(entry);
        struct blk_completion done = *entry;
        ring_consumed(&disk.completions);
        if (done.status || done.cookie >= c->depth)
            load.errors++;
        else if (c->verify && !c->write)
            load.errors += differs(c, done.cookie, load.sector[done.cookie]);
        if (load.free_count < c->depth) load.free_buffer[load.free_count++] = (uint8_t)done.cookie;
        load.done++;
    }
}

// All requests of a cell. 0, or an error.
static int32_t pass(const struct cell *c) {
    load.next = load.issued = load.done = load.free_count = 0;
    load.state = 88172645463325252ull;
    for (uint32_t i = c->depth; i-- > 0;) load.free_buffer[load.free_count++] = (uint8_t)i;
    while (load.done < c->count) {
        uint32_t before = load.issued;
        while (load.free_count && load.issued < c->count && ring_space(&disk.requests)) issue(c);
        if (load.issued != before) {
            int32_t error = blk_submit();
            if (error) return error;
        }
        if (!ring_pending(&disk.completions) && sasos_wait(SASOS_EVENT_CHANNEL(0), TIMEOUT_NS) <= 0)
            return E_IO;
        collect(c);
        if (disk.requests.broken || disk.completions.broken) return E_PEER;
    }
    return 0;
}

// ---- what to do ----
static bool parse(const char *text, struct cell *out) {
    const char *at = text;
    bool read = cell_word(&at, "read");
    *out = (struct cell){.write = !read};
    if (!read) out->verify = cell_word(&at, "verify");
    if (!read && !out->verify && !cell_word(&at, "write")) return false;
    out->random = cell_word(&at, "rand");
    if (!out->random && !cell_word(&at, "seq")) return false;
    out->size = cell_number(&at);
    out->depth = cell_number(&at);
    out->count = cell_number(&at);
    return out->size >= BLK_SECTOR && out->size % BLK_SECTOR == 0 &&
           out->size <= BLK_COUNT_MAX * BLK_SECTOR && out->depth && out->depth <= DEPTH_MAX &&
           out->count && out->size / BLK_SECTOR <= disk.sectors &&
           disk.bytes - BLK_DATA >= out->size * out->depth && *at == 0;
}

static int32_t measure(const char *text) {
    struct cell c;
    if (!parse(text, &c)) {
        log_line("cannot do %s: OP:PATTERN:SIZE:DEPTH:COUNT, with a channel of SIZE times DEPTH", text);
        return 1;
    }
    load.errors = 0;
    int64_t before = sasos_time_ns();
    int32_t error = pass(&c);
    if (c.verify && !error) {
        c.write = false;
        error = pass(&c);
    }
    int64_t ns = sasos_time_ns() - before;
    log_line("cell %s ns=%ld errors=%u", text, ns, load.errors);
    if (error) log_line("stopped by error %d", error);
    return error || load.errors;
}

static bool open_disk(void) {
    disk.shared = (struct blk_channel *)(uintptr_t)sasos_chan_map(0);
    disk.bytes = sasos_chan_size(0);
    if (!disk.shared || disk.bytes < BLK_DATA + BLK_SECTOR) return false;
    if (disk.shared->info.version != BLK_INFO_VERSION || blk_attach()) return false;
    disk.sectors = disk.shared->info.sectors;
    ring_init(&disk.requests, &disk.shared->request_ring, BLK_RING);
    ring_init(&disk.completions, &disk.shared->completion_ring, BLK_RING);
    return true;
}

int32_t SASOS_EXPORT(app_main)(void) {
    if (!open_disk()) {
        log_line("channel 0 is no disk that is ready");
        return 1;
    }
    return cells(measure);
}
