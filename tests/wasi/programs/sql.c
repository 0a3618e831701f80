// sql.c — SQLite as a WASI command: `sql DATABASE FILE.sql` runs the statements and prints the rows. Exit status 1 after an error.
//
// SQLite is built with SQLITE_OS_OTHER=1: the operating system that it sees is this file, over POSIX calls as wasi-libc has them. There is one
// process, so locks are counted and nothing else.
#include "sqlite3.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct file {
    sqlite3_file base;
    int fd, lock;
    char *delete_name; // when it is closed
};

static int file_close(sqlite3_file *f) {
    struct file *p = (struct file *)f;
    close(p->fd);
    if (p->delete_name) unlink(p->delete_name);
    free(p->delete_name);
    return SQLITE_OK;
}
static int file_read(sqlite3_file *f, void *to, int n, sqlite3_int64 at) {
    for (int done = 0; done < n;) {
        ssize_t k = pread(((struct file *)f)->fd, (char *)to + done, (size_t)(n - done), at + done);
        if (k < 0) return SQLITE_IOERR_READ;
        if (!k) {
            memset((char *)to + done, 0, (size_t)(n - done));
            return SQLITE_IOERR_SHORT_READ;
        }
        done += (int)k;
    }
    return SQLITE_OK;
}
static int file_write(sqlite3_file *f, const void *from, int n, sqlite3_int64 at) {
    for (int done = 0; done < n;) {
        ssize_t k =
            pwrite(((struct file *)f)->fd, (const char *)from + done, (size_t)(n - done), at + done);
        if (k <= 0) return errno == ENOSPC ? SQLITE_FULL : SQLITE_IOERR_WRITE;
        done += (int)k;
    }
    return SQLITE_OK;
}
static int file_truncate(sqlite3_file *f, sqlite3_int64 size) {
    return ftruncate(((struct file *)f)->fd, size) ? SQLITE_IOERR_TRUNCATE : SQLITE_OK;
}
static int file_sync(sqlite3_file *f, int flags) {
    (void)flags;
    return fsync(((struct file *)f)->fd) ? SQLITE_IOERR_FSYNC : SQLITE_OK;
}
static int file_size(sqlite3_file *f, sqlite3_int64 *out) {
    struct stat s;
    if (fstat(((struct file *)f)->fd, &s)) return SQLITE_IOERR_FSTAT;
    *out = s.st_size;
    return SQLITE_OK;
}
static int file_lock(sqlite3_file *f, int level) {
    ((struct file *)f)->lock = level;
    return SQLITE_OK;
}
static int file_reserved(sqlite3_file *f, int *out) {
    *out = ((struct file *)f)->lock >= SQLITE_LOCK_RESERVED;
    return SQLITE_OK;
}
static int file_control(sqlite3_file *f, int op, void *arg) {
    (void)f, (void)op, (void)arg;
    return SQLITE_NOTFOUND;
}
static int file_sector(sqlite3_file *f) {
    (void)f;
    return 4096;
}
static int file_traits(sqlite3_file *f) {
    (void)f;
    return 0;
}
static const sqlite3_io_methods methods = {
    .iVersion = 1,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_lock,
    .xCheckReservedLock = file_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector,
    .xDeviceCharacteristics = file_traits,
};

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out_flags) {
    struct file *p = (struct file *)f;
    (void)vfs;
    int how = flags & SQLITE_OPEN_READWRITE ? O_RDWR : O_RDONLY;
    if (flags & SQLITE_OPEN_CREATE) how |= O_CREAT;
    if (flags & SQLITE_OPEN_EXCLUSIVE) how |= O_EXCL;
    *p = (struct file){.fd = name ? open(name, how, 0666) : -1};
    if (p->fd < 0) return SQLITE_CANTOPEN;
    if (flags & SQLITE_OPEN_DELETEONCLOSE) p->delete_name = strdup(name);
    p->base.pMethods = &methods;
    if (out_flags) *out_flags = flags;
    return SQLITE_OK;
}
static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync) {
    (void)vfs;
    if (unlink(name)) return errno == ENOENT ? SQLITE_IOERR_DELETE_NOENT : SQLITE_IOERR_DELETE;
    char folder[512];
    snprintf(folder, sizeof folder, "%s", name);
    char *slash = strrchr(folder, '/');
    if (!sync || !slash) return SQLITE_OK;
    slash[slash == folder] = 0;
    int fd = open(folder, O_RDONLY | O_DIRECTORY);
    int error = fd < 0 ? -1 : fsync(fd);
    if (fd >= 0) close(fd);
    return error ? SQLITE_IOERR_DIR_FSYNC : SQLITE_OK;
}
static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *out) {
    struct stat s;
    (void)vfs;
    *out = !stat(name, &s) && !(flags == SQLITE_ACCESS_EXISTS && !s.st_size);
    return SQLITE_OK;
}
static int vfs_full(sqlite3_vfs *vfs, const char *name, int n, char *out) {
    (void)vfs;
    return snprintf(out, (size_t)n, "%s", name) < n ? SQLITE_OK : SQLITE_CANTOPEN;
}
static int vfs_random(sqlite3_vfs *vfs, int n, char *out) {
    (void)vfs;
    return getentropy(out, n < 256 ? (size_t)n : 256) ? 0 : n;
}
static int vfs_sleep(sqlite3_vfs *vfs, int us) {
    (void)vfs;
    usleep((useconds_t)us);
    return us;
}
static int vfs_time(sqlite3_vfs *vfs, sqlite3_int64 *out) { // milliseconds of the Julian period
    struct timespec t;
    (void)vfs;
    clock_gettime(CLOCK_REALTIME, &t);
    *out = 210866760000000 + (sqlite3_int64)t.tv_sec * 1000 + t.tv_nsec / 1000000;
    return SQLITE_OK;
}
static sqlite3_vfs vfs = {
    .iVersion = 2,
    .szOsFile = sizeof(struct file),
    .mxPathname = 512,
    .zName = "wasi",
    .xOpen = vfs_open,
    .xDelete = vfs_delete,
    .xAccess = vfs_access,
    .xFullPathname = vfs_full,
    .xRandomness = vfs_random,
    .xSleep = vfs_sleep,
    .xCurrentTimeInt64 = vfs_time,
};
int sqlite3_os_init(void) { return sqlite3_vfs_register(&vfs, 1); }
int sqlite3_os_end(void) { return SQLITE_OK; }

static int row(void *context, int n, char **value, char **name) {
    (void)context, (void)name;
    for (int i = 0; i < n; i++) printf("%s%s", i ? "|" : "", value[i] ? value[i] : "");
    putchar('\n');
    return 0;
}

int main(int argc, char **argv) {
    sqlite3 *db;
    char *why = NULL;
    static char text[65536];
    FILE *f = argc == 3 ? fopen(argv[2], "r") : NULL;
    if (!f) return fprintf(stderr, "usage: sql DATABASE FILE\n"), 2;
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    int error = sqlite3_open(argv[1], &db);
    if (!error) error = sqlite3_exec(db, text, row, NULL, &why);
    if (error) printf("error: %s\n", why ? why : sqlite3_errmsg(db));
    return sqlite3_close(db) || error;
}
