// orphan.c — see orphan.h. The list's length is bounded by LIST_MAX: a damaged image may make a ring of it.
#include "apps/ext4/orphan.h"
#include "apps/ext4/file.h"
#include "apps/ext4/volume.h"

#define LIST_MAX 65536u

errcode_t orphan_add(ext2_ino_t number) {
    struct ext2_inode inode;
    errcode_t error = ext2fs_read_inode(volume.fs, number, &inode);
    if (error) return error;
    inode.i_dtime = volume.fs->super->s_last_orphan;
    volume.fs->super->s_last_orphan = number;
    ext2fs_mark_super_dirty(volume.fs);
    return ext2fs_write_inode(volume.fs, number, &inode);
}

errcode_t orphan_remove(ext2_ino_t number) {
    struct ext2_inode inode, before;
    errcode_t error = ext2fs_read_inode(volume.fs, number, &inode);
    if (error) return error;
    ext2_ino_t next = inode.i_dtime, at = volume.fs->super->s_last_orphan;
    inode.i_dtime = 0;
    error = ext2fs_write_inode(volume.fs, number, &inode);
    if (error) return error;
    if (at == number) {
        volume.fs->super->s_last_orphan = next;
        ext2fs_mark_super_dirty(volume.fs);
        return 0;
    }
    for (uint32_t n = 0; n < LIST_MAX && at; n++) {
        error = ext2fs_read_inode(volume.fs, at, &before);
        if (error) return error;
        if (before.i_dtime == number) {
            before.i_dtime = next;
            return ext2fs_write_inode(volume.fs, at, &before);
        }
        at = before.i_dtime;
    }
    return EXT2_ET_FILESYSTEM_CORRUPTED;
}

errcode_t orphan_clear(void) {
    for (uint32_t n = 0; volume.fs->super->s_last_orphan; n++) {
        ext2_ino_t number = volume.fs->super->s_last_orphan;
        struct ext2_inode inode;
        if (n == LIST_MAX || number < EXT2_FIRST_INODE(volume.fs->super) ||
            number > volume.fs->super->s_inodes_count ||
            !ext2fs_test_inode_bitmap2(volume.fs->inode_map, number))
            return EXT2_ET_FILESYSTEM_CORRUPTED;
        if (volume_begin(true)) return EXT2_ET_FILESYSTEM_CORRUPTED;
        errcode_t error = ext2fs_read_inode(volume.fs, number, &inode);
        if (error) return error;
        if (inode.i_links_count == 0) {
            if (file_destroy(number, true)) return EXT2_ET_FILESYSTEM_CORRUPTED;
        } else {
            if (file_cut(number, EXT2_I_SIZE(&inode), true)) return EXT2_ET_FILESYSTEM_CORRUPTED;
        }
    }
    return volume_sync() ? EXT2_ET_SHORT_WRITE : 0;
}
