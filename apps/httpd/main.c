// main.c — connections and the loop over poll(): many clients, one thread, nothing that blocks.
//
// A connection is READING a request, WRITING its response, or LINGERING: shut down after an error, so that the client reads the answer before the
// reset that unread data would cause. Each state has a deadline, which only progress of a whole step moves on: a client that sends or takes
// a byte now and then does not stay. When all places are taken, the connection that has been idle longest makes room.
#include "apps/httpd/web.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 1100u
#define LISTENERS_MAX 8u
#define BUFFER_FIRST 2048u
#define FILE_PART 65536u
#define LINGER_MS 2000
#define PATIENCE_S 10 // for a request to be whole; HTTPD_PATIENCE has another number of seconds

static int64_t request_ms;        // from a request's first byte to its last
#define IDLE_MS (3 * request_ms)  // between requests
#define WRITE_MS (2 * request_ms) // for a response, and again for each FILE_PART of it

enum state { READING, WRITING, LINGERING };
struct connection {
    int fd;
    enum state state;
    bool keep, no_body, begun; // begun: bytes of a request are there
    int64_t deadline;          // ms
    char *in;                  // what came and is not done with
    size_t size, have, used;   // used: of the request that is being answered
    char head[512];
    size_t head_length, sent; // sent: of head and body together
    struct response out;
};

struct web_counters web_counters;
static struct connection *connection[CONNECTIONS_MAX];
static unsigned connections;
static int64_t now;

static int64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void forget_response(struct connection *c) {
    if (c->out.fd >= 0) close(c->out.fd);
    free(c->out.owned);
    c->out = (struct response){.fd = -1};
}

static void drop(unsigned i) {
    struct connection *c = connection[i];
    forget_response(c);
    close(c->fd);
    free(c->in);
    free(c);
    connection[i] = connection[--connections];
    web_counters.open = connections;
}

static void idle(struct connection *c) {
    c->state = READING;
    c->begun = c->have > 0;
    c->deadline = now + (c->begun ? request_ms : IDLE_MS);
}

// ---- Answering ----
// To the end of the head, whose texts are all ours and fit. Not printf(), which would take longer than all the rest of a request.
static void put(struct connection *c, const char *text) {
    size_t n = strlen(text), room = sizeof c->head - c->head_length;
    if (n > room) n = room;
    memcpy(c->head + c->head_length, text, n);
    c->head_length += n;
}

static void put_number(struct connection *c, size_t n) {
    char digits[24];
    size_t at = sizeof digits;
    digits[--at] = 0;
    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    put(c, digits + at);
}

static void put_header(struct connection *c, const char *name, const char *value) {
    put(c, name);
    put(c, value);
    put(c, "\r\n");
}

static void begin_response(struct connection *c, bool keep) {
    struct response *o = &c->out;
    bool empty = o->status == 204 || o->status == 304;
    c->keep = keep;
    c->head_length = c->sent = 0;
    put(c, "HTTP/1.1 ");
    put_number(c, (size_t)o->status);
    put_header(c, " ", http_reason(o->status));
    if (!empty) {
        put(c, "Content-Length: ");
        put_number(c, o->length);
        put_header(c, "\r\nContent-Type: ", o->type);
    }
    if (o->etag) put_header(c, "ETag: ", o->etag);
    if (o->allow) put_header(c, "Allow: ", o->allow);
    put_header(c, "Cache-Control: ", o->cache ? o->cache : "no-store");
    put(c, "X-Content-Type-Options: nosniff\r\n"
           "Content-Security-Policy: default-src 'self'; frame-ancestors 'none'\r\n");
    put(c, keep ? "\r\n" : "Connection: close\r\n\r\n");
    if (empty || c->no_body) o->length = 0;
    c->state = WRITING;
    c->deadline = now + WRITE_MS;
    web_counters.by_class[o->status / 100 % 6]++;
}

static void refuse(struct connection *c, int status) {
    c->out = (struct response){.fd = -1};
    c->no_body = false;
    respond(&c->out, status, http_reason(status));
    begin_response(c, false);
    web_counters.bad++;
}

// Sends what can be sent. False: the connection is finished.
static bool send_more(struct connection *c) {
    static char part[FILE_PART];
    struct response *o = &c->out;
    while (c->sent < c->head_length + o->length) {
        struct iovec v[2];
        int pieces = 0;
        size_t at = 0;
        if (c->sent < c->head_length)
            v[pieces++] = (struct iovec){c->head + c->sent, c->head_length - c->sent};
        else
            at = c->sent - c->head_length;
        if (o->length > at) {
            size_t n = o->length - at;
            const char *from = o->fd >= 0 ? part : o->body + at;
            if (o->fd >= 0) {
                if (n > sizeof part) n = sizeof part;
                ssize_t got = pread(o->fd, part, n, (off_t)(o->at + (int64_t)at));
                if (got <= 0)
                    return false; // the length was promised: nothing is left but to break off
                n = (size_t)got;
            }
            v[pieces++] = (struct iovec){(char *)(uintptr_t)from, n};
        }
        ssize_t n = writev(c->fd, v, pieces);
        if (n < 0 && errno == EAGAIN) return true;
        if (n <= 0) return false;
        if ((c->sent + (size_t)n) / FILE_PART > c->sent / FILE_PART) c->deadline = now + WRITE_MS;
        c->sent += (size_t)n;
        web_counters.bytes_out += (uint64_t)n;
    }
    forget_response(c);
    if (!c->keep) {
        shutdown(c->fd, SHUT_WR);
        c->state = LINGERING;
        c->deadline = now + LINGER_MS;
        return true;
    }
    memmove(c->in, c->in + c->used, c->have - c->used);
    c->have -= c->used;
    c->used = 0;
    idle(c);
    return true;
}

// ---- Reading ----
static bool room_for(struct connection *c, size_t n) {
    if (n <= c->size) return true;
    char *larger = realloc(c->in, n);
    if (!larger) return false;
    c->in = larger;
    c->size = n;
    return true;
}

// Looks at what is there. False: the connection is finished.
static bool take_requests(struct connection *c) {
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    while (c->state == READING && c->have) {
        struct http_request r;
        int status = http_parse(c->in, c->have, &r);
        if (!status) return true;
        if (status != 200) {
            refuse(c, status);
            return send_more(c);
        }
        if (c->have - r.head < r.body) {
            if (!room_for(c, r.head + r.body))
                refuse(c, 503);
            else if (!r.expect_continue || c->have > r.head)
                return true;
            // An interim response of a few bytes; the client waits for it, so its buffer is empty.
            else
                return write(c->fd, go_on, sizeof go_on - 1) == sizeof go_on - 1;
            return send_more(c);
        }
        c->used = r.head + r.body;
        c->no_body = http_is(r.method, "HEAD");
        web_counters.requests++;
        serve(&r, c->in + r.head, &c->out);
        begin_response(c, r.keep_alive);
        if (!send_more(c)) return false;
    }
    return true;
}

static bool receive(struct connection *c) {
    char sink[4096];
    if (c->state == LINGERING) {
        ssize_t n = recv(c->fd, sink, sizeof sink, 0);
        return n > 0 || (n < 0 && errno == EAGAIN);
    }
    if (c->have == c->size && !room_for(c, c->size ? c->size * 2 : BUFFER_FIRST)) return false;
    ssize_t n = recv(c->fd, c->in + c->have, c->size - c->have, 0);
    if (n < 0 && errno == EAGAIN) return true;
    if (n <= 0) return false; // also in the middle of a request: there is nobody to answer
    c->have += (size_t)n;
    web_counters.bytes_in += (uint64_t)n;
    if (!c->begun) {
        c->begun = true;
        c->deadline = now + request_ms;
    }
    return take_requests(c);
}

// ---- Coming and going ----
static bool make_room(void) {
    unsigned oldest = CONNECTIONS_MAX;
    for (unsigned i = 0; i < connections; i++)
        if (connection[i]->state == LINGERING ||
            (connection[i]->state == READING && !connection[i]->begun))
            if (oldest == CONNECTIONS_MAX || connection[i]->deadline < connection[oldest]->deadline)
                oldest = i;
    if (oldest == CONNECTIONS_MAX) return false;
    drop(oldest);
    return true;
}

static void welcome(int listener) {
    for (unsigned i = 0; i < 64; i++) { // then those who are here have their turn
        int fd = accept(listener, NULL, NULL);
        if (fd < 0) return;
        struct connection *c = NULL;
        if ((connections < CONNECTIONS_MAX || make_room()) && !fcntl(fd, F_SETFL, O_NONBLOCK))
            c = calloc(1, sizeof *c);
        if (!c) {
            web_counters.refused++;
            close(fd);
            continue;
        }
        c->fd = fd;
        c->out.fd = -1;
        connection[connections++] = c;
        idle(c);
        web_counters.accepted++;
        web_counters.open = connections;
        if (web_counters.most < connections) web_counters.most = connections;
    }
}

// A request that is not whole in time is answered; whoever takes nothing, or says nothing, is cut off.
static bool overdue(struct connection *c) {
    if (c->state == READING && c->begun) {
        web_counters.timeouts++;
        refuse(c, 408);
        return send_more(c);
    }
    web_counters.timeouts += c->state == WRITING;
    return false;
}

int main(void) {
    static struct pollfd p[LISTENERS_MAX + CONNECTIONS_MAX];
    unsigned listeners = getenv("LISTEN_FDS") ? (unsigned)atoi(getenv("LISTEN_FDS")) : 0;
    if (!listeners || listeners > LISTENERS_MAX) {
        fputs("httpd: no listening socket was given (LISTEN_FDS)\n", stderr);
        return 2;
    }
    for (unsigned i = 0; i < listeners; i++)
        if (fcntl(3 + (int)i, F_SETFL, O_NONBLOCK)) return perror("httpd: descriptor 3"), 2;
    const char *patience = getenv("HTTPD_PATIENCE");
    request_ms = 1000 * (patience && atoi(patience) > 0 ? atoi(patience) : PATIENCE_S);
    serve_start();
    printf("httpd: ready\n");
    fflush(stdout);
    for (;;) {
        int64_t next = INT64_MAX;
        for (unsigned i = 0; i < listeners; i++)
            p[i] = (struct pollfd){.fd = 3 + (int)i, .events = POLLIN};
        for (unsigned i = 0; i < connections; i++) {
            const struct connection *c = connection[i];
            p[listeners + i] =
                (struct pollfd){.fd = c->fd, .events = c->state == WRITING ? POLLOUT : POLLIN};
            if (c->deadline < next) next = c->deadline;
        }
        now = now_ms();
        int64_t left = next == INT64_MAX ? -1 : next > now ? next - now : 0;
        unsigned before = connections;
        if (poll(p, listeners + before, left > 60000 ? 60000 : (int)left) < 0 && errno != EINTR)
            return perror("httpd: poll"), 1;
        now = now_ms();
        for (unsigned i = before; i-- > 0;) { // from the end: drop() moves the last one into the hole
            struct connection *c = connection[i];
            bool stays = true;
            if (p[listeners + i].revents)
                stays = c->state == WRITING ? send_more(c) && take_requests(c) : receive(c);
            if (stays && c->deadline <= now) stays = overdue(c);
            if (!stays) drop(i);
        }
        for (unsigned i = 0; i < listeners; i++)
            if (p[i].revents) welcome(3 + (int)i);
    }
}
