// bad-net.c — a network driver without a device that does to its client what a driver must not do: another thing in each life, after which it traps.
//
// The client must notice (lives 1 to 5), or not be harmed (6 and 7); from life 8 on there is nothing wrong, and nothing comes.
#include "drivers/sdk/net.h"

static struct {
    struct net_channel *shared;
    int32_t life;
    bool done;
    uint32_t received;
} net;

static void give(uint32_t buffer, uint32_t start, uint32_t length, uint32_t flags) {
    net.shared->receive[net.received++ % NET_RING] = (struct net_receive){.buffer = buffer,
                                                                          .start = (uint16_t)start,
                                                                          .length = (uint16_t)length,
                                                                          .flags = (uint16_t)flags};
    barrier_compiler();
    net.shared->receive_ring.head = net.received;
}

static void misbehave(void) {
    uint32_t count = net.shared->post_ring.head, random = 1;
    switch (net.life) {
    case 1: give(0, 0, 60, 0); break;                                         // not a buffer
    case 2: give(net.shared->post[0], 2000, 60, 0); break;                    // beyond its end
    case 3: net.shared->sent[0] = 999, net.shared->sent_ring.head = 1; break; // never sent
    case 4: net.shared->receive_ring.head = 100000; break; // more than the ring has
    case 5:                                                // twice the same
        give(net.shared->post[0], 0, 60, 0);
        give(net.shared->post[0], 0, 60, 0);
        break;
    case 6: // a frame without an end, longer than any
        for (uint32_t i = 0; i < count && i < 100; i++)
            give(net.shared->post[i % NET_RING], 0, NET_BUFFER, NET_MORE);
        break;
    case 7: // noise
        for (uint32_t i = 0; i < count && i < 200; i++) {
            uint8_t *p = (uint8_t *)net.shared + net.shared->post[i % NET_RING];
            for (uint32_t k = 0; k < 200; k++)
                p[k] = (uint8_t)((random = random * 1103515245 + 12345) >> 16);
            for (uint32_t k = 0; k < 6; k++) p[k] = 0xff;
            p[12] = i & 1 ? 0x08 : 0x86;
            p[13] = i & 1 ? i & 2 ? 0x00 : 0x06 : 0xdd;
            p[14] = i & 1 ? 0x45 : 0x60;
            give(net.shared->post[i % NET_RING], 0, i, i & 4 ? NET_VERIFIED : 0);
        }
        break;
    default: return;
    }
    sasos_chan_signal(0);
    sasos_timer(sasos_time_ns() + 30000000);
}

int32_t SASOS_EXPORT(driver_start)(void) {
    net.shared = (struct net_channel *)(uintptr_t)sasos_chan_map(0);
    net.life = ++net.shared->info.pad[0]; // the channel outlives us
    net.shared->info.can = NET_CAN_CHECKSUM | NET_CAN_VERIFY | NET_CAN_RECEIVE_LARGE;
    net.shared->info.mtu = 1500;
    net.shared->info.link_up = 1;
    net.shared->info.mac[0] = 2;
    net.shared->info.version = NET_INFO_VERSION;
    return 0;
}

int32_t SASOS_EXPORT(driver_event)(uint32_t events) {
    if (events & SASOS_EVENT_TIMER) __builtin_trap();
    return 0;
}

int32_t SASOS_EXPORT(net_attach)(void) {
    struct ring_shared *rings[] = {&net.shared->transmit_ring, &net.shared->sent_ring,
                                   &net.shared->post_ring, &net.shared->receive_ring};
    for (uint32_t i = 0; i < 4; i++) rings[i]->head = rings[i]->tail = 0;
    net.received = 0;
    return 0;
}

int32_t SASOS_EXPORT(net_submit)(void) {
    if (!net.done) misbehave();
    net.done = true;
    return 0;
}
