// data.c — see data.h. A frame is a 64 KiB piece of the disk, at a multiple of its size, with a bit a block for what of it is valid and
// what is changed. Whoever changes or reuses a frame waits for its transfers first (settle), so that a buffer under way stays as it is.
#include "apps/ext4/data.h"
#include <stddef.h>
#include <string.h>

#define FRAME 65536u
#define FRAMES_MAX 512u
#define BUCKETS 1024u // power of two
#define NONE 0xffffu
#define EMPTY UINT64_MAX

struct frame {
    uint64_t number;                // address / FRAME, or EMPTY
    uint64_t valid, dirty, filling; // a bit a block; filling: valid when the transfers under way are done
    struct disk_io io;
    bool used;     // since the clock's hand passed
    bool writing;  // a write is among the transfers
    uint16_t next; // in the chain
};

static struct {
    struct frame frame[FRAMES_MAX];
    uint16_t bucket[BUCKETS], order[FRAMES_MAX];
    uint8_t *memory;
    uint32_t frames, block_size, per_frame, hand, dirty;
    bool unflushed;
    int32_t error; // of a write whose frame has gone on to other things
} c;

bool data_init(uint8_t *memory, uint32_t size, uint32_t block_size) {
    memset(&c, 0, sizeof c);
    memset(c.bucket, 0xff, sizeof c.bucket);
    c.memory = memory;
    c.block_size = block_size;
    c.per_frame = FRAME / block_size;
    c.frames = size / FRAME < FRAMES_MAX ? size / FRAME : FRAMES_MAX;
    for (uint32_t i = 0; i < c.frames; i++) c.frame[i].number = EMPTY;
    return c.frames >= 4;
}

static uint8_t *bytes_of(const struct frame *f) { return c.memory + (size_t)(f - c.frame) * FRAME; }
static uint16_t *bucket_of(uint64_t number) {
    return &c.bucket[(uint32_t)(number * 0x9e3779b97f4a7c15u >> 32) & (BUCKETS - 1)];
}

static struct frame *find(uint64_t number) {
    uint32_t i = *bucket_of(number);
    while (i != NONE && c.frame[i].number != number) i = c.frame[i].next;
    return i == NONE ? NULL : &c.frame[i];
}

// Bits of the blocks that [at, at + n) touches.
static uint64_t touched(uint32_t at, uint32_t n) {
    uint32_t first = at / c.block_size, last = (at + n - 1) / c.block_size;
    return (UINT64_MAX >> (63 - (last - first))) << first;
}

// Waits for the frame's transfers. What they filled is valid then, if they went well.
static int32_t settle(struct frame *f) {
    if (!f->io.pending && !f->filling && !f->io.error) return 0;
    int32_t error = disk_wait(&f->io);
    if (!error) f->valid |= f->filling;
    if (error && f->writing && !c.error) c.error = error;
    f->filling = 0;
    f->writing = false;
    return error;
}

// Begins a transfer for each run of blocks in `bits`.
static void transfer(enum disk_op op, struct frame *f, uint64_t bits) {
    while (bits) {
        uint32_t first = (uint32_t)__builtin_ctzll(bits);
        uint64_t rest = ~(bits >> first);
        uint32_t n = rest ? (uint32_t)__builtin_ctzll(rest) : 64;
        uint32_t at = first * c.block_size, size = n * c.block_size;
        disk_start(op, (f->number * FRAME + at) / DISK_SECTOR, size / DISK_SECTOR, bytes_of(f) + at,
                   &f->io);
        bits &= ~touched(at, size);
    }
}

static void write_frame(struct frame *f) {
    settle(f); // an error of reading: those blocks are simply not valid
    transfer(DISK_WRITE, f, f->dirty);
    f->writing = c.unflushed = true;
    f->dirty = 0;
    c.dirty--;
}

static void mark_dirty(struct frame *f, uint64_t bits) {
    if (!f->dirty) c.dirty++;
    f->dirty |= bits;
}

static int compare(uint16_t a, uint16_t b) {
    return c.frame[a].number < c.frame[b].number ? -1 : c.frame[a].number > c.frame[b].number;
}

void data_write_out(void) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < c.frames; i++) {
        if (!c.frame[i].dirty) continue;
        uint32_t j = n++;
        for (; j && compare((uint16_t)i, c.order[j - 1]) < 0; j--) c.order[j] = c.order[j - 1];
        c.order[j] = (uint16_t)i;
    }
    for (uint32_t k = 0; k < n; k++) write_frame(&c.frame[c.order[k]]);
    disk_kick();
}

int32_t data_settle(void) {
    for (uint32_t i = 0; i < c.frames; i++)
        if (c.frame[i].io.pending || c.frame[i].io.error) settle(&c.frame[i]);
    int32_t error = c.error;
    c.error = 0;
    return error;
}

bool data_unflushed(void) { return c.unflushed; }
void data_flushed(void) { c.unflushed = false; }

static void unchain(struct frame *f) {
    uint16_t *link = bucket_of(f->number);
    while (&c.frame[*link] != f) link = &c.frame[*link].next;
    *link = f->next;
    f->number = EMPTY;
}

// A frame to reuse, made empty: in the clock's order, those used since it passed last are spared. `idle`: only one that nothing is
// under way for, or NULL.
static struct frame *reuse(bool idle) {
    for (uint32_t tries = 0; tries < 2 * c.frames + 1; tries++) {
        struct frame *f = &c.frame[c.hand];
        c.hand = (c.hand + 1) % c.frames;
        if (f->number == EMPTY) return f;
        if (f->used || (idle && (f->io.pending || f->dirty))) {
            f->used = false;
            continue;
        }
        if (f->dirty) data_write_out(); // its neighbours too: they will be next
        settle(f);
        unchain(f);
        return f;
    }
    return NULL;
}

static struct frame *get(uint64_t number, bool idle) {
    struct frame *f = find(number);
    if (!f) {
        f = reuse(idle);
        if (!f) return NULL;
        uint16_t *bucket = bucket_of(number);
        *f = (struct frame){.number = number, .next = *bucket};
        *bucket = (uint16_t)(f - c.frame);
    }
    f->used = true;
    return f;
}

// Makes the blocks valid.
static int32_t fill(struct frame *f, uint64_t bits) {
    int32_t error = bits & ~f->valid ? settle(f) : 0;
    uint64_t missing = bits & ~f->valid;
    if (!missing) return 0;
    f->filling = missing; // asked for again if reading ahead failed
    transfer(DISK_READ, f, missing);
    error = settle(f);
    return error;
}

int32_t data_read(uint64_t at, uint32_t n, uint8_t *to) {
    while (n) {
        uint32_t in = (uint32_t)(at % FRAME), part = FRAME - in < n ? FRAME - in : n;
        struct frame *f = get(at / FRAME, false);
        int32_t error = fill(f, touched(in, part));
        if (error) return error;
        memcpy(to, bytes_of(f) + in, part);
        at += part, to += part, n -= part;
    }
    return 0;
}

// Blocks that [in, in + n) covers only partly become whole.
static int32_t edges(struct frame *f, uint32_t in, uint32_t n, bool fresh) {
    uint32_t ends[2] = {in, in + n - 1};
    bool partly[2] = {in % c.block_size != 0, (in + n) % c.block_size != 0};
    for (int i = 0; i < 2; i++) {
        uint32_t start = ends[i] / c.block_size * c.block_size;
        uint64_t bit = touched(start, 1);
        if (!partly[i] || f->valid & bit) continue;
        if (!fresh) {
            int32_t error = fill(f, bit);
            if (error) return error;
        } else {
            memset(bytes_of(f) + start, 0, c.block_size);
            f->valid |= bit;
        }
    }
    return 0;
}

int32_t data_write(uint64_t at, uint32_t n, const uint8_t *from, bool fresh) {
    if (c.dirty > c.frames / 2) data_write_out();
    while (n) {
        uint32_t in = (uint32_t)(at % FRAME), part = FRAME - in < n ? FRAME - in : n;
        struct frame *f = get(at / FRAME, false);
        settle(f);
        if (fresh) f->valid &= ~touched(in, part); // what was there before was another file's
        int32_t error = edges(f, in, part, fresh);
        if (error) return error;
        if (from) {
            memcpy(bytes_of(f) + in, from, part);
            from += part;
        } else {
            memset(bytes_of(f) + in, 0, part);
        }
        f->valid |= touched(in, part);
        mark_dirty(f, touched(in, part));
        at += part, n -= part;
    }
    return 0;
}

uint32_t data_ahead_max(void) { return c.frames / 3 * FRAME; }

void data_ahead(uint64_t at, uint32_t n) {
    while (n) {
        uint32_t in = (uint32_t)(at % FRAME), part = FRAME - in < n ? FRAME - in : n;
        struct frame *f = get(at / FRAME, true);
        if (!f) break;
        uint64_t missing = touched(in, part) & ~(f->valid | f->filling);
        f->filling |= missing;
        transfer(DISK_READ, f, missing);
        at += part, n -= part;
    }
    disk_kick();
}

void data_forget(uint64_t block) {
    uint64_t at = block * c.block_size;
    struct frame *f = find(at / FRAME);
    if (!f) return;
    settle(f);
    uint64_t bit = touched((uint32_t)(at % FRAME), 1);
    f->valid &= ~bit;
    if (!(f->dirty & bit)) return;
    f->dirty &= ~bit;
    if (!f->dirty) c.dirty--;
}
