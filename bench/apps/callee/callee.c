// callee.c — the other end of bench/apps/caller: what is called when a crossing between two domains is measured.
#include "drivers/sdk/sasos.h"

static uint32_t buffers, bytes; // the channel

int32_t SASOS_EXPORT(driver_start)(void) {
    buffers = sasos_chan_map(0);
    bytes = sasos_chan_size(0);
    return 0;
}
int32_t SASOS_EXPORT(driver_event)(uint32_t events) {
    (void)events;
    return 0;
}
int32_t SASOS_EXPORT(null)(void) { return 0; }

// A buffer by reference: checked, as everything is that a caller says, and touched.
int32_t SASOS_EXPORT(buffer)(uint32_t offset, uint32_t length) {
    if (length < 8 || length > bytes || offset > bytes - length || offset % 8) return E_INVAL;
    write64(buffers + offset, read64(buffers + offset) + 1);
    return 0;
}

// A message of 64 bytes by reference: read, answered in place.
int32_t SASOS_EXPORT(touch)(uint32_t offset, uint32_t length) {
    uint64_t *p = (uint64_t *)(uintptr_t)(buffers + (offset & 4032)), sum = 0;
    for (uint32_t i = 0; i < 8; i++) sum += p[i];
    p[0] = sum + length;
    return (int32_t)sum;
}
