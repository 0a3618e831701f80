// volume.c — see volume.h.
#include "apps/ext4/volume.h"
#include "apps/ext4/data.h"
#include "apps/ext4/io.h"
#include "apps/ext4/journal.h"
#include "apps/ext4/meta.h"
#include "apps/ext4/orphan.h"
#include "apps/ext4/partition.h"
#include <string.h>

#define STAGE 131072u // bytes for log blocks
#define META_SHARE 4u // one part of the cache in so many is for metadata
#define AGE_NS \
    (5ll * 1000000000)       // a transaction older than this is committed by the next operation
#define READS_MAX (1u << 20) // blocks of metadata that one operation may read
#define SUPER_AT 1024u

errcode_t ext2fs_run_ext3_journal(ext2_filsys *fs); // e2fsprogs' recovery

// Features that we would damage: their metadata would not follow our changes.
#define INCOMPAT_REFUSED                                                                             \
    (EXT3_FEATURE_INCOMPAT_JOURNAL_DEV | EXT2_FEATURE_INCOMPAT_COMPRESSION |                         \
     EXT4_FEATURE_INCOMPAT_MMP | EXT4_FEATURE_INCOMPAT_DIRDATA | EXT4_FEATURE_INCOMPAT_INLINE_DATA | \
     EXT4_FEATURE_INCOMPAT_ENCRYPT | EXT4_FEATURE_INCOMPAT_CASEFOLD | EXT4_FEATURE_INCOMPAT_EA_INODE)
#define RO_COMPAT_REFUSED                                                                              \
    (EXT4_FEATURE_RO_COMPAT_BIGALLOC | EXT4_FEATURE_RO_COMPAT_QUOTA | EXT4_FEATURE_RO_COMPAT_PROJECT | \
     EXT4_FEATURE_RO_COMPAT_VERITY | EXT4_FEATURE_RO_COMPAT_SHARED_BLOCKS |                            \
     EXT4_FEATURE_RO_COMPAT_ORPHAN_PRESENT | EXT4_FEATURE_RO_COMPAT_HAS_SNAPSHOT)

struct volume volume;

static struct {
    ext2fs_block_bitmap freed; // by the running transaction
    uint64_t freed_count;
    uint8_t *group; // a byte a group: which of its bitmaps changed
    bool group_changed;
    ext2_ino_t last_orphan; // in the superblock as it was written
    bool marked;            // the disk says that the journal is in use
    int64_t began; // when the running transaction's first change was made, 0: there is none
    char *buffer;  // a block
} v;
enum { BLOCKS_CHANGED = 1, INODES_CHANGED = 2 };

// ---- what the library tells us ----

void volume_blocks_changed(uint64_t block, uint64_t count) {
    uint64_t per_group = EXT2_BLOCKS_PER_GROUP(volume.fs->super);
    for (uint64_t b = block; b < block + count; b += per_group)
        v.group[ext2fs_group_of_blk2(volume.fs, b)] |= BLOCKS_CHANGED;
    v.group[ext2fs_group_of_blk2(volume.fs, block + count - 1)] |= BLOCKS_CHANGED;
    v.group_changed = true;
}

void volume_inode_changed(ext2_ino_t inode) {
    v.group[ext2fs_group_of_ino(volume.fs, inode)] |= INODES_CHANGED;
    v.group_changed = true;
}

static void block_changed(ext2_filsys fs, blk64_t block, int in_use) {
    volume_blocks_changed(block, 1);
    data_forget(block);
    if (in_use >= 0 || ext2fs_test_block_bitmap2(v.freed, block)) return;
    ext2fs_mark_block_bitmap2(fs->block_map, block);
    ext2fs_mark_block_bitmap2(v.freed, block);
    v.freed_count++;
}

// The library calls this with what is left of a range when it has gone through it: the end.
static void range_changed(ext2_filsys fs, blk64_t end, blk_t count, int in_use) {
    (void)fs, (void)count, (void)in_use;
    volume_blocks_changed(end - 1, 1);
}

static void give_freed_back(void) {
    blk64_t last = ext2fs_blocks_count(volume.fs->super) - 1,
            from = volume.fs->super->s_first_data_block, to;
    while (v.freed_count && from <= last &&
           !ext2fs_find_first_set_block_bitmap2(v.freed, from, last, &from)) {
        if (ext2fs_find_first_zero_block_bitmap2(v.freed, from, last, &to)) to = last + 1;
        ext2fs_unmark_block_bitmap_range2(volume.fs->block_map, from, (blk_t)(to - from));
        from = to;
    }
    if (v.freed_count) ext2fs_clear_block_bitmap(v.freed);
    v.freed_count = 0;
}

// The bitmaps of the groups that changed.
static errcode_t write_bitmaps(ext2_filsys fs) {
    if (!v.group_changed) return 0;
    uint32_t per_group = EXT2_BLOCKS_PER_GROUP(fs->super), inodes = EXT2_INODES_PER_GROUP(fs->super);
    for (dgrp_t g = 0; g < fs->group_desc_count; g++) {
        errcode_t error = 0;
        if (v.group[g] & BLOCKS_CHANGED && !ext2fs_bg_flags_test(fs, g, EXT2_BG_BLOCK_UNINIT)) {
            memset(v.buffer, 0xff, fs->blocksize);
            uint64_t first = fs->super->s_first_data_block + (uint64_t)g * per_group;
            uint64_t left = ext2fs_blocks_count(fs->super) - first;
            error = ext2fs_get_block_bitmap_range2(fs->block_map, first, per_group, v.buffer);
            for (uint64_t b = left; b < fs->blocksize * 8; b++) // behind the end of the disk: used
                ext2fs_set_bit((unsigned)b, v.buffer);
            if (!error) error = ext2fs_block_bitmap_csum_set(fs, g, v.buffer, (int)(per_group / 8));
            if (!error)
                error = io_channel_write_blk64(fs->io, ext2fs_block_bitmap_loc(fs, g), 1, v.buffer);
        }
        if (!error && v.group[g] & INODES_CHANGED &&
            !ext2fs_bg_flags_test(fs, g, EXT2_BG_INODE_UNINIT)) {
            memset(v.buffer, 0xff, fs->blocksize);
            error = ext2fs_get_inode_bitmap_range2(fs->inode_map, 1 + (uint64_t)g * inodes, inodes,
                                                   v.buffer);
            if (!error) error = ext2fs_inode_bitmap_csum_set(fs, g, v.buffer, (int)(inodes / 8));
            if (!error)
                error = io_channel_write_blk64(fs->io, ext2fs_inode_bitmap_loc(fs, g), 1, v.buffer);
        }
        if (error) return error;
        if (v.group[g]) ext2fs_group_desc_csum_set(fs, g);
        v.group[g] = 0;
    }
    v.group_changed = false;
    fs->flags &= ~(EXT2_FLAG_BB_DIRTY | EXT2_FLAG_IB_DIRTY);
    return 0;
}

// ---- transactions ----

int32_t volume_error(errcode_t error) {
    switch (error) {
    case 0: return 0;
    case EXT2_ET_FILE_NOT_FOUND: return FS_ENOENT;
    case EXT2_ET_NO_DIRECTORY: return FS_ENOTDIR;
    case EXT2_ET_NO_MEMORY: return FS_ENOMEM;
    default: return FS_EIO;
    }
}

int32_t volume_fail(const char *what, errcode_t error) {
    if (!volume.failed)
        log_line("%s: error %ld; the file system is read-only from here on, as of its last commit",
                 what, (int64_t)error);
    volume.failed = volume.readonly = true;
    return FS_EIO;
}

static errcode_t write_super(void) {
    volume.fs->super->s_wtime = (__u32)volume.fs->now;
    errcode_t error = ext2fs_superblock_csum_set(volume.fs, volume.fs->super);
    io_channel_set_blksize(volume.fs->io, SUPER_AT);
    if (!error) error = io_channel_write_blk64(volume.fs->io, 1, -(int)SUPER_AT, volume.fs->super);
    io_channel_set_blksize(volume.fs->io, (int)volume.block_size);
    return error;
}

// The superblock of the disk says whether its journal must be looked at: needs_recovery.
static int32_t mark(bool in_use) {
    uint32_t block = SUPER_AT / volume.block_size, at = SUPER_AT % volume.block_size;
    if (meta_read(block, 0, volume.block_size, v.buffer)) return FS_EIO;
    struct ext2_super_block super;
    memcpy(&super, v.buffer + at, sizeof super);
    if (in_use) {
        ext2fs_set_feature_journal_needs_recovery(&super);
        ext2fs_set_feature_journal_needs_recovery(volume.fs->super);
    } else {
        ext2fs_clear_feature_journal_needs_recovery(&super);
        ext2fs_clear_feature_journal_needs_recovery(volume.fs->super);
    }
    ext2fs_superblock_csum_set(volume.fs, &super);
    memcpy(v.buffer + at, &super, sizeof super);
    if (journal_write_through(block, v.buffer)) return volume_fail("writing the superblock", 0);
    v.marked = in_use;
    return 0;
}

// What of the library's memory has changed, becomes blocks of the transaction. (Not by ext2fs_flush2(): that writes the superblock each
// time, for the sums of free blocks and inodes, which are in the groups' descriptors as well. The superblock has two sectors and a
// checksum, and whoever replays a journal must read it first: the fewer its writes, the better.)
static errcode_t prepare_transaction(void) {
    ext2_filsys fs = volume.fs;
    bool sums = fs->flags & EXT2_FLAG_DIRTY || v.group_changed;
    errcode_t error = write_bitmaps(fs);
    for (dgrp_t b = 0; sums && !error && b < fs->desc_blocks; b++)
        error = io_channel_write_blk64(
            fs->io, ext2fs_descriptor_block_loc2(fs, fs->super->s_first_data_block, b), 1,
            (char *)fs->group_desc + (size_t)b * fs->blocksize);
    fs->flags &= ~EXT2_FLAG_DIRTY;
    if (error || fs->super->s_last_orphan == v.last_orphan) return error;
    v.last_orphan = fs->super->s_last_orphan;
    return write_super();
}

static int32_t commit(void) {
    if (v.began && !v.marked) {
        int32_t error = mark(true);
        if (error) return error;
    }
    give_freed_back();
    errcode_t error = prepare_transaction();
    if (error) return volume_fail("preparing a transaction", error);
    int32_t failed = journal_commit(volume.now);
    if (failed) return volume_fail("committing a transaction", failed);
    v.began = 0;
    return 0;
}

int32_t volume_begin(bool change) {
    volume.now = sasos_wall_ns();
    volume.fs->now = (time_t)(volume.now / 1000000000);
    if (volume.fs->now == 0) volume.fs->now = 1; // 0 would make the library ask
    io_budget(READS_MAX);
    if (!change) return 0;
    if (volume.failed) return FS_EIO;
    if (volume.readonly) return FS_EROFS;
    if (v.began && (journal_wants_commit() || volume.now - v.began > AGE_NS || volume.now < v.began)) {
        int32_t error = commit();
        if (error) return error;
    }
    if (!v.began) v.began = volume.now ? volume.now : 1;
    return 0;
}

int32_t volume_end(int32_t error) { return volume.failed && error >= 0 ? FS_EIO : error; }

int32_t volume_sync(void) {
    if (volume.failed) return FS_EIO;
    if (volume.readonly) return 0;
    return commit();
}

int32_t volume_close(void) {
    if (volume.failed) return FS_EIO;
    if (volume.readonly || !(v.marked || v.began)) return 0;
    errcode_t failed = write_super(); // with the sums
    int32_t error = failed ? volume_fail("writing the superblock", failed) : commit();
    if (error) return error;
    if (journal_empty()) return volume_fail("emptying the journal", 0);
    return mark(false);
}

// ---- space ----

uint64_t volume_free_blocks(void) { return ext2fs_free_blocks_count(volume.fs->super); }

static uint64_t reserve(void) {
    uint64_t r = ext2fs_r_blocks_count(volume.fs->super), all = ext2fs_blocks_count(volume.fs->super);
    uint64_t least = all / 32 < 64 ? all / 32 : 64; // for extent trees and directories
    return r > least ? r : least;
}

bool volume_room(uint64_t blocks) {
    uint64_t need = blocks + reserve();
    if (volume_free_blocks() < need) return false;
    if (volume_free_blocks() - v.freed_count >= need) return true;
    return commit() == 0 && volume_begin(true) == 0;
}

bool volume_inodes(void) { return volume.fs->super->s_free_inodes_count > 0; }

// ---- opening ----

static const char *read_super(const struct disk *disk, struct ext2_super_block *out) {
    struct disk_io io = {0};
    if (disk->sectors < 2 * SUPER_AT / DISK_SECTOR)
        return "the disk is too small for a file system";
    disk_start(DISK_READ, SUPER_AT / DISK_SECTOR, SUPER_AT / DISK_SECTOR, disk->memory, &io);
    if (disk_wait(&io)) return "the disk cannot be read";
    memcpy(out, disk->memory, sizeof *out);
    if (out->s_magic != EXT2_SUPER_MAGIC) return "there is no ext4 file system on the disk";
    if (out->s_log_block_size > 2) return "blocks of more than 4096 bytes are not supported";
    if ((2u << out->s_log_block_size) % disk->block)
        return "the disk's blocks are larger than the file system's";
    return NULL;
}

static const char *check_features(struct ext2_super_block *s) {
    if (s->s_feature_incompat & INCOMPAT_REFUSED || s->s_feature_ro_compat & RO_COMPAT_REFUSED) {
        log_line("its features are incompat %x, ro_compat %x", s->s_feature_incompat,
                 s->s_feature_ro_compat);
        return "the file system has a feature that is not supported";
    }
    for (unsigned i = 0; i < sizeof s->s_journal_uuid; i++)
        if (s->s_journal_uuid[i]) return "its journal is on another disk";
    if (!ext2fs_has_feature_filetype(s))
        return "the file system does not keep types in directories (feature filetype)";
    return NULL;
}

static const char *recover(void) {
    meta_logging(false);
    if (!ext2fs_has_feature_journal_needs_recovery(volume.fs->super)) return NULL;
    if (volume.readonly) return "the journal must be replayed, and the disk is read-only";
    log_line("replaying the journal");
    io_budget(1u << 30); // bounded by the journal's own length
    if (ext2fs_run_ext3_journal(&volume.fs) || io_channel_flush(volume.fs->io) ||
        ext2fs_flush(volume.fs))
        return "the journal cannot be replayed: e2fsck may help";
    return NULL;
}

static const char *open_library(int flags) {
    io_budget(READS_MAX);
    errcode_t error = ext2fs_open("disk", flags, 0, 0, &io_meta, &volume.fs);
    if (!error) return NULL;
    log_line("opening the file system: error %ld", (int64_t)error);
    return "the file system's superblock or descriptors are damaged: e2fsck may help";
}

// The superblock's sums are only right after a clean end.
static void count_free(ext2_filsys fs) {
    uint64_t blocks = 0, inodes = 0;
    for (dgrp_t g = 0; g < fs->group_desc_count; g++) {
        blocks += ext2fs_bg_free_blocks_count(fs, g);
        inodes += ext2fs_bg_free_inodes_count(fs, g);
    }
    ext2fs_free_blocks_count_set(fs->super, blocks);
    fs->super->s_free_inodes_count = (__u32)inodes;
}

static const char *prepare(void) {
    ext2_filsys fs = volume.fs;
    io_budget(READS_MAX);
    if (ext2fs_read_bitmaps(fs)) return "the bitmaps are damaged: e2fsck may help";
    v.group = calloc(fs->group_desc_count, 1);
    v.buffer = malloc(fs->blocksize);
    if (!v.group || !v.buffer || ext2fs_create_inode_cache(fs, 32) ||
        ext2fs_allocate_block_bitmap(fs, "freed", &v.freed))
        return "there is too little memory";
    v.last_orphan = fs->super->s_last_orphan;
    count_free(fs);
    ext2fs_set_block_alloc_stats_callback(fs, block_changed, NULL);
    ext2fs_set_block_alloc_stats_range_callback(fs, range_changed, NULL);
    fs->flags &= ~(EXT2_FLAG_DIRTY | EXT2_FLAG_BB_DIRTY | EXT2_FLAG_IB_DIRTY);
    return NULL;
}

const char *volume_open(void) {
    struct disk disk;
    struct ext2_super_block super;
    const char *why = disk_open(&disk);
    if (!why) why = partition_open(&disk);
    if (!why) why = read_super(&disk, &super);
    if (!why) why = check_features(&super);
    if (why) return why;
    volume.block_size = 1024u << super.s_log_block_size;
    volume.readonly = disk.readonly;
    uint32_t cache = disk.size - STAGE, meta = cache / META_SHARE / 65536 * 65536;
    if (disk.size < STAGE + 8 * 65536 ||
        !meta_init(disk.memory + STAGE, meta, volume.block_size,
                   disk.sectors / (volume.block_size / DISK_SECTOR)) ||
        !data_init(disk.memory + STAGE + meta, cache - meta, volume.block_size))
        return "the disk's channel is too small";
    io_setup(volume.block_size);
    why = open_library(EXT2_FLAG_64BITS | (volume.readonly ? 0 : EXT2_FLAG_RW));
    if (!why && ext2fs_blocks_count(volume.fs->super) > disk.sectors / (volume.block_size / DISK_SECTOR))
        why = "the file system is larger than the disk";
    if (!why) why = recover();
    if (!why) why = prepare();
    if (why) return why;
    if (!volume.readonly && !(ext2fs_has_feature_journal(volume.fs->super) &&
                              ext2fs_has_feature_extents(volume.fs->super))) {
        log_line("the file system has no journal or no extents, so it is read-only (mke2fs -t ext4 "
                 "makes both)");
        volume.readonly = true;
    }
    if (!volume.readonly &&
        (volume.fs->super->s_state & EXT2_ERROR_FS || !(volume.fs->super->s_state & EXT2_VALID_FS))) {
        log_line("the file system has errors, so it is read-only: e2fsck may help");
        volume.readonly = true;
    }
    if (volume.readonly) return NULL;
    meta_logging(true);
    why = journal_open(volume.fs, disk.memory, STAGE);
    if (!why && orphan_clear())
        why = "files that were deleted while open cannot be removed: e2fsck may help";
    return why;
}
