// meta.c — see meta.h. Cells are found by a hash table with chains, and reused in the clock's order.
#include "apps/ext4/meta.h"
#include "drivers/sdk/sasos.h"
#include <string.h>

#define CELLS_MAX 4096u
#define BUCKETS 4096u // power of two
#define NONE 0xffffu
#define HOME_BATCH 64u // transfers under way at once

enum { VALID = 1, CHANGED = 2, LOGGED = 4, USED = 8 };

struct cell {
    uint64_t block;
    uint16_t next; // in the chain
    uint8_t flags; // 0: not in use
};

static struct {
    struct cell cell[CELLS_MAX];
    uint16_t bucket[BUCKETS];
    uint16_t order[CELLS_MAX]; // for writing home
    uint8_t *memory;
    uint32_t cells, changed, hand, block_size;
    uint64_t blocks;
    bool logging;
} m;

bool meta_init(uint8_t *memory, uint32_t size, uint32_t block_size, uint64_t blocks) {
    memset(&m, 0, sizeof m);
    memset(m.bucket, 0xff, sizeof m.bucket);
    m.memory = memory;
    m.block_size = block_size;
    m.blocks = blocks;
    m.cells = size / block_size < CELLS_MAX ? size / block_size : CELLS_MAX;
    return m.cells >= 64;
}

void meta_logging(bool on) { m.logging = on; }
uint32_t meta_changed(void) { return m.changed; }
uint32_t meta_cells(void) { return m.cells; }

static uint8_t *bytes_of(uint32_t i) { return m.memory + (size_t)i * m.block_size; }
static uint16_t *bucket_of(uint64_t block) {
    return &m.bucket[(uint32_t)(block * 0x9e3779b97f4a7c15u >> 32) & (BUCKETS - 1)];
}

static uint32_t find(uint64_t block) {
    uint32_t i = *bucket_of(block);
    while (i != NONE && m.cell[i].block != block) i = m.cell[i].next;
    return i;
}

static void drop(uint32_t i) {
    uint16_t *link = bucket_of(m.cell[i].block);
    while (*link != i) link = &m.cell[*link].next;
    *link = m.cell[i].next;
    if (m.cell[i].flags & CHANGED) m.changed--;
    m.cell[i].flags = 0;
}

static void transfer(enum disk_op op, uint32_t i, struct disk_io *io) {
    uint32_t sectors = m.block_size / DISK_SECTOR;
    disk_start(op, m.cell[i].block * sectors, sectors, bytes_of(i), io);
}

static int by_block(uint16_t a, uint16_t b) {
    return m.cell[a].block < m.cell[b].block ? -1 : m.cell[a].block > m.cell[b].block;
}

// Shell sort: short, in place, and the order is only for the disk's comfort.
static void sort(uint16_t *v, uint32_t n) {
    for (uint32_t gap = n / 2; gap; gap /= 2)
        for (uint32_t i = gap; i < n; i++) {
            uint16_t x = v[i];
            uint32_t j = i;
            for (; j >= gap && by_block(x, v[j - gap]) < 0; j -= gap) v[j] = v[j - gap];
            v[j] = x;
        }
}

int32_t meta_write_home(void) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < m.cells; i++)
        if ((m.cell[i].flags & (LOGGED | CHANGED)) == LOGGED) m.order[n++] = (uint16_t)i;
    sort(m.order, n);
    struct disk_io io = {0};
    for (uint32_t k = 0; k < n; k++) transfer(DISK_WRITE, m.order[k], &io);
    int32_t error = disk_wait(&io);
    if (error) return error;
    for (uint32_t k = 0; k < n; k++) m.cell[m.order[k]].flags &= (uint8_t)~LOGGED;
    return 0;
}

// A free cell for the block, in its chain; NONE and an error when there is none.
static uint32_t take(uint64_t block, int32_t *error) {
    *error = 0;
    for (uint32_t tries = 0; tries < 3 * m.cells; tries++) {
        uint32_t i = m.hand;
        m.hand = (m.hand + 1) % m.cells;
        struct cell *c = &m.cell[i];
        if (c->flags & CHANGED) continue;
        if (c->flags & USED) {
            c->flags &= (uint8_t)~USED;
            continue;
        }
        if (c->flags & LOGGED) { // its neighbours in time will be wanted too
            *error = meta_write_home();
            if (*error) return NONE;
        }
        if (c->flags) drop(i);
        uint16_t *bucket = bucket_of(block);
        *c = (struct cell){.block = block, .next = *bucket, .flags = USED};
        *bucket = (uint16_t)i;
        return i;
    }
    *error = E_NOMEM;
    return NONE;
}

// The block's cell, with its contents when `read`.
static uint32_t get(uint64_t block, bool read, int32_t *error) {
    *error = 0;
    if (block >= m.blocks) {
        *error = E_RANGE;
        return NONE;
    }
    uint32_t i = find(block);
    if (i == NONE) i = take(block, error);
    if (i == NONE) return NONE;
    m.cell[i].flags |= USED;
    if (read && !(m.cell[i].flags & VALID)) {
        struct disk_io io = {0};
        transfer(DISK_READ, i, &io);
        *error = disk_wait(&io);
        if (*error) {
            drop(i);
            return NONE;
        }
        m.cell[i].flags |= VALID;
    }
    return i;
}

int32_t meta_read(uint64_t block, uint32_t at, uint32_t n, void *to) {
    int32_t error;
    uint32_t i = get(block, true, &error);
    if (i == NONE) return error;
    memcpy(to, bytes_of(i) + at, n);
    return 0;
}

int32_t meta_write(uint64_t block, uint32_t at, uint32_t n, const void *from) {
    int32_t error;
    uint32_t i = get(block, n != m.block_size, &error);
    if (i == NONE) return error;
    struct cell *c = &m.cell[i];
    if ((c->flags & VALID) && memcmp(bytes_of(i) + at, from, n) == 0) return 0;
    memcpy(bytes_of(i) + at, from, n);
    c->flags |= VALID;
    if (!m.logging) {
        c->flags |= LOGGED;
    } else if (!(c->flags & CHANGED)) {
        c->flags |= CHANGED;
        m.changed++;
    }
    return 0;
}

void meta_forget(uint64_t block) {
    uint32_t i = find(block);
    if (i != NONE) drop(i);
}

void meta_ahead(uint64_t block, uint32_t count) {
    struct disk_io io = {0};
    static uint16_t begun[HOME_BATCH];
    uint32_t n = 0;
    for (; count && n < HOME_BATCH && n < (m.cells - m.changed) / 4 && block < m.blocks;
         block++, count--) {
        if (find(block) != NONE) continue;
        int32_t error;
        uint32_t i = take(block, &error);
        if (i == NONE) break;
        m.cell[i].flags |= VALID; // so that nobody takes it for free; withdrawn if the disk fails
        transfer(DISK_READ, i, &io);
        begun[n++] = (uint16_t)i;
    }
    if (disk_wait(&io))
        for (uint32_t k = 0; k < n; k++) drop(begun[k]);
}

const uint8_t *meta_next_changed(uint32_t *cursor, uint64_t *out_block) {
    for (; *cursor < m.cells; ++*cursor)
        if (m.cell[*cursor].flags & CHANGED) {
            *out_block = m.cell[*cursor].block;
            return bytes_of((*cursor)++);
        }
    return NULL;
}

void meta_committed(void) {
    for (uint32_t i = 0; i < m.cells; i++)
        if (m.cell[i].flags & CHANGED)
            m.cell[i].flags = (uint8_t)((m.cell[i].flags & ~CHANGED) | LOGGED);
    m.changed = 0;
}
