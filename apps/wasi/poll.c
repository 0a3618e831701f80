// poll.c — poll_oneoff and every other wait: the personality blocks in the kernel's `wait`, on the program's thread.
//
// Subscriptions stay in the program's memory and are copied again for each round, a batch at a time; the program does not run meanwhile.
#include "apps/wasi/wasi.h"

#define BATCH 32u
#define IDLE_NS 1000000000ll

int32_t wait_until(uint32_t events, int64_t deadline) {
    int64_t now = sasos_time_ns();
    if (datafs_dirty() && deadline - now > IDLE_NS) { // a short time first: then the program is idle
        int32_t got = wait_until(events, now + IDLE_NS);
        if (got) return got;
        datafs_idle();
        now = sasos_time_ns();
    }
    int64_t left = deadline == FOREVER ? -1 : deadline > now ? deadline - now : 0;
    socket_flush();
    int32_t got = sasos_wait(events | terminal_events, left);
    process_waited_ns += sasos_time_ns() - now;
    return got > 0 && terminal_look((uint32_t)got & terminal_events) ? E_INTR : got;
}

struct round {
    int64_t begin;    // of the call
    int64_t now;      // of this round
    int64_t earliest; // clock that is waited for
    uint32_t events;  // of the kernel's that may make something ready
};

// Whether the subscription's event has come; then *out says what happened.
static bool clock_ready(struct round *r, const struct witx_subscription *s, struct witx_event *out) {
    uint32_t id = s->u.clock.id;
    if (id > CLOCKID_MONOTONIC || s->u.clock.flags > SUBCLOCKFLAGS_ABSTIME) {
        out->error = id > CLOCKID_THREAD_CPUTIME ? ERRNO_INVAL : ERRNO_NOTSUP;
        return true;
    }
    uint64_t at = s->u.clock.timeout;
    if (!(s->u.clock.flags & SUBCLOCKFLAGS_ABSTIME)) {
        at = at > (uint64_t)(FOREVER - r->begin) ? FOREVER : at + (uint64_t)r->begin;
    } else if (id == CLOCKID_REALTIME) { // the time of day may be set: looked at again in each round
        int64_t wall = sasos_wall_ns();
        int64_t left = at > INT64_MAX ? INT64_MAX : (int64_t)at;
        left = wall > 0 || left < INT64_MAX + wall ? left - wall : INT64_MAX;
        at = left > FOREVER - r->now ? FOREVER : left > 0 ? (uint64_t)(r->now + left) : 0;
    }
    int64_t deadline = at > (uint64_t)FOREVER ? FOREVER : (int64_t)at;
    if (deadline <= r->now) return true;
    if (deadline < r->earliest) r->earliest = deadline;
    return false;
}

static bool fd_ready(struct round *r, const struct witx_subscription *s, struct witx_event *out) {
    struct desc *d;
    bool write = s->tag == EVENTTYPE_FD_WRITE;
    out->error = (uint16_t)fd_peek(s->u.fd, 0, &d);
    if (out->error) return true;
    uint64_t right = write                      ? RIGHTS_FD_WRITE
                     : d->kind == DESC_LISTENER ? RIGHTS_SOCK_ACCEPT
                                                : RIGHTS_FD_READ;
    out->error = (uint16_t)fd_peek(s->u.fd, RIGHTS_POLL_FD_READWRITE | right, &d);
    if (out->error) return true;
    if (d->kind == DESC_LISTENER || d->kind == DESC_STREAM) {
        r->events |= socket_events;
        return socket_ready(d, write, out);
    }
    if (d->kind == DESC_INPUT) {
        r->events |= terminal_events;
        return terminal_ready(&out->nbytes);
    }
    if (d->kind == DESC_FILE && !write) {
        struct witx_filestat st;
        out->error = (uint16_t)d->node.fs->stat(d->node.handle, &st);
        if (!out->error && st.size > d->offset) out->nbytes = st.size - d->offset;
    }
    return true; // files never block, and of output it is not known before
}

// One round over all subscriptions. *out_n events were written.
static int32_t look(struct round *r, uint32_t in, uint32_t out, uint32_t n, uint32_t *out_n) {
    struct witx_subscription s[BATCH];
    struct witx_event e[BATCH];
    uint32_t total = 0;
    for (uint32_t done = 0; done < n;) {
        uint32_t part = n - done < BATCH ? n - done : BATCH, ready = 0;
        int32_t error =
            caller_get(s, in + done * (uint32_t)sizeof(s[0]), part * (uint32_t)sizeof(s[0]));
        if (error) return error;
        for (uint32_t i = 0; i < part; i++) {
            e[ready] = (struct witx_event){.userdata = s[i].userdata, .type = s[i].tag};
            if (s[i].tag > EVENTTYPE_FD_WRITE) return ERRNO_INVAL;
            ready += s[i].tag == EVENTTYPE_CLOCK ? clock_ready(r, &s[i], &e[ready])
                                                 : fd_ready(r, &s[i], &e[ready]);
        }
        error = caller_put(out + total * (uint32_t)sizeof(e[0]), e, ready * (uint32_t)sizeof(e[0]));
        if (error) return error;
        total += ready;
        done += part;
    }
    *out_n = total;
    return SUCCESS;
}

int32_t WASI(poll_oneoff)(uint32_t in, uint32_t out, uint32_t n, uint32_t out_n) {
    uint32_t ready = 0;
    struct round r = {.begin = sasos_time_ns()};
    process_enter();
    if (!n || n > UINT32_MAX / sizeof(struct witx_subscription)) return ERRNO_INVAL;
    for (;;) {
        r.now = sasos_time_ns();
        r.earliest = FOREVER;
        r.events = 0;
        socket_look();
        int32_t error = look(&r, in, out, n, &ready);
        if (error) return error;
        if (ready) return caller_put(out_n, &ready, sizeof(ready));
        if (wait_until(r.events, r.earliest) < 0) return ERRNO_INTR;
    }
}
