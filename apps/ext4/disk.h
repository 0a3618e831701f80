// disk.h — the block device under the file system: asynchronous transfers between it and the memory that it shares with us.
//
// disk_open() says where that memory is: all buffers lie in it, so that the device reads and writes them in place. A transfer belongs
// to a group (struct disk_io), which counts what is under way and keeps the first error; disk_wait() waits for a group. Transfers that are
// under way together may happen in any order, and a power cut may leave any part of them undone, down to single sectors; what was
// complete before a DISK_FLUSH began is on the medium once the flush is complete. A buffer must not be touched while it is under way.
// The device and its driver are not trusted: what was read may change until it is copied, and is checked by whoever uses the copy.
#ifndef EXT4_DISK_H
#define EXT4_DISK_H
#include <stdbool.h>
#include <stdint.h>

#define DISK_SECTOR 512u
#define DISK_TRANSFER_MAX 2048u // sectors

enum disk_op { DISK_READ, DISK_WRITE, DISK_FLUSH };

struct disk_io {
    uint32_t pending;
    int32_t error; // 0, or that of the first transfer that failed
};

struct disk {
    uint8_t *memory;
    uint32_t size; // bytes of memory
    uint64_t sectors;
    uint32_t block; // sectors: a transfer's sector and count are multiples of it
    bool readonly;
};

// NULL, or a sentence that says why there is no disk.
const char *disk_open(struct disk *out);
// From now on the disk is [first, first + count) of what it was. False: that does not lie in it.
bool disk_narrow(struct disk *disk, uint64_t first, uint64_t count);
// Begins a transfer; returns when there is room for it. `count` sectors, 0 for a flush, in a piece of `memory` at 16-aligned `buffer`.
void disk_start(enum disk_op op, uint64_t sector, uint32_t count, uint8_t *buffer, struct disk_io *io);
// Tells the driver of what was begun: for those who do not wait at once.
void disk_kick(void);
// Waits until nothing of the group is under way. Returns its error and forgets it.
int32_t disk_wait(struct disk_io *io);
#endif
