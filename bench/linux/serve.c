// serve.c — the servers of the Linux peer: HTTP by epoll on port 80, and bench/programs/stream.c on ports 9 and 19, each a process.
//
// Every request gets the same bytes: those that SASOS's server answers, which bench/parts/http.py has asked for and put into /keep (the connection
// goes on) and /close. It does what a request needs and no more, so it is about as fast as a server on Linux can be that has one thread. A request for
// /api/status is where instruction counts begin and end. Well-formed requests of one packet are all it understands: nobody else can reach it.
#define _GNU_SOURCE
#include "init.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS 256
static struct answer {
    char bytes[65536];
    size_t length;
} keep, last;

static void read_answer(const char *path, struct answer *out) {
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, out->bytes, sizeof out->bytes);
    out->length = n > 0 ? (size_t)n : 0;
    if (fd >= 0) close(fd);
}

static int set(int fd, const char *name, unsigned long request, const char *text) {
    struct ifreq r = {0};
    struct sockaddr_in *to = (struct sockaddr_in *)&r.ifr_addr;
    snprintf(r.ifr_name, sizeof r.ifr_name, "%s", name);
    to->sin_family = AF_INET;
    inet_pton(AF_INET, text, &to->sin_addr);
    return ioctl(fd, request, &r);
}

static bool configure(const char *name, const char *address) {
    struct ifreq r = {0};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    snprintf(r.ifr_name, sizeof r.ifr_name, "%s", name);
    for (int i = 0; i < 5000 && ioctl(fd, SIOCGIFINDEX, &r); i++) usleep(1000);
    r.ifr_flags = IFF_UP | IFF_RUNNING;
    bool good = !set(fd, name, SIOCSIFADDR, address) &&
                !set(fd, name, SIOCSIFNETMASK, "255.255.255.0") && !ioctl(fd, SIOCSIFFLAGS, &r);
    close(fd);
    return good;
}

static int listener(uint16_t port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 1024)) perror("listen");
    return fd;
}

static void welcome(int epoll, int from) {
    int fd, one = 1;
    while ((fd = accept4(from, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e);
    }
}

static void answer(int fd) {
    static const char status[] = "GET /api/status ", over[] = "Connection: close";
    static char request[65536];
    ssize_t n = read(fd, request, sizeof request - 1);
    if (n > 0) {
        request[n] = 0;
        if (!strncmp(request, status, sizeof status - 1)) now();
        const struct answer *a = strstr(request, over) ? &last : &keep;
        if (write(fd, a->bytes, a->length) == (ssize_t)a->length && a == &keep) return;
    }
    close(fd);
}

static void http(int from) {
    struct epoll_event got[EVENTS], e = {.events = EPOLLIN, .data.fd = from};
    int epoll = epoll_create1(0);
    epoll_ctl(epoll, EPOLL_CTL_ADD, from, &e);
    for (;;) {
        int n = epoll_wait(epoll, got, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (got[i].data.fd == from)
                welcome(epoll, from);
            else
                answer(got[i].data.fd);
        }
    }
}

void serve(const char *interface, const char *address) {
    if (!configure(interface, address)) {
        printf("init: %s cannot be configured\n", interface);
        return;
    }
    read_answer("/keep", &keep);
    read_answer("/close", &last);
    signal(SIGPIPE, SIG_IGN); // clients go in the middle
    int sink = listener(9), source = listener(19), web = listener(80);
    if (!fork()) {
        dup2(sink, 203); // out of the way of the numbers that it wants
        dup2(source, 204);
        dup2(203, 3);
        dup2(204, 4);
        exit(stream_main());
    }
    printf("init: serving\n");
    http(web);
}
