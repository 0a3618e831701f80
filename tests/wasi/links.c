// links.c — symbolic links: followed on the way, at the end if asked for, read, and those that go round in circles.
// files: yes
#include "check.h"
#include <unistd.h>

int main(void) {
    char text[32];
    __wasi_fd_t fd;
    size_t n;
    int root = preopened("/");
    SAME(readlink("/link", text, sizeof text), 15);
    TRUE(!memcmp(text, "deep/er/big.bin", 15));
    SAME(__wasi_path_readlink(root, "link", (uint8_t *)text, 4, &n), 0);
    SAME(n, 4); // cut off
    SAME(readlink("/hello.txt", text, sizeof text), -1);
    SAME(errno, EINVAL);
    SAME(readlink("/absent", text, sizeof text), -1);
    SAME(errno, ENOENT);
    SAME(open_at(root, "link", 0, &fd), 0);
    SAME(__wasi_path_open(root, 0, "link", 0, __WASI_RIGHTS_FD_READ, 0, 0, &fd), __WASI_ERRNO_LOOP);
    SAME(open_at(root, "dirlink/er/big.bin", 0, &fd), 0);
    SAME(open_at(root, "dirlink/", 0, &fd), 0);
    SAME(open_at(root, "link/", 0, &fd), __WASI_ERRNO_NOTDIR);
    SAME(open_at(root, "loop", 0, &fd), __WASI_ERRNO_LOOP);
    SAME(open_at(root, "ping/x", 0, &fd), __WASI_ERRNO_LOOP);
    SAME(open_at(root, "dangling", 0, &fd), __WASI_ERRNO_NOENT);
    SAME(__wasi_path_open(root, 1, "dangling", __WASI_OFLAGS_CREAT, __WASI_RIGHTS_FD_READ, 0, 0, &fd),
         __WASI_ERRNO_ROFS);
    CHECK_END();
}
