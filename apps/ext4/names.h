// names.h — directories: finding, making, removing and renaming names. Paths and their rules are those of drivers/sdk/fs.h.
//
// All of it works within an operation that the caller has begun. Results are enum fs_error.
#ifndef EXT4_NAMES_H
#define EXT4_NAMES_H
#include "apps/ext4/file.h"

struct name {          // where a path leads
    ext2_ino_t parent; // the directory of the last name
    ext2_ino_t inode;  // what it names, 0: nothing
    char last[FS_NAME_MAX + 1];
    bool directory; // it ended with '/': only a directory will do
    bool dot; // the last name is `.` or `..`, or there is none: it can be opened, but not made or removed
};

// Follows a path of `length` bytes from directory `from`. `follow`: the last name's link too. FS_ENOENT when a directory on the way is
// not there; a last name that is not there is no error.
int32_t names_walk(ext2_ino_t from, const char *path, uint32_t length, bool follow, struct name *out);

enum fs_type names_type(const struct ext2_inode *inode);
int32_t names_make_file(const struct name *at, ext2_ino_t *out);
int32_t names_make_directory(const struct name *at);
int32_t names_make_link(const struct name *at, const char *target, uint32_t length);
int32_t names_add(const struct name *at, ext2_ino_t inode);
int32_t names_remove(const struct name *at, bool directory);
int32_t names_rename(const struct name *from, const struct name *to);
// The target of a symbolic link: bytes, at most `size`.
int32_t names_target(ext2_ino_t inode, char *to, uint32_t size);
// Fills `to` with struct fs_dirent records behind `cookie`. Bytes.
int32_t names_list(ext2_ino_t directory, uint64_t cookie, uint8_t *to, uint32_t size);
#endif
