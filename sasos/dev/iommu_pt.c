// iommu_pt.c — builds and changes page tables of the IOMMU (see iommu_pt.h).
#include "sasos/dev/iommu_pt.h"

#include <stddef.h>

#define ENTRY_ADDRESS 0x000ffffffffff000ull // both formats: 51:12
#define ENTRIES 512u

// VT-d rev. 5.10 §9.8: R bit 0, W bit 1, PS bit 7; not present where R = W = 0.
const struct iommu_pt_format iommu_pt_vtd = {
    .read = 1 << 0,
    .write = 1 << 1,
    .present = 3,
    .large = 1 << 7,
    .large_mask = 1 << 7,
    .table = 3,
};

// AMD 48882 rev. 3.09 §2.2.3, tables 17 and 18: PR bit 0, Next Level 11:9 (0: leaf), FC bit 60
// (DMA snoops the caches), IR bit 61, IW bit 62. Where PR = 0 the rest is software's. There it is
// not left zero, because QEMU up to 9 blocks a request at an entry of all zeros without recording
// it; with a Next Level it records.
const struct iommu_pt_format iommu_pt_amdvi = {
    .read = 1ull << 61,
    .write = 1ull << 62,
    .present = 1,
    .leaf = 1 | 1ull << 60,
    .large_mask = 7 << 9,
    .table = 1 | 3ull << 61,
    .table_level = 1 << 9,
    .empty = 1 << 9,
};

static uint64_t level_size(unsigned level) {
    return 1ull << (12 + 9 * (level - 1));
} // bytes that one entry of it covers

static unsigned level_index(uint64_t iova, unsigned level) {
    return iova >> (12 + 9 * (level - 1)) & (ENTRIES - 1);
}

static bool is_present(const struct iommu_pt *pt, uint64_t entry) {
    return entry & pt->format->present;
}

static bool is_leaf(const struct iommu_pt *pt, uint64_t entry, unsigned level) {
    return level == 1 || (entry & pt->format->large_mask) == pt->format->large;
}

static uint64_t leaf_entry(const struct iommu_pt *pt, uint64_t phys, unsigned rights, unsigned level) {
    const struct iommu_pt_format *f = pt->format;
    return phys | f->leaf | (rights & IOMMU_PT_READ ? f->read : 0) |
           (rights & IOMMU_PT_WRITE ? f->write : 0) | (level == 2 ? f->large : 0);
}

// The leaf decides: rights are the AND of all levels (VT-d §3.7.1, 48882 §2.2.3).
static uint64_t table_entry(const struct iommu_pt *pt, uint64_t phys, unsigned level) {
    return phys | pt->format->table | level * pt->format->table_level;
}

static unsigned rights_of(const struct iommu_pt *pt, uint64_t entry) {
    return (entry & pt->format->read ? IOMMU_PT_READ : 0) |
           (entry & pt->format->write ? IOMMU_PT_WRITE : 0);
}

// One store: the walker sees the old or the new entry. Release, because a table must be complete
// before it is linked.
static void entry_write(struct iommu_pt *pt, uint64_t *entry, uint64_t value) {
    __atomic_store_n(entry, value, __ATOMIC_RELEASE);
    pt->ops->flush(pt->ops->arg, entry, sizeof *entry);
}

static uint64_t *table_of(const struct iommu_pt *pt, uint64_t phys) {
    return pt->ops->table(pt->ops->arg, phys);
}

static uint64_t new_table(struct iommu_pt *pt) {
    uint64_t phys = pt->ops->alloc(pt->ops->arg);
    if (phys) {
        pt->tables++;
        uint64_t *table = table_of(pt, phys);
        for (unsigned i = 0; pt->format->empty && i < ENTRIES; i++) table[i] = pt->format->empty;
        pt->ops->flush(pt->ops->arg, table, IOMMU_PT_PAGE);
    }
    return phys;
}

// The deepest entry on the way to iova: a leaf, or the entry that is not present. *out_level is its
// level.
static uint64_t *walk(const struct iommu_pt *pt, uint64_t iova, unsigned *out_level) {
    uint64_t *table = table_of(pt, pt->root);
    for (unsigned level = pt->levels;; level--) {
        uint64_t *entry = &table[level_index(iova, level)];
        if (!is_present(pt, *entry) || is_leaf(pt, *entry, level)) {
            *out_level = level;
            return entry;
        }
        table = table_of(pt, *entry & ENTRY_ADDRESS);
    }
}

// The entry for iova at `level`, making the tables above it; NULL when memory is out. No leaf may
// be on the way.
static uint64_t *walk_make(struct iommu_pt *pt, uint64_t iova, unsigned level) {
    uint64_t *table = table_of(pt, pt->root);
    for (unsigned l = pt->levels; l > level; l--) {
        uint64_t *entry = &table[level_index(iova, l)];
        if (!is_present(pt, *entry)) {
            uint64_t phys = new_table(pt);
            if (!phys) return NULL;
            entry_write(pt, entry, table_entry(pt, phys, l - 1));
        }
        table = table_of(pt, *entry & ENTRY_ADDRESS);
    }
    return &table[level_index(iova, level)];
}

enum status iommu_pt_init(struct iommu_pt *pt, const struct iommu_pt_ops *ops,
                          const struct iommu_pt_format *format, unsigned levels,
                          unsigned address_bits, bool large) {
    if ((levels != 3 && levels != 4) || address_bits < 32 || address_bits > 52) return ST_INVALID;
    *pt = (struct iommu_pt){
        .ops = ops, .format = format, .levels = levels, .address_bits = address_bits, .large = large};
    pt->root = new_table(pt);
    return pt->root ? ST_OK : ST_NO_MEMORY;
}

void iommu_pt_destroy(struct iommu_pt *pt) {
    // Depth first without recursion: `stack` holds the tables on the way down and where to go on in
    // each.
    struct {
        uint64_t phys;
        unsigned next;
    } stack[4];
    unsigned depth = 0;
    if (!pt->root) return;
    stack[0].phys = pt->root;
    stack[0].next = 0;
    for (;;) {
        unsigned level = pt->levels - depth;
        if (level > 1 && stack[depth].next < ENTRIES) {
            uint64_t entry = table_of(pt, stack[depth].phys)[stack[depth].next++];
            if (is_present(pt, entry) && !is_leaf(pt, entry, level)) {
                depth++;
                stack[depth].phys = entry & ENTRY_ADDRESS;
                stack[depth].next = 0;
            }
            continue;
        }
        pt->ops->free(pt->ops->arg, stack[depth].phys);
        pt->tables--;
        if (depth-- == 0) break;
    }
    pt->root = 0;
}

static bool range_ok(const struct iommu_pt *pt, uint64_t iova, uint64_t len) {
    uint64_t limit = level_size(pt->levels) * ENTRIES;
    return len && iova % IOMMU_PT_PAGE == 0 && len % IOMMU_PT_PAGE == 0 && iova < limit &&
           len <= limit - iova;
}

// True if no page of the range is mapped.
static bool range_free(const struct iommu_pt *pt, uint64_t iova, uint64_t len) {
    for (uint64_t at = iova, end = iova + len; at < end;) {
        unsigned level;
        if (is_present(pt, *walk(pt, at, &level))) return false;
        at = (at & ~(level_size(level) - 1)) + level_size(level);
    }
    return true;
}

static void clear_range(struct iommu_pt *pt, uint64_t iova, uint64_t len, uint64_t *out_pages) {
    for (uint64_t at = iova, end = iova + len; at < end;) {
        unsigned level;
        uint64_t *entry = walk(pt, at, &level);
        if (is_present(pt, *entry)) {
            entry_write(pt, entry, pt->format->empty);
            *out_pages += level_size(level) / IOMMU_PT_PAGE;
        }
        at = (at & ~(level_size(level) - 1)) + level_size(level);
    }
}

enum status iommu_pt_map(struct iommu_pt *pt, uint64_t iova, uint64_t phys, uint64_t len,
                         unsigned rights) {
    uint64_t phys_limit = 1ull << pt->address_bits;
    if (!range_ok(pt, iova, len) || phys % IOMMU_PT_PAGE || phys >= phys_limit || len > phys_limit - phys)
        return ST_INVALID;
    if (!rights || rights & ~(unsigned)(IOMMU_PT_READ | IOMMU_PT_WRITE)) return ST_INVALID;
    if (!range_free(pt, iova, len)) return ST_EXISTS;

    for (uint64_t done = 0; done < len;) {
        uint64_t at = iova + done, to = phys + done, size = IOMMU_PT_PAGE;
        unsigned level = 1;
        if (pt->large && at % IOMMU_PT_LARGE == 0 && to % IOMMU_PT_LARGE == 0 &&
            len - done >= IOMMU_PT_LARGE) {
            // A table that is there already stays (iommu_pt.h): then 4 KiB leaves go into it.
            unsigned found;
            walk(pt, at, &found);
            if (found >= 2) level = 2, size = IOMMU_PT_LARGE;
        }
        uint64_t *entry = walk_make(pt, at, level);
        if (!entry) {
            uint64_t undone = 0;
            if (done) clear_range(pt, iova, done, &undone);
            return ST_NO_MEMORY;
        }
        entry_write(pt, entry, leaf_entry(pt, to, rights, level));
        done += size;
    }
    return ST_OK;
}

// Makes `at` a boundary between leaves: a 2 MiB leaf across it becomes a table of 4 KiB leaves with
// the same meaning.
static enum status split(struct iommu_pt *pt, uint64_t at) {
    unsigned level;
    if (at % IOMMU_PT_LARGE == 0) return ST_OK;
    uint64_t *entry = walk(pt, at, &level);
    if (!is_present(pt, *entry) || level == 1) return ST_OK;
    uint64_t phys = new_table(pt), base = *entry & ENTRY_ADDRESS;
    unsigned rights = rights_of(pt, *entry);
    if (!phys) return ST_NO_MEMORY;
    uint64_t *table = table_of(pt, phys);
    for (unsigned i = 0; i < ENTRIES; i++)
        table[i] = leaf_entry(pt, base + i * IOMMU_PT_PAGE, rights, 1);
    pt->ops->flush(pt->ops->arg, table, IOMMU_PT_PAGE);
    entry_write(pt, entry, table_entry(pt, phys, 1));
    return ST_OK;
}

enum status iommu_pt_unmap(struct iommu_pt *pt, uint64_t iova, uint64_t len, uint64_t *out_pages) {
    *out_pages = 0;
    if (!range_ok(pt, iova, len)) return ST_INVALID;
    enum status status = split(pt, iova);
    if (status == ST_OK && iova + len < level_size(pt->levels) * ENTRIES)
        status = split(pt, iova + len);
    if (status != ST_OK) return status;
    clear_range(pt, iova, len, out_pages);
    return ST_OK;
}
