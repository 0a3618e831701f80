// vtd.c — Intel VT-d in legacy mode with second-stage translation (Intel Virtualization Technology
// for Directed I/O, rev. 5.10; "VT-d" in the sources): the units are started with nothing allowed;
// context entries; invalidation. Behind iommu.h.
//
// Order of the start (VT-d rev. 5.10 §11.4.4.1): an empty root table is set on every unit, the
// queue is started, caches are invalidated, translation is enabled. Where firmware had translation
// on, its root table is replaced without a moment of disabled translation. All units are checked
// before the first one is touched.
//
// Context and page-table entries change only as "not present" ↔ complete; the word with the present
// bit is written last.
#include "sasos/dev/vtd_scope.h"
#include "sasos/dev/vtd_unit.h"
#include "sasos/lib/log.h"
#include "sasos/lib/mem.h"
#include "sasos/lib/panic.h"
#include "sasos/mem/frame.h"
#include "sasos/mem/pt.h"

struct vtd_unit vtd_units[ACPI_DRHD_MAX];
unsigned vtd_unit_count;

static struct iommu_limits limits;
static const struct vtd_unit *strictest; // a unit that does not snoop, if there is one: its needs are everybody's
static struct spinlock table_lock; // for the context tables

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
    limits = (struct iommu_limits){.units = vtd_unit_count, .domain_ids = UINT32_MAX};
    strictest = &vtd_units[0];
    for (unsigned i = 0; i < vtd_unit_count; i++) {
        const struct vtd_unit *u = &vtd_units[i];
        sagaw &= VTD_CAP_SAGAW(u->cap);
        sizes &= VTD_CAP_SSLPS(u->cap);
        unsigned ids = 1u << (4 + 2 * VTD_CAP_ND(u->cap));
        if (ids < limits.domain_ids) limits.domain_ids = ids;
        if (!VTD_ECAP_C(u->ecap)) strictest = u;
    }
    limits.levels = sagaw & VTD_SAGAW_48 ? 4 : 3;
    limits.large_pages = sizes & 1;
    limits.physical_bits = acpi()->dmar_host_address_width;
    if (limits.physical_bits > 52) limits.physical_bits = 52;
    if (!(sagaw & (VTD_SAGAW_39 | VTD_SAGAW_48)) || limits.physical_bits < 32) {
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

static bool units_start(void) {
    const struct acpi_info *a = acpi();
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

static bool found(void) { return acpi()->have & ACPI_HAVE_DMAR; }

static bool start(struct iommu_limits *out) {
    if (!units_start()) {
        vtd_unit_count = 0;
        return false;
    }
    *out = limits;
    return true;
}

static bool start_interrupts(void) {
    vtd_fault_start();
    return vtd_remap_start();
}

static int unit_of(const struct pci_fn *fn) {
    return vtd_scope_find(acpi(), pci_get(0), pci_count(), fn);
}

static void flush(const void *from, uint64_t size) { vtd_flush_cache(strictest, from, size); }

// ---- invalidation ----

static uint64_t iotlb_domain(const struct vtd_unit *u, const struct iommu_domain *dom) {
    // Draining: reads and writes that used an old translation have reached memory before the wait
    // descriptor completes (§6.5.4).
    return VTD_INV_IOTLB_DOMAIN(dom->id) | (VTD_CAP_DRD(u->cap) ? VTD_INV_IOTLB_DR : 0) |
           (VTD_CAP_DWD(u->cap) ? VTD_INV_IOTLB_DW : 0);
}

static void invalidate(unsigned unit, const struct iommu_domain *dom) {
    struct vtd_unit *u = &vtd_units[unit];
    const uint64_t d[1][2] = {{iotlb_domain(u, dom), 0}};
    vtd_write_buffer_flush(u);
    vtd_invalidate(u, d, 1);
}

// Not-present entries are cached only in caching mode (§6.1); else a write-buffer flush is all that
// a new entry may need.
static void mapped(unsigned unit, const struct iommu_domain *dom) {
    struct vtd_unit *u = &vtd_units[unit];
    if (VTD_CAP_CM(u->cap))
        invalidate(unit, dom);
    else
        vtd_write_buffer_flush(u);
}

// ---- context entries ----

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
                               const struct iommu_domain *dom, uint16_t old_id) {
    const uint64_t d[2][2] = {{VTD_INV_CONTEXT_DEVICE(old_id, fn->rid), 0}, {iotlb_domain(u, dom), 0}};
    vtd_write_buffer_flush(u);
    vtd_invalidate(u, d, 2);
}

static enum status enter(unsigned unit, const struct pci_fn *fn, const struct iommu_domain *dom) {
    struct vtd_unit *u = &vtd_units[unit];
    uint64_t fresh = frame_alloc(FRAME_ZERO);
    if (!fresh) return ST_NO_MEMORY;
    uint64_t flags = spin_lock(&table_lock);
    bool spare = context_table(u, fn->rid >> 8, fresh) != fresh;
    uint64_t *entry = context_entry(u, fn);
    entry[1] = VTD_CONTEXT_HIGH(limits.levels == 4 ? VTD_AW_48 : VTD_AW_39, dom->id);
    vtd_flush_cache(u, entry, 16);
    __atomic_store_n(&entry[0], dom->pt.root | VTD_CONTEXT_P, __ATOMIC_RELEASE);
    vtd_flush_cache(u, entry, 16);
    spin_unlock(&table_lock, flags);
    if (spare) frame_free(fresh, 1);
    invalidate_context(u, fn, dom, 0);
    return ST_OK;
}

static void leave(unsigned unit, const struct pci_fn *fn, const struct iommu_domain *dom) {
    struct vtd_unit *u = &vtd_units[unit];
    uint64_t flags = spin_lock(&table_lock);
    uint64_t *entry = context_entry(u, fn);
    __atomic_store_n(&entry[0], 0, __ATOMIC_RELEASE);
    entry[1] = 0;
    vtd_flush_cache(u, entry, 16);
    spin_unlock(&table_lock, flags);
    invalidate_context(u, fn, dom, dom->id);
}

const struct iommu_backend vtd_backend = {
    .name = "VT-d",
    .format = &iommu_pt_vtd,
    .found = found,
    .start = start,
    .start_interrupts = start_interrupts,
    .unit_of = unit_of,
    .enter = enter,
    .leave = leave,
    .invalidate = invalidate,
    .mapped = mapped,
    .flush = flush,
    .poll_faults = vtd_poll_faults,
    .fault_text = vtd_fault_text,
    .irq_alloc = vtd_irq_alloc,
    .irq_alloc_ioapic = vtd_irq_alloc_ioapic,
    .irq_free = vtd_irq_free,
};
