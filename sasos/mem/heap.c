// heap.c — the kernel heap of heap.h.
//
// The range is [page descriptors | pages]. A block of pages is a power of two long and comes from a list of free blocks of its
// order, else from the never-used rest of the range; address space is not merged back, it is a thousand times the memory.
// Only as many pages are mapped as were asked for, and none of a free block.
//
// Objects of up to 2 KiB come from slabs: one page cut into equal objects, with the free ones linked through their first bytes
// and the slab itself on its class's list while it has any. An empty slab goes back unless it is its list's only one.
#include "sasos/mem/heap.h"
#include "sasos/arch/lock.h"
#include "sasos/lib/mem.h"
#include "sasos/lib/panic.h"
#include "sasos/mem/frame.h"
#include "sasos/mem/pt.h"

#define CLASS_MIN_SHIFT 4
#define CLASSES 8 // 16, 32, … 2048
#define ORDERS 24 // of pages: up to 32 GiB
#define NO_PAGE UINT32_MAX
#define NO_OBJECT UINT16_MAX

enum kind { FREE, BUSY, SLAB, LARGE }; // BUSY: being mapped or unmapped

struct page {            // descriptor of a block's first page
    uint32_t next, prev; // list of free blocks of an order, or of slabs with free objects
    uint32_t pages;      // LARGE: mapped pages
    uint16_t free_head;  // SLAB: offset of the first free object / 16, NO_OBJECT
    uint16_t used;       // SLAB: objects handed out
    uint8_t kind, index; // index: size class or order
};

static struct spinlock lock;
static struct page *pages;
static uint64_t pages_base, pages_total, pages_used, descriptors_mapped; // the last in bytes
static uint32_t slabs[CLASSES], blocks[ORDERS];
static struct heap_stats stats;

void heap_init(uint64_t base, uint64_t size) {
    pages_total = MIN(size / (FRAME_SIZE + sizeof(struct page)) - 1, (uint64_t)UINT32_MAX - 1);
    pages = (struct page *)base;
    pages_base = base + ALIGN_UP(pages_total * sizeof(struct page), FRAME_SIZE);
    pages_used = descriptors_mapped = 0;
    for (int i = 0; i < CLASSES; i++) slabs[i] = NO_PAGE;
    for (int i = 0; i < ORDERS; i++) blocks[i] = NO_PAGE;
    stats = (struct heap_stats){0};
}

static void *address(uint32_t page) { return (void *)(pages_base + page * FRAME_SIZE); }

static void list_add(uint32_t *head, uint32_t page) {
    pages[page].next = *head;
    pages[page].prev = NO_PAGE;
    if (*head != NO_PAGE) pages[*head].prev = page;
    *head = page;
}

static void list_remove(uint32_t *head, uint32_t page) {
    struct page *p = &pages[page];
    if (p->next != NO_PAGE) pages[p->next].prev = p->prev;
    if (p->prev != NO_PAGE)
        pages[p->prev].next = p->next;
    else
        *head = p->next;
}

// Address space of 1 << order pages; nothing of it is mapped. Under the lock.
static uint32_t block_take(uint8_t order) {
    uint32_t page = blocks[order];
    if (page == NO_PAGE) {
        if ((1ull << order) > pages_total - pages_used) return NO_PAGE;
        page = (uint32_t)pages_used;
        uint64_t need = ALIGN_UP((page + 1ull) * sizeof(struct page), FRAME_SIZE);
        if (need > descriptors_mapped) {
            uint64_t more = need - descriptors_mapped;
            if (pt_map_new((uint64_t)pages + descriptors_mapped, more, PT_W) != ST_OK)
                return NO_PAGE;
            stats.bytes_mapped += more;
            descriptors_mapped = need;
        }
        pages_used += 1ull << order;
    } else {
        list_remove(&blocks[order], page);
    }
    pages[page] = (struct page){.index = order, .kind = BUSY};
    return page;
}

static void block_give(uint32_t page) {
    pages[page].kind = FREE;
    list_add(&blocks[pages[page].index], page);
}

static int class_of(size_t size) {
    int c = 0;
    while ((16u << c) < size) c++;
    return c;
}

static bool slab_new(int cls) {
    uint32_t page = block_take(0);
    if (page == NO_PAGE) return false;
    if (pt_map_new((uint64_t)address(page), FRAME_SIZE, PT_W) != ST_OK) {
        block_give(page);
        return false;
    }
    stats.bytes_mapped += FRAME_SIZE;
    unsigned size = 16u << cls;
    uint8_t *base = address(page);
    for (unsigned at = 0; at < FRAME_SIZE; at += size) {
        uint16_t next = at + size < FRAME_SIZE ? (uint16_t)((at + size) >> CLASS_MIN_SHIFT) : NO_OBJECT;
        memcpy(base + at, &next, sizeof next);
    }
    pages[page] = (struct page){.kind = SLAB, .index = (uint8_t)cls, .free_head = 0};
    list_add(&slabs[cls], page);
    return true;
}

static void *object_alloc(int cls) {
    if (slabs[cls] == NO_PAGE && !slab_new(cls)) return NULL;
    uint32_t page = slabs[cls];
    struct page *p = &pages[page];
    uint8_t *object = (uint8_t *)address(page) + ((uint32_t)p->free_head << CLASS_MIN_SHIFT);
    memcpy(&p->free_head, object, sizeof p->free_head);
    p->used++;
    if (p->free_head == NO_OBJECT) list_remove(&slabs[cls], page);
    return object;
}

static void object_free(uint32_t page, uint8_t *object) {
    struct page *p = &pages[page];
    unsigned cls = p->index, offset = (unsigned)(object - (uint8_t *)address(page));
    KASSERT(offset % (16u << cls) == 0 && p->used);
    if (p->free_head == NO_OBJECT) list_add(&slabs[cls], page);
    memcpy(object, &p->free_head, sizeof p->free_head);
    p->free_head = (uint16_t)(offset >> CLASS_MIN_SHIFT);
    if (--p->used == 0 && (p->next != NO_PAGE || p->prev != NO_PAGE)) {
        list_remove(&slabs[cls], page);
        pt_unmap((uint64_t)address(page), FRAME_SIZE);
        stats.bytes_mapped -= FRAME_SIZE;
        p->index = 0;
        block_give(page);
    }
}

// Many pages are mapped and unmapped without the lock, which keeps interrupts off: the block is BUSY, so nobody else's.
static void *large_alloc(size_t size) {
    if (size > FRAME_SIZE << (ORDERS - 1)) return NULL;
    uint32_t count = (uint32_t)((size + FRAME_SIZE - 1) / FRAME_SIZE);
    uint8_t order = 0;
    while ((1ull << order) < count) order++;
    uint64_t irq = spin_lock(&lock);
    uint32_t page = block_take(order);
    spin_unlock(&lock, irq);
    if (page == NO_PAGE) return NULL;
    bool good = pt_map_new((uint64_t)address(page), count * FRAME_SIZE, PT_W) == ST_OK;
    irq = spin_lock(&lock);
    if (good) {
        pages[page].pages = count;
        pages[page].kind = LARGE;
        stats.bytes_mapped += count * FRAME_SIZE;
        stats.objects++;
        stats.allocations++;
    } else {
        block_give(page);
    }
    spin_unlock(&lock, irq);
    return good ? address(page) : NULL;
}

static void large_free(uint32_t page) {
    pt_unmap((uint64_t)address(page), pages[page].pages * FRAME_SIZE);
    uint64_t irq = spin_lock(&lock);
    stats.bytes_mapped -= pages[page].pages * FRAME_SIZE;
    stats.objects--;
    block_give(page);
    spin_unlock(&lock, irq);
}

void *kalloc(size_t size) {
    KASSERT(!cpu_in_handler());
    if (size > 2048) return large_alloc(size);
    uint64_t irq = spin_lock(&lock);
    void *p = object_alloc(class_of(size));
    stats.objects += p != NULL;
    stats.allocations += p != NULL;
    spin_unlock(&lock, irq);
    return p;
}

static uint32_t page_of(const void *p) {
    uint64_t page = ((uint64_t)p - pages_base) / FRAME_SIZE;
    if ((uint64_t)p < pages_base || page >= pages_used ||
        (page + 1) * sizeof(struct page) > descriptors_mapped || pages[page].kind < SLAB)
        panic("%p is no allocation", p);
    return (uint32_t)page;
}

void kfree(void *p) {
    if (!p) return;
    KASSERT(!cpu_in_handler());
    uint64_t irq = spin_lock(&lock);
    uint32_t page = page_of(p);
    bool slab = pages[page].kind == SLAB;
    if (slab) {
        object_free(page, p);
        stats.objects--;
    } else {
        KASSERT(p == address(page));
        pages[page].kind = BUSY;
    }
    spin_unlock(&lock, irq);
    if (!slab) large_free(page);
}

void *kzalloc(size_t size) {
    void *p = kalloc(size);
    if (p && size <= 2048) memset(p, 0, size); // fresh pages are zero already
    return p;
}

struct heap_stats heap_stats(void) {
    return stats;
}
