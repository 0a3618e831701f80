// vtd.c — the units are started with nothing allowed; domains; which function belongs to which
// domain (see vtd.h).
//
// Order of the start (VT-d rev. 5.10 §11.4.4.1): an empty root table is set on every unit, the
// queue is started, caches are invalidated, translation is enabled. Where firmware had translation
// on, its root table is replaced without a moment of disabled translation. All units are checked
// before the first one is touched: fencing some devices and not others would be a promise that does
// not hold, so one unusable unit makes vtd_present() false.
//
// Context and page-table entries change only as "not present" ↔ complete; the word with the present
// bit is written last.
#include "sasos/dev/vtd.h"

#include "sasos/dev/virtio.h"
#include "sasos/dev/vtd_pt.h"
#include "sasos/dev/vtd_scope.h"
#include "sasos/dev/vtd_unit.h"
#include "sasos/lib/log.h"
#include "sasos/lib/mem.h"
#include "sasos/lib/panic.h"
#include "sasos/mem/frame.h"
#include "sasos/mem/heap.h"
#include "sasos/mem/pt.h"

#define DOMAINS \
    256u // id 0 is never given out: with CAP.CM = 1 it tags cached not-present entries (§6.1)
#define IOVA_LIMIT (1ull << 32)
#define INTERRUPT_RANGE \
    0xfee00000ull // §3.15: requests in here are interrupts and are not translated
#define INTERRUPT_RANGE_SIZE (1ull << 20)

struct vtd_domain {
    struct vtd_pt pt;
    uint16_t id;
    uint16_t functions; // attached
    uint32_t units; // bit i: a function behind unit i is or was attached, so that unit may cache translations of this domain
};

struct vtd_unit vtd_units[ACPI_DRHD_MAX];
unsigned vtd_unit_count;
_Static_assert(ACPI_DRHD_MAX <= 32, "a domain's units are bits of a word");

static bool present;
static unsigned levels, physical_bits, domain_ids;
static bool large_pages;
static const struct vtd_unit *strictest; // a unit that does not snoop, if there is one: its needs are everybody's

static struct spinlock table_lock;                  // for the three below and the context entries
static struct vtd_domain *owner[PCI_FUNCTIONS_MAX]; // by function
static int8_t unit_of[PCI_FUNCTIONS_MAX]; // by function: index of the unit that sees its requests, -1 none
static bool id_used[DOMAINS];

bool vtd_present(void) { return present; }

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
    vtd_flush_cache(strictest, start, size);
}

static const struct vtd_pt_ops table_ops = {table_alloc, table_free, table_at, table_flush, NULL};

// ---- start ----

// Maps and judges one unit; nothing is written to it.
static bool unit_probe(struct vtd_unit *u, const struct acpi_drhd *d, unsigned index) {
    *u = (struct vtd_unit){.index = index, .segment = d->segment};
    u->regs = pt_map_mmio(d->register_base, d->register_size, PT_W | PT_UC);
    if (!u->regs) {
        log_error("iommu", "cannot map the registers of unit %u at 0x%llx", index,
                  (unsigned long long)d->register_base);
        return false;
    }
    u->cap = vtd_read64(u, VTD_CAP_REG);
    u->ecap = vtd_read64(u, VTD_ECAP_REG);
    uint32_t version = vtd_read32(u, VTD_VER_REG);
    log_info("iommu", "unit %u at 0x%llx: version %u.%u, %s%stables, %u-bit addresses, %s%s%s%s",
             index, (unsigned long long)d->register_base, version >> 4 & 15, version & 15,
             VTD_CAP_SAGAW(u->cap) & VTD_SAGAW_39 ? "39-bit " : "",
             VTD_CAP_SAGAW(u->cap) & VTD_SAGAW_48 ? "48-bit " : "", VTD_CAP_MGAW(u->cap),
             VTD_ECAP_QI(u->ecap) ? "queue" : "NO QUEUE",
             VTD_ECAP_IR(u->ecap) ? ", interrupt remapping" : "",
             VTD_CAP_CM(u->cap) ? ", caching mode" : "", VTD_ECAP_C(u->ecap) ? "" : ", not coherent");
    if (u->cap == UINT64_MAX || !VTD_ECAP_QI(u->ecap) ||
        !(VTD_CAP_SAGAW(u->cap) & (VTD_SAGAW_39 | VTD_SAGAW_48))) {
        log_error("iommu", "unit %u lacks queued invalidation or three- and four-level page tables",
                  index);
        return false;
    }
    unsigned records_end = VTD_CAP_FRO(u->cap) + 16 * VTD_CAP_NFR(u->cap);
    if (records_end > d->register_size) {
        log_error("iommu", "unit %u has its fault records outside of its registers", index);
        return false;
    }
    return true;
}

// What all units have in common decides.
static bool choose_widths(void) {
    unsigned sagaw = ~0u, sizes = ~0u;
    domain_ids = DOMAINS;
    strictest = &vtd_units[0];
    for (unsigned i = 0; i < vtd_unit_count; i++) {
        const struct vtd_unit *u = &vtd_units[i];
        sagaw &= VTD_CAP_SAGAW(u->cap);
        sizes &= VTD_CAP_SSLPS(u->cap);
        unsigned ids = 1u << (4 + 2 * VTD_CAP_ND(u->cap));
        if (ids < domain_ids) domain_ids = ids;
        if (!VTD_ECAP_C(u->ecap)) strictest = u;
    }
    levels = sagaw & VTD_SAGAW_48 ? 4 : 3;
    large_pages = sizes & 1;
    physical_bits = acpi()->dmar_host_address_width;
    if (physical_bits > 52) physical_bits = 52;
    if (!(sagaw & (VTD_SAGAW_39 | VTD_SAGAW_48)) || physical_bits < 32) {
        log_error("iommu", "the units have no page-table width in common");
        return false;
    }
    return true;
}

// From the return on every request behind this unit is blocked.
static bool unit_start(struct vtd_unit *u) {
    u->root = frame_alloc(FRAME_ZERO);
    if (!u->root || vtd_queue_start(u) != ST_OK) {
        log_error("iommu", "no memory for the tables of unit %u", u->index);
        return false;
    }
    vtd_flush_cache(u, pt_direct(u->root), 4096);
    vtd_write_buffer_flush(u);
    vtd_write64(u, VTD_RTADDR_REG, u->root); // TTM = 00: legacy mode
    vtd_command_set(u, VTD_GCMD_SRTP);
    // §6.6: after the root pointer was set, context cache first, then IOTLB, globally.
    const uint64_t all[2][2] = {{VTD_INV_CONTEXT_GLOBAL, 0},
                                {VTD_INV_IOTLB_GLOBAL | VTD_INV_IOTLB_DR | VTD_INV_IOTLB_DW, 0}};
    vtd_invalidate(u, all, 2);
    vtd_command_set(u, VTD_GCMD_TE);
    // Protected memory regions, if firmware used them, block DMA on top of translation (§11.4.8.1).
    if ((VTD_CAP_PLMR(u->cap) || VTD_CAP_PHMR(u->cap)) && vtd_read32(u, VTD_PMEN_REG) & VTD_PMEN_EPM)
        vtd_write32(u, VTD_PMEN_REG, vtd_read32(u, VTD_PMEN_REG) & ~VTD_PMEN_EPM);
    return true;
}

static bool units_start(const struct acpi_info *a) {
    if (a->dmar_incomplete) {
        log_error("iommu", "the DMAR table describes more units than this system can hold");
        return false;
    }
    for (uint32_t i = 0; i < a->drhd_count; i++)
        if (!unit_probe(&vtd_units[i], &a->drhds[i], i)) return false;
    vtd_unit_count = a->drhd_count;
    if (!choose_widths()) return false;
    for (unsigned i = 0; i < vtd_unit_count; i++)
        if (!unit_start(&vtd_units[i])) return false;
    return true;
}

void vtd_init(void) {
    const struct acpi_info *a = acpi();
    for (unsigned i = 0; i < PCI_FUNCTIONS_MAX; i++) unit_of[i] = -1;
    if (!(a->have & ACPI_HAVE_DMAR)) {
        log_warn("iommu", "this machine has no IOMMU (no usable DMAR table): DMA is NOT fenced, "
                          "functions that do DMA will not be granted");
        return;
    }
    if (!units_start(a)) {
        vtd_unit_count = 0;
        log_error("iommu", "the IOMMU cannot be used: DMA is NOT fenced, functions that do DMA "
                           "will not be granted");
        return;
    }
    unsigned uncovered = 0;
    for (unsigned i = 0; i < pci_count(); i++) {
        unit_of[i] = (int8_t)vtd_scope_find(a, pci_get(0), pci_count(), pci_get(i));
        uncovered += unit_of[i] < 0;
    }
    if (uncovered)
        log_warn("iommu", "%u functions are behind no unit and cannot be granted", uncovered);
    present = true;
    vtd_fault_start();
    vtd_remap_start();
    log_info("iommu",
             "translation is on: %u unit%s, %u-level tables%s, %u domains, %s, all devices blocked",
             vtd_unit_count, vtd_unit_count == 1 ? "" : "s", levels,
             large_pages ? " with 2 MiB pages" : "", domain_ids - 1,
             vtd_interrupt_remapping() ? "interrupts remapped" : "interrupts not remapped");
}

// ---- domains ----

static uint64_t iotlb_domain(const struct vtd_unit *u, const struct vtd_domain *dom) {
    // Draining: reads and writes that used an old translation have reached memory before the wait
    // descriptor completes (§6.5.4).
    return VTD_INV_IOTLB_DOMAIN(dom->id) | (VTD_CAP_DRD(u->cap) ? VTD_INV_IOTLB_DR : 0) |
           (VTD_CAP_DWD(u->cap) ? VTD_INV_IOTLB_DW : 0);
}

static void invalidate_domain(const struct vtd_domain *dom) {
    for (unsigned i = 0; i < vtd_unit_count; i++) {
        if (!(dom->units & 1u << i)) continue;
        const uint64_t d[1][2] = {{iotlb_domain(&vtd_units[i], dom), 0}};
        vtd_write_buffer_flush(&vtd_units[i]);
        vtd_invalidate(&vtd_units[i], d, 1);
    }
}

enum status vtd_domain_create(struct vtd_domain **out) {
    if (!present) return ST_UNSUPPORTED;
    struct vtd_domain *dom = kzalloc(sizeof *dom);
    if (!dom) return ST_NO_MEMORY;
    if (vtd_pt_init(&dom->pt, &table_ops, levels, physical_bits, large_pages) != ST_OK) {
        kfree(dom);
        return ST_NO_MEMORY;
    }
    uint64_t flags = spin_lock(&table_lock);
    for (unsigned id = 1; id < domain_ids && !dom->id; id++)
        if (!id_used[id]) {
            id_used[id] = true;
            dom->id = (uint16_t)id;
        }
    spin_unlock(&table_lock, flags);
    if (!dom->id) {
        vtd_pt_destroy(&dom->pt);
        kfree(dom);
        return ST_NO_SPACE;
    }
    *out = dom;
    return ST_OK;
}

void vtd_domain_destroy(struct vtd_domain *dom) {
    KASSERT(dom->functions == 0);
    invalidate_domain(dom); // paging-structure caches too: they must not outlive the tables (§6.2.5)
    vtd_pt_destroy(&dom->pt);
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

// The context table of a bus, made when its first function is attached; kept for ever.
static uint64_t context_table(struct vtd_unit *u, unsigned bus, uint64_t fresh) {
    if (u->contexts[bus]) return u->contexts[bus];
    uint64_t *root = (uint64_t *)pt_direct(u->root) + 2 * bus; // §9.1
    vtd_flush_cache(u, pt_direct(fresh), 4096);
    u->contexts[bus] = fresh;
    __atomic_store_n(root, fresh | VTD_ROOT_P, __ATOMIC_RELEASE);
    vtd_flush_cache(u, root, 16);
    return fresh;
}

static uint64_t *context_entry(const struct vtd_unit *u, const struct pci_fn *fn) {
    return (uint64_t *)pt_direct(u->contexts[fn->rid >> 8]) + 2 * (fn->rid & 0xff); // §9.3
}

// A context entry has changed: it may be cached under the old id (0 for not-present ones, where
// CAP.CM = 1; §6.1).
static void invalidate_context(struct vtd_unit *u, const struct pci_fn *fn,
                               const struct vtd_domain *dom, uint16_t old_id) {
    const uint64_t d[2][2] = {{VTD_INV_CONTEXT_DEVICE(old_id, fn->rid), 0}, {iotlb_domain(u, dom), 0}};
    vtd_write_buffer_flush(u);
    vtd_invalidate(u, d, 2);
}

enum status vtd_attach(struct vtd_domain *dom, const struct pci_fn *fn) {
    unsigned index = function_index(fn);
    if (unit_of[index] < 0 || fn->behind_conventional || fn->header_type != 0) {
        log_error(
            "iommu", "%02x:%02x.%u cannot be attached: %s", pci_bus(fn), pci_dev(fn), pci_func(fn),
            unit_of[index] < 0 ? "no remapping unit covers it"
            : fn->behind_conventional
                ? "behind a conventional bridge its requests cannot be told apart from others'"
                : "it is a bridge");
        return ST_DENIED;
    }
    if (virtio_is(fn) && !virtio_obeys_iommu(fn)) {
        log_error("iommu",
                  "%02x:%02x.%u is a virtio device without VIRTIO_F_ACCESS_PLATFORM: its DMA would "
                  "go around the "
                  "IOMMU (QEMU: iommu_platform=on), refused",
                  pci_bus(fn), pci_dev(fn), pci_func(fn));
        return ST_DENIED;
    }
    struct vtd_unit *u = &vtd_units[unit_of[index]];
    uint64_t fresh = frame_alloc(FRAME_ZERO);
    if (!fresh) return ST_NO_MEMORY;

    uint64_t flags = spin_lock(&table_lock);
    if (owner[index]) {
        spin_unlock(&table_lock, flags);
        frame_free(fresh, 1);
        return ST_EXISTS;
    }
    owner[index] = dom;
    dom->functions++;
    dom->units |= 1u << unit_of[index];
    bool spare = context_table(u, fn->rid >> 8, fresh) != fresh;
    uint64_t *entry = context_entry(u, fn);
    entry[1] = VTD_CONTEXT_HIGH(levels == 4 ? VTD_AW_48 : VTD_AW_39, dom->id);
    vtd_flush_cache(u, entry, 16);
    __atomic_store_n(&entry[0], dom->pt.root | VTD_CONTEXT_P, __ATOMIC_RELEASE);
    vtd_flush_cache(u, entry, 16);
    spin_unlock(&table_lock, flags);

    if (spare) frame_free(fresh, 1);
    invalidate_context(u, fn, dom, 0);
    vtd_fault_forget(fn);
    return ST_OK;
}

void vtd_detach(struct vtd_domain *dom, const struct pci_fn *fn) {
    unsigned index = function_index(fn);
    uint64_t flags = spin_lock(&table_lock);
    KASSERT(owner[index] == dom);
    struct vtd_unit *u = &vtd_units[unit_of[index]];
    uint64_t *entry = context_entry(u, fn);
    __atomic_store_n(&entry[0], 0, __ATOMIC_RELEASE);
    entry[1] = 0;
    vtd_flush_cache(u, entry, 16);
    spin_unlock(&table_lock, flags);

    invalidate_context(u, fn, dom, dom->id);
    flags = spin_lock(&table_lock); // only now may somebody else attach it
    owner[index] = NULL;
    dom->functions--;
    spin_unlock(&table_lock, flags);
}

// ---- mapping ----

enum status vtd_map(struct vtd_domain *dom, uint64_t iova, uint64_t phys, uint64_t len,
                    unsigned rights) {
    if (iova >= IOVA_LIMIT || len > IOVA_LIMIT - iova) return ST_INVALID;
    if (iova < INTERRUPT_RANGE + INTERRUPT_RANGE_SIZE && iova + len > INTERRUPT_RANGE)
        return ST_INVALID;
    _Static_assert((int)VTD_R == (int)VTD_PT_READ && (int)VTD_W == (int)VTD_PT_WRITE,
                   "one set of right bits");
    enum status status = vtd_pt_map(&dom->pt, iova, phys, len, rights);
    // Not-present entries are cached only in caching mode (§6.1); else a write-buffer flush is all
    // a new entry may need.
    for (unsigned i = 0; i < vtd_unit_count && status == ST_OK; i++) {
        struct vtd_unit *u = &vtd_units[i];
        if (!(dom->units & 1u << i)) continue;
        vtd_write_buffer_flush(u);
        if (VTD_CAP_CM(u->cap)) {
            const uint64_t d[1][2] = {{iotlb_domain(u, dom), 0}};
            vtd_invalidate(u, d, 1);
        }
    }
    return status;
}

enum status vtd_unmap(struct vtd_domain *dom, uint64_t iova, uint64_t len) {
    uint64_t pages;
    enum status status = vtd_pt_unmap(&dom->pt, iova, len, &pages);
    if (status == ST_OK && pages) invalidate_domain(dom);
    return status;
}
