// pt.c — the page tables of pt.h (Intel SDM volume 3A, 4.5: 4-level paging). Tables are reached through the direct map.
//
// Each operation checks everything first and then changes entries without failing. One lock. Unmapping has three steps, so that
// no CPU can reach a frame through a translation that it remembers when the frame gets a new owner: entries become absent but
// keep their frame (DYING: the address is still taken), every CPU forgets (one request for the whole range), frames are freed.
// The second step is outside of the lock. Mapping tells nobody: no CPU remembers that something was absent.
#include "sasos/mem/pt.h"
#include "efi/bootinfo.h"
#include "sasos/arch/cpu.h"
#include "sasos/arch/lock.h"
#include "sasos/arch/smp.h"
#include "sasos/lib/mem.h"
#include "sasos/lib/panic.h"
#include "sasos/mem/frame.h"

#define PTE_P (1ull << 0)
#define PTE_W (1ull << 1)
#define PTE_PWT (1ull << 3)
#define PTE_PCD (1ull << 4)
#define PTE_A (1ull << 5)
#define PTE_D (1ull << 6)
#define PTE_PS (1ull << 7)      // in a PDE: 2 MiB page
#define PTE_PAT_4K (1ull << 7)  // in a PTE
#define PTE_PAT_2M (1ull << 12) // in a PDE with PS
#define PTE_OWNED (1ull << 9)   // ignored by the CPU (4.5.4): PT_OWNED
#define PTE_DYING (1ull << 10)  // with P clear: unmapped, its frame not yet free
#define PTE_NX (1ull << 63)
#define PTE_ADDRESS 0x000ffffffffff000ull
#define PTE_ADDRESS_2M 0x000fffffffe00000ull

#define LEVEL_SHIFT(level) (12 + 9 * (level)) // 0 PT, 1 PD, 2 PDPT, 3 PML4
#define INDEX(va, level) ((va) >> LEVEL_SHIFT(level) & 511)
#define SIZE_2M FRAME_2M
#define UNMAP_STEP (32ull << 20) // a multiple of the large page

extern const char kernel_text_start[], kernel_text_end[], kernel_rodata_start[],
    kernel_rodata_end[], kernel_data_start[], kernel_data_end[];

static struct spinlock lock;
static uint64_t *root;
#define MMIO_FREE 64u
static uint64_t mmio_next = MMIO_BASE;
static struct mmio_range {
    uint64_t va, size;
} mmio_free[MMIO_FREE]; // below mmio_next; size 0: nothing

static uint64_t *table_of(uint64_t entry) { return pt_direct(entry & PTE_ADDRESS); }

static uint64_t leaf_bits(unsigned flags, bool large) {
    uint64_t e = PTE_P | PTE_A | PTE_D; // set beforehand: the CPU need not write them
    if (flags & PT_W) e |= PTE_W;
    if (!(flags & PT_X)) e |= PTE_NX;
    if (flags & PT_UC) e |= PTE_PCD | PTE_PWT;
    if (flags & PT_WC) e |= large ? PTE_PAT_2M : PTE_PAT_4K; // entry 4 of the PAT (arch/cpu.c)
    if (flags & PT_OWNED) e |= PTE_OWNED;
    return large ? e | PTE_PS : e;
}

static unsigned flags_of(uint64_t e, bool large) {
    unsigned flags = PT_R;
    if (e & PTE_W) flags |= PT_W;
    if (!(e & PTE_NX)) flags |= PT_X;
    if (e & PTE_PCD) flags |= PT_UC;
    if (e & (large ? PTE_PAT_2M : PTE_PAT_4K)) flags |= PT_WC;
    if (e & PTE_OWNED) flags |= PT_OWNED;
    return flags;
}

// The entry that maps va, or the lowest missing one on the way. *out_level: 0 or 1 for a present leaf.
static uint64_t *find(uint64_t va, int *out_level) {
    uint64_t *table = root;
    for (int level = 3;; level--) {
        uint64_t *e = &table[INDEX(va, level)];
        if (level == 0 || !(*e & PTE_P) || (level == 1 && *e & PTE_PS)) {
            *out_level = level;
            return e;
        }
        table = table_of(*e);
    }
}

static bool is_leaf(uint64_t e, int level) {
    return e & PTE_P && (level == 0 || (level == 1 && e & PTE_PS));
}

// The slot for a new leaf at `level` (0 or 1), making tables. NULL: no memory, or something is mapped there (*out_exists).
static uint64_t *reach(uint64_t va, int level, bool *out_exists) {
    *out_exists = false;
    uint64_t *table = root;
    for (int l = 3; l > level; l--) {
        uint64_t *e = &table[INDEX(va, l)];
        if (l == 1 && *e & PTE_PS) { // a dying one too
            *out_exists = true;
            return NULL;
        }
        if (!(*e & PTE_P)) {
            uint64_t frame = frame_alloc(FRAME_ZERO);
            if (!frame) return NULL;
            *e = frame | PTE_P | PTE_W | PTE_A; // rights are the leaf's
        }
        table = table_of(*e);
    }
    uint64_t *e = &table[INDEX(va, level)];
    *out_exists = *e != 0;
    return *out_exists ? NULL : e;
}

static bool inside(uint64_t va, uint64_t len, uint64_t start, uint64_t end) {
    return va >= start && va < end && len <= end - va;
}

static bool permitted(uint64_t va, uint64_t len, unsigned flags) {
    // Never the null page nor anything else below the slots, never the non-canonical hole.
    if (!inside(va, len, SLOTS_BASE, SLOTS_BASE + SLOTS_MAX * SFI_SLOT_SIZE) &&
        (va < DIRECT_MAP_BASE || va + len - 1 < va))
        return false;
    // Text that was once writable would be no better than writable text.
    bool text = va < (uint64_t)kernel_text_end && va + len > (uint64_t)kernel_text_start;
    if (!(flags & PT_X)) return !(text && flags & PT_W);
    if (flags & (PT_W | PT_UC | PT_WC | PT_OWNED)) return false;
    return inside(va, len, (uint64_t)kernel_text_start, (uint64_t)kernel_text_end) ||
           inside(va, len, ARENA_BASE, ARENA_BASE + ARENA_SIZE);
}

// True if a 2 MiB entry can stand for the next piece: no table hangs there yet.
static bool large_fits(uint64_t va, uint64_t pa, uint64_t left, unsigned flags) {
    if (flags & (PT_4K | PT_X) || (va | pa) % SIZE_2M || left < SIZE_2M) return false;
    int level;
    uint64_t *e = find(va, &level);
    return level >= 1 && !*e;
}

// First step. True if another CPU may remember any of it.
static bool unmap_locked(uint64_t va, uint64_t len) {
    bool any = false;
    for (uint64_t end = va + len; va < end;) {
        int level;
        uint64_t *e = find(va, &level), old = *e;
        uint64_t size = 1ull << LEVEL_SHIFT(level);
        if (!(old & PTE_P)) {
            uint64_t next = ALIGN_DOWN(va, size) + size; // skip what the missing table would cover
            if (next < va) return any;
            va = next;
            continue;
        }
        KASSERT(is_leaf(old, level) && va % size == 0 && end - va >= size); // no large entry is cut
        *e = old & PTE_OWNED ? (old & ~PTE_P) | PTE_DYING : 0;
        cpu_invlpg(va);
        any = true;
        va += size;
    }
    return any;
}

// Third step.
static void free_dying_locked(uint64_t va, uint64_t len) {
    for (uint64_t end = va + len; va < end;) {
        int level;
        uint64_t *e = find(va, &level), old = *e;
        uint64_t size = 1ull << LEVEL_SHIFT(level), next = ALIGN_DOWN(va, size) + size;
        if (!(old & PTE_P) && old & PTE_DYING) {
            *e = 0;
            frame_free(old & (level ? PTE_ADDRESS_2M : PTE_ADDRESS), size / FRAME_SIZE);
        }
        if (next < va) return;
        va = next;
    }
}

static enum status map_locked(uint64_t va, uint64_t pa, uint64_t len, unsigned flags) {
    // The first pass makes the tables and finds obstacles; nothing shows until the second.
    for (uint64_t done = 0; done < len;) {
        bool large = large_fits(va + done, pa + done, len - done, flags), exists;
        if (!reach(va + done, large, &exists)) return exists ? ST_EXISTS : ST_NO_MEMORY;
        done += large ? SIZE_2M : FRAME_SIZE;
    }
    for (uint64_t done = 0; done < len;) {
        bool large = large_fits(va + done, pa + done, len - done, flags), exists;
        uint64_t *e = reach(va + done, large, &exists);
        KASSERT(e);
        *e = (pa + done) | leaf_bits(flags, large);
        done += large ? SIZE_2M : FRAME_SIZE;
    }
    return ST_OK; // entries were not present before: nothing is cached
}

enum status pt_map(uint64_t va, uint64_t pa, uint64_t len, unsigned flags) {
    if ((va | pa | len) % FRAME_SIZE || !len || pa + len - 1 > PTE_ADDRESS) return ST_INVALID;
    if (!permitted(va, len, flags)) return ST_DENIED;
    uint64_t irq = spin_lock(&lock);
    enum status st = map_locked(va, pa, len, flags);
    spin_unlock(&lock, irq);
    return st;
}

enum status pt_map_new(uint64_t va, uint64_t len, unsigned flags) {
    if ((va | len) % FRAME_SIZE || !len) return ST_INVALID;
    // Before all that there is gets cleared for nothing.
    if (len / FRAME_SIZE > frame_count_free()) return ST_NO_MEMORY;
    for (uint64_t done = 0; done < len;) {
        uint64_t size = FRAME_SIZE, frame = 0;
        if (!(flags & PT_4K) && (va + done) % SIZE_2M == 0 && len - done >= SIZE_2M &&
            (frame = frame_alloc_2m(FRAME_ZERO)))
            size = SIZE_2M;
        if (!frame) frame = frame_alloc(FRAME_ZERO);
        enum status st = frame ? pt_map(va + done, frame, size, flags | PT_OWNED) : ST_NO_MEMORY;
        if (st != ST_OK) {
            if (frame) frame_free(frame, size / FRAME_SIZE);
            if (done) pt_unmap(va, done);
            return st;
        }
        done += size;
    }
    return ST_OK;
}

void pt_unmap(uint64_t va, uint64_t len) {
    KASSERT((va | len) % FRAME_SIZE == 0);
    // In pieces, so that interrupts are not off for as long as a whole slot takes.
    bool any = false;
    for (uint64_t at = va, end = va + len, stop; at < end; at = stop) {
        stop = MIN(end, ALIGN_DOWN(at, UNMAP_STEP) + UNMAP_STEP);
        uint64_t irq = spin_lock(&lock);
        any |= unmap_locked(at, stop - at);
        spin_unlock(&lock, irq);
    }
    if (!any) return;
    smp_flush();
    for (uint64_t at = va, end = va + len, stop; at < end; at = stop) {
        stop = MIN(end, ALIGN_DOWN(at, UNMAP_STEP) + UNMAP_STEP);
        uint64_t irq = spin_lock(&lock);
        free_dying_locked(at, stop - at);
        spin_unlock(&lock, irq);
    }
}

bool pt_lookup(uint64_t va, uint64_t *out_pa, unsigned *out_flags) {
    if (!root || (int64_t)(va << 16) >> 16 != (int64_t)va) return false;
    int level;
    uint64_t e = *find(va, &level); // no lock: also for a panic; entries are single words
    if (!is_leaf(e, level)) return false;
    uint64_t mask = (1ull << LEVEL_SHIFT(level)) - 1;
    *out_pa = (e & (level ? PTE_ADDRESS_2M : PTE_ADDRESS)) | (va & mask);
    *out_flags = flags_of(e, level == 1);
    return true;
}

bool pt_in_direct(uint64_t pa, uint64_t size) {
    if (!size || pa + size < pa || pa + size > DIRECT_MAP_SIZE) return false;
    for (uint64_t at = ALIGN_DOWN(pa, FRAME_SIZE); at < pa + size; at += FRAME_SIZE) {
        uint64_t found;
        unsigned flags;
        if (!pt_lookup(DIRECT_MAP_BASE + at, &found, &flags)) return false;
    }
    return true;
}

void *pt_map_mmio(uint64_t pa, uint64_t len, unsigned flags) {
    uint64_t first = ALIGN_DOWN(pa, FRAME_SIZE);
    if (!len || pa + len < pa || frame_touches_ram(pa, len)) return NULL;
    uint64_t size = ALIGN_UP(pa + len, FRAME_SIZE) - first;
    uint64_t irq = spin_lock(&lock);
    uint64_t va = 0;
    // What is large (ECAM: 256 MiB) gets an address that allows large entries.
    uint64_t next = mmio_next;
    unsigned i = 0;
    while (i < MMIO_FREE && mmio_free[i].size != size) i++;
    unsigned shape = size < FRAME_2M ? PT_4K : 0;
    if (!shape) next = ALIGN_UP(next, FRAME_2M) + first % FRAME_2M;
    if (shape && i < MMIO_FREE) { // as often as a device's driver is started
        va = mmio_free[i].va;
        if (map_locked(va, first, size, (flags & (PT_W | PT_UC | PT_WC)) | shape) != ST_OK)
            va = 0;
        else
            mmio_free[i].size = 0;
    } else if (size < MMIO_BASE + MMIO_SIZE - next - FRAME_SIZE) {
        va = next;
        mmio_next = next + size + FRAME_SIZE; // a hole after each: an overrun faults
        if (map_locked(va, first, size, (flags & (PT_W | PT_UC | PT_WC)) | shape) != ST_OK) va = 0;
    }
    spin_unlock(&lock, irq);
    return va ? (void *)(va + (pa - first)) : NULL;
}

void pt_unmap_mmio(void *va, uint64_t len) {
    uint64_t first = ALIGN_DOWN((uint64_t)va, FRAME_SIZE);
    KASSERT(inside((uint64_t)va, len, MMIO_BASE, MMIO_BASE + MMIO_SIZE));
    uint64_t size = ALIGN_UP((uint64_t)va + len, FRAME_SIZE) - first;
    pt_unmap(first, size);
    uint64_t irq = spin_lock(&lock);
    unsigned i = 0;
    while (i < MMIO_FREE && mmio_free[i].size) i++;
    if (i < MMIO_FREE && size < FRAME_2M) mmio_free[i] = (struct mmio_range){first, size};
    spin_unlock(&lock, irq);
}

void pt_free_slot_tables(uint64_t va) {
    KASSERT(inside(va, SFI_SLOT_SIZE, SLOTS_BASE, SLOTS_BASE + SLOTS_MAX * SFI_SLOT_SIZE) &&
            va % SFI_SLOT_SIZE == 0);
    // The tables' frames are chained through their first words, which stay "not present" to a CPU that still walks there.
    uint64_t chain = 0, irq = spin_lock(&lock);
    uint64_t *pml4e = &root[INDEX(va, 3)];
    for (uint64_t at = va; *pml4e & PTE_P && at < va + SFI_SLOT_SIZE; at += 1ull << LEVEL_SHIFT(2)) {
        uint64_t *pdpte = &table_of(*pml4e)[INDEX(at, 2)];
        if (!(*pdpte & PTE_P)) continue;
        uint64_t *pd = table_of(*pdpte);
        for (int i = 0; i < 512; i++) {
            if (!(pd[i] & PTE_P)) continue;
            KASSERT(!(pd[i] & PTE_PS));
            for (int k = 0; k < 512; k++) KASSERT(!table_of(pd[i])[k]);
            *table_of(pd[i]) = chain;
            chain = pd[i] & PTE_ADDRESS;
            pd[i] = 0;
        }
        *pd = chain;
        chain = *pdpte & PTE_ADDRESS;
        *pdpte = 0;
        cpu_invlpg(at); // any invlpg drops all paging-structure caches (4.10.4.1)
    }
    spin_unlock(&lock, irq);
    if (chain) smp_flush(); // before a table's frame is reused
    while (chain) {
        uint64_t table = chain;
        chain = *(uint64_t *)pt_direct(table);
        frame_free(table, 1);
    }
}

void pt_walk(uint64_t va, uint64_t len, pt_walk_fn *fn, void *arg) {
    for (uint64_t end = va + len; va < end;) {
        int level;
        uint64_t e = *find(va, &level), size = 1ull << LEVEL_SHIFT(level);
        if (is_leaf(e, level))
            fn(arg, va, e & (level ? PTE_ADDRESS_2M : PTE_ADDRESS), size, flags_of(e, level == 1));
        uint64_t next = ALIGN_DOWN(va, size) + size;
        if (next < va) return;
        va = next;
    }
}

static void must_map(uint64_t va, uint64_t pa, uint64_t len, unsigned flags) {
    enum status st = len ? pt_map(va, pa, len, flags) : ST_OK;
    if (st != ST_OK) panic_refuse("the kernel's page tables cannot be made: %s", status_text(st));
}

static void map_image(const struct bootinfo *info, const char *start, const char *end, unsigned flags) {
    must_map((uint64_t)start, info->kernel_phys + ((uint64_t)start - info->kernel_virt),
             (uint64_t)(end - start), flags);
}

// 0: not in the direct map.
static unsigned direct_rights(const struct boot_mem_range *r) {
    switch (r->type) {
    case BOOT_MEM_FREE:
    case BOOT_MEM_LOADER: return PT_R | PT_W;
    case BOOT_MEM_ACPI_RECLAIM:
    case BOOT_MEM_ACPI_NVS: return PT_R;
    default: return 0;
    }
}

void pt_init(const struct bootinfo *info, uint64_t arena_pa, uint64_t arena_size) {
    uint64_t frame = frame_alloc(FRAME_ZERO);
    if (!frame) panic_refuse("there is no memory for page tables");
    root = pt_direct(frame);
    KASSERT(info->kernel_virt == KERNEL_BASE);
    map_image(info, kernel_text_start, kernel_text_end, PT_X);
    map_image(info, kernel_rodata_start, kernel_rodata_end, PT_R);
    map_image(info, kernel_data_start, kernel_data_end, PT_W);

    uint64_t count;
    const struct boot_mem_range *map = frame_map(&count);
    for (uint64_t i = 0; i < count;) {
        // Neighbours with the same rights are mapped together: more large pages, fewer tables.
        uint64_t start = map[i].base, end = start;
        unsigned flags = direct_rights(&map[i]);
        for (; i < count && map[i].base == end && direct_rights(&map[i]) == flags; i++)
            end += map[i].pages * FRAME_SIZE;
        if (!flags || start >= DIRECT_MAP_SIZE) continue;
        end = MIN(end, DIRECT_MAP_SIZE);
        // Around the arena: its frames will be executable and have no other mapping.
        uint64_t hole = MIN(MAX(arena_pa, start), end),
                 after = MIN(MAX(arena_pa + arena_size, start), end);
        must_map(DIRECT_MAP_BASE + start, start, hole - start, flags);
        must_map(DIRECT_MAP_BASE + after, after, end - after, flags);
    }
    cpu_write_cr3(frame);
}
