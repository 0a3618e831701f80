// amdvi_remap.c — interrupt remapping of AMD-Vi (48882 rev. 3.09 §2.2.5): a table for each
// requester that has interrupts, so nobody can raise another's.
//
// The index into the table is the message's data, 10:0. A function's table is made with its first
// entry and goes with its last; until then its device table entry refuses all interrupts. Tables
// have 256 entries of 128 bits, or of 32 where a unit has no others (GASup); x2APIC ids need the
// long ones. Whether interrupts can be remapped at all is told by the firmware: IVRS names the
// requester ids of the I/O APICs if they can.
#include "sasos/arch/apic.h"
#include "sasos/dev/amdvi_unit.h"
#include "sasos/lib/log.h"
#include "sasos/lib/panic.h"
#include "sasos/mem/frame.h"
#include "sasos/mem/pt.h"

#define TABLE_LOG2 8u
#define TABLE_ENTRIES (1u << TABLE_LOG2)
#define TABLES (PCI_FUNCTIONS_MAX + ACPI_IOAPICS_MAX) // functions by index, then I/O APICs

struct table {     // handle = its number << TABLE_LOG2 | entry
    uint64_t phys; // 0: none yet
    unsigned live;
    bool used[TABLE_ENTRIES];
};

static struct table tables[TABLES];
static bool long_entries;
static struct spinlock table_lock;

bool amdvi_remap_possible(void) {
    bool wide = apic_x2apic();
    long_entries = true;
    if (!acpi()->ivrs_ioapic_count) {
        log_warn(
            "iommu",
            "firmware does not allow interrupt remapping: a device can raise any interrupt vector");
        return false;
    }
    for (unsigned i = 0; i < amdvi_unit_count; i++) {
        uint64_t f = amdvi_units[i].features;
        if (!(f & AMDVI_EFR_GASUP)) long_entries = false;
        if (wide && !(f & AMDVI_EFR_XTSUP && f & AMDVI_EFR_GASUP)) {
            log_warn("iommu", "unit %u cannot remap interrupts in x2APIC mode: a device can raise any interrupt vector",
                     i);
            return false;
        }
    }
    return true;
}

uint64_t amdvi_remap_features(void) {
    return (long_entries ? AMDVI_CTL_GAEN : 0) | (apic_x2apic() ? AMDVI_CTL_XTEN : 0);
}

// Who sends the interrupts of table number n, and behind which unit.
static struct amdvi_unit *requester(unsigned n, uint16_t *out_rid) {
    const struct acpi_info *a = acpi();
    if (n >= PCI_FUNCTIONS_MAX) {
        const struct acpi_ivrs_ioapic *io = &a->ivrs_ioapics[n - PCI_FUNCTIONS_MAX];
        *out_rid = io->rid;
        return &amdvi_units[io->unit];
    }
    const struct pci_fn *fn = pci_get(n);
    int unit = amdvi_backend.unit_of(fn);
    *out_rid = fn->rid;
    return unit < 0 ? NULL : &amdvi_units[unit];
}

static void tell(struct amdvi_unit *u, uint16_t rid) {
    const uint64_t c[2][2] = {{AMDVI_CMD_INVALIDATE_DEVTAB_ENTRY(rid), 0},
                              {AMDVI_CMD_INVALIDATE_INTERRUPT_TABLE(rid), 0}};
    amdvi_command(u, c, 2);
}

static void entry_write(const struct table *t, unsigned index, bool on, uint8_t vector,
                        uint32_t apic_id) {
    if (long_entries) {
        uint64_t *e = (uint64_t *)pt_direct(t->phys) + 2 * index;
        if (on) e[1] = AMDVI_IRTE128_HIGH(vector, apic_id); // before the half that says yes
        __atomic_store_n(&e[0], on ? AMDVI_IRTE128_LOW(apic_id) : 0, __ATOMIC_RELEASE);
    } else {
        uint32_t *e = (uint32_t *)pt_direct(t->phys) + index;
        __atomic_store_n(e, on ? (uint32_t)AMDVI_IRTE32(vector, apic_id) : 0, __ATOMIC_RELEASE);
    }
}

// Entry `index` of table n, or a free one where it is negative. -1 if there is none, or no memory.
static int entry_make(unsigned n, int index, uint8_t vector, uint32_t apic_id) {
    struct table *t = &tables[n];
    uint16_t rid;
    struct amdvi_unit *u = requester(n, &rid);
    uint64_t fresh = u ? frame_alloc(FRAME_ZERO) : 0;
    if (!fresh) return -1;
    uint64_t flags = spin_lock(&table_lock);
    if (index < 0)
        for (index = 0; (unsigned)index < TABLE_ENTRIES && t->used[index];) index++;
    bool free = (unsigned)index < TABLE_ENTRIES && !t->used[index], first = free && !t->phys;
    if (free) {
        t->used[index] = true;
        t->live++;
        if (first) t->phys = fresh;
        entry_write(t, (unsigned)index, true, vector, apic_id);
        if (first)
            __atomic_store_n(&u->table[rid][2], AMDVI_DTE2_IV | AMDVI_DTE2_TABLE(fresh, TABLE_LOG2),
                             __ATOMIC_RELEASE);
    }
    spin_unlock(&table_lock, flags);
    if (!first) frame_free(fresh, 1);
    if (!free) return -1;
    tell(u, rid);
    return (int)(n << TABLE_LOG2) | index;
}

int amdvi_irq_alloc(const struct pci_fn *fn, uint8_t vector, uint32_t apic_id,
                    uint64_t *out_address, uint32_t *out_data) {
    int handle = entry_make((unsigned)(fn - pci_get(0)), -1, vector, apic_id);
    *out_address = 0xfee00000u;
    *out_data = (uint32_t)handle & (TABLE_ENTRIES - 1);
    return handle;
}

int amdvi_irq_alloc_ioapic(uint8_t ioapic, uint8_t vector, uint32_t apic_id, bool level,
                           uint64_t *out_entry) {
    const struct acpi_info *a = acpi();
    (void)level; // the redirection entry alone says so
    for (unsigned i = 0; i < a->ivrs_ioapic_count; i++) {
        if (a->ivrs_ioapics[i].id != ioapic) continue;
        // The index is the vector: the I/O APIC compares its own entry's low byte with the vector
        // whose interrupt has ended.
        *out_entry = vector;
        return entry_make(PCI_FUNCTIONS_MAX + i, vector, vector, apic_id);
    }
    return -1;
}

void amdvi_irq_free(int handle) {
    unsigned n = (unsigned)handle >> TABLE_LOG2, index = (unsigned)handle & (TABLE_ENTRIES - 1);
    KASSERT(n < TABLES && tables[n].used[index]);
    struct table *t = &tables[n];
    uint16_t rid;
    struct amdvi_unit *u = requester(n, &rid);
    uint64_t flags = spin_lock(&table_lock);
    uint64_t gone = 0;
    entry_write(t, index, false, 0, 0);
    if (--t->live == 0) {
        __atomic_store_n(&u->table[rid][2], AMDVI_DTE2_IV, __ATOMIC_RELEASE); // refused again
        gone = t->phys;
        t->phys = 0;
    }
    spin_unlock(&table_lock, flags);
    tell(u, rid);
    flags = spin_lock(&table_lock);
    t->used[index] = false; // only now may the entry be given to another vector
    spin_unlock(&table_lock, flags);
    if (gone) frame_free(gone, 1);
}
