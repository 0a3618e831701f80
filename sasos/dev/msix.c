// msix.c — MSI-X tables (see msix.h). PCIe = PCI Express Base 5.0.
//
// Message address and data are written only while the entry is masked (§6.1.4.5: changing an
// unmasked entry is undefined), and the mask bit is read back, so that after msix_mask() no new
// message leaves the device.
//
// Storms: each entry counts its messages in windows of time. One that sends more than the limit is
// masked by its own interrupt until a thread, woken by it, opens it again when the window is over.
// A masked entry remembers that it has something to say (pending bit), so nothing is lost.
#include "sasos/dev/msix.h"

#include "sasos/arch/apic.h"
#include "sasos/arch/io.h"
#include "sasos/arch/time.h"
#include "sasos/dev/iommu.h"
#include "sasos/lib/log.h"
#include "sasos/lib/panic.h"
#include "sasos/mem/heap.h"
#include "sasos/mem/pt.h"
#include "sasos/run/thread.h"

enum { // §7.7.2.5–9, one entry
    ENTRY_SIZE = 16,
    MESSAGE_ADDRESS = 0,
    MESSAGE_UPPER_ADDRESS = 4,
    MESSAGE_DATA = 8,
    VECTOR_CONTROL = 12,
    MASK_BIT = 1,
};
enum { MESSAGE_CONTROL = 2, MSIX_ENABLE = 1 << 15, FUNCTION_MASK = 1 << 14 }; // §7.7.2.2

#define STORM_WINDOW_NS (50 * TIME_MS)
#define STORMS_LOGGED 4u

struct msix_entry {
    int vector, irte; // -1: none
    irq_handler_fn *handler;
    void *arg;
    struct msix *owner;
    // In the handler, on one CPU at a time but for a vector that a device forges: then the count is
    // off by a few.
    uint64_t window_end;
    uint32_t in_window;
    // Under storm_lock
    uint32_t storms;
    bool open, stormy; // unmasked by its user; masked in spite of that
};

struct msix {
    struct msix *next; // all that are open, under storm_lock
    const struct pci_fn *fn;
    volatile uint8_t *table;
    unsigned count;
    struct msix_entry entries[];
};

uint32_t msix_storm_limit = 10000; // messages of an entry in a window: 200,000 a second
static struct spinlock storm_lock;
static struct msix *all;
static struct event storm; // bit 0: an entry was masked

static volatile uint8_t *entry_at(const struct msix *m, unsigned index) {
    KASSERT(index < m->count);
    return m->table + (uint64_t)index * ENTRY_SIZE;
}

static void control_write(const struct pci_fn *fn, uint16_t clear, uint16_t set) {
    volatile uint8_t *control = fn->cfg + fn->caps.msix + MESSAGE_CONTROL;
    mmio_write16(control, (uint16_t)((mmio_read16(control) & ~clear) | set));
}

enum status msix_open(const struct pci_fn *fn, struct msix **out) {
    if (!fn->msix.count) return ST_NOT_FOUND;
    struct msix *m = kzalloc(sizeof *m + fn->msix.count * sizeof m->entries[0]);
    if (!m) return ST_NO_MEMORY;
    m->fn = fn;
    m->count = fn->msix.count;
    m->table = pt_map_mmio(fn->bars[fn->msix.table_bar].base + fn->msix.table_offset,
                           (uint64_t)m->count * ENTRY_SIZE, PT_W | PT_UC);
    if (!m->table) {
        kfree(m);
        return ST_NO_MEMORY;
    }
    pci_decode(fn);
    // The function mask is held while the entries are still what somebody else left in them.
    control_write(fn, 0, MSIX_ENABLE | FUNCTION_MASK);
    for (unsigned i = 0; i < m->count; i++) {
        m->entries[i] = (struct msix_entry){.vector = -1, .irte = -1};
        mmio_write32(entry_at(m, i) + VECTOR_CONTROL, MASK_BIT);
    }
    control_write(fn, FUNCTION_MASK, 0);
    uint64_t flags = spin_lock(&storm_lock);
    m->next = all;
    all = m;
    spin_unlock(&storm_lock, flags);
    *out = m;
    return ST_OK;
}

unsigned msix_count(const struct msix *m) { return m->count; }

static void mask(const struct msix *m, unsigned index) {
    volatile uint8_t *entry = entry_at(m, index);
    mmio_write32(entry + VECTOR_CONTROL, MASK_BIT);
    (void)mmio_read32(entry + VECTOR_CONTROL); // §6.1.4.6: the read completes after the write took effect
}

static void storm_begins(struct msix_entry *e) {
    struct msix *m = e->owner;
    unsigned index = (unsigned)(e - m->entries);
    uint64_t flags = spin_lock(&storm_lock);
    uint32_t nth = 0;
    if (e->open && !e->stormy) {
        e->stormy = true;
        nth = ++e->storms;
        mask(m, index);
    }
    spin_unlock(&storm_lock, flags);
    if (nth && nth <= STORMS_LOGGED)
        log_warn("msix", "%02x:%02x.%u sends message %u faster than %u in %u ms: held back",
                 pci_bus(m->fn), pci_dev(m->fn), pci_func(m->fn), index, msix_storm_limit,
                 (unsigned)(STORM_WINDOW_NS / TIME_MS));
    thr_wake(&storm, 1);
}

static void on_message(void *arg) {
    struct msix_entry *e = arg;
    uint64_t now = time_now_ns();
    if (now >= e->window_end) {
        e->window_end = now + STORM_WINDOW_NS;
        e->in_window = 0;
    }
    if (++e->in_window > msix_storm_limit) storm_begins(e);
    e->handler(e->arg);
}

// Opens what was held back, a window's length after the first of it.
static void storms_end(void *arg) {
    (void)arg;
    for (;;) {
        thr_wait(&storm, THR_FOREVER);
        thr_sleep_until(time_now_ns() + STORM_WINDOW_NS);
        uint64_t flags = spin_lock(&storm_lock);
        for (struct msix *m = all; m; m = m->next)
            for (unsigned i = 0; i < m->count; i++) {
                struct msix_entry *e = &m->entries[i];
                if (e->stormy && e->open) mmio_write32(entry_at(m, i) + VECTOR_CONTROL, 0);
                e->stormy = false;
            }
        spin_unlock(&storm_lock, flags);
    }
}

void msix_init(void) {
    if (!thr_create("storms", THR_DRIVER, 0, storms_end, NULL))
        log_error("msix", "no memory for a thread: a device that was held back stays so");
}

enum status msix_bind(struct msix *m, unsigned index, irq_handler_fn *handler, void *arg) {
    if (index >= m->count) return ST_INVALID;
    struct msix_entry *e = &m->entries[index];
    if (e->vector >= 0) return ST_EXISTS;
    e->handler = handler;
    e->arg = arg;
    e->owner = m;
    int vector = irq_alloc(on_message, e);
    if (vector < 0) return ST_NO_SPACE;
    uint64_t address = irq_msi_address();
    uint32_t data = irq_msi_data(vector);
    int irte = -1;
    if (iommu_interrupt_remapping()) {
        irte = iommu_irq_alloc(m->fn, (uint8_t)vector, apic_id(), &address, &data);
        if (irte < 0) {
            irq_free(vector);
            return ST_NO_SPACE;
        }
    }
    e->vector = vector;
    e->irte = irte;
    msix_mask(m, index);
    msix_message(m, index, address, data);
    return ST_OK;
}

void msix_message(struct msix *m, unsigned index, uint64_t address, uint32_t data) {
    volatile uint8_t *entry = entry_at(m, index);
    uint32_t masked = mmio_read32(entry + VECTOR_CONTROL) & MASK_BIT;
    mask(m, index);
    mmio_write32(entry + MESSAGE_ADDRESS, (uint32_t)address);
    mmio_write32(entry + MESSAGE_UPPER_ADDRESS, (uint32_t)(address >> 32));
    mmio_write32(entry + MESSAGE_DATA, data);
    mmio_write32(entry + VECTOR_CONTROL, masked);
}

void msix_unmask(struct msix *m, unsigned index) {
    KASSERT(index < m->count && m->entries[index].vector >= 0);
    uint64_t flags = spin_lock(&storm_lock);
    m->entries[index].open = true;
    if (!m->entries[index].stormy) mmio_write32(entry_at(m, index) + VECTOR_CONTROL, 0);
    spin_unlock(&storm_lock, flags);
}

void msix_mask(struct msix *m, unsigned index) {
    KASSERT(index < m->count);
    uint64_t flags = spin_lock(&storm_lock);
    m->entries[index].open = false;
    mask(m, index);
    spin_unlock(&storm_lock, flags);
}

uint32_t msix_storms(const struct msix *m, unsigned index) {
    KASSERT(index < m->count);
    return __atomic_load_n(&m->entries[index].storms, __ATOMIC_RELAXED);
}

uint64_t msix_interrupts(const struct msix *m, unsigned index) {
    KASSERT(index < m->count);
    return m->entries[index].vector < 0 ? 0 : irq_count(m->entries[index].vector);
}

void msix_close(struct msix *m) {
    for (unsigned i = 0; i < m->count; i++) msix_mask(m, i);
    control_write(m->fn, MSIX_ENABLE, FUNCTION_MASK);
    for (unsigned i = 0; i < m->count; i++) {
        // First nobody can raise the vector, then it gets a new owner.
        if (m->entries[i].irte >= 0) iommu_irq_free(m->entries[i].irte);
        if (m->entries[i].vector >= 0) irq_free(m->entries[i].vector);
    }
    uint64_t flags = spin_lock(&storm_lock); // from here on nobody looks at it any more
    struct msix **link = &all;
    while (*link != m) link = &(*link)->next;
    *link = m->next;
    spin_unlock(&storm_lock, flags);
    pt_unmap_mmio((void *)(uintptr_t)m->table, (uint64_t)m->count * ENTRY_SIZE);
    kfree(m);
}
