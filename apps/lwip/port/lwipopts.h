// lwipopts.h — how lwIP 2.1.3 is configured: no threads, raw API, IPv4 and IPv6, memory by apps/lwip/memory.c, pools for what is many and small.
#ifndef LWIP_PORT_OPTS_H
#define LWIP_PORT_OPTS_H

#define NO_SYS 1
#define SYS_LIGHTWEIGHT_PROT 0 // a domain is entered by one thread at a time
#define LWIP_NETCONN 0
#define LWIP_SOCKET 0
#define LWIP_SINGLE_NETIF 0
// Only how much of each pool is used: what is never given back shows in a counter.
#define LWIP_STATS 1
#define LWIP_STATS_LARGE 1
#define MEMP_STATS 1
#define MEM_STATS 0
#define SYS_STATS 0
#define LINK_STATS 0
#define ETHARP_STATS 0
#define IPFRAG_STATS 0
#define IP_STATS 0
#define ICMP_STATS 0
#define IGMP_STATS 0
#define UDP_STATS 0
#define TCP_STATS 0
#define IP6_STATS 0
#define ICMP6_STATS 0
#define IP6_FRAG_STATS 0
#define MLD6_STATS 0
#define ND6_STATS 0

// Memory: the heap is ours (packets that we hold, not the device); pools are static.
#define MEM_LIBC_MALLOC 1
#define mem_clib_malloc port_malloc
#define mem_clib_free port_free
#define mem_clib_calloc port_calloc
#include <stddef.h>
void *port_malloc(size_t n);
void *port_calloc(size_t count, size_t n);
void port_free(void *p);
#define MEM_ALIGNMENT 8
#define MEMP_NUM_TCP_PCB 2304 // more than there are handles: closed connections live on for a while
#define MEMP_NUM_TCP_PCB_LISTEN 64
#define MEMP_NUM_UDP_PCB 512
#define MEMP_NUM_RAW_PCB 4
#define MEMP_NUM_TCP_SEG 16384
#define MEMP_NUM_PBUF 16384 // references into the device's channel
#define MEMP_NUM_REASSDATA 32
#define MEMP_NUM_FRAG_PBUF 128
#define MEMP_NUM_SYS_TIMEOUT (LWIP_NUM_SYS_TIMEOUT_INTERNAL + 4)
#define PBUF_POOL_SIZE 4                 // nothing of ours takes from it,
#define LWIP_DISABLE_TCP_SANITY_CHECKS 1 // so that the window cannot be compared with it
#define LWIP_SUPPORT_CUSTOM_PBUF 1

// Link and network layer
#define LWIP_ARP 1
#define LWIP_ETHERNET 1
#define ARP_TABLE_SIZE 127
#define ARP_QUEUEING 1
#define ARP_QUEUE_LEN 8
#define ETHARP_SUPPORT_STATIC_ENTRIES 0
#define ETH_PAD_SIZE 0
#define LWIP_IPV4 1
#define LWIP_IPV6 1
#define IP_FORWARD 0
#define IP_REASSEMBLY 1
#define IP_REASS_MAX_PBUFS 64
#define IP_FRAG 1
#define LWIP_IPV6_REASS 1
#define LWIP_IPV6_FRAG 1
#define LWIP_IPV6_AUTOCONFIG 1
#define LWIP_IPV6_MLD 1
#define LWIP_IPV6_NUM_ADDRESSES 4
#define LWIP_IPV6_SEND_ROUTER_SOLICIT 1
#define LWIP_IPV6_DHCP6 0
#define LWIP_ND6_NUM_NEIGHBORS 64
#define LWIP_ND6_NUM_DESTINATIONS 64
#define LWIP_ND6_RDNSS_MAX_DNS_SERVERS 2
#define MEMP_NUM_ND6_QUEUE 64
#define MEMP_NUM_MLD6_GROUP 16
#define LWIP_ICMP 1
#define LWIP_RAW 1
#define LWIP_MULTICAST_PING 0
#define LWIP_BROADCAST_PING 0
#define LWIP_DHCP 1
#define LWIP_DHCP_MAX_NTP_SERVERS 1
#define DHCP_DOES_ARP_CHECK 0 // a second's delay at each boot, for what a server has just promised
#define LWIP_NETIF_HOSTNAME 1
#define LWIP_NETIF_STATUS_CALLBACK 1
#define LWIP_NETIF_LINK_CALLBACK 0
#define LWIP_NETIF_EXT_STATUS_CALLBACK 0
#define LWIP_CHECKSUM_CTRL_PER_NETIF 1
#define LWIP_HAVE_LOOPIF 1
#define LWIP_NETIF_LOOPBACK 1
#define LWIP_LOOPBACK_MAX_PBUFS 256
#define LWIP_NETIF_LOOPBACK_MULTITHREADING 0

// Transport
#define LWIP_UDP 1
#define LWIP_TCP 1
#define TCP_MSS 1460
#define LWIP_WND_SCALE 1
#define TCP_RCV_SCALE 1
#define TCP_WND (64 * TCP_MSS)
#define TCP_SND_BUF (96 * TCP_MSS)
#define TCP_SND_QUEUELEN 400
#define TCP_SNDLOWAT \
    (TCP_SND_BUF / 3) // room at which a client is told: it comes with many segments then
#define TCP_LISTEN_BACKLOG 1
#define TCP_OOSEQ_MAX_PBUFS 64
#define LWIP_TCP_SACK_OUT 1
#define LWIP_TCP_KEEPALIVE 0
#define TCP_MSL 2000UL // a closed connection's ports are blocked for twice that
#define SO_REUSE 1
#define LWIP_HOOK_FILENAME "apps/lwip/port/hooks.h"
#define LWIP_HOOK_TCP_ISN port_isn

// Names and time
#define LWIP_DNS 1
#define DNS_TABLE_SIZE 32
#define DNS_MAX_SERVERS 3
#define DNS_MAX_REQUESTS 16
#define LWIP_DNS_SECURE 7
#define SNTP_SERVER_DNS 1
#define SNTP_GET_SERVERS_FROM_DHCP 0
#define SNTP_STARTUP_DELAY 0
#define SNTP_CHECK_RESPONSE 1
#define SNTP_COMP_ROUNDTRIP 0
#define SNTP_SET_SYSTEM_TIME_US(seconds, microseconds) port_set_time(seconds, microseconds)
#include <stdint.h>
void port_set_time(uint32_t seconds, uint32_t microseconds);
#endif
