// journal.h — the journal of an ext4 file system (jbd2's format, version 2): what is written to it and in which order.
//
// A transaction is the set of metadata blocks changed since the last commit (meta.h). Committing it:
//     file data; revoke records, descriptors and the changed blocks into the log   → flush
//     the commit block                                                              → flush: it survives a power cut from here on
// A commit block is one sector of meaning, so a torn one is either there or not, and no checksum is needed to tell.
// Blocks go home at a checkpoint, which lets the log's tail follow its head. The tail on the disk follows with the next transaction's
// first flush; until then no block behind the old tail is overwritten, so the log that the disk's tail names is always whole.
//
// Revoke records: a block that the live log holds as metadata and that becomes file data must not be replayed over those data.
#ifndef EXT4_JOURNAL_H
#define EXT4_JOURNAL_H
#include <ext2fs/ext2fs.h>
#include <stdbool.h>

// `stage` bytes of the disk's memory are for log blocks. The journal must be empty (replayed). NULL, or why not.
const char *journal_open(ext2_filsys fs, uint8_t *memory, uint32_t stage);
// A block now belongs to a file's data.
void journal_data_block(uint64_t block);
// A transaction should be committed before the next operation: it has become large.
bool journal_wants_commit(void);
// Commits. 0, or the disk's error: then nothing more must be written, ever.
int32_t journal_commit(int64_t now_ns);
// After a commit: everything goes home, and the journal is empty on the disk too.
int32_t journal_empty(void);
// Writes a block at once, besides the log, with a flush behind it.
int32_t journal_write_through(uint64_t block, const void *bytes);
#endif
