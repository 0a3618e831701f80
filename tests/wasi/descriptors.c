// descriptors.c — as many descriptors as there can be, their numbers, and moving one over another.
// files: yes
#include "check.h"
#include <fcntl.h>
#include <unistd.h>

int main(void) {
    __wasi_fd_t fd, last = 0;
    unsigned opened = 0;
    int root = preopened("/"), error;
    while (!(error = open_at(root, "hello.txt", 0, &fd))) {
        opened++;
        last = fd;
    }
    SAME(error, __WASI_ERRNO_MFILE);
    TRUE(opened >= 4000);
    SAME(last, 4095);
    SAME(__wasi_fd_close(77), 0);
    SAME(__wasi_fd_close(55), 0);
    SAME(open_at(root, "hello.txt", 0, &fd), 0);
    SAME(fd, 55);
    SAME(open_at(root, "hello.txt", 0, &fd), 0);
    SAME(fd, 77);
    char c;
    SAME(read(80, &c, 1), 1);
    SAME(__wasi_fd_renumber(80, 90), 0);
    SAME(read(90, &c, 1), 1);
    SAME(c, 'e'); // where 80 was
    SAME(__wasi_fd_renumber(80, 90), __WASI_ERRNO_BADF);
    SAME(open_at(root, "hello.txt", 0, &fd), 0);
    SAME(fd, 80);
    SAME(__wasi_fd_renumber(90, 90), 0);
    for (fd = 4; fd < 4096; fd++) SAME(__wasi_fd_close(fd), 0);
    SAME(open_at(root, "hello.txt", 0, &fd), 0);
    SAME(fd, 4);
    CHECK_END();
}
