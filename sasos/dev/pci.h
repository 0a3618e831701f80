// pci.h — PCI functions: found once at boot through ECAM, described in plain numbers, switched on
// and off by grant (PCIe = PCI Express Base 5.0; PCI = PCI Local Bus 3.0; virtio = VIRTIO 1.2).
//
// What a function says about itself is input: capability chains may loop or point outside of the
// configuration space, and a base address register may name RAM. Whatever fails a check is marked
// unusable here; nobody has to check again.
//
// Order at boot, kept by dev_init(): pci_init() finds every function and clears its Bus Master
// Enable, so that nothing does DMA when translation is switched on. After that a function is idle
// until pci_enable(); drivers never write configuration space, and reach BARs only page by page
// where pci_bar_page_grantable() agrees.
//
// The list of functions is made once and never changes (no hot-plug): pointers to its elements stay
// valid.
#ifndef SASOS_DEV_PCI_H
#define SASOS_DEV_PCI_H
#include "sasos/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PCI_FUNCTIONS_MAX 256u
#define PCI_BARS 6u
#define PCI_CONFIG_SIZE 4096u
#define PCI_VENDOR_CAPS_MAX 16u

// Configuration space, PCIe §7.5.1.
enum pci_register {
    PCI_VENDOR_ID = 0x00,
    PCI_DEVICE_ID = 0x02,
    PCI_COMMAND = 0x04,
    PCI_STATUS = 0x06,
    PCI_REVISION_ID = 0x08,
    PCI_CLASS_CODE = 0x09, // three bytes: programming interface, sub-class, base class
    PCI_CACHE_LINE_SIZE = 0x0c,
    PCI_HEADER_TYPE = 0x0e,
    PCI_BASE_ADDRESS = 0x10,
    PCI_SECONDARY_BUS_NUMBER = 0x19, // type 1
    PCI_SUBORDINATE_BUS_NUMBER = 0x1a,
    PCI_MEMORY_BASE = 0x20, // type 1: base, limit
    PCI_PREFETCHABLE_MEMORY_BASE = 0x24,
    PCI_PREFETCHABLE_BASE_UPPER = 0x28,
    PCI_PREFETCHABLE_LIMIT_UPPER = 0x2c,
    PCI_SUBSYSTEM_VENDOR_ID = 0x2c, // type 0
    PCI_SUBSYSTEM_ID = 0x2e,
    PCI_EXPANSION_ROM = 0x30, // type 0
    PCI_CAPABILITIES_POINTER = 0x34,
    PCI_INTERRUPT_LINE = 0x3c,
};

enum pci_command {
    PCI_COMMAND_IO_SPACE_ENABLE = 1 << 0,
    PCI_COMMAND_MEMORY_SPACE_ENABLE = 1 << 1,
    PCI_COMMAND_BUS_MASTER_ENABLE = 1 << 2,
    PCI_COMMAND_INTERRUPT_DISABLE = 1 << 10,
};

enum pci_capability_id { // PCI Code and ID Assignment 1.11 §2
    PCI_CAP_POWER_MANAGEMENT = 0x01,
    PCI_CAP_MSI = 0x05,
    PCI_CAP_VENDOR = 0x09,
    PCI_CAP_EXPRESS = 0x10,
    PCI_CAP_MSIX = 0x11,
    PCI_CAP_ADVANCED_FEATURES = 0x13,
};

enum pci_extended_capability_id { // ibid. §3
    PCI_EXT_CAP_ACS = 0x000d,
    PCI_EXT_CAP_ATS = 0x000f,
    PCI_EXT_CAP_PRI = 0x0013,
    PCI_EXT_CAP_PASID = 0x001b,
};

// Offsets in configuration space; 0 = not there. Every offset has its capability's full length
// behind it.
struct pci_caps {
    uint8_t power_management, msi, express, msix, advanced_features;
    uint8_t vendor_count;
    uint8_t vendor[PCI_VENDOR_CAPS_MAX];
    uint16_t acs, ats, pri, pasid;
    bool malformed; // a chain looped, left the space, or a capability was cut off; the rest is not used
};

struct pci_msix { // PCIe §7.7.2; count 0 = function has no usable MSI-X
    uint16_t count;
    uint8_t table_bar, pba_bar;
    uint32_t table_offset, pba_offset;
};

struct pci_bar {
    uint64_t base, size; // size 0 = not implemented
    bool io, is64, prefetchable;
    bool usable; // assigned, and (memory) clear of RAM and of the kernel's own devices
};

struct pci_virtio_cap { // virtio §4.1.4
    uint8_t cfg_type, bar, id;
    uint32_t offset, length;
    uint32_t notify_off_multiplier; // cfg_type 2 only
};

struct pci_fn {
    volatile uint8_t *cfg; // PCI_CONFIG_SIZE bytes of ECAM, uncached
    struct pci_fn *bridge; // the bridge above, NULL on a root bus
    uint16_t segment, rid; // rid: requester id, bus << 8 | device << 3 | function (PCIe §2.2.4.2)
    uint16_t vendor, device, subsystem_vendor, subsystem;
    uint8_t base_class, sub_class, prog_if, revision;
    uint8_t header_type;            // without the multi-function bit
    uint8_t secondary, subordinate; // bridges only
    bool express;                   // has the PCI Express capability
    bool behind_conventional;       // a PCIe-to-PCI or PCI bridge above takes over its requester id
    struct pci_caps caps;
    struct pci_msix msix;
    struct pci_bar bars[PCI_BARS];
};

static inline uint8_t pci_bus(const struct pci_fn *fn) { return (uint8_t)(fn->rid >> 8); }
static inline uint8_t pci_dev(const struct pci_fn *fn) { return fn->rid >> 3 & 31; }
static inline uint8_t pci_func(const struct pci_fn *fn) { return fn->rid & 7; }
static inline uint16_t pci_rid(uint8_t bus, uint8_t dev, uint8_t fn) {
    return (uint16_t)(bus << 8 | dev << 3 | fn);
}

// ---- pure parts (pci_caps.c), also run on byte buffers ----

// Walks both capability chains of the PCI_CONFIG_SIZE bytes at cfg. Every pointer is bounded and no
// capability is seen twice.
void pci_caps_parse(const volatile uint8_t *cfg, struct pci_caps *out);
// MSI-X capability at caps->msix against the BARs: table and PBA must lie wholly inside memory
// BARs.
void pci_msix_parse(const volatile uint8_t *cfg, const struct pci_caps *caps,
                    const struct pci_bar bars[PCI_BARS], struct pci_msix *out);
// What a BAR says, from its value and from what it reads back after all ones were written; hi
// values are those of the next register (64-bit BARs). Returns how many registers it takes (1 or
// 2).
unsigned pci_bar_decode(uint32_t lo, uint32_t hi, uint32_t mask_lo, uint32_t mask_hi,
                        struct pci_bar *out);
// The nth virtio capability of that type (virtio §4.1.4.2), checked against the BARs; false if
// there is none.
bool pci_virtio_cap(const struct pci_fn *fn, uint8_t cfg_type, unsigned nth,
                    struct pci_virtio_cap *out);
// True if page `page` (4 KiB units from the BAR's base) may be mapped into a driver's window: it
// belongs wholly to this usable memory BAR, holds no byte of an MSI-X table or pending-bit array of
// this function, and no other function's BAR in `all` reaches into it. A BAR smaller than a page
// qualifies only where nothing else of `all` shares its page.
bool pci_page_grantable(const struct pci_fn *all, unsigned count, const struct pci_fn *fn,
                        unsigned bar, uint64_t page);

// True if a driver may write these bytes of its function's configuration space: wholly inside a vendor-specific capability's own
// data (no virtio function's: one of its kind is a back door to every register), or in the device's own area before the first
// capability. Everything that has a meaning for the bus, for interrupts, power, address translation or the system is refused,
// and all of it if the capabilities are malformed.
bool pci_config_writable(const volatile uint8_t *cfg, const struct pci_caps *caps, unsigned offset,
                         unsigned size);

bool pci_below(const struct pci_fn *fn, const struct pci_fn *bridge); // however many bridges are between
const struct pci_fn *pci_find_in(const struct pci_fn *all, unsigned count, uint16_t segment,
                                 uint16_t rid); // NULL if there is no such function
struct pci_window {                             // of addresses; empty where last < first
    uint64_t first, last;
};
// What a bridge forwards downwards: plain and prefetchable memory. False if neither.
bool pci_bridge_windows(const volatile uint8_t *cfg, struct pci_window out[2]);
// The lowest place for a BAR of that size in the bridge's window that no function of `all` below the
// bridge has; 0 if there is none.
uint64_t pci_place(const struct pci_fn *all, unsigned count, const struct pci_fn *bridge,
                   struct pci_window window, uint64_t size);

// ---- the machine (pci.c, pci_assign.c) ----

// Finds all functions, switches bus mastering, ATS and MSI/MSI-X off everywhere, sizes the BARs, and
// gives addresses to those that firmware left without (below bridges, where their windows have room).
// Before iommu_init().
void pci_init(void);
void pci_assign(struct pci_fn *fn, const struct pci_fn *all, unsigned count); // for pci_init()
unsigned pci_count(void);
const struct pci_fn *pci_get(unsigned index);
const struct pci_fn *pci_find(uint16_t segment, uint16_t rid);
bool pci_bar_page_grantable(const struct pci_fn *fn, unsigned bar, uint64_t page);

// Configuration space for a driver: reads only, aligned, in range; all ones otherwise.
uint32_t pci_config_read(const struct pci_fn *fn, unsigned offset, unsigned size);

// And writes, where pci_config_writable(); DENIED elsewhere.
enum status pci_config_write(const struct pci_fn *fn, unsigned offset, unsigned size, uint32_t value);

// Grant: memory decoding and bus mastering on, on all bridges above too. The caller has attached
// the function to its IOMMU domain first. DENIED for a bridge or a function whose DMA cannot be
// told apart (behind_conventional).
enum status pci_enable(const struct pci_fn *fn);
// Only the first step of it: memory decoding on, on all bridges above too, for the kernel's own use
// of a BAR.
void pci_decode(const struct pci_fn *fn);
// One message, for a function that the kernel itself drives (an IOMMU): MSI on, and the bus
// mastering that it needs. False if it has no MSI. Once.
bool pci_msi_start(const struct pci_fn *fn, uint64_t address, uint32_t data);
// Which of those bits of the Status register are set; they are cleared.
uint16_t pci_status_take(const struct pci_fn *fn, uint16_t bits);
// Revoke, first half: bus mastering off, then waits (bounded) for transactions that are under way
// (PCIe §7.5.3.5, Transactions Pending). False if they did not end: the frames must then not be
// reused before the reset and the IOMMU's invalidation.
bool pci_quiesce(const struct pci_fn *fn);

// Only the first step of it: bus mastering off. Any context.
void pci_stop(const struct pci_fn *fn);

enum pci_reset_kind {
    PCI_RESET_NONE,
    PCI_RESET_FLR,
    PCI_RESET_AF_FLR,
    PCI_RESET_D3,
    PCI_RESET_VIRTIO
};
// Function-level reset by the strongest means that touches this function alone (PCIe §6.6.2;
// Advanced Features; D3hot to D0 without No_Soft_Reset; a virtio function's own reset through its
// registers); what the kernel had set in configuration space is restored, bus mastering and MSI-X
// stay off. PCI_RESET_NONE: the function has none of them, only its driver can reset it. Takes up
// to 100 ms; not from interrupts.
enum pci_reset_kind pci_reset(const struct pci_fn *fn);
#endif
