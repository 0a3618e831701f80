// io.h — the library's I/O manager: all that libext2fs reads and writes goes through the cache of metadata.
#ifndef EXT4_IO_H
#define EXT4_IO_H
#include <ext2fs/ext2fs.h>

extern struct struct_io_manager io_meta;
// The file system's blocks: known before it is opened.
void io_setup(uint32_t block_size);
// How many blocks the library may read until the next io_budget(). What a damaged image can make it do ends with that.
void io_budget(uint32_t blocks);
#endif
