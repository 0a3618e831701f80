// fd.c — descriptors and the fd_* calls.
//
// A descriptor carries the rights that it was opened with; each call asks fd_get() for those that the specification names. Preopened
// descriptors have every right that their kind can have: what a file system does not allow, it refuses itself.
#include "apps/wasi/wasi.h"

static struct desc table[FDS_MAX];
static uint32_t lowest; // no descriptor below is free

int32_t fd_peek(uint32_t fd, uint64_t rights, struct desc **out) {
    if (fd >= FDS_MAX || table[fd].kind == DESC_FREE) return ERRNO_BADF;
    *out = &table[fd];
    return (table[fd].rights & rights) == rights ? SUCCESS : ERRNO_NOTCAPABLE;
}

int32_t fd_get(uint32_t fd, uint64_t rights, struct desc **out) {
    process_enter();
    return fd_peek(fd, rights, out);
}

int32_t fd_add(const struct desc *d, uint32_t *out_fd) {
    while (lowest < FDS_MAX && table[lowest].kind != DESC_FREE) lowest++;
    if (lowest == FDS_MAX) return ERRNO_MFILE;
    table[lowest] = *d;
    *out_fd = lowest++;
    return SUCCESS;
}

void fd_drop(uint32_t fd) {
    struct desc *d = &table[fd];
    if (d->kind == DESC_FILE || (d->kind == DESC_DIR && !d->preopen))
        d->node.fs->close(d->node.handle);
    if (d->kind == DESC_STREAM) socket_close(d);
    *d = (struct desc){.kind = DESC_FREE};
    if (fd < lowest) lowest = fd;
}

int32_t WASI(fd_close)(uint32_t fd) {
    struct desc *d;
    int32_t error = fd_get(fd, 0, &d);
    if (!error) fd_drop(fd);
    return error;
}

int32_t WASI(fd_renumber)(uint32_t from, uint32_t to) {
    struct desc *d, *old;
    int32_t error = fd_get(from, 0, &d);
    if (!error) error = fd_get(to, 0, &old);
    if (error || from == to) return error;
    fd_drop(to);
    table[to] = table[from];
    table[from] = (struct desc){.kind = DESC_FREE};
    if (from < lowest) lowest = from;
    return SUCCESS;
}

static bool is_stream(const struct desc *d) { return d->kind != DESC_FILE && d->kind != DESC_DIR; }

// Of a file. A directory lacks the rights that lead here.
static int32_t get_file(uint32_t fd, uint64_t rights, struct desc **out) {
    int32_t error = fd_get(fd, 0, out);
    if (error) return error;
    if (is_stream(*out)) return ERRNO_SPIPE;
    error = fd_get(fd, rights, out);
    return error || (*out)->kind == DESC_FILE ? error : ERRNO_ISDIR;
}

// ---- Reading and writing ----
static int32_t file_read(struct desc *d, uint64_t at, uint32_t *out_n) {
    uint32_t total = 0;
    while (iov_left()) {
        uint32_t n = iov_left() < BUFFER_SIZE ? (uint32_t)iov_left() : BUFFER_SIZE, got = 0;
        int32_t error = d->node.fs->read(d->node.handle, at + total, buffer, n, &got);
        if (!error) error = iov_scatter(buffer, got);
        if (error) return total ? SUCCESS : error;
        *out_n = total += got;
        if (got < n) break;
    }
    return SUCCESS;
}

static int32_t file_write(struct desc *d, uint64_t at, uint32_t *out_n) {
    const struct vfs *fs = d->node.fs;
    uint32_t total = 0;
    if (!fs->write) return ERRNO_ROFS;
    while (iov_left()) {
        uint32_t n = iov_left() < BUFFER_SIZE ? (uint32_t)iov_left() : BUFFER_SIZE, done = 0;
        int32_t error = iov_gather(buffer, n);
        if (!error) error = fs->write(d->node.handle, at + total, buffer, n, &done);
        if (error && !total) return error;
        *out_n = total += done;
        if (error || done < n) break;
    }
    if (total && d->flags & (FDFLAGS_DSYNC | FDFLAGS_SYNC | FDFLAGS_RSYNC) && fs->sync)
        return fs->sync(d->node.handle, d->flags & FDFLAGS_DSYNC);
    return SUCCESS;
}

static int32_t size_of(const struct desc *d, uint64_t *out) {
    struct witx_filestat s;
    int32_t error = d->node.fs->stat(d->node.handle, &s);
    *out = error ? 0 : s.size;
    return error;
}

int32_t WASI(fd_read)(uint32_t fd, uint32_t list, uint32_t count, uint32_t to) {
    struct desc *d;
    uint32_t n = 0;
    int32_t error = fd_get(fd, RIGHTS_FD_READ, &d);
    if (!error && d->kind == DESC_DIR) error = ERRNO_ISDIR;
    if (!error) error = iov_take(list, count);
    if (error) return error;
    if (d->kind == DESC_INPUT)
        error = terminal_read(d->flags & FDFLAGS_NONBLOCK, &n);
    else if (d->kind == DESC_FILE)
        error = file_read(d, d->offset, &n);
    else
        error = socket_receive(d, 0, &n);
    if (error) return error;
    error = caller_put(to, &n, sizeof(n));
    if (!error) d->offset += n;
    return error;
}

int32_t WASI(fd_write)(uint32_t fd, uint32_t list, uint32_t count, uint32_t to) {
    struct desc *d;
    uint32_t n = 0;
    uint64_t at;
    int32_t error = fd_get(fd, RIGHTS_FD_WRITE, &d);
    if (!error) error = iov_take(list, count);
    if (error) return error;
    at = d->offset;
    if (d->kind == DESC_OUTPUT)
        error = stdio_write(&n);
    else if (d->kind == DESC_STREAM)
        error = socket_send(d, &n);
    else if (!(d->flags & FDFLAGS_APPEND) || !(error = size_of(d, &at)))
        error = file_write(d, at, &n);
    if (error) return error;
    if (d->kind == DESC_FILE) d->offset = at + n;
    return caller_put(to, &n, sizeof(n));
}

static int32_t at_offset(uint32_t fd, uint32_t list, uint32_t count, uint64_t at, uint32_t to,
                         bool write) {
    struct desc *d;
    uint32_t n = 0;
    uint64_t rights = write ? RIGHTS_FD_WRITE | RIGHTS_FD_SEEK : RIGHTS_FD_READ | RIGHTS_FD_SEEK;
    int32_t error = get_file(fd, rights, &d);
    if (!error) error = iov_take(list, count);
    if (!error && at > INT64_MAX - iov_left()) error = ERRNO_INVAL;
    if (!error) error = write ? file_write(d, at, &n) : file_read(d, at, &n);
    return error ? error : caller_put(to, &n, sizeof(n));
}

int32_t WASI(fd_pread)(uint32_t fd, uint32_t list, uint32_t count, uint64_t at, uint32_t to) {
    return at_offset(fd, list, count, at, to, false);
}

int32_t WASI(fd_pwrite)(uint32_t fd, uint32_t list, uint32_t count, uint64_t at, uint32_t to) {
    return at_offset(fd, list, count, at, to, true);
}

int32_t WASI(fd_seek)(uint32_t fd, int64_t offset, uint32_t whence, uint32_t to) {
    struct desc *d;
    uint64_t from = 0;
    // Asking where one is needs only the right to be told.
    bool tell = whence == WHENCE_CUR && offset == 0;
    int32_t error = get_file(fd, tell ? RIGHTS_FD_TELL : RIGHTS_FD_SEEK | RIGHTS_FD_TELL, &d);
    if (error) return error;
    if (whence > WHENCE_END) return ERRNO_INVAL;
    if (whence == WHENCE_CUR) from = d->offset;
    if (whence == WHENCE_END) error = size_of(d, &from);
    if (error) return error;
    if (offset < 0 ? (uint64_t) - (offset + 1) >= from : (uint64_t)offset > INT64_MAX - from)
        return ERRNO_INVAL;
    uint64_t target = from + (uint64_t)offset;
    error = caller_put(to, &target, sizeof(target));
    if (!error) d->offset = target;
    return error;
}

int32_t WASI(fd_tell)(uint32_t fd, uint32_t to) {
    struct desc *d;
    int32_t error = get_file(fd, RIGHTS_FD_TELL, &d);
    return error ? error : caller_put(to, &d->offset, sizeof(d->offset));
}

// ---- Durability and space ----
static int32_t sync(uint32_t fd, uint64_t right, bool data_only) {
    struct desc *d;
    int32_t error = fd_get(fd, right, &d);
    if (error) return error;
    if (d->kind == DESC_OUTPUT) stdio_flush();
    if (is_stream(d)) return SUCCESS;
    return d->node.fs->sync ? d->node.fs->sync(d->node.handle, data_only) : SUCCESS;
}

int32_t WASI(fd_sync)(uint32_t fd) { return sync(fd, RIGHTS_FD_SYNC, false); }
int32_t WASI(fd_datasync)(uint32_t fd) { return sync(fd, RIGHTS_FD_DATASYNC, true); }

int32_t WASI(fd_advise)(uint32_t fd, uint64_t at, uint64_t n, uint32_t advice) {
    struct desc *d;
    int32_t error = get_file(fd, RIGHTS_FD_ADVISE, &d);
    (void)at, (void)n; // nothing is cached ahead
    return error ? error : advice > ADVICE_NOREUSE ? ERRNO_INVAL : SUCCESS;
}

int32_t WASI(fd_allocate)(uint32_t fd, uint64_t at, uint64_t n) {
    struct desc *d;
    int32_t error = get_file(fd, RIGHTS_FD_ALLOCATE, &d);
    if (error) return error;
    if (!n || at > INT64_MAX || n > INT64_MAX - at) return ERRNO_INVAL;
    return d->node.fs->allocate ? d->node.fs->allocate(d->node.handle, at, n) : ERRNO_NOTSUP;
}

// ---- What a descriptor is ----
static const uint8_t filetypes[] = {
    [DESC_INPUT] = FILETYPE_CHARACTER_DEVICE, [DESC_OUTPUT] = FILETYPE_CHARACTER_DEVICE,
    [DESC_FILE] = FILETYPE_REGULAR_FILE,      [DESC_DIR] = FILETYPE_DIRECTORY,
    [DESC_LISTENER] = FILETYPE_SOCKET_STREAM, [DESC_STREAM] = FILETYPE_SOCKET_STREAM,
};

int32_t WASI(fd_fdstat_get)(uint32_t fd, uint32_t to) {
    struct desc *d;
    int32_t error = fd_get(fd, 0, &d);
    if (error) return error;
    struct witx_fdstat s = {.fs_filetype = filetypes[d->kind],
                            .fs_flags = d->flags,
                            .fs_rights_base = d->rights,
                            .fs_rights_inheriting = d->inheriting};
    return caller_put(to, &s, sizeof(s));
}

int32_t WASI(fd_fdstat_set_flags)(uint32_t fd, uint32_t flags) {
    struct desc *d;
    int32_t error = fd_get(fd, RIGHTS_FD_FDSTAT_SET_FLAGS, &d);
    if (error) return error;
    if (flags > 31) return ERRNO_INVAL;
    d->flags = (uint16_t)flags;
    return SUCCESS;
}

// Rights can only be given up.
int32_t WASI(fd_fdstat_set_rights)(uint32_t fd, uint64_t base, uint64_t inheriting) {
    struct desc *d;
    int32_t error = fd_get(fd, base, &d);
    if (error) return error;
    if ((d->inheriting & inheriting) != inheriting) return ERRNO_NOTCAPABLE;
    d->rights = base;
    d->inheriting = inheriting;
    return SUCCESS;
}

int32_t WASI(fd_filestat_get)(uint32_t fd, uint32_t to) {
    struct desc *d;
    int32_t error = fd_get(fd, RIGHTS_FD_FILESTAT_GET, &d);
    if (error) return error;
    struct witx_filestat s = {.filetype = filetypes[d->kind], .nlink = 1};
    if (!is_stream(d)) {
        error = d->node.fs->stat(d->node.handle, &s);
        s.dev = d->node.fs->dev;
    }
    return error ? error : caller_put(to, &s, sizeof(s));
}

int32_t WASI(fd_filestat_set_size)(uint32_t fd, uint64_t size) {
    struct desc *d;
    int32_t error = fd_get(fd, RIGHTS_FD_FILESTAT_SET_SIZE, &d);
    if (error) return error;
    if (is_stream(d) || d->kind != DESC_FILE || size > INT64_MAX) return ERRNO_INVAL;
    return d->node.fs->resize ? d->node.fs->resize(d->node.handle, size) : ERRNO_ROFS;
}

int32_t fd_times(uint32_t flags, uint64_t *atim, uint64_t *mtim) {
    enum { ATIM = FSTFLAGS_ATIM | FSTFLAGS_ATIM_NOW, MTIM = FSTFLAGS_MTIM | FSTFLAGS_MTIM_NOW };
    if (flags > 15 || (flags & ATIM) == ATIM || (flags & MTIM) == MTIM) return ERRNO_INVAL;
    if (flags & FSTFLAGS_ATIM_NOW) *atim = (uint64_t)sasos_wall_ns();
    if (flags & FSTFLAGS_MTIM_NOW) *mtim = (uint64_t)sasos_wall_ns();
    if (!(flags & ATIM)) *atim = TIME_OMIT;
    if (!(flags & MTIM)) *mtim = TIME_OMIT;
    return SUCCESS;
}

int32_t WASI(fd_filestat_set_times)(uint32_t fd, uint64_t atim, uint64_t mtim, uint32_t flags) {
    struct desc *d;
    int32_t error = fd_get(fd, RIGHTS_FD_FILESTAT_SET_TIMES, &d);
    if (!error) error = fd_times(flags, &atim, &mtim);
    if (error) return error;
    if (is_stream(d)) return ERRNO_NOTSUP;
    return d->node.fs->set_times ? d->node.fs->set_times(d->node.handle, atim, mtim) : ERRNO_ROFS;
}

// ---- Directories ----
int32_t WASI(fd_prestat_get)(uint32_t fd, uint32_t to) {
    struct desc *d;
    int32_t error = fd_get(fd, 0, &d);
    if (error) return error;
    if (!d->preopen) return ERRNO_BADF;
    bool dir = d->kind == DESC_DIR;
    struct witx_prestat s = {.tag = dir ? PREOPENTYPE_DIR : PREOPENTYPE_OTHER,
                             .pr_name_len = dir ? text_length(d->preopen) : 0};
    return caller_put(to, &s, sizeof(s));
}

int32_t WASI(fd_prestat_dir_name)(uint32_t fd, uint32_t to, uint32_t n) {
    struct desc *d;
    int32_t error = fd_get(fd, 0, &d);
    if (error) return error;
    if (!d->preopen) return ERRNO_BADF;
    if (d->kind != DESC_DIR) return ERRNO_NOTDIR;
    uint32_t length = text_length(d->preopen);
    return n < length ? ERRNO_NAMETOOLONG : caller_put(to, d->preopen, length);
}

// Cookies 0 and 1 are "." and ".."; from 2 on, the file system's own, plus 2.
static int32_t next_entry(const struct desc *d, uint64_t cookie, struct vfs_entry *e) {
    if (cookie >= 2) {
        int32_t error = d->node.fs->readdir(d->node.handle, cookie - 2, e);
        e->next += 2;
        return error;
    }
    *e = (struct vfs_entry){.next = cookie + 1,
                            .ino = d->node.handle,
                            .type = FILETYPE_DIRECTORY,
                            .length = (uint8_t)(cookie + 1),
                            .name = ".."};
    return SUCCESS;
}

int32_t WASI(fd_readdir)(uint32_t fd, uint32_t to, uint32_t size, uint64_t cookie, uint32_t out_n) {
    struct desc *d;
    struct vfs_entry e;
    uint32_t used = 0;
    int32_t error = fd_get(fd, RIGHTS_FD_READDIR, &d);
    if (error) return error;
    if (d->kind != DESC_DIR) return ERRNO_NOTDIR;
    // An entry that does not fit is cut off: a full buffer says that there is more.
    while (used < size && !(error = next_entry(d, cookie, &e))) {
        struct {
            struct witx_dirent head;
            char name[NAME_MAX_BYTES];
        } entry = {.head = {e.next, e.ino, e.length, e.type, {0}}};
        memcpy(entry.name, e.name, e.length);
        uint32_t n = (uint32_t)sizeof(entry.head) + e.length;
        if (n > size - used) n = size - used;
        error = caller_put(to + used, &entry, n);
        if (error) return error;
        used += n;
        cookie = e.next;
    }
    if (error && error != ERRNO_NOENT) return error;
    return caller_put(out_n, &used, sizeof(used));
}

// ---- At the start ----
#define RIGHTS_STREAM \
    (RIGHTS_FD_FDSTAT_SET_FLAGS | RIGHTS_FD_FILESTAT_GET | RIGHTS_POLL_FD_READWRITE)

static struct {
    const char *name;
    const struct vfs *fs;
} mounts[MOUNTS_MAX];

void fd_mount(const char *name, const struct vfs *fs) {
    uint32_t i = 0;
    while (i < MOUNTS_MAX && mounts[i].fs) i++;
    if (fs && i < MOUNTS_MAX) {
        mounts[i].name = name;
        mounts[i].fs = fs;
    }
}

void fd_close_all(void) {
    for (uint32_t fd = 0; fd < FDS_MAX; fd++)
        if (table[fd].kind != DESC_FREE) fd_drop(fd);
}

void fd_open_all(void) {
    uint32_t fd;
    fd_add(&(struct desc){.kind = DESC_INPUT, .rights = RIGHTS_STREAM | RIGHTS_FD_READ}, &fd);
    for (int i = 0; i < 2; i++)
        fd_add(&(struct desc){.kind = DESC_OUTPUT,
                              .rights = RIGHTS_STREAM | RIGHTS_FD_WRITE | RIGHTS_FD_SYNC |
                                        RIGHTS_FD_DATASYNC},
               &fd);
    for (uint32_t i = 0; i < socket_listeners; i++)
        fd_add(&(struct desc){.kind = DESC_LISTENER,
                              .preopen = "",
                              .socket = (int32_t)i,
                              .rights = RIGHTS_LISTENER,
                              .inheriting = RIGHTS_SOCKET},
               &fd);
    socket_connect_all();
    for (uint32_t i = 0; i < MOUNTS_MAX && mounts[i].fs; i++)
        fd_add(&(struct desc){.kind = DESC_DIR,
                              .preopen = mounts[i].name,
                              .node = {mounts[i].fs, mounts[i].fs->root},
                              .rights = RIGHTS_DIR,
                              .inheriting = RIGHTS_DIR | RIGHTS_FILE},
               &fd);
}
