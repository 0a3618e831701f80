// closed.c — descriptors that were never there or are closed: every call says so.
// files: yes
#include "check.h"

static void all(__wasi_fd_t fd) {
    __wasi_fdstat_t s;
    __wasi_filestat_t st;
    __wasi_prestat_t p;
    __wasi_filesize_t at;
    uint8_t b[8];
    size_t n;
    uint16_t flags;
    __wasi_fd_t other;
    __wasi_iovec_t in = {b, 8};
    __wasi_ciovec_t out = {b, 8};
    SAME(__wasi_fd_advise(fd, 0, 0, 0), __WASI_ERRNO_BADF);
    SAME(__wasi_fd_allocate(fd, 0, 1), __WASI_ERRNO_BADF);
    SAME(__wasi_fd_close(fd), __WASI_ERRNO_BADF);
    SAME(__wasi_fd_datasync(fd), __WASI_ERRNO_BADF);
    SAME(__wasi_fd_fdstat_get(fd, &s), __WASI_ERRNO_BADF);
    SAME(__wasi_fd_fdstat_set_flags(fd, 0), __WASI_ERRNO_BADF);
    SAME(__wasi_fd_fdstat_set_rights(fd, 0, 0), __WASI_ERRNO_BADF);
    SAME(__wasi_fd_filestat_get(fd, &st), __WASI_ERRNO_BADF);
    SAME(__wasi_fd_filestat_set_size(fd, 0), __WASI_ERRNO_BADF);
    SAME(__wasi_fd_filestat_set_times(fd, 0, 0, 0), __WASI_ERRNO_BADF);
    SAME(__wasi_fd_pread(fd, &in, 1, 0, &n), __WASI_ERRNO_BADF);
    SAME(__wasi_fd_prestat_get(fd, &p), __WASI_ERRNO_BADF);
    SAME(__wasi_fd_prestat_dir_name(fd, b, 8), __WASI_ERRNO_BADF);
    SAME(__wasi_fd_pwrite(fd, &out, 1, 0, &n), __WASI_ERRNO_BADF);
    SAME(__wasi_fd_read(fd, &in, 1, &n), __WASI_ERRNO_BADF);
    SAME(__wasi_fd_readdir(fd, b, 8, 0, &n), __WASI_ERRNO_BADF);
    SAME(__wasi_fd_renumber(fd, 0), __WASI_ERRNO_BADF);
    SAME(__wasi_fd_renumber(0, fd), __WASI_ERRNO_BADF);
    SAME(__wasi_fd_seek(fd, 0, 0, &at), __WASI_ERRNO_BADF);
    SAME(__wasi_fd_sync(fd), __WASI_ERRNO_BADF);
    SAME(__wasi_fd_tell(fd, &at), __WASI_ERRNO_BADF);
    SAME(__wasi_fd_write(fd, &out, 1, &n), __WASI_ERRNO_BADF);
    SAME(__wasi_path_create_directory(fd, "x"), __WASI_ERRNO_BADF);
    SAME(__wasi_path_filestat_get(fd, 0, "x", &st), __WASI_ERRNO_BADF);
    SAME(__wasi_path_filestat_set_times(fd, 0, "x", 0, 0, 0), __WASI_ERRNO_BADF);
    SAME(__wasi_path_link(fd, 0, "x", fd, "y"), __WASI_ERRNO_BADF);
    SAME(__wasi_path_open(fd, 0, "x", 0, 0, 0, 0, &other), __WASI_ERRNO_BADF);
    SAME(__wasi_path_readlink(fd, "x", b, 8, &n), __WASI_ERRNO_BADF);
    SAME(__wasi_path_remove_directory(fd, "x"), __WASI_ERRNO_BADF);
    SAME(__wasi_path_rename(fd, "x", fd, "y"), __WASI_ERRNO_BADF);
    SAME(__wasi_path_symlink("x", fd, "y"), __WASI_ERRNO_BADF);
    SAME(__wasi_path_unlink_file(fd, "x"), __WASI_ERRNO_BADF);
    SAME(__wasi_sock_accept(fd, 0, &other), __WASI_ERRNO_BADF);
    SAME(__wasi_sock_recv(fd, &in, 1, 0, &n, &flags), __WASI_ERRNO_BADF);
    SAME(__wasi_sock_send(fd, &out, 1, 0, &n), __WASI_ERRNO_BADF);
    SAME(__wasi_sock_shutdown(fd, 1), __WASI_ERRNO_BADF);
}

int main(void) {
    __wasi_fd_t fd, again;
    int root = preopened("/");
    SAME(open_at(root, "hello.txt", 0, &fd), 0);
    SAME(__wasi_fd_close(fd), 0);
    all(fd);
    all(4000);
    all(4096);
    all(0xffffffff);
    SAME(open_at(root, "hello.txt", 0, &again), 0);
    SAME(again, fd); // the lowest number that is free
    CHECK_END();
}
