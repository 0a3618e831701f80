// packets.c — what a network driver and its firewall do: parse Ethernet, IPv4, TCP and UDP headers with every check, look the flow
// up in a hash table, count, rewrite the address and fix the checksum (RFC 1624).
//
// Group: drivers
// Size: n = 1100
#include "bench/kernels/kernel.h"

#define PACKETS 2048
#define SIZE 128
#define FLOWS 4096u
struct flow {
    uint32_t source, target, ports, packets, bytes;
};
static uint8_t packet[PACKETS][SIZE];
static uint32_t length[PACKETS];
static struct flow flow[FLOWS];

static uint32_t get16(const uint8_t *p) { return (uint32_t)p[0] << 8 | p[1]; }
static uint32_t get32(const uint8_t *p) { return get16(p) << 16 | get16(p + 2); }
static void put16(uint8_t *p, uint32_t v) {
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}
static void put32(uint8_t *p, uint32_t v) {
    put16(p, v >> 16);
    put16(p + 2, v);
}
static uint32_t header_sum(const uint8_t *p, uint32_t n) {
    uint32_t s = 0;
    for (uint32_t i = 0; i < n; i += 2) s += get16(p + i);
    s = (s & 0xffff) + (s >> 16);
    return (s & 0xffff) + (s >> 16);
}

static void make(uint32_t *seed, uint32_t i) {
    uint8_t *p = packet[i], *ip = p + 14;
    uint32_t r = next_random(seed), kind = r & 15, total = 40 + (r >> 8) % 70;
    for (int k = 0; k < SIZE; k++) p[k] = (uint8_t)next_random(seed);
    length[i] = 14 + total;
    put16(p + 12, kind == 0 ? 0x86dd : 0x0800);
    ip[0] = kind == 1 ? 0x46 : 0x45;
    put16(ip + 2, kind == 2 ? total + 400 : total);
    put16(ip + 6, kind == 3 ? 0x2001 : 0x4000);
    ip[8] = 64;
    ip[9] = r & 16 ? 6 : 17;
    put32(ip + 12, 0x0a000000 | (r >> 16 & 15));
    put32(ip + 16, 0xc0a80000 | (r >> 20 & 15));
    put16(ip + 20, 1024 + (r >> 24 & 3));
    put16(ip + 22, r & 32 ? 443 : 53);
    put16(ip + 24, total - 20);
    ip[32] = 0x50;
    put16(ip + 10, 0);
    put16(ip + 10, ~header_sum(ip, (ip[0] & 15u) * 4));
}

static struct flow *find(uint32_t source, uint32_t target, uint32_t ports) {
    uint32_t h = (source * 0x9e3779b1u ^ target * 0x85ebca6bu ^ ports * 0xc2b2ae35u) >> 7;
    for (;; h++) {
        struct flow *f = &flow[h % FLOWS];
        if (!f->packets) {
            f->source = source;
            f->target = target;
            f->ports = ports;
        } else if (f->source != source || f->target != target || f->ports != ports) {
            continue;
        }
        return f;
    }
}

enum verdict { NOT_IP, TOO_SHORT, BAD_LENGTH, BAD_SUM, FRAGMENT, BAD_TRANSPORT, FORWARD, VERDICTS };
static enum verdict handle(uint8_t *p, uint32_t n) {
    uint8_t *ip = p + 14;
    if (n < 34) return TOO_SHORT;
    if (get16(p + 12) != 0x0800 || ip[0] >> 4 != 4) return NOT_IP;
    uint32_t header = (ip[0] & 15u) * 4, total = get16(ip + 2);
    if (header < 20 || total < header || total > n - 14) return BAD_LENGTH;
    if (header_sum(ip, header) != 0xffff) return BAD_SUM;
    if (get16(ip + 6) & 0x3fff) return FRAGMENT;
    const uint8_t *l4 = ip + header;
    uint32_t rest = total - header;
    if (ip[9] == 6) {
        if (rest < 20 || (l4[12] >> 4) * 4u < 20 || (l4[12] >> 4) * 4u > rest) return BAD_TRANSPORT;
    } else if (ip[9] != 17 || rest < 8 || get16(l4 + 4) > rest) {
        return BAD_TRANSPORT;
    }
    struct flow *f = find(get32(ip + 12), get32(ip + 16), get32(l4));
    f->packets++;
    f->bytes += total;
    // One hop less: the checksum is patched rather than computed.
    uint32_t before = get16(ip + 8), sum = get16(ip + 10);
    ip[8] = ip[8] ? ip[8] - 1 : 64;
    uint32_t s = (~sum & 0xffff) + (~before & 0xffff) + get16(ip + 8);
    s = (s & 0xffff) + (s >> 16);
    s = (s & 0xffff) + (s >> 16);
    put16(ip + 10, ~s);
    return FORWARD;
}

uint64_t kernel(uint32_t n) {
    uint32_t seed = 109, verdicts[VERDICTS] = {0};
    uint64_t sum = 0;
    for (uint32_t i = 0; i < FLOWS; i++) flow[i] = (struct flow){0, 0, 0, 0, 0};
    for (uint32_t i = 0; i < PACKETS; i++) make(&seed, i);
    for (uint32_t t = 0; t < n; t++)
        for (uint32_t i = 0; i < PACKETS; i++) verdicts[handle(packet[i], length[i])]++;
    for (int i = 0; i < VERDICTS; i++) sum = mix(sum, verdicts[i]);
    for (uint32_t i = 0; i < FLOWS; i++)
        sum = mix(sum, (uint64_t)flow[i].packets << 32 | flow[i].bytes);
    return sum;
}
