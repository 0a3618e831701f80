// io.c — see io.h. The library uses blocks of 1 KiB for the superblock and of the file system's size for the rest; the cache has the latter.
// A negative count is a number of bytes.
#include "apps/ext4/io.h"
#include "apps/ext4/meta.h"
#include "drivers/sdk/sasos.h"
#include <string.h>

static struct {
    uint32_t block_size, budget;
    struct struct_io_channel channel;
} io;

void io_setup(uint32_t block_size) { io.block_size = block_size; }
void io_budget(uint32_t blocks) { io.budget = blocks; }

static errcode_t set_size(io_channel channel, int size) {
    channel->block_size = size;
    return 0;
}

static errcode_t begin(const char *name, int flags, io_channel *out) {
    (void)name, (void)flags;
    io.channel = (struct struct_io_channel){.magic = EXT2_ET_MAGIC_IO_CHANNEL,
                                            .manager = &io_meta,
                                            .name = "disk",
                                            .block_size = 1024,
                                            .refcount = 1};
    *out = &io.channel;
    return 0;
}

static errcode_t end(io_channel channel) {
    (void)channel;
    return 0;
}

typedef int32_t move_fn(uint64_t block, uint32_t at, uint32_t n, void *bytes);

static int32_t move_in(uint64_t block, uint32_t at, uint32_t n, void *bytes) {
    if (io.budget == 0) return E_RANGE;
    io.budget--;
    return meta_read(block, at, n, bytes);
}

static int32_t move_out(uint64_t block, uint32_t at, uint32_t n, void *bytes) {
    return meta_write(block, at, n, bytes);
}

static int32_t move(const struct struct_io_channel *channel, unsigned long long block, int count,
                    void *bytes, move_fn *fn) {
    uint64_t n =
        count < 0 ? (uint64_t) - (int64_t)count : (uint64_t)count * (uint64_t)channel->block_size;
    if (block > UINT64_MAX / 2 / (uint64_t)channel->block_size) return E_RANGE;
    uint64_t at = block * (uint64_t)channel->block_size;
    uint8_t *b = bytes;
    while (n) {
        uint32_t in = (uint32_t)(at % io.block_size);
        uint32_t part = io.block_size - in < n ? io.block_size - in : (uint32_t)n;
        int32_t error = fn(at / io.block_size, in, part, b);
        if (error) return error;
        at += part, b += part, n -= part;
    }
    return 0;
}

static errcode_t get64(io_channel channel, unsigned long long block, int count, void *bytes) {
    return move(channel, block, count, bytes, move_in) ? EXT2_ET_SHORT_READ : 0;
}

static errcode_t put64(io_channel channel, unsigned long long block, int count, const void *bytes) {
    return move(channel, block, count, (void *)(uintptr_t)bytes, move_out) ? EXT2_ET_SHORT_WRITE : 0;
}

static errcode_t get32(io_channel channel, unsigned long block, int count, void *bytes) {
    return get64(channel, block, count, bytes);
}

static errcode_t put32(io_channel channel, unsigned long block, int count, const void *bytes) {
    return put64(channel, block, count, bytes);
}

static errcode_t read_ahead(io_channel channel, unsigned long long block, unsigned long long count) {
    if ((uint32_t)channel->block_size != io.block_size) return 0;
    meta_ahead(block, count > 64 ? 64 : (uint32_t)count);
    return 0;
}

// Only recovery needs it: transactions are committed by the journal.
static errcode_t flush(io_channel channel) {
    (void)channel;
    struct disk_io disk = {0};
    if (meta_write_home()) return EXT2_ET_SHORT_WRITE;
    disk_start(DISK_FLUSH, 0, 0, NULL, &disk);
    return disk_wait(&disk) ? EXT2_ET_SHORT_WRITE : 0;
}

struct struct_io_manager io_meta = {
    .magic = EXT2_ET_MAGIC_IO_MANAGER,
    .name = "metadata cache",
    .open = begin,
    .close = end,
    .set_blksize = set_size,
    .read_blk = get32,
    .write_blk = put32,
    .flush = flush,
    .read_blk64 = get64,
    .write_blk64 = put64,
    .cache_readahead = read_ahead,
};

// What e2fsprogs' recovery would open a journal on another disk with. volume.c refuses such file systems.
io_manager unix_io_manager = &io_meta;
