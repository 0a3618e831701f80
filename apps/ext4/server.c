// server.c — the module's exports: drivers/sdk/fs.h, call by call. Arguments are checked here and nowhere else; what lies in the channel
// is copied before it is looked at, except data on their way to and from a file.
#include "apps/ext4/names.h"
#include "apps/ext4/session.h"
#include "apps/ext4/volume.h"
#include <string.h>

static bool mounted;
static bool left; // a client has ended, and what it wrote may not be on the disk

static void sweep(void) { left |= session_sweep(); }

int32_t SASOS_EXPORT(library_start)(void) {
    const char *why = volume_open();
    if (why) {
        log_line("%s", why);
        return E_NODEV;
    }
    uint64_t kib = ext2fs_blocks_count(volume.fs->super) * volume.block_size / 1024;
    log_line("%lu KiB, %lu KiB free, blocks of %u bytes%s", kib,
             volume_free_blocks() * volume.block_size / 1024, volume.block_size,
             volume.readonly ? ", read-only" : "");
    mounted = true;
    return 0;
}

// Clients are gone: what they wrote goes to the disk, which is clean when nobody is left.
static int32_t settle(void) {
    sweep();
    left = false;
    int32_t error = volume_begin(false);
    return error ? error : session_any() ? volume_sync() : volume_close();
}

// One has ended, perhaps without a word.
int32_t SASOS_EXPORT(library_left)(void) {
    sweep();
    return mounted && left ? settle() : 0;
}

// The system is going off: what is in memory yet goes to the disk, which is clean then.
int32_t SASOS_EXPORT(library_stop)(void) {
    sweep();
    int32_t error = mounted ? volume_begin(false) : 0;
    return error || !mounted ? error : volume_close();
}

// The caller's session, and an operation begun; NULL and an error otherwise.
static struct session *enter(bool change, int32_t *error) {
    struct session *s = session_of_caller();
    *error = s ? volume_begin(change) : FS_EBADF;
    return *error ? NULL : s;
}

// The same with a handle that is for a directory (`directory`) or gives all `rights`.
static struct handle *enter_handle(int32_t number, bool change, uint32_t rights,
                                   struct session **out, int32_t *error) {
    *out = enter(change, error);
    struct handle *h = *out ? session_handle(*out, number) : NULL;
    if (*out && (!h || (h->flags & rights) != rights)) *error = FS_EBADF;
    return *error ? NULL : h;
}

static int32_t walk(struct session *s, int32_t dir, uint32_t at, uint32_t length, bool follow,
                    struct name *out) {
    static char path[FS_PATH_MAX];
    struct handle *h = session_handle(s, dir);
    if (!h) return FS_EBADF;
    if (!h->directory) return FS_ENOTDIR;
    if (length > FS_PATH_MAX) return FS_ENAMETOOLONG;
    const uint8_t *text = session_range(s, at, length);
    if (!text) return FS_EFAULT;
    memcpy(path, text, length);
    return names_walk(h->node->number, path, length, follow, out);
}

int32_t SASOS_EXPORT(fs_attach)(void) {
    if (!mounted) return FS_EIO;
    sweep();
    int32_t error = volume_begin(false);
    if (error) return error;
    struct session *s = session_begin();
    if (!s) return FS_ENOMEM;
    if (s->size < 65536) {
        session_end(s);
        return FS_EFAULT;
    }
    struct fs_channel info = {.version = FS_VERSION,
                              .flags = volume.readonly ? FS_READONLY : 0,
                              .block_size = volume.block_size,
                              .read_ahead = 65536};
    memcpy(s->base, &info, sizeof info);
    return 0;
}

int32_t SASOS_EXPORT(fs_detach)(void) {
    int32_t error;
    struct session *s = enter(false, &error);
    if (!s) return error;
    session_end(s);
    return settle();
}

// ---- files ----

// What there is may be opened with these flags.
static int32_t check_open(const struct name *n, const struct ext2_inode *inode, uint32_t flags) {
    enum fs_type type = names_type(inode);
    if ((flags & FS_CREATE) && (flags & FS_EXCL)) return FS_EEXIST;
    if (type == FS_DIR) return flags & (FS_WRITE | FS_TRUNC | FS_CREATE) ? FS_EISDIR : 0;
    if (flags & FS_DIRECTORY || n->directory) return FS_ENOTDIR;
    if (type == FS_SYMLINK) return flags & (FS_READ | FS_WRITE | FS_CREATE) ? FS_ELOOP : 0;
    if (type != FS_REGULAR && flags & (FS_READ | FS_WRITE))
        return FS_ENOTSUP; // devices, pipes: nobody is behind them
    return 0;
}

int32_t SASOS_EXPORT(fs_open)(int32_t dir, uint32_t path_at, uint32_t length, uint32_t flags) {
    int32_t error;
    struct name n;
    struct file_inode inode;
    bool change = flags & (FS_CREATE | FS_TRUNC);
    struct session *s = enter(false, &error);
    if (!s) return error;
    if (flags & FS_TRUNC && !(flags & FS_WRITE)) return FS_EINVAL;
    if (flags & FS_WRITE && volume.readonly) return FS_EROFS;
    bool follow = !(flags & FS_NOFOLLOW) && !(flags & FS_CREATE && flags & FS_EXCL);
    error = walk(s, dir, path_at, length, follow, &n);
    if (error) return error;
    if (!n.inode && !(flags & FS_CREATE)) return FS_ENOENT;
    if (!n.inode && flags & FS_DIRECTORY) return FS_EINVAL;
    if (n.inode) {
        error = file_inode(n.inode, &inode);
        if (!error) error = check_open(&n, &inode.base, flags);
        if (error) return error;
    }
    // A handle first: there may be none, and then nothing must be made.
    int32_t handle = session_open(s, n.inode ? n.inode : EXT2_ROOT_INO, false, flags);
    if (handle < 0) return handle;
    struct handle *h = session_handle(s, handle);
    h->directory = n.inode && LINUX_S_ISDIR(inode.base.i_mode);
    if (change && (!n.inode || flags & FS_TRUNC)) error = volume_begin(true);
    if (!error && !n.inode) {
        error = names_make_file(&n, &n.inode);
        if (!error) {
            node_put(h->node);
            h->node = node_get(n.inode);
            if (!h->node) error = FS_ENOMEM;
        }
    } else if (!error && flags & FS_TRUNC && EXT2_I_SIZE(&inode.base)) {
        error = file_resize(h->node, 0);
    }
    if (!error) return handle;
    if (h->node) node_put(h->node);
    h->node = NULL;
    return error;
}

int32_t SASOS_EXPORT(fs_close)(int32_t handle) {
    struct session *s;
    int32_t error;
    struct handle *h = enter_handle(handle, false, 0, &s, &error);
    if (!h || handle == FS_ROOT) return FS_EBADF;
    struct node *n = h->node;
    h->node = NULL;
    return volume_end(node_put(n));
}

int32_t SASOS_EXPORT(fs_read)(int32_t handle, int64_t offset, uint32_t at, uint32_t count) {
    struct session *s;
    int32_t error;
    struct handle *h = enter_handle(handle, false, FS_READ, &s, &error);
    if (!h) return error;
    if (h->directory) return FS_EISDIR;
    if (offset < 0) return FS_EINVAL;
    if (count > INT32_MAX) return FS_EINVAL;
    uint8_t *to = session_range(s, at, count);
    return to ? file_read(h->node, (uint64_t)offset, to, count) : FS_EFAULT;
}

int32_t SASOS_EXPORT(fs_write)(int32_t handle, int64_t offset, uint32_t at, uint32_t count) {
    struct session *s;
    struct file_inode inode;
    int32_t error;
    struct handle *h = enter_handle(handle, true, FS_WRITE, &s, &error);
    if (!h) return error;
    if (offset < FS_END || count > INT32_MAX) return FS_EINVAL;
    const uint8_t *from = session_range(s, at, count);
    if (!from) return FS_EFAULT;
    if (offset == FS_END) {
        error = file_inode(h->node->number, &inode);
        if (error) return error;
        offset = (int64_t)EXT2_I_SIZE(&inode.base);
    }
    uint32_t done = 0;
    while (done < count) {
        uint32_t part = count - done < VOLUME_CHUNK ? count - done : VOLUME_CHUNK;
        error = file_write(h->node, (uint64_t)offset + done, from + done, part);
        if (error < 0) break;
        done += (uint32_t)error;
        if ((uint32_t)error < part) break;
        error = done < count ? volume_begin(true) : 0;
        if (error) break;
    }
    return done && !volume.failed ? (int32_t)done : volume_end(error);
}

int32_t SASOS_EXPORT(fs_truncate)(int32_t handle, int64_t size) {
    struct session *s;
    int32_t error;
    struct handle *h = enter_handle(handle, true, FS_WRITE, &s, &error);
    if (!h) return error;
    return size < 0 ? FS_EINVAL : volume_end(file_resize(h->node, (uint64_t)size));
}

int32_t SASOS_EXPORT(fs_allocate)(int32_t handle, int64_t offset, int64_t length) {
    struct session *s;
    int32_t error;
    struct handle *h = enter_handle(handle, true, FS_WRITE, &s, &error);
    if (!h) return error;
    if (offset < 0 || length <= 0) return FS_EINVAL;
    return volume_end(file_allocate(h->node, (uint64_t)offset, (uint64_t)length));
}

static int32_t put_stat(struct session *s, ext2_ino_t number, uint32_t at) {
    struct file_inode i;
    uint8_t *to = session_range(s, at, sizeof(struct fs_stat));
    if (!to) return FS_EFAULT;
    int32_t error = file_inode(number, &i);
    if (error) return error;
    struct fs_stat st = {.inode = number,
                         .size = EXT2_I_SIZE(&i.base),
                         .allocated = ext2fs_get_stat_i_blocks(volume.fs, &i.base) * 512,
                         .links = i.base.i_links_count,
                         .type = names_type(&i.base),
                         .accessed = file_time(&i, FILE_ACCESSED),
                         .modified = file_time(&i, FILE_MODIFIED),
                         .changed = file_time(&i, FILE_CHANGED),
                         .mode = i.base.i_mode & 07777u};
    memcpy(to, &st, sizeof st);
    return 0;
}

int32_t SASOS_EXPORT(fs_stat)(int32_t handle, uint32_t at) {
    struct session *s;
    int32_t error;
    struct handle *h = enter_handle(handle, false, 0, &s, &error);
    return h ? put_stat(s, h->node->number, at) : error;
}

int32_t SASOS_EXPORT(fs_stat_path)(int32_t dir, uint32_t path_at, uint32_t length, uint32_t flags,
                                   uint32_t at) {
    int32_t error;
    struct name n;
    struct session *s = enter(false, &error);
    if (!s) return error;
    error = walk(s, dir, path_at, length, !(flags & FS_NOFOLLOW), &n);
    if (error) return error;
    return n.inode ? put_stat(s, n.inode, at) : FS_ENOENT;
}

int32_t SASOS_EXPORT(fs_set_times)(int32_t handle, int64_t accessed, int64_t modified) {
    struct session *s;
    struct file_inode inode;
    int32_t error;
    struct handle *h = enter_handle(handle, true, 0, &s, &error);
    if (!h) return error;
    error = file_inode(h->node->number, &inode);
    if (error) return error;
    if (accessed != FS_OMIT)
        file_set_time(&inode, FILE_ACCESSED, accessed == FS_NOW ? volume.now : accessed);
    if (modified != FS_OMIT)
        file_set_time(&inode, FILE_MODIFIED, modified == FS_NOW ? volume.now : modified);
    file_set_time(&inode, FILE_CHANGED, volume.now);
    return volume_end(file_inode_write(h->node->number, &inode));
}

// ---- directories ----

int32_t SASOS_EXPORT(fs_read_dir)(int32_t dir, int64_t cookie, uint32_t at, uint32_t size) {
    struct session *s;
    int32_t error;
    struct handle *h = enter_handle(dir, false, 0, &s, &error);
    if (!h) return error;
    if (!h->directory) return FS_ENOTDIR;
    if (cookie < 0 || size > INT32_MAX) return FS_EINVAL;
    uint8_t *to = session_range(s, at, size);
    return to ? names_list(h->node->number, (uint64_t)cookie, to, size) : FS_EFAULT;
}

// A change of the name at the end of a path.
#define NAME_CALL(call, follow, what)                                            \
    int32_t SASOS_EXPORT(call)(int32_t dir, uint32_t path_at, uint32_t length) { \
        int32_t error;                                                           \
        struct name n;                                                           \
        struct session *s = enter(true, &error);                                 \
        if (!s) return error;                                                    \
        error = walk(s, dir, path_at, length, follow, &n);                       \
        return volume_end(error ? error : what);                                 \
    }
NAME_CALL(fs_mkdir, false, names_make_directory(&n))
NAME_CALL(fs_rmdir, false, names_remove(&n, true))
NAME_CALL(fs_unlink, false, n.directory ? FS_ENOTDIR : names_remove(&n, false))

int32_t SASOS_EXPORT(fs_rename)(int32_t dir, uint32_t path_at, uint32_t length, int32_t to_dir,
                                uint32_t to_at, uint32_t to_length) {
    int32_t error;
    struct name from, to;
    struct session *s = enter(true, &error);
    if (!s) return error;
    error = walk(s, dir, path_at, length, false, &from);
    if (!error) error = walk(s, to_dir, to_at, to_length, false, &to);
    return volume_end(error ? error : names_rename(&from, &to));
}

int32_t SASOS_EXPORT(fs_link)(int32_t dir, uint32_t path_at, uint32_t length, int32_t to_dir,
                              uint32_t to_at, uint32_t to_length, uint32_t flags) {
    int32_t error;
    struct name from, to;
    struct session *s = enter(true, &error);
    if (!s) return error;
    error = walk(s, dir, path_at, length, !(flags & FS_NOFOLLOW), &from);
    if (!error && !from.inode) error = FS_ENOENT;
    if (!error) error = walk(s, to_dir, to_at, to_length, false, &to);
    return volume_end(error ? error : names_add(&to, from.inode));
}

int32_t SASOS_EXPORT(fs_symlink)(uint32_t target_at, uint32_t target_length, int32_t dir,
                                 uint32_t path_at, uint32_t length) {
    static char target[FS_PATH_MAX];
    int32_t error;
    struct name n;
    struct session *s = enter(true, &error);
    if (!s) return error;
    if (target_length > FS_PATH_MAX) return FS_ENAMETOOLONG;
    const uint8_t *text = session_range(s, target_at, target_length);
    if (!text) return FS_EFAULT;
    memcpy(target, text, target_length);
    error = walk(s, dir, path_at, length, false, &n);
    return volume_end(error ? error : names_make_link(&n, target, target_length));
}

int32_t SASOS_EXPORT(fs_readlink)(int32_t dir, uint32_t path_at, uint32_t length, uint32_t at,
                                  uint32_t size) {
    int32_t error;
    struct name n;
    struct session *s = enter(false, &error);
    if (!s) return error;
    error = walk(s, dir, path_at, length, false, &n);
    if (error) return error;
    if (!n.inode) return FS_ENOENT;
    uint8_t *to = session_range(s, at, size);
    return to ? names_target(n.inode, (char *)to, size) : FS_EFAULT;
}

// ---- the whole ----

int32_t SASOS_EXPORT(fs_sync)(int32_t handle) {
    struct session *s;
    int32_t error;
    struct handle *h = enter_handle(handle, false, 0, &s, &error);
    return h ? volume_sync() : error;
}

int32_t SASOS_EXPORT(fs_statfs)(uint32_t at) {
    int32_t error;
    struct session *s = enter(false, &error);
    if (!s) return error;
    uint8_t *to = session_range(s, at, sizeof(struct fs_statfs));
    if (!to) return FS_EFAULT;
    struct fs_statfs st = {.bytes = ext2fs_blocks_count(volume.fs->super) * volume.block_size,
                           .bytes_free = volume_free_blocks() * volume.block_size,
                           .inodes = volume.fs->super->s_inodes_count,
                           .inodes_free = volume.fs->super->s_free_inodes_count,
                           .block_size = volume.block_size,
                           .name_max = FS_NAME_MAX};
    memcpy(to, &st, sizeof st);
    return 0;
}
