// blklives.c — load on a block device whose driver may die: random requests of 4 KiB, 32 in flight, for a time, by the client that all
// applications use (drivers/sdk/blkclient.h).
//
// Arguments: one measurement each, "read MS" or "write MS". The result is one line
//   lives read: requests=… ns=… lives=…
// lives: how many lives of the driver it has seen since it began. Exit status 1 if a request failed or was not answered within ten seconds.
// Channel 0 is the disk; it is written without asking.
#include "drivers/sdk/blkclient.h"

#define DEPTH 32u
#define SIZE 4096u
#define TIMEOUT_NS (10ll * 1000000000)

static struct bc disk;
static uint64_t state = 88172645463325252ull; // xorshift64

static void queue(enum blk_op op, uint32_t buffer) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    uint64_t place = (state >> 32) * (disk.sectors / (SIZE / BLK_SECTOR)) >> 32;
    bc_queue(&disk, op, place * (SIZE / BLK_SECTOR), SIZE / BLK_SECTOR, BLK_DATA + buffer * SIZE,
             buffer);
}

// 0, or an error.
static int32_t measure(enum blk_op op, int64_t ns) {
    uint64_t requests = 0;
    int64_t start = sasos_time_ns(), now = start;
    for (uint32_t i = 0; i < DEPTH; i++) queue(op, i);
    int32_t error = bc_send(&disk);
    while (!error && disk.in_flight) {
        error = bc_wait(&disk, TIMEOUT_NS);
        if (error <= 0) return error ? error : E_IO;
        uint32_t buffer;
        int32_t status;
        now = sasos_time_ns();
        while ((error = bc_next(&disk, &buffer, &status)) > 0) {
            if (status) return status;
            requests++;
            if (now - start < ns) queue(op, buffer);
        }
        if (!error) error = bc_send(&disk);
    }
    log_line("lives %s: requests=%lu ns=%ld lives=%u", op == BLK_READ ? "read" : "write", requests,
             now - start, disk.lives);
    return error;
}

int32_t SASOS_EXPORT(app_main)(void) {
    char text[32];
    int32_t length, error = bc_open(&disk, 0, TIMEOUT_NS);
    if (!error && disk.size < BLK_DATA + DEPTH * SIZE) error = E_INVAL;
    for (uint32_t i = 0; !error && (length = sasos_arg(i, text, sizeof(text))) >= 0; i++) {
        int64_t ms = 0;
        for (int32_t k = 0; k < length && k < 16; k++)
            if (text[k] >= '0' && text[k] <= '9') ms = ms * 10 + (text[k] - '0');
        error = measure(text[0] == 'r' ? BLK_READ : BLK_WRITE, ms * 1000000);
    }
    if (error) log_line("stopped by error %d", error);
    return error != 0;
}
