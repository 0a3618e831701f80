// dev.h — the machine's devices at boot: every function silenced, then DMA fenced, then nothing
// until a grant.
#ifndef SASOS_DEV_DEV_H
#define SASOS_DEV_DEV_H
#include <stdbool.h>

// Needs acpi_init(), the memory managers, the clock, the local APIC and irq_alloc(). Before the
// first module is loaded. Order: all functions are found and lose bus mastering, then every IOMMU
// unit translates with all devices blocked, then interrupt remapping, then the proof. One line on
// the console per finding. Never fails: what cannot be fenced is not granted later.
void dev_init(void);

// Part of dev_init(), last: makes a device attempt a DMA outside of its (empty) area and waits for
// the fault (selftest.c).
void dev_selftest(void);
// True if that was seen in this boot. Without it nothing has shown that DMA is fenced.
bool dev_fence_proved(void);
// What the same test found about interrupts that name their own vector instead of a remapping entry.
// Where they are not refused, a device can raise any vector; each handler can bear that.
enum dev_forging { DEV_FORGING_UNKNOWN, DEV_FORGING_REFUSED, DEV_FORGING_OPEN };
enum dev_forging dev_forging(void);
#endif
