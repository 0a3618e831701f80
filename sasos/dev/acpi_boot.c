// acpi_boot.c — the kernel's own ACPI tables: where they are read, what is said about them, and the
// two registers that end a run.
//
// Tables are read through the direct map, or, where firmware put them into memory it calls
// reserved, through a mapping that lives only while acpi_init() runs. Memory that the boot map does
// not list is never touched: a table pointer is input, and reading a device register has side
// effects. Clauses: ACPI 6.5.
#include "efi/bootinfo.h"
#include "sasos/arch/io.h"
#include "sasos/dev/acpi.h"
#include "sasos/dev/space.h"
#include "sasos/lib/log.h"
#include "sasos/lib/mem.h"
#include "sasos/lib/panic.h"
#include "sasos/mem/pt.h"

#define TEMPORARY_MAX 32u

static struct acpi_info machine;

struct boot_source {
    const struct bootinfo *info;
    unsigned count;
    struct {
        void *va;
        uint64_t size;
    } temporary[TEMPORARY_MAX];
};

// Inside one listed range that is not plain device space.
static bool listed(const struct bootinfo *info, uint64_t phys, uint64_t size) {
    const struct boot_mem_range *map = pt_direct(info->mem_map);
    for (uint64_t i = 0; i < info->mem_map_count; i++)
        if (phys >= map[i].base && phys - map[i].base < map[i].pages * 4096 &&
            size <= map[i].pages * 4096 - (phys - map[i].base))
            return map[i].efi_type != 11 &&
                   map[i].efi_type != 12; // UEFI 2.10 §7.2: EfiMemoryMappedIO(PortSpace)
    return false;
}

static const void *map_for_parser(void *arg, uint64_t phys, uint64_t size) {
    struct boot_source *s = arg;
    if (pt_in_direct(phys, size)) return pt_direct(phys);
    if (s->count == TEMPORARY_MAX || !listed(s->info, phys, size)) return NULL;
    void *va = pt_map_mmio(phys, size, 0);
    if (va) {
        s->temporary[s->count].va = va;
        s->temporary[s->count++].size = size;
    }
    return va;
}

static void report(const struct acpi_info *a) {
    unsigned enabled = 0;
    for (uint32_t i = 0; i < a->cpu_count; i++) enabled += a->cpus[i].enabled;
    log_info("acpi", "%u CPUs (%u enabled), %u I/O APICs, %u ECAM ranges, %s, %s, %s, %u DMA remapping units",
             a->cpu_count, enabled, a->ioapic_count, a->mcfg_count,
             a->have & ACPI_HAVE_HPET ? "HPET" : "no HPET",
             a->pm_timer.address ? "PM timer" : "no PM timer",
             a->have & ACPI_HAVE_S5 ? "soft off" : "no soft off", a->drhd_count + a->ivhd_count);
    for (uint32_t i = 0; i < a->reject_count; i++) {
        const struct acpi_reject *r = &a->rejects[i];
        char name[5] = {0};
        for (unsigned k = 0; k < 4; k++)
            name[k] = r->signature[k] >= 32 && r->signature[k] < 127 ? r->signature[k] : '?';
        log_warn("acpi", "table %s is left out: %s", name, acpi_status_text(r->status));
    }
    if (a->dropped) log_warn("acpi", "%u entries did not fit and are ignored", a->dropped);
    for (uint32_t i = 0; i < a->reserved_count; i++)
        log_warn("acpi", "firmware wants devices to reach %llx-%llx for itself: not granted",
                 (unsigned long long)a->reserved[i].base, (unsigned long long)a->reserved[i].limit);
    if (!(a->have & ACPI_HAVE_MCFG))
        log_error("acpi", "no MCFG table: PCI Express configuration space cannot be found, there "
                          "will be no devices");
}

void acpi_init(const struct bootinfo *info) {
    static struct boot_source boot;
    boot.info = info;
    space_init(info, DIRECT_MAP_BASE); // the map is still there
    const struct acpi_source source = {map_for_parser, &boot};
    enum acpi_status status = acpi_parse(&source, info->rsdp, &machine);
    for (unsigned i = 0; i < boot.count; i++)
        pt_unmap_mmio(boot.temporary[i].va, boot.temporary[i].size);
    boot.count = 0;
    if (status != ACPI_OK) panic_refuse("ACPI: %s", acpi_status_text(status));
    report(&machine);
}

const struct acpi_info *acpi(void) { return &machine; }

// Registers of §4.8 are I/O ports on every PC; memory-mapped ones belong to hardware-reduced
// machines and are left alone here.
bool acpi_is_port(const struct acpi_gas *g) {
    return g->address != 0 && g->address <= 0xffff && g->space_id == ACPI_SPACE_IO;
}

void acpi_power_off(void) {
    enum {
        SLP_TYP_SHIFT = 10,
        SLP_EN = 1 << 13,
        SLP_MASK = 7 << SLP_TYP_SHIFT | SLP_EN
    }; // §4.8.3.2.1
    if (!(machine.have & ACPI_HAVE_S5) || !acpi_is_port(&machine.pm1a_cnt)) return;
    uint16_t a = (uint16_t)machine.pm1a_cnt.address, b = (uint16_t)machine.pm1b_cnt.address;
    uint16_t rest = io_in16(a) & (uint16_t)~SLP_MASK;
    io_out16(a, (uint16_t)(rest | machine.s5_slp_typa << SLP_TYP_SHIFT | SLP_EN));
    if (acpi_is_port(&machine.pm1b_cnt)) {
        rest = io_in16(b) & (uint16_t)~SLP_MASK;
        io_out16(b, (uint16_t)(rest | machine.s5_slp_typb << SLP_TYP_SHIFT | SLP_EN));
    }
}

void acpi_reset(void) {
    if (acpi_is_port(&machine.reset_reg))
        io_out8((uint16_t)machine.reset_reg.address, machine.reset_value);
}
