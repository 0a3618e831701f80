// test_wasi_calls.c — the WASI personality as native code under the sanitizers: every call with arguments of all kinds, and archives that lie.
//
// The kernel is played: the program's memory is MEMORY bytes, time passes only by waiting, no service is connected. Expected is what the
// personality owes to itself: nothing outside of its own memory is touched, every call returns, with an errno.
#include "apps/wasi/wasi.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define MEMORY 65536u

static uint8_t *memory; // the program's
static uint8_t *archive;
static size_t archive_size;
static int64_t now_ns;
static int32_t life = 1;
static const char *const environment[] = {"SASOS_FILES=files.tar", "A=b", "SASOS_PROGRAM=name",
                                          "EMPTY="};

// ---- The kernel ----
int32_t sasos_log(const char *text, uint32_t n) { return (void)text, (void)n, 0; }
int32_t sasos_console_write(const char *text, uint32_t n) {
    uint32_t sum = 0;
    for (uint32_t i = 0; i < n; i++) sum += (uint8_t)text[i]; // it is read, whole
    return sum ? (int32_t)n : (int32_t)n;
}
int64_t sasos_time_ns(void) { return now_ns += 10; }
int64_t sasos_wall_ns(void) { return 1700000000000000000 + now_ns; }
static int32_t word(const char *const *list, uint32_t count, uint32_t i, char *to, uint32_t size) {
    if (i >= count) return E_NOENT;
    uint32_t n = (uint32_t)strlen(list[i]);
    memcpy(to, list[i], n < size ? n : size);
    return (int32_t)n;
}
int32_t sasos_env(uint32_t i, char *to, uint32_t size) { return word(environment, 4, i, to, size); }
int32_t sasos_arg(uint32_t i, char *to, uint32_t size) {
    return word((const char *[]){"x"}, 1, i, to, size);
}
int32_t sasos_wait(uint32_t events, int64_t ns) {
    (void)events;
    if (ns < 0 || ns > INT64_MAX / 4)
        return E_INTR; // nobody will ever wake it: the program is ended
    now_ns += ns;
    return 0;
}
int32_t sasos_random(uint8_t *to, uint32_t n) {
    assert_true(n <= 4096);
    memset(to, 4, n);
    return 0;
}
static bool inside(uint32_t at, uint32_t n) { return at <= MEMORY && n <= MEMORY - at; }
int32_t sasos_caller_read(void *to, uint32_t from, uint32_t n) {
    if (!inside(from, n)) return E_FAULT;
    memcpy(to, memory + from, n);
    return 0;
}
int32_t sasos_caller_write(uint32_t to, const void *from, uint32_t n) {
    if (!inside(to, n)) return E_FAULT;
    memcpy(memory + to, from, n);
    return 0;
}
int32_t sasos_caller_exit(int32_t status) { return life++, (void)status, 0; }
int32_t sasos_caller_channel(void) { return 0; }
int32_t sasos_chan_generation(uint32_t channel) { return (void)channel, life; }
int32_t sasos_chan_count(void) { return 0; }
uint32_t sasos_chan_map(uint32_t channel) { return (void)channel, 0; }
uint32_t sasos_chan_size(uint32_t channel) { return (void)channel, 0; }
int32_t sasos_blob_find(const char *name, uint32_t n) {
    return n == 9 && !memcmp(name, "files.tar", 9) ? 0 : E_NOENT;
}
int64_t sasos_blob_size(uint32_t blob) { return (void)blob, (int64_t)archive_size; }
int32_t sasos_blob_read(uint32_t blob, int64_t at, void *to, uint32_t n) {
    (void)blob;
    if (at < 0) return E_INVAL;
    if ((uint64_t)at >= archive_size) return 0;
    if (n > archive_size - (uint64_t)at) n = (uint32_t)(archive_size - (uint64_t)at);
    memcpy(to, archive + at, n);
    return (int32_t)n;
}
int32_t sasos_sys_info(struct sasos_sys_info *out, uint32_t size) {
    memset(out, 1, size);
    out->log_first = 0, out->log_next = 100;
    return (int32_t)size;
}
int32_t sasos_dom_info(uint32_t i, struct sasos_dom_info *out, uint32_t size) {
    if (i > 2) return E_NOENT;
    memset(out, 'x', size); // nothing ends with a 0
    out->counters = 99;
    return (int32_t)size;
}
int64_t sasos_log_read(uint64_t from, char *to, uint32_t size) {
    if (from >= 100 || size < 2) return to[0] = 0, (int64_t)from;
    return strcpy(to, "y"), (int64_t)from + 1;
}
int32_t sasos_dom_control(const char *name, uint32_t n, uint32_t op) {
    return (void)name, (void)n, op > 5 ? E_INVAL : 0;
}
void log_line(const char *format, ...) { (void)format; }
static void *given[16];
static uint32_t givens;
void *more_memory(uint32_t bytes) { // exactly as much
    assert_true(givens < 16);
    return given[givens++] = calloc(1, bytes ? bytes : 1);
}
static void take_back(void) {
    while (givens) free(given[--givens]);
}

// ---- The services: none is connected ----
#define DENIED(name, ...) \
    int32_t name(__VA_ARGS__) { return E_DENIED; }
#include "drivers/sdk/fs.h"
#pragma clang diagnostic ignored "-Wunused-parameter"
#define X(name, parameters, text) \
    int32_t name parameters { return E_DENIED; }
FS_CALLS(X)
#undef X
DENIED(tty_attach, void)
DENIED(tty_submit, void)
DENIED(sock_attach, void)
DENIED(sock_open, uint32_t type)
DENIED(sock_bind, int32_t s, uint32_t at)
DENIED(sock_listen, int32_t s, uint32_t backlog)
DENIED(sock_accept, int32_t s, uint32_t at)
DENIED(sock_connect, int32_t s, uint32_t at)
DENIED(sock_send, int32_t s, uint32_t at, uint32_t n)
DENIED(sock_recv, int32_t s, uint32_t at, uint32_t n, uint32_t flags)
DENIED(sock_shutdown, int32_t s, uint32_t how)
DENIED(sock_close, int32_t s)
DENIED(sock_error, int32_t s)
DENIED(sock_resolve, uint32_t at, uint32_t n, uint32_t family, uint32_t to)
DENIED(sock_flush, void)

// ---- Archives ----
static void add(const char *name, char type, const char *link, uint32_t size) {
    uint32_t blocks = 1 + (size + 511) / 512, sum = 0;
    archive = realloc(archive, archive_size + blocks * 512);
    char *h = (char *)archive + archive_size;
    memset(h, 0, blocks * 512);
    strcpy(h, name);
    sprintf(h + 100, "%07o", 0644);
    sprintf(h + 124, "%011o", size);
    sprintf(h + 136, "%011o", 1700000000u);
    h[156] = type;
    strcpy(h + 157, link);
    memcpy(h + 257, "ustar\00000", 8);
    memset(h + 148, ' ', 8);
    for (int i = 0; i < 512; i++) sum += (uint8_t)h[i];
    sprintf(h + 148, "%06o", sum);
    memset(h + 512, 'd', size);
    archive_size += blocks * 512;
}
static void make_archive(void) {
    free(archive);
    archive = NULL;
    archive_size = 0;
    add("./", '5', "", 0);
    add("f", '0', "", 3000);
    add("d/e/g", '0', "", 70000);
    add("l", '2', "d/e/g", 0);
    add("loop", '2', "loop", 0);
    add("up", '2', "../x", 0);
    add("h", '1', "f", 0);
}

static uint32_t seed = 1;
static uint32_t any(void) {
    seed = seed * 1664525u + 1013904223u;
    return seed >> 8 ^ seed << 13;
}

static void fix_sum(uint8_t *h) {
    uint32_t sum = 0;
    memset(h + 148, ' ', 8);
    for (int i = 0; i < 512; i++) sum += h[i];
    sprintf((char *)h + 148, "%06o", sum & 0x3ffff);
}

// Changed bytes with right checksums, and cut-off ends: refused, or an index in which everything can be walked.
static void archives(void **state) {
    (void)state;
    unsigned taken = 0, refused = 0;
    for (int i = 0; i < 3000; i++) {
        make_archive();
        uint32_t headers[] = {0, 512, 512 + 512 + 3072};
        uint8_t *h = archive + headers[any() % 3];
        for (uint32_t k = any() % 4; k < 4; k++)
            h[any() % 512] = any() % 4 ? "./0179ax"[any() % 8] : (uint8_t)any();
        fix_sum(h);
        if (any() % 8 == 0) archive_size = any() % archive_size;
        int32_t error = 0;
        take_back();
        const struct vfs *fs = archive_start(&error);
        if (!fs) {
            refused++;
            continue;
        }
        taken++;
        struct vfs_entry e;
        struct witx_filestat s;
        for (uint64_t cookie = 0; !fs->readdir(fs->root, cookie, &e); cookie = e.next)
            fs->stat_path(&(struct vfs_path){fs->root, e.name, e.length, any() % 2}, &s);
    }
    assert_true(taken > 100 && refused > 100);
}

// ---- Calls ----
#define CALLS 45u

int32_t wasi_args_get(uint32_t, uint32_t), wasi_args_sizes_get(uint32_t, uint32_t),
    wasi_environ_get(uint32_t, uint32_t), wasi_environ_sizes_get(uint32_t, uint32_t),
    wasi_clock_res_get(uint32_t, uint32_t), wasi_clock_time_get(uint32_t, uint64_t, uint32_t),
    wasi_random_get(uint32_t, uint32_t), wasi_fd_advise(uint32_t, uint64_t, uint64_t, uint32_t),
    wasi_fd_allocate(uint32_t, uint64_t, uint64_t), wasi_fd_close(uint32_t),
    wasi_fd_datasync(uint32_t), wasi_fd_fdstat_get(uint32_t, uint32_t),
    wasi_fd_fdstat_set_flags(uint32_t, uint32_t),
    wasi_fd_fdstat_set_rights(uint32_t, uint64_t, uint64_t),
    wasi_fd_filestat_get(uint32_t, uint32_t), wasi_fd_filestat_set_size(uint32_t, uint64_t),
    wasi_fd_filestat_set_times(uint32_t, uint64_t, uint64_t, uint32_t),
    wasi_fd_pread(uint32_t, uint32_t, uint32_t, uint64_t, uint32_t),
    wasi_fd_prestat_get(uint32_t, uint32_t), wasi_fd_prestat_dir_name(uint32_t, uint32_t, uint32_t),
    wasi_fd_pwrite(uint32_t, uint32_t, uint32_t, uint64_t, uint32_t),
    wasi_fd_read(uint32_t, uint32_t, uint32_t, uint32_t),
    wasi_fd_readdir(uint32_t, uint32_t, uint32_t, uint64_t, uint32_t),
    wasi_fd_renumber(uint32_t, uint32_t), wasi_fd_seek(uint32_t, int64_t, uint32_t, uint32_t),
    wasi_fd_sync(uint32_t), wasi_fd_tell(uint32_t, uint32_t),
    wasi_fd_write(uint32_t, uint32_t, uint32_t, uint32_t),
    wasi_path_create_directory(uint32_t, uint32_t, uint32_t),
    wasi_path_filestat_get(uint32_t, uint32_t, uint32_t, uint32_t, uint32_t),
    wasi_path_filestat_set_times(uint32_t, uint32_t, uint32_t, uint32_t, uint64_t, uint64_t, uint32_t),
    wasi_path_link(uint32_t, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t),
    wasi_path_open(uint32_t, uint32_t, uint32_t, uint32_t, uint32_t, uint64_t, uint64_t, uint32_t,
                   uint32_t),
    wasi_path_readlink(uint32_t, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t),
    wasi_path_remove_directory(uint32_t, uint32_t, uint32_t),
    wasi_path_rename(uint32_t, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t),
    wasi_path_symlink(uint32_t, uint32_t, uint32_t, uint32_t, uint32_t),
    wasi_path_unlink_file(uint32_t, uint32_t, uint32_t),
    wasi_poll_oneoff(uint32_t, uint32_t, uint32_t, uint32_t), wasi_proc_raise(uint32_t),
    wasi_sched_yield(void), wasi_sock_accept(uint32_t, uint32_t, uint32_t),
    wasi_sock_recv(uint32_t, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t),
    wasi_sock_send(uint32_t, uint32_t, uint32_t, uint32_t, uint32_t),
    wasi_sock_shutdown(uint32_t, uint32_t), wasi_library_start(void);

// A number that is a descriptor, an address, a length, a flag, or nothing of the kind.
static uint64_t number(void) {
    switch (any() % 8) {
    case 0: return any() % 12;
    case 1: return any() % MEMORY;
    case 2: return MEMORY - any() % 64;
    case 3: return any() % 300;
    case 4: return 1ull << any() % 64;
    case 5: return (uint64_t)any() << 32 | any();
    case 6: return -(uint64_t)(any() % 10);
    default: return 3 + any() % 3;
    }
}

// Some of the memory looks like paths, some like lists of buffers, some like subscriptions.
static const char *const paths[] = {"f",       "d/e/g",        "l",   "loop",   "up",
                                    ".",       "..",           "d/",  "d/../f", "f/x",
                                    "metrics", "domains.json", "log", "control"};
#define PATHS 14u
static void scatter(void) {
    for (uint32_t i = 0; i < PATHS; i++)
        strcpy((char *)memory + 64 * i, paths[i]); // at known places
    uint32_t at = any() % (MEMORY - 64);
    switch (any() % 4) {
    case 0: strcpy((char *)memory + at, paths[any() % PATHS]); break;
    case 1:
        for (int i = 0; i < 4; i++) {
            uint32_t v[2] = {any() % MEMORY, any() % 2 ? any() % 100 : any() % 5000};
            memcpy(memory + (at & ~7u) + 8 * i, v, 8);
        }
        break;
    case 2: {
        struct witx_subscription s = {.tag = (uint8_t)(any() % 3)};
        s.u.clock.id = any() % 5;
        s.u.clock.timeout = number();
        s.u.clock.flags = (uint16_t)(any() % 3);
        memcpy(memory + (at & ~7u), &s, sizeof s);
        break;
    }
    default: memory[at] = (uint8_t)any();
    }
}

static int32_t one(uint32_t which) {
    uint64_t a = number(), b = number(), c = number(), d = number(), e = number(), f = number(),
             g = number(), h = number(), i = number();
    if (any() % 8) a = any() % 10;                 // mostly descriptors that are open
    if (any() % 2) c = any() % 8, b &= MEMORY - 8; // short lists and paths
    uint32_t path = any() % PATHS, length = (uint32_t)strlen(paths[path]);
    switch (any() % 4) { // a real path at one of the places where calls have theirs, and flags that make sense
    case 0: b = 64 * path, c = length; break;
    case 1:
        c = 64 * path, d = length, b &= 1, e &= 15, f &= RIGHTS_ALL, g &= RIGHTS_ALL, h &= 31;
        break;
    case 2: e = 64 * path, f = length, b = 64, c = 5, d = any() % 10; break;
    }
    if (any() % 2) f = g = RIGHTS_FD_READ | RIGHTS_FD_READDIR, e &= ~9u;
    switch (which) {
    case 0: return wasi_args_get(a, b);
    case 1: return wasi_args_sizes_get(a, b);
    case 2: return wasi_environ_get(a, b);
    case 3: return wasi_environ_sizes_get(a, b);
    case 4: return wasi_clock_res_get(a, b);
    case 5: return wasi_clock_time_get(a, b, c);
    case 6: return wasi_random_get(a, b);
    case 7: return wasi_fd_advise(a, b, c, d);
    case 8: return wasi_fd_allocate(a, b, c);
    case 9: return wasi_fd_close(a);
    case 10: return wasi_fd_datasync(a);
    case 11: return wasi_fd_fdstat_get(a, b);
    case 12: return wasi_fd_fdstat_set_flags(a, b);
    case 13: return wasi_fd_fdstat_set_rights(a, b, c);
    case 14: return wasi_fd_filestat_get(a, b);
    case 15: return wasi_fd_filestat_set_size(a, b);
    case 16: return wasi_fd_filestat_set_times(a, b, c, d);
    case 17: return wasi_fd_pread(a, b, c, d, e);
    case 18: return wasi_fd_prestat_get(a, b);
    case 19: return wasi_fd_prestat_dir_name(a, b, c);
    case 20: return wasi_fd_pwrite(a, b, c, d, e);
    case 21: return wasi_fd_read(a, b, c, d);
    case 22: return wasi_fd_readdir(a, b, c, d, e);
    case 23: return wasi_fd_renumber(a, b);
    case 24: return wasi_fd_seek(a, b, c, d);
    case 25: return wasi_fd_sync(a);
    case 26: return wasi_fd_tell(a, b);
    case 27: return wasi_fd_write(a, b, c, d);
    case 28: return wasi_path_create_directory(a, b, c);
    case 29: return wasi_path_filestat_get(a, b, c, d, e);
    case 30: return wasi_path_filestat_set_times(a, b, c, d, e, f, g);
    case 31: return wasi_path_link(a, b, c, d, e, f, g);
    case 32: return wasi_path_open(a, b, c, d, e, f, g, h, i);
    case 33: return wasi_path_readlink(a, b, c, d, e, f);
    case 34: return wasi_path_remove_directory(a, b, c);
    case 35: return wasi_path_rename(a, b, c, d, e, f);
    case 36: return wasi_path_symlink(a, b, c, d, e);
    case 37: return wasi_path_unlink_file(a, b, c);
    case 38: return wasi_poll_oneoff(a, b, c, d);
    case 39: return wasi_proc_raise(a);
    case 40: return wasi_sched_yield();
    case 41: return wasi_sock_accept(a, b, c);
    case 42: return wasi_sock_recv(a, b, c, d, e, f);
    case 43: return wasi_sock_send(a, b, c, d, e);
    case 44: return wasi_sock_shutdown(a, b);
    }
    fail();
    return 0;
}

static void calls(void **state) {
    (void)state;
    unsigned good = 0, seen[77] = {0}, kinds = 0;
    make_archive();
    take_back();
    assert_int_equal(wasi_library_start(), 0);
    for (int i = 0; i < 400000; i++) {
        scatter();
        if (i % 60 == 0) life++; // another program
        int32_t result = one(any() % CALLS);
        assert_true(result >= 0 && result <= ERRNO_NOTCAPABLE);
        good += !result;
        seen[result]++;
    }
    for (int i = 0; i < 77; i++) kinds += seen[i] > 0;
    print_message("# %u of 400000 calls succeeded; %u kinds of answers\n", good, kinds);
    assert_true(good > 40000 && kinds > 14);
    take_back();
    free(archive);
}

int main(void) {
    memory = calloc(1, MEMORY);
    const struct CMUnitTest tests[] = {cmocka_unit_test(archives), cmocka_unit_test(calls)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
