// iommu.c — domains, and which function belongs to which domain, over whatever kind of IOMMU there
// is (see iommu.h).
//
// One kind of unit drives the machine: the first of `backends` whose units firmware describes. All
// units are started or none is used: fencing some devices and not others would be a promise that
// does not hold. Who is attached where is decided here under one lock; the backend then changes the
// function's entry without it, because that may take memory and waits for the unit.
#include "sasos/dev/iommu.h"

#include "sasos/dev/iommu_backend.h"
#include "sasos/dev/virtio.h"
#include "sasos/lib/log.h"
#include "sasos/lib/mem.h"
#include "sasos/lib/panic.h"
#include "sasos/mem/frame.h"
#include "sasos/mem/heap.h"
#include "sasos/mem/pt.h"

#define DOMAINS 256u
#define IOVA_LIMIT (1ull << 32)
// Requests in here are interrupts and are not translated (VT-d §3.15, AMD 48882 §2.1.4.2).
#define INTERRUPT_RANGE 0xfee00000ull
#define INTERRUPT_RANGE_SIZE (1ull << 20)

static const struct iommu_backend *const backends[] = {&vtd_backend, &amdvi_backend};
static const struct iommu_backend *backend; // NULL: not present
static struct iommu_limits limits;
static bool remapping;
static const char *why_not = "not looked for yet";

static struct spinlock table_lock;                    // for the three below
static struct iommu_domain *owner[PCI_FUNCTIONS_MAX]; // by function
static bool id_used[DOMAINS];
static struct iommu_counters counters;
static int8_t unit_of[PCI_FUNCTIONS_MAX]; // by function: index of the unit that sees its requests, -1 none

bool iommu_present(void) { return backend; }
const char *iommu_kind(void) { return backend ? backend->name : "none"; }
const char *iommu_why_not(void) { return why_not; }
bool iommu_interrupt_remapping(void) { return remapping; }

// ---- start ----

static void cannot(const char *why) {
    why_not = why;
    log_warn("iommu", "%s: DMA is NOT fenced: virtio devices get rings that the kernel checks, others nothing unless the configuration trusts them",
             why);
}

void iommu_init(void) {
    const struct iommu_backend *b = NULL;
    for (unsigned i = 0; i < PCI_FUNCTIONS_MAX; i++) unit_of[i] = -1;
    for (unsigned i = 0; i < ARRAY_LEN(backends) && !b; i++)
        if (backends[i]->found()) b = backends[i];
    if (!b) {
        cannot("this machine has no IOMMU (no usable DMAR or IVRS table)");
        return;
    }
    if (!b->start(&limits)) {
        cannot("the IOMMU cannot be used");
        return;
    }
    backend = b;
    why_not = NULL;
    if (limits.domain_ids > DOMAINS) limits.domain_ids = DOMAINS;
    unsigned uncovered = 0;
    for (unsigned i = 0; i < pci_count(); i++) {
        unit_of[i] = (int8_t)b->unit_of(pci_get(i));
        uncovered += unit_of[i] < 0;
    }
    if (uncovered)
        log_warn("iommu", "%u functions are behind no unit and cannot be granted", uncovered);
    remapping = b->start_interrupts();
    log_info(
        "iommu",
        "translation is on (%s): %u unit%s, %u-level tables%s, %u domains, %s, all devices blocked",
        b->name, limits.units, limits.units == 1 ? "" : "s", limits.levels,
        limits.large_pages ? " with 2 MiB pages" : "", limits.domain_ids - 1,
        remapping ? "interrupts remapped" : "interrupts not remapped");
}

// ---- page-table memory ----

static uint64_t table_alloc(void *arg) {
    (void)arg;
    return frame_alloc(FRAME_ZERO);
}

static void table_free(void *arg, uint64_t phys) {
    (void)arg;
    frame_free(phys, 1);
}

static uint64_t *table_at(void *arg, uint64_t phys) {
    (void)arg;
    return pt_direct(phys);
}

static void table_flush(void *arg, const void *start, uint64_t size) {
    (void)arg;
    backend->flush(start, size);
}

static const struct iommu_pt_ops table_ops = {table_alloc, table_free, table_at, table_flush, NULL};

// ---- domains ----

static void count(uint64_t *counter) { __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED); }

void iommu_count_invalidation(void) { count(&counters.invalidations); }

struct iommu_counters iommu_counters(void) {
    struct iommu_counters c = counters;
    iommu_fault_totals(&c.faults, &c.faults_lost);
    return c;
}

void iommu_report(void) {
    struct iommu_counters c = iommu_counters();
    if (backend)
        log_info("iommu", "%llu maps, %llu unmaps, %llu invalidations, %llu faults since boot",
                 (unsigned long long)c.maps, (unsigned long long)c.unmaps,
                 (unsigned long long)c.invalidations, (unsigned long long)c.faults);
}

static void invalidate_domain(const struct iommu_domain *dom) {
    for (unsigned i = 0; i < limits.units; i++)
        if (dom->units & 1u << i) backend->invalidate(i, dom);
}

enum status iommu_domain_create(struct iommu_domain **out) {
    if (!backend) return ST_UNSUPPORTED;
    struct iommu_domain *dom = kzalloc(sizeof *dom);
    if (!dom) return ST_NO_MEMORY;
    if (iommu_pt_init(&dom->pt, &table_ops, backend->format, limits.levels, limits.physical_bits,
                      limits.large_pages) != ST_OK) {
        kfree(dom);
        return ST_NO_MEMORY;
    }
    uint64_t flags = spin_lock(&table_lock);
    for (unsigned id = 1; id < limits.domain_ids && !dom->id; id++)
        if (!id_used[id]) {
            id_used[id] = true;
            dom->id = (uint16_t)id;
        }
    spin_unlock(&table_lock, flags);
    if (!dom->id) {
        iommu_pt_destroy(&dom->pt);
        kfree(dom);
        return ST_NO_SPACE;
    }
    *out = dom;
    return ST_OK;
}

void iommu_domain_destroy(struct iommu_domain *dom) {
    KASSERT(dom->functions == 0);
    // What walked the tables may have cached parts of them: that must not outlive them (VT-d §6.2.5).
    invalidate_domain(dom);
    iommu_pt_destroy(&dom->pt);
    uint64_t flags = spin_lock(&table_lock);
    id_used[dom->id] = false;
    spin_unlock(&table_lock, flags);
    kfree(dom);
}

// ---- attaching ----

static unsigned function_index(const struct pci_fn *fn) {
    unsigned index = (unsigned)(fn - pci_get(0));
    KASSERT(index < pci_count());
    return index;
}

// Why its DMA could not be fenced by itself; NULL if it can.
static const char *unfenceable(const struct pci_fn *fn) {
    if (unit_of[function_index(fn)] < 0) return "no IOMMU unit sees its requests under its own id";
    if (fn->behind_conventional)
        return "behind a conventional bridge its requests cannot be told apart from others'";
    if (fn->header_type != 0) return "it is a bridge";
    if (virtio_is(fn) && !virtio_obeys_iommu(fn))
        return "it is a virtio device without VIRTIO_F_ACCESS_PLATFORM, whose DMA would go around "
               "the IOMMU (QEMU: iommu_platform=on)";
    return NULL;
}

enum status iommu_attach(struct iommu_domain *dom, const struct pci_fn *fn) {
    unsigned index = function_index(fn);
    const char *why = unfenceable(fn);
    if (why) {
        log_error("iommu", "%02x:%02x.%u cannot be attached: %s", pci_bus(fn), pci_dev(fn),
                  pci_func(fn), why);
        return ST_DENIED;
    }
    unsigned unit = (unsigned)unit_of[index];
    uint64_t flags = spin_lock(&table_lock);
    if (owner[index]) {
        spin_unlock(&table_lock, flags);
        return ST_EXISTS;
    }
    owner[index] = dom;
    dom->functions++;
    dom->units |= 1u << unit;
    spin_unlock(&table_lock, flags);

    enum status status = backend->enter(unit, fn, dom);
    if (status == ST_OK) {
        iommu_fault_forget(fn);
        return ST_OK;
    }
    flags = spin_lock(&table_lock);
    owner[index] = NULL;
    dom->functions--;
    spin_unlock(&table_lock, flags);
    return status;
}

void iommu_detach(struct iommu_domain *dom, const struct pci_fn *fn) {
    unsigned index = function_index(fn);
    KASSERT(owner[index] == dom);
    backend->leave((unsigned)unit_of[index], fn, dom);
    uint64_t flags = spin_lock(&table_lock); // only now may somebody else attach it
    owner[index] = NULL;
    dom->functions--;
    spin_unlock(&table_lock, flags);
}

const struct pci_fn *iommu_sole_function(unsigned unit) {
    const struct pci_fn *sole = NULL;
    unsigned attached = 0;
    uint64_t flags = spin_lock(&table_lock);
    for (unsigned i = 0; i < pci_count(); i++)
        if (owner[i] && unit_of[i] == (int)unit) sole = pci_get(i), attached++;
    spin_unlock(&table_lock, flags);
    return attached == 1 ? sole : NULL;
}

// ---- mapping ----

enum status iommu_map(struct iommu_domain *dom, uint64_t iova, uint64_t phys, uint64_t len,
                      unsigned rights) {
    if (iova >= IOVA_LIMIT || len > IOVA_LIMIT - iova) return ST_INVALID;
    if (iova < INTERRUPT_RANGE + INTERRUPT_RANGE_SIZE && iova + len > INTERRUPT_RANGE)
        return ST_INVALID;
    _Static_assert((int)IOMMU_R == (int)IOMMU_PT_READ && (int)IOMMU_W == (int)IOMMU_PT_WRITE,
                   "one set of right bits");
    enum status status = iommu_pt_map(&dom->pt, iova, phys, len, rights);
    if (status != ST_OK) return status;
    count(&counters.maps);
    for (unsigned i = 0; i < limits.units; i++)
        if (dom->units & 1u << i) backend->mapped(i, dom);
    return ST_OK;
}

enum status iommu_unmap(struct iommu_domain *dom, uint64_t iova, uint64_t len) {
    uint64_t pages;
    enum status status = iommu_pt_unmap(&dom->pt, iova, len, &pages);
    if (status != ST_OK || !pages) return status;
    count(&counters.unmaps);
    invalidate_domain(dom);
    return ST_OK;
}

// ---- what is only handed on ----

void iommu_poll_faults(void) {
    if (backend) backend->poll_faults();
}

bool iommu_refused(void) { return backend && backend->refused && backend->refused(); }

void iommu_expect_unrecorded(void) {
    if (backend && backend->expect_unrecorded) backend->expect_unrecorded();
}

const char *iommu_fault_text(uint8_t reason) {
    return backend ? backend->fault_text(reason) : "no IOMMU";
}

int iommu_irq_alloc(const struct pci_fn *fn, uint8_t vector, uint32_t apic_id,
                    uint64_t *out_address, uint32_t *out_data) {
    return remapping ? backend->irq_alloc(fn, vector, apic_id, out_address, out_data) : -1;
}

int iommu_irq_alloc_ioapic(uint8_t ioapic, uint8_t vector, uint32_t apic_id, bool level,
                           uint64_t *out_entry) {
    return remapping ? backend->irq_alloc_ioapic(ioapic, vector, apic_id, level, out_entry) : -1;
}

void iommu_irq_free(int handle) {
    KASSERT(remapping && handle >= 0);
    backend->irq_free(handle);
}
