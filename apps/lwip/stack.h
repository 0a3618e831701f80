// stack.h — inside the network stack's module: which file does what, and what they ask of each other.
//
//   main.c     the module's entries, time, random numbers, what lwIP asks of its machine
//   memory.c   lwIP's heap
//   nic.c      the network device class (drivers/sdk/net.h) below lwIP: frames in and out without copying, chunks of data to send
//   setup.c    addresses, by the configuration's arguments
//   sock.c     the sockets class (drivers/sdk/sock.h): handles, states, what all kinds have in common
//   tcp.c, udp.c, names.c     its kinds, and names
//
// One thread at a time is in the module: a client's during its call, or the home thread. Every entry begins with stack_enter() and ends with stack_leave(),
// which gives the device what was queued and signals the clients for which something became true.
// Hostile: the frames, the device's driver, and the clients (nic.c and sock.c check what they wrote).
#ifndef LWIP_STACK_H
#define LWIP_STACK_H
#define SOCK_CALL(name) __attribute__((export_name(#name))) int32_t name
#include "drivers/sdk/net.h"
#include "drivers/sdk/sock.h"
#include <lwip/netif.h>
#include <lwip/pbuf.h>

// The manifest's counter lines, published by the home thread.
enum {
    COUNT_SOCKETS,
    COUNT_ACCEPTED,
    COUNT_CONNECTED,
    COUNT_RESET_FOR_MEMORY,
    COUNT_HEAP,
    COUNT_ATTACHED,
    COUNT_POOLS,
    COUNT_HELD,
    COUNTERS
};
extern int64_t stack_count[COUNTERS];

void stack_enter(void);
void stack_leave(bool home); // home: on the home thread, which keeps the timer

// ---- memory.c ----
uint32_t memory_used(void); // bytes that lwIP holds of its heap

// ---- nic.c ----
#define NIC_CHUNK 4096u
#define NIC_NO_CHUNK 0xffffu
extern struct netif nic_netif;
int32_t nic_start(uint32_t channel); // 0 or an error, with a line in the log
void nic_poll(void);     // received and sent frames; the link; a driver that was restarted
void nic_flush(void);    // what is queued goes to the device
bool nic_waiting(void);  // the driver is away: poll soon
uint32_t nic_held(void); // receive buffers that are neither free nor with the driver
bool nic_low(void);      // receive buffers are getting scarce: who keeps data copies them
// Chunks of memory that the device can read. One is owned by its allocator until nic_chunk_free(), and lives on while frames refer to it.
uint16_t nic_chunk_alloc(void); // or NIC_NO_CHUNK
void nic_chunk_free(uint16_t chunk);
uint8_t *nic_chunk_data(uint16_t chunk);
uint32_t nic_chunks_free(void);

// ---- setup.c ----
int32_t setup_start(void);
void setup_online(void); // the link has changed

// ---- sock.c ----
#define SOCK_NONE 0xffffu
enum sock_kind {
    KIND_FREE,
    KIND_TCP,
    KIND_LISTENER,
    KIND_UDP,
    KIND_CLOSING
}; // CLOSING: no handle any more, data still to be acknowledged
struct tcp_pcb;
struct udp_pcb;
struct datagram;
struct sock {
    uint8_t kind, client;
    uint8_t state; // SOCK_*; ours, the channel's is a copy for the client
    bool connecting, shut_send, shut_receive, queued, to_flush; // queued: waits for accept
    uint16_t generation;
    int16_t error;
    uint32_t ready_at; // index in the ready ring where it was last put
    struct tcp_pcb *tcp;
    struct udp_pcb *udp;
    struct pbuf *rx, *rx_tail; // received and not read, linked by ->next; tot_len means nothing here
    uint32_t rx_offset, rx_bytes;
    struct datagram *first, *last;
    uint32_t datagrams;
    uint32_t written, acked;          // stream positions
    uint16_t chunk_first, chunk_last; // a list by tcp.c's table
    uint16_t next;                    // in the free list, or in a listener's queue
    uint16_t listener;                // of a queued one
    uint16_t queue_first, queue_last, queue_count, backlog; // of a listener
};
void sock_start(uint32_t nic_channel);
void sock_client_event(uint32_t channel);               // a client is gone, or pretends to be
void sock_signal(void);                                 // the clients that have news
void sock_publish(void);                                // addresses and link, to all clients
struct sock *sock_alloc(uint32_t client, uint8_t kind); // NULL: quota
void sock_release(struct sock *s);
uint16_t sock_index(const struct sock *s);
int32_t sock_handle(const struct sock *s);
struct sock *sock_at(uint16_t index);
void sock_set(struct sock *s, uint32_t bits, bool on);
void sock_news(uint32_t client);                               // signal it when we leave
int32_t sock_error_of(int error);                              // of an err_t
uint8_t *sock_space(uint32_t client, uint32_t at, uint32_t n); // the client's space, NULL if that is outside
void sock_put_address(uint8_t *to, const ip_addr_t *ip, uint16_t port);

// ---- tcp.c ----
void tcp_chunks_start(void);
int32_t stream_open(struct sock *s);
int32_t stream_listen(struct sock *s, uint32_t backlog);
struct sock *stream_accept(struct sock *s);
int32_t stream_connect(struct sock *s, const ip_addr_t *ip, uint16_t port);
int32_t stream_send(struct sock *s, const uint8_t *data, uint32_t n);
int32_t stream_recv(struct sock *s, uint8_t *to, uint32_t n, bool peek);
int32_t stream_shutdown(struct sock *s, uint32_t how);
void stream_flush(void);
void stream_close(struct sock *s); // releases it, now or when all is acknowledged

// ---- udp.c ----
int32_t datagram_open(struct sock *s);
int32_t datagram_send(struct sock *s, const uint8_t *data, uint32_t n, const ip_addr_t *ip,
                      uint16_t port); // ip NULL: the peer
int32_t datagram_recv(struct sock *s, uint8_t *to, uint32_t n, bool peek, uint8_t *address);
void datagram_close(struct sock *s);

// ---- names.c ----
int32_t names_resolve(uint32_t client, const char *name, uint32_t n, uint32_t family, uint8_t *address);
void names_forget(uint32_t client);
#endif
