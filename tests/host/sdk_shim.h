// sdk_shim.h — what a driver's source needs to run inside a hosted unit test: included before the source itself, by exactly one test.
//
// The driver's window is a part of this process below 2 GiB, so that its 32-bit addresses are addresses here: registers at SHIM_BAR, DMA pages from
// SHIM_DMA on, channels from SHIM_CHANNEL on, nothing between them: an access outside is a segmentation fault. The test supplies the device:
// device_step() is called whenever the driver looks at the clock, which goes on by a millisecond each time, so waiting in the driver is the device's turn.
#ifndef TEST_SDK_SHIM_H
#define TEST_SDK_SHIM_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#pragma clang diagnostic ignored "-Wunknown-attributes"
#pragma clang diagnostic ignored "-Wignored-attributes"
#pragma clang diagnostic ignored "-Wunused-function"
#include "drivers/sdk/sasos.h"

#define SHIM_BAR 0x10000000u
#define SHIM_BAR_BYTES 0x8000u
#define SHIM_DMA 0x20000000u
#define SHIM_DMA_BYTES (4u << 20)
#define SHIM_CHANNEL 0x30000000u
#define SHIM_CHANNEL_STEP 0x1000000u

static struct {
    uint32_t dma_used, dma_max, channels, channel_size, irqs;
    uint32_t signals[SASOS_CHANNELS_MAX];
    int64_t now;
    char log[8192];
} shim;

static void device_step(void);
static uint32_t device_config(uint32_t offset, uint32_t bytes); // the function's configuration space

static void shim_map(uint32_t at, uint32_t bytes) {
    void *p = mmap((void *)(uintptr_t)at, bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    assert_ptr_equal(p, (void *)(uintptr_t)at);
}

// A new life: everything is zero.
static void shim_reset(uint32_t channels, uint32_t channel_size) {
    memset(&shim, 0, sizeof(shim));
    shim.channels = channels;
    shim.channel_size = channel_size;
    shim.irqs = 4;
    shim.dma_max = SHIM_DMA_BYTES;
    shim_map(SHIM_BAR, SHIM_BAR_BYTES);
    munmap((void *)(uintptr_t)SHIM_DMA, SHIM_DMA_BYTES); // dma_alloc() maps what it gives
    for (uint32_t i = 0; i < channels; i++)
        shim_map(SHIM_CHANNEL + i * SHIM_CHANNEL_STEP, channel_size);
}

int64_t sasos_time_ns(void) {
    device_step();
    return shim.now += 1000000;
}
int32_t sasos_log(const char *text, uint32_t length) {
    size_t used = strlen(shim.log);
    if (used + length + 2 < sizeof(shim.log)) sprintf(shim.log + used, "%.*s\n", (int)length, text);
    return 0;
}
int32_t sasos_chan_count(void) { return (int32_t)shim.channels; }
uint32_t sasos_chan_map(uint32_t i) {
    return i < shim.channels ? SHIM_CHANNEL + i * SHIM_CHANNEL_STEP : 0;
}
uint32_t sasos_chan_size(uint32_t i) { return i < shim.channels ? shim.channel_size : 0; }
int32_t sasos_chan_signal(uint32_t i) {
    assert_true(i < shim.channels);
    shim.signals[i]++;
    return 0;
}
int32_t sasos_caller_channel(void) { return 0; }
int32_t sasos_pci_config_read(uint32_t offset, uint32_t bytes) {
    return (int32_t)device_config(offset, bytes);
}
uint32_t sasos_pci_bar_map(uint32_t bar, uint32_t offset, uint32_t bytes) {
    return bar == 0 && bytes && offset < SHIM_BAR_BYTES && bytes <= SHIM_BAR_BYTES - offset
               ? SHIM_BAR + offset
               : 0;
}
int32_t sasos_pci_enable(void) { return 0; }
uint32_t sasos_dma_alloc(uint32_t bytes) {
    bytes = (bytes + 4095) & ~4095u;
    if (!bytes || bytes > shim.dma_max - shim.dma_used) return 0;
    uint32_t at = SHIM_DMA + shim.dma_used;
    shim_map(at, bytes);
    shim.dma_used += bytes;
    return at;
}
int32_t sasos_irq_enable(uint32_t vector) { return vector < shim.irqs ? 0 : E_DENIED; }
// As on a machine with an IOMMU.
int32_t sasos_dma_mode(void) { return SASOS_DMA_BY_IOMMU; }
int64_t sasos_dma_address(uint32_t address) { return address; }
int64_t sasos_virtio_start(int64_t features) { return (void)features, E_DENIED; }
int32_t sasos_virtio_queue(uint32_t queue, uint32_t size, uint32_t desc, uint32_t avail,
                           uint32_t used, uint32_t vector) {
    return (void)queue, (void)size, (void)desc, (void)avail, (void)used, (void)vector, E_DENIED;
}
int32_t sasos_virtio_vector(uint32_t vector) { return (void)vector, E_DENIED; }
int32_t sasos_virtio_state(uint32_t bits) { return (void)bits, E_DENIED; }
int32_t sasos_virtq_publish(uint32_t queue) { return (void)queue, E_DENIED; }
int32_t sasos_virtq_collect(uint32_t queue) { return (void)queue, E_DENIED; }
#endif
