// syslog.c — sends the system log to a host: a datagram a line (RFC 5424 over UDP, RFC 5426). Grants: `observe` to read the log, a channel to
// the network. Argument 0: the host, a name or an address; argument 1: its port (514); argument 2: what this machine calls itself.
//
// It begins with the oldest line that is kept, and tries again while there is no network: what the log's 64 KiB still hold then is sent. UDP does not
// tell whether anybody got it. Nothing wakes it for a new line: it looks four times a second.
#include "drivers/sdk/sasos.h"
#include "drivers/sdk/sock.h"
#include "drivers/sdk/text.h"

#define memcpy __builtin_memcpy
#define LOOK_NS 250000000
#define BATCH 8u // lines at once: so many wait in the stack until it knows the neighbour
#define LOCAL0 (16 * 8)
#define ADDRESS SOCK_DATA
#define NAME (SOCK_DATA + 64)
#define MESSAGE (SOCK_DATA + 1024)
#define WORD 256u
#define MESSAGE_MAX 1024u
#define SECOND 1000000000ull

static struct sock_client net;
static int32_t handle = -1, life;
static bool fresh; // nothing was sent yet
static uint32_t port = 514, host_length;
static char host[WORD], self[WORD] = "-";
static char lines[4096];

static void *space(uint32_t at) { return (uint8_t *)net.shared + at; }

// A socket that leads to the host; false: not now.
static bool ready(void) {
    int32_t now = life ? sasos_chan_generation(net.number) : 0;
    if (handle >= 0 && now == life) return true;
    handle = -1;
    if (now != life || !life) {
        life = 0;
        if (sock_client_open(&net)) return false;
        life = sasos_chan_generation(net.number);
    }
    memcpy(space(NAME), host, host_length);
    int32_t r = sock_resolve(NAME, host_length, 0, ADDRESS);
    if (r < 0) return false; // asked, or there is no answer: next time
    ((struct sock_address *)space(ADDRESS))->port = (uint16_t)port;
    handle = sock_open(SOCK_DGRAM);
    if (handle < 0) return false;
    fresh = true;
    if (sock_connect(handle, ADDRESS) == 0) return true;
    sock_close(handle);
    handle = -1;
    return false;
}

static void two(struct text *t, uint64_t n) {
    text_format(t, "%c%c", (int)('0' + n / 10 % 10), (int)('0' + n % 10));
}

// RFC 3339, in UTC. The day of the civil calendar is counted from 1 March of year 0, in eras of 400 years.
static void put_time(struct text *t, uint64_t ns) {
    uint64_t s = ns / SECOND, us = ns / 1000 % 1000000, day = s / 86400 + 719468,
             era = day / 146097, d = day % 146097;
    uint64_t y = (d - d / 1460 + d / 36524 - d / 146096) / 365,
             rest = d - (365 * y + y / 4 - y / 100), m = (5 * rest + 2) / 153;
    text_format(t, "%lu-", y + era * 400 + (m > 9));
    two(t, m < 10 ? m + 3 : m - 9);
    text_char(t, '-');
    two(t, rest - (153 * m + 2) / 5 + 1);
    text_char(t, 'T');
    two(t, s / 3600 % 24);
    text_char(t, ':');
    two(t, s / 60 % 60);
    text_char(t, ':');
    two(t, s % 60);
    text_char(t, '.');
    two(t, us / 10000);
    two(t, us / 100);
    two(t, us);
    text_char(t, 'Z');
}

static uint64_t number(const char **at, const char *end) {
    uint64_t n = 0;
    while (*at < end && **at == ' ') (*at)++;
    while (*at < end && **at >= '0' && **at <= '9') n = n * 10 + (uint64_t)(*(*at)++ - '0');
    return n;
}

static bool skip(const char **at, const char *end, const char *word) {
    const char *p = *at;
    while (*word && p < end && *p == *word) p++, word++;
    if (!*word) *at = p;
    return !*word;
}

// "[seconds.micros] area: text" as a message; false: it could not be sent.
static bool send(const char *at, const char *end) {
    struct text t = {space(MESSAGE), MESSAGE_MAX, 0};
    uint64_t up = 0;
    if (skip(&at, end, "[")) {
        up = number(&at, end) * SECOND;
        skip(&at, end, ".");
        up += number(&at, end) * 1000;
        skip(&at, end, "] ");
    }
    const char *area = at;
    while (at < end && *at != ':' && *at != ' ') at++;
    uint32_t area_length = (uint32_t)(at - area);
    skip(&at, end, ": ");
    int severity = skip(&at, end, "error: ") ? 3 : skip(&at, end, "warning: ") ? 4 : 6;
    text_format(&t, "<%d>1 ", LOCAL0 + severity);
    uint64_t wall = (uint64_t)sasos_wall_ns(), since = (uint64_t)sasos_time_ns() - up;
    if (wall > since)
        put_time(&t, wall - since);
    else
        text_char(&t, '-');
    text_format(&t, " %s ", self);
    for (uint32_t i = 0; i < area_length && i < 48; i++) text_char(&t, area[i]); // APP-NAME
    text_format(&t, "%s - - - ", area_length ? "" : "-");
    while (at < end) text_char(&t, *at++);
    return sock_send(handle, MESSAGE, t.length) == (int32_t)t.length;
}

// Sends up to BATCH lines from `from` on; where to go on.
static uint64_t forward(uint64_t from, bool *out_more) {
    int64_t next = sasos_log_read(from, lines, sizeof(lines));
    const char *at = lines, *end = lines;
    while (*end) end++;
    from = (uint64_t)next -
           (uint64_t)(end - lines); // later than asked for if the log has gone on without us
    for (uint32_t n = 0; next >= 0 && n < BATCH; n++) {
        const char *stop = at;
        while (stop < end && *stop != '\n') stop++;
        if (stop == end) break;
        if (!send(at, stop)) {
            sock_close(handle);
            handle = -1;
            break;
        }
        from += (uint64_t)(stop + 1 - at);
        at = stop + 1;
    }
    sock_flush();
    *out_more = handle >= 0 && at < end && at > lines;
    return from;
}

static uint32_t argument(uint32_t i, char *to) {
    int32_t n = sasos_arg(i, to, WORD - 1);
    if (n < 0) return 0;
    if (n > (int32_t)WORD - 1) n = WORD - 1;
    to[n] = 0;
    return (uint32_t)n;
}

int32_t SASOS_EXPORT(app_main)(void) {
    char word[WORD];
    const char *at = word;
    uint64_t from = 0;
    host_length = argument(0, host);
    uint32_t n = argument(1, word);
    if (n) port = (uint32_t)number(&at, word + n);
    argument(2, self);
    if (!host_length || !port || port > 65535 || (n && at != word + n)) {
        log_line("expected arguments: HOST, PORT (514), this machine's name");
        return 1;
    }
    bool stop = sasos_wait(SASOS_EVENT_STOP, 0) != 0; // from now on the kernel knows that we heed it
    for (bool more, first;;) {
        more = first = false;
        if (ready()) {
            first = fresh;
            fresh = false;
            from = forward(from, &more);
        }
        if (stop && !more) break;
        stop |= (sasos_wait(SASOS_EVENT_STOP, more && !first ? LOOK_NS / 25 : LOOK_NS) &
                 SASOS_EVENT_STOP) != 0;
        if (stop && first) sasos_wait(0, LOOK_NS); // the neighbour's answer is needed even now
    }
    sasos_wait(0, LOOK_NS); // a driver that is stopped next would drop what its device has not sent yet
    return 0;
}
