// call_device.c — kernel calls of drivers: the granted PCI function, DMA pages, interrupts, ports.
#include "sasos/arch/io.h"
#include "sasos/run/hostcall.h"

CALL(pci_config_read) {
    struct dom *d = caller(inst);
    return d->fn ? (int32_t)pci_config_read(d->fn, ldr_arg32(args, 0), ldr_arg32(args, 1)) : E_DENIED;
}

CALL(pci_config_write) {
    struct dom *d = caller(inst);
    uint32_t size = ldr_arg32(args, 1);
    if (!d->fn) return E_DENIED;
    if (size != 1 && size != 2 && size != 4) return E_INVAL;
    return pci_config_write(d->fn, ldr_arg32(args, 0), size, ldr_arg32(args, 2)) == ST_OK ? 0
                                                                                          : E_DENIED;
}

CALL(pci_bar_map) {
    return dom_bar_map(caller(inst), ldr_arg32(args, 0), ldr_arg32(args, 1), ldr_arg32(args, 2));
}

CALL(pci_enable) {
    (void)args;
    struct dom *d = caller(inst);
    if (!d->fn || !d->device_open) return E_DENIED;
    return pci_enable(d->fn) == ST_OK ? 0 : E_DENIED;
}

CALL(dma_mode) {
    (void)args;
    struct dom *d = caller(inst);
    return d->fn ? (int32_t)d->dma : E_DENIED;
}

CALL(dma_address) {
    struct dom *d = caller(inst);
    uint32_t address = ldr_arg32(args, 0);
    if (!d->fn) return E_DENIED;
    if (d->dma != SASOS_DMA_TRUSTED) return address;
    for (uint32_t i = 0; i < d->extents; i++) {
        const struct vring_extent *e = &d->extent[i];
        if (address - e->address < e->bytes) return (int64_t)(e->pa + (address - e->address));
    }
    return E_FAULT;
}

CALL(dma_alloc) { return dom_dma_alloc(caller(inst), ldr_arg32(args, 0)); }

CALL(irq_enable) { return dom_irq_enable(caller(inst), ldr_arg32(args, 0)); }

// Granted, all of them by one line of the configuration.
static bool ports_granted(const struct dom *d, uint32_t port, uint32_t bytes) {
    for (uint32_t i = 0; i < d->config->ports; i++)
        if (port >= d->config->port[i].first && port + (uint64_t)bytes - 1 <= d->config->port[i].last)
            return true;
    return false;
}

CALL(port_read) {
    uint32_t port = ldr_arg32(args, 0), bytes = ldr_arg32(args, 1);
    if (bytes != 1 && bytes != 2 && bytes != 4) return E_INVAL;
    if (!ports_granted(caller(inst), port, bytes)) return E_DENIED;
    return bytes == 1   ? io_in8((uint16_t)port)
           : bytes == 2 ? io_in16((uint16_t)port)
                        : io_in32((uint16_t)port);
}

CALL(port_write) {
    uint32_t port = ldr_arg32(args, 0), bytes = ldr_arg32(args, 1), value = ldr_arg32(args, 2);
    if (bytes != 1 && bytes != 2 && bytes != 4) return E_INVAL;
    if (!ports_granted(caller(inst), port, bytes)) return E_DENIED;
    if (bytes == 1)
        io_out8((uint16_t)port, (uint8_t)value);
    else if (bytes == 2)
        io_out16((uint16_t)port, (uint16_t)value);
    else
        io_out32((uint16_t)port, value);
    return 0;
}
