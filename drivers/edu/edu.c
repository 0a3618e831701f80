// edu.c — driver for QEMU's teaching device (docs/specs/edu.txt of QEMU), whose DMA engine copies between its own 4 KiB buffer and any bus
// address. It is here to test the fence: edu_dma() hands on whatever address its client names, and the IOMMU decides.
//
// The device has one message of the older kind (MSI), which drivers are not given, so its client asks edu_busy(). The device's own
// side of a transfer always is its buffer, without the last byte: QEMU (7.2) ends itself if a transfer reaches that one.
#include "drivers/sdk/sasos.h"

enum { // registers of BAR0
    ID = 0x00,
    LIVENESS = 0x04,
    FACTORIAL = 0x08,
    STATUS = 0x20,
    IRQ_ACKNOWLEDGE = 0x64,
    DMA_SOURCE = 0x80,
    DMA_DESTINATION = 0x88,
    DMA_COUNT = 0x90,
    DMA_COMMAND = 0x98,
};
enum { STATUS_COMPUTING = 1 };
enum { DMA_START = 1, DMA_TO_MEMORY = 2 };
enum { DEVICE_BUFFER = 0x40000, DEVICE_BUFFER_BYTES = 4095, FACTORIAL_TRIES = 10000000 };

static uint32_t registers, buffer;

int32_t SASOS_EXPORT(driver_start)(void) {
    registers = sasos_pci_bar_map(0, 0, 4096);
    if (!registers) return E_NODEV;
    uint32_t id = read32(registers + ID);
    write32(registers + LIVENESS, 0x1234abcd);
    if ((id & 0xffff) != 0x00ed || read32(registers + LIVENESS) != ~0x1234abcdu) {
        log_line("the device says %x: this is not an edu", id);
        return E_NODEV;
    }
    int error = sasos_pci_enable();
    if (error) return error;
    buffer = sasos_dma_alloc(DEVICE_BUFFER_BYTES);
    if (!buffer) return E_NOMEM;
    log_line("version %u.%u", id >> 24, id >> 16 & 0xff);
    return 0;
}

int32_t SASOS_EXPORT(driver_event)(uint32_t events) {
    (void)events;
    return 0;
}

// n! mod 2³², by the device, as bits.
int32_t SASOS_EXPORT(edu_factorial)(uint32_t n) {
    write32(registers + STATUS, 0);
    write32(registers + FACTORIAL, n);
    for (uint32_t i = 0; i < FACTORIAL_TRIES; i++)
        if (!(read32(registers + STATUS) & STATUS_COMPUTING))
            return (int32_t)read32(registers + FACTORIAL);
    return E_IO;
}

// Starts a transfer between the device's buffer and a bus address. E_AGAIN while one is under way.
int32_t SASOS_EXPORT(edu_dma)(uint64_t address, uint32_t bytes, uint32_t to_memory) {
    if (bytes == 0 || bytes > DEVICE_BUFFER_BYTES) return E_INVAL;
    if (read64(registers + DMA_COMMAND) & DMA_START) return E_AGAIN;
    write64(registers + DMA_SOURCE, to_memory ? DEVICE_BUFFER : address);
    write64(registers + DMA_DESTINATION, to_memory ? address : DEVICE_BUFFER);
    write64(registers + DMA_COUNT, bytes);
    write64(registers + DMA_COMMAND, DMA_START | (to_memory ? DMA_TO_MEMORY : 0));
    return 0;
}

int32_t SASOS_EXPORT(edu_busy)(void) { return read64(registers + DMA_COMMAND) & DMA_START; }

// The bus address of a page of the driver's own: where a transfer is allowed.
int32_t SASOS_EXPORT(edu_buffer)(void) { return (int32_t)sasos_dma_address(buffer); }

// A byte of that page, which is set to `value` if it is not negative.
int32_t SASOS_EXPORT(edu_byte)(uint32_t at, int32_t value) {
    if (at >= DEVICE_BUFFER_BYTES) return E_INVAL;
    if (value >= 0) write8(buffer + at, (uint8_t)value);
    return read8(buffer + at);
}
