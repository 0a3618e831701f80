// poll_clock.c — poll_oneoff on clocks: relative, absolute, several at once, past, and nonsense.
#include "check.h"
#include <poll.h>
#include <time.h>
#include <unistd.h>

static uint64_t now(unsigned id) {
    __wasi_timestamp_t t = 0;
    __wasi_clock_time_get(id, 1, &t);
    return t;
}
static __wasi_subscription_t clock_sub(uint64_t userdata, unsigned id, uint64_t timeout, int flags) {
    __wasi_subscription_t s = {.userdata = userdata, .u.tag = __WASI_EVENTTYPE_CLOCK};
    s.u.u.clock.id = id;
    s.u.u.clock.timeout = timeout;
    s.u.u.clock.flags = flags;
    return s;
}

int main(void) {
    __wasi_subscription_t s[3];
    __wasi_event_t e[3];
    size_t n;
    uint64_t before = now(1);
    s[0] = clock_sub(1, 1, 5000000000000, 0);
    s[1] = clock_sub(2, 1, 20000000, 0);
    s[2] = clock_sub(3, 0, 40000000000, 0);
    SAME(__wasi_poll_oneoff(s, e, 3, &n), 0);
    SAME(n, 1);
    SAME(e[0].userdata, 2);
    SAME(e[0].error, 0);
    SAME(e[0].type, __WASI_EVENTTYPE_CLOCK);
    TRUE(now(1) - before >= 20000000);

    before = now(1);
    s[0] = clock_sub(4, 1, before + 10000000, 1);
    SAME(__wasi_poll_oneoff(s, e, 1, &n), 0);
    TRUE(now(1) >= before + 10000000);
    before = now(0);
    s[0] = clock_sub(5, 0, before + 10000000, 1);
    SAME(__wasi_poll_oneoff(s, e, 1, &n), 0);
    TRUE(now(0) >= before + 10000000);
    s[0] = clock_sub(6, 1, 0, 1); // long ago
    s[1] = clock_sub(7, 0, 0, 1);
    s[2] = clock_sub(8, 1, 0, 0);
    SAME(__wasi_poll_oneoff(s, e, 3, &n), 0);
    SAME(n, 3);
    s[0] = clock_sub(9, 1, UINT64_MAX, 0);
    s[1] = clock_sub(10, 1, UINT64_MAX, 1);
    s[2] = clock_sub(11, 0, UINT64_MAX, 1);
    __wasi_subscription_t four[4] = {s[0], s[1], s[2], clock_sub(12, 1, 1000, 0)};
    __wasi_event_t events[4];
    SAME(__wasi_poll_oneoff(four, events, 4, &n), 0);
    SAME(n, 1);
    SAME(events[0].userdata, 12);

    SAME(__wasi_poll_oneoff(s, e, 0, &n), __WASI_ERRNO_INVAL);
    s[0] = clock_sub(13, 77, 0, 0);
    SAME(__wasi_poll_oneoff(s, e, 1, &n), 0);
    SAME(e[0].error, __WASI_ERRNO_INVAL);
    s[0] = clock_sub(14, 2, 0, 0);
    SAME(__wasi_poll_oneoff(s, e, 1, &n), 0);
    SAME(e[0].error, __WASI_ERRNO_NOTSUP);
    s[0].u.tag = 9;
    SAME(__wasi_poll_oneoff(s, e, 1, &n), __WASI_ERRNO_INVAL);

    static __wasi_subscription_t many[500];
    static __wasi_event_t come[500];
    for (int i = 0; i < 500; i++) many[i] = clock_sub(i, 1, i % 2 ? 0 : 1000000000000, 0);
    SAME(__wasi_poll_oneoff(many, come, 500, &n), 0);
    SAME(n, 250);
    for (unsigned i = 0; i < n; i++) SAME(come[i].userdata, 2 * i + 1);

    SAME(poll(NULL, 0, 5), 0); // through the C library
    SAME(nanosleep(&(struct timespec){0, 1000000}, NULL), 0);
    SAME(__wasi_sched_yield(), 0);
    CHECK_END();
}
