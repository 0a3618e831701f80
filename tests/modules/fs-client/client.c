// client.c — a client of the file service for tests. Its first argument says what it does:
//
//   basic   every call of drivers/sdk/fs.h, with its errors; leaves a tree that the host compares
//   again   finds that tree
//   speed   writes and reads one large file, in pieces of 64 KiB and 1 MiB
//   load    writes records and syncs for ever, saying after each sync which record is safe: for power cuts
//   crash   opens a file, removes it, and dies
//   full    fills the disk
//   lives   writes and reads while the disk's driver is killed
// The exit status is the number of checks that failed.
#include "drivers/sdk/fs_client.h"

static struct fs_client fs;
static uint32_t failures;

static bool check(bool ok, const char *what, int64_t got) {
    if (!ok) {
        log_line("NOT %s (%ld)", what, got);
        failures++;
    }
    return ok;
}
#define WANT(call, wanted)                                   \
    do {                                                     \
        int32_t got_ = (call);                               \
        check(got_ == (wanted), #call " is " #wanted, got_); \
    } while (0)

static uint32_t path(const char *text) { return fs_put_path(&fs, FS_PATH, text); }
static uint32_t path2(const char *text) { return fs_put_path(&fs, FS_PATH2, text); }
static int32_t open_(const char *name, uint32_t flags) {
    return fs_open_path(&fs, FS_ROOT, name, flags);
}
static const struct fs_stat *stat_at(void) { return (const struct fs_stat *)(fs.base + FS_STRUCT); }

static void fill(uint32_t n, uint32_t seed) {
    uint32_t *to = (uint32_t *)(fs.base + FS_BUFFER);
    for (uint32_t i = 0; i < n / 4; i++) to[i] = seed = seed * 1664525u + 1013904223u;
}
static bool filled(uint32_t n, uint32_t seed) {
    const uint32_t *at = (const uint32_t *)(fs.base + FS_BUFFER);
    for (uint32_t i = 0; i < n / 4; i++)
        if (at[i] != (seed = seed * 1664525u + 1013904223u)) return false;
    return true;
}

static void files(void) {
    int32_t h = open_("hello", FS_READ | FS_WRITE | FS_CREATE | FS_EXCL);
    check(h > 0, "hello is made", h);
    fs_put(&fs, FS_BUFFER, "hello, world\n", 13);
    WANT(fs_write(h, 0, FS_BUFFER, 13), 13);
    WANT(fs_write(h, FS_END, FS_BUFFER, 13), 13);
    WANT(fs_read(h, 13, FS_BUFFER, 100), 13);
    WANT(fs_read(h, 26, FS_BUFFER, 100), 0);
    WANT(fs_read(h, -1, FS_BUFFER, 100), FS_EINVAL);
    WANT(fs_stat(h, FS_STRUCT), 0);
    check(stat_at()->size == 26 && stat_at()->type == FS_REGULAR && stat_at()->links == 1,
          "stat tells", 0);
    check(stat_at()->modified > 1500000000ll * 1000000000, "the time is known", stat_at()->modified);
    WANT(fs_set_times(h, 1000000001ll * 1000000000 + 5, FS_OMIT), 0);
    WANT(fs_stat(h, FS_STRUCT), 0);
    check(stat_at()->accessed == 1000000001ll * 1000000000 + 5, "times are kept", stat_at()->accessed);
    WANT(fs_truncate(h, 5), 0);
    WANT(fs_truncate(h, 10), 0);
    WANT(fs_read(h, 0, FS_BUFFER, 100), 10);
    check(fs.base[FS_BUFFER + 4] == 'o' && fs.base[FS_BUFFER + 5] == 0 && fs.base[FS_BUFFER + 9] == 0,
          "what is added reads as zeros", 0);
    WANT(fs_allocate(h, 0, 100000), 0);
    WANT(fs_read(h, 99990, FS_BUFFER, 100), 10);
    WANT(fs_truncate(h, 10), 0);
    WANT(open_("hello", FS_WRITE | FS_CREATE | FS_EXCL), FS_EEXIST);
    WANT(open_("none", FS_READ), FS_ENOENT);
    WANT(open_("hello/x", FS_READ), FS_ENOTDIR);
    WANT(open_("hello", FS_READ | FS_DIRECTORY), FS_ENOTDIR);
    WANT(open_("/hello", FS_READ), FS_EPERM);
    WANT(open_("../hello", FS_READ), FS_EPERM);
    WANT(open_("", FS_READ), FS_ENOENT);
    WANT(fs_read(h, 0, FS_DATA - 1, 1), FS_EFAULT);
    WANT(fs_read(h, 0, fs.size - 1, 2), FS_EFAULT);
    WANT(fs_read(h, 0, 0xffffffff, 0xffff), FS_EFAULT);
    WANT(fs_open(FS_ROOT, 0, 5, FS_READ), FS_EFAULT);
    WANT(fs_close(h), 0);
    WANT(fs_close(h), FS_EBADF);
    WANT(fs_read(h, 0, FS_BUFFER, 1), FS_EBADF);
    WANT(fs_read(-1, 0, FS_BUFFER, 1), FS_EBADF);
    WANT(fs_close(FS_ROOT), FS_EBADF);
    h = open_("hello", FS_READ);
    WANT(fs_write(h, 0, FS_BUFFER, 1), FS_EBADF);
    WANT(fs_close(h), 0);
}

static void names(void) {
    WANT(fs_mkdir(FS_ROOT, FS_PATH, path("dir")), 0);
    WANT(fs_mkdir(FS_ROOT, FS_PATH, path("dir")), FS_EEXIST);
    WANT(fs_mkdir(FS_ROOT, FS_PATH, path("dir/sub/")), 0);
    WANT(fs_rmdir(FS_ROOT, FS_PATH, path("dir")), FS_ENOTEMPTY);
    WANT(fs_unlink(FS_ROOT, FS_PATH, path("dir")), FS_EISDIR);
    WANT(fs_rmdir(FS_ROOT, FS_PATH, path("hello")), FS_ENOTDIR);
    WANT(open_("dir", FS_WRITE), FS_EISDIR);
    WANT(open_("dir/new/", FS_WRITE | FS_CREATE), FS_EISDIR);
    int32_t d = open_("dir", FS_READ | FS_DIRECTORY);
    int32_t h = fs_open_path(&fs, d, "sub/../file", FS_WRITE | FS_CREATE);
    check(h > 0, "a file is made relative to a directory", h);
    WANT(fs_open_path(&fs, d, "..", FS_READ), FS_EPERM);
    WANT(fs_open_path(&fs, d, "sub/../../hello", FS_READ), FS_EPERM);
    WANT(fs_close(h), 0);
    fs_put(&fs, FS_BUFFER, "sub/../file", 11);
    WANT(fs_symlink(FS_BUFFER, 11, FS_ROOT, FS_PATH, path("dir/link")), 0);
    WANT(fs_readlink(FS_ROOT, FS_PATH, path("dir/link"), FS_BUFFER + 64, 100), 11);
    WANT(fs_readlink(FS_ROOT, FS_PATH, path("hello"), FS_BUFFER + 64, 100), FS_EINVAL);
    h = open_("dir/link", FS_READ);
    check(h > 0, "a link is followed", h);
    WANT(fs_close(h), 0);
    WANT(open_("dir/link", FS_READ | FS_NOFOLLOW), FS_ELOOP);
    fs_put(&fs, FS_BUFFER, "../../hello", 11);
    WANT(fs_symlink(FS_BUFFER, 11, FS_ROOT, FS_PATH, path("dir/out")), 0);
    WANT(open_("dir/out", FS_READ), FS_EPERM);
    fs_put(&fs, FS_BUFFER, "loop", 4);
    WANT(fs_symlink(FS_BUFFER, 4, FS_ROOT, FS_PATH, path("loop")), 0);
    WANT(open_("loop", FS_READ), FS_ELOOP);
    WANT(fs_unlink(FS_ROOT, FS_PATH, path("loop")), 0);
    WANT(fs_link(FS_ROOT, FS_PATH, path("hello"), FS_ROOT, FS_PATH2, path2("dir/hello2"), 0), 0);
    WANT(fs_link(FS_ROOT, FS_PATH, path("dir"), FS_ROOT, FS_PATH2, path2("dir2"), 0), FS_EPERM);
    WANT(fs_rename(FS_ROOT, FS_PATH, path("dir"), FS_ROOT, FS_PATH2, path2("dir/sub/dir")), FS_EINVAL);
    WANT(fs_rename(FS_ROOT, FS_PATH, path("dir/file"), FS_ROOT, FS_PATH2, path2("dir/sub")), FS_EISDIR);
    WANT(fs_rename(FS_ROOT, FS_PATH, path("dir/sub"), FS_ROOT, FS_PATH2, path2("sub")), 0);
    WANT(fs_rename(FS_ROOT, FS_PATH, path("dir/file"), FS_ROOT, FS_PATH2, path2("sub/file")), 0);
    WANT(fs_rename(FS_ROOT, FS_PATH, path("dir/hello2"), FS_ROOT, FS_PATH2, path2("sub/file")), 0);
    WANT(fs_stat_path(FS_ROOT, FS_PATH, path("sub/file"), 0, FS_STRUCT), 0);
    check(stat_at()->links == 2 && stat_at()->size == 10, "renaming replaces", stat_at()->size);
    WANT(fs_close(d), 0);
    static char longest[300];
    for (uint32_t i = 0; i < 255; i++) longest[i] = 'n';
    h = open_(longest, FS_WRITE | FS_CREATE);
    check(h > 0, "a name of 255 bytes", h);
    WANT(fs_close(h), 0);
    longest[255] = 'n';
    WANT(open_(longest, FS_WRITE | FS_CREATE), FS_ENAMETOOLONG);
}

// Counts the entries of a directory, with buffers that hold a few.
static uint32_t list(const char *name, uint32_t buffer) {
    int32_t d = open_(name, FS_READ | FS_DIRECTORY);
    uint64_t cookie = 0;
    uint32_t n = 0;
    for (;;) {
        int32_t got = fs_read_dir(d, (int64_t)cookie, FS_BUFFER, buffer);
        if (!check(got >= 0, "a directory is read", got) || got == 0) break;
        for (int32_t at = 0; at < got; n++) {
            struct fs_dirent e = *(struct fs_dirent *)(fs.base + FS_BUFFER + at);
            cookie = e.cookie;
            at += e.size;
        }
    }
    WANT(fs_close(d), 0);
    return n;
}

static void many(void) {
    WANT(fs_mkdir(FS_ROOT, FS_PATH, path("many")), 0);
    char name[] = "many/file-with-a-name-0000";
    for (uint32_t i = 0; i < 1000; i++) {
        for (uint32_t d = 0, v = i; d < 4; d++, v /= 10)
            name[sizeof name - 2 - d] = (char)('0' + v % 10);
        int32_t h = open_(name, FS_WRITE | FS_CREATE);
        if (!check(h > 0, "one of many is made", h)) break;
        fs_put(&fs, FS_BUFFER, name, sizeof name - 1);
        fs_write(h, 0, FS_BUFFER, sizeof name - 1);
        fs_close(h);
    }
    uint32_t n = list("many", 300);
    check(n == 1002, "all are listed", n);
    for (uint32_t i = 0; i < 1000; i += 2) {
        for (uint32_t d = 0, v = i; d < 4; d++, v /= 10)
            name[sizeof name - 2 - d] = (char)('0' + v % 10);
        WANT(fs_unlink(FS_ROOT, FS_PATH, path(name)), 0);
    }
    n = list("many", 65536);
    check(n == 502, "half of them are left", n);
    int32_t open[FS_HANDLES_MAX];
    uint32_t opened = 0;
    while (opened < FS_HANDLES_MAX && (open[opened] = open_("hello", FS_READ)) >= 0) opened++;
    check(opened == FS_HANDLES_MAX - 1 && open[opened] == FS_EMFILE, "handles are limited", opened);
    while (opened) fs_close(open[--opened]);
}

static void large(void) {
    int32_t h = open_("sparse", FS_READ | FS_WRITE | FS_CREATE);
    fill(65536, 7);
    WANT(fs_write(h, 5000000000ll, FS_BUFFER, 65536), 65536);
    WANT(fs_write(h, 1000001, FS_BUFFER, 65536), 65536);
    fill(65536, 8);
    WANT(fs_read(h, 5000000000ll, FS_BUFFER, 65536), 65536);
    check(filled(65536, 7), "data behind 4 GiB", 0);
    WANT(fs_read(h, 3000000000ll, FS_BUFFER, 65536), 65536);
    check(fs.base[FS_BUFFER] == 0 && fs.base[FS_BUFFER + 65535] == 0, "a hole reads as zeros", 0);
    WANT(fs_write(h, INT64_MAX - 10, FS_BUFFER, 5), FS_EFBIG);
    WANT(fs_stat(h, FS_STRUCT), 0);
    check(stat_at()->size == 5000065536ll && stat_at()->allocated < 300000,
          "a sparse file takes little space", (int64_t)stat_at()->allocated);
    WANT(fs_close(h), 0);
    h = open_("removed", FS_READ | FS_WRITE | FS_CREATE);
    WANT(fs_write(h, 0, FS_BUFFER, 65536), 65536);
    WANT(fs_unlink(FS_ROOT, FS_PATH, path("removed")), 0);
    WANT(open_("removed", FS_READ), FS_ENOENT);
    WANT(fs_read(h, 0, FS_BUFFER, 65536), 65536);
    WANT(fs_close(h), 0);
}

static void basic(void) {
    files();
    names();
    many();
    large();
    WANT(fs_sync(FS_ROOT), 0);
}

static void again(void) {
    check(list("many", 4096) == 502, "half of the many", 0);
    int32_t h = open_("sparse", FS_READ);
    WANT(fs_read(h, 1000001, FS_BUFFER, 65536), 65536);
    check(filled(65536, 7), "the data are there", 0);
    WANT(fs_close(h), 0);
    WANT(open_("removed", FS_READ), FS_ENOENT);
}

static void speed(void) {
    const uint32_t piece = 65536, pieces = 512;
    int32_t h = open_("speed", FS_READ | FS_WRITE | FS_CREATE | FS_TRUNC);
    fill(piece, 1);
    int64_t start = sasos_time_ns();
    for (uint32_t i = 0; i < pieces; i++)
        if (!check(fs_write(h, (int64_t)i * piece, FS_BUFFER, piece) == (int32_t)piece,
                   "a piece is written", i))
            return;
    WANT(fs_sync(h), 0);
    int64_t wrote = sasos_time_ns();
    for (uint32_t i = 0; i < pieces; i++)
        if (!check(fs_read(h, (int64_t)i * piece, FS_BUFFER, piece) == (int32_t)piece,
                   "a piece is read", i))
            return;
    int64_t end = sasos_time_ns();
    check(filled(piece, 1), "the data are there", 0);
    log_line("%u MiB written and synced in %ld us, read in %ld us", pieces * piece >> 20,
             (wrote - start) / 1000, (end - wrote) / 1000);
    for (uint32_t i = 0; i < 16; i++) fs_read(h, (int64_t)i * piece, FS_BUFFER, piece);
    start = sasos_time_ns();
    for (uint32_t i = 0; i < pieces; i++)
        if (!check(fs_read(h, (int64_t)(i % 16) * piece, FS_BUFFER, piece) == (int32_t)piece,
                   "a piece is read", i))
            return;
    log_line("%u MiB read from the cache in %ld us", pieces * piece >> 20,
             (sasos_time_ns() - start) / 1000);
    start = sasos_time_ns();
    for (uint32_t i = 0; i < 100; i++) {
        WANT(fs_write(h, (int64_t)i * 4096, FS_BUFFER, 4096), 4096);
        WANT(fs_sync(h), 0);
    }
    log_line("100 writes of 4 KiB, each synced, in %ld us", (sasos_time_ns() - start) / 1000);
    start = sasos_time_ns();
    for (uint32_t i = 0; i < 1000; i++)
        WANT(fs_stat_path(FS_ROOT, FS_PATH, path("speed"), 0, FS_STRUCT), 0);
    log_line("1000 times stat by path in %ld us", (sasos_time_ns() - start) / 1000);
    WANT(fs_close(h), 0);
}

// Record i of file i % 8: 1000 bytes made from i, at i / 8 * 1000. Every 97th, the file is renamed to its new self.
static void load(void) {
    char name[] = "log-0", other[] = "new-0";
    for (uint32_t i = 0;; i++) {
        name[4] = other[4] = (char)('0' + i % 8);
        int32_t h = open_(name, FS_WRITE | FS_CREATE);
        if (!check(h > 0, "open", h)) return;
        fill(1000, i);
        WANT(fs_write(h, i / 8 * 1000, FS_BUFFER, 1000), 1000);
        WANT(fs_close(h), 0);
        if (i % 97 == 0) {
            WANT(fs_rename(FS_ROOT, FS_PATH, path(name), FS_ROOT, FS_PATH2, path2(other)), 0);
            WANT(fs_rename(FS_ROOT, FS_PATH, path(other), FS_ROOT, FS_PATH2, path2(name)), 0);
        }
        if (i % 3 == 0) {
            if (fs_sync(FS_ROOT)) return;
            log_line("safe %u", i);
        }
    }
}

static void crash(void) {
    int32_t h = open_("left-open", FS_READ | FS_WRITE | FS_CREATE);
    WANT(fs_write(h, 0, FS_BUFFER, 65536), 65536);
    WANT(fs_unlink(FS_ROOT, FS_PATH, path("left-open")), 0);
    WANT(fs_sync(h), 0);
    if (!failures) __builtin_trap();
}

static void full(void) {
    int32_t h = open_("fills", FS_WRITE | FS_CREATE), got;
    uint64_t size = 0;
    while ((got = fs_write(h, (int64_t)size, FS_BUFFER, 262144)) > 0) size += (uint32_t)got;
    check(got == FS_ENOSPC, "the disk is full", got);
    check(open_("one-more", FS_WRITE | FS_CREATE) == FS_ENOSPC, "no space for a name either", 0);
    WANT(fs_sync(h), 0);
    WANT(fs_stat(h, FS_STRUCT), 0);
    check(stat_at()->size == size, "the size is what was written", (int64_t)stat_at()->size);
    WANT(fs_truncate(h, 1000), 0);
    WANT(fs_write(h, 1000, FS_BUFFER, 262144), 262144);
    WANT(fs_statfs(FS_STRUCT), 0);
    const struct fs_statfs *s = (const struct fs_statfs *)(fs.base + FS_STRUCT);
    check(s->bytes_free > s->bytes / 2, "space is free again", (int64_t)s->bytes_free);
    WANT(fs_close(h), 0);
    log_line("%lu KiB fitted", size / 1024);
}

// Writes and reads more than the cache holds, while the disk's driver is killed again and again. (Needs the grant `control`.)
static void lives(void) {
    const uint32_t piece = 65536, pieces = 192;
    uint32_t kills = 0;
    int32_t h = open_("lives", FS_READ | FS_WRITE | FS_CREATE);
    for (uint32_t i = 0; i < pieces; i++) {
        fill(piece, i);
        WANT(fs_write(h, (int64_t)i * piece, FS_BUFFER, piece), 65536);
        if (i % 24 == 12) kills += sasos_dom_control("virtio-blk", 10, SASOS_KILL) == 0;
        if (i % 8 == 4) WANT(fs_sync(h), 0);
    }
    for (uint32_t i = 0; i < pieces; i++) {
        if (i % 48 == 5) kills += sasos_dom_control("virtio-blk", 10, SASOS_KILL) == 0;
        WANT(fs_read(h, (int64_t)i * piece, FS_BUFFER, piece), 65536);
        check(filled(piece, i), "the data are right", i);
    }
    WANT(fs_close(h), 0);
    check(kills >= 8, "the driver was killed", kills);
    log_line("the driver was killed %u times", kills);
}

int32_t SASOS_EXPORT(app_main)(void) {
    static const struct {
        const char *name;
        void (*run)(void);
    } jobs[] = {{"basic", basic}, {"again", again}, {"speed", speed}, {"load", load},
                {"crash", crash}, {"full", full},   {"lives", lives}};
    char word[16];
    int32_t n = sasos_arg(0, word, sizeof word - 1), error = fs_client_open(&fs, 0);
    word[n > 0 ? n : 0] = 0;
    if (!check(error == 0, "attached", error)) return 1;
    for (uint32_t i = 0; i < sizeof jobs / sizeof *jobs; i++) {
        uint32_t k = 0;
        while (word[k] && word[k] == jobs[i].name[k]) k++;
        if (word[k] == jobs[i].name[k]) jobs[i].run();
    }
    WANT(fs_detach(), 0);
    log_line("%u checks failed", failures);
    return (int32_t)failures;
}
