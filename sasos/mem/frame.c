// frame.c — the allocator of frame.h.
//
// One bit a frame (1 = not available), and for each 2 MiB chunk the number of its free frames. Single frames come from the
// lowest chunk that has one, so that small allocations fill a few chunks and large pages stay possible. The bitmap, the counts
// and a copy of the memory map lie in the first free range that holds them; nothing else of memory is touched at boot.
#include "sasos/mem/frame.h"
#include "efi/bootinfo.h"
#include "sasos/arch/lock.h"
#include "sasos/lib/mem.h"
#include "sasos/lib/panic.h"

#define CHUNK 512ull // frames
#define LOW_MEMORY \
    0x100ull // frames below 1 MiB are left alone: firmware habits, and the other CPUs' first code (arch/smp.c)
#define FOUR_GIB 0x100000ull

static struct spinlock lock;
static uint64_t direct;
static uint64_t *used_bits;
static uint16_t *chunk_free;
static uint64_t frames, chunks; // the bitmap covers frames [0, frames)
static uint64_t total, free_count;
static uint64_t hint; // no chunk below it has a free frame
static const struct boot_mem_range *map;
static uint64_t map_count;

static bool is_used(uint64_t f) { return used_bits[f / 64] >> (f % 64) & 1; }

static void mark_used(uint64_t f) {
    used_bits[f / 64] |= 1ull << (f % 64);
    chunk_free[f / CHUNK]--;
}

static void mark_free(uint64_t f) {
    used_bits[f / 64] &= ~(1ull << (f % 64));
    chunk_free[f / CHUNK]++;
}

static void add_range(uint64_t first, uint64_t end) {
    first = MAX(first, LOW_MEMORY);
    end = MIN(end, frames);
    for (uint64_t f = first; f < end;) {
        // Whole words at a time: a boot must not take longer because the machine has more memory.
        if (f % 64 == 0 && end - f >= 64) {
            KASSERT(used_bits[f / 64] == UINT64_MAX);
            used_bits[f / 64] = 0;
            chunk_free[f / CHUNK] += 64;
            f += 64;
            free_count += 64;
        } else {
            KASSERT(is_used(f));
            mark_free(f++);
            free_count++;
        }
    }
    if (end > first) hint = MIN(hint, first / CHUNK);
}

static bool is_ram(uint32_t type) { return type == BOOT_MEM_FREE || type == BOOT_MEM_LOADER; }

void frame_init(const struct bootinfo *info, uint64_t direct_base) {
    direct = direct_base;
    const struct boot_mem_range *boot_map = (const void *)(direct + info->mem_map);
    frames = 0, total = 0, free_count = 0;
    uint64_t last = 0;
    for (uint64_t i = 0; i < info->mem_map_count; i++) {
        const struct boot_mem_range *r = &boot_map[i];
        if (r->base % FRAME_SIZE || r->base / FRAME_SIZE < last || r->pages > (1ull << 40))
            panic_refuse("the firmware's memory map is not in order at entry %llu",
                         (unsigned long long)i);
        last = r->base / FRAME_SIZE + r->pages;
        if (!is_ram(r->type)) continue;
        frames = last;
        total += r->pages;
    }
    chunks = (frames + CHUNK - 1) / CHUNK;

    uint64_t bits_size = chunks * CHUNK / 8, counts_size = ALIGN_UP(chunks * sizeof *chunk_free, 8);
    uint64_t map_size = info->mem_map_count * sizeof *map;
    uint64_t own = (bits_size + counts_size + map_size + FRAME_SIZE - 1) / FRAME_SIZE, at = 0;
    for (uint64_t i = 0; i < info->mem_map_count && !at; i++) {
        const struct boot_mem_range *r = &boot_map[i];
        uint64_t first = MAX(r->base / FRAME_SIZE, LOW_MEMORY), end = r->base / FRAME_SIZE + r->pages;
        if (r->type == BOOT_MEM_FREE && end > first && end - first >= own) at = first;
    }
    if (!at)
        panic_refuse("no free memory range holds the %llu KiB of the frame table",
                     (unsigned long long)own * 4);
    used_bits = (uint64_t *)(direct + at * FRAME_SIZE);
    chunk_free = (uint16_t *)((uint64_t)used_bits + bits_size);
    memset(used_bits, 0xff, bits_size);
    memset(chunk_free, 0, counts_size);
    memcpy((uint8_t *)chunk_free + counts_size, boot_map, map_size);
    map = (const void *)((uint8_t *)chunk_free + counts_size);
    map_count = info->mem_map_count;

    hint = chunks;
    for (uint64_t i = 0; i < map_count; i++) {
        uint64_t first = map[i].base / FRAME_SIZE, end = first + map[i].pages;
        if (map[i].type != BOOT_MEM_FREE) continue;
        if (at >= first && at < end) {
            add_range(first, at);
            first = at + own;
        }
        add_range(first, end);
    }
}

void frame_reclaim(const struct bootinfo *info) {
    const struct boot_blob *keep[] = {&info->kernel_elf, &info->modules, &info->config};
    for (uint64_t i = 0; i < map_count; i++) {
        if (map[i].type != BOOT_MEM_LOADER) continue;
        uint64_t first = map[i].base / FRAME_SIZE, end = first + map[i].pages;
        while (first < end) {
            // Up to the next blob, then over it. Blobs may share a frame; what touches one stays.
            uint64_t stop = end, next = end;
            for (unsigned k = 0; k < ARRAY_LEN(keep); k++) {
                if (!keep[k]->size) continue;
                uint64_t b = keep[k]->base / FRAME_SIZE;
                uint64_t e = (keep[k]->base + keep[k]->size + FRAME_SIZE - 1) / FRAME_SIZE;
                if (e <= first || b >= stop) continue;
                stop = MAX(b, first), next = MIN(e, end);
            }
            uint64_t flags = spin_lock(&lock);
            add_range(first, stop);
            spin_unlock(&lock, flags);
            first = next;
        }
    }
}

static void clear(uint64_t frame, uint64_t n) {
    memset((void *)(direct + frame * FRAME_SIZE), 0, n * FRAME_SIZE);
}

static uint64_t take_single(uint64_t limit) {
    for (uint64_t c = hint; c < chunks && c * CHUNK < limit; c++) {
        if (!chunk_free[c]) {
            if (c == hint) hint++;
            continue;
        }
        for (uint64_t w = c * CHUNK / 64; w < (c + 1) * CHUNK / 64; w++) {
            if (used_bits[w] == UINT64_MAX) continue;
            uint64_t f = w * 64 + (uint64_t)__builtin_ctzll(~used_bits[w]);
            if (f >= limit) return 0;
            mark_used(f);
            free_count--;
            return f;
        }
        panic("frame table: chunk %llu has a count but no free frame", (unsigned long long)c);
    }
    return 0;
}

// First frame of [first, first + n) that is taken, seen from the end, plus one: where a run may start next. 0: all free.
static uint64_t obstacle(uint64_t first, uint64_t n) {
    for (uint64_t f = first + n; f-- > first;) {
        if (f % CHUNK == CHUNK - 1 && f + 1 - first >= CHUNK && chunk_free[f / CHUNK] == CHUNK)
            f -= CHUNK - 1;
        else if (is_used(f))
            return f + 1;
    }
    return 0;
}

static uint64_t take_run(uint64_t n, uint64_t align, uint64_t limit) {
    limit = MIN(limit, frames);
    for (uint64_t f = ALIGN_UP(MAX(hint * CHUNK, 1ull), align); f + n <= limit;) {
        uint64_t next = obstacle(f, n);
        if (next) {
            f = ALIGN_UP(next, align);
            while (f / CHUNK < chunks && !chunk_free[f / CHUNK])
                f = ALIGN_UP((f / CHUNK + 1) * CHUNK, align);
            continue;
        }
        for (uint64_t i = f; i < f + n; i++) mark_used(i);
        free_count -= n;
        return f;
    }
    return 0;
}

uint64_t frame_alloc_run(uint64_t n, uint64_t align, unsigned flags) {
    KASSERT(n && align && !(align & (align - 1)) && !cpu_in_handler());
    uint64_t limit = flags & FRAME_LOW ? MIN(FOUR_GIB, frames) : frames;
    uint64_t irq = spin_lock(&lock);
    uint64_t f = n > free_count         ? 0
                 : n == 1 && align == 1 ? take_single(limit)
                                        : take_run(n, align, limit);
    spin_unlock(&lock, irq);
    if (f && flags & FRAME_ZERO) clear(f, n);
    return f * FRAME_SIZE;
}

uint64_t frame_alloc(unsigned flags) { return frame_alloc_run(1, 1, flags); }

void frame_free(uint64_t pa, uint64_t n) {
    uint64_t first = pa / FRAME_SIZE;
    KASSERT(pa && pa % FRAME_SIZE == 0 && n && first + n <= frames && !cpu_in_handler());
    uint64_t irq = spin_lock(&lock);
    for (uint64_t f = first; f < first + n; f++) {
        if (!is_used(f)) panic("frame %llx is freed twice", (unsigned long long)f * FRAME_SIZE);
        mark_free(f);
    }
    free_count += n;
    hint = MIN(hint, first / CHUNK);
    spin_unlock(&lock, irq);
}

bool frame_is_ram(uint64_t pa, uint64_t size) {
    if (!size || pa + size < pa) return false;
    for (uint64_t i = 0; i < map_count && size; i++) {
        uint64_t end = map[i].base + map[i].pages * FRAME_SIZE;
        if (pa < map[i].base) return false;
        if (pa >= end) continue;
        if (!is_ram(map[i].type)) return false;
        uint64_t step = MIN(size, end - pa);
        pa += step, size -= step;
    }
    return !size;
}

bool frame_touches_ram(uint64_t pa, uint64_t size) {
    for (uint64_t i = 0; i < map_count; i++)
        if ((is_ram(map[i].type) || map[i].type == BOOT_MEM_KERNEL) &&
            pa < map[i].base + map[i].pages * FRAME_SIZE && pa + size > map[i].base)
            return true;
    return false;
}

uint64_t frame_total(void) { return total; }
uint64_t frame_count_free(void) { return free_count; }
const struct boot_mem_range *frame_map(uint64_t *out_count) {
    *out_count = map_count;
    return map;
}
