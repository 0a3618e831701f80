// sock-loop.c — a client of the sockets class that needs no network: talks to itself over the loopback address, again and again for a second and a half.
// Exit status: 0, or 1 with a line that says what was wrong.
#include "drivers/sdk/sock.h"

#define ROUNDS 30u
#define ADDRESS_AT SOCK_DATA
#define OUT_AT (SOCK_DATA + 1024u)
#define IN_AT (SOCK_DATA + 8192u)
#define BYTES 5000u
#define LIMIT_NS 10000000000

static struct sock_client client;

static int fail(const char *what, int32_t value) {
    log_line("%s (%d)", what, value);
    return 1;
}

static int talk(int32_t listener, uint32_t round) {
    uint8_t *space = (uint8_t *)client.shared;
    *(struct sock_address *)(space + ADDRESS_AT) =
        (struct sock_address){.family = 4, .port = 7, .ip = {127, 0, 0, 1}};
    int32_t a = sock_open(SOCK_STREAM), error = a < 0 ? a : sock_connect(a, ADDRESS_AT);
    if (error != E_AGAIN) return fail("connecting gave", error);
    if (!(sock_wait(&client, listener, SOCK_READABLE, LIMIT_NS) & SOCK_READABLE))
        return fail("no connection", 0);
    int32_t b = sock_accept(listener, 0);
    if (b < 0) return fail("accepting gave", b);
    if (!(sock_wait(&client, a, SOCK_WRITABLE, LIMIT_NS) & SOCK_WRITABLE))
        return fail("not connected", 0);
    for (uint32_t i = 0; i < BYTES; i++) space[OUT_AT + i] = (uint8_t)(i * 7 + round);
    int32_t n = sock_send(a, OUT_AT, BYTES);
    if (n != (int32_t)BYTES) return fail("sending gave", n);
    for (uint32_t got = 0; got < BYTES; got += (uint32_t)n) {
        if (!(sock_wait(&client, b, SOCK_READABLE, LIMIT_NS) & SOCK_READABLE))
            return fail("nothing came", 0);
        n = sock_recv(b, IN_AT, BYTES, 0);
        if (n <= 0) return fail("receiving gave", n);
        for (uint32_t i = 0; i < (uint32_t)n; i++)
            if (space[IN_AT + i] != (uint8_t)((got + i) * 7 + round))
                return fail("a wrong byte, at", (int32_t)(got + i));
    }
    sock_close(a);
    if (!(sock_wait(&client, b, SOCK_EOF, LIMIT_NS) & SOCK_EOF))
        return fail("the end was not told", 0);
    sock_close(b);
    return 0;
}

int32_t SASOS_EXPORT(app_main)(void) {
    int32_t error = sock_client_open(&client), listener;
    if (error || (listener = sock_open(SOCK_STREAM)) < 0)
        return fail("there is no network stack", error);
    *(struct sock_address *)((uint8_t *)client.shared + ADDRESS_AT) = (struct sock_address){.port = 7};
    error = sock_bind(listener, ADDRESS_AT);
    if (!error) error = sock_listen(listener, 8);
    if (error) return fail("listening gave", error);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        if (talk(listener, i)) return 1;
        sock_flush();
        sasos_wait(0, 50000000); // the driver's misdeeds go on meanwhile
    }
    return 0;
}
