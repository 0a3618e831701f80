// journal.c — see journal.h.
#include "apps/ext4/journal.h"
#include "apps/ext4/data.h"
#include "apps/ext4/meta.h"
#include "drivers/sdk/sasos.h"
#include <string.h>

// On-disk format, all big-endian.
#define MAGIC 0xc03b3998u
enum { DESCRIPTOR = 1, COMMIT = 2, SUPERBLOCK_V2 = 4, REVOKE = 5 };
enum { TAG_ESCAPE = 1, TAG_SAME_UUID = 2, TAG_LAST = 8 };
enum { INCOMPAT_REVOKE = 1, INCOMPAT_64BIT = 2 };
enum { HEADER = 12, TAG = 8, UUID = 16, REVOKE_HEADER = 16 };
enum { // offsets in the superblock
    SB_BLOCK_TYPE = 4,
    SB_BLOCK_SIZE = 12,
    SB_MAXLEN = 16,
    SB_FIRST = 20,
    SB_SEQUENCE = 24,
    SB_START = 28,
    SB_COMPAT = 36,
    SB_INCOMPAT = 40,
    SB_RO_COMPAT = 44,
    SB_UUID = 48,
};
enum { COMMIT_SEC = 48, COMMIT_NSEC = 56 };

#define RUNS_MAX 256u
#define LIVE_MAX 4096u    // blocks between tail and head, at most
#define LIVE_SLOTS 8192u  // power of two, at least twice as many
#define REVOKES_MAX 8192u // in one transaction
#define OPERATION 96u     // metadata blocks that one operation changes, at most

struct run { // of the journal's blocks
    uint32_t first, count;
    uint64_t block;
};

static struct {
    struct run run[RUNS_MAX];
    uint32_t runs, block_size;
    uint32_t first, last;    // log blocks: [first, last)
    uint32_t head, used;     // next free one; from the tail to it
    uint32_t limit, largest; // used: at most; blocks of a transaction, at most
    uint32_t sequence;       // of the running transaction
    bool tail_moved;         // the superblock on the disk says less
    uint8_t super[4096];     // its block
    uint64_t live[LIVE_SLOTS]; // blocks that the live log holds; 0: free slot (block 0 is never file data)
    uint32_t lives;
    uint64_t revoke[REVOKES_MAX];
    uint32_t revokes;
    uint8_t *stage;
    uint32_t stage_size, staged; // in blocks
    uint32_t stage_first;        // log block of the first one staged
} j;

static void put16(uint8_t *p, uint32_t v) { p[0] = (uint8_t)(v >> 8), p[1] = (uint8_t)v; }
static void put32(uint8_t *p, uint32_t v) { put16(p, v >> 16), put16(p + 2, v); }
static uint32_t get32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint64_t place(uint32_t log_block, uint32_t *out_left) {
    for (uint32_t i = 0; i < j.runs; i++)
        if (log_block - j.run[i].first < j.run[i].count) {
            *out_left = j.run[i].count - (log_block - j.run[i].first);
            return j.run[i].block + (log_block - j.run[i].first);
        }
    *out_left = 0; // cannot be: journal_open() mapped all of it
    return 0;
}

static int32_t flush(void) {
    struct disk_io io = {0};
    disk_start(DISK_FLUSH, 0, 0, NULL, &io);
    int32_t error = disk_wait(&io);
    if (!error) data_flushed();
    return error;
}

static const char *map_journal(ext2_filsys fs, uint32_t blocks) {
    struct ext2_inode inode;
    if (ext2fs_read_inode(fs, fs->super->s_journal_inum, &inode))
        return "the journal cannot be read";
    if (EXT2_I_SIZE(&inode) / fs->blocksize < blocks) return "the journal is shorter than it says";
    for (uint32_t b = 0; b < blocks; b++) {
        blk64_t at;
        if (ext2fs_bmap2(fs, fs->super->s_journal_inum, &inode, NULL, 0, b, NULL, &at) || at == 0 ||
            at >= ext2fs_blocks_count(fs->super))
            return "the journal has a hole";
        struct run *last = j.runs ? &j.run[j.runs - 1] : NULL;
        if (last && last->block + last->count == at) {
            last->count++;
            continue;
        }
        if (j.runs == RUNS_MAX) return "the journal is in too many pieces";
        j.run[j.runs++] = (struct run){.first = b, .count = 1, .block = at};
    }
    return NULL;
}

const char *journal_open(ext2_filsys fs, uint8_t *memory, uint32_t stage) {
    memset(&j, 0, sizeof j);
    j.block_size = fs->blocksize;
    j.stage = memory;
    j.stage_size = stage / fs->blocksize;
    const char *why = map_journal(fs, 1);
    if (why) return why;
    if (meta_read(j.run[0].block, 0, fs->blocksize, j.super)) return "the journal cannot be read";
    uint32_t length = get32(j.super + SB_MAXLEN);
    j.first = get32(j.super + SB_FIRST);
    if (get32(j.super) != MAGIC || get32(j.super + SB_BLOCK_TYPE) != SUPERBLOCK_V2 ||
        get32(j.super + SB_BLOCK_SIZE) != fs->blocksize)
        return "the journal's superblock makes no sense";
    if (length < 1024 || length > 1u << 24 || j.first == 0 || j.first > length / 2)
        return "the journal's size makes no sense";
    if (get32(j.super + SB_START)) return "the journal is not empty after recovery";
    if (ext2fs_blocks_count(fs->super) >> 32)
        return "file systems of 2^32 blocks and more are not supported";
    j.runs = 0;
    why = map_journal(fs, length);
    if (why) return why;
    j.last = length;
    j.head = j.first;
    j.sequence = get32(j.super + SB_SEQUENCE);
    if (j.sequence == 0) j.sequence = 1;
    // An empty journal's features are its next user's choice.
    put32(j.super + SB_COMPAT, 0);
    put32(j.super + SB_INCOMPAT, INCOMPAT_REVOKE);
    put32(j.super + SB_RO_COMPAT, 0);
    uint32_t blocks = j.last - j.first;
    if (blocks > LIVE_MAX) blocks = LIVE_MAX;
    uint32_t cells = meta_cells() / 4 * 3; // the rest is for reading
    j.largest = cells < blocks / 4 ? cells : blocks / 4;
    uint32_t transaction = j.largest + j.largest / 64 + REVOKES_MAX / (fs->blocksize / 4 - 4) + 8;
    j.limit = blocks - 2 * transaction; // one more before the checkpoint, and one behind it that leaves the old log whole
    if (j.largest < OPERATION + OPERATION / 2)
        return "the cache is too small: give the disk's channel more memory";
    j.tail_moved = true;
    return NULL;
}

static uint64_t *live_slot(uint64_t block) {
    uint32_t i = (uint32_t)(block * 0x9e3779b97f4a7c15u >> 40);
    while (j.live[i & (LIVE_SLOTS - 1)] && j.live[i & (LIVE_SLOTS - 1)] != block) i++;
    return &j.live[i & (LIVE_SLOTS - 1)];
}

void journal_data_block(uint64_t block) {
    meta_forget(block);
    if (*live_slot(block) == 0) return;
    for (uint32_t i = 0; i < j.revokes; i++)
        if (j.revoke[i] == block) return;
    if (j.revokes < REVOKES_MAX)
        j.revoke[j.revokes++] = block; // the limit is watched by journal_wants_commit()
}

bool journal_wants_commit(void) {
    return meta_changed() + OPERATION > j.largest || j.revokes > REVOKES_MAX / 2;
}

// ---- writing the log ----

static int32_t write_stage(void) {
    struct disk_io io = {0};
    uint32_t sectors = j.block_size / DISK_SECTOR, at = 0;
    while (at < j.staged) {
        uint32_t log_block = j.stage_first + at, left;
        uint64_t block = place(log_block, &left);
        uint32_t n = j.staged - at < left ? j.staged - at : left;
        if (n > DISK_TRANSFER_MAX / sectors) n = DISK_TRANSFER_MAX / sectors;
        if (n == 0) return E_IO;
        disk_start(DISK_WRITE, block * sectors, n * sectors, j.stage + (size_t)at * j.block_size, &io);
        at += n;
    }
    j.staged = 0;
    return disk_wait(&io);
}

// The next block of the log, zeroed; NULL: the disk failed.
static uint8_t *log_block(void) {
    if (j.staged == j.stage_size || (j.staged && j.stage_first + j.staged == j.last))
        if (write_stage()) return NULL;
    if (j.head == j.last) j.head = j.first;
    if (j.staged == 0) j.stage_first = j.head;
    uint8_t *b = j.stage + (size_t)j.staged++ * j.block_size;
    j.head++;
    j.used++;
    memset(b, 0, j.block_size);
    return b;
}

static uint8_t *log_header(uint32_t type) {
    uint8_t *b = log_block();
    if (!b) return NULL;
    put32(b, MAGIC);
    put32(b + 4, type);
    put32(b + 8, j.sequence);
    return b;
}

static int32_t log_revokes(void) {
    uint32_t per_block = (j.block_size - REVOKE_HEADER) / 4;
    for (uint32_t i = 0; i < j.revokes;) {
        uint8_t *b = log_header(REVOKE);
        if (!b) return E_IO;
        uint32_t n = j.revokes - i < per_block ? j.revokes - i : per_block;
        put32(b + HEADER, REVOKE_HEADER + 4 * n);
        for (uint32_t k = 0; k < n; k++)
            put32(b + REVOKE_HEADER + 4 * k, (uint32_t)j.revoke[i + k]);
        i += n;
    }
    return 0;
}

// A descriptor block with its tags, then the blocks. They are staged one after the other, so the tags are made first.
static int32_t log_blocks(void) {
    uint32_t per_block = (j.block_size - HEADER - UUID) / TAG, left = meta_changed(), tags = 0,
             done = 0;
    uint32_t cursor = 0, ahead = 0;
    while (done < left) {
        uint64_t block;
        if (tags == 0) {
            uint8_t *d = log_header(DESCRIPTOR), *tag = d ? d + HEADER : NULL;
            if (!d) return E_IO;
            tags = left - done < per_block ? left - done : per_block;
            for (uint32_t k = 0; k < tags; k++) {
                const uint8_t *bytes = meta_next_changed(&ahead, &block);
                uint32_t flags = k ? TAG_SAME_UUID : 0;
                if (k == tags - 1) flags |= TAG_LAST;
                if (get32(bytes) == MAGIC) flags |= TAG_ESCAPE;
                put32(tag, (uint32_t)block);
                put16(tag + 6, flags);
                tag += TAG;
                if (k == 0) {
                    memcpy(tag, j.super + SB_UUID, UUID);
                    tag += UUID;
                }
            }
        }
        const uint8_t *bytes = meta_next_changed(&cursor, &block);
        uint8_t *b = log_block();
        if (!b) return E_IO;
        memcpy(b, bytes, j.block_size);
        if (get32(b) == MAGIC) put32(b, 0); // what looks like one of ours is escaped
        uint64_t *slot = live_slot(block);
        if (*slot == 0) j.lives++;
        *slot = block;
        done++, tags--;
    }
    return 0;
}

int32_t journal_write_through(uint64_t block, const void *bytes) {
    struct disk_io io = {0};
    uint32_t sectors = j.block_size / DISK_SECTOR;
    memcpy(j.stage, bytes, j.block_size);
    disk_start(DISK_WRITE, block * sectors, sectors, j.stage, &io);
    int32_t error = disk_wait(&io);
    return error ? error : flush();
}

// Everything committed goes home; the log before the head is not needed any more.
static int32_t checkpoint(void) {
    int32_t error = meta_write_home();
    if (!error) error = flush();
    if (error) return error;
    j.used = 0;
    j.tail_moved = true;
    memset(j.live, 0, sizeof j.live);
    j.lives = 0;
    return 0;
}

// The superblock will name the running transaction as the first one of the log.
static int32_t move_tail(void) {
    uint32_t left;
    put32(j.super + SB_START, j.head == j.last ? j.first : j.head);
    put32(j.super + SB_SEQUENCE, j.sequence);
    struct disk_io io = {0};
    uint32_t sectors = j.block_size / DISK_SECTOR; // the first flush of the commit is for it too
    memcpy(j.stage, j.super, j.block_size);
    disk_start(DISK_WRITE, place(0, &left) * sectors, sectors, j.stage, &io);
    j.tail_moved = false;
    return disk_wait(&io);
}

static int32_t log_transaction(int64_t now_ns) {
    int32_t error = j.tail_moved ? move_tail() : 0;
    if (!error) error = log_revokes();
    if (!error) error = log_blocks();
    if (!error) error = write_stage();
    if (!error) error = flush();
    if (error) return error;
    uint8_t *b = log_header(COMMIT);
    if (!b) return E_IO;
    put32(b + COMMIT_SEC, (uint32_t)((uint64_t)now_ns / 1000000000 >> 32));
    put32(b + COMMIT_SEC + 4, (uint32_t)((uint64_t)now_ns / 1000000000));
    put32(b + COMMIT_NSEC, (uint32_t)((uint64_t)now_ns % 1000000000));
    error = write_stage();
    if (!error) error = flush();
    return error;
}

int32_t journal_commit(int64_t now_ns) {
    data_write_out();
    int32_t error = data_settle();
    if (error) return error;
    if (meta_changed() == 0 && j.revokes == 0) return data_unflushed() ? flush() : 0;
    if (meta_changed() > j.largest || j.revokes == REVOKES_MAX) {
        log_line("a transaction of %u blocks is too large for the journal", meta_changed());
        return E_NOMEM;
    }
    error = log_transaction(now_ns);
    if (error) return error;
    meta_committed();
    j.sequence++;
    j.revokes = 0;
    return j.used > j.limit ? checkpoint() : 0;
}

int32_t journal_empty(void) {
    int32_t error = checkpoint();
    if (error) return error;
    put32(j.super + SB_START, 0);
    put32(j.super + SB_SEQUENCE, j.sequence);
    uint32_t left;
    return journal_write_through(place(0, &left), j.super);
}
