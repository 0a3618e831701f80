// main.c — the network stack's entries, and what lwIP asks of its machine: time, random numbers, sums, a place to fail.
//
// The home thread is woken by the driver's channel, by clients that go, and by the timer, which is set to lwIP's next time-out. A packet takes no kernel
// call; a batch takes a few.
#include "apps/lwip/stack.h"
#include <lwip/init.h>
#include <lwip/memp.h>
#include <lwip/sys.h>
#include <lwip/timeouts.h>

#define AWAY_NS (20ll * 1000000) // how often to look whether the driver is back

static struct {
    uint32_t nic_channel;
    uint32_t now_ms;
    int64_t timer; // when it will ring, 0: it is not set
    uint32_t random[1024], random_left;
} stack;

int64_t stack_count[COUNTERS];

u32_t sys_now(void) { return stack.now_ms; }

// As lwIP defines it: the 16-bit words' one's complement sum, in the order in which they lie in memory, not inverted.
uint16_t port_checksum(const void *data, int length) {
    const uint8_t *p = data;
    uint64_t low = 0, high = 0;
    uint32_t n = (uint32_t)length, word[8];
    for (; n >= sizeof(word); n -= sizeof(word), p += sizeof(word)) {
        __builtin_memcpy(word, p, sizeof(word));
        low += (uint64_t)word[0] + word[1] + word[2] + word[3];
        high += (uint64_t)word[4] + word[5] + word[6] + word[7];
    }
    low += high;
    for (; n >= 2; n -= 2, p += 2) low += (uint32_t)p[0] | (uint32_t)p[1] << 8;
    if (n) low += *p;
    while (low >> 16) low = (low & 0xffff) + (low >> 16);
    return (uint16_t)low;
}

uint32_t port_random(void) {
    if (!stack.random_left) {
        int32_t error = sasos_random((uint8_t *)stack.random, sizeof(stack.random));
        if (error < 0) port_assert("the kernel gives no random numbers", error);
        stack.random_left = sizeof(stack.random) / 4;
    }
    return stack.random[--stack.random_left];
}

void port_set_time(uint32_t seconds, uint32_t microseconds) {
    int32_t error = sasos_wall_set((int64_t)seconds * 1000000000 + (int64_t)microseconds * 1000);
    static bool told;
    if (error < 0)
        log_line("the clock cannot be set: error %d", error);
    else if (!told)
        log_line("the clock is set");
    told = true;
}

void port_assert(const char *what, int line) {
    log_line("assertion failed: %s (line %d)", what, line);
    __builtin_trap();
}

static void set_timer(int64_t now) {
    uint32_t sleep = sys_timeouts_sleeptime();
    int64_t wanted =
        sleep == SYS_TIMEOUTS_SLEEPTIME_INFINITE ? 0 : now + (int64_t)sleep * 1000000 + 500000;
    if (nic_waiting() && (!wanted || wanted > now + AWAY_NS)) wanted = now + AWAY_NS;
    // lwIP's time-outs are multiples of milliseconds: one that is set already is not set again.
    if (stack.timer > now && wanted && wanted > stack.timer - 1000000 && wanted < stack.timer + 1000000)
        return;
    stack.timer = wanted;
    sasos_timer(wanted ? wanted : -1);
}

void stack_enter(void) { stack.now_ms = (uint32_t)((uint64_t)sasos_time_ns() / 1000000); }

static void tell(void) {
    static int64_t told[COUNTERS];
    stack_count[COUNT_HEAP] = memory_used();
    for (uint32_t i = 0; i < COUNTERS; i++)
        if (stack_count[i] != told[i]) sasos_counter(i, told[i] = stack_count[i]);
}

// What lwIP holds of its pools, its timers apart, and of the device's buffers. lwIP's timers go on for as long as any of it can change.
static void count(void) {
    stack_count[COUNT_POOLS] = 0;
    for (uint32_t i = 0; i < MEMP_MAX; i++)
        if (i != MEMP_SYS_TIMEOUT) stack_count[COUNT_POOLS] += memp_pools[i]->stats->used;
    stack_count[COUNT_HELD] = nic_held();
}

void stack_leave(bool home) {
    stream_flush();
    netif_poll_all();
    nic_flush();
    sock_signal();
    // A client's call may have begun something that needs a nearer time-out than the timer's: its thread sets it too.
    set_timer(sasos_time_ns());
    if (home) tell();
}

int32_t SASOS_EXPORT(driver_start)(void) {
    // Our own servers' channels come before our clients', who are described below us in the configuration.
    const uint32_t nic = 0;
    const struct net_channel *c = (const struct net_channel *)(uintptr_t)sasos_chan_map(nic);
    if (!c || sasos_chan_size(nic) < NET_DATA || c->info.version != NET_INFO_VERSION) {
        log_line("channel 0 does not lead to a network driver");
        return E_NODEV;
    }
    if (sasos_random((uint8_t *)stack.random, 4) < 0) {
        log_line("random numbers are not granted; line `entropy`");
        return E_DENIED;
    }
    stack.nic_channel = nic;
    stack_enter();
    lwip_init();
    tcp_chunks_start();
    int32_t error = nic_start(nic);
    if (!error) error = setup_start();
    if (error) return error;
    sock_start(nic);
    nic_poll();
    stack_leave(true);
    return 0;
}

int32_t SASOS_EXPORT(driver_event)(uint32_t events) {
    stack_enter();
    if (events & SASOS_EVENT_TIMER) stack.timer = 0;
    for (uint32_t i = 0; i < SASOS_CHANNELS_MAX; i++)
        if (events & SASOS_EVENT_CHANNEL(i) && i != stack.nic_channel) sock_client_event(i);
    nic_poll();
    sys_check_timeouts();
    if (events & SASOS_EVENT_TIMER) count();
    stack_leave(true);
    return 0;
}
