// vtd_pt.c — builds and changes second-stage page tables (see vtd_pt.h). VT-d rev. 5.10 §9.8: R bit
// 0, W bit 1, PS bit 7, address 51:12; an entry with R = W = 0 is not present.
#include "sasos/dev/vtd_pt.h"

#include <stddef.h>

#define ENTRY_R (1ull << 0)
#define ENTRY_W (1ull << 1)
#define ENTRY_PS (1ull << 7)
#define ENTRY_RIGHTS (ENTRY_R | ENTRY_W)
#define ENTRY_ADDRESS 0x000ffffffffff000ull
#define ENTRIES 512u

static uint64_t level_size(unsigned level) {
    return 1ull << (12 + 9 * (level - 1));
} // bytes that one entry of it covers

static unsigned level_index(uint64_t iova, unsigned level) {
    return iova >> (12 + 9 * (level - 1)) & (ENTRIES - 1);
}

static bool is_present(uint64_t entry) { return entry & ENTRY_RIGHTS; }

static bool is_leaf(uint64_t entry, unsigned level) { return level == 1 || entry & ENTRY_PS; }

// One store: the walker sees the old or the new entry. Release, because a table must be complete
// before it is linked.
static void entry_write(struct vtd_pt *pt, uint64_t *entry, uint64_t value) {
    __atomic_store_n(entry, value, __ATOMIC_RELEASE);
    pt->ops->flush(pt->ops->arg, entry, sizeof *entry);
}

static uint64_t *table_of(const struct vtd_pt *pt, uint64_t phys) {
    return pt->ops->table(pt->ops->arg, phys);
}

static uint64_t new_table(struct vtd_pt *pt) {
    uint64_t phys = pt->ops->alloc(pt->ops->arg);
    if (phys) {
        pt->tables++;
        pt->ops->flush(pt->ops->arg, table_of(pt, phys), VTD_PT_PAGE);
    }
    return phys;
}

// The deepest entry on the way to iova: a leaf, or the entry that is not present. *out_level is its
// level.
static uint64_t *walk(const struct vtd_pt *pt, uint64_t iova, unsigned *out_level) {
    uint64_t *table = table_of(pt, pt->root);
    for (unsigned level = pt->levels;; level--) {
        uint64_t *entry = &table[level_index(iova, level)];
        if (!is_present(*entry) || is_leaf(*entry, level)) {
            *out_level = level;
            return entry;
        }
        table = table_of(pt, *entry & ENTRY_ADDRESS);
    }
}

// The entry for iova at `level`, making the tables above it; NULL when memory is out. No leaf may
// be on the way.
static uint64_t *walk_make(struct vtd_pt *pt, uint64_t iova, unsigned level) {
    uint64_t *table = table_of(pt, pt->root);
    for (unsigned l = pt->levels; l > level; l--) {
        uint64_t *entry = &table[level_index(iova, l)];
        if (!is_present(*entry)) {
            uint64_t phys = new_table(pt);
            if (!phys) return NULL;
            entry_write(pt, entry,
                        phys | ENTRY_RIGHTS); // the leaf decides: rights are the AND of all levels (§3.7.1)
        }
        table = table_of(pt, *entry & ENTRY_ADDRESS);
    }
    return &table[level_index(iova, level)];
}

enum status vtd_pt_init(struct vtd_pt *pt, const struct vtd_pt_ops *ops, unsigned levels,
                        unsigned address_bits, bool large) {
    if ((levels != 3 && levels != 4) || address_bits < 32 || address_bits > 52) return ST_INVALID;
    *pt = (struct vtd_pt){.ops = ops, .levels = levels, .address_bits = address_bits, .large = large};
    pt->root = new_table(pt);
    return pt->root ? ST_OK : ST_NO_MEMORY;
}

void vtd_pt_destroy(struct vtd_pt *pt) {
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
            if (is_present(entry) && !is_leaf(entry, level)) {
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

static bool range_ok(const struct vtd_pt *pt, uint64_t iova, uint64_t len) {
    uint64_t limit = level_size(pt->levels) * ENTRIES;
    return len && iova % VTD_PT_PAGE == 0 && len % VTD_PT_PAGE == 0 && iova < limit &&
           len <= limit - iova;
}

// True if no page of the range is mapped.
static bool range_free(const struct vtd_pt *pt, uint64_t iova, uint64_t len) {
    for (uint64_t at = iova, end = iova + len; at < end;) {
        unsigned level;
        if (is_present(*walk(pt, at, &level))) return false;
        at = (at & ~(level_size(level) - 1)) + level_size(level);
    }
    return true;
}

static void clear_range(struct vtd_pt *pt, uint64_t iova, uint64_t len, uint64_t *out_pages) {
    for (uint64_t at = iova, end = iova + len; at < end;) {
        unsigned level;
        uint64_t *entry = walk(pt, at, &level);
        if (is_present(*entry)) {
            entry_write(pt, entry, 0);
            *out_pages += level_size(level) / VTD_PT_PAGE;
        }
        at = (at & ~(level_size(level) - 1)) + level_size(level);
    }
}

enum status vtd_pt_map(struct vtd_pt *pt, uint64_t iova, uint64_t phys, uint64_t len, unsigned rights) {
    uint64_t phys_limit = 1ull << pt->address_bits;
    if (!range_ok(pt, iova, len) || phys % VTD_PT_PAGE || phys >= phys_limit || len > phys_limit - phys)
        return ST_INVALID;
    if (!rights || rights & ~(unsigned)(VTD_PT_READ | VTD_PT_WRITE)) return ST_INVALID;
    if (!range_free(pt, iova, len)) return ST_EXISTS;

    for (uint64_t done = 0; done < len;) {
        uint64_t at = iova + done, to = phys + done, size = VTD_PT_PAGE;
        unsigned level = 1;
        if (pt->large && at % VTD_PT_LARGE == 0 && to % VTD_PT_LARGE == 0 &&
            len - done >= VTD_PT_LARGE) {
            // A table that is there already stays (vtd_pt.h): then 4 KiB leaves go into it.
            unsigned found;
            walk(pt, at, &found);
            if (found >= 2) level = 2, size = VTD_PT_LARGE;
        }
        uint64_t *entry = walk_make(pt, at, level);
        if (!entry) {
            uint64_t undone = 0;
            if (done) clear_range(pt, iova, done, &undone);
            return ST_NO_MEMORY;
        }
        entry_write(pt, entry, to | rights | (level == 2 ? ENTRY_PS : 0));
        done += size;
    }
    return ST_OK;
}

// Makes `at` a boundary between leaves: a 2 MiB leaf across it becomes a table of 4 KiB leaves with
// the same meaning.
static enum status split(struct vtd_pt *pt, uint64_t at) {
    unsigned level;
    if (at % VTD_PT_LARGE == 0) return ST_OK;
    uint64_t *entry = walk(pt, at, &level);
    if (!is_present(*entry) || level == 1) return ST_OK;
    uint64_t phys = new_table(pt), base = *entry & ENTRY_ADDRESS, rights = *entry & ENTRY_RIGHTS;
    if (!phys) return ST_NO_MEMORY;
    uint64_t *table = table_of(pt, phys);
    for (unsigned i = 0; i < ENTRIES; i++) table[i] = (base + i * VTD_PT_PAGE) | rights;
    pt->ops->flush(pt->ops->arg, table, VTD_PT_PAGE);
    entry_write(pt, entry, phys | ENTRY_RIGHTS);
    return ST_OK;
}

enum status vtd_pt_unmap(struct vtd_pt *pt, uint64_t iova, uint64_t len, uint64_t *out_pages) {
    *out_pages = 0;
    if (!range_ok(pt, iova, len)) return ST_INVALID;
    enum status status = split(pt, iova);
    if (status == ST_OK && iova + len < level_size(pt->levels) * ENTRIES)
        status = split(pt, iova + len);
    if (status != ST_OK) return status;
    clear_range(pt, iova, len, out_pages);
    return ST_OK;
}

bool vtd_pt_lookup(const struct vtd_pt *pt, uint64_t iova, uint64_t *out_phys, unsigned *out_rights) {
    unsigned level;
    if (iova >= level_size(pt->levels) * ENTRIES) return false;
    uint64_t entry = *walk(pt, iova, &level);
    if (!is_present(entry)) return false;
    *out_phys = (entry & ENTRY_ADDRESS) + (iova & (level_size(level) - 1));
    *out_rights = entry & ENTRY_RIGHTS;
    return true;
}
