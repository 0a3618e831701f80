// dev.h — the machine's devices at boot: every function silenced, then DMA fenced, then nothing until a grant.
#ifndef SASOS_DEV_DEV_H
#define SASOS_DEV_DEV_H
// Needs acpi_init(), the memory managers, the clock, the local APIC and irq_alloc(). Before the first module is loaded.
// Order: all functions are found and lose bus mastering, then every IOMMU unit translates with all devices blocked, then
// interrupt remapping. One line on the console per finding. Never fails: what cannot be fenced is not granted later.
void dev_init(void);
#endif
