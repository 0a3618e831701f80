// net.h — the network device class: what lies in a channel between a network driver and its one client, a network stack.
//
// Frames are Ethernet frames without FCS. Buffers are named by their offset in the channel, so the device reads and writes the client's
// pages in place: nothing is copied between driver and stack. The client owns every buffer until it posts it, and again once it comes back:
//   transmit ring  client → driver   fragments of frames; `NET_MORE` on all of a frame's fragments but the last
//   sent ring      driver → client   the cookie of each frame's first fragment, when the device has read all of it; in any order
//   post ring      client → driver   empty receive buffers of NET_BUFFER bytes
//   receive ring   driver → client   received fragments; `NET_MORE` as above (frames longer than a buffer: only with NET_CAN_RECEIVE_LARGE)
// The client fills transmit and post, then calls `net_submit()` once a batch. The driver signals the channel once a batch when frames
// were received, when the link changed, or when a frame with NET_SIGNAL was sent; sent frames without it are reported with the next batch.
//
// `net_attach()` begins (or begins anew): the device is reset, what was in flight is forgotten, all rings' indices are zero, and info is valid.
// When it returns no earlier buffer is in the device's hands any more. Until a client has attached, the driver does not look at the rings.
// A client calls it at its own start, and when chan_generation() says that the driver has been restarted: frames are lost then, no more.
// net_attach(), net_submit(): 0, or E_IO when the device failed, or E_INVAL when a ring was broken: attach again.
//
// Both sides check what they read: the driver each fragment (a bad one ends the client's use of the channel until it attaches again), the client each
// buffer (must be one that it has posted). While a buffer is posted the driver and its device may change it at any moment, and a hostile driver also
// later: a stack that must not be confused by that copies first. Checksum flags are the driver's word, as are the frames themselves.
#ifndef SASOS_NET_H
#define SASOS_NET_H
#include "drivers/sdk/ring.h"

#define NET_RING 512u                // entries of each ring
#define NET_BUFFER 2048u             // bytes of a receive buffer
#define NET_DATA 32768u              // offset of the buffers in the channel
#define NET_FRAME_MAX 1514u          // without segmentation: 14 + MTU
#define NET_LARGE_MAX 65550u         // with segmentation: 14 + 65536
#define NET_FRAGMENTS_MAX 20u        // of a frame
#define NET_INFO_VERSION 0x3174656eu // "net1"

enum net_can {                 // what the device does for the client; info.can
    NET_CAN_CHECKSUM = 1,      // NET_CHECKSUM on transmission
    NET_CAN_SEGMENT4 = 2,      // NET_SEGMENT4
    NET_CAN_SEGMENT6 = 4,      // NET_SEGMENT6
    NET_CAN_VERIFY = 8,        // NET_VERIFIED on reception
    NET_CAN_RECEIVE_LARGE = 16 // received frames may be joined segments, up to NET_LARGE_MAX
};
enum net_flags {
    NET_MORE = 1,     // the frame goes on in the next entry
    NET_CHECKSUM = 2, // transmit: sum from checksum_start to the end, put 16 bits at checksum_start + checksum_offset (which hold the pseudo header's sum)
    NET_SEGMENT4 = 4, // transmit: TCP over IPv4, cut into segments of segment_size; with NET_CHECKSUM
    NET_SEGMENT6 = 8,
    NET_SIGNAL = 16, // transmit: signal when this frame was sent
    NET_VERIFIED = 32, // receive: the device has checked the TCP or UDP checksum, or the frame never left this machine
};

struct net_transmit { // on the first fragment: all of it; on others buffer, length, NET_MORE
    uint32_t buffer;  // offset in the channel, ≥ NET_DATA
    uint16_t length, flags;
    uint16_t checksum_start, checksum_offset; // from the frame's start; from checksum_start
    uint16_t segment_size, header_length; // payload bytes a segment; headers up to the TCP payload
    uint32_t cookie;
    uint8_t pad[12];
};
struct net_receive { // on a frame's first fragment: all of it; on others: buffer, start, length, NET_MORE
    uint32_t buffer; // as posted
    uint16_t start;  // of the fragment in the buffer
    uint16_t length, flags;
    uint8_t pad[6];
};
struct net_channel {
    struct {                                   // written by the driver
        volatile uint32_t version;             // NET_INFO_VERSION once the driver is ready
        volatile uint32_t can;                 // enum net_can
        volatile uint32_t mtu, link_up, speed; // speed in Mbit/s, 0: unknown
        volatile uint8_t mac[6];
        uint8_t pad[102];
    } info;
    struct ring_shared transmit_ring, sent_ring, post_ring, receive_ring;
    struct net_transmit transmit[NET_RING];
    struct net_receive receive[NET_RING];
    uint32_t sent[NET_RING], post[NET_RING];
};
_Static_assert(sizeof(struct net_transmit) == 32 && sizeof(struct net_receive) == 16,
               "shared layout");
_Static_assert(offsetof(struct net_channel, transmit_ring) == 128, "shared layout");
_Static_assert(sizeof(struct net_channel) <= NET_DATA, "the buffers follow");
#endif
