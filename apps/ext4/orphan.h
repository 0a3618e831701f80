// orphan.h — inodes that a power cut must not leave behind: files without a name that are still open, and files being cut in several
// transactions. They are linked into the superblock's list (s_last_orphan, through i_dtime), which e2fsck and mounting work off.
#ifndef EXT4_ORPHAN_H
#define EXT4_ORPHAN_H
#include <ext2fs/ext2fs.h>

// The inode goes on or off the list. In the running transaction; 0 or the library's error.
errcode_t orphan_add(ext2_ino_t inode);
errcode_t orphan_remove(ext2_ino_t inode);
// At mounting: frees or cuts all that are on the list.
errcode_t orphan_clear(void);
#endif
