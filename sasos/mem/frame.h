// frame.h — physical memory in frames of 4 KiB: one bit a frame, one count every 2 MiB.
//
// Frames come from the boot memory map; frame 0 is never handed out, so 0 means "none left". Freeing what is not allocated
// is a panic. Contents of a new frame are whatever was there: everything that a domain will see is asked for with FRAME_ZERO.
// Any context but an interrupt handler. The allocator's lock is not held while frames are cleared.
#ifndef SASOS_MEM_FRAME_H
#define SASOS_MEM_FRAME_H
#include <stdbool.h>
#include <stdint.h>

struct bootinfo;
struct boot_mem_range;

#define FRAME_SIZE 4096ull
#define FRAME_2M (2ull << 20)

enum frame_flags {
    FRAME_ZERO = 1 << 0,
    FRAME_LOW = 1 << 1, // below 4 GiB
};

// Takes FREE ranges of the map; LOADER memory is taken by frame_reclaim() when nothing in it is needed any more.
// `direct` is what physical addresses are reached at (DIRECT_MAP_BASE; a buffer in the hosted tests).
void frame_init(const struct bootinfo *info, uint64_t direct);
// Frees LOADER ranges except the blobs that the bootinfo (the kernel's copy) still names.
void frame_reclaim(const struct bootinfo *info);

uint64_t frame_alloc(unsigned flags);
// A contiguous run; align in frames, a power of two ≥ 1.
uint64_t frame_alloc_run(uint64_t frames, uint64_t align, unsigned flags);
static inline uint64_t frame_alloc_2m(unsigned flags) { return frame_alloc_run(512, 512, flags); }
void frame_free(uint64_t pa, uint64_t frames);

// True if the whole range is RAM that the allocator manages, allocated or not.
bool frame_is_ram(uint64_t pa, uint64_t size);
// True if any byte of the range is RAM or the kernel's own: nothing of it may be mapped as a device's.
bool frame_touches_ram(uint64_t pa, uint64_t size);
// The boot memory map, kept.
const struct boot_mem_range *frame_map(uint64_t *out_count);
uint64_t frame_total(void); // frames managed
uint64_t frame_count_free(void);
#endif
