// hooks.h — lwIP's hooks: a connection's first sequence number comes from the kernel's random numbers (RFC 6528's purpose, not its hash).
#ifndef LWIP_PORT_HOOKS_H
#define LWIP_PORT_HOOKS_H
#include <lwip/ip_addr.h>

static inline u32_t port_isn(const ip_addr_t *local, u16_t local_port, const ip_addr_t *remote,
                             u16_t remote_port) {
    (void)local, (void)local_port, (void)remote, (void)remote_port;
    return port_random();
}
#endif
