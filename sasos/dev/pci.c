// pci.c — the machine's PCI functions: enumeration through ECAM, BAR sizing, enable, quiesce,
// reset.
//
// Every bus of every ECAM range is looked at: first down from the first bus through bridges (so
// that each function knows the bridge above it), then each bus that no bridge led to, because a
// second host bridge is described only in AML, which is not interpreted, and a function that was
// overlooked would keep its bus mastering. A bus is scanned at most once, so bridges that lie about
// their bus numbers cannot make a loop.
//
// PCIe = PCI Express Base 5.0. Writes to configuration space happen here and nowhere else, but for
// the enable and mask bits of MSI-X (msix.c) and base addresses (pci_assign.c).
#include "sasos/dev/pci.h"

#include "sasos/arch/io.h"
#include "sasos/arch/lock.h"
#include "sasos/arch/time.h"
#include "sasos/dev/acpi.h"
#include "sasos/dev/space.h"
#include "sasos/dev/virtio.h"
#include "sasos/lib/log.h"
#include "sasos/lib/mem.h"
#include "sasos/lib/panic.h"
#include "sasos/mem/pt.h"

#define VENDOR_NONE 0xffffu
#define BUSES 256u

enum express_type { // PCIe §7.5.3.2, Device/Port Type
    EXPRESS_DOWNSTREAM_PORT = 6,
    EXPRESS_TO_PCI_BRIDGE = 7,
};

static struct pci_fn functions[PCI_FUNCTIONS_MAX];
static unsigned function_count;
static unsigned functions_dropped;
static struct spinlock command_lock; // read-modify-write of the command registers

static uint8_t read8(const struct pci_fn *fn, unsigned o) { return mmio_read8(fn->cfg + o); }
static uint16_t read16(const struct pci_fn *fn, unsigned o) { return mmio_read16(fn->cfg + o); }
static uint32_t read32(const struct pci_fn *fn, unsigned o) { return mmio_read32(fn->cfg + o); }
static void write16(const struct pci_fn *fn, unsigned o, uint16_t v) {
    mmio_write16(fn->cfg + o, v);
}
static void write32(const struct pci_fn *fn, unsigned o, uint32_t v) {
    mmio_write32(fn->cfg + o, v);
}

static void command_change(const struct pci_fn *fn, uint16_t clear, uint16_t set) {
    uint64_t flags = spin_lock(&command_lock);
    write16(fn, PCI_COMMAND, (uint16_t)((read16(fn, PCI_COMMAND) & ~clear) | set));
    spin_unlock(&command_lock, flags);
}

static bool is_bridge(const struct pci_fn *fn) { return fn->header_type == 1; }

// ---- base address registers ----

// Decoding is off while BARs hold all ones (PCIe §7.5.1.2.1, implementation note on sizing).
static void size_bars(struct pci_fn *fn) {
    // Host and ISA bridges are never granted, and some stop the machine when their decoding is
    // switched off.
    if (fn->header_type > 1 || (fn->base_class == 6 && fn->sub_class <= 1)) return;
    unsigned registers = is_bridge(fn) ? 2 : PCI_BARS;
    const uint16_t command = read16(fn, PCI_COMMAND);
    write16(fn, PCI_COMMAND,
            command & (uint16_t) ~(PCI_COMMAND_IO_SPACE_ENABLE | PCI_COMMAND_MEMORY_SPACE_ENABLE));
    uint32_t value[PCI_BARS] = {0}, mask[PCI_BARS] = {0};
    for (unsigned i = 0; i < registers; i++) {
        unsigned o = PCI_BASE_ADDRESS + 4 * i;
        value[i] = read32(fn, o);
        write32(fn, o, UINT32_MAX);
        mask[i] = read32(fn, o);
        write32(fn, o, value[i]);
    }
    write16(fn, PCI_COMMAND, command);

    for (unsigned i = 0; i < registers;) {
        bool has_next = i + 1 < registers;
        struct pci_bar *b = &fn->bars[i];
        i += pci_bar_decode(value[i], has_next ? value[i + 1] : 0, mask[i],
                            has_next ? mask[i + 1] : 0, b);
        if (b->size == 0 || b->base == 0) continue;
        if (b->io)
            b->usable = b->base + b->size <= 0x10000;
        else if (!space_is_device(acpi(), b->base, b->size))
            log_error("pci", "%02x:%02x.%u BAR %u claims %llx+%llx, which is not device space: refused",
                      pci_bus(fn), pci_dev(fn), pci_func(fn), (unsigned)(b - fn->bars),
                      (unsigned long long)b->base, (unsigned long long)b->size);
        else
            b->usable = true;
    }
}

// ---- enumeration ----

// All that could start a transaction by itself goes off before anything else is read.
static void silence(struct pci_fn *fn) {
    command_change(fn, PCI_COMMAND_BUS_MASTER_ENABLE, PCI_COMMAND_INTERRUPT_DISABLE);
    pci_caps_parse(fn->cfg, &fn->caps);
    if (fn->caps.msi) // Message Control, MSI Enable (PCIe §7.7.1.2)
        write16(fn, fn->caps.msi + 2u, read16(fn, fn->caps.msi + 2u) & (uint16_t)~1u);
    if (fn->caps.msix) // Message Control, MSI-X Enable (PCIe §7.7.2.2)
        write16(fn, fn->caps.msix + 2u, read16(fn, fn->caps.msix + 2u) & 0x7fff);
    if (fn->caps.ats) // ATS Control, Enable (PCIe §10.5.1.3): addresses that claim to be translated
        write16(fn, fn->caps.ats + 6u, read16(fn, fn->caps.ats + 6u) & 0x7fff);
    if (fn->caps.pri) // Page Request Control, Enable (PCIe §10.5.2.2)
        write16(fn, fn->caps.pri + 4u, read16(fn, fn->caps.pri + 4u) & (uint16_t)~1u);
    if (fn->caps.pasid) // PASID Control, Enable (PCIe §7.8.8.3)
        write16(fn, fn->caps.pasid + 6u, read16(fn, fn->caps.pasid + 6u) & (uint16_t)~1u);
}

// Requests of devices below a port must go up to the IOMMU, not sideways to a peer whose BAR has
// the same number as an IOVA: Source Validation, P2P Request Redirect, P2P Completion Redirect,
// Upstream Forwarding where offered (PCIe §6.12, §7.7.8).
static void enable_acs(const struct pci_fn *fn) {
    enum { SV = 1 << 0, RR = 1 << 2, CR = 1 << 3, UF = 1 << 4 };
    if (!fn->caps.acs) return;
    uint16_t capable = read16(fn, fn->caps.acs + 4u);
    write16(fn, fn->caps.acs + 6u, capable & (SV | RR | CR | UF));
}

static unsigned express_type(const struct pci_fn *fn) { // PCI Express Capabilities register
    return fn->express ? read16(fn, fn->caps.express + 2u) >> 4 & 15 : 0;
}

static bool makes_conventional(const struct pci_fn *bridge) {
    if (!bridge) return false;
    if (bridge->behind_conventional || !bridge->express) return true;
    return express_type(bridge) == EXPRESS_TO_PCI_BRIDGE;
}

static struct pci_fn *add_function(volatile uint8_t *cfg, uint16_t segment, uint16_t rid,
                                   struct pci_fn *bridge) {
    if (function_count == PCI_FUNCTIONS_MAX) { // not described, but silenced like the others
        struct pci_fn spare = {.cfg = cfg};
        silence(&spare);
        functions_dropped++;
        return NULL;
    }
    struct pci_fn *fn = &functions[function_count++];
    *fn = (struct pci_fn){.cfg = cfg, .segment = segment, .rid = rid, .bridge = bridge};
    fn->vendor = read16(fn, PCI_VENDOR_ID);
    fn->device = read16(fn, PCI_DEVICE_ID);
    fn->revision = read8(fn, PCI_REVISION_ID);
    fn->prog_if = read8(fn, PCI_CLASS_CODE);
    fn->sub_class = read8(fn, PCI_CLASS_CODE + 1);
    fn->base_class = read8(fn, PCI_CLASS_CODE + 2);
    fn->header_type = read8(fn, PCI_HEADER_TYPE) & 0x7f;
    silence(fn);
    fn->express = fn->caps.express != 0;
    fn->behind_conventional = makes_conventional(bridge);
    if (is_bridge(fn)) {
        fn->secondary = read8(fn, PCI_SECONDARY_BUS_NUMBER);
        fn->subordinate = read8(fn, PCI_SUBORDINATE_BUS_NUMBER);
    } else if (fn->header_type == 0) {
        fn->subsystem_vendor = read16(fn, PCI_SUBSYSTEM_VENDOR_ID);
        fn->subsystem = read16(fn, PCI_SUBSYSTEM_ID);
    }
    if (fn->header_type == 0) // code for firmware: never decoded again (PCIe §7.5.1.2.4)
        write32(fn, PCI_EXPANSION_ROM, read32(fn, PCI_EXPANSION_ROM) & ~1u);
    enable_acs(fn);
    return fn;
}

struct walk {
    volatile uint8_t *ecam; // of bus_first
    uint16_t segment;
    uint8_t bus_first, bus_last;
    bool scanned[BUSES];
    struct {
        uint8_t bus;
        struct pci_fn *bridge;
    } todo[BUSES]; // a bus enters at most once: never full
    unsigned head, tail;
};

static void walk_add(struct walk *w, uint8_t bus, struct pci_fn *bridge) {
    if (bus < w->bus_first || bus > w->bus_last || w->scanned[bus]) return;
    w->scanned[bus] = true;
    w->todo[w->tail].bus = bus;
    w->todo[w->tail++].bridge = bridge;
}

static void scan_bus(struct walk *w, uint8_t bus, struct pci_fn *bridge) {
    volatile uint8_t *base = w->ecam + ((uint64_t)(bus - w->bus_first)
                                        << 20); // PCIe §7.2.2: bus 27:20, device 19:15, function 14:12
    for (unsigned dev = 0; dev < 32; dev++)
        for (unsigned func = 0; func < 8; func++) {
            volatile uint8_t *cfg = base + (dev << 15 | func << 12);
            if (mmio_read16(cfg + PCI_VENDOR_ID) == VENDOR_NONE) {
                if (func == 0) break; // function 0 is mandatory (PCIe §7.5.1.1.9)
                continue;
            }
            struct pci_fn *fn =
                add_function(cfg, w->segment, pci_rid(bus, (uint8_t)dev, (uint8_t)func), bridge);
            if (fn && is_bridge(fn) && fn->secondary > bus) walk_add(w, fn->secondary, fn);
            if (func == 0 && !(mmio_read8(cfg + PCI_HEADER_TYPE) & 0x80))
                break; // Multi-Function Device bit
        }
}

static void scan_segment(const struct acpi_mcfg *m) {
    static struct walk w; // 5 KiB; the boot runs on one stack
    uint64_t buses = m->bus_last - m->bus_first + 1ull;
    void *ecam = pt_map_mmio(m->base + ((uint64_t)m->bus_first << 20), buses << 20, PT_W | PT_UC);
    if (!ecam) {
        log_error("pci", "cannot map the configuration space of segment %u: its devices are ignored",
                  m->segment);
        return;
    }
    w = (struct walk){
        .ecam = ecam, .segment = m->segment, .bus_first = m->bus_first, .bus_last = m->bus_last};
    walk_add(&w, m->bus_first, NULL);
    for (unsigned bus = m->bus_first;; bus++) {
        while (w.head < w.tail) {
            unsigned i = w.head++;
            scan_bus(&w, w.todo[i].bus, w.todo[i].bridge);
        }
        if (bus == m->bus_last) break;
        walk_add(&w, (uint8_t)(bus + 1),
                 NULL); // not reached by any bridge: a root bus of its own, or empty
    }
}

void pci_init(void) {
    const struct acpi_info *a = acpi();
    for (uint32_t i = 0; i < a->mcfg_count; i++) scan_segment(&a->mcfg[i]);
    for (unsigned i = 0; i < function_count; i++) size_bars(&functions[i]);
    for (unsigned i = 0; i < function_count; i++)
        pci_assign(&functions[i], functions, function_count);
    for (unsigned i = 0; i < function_count; i++) {
        struct pci_fn *fn = &functions[i];
        pci_msix_parse(fn->cfg, &fn->caps, fn->bars, &fn->msix);
        log_info("pci", "%02x:%02x.%u %04x:%04x class %02x%02x%02x%s%s", pci_bus(fn), pci_dev(fn),
                 pci_func(fn), fn->vendor, fn->device, fn->base_class, fn->sub_class, fn->prog_if,
                 fn->msix.count ? ", MSI-X" : "", is_bridge(fn) ? ", bridge" : "");
        if (fn->caps.malformed)
            log_warn("pci", "  its capability list is malformed; only the sound part is used");
        if (express_type(fn) == EXPRESS_DOWNSTREAM_PORT && !fn->caps.acs)
            log_warn("pci",
                     "  a switch without access control: by DMA to each other's registers the "
                     "devices below can go around the IOMMU");
    }
    if (functions_dropped)
        log_error("pci", "%u functions more than this system can hold are ignored", functions_dropped);
}

unsigned pci_count(void) { return function_count; }

const struct pci_fn *pci_get(unsigned index) {
    return index < function_count ? &functions[index] : NULL;
}

const struct pci_fn *pci_find(uint16_t segment, uint16_t rid) {
    return pci_find_in(functions, function_count, segment, rid);
}

bool pci_bar_page_grantable(const struct pci_fn *fn, unsigned bar, uint64_t page) {
    return pci_page_grantable(functions, function_count, fn, bar, page);
}

uint32_t pci_config_read(const struct pci_fn *fn, unsigned offset, unsigned size) {
    if ((size != 1 && size != 2 && size != 4) || offset % size || offset > PCI_CONFIG_SIZE - size)
        return UINT32_MAX;
    if (offset >= 0x100 && !fn->express) return UINT32_MAX;
    if (size == 1) return read8(fn, offset);
    if (size == 2) return read16(fn, offset);
    return read32(fn, offset);
}

enum status pci_config_write(const struct pci_fn *fn, unsigned offset, unsigned size, uint32_t value) {
    if (!pci_config_writable(fn->cfg, &fn->caps, offset, size)) return ST_DENIED;
    if (size == 1)
        mmio_write8(fn->cfg + offset, (uint8_t)value);
    else if (size == 2)
        write16(fn, offset, (uint16_t)value);
    else
        write32(fn, offset, value);
    return ST_OK;
}

// ---- grant and revoke ----

void pci_decode(const struct pci_fn *fn) {
    for (const struct pci_fn *b = fn->bridge; b; b = b->bridge)
        command_change(b, 0, PCI_COMMAND_MEMORY_SPACE_ENABLE);
    command_change(fn, 0, PCI_COMMAND_MEMORY_SPACE_ENABLE);
}

enum status pci_enable(const struct pci_fn *fn) {
    if (fn->header_type != 0 || fn->behind_conventional) return ST_DENIED;
    pci_decode(fn);
    // A bridge forwards requests of what is below it only with its own bus mastering on (PCIe
    // §7.5.1.1.3). What else is below stays silent by its own bit and blocked by the IOMMU, so the
    // bridge's bit is never taken back.
    for (const struct pci_fn *b = fn->bridge; b; b = b->bridge)
        command_change(b, 0, PCI_COMMAND_BUS_MASTER_ENABLE);
    command_change(fn, 0, PCI_COMMAND_BUS_MASTER_ENABLE);
    return ST_OK;
}

bool pci_msi_start(const struct pci_fn *fn, uint64_t address, uint32_t data) {
    unsigned o = fn->caps.msi; // PCIe §7.7.1: Message Control, Address, (Upper Address,) Data
    if (!o || o + 14 > 0x100) return false;
    uint16_t control = read16(fn, o + 2);
    bool wide = control & 1 << 7;
    if (!wide && address >> 32) return false;
    write32(fn, o + 4, (uint32_t)address);
    if (wide) write32(fn, o + 8, (uint32_t)(address >> 32));
    write16(fn, o + (wide ? 12 : 8), (uint16_t)data);
    command_change(fn, 0, PCI_COMMAND_BUS_MASTER_ENABLE);
    write16(fn, o + 2, (uint16_t)((control & ~(7 << 4)) | 1)); // one message; MSI Enable
    return true;
}

uint16_t pci_status_take(const struct pci_fn *fn, uint16_t bits) {
    uint16_t found = read16(fn, PCI_STATUS) & bits;
    if (found) write16(fn, PCI_STATUS, found); // PCIe §7.5.1.1.4: RW1C
    return found;
}

static bool transactions_pending(const struct pci_fn *fn) {
    if (fn->express)
        return read16(fn, fn->caps.express + 10u) & 1 << 5; // Device Status, Transactions Pending
    if (fn->caps.advanced_features)
        return read8(fn, fn->caps.advanced_features + 5u) & 1; // AF Status, TP
    return false;
}

void pci_stop(const struct pci_fn *fn) {
    command_change(fn, PCI_COMMAND_BUS_MASTER_ENABLE, 0);
    (void)read16(fn, PCI_COMMAND); // the write has arrived when this read returns
}

bool pci_quiesce(const struct pci_fn *fn) {
    pci_stop(fn);
    for (unsigned ms = 0; ms < 100; ms++) {
        if (!transactions_pending(fn)) return true;
        time_delay_ns(TIME_MS);
    }
    return !transactions_pending(fn);
}

// After a reset the function answers with all ones, or not at all, for up to a second (PCIe §6.6.1,
// Configuration RRS).
static void wait_ready(const struct pci_fn *fn) {
    for (unsigned ms = 0; ms < 1000 && read16(fn, PCI_VENDOR_ID) != fn->vendor; ms++)
        time_delay_ns(TIME_MS);
}

enum pci_reset_kind pci_reset(const struct pci_fn *fn) {
    enum pci_reset_kind kind = PCI_RESET_NONE;
    uint32_t bars[PCI_BARS];
    if (is_bridge(fn) || fn->header_type != 0) return PCI_RESET_NONE;
    pci_quiesce(fn);
    const uint16_t command = read16(fn, PCI_COMMAND);
    const uint32_t line = read32(fn, PCI_INTERRUPT_LINE), latency = read32(fn, PCI_CACHE_LINE_SIZE);
    for (unsigned i = 0; i < PCI_BARS; i++) bars[i] = read32(fn, PCI_BASE_ADDRESS + 4 * i);

    const unsigned express = fn->caps.express, af = fn->caps.advanced_features,
                   pm = fn->caps.power_management;
    if (express && read32(fn, express + 4) & 1u << 28) { // Device Capabilities, FLR Capability
        kind = PCI_RESET_FLR;
        write16(fn, express + 8, read16(fn, express + 8) | 1u << 15); // Device Control, Initiate FLR
        time_delay_ns(100 * TIME_MS);                                 // PCIe §6.6.2
    } else if (af && (read8(fn, af + 3) & 3) == 3) {                  // AF Capabilities: TP and FLR
        kind = PCI_RESET_AF_FLR;
        mmio_write8(fn->cfg + af + 4, 1);
        time_delay_ns(100 * TIME_MS);
    } else if (pm && !(read16(fn, pm + 4) & 1 << 3)) { // PMCSR, No_Soft_Reset clear (PCIe §7.5.2.2)
        kind = PCI_RESET_D3;
        uint16_t pmcsr = read16(fn, pm + 4) & (uint16_t)~3u;
        write16(fn, pm + 4, pmcsr | 3);
        time_delay_ns(10 * TIME_MS); // PCIe §5.9
        write16(fn, pm + 4, pmcsr);
        time_delay_ns(10 * TIME_MS);
    } else if (virtio_reset(fn)) { // functions on a root bus have no function level reset
        return PCI_RESET_VIRTIO;   // configuration space is untouched by it
    }
    if (kind == PCI_RESET_NONE) return kind;
    wait_ready(fn);
    for (unsigned i = 0; i < PCI_BARS; i++) write32(fn, PCI_BASE_ADDRESS + 4 * i, bars[i]);
    write32(fn, PCI_CACHE_LINE_SIZE, latency);
    write32(fn, PCI_INTERRUPT_LINE, line);
    write16(fn, PCI_COMMAND, command & (uint16_t)~PCI_COMMAND_BUS_MASTER_ENABLE);
    return kind;
}
