// frames.c — the Linux peer's frames: what bench/apps/netload and netports do, from packet sockets, with one system call for each batch.
//
// Lines of /cells: "INTERFACE tx:SIZE:BATCH:COUNT" sends, from a socket that goes round the queueing disciplines; rx receives COUNT frames, up to BATCH with a
// call; ports does that and sends each from the next interface (eth1). Frames that come are numbered; some may be missing, since a
// socket drops what it has no room for, and only those that were received count.
#define _GNU_SOURCE
#include "init.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH_MAX 128
#define FRAME_MAX 1514
#define PROTOCOL 0x88b5 // for experiments
#define RECEIVE_BUFFER (64 << 20)
#define NEXT_INTERFACE "eth1"

static uint8_t frame[BATCH_MAX][FRAME_MAX];
static struct iovec piece[BATCH_MAX];
static struct mmsghdr message[BATCH_MAX];

static void prepare(uint32_t size, uint32_t batch) {
    for (uint32_t i = 0; i < batch; i++) {
        memset(frame[i], 0xff, 12); // to everybody
        memcpy(frame[i] + 12, (uint16_t[]){htons(PROTOCOL)}, 2);
        piece[i] = (struct iovec){frame[i], size};
        message[i].msg_hdr = (struct msghdr){.msg_iov = &piece[i], .msg_iovlen = 1};
    }
}

static uint32_t send_batch(int fd, uint32_t n) {
    uint32_t errors = 0;
    for (uint32_t done = 0; done < n;) {
        int got = sendmmsg(fd, message + done, n - done, 0);
        if (got < 0 && errno != ENOBUFS) errors++, got = 1;
        done += got > 0 ? (uint32_t)got : 0; // no room in the device's ring: again
    }
    return errors;
}

static uint32_t send_frames(int fd, uint32_t batch, uint32_t count) {
    uint32_t errors = 0, sent = 0;
    while (sent < count) {
        uint32_t n = count - sent < batch ? count - sent : batch;
        for (uint32_t i = 0; i < n; i++, sent++) memcpy(frame[i] + 16, &sent, 4);
        errors += send_batch(fd, n);
    }
    return errors;
}

static uint32_t receive_frames(int fd, int out, uint32_t size, uint32_t batch, uint32_t count) {
    uint32_t errors = 0, received = 0;
    while (received < count) {
        uint32_t most = count - received < batch ? count - received : batch;
        int n = recvmmsg(fd, message, most, MSG_WAITFORONE, NULL);
        if (n <= 0) return count;
        for (int i = 0; i < n; i++) errors += message[i].msg_len != size;
        if (out >= 0) errors += send_batch(out, (uint32_t)n);
        received += (uint32_t)n;
    }
    return errors;
}

static int open_interface(const char *name, int protocol) {
    int fd = socket(AF_PACKET, SOCK_RAW, 0), one = 1, room = RECEIVE_BUFFER;
    struct ifreq r = {0};
    snprintf(r.ifr_name, sizeof r.ifr_name, "%s", name);
    for (int i = 0; i < 5000 && ioctl(fd, SIOCGIFINDEX, &r); i++) usleep(1000);
    struct sockaddr_ll at = {.sll_family = AF_PACKET,
                             .sll_protocol = htons((uint16_t)protocol),
                             .sll_ifindex = r.ifr_ifindex};
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one);
    r.ifr_flags = IFF_UP | IFF_RUNNING;
    if (ioctl(fd, SIOCSIFFLAGS, &r)) return -1;
    usleep(100000); // the link comes up
    return bind(fd, (struct sockaddr *)&at, sizeof at) ? -1 : fd;
}

bool frames_line(const char *line) {
    char name[16], text[64], op[8];
    uint32_t size, batch, count;
    if (sscanf(line, "%15s %63s", name, text) != 2) return false;
    if (!strncmp(text, "serve:", 6)) {
        serve(name, text + 6);
        return true;
    }
    if (sscanf(text, "%7[a-z]:%u:%u:%u", op, &size, &batch, &count) != 4) return false;
    bool send = !strcmp(op, "tx"), ports = !strcmp(op, "ports");
    int out = ports ? open_interface(NEXT_INTERFACE, 0) : -1,
        fd = open_interface(name, send ? 0 : PROTOCOL);
    if (fd < 0 || (ports && out < 0) || size > FRAME_MAX || batch > BATCH_MAX) {
        printf("cell %s: there is no %s\n", text, name);
        return true;
    }
    prepare(size, batch);
    int64_t before = now();
    uint32_t errors =
        send ? send_frames(fd, batch, count) : receive_frames(fd, out, size, batch, count);
    printf("cell %s ns=%ld errors=%u\n", text, now() - before, errors);
    close(fd);
    if (out >= 0) close(out);
    return true;
}
