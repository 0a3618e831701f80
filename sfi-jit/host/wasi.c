// wasi.c — see wasi.h. One table row a function; every pointer and length from the module goes through ldr_memory_at().
#include "sfi-jit/host/wasi.h"
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define MODULE "wasi_snapshot_preview1"
// witx: $errno
enum { OK = 0, BADF = 8, FAULT = 21, INVAL = 28, IO = 29, NOSYS = 52, SPIPE = 70 };
#define IOVS_MAX 1024u

#define CALL(name) static int64_t name(struct ldr_instance *inst, const struct ldr_args *a)
static struct wasi *state(struct ldr_instance *inst) { return ldr_user(inst); }

static bool put32(struct ldr_instance *inst, uint32_t at, uint32_t v) {
    void *p = ldr_memory_at(inst, at, 4);
    if (p) memcpy(p, &v, 4);
    return p;
}
static bool put64(struct ldr_instance *inst, uint32_t at, uint64_t v) {
    void *p = ldr_memory_at(inst, at, 8);
    if (p) memcpy(p, &v, 8);
    return p;
}

// ---- Strings: arguments and environment ----
static int64_t sizes(struct ldr_instance *inst, const struct ldr_args *a, uint32_t n,
                     char *const *string) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < n; i++) bytes += strlen(string[i]) + 1;
    return put32(inst, ldr_arg32(a, 0), n) && put32(inst, ldr_arg32(a, 1), (uint32_t)bytes) ? OK
                                                                                            : FAULT;
}
static int64_t strings(struct ldr_instance *inst, const struct ldr_args *a, uint32_t n,
                       char *const *string) {
    uint32_t pointers = ldr_arg32(a, 0), to = ldr_arg32(a, 1);
    for (uint32_t i = 0; i < n; i++) {
        size_t size = strlen(string[i]) + 1;
        void *p = ldr_memory_at(inst, to, size);
        if (!p || (uint64_t)pointers + 4ull * i > UINT32_MAX || !put32(inst, pointers + 4 * i, to))
            return FAULT;
        memcpy(p, string[i], size);
        to += (uint32_t)size;
    }
    return OK;
}
CALL(args_sizes_get) { return sizes(inst, a, state(inst)->args, state(inst)->arg); }
CALL(args_get) { return strings(inst, a, state(inst)->args, state(inst)->arg); }
CALL(environ_sizes_get) { return sizes(inst, a, state(inst)->environs, state(inst)->environ); }
CALL(environ_get) { return strings(inst, a, state(inst)->environs, state(inst)->environ); }

// ---- Clocks, random ----
static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID,
                                   CLOCK_THREAD_CPUTIME_ID}; // witx: $clockid
static int64_t clock_value(struct ldr_instance *inst, uint32_t id, uint32_t out, bool resolution) {
    struct timespec t;
    if (id >= sizeof clocks / sizeof *clocks) return INVAL;
    if (resolution ? clock_getres(clocks[id], &t) : clock_gettime(clocks[id], &t)) return INVAL;
    uint64_t ns = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
    return put64(inst, out, ns) ? OK : FAULT;
}
CALL(clock_time_get) { return clock_value(inst, ldr_arg32(a, 0), ldr_arg32(a, 2), false); }
CALL(clock_res_get) { return clock_value(inst, ldr_arg32(a, 0), ldr_arg32(a, 1), true); }
CALL(random_get) {
    uint32_t n = ldr_arg32(a, 1);
    uint8_t *p = ldr_memory_at(inst, ldr_arg32(a, 0), n);
    if (!p) return FAULT;
    for (uint32_t done = 0; done < n;) {
        uint32_t part = n - done < 256 ? n - done : 256;
        if (getentropy(p + done, part)) return IO;
        done += part;
    }
    return OK;
}

// ---- Standard streams ----
static int64_t transfer(struct ldr_instance *inst, const struct ldr_args *a, bool write_it) {
    uint32_t fd = ldr_arg32(a, 0), list = ldr_arg32(a, 1), n = ldr_arg32(a, 2);
    uint64_t total = 0;
    if (fd > 2 || (fd == 0) == write_it) return BADF;
    if (n > IOVS_MAX) return INVAL;
    const uint8_t *iov = ldr_memory_at(inst, list, 8ull * n);
    if (!iov) return FAULT;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t pair[2]; // $iovec: read once
        memcpy(pair, iov + 8 * i, 8);
        uint8_t *p = ldr_memory_at(inst, pair[0], pair[1]);
        if (!p) return FAULT;
        for (uint32_t done = 0; done < pair[1];) {
            ssize_t k = write_it ? write((int)fd, p + done, pair[1] - done)
                                 : read((int)fd, p + done, pair[1] - done);
            if (k < 0 && errno == EINTR) continue;
            if (k < 0 && !total) return IO;
            if (k > 0) total += (uint64_t)k, done += (uint32_t)k;
            if (k <= 0 || !write_it)
                return put32(inst, ldr_arg32(a, 3), (uint32_t)total) ? OK : FAULT;
        }
    }
    return put32(inst, ldr_arg32(a, 3), (uint32_t)total) ? OK : FAULT;
}
CALL(fd_write) { return transfer(inst, a, true); }
CALL(fd_read) { return transfer(inst, a, false); }
static int64_t standard(const struct ldr_args *a, int64_t answer) {
    return ldr_arg32(a, 0) <= 2 ? answer : BADF;
}
CALL(fd_close) { return (void)inst, standard(a, OK); }
CALL(fd_seek) { return (void)inst, standard(a, SPIPE); }
CALL(fd_tell) { return (void)inst, standard(a, SPIPE); }
CALL(fd_fdstat_set_flags) { return (void)inst, standard(a, OK); }
CALL(fd_fdstat_get) {
    uint32_t fd = ldr_arg32(a, 0);
    uint8_t stat[24] = {2}; // $fdstat: filetype character_device
    uint64_t rights = fd == 0 ? 1u << 1 : 1u << 6;
    uint8_t *p = ldr_memory_at(inst, ldr_arg32(a, 1), sizeof stat);
    if (fd > 2) return BADF;
    if (!p) return FAULT;
    memcpy(stat + 8, &rights, 8);
    memcpy(p, stat, sizeof stat);
    return OK;
}

// ---- The rest ----
CALL(sched_yield) { return (void)inst, (void)a, OK; }
CALL(proc_exit) {
    state(inst)->exited = true;
    state(inst)->status = ldr_arg32(a, 0);
    ldr_trap(inst, SFI_TRAP_KILLED);
}
CALL(badf) { return (void)inst, (void)a, BADF; }
CALL(nosys) { return (void)inst, (void)a, NOSYS; }

static const struct ldr_hostfunc functions[] = {
#define F(name, type) \
    { MODULE, #name, type ":i", name, NULL }
#define NONE(name, type, answer) \
    { MODULE, #name, type ":i", answer, NULL }
    F(args_get, "ii"),
    F(args_sizes_get, "ii"),
    F(environ_get, "ii"),
    F(environ_sizes_get, "ii"),
    F(clock_res_get, "ii"),
    F(clock_time_get, "iIi"),
    F(random_get, "ii"),
    F(fd_read, "iiii"),
    F(fd_write, "iiii"),
    F(fd_close, "i"),
    F(fd_seek, "iIii"),
    F(fd_tell, "ii"),
    F(fd_fdstat_get, "ii"),
    F(fd_fdstat_set_flags, "ii"),
    F(sched_yield, ""),
    {MODULE, "proc_exit", "i:", proc_exit, NULL},
    NONE(fd_advise, "iIIi", badf),
    NONE(fd_allocate, "iII", badf),
    NONE(fd_datasync, "i", badf),
    NONE(fd_fdstat_set_rights, "iII", badf),
    NONE(fd_filestat_get, "ii", badf),
    NONE(fd_filestat_set_size, "iI", badf),
    NONE(fd_filestat_set_times, "iIIi", badf),
    NONE(fd_pread, "iiiIi", badf),
    NONE(fd_prestat_get, "ii", badf),
    NONE(fd_prestat_dir_name, "iii", badf),
    NONE(fd_pwrite, "iiiIi", badf),
    NONE(fd_readdir, "iiiIi", badf),
    NONE(fd_renumber, "ii", badf),
    NONE(fd_sync, "i", badf),
    NONE(path_create_directory, "iii", badf),
    NONE(path_filestat_get, "iiiii", badf),
    NONE(path_filestat_set_times, "iiiiIIi", badf),
    NONE(path_link, "iiiiiii", badf),
    NONE(path_open, "iiiiiIIii", badf),
    NONE(path_readlink, "iiiiii", badf),
    NONE(path_remove_directory, "iii", badf),
    NONE(path_rename, "iiiiii", badf),
    NONE(path_symlink, "iiiii", badf),
    NONE(path_unlink_file, "iii", badf),
    NONE(poll_oneoff, "iiii", nosys),
    NONE(proc_raise, "i", nosys),
    NONE(sock_accept, "iii", badf),
    NONE(sock_recv, "iiiiii", badf),
    NONE(sock_send, "iiiii", badf),
    NONE(sock_shutdown, "ii", badf),
};

const struct ldr_hostfunc *wasi_find(const struct wasm_import *i) {
    if (i->kind != WASM_FUNC || i->module.length != strlen(MODULE) ||
        memcmp(i->module.text, MODULE, i->module.length))
        return NULL;
    for (size_t k = 0; k < sizeof functions / sizeof *functions; k++)
        if (strlen(functions[k].name) == i->name.length &&
            !memcmp(functions[k].name, i->name.text, i->name.length))
            return &functions[k];
    return NULL;
}
