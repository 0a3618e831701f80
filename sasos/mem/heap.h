// heap.h — kernel objects: size classes up to 2 KiB, whole pages above, all in the heap range of layout.h.
//
// kalloc returns NULL when memory is out; every caller handles it. Objects of a size class are aligned to it (at least 16);
// larger ones to a page. Contents are not cleared (kzalloc does). kfree(NULL) is allowed; freeing anything else that is not
// an allocation is a panic. Never called from an interrupt or trap handler (asserted): those paths allocate nothing.
#ifndef SASOS_MEM_HEAP_H
#define SASOS_MEM_HEAP_H
#include <stddef.h>
#include <stdint.h>

void heap_init(uint64_t base, uint64_t size);
void *kalloc(size_t size); // size 0 counts as 1
void *kzalloc(size_t size);
void kfree(void *p);

struct heap_stats {
    uint64_t objects;      // live allocations
    uint64_t allocations;  // all since boot
    uint64_t bytes_mapped; // frames taken × 4096
};
struct heap_stats heap_stats(void);
#endif
