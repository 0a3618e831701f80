// stream.c — the guest's end of bulk transfers by TCP, for bench/parts/tcp.py: one program, built for WASI and for Linux.
//
// Descriptor 3 listens for connections whose data is thrown away; at their end they are answered with the number of bytes, a line. Descriptor 4 listens
// for connections that get data until they close. One thread, poll(), nothing blocks.
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_MAX 30u
enum { SINK = 3, SOURCE = 4 };

static struct {
    int fd;
    bool source;
    unsigned long long bytes;
} connection[CONNECTIONS_MAX];
static unsigned connections;
static char data[65536];

// Moves what can be moved. False: the connection is finished.
static bool serve(unsigned i) {
    int fd = connection[i].fd;
    ssize_t n = connection[i].source ? write(fd, data, sizeof data) : read(fd, data, sizeof data);
    if (n > 0) connection[i].bytes += (unsigned long long)n;
    if (n == 0 && !connection[i].source) {
        char line[32];
        int length = snprintf(line, sizeof line, "%llu\n", connection[i].bytes);
        if (write(fd, line, (size_t)length) != length) perror("stream");
    }
    return n > 0;
}

static void welcome(int listener) {
    int fd = accept(listener, NULL, NULL);
    if (fd < 0) return;
    if (connections == CONNECTIONS_MAX || fcntl(fd, F_SETFL, O_NONBLOCK)) {
        close(fd);
        return;
    }
    connection[connections].fd = fd;
    connection[connections].source = listener == SOURCE;
    connection[connections++].bytes = 0;
}

int main(void) {
    static struct pollfd p[2 + CONNECTIONS_MAX];
    printf("stream: ready\n");
    fflush(stdout);
    for (;;) {
        for (int i = 0; i < 2; i++) p[i] = (struct pollfd){.fd = SINK + i, .events = POLLIN};
        for (unsigned i = 0; i < connections; i++)
            p[2 + i] = (struct pollfd){.fd = connection[i].fd,
                                       .events = connection[i].source ? POLLOUT : POLLIN};
        unsigned before = connections;
        if (poll(p, 2 + before, -1) < 0) return perror("stream: poll"), 1;
        for (unsigned i = before; i-- > 0;)
            if (p[2 + i].revents && !serve(i)) {
                close(connection[i].fd);
                connection[i] = connection[--connections];
            }
        for (int i = 0; i < 2; i++)
            if (p[i].revents) welcome(SINK + i);
    }
}
