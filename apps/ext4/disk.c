// disk.c — disk.h over a channel of the block class (drivers/sdk/blk.h), which is the module's channel 0.
//
// Transfers are put into the request ring as they come and announced in batches (disk_kick, disk_wait, or a full ring). Each has a
// ticket, its cookie; a completion whose cookie is not under way, or a ring index that cannot be, is the driver's lie: the disk is
// `broken` then, and everything that is and will be under way fails with E_IO. No answer within TIMEOUT_NS breaks it as well.
//
// When the client that called us is being ended, wait() returns at once with E_INTR; the transfer is finished all the same, since the
// file system must not be left in the middle of an operation.
#include "apps/ext4/disk.h"
#include "drivers/sdk/blk.h"

__attribute__((import_module("blk"), import_name("blk_submit"))) int32_t blk_submit(void);

#define CHANNEL 0u
#define TIMEOUT_NS (30ll * 1000000000)

static struct {
    struct blk_channel *shared;
    struct ring requests, completions;
    struct disk_io *ticket[BLK_RING]; // NULL: free
    uint32_t under_way, unannounced;
    uint64_t first, sectors; // our part of the device
    bool can_flush, broken;
} d;

// Argument 0, if there is one, is FIRST:COUNT, the sectors that are ours; else all are.
static const char *choose_sectors(uint64_t device) {
    char text[48];
    uint64_t part[2] = {0};
    uint32_t which = 0;
    int32_t length = sasos_arg(0, text, sizeof(text));
    d.first = 0;
    d.sectors = device;
    if (length < 0) return NULL;
    for (int32_t i = 0; i < length && i < (int32_t)sizeof(text); i++) {
        if (text[i] == ':' && which == 0)
            which = 1;
        else if (text[i] >= '0' && text[i] <= '9' && part[which] < UINT64_MAX / 16)
            part[which] = part[which] * 10 + (uint64_t)(text[i] - '0');
        else
            return "argument 0 is not FIRST:COUNT (sectors)";
    }
    if (part[1] == 0 || part[0] > device || part[1] > device - part[0])
        return "argument 0, FIRST:COUNT, does not lie on the disk";
    d.first = part[0];
    d.sectors = part[1];
    return NULL;
}

const char *disk_open(struct disk *out) {
    d.shared = (struct blk_channel *)(uintptr_t)sasos_chan_map(CHANNEL);
    uint32_t size = sasos_chan_size(CHANNEL);
    if (!d.shared || size < (1u << 20)) return "channel 0 is missing, or smaller than 1 MiB";
    if (d.shared->info.version != BLK_INFO_VERSION) return "the disk's driver is not ready";
    uint32_t flags = d.shared->info.flags;
    const char *wrong = choose_sectors(d.shared->info.sectors);
    if (wrong) return wrong;
    *out = (struct disk){.memory = (uint8_t *)d.shared + BLK_DATA,
                         .size = size - BLK_DATA,
                         .sectors = d.sectors,
                         .readonly = flags & BLK_READONLY};
    d.can_flush = flags & BLK_CAN_FLUSH;
    ring_init(&d.requests, &d.shared->request_ring, BLK_RING);
    d.requests.mine = d.shared->request_ring.head; // an earlier life of ours may have used the channel
    ring_init(&d.completions, &d.shared->completion_ring, BLK_RING);
    d.completions.mine = d.shared->completion_ring.head;
    return NULL;
}

static void finish(uint32_t ticket, int32_t error) {
    struct disk_io *io = d.ticket[ticket];
    d.ticket[ticket] = NULL;
    d.under_way--;
    io->pending--;
    if (error && !io->error) io->error = error;
}

static void break_down(const char *why) {
    if (!d.broken) log_line("%s: the disk is not used any more", why);
    d.broken = true;
    d.unannounced = 0;
    for (uint32_t i = 0; i < BLK_RING; i++)
        if (d.ticket[i]) finish(i, E_IO);
}

static void receive(void) {
    while (ring_pending(&d.completions)) {
        struct blk_completion c = d.shared->completion[ring_slot(&d.completions)];
        barrier_compiler();
        ring_consumed(&d.completions);
        if (c.cookie >= BLK_RING || !d.ticket[c.cookie]) {
            break_down("the driver answers what was not asked");
            return;
        }
        finish(c.cookie, c.status);
    }
    if (d.completions.broken || d.requests.broken) break_down("the driver's ring makes no sense");
}

void disk_kick(void) {
    if (!d.unannounced || d.broken) return;
    d.unannounced = 0;
    int32_t error = blk_submit();
    if (error < 0) break_down("the driver refuses requests");
}

// Waits until something has happened.
static void await(void) {
    disk_kick();
    int64_t deadline = sasos_time_ns() + TIMEOUT_NS;
    while (!d.broken && !ring_pending(&d.completions) && !d.completions.broken) {
        int64_t left = deadline - sasos_time_ns();
        if (left <= 0) {
            break_down("the driver does not answer");
            return;
        }
        sasos_wait(SASOS_EVENT_CHANNEL(CHANNEL), left);
    }
    receive();
}

void disk_start(enum disk_op op, uint64_t sector, uint32_t count, uint8_t *buffer, struct disk_io *io) {
    if (op == DISK_FLUSH && !d.can_flush)
        return; // its writes are on the medium when they are complete
    while (!d.broken && (d.under_way == BLK_RING || !ring_space(&d.requests))) await();
    if (d.broken || (op != DISK_FLUSH && (sector > d.sectors || count > d.sectors - sector))) {
        io->error = d.broken ? E_IO : E_RANGE;
        return;
    }
    uint32_t ticket = 0;
    while (d.ticket[ticket]) ticket++;
    static const uint8_t ops[] = {
        [DISK_READ] = BLK_READ, [DISK_WRITE] = BLK_WRITE, [DISK_FLUSH] = BLK_FLUSH};
    d.shared->request[ring_slot(&d.requests)] = (struct blk_request){
        .op = ops[op],
        .cookie = ticket,
        .sector = op == DISK_FLUSH ? 0 : d.first + sector,
        .count = count,
        .buffer = op == DISK_FLUSH ? 0 : (uint32_t)(buffer - (uint8_t *)d.shared)};
    ring_produced(&d.requests);
    d.ticket[ticket] = io;
    d.under_way++;
    io->pending++;
    if (++d.unannounced >= BLK_RING / 2) disk_kick();
}

int32_t disk_wait(struct disk_io *io) {
    receive();
    while (io->pending) await();
    int32_t error = io->error;
    io->error = 0;
    return error;
}
