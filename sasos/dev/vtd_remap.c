// vtd_remap.c — interrupt remapping: one table for all units, one entry per bound MSI-X vector
// (VT-d rev. 5.10 §5.1, §9.9).
//
// An entry names the requester id that may raise it; the unit refuses everybody else.
// Compatibility-format messages are blocked (CFI stays clear). Entries are changed only between
// "not present" and complete, and each change is invalidated before the caller goes on. Where the
// processor is in x2APIC mode the unit must offer EIM, else remapping stays off.
#include "sasos/arch/apic.h"
#include "sasos/dev/vtd.h"
#include "sasos/dev/vtd_unit.h"
#include "sasos/lib/log.h"
#include "sasos/lib/panic.h"
#include "sasos/mem/frame.h"
#include "sasos/mem/pt.h"

#define ENTRIES 256u     // one page
#define IRTA_SIZE_256 7u // S: 2^(S+1) entries

static uint64_t (*table)[2];
static bool used[ENTRIES];
static bool enabled;
static struct spinlock table_lock;

bool vtd_interrupt_remapping(void) { return enabled; }

static void invalidate_entry(unsigned index) {
    const uint64_t d[1][2] = {{VTD_INV_IEC_INDEX(index), 0}};
    for (unsigned i = 0; i < vtd_unit_count; i++) vtd_invalidate(&vtd_units[i], d, 1);
}

static void flush_entry(unsigned index) {
    for (unsigned i = 0; i < vtd_unit_count; i++)
        vtd_flush_cache(&vtd_units[i], table[index], sizeof table[index]);
}

void vtd_remap_start(void) {
    if (!acpi()->dmar_intr_remap) {
        log_warn(
            "iommu",
            "firmware does not allow interrupt remapping: a device can raise any interrupt vector");
        return;
    }
    for (unsigned i = 0; i < vtd_unit_count; i++)
        if (!VTD_ECAP_IR(vtd_units[i].ecap) || (apic_x2apic() && !VTD_ECAP_EIM(vtd_units[i].ecap))) {
            log_warn("iommu",
                     "unit %u cannot remap interrupts%s: a device can raise any interrupt vector",
                     i, VTD_ECAP_IR(vtd_units[i].ecap) ? " in x2APIC mode" : "");
            return;
        }
    uint64_t phys = frame_alloc(FRAME_ZERO);
    if (!phys) {
        log_error(
            "iommu",
            "no memory for the interrupt-remapping table: a device can raise any interrupt vector");
        return;
    }
    table = pt_direct(phys);
    const uint64_t d[1][2] = {{VTD_INV_IEC_GLOBAL, 0}};
    for (unsigned i = 0; i < vtd_unit_count; i++) {
        struct vtd_unit *u = &vtd_units[i];
        vtd_flush_cache(u, table, 4096);
        vtd_write64(u, VTD_IRTA_REG, phys | IRTA_SIZE_256 | (apic_x2apic() ? VTD_IRTA_EIME : 0));
        vtd_command_set(u, VTD_GCMD_SIRTP);
        vtd_invalidate(u, d, 1); // §6.7: entries of an older table may be cached
        if (vtd_read32(u, VTD_GSTS_REG) & VTD_GCMD_CFI) vtd_command_clear(u, VTD_GCMD_CFI);
        vtd_command_set(u, VTD_GCMD_IRE);
    }
    enabled = true;
}

int vtd_irte_alloc(const struct pci_fn *fn, uint8_t vector, uint32_t apic_id, uint64_t *out_address,
                   uint32_t *out_data) {
    if (!enabled) return -1;
    uint64_t flags = spin_lock(&table_lock);
    unsigned index = 0;
    while (index < ENTRIES && used[index]) index++;
    if (index < ENTRIES) used[index] = true;
    spin_unlock(&table_lock, flags);
    if (index == ENTRIES) return -1;

    // §9.9 DST: an xAPIC id stands in bits 15:8 of the field, an x2APIC id fills it.
    uint64_t destination = apic_x2apic() ? apic_id : (uint64_t)(apic_id & 0xff) << 8;
    table[index][1] = VTD_IRTE_HIGH(fn->rid);
    flush_entry(index); // the half that says who may comes before the half that says yes
    __atomic_store_n(&table[index][0],
                     VTD_IRTE_P | VTD_IRTE_VECTOR(vector) | VTD_IRTE_DST(destination),
                     __ATOMIC_RELEASE);
    flush_entry(index);
    invalidate_entry(index);
    // §5.1.2.2, remappable format: index 14:0 in bits 19:5, format in bit 4, SHV = 0, index 15 in
    // bit 2.
    *out_address = 0xfee00000u | index << 5 | 1u << 4;
    *out_data = 0;
    return (int)index;
}

void vtd_irte_free(int index) {
    KASSERT(index >= 0 && (unsigned)index < ENTRIES && used[index]);
    __atomic_store_n(&table[index][0], 0, __ATOMIC_RELEASE);
    table[index][1] = 0;
    flush_entry((unsigned)index);
    invalidate_entry((unsigned)index);
    uint64_t flags = spin_lock(&table_lock);
    used[index] = false;
    spin_unlock(&table_lock, flags);
}
