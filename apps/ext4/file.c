// file.c — see file.h.
#include "apps/ext4/file.h"
#include "apps/ext4/data.h"
#include "apps/ext4/journal.h"
#include "apps/ext4/orphan.h"
#include "apps/ext4/volume.h"
#include <string.h>

#define NODE_BUCKETS 64u
#define CUT_STEP 4096u // blocks that one transaction frees
#define WINDOW_MIN 65536u
#define HOLE_MAX (1u << 20) // blocks

static struct node *table[NODE_BUCKETS];

// ---- inodes ----

int32_t file_inode(ext2_ino_t number, struct file_inode *out) {
    memset(out, 0, sizeof *out);
    errcode_t error = ext2fs_read_inode_full(volume.fs, number, &out->base, sizeof *out);
    return error ? FS_EIO : 0;
}

int32_t file_inode_write(ext2_ino_t number, struct file_inode *inode) {
    int size = EXT2_INODE_SIZE(volume.fs->super) < (int)sizeof *inode
                   ? EXT2_INODE_SIZE(volume.fs->super)
                   : (int)sizeof *inode;
    errcode_t error = ext2fs_write_inode_full(volume.fs, number, &inode->base, size);
    return error ? volume_fail("writing an inode", error) : 0;
}

// The inode is long enough for a field of the extra part.
#define HAS(l, field)                                                \
    (EXT2_INODE_SIZE(volume.fs->super) > EXT2_GOOD_OLD_INODE_SIZE && \
     offsetof(struct ext2_inode_large, field) + 4 <= EXT2_GOOD_OLD_INODE_SIZE + (l)->i_extra_isize)

// A time is seconds in 32 bits and, in an extra word, 2 more bits of them above and 30 bits of nanoseconds.
static void time_words(struct file_inode *i, enum file_time which, __u32 **seconds, __u32 **extra) {
    struct ext2_inode_large *l = &i->large;
    switch (which) {
    case FILE_ACCESSED:
        *seconds = &l->i_atime;
        *extra = HAS(l, i_atime_extra) ? &l->i_atime_extra : NULL;
        break;
    case FILE_MODIFIED:
        *seconds = &l->i_mtime;
        *extra = HAS(l, i_mtime_extra) ? &l->i_mtime_extra : NULL;
        break;
    default: *seconds = &l->i_ctime; *extra = HAS(l, i_ctime_extra) ? &l->i_ctime_extra : NULL;
    }
}

int64_t file_time(const struct file_inode *inode, enum file_time which) {
    __u32 *seconds, *extra;
    time_words((struct file_inode *)(uintptr_t)inode, which, &seconds, &extra);
    int64_t s = (int32_t)*seconds + (extra ? (int64_t)(*extra & 3) << 32 : 0);
    return s * 1000000000 + (extra ? *extra >> 2 : 0);
}

void file_set_time(struct file_inode *inode, enum file_time which, int64_t ns) {
    __u32 *seconds, *extra;
    time_words(inode, which, &seconds, &extra);
    int64_t s = ns / 1000000000, rest = ns % 1000000000;
    if (rest < 0) s--, rest += 1000000000;
    int64_t most = extra ? (int64_t)INT32_MAX + (3ll << 32) : INT32_MAX;
    if (s < INT32_MIN) s = INT32_MIN, rest = 0;
    if (s > most) s = most, rest = 0;
    *seconds = (__u32)s;
    if (extra) *extra = (__u32)rest << 2 | ((__u32)((s - (int32_t)s) >> 32) & 3);
}

// ---- nodes ----

struct node *node_find(ext2_ino_t number) {
    struct node *n = table[number % NODE_BUCKETS];
    while (n && n->number != number) n = n->next;
    return n;
}

struct node *node_get(ext2_ino_t number) {
    struct node *n = node_find(number);
    if (!n) {
        n = calloc(1, sizeof *n);
        if (!n) return NULL;
        n->number = number;
        n->next = table[number % NODE_BUCKETS];
        table[number % NODE_BUCKETS] = n;
    }
    n->refs++;
    return n;
}

int32_t node_put(struct node *n) {
    if (--n->refs) return 0;
    struct node **link = &table[n->number % NODE_BUCKETS];
    while (*link != n) link = &(*link)->next;
    *link = n->next;
    bool destroy = n->nameless;
    ext2_ino_t number = n->number;
    free(n);
    if (!destroy) return 0;
    int32_t error = volume_begin(true);
    return error ? error : file_destroy(number, true);
}

// ---- where the blocks are ----

static bool sane(uint64_t at, uint64_t count) {
    uint64_t end = ext2fs_blocks_count(volume.fs->super);
    return at >= volume.fs->super->s_first_data_block && at < end && count <= end - at;
}

static errcode_t map_extents(struct node *n, struct file_inode *inode, uint64_t block) {
    ext2_extent_handle_t handle;
    struct ext2fs_extent e;
    errcode_t error = ext2fs_extent_open2(volume.fs, n->number, &inode->base, &handle);
    if (error) return error;
    error = ext2fs_extent_goto(handle, block);
    uint64_t hole_end = block + HOLE_MAX;
    if (error == 0) {
        error = ext2fs_extent_get(handle, EXT2_EXTENT_CURRENT, &e);
        if (!error && (block < e.e_lblk || block - e.e_lblk >= e.e_len || !sane(e.e_pblk, e.e_len)))
            error = EXT2_ET_EXTENT_HEADER_BAD;
        if (!error) {
            n->map_at = e.e_pblk + (block - e.e_lblk);
            n->map_count = (uint32_t)(e.e_len - (block - e.e_lblk));
            n->map_unwritten = e.e_flags & EXT2_EXTENT_FLAGS_UNINIT;
        }
        ext2fs_extent_free(handle);
        return error;
    }
    if (error == EXT2_ET_EXTENT_NOT_FOUND) { // a hole: up to the next extent
        error = ext2fs_extent_get(handle, EXT2_EXTENT_CURRENT, &e);
        if (!error && e.e_lblk <= block)
            error = ext2fs_extent_get(handle, EXT2_EXTENT_NEXT_LEAF, &e);
        if (!error && e.e_lblk > block) hole_end = e.e_lblk;
        if (error == EXT2_ET_NO_CURRENT_NODE || error == EXT2_ET_EXTENT_NO_NEXT) error = 0;
        n->map_at = 0;
        n->map_unwritten = false;
        n->map_count = (uint32_t)(hole_end - block < HOLE_MAX ? hole_end - block : HOLE_MAX);
    }
    ext2fs_extent_free(handle);
    return error;
}

// Files of the old kind are looked up block by block.
static errcode_t map_blocks(struct node *n, struct file_inode *inode, uint64_t block, uint32_t most) {
    n->map_count = 0;
    while (n->map_count < most) {
        blk64_t at;
        errcode_t error = ext2fs_bmap2(volume.fs, n->number, &inode->base, NULL, 0,
                                       block + n->map_count, NULL, &at);
        if (error) return error;
        if (at && !sane(at, 1)) return EXT2_ET_BAD_BLOCK_NUM;
        if (n->map_count == 0)
            n->map_at = at;
        else if (at != (n->map_at ? n->map_at + n->map_count : 0))
            break;
        n->map_count++;
    }
    n->map_unwritten = false;
    return 0;
}

// Where `block` lies, and how many blocks from it on lie alike, at most `most`.
static int32_t map(struct node *n, struct file_inode *inode, uint64_t block, uint32_t most,
                   uint64_t *out_at, uint32_t *out_count, bool *out_unwritten) {
    if (n->map_count == 0 || block < n->map_first || block - n->map_first >= n->map_count) {
        n->map_count = 0;
        errcode_t error = inode->base.i_flags & EXT4_EXTENTS_FL ? map_extents(n, inode, block)
                                                                : map_blocks(n, inode, block, most);
        if (error || n->map_count == 0) {
            n->map_count = 0;
            return FS_EIO;
        }
        n->map_first = block;
    }
    uint64_t skip = block - n->map_first;
    *out_at = n->map_at ? n->map_at + skip : 0;
    *out_count = n->map_count - (uint32_t)skip < most ? n->map_count - (uint32_t)skip : most;
    *out_unwritten = n->map_unwritten;
    return 0;
}

// ---- reading ----

static void read_ahead(struct node *n, struct file_inode *inode, uint64_t offset, uint32_t count) {
    uint64_t end = offset + count, size = EXT2_I_SIZE(&inode->base);
    if (offset != n->expected) {
        n->window = 0;
        n->ahead = 0;
    } else if (n->window < data_ahead_max()) {
        n->window = n->window ? 2 * n->window : WINDOW_MIN;
    }
    n->expected = end;
    if (n->window == 0 || n->ahead > end + n->window / 2) return;
    uint64_t from = n->ahead > end ? n->ahead : end, to = end + n->window;
    if (to > size) to = size;
    while (from < to) {
        uint64_t at, block = from / volume.block_size;
        uint32_t blocks, in = (uint32_t)(from % volume.block_size);
        bool unwritten;
        if (map(n, inode, block, 1 + (uint32_t)((to - from) / volume.block_size), &at, &blocks,
                &unwritten))
            return;
        uint64_t part = (uint64_t)blocks * volume.block_size - in;
        if (part > to - from) part = to - from;
        if (at && !unwritten) data_ahead(at * volume.block_size + in, (uint32_t)part);
        from += part;
    }
    if (to > n->ahead) n->ahead = to;
}

int32_t file_read(struct node *n, uint64_t offset, uint8_t *to, uint32_t count) {
    struct file_inode inode;
    int32_t error = file_inode(n->number, &inode);
    if (error) return error;
    uint64_t size = EXT2_I_SIZE(&inode.base);
    if (offset >= size) return 0;
    if (count > size - offset) count = (uint32_t)(size - offset);
    read_ahead(n, &inode, offset, count);
    for (uint32_t done = 0; done < count;) {
        uint64_t at, byte = offset + done;
        uint32_t blocks, in = (uint32_t)(byte % volume.block_size);
        bool unwritten;
        error = map(n, &inode, byte / volume.block_size,
                    1 + (in + count - done) / volume.block_size, &at, &blocks, &unwritten);
        if (error) return error;
        uint64_t part = (uint64_t)blocks * volume.block_size - in;
        if (part > count - done) part = count - done;
        if (at && !unwritten)
            error = data_read(at * volume.block_size + in, (uint32_t)part, to + done);
        else
            memset(to + done, 0, (size_t)part);
        if (error) return FS_EIO;
        done += (uint32_t)part;
    }
    return (int32_t)count;
}

// ---- writing ----

// How many of [first, first + count) have no block yet.
static int32_t holes(struct node *n, struct file_inode *inode, uint64_t first, uint32_t count,
                     uint32_t *out) {
    *out = 0;
    while (count) {
        uint64_t at;
        uint32_t blocks;
        bool unwritten;
        int32_t error = map(n, inode, first, count, &at, &blocks, &unwritten);
        if (error) return error;
        if (!at) *out += blocks;
        first += blocks, count -= blocks;
    }
    return 0;
}

// Adds [block, block + count) at `at` to the tree: to the extent before it, if they fit together.
static errcode_t add_extent(ext2_extent_handle_t handle, uint64_t block, uint32_t count,
                            uint64_t at, bool unwritten) {
    struct ext2fs_extent e, new = {.e_lblk = block,
                                   .e_pblk = at,
                                   .e_len = count,
                                   .e_flags = unwritten ? EXT2_EXTENT_FLAGS_UNINIT : 0};
    uint32_t most = unwritten ? EXT_UNINIT_MAX_LEN : EXT_INIT_MAX_LEN;
    int where = 0; // before the current one
    errcode_t error = ext2fs_extent_goto(handle, block);
    if (!error) return EXT2_ET_EXTENT_HEADER_BAD; // it is there already
    if (error != EXT2_ET_EXTENT_NOT_FOUND) return error;
    error = ext2fs_extent_get(handle, EXT2_EXTENT_CURRENT, &e);
    if (error && error != EXT2_ET_NO_CURRENT_NODE) return error;
    if (!error && e.e_lblk < block) {
        where = EXT2_EXTENT_INSERT_AFTER;
        if (e.e_lblk + e.e_len == block && e.e_pblk + e.e_len == at && e.e_len + count <= most &&
            (e.e_flags & EXT2_EXTENT_FLAGS_UNINIT) == new.e_flags) {
            e.e_len += count;
            return ext2fs_extent_replace(handle, 0, &e);
        }
    }
    error = ext2fs_extent_insert(handle, where, &new);
    return error ? error : ext2fs_extent_fix_parents(handle);
}

// (Not by ext2fs_fallocate(): that fills the hole up to the next extent, whatever length it is asked for.)
static errcode_t fill_hole(struct node *n, struct file_inode *inode, uint64_t block, uint32_t count,
                           bool unwritten) {
    ext2_extent_handle_t handle;
    struct ext2fs_extent e;
    n->map_count = 0;
    errcode_t error = ext2fs_extent_open2(volume.fs, n->number, &inode->base, &handle);
    if (error) return error;
    blk64_t goal = 0, at, got;
    ext2fs_extent_goto(handle, block);
    if (ext2fs_extent_get(handle, EXT2_EXTENT_CURRENT, &e) == 0 && e.e_lblk < block)
        goal = e.e_pblk + (block - e.e_lblk);
    if (goal == 0 || goal >= ext2fs_blocks_count(volume.fs->super))
        goal = ext2fs_find_inode_goal(volume.fs, n->number, &inode->base, block);
    while (!error && count) {
        uint32_t most = count < EXT_UNINIT_MAX_LEN ? count : EXT_UNINIT_MAX_LEN;
        error = ext2fs_new_range(volume.fs, 0, goal, most, NULL, &at, &got);
        if (error) break;
        if (got > most) got = most;
        ext2fs_block_alloc_stats_range(volume.fs, at, (blk_t)got, +1);
        volume_blocks_changed(at, got);
        error = ext2fs_iblk_add_blocks(volume.fs, &inode->base, got);
        if (!error) error = add_extent(handle, block, (uint32_t)got, at, unwritten);
        block += got, count -= (uint32_t)got, goal = at + got;
    }
    ext2fs_extent_free(handle);
    return error;
}

// Blocks that were reserved only (fs_allocate) are now written.
static errcode_t make_written(struct node *n, struct file_inode *inode, uint64_t first,
                              uint32_t count, uint64_t at) {
    n->map_count = 0;
    ext2_extent_handle_t handle;
    errcode_t error = ext2fs_extent_open2(volume.fs, n->number, &inode->base, &handle);
    if (error) return error;
    for (uint32_t i = 0; i < count && !error; i++)
        error = ext2fs_extent_set_bmap(handle, first + i, at + i, 0);
    ext2fs_extent_free(handle);
    return error;
}

// Blocks of a file that the running operation gave it: what they hold on the disk is not the file's.
struct fresh {
    uint64_t first, end;
};

// Gives [block, block + count) blocks, or makes reserved ones (`at`) written ones. They may lie in several pieces.
static errcode_t make_fresh(struct node *n, struct file_inode *inode, uint64_t block,
                            uint32_t count, uint64_t at, struct fresh *fresh) {
    errcode_t error =
        at ? make_written(n, inode, block, count, at) : fill_hole(n, inode, block, count, false);
    fresh->first = block;
    fresh->end = block + count;
    while (!error && count) {
        uint32_t piece;
        bool unwritten;
        if (map(n, inode, block, count, &at, &piece, &unwritten) || !at || unwritten)
            return EXT2_ET_BLOCK_ALLOC_FAIL;
        volume_blocks_changed(at, piece);
        for (uint32_t i = 0; i < piece; i++) journal_data_block(at + i);
        block += piece, count -= piece;
    }
    return error;
}

// Writes what lies in one run of blocks, which gets blocks first if it has none. The bytes done, or an error that went through
// volume_fail().
static int32_t write_run(struct node *n, struct file_inode *inode, uint64_t byte,
                         const uint8_t *from, uint32_t count, struct fresh *fresh) {
    uint64_t at, block = byte / volume.block_size;
    uint32_t blocks, in = (uint32_t)(byte % volume.block_size);
    uint32_t wanted = (in + count + volume.block_size - 1) / volume.block_size;
    bool unwritten;
    errcode_t error = map(n, inode, block, wanted, &at, &blocks, &unwritten);
    if (!error && (!at || unwritten)) {
        error = make_fresh(n, inode, block, blocks, at, fresh);
        if (!error) error = map(n, inode, block, blocks, &at, &blocks, &unwritten);
    }
    if (error) return volume_fail("giving a file blocks", error);
    bool is_fresh = block >= fresh->first && block < fresh->end;
    if (is_fresh && blocks > fresh->end - block) blocks = (uint32_t)(fresh->end - block);
    uint64_t part = (uint64_t)blocks * volume.block_size - in;
    if (part > count) part = count;
    if (data_write(at * volume.block_size + in, (uint32_t)part, from, is_fresh))
        return volume_fail("writing data", 0);
    return (int32_t)part;
}

// Before a file grows: what its last block holds behind the old end becomes zeros, up to `to`. (Not when it is cut, since a power cut
// may take the cut back, and then those bytes are the file's.)
static int32_t clear_tail(struct node *n, struct file_inode *inode, uint64_t to) {
    uint64_t size = EXT2_I_SIZE(&inode->base), at;
    uint32_t in = (uint32_t)(size % volume.block_size), blocks;
    bool unwritten;
    if (in == 0 || to <= size) return 0;
    int32_t error = map(n, inode, size / volume.block_size, 1, &at, &blocks, &unwritten);
    if (error) return error;
    uint32_t count =
        to - size < volume.block_size - in ? (uint32_t)(to - size) : volume.block_size - in;
    if (!at || unwritten) return 0;
    return data_write(at * volume.block_size + in, count, NULL, false)
               ? volume_fail("writing data", 0)
               : 0;
}

int32_t file_write(struct node *n, uint64_t offset, const uint8_t *from, uint32_t count) {
    struct file_inode inode;
    int32_t error = file_inode(n->number, &inode);
    if (error) return error;
    uint64_t limit = (uint64_t)volume.block_size << 32;
    if (!(inode.base.i_flags & EXT4_EXTENTS_FL))
        limit = 1ull << 32; // what all old block sizes reach
    if (offset >= limit || count > limit - offset) return FS_EFBIG;
    for (;; count /= 2) { // as much as there is space for
        if (count == 0) return FS_ENOSPC;
        uint64_t first = offset / volume.block_size, last = (offset + count - 1) / volume.block_size;
        uint32_t missing;
        error = holes(n, &inode, first, (uint32_t)(last - first + 1), &missing);
        if (error) return error;
        if (missing == 0 || volume_room(missing)) break;
        if (volume.failed) return FS_EIO;
    }
    struct fresh fresh = {0};
    error = clear_tail(n, &inode, offset);
    for (uint32_t done = 0; done < count && !error;) {
        error = write_run(n, &inode, offset + done, from + done, count - done, &fresh);
        if (error < 0) return error;
        done += (uint32_t)error;
        error = 0;
    }
    if (error) return error;
    if (offset + count > EXT2_I_SIZE(&inode.base)) {
        errcode_t failed =
            ext2fs_inode_size_set(volume.fs, &inode.base, (ext2_off64_t)(offset + count));
        if (failed) return volume_fail("setting a file's size", failed);
    }
    file_set_time(&inode, FILE_MODIFIED, volume.now);
    file_set_time(&inode, FILE_CHANGED, volume.now);
    error = file_inode_write(n->number, &inode);
    return error ? error : (int32_t)count;
}

int32_t file_allocate(struct node *n, uint64_t offset, uint64_t length) {
    struct file_inode inode;
    int32_t error = file_inode(n->number, &inode);
    if (error) return error;
    if (!(inode.base.i_flags & EXT4_EXTENTS_FL)) return FS_ENOTSUP;
    uint64_t limit = (uint64_t)volume.block_size << 32;
    if (offset >= limit || length > limit - offset) return FS_EFBIG;
    uint64_t block = offset / volume.block_size,
             end = (offset + length + volume.block_size - 1) / volume.block_size;
    if (end - block > volume_free_blocks() + ext2fs_blocks_count(volume.fs->super) / 2 + 1)
        return FS_ENOSPC;
    while (block < end) {
        uint64_t at;
        uint32_t blocks, most = end - block > CUT_STEP ? CUT_STEP : (uint32_t)(end - block);
        bool unwritten;
        error = map(n, &inode, block, most, &at, &blocks, &unwritten);
        if (error) return error;
        if (!at) {
            if (!volume_room(blocks)) return volume.failed ? FS_EIO : FS_ENOSPC;
            errcode_t failed = fill_hole(n, &inode, block, blocks, true);
            if (!failed) failed = map(n, &inode, block, blocks, &at, &blocks, &unwritten);
            if (failed || !at) return volume_fail("giving a file blocks", failed);
            volume_blocks_changed(at, blocks);
            error = file_inode_write(n->number, &inode);
            if (!error) error = volume_begin(true);
            if (error) return error;
        }
        block += blocks;
    }
    if (offset + length <= EXT2_I_SIZE(&inode.base)) return 0;
    error = clear_tail(n, &inode, offset + length);
    if (error) return error;
    if (ext2fs_inode_size_set(volume.fs, &inode.base, (ext2_off64_t)(offset + length)))
        return volume_fail("setting a file's size", 0);
    file_set_time(&inode, FILE_CHANGED, volume.now);
    return file_inode_write(n->number, &inode);
}

// ---- cutting ----

static bool has_blocks(const struct ext2_inode *inode) {
    if (LINUX_S_ISLNK(inode->i_mode))
        return !ext2fs_is_fast_symlink((struct ext2_inode *)(uintptr_t)inode) && EXT2_I_SIZE(inode);
    return LINUX_S_ISREG(inode->i_mode) || LINUX_S_ISDIR(inode->i_mode);
}

// Behind the last block of the file, by its extents: blocks may lie behind its size.
static errcode_t find_end(ext2_ino_t number, struct file_inode *inode, uint64_t *out) {
    ext2_extent_handle_t handle;
    struct ext2fs_extent e;
    *out = 0;
    errcode_t error = ext2fs_extent_open2(volume.fs, number, &inode->base, &handle);
    if (error) return error;
    error = ext2fs_extent_get(handle, EXT2_EXTENT_ROOT, &e);
    if (!error) error = ext2fs_extent_get(handle, EXT2_EXTENT_LAST_LEAF, &e);
    if (!error) *out = e.e_lblk + e.e_len;
    ext2fs_extent_free(handle);
    return error == EXT2_ET_EXTENT_NO_NEXT || error == EXT2_ET_NO_CURRENT_NODE ? 0 : error;
}

// ext2fs_punch(), which refuses to free the last block of the disk: it takes it to lie behind the end.
static errcode_t punch(ext2_ino_t number, struct file_inode *inode, uint64_t first, uint64_t last) {
    uint64_t blocks = ext2fs_blocks_count(volume.fs->super);
    ext2fs_blocks_count_set(volume.fs->super, blocks + 1);
    errcode_t error = ext2fs_punch(volume.fs, number, &inode->base, NULL, first, last);
    ext2fs_blocks_count_set(volume.fs->super, blocks);
    return error;
}

int32_t file_cut(ext2_ino_t number, uint64_t size, bool listed) {
    struct file_inode inode;
    int32_t error = file_inode(number, &inode);
    if (error) return error;
    struct node *n = node_find(number);
    if (n) n->map_count = 0, n->ahead = 0;
    uint64_t first = (size + volume.block_size - 1) / volume.block_size, end = 0;
    errcode_t failed = 0;
    if (has_blocks(&inode.base) && inode.base.i_flags & EXT4_EXTENTS_FL)
        failed = find_end(number, &inode, &end);
    else if (has_blocks(&inode.base)) // of the old kind: only directories can be large, and they are not
        failed = punch(number, &inode, first, ~0ull);
    if (failed) return volume_fail("freeing a file's blocks", failed);
    while (end > first) {
        uint64_t from = end - first > CUT_STEP ? end - CUT_STEP : first;
        if (from > first && !listed) {
            failed = orphan_add(number);
            listed = true;
            if (!failed && file_inode(number, &inode))
                failed = EXT2_ET_SHORT_READ; // its list word has changed
        }
        if (!failed) failed = punch(number, &inode, from, end - 1);
        if (failed) return volume_fail("freeing a file's blocks", failed);
        end = from;
        if (end > first) error = volume_begin(true);
        if (error) return error;
    }
    if (listed && orphan_remove(number)) return volume_fail("the list of orphans", 0);
    return 0;
}

int32_t file_destroy(ext2_ino_t number, bool listed) {
    struct file_inode inode;
    int32_t error = file_cut(number, 0, listed);
    if (error) return error;
    error = file_inode(number, &inode);
    if (error) return volume_fail("reading an inode", 0);
    errcode_t failed = 0;
    if (ext2fs_file_acl_block(volume.fs, &inode.base))
        failed = ext2fs_free_ext_attr(volume.fs, number, &inode.large);
    if (failed) return volume_fail("freeing extended attributes", failed);
    inode.base.i_links_count = 0;
    inode.base.i_dtime = (__u32)(volume.now / 1000000000);
    if (inode.base.i_dtime == 0) inode.base.i_dtime = 1;
    error = file_inode_write(number, &inode);
    ext2fs_inode_alloc_stats2(volume.fs, number, -1, LINUX_S_ISDIR(inode.base.i_mode));
    volume_inode_changed(number);
    return error;
}

int32_t file_resize(struct node *n, uint64_t size) {
    struct file_inode inode;
    int32_t error = file_inode(n->number, &inode);
    if (error) return error;
    uint64_t old = EXT2_I_SIZE(&inode.base);
    uint64_t limit =
        inode.base.i_flags & EXT4_EXTENTS_FL ? (uint64_t)volume.block_size << 32 : 1ull << 32;
    if (size > limit) return FS_EFBIG;
    error = clear_tail(n, &inode, size);
    if (error) return error;
    if (ext2fs_inode_size_set(volume.fs, &inode.base, (ext2_off64_t)size))
        return volume_fail("setting a file's size", 0);
    file_set_time(&inode, FILE_MODIFIED, volume.now);
    file_set_time(&inode, FILE_CHANGED, volume.now);
    error = file_inode_write(n->number, &inode);
    if (error || size >= old) return error;
    return file_cut(n->number, size, false);
}
