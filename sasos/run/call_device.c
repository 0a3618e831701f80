// call_device.c — kernel calls of drivers: the granted PCI function, DMA pages, interrupts, ports.
#include "sasos/run/hostcall.h"

CALL(pci_config_read) {
    struct dom *d = caller(inst);
    return d->fn ? (int32_t)pci_config_read(d->fn, ldr_arg32(args, 0), ldr_arg32(args, 1)) : E_DENIED;
}

CALL(pci_bar_map) {
    return dom_bar_map(caller(inst), ldr_arg32(args, 0), ldr_arg32(args, 1), ldr_arg32(args, 2));
}

CALL(pci_enable) {
    (void)args;
    struct dom *d = caller(inst);
    if (!d->fn || !d->fence) return E_DENIED;
    return pci_enable(d->fn) == ST_OK ? 0 : E_DENIED;
}

CALL(dma_alloc) { return dom_dma_alloc(caller(inst), ldr_arg32(args, 0)); }

CALL(irq_enable) { return dom_irq_enable(caller(inst), ldr_arg32(args, 0)); }
