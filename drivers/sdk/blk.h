// blk.h — the block device class: what lies in a channel between a block driver and its client.
//
// The server's side is drivers/sdk/blkserve.h, the client's drivers/sdk/blkclient.h. The driver fills `info` before the channel is first used. The
// client calls the driver's export `blk_attach()` before its first request, and again whenever chan_generation() has changed: both rings are
// then as new. It produces requests, calls `blk_submit()` once for a batch, and consumes completions (SASOS_EVENT_CHANNEL wakes it).
// Requests may complete in any order; `cookie` comes back untouched. Data lies in the channel itself, `buffer` bytes from its start, so the
// device reads and writes the client's pages directly. The driver checks each request; the client checks what it uses of `info` and of the
// completions.
// Contract at the driver's death: requests without a completion are lost, writes among them may or may not have happened; completions that
// are in the ring stay true. The channel's pages and what is in them outlive the driver.
#ifndef SASOS_BLK_H
#define SASOS_BLK_H
#include "drivers/sdk/ring.h"

#define BLK_SECTOR 512u
#define BLK_RING 128u       // entries of each ring
#define BLK_DATA 16384u     // offset of the data buffers in the channel
#define BLK_COUNT_MAX 2048u // sectors a request: 1 MiB
#define BLK_INFO_VERSION 1u

enum blk_op { BLK_READ = 0, BLK_WRITE = 1, BLK_FLUSH = 2 };
enum blk_flags { BLK_READONLY = 1, BLK_CAN_FLUSH = 2 };

struct blk_request {
    uint32_t op; // enum blk_op
    uint32_t cookie;
    uint64_t sector; // of 512 bytes
    uint32_t count;  // sectors, 1 … BLK_COUNT_MAX (flush: 0)
    uint32_t buffer; // offset in the channel, 16-aligned, ≥ BLK_DATA
    uint8_t pad[8];
};
struct blk_completion {
    uint32_t cookie;
    int32_t status; // 0 or an error: E_IO, E_INVAL, E_RANGE, E_READONLY
};
struct blk_channel {
    struct {                       // written by the driver
        volatile uint32_t version; // BLK_INFO_VERSION once the driver is ready, 0 before
        volatile uint32_t flags;
        volatile uint64_t sectors;
        volatile uint32_t block; // sectors in a block of the medium: a request's sector and count are multiples of it
        uint8_t pad[108];
    } info;
    struct ring_shared request_ring, completion_ring;
    struct blk_request request[BLK_RING];
    struct blk_completion completion[BLK_RING];
};
_Static_assert(sizeof(struct blk_request) == 32 && sizeof(struct blk_completion) == 8,
               "shared layout");
_Static_assert(offsetof(struct blk_channel, request_ring) == 128, "shared layout");
_Static_assert(sizeof(struct blk_channel) <= BLK_DATA, "the data follow");
#endif
