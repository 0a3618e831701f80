// file.h — the contents of files: reading, writing, cutting; their inodes.
//
// All of it works within an operation that the caller has begun (volume_begin). Errors are enum fs_error; those in the middle of changes
// have gone through volume_fail() already.
#ifndef EXT4_FILE_H
#define EXT4_FILE_H
#include "drivers/sdk/fs.h"
#include <ext2fs/ext2fs.h>

// An inode that is open, shared by its handles.
struct node {
    struct node *next; // in the table's chain
    ext2_ino_t number;
    uint32_t refs;
    bool nameless;            // its last name is gone: it goes with the last handle
    uint64_t map_first;       // the piece of the file looked up last: its blocks …
    uint64_t map_at;          // … lie here, 0: a hole
    uint32_t map_count;       // 0: nothing is remembered
    bool map_unwritten;       // they read as zeros
    uint64_t expected, ahead; // a sequential reader reads here next; read ahead up to here
    uint32_t window;          // bytes to read ahead
};

struct file_inode {
    union {
        struct ext2_inode base;
        struct ext2_inode_large large;
    };
};
int32_t file_inode(ext2_ino_t number, struct file_inode *out);
int32_t file_inode_write(ext2_ino_t number, struct file_inode *inode);
enum file_time { FILE_ACCESSED, FILE_MODIFIED, FILE_CHANGED };
int64_t file_time(const struct file_inode *inode, enum file_time which);
void file_set_time(struct file_inode *inode, enum file_time which, int64_t ns);

// The node of an inode, with one more reference; NULL: no memory. Putting back the last reference of a nameless one destroys it.
struct node *node_get(ext2_ino_t number);
struct node *node_find(ext2_ino_t number);
int32_t node_put(struct node *n);

// Bytes read or written, at most `count`; writing needs count ≤ VOLUME_CHUNK.
int32_t file_read(struct node *n, uint64_t offset, uint8_t *to, uint32_t count);
int32_t file_write(struct node *n, uint64_t offset, const uint8_t *from, uint32_t count);
int32_t file_resize(struct node *n, uint64_t size);
// Space for [offset, offset + length) is there afterwards, and the file is at least that long.
int32_t file_allocate(struct node *n, uint64_t offset, uint64_t length);

// In as many transactions as it takes, on the list of orphans meanwhile. `listed`: it is on that list already.
int32_t file_cut(ext2_ino_t number, uint64_t size,
                 bool listed); // frees the blocks behind `size`; the inode's size is `size` already
int32_t file_destroy(ext2_ino_t number, bool listed); // frees all of it
#endif
