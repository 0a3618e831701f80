// sock-echo.c — a client of the sockets class for the tests of the network stack: one loop over the ready ring, several small services.
//
//   TCP 7   echo                              TCP 80  answers every request ("…\r\n\r\n") with a fixed page, keeps the connection
//   TCP 9   discard, then the count of bytes  TCP 19  sends as many bytes as the first line says, then closes
//   TCP 99  accepts and never reads           UDP 7   echo
//   TCP 98  accepts, ends its own direction, and keeps the socket until the order 'h'
//   UDP 99  orders, answered by a datagram: 'q' end; 'n' NAME look it up; 'c' ADDRESS connect there over TCP and send "hello\n"; 's' how many
//           sockets are open; 'i' how many microseconds driver, stack and this have computed; 'k' NAME kill that module; 'm' misuse: calls with wrong
//           handles, offsets and states, each of which must give its error; 'h' close what port 98 keeps: how many; 'x' die by a trap
// When the stack has died it starts over as soon as there is one again.
#include "drivers/sdk/sock.h"

enum role { NONE, LISTENER, ECHO, PAGE, DISCARD, SOURCE, MUTE, KEEP, CALLER, UDP_ECHO, ORDERS };
static const uint16_t ports[] = {7, 80, 9, 19, 99, 98};
static const uint8_t roles[] = {ECHO, PAGE, DISCARD, SOURCE, MUTE, KEEP};

struct connection {
    int32_t handle;
    uint8_t role, serves;
    uint32_t count; // of bytes: taken, or still to send
    uint32_t held;  // bytes at the connection's place in the space that are still to be echoed
    uint32_t from;
    bool started, over;
};

static const char answer_text[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: "
                                  "49\r\nConnection: keep-alive\r\n\r\n"
                                  "a page of a fixed size, from a sandboxed network\n";

static struct sock_client client;
static struct connection connections[SOCK_MAX];
static uint32_t open_count;
static bool quit;

#define PIECE 16384u
#define ADDRESS_AT SOCK_DATA
#define SCRATCH (SOCK_DATA + 64u)
#define PAGE_AT (SOCK_DATA + 1024u)
#define PATTERN_AT (SOCK_DATA + 4096u)
#define BUFFER_AT (PATTERN_AT + 65536u)

static uint8_t *at(uint32_t offset) { return (uint8_t *)client.shared + offset; }

static void copy(uint32_t to, const char *text, uint32_t n) { __builtin_memcpy(at(to), text, n); }

static int fail(const char *what, int32_t value) {
    log_line("%s (%d)", what, value);
    return 1;
}

static struct connection *add(int32_t handle, uint8_t role, uint8_t serves) {
    struct connection *c = &connections[SOCK_INDEX(handle)];
    *c = (struct connection){.handle = handle, .role = role, .serves = serves};
    open_count++;
    return c;
}

static void end(struct connection *c) {
    sock_close(c->handle);
    c->role = NONE;
    open_count--;
}

static int32_t bound(uint32_t type, uint16_t port) {
    int32_t s = sock_open(type);
    if (s < 0) return s;
    *(struct sock_address *)at(ADDRESS_AT) = (struct sock_address){.port = port};
    int32_t error = sock_bind(s, ADDRESS_AT);
    return error ? error : s;
}

static uint32_t number(const uint8_t *text, uint32_t n) {
    uint32_t value = 0;
    for (uint32_t i = 0; i < n && text[i] >= '0' && text[i] <= '9'; i++)
        value = value * 10 + (text[i] - '0');
    return value;
}

static uint32_t put_number(uint32_t to, uint32_t value) {
    char digits[10];
    uint32_t n = 0, k = 0;
    do digits[n++] = (char)('0' + value % 10);
    while (value /= 10);
    while (n) at(to)[k++] = (uint8_t)digits[--n];
    at(to)[k++] = '\n';
    return k;
}

// Echo: what the peer does not take at once is asked for again: SOCK_PEEK leaves it in the stack.
static void echo(struct connection *c) {
    for (;;) {
        int32_t n = sock_recv(c->handle, BUFFER_AT, PIECE, SOCK_PEEK);
        if (n == E_AGAIN) return;
        if (n <= 0) {
            end(c);
            return;
        }
        int32_t sent = sock_send(c->handle, BUFFER_AT, (uint32_t)n);
        if (sent == E_AGAIN) return;
        if (sent <= 0) {
            end(c);
            return;
        }
        sock_recv(c->handle, BUFFER_AT, (uint32_t)sent, 0);
    }
}

static void page(struct connection *c) {
    int32_t n;
    while ((n = sock_recv(c->handle, BUFFER_AT, PIECE, 0)) > 0)
        for (int32_t i = 0; i < n; i++) // a request ends with an empty line
            if (at(BUFFER_AT)[i] == '\n' && ++c->count && c->started)
                sock_send(c->handle, PAGE_AT, sizeof(answer_text) - 1), c->started = false;
            else
                c->started = at(BUFFER_AT)[i] == '\n' || (c->started && at(BUFFER_AT)[i] == '\r');
    if (n != E_AGAIN) end(c);
}

static void discard(struct connection *c) {
    int32_t n;
    while ((n = sock_recv(c->handle, BUFFER_AT, PIECE, 0)) > 0) c->count += (uint32_t)n;
    if (n == E_AGAIN) return;
    sock_send(c->handle, SCRATCH, put_number(SCRATCH, c->count));
    end(c);
}

static void source(struct connection *c) {
    if (!c->started) {
        int32_t n = sock_recv(c->handle, BUFFER_AT, PIECE, 0);
        if (n == E_AGAIN) return;
        c->count = n > 0 ? number(at(BUFFER_AT), (uint32_t)n) : 0;
        c->started = true;
    }
    while (c->count) { // the pattern is 256 numbers: it goes on where it stopped
        uint32_t part = c->count < 32768 ? c->count : 32768;
        int32_t n = sock_send(c->handle, PATTERN_AT + (c->from & 255), part);
        if (n == E_AGAIN) return;
        if (n < 0) break;
        c->from += (uint32_t)n;
        c->count -= (uint32_t)n;
    }
    end(c);
}

static void caller(struct connection *c) {
    uint32_t state = sock_state(&client, c->handle);
    if (state & SOCK_ERROR) {
        log_line("the connection ended with error %d", sock_error(c->handle));
        end(c);
    } else if (state & SOCK_WRITABLE && !c->started) {
        copy(SCRATCH, "hello\n", 6);
        c->started = sock_send(c->handle, SCRATCH, 6) == 6;
        sock_shutdown(c->handle, SOCK_SHUT_SEND);
    } else if (state & SOCK_READABLE) {
        int32_t n = sock_recv(c->handle, BUFFER_AT, PIECE, 0);
        if (n > 0)
            at(BUFFER_AT)[n - 1] = 0, log_line("the peer said %s", (const char *)at(BUFFER_AT));
        if (n <= 0 && n != E_AGAIN) end(c);
    }
}

static uint32_t close_kept(void) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < SOCK_MAX; i++)
        if (connections[i].role == KEEP) end(&connections[i]), n++;
    return n;
}

#define WRONG(call, error)                                             \
    do {                                                               \
        int32_t got = (call);                                          \
        if (got != (error)) bad++, log_line("%s gave %d", #call, got); \
    } while (0)

static uint32_t misuse(void) {
    uint32_t bad = 0;
    int32_t s = sock_open(SOCK_STREAM), u = sock_open(SOCK_DGRAM);
    WRONG(sock_open(3), E_INVAL);
    WRONG(sock_recv(s + 0x10000, BUFFER_AT, 10, 0), E_NOENT);
    WRONG(sock_recv(-1, BUFFER_AT, 10, 0), E_NOENT);
    WRONG(sock_recv(0x7fffffff, BUFFER_AT, 10, 0), E_NOENT);
    WRONG(sock_recv(s, 0, 10, 0), E_FAULT);
    WRONG(sock_recv(s, SOCK_DATA - 1, 1, 0), E_FAULT);
    WRONG(sock_recv(s, client.size, 1, 0), E_FAULT);
    WRONG(sock_recv(s, client.size - 1, 2, 0), E_FAULT);
    WRONG(sock_recv(s, SOCK_DATA, 0xffffffff, 0), E_FAULT);
    WRONG(sock_send(s, 0xfffffff0, 32), E_FAULT);
    WRONG(sock_send(s, BUFFER_AT, 10), SOCK_E_NOT_CONNECTED);
    WRONG(sock_send(u, BUFFER_AT, 10), SOCK_E_NOT_CONNECTED);
    WRONG(sock_accept(s, 0), E_INVAL);
    WRONG(sock_bind(s, client.size - 10), E_FAULT);
    WRONG(sock_shutdown(s, SOCK_SHUT_SEND), SOCK_E_NOT_CONNECTED);
    *(struct sock_address *)at(ADDRESS_AT) = (struct sock_address){.family = 5, .port = 1};
    WRONG(sock_bind(s, ADDRESS_AT), E_INVAL);
    *(struct sock_address *)at(ADDRESS_AT) = (struct sock_address){.family = 4, .port = 7};
    WRONG(sock_bind(u, ADDRESS_AT), SOCK_E_IN_USE);
    WRONG(sock_close(s), 0);
    WRONG(sock_close(s), E_NOENT);
    WRONG(sock_close(u), 0);
    return bad;
}

static void order(int32_t s) {
    int32_t n;
    while ((n = sock_recv_from(s, SCRATCH, 512, 0, ADDRESS_AT)) >= 0) {
        struct sock_address from = *(struct sock_address *)at(ADDRESS_AT);
        uint8_t what = n ? *at(SCRATCH) : 0;
        uint32_t answer = 0;
        if (what == 'q') {
            quit = true;
        } else if (what == 's') {
            answer = put_number(SCRATCH, open_count);
        } else if (what == 'k') {
            answer = put_number(SCRATCH, (uint32_t)-sasos_dom_control((const char *)at(SCRATCH) + 1,
                                                                      (uint32_t)n - 1, SASOS_KILL));
        } else if (what == 'i') {
            struct sasos_dom_info info;
            uint64_t total = 0;
            for (uint32_t i = 0; i < 3; i++)
                if (sasos_dom_info(i, &info, sizeof(info)) > 0) total += info.cpu_ns;
            answer = put_number(SCRATCH, (uint32_t)(total / 1000));
        } else if (what == 'h') {
            answer = put_number(SCRATCH, close_kept());
        } else if (what == 'm') {
            answer = put_number(SCRATCH, misuse());
        } else if (what == 'n') {
            int32_t found;
            while ((found = sock_resolve(SCRATCH + 1, (uint32_t)n - 1, 0, ADDRESS_AT)) == E_AGAIN)
                if (sock_flush() || sasos_wait(SASOS_EVENT_CHANNEL(client.number), 10000000000) <= 0)
                    break;
            const uint8_t *ip = ((struct sock_address *)at(ADDRESS_AT))->ip;
            if (found == 1) log_line("found %u.%u.%u.%u", ip[0], ip[1], ip[2], ip[3]);
            answer = put_number(SCRATCH, (uint32_t)-found);
        } else if (what == 'c' && n >= 21) {
            __builtin_memcpy(at(ADDRESS_AT), at(SCRATCH) + 1, 20);
            int32_t t = sock_open(SOCK_STREAM), error = t < 0 ? t : sock_connect(t, ADDRESS_AT);
            if (error == E_AGAIN)
                add(t, CALLER, 0);
            else
                log_line("connecting gave %d", error), sock_close(t);
        } else if (what == 'x') {
            __builtin_trap();
        }
        *(struct sock_address *)at(ADDRESS_AT) = from;
        at(SCRATCH)[answer] = what;
        sock_send_to(s, SCRATCH, answer + 1, ADDRESS_AT);
    }
}

static void udp_echo(int32_t s) {
    int32_t n;
    while ((n = sock_recv_from(s, BUFFER_AT, 65536, 0, ADDRESS_AT)) >= 0)
        sock_send_to(s, BUFFER_AT, (uint32_t)n, ADDRESS_AT);
}

static void serve(struct connection *c) {
    int32_t s;
    switch (c->role) {
    case LISTENER:
        while ((s = sock_accept(c->handle, 0)) >= 0) serve(add(s, c->serves, 0));
        break;
    case ECHO: echo(c); break;
    case PAGE: page(c); break;
    case DISCARD: discard(c); break;
    case SOURCE: source(c); break;
    case CALLER: caller(c); break;
    case KEEP:
        if (!c->started) c->started = sock_shutdown(c->handle, SOCK_SHUT_SEND) == 0;
        break;
    case UDP_ECHO: udp_echo(c->handle); break;
    case ORDERS: order(c->handle); break;
    case MUTE:
        if (sock_state(&client, c->handle) & SOCK_ERROR) end(c);
        break;
    default: break;
    }
}

// Attaches and opens what listens. 0, or an error with a line in the log.
static int32_t start(void) {
    int32_t error = sock_client_open(&client), s;
    if (error) return error;
    open_count = 0;
    for (uint32_t i = 0; i < SOCK_MAX; i++) connections[i].role = NONE;
    for (uint32_t i = 0; i < sizeof(roles); i++) {
        if ((s = bound(SOCK_STREAM, ports[i])) < 0) return fail("a port is taken", s);
        if ((error = sock_listen(s, 1024))) return fail("listening failed", error);
        add(s, LISTENER, roles[i]);
    }
    if ((s = bound(SOCK_DGRAM, 7)) < 0) return fail("a port is taken", s);
    add(s, UDP_ECHO, 0);
    if ((s = bound(SOCK_DGRAM, 99)) < 0) return fail("a port is taken", s);
    add(s, ORDERS, 0);
    copy(PAGE_AT, answer_text, sizeof(answer_text) - 1);
    for (uint32_t i = 0; i < 65536; i++) at(PATTERN_AT)[i] = (uint8_t)i;
    log_line("ready");
    return 0;
}

int32_t SASOS_EXPORT(app_main)(void) {
    int32_t error = start();
    if (error) return fail("there is no network stack", error);
    if (client.size < BUFFER_AT + 65536)
        return fail("the channel is too small", (int32_t)client.size);
    while (!quit) {
        int32_t index;
        while ((index = sock_next_ready(&client)) >= 0) serve(&connections[index]);
        error = sock_flush();
        if (error == E_DEAD || error == E_NOENT) { // its death is one event, its next life another
            log_line("the stack is gone");
            while ((error = start()) == E_DEAD)
                sasos_wait(SASOS_EVENT_CHANNEL(client.number), 20000000000);
        }
        if (error) return fail("the stack says", error);
        if (!quit) sasos_wait(SASOS_EVENT_CHANNEL(client.number), 20000000000);
    }
    log_line("%u sockets were open", open_count);
    return 0;
}
