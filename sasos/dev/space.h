// space.h — which physical addresses may belong to a PCI device: neither memory, nor firmware's,
// nor a device of the kernel's own.
//
// A base address register is read out of the device and its pages are mapped into a module's
// window, so a device that claims RAM or the local APIC must be refused. The boot memory map is
// copied here before its memory is reclaimed.
#ifndef SASOS_DEV_SPACE_H
#define SASOS_DEV_SPACE_H
#include <stdbool.h>
#include <stdint.h>

struct bootinfo;
struct acpi_info;

static inline bool space_overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size) {
    return a_size && b_size && a <= b + (b_size - 1) && b <= a + (a_size - 1);
}
// Copies the map; `info` names it by physical address, reached at `direct` + address.
void space_init(const struct bootinfo *info, uint64_t direct);
// True if no byte of the range is in the map (but as memory-mapped I/O), in the APICs' MiB, or in a
// device that `acpi` gives to the kernel: I/O APICs, HPET, remapping units, ECAM. False for
// everything if the map was too long to be kept.
bool space_is_device(const struct acpi_info *acpi, uint64_t base, uint64_t size);
#endif
