// digest.c — reads a whole block device through its driver, many requests in flight, and prints its SHA-256 and the throughput.
//
// Channel 0 is the disk (drivers/sdk/blk.h). BUFFERS reads are kept in flight; data are hashed in disk order, so a completion that
// comes early waits for its turn. Exit status: 0, or 1 with a line in the log that says what went wrong.
#include "apps/digest/sha256.h"
#include "drivers/sdk/blk.h"

__attribute__((import_module("blk"), import_name("blk_submit"))) int32_t blk_submit(void);

#define BUFFERS 32u
#define CHUNK 128u // sectors a request: 64 KiB
#define TIMEOUT_NS (10ll * 1000000000)

enum state { EMPTY, IN_FLIGHT, FULL };

static struct {
    struct blk_channel *shared;
    struct ring requests, completions;
    uint64_t sectors, next_read, next_hash; // sector numbers; next_hash is always a multiple of CHUNK
    enum state state[BUFFERS];              // of the chunk (number % BUFFERS)
    struct sha256 hash;
} disk;

static int fail(const char *what, int64_t value) {
    log_line("%s (%ld)", what, value);
    return 1;
}

static uint32_t chunk_sectors(uint64_t sector) {
    uint64_t left = disk.sectors - sector;
    return left < CHUNK ? (uint32_t)left : CHUNK;
}

static uint32_t buffer_of(uint64_t sector) { return (uint32_t)(sector / CHUNK % BUFFERS); }

// Puts as many reads into the ring as there are empty buffers; tells the driver once.
static int32_t send(void) {
    uint32_t sent = 0;
    while (disk.next_read < disk.sectors && disk.state[buffer_of(disk.next_read)] == EMPTY &&
           ring_space(&disk.requests)) {
        uint32_t buffer = buffer_of(disk.next_read);
        disk.shared->request[ring_slot(&disk.requests)] =
            (struct blk_request){.op = BLK_READ,
                                 .cookie = buffer,
                                 .sector = disk.next_read,
                                 .count = chunk_sectors(disk.next_read),
                                 .buffer = BLK_DATA + buffer * CHUNK * BLK_SECTOR};
        ring_produced(&disk.requests);
        disk.state[buffer] = IN_FLIGHT;
        disk.next_read += CHUNK;
        sent++;
    }
    return sent ? blk_submit() : 0;
}

// Takes what has come. 0, or an error of the driver's.
static int32_t receive(void) {
    while (ring_pending(&disk.completions)) {
        struct blk_completion c = disk.shared->completion[ring_slot(&disk.completions)];
        ring_consumed(&disk.completions);
        if (c.status) return c.status;
        if (c.cookie >= BUFFERS || disk.state[c.cookie] != IN_FLIGHT)
            return E_IO; // the driver answers what was not asked
        disk.state[c.cookie] = FULL;
    }
    return disk.completions.broken ? E_IO : 0;
}

static void hash_ready(void) {
    while (disk.next_hash < disk.sectors && disk.state[buffer_of(disk.next_hash)] == FULL) {
        uint32_t buffer = buffer_of(disk.next_hash);
        const uint8_t *data = (const uint8_t *)disk.shared + BLK_DATA + buffer * CHUNK * BLK_SECTOR;
        sha256_add(&disk.hash, data, chunk_sectors(disk.next_hash) * BLK_SECTOR);
        disk.state[buffer] = EMPTY;
        disk.next_hash += CHUNK;
    }
}

static int open_disk(void) {
    disk.shared = (struct blk_channel *)(uintptr_t)sasos_chan_map(0);
    if (!disk.shared || sasos_chan_size(0) < BLK_DATA + BUFFERS * CHUNK * BLK_SECTOR)
        return fail("channel 0 is missing or too small, need at least bytes",
                    BLK_DATA + BUFFERS * CHUNK * BLK_SECTOR);
    if (disk.shared->info.version != BLK_INFO_VERSION)
        return fail("the disk's driver is not ready, version", disk.shared->info.version);
    disk.sectors = disk.shared->info.sectors;
    if (disk.sectors == 0) return fail("the disk is empty, sectors", 0);
    ring_init(&disk.requests, &disk.shared->request_ring, BLK_RING);
    disk.requests.mine = disk.shared->request_ring.head; // an earlier client may have used the channel
    ring_init(&disk.completions, &disk.shared->completion_ring, BLK_RING);
    disk.completions.mine = disk.shared->completion_ring.head;
    return 0;
}

int32_t SASOS_EXPORT(app_main)(void) {
    if (open_disk()) return 1;
    sha256_init(&disk.hash);
    int64_t start = sasos_time_ns();
    while (disk.next_hash < disk.sectors) {
        int32_t error = send();
        if (error) return fail("the driver refused the requests, error", error);
        error = receive();
        if (error) return fail("reading failed, error", error);
        hash_ready();
        bool can_send = disk.next_read < disk.sectors && disk.state[buffer_of(disk.next_read)] == EMPTY;
        if (disk.next_hash < disk.sectors && !can_send && !ring_pending(&disk.completions)) {
            int32_t events = sasos_wait(SASOS_EVENT_CHANNEL(0), TIMEOUT_NS);
            if (events <= 0)
                return fail(events ? "waiting failed, error"
                                   : "the driver does not answer: time-out, seconds",
                            events ? events : TIMEOUT_NS / 1000000000);
        }
    }
    int64_t nanoseconds = sasos_time_ns() - start;
    uint8_t digest[32];
    sha256_finish(&disk.hash, digest);
    char hex[65];
    for (int i = 0; i < 32; i++) {
        hex[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    hex[64] = 0;
    log_line("sha256 %s", hex);
    uint64_t kib = disk.sectors / 2, milliseconds = (uint64_t)nanoseconds / 1000000 + 1;
    log_line("read and hashed %lu KiB in %lu ms: %lu MiB/s, up to %u requests in flight", kib,
             milliseconds, kib * 1000 / 1024 / milliseconds, BUFFERS);
    return 0;
}
