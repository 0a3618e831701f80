// sim.h — a disk in memory that remembers every write, and can be asked what it would hold after a power cut.
//
// A write that holds the superblock is lost or kept as a whole: see docs/storage.md.
//
// The log has a record for each transfer and each flush, in the order in which they began. A write is safe once a flush that began after
// the write was complete has ended; until then a cut may lose any of its sectors. `arena` memory is shared with forked processes.
#ifndef EXT4_SIM_H
#define EXT4_SIM_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim_record {
    uint64_t sector;
    uint32_t count; // 0: a flush
    uint32_t done;  // records there were when it was complete, UINT32_MAX: it was not
    uint8_t *data;  // what was written
    void *io;
};
extern struct sim {
    uint8_t *disk;
    uint64_t sectors;
    struct sim_record *record;
    uint32_t *records; // how many, shared
    bool logging;
    bool failing; // every transfer fails
    uint64_t bytes_read, transfers;
} sim;

void *arena(size_t bytes);
uint32_t sim_random(uint32_t below);
void sim_seed(uint64_t seed);
void sim_load(const char *path);
void sim_save(const char *path);
// The disk as it was at the beginning, and the log up to `cut` with the losses that chance wants.
void sim_cut(const uint8_t *before, uint32_t cut);

// The channel of the one client.
#define SIM_CHANNEL (4u << 20)
extern uint8_t *sim_channel;
#endif
