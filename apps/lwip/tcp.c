// tcp.c — stream sockets on lwIP's raw TCP.
//
// Data to send is copied once, from the client's space: large pieces into chunks that the device reads (lwIP then holds references), small ones into
// lwIP's own segments. A socket's chunks form a list in stream order; each goes when the stream is acknowledged behind its end. Received data stays in
// the device's buffers until the client reads it; when buffers get scarce it is copied, and when there is no memory for that, the connection is reset:
// nobody who does not read may stop the others. What one connection may hold shrinks with what is free.
// What is sent leaves with the client's flush, so that several small writes become one segment; Nagle's algorithm, which would hold the end of
// every answer until the peer's delayed acknowledgement, is off unless a client asks for it.
// A flood of half-open connections displaces only its own kind. A closed socket lives on without handle (KIND_CLOSING) until its chunks are acknowledged.
#include "apps/lwip/stack.h"
#include <lwip/priv/tcp_priv.h>
#include <lwip/tcp.h>
#include <string.h>

#define CHUNKS_MAX 2048u
#define SMALL 512u              // bytes that are rather copied than referred to
#define COPY_MAX (4u * TCP_MSS) // at once, when there are no chunks
#define HEAP_SHARE (8u << 20)   // above this, copies are for a few segments only
#define TIME_WAIT_MAX 128u      // closed connections that are remembered …
#define TIME_WAIT_BATCH 16u // … and a few more: how often the rest is forgotten, in connections

static struct {
    uint16_t next;
    uint16_t used; // bytes
    uint32_t end;  // stream position behind its last byte
} chunk[CHUNKS_MAX];

static uint16_t unsent[64]; // sockets with something to send since the last flush
static uint32_t unsent_count;

void tcp_chunks_start(void) {
    for (uint32_t i = 0; i < CHUNKS_MAX; i++) chunk[i].next = NIC_NO_CHUNK;
}

static void free_chunks(struct sock *s, bool all) {
    while (s->chunk_first != NIC_NO_CHUNK &&
           (all || (int32_t)(s->acked - chunk[s->chunk_first].end) >= 0)) {
        uint16_t c = s->chunk_first;
        s->chunk_first = chunk[c].next;
        nic_chunk_free(c);
    }
    if (s->chunk_first == NIC_NO_CHUNK) s->chunk_last = NIC_NO_CHUNK;
}

static void free_received(struct sock *s) {
    while (s->rx) {
        struct pbuf *p = s->rx;
        s->rx = p->next;
        p->next = NULL;
        pbuf_free(p);
    }
    s->rx_tail = NULL;
    s->rx_bytes = s->rx_offset = 0;
}

static void set_error(struct sock *s, int32_t error) {
    s->error = (int16_t)error;
    sock_set(s, SOCK_ERROR | SOCK_READABLE, true);
    sock_set(s, SOCK_WRITABLE, false);
}

static void forget(struct tcp_pcb *pcb) {
    tcp_arg(pcb, NULL);
    tcp_recv(pcb, NULL);
    tcp_sent(pcb, NULL);
    tcp_err(pcb, NULL);
    tcp_poll(pcb, NULL, 0);
}

// A connection that both sides have ended is lwIP's alone: it frees one in TIME-WAIT without a word, and so do we. The socket goes on without.
static void let_go(struct sock *s) {
    struct tcp_pcb *pcb = s->tcp;
    bool ended = pcb->state == CLOSING || pcb->state == TIME_WAIT || pcb->state == LAST_ACK;
    if (!ended || !(s->state & SOCK_EOF) || s->chunk_first != NIC_NO_CHUNK) return;
    forget(pcb);
    s->tcp = NULL;
}

// ---- what lwIP tells ----

static void on_error(void *arg, err_t error) { // the pcb is gone
    struct sock *s = arg;
    s->tcp = NULL;
    free_chunks(s, true);
    if (s->kind == KIND_CLOSING)
        sock_release(s);
    else
        set_error(s, s->connecting && error == ERR_RST ? SOCK_E_REFUSED : sock_error_of(error));
}

static err_t on_sent(void *arg, struct tcp_pcb *pcb, u16_t n) {
    struct sock *s = arg;
    s->acked += n;
    free_chunks(s, false);
    if (s->kind == KIND_CLOSING) {
        if (s->chunk_first == NIC_NO_CHUNK) { // the rest is lwIP's alone
            tcp_arg(pcb, NULL);
            tcp_sent(pcb, NULL);
            tcp_err(pcb, NULL);
            sock_release(s);
        }
    } else if (s->shut_send) {
        let_go(s);
    } else if (!(s->state & SOCK_WRITABLE) && tcp_sndbuf(pcb) >= TCP_SNDLOWAT) {
        sock_set(s, SOCK_WRITABLE, true);
    }
    return ERR_OK;
}

// Only set after a send that found no memory of the stack's: looks again every half second.
static err_t on_poll(void *arg, struct tcp_pcb *pcb) {
    struct sock *s = arg;
    if (s && s->kind == KIND_TCP && !s->shut_send && tcp_sndbuf(pcb) >= TCP_SNDLOWAT) {
        tcp_poll(pcb, NULL, 0);
        sock_set(s, SOCK_WRITABLE, true);
    }
    return ERR_OK;
}

static err_t on_received(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t error) {
    struct sock *s = arg;
    (void)error;
    if (!p) {
        sock_set(s, SOCK_EOF | SOCK_READABLE, true);
        let_go(s);
        return ERR_OK;
    }
    if (s->shut_receive) {
        tcp_recved(pcb, p->tot_len);
        pbuf_free(p);
        return ERR_OK;
    }
    if (nic_low()) {
        struct pbuf *copy = pbuf_alloc(PBUF_RAW, p->tot_len, PBUF_RAM);
        if (!copy) {
            pbuf_free(p);
            stack_count[COUNT_RESET_FOR_MEMORY]++;
            tcp_abort(pcb); // on_error() follows
            return ERR_ABRT;
        }
        pbuf_copy(copy, p);
        pbuf_free(p);
        p = copy;
    }
    s->rx_bytes += p->tot_len;
    if (s->rx_tail)
        s->rx_tail->next = p;
    else
        s->rx = p;
    while (p->next) p = p->next;
    s->rx_tail = p;
    sock_set(s, SOCK_READABLE, true);
    return ERR_OK;
}

static void listen_to(struct sock *s, struct tcp_pcb *pcb) {
    s->tcp = pcb;
    tcp_nagle_disable(pcb);
    tcp_arg(pcb, s);
    tcp_err(pcb, on_error);
    tcp_sent(pcb, on_sent);
    tcp_recv(pcb, on_received);
}

static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t error) {
    struct sock *s = arg;
    (void)pcb, (void)error;
    s->connecting = false;
    stack_count[COUNT_CONNECTED]++;
    sock_set(s, SOCK_WRITABLE, true);
    return ERR_OK;
}

static err_t on_accepted(void *arg, struct tcp_pcb *pcb, err_t error) {
    struct sock *l = arg;
    if (error != ERR_OK || !pcb) return ERR_VAL;
    struct sock *s = l->queue_count < l->backlog ? sock_alloc(l->client, KIND_TCP) : NULL;
    if (!s) return ERR_MEM; // lwIP resets it
    s->queued = true;
    s->listener = sock_index(l);
    s->state = SOCK_WRITABLE;
    listen_to(s, pcb);
    if (l->queue_last == SOCK_NONE)
        l->queue_first = sock_index(s);
    else
        sock_at(l->queue_last)->next = sock_index(s);
    l->queue_last = sock_index(s);
    l->queue_count++;
    stack_count[COUNT_ACCEPTED]++;
    sock_set(l, SOCK_READABLE, true);
    return ERR_OK;
}

// lwIP searches all connections in TIME-WAIT for each one that is opened, so a busy server would spend most of its time there. The oldest, which
// have the least of their 2 MSL before them, are the last in the list.
static void forget_closed(void) {
    static uint32_t opened;
    if (++opened % TIME_WAIT_BATCH) return;
    struct tcp_pcb *p = tcp_tw_pcbs, *next;
    for (uint32_t i = 0; p && i < TIME_WAIT_MAX; i++) p = p->next;
    for (; p; p = next) {
        next = p->next;
        LWIP_ASSERT("no socket leads to it", !p->callback_arg); // let_go()
        tcp_abort(p); // of one in TIME-WAIT: it is freed, nothing is sent
    }
}

// RFC 4987, 3.4: with the queue of half-open connections full, the oldest one makes room. Whoever answers in time gets through a flood.
void port_make_room(struct tcp_pcb *pcb, u8_t flags) {
    struct tcp_pcb_listen *l = (struct tcp_pcb_listen *)pcb;
    if (!(flags & TCP_SYN)) return;
    forget_closed();
    if (l->accepts_pending < l->backlog) return;
    struct tcp_pcb *oldest = NULL; // the last one in the list: new ones go to its front
    for (struct tcp_pcb *p = tcp_active_pcbs; p; p = p->next)
        if (p->state == SYN_RCVD && p->listener == l) oldest = p;
    if (oldest) tcp_abandon(oldest, 0);
}

// ---- what clients ask ----

int32_t stream_open(struct sock *s) {
    struct tcp_pcb *pcb = tcp_new_ip_type(IPADDR_TYPE_ANY);
    if (!pcb) return E_NOMEM;
    ip_set_option(pcb, SOF_REUSEADDR);
    listen_to(s, pcb);
    return 0;
}

int32_t stream_listen(struct sock *s, uint32_t backlog) {
    if (!s->tcp || s->tcp->state != CLOSED) return E_INVAL;
    err_t error;
    uint32_t half_open = backlog < 16    ? 16
                         : backlog > 255 ? 255
                                         : backlog; // lwIP's count is of those not accepted by us
    struct tcp_pcb *l = tcp_listen_with_backlog_and_err(s->tcp, (u8_t)half_open, &error);
    if (!l) return sock_error_of(error);
    s->kind = KIND_LISTENER;
    s->tcp = l;
    s->backlog = (uint16_t)(backlog < 1 ? 1 : backlog > SOCK_MAX ? SOCK_MAX : backlog);
    tcp_arg(l, s);
    tcp_accept(l, on_accepted);
    return 0;
}

static struct sock *unqueue(struct sock *l) {
    struct sock *s = sock_at(l->queue_first);
    l->queue_first = s->next;
    if (l->queue_first == SOCK_NONE) l->queue_last = SOCK_NONE;
    l->queue_count--;
    s->next = SOCK_NONE;
    s->queued = false;
    return s;
}

struct sock *stream_accept(struct sock *l) {
    struct sock *s = NULL;
    while (!s && l->queue_first != SOCK_NONE) {
        s = unqueue(l);
        if (s->tcp || s->rx) break;
        sock_release(s); // it came and went
        s = NULL;
    }
    if (l->queue_first == SOCK_NONE) sock_set(l, SOCK_READABLE, false);
    if (!s) return NULL;
    uint8_t state = s->state; // what became true while nobody had its handle
    s->state = 0;
    sock_set(s, state, true);
    return s;
}

int32_t stream_connect(struct sock *s, const ip_addr_t *ip, uint16_t port) {
    if (s->error) return s->error;
    if (!s->tcp || s->tcp->state != CLOSED) return s->connecting ? E_AGAIN : SOCK_E_CONNECTED;
    err_t error = tcp_connect(s->tcp, ip, port, on_connected);
    if (error != ERR_OK) return error == ERR_VAL ? E_INVAL : sock_error_of(error);
    s->connecting = true;
    return E_AGAIN;
}

// Copies up to n bytes into chunks and gives them to lwIP: bytes taken. *out_full: lwIP takes no more.
static uint32_t send_chunks(struct sock *s, const uint8_t *data, uint32_t n, bool *out_full) {
    uint32_t taken = 0, share = nic_chunks_free() * NIC_CHUNK / 4 + TCP_MSS;
    *out_full = false;
    while (taken < n && taken < share) {
        uint16_t c = s->chunk_last;
        // A chunk is filled up only while it ends the stream: else its bytes would not be in order.
        if (c == NIC_NO_CHUNK || chunk[c].used == NIC_CHUNK || chunk[c].end != s->written) {
            c = nic_chunk_alloc();
            if (c == NIC_NO_CHUNK) return taken;
            chunk[c].used = 0;
            chunk[c].end = s->written;
            chunk[c].next = NIC_NO_CHUNK;
            if (s->chunk_last == NIC_NO_CHUNK)
                s->chunk_first = c;
            else
                chunk[s->chunk_last].next = c;
            s->chunk_last = c;
        }
        uint32_t part = NIC_CHUNK - chunk[c].used;
        if (part > n - taken) part = n - taken;
        uint8_t *to = nic_chunk_data(c) + chunk[c].used;
        memcpy(to, data + taken, part);
        if (tcp_write(s->tcp, to, (u16_t)part, part < n - taken ? TCP_WRITE_FLAG_MORE : 0) != ERR_OK) {
            *out_full = true;
            // An empty chunk at the end goes with the next acknowledgement: its end is reached already.
            return taken;
        }
        chunk[c].used += (uint16_t)part;
        chunk[c].end += part;
        s->written += part;
        taken += part;
    }
    return taken;
}

void stream_flush(void) {
    while (unsent_count) {
        struct sock *s = sock_at(unsent[--unsent_count]);
        if (s->to_flush && s->tcp && s->kind == KIND_TCP)
            tcp_output(s->tcp); // it may have been closed, and be another's
        s->to_flush = false;
    }
}

int32_t stream_send(struct sock *s, const uint8_t *data, uint32_t n) {
    if (s->error) return s->error;
    if (s->shut_send) return SOCK_E_SHUT;
    if (s->connecting) return E_AGAIN;
    if (!s->tcp || (s->tcp->state != ESTABLISHED && s->tcp->state != CLOSE_WAIT))
        return SOCK_E_NOT_CONNECTED;
    if (n == 0) return 0;
    uint32_t room = tcp_sndbuf(s->tcp), taken = 0;
    bool full = false;
    if (n > room) n = room;
    if (n >= SMALL) taken = send_chunks(s, data, n, &full);
    if (taken < n && !full && (n < SMALL || taken == 0)) { // small, or there are no chunks
        uint32_t part = n - taken, most = memory_used() < HEAP_SHARE ? COPY_MAX : TCP_MSS;
        if (part > most) part = most;
        if (tcp_write(s->tcp, data + taken, (u16_t)part, TCP_WRITE_FLAG_COPY) == ERR_OK) {
            s->written += part;
            taken += part;
        }
    }
    if (tcp_sndbuf(s->tcp) == 0 || taken == 0) {
        sock_set(s, SOCK_WRITABLE, false);
        if (taken == 0 && !s->tcp->unacked && !s->tcp->unsent)
            tcp_poll(s->tcp, on_poll, 1); // no acknowledgement will wake it
    }
    if (taken == 0) return E_AGAIN;
    if (s->to_flush) return (int32_t)taken;
    if (unsent_count == sizeof(unsent) / sizeof(unsent[0])) stream_flush();
    s->to_flush = true;
    unsent[unsent_count++] = sock_index(s);
    return (int32_t)taken;
}

// The window opens by n bytes; lwIP counts in 16 bits.
static void take_off(struct tcp_pcb *pcb, uint32_t n) {
    for (; n; n -= n < 0xffff ? n : 0xffff) tcp_recved(pcb, (u16_t)(n < 0xffff ? n : 0xffff));
}

int32_t stream_recv(struct sock *s, uint8_t *to, uint32_t n, bool peek) {
    uint32_t done = 0;
    struct pbuf *p = s->rx;
    uint32_t offset = s->rx_offset;
    while (p && done < n) {
        uint32_t part = p->len - offset;
        if (part > n - done) part = n - done;
        memcpy(to + done, (const uint8_t *)p->payload + offset, part);
        done += part;
        offset += part;
        if (offset < p->len) break;
        struct pbuf *next = p->next;
        offset = 0;
        if (!peek) {
            p->next = NULL;
            pbuf_free(p);
        }
        p = next;
    }
    if (done && !peek) {
        s->rx = p;
        if (!p) s->rx_tail = NULL;
        s->rx_offset = offset;
        s->rx_bytes -= done;
        if (s->tcp) take_off(s->tcp, done);
    }
    if (!s->rx && !(s->state & (SOCK_EOF | SOCK_ERROR))) sock_set(s, SOCK_READABLE, false);
    if (done || n == 0) return (int32_t)done;
    if (s->error) return s->error;
    if (s->state & SOCK_EOF) return 0;
    return s->tcp && s->tcp->state == CLOSED ? SOCK_E_NOT_CONNECTED : E_AGAIN;
}

int32_t stream_shutdown(struct sock *s, uint32_t how) {
    if (s->error) return s->error;
    if (!s->tcp || s->connecting || s->tcp->state == CLOSED) return SOCK_E_NOT_CONNECTED;
    if (how & SOCK_SHUT_RECEIVE) {
        s->shut_receive = true; // what comes from now on is acknowledged and dropped
        take_off(s->tcp, s->rx_bytes);
        free_received(s);
        sock_set(s, SOCK_EOF | SOCK_READABLE, true);
    }
    if (how & SOCK_SHUT_SEND && !s->shut_send) {
        err_t error = tcp_shutdown(s->tcp, 0, 1);
        if (error != ERR_OK) return error == ERR_MEM ? E_AGAIN : sock_error_of(error);
        s->shut_send = true;
        sock_set(s, SOCK_WRITABLE, false);
        let_go(s);
    }
    return 0;
}

void stream_close(struct sock *s) {
    struct tcp_pcb *pcb = s->tcp;
    if (s->kind == KIND_LISTENER) {
        while (s->queue_first != SOCK_NONE) stream_close(unqueue(s));
        tcp_accept(pcb, NULL);
        tcp_arg(pcb, NULL);
        tcp_close(pcb);
        sock_release(s);
        return;
    }
    bool unread = s->rx_bytes;
    free_received(s);
    if (pcb && unread) {
        forget(pcb);
        tcp_abort(pcb); // RFC 2525, 2.17: the peer must know that its data was not taken
        pcb = NULL;
    }
    if (pcb) {
        tcp_recv(pcb, NULL);
        tcp_poll(pcb, NULL, 0);
        bool wait = s->chunk_first != NIC_NO_CHUNK;
        if (!wait) forget(pcb);
        if (tcp_close(pcb) != ERR_OK) {
            forget(pcb);
            tcp_abort(pcb);
        } else if (wait) {
            s->kind = KIND_CLOSING; // until on_sent() or on_error()
            return;
        }
    }
    free_chunks(s, true);
    sock_release(s);
}
