// partition.h — which part of the disk the file system is in: the module's first argument is FIRST:COUNT, in sectors of 512 bytes, or the name
// of a GPT partition; without one, it is the whole disk. (UEFI 2.10, 5.3; the first header only.)
#ifndef EXT4_PARTITION_H
#define EXT4_PARTITION_H
#include "apps/ext4/disk.h"

// Narrows the disk to that part. NULL, or why it cannot.
const char *partition_open(struct disk *disk);
#endif
