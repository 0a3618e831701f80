// data.h — the cache of file data: frames of FRAME bytes of the disk, filled ahead of the reader and written behind the writer.
//
// Addresses are bytes of the file system. Data may reach the disk at any time, and do so before the transaction that makes them part of
// a file is committed (data_write_out, data_settle). That is safe because a block that a running transaction freed is not given out
// before it is committed (volume.c). A block is cached here or in meta.h, never in both.
#ifndef EXT4_DATA_H
#define EXT4_DATA_H
#include "apps/ext4/disk.h"

// Uses `size` bytes at `memory`. False: too few.
bool data_init(uint8_t *memory, uint32_t size, uint32_t block_size);
// Copies [at, at + n) to `to`. 0 or the disk's error.
int32_t data_read(uint64_t at, uint32_t n, uint8_t *to);
// The same in the other direction; `from` NULL: zeros. A block that is neither cached nor wholly written is read first, unless it is `fresh`:
// then the rest of it becomes zeros.
int32_t data_write(uint64_t at, uint32_t n, const uint8_t *from, bool fresh);
// Begins to read what is not there yet of [at, at + n), as far as there are frames to spare.
void data_ahead(uint64_t at, uint32_t n);
uint32_t data_ahead_max(void); // bytes that reading ahead may occupy
// The block is no file's data any more: changes to it need not be written.
void data_forget(uint64_t block);
bool data_unflushed(void); // something was written since data_flushed()
void data_flushed(void);
// Begins to write all that is changed. It may be changed again at once.
void data_write_out(void);
// Waits until all that was begun is done; the first error of any of it.
int32_t data_settle(void);
#endif
