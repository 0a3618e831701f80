// pci_assign.c — memory BARs that firmware left without an address get one from the window of the
// bridge above.
//
// A device that was plugged in after the firmware's walk has none. What a bridge forwards is in its
// own registers (PCIe §7.5.1.3); on a root bus only AML would say what is free, so nothing is assigned
// there. pci_place() chooses (pci_caps.c).
#include "sasos/arch/io.h"
#include "sasos/dev/acpi.h"
#include "sasos/dev/pci.h"
#include "sasos/dev/space.h"
#include "sasos/lib/log.h"

static void assign(struct pci_fn *fn, unsigned bar, const struct pci_window windows[2],
                   const struct pci_fn *all, unsigned count) {
    struct pci_bar *b = &fn->bars[bar];
    uint64_t at =
        b->prefetchable && b->is64 ? pci_place(all, count, fn->bridge, windows[1], b->size) : 0;
    if (!at) at = pci_place(all, count, fn->bridge, windows[0], b->size);
    if (!at || (!b->is64 && at >> 32) || !space_is_device(acpi(), at, b->size)) {
        log_warn("pci", "%02x:%02x.%u BAR %u has no address, and its bridge no room for 0x%llx bytes",
                 pci_bus(fn), pci_dev(fn), pci_func(fn), bar, (unsigned long long)b->size);
        return;
    }
    volatile uint8_t *reg = fn->cfg + PCI_BASE_ADDRESS + 4 * bar;
    mmio_write32(reg, (uint32_t)at); // its decoding is off until a grant
    if (b->is64) mmio_write32(reg + 4, (uint32_t)(at >> 32));
    if ((mmio_read32(reg) & ~15u) != (uint32_t)at) return;
    b->base = at;
    b->usable = true;
    log_info("pci", "%02x:%02x.%u BAR %u: 0x%llx bytes at 0x%llx assigned", pci_bus(fn),
             pci_dev(fn), pci_func(fn), bar, (unsigned long long)b->size, (unsigned long long)at);
}

void pci_assign(struct pci_fn *fn, const struct pci_fn *all, unsigned count) {
    struct pci_window windows[2];
    if (fn->header_type != 0 || !fn->bridge || !pci_bridge_windows(fn->bridge->cfg, windows))
        return;
    for (unsigned i = 0; i < PCI_BARS; i++)
        if (fn->bars[i].size && !fn->bars[i].base && !fn->bars[i].io)
            assign(fn, i, windows, all, count);
}
