// hooks.h — lwIP's hooks: a connection's first sequence number comes from the kernel's random numbers (RFC 6528's purpose, not its hash); a new
// connection displaces the oldest half-open one when a listener has too many of them (apps/lwip/tcp.c); a segment exactly half of the number space
// behind what is expected is dropped, which RFC 9293 3.10.7.4 allows: lwIP's comparisons find it both before and behind that, and its assertion fails.
#ifndef LWIP_PORT_HOOKS_H
#define LWIP_PORT_HOOKS_H
#include <lwip/ip_addr.h>

static inline u32_t port_isn(const ip_addr_t *local, u16_t local_port, const ip_addr_t *remote,
                             u16_t remote_port) {
    (void)local, (void)local_port, (void)remote, (void)remote_port;
    return port_random();
}

struct tcp_pcb;
void port_make_room(struct tcp_pcb *listener, u8_t flags);
// For every segment that belongs to a connection or a listener, before lwIP looks at it.
#define LWIP_HOOK_TCP_INPACKET_PCB(pcb, header, option_length, option1_length, option2, p) \
    ((pcb)->state == LISTEN ? (port_make_room(pcb, TCPH_FLAGS(header)), ERR_OK)            \
     : (pcb)->rcv_nxt - (header)->seqno == 0x80000000u ? ERR_VAL                           \
                                                       : ERR_OK)
#endif
