// vfs.h — what the personality needs of a file system: archive.c (read-only, from the boot image), datafs.c (a disk, through a file
// service), sysfs.c (the state of the system).
//
// A handle is a number that the file system gave at open(); its file lives until close(), whatever happens to its names. A path is n bytes
// without a 0, relative to a directory's handle. It never leads out of that directory: an absolute path, a `..` that would leave it
// and a symbolic link that would are NOTCAPABLE. Calls that are NULL answer ROFS. All return a WASI errno.
#ifndef WASI_VFS_H
#define WASI_VFS_H
#include "apps/wasi/witx.h"
#include <stdbool.h>
#include <stddef.h>

#define NAME_MAX_BYTES 255u
#define PATH_MAX_BYTES 4096u
#define TIME_OMIT UINT64_MAX

struct vfs_path {
    uint32_t dir; // handle
    const char *text;
    uint32_t n;
    bool follow; // a symbolic link that the path names itself; those on the way always are
};
struct vfs_entry { // of a directory
    uint64_t next; // cookie of the entry behind this one
    uint64_t ino;
    uint8_t type; // FILETYPE_*
    uint8_t length;
    char name[NAME_MAX_BYTES];
};
struct vfs {
    uint64_t dev;
    uint32_t root; // a handle that is always open
    // oflags as in $oflags; `write`: through this handle. `out_type`: FILETYPE_*.
    int32_t (*open)(const struct vfs_path *p, uint32_t oflags, bool read, bool write,
                    uint32_t *out_handle, uint8_t *out_type);
    void (*close)(uint32_t handle);
    int32_t (*stat)(uint32_t handle, struct witx_filestat *out); // dev is not filled in
    int32_t (*stat_path)(const struct vfs_path *p, struct witx_filestat *out);
    int32_t (*readlink)(const struct vfs_path *p, char *out, uint32_t size, uint32_t *out_n);
    // Reads fewer than n bytes only at the end; writes fewer only when there is no space.
    int32_t (*read)(uint32_t handle, uint64_t at, uint8_t *to, uint32_t n, uint32_t *out_n);
    int32_t (*write)(uint32_t handle, uint64_t at, const uint8_t *from, uint32_t n, uint32_t *out_n);
    // The entry at `cookie`, 0 being the first; NOENT at the end.
    int32_t (*readdir)(uint32_t dir, uint64_t cookie, struct vfs_entry *out);
    int32_t (*mkdir)(const struct vfs_path *p);
    int32_t (*rmdir)(const struct vfs_path *p);
    int32_t (*unlink)(const struct vfs_path *p);
    int32_t (*rename)(const struct vfs_path *from, const struct vfs_path *to);
    int32_t (*link)(const struct vfs_path *from, const struct vfs_path *to);
    int32_t (*symlink)(const char *target, uint32_t n, const struct vfs_path *p);
    int32_t (*resize)(uint32_t handle, uint64_t size);
    int32_t (*allocate)(uint32_t handle, uint64_t at, uint64_t n);
    int32_t (*set_times)(uint32_t handle, uint64_t atim, uint64_t mtim);
    int32_t (*set_times_path)(const struct vfs_path *p, uint64_t atim, uint64_t mtim);
    int32_t (*sync)(uint32_t handle, bool data_only);
};
struct vfs_node {
    const struct vfs *fs;
    uint32_t handle;
};

// Each is NULL when the configuration does not grant what it is made of. *out_error: what stands in the way of starting at all.
const struct vfs *archive_start(int32_t *out_error);
const struct vfs *datafs_start(int32_t *out_error);
const struct vfs *sysfs_start(void);
// Persistent files: whether something was changed that is not synced; syncs it; the program has ended, in order.
bool datafs_dirty(void);
void datafs_idle(void);
void datafs_end(void);
#endif
