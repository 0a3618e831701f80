// meta.h — the cache of metadata blocks: everything that the library reads and writes through its I/O channel (io.c).
//
// A cell holds one block. Life of a change: the running transaction changes a cell (CHANGED); the journal writes it to the log and
// commits it (LOGGED: its home on the disk is older, the log has it); a checkpoint or an eviction writes it home (neither).
//   A CHANGED cell is never written home: only the journal takes that away. So uncommitted metadata never reach their home.
//   A LOGGED cell that is not CHANGED holds what is committed, and may be written home at any time.
// Without a journal, while the old log is replayed (meta_logging(false)), changes go the direct way: a changed cell is LOGGED at once.
//
// Pointers into cells are valid until the next call. Cells lie in memory shared with the disk's driver: look at copies only.
#ifndef EXT4_META_H
#define EXT4_META_H
#include "apps/ext4/disk.h"

// Uses `size` bytes at `memory` for blocks of `block_size`. False: too few.
bool meta_init(uint8_t *memory, uint32_t size, uint32_t block_size, uint64_t blocks);
void meta_logging(bool on);
// Copies bytes of a block: [at, at + n) of its block_size. 0, or the disk's error, or E_NOMEM when all cells hold changes.
int32_t meta_read(uint64_t block, uint32_t at, uint32_t n, void *to);
int32_t meta_write(uint64_t block, uint32_t at, uint32_t n, const void *from);
// The block now belongs to a file's data: whatever is cached of it, is of no use.
void meta_forget(uint64_t block);
// Reads what is not there yet of a run of blocks, as few transfers as possible. Errors show when the block is read.
void meta_ahead(uint64_t block, uint32_t count);

uint32_t meta_changed(void); // cells
uint32_t meta_cells(void);
// The next changed cell from *cursor on (0 at first), NULL: no more.
const uint8_t *meta_next_changed(uint32_t *cursor, uint64_t *out_block);
void meta_committed(void); // CHANGED → LOGGED
int32_t meta_write_home(void); // all LOGGED cells, in parallel; when it returns they are written, but not flushed
#endif
