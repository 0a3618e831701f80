// names.c — looking names up for clients: lwIP's resolver, one question at a time for each client.
//
// The answer comes to a callback that cannot be taken back, so a question carries a number: an answer to an older one is dropped.
#include "apps/lwip/stack.h"
#include <lwip/dns.h>
#include <string.h>

#define NAME_MAX 253u // RFC 1035, 3.1

enum state { NOTHING, ASKED, ANSWERED, FAILED };
static struct question {
    enum state state;
    uint32_t number, family;
    char name[NAME_MAX + 1];
    ip_addr_t answer;
} questions[SASOS_CHANNELS_MAX];

static void answered(const char *name, const ip_addr_t *ip, void *arg) {
    (void)name;
    uint32_t client = (uint32_t)(uintptr_t)arg % SASOS_CHANNELS_MAX;
    struct question *q = &questions[client];
    if (q->state != ASKED || q->number != (uint32_t)(uintptr_t)arg / SASOS_CHANNELS_MAX) return;
    q->state = ip ? ANSWERED : FAILED;
    if (ip) q->answer = *ip;
    sock_news(client);
}

int32_t names_resolve(uint32_t client, const char *name, uint32_t n, uint32_t family, uint8_t *address) {
    static const uint8_t types[] = {LWIP_DNS_ADDRTYPE_IPV4_IPV6, 0, 0, 0, LWIP_DNS_ADDRTYPE_IPV4, 0,
                                    LWIP_DNS_ADDRTYPE_IPV6};
    struct question *q = &questions[client];
    char copy[NAME_MAX + 1];
    if (n == 0 || n > NAME_MAX) return E_INVAL;
    memcpy(copy, name, n);
    copy[n] = 0;
    bool same = q->state != NOTHING && q->family == family && strcmp(q->name, copy) == 0;
    if (same && q->state == ASKED) return E_AGAIN;
    if (same && q->state == FAILED) {
        q->state = NOTHING;
        return SOCK_E_NO_NAME;
    }
    if (same && q->state == ANSWERED) {
        q->state = NOTHING;
        sock_put_address(address, &q->answer, 0);
        return 1;
    }
    if (strcmp(copy, "localhost") == 0) { // RFC 6761, 6.3: never asked of a server
        ip_addr_t local;
        if (family == 6)
            local = *netif_ip_addr6(netif_get_by_index(1), 0);
        else
            ip_addr_set_loopback(false, &local);
        sock_put_address(address, &local, 0);
        return 1;
    }
    memcpy(q->name, copy, n + 1);
    q->family = family;
    q->state = ASKED;
    q->number = (q->number + 1) & 0xffffff;
    uintptr_t arg = q->number * SASOS_CHANNELS_MAX + client;
    err_t error = dns_gethostbyname_addrtype(copy, &q->answer, answered, (void *)arg, types[family]);
    if (error == ERR_INPROGRESS) return E_AGAIN;
    q->state = NOTHING;
    if (error != ERR_OK) return SOCK_E_NO_NAME;
    sock_put_address(address, &q->answer, 0);
    return 1;
}

void names_forget(uint32_t client) { questions[client].state = NOTHING; }
