// socket.c — sock_* calls. No network is connected: there are no sockets.
#include "apps/wasi/wasi.h"

uint32_t socket_listeners, socket_events;

void socket_start(void) {}
void socket_close(uint32_t socket) { (void)socket; }
bool socket_ready(struct desc *d, bool write, struct witx_event *out) {
    (void)d, (void)write, (void)out;
    return true;
}
int32_t socket_receive(struct desc *d, uint32_t flags, uint32_t *out_n) {
    (void)d, (void)flags, (void)out_n;
    return ERRNO_NOTSOCK;
}
int32_t socket_send(struct desc *d, uint32_t *out_n) {
    (void)d, (void)out_n;
    return ERRNO_NOTSOCK;
}
static int32_t get(uint32_t fd, uint64_t rights, struct desc **out) {
    int32_t error = fd_get(fd, 0, out);
    if (error) return error;
    if ((*out)->kind != DESC_LISTENER && (*out)->kind != DESC_STREAM) return ERRNO_NOTSOCK;
    return fd_get(fd, rights, out);
}
int32_t WASI(sock_accept)(uint32_t fd, uint32_t flags, uint32_t to) {
    struct desc *d;
    (void)flags, (void)to;
    return get(fd, RIGHTS_SOCK_ACCEPT, &d);
}
int32_t WASI(sock_recv)(uint32_t fd, uint32_t list, uint32_t count, uint32_t flags, uint32_t out_n,
                        uint32_t out_flags) {
    struct desc *d;
    (void)list, (void)count, (void)flags, (void)out_n, (void)out_flags;
    return get(fd, RIGHTS_FD_READ, &d);
}
int32_t WASI(sock_send)(uint32_t fd, uint32_t list, uint32_t count, uint32_t flags, uint32_t out_n) {
    struct desc *d;
    (void)list, (void)count, (void)flags, (void)out_n;
    return get(fd, RIGHTS_FD_WRITE, &d);
}
int32_t WASI(sock_shutdown)(uint32_t fd, uint32_t how) {
    struct desc *d;
    (void)how;
    return get(fd, RIGHTS_SOCK_SHUTDOWN, &d);
}
