// escape.c — no path leads out of the directory that it is relative to: neither "..", nor a link, nor an absolute path.
// files: yes
#include "check.h"

static int root;
static int opens(int dir, const char *path) {
    __wasi_fd_t fd;
    int error = open_at(dir, path, 0, &fd);
    if (!error) __wasi_fd_close(fd);
    return error;
}

int main(void) {
    __wasi_fd_t deep, er;
    root = preopened("/");
    SAME(opens(root, ".."), __WASI_ERRNO_NOTCAPABLE);
    SAME(opens(root, "../hello.txt"), __WASI_ERRNO_NOTCAPABLE);
    SAME(opens(root, "deep/../../hello.txt"), __WASI_ERRNO_NOTCAPABLE);
    SAME(opens(root, "deep/er/../../../deep"), __WASI_ERRNO_NOTCAPABLE);
    SAME(opens(root, "/hello.txt"), __WASI_ERRNO_NOTCAPABLE);
    SAME(opens(root, "//"), __WASI_ERRNO_NOTCAPABLE);
    SAME(opens(root, "deep/er/../../hello.txt"), 0);
    SAME(opens(root, "absolute"), __WASI_ERRNO_NOTCAPABLE); // -> /hello.txt
    SAME(opens(root, "outside"), __WASI_ERRNO_NOTCAPABLE);  // -> ../x
    SAME(opens(root, "absent/../hello.txt"), __WASI_ERRNO_NOENT);
    SAME(opens(root, "hello.txt/../hello.txt"), __WASI_ERRNO_NOTDIR);

    SAME(open_at(root, "deep", __WASI_OFLAGS_DIRECTORY, &deep), 0);
    SAME(open_at(deep, "er", __WASI_OFLAGS_DIRECTORY, &er), 0);
    SAME(opens(deep, "er/big.bin"), 0);
    SAME(opens(deep, "../hello.txt"), __WASI_ERRNO_NOTCAPABLE); // though the preopened directory has it
    SAME(opens(deep, "up"), __WASI_ERRNO_NOTCAPABLE);           // -> ../hello.txt
    SAME(opens(root, "deep/up"), 0);
    SAME(opens(er, "big.bin"), 0);
    SAME(opens(er, "../er/big.bin"), __WASI_ERRNO_NOTCAPABLE);
    SAME(__wasi_path_unlink_file(deep, "../hello.txt"), __WASI_ERRNO_ROFS);
    CHECK_END();
}
