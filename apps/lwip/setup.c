// setup.c — the interface's addresses, by the words that the configuration gives as arguments (docs/network.md lists them).
//
// Without arguments: DHCP for IPv4, router advertisements for IPv6. A word that cannot be understood refuses the start.
#include "apps/lwip/stack.h"
#include <lwip/apps/sntp.h>
#include <lwip/dhcp.h>
#include <lwip/dns.h>
#include <lwip/ip4_addr.h>
#include <lwip/nd6.h>
#include <string.h>

#define WORD 128u

static struct {
    bool dhcp, static4, static6, no6;
    ip4_addr_t address, mask, gateway;
    ip6_addr_t address6;
    uint8_t dns_count;
    char hostname[64], ntp[WORD];
    ip4_addr_t told; // address that was logged
    ip6_addr_t told6;
} setup;

static bool starts(const char *word, const char *with, const char **out_rest) {
    uint32_t n = (uint32_t)strlen(with);
    *out_rest = word + n;
    return strncmp(word, with, n) == 0;
}

// "ADDRESS/PREFIX": cuts the word at the slash.
static bool split_prefix(char *word, uint32_t most, uint32_t *out_prefix) {
    char *slash = word;
    while (*slash && *slash != '/') slash++;
    if (!*slash || !slash[1]) return false;
    *slash++ = 0;
    uint32_t n = 0;
    for (; *slash; slash++) {
        if (*slash < '0' || *slash > '9' || n > most) return false;
        n = n * 10 + (uint32_t)(*slash - '0');
    }
    *out_prefix = n;
    return n <= most;
}

static bool static4(char *word) {
    uint32_t prefix;
    if (!split_prefix(word, 32, &prefix) || !ip4addr_aton(word, &setup.address)) return false;
    setup.mask.addr = lwip_htonl(prefix ? 0xffffffffu << (32 - prefix) : 0);
    return setup.static4 = true;
}

static bool static6(char *word) {
    uint32_t prefix;
    return setup.static6 = split_prefix(word, 128, &prefix) && prefix == 64 &&
                           ip6addr_aton(word, &setup.address6);
}

static bool take(char *word) {
    const char *rest;
    if (strcmp(word, "dhcp") == 0) return setup.dhcp = true;
    if (strcmp(word, "ipv6=off") == 0) return setup.no6 = true;
    if (strcmp(word, "ipv6=auto") == 0) return true;
    if (starts(word, "ipv6=", &rest)) return static6((char *)rest);
    if (starts(word, "gateway=", &rest)) return ip4addr_aton(rest, &setup.gateway);
    if (starts(word, "dns=", &rest)) {
        ip_addr_t server;
        if (setup.dns_count == DNS_MAX_SERVERS || !ipaddr_aton(rest, &server)) return false;
        dns_setserver(setup.dns_count++, &server);
        return true;
    }
    if (starts(word, "hostname=", &rest) && strlen(rest) < sizeof(setup.hostname)) {
        memcpy(setup.hostname, rest, strlen(rest) + 1);
        return true;
    }
    if (starts(word, "ntp=", &rest)) {
        memcpy(setup.ntp, rest, strlen(rest) + 1);
        return true;
    }
    return static4(word);
}

// The time is asked for as soon as there is a way to ask.
void setup_online(void) {
    if (!setup.ntp[0] || sntp_enabled() || !netif_is_link_up(&nic_netif) ||
        ip4_addr_isany(netif_ip4_addr(&nic_netif)))
        return;
    sntp_setoperatingmode(SNTP_OPMODE_POLL);
    sntp_setservername(0, setup.ntp);
    sntp_init();
}

// Tells the log and the clients of new addresses.
static void changed(struct netif *netif) {
    char text[IP6ADDR_STRLEN_MAX], gateway[IP4ADDR_STRLEN_MAX];
    const ip4_addr_t *ip = netif_ip4_addr(netif);
    if (!ip4_addr_isany(ip) && !ip4_addr_cmp(ip, &setup.told)) {
        ip4_addr_copy(setup.told, *ip);
        ip4addr_ntoa_r(netif_ip4_gw(netif), gateway, sizeof(gateway));
        ip4addr_ntoa_r(ip, text, sizeof(text));
        log_line("address %s/%u%s, gateway %s", text,
                 (uint32_t)__builtin_popcount(netif_ip4_netmask(netif)->addr),
                 setup.dhcp ? " by DHCP" : "", ip4_addr_isany(netif_ip4_gw(netif)) ? "none" : gateway);
    }
    for (int i = 1; i < LWIP_IPV6_NUM_ADDRESSES; i++) {
        const ip6_addr_t *ip6 = netif_ip6_addr(netif, i);
        if (!ip6_addr_isvalid(netif_ip6_addr_state(netif, i)) ||
            ip6_addr_cmp_zoneless(ip6, &setup.told6))
            continue;
        ip6_addr_copy(setup.told6, *ip6);
        log_line("address %s/64", ip6addr_ntoa_r(ip6, text, sizeof(text)));
    }
    setup_online();
    sock_publish();
}

int32_t setup_start(void) {
    char word[WORD];
    memcpy(setup.hostname, "sasos", 6);
    for (uint32_t i = 0;; i++) {
        int32_t n = sasos_arg(i, word, WORD - 1);
        if (n < 0) break;
        word[n < (int32_t)WORD - 1 ? n : (int32_t)WORD - 1] = 0;
        char copy[WORD];
        memcpy(copy, word, WORD);
        if (n >= (int32_t)WORD || !take(word)) {
            log_line("cannot understand the argument %s (see docs/network.md)", copy);
            return E_INVAL;
        }
    }
    if (!setup.static4) setup.dhcp = true;
    netif_set_hostname(&nic_netif, setup.hostname);
    netif_set_status_callback(&nic_netif, changed);
    netif_set_up(&nic_netif);
    if (!setup.no6) {
        netif_create_ip6_linklocal_address(&nic_netif, 1);
        if (setup.static6) {
            netif_ip6_addr_set(&nic_netif, 1, &setup.address6);
            netif_ip6_addr_set_state(&nic_netif, 1, IP6_ADDR_TENTATIVE);
        }
        netif_set_ip6_autoconfig_enabled(&nic_netif, 1);
    }
    if (setup.static4)
        netif_set_addr(&nic_netif, &setup.address, &setup.mask, &setup.gateway);
    else if (dhcp_start(&nic_netif) != ERR_OK)
        return E_NOMEM;
    return 0;
}
