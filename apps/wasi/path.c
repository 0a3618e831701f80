// path.c — the path_* calls: rights, flags, and the path copied from the program; resolving it is the file system's business.
#include "apps/wasi/wasi.h"

static char path_text[2][PATH_MAX_BYTES]; // rename, link and symlink have two

// Copies a path. NOTDIR for a descriptor that is no directory.
static int32_t get_text(uint32_t from, uint32_t n, char *to) {
    if (!n) return ERRNO_NOENT;
    if (n > PATH_MAX_BYTES) return ERRNO_NAMETOOLONG;
    int32_t error = caller_get(to, from, n);
    for (uint32_t i = 0; !error && i < n; i++)
        if (!to[i]) error = ERRNO_INVAL;
    return error;
}

static int32_t get_dir(uint32_t fd, uint64_t rights, struct desc **out) {
    int32_t error = fd_get(fd, 0, out);
    if (error) return error;
    if ((*out)->kind != DESC_DIR) return ERRNO_NOTDIR;
    return fd_get(fd, rights, out);
}

static int32_t get_path(uint32_t fd, uint64_t rights, uint32_t flags, uint32_t from, uint32_t n,
                        int which, struct vfs_path *out, const struct vfs **out_fs) {
    struct desc *d;
    int32_t error = get_dir(fd, rights, &d);
    if (error) return error;
    if (flags > LOOKUPFLAGS_SYMLINK_FOLLOW) return ERRNO_INVAL;
    error = get_text(from, n, path_text[which]);
    *out = (struct vfs_path){d->node.handle, path_text[which], n, flags & LOOKUPFLAGS_SYMLINK_FOLLOW};
    *out_fs = d->node.fs;
    return error;
}

#define OPEN_WRITES (RIGHTS_FD_WRITE | RIGHTS_FD_ALLOCATE | RIGHTS_FD_FILESTAT_SET_SIZE)

int32_t WASI(path_open)(uint32_t dir, uint32_t lookup, uint32_t from, uint32_t n, uint32_t oflags,
                        uint64_t base, uint64_t inheriting, uint32_t flags, uint32_t to) {
    struct desc *parent;
    struct vfs_path p;
    uint8_t type;
    uint32_t fd;
    uint64_t needed = RIGHTS_PATH_OPEN, wanted;
    if (oflags & OFLAGS_CREAT) needed |= RIGHTS_PATH_CREATE_FILE;
    if (oflags & OFLAGS_TRUNC) needed |= RIGHTS_PATH_FILESTAT_SET_SIZE;
    struct desc d = {.flags = (uint16_t)flags};
    int32_t error = get_path(dir, needed, lookup, from, n, 0, &p, &d.node.fs);
    if (error) return error;
    if (oflags > 15 || flags > 31 ||
        (oflags & OFLAGS_DIRECTORY && oflags & (OFLAGS_CREAT | OFLAGS_TRUNC | OFLAGS_EXCL)))
        return ERRNO_INVAL;
    error = fd_get(dir, 0, &parent);
    if (error) return error;
    wanted = base & RIGHTS_ALL; // bits that mean nothing yet are not looked at
    if (flags & FDFLAGS_DSYNC) wanted |= RIGHTS_FD_DATASYNC;
    if (flags & (FDFLAGS_RSYNC | FDFLAGS_SYNC)) wanted |= RIGHTS_FD_SYNC;
    if ((parent->inheriting & wanted) != wanted ||
        (parent->inheriting & inheriting & RIGHTS_ALL) != (inheriting & RIGHTS_ALL))
        return ERRNO_NOTCAPABLE;
    bool write = base & OPEN_WRITES || oflags & OFLAGS_TRUNC;
    error = d.node.fs->open(&p, oflags, base & (RIGHTS_FD_READ | RIGHTS_FD_READDIR), write,
                            &d.node.handle, &type);
    if (error) return error;
    d.kind = type == FILETYPE_DIRECTORY ? DESC_DIR : DESC_FILE;
    d.rights = base & (d.kind == DESC_DIR ? RIGHTS_DIR : RIGHTS_FILE);
    d.inheriting = d.kind == DESC_DIR ? inheriting & RIGHTS_ALL : 0;
    error = fd_add(&d, &fd);
    if (error)
        d.node.fs->close(d.node.handle);
    else if ((error = caller_put(to, &fd, sizeof(fd))))
        fd_drop(fd);
    return error;
}

int32_t WASI(path_filestat_get)(uint32_t dir, uint32_t lookup, uint32_t from, uint32_t n, uint32_t to) {
    struct vfs_path p;
    const struct vfs *fs;
    struct witx_filestat s = {.ino = 0};
    int32_t error = get_path(dir, RIGHTS_PATH_FILESTAT_GET, lookup, from, n, 0, &p, &fs);
    if (!error) error = fs->stat_path(&p, &s);
    if (error) return error;
    s.dev = fs->dev;
    return caller_put(to, &s, sizeof(s));
}

int32_t WASI(path_filestat_set_times)(uint32_t dir, uint32_t lookup, uint32_t from, uint32_t n,
                                      uint64_t atim, uint64_t mtim, uint32_t flags) {
    struct vfs_path p;
    const struct vfs *fs;
    int32_t error = get_path(dir, RIGHTS_PATH_FILESTAT_SET_TIMES, lookup, from, n, 0, &p, &fs);
    if (!error) error = fd_times(flags, &atim, &mtim);
    if (error) return error;
    return fs->set_times_path ? fs->set_times_path(&p, atim, mtim) : ERRNO_ROFS;
}

int32_t WASI(path_readlink)(uint32_t dir, uint32_t from, uint32_t n, uint32_t to, uint32_t size,
                            uint32_t out_n) {
    struct vfs_path p;
    const struct vfs *fs;
    uint32_t length = 0;
    int32_t error = get_path(dir, RIGHTS_PATH_READLINK, 0, from, n, 0, &p, &fs);
    if (error) return error;
    if (size > PATH_MAX_BYTES) size = PATH_MAX_BYTES;
    error = fs->readlink ? fs->readlink(&p, path_text[1], size, &length) : ERRNO_INVAL;
    if (!error) error = caller_put(to, path_text[1], length);
    return error ? error : caller_put(out_n, &length, sizeof(length));
}

// ---- Changes of one name ----
int32_t WASI(path_create_directory)(uint32_t dir, uint32_t from, uint32_t n) {
    struct vfs_path p;
    const struct vfs *fs;
    int32_t error = get_path(dir, RIGHTS_PATH_CREATE_DIRECTORY, 0, from, n, 0, &p, &fs);
    return error ? error : fs->mkdir ? fs->mkdir(&p) : ERRNO_ROFS;
}

int32_t WASI(path_remove_directory)(uint32_t dir, uint32_t from, uint32_t n) {
    struct vfs_path p;
    const struct vfs *fs;
    int32_t error = get_path(dir, RIGHTS_PATH_REMOVE_DIRECTORY, 0, from, n, 0, &p, &fs);
    return error ? error : fs->rmdir ? fs->rmdir(&p) : ERRNO_ROFS;
}

int32_t WASI(path_unlink_file)(uint32_t dir, uint32_t from, uint32_t n) {
    struct vfs_path p;
    const struct vfs *fs;
    int32_t error = get_path(dir, RIGHTS_PATH_UNLINK_FILE, 0, from, n, 0, &p, &fs);
    return error ? error : fs->unlink ? fs->unlink(&p) : ERRNO_ROFS;
}

int32_t WASI(path_symlink)(uint32_t target, uint32_t target_n, uint32_t dir, uint32_t from, uint32_t n) {
    struct vfs_path p;
    const struct vfs *fs;
    int32_t error = get_path(dir, RIGHTS_PATH_SYMLINK, 0, from, n, 0, &p, &fs);
    if (!error) error = get_text(target, target_n, path_text[1]);
    if (error) return error;
    return fs->symlink ? fs->symlink(path_text[1], target_n, &p) : ERRNO_ROFS;
}

// ---- Changes of two ----
int32_t WASI(path_rename)(uint32_t dir, uint32_t from, uint32_t n, uint32_t to_dir, uint32_t to,
                          uint32_t to_n) {
    struct vfs_path p, q;
    const struct vfs *fs, *to_fs;
    int32_t error = get_path(dir, RIGHTS_PATH_RENAME_SOURCE, 0, from, n, 0, &p, &fs);
    if (!error) error = get_path(to_dir, RIGHTS_PATH_RENAME_TARGET, 0, to, to_n, 1, &q, &to_fs);
    if (error) return error;
    if (fs != to_fs) return ERRNO_XDEV;
    return fs->rename ? fs->rename(&p, &q) : ERRNO_ROFS;
}

int32_t WASI(path_link)(uint32_t dir, uint32_t lookup, uint32_t from, uint32_t n, uint32_t to_dir,
                        uint32_t to, uint32_t to_n) {
    struct vfs_path p, q;
    const struct vfs *fs, *to_fs;
    int32_t error = get_path(dir, RIGHTS_PATH_LINK_SOURCE, lookup, from, n, 0, &p, &fs);
    if (!error) error = get_path(to_dir, RIGHTS_PATH_LINK_TARGET, 0, to, to_n, 1, &q, &to_fs);
    if (error) return error;
    if (fs != to_fs) return ERRNO_XDEV;
    return fs->link ? fs->link(&p, &q) : ERRNO_ROFS;
}
