// arena.h — the code arena: the only memory that may ever become executable after boot.
//
// Its frames are set aside at boot and are in no other mapping. Life of a piece (SFI L2):
//   arena_alloc   pages filled with CC, mapped RW at ARENA_RW_BASE + offset; write the code there, verify it there
//   arena_seal    the alias is unmapped and flushed, then the pages are mapped RX at ARENA_BASE + offset; never writable again
//   arena_free    the RX mapping (or the alias) is unmapped and flushed; the pages are CC again before anyone gets them
// The verifier works on final bytes, and they are position independent within ±2 GiB, so the alias' address does not matter.
// The caller sees to it that no CPU is inside before arena_free. Not from interrupt handlers.
#ifndef SASOS_MEM_ARENA_H
#define SASOS_MEM_ARENA_H
#include "sasos/layout.h"
#include "sasos/status.h"
#include <stdbool.h>
#include <stdint.h>

struct arena_code {
    uint32_t offset, pages; // in the arena; pages 0: nothing
    uint8_t *rw;            // the alias while it is written, NULL once sealed
};

// Sets physical memory aside: min(64 MiB, RAM / 8), 2 MiB aligned. Before pt_init(), which leaves it out of the direct map.
void arena_reserve(uint64_t *out_pa, uint64_t *out_size);
enum status arena_alloc(uint64_t size, struct arena_code *out);
enum status arena_seal(struct arena_code *code); // on failure still writable, may be freed
void arena_free(struct arena_code *code);
static inline uint64_t arena_address(const struct arena_code *code) {
    return ARENA_BASE + code->offset;
}
bool arena_contains(uint64_t rip); // in the RX range, sealed or not
#endif
