// rights.c — rights are given up, passed on, and missed by name.
// files: yes
#include "check.h"

int main(void) {
    __wasi_fd_t fd, dir;
    __wasi_fdstat_t s;
    __wasi_filesize_t at;
    size_t n;
    uint8_t b[8];
    __wasi_iovec_t in = {b, 4};
    __wasi_filestat_t st;
    int root = preopened("/");
    SAME(__wasi_path_open(root, 0, "hello.txt", 0, __WASI_RIGHTS_FD_READ | __WASI_RIGHTS_PATH_OPEN,
                          0, 0, &fd),
         0);
    SAME(__wasi_fd_fdstat_get(fd, &s), 0);
    SAME(s.fs_rights_base, __WASI_RIGHTS_FD_READ); // those of paths mean nothing for a file
    SAME(s.fs_rights_inheriting, 0);
    SAME(__wasi_fd_read(fd, &in, 1, &n), 0);
    SAME(__wasi_fd_seek(fd, 0, 0, &at), __WASI_ERRNO_NOTCAPABLE);
    SAME(__wasi_fd_tell(fd, &at), __WASI_ERRNO_NOTCAPABLE);
    SAME(__wasi_fd_pread(fd, &in, 1, 0, &n), __WASI_ERRNO_NOTCAPABLE);
    SAME(__wasi_fd_advise(fd, 0, 0, 0), __WASI_ERRNO_NOTCAPABLE);
    SAME(__wasi_fd_filestat_get(fd, &st), __WASI_ERRNO_NOTCAPABLE);
    SAME(__wasi_fd_sync(fd), __WASI_ERRNO_NOTCAPABLE);
    SAME(__wasi_fd_fdstat_set_flags(fd, 0), __WASI_ERRNO_NOTCAPABLE);
    SAME(__wasi_fd_fdstat_set_rights(fd, __WASI_RIGHTS_FD_READ | __WASI_RIGHTS_FD_SEEK, 0),
         __WASI_ERRNO_NOTCAPABLE);
    SAME(__wasi_fd_fdstat_set_rights(fd, 0, 0), 0);
    SAME(__wasi_fd_read(fd, &in, 1, &n), __WASI_ERRNO_NOTCAPABLE);
    SAME(__wasi_fd_close(fd), 0); // closing needs none

    // A directory that passes on reading only.
    SAME(__wasi_path_open(root, 0, "deep", __WASI_OFLAGS_DIRECTORY, __WASI_RIGHTS_PATH_OPEN,
                          __WASI_RIGHTS_FD_READ, 0, &dir),
         0);
    SAME(__wasi_path_open(dir, 0, "er/big.bin", 0, __WASI_RIGHTS_FD_READ, 0, 0, &fd), 0);
    SAME(__wasi_path_open(dir, 0, "er/big.bin", 0, __WASI_RIGHTS_FD_SEEK, 0, 0, &fd),
         __WASI_ERRNO_NOTCAPABLE);
    SAME(__wasi_path_open(dir, 0, "er", 0, 0, __WASI_RIGHTS_FD_SEEK, 0, &fd), __WASI_ERRNO_NOTCAPABLE);
    SAME(__wasi_path_open(dir, 0, "x", __WASI_OFLAGS_CREAT, 0, 0, 0, &fd), __WASI_ERRNO_NOTCAPABLE);
    SAME(__wasi_path_open(dir, 0, "x", __WASI_OFLAGS_TRUNC, 0, 0, 0, &fd), __WASI_ERRNO_NOTCAPABLE);
    SAME(__wasi_path_open(dir, 0, "x", 0, 0, 0, __WASI_FDFLAGS_SYNC, &fd), __WASI_ERRNO_NOTCAPABLE);
    SAME(__wasi_path_filestat_get(dir, 0, "er", &st), __WASI_ERRNO_NOTCAPABLE);
    SAME(__wasi_path_readlink(dir, "up", b, 8, &n), __WASI_ERRNO_NOTCAPABLE);
    SAME(__wasi_path_unlink_file(dir, "x"), __WASI_ERRNO_NOTCAPABLE);
    SAME(__wasi_path_create_directory(dir, "x"), __WASI_ERRNO_NOTCAPABLE);
    SAME(__wasi_path_remove_directory(dir, "x"), __WASI_ERRNO_NOTCAPABLE);
    SAME(__wasi_path_symlink("x", dir, "x"), __WASI_ERRNO_NOTCAPABLE);
    SAME(__wasi_path_rename(dir, "x", root, "y"), __WASI_ERRNO_NOTCAPABLE);
    SAME(__wasi_path_rename(root, "hello.txt", dir, "y"), __WASI_ERRNO_NOTCAPABLE);
    SAME(__wasi_path_link(dir, 0, "x", root, "y"), __WASI_ERRNO_NOTCAPABLE);
    SAME(__wasi_path_link(root, 0, "hello.txt", dir, "y"), __WASI_ERRNO_NOTCAPABLE);
    SAME(__wasi_path_filestat_set_times(dir, 0, "er", 0, 0, 0), __WASI_ERRNO_NOTCAPABLE);
    SAME(__wasi_fd_readdir(dir, b, 8, 0, &n), __WASI_ERRNO_NOTCAPABLE);
    SAME(__wasi_path_open(root, 0, "deep", 32, 0, 0, 0, &fd), __WASI_ERRNO_INVAL);
    SAME(__wasi_path_open(root, 0, "deep", 0, 0, 0, 64, &fd), __WASI_ERRNO_INVAL);
    SAME(__wasi_path_open(root, 0, "hello.txt", __WASI_OFLAGS_DIRECTORY, 0, 0, 0, &fd),
         __WASI_ERRNO_NOTDIR);
    SAME(__wasi_path_open(root, 0, "deep", 0, __WASI_RIGHTS_FD_WRITE, 0, 0, &fd), __WASI_ERRNO_ISDIR);
    SAME(__wasi_path_open(root, 0, "hello.txt", 0, __WASI_RIGHTS_FD_READ, 0, 0, BAD),
         __WASI_ERRNO_FAULT);
    CHECK_END();
}
