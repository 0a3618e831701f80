// socket.c — preopened listening and connected sockets, and the sock_* calls, over the network stack's service (drivers/sdk/sock.h).
//
// SASOS_LISTEN=tcp:PORT,… makes listening sockets, SASOS_CONNECT=tcp:HOST:PORT,… connected ones (HOST: a name, an IPv4 address). Data is
// moved between the channel and the program's memory in one copy. When the stack has died and come back, its listening sockets
// are made again; connections are reset.
#include "apps/wasi/wasi.h"
#include "drivers/sdk/sock.h"

#define LISTENERS_MAX 8u
#define CONNECTS_MAX 8u
#define BACKLOG 256u
#define CONNECT_NS (30ll * 1000000000)
#define ADDRESS SOCK_DATA     // a struct sock_address
#define NAME (SOCK_DATA + 64) // a host's name
#define NAME_MAX 256u
#define DATA (SOCK_DATA + 1024)
#define PART_MAX 65536u // bytes that one call of the stack's moves

uint32_t socket_listeners, socket_events;
static uint32_t connects;
static struct sock_client net;
static int32_t life; // the stack's; 0: there is none
static bool up;      // it was there at the latest look
static bool queued;  // something may have to be flushed
static struct {
    uint16_t port;
    int32_t handle;
} listener[LISTENERS_MAX];
static struct {
    char host[NAME_MAX];
    uint16_t port;
} connection[CONNECTS_MAX];

static int32_t errno_of_socket(int32_t error) {
    switch (error) {
    case SOCK_E_REFUSED: return ERRNO_CONNREFUSED;
    case SOCK_E_TIMEOUT: return ERRNO_TIMEDOUT;
    case SOCK_E_IN_USE: return ERRNO_ADDRINUSE;
    case SOCK_E_UNREACHABLE: return ERRNO_HOSTUNREACH;
    case SOCK_E_NOT_CONNECTED: return ERRNO_NOTCONN;
    case SOCK_E_CONNECTED: return ERRNO_ISCONN;
    case SOCK_E_TOO_LONG: return ERRNO_MSGSIZE;
    case SOCK_E_SHUT: return ERRNO_PIPE;
    case SOCK_E_NO_NAME: return ERRNO_NOENT;
    case E_NOENT: // a handle of an earlier life
    case E_DEAD:
    case SOCK_E_RESET: return ERRNO_CONNRESET;
    default: return errno_of(error);
    }
}

static void *space(uint32_t at) { return (uint8_t *)net.shared + at; }

static uint32_t part(uint64_t n) {
    uint32_t room = net.size - DATA < PART_MAX ? net.size - DATA : PART_MAX;
    return n < room ? (uint32_t)n : room;
}

static int32_t listen_at(uint32_t i) {
    listener[i].handle = sock_open(SOCK_STREAM);
    if (listener[i].handle < 0) return listener[i].handle;
    *(struct sock_address *)space(ADDRESS) = (struct sock_address){.port = listener[i].port};
    int32_t error = sock_bind(listener[i].handle, ADDRESS);
    return error ? error : sock_listen(listener[i].handle, BACKLOG);
}

// The stack is there; after its death and return, so are the listening sockets again. A kernel call: for rare occasions.
static bool alive(void) {
    int32_t now = life ? sasos_chan_generation(net.number) : 0;
    if (now == life) return life;
    if (now < 0 || sock_client_open(&net)) return false;
    life = now;
    for (uint32_t i = 0; i < socket_listeners; i++)
        if (listen_at(i)) log_line("port %u cannot be listened at again", listener[i].port);
    return true;
}

// The stack's handle of a descriptor, or a negative error. Whether the stack still lives is seen from what its calls answer.
static int32_t handle_of(const struct desc *d) {
    if (!life) return E_DEAD;
    if (d->kind == DESC_LISTENER) return listener[d->socket].handle;
    return d->life == life ? d->socket : E_NOENT;
}

static bool gone(int32_t error) { return error == E_DEAD || error == E_NOENT; }

void socket_flush(void) {
    if (queued) sock_flush();
    queued = false;
}

void socket_look(void) {
    up = life && alive();
    while (up && sock_next_ready(&net) >= 0)
        ;
}

void socket_close(struct desc *d) {
    if (handle_of(d) >= 0) sock_close(d->socket);
    queued = true;
}

// Waits until one of the bits is true of it, or it is gone. INTR when the program is being ended.
static int32_t block(const struct desc *d, uint32_t bits) {
    for (;;) {
        socket_look();
        int32_t h = handle_of(d);
        if (up ? h < 0 || sock_state(&net, h) & (bits | SOCK_ERROR) : d->kind == DESC_STREAM)
            return SUCCESS;
        if (wait_until(socket_events, FOREVER) < 0) return ERRNO_INTR;
    }
}

bool socket_ready(struct desc *d, bool write, struct witx_event *out) {
    int32_t h = up ? handle_of(d) : E_DEAD;
    if (h < 0 && d->kind == DESC_LISTENER) return false;
    if (h < 0) {
        out->flags = EVENTRWFLAGS_FD_READWRITE_HANGUP;
        return true;
    }
    uint32_t state = sock_state(&net, h);
    if (state & (SOCK_ERROR | SOCK_EOF)) out->flags = EVENTRWFLAGS_FD_READWRITE_HANGUP;
    if (!(state & (SOCK_ERROR | (write ? SOCK_WRITABLE : SOCK_READABLE)))) return false;
    out->nbytes = 1; // how many is not known before they are taken
    return true;
}

int32_t socket_receive(struct desc *d, uint32_t flags, uint32_t *out_n) {
    uint32_t total = 0;
    *out_n = 0;
    while (iov_left()) {
        int32_t h = handle_of(d);
        int32_t n =
            h < 0 ? h
                  : sock_recv(h, DATA, part(iov_left()), flags & RIFLAGS_RECV_PEEK ? SOCK_PEEK : 0);
        if (n == E_AGAIN) {
            if (total && !(flags & RIFLAGS_RECV_WAITALL)) break;
            if (d->flags & FDFLAGS_NONBLOCK) return total ? SUCCESS : ERRNO_AGAIN;
            int32_t error = block(d, SOCK_READABLE);
            if (error) return error;
            continue;
        }
        if (n < 0) return total ? SUCCESS : errno_of_socket(n);
        queued = true; // the window may have to be announced
        if (!n) break;
        int32_t error = iov_scatter(space(DATA), (uint32_t)n);
        if (error) return error;
        *out_n = total += (uint32_t)n;
        if (flags & RIFLAGS_RECV_PEEK) break;
    }
    return SUCCESS;
}

int32_t socket_send(struct desc *d, uint32_t *out_n) {
    uint32_t total = 0;
    *out_n = 0;
    while (iov_left()) {
        uint32_t n = part(iov_left());
        int32_t error = life ? iov_gather(space(DATA), n) : ERRNO_CONNRESET;
        if (error) return total ? SUCCESS : error;
        for (uint32_t at = 0; at < n;) {
            int32_t h = handle_of(d);
            int32_t taken = h < 0 ? h : sock_send(h, DATA + at, n - at);
            if (taken == E_AGAIN) {
                if (d->flags & FDFLAGS_NONBLOCK) return total ? SUCCESS : ERRNO_AGAIN;
                if ((error = block(d, SOCK_WRITABLE))) return error;
                continue;
            }
            if (taken < 0) return total ? SUCCESS : errno_of_socket(taken);
            queued = true;
            at += (uint32_t)taken;
            *out_n = total += (uint32_t)taken;
        }
    }
    return SUCCESS;
}

// ---- Calls ----
static int32_t get(uint32_t fd, uint64_t rights, enum desc_kind kind, struct desc **out) {
    int32_t error = fd_get(fd, 0, out);
    if (error) return error;
    if ((*out)->kind != DESC_LISTENER && (*out)->kind != DESC_STREAM) return ERRNO_NOTSOCK;
    error = fd_get(fd, rights, out);
    return error || (*out)->kind == kind ? error : ERRNO_INVAL;
}

int32_t WASI(sock_accept)(uint32_t fd, uint32_t flags, uint32_t to) {
    struct desc *d;
    uint32_t new_fd;
    int32_t h, error = get(fd, RIGHTS_SOCK_ACCEPT, DESC_LISTENER, &d);
    if (error) return error;
    if (flags & ~(uint32_t)FDFLAGS_NONBLOCK) return ERRNO_INVAL;
    for (;;) {
        h = handle_of(d);
        if (h >= 0) h = sock_accept(h, 0);
        if (h >= 0) break;
        if (h != E_AGAIN && !gone(h)) return errno_of_socket(h);
        int32_t before = life;
        if (gone(h) && alive()) {
            if (life == before) return ERRNO_IO;
            continue; // it listens again
        }
        if (d->flags & FDFLAGS_NONBLOCK) return ERRNO_AGAIN;
        if ((error = block(d, SOCK_READABLE))) return error;
    }
    struct desc s = {.kind = DESC_STREAM,
                     .flags = (uint16_t)flags,
                     .socket = h,
                     .life = life,
                     .rights = d->inheriting & RIGHTS_SOCKET};
    error = fd_add(&s, &new_fd);
    if (error)
        sock_close(h);
    else if ((error = caller_put(to, &new_fd, sizeof(new_fd))))
        fd_drop(new_fd);
    return error;
}

int32_t WASI(sock_recv)(uint32_t fd, uint32_t list, uint32_t count, uint32_t flags, uint32_t out_n,
                        uint32_t out_flags) {
    struct desc *d;
    uint32_t n;
    uint16_t none = 0;
    int32_t error = get(fd, RIGHTS_FD_READ, DESC_STREAM, &d);
    if (error) return error;
    if (flags > (RIFLAGS_RECV_PEEK | RIFLAGS_RECV_WAITALL)) return ERRNO_INVAL;
    error = iov_take(list, count);
    if (!error) error = socket_receive(d, flags, &n);
    if (!error) error = caller_put(out_n, &n, sizeof(n));
    return error ? error : caller_put(out_flags, &none, sizeof(none));
}

int32_t WASI(sock_send)(uint32_t fd, uint32_t list, uint32_t count, uint32_t flags, uint32_t out_n) {
    struct desc *d;
    uint32_t n;
    int32_t error = get(fd, RIGHTS_FD_WRITE, DESC_STREAM, &d);
    if (error) return error;
    if (flags) return ERRNO_INVAL; // $siflags: none are defined
    error = iov_take(list, count);
    if (!error) error = socket_send(d, &n);
    return error ? error : caller_put(out_n, &n, sizeof(n));
}

int32_t WASI(sock_shutdown)(uint32_t fd, uint32_t how) {
    struct desc *d;
    int32_t error = get(fd, RIGHTS_SOCK_SHUTDOWN, DESC_STREAM, &d);
    if (error) return error;
    if (!how || how > (SDFLAGS_RD | SDFLAGS_WR)) return ERRNO_INVAL;
    int32_t h = handle_of(d);
    if (h < 0) return ERRNO_NOTCONN;
    queued = true;
    return errno_of_socket(sock_shutdown(h, (how & SDFLAGS_RD ? SOCK_SHUT_RECEIVE : 0) |
                                                (how & SDFLAGS_WR ? SOCK_SHUT_SEND : 0)));
}

// ---- Preopened sockets ----
// One of "tcp:REST,tcp:REST": *out_rest is where the comma or the end is. False for anything else.
static bool next_tcp(const char **text, const char **out_rest, uint32_t *out_n) {
    static const char tcp[] = "tcp:";
    for (uint32_t i = 0; tcp[i]; i++)
        if (*(*text)++ != tcp[i]) return false;
    *out_rest = *text;
    while (**text && **text != ',') (*text)++;
    *out_n = (uint32_t)(*text - *out_rest);
    if (**text == ',') (*text)++;
    return *out_n;
}

static bool port_of(const char *text, uint32_t n, uint16_t *out) {
    uint32_t port = 0;
    for (uint32_t i = 0; i < n && port < 65536; i++) {
        if (text[i] < '0' || text[i] > '9') return false;
        port = port * 10 + (uint32_t)(text[i] - '0');
    }
    *out = (uint16_t)port;
    return n && port && port < 65536;
}

static bool read_options(void) {
    static char text[512];
    const char *rest, *at = text;
    uint32_t n;
    if (!option("LISTEN", text, sizeof(text))) text[0] = 0;
    while (*at) {
        if (!next_tcp(&at, &rest, &n) || socket_listeners == LISTENERS_MAX ||
            !port_of(rest, n, &listener[socket_listeners++].port)) {
            log_line("expected: SASOS_LISTEN=tcp:PORT, up to %u of them with commas between",
                     LISTENERS_MAX);
            return false;
        }
    }
    at = text;
    if (!option("CONNECT", text, sizeof(text))) text[0] = 0;
    while (*at) {
        bool good = next_tcp(&at, &rest, &n) && connects < CONNECTS_MAX;
        uint32_t host = n;
        while (good && host && rest[host - 1] != ':') host--;
        if (!good || host < 2 || host > NAME_MAX ||
            !port_of(rest + host, n - host, &connection[connects].port)) {
            log_line("expected: SASOS_CONNECT=tcp:HOST:PORT, up to %u of them with commas between",
                     CONNECTS_MAX);
            return false;
        }
        memcpy(connection[connects++].host, rest, host - 1);
    }
    return true;
}

// Waits for the stack; false when the time is over.
static bool patience(int64_t deadline) { return wait_until(socket_events, deadline) > 0; }

static int32_t connect_to(const char *host, uint16_t port, int32_t *out_handle) {
    int64_t deadline = sasos_time_ns() + CONNECT_NS;
    uint32_t n = text_length(host);
    int32_t r;
    memcpy(space(NAME), host, n);
    while ((r = sock_resolve(NAME, n, 0, ADDRESS)) == E_AGAIN) {
        if (!patience(deadline)) return SOCK_E_TIMEOUT;
        socket_look();
    }
    if (r < 0) return r;
    ((struct sock_address *)space(ADDRESS))->port = port;
    *out_handle = sock_open(SOCK_STREAM);
    if (*out_handle < 0) return *out_handle;
    r = sock_connect(*out_handle, ADDRESS);
    queued = true;
    while (r == E_AGAIN) {
        uint32_t state = sock_state(&net, *out_handle);
        if (state & SOCK_ERROR)
            r = sock_error(*out_handle);
        else if (state & SOCK_WRITABLE)
            r = 0;
        else if (!patience(deadline))
            r = SOCK_E_TIMEOUT;
        socket_look();
    }
    if (r) sock_close(*out_handle);
    return r;
}

// A connection that cannot be made is a descriptor on which every call says so, at its place.
void socket_connect_all(void) {
    uint32_t fd;
    for (uint32_t i = 0; i < connects; i++) {
        struct desc d = {.kind = DESC_STREAM, .preopen = "", .rights = RIGHTS_SOCKET, .life = -1};
        int32_t error =
            alive() ? connect_to(connection[i].host, connection[i].port, &d.socket) : E_DEAD;
        if (error)
            log_line("no connection to %s port %u: %d", connection[i].host, connection[i].port, error);
        else
            d.life = life;
        fd_add(&d, &fd);
    }
}

int32_t socket_start(void) {
    if (!read_options()) return E_INVAL;
    int32_t error = sock_client_open(&net);
    if (!error) {
        socket_events = SASOS_EVENT_CHANNEL(net.number);
        life = sasos_chan_generation(net.number);
    }
    if (!error && net.size < DATA + 4096) error = E_NOMEM;
    if (error && (socket_listeners || connects)) {
        log_line(
            "sockets are wanted, but there is no network (%d): is there a connect line for sock?",
            error);
        return error;
    }
    for (uint32_t i = 0; i < socket_listeners; i++)
        if ((error = listen_at(i))) {
            log_line("port %u cannot be listened at (%d)", listener[i].port, error);
            return error;
        }
    return 0;
}
