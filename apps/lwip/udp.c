// udp.c — datagram sockets on lwIP's raw UDP: a bounded queue of received datagrams each, in the device's buffers, or copied when those get scarce.
#include "apps/lwip/stack.h"
#include <lwip/mem.h>
#include <lwip/udp.h>
#include <string.h>

#define DATAGRAMS_MAX 64u // waiting in one socket; more are dropped

struct datagram {
    struct datagram *next;
    struct pbuf *p;
    ip_addr_t ip;
    uint16_t port;
};

static void on_received(void *arg, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *ip,
                        u16_t port) {
    struct sock *s = arg;
    (void)pcb;
    struct datagram *d = s->datagrams < DATAGRAMS_MAX ? mem_malloc(sizeof(*d)) : NULL;
    if (d && nic_low()) {
        struct pbuf *copy = pbuf_alloc(PBUF_RAW, p->tot_len, PBUF_RAM);
        if (copy) pbuf_copy(copy, p);
        pbuf_free(p);
        p = copy;
    }
    if (!d || !p) {
        if (p) pbuf_free(p);
        if (d) mem_free(d);
        return;
    }
    *d = (struct datagram){NULL, p, *ip, port};
    if (s->last)
        s->last->next = d;
    else
        s->first = d;
    s->last = d;
    s->datagrams++;
    sock_set(s, SOCK_READABLE, true);
}

static void drop_first(struct sock *s) {
    struct datagram *d = s->first;
    s->first = d->next;
    if (!s->first) s->last = NULL;
    s->datagrams--;
    pbuf_free(d->p);
    mem_free(d);
    if (!s->first) sock_set(s, SOCK_READABLE, false);
}

int32_t datagram_open(struct sock *s) {
    s->udp = udp_new_ip_type(IPADDR_TYPE_ANY);
    if (!s->udp) return E_NOMEM;
    udp_recv(s->udp, on_received, s);
    sock_set(s, SOCK_WRITABLE, true);
    return 0;
}

int32_t datagram_send(struct sock *s, const uint8_t *data, uint32_t n, const ip_addr_t *ip,
                      uint16_t port) {
    if (n > 65507) return SOCK_E_TOO_LONG; // RFC 768 in IPv4
    if (!ip && !(s->udp->flags & UDP_FLAGS_CONNECTED)) return SOCK_E_NOT_CONNECTED;
    struct pbuf *p = pbuf_alloc(PBUF_TRANSPORT, (u16_t)n, PBUF_RAM);
    if (!p) return E_AGAIN;
    memcpy(p->payload, data, n);
    err_t error = ip ? udp_sendto(s->udp, p, ip, port) : udp_send(s->udp, p);
    pbuf_free(p);
    if (error == ERR_MEM || error == ERR_BUF) return E_AGAIN;
    return error == ERR_OK ? (int32_t)n : sock_error_of(error);
}

int32_t datagram_recv(struct sock *s, uint8_t *to, uint32_t n, bool peek, uint8_t *address) {
    struct datagram *d = s->first;
    if (!d) return E_AGAIN;
    uint32_t length = pbuf_copy_partial(d->p, to, (u16_t)(n < 0xffff ? n : 0xffff), 0);
    if (address) sock_put_address(address, &d->ip, d->port);
    if (!peek) drop_first(s);
    return (int32_t)length;
}

void datagram_close(struct sock *s) {
    udp_remove(s->udp);
    while (s->first) drop_first(s);
    sock_release(s);
}
