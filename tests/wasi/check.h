// check.h — for the programs of the WASI test set: one line for each check that fails, and the exit status says whether any did.
//
// A program's first comment may say how it is run and what is expected:
//   args: WORDS        env: NAME=VALUE (several lines)
//   files: yes         tests/wasi/files.py's archive is mounted at /
//   data: yes          a disk is mounted at /data (in the guest only)
//   observe: yes       the state of the system is at /sys (in the guest only)
//   network: yes       it has a test of its own, with sockets (in the guest only)
//   terminal: yes      it has a test of its own, with somebody who types (in the guest only)
//   no-entropy: yes    random bytes are not granted
//   exit: N            its exit status (0)        trap: KIND        it traps
//   stdout: LINE       a line that it prints, several in this order
#ifndef TESTS_WASI_CHECK_H
#define TESTS_WASI_CHECK_H
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wasi/api.h>

static int check_failed;
static inline void check_at(int line, const char *what, long long got, long long want) {
    if (got == want) return;
    printf("FAILED line %d: %s is %lld, not %lld\n", line, what, got, want);
    check_failed = 1;
}
#define SAME(got, want) check_at(__LINE__, #got, (long long)(got), (long long)(want))
#define TRUE(condition) check_at(__LINE__, #condition, !!(condition), 1)
#define CHECK_END() return check_failed

#define BAD ((void *)0xfffffff0u) // never inside a program's memory

// The descriptor of the preopened directory of that name, or -1.
static inline int preopened(const char *name) {
    __wasi_prestat_t p;
    char text[64];
    for (int fd = 3; __wasi_fd_prestat_get(fd, &p) == 0; fd++) {
        if (p.tag != __WASI_PREOPENTYPE_DIR || p.u.dir.pr_name_len >= sizeof text) continue;
        if (__wasi_fd_prestat_dir_name(fd, (uint8_t *)text, p.u.dir.pr_name_len)) continue;
        text[p.u.dir.pr_name_len] = 0;
        if (!strcmp(text, name)) return fd;
    }
    return -1;
}

// path_open with all rights that the directory passes on but those of writing.
static inline int open_at(int dir, const char *path, int oflags, __wasi_fd_t *out) {
    __wasi_fdstat_t s;
    *out = 0xffffffff;
    if (__wasi_fd_fdstat_get(dir, &s)) return -1;
    __wasi_rights_t rights =
        s.fs_rights_inheriting &
        ~(__WASI_RIGHTS_FD_WRITE | __WASI_RIGHTS_FD_ALLOCATE | __WASI_RIGHTS_FD_FILESTAT_SET_SIZE);
    return __wasi_path_open(dir, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, path, oflags, rights,
                            s.fs_rights_inheriting, 0, out);
}
#endif
