// volume.h — the mounted file system: opening, transactions, space, and what happens when something goes wrong.
//
// An operation is volume_begin(), checks, changes, volume_end(). All its changes are in one transaction; transactions are committed
// between operations only (when they are large, old, or somebody syncs). An error of the library's in the middle of the changes leaves
// memory in a state that must not be committed: volume_fail() throws the running transaction away and makes the file system
// read-only for good, so the disk stays at the last commit. What can fail for an ordinary reason (space, memory for a handle) is therefore
// checked before the first change.
//
// Blocks that an operation frees stay marked in the bitmap in memory until the transaction is committed: nothing else may be written into
// them while a power cut could bring their file back.
#ifndef EXT4_VOLUME_H
#define EXT4_VOLUME_H
#include "drivers/sdk/fs.h"
#include <ext2fs/ext2fs.h>

#define VOLUME_CHUNK (1u << 20) // bytes of data that one operation writes, at most

extern struct volume {
    ext2_filsys fs;
    uint32_t block_size;
    bool readonly, failed;
    int64_t now; // ns since 1970, of the operation
} volume;

// Mounts the disk. NULL, or a sentence that says why not.
const char *volume_open(void);
// Everything is committed and in its place, and the file system is marked clean.
int32_t volume_close(void);

// Begins an operation. 0, or FS_EROFS and FS_EIO for a change that cannot be.
int32_t volume_begin(bool change);
// Ends it: `error` is its result so far, and that of this call too unless committing fails.
int32_t volume_end(int32_t error);
int32_t volume_sync(void);
// Gives up on changes. Returns FS_EIO.
int32_t volume_fail(const char *what, errcode_t error);

// There is space for that many blocks of data, besides what metadata need. May commit, to get at freed blocks: call before any change.
bool volume_room(uint64_t blocks);
bool volume_inodes(void); // for one more
uint64_t volume_free_blocks(void);

// What the library does not tell us: [block, block + count) changed in the bitmap; an inode of that number did; both are still unwritten.
void volume_blocks_changed(uint64_t block, uint64_t count);
void volume_inode_changed(ext2_ino_t inode);

int32_t volume_error(errcode_t error); // enum fs_error for an error of the library's
#endif
