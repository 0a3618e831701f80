// connects.c — preopened connections: descriptor 4 leads to somebody, 5 to nobody; an echo at 4 until it is told how to end.
// network: yes
#include "check.h"
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

static void check_nobody(int fd) {
    char c;
    struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};
    __wasi_fdstat_t s;
    SAME(__wasi_fd_fdstat_get(fd, &s), 0);
    SAME(s.fs_filetype, __WASI_FILETYPE_SOCKET_STREAM);
    SAME(read(fd, &c, 1), -1);
    SAME(errno, ECONNRESET);
    SAME(write(fd, "x", 1), -1);
    SAME(errno, ECONNRESET);
    SAME(poll(&p, 1, -1), 1);
    TRUE(p.revents & POLLHUP);
    SAME(close(fd), 0);
}

int main(void) {
    static char text[65536];
    ssize_t n;
    SAME(atoi(getenv("LISTEN_FDS")), 1);
    check_nobody(5);
    SAME(write(4, "hello", 5), 5);
    while ((n = read(4, text, sizeof text)) > 0) {
        if (n >= 4 && !memcmp(text + n - 4, "trap", 4)) __builtin_trap();
        if (n >= 4 && !memcmp(text + n - 4, "quit", 4)) CHECK_END();
        for (ssize_t at = 0, done; at < n; at += done)
            if ((done = write(4, text + at, (size_t)(n - at))) < 0) return 98;
    }
    return 99;
}
