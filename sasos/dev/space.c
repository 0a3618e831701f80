// space.c — see space.h. Pure but for the copy it keeps; adjacent ranges are joined, so the copy is
// short.
#include "sasos/dev/space.h"

#include "efi/bootinfo.h"
#include "sasos/dev/acpi.h"

#define RANGES_MAX 128u
#define APIC_SPACE 0xfee00000ull // Intel SDM 3A 11.4.1, 11.11.1: local APIC and interrupt messages
#define APIC_SPACE_SIZE (1ull << 20)

enum { EFI_MEMORY_MAPPED_IO = 11, EFI_MEMORY_MAPPED_IO_PORT_SPACE = 12 }; // UEFI 2.10 §7.2

static struct { uint64_t base, size; } ranges[RANGES_MAX];
static unsigned count;
static bool overflow;

void space_init(const struct bootinfo *info, uint64_t direct) {
    const struct boot_mem_range *map = (const struct boot_mem_range *)(direct + info->mem_map);
    count = 0;
    overflow = false;
    for (uint64_t i = 0; i < info->mem_map_count; i++) {
        if (map[i].efi_type == EFI_MEMORY_MAPPED_IO || map[i].efi_type == EFI_MEMORY_MAPPED_IO_PORT_SPACE)
            continue;
        uint64_t size = map[i].pages * 4096;
        if (count && ranges[count - 1].base + ranges[count - 1].size == map[i].base) {
            ranges[count - 1].size += size;
        } else if (count == RANGES_MAX) {
            overflow = true;
        } else {
            ranges[count].base = map[i].base;
            ranges[count++].size = size;
        }
    }
}

bool space_is_device(const struct acpi_info *acpi, uint64_t base, uint64_t size) {
    if (overflow || size == 0 || base + (size - 1) < base) return false;
    for (unsigned i = 0; i < count; i++)
        if (space_overlap(base, size, ranges[i].base, ranges[i].size)) return false;
    if (space_overlap(base, size, APIC_SPACE, APIC_SPACE_SIZE)) return false;
    if (acpi->lapic_base && space_overlap(base, size, acpi->lapic_base, 4096)) return false;
    if (acpi->hpet_base && space_overlap(base, size, acpi->hpet_base, 4096)) return false;
    for (uint32_t i = 0; i < acpi->ioapic_count; i++)
        if (space_overlap(base, size, acpi->ioapics[i].address, 4096)) return false;
    for (uint32_t i = 0; i < acpi->drhd_count; i++)
        if (space_overlap(base, size, acpi->drhds[i].register_base, acpi->drhds[i].register_size))
            return false;
    for (uint32_t i = 0; i < acpi->ivhd_count; i++)
        if (space_overlap(base, size, acpi->ivhds[i].register_base, ACPI_IVHD_REGISTERS))
            return false;
    for (uint32_t i = 0; i < acpi->mcfg_count; i++) {
        const struct acpi_mcfg *m = &acpi->mcfg[i];
        uint64_t first = m->base + ((uint64_t)m->bus_first << 20);
        if (space_overlap(base, size, first, (m->bus_last - m->bus_first + 1ull) << 20))
            return false;
    }
    return true;
}
