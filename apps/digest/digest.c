// digest.c — reads a whole block device through its driver, many requests in flight, and prints its SHA-256 and the throughput.
//
// Channel 0 is the disk (drivers/sdk/blk.h). BUFFERS reads are kept in flight; data are hashed in disk order, so a completion that
// comes early waits for its turn. Exit status: 0, or 1 with a line in the log that says what went wrong.
#include "apps/digest/sha256.h"
#include "drivers/sdk/blkclient.h"

#define BUFFERS 32u
#define CHUNK 128u // sectors a request: 64 KiB
#define TIMEOUT_NS (10ll * 1000000000)

enum state { EMPTY, IN_FLIGHT, FULL };

static struct {
    struct bc bc;
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

// Asks for as many chunks as there are empty buffers; tells the driver once.
static int32_t send(void) {
    while (disk.next_read < disk.sectors && disk.state[buffer_of(disk.next_read)] == EMPTY) {
        uint32_t buffer = buffer_of(disk.next_read);
        bc_queue(&disk.bc, BLK_READ, disk.next_read, chunk_sectors(disk.next_read),
                 BLK_DATA + buffer * CHUNK * BLK_SECTOR, buffer);
        disk.state[buffer] = IN_FLIGHT;
        disk.next_read += CHUNK;
    }
    return bc_send(&disk.bc);
}

// Takes what has come. 0, or an error.
static int32_t receive(void) {
    uint32_t buffer;
    int32_t status, got;
    while ((got = bc_next(&disk.bc, &buffer, &status)) > 0) {
        if (status) return status;
        disk.state[buffer] = FULL;
    }
    return got;
}

static void hash_ready(void) {
    while (disk.next_hash < disk.sectors && disk.state[buffer_of(disk.next_hash)] == FULL) {
        uint32_t buffer = buffer_of(disk.next_hash);
        const uint8_t *data =
            (const uint8_t *)(uintptr_t)disk.bc.address + BLK_DATA + buffer * CHUNK * BLK_SECTOR;
        sha256_add(&disk.hash, data, chunk_sectors(disk.next_hash) * BLK_SECTOR);
        disk.state[buffer] = EMPTY;
        disk.next_hash += CHUNK;
    }
}

static int open_disk(void) {
    int32_t error = bc_open(&disk.bc, 0, TIMEOUT_NS);
    if (error) return fail("the disk's driver is not ready, error", error);
    if (disk.bc.size < BLK_DATA + BUFFERS * CHUNK * BLK_SECTOR)
        return fail("channel 0 is too small, need at least bytes",
                    BLK_DATA + BUFFERS * CHUNK * BLK_SECTOR);
    disk.sectors = disk.bc.sectors;
    if (disk.sectors == 0) return fail("the disk is empty, sectors", 0);
    return 0;
}

int32_t SASOS_EXPORT(app_main)(void) {
    if (open_disk()) return 1;
    sha256_init(&disk.hash);
    int64_t start = sasos_time_ns();
    while (disk.next_hash < disk.sectors) {
        int32_t error = send();
        if (error) return fail("the driver refused the requests, error", error);
        if (disk.bc.in_flight) {
            int32_t got = bc_wait(&disk.bc, TIMEOUT_NS);
            if (got <= 0)
                return fail(got ? "the driver is gone, error"
                                : "the driver does not answer: time-out, seconds",
                            got ? got : TIMEOUT_NS / 1000000000);
        }
        error = receive();
        if (error) return fail("reading failed, error", error);
        hash_ready();
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
