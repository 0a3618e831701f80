// vtd_remap.c — interrupt remapping: one table for all units, one entry per bound message or I/O
// APIC input (VT-d rev. 5.10 §5.1, §9.9). Handles are indices of entries.
//
// An entry names the requester id that may raise it; the unit refuses everybody else.
// Compatibility-format messages are blocked (CFI stays clear). Entries are changed only between
// "not present" and complete, and each change is invalidated before the caller goes on. Where the
// processor is in x2APIC mode the unit must offer EIM, else remapping stays off.
#include "sasos/arch/apic.h"
#include "sasos/dev/vtd_scope.h"
#include "sasos/dev/vtd_unit.h"
#include "sasos/lib/log.h"
#include "sasos/lib/panic.h"
#include "sasos/mem/frame.h"
#include "sasos/mem/pt.h"

#define ENTRIES 256u     // one page
#define IRTA_SIZE_256 7u // S: 2^(S+1) entries

static uint64_t (*table)[2];
static bool used[ENTRIES];
static struct spinlock table_lock;

static void invalidate_entry(unsigned index) {
    const uint64_t d[1][2] = {{VTD_INV_IEC_INDEX(index), 0}};
    for (unsigned i = 0; i < vtd_unit_count; i++) vtd_invalidate(&vtd_units[i], d, 1);
}

static void flush_entry(unsigned index) {
    for (unsigned i = 0; i < vtd_unit_count; i++)
        vtd_flush_cache(&vtd_units[i], table[index], sizeof table[index]);
}

bool vtd_remap_start(void) {
    if (!acpi()->dmar_intr_remap) {
        log_warn(
            "iommu",
            "firmware does not allow interrupt remapping: a device can raise any interrupt vector");
        return false;
    }
    for (unsigned i = 0; i < vtd_unit_count; i++)
        if (!VTD_ECAP_IR(vtd_units[i].ecap) || (apic_x2apic() && !VTD_ECAP_EIM(vtd_units[i].ecap))) {
            log_warn("iommu",
                     "unit %u cannot remap interrupts%s: a device can raise any interrupt vector",
                     i, VTD_ECAP_IR(vtd_units[i].ecap) ? " in x2APIC mode" : "");
            return false;
        }
    uint64_t phys = frame_alloc(FRAME_ZERO);
    if (!phys) {
        log_error(
            "iommu",
            "no memory for the interrupt-remapping table: a device can raise any interrupt vector");
        return false;
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
    return true;
}

// -1 when the table is full.
static int entry_make(uint16_t sid, uint8_t vector, uint32_t apic_id, uint64_t more) {
    uint64_t flags = spin_lock(&table_lock);
    unsigned index = 0;
    while (index < ENTRIES && used[index]) index++;
    if (index < ENTRIES) used[index] = true;
    spin_unlock(&table_lock, flags);
    if (index == ENTRIES) return -1;

    // §9.9 DST: an xAPIC id stands in bits 15:8 of the field, an x2APIC id fills it.
    uint64_t destination = apic_x2apic() ? apic_id : (uint64_t)(apic_id & 0xff) << 8;
    table[index][1] = VTD_IRTE_HIGH(sid);
    flush_entry(index); // the half that says who may comes before the half that says yes
    __atomic_store_n(&table[index][0],
                     VTD_IRTE_P | more | VTD_IRTE_VECTOR(vector) | VTD_IRTE_DST(destination),
                     __ATOMIC_RELEASE);
    flush_entry(index);
    invalidate_entry(index);
    return (int)index;
}

int vtd_irq_alloc(const struct pci_fn *fn, uint8_t vector, uint32_t apic_id, uint64_t *out_address,
                  uint32_t *out_data) {
    int index = entry_make(fn->rid, vector, apic_id, 0);
    // §5.1.2.2, remappable format: index 14:0 in bits 19:5, format in bit 4, SHV = 0, index 15 in
    // bit 2.
    *out_address = 0xfee00000u | (uint32_t)index << 5 | 1u << 4;
    *out_data = 0;
    return index;
}

int vtd_irq_alloc_ioapic(uint8_t ioapic, uint8_t vector, uint32_t apic_id, bool level,
                         uint64_t *out_entry) {
    uint16_t sid;
    if (!vtd_scope_ioapic(acpi(), pci_get(0), pci_count(), ioapic, &sid)) return -1;
    int index = entry_make(sid, vector, apic_id, level ? VTD_IRTE_TM : 0);
    // §5.1.5.1: index 14:0 in bits 63:49, format in bit 48, index 15 in bit 11; the vector is there
    // for the end of interrupt.
    *out_entry = (uint64_t)(uint32_t)index << 49 | 1ull << 48 | vector;
    return index;
}

void vtd_irq_free(int index) {
    KASSERT(index >= 0 && (unsigned)index < ENTRIES && used[index]);
    __atomic_store_n(&table[index][0], 0, __ATOMIC_RELEASE);
    table[index][1] = 0;
    flush_entry((unsigned)index);
    invalidate_entry((unsigned)index);
    uint64_t flags = spin_lock(&table_lock);
    used[index] = false;
    spin_unlock(&table_lock, flags);
}
