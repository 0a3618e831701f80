// sqlite_vfs.c — the operating system that SQLite sees in the benchmark: none.
//
// Built with SQLITE_OS_OTHER=1, into the native program and the WebAssembly one alike, so that both run the same code. Databases are in memory;
// nothing can be opened; time stands still and random bytes are fixed, so that the output is the same in every run.
#include "sqlite3.h"
#include <string.h>

static int no_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out_flags) {
    (void)vfs, (void)name, (void)flags, (void)out_flags;
    file->pMethods = NULL;
    return SQLITE_CANTOPEN;
}
static int no_delete(sqlite3_vfs *vfs, const char *name, int sync) {
    (void)vfs, (void)name, (void)sync;
    return SQLITE_OK;
}
static int no_access(sqlite3_vfs *vfs, const char *name, int flags, int *out) {
    (void)vfs, (void)name, (void)flags;
    *out = 0;
    return SQLITE_OK;
}
static int full_name(sqlite3_vfs *vfs, const char *name, int n, char *out) {
    (void)vfs;
    if (strlen(name) >= (size_t)n) return SQLITE_CANTOPEN;
    strcpy(out, name);
    return SQLITE_OK;
}
static int randomness(sqlite3_vfs *vfs, int n, char *out) {
    (void)vfs;
    memset(out, 42, (size_t)n);
    return n;
}
static int no_sleep(sqlite3_vfs *vfs, int us) {
    (void)vfs;
    return us;
}
static int time_ms(sqlite3_vfs *vfs, sqlite3_int64 *out) { // 2000-01-01 as milliseconds of the Julian period
    (void)vfs;
    *out = 211813488000000;
    return SQLITE_OK;
}
static int time_days(sqlite3_vfs *vfs, double *out) {
    (void)vfs;
    *out = 2451544.5;
    return SQLITE_OK;
}

static sqlite3_vfs vfs = {
    .iVersion = 2,
    .szOsFile = sizeof(sqlite3_file),
    .mxPathname = 256,
    .zName = "none",
    .xOpen = no_open,
    .xDelete = no_delete,
    .xAccess = no_access,
    .xFullPathname = full_name,
    .xRandomness = randomness,
    .xSleep = no_sleep,
    .xCurrentTime = time_days,
    .xCurrentTimeInt64 = time_ms,
};

int sqlite3_os_init(void) { return sqlite3_vfs_register(&vfs, 1); }
int sqlite3_os_end(void) { return SQLITE_OK; }
