// not_dir.c — path calls and socket calls on descriptors of another kind.
// files: yes
#include "check.h"

int main(void) {
    __wasi_fd_t fd, other;
    __wasi_filestat_t st;
    uint8_t b[8];
    size_t n;
    uint16_t flags;
    __wasi_iovec_t in = {b, 8};
    __wasi_ciovec_t out = {b, 8};
    int root = preopened("/");
    SAME(open_at(root, "hello.txt", 0, &fd), 0);
    SAME(__wasi_path_create_directory(fd, "x"), __WASI_ERRNO_NOTDIR);
    SAME(__wasi_path_filestat_get(fd, 0, "x", &st), __WASI_ERRNO_NOTDIR);
    SAME(__wasi_path_filestat_set_times(fd, 0, "x", 0, 0, 0), __WASI_ERRNO_NOTDIR);
    SAME(__wasi_path_link(fd, 0, "x", root, "y"), __WASI_ERRNO_NOTDIR);
    SAME(__wasi_path_link(root, 0, "hello.txt", fd, "y"), __WASI_ERRNO_NOTDIR);
    SAME(__wasi_path_open(1, 0, "x", 0, 0, 0, 0, &other), __WASI_ERRNO_NOTDIR);
    SAME(__wasi_path_readlink(fd, "x", b, 8, &n), __WASI_ERRNO_NOTDIR);
    SAME(__wasi_path_remove_directory(fd, "x"), __WASI_ERRNO_NOTDIR);
    SAME(__wasi_path_rename(fd, "x", root, "y"), __WASI_ERRNO_NOTDIR);
    SAME(__wasi_path_rename(root, "hello.txt", fd, "y"), __WASI_ERRNO_NOTDIR);
    SAME(__wasi_path_symlink("x", fd, "y"), __WASI_ERRNO_NOTDIR);
    SAME(__wasi_path_unlink_file(fd, "x"), __WASI_ERRNO_NOTDIR);
    SAME(__wasi_fd_readdir(fd, b, 8, 0, &n), __WASI_ERRNO_NOTCAPABLE);
    SAME(__wasi_fd_read(root, &in, 1, &n), __WASI_ERRNO_NOTCAPABLE);
    SAME(__wasi_fd_write(root, &out, 1, &n), __WASI_ERRNO_NOTCAPABLE);
    for (unsigned i = 0; i < 2; i++) {
        __wasi_fd_t no_socket = i ? fd : 1;
        SAME(__wasi_sock_accept(no_socket, 0, &other), __WASI_ERRNO_NOTSOCK);
        SAME(__wasi_sock_recv(no_socket, &in, 1, 0, &n, &flags), __WASI_ERRNO_NOTSOCK);
        SAME(__wasi_sock_send(no_socket, &out, 1, 0, &n), __WASI_ERRNO_NOTSOCK);
        SAME(__wasi_sock_shutdown(no_socket, 1), __WASI_ERRNO_NOTSOCK);
    }
    CHECK_END();
}
