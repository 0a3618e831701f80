// poll_fd.c — poll_oneoff on descriptors: files are always ready, output too; errors come as events.
// files: yes
#include "check.h"

int main(void) {
    __wasi_fd_t fd;
    __wasi_subscription_t s[4] = {{0}};
    __wasi_event_t e[4];
    size_t n;
    int root = preopened("/");
    SAME(open_at(root, "hello.txt", 0, &fd), 0);
    for (int i = 0; i < 4; i++) {
        s[i].userdata = 100 + i;
        s[i].u.tag = __WASI_EVENTTYPE_FD_READ;
    }
    s[0].u.u.fd_read.file_descriptor = fd;
    s[1].u.tag = __WASI_EVENTTYPE_FD_WRITE;
    s[1].u.u.fd_write.file_descriptor = 1;
    s[2].u.u.fd_read.file_descriptor = 999; // not open
    s[3].u.u.fd_read.file_descriptor = 1;   // cannot be read
    SAME(__wasi_poll_oneoff(s, e, 4, &n), 0);
    SAME(n, 4);
    for (int i = 0; i < 4; i++) SAME(e[i].userdata, 100 + i);
    SAME(e[0].error, 0);
    SAME(e[0].type, __WASI_EVENTTYPE_FD_READ);
    SAME(e[0].fd_readwrite.nbytes, 14);
    SAME(e[1].error, 0);
    SAME(e[1].type, __WASI_EVENTTYPE_FD_WRITE);
    SAME(e[2].error, __WASI_ERRNO_BADF);
    SAME(e[3].error, __WASI_ERRNO_NOTCAPABLE);
    // A clock that is far away does not hold up what is ready.
    s[1] = (__wasi_subscription_t){.u.tag = __WASI_EVENTTYPE_CLOCK};
    s[1].u.u.clock.id = __WASI_CLOCKID_MONOTONIC;
    s[1].u.u.clock.timeout = 1000000000000;
    SAME(__wasi_poll_oneoff(s, e, 2, &n), 0);
    SAME(n, 1);
    CHECK_END();
}
