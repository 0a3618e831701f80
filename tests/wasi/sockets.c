// sockets.c — preopened listening sockets and accepted connections: an echo at descriptor 3, checks at descriptor 4, until told to quit.
// network: yes
#include "check.h"
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

static int accept_one(int listener) {
    struct pollfd p = {.fd = listener, .events = POLLIN};
    SAME(poll(&p, 1, -1), 1);
    return accept(listener, NULL, NULL);
}

// The peer sends "0123456789", waits for "go on", and sends the rest of what WAITALL waits for.
static void checks(int fd) {
    uint8_t b[16] = {0};
    __wasi_iovec_t in = {b, 4}, whole = {b, 10}, two[2] = {{b, 3}, {b + 8, 5}};
    __wasi_ciovec_t out = {(const uint8_t *)"go on", 5};
    __wasi_filestat_t st;
    __wasi_fdstat_t s;
    __wasi_fd_t other;
    __wasi_filesize_t at;
    size_t n;
    uint16_t flags = 77;
    SAME(__wasi_fd_filestat_get(fd, &st), 0);
    SAME(st.filetype, __WASI_FILETYPE_SOCKET_STREAM);
    SAME(__wasi_fd_fdstat_get(fd, &s), 0);
    SAME(s.fs_filetype, __WASI_FILETYPE_SOCKET_STREAM);
    TRUE(!(s.fs_rights_base & __WASI_RIGHTS_SOCK_ACCEPT));
    SAME(__wasi_sock_accept(fd, 0, &other), __WASI_ERRNO_NOTCAPABLE);
    SAME(__wasi_fd_seek(fd, 0, 0, &at), __WASI_ERRNO_SPIPE);
    SAME(__wasi_sock_recv(fd, &in, 1, 4, &n, &flags), __WASI_ERRNO_INVAL);
    SAME(__wasi_sock_send(fd, &out, 1, 1, &n), __WASI_ERRNO_INVAL);
    SAME(__wasi_sock_shutdown(fd, 0), __WASI_ERRNO_INVAL);
    SAME(__wasi_sock_shutdown(fd, 4), __WASI_ERRNO_INVAL);
    SAME(__wasi_sock_recv(fd, &in, 1, __WASI_RIFLAGS_RECV_PEEK | __WASI_RIFLAGS_RECV_WAITALL, &n, &flags),
         0);
    SAME(n, 4);
    SAME(flags, 0);
    TRUE(!memcmp(b, "0123", 4));
    SAME(__wasi_sock_recv(fd, two, 2, __WASI_RIFLAGS_RECV_WAITALL, &n, &flags), 0);
    TRUE(n == 8 && !memcmp(b, "012", 3) && !memcmp(b + 8, "34567", 5));
    __wasi_iovec_t bad = {BAD, 4};
    SAME(__wasi_sock_recv(fd, &bad, 1, __WASI_RIFLAGS_RECV_PEEK, &n, &flags), __WASI_ERRNO_FAULT);
    SAME(__wasi_sock_recv(fd, BAD, 1, 0, &n, &flags), __WASI_ERRNO_FAULT);
    SAME(__wasi_sock_send(fd, &out, 1, 0, &n), 0);
    SAME(n, 5);
    SAME(__wasi_sock_recv(fd, &whole, 1, __WASI_RIFLAGS_RECV_WAITALL, &n, &flags), 0); // comes in two pieces
    TRUE(n == 10 && !memcmp(b, "89the rest", 10));
    SAME(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    SAME(read(fd, b, 4), -1);
    SAME(errno, EAGAIN);
    SAME(fcntl(fd, F_SETFL, 0), 0);
    SAME(shutdown(fd, SHUT_WR), 0);
    SAME(write(fd, "x", 1), -1);
    SAME(errno, EPIPE);
    SAME(read(fd, b, 4), 4); // the peer answers our end with its last words
    SAME(read(fd, b, 4), 0);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    SAME(poll(&p, 1, 1000), 1);
    TRUE(p.revents & POLLHUP);
}

// Until the peer ends. "quit" first: the program ends.
static int echo(int fd) {
    static char buffer[100000];
    int quits = 0;
    for (ssize_t n, first = 1; (n = read(fd, buffer, sizeof buffer)) > 0; first = 0) {
        if (first && n == 4 && !memcmp(buffer, "quit", 4)) quits = 1;
        SAME(write(fd, buffer, n), n); // a blocking socket takes all
    }
    close(fd);
    return quits;
}

int main(void) {
    __wasi_prestat_t p;
    TRUE(getenv("LISTEN_FDS") && !strcmp(getenv("LISTEN_FDS"), "2"));
    SAME(__wasi_fd_prestat_get(3, &p), 0);
    TRUE(p.tag != __WASI_PREOPENTYPE_DIR);
    SAME(preopened("/"), -1); // nothing but the sockets was granted
    SAME(__wasi_sock_shutdown(3, 1), __WASI_ERRNO_NOTCAPABLE);
    SAME(fcntl(3, F_SETFL, O_NONBLOCK), 0);
    SAME(accept(3, NULL, NULL), -1);
    SAME(errno, EAGAIN);
    puts("listening");
    fflush(stdout);
    int fd = accept_one(4);
    TRUE(fd > 4);
    checks(fd);
    SAME(close(fd), 0);
    while (!echo(accept_one(3)))
        ;
    CHECK_END();
}
