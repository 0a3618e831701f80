// disk.c — disk.h over the block class (drivers/sdk/blkclient.h), on the module's channel 0.
//
// Transfers are queued as they come and sent in batches (disk_kick, disk_wait, or when many are queued). A driver that dies and comes
// back is a pause: the client's side sends again what has no result. A driver that breaks the rules, or that neither answers
// nor comes back within TIMEOUT_NS, ends the use of the disk: what is under way and all that follows fails with E_IO.
//
// When the client that called us is being ended, wait() returns at once with E_INTR; the transfer is finished all the same, since the
// file system must not be left in the middle of an operation.
#include "apps/ext4/disk.h"
#include "drivers/sdk/blkclient.h"

#define CHANNEL 0u
#define TIMEOUT_NS (30ll * 1000000000)

static struct {
    struct bc bc;
    struct disk_io *group[BC_DEPTH]; // by tag, NULL: free
    uint32_t queued;                 // since the driver was told
    uint64_t first, sectors;         // the part of the disk that is ours
    bool broken;
} d;

const char *disk_open(struct disk *out) {
    int32_t error = bc_open(&d.bc, CHANNEL, TIMEOUT_NS);
    if (error == E_AGAIN) return "the disk's driver is not ready";
    if (error || d.bc.size < (1u << 20)) return "channel 0 is missing, or smaller than 1 MiB";
    d.sectors = d.bc.sectors;
    *out = (struct disk){.memory = (uint8_t *)(uintptr_t)d.bc.address + BLK_DATA,
                         .size = d.bc.size - BLK_DATA,
                         .sectors = d.bc.sectors,
                         .block = d.bc.block ? d.bc.block : 1,
                         .readonly = d.bc.flags & BLK_READONLY};
    return NULL;
}

bool disk_narrow(struct disk *disk, uint64_t first, uint64_t count) {
    if (count == 0 || first > disk->sectors || count > disk->sectors - first || first % disk->block)
        return false;
    d.first = first;
    d.sectors = disk->sectors = count;
    return true;
}

static void finish(uint32_t tag, int32_t error) {
    struct disk_io *io = d.group[tag];
    d.group[tag] = NULL;
    io->pending--;
    if (error && !io->error) io->error = error;
}

static void break_down(int32_t error) {
    if (!d.broken) log_line("the disk is not used any more: error %d", error);
    d.broken = true;
    for (uint32_t i = 0; i < BC_DEPTH; i++)
        if (d.group[i]) finish(i, E_IO);
}

static void receive(void) {
    uint32_t tag;
    int32_t status, got = 0;
    while (!d.broken && (got = bc_next(&d.bc, &tag, &status)) > 0) finish(tag, status);
    if (got < 0) break_down(got);
}

void disk_kick(void) {
    if (!d.queued || d.broken) return;
    d.queued = 0;
    int32_t error = bc_send(&d.bc);
    if (error) break_down(error);
}

// Waits until something has happened.
static void await(void) {
    disk_kick();
    int64_t end = sasos_time_ns() + TIMEOUT_NS;
    for (;;) {
        int64_t left = end - sasos_time_ns();
        int32_t got = d.broken ? 1 : left > 0 ? bc_wait(&d.bc, left) : 0;
        if (got == E_INTR) continue; // the caller is being ended: wait all the same
        if (got <= 0) break_down(got ? got : E_AGAIN);
        break;
    }
    receive();
}

void disk_start(enum disk_op op, uint64_t sector, uint32_t count, uint8_t *buffer, struct disk_io *io) {
    static const uint8_t ops[] = {
        [DISK_READ] = BLK_READ, [DISK_WRITE] = BLK_WRITE, [DISK_FLUSH] = BLK_FLUSH};
    if (op == DISK_FLUSH && !(d.bc.flags & BLK_CAN_FLUSH))
        return; // its writes are on the medium when they are complete
    while (!d.broken && bc_full(&d.bc)) await();
    if (d.broken || (op != DISK_FLUSH && (sector > d.sectors || count > d.sectors - sector))) {
        io->error = d.broken ? E_IO : E_RANGE;
        return;
    }
    uint32_t tag = 0;
    while (d.group[tag]) tag++; // there is one: the queue is not full
    d.group[tag] = io;
    io->pending++;
    if (op == DISK_FLUSH)
        bc_queue(&d.bc, BLK_FLUSH, 0, 0, 0, tag);
    else
        bc_queue(&d.bc, ops[op], d.first + sector, count,
                 (uint32_t)(uintptr_t)buffer - d.bc.address, tag);
    if (++d.queued >= BC_DEPTH / 2) disk_kick();
}

int32_t disk_wait(struct disk_io *io) {
    receive();
    while (io->pending) await();
    int32_t error = io->error;
    io->error = 0;
    return error;
}
