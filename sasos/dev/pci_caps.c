// pci_caps.c — reads a function's capabilities out of 4 KiB of configuration space: pure, bounded,
// runs on byte buffers too.
//
// The bytes come from a device, so each walk visits an offset at most once, and a capability counts
// only if all of its fields lie inside the space it was found in. PCIe = PCI Express Base 5.0,
// virtio = VIRTIO 1.2.
#include "sasos/dev/pci.h"
#include "sasos/dev/space.h"

#define CONFIG_LEGACY_SIZE \
    0x100u // the PCI-compatible part; extended capabilities follow (PCIe §7.6.1)
#define CONFIG_HEADER_SIZE 0x40u
#define STATUS_CAPABILITIES_LIST (1u << 4)
#define PAGE 4096u

static uint16_t cfg16(const volatile uint8_t *cfg, unsigned o) {
    return *(const volatile uint16_t *)(cfg + o);
}
static uint32_t cfg32(const volatile uint8_t *cfg, unsigned o) {
    return *(const volatile uint32_t *)(cfg + o);
}

// Bytes a capability must have before anything of it is used.
static unsigned capability_size(uint8_t id) {
    switch (id) {
    case PCI_CAP_POWER_MANAGEMENT: return 8;  // PCIe §7.5.2
    case PCI_CAP_MSI: return 4;               // only its enable bit is used (PCIe §7.7.1)
    case PCI_CAP_VENDOR: return 3;            // length byte included (PCIe §7.9.4)
    case PCI_CAP_EXPRESS: return 0x0c;        // up to Device Status (PCIe §7.5.3)
    case PCI_CAP_MSIX: return 12;             // PCIe §7.7.2
    case PCI_CAP_ADVANCED_FEATURES: return 6; // Advanced Capabilities for Conventional PCI ECN
    default: return 2;
    }
}

static void take(struct pci_caps *out, uint8_t id, uint8_t offset) {
    if (id == PCI_CAP_VENDOR) {
        if (out->vendor_count < PCI_VENDOR_CAPS_MAX)
            out->vendor[out->vendor_count++] = offset;
        else
            out->malformed = true;
        return;
    }
    uint8_t *kind = id == PCI_CAP_POWER_MANAGEMENT    ? &out->power_management
                    : id == PCI_CAP_MSI               ? &out->msi
                    : id == PCI_CAP_EXPRESS           ? &out->express
                    : id == PCI_CAP_MSIX              ? &out->msix
                    : id == PCI_CAP_ADVANCED_FEATURES ? &out->advanced_features
                                                      : NULL;
    if (kind && !*kind) *kind = offset; // the first of a kind counts
}

static void parse_legacy(const volatile uint8_t *cfg, struct pci_caps *out) {
    uint8_t seen[CONFIG_LEGACY_SIZE / 4] = {0};
    if (!(cfg16(cfg, PCI_STATUS) & STATUS_CAPABILITIES_LIST)) return;
    uint8_t offset =
        cfg[PCI_CAPABILITIES_POINTER] & 0xfc; // the bottom two bits are reserved (PCIe §7.5.1.1.11)
    while (offset) {
        if (offset < CONFIG_HEADER_SIZE || seen[offset / 4]) {
            out->malformed = true;
            return;
        }
        seen[offset / 4] = 1;
        uint16_t header = cfg16(cfg, offset);
        uint8_t id = header & 0xff;
        if (id == 0xff) { // the function stopped answering
            out->malformed = true;
            return;
        }
        if (offset + capability_size(id) > CONFIG_LEGACY_SIZE)
            out->malformed = true;
        else
            take(out, id, offset);
        offset = (header >> 8) & 0xfc;
    }
}

static void parse_extended(const volatile uint8_t *cfg, struct pci_caps *out) {
    uint8_t seen[PCI_CONFIG_SIZE / 4] = {0};
    unsigned offset = CONFIG_LEGACY_SIZE;
    do {
        if (seen[offset / 4]) {
            out->malformed = true;
            return;
        }
        seen[offset / 4] = 1;
        uint32_t header = cfg32(cfg, offset); // id 15:0, version 19:16, next 31:20 (PCIe §7.6.3)
        if (header == 0 || header == UINT32_MAX) return;
        uint16_t id = header & 0xffff;
        bool fits = offset + 8 <= PCI_CONFIG_SIZE;
        if (id == PCI_EXT_CAP_ACS && fits && !out->acs) out->acs = (uint16_t)offset;
        if (id == PCI_EXT_CAP_ATS && fits && !out->ats) out->ats = (uint16_t)offset;
        if (id == PCI_EXT_CAP_PRI && fits && !out->pri) out->pri = (uint16_t)offset;
        if (id == PCI_EXT_CAP_PASID && fits && !out->pasid) out->pasid = (uint16_t)offset;
        offset = header >> 20 & 0xffc;
        if (offset && offset < CONFIG_LEGACY_SIZE) {
            out->malformed = true;
            return;
        }
    } while (offset);
}

void pci_caps_parse(const volatile uint8_t *cfg, struct pci_caps *out) {
    *out = (struct pci_caps){0};
    parse_legacy(cfg, out);
    if (out->express)
        parse_extended(cfg, out); // without it the extended space may alias the first 256 bytes
}

static bool inside_memory_bar(const struct pci_bar *bar, uint64_t offset, uint64_t size) {
    return bar->usable && !bar->io && offset <= bar->size && size <= bar->size - offset;
}

void pci_msix_parse(const volatile uint8_t *cfg, const struct pci_caps *caps,
                    const struct pci_bar bars[PCI_BARS], struct pci_msix *out) {
    *out = (struct pci_msix){0};
    if (!caps->msix) return;
    // PCIe §7.7.2.2-4: Table Size is N-1 in bits 10:0; BIR in bits 2:0 of the offsets.
    uint16_t count = (uint16_t)((cfg16(cfg, caps->msix + 2u) & 0x7ff) + 1);
    uint32_t table = cfg32(cfg, caps->msix + 4u), pba = cfg32(cfg, caps->msix + 8u);
    struct pci_msix m = {.count = count,
                         .table_bar = table & 7,
                         .pba_bar = pba & 7,
                         .table_offset = table & ~7u,
                         .pba_offset = pba & ~7u};
    if (m.table_bar >= PCI_BARS || m.pba_bar >= PCI_BARS) return;
    if (!inside_memory_bar(&bars[m.table_bar], m.table_offset, 16ull * count) ||
        !inside_memory_bar(&bars[m.pba_bar], m.pba_offset, (count + 63ull) / 64 * 8))
        return;
    *out = m;
}

unsigned pci_bar_decode(uint32_t lo, uint32_t hi, uint32_t mask_lo, uint32_t mask_hi,
                        struct pci_bar *out) {
    *out = (struct pci_bar){0};
    if (mask_lo == 0 || mask_lo == UINT32_MAX) return 1; // not implemented, or nobody answers
    if (lo & 1) {                                        // PCIe §7.5.1.2.1: I/O space
        uint32_t mask = mask_lo & ~3u;
        out->io = true;
        out->base = lo & ~3u;
        // The upper 16 bits may be hardwired to zero.
        out->size = (uint64_t)(~(mask | (mask & 0xffff0000u ? 0 : 0xffff0000u)) + 1u);
        return 1;
    }
    out->is64 = (lo >> 1 & 3) == 2;
    out->prefetchable = lo & 8;
    uint64_t mask = mask_lo & ~15u, base = lo & ~15u;
    if (out->is64) {
        mask |= (uint64_t)mask_hi << 32;
        base |= (uint64_t)hi << 32;
    } else {
        mask |= 0xffffffffull << 32;
    }
    out->base = base;
    out->size = ~mask + 1;
    // Size must be a power of two and the base a multiple of it; a device that says otherwise has
    // no BAR.
    if (out->size & (out->size - 1) || (out->size && base % out->size)) out->size = 0;
    return out->is64 ? 2 : 1;
}

bool pci_virtio_cap(const struct pci_fn *fn, uint8_t cfg_type, unsigned nth,
                    struct pci_virtio_cap *out) {
    enum { NOTIFY_CFG = 2, CAP_SIZE = 16, NOTIFY_CAP_SIZE = 20 }; // virtio §4.1.4, §4.1.4.4
    for (unsigned i = 0; i < fn->caps.vendor_count; i++) {
        unsigned o = fn->caps.vendor[i];
        unsigned size = cfg_type == NOTIFY_CFG ? NOTIFY_CAP_SIZE : CAP_SIZE;
        if (o + size > CONFIG_LEGACY_SIZE || fn->cfg[o + 2] < size || fn->cfg[o + 3] != cfg_type)
            continue;
        struct pci_virtio_cap c = {
            .cfg_type = cfg_type,
            .bar = fn->cfg[o + 4],
            .id = fn->cfg[o + 5],
            .offset = cfg32(fn->cfg, o + 8),
            .length = cfg32(fn->cfg, o + 12),
            .notify_off_multiplier = cfg_type == NOTIFY_CFG ? cfg32(fn->cfg, o + 16) : 0,
        };
        // virtio §4.1.4: a driver ignores capabilities whose BAR is reserved.
        if (c.bar >= PCI_BARS || !inside_memory_bar(&fn->bars[c.bar], c.offset, c.length)) continue;
        if (nth-- == 0) {
            *out = c;
            return true;
        }
    }
    return false;
}

const struct pci_fn *pci_find_in(const struct pci_fn *all, unsigned count, uint16_t segment,
                                 uint16_t rid) {
    for (unsigned i = 0; i < count; i++)
        if (all[i].segment == segment && all[i].rid == rid) return &all[i];
    return NULL;
}

bool pci_page_grantable(const struct pci_fn *all, unsigned count, const struct pci_fn *fn,
                        unsigned bar, uint64_t page) {
    if (bar >= PCI_BARS) return false;
    const struct pci_bar *b = &fn->bars[bar];
    if (!b->usable || b->io || b->size == 0 || b->base % PAGE) return false;
    if (page >= (b->size + PAGE - 1) / PAGE) return false;
    uint64_t start = b->base + page * PAGE;

    // The interrupt table is the kernel's: whoever writes it raises any vector.
    const struct pci_msix *m = &fn->msix;
    if (fn->caps.msix && !m->count) return false; // it has a table, but nobody knows where
    if (m->count) {
        if (space_overlap(start, PAGE, fn->bars[m->table_bar].base + m->table_offset, 16ull * m->count))
            return false;
        if (space_overlap(start, PAGE, fn->bars[m->pba_bar].base + m->pba_offset,
                          (m->count + 63ull) / 64 * 8))
            return false;
    }
    for (unsigned i = 0; i < count; i++)
        for (unsigned k = 0; k < PCI_BARS; k++) {
            const struct pci_bar *other = &all[i].bars[k];
            if (other == b || other->io) continue;
            if (space_overlap(start, PAGE, other->base, other->size)) return false;
        }
    return true;
}

// The capability with the highest start at or below `offset`, 0 if there is none before it. The chain was found sound.
static unsigned capability_before(const volatile uint8_t *cfg, unsigned offset) {
    unsigned found = 0;
    if (!(cfg16(cfg, PCI_STATUS) & STATUS_CAPABILITIES_LIST)) return 0;
    unsigned at = cfg[PCI_CAPABILITIES_POINTER] & 0xfcu;
    for (unsigned i = 0; at >= CONFIG_HEADER_SIZE && i < CONFIG_LEGACY_SIZE / 4; i++) {
        if (at <= offset && at > found) found = at;
        at = cfg[at + 1] & 0xfcu;
    }
    return found;
}

bool pci_config_writable(const volatile uint8_t *cfg, const struct pci_caps *caps, unsigned offset,
                         unsigned size) {
    if ((size != 1 && size != 2 && size != 4) || offset % size || caps->malformed) return false;
    if (offset < CONFIG_HEADER_SIZE || offset >= CONFIG_LEGACY_SIZE) return false;
    if (cfg16(cfg, PCI_VENDOR_ID) == 0x1af4)
        return false; // virtio §4.1.4.9, PCI configuration access capability
    unsigned first = capability_before(cfg, offset), last = capability_before(cfg, offset + size - 1);
    if (first != last) return false;
    if (!first) return true;
    // The length byte counts from the capability's start (PCIe §7.9.4).
    return cfg[first] == PCI_CAP_VENDOR && offset >= first + 3 &&
           offset + size <= first + cfg[first + 2];
}

bool pci_bridge_windows(const volatile uint8_t *cfg, struct pci_window out[2]) {
    uint32_t memory = cfg32(cfg, PCI_MEMORY_BASE);
    uint32_t prefetch = cfg32(cfg, PCI_PREFETCHABLE_MEMORY_BASE);
    // Bits 15:4 of base and limit are address bits 31:20; a limit below the base is no window.
    out[0] = (struct pci_window){(memory & 0xfff0u) << 16, (memory & 0xfff00000u) | 0xfffff};
    out[1] = (struct pci_window){(prefetch & 0xfff0u) << 16, (prefetch & 0xfff00000u) | 0xfffff};
    if ((prefetch & 15) == 1) { // 64-bit window
        out[1].first |= (uint64_t)cfg32(cfg, PCI_PREFETCHABLE_BASE_UPPER) << 32;
        out[1].last |= (uint64_t)cfg32(cfg, PCI_PREFETCHABLE_LIMIT_UPPER) << 32;
    }
    for (unsigned i = 0; i < 2; i++)
        if (out[i].first == 0 || out[i].last < out[i].first) out[i] = (struct pci_window){1, 0};
    return out[0].last || out[1].last;
}

bool pci_below(const struct pci_fn *fn, const struct pci_fn *bridge) {
    for (const struct pci_fn *b = fn->bridge; b; b = b->bridge)
        if (b == bridge) return true;
    return false;
}

uint64_t pci_place(const struct pci_fn *all, unsigned count, const struct pci_fn *bridge,
                   struct pci_window window, uint64_t size) {
    if (size < 4096) size = 4096; // no page is shared: it could be granted to nobody
    uint64_t at = (window.first + size - 1) & ~(size - 1);
    for (bool moved = true; moved;) {
        if (at < window.first || at > window.last || size - 1 > window.last - at) return 0;
        moved = false;
        for (unsigned i = 0; i < count && !moved; i++)
            for (unsigned k = 0; k < PCI_BARS && !moved; k++) {
                const struct pci_bar *b = &all[i].bars[k];
                if (b->io || !b->size || !b->base || !pci_below(&all[i], bridge)) continue;
                if (!space_overlap(at, size, b->base, b->size)) continue;
                at = (b->base + b->size + size - 1) & ~(size - 1);
                moved = true;
            }
    }
    return at;
}
