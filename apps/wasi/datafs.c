// datafs.c — the persistent files at /data: a file service (drivers/sdk/fs.h) behind a channel.
//
// What is written reaches the disk with a sync, or when the program has been idle for a second: the service has no thread of its own, and
// nobody would call it.
//
// Handles are the service's, and so is resolving paths: its rules are those of vfs.h. When the service has died and come back, it does not know
// old handles: descriptors of an earlier life answer IO, new ones work.
#include "apps/wasi/wasi.h"
#include "drivers/sdk/fs_client.h"

// A handle of ours: which life of the service gave it, and its number there.
#define LIFE_SHIFT 16u
#define HANDLE_MASK 0xffffu
_Static_assert(FS_HANDLES_MAX <= HANDLE_MASK, "a handle fits");

static struct fs_client fs;
static uint32_t channel;
static int32_t life;
static bool dirty; // something was changed since the latest sync

static int32_t errno_of_fs(int32_t error) {
    switch (error) {
    case FS_EPERM: return ERRNO_NOTCAPABLE;
    case FS_ENOENT: return ERRNO_NOENT;
    case FS_EBUSY: return ERRNO_BUSY;
    case FS_EEXIST: return ERRNO_EXIST;
    case FS_ENOTDIR: return ERRNO_NOTDIR;
    case FS_EISDIR: return ERRNO_ISDIR;
    case FS_EINVAL: return ERRNO_INVAL;
    case FS_EMFILE: return ERRNO_NFILE;
    case FS_EFBIG: return ERRNO_FBIG;
    case FS_ENOSPC: return ERRNO_NOSPC;
    case FS_EROFS: return ERRNO_ROFS;
    case FS_EMLINK: return ERRNO_MLINK;
    case FS_ENAMETOOLONG: return ERRNO_NAMETOOLONG;
    case FS_ENOTEMPTY: return ERRNO_NOTEMPTY;
    case FS_ELOOP: return ERRNO_LOOP;
    case FS_ENOMEM: return ERRNO_NOMEM;
    case FS_ENOTSUP: return ERRNO_NOTSUP;
    default: return error < 0 ? ERRNO_IO : SUCCESS;
    }
}

// Attaches again when the service is another one.
static bool alive(void) {
    int32_t now = sasos_chan_generation(channel);
    if (now == life && life) return true;
    if (now < 0 || fs_attach()) return false;
    life = now;
    return true;
}

// The service's handle, or a negative error.
static int32_t theirs(uint32_t handle) {
    if (!alive()) return FS_EIO;
    if ((handle & HANDLE_MASK) == FS_ROOT) return FS_ROOT;
    return handle >> LIFE_SHIFT == ((uint32_t)life & 0xffffu) ? (int32_t)(handle & HANDLE_MASK)
                                                              : FS_EIO;
}

static int32_t changed(int32_t error) {
    dirty = true;
    return errno_of_fs(error);
}

void datafs_idle(void) {
    if (dirty && alive()) fs_sync(FS_ROOT);
    dirty = false;
}

bool datafs_dirty(void) { return dirty; }

void datafs_end(void) {
    if (life && alive()) fs_detach();
    life = dirty = 0; // the next call attaches again
}

// Lays a path into the channel; the handle that it is relative to, or an error.
static int32_t put(const struct vfs_path *p, uint32_t at) {
    if (p->n > FS_PATH_MAX) return FS_ENAMETOOLONG;
    memcpy(fs.base + at, p->text, p->n);
    return theirs(p->dir);
}

static uint32_t flags_of(const struct vfs_path *p) { return p->follow ? 0 : FS_NOFOLLOW; }

static void get_stat(struct witx_filestat *out) {
    static const uint8_t types[] = {
        [FS_OTHER] = FILETYPE_UNKNOWN,         [FS_REGULAR] = FILETYPE_REGULAR_FILE,
        [FS_DIR] = FILETYPE_DIRECTORY,         [FS_SYMLINK] = FILETYPE_SYMBOLIC_LINK,
        [FS_CHAR] = FILETYPE_CHARACTER_DEVICE, [FS_BLOCK] = FILETYPE_BLOCK_DEVICE,
        [FS_FIFO] = FILETYPE_UNKNOWN,          [FS_SOCKET] = FILETYPE_UNKNOWN};
    struct fs_stat s;
    memcpy(&s, fs.base + FS_STRUCT, sizeof(s));
    *out = (struct witx_filestat){.ino = s.inode,
                                  .filetype = s.type < sizeof(types) ? types[s.type] : FILETYPE_UNKNOWN,
                                  .nlink = s.links,
                                  .size = s.size,
                                  .atim = (uint64_t)s.accessed,
                                  .mtim = (uint64_t)s.modified,
                                  .ctim = (uint64_t)s.changed};
}

static int32_t stat(uint32_t handle, struct witx_filestat *out) {
    int32_t h = theirs(handle), error = h < 0 ? h : fs_stat(h, FS_STRUCT);
    if (error >= 0) get_stat(out);
    return errno_of_fs(error);
}

static int32_t stat_path(const struct vfs_path *p, struct witx_filestat *out) {
    int32_t dir = put(p, FS_PATH);
    int32_t error = dir < 0 ? dir : fs_stat_path(dir, FS_PATH, p->n, flags_of(p), FS_STRUCT);
    if (error >= 0) get_stat(out);
    return errno_of_fs(error);
}

static int32_t open(const struct vfs_path *p, uint32_t oflags, bool read, bool write,
                    uint32_t *out_handle, uint8_t *out_type) {
    dirty |= (oflags & (OFLAGS_CREAT | OFLAGS_TRUNC)) != 0;
    uint32_t flags = flags_of(p) | (read ? FS_READ : 0) | (write ? FS_WRITE : 0);
    if (oflags & OFLAGS_CREAT) flags |= FS_CREATE;
    if (oflags & OFLAGS_EXCL) flags |= FS_EXCL;
    if (oflags & OFLAGS_TRUNC) flags |= FS_TRUNC;
    if (oflags & OFLAGS_DIRECTORY) flags |= FS_DIRECTORY;
    int32_t dir = put(p, FS_PATH), h = dir < 0 ? dir : fs_open(dir, FS_PATH, p->n, flags);
    if (h < 0) return errno_of_fs(h);
    struct witx_filestat s;
    *out_handle = ((uint32_t)life & 0xffffu) << LIFE_SHIFT | (uint32_t)h;
    int32_t error = stat(*out_handle, &s);
    *out_type = s.filetype;
    if (!error && s.filetype == FILETYPE_SYMBOLIC_LINK) error = ERRNO_LOOP;
    if (error) fs_close(h);
    return error;
}

static void close(uint32_t handle) {
    int32_t h = theirs(handle);
    if (h > 0) fs_close(h);
}

static int32_t readlink(const struct vfs_path *p, char *out, uint32_t size, uint32_t *out_n) {
    int32_t dir = put(p, FS_PATH);
    int32_t n = dir < 0 ? dir : fs_readlink(dir, FS_PATH, p->n, FS_PATH2, size);
    if (n < 0) return errno_of_fs(n);
    *out_n = (uint32_t)n < size ? (uint32_t)n : size;
    memcpy(out, fs.base + FS_PATH2, *out_n);
    return SUCCESS;
}

static int32_t read(uint32_t handle, uint64_t at, uint8_t *to, uint32_t n, uint32_t *out_n) {
    int32_t h = theirs(handle);
    *out_n = 0;
    while (n) {
        uint32_t part = n < fs.size - FS_BUFFER ? n : fs.size - FS_BUFFER;
        int32_t got = h < 0 ? h : fs_read(h, (int64_t)at, FS_BUFFER, part);
        if (got < 0) return *out_n ? SUCCESS : errno_of_fs(got);
        if ((uint32_t)got > part) return ERRNO_IO;
        memcpy(to, fs.base + FS_BUFFER, (uint32_t)got);
        *out_n += (uint32_t)got;
        if ((uint32_t)got < part) break;
        to += got, at += (uint32_t)got, n -= (uint32_t)got;
    }
    return SUCCESS;
}

static int32_t write(uint32_t handle, uint64_t at, const uint8_t *from, uint32_t n, uint32_t *out_n) {
    int32_t h = theirs(handle);
    *out_n = 0;
    dirty = true;
    while (n) {
        uint32_t part = n < fs.size - FS_BUFFER ? n : fs.size - FS_BUFFER;
        memcpy(fs.base + FS_BUFFER, from, part);
        int32_t done = h < 0 ? h : fs_write(h, (int64_t)at, FS_BUFFER, part);
        if (done < 0) return *out_n ? SUCCESS : errno_of_fs(done);
        if ((uint32_t)done > part) return ERRNO_IO;
        *out_n += (uint32_t)done;
        if ((uint32_t)done < part) break;
        from += done, at += (uint32_t)done, n -= (uint32_t)done;
    }
    return SUCCESS;
}

// The service's cookie of the last entry that we gave is the one to go on from. "." and ".." are not ours to give.
static int32_t readdir(uint32_t dir, uint64_t cookie, struct vfs_entry *out) {
    int32_t h = theirs(dir);
    for (;;) {
        int32_t n = h < 0 ? h : fs_read_dir(h, (int64_t)cookie, FS_STRUCT, 4096);
        if (n < 0) return errno_of_fs(n);
        for (uint32_t at = 0; at + sizeof(struct fs_dirent) <= (uint32_t)n;) {
            struct fs_dirent e;
            memcpy(&e, fs.base + FS_STRUCT + at, sizeof(e));
            const char *name = (const char *)fs.base + FS_STRUCT + at + sizeof(e);
            if (e.size < sizeof(e) + e.name_length || e.size > (uint32_t)n - at ||
                e.name_length > NAME_MAX_BYTES)
                return ERRNO_IO;
            at += e.size;
            cookie = e.cookie;
            if (text_same(name, e.name_length, ".", 1) || text_same(name, e.name_length, "..", 2))
                continue;
            *out = (struct vfs_entry){.next = e.cookie,
                                      .ino = e.inode,
                                      .type = e.type == FS_REGULAR   ? FILETYPE_REGULAR_FILE
                                              : e.type == FS_DIR     ? FILETYPE_DIRECTORY
                                              : e.type == FS_SYMLINK ? FILETYPE_SYMBOLIC_LINK
                                                                     : FILETYPE_UNKNOWN,
                                      .length = (uint8_t)e.name_length};
            memcpy(out->name, name, e.name_length);
            return SUCCESS;
        }
        if (!n) return ERRNO_NOENT;
    }
}

static int32_t mkdir(const struct vfs_path *p) {
    int32_t dir = put(p, FS_PATH);
    return changed(dir < 0 ? dir : fs_mkdir(dir, FS_PATH, p->n));
}
static int32_t rmdir(const struct vfs_path *p) {
    int32_t dir = put(p, FS_PATH);
    return changed(dir < 0 ? dir : fs_rmdir(dir, FS_PATH, p->n));
}
static int32_t unlink(const struct vfs_path *p) {
    int32_t dir = put(p, FS_PATH);
    return changed(dir < 0 ? dir : fs_unlink(dir, FS_PATH, p->n));
}
static int32_t rename(const struct vfs_path *from, const struct vfs_path *to) {
    int32_t a = put(from, FS_PATH), b = put(to, FS_PATH2);
    return changed(a < 0 ? a : b < 0 ? b : fs_rename(a, FS_PATH, from->n, b, FS_PATH2, to->n));
}
static int32_t link(const struct vfs_path *from, const struct vfs_path *to) {
    int32_t a = put(from, FS_PATH), b = put(to, FS_PATH2);
    return changed(a < 0   ? a
                   : b < 0 ? b
                           : fs_link(a, FS_PATH, from->n, b, FS_PATH2, to->n, flags_of(from)));
}
static int32_t symlink(const char *target, uint32_t n, const struct vfs_path *p) {
    int32_t dir = put(p, FS_PATH);
    if (n > FS_PATH_MAX) return ERRNO_NAMETOOLONG;
    memcpy(fs.base + FS_PATH2, target, n);
    return changed(dir < 0 ? dir : fs_symlink(FS_PATH2, n, dir, FS_PATH, p->n));
}
static int32_t resize(uint32_t handle, uint64_t size) {
    int32_t h = theirs(handle);
    return changed(h < 0 ? h : fs_truncate(h, (int64_t)size));
}
static int32_t allocate(uint32_t handle, uint64_t at, uint64_t n) {
    int32_t h = theirs(handle);
    return changed(h < 0 ? h : fs_allocate(h, (int64_t)at, (int64_t)n));
}
static int64_t time_of(uint64_t t) { return t == TIME_OMIT ? FS_OMIT : (int64_t)(t & INT64_MAX); }
static int32_t set_times(uint32_t handle, uint64_t atim, uint64_t mtim) {
    int32_t h = theirs(handle);
    return changed(h < 0 ? h : fs_set_times(h, time_of(atim), time_of(mtim)));
}
static int32_t set_times_path(const struct vfs_path *p, uint64_t atim, uint64_t mtim) {
    int32_t dir = put(p, FS_PATH), h = dir < 0 ? dir : fs_open(dir, FS_PATH, p->n, flags_of(p));
    if (h < 0) return errno_of_fs(h);
    int32_t error = fs_set_times(h, time_of(atim), time_of(mtim));
    fs_close(h);
    return changed(error);
}
static int32_t sync(uint32_t handle, bool data_only) {
    int32_t h = theirs(handle);
    dirty = false;
    (void)data_only; // the service's one kind of sync gives more
    return errno_of_fs(h < 0 ? h : fs_sync(h));
}

static const struct vfs data = {.dev = 2,
                                .root = FS_ROOT,
                                .open = open,
                                .close = close,
                                .stat = stat,
                                .stat_path = stat_path,
                                .readlink = readlink,
                                .read = read,
                                .write = write,
                                .readdir = readdir,
                                .mkdir = mkdir,
                                .rmdir = rmdir,
                                .unlink = unlink,
                                .rename = rename,
                                .link = link,
                                .symlink = symlink,
                                .resize = resize,
                                .allocate = allocate,
                                .set_times = set_times,
                                .set_times_path = set_times_path,
                                .sync = sync};

// The channel is found by what fs_attach() wrote there.
const struct vfs *datafs_start(int32_t *out_error) {
    int32_t error = fs_attach();
    if (error == E_DENIED) return NULL; // nothing is connected
    for (uint32_t i = 0; !error && i < (uint32_t)sasos_chan_count(); i++) {
        fs = (struct fs_client){(uint8_t *)(uintptr_t)sasos_chan_map(i), sasos_chan_size(i)};
        if (!fs.base || fs.size < FS_BUFFER + 4096 ||
            ((struct fs_channel *)(void *)fs.base)->version != FS_VERSION)
            continue;
        channel = i;
        life = sasos_chan_generation(i);
        return &data;
    }
    log_line("the files of /data cannot be had: %d", error ? error : E_NOENT);
    *out_error = error ? error : E_NOENT;
    return NULL;
}
