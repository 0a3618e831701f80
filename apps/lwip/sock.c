// sock.c — the sockets class (drivers/sdk/sock.h): handles, states, the ready rings, and the calls, which are checked here and done by the kinds.
//
// A handle is an index into `table` with a generation, so that a handle of a closed socket is no other's. Every call asks the kernel which
// client it is from; a handle of another client does not exist for it. Offsets in the channel are checked against the client's space.
#include "apps/lwip/stack.h"
#include <lwip/dns.h>
#include <lwip/tcp.h>
#include <lwip/udp.h>
#include <string.h>

struct client {
    struct sock_channel *shared; // NULL: not a client's channel
    uint32_t size;
    struct ring ready;
    bool attached, news;
    uint32_t handles;
};

static struct sock table[SOCK_MAX];
static struct client clients[SASOS_CHANNELS_MAX];
static uint32_t client_count;
static uint16_t free_first, free_last;

uint16_t sock_index(const struct sock *s) { return (uint16_t)(s - table); }
struct sock *sock_at(uint16_t index) {
    return &table[index];
}
int32_t sock_handle(const struct sock *s) {
    return (int32_t)(s->generation & 0x7fff) << 16 | sock_index(s);
}

int32_t sock_error_of(int error) {
    switch (error) {
    case ERR_OK: return 0;
    case ERR_MEM:
    case ERR_BUF: return E_NOMEM;
    case ERR_TIMEOUT: return SOCK_E_TIMEOUT;
    case ERR_RTE: return SOCK_E_UNREACHABLE;
    case ERR_USE: return SOCK_E_IN_USE;
    case ERR_ALREADY:
    case ERR_ISCONN: return SOCK_E_CONNECTED;
    case ERR_CONN:
    case ERR_CLSD: return SOCK_E_NOT_CONNECTED;
    case ERR_ABRT: return SOCK_E_TIMEOUT;
    case ERR_RST: return SOCK_E_RESET;
    default: return E_INVAL;
    }
}

// ---- table ----

struct sock *sock_alloc(uint32_t client, uint8_t kind) {
    struct client *c = &clients[client];
    // One client cannot take everything from the others.
    uint32_t quota = client_count > 1 ? SOCK_MAX * 3 / 4 : SOCK_MAX;
    if (free_first == SOCK_NONE || c->handles >= quota) return NULL;
    struct sock *s = &table[free_first];
    free_first = s->next;
    if (free_first == SOCK_NONE) free_last = SOCK_NONE;
    *s = (struct sock){.kind = kind,
                       .client = (uint8_t)client,
                       .generation = s->generation + 1,
                       .ready_at = c->ready.mine - 1,
                       .chunk_first = NIC_NO_CHUNK,
                       .chunk_last = NIC_NO_CHUNK,
                       .next = SOCK_NONE,
                       .listener = SOCK_NONE,
                       .queue_first = SOCK_NONE,
                       .queue_last = SOCK_NONE};
    c->handles++;
    stack_count[COUNT_SOCKETS]++;
    c->shared->state[sock_index(s)] = 0;
    return s;
}

void sock_release(struct sock *s) {
    clients[s->client].handles--;
    stack_count[COUNT_SOCKETS]--;
    s->kind = KIND_FREE;
    s->next = SOCK_NONE; // to the end of the list: an index rests as long as possible
    if (free_last == SOCK_NONE)
        free_first = sock_index(s);
    else
        table[free_last].next = sock_index(s);
    free_last = sock_index(s);
}

void sock_news(uint32_t client) { clients[client].news = true; }

void sock_set(struct sock *s, uint32_t bits, bool on) {
    uint8_t before = s->state;
    s->state = (uint8_t)(on ? before | bits : before & ~bits);
    if (s->kind == KIND_CLOSING || s->queued) return; // nobody has a handle
    struct client *c = &clients[s->client];
    c->shared->state[sock_index(s)] = s->state;
    if (!(s->state & ~before)) return;
    c->news = true;
    if ((int32_t)(s->ready_at - c->ready.shared->tail) >= 0) return; // still in the ring
    if (!ring_space(&c->ready)) return; // only when the client has broken it
    s->ready_at = c->ready.mine;
    c->shared->ready[ring_slot(&c->ready)] = sock_index(s);
    ring_produced(&c->ready);
}

void sock_signal(void) {
    for (uint32_t i = 0; i < SASOS_CHANNELS_MAX; i++)
        if (clients[i].news) {
            clients[i].news = false;
            sasos_chan_signal(i);
        }
}

// ---- clients ----

static void close_sock(struct sock *s) {
    if (s->kind == KIND_UDP)
        datagram_close(s);
    else
        stream_close(s);
}

static void close_all(uint32_t client) {
    for (uint32_t i = 0; i < SOCK_MAX; i++)
        if (table[i].kind != KIND_FREE && table[i].kind != KIND_CLOSING &&
            table[i].client == client && !table[i].queued)
            close_sock(&table[i]);
    names_forget(client);
}

void sock_start(uint32_t nic_channel) {
    for (uint32_t i = 0; i < SOCK_MAX; i++) table[i].next = (uint16_t)(i + 1);
    table[SOCK_MAX - 1].next = SOCK_NONE;
    free_last = SOCK_MAX - 1;
    for (uint32_t i = 0; i < (uint32_t)sasos_chan_count(); i++) {
        if (i == nic_channel) continue;
        if (sasos_chan_size(i) <= SOCK_DATA) {
            log_line("channel %u is too small for a client: %u bytes", i, sasos_chan_size(i));
            continue;
        }
        struct client *c = &clients[i];
        c->shared = (struct sock_channel *)(uintptr_t)sasos_chan_map(i);
        c->size = sasos_chan_size(i);
        ring_init(&c->ready, &c->shared->ready_ring, SOCK_RING);
        client_count++;
    }
    sock_publish();
    for (uint32_t i = 0; i < SASOS_CHANNELS_MAX; i++)
        if (clients[i].shared) clients[i].shared->info.version = SOCK_INFO_VERSION;
}

void sock_client_event(uint32_t channel) {
    struct client *c = &clients[channel];
    if (!c->shared || !c->attached || sasos_chan_signal(channel) != E_PEER) return;
    c->attached = false;
    close_all(channel);
}

void sock_put_address(uint8_t *to, const ip_addr_t *ip, uint16_t port) {
    struct sock_address a = {.family = 0, .port = port};
    if (ip && IP_IS_V4(ip)) {
        a.family = 4;
        memcpy(a.ip, &ip_2_ip4(ip)->addr, 4);
    } else if (ip && ip6_addr_isipv4mappedipv6(ip_2_ip6(ip))) {
        a.family = 4;
        memcpy(a.ip, &ip_2_ip6(ip)->addr[3], 4);
    } else if (ip) {
        a.family = 6;
        memcpy(a.ip, ip_2_ip6(ip)->addr, 16);
    }
    memcpy(to, &a, sizeof(a));
}

static void publish(struct sock_channel *s) {
    const struct netif *n = &nic_netif;
    s->info.changes++;
    barrier_compiler();
    s->info.link_up = netif_is_link_up(n);
    s->info.mtu = n->mtu;
    memcpy(s->info.mac, n->hwaddr, 6);
    ip_addr_t ip;
    struct sock_address none = {0};
    s->info.address4 = s->info.gateway4 = s->info.dns = none;
    for (uint32_t i = 0; i < 3; i++) s->info.address6[i] = none;
    s->info.prefix4 = (uint8_t)__builtin_popcount(netif_ip4_netmask(n)->addr);
    if (!ip4_addr_isany(netif_ip4_addr(n))) {
        ip_addr_copy_from_ip4(ip, *netif_ip4_addr(n));
        sock_put_address((uint8_t *)&s->info.address4, &ip, 0);
    }
    if (!ip4_addr_isany(netif_ip4_gw(n))) {
        ip_addr_copy_from_ip4(ip, *netif_ip4_gw(n));
        sock_put_address((uint8_t *)&s->info.gateway4, &ip, 0);
    }
    if (!ip_addr_isany(dns_getserver(0)))
        sock_put_address((uint8_t *)&s->info.dns, dns_getserver(0), 53);
    uint32_t k = 0;
    for (int i = 0; i < LWIP_IPV6_NUM_ADDRESSES && k < 3; i++)
        if (ip6_addr_isvalid(netif_ip6_addr_state(n, i)))
            sock_put_address((uint8_t *)&s->info.address6[k++], netif_ip_addr6(n, i), 0);
    barrier_compiler();
    s->info.changes++;
}

void sock_publish(void) {
    for (uint32_t i = 0; i < SASOS_CHANNELS_MAX; i++)
        if (clients[i].shared) {
            publish(clients[i].shared);
            clients[i].news = clients[i].attached;
        }
}

uint8_t *sock_space(uint32_t client, uint32_t at, uint32_t n) {
    const struct client *c = &clients[client];
    if (at < SOCK_DATA || at > c->size || n > c->size - at) return NULL;
    return (uint8_t *)c->shared + at;
}

// ---- calls: what is the same for all of them ----

// The caller's number, or an error. A client that has not attached has nothing.
static int32_t caller(void) {
    int32_t i = sasos_caller_channel();
    if (i < 0 || i >= (int32_t)SASOS_CHANNELS_MAX || !clients[i].shared) return E_DENIED;
    return clients[i].attached ? i : E_NOENT;
}

// The caller's socket of that handle, NULL if there is none.
static struct sock *own(int32_t handle) {
    int32_t client = caller();
    uint32_t index = SOCK_INDEX(handle);
    if (client < 0 || handle < 0 || index >= SOCK_MAX) return NULL;
    struct sock *s = &table[index];
    if (s->kind == KIND_FREE || s->kind == KIND_CLOSING || s->client != client || s->queued ||
        sock_handle(s) != handle)
        return NULL;
    stack_enter();
    return s;
}

static int32_t leave(int32_t result) {
    stack_leave(false);
    return result;
}

// An address from the caller's space: 0, or an error.
static int32_t get_address(uint32_t client, uint32_t at, ip_addr_t *out_ip, uint16_t *out_port) {
    const uint8_t *from = sock_space(client, at, sizeof(struct sock_address));
    if (!from) return E_FAULT;
    struct sock_address a;
    memcpy(&a, from, sizeof(a));
    *out_port = a.port;
    if (a.family == 4) {
        IP_SET_TYPE_VAL(*out_ip, IPADDR_TYPE_V4);
        memcpy(&ip_2_ip4(out_ip)->addr, a.ip, 4);
    } else if (a.family == 6) {
        IP_SET_TYPE_VAL(*out_ip, IPADDR_TYPE_V6);
        memcpy(ip_2_ip6(out_ip)->addr, a.ip, 16);
        ip6_addr_clear_zone(ip_2_ip6(out_ip));
        if (ip6_addr_has_scope(ip_2_ip6(out_ip), IP6_UNKNOWN))
            ip6_addr_assign_zone(ip_2_ip6(out_ip), IP6_UNKNOWN, &nic_netif);
        if (ip6_addr_isany(ip_2_ip6(out_ip))) *out_ip = *IP6_ADDR_ANY;
    } else if (a.family == 0) {
        *out_ip = *IP_ANY_TYPE;
    } else {
        return E_INVAL;
    }
    return 0;
}

SOCK_CALL(sock_attach)(void) {
    int32_t i = sasos_caller_channel();
    if (i < 0 || i >= (int32_t)SASOS_CHANNELS_MAX || !clients[i].shared) return E_DENIED;
    stack_enter();
    struct client *c = &clients[i];
    close_all((uint32_t)i);
    c->shared->ready_ring.head = c->shared->ready_ring.tail = 0;
    ring_init(&c->ready, &c->shared->ready_ring, SOCK_RING);
    for (uint32_t k = 0; k < SOCK_MAX; k++) c->shared->state[k] = 0;
    c->attached = true;
    publish(c->shared);
    return leave(0);
}

SOCK_CALL(sock_open)(uint32_t type) {
    int32_t client = caller();
    if (client < 0) return client;
    if (type != SOCK_STREAM && type != SOCK_DGRAM) return E_INVAL;
    stack_enter();
    struct sock *s = sock_alloc((uint32_t)client, type == SOCK_STREAM ? KIND_TCP : KIND_UDP);
    if (!s) return E_NOMEM;
    int32_t error = type == SOCK_STREAM ? stream_open(s) : datagram_open(s);
    if (error) {
        sock_release(s);
        return error;
    }
    return sock_handle(s);
}

SOCK_CALL(sock_bind)(int32_t handle, uint32_t address_at) {
    struct sock *s = own(handle);
    ip_addr_t ip;
    uint16_t port;
    if (!s) return E_NOENT;
    int32_t error = get_address(s->client, address_at, &ip, &port);
    if (error) return error;
    if (s->kind == KIND_TCP && s->tcp && s->tcp->state == CLOSED)
        return sock_error_of(tcp_bind(s->tcp, &ip, port));
    if (s->kind == KIND_UDP) return sock_error_of(udp_bind(s->udp, &ip, port));
    return E_INVAL;
}

SOCK_CALL(sock_listen)(int32_t handle, uint32_t backlog) {
    struct sock *s = own(handle);
    if (!s) return E_NOENT;
    return s->kind == KIND_TCP ? leave(stream_listen(s, backlog)) : E_INVAL;
}

SOCK_CALL(sock_accept)(int32_t handle, uint32_t address_at) {
    struct sock *s = own(handle);
    if (!s) return E_NOENT;
    if (s->kind != KIND_LISTENER) return E_INVAL;
    uint8_t *to = address_at ? sock_space(s->client, address_at, sizeof(struct sock_address)) : NULL;
    if (address_at && !to) return E_FAULT;
    struct sock *n = stream_accept(s);
    if (!n) return E_AGAIN;
    if (to)
        sock_put_address(to, n->tcp ? &n->tcp->remote_ip : NULL, n->tcp ? n->tcp->remote_port : 0);
    return sock_handle(n);
}

SOCK_CALL(sock_connect)(int32_t handle, uint32_t address_at) {
    struct sock *s = own(handle);
    ip_addr_t ip;
    uint16_t port;
    if (!s) return E_NOENT;
    int32_t error = get_address(s->client, address_at, &ip, &port);
    if (error) return error;
    if (s->kind == KIND_UDP) return sock_error_of(udp_connect(s->udp, &ip, port));
    return s->kind == KIND_TCP ? leave(stream_connect(s, &ip, port)) : E_INVAL;
}

SOCK_CALL(sock_send)(int32_t handle, uint32_t at, uint32_t n) {
    struct sock *s = own(handle);
    if (!s) return E_NOENT;
    const uint8_t *data = sock_space(s->client, at, n);
    if (!data) return E_FAULT;
    // What is sent waits for the client's flush, or for the home thread's next turn: several calls make one batch.
    if (s->kind == KIND_UDP) return datagram_send(s, data, n, NULL, 0);
    return s->kind == KIND_TCP ? stream_send(s, data, n) : E_INVAL;
}

SOCK_CALL(sock_send_to)(int32_t handle, uint32_t at, uint32_t n, uint32_t address_at) {
    struct sock *s = own(handle);
    ip_addr_t ip;
    uint16_t port;
    if (!s) return E_NOENT;
    const uint8_t *data = sock_space(s->client, at, n);
    if (!data) return E_FAULT;
    int32_t error = get_address(s->client, address_at, &ip, &port);
    if (error) return error;
    return s->kind == KIND_UDP ? datagram_send(s, data, n, &ip, port) : E_INVAL;
}

static int32_t receive(int32_t handle, uint32_t at, uint32_t n, uint32_t flags, uint32_t address_at) {
    struct sock *s = own(handle);
    if (!s) return E_NOENT;
    uint8_t *to = sock_space(s->client, at, n);
    uint8_t *address =
        address_at ? sock_space(s->client, address_at, sizeof(struct sock_address)) : NULL;
    if (!to || (address_at && !address)) return E_FAULT;
    if (s->kind == KIND_UDP) return datagram_recv(s, to, n, flags & SOCK_PEEK, address);
    if (s->kind != KIND_TCP) return E_INVAL;
    if (address)
        sock_put_address(address, s->tcp ? &s->tcp->remote_ip : NULL, s->tcp ? s->tcp->remote_port : 0);
    return stream_recv(s, to, n, flags & SOCK_PEEK);
}

SOCK_CALL(sock_recv)(int32_t handle, uint32_t at, uint32_t n, uint32_t flags) {
    return receive(handle, at, n, flags, 0);
}

SOCK_CALL(sock_recv_from)
(int32_t handle, uint32_t at, uint32_t n, uint32_t flags, uint32_t address_at) {
    return receive(handle, at, n, flags, address_at);
}

SOCK_CALL(sock_shutdown)(int32_t handle, uint32_t how) {
    struct sock *s = own(handle);
    if (!s) return E_NOENT;
    if (!how || how > (SOCK_SHUT_RECEIVE | SOCK_SHUT_SEND) || s->kind != KIND_TCP) return E_INVAL;
    return stream_shutdown(s, how);
}

SOCK_CALL(sock_close)(int32_t handle) {
    struct sock *s = own(handle);
    if (!s) return E_NOENT;
    close_sock(s);
    return 0;
}

SOCK_CALL(sock_option)(int32_t handle, uint32_t option, uint32_t value) {
    struct sock *s = own(handle);
    if (!s) return E_NOENT;
    if (s->kind == KIND_UDP) {
        if (option != SOCK_BROADCAST) return E_INVAL;
        if (value)
            ip_set_option(s->udp, SOF_BROADCAST);
        else
            ip_reset_option(s->udp, SOF_BROADCAST);
        return 0;
    }
    if (!s->tcp) return s->error ? s->error : E_INVAL;
    if (option == SOCK_NODELAY && s->kind == KIND_TCP) {
        if (value)
            tcp_nagle_disable(s->tcp);
        else
            tcp_nagle_enable(s->tcp);
        return 0;
    }
    if (option == SOCK_KEEPALIVE) {
        if (value)
            ip_set_option(s->tcp, SOF_KEEPALIVE);
        else
            ip_reset_option(s->tcp, SOF_KEEPALIVE);
        return 0;
    }
    return E_INVAL;
}

SOCK_CALL(sock_name)(int32_t handle, uint32_t peer, uint32_t address_at) {
    struct sock *s = own(handle);
    if (!s) return E_NOENT;
    uint8_t *to = sock_space(s->client, address_at, sizeof(struct sock_address));
    if (!to) return E_FAULT;
    if (s->kind == KIND_UDP) {
        if (peer && !(s->udp->flags & UDP_FLAGS_CONNECTED)) return SOCK_E_NOT_CONNECTED;
        sock_put_address(to, peer ? &s->udp->remote_ip : &s->udp->local_ip,
                         peer ? s->udp->remote_port : s->udp->local_port);
        return 0;
    }
    if (!s->tcp || (peer && (s->kind == KIND_LISTENER || !s->tcp->remote_port)))
        return SOCK_E_NOT_CONNECTED;
    sock_put_address(to, peer ? &s->tcp->remote_ip : &s->tcp->local_ip,
                     peer ? s->tcp->remote_port : s->tcp->local_port);
    return 0;
}

SOCK_CALL(sock_error)(int32_t handle) {
    struct sock *s = own(handle);
    return s ? s->error : E_NOENT;
}

SOCK_CALL(sock_resolve)(uint32_t name_at, uint32_t n, uint32_t family, uint32_t address_at) {
    int32_t client = caller();
    if (client < 0) return client;
    const uint8_t *name = sock_space((uint32_t)client, name_at, n);
    uint8_t *address = sock_space((uint32_t)client, address_at, sizeof(struct sock_address));
    if (!name || !address) return E_FAULT;
    if (family != 0 && family != 4 && family != 6) return E_INVAL;
    stack_enter();
    return leave(names_resolve((uint32_t)client, (const char *)name, n, family, address));
}

SOCK_CALL(sock_flush)(void) {
    int32_t client = caller();
    return client < 0 ? client : leave(0);
}
