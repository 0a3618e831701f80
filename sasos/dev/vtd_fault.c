// vtd_fault.c — the fault records of VT-d units: read and handed to iommu_fault.c (VT-d rev. 5.10
// §7.1–7.3, §11.4.7).
//
// A unit keeps few records (QEMU: one), further faults of one source are merged and others are lost
// until the record is cleared, so records are read at interrupt time. Fault-event messages of the
// unit itself are not remapped (§5.1.6) and use the compatibility format.
#include "sasos/arch/irq.h"
#include "sasos/dev/vtd_unit.h"
#include "sasos/lib/log.h"
#include "sasos/lib/mem.h"

#define RECORDS_PER_CALL \
    4096u // more in one go: the interrupt stays off until polling finds none left

static bool interrupt_on; // a vector was found for fault events
static struct spinlock fault_lock;

const char *vtd_fault_text(uint8_t reason) { // §7.1.3
    static const char *const dma[] = {
        [0x01] = "root entry not present (no driver owns the bus)",
        [0x02] = "context entry not present (no driver owns the device)",
        [0x03] = "context entry invalid",
        [0x04] = "address beyond the domain's width",
        [0x05] = "write not permitted",
        [0x06] = "read not permitted",
        [0x07] = "page table not readable",
        [0x08] = "root table not readable",
        [0x09] = "context table not readable",
        [0x0a] = "reserved bit in root entry",
        [0x0b] = "reserved bit in context entry",
        [0x0c] = "reserved bit in page table",
        [0x0d] = "translation request refused",
        [0x0e] = "address in the interrupt range",
    };
    static const char *const interrupt[] = {
        "reserved bit in interrupt request",   "interrupt index beyond the table",
        "interrupt entry not present",         "interrupt table not readable",
        "reserved bit in interrupt entry",     "compatibility-format interrupt blocked",
        "interrupt of another source's entry",
    };
    if (reason >= VTD_REASON_INTERRUPT_FIRST &&
        reason - VTD_REASON_INTERRUPT_FIRST < (int)ARRAY_LEN(interrupt))
        return interrupt[reason - VTD_REASON_INTERRUPT_FIRST];
    if (reason < ARRAY_LEN(dma) && dma[reason]) return dma[reason];
    return "unknown reason";
}

// Reads and clears one record; false if record `index` is empty.
static bool take(struct vtd_unit *u, unsigned index, struct iommu_fault *out) {
    unsigned o = VTD_CAP_FRO(u->cap) + 16 * index;
    uint64_t high = vtd_read64(u, o + 8);
    if (!(high & VTD_FRCD_F)) return false;
    uint64_t low = vtd_read64(u, o);
    uint8_t reason = VTD_FRCD_FR(high);
    bool interrupt = reason >= VTD_REASON_INTERRUPT_FIRST && reason <= VTD_REASON_INTERRUPT_LAST;
    *out = (struct iommu_fault){
        .segment = u->segment,
        .rid = VTD_FRCD_SID(high),
        .reason = reason,
        .write = !(high & VTD_FRCD_T1_READ),
        .interrupt = interrupt,
        .address = interrupt ? VTD_FRCD_FI_INDEX(low) : VTD_FRCD_FI_PAGE(low),
    };
    vtd_write32(u, o + 12, (uint32_t)(VTD_FRCD_F >> 32)); // F is write-1-to-clear
    return true;
}

// The next record, or false when there is none. The lock is for the registers only:
// the callback runs without it.
static bool next_fault(struct vtd_unit *u, struct iommu_fault *out) {
    uint64_t flags = spin_lock(&fault_lock);
    uint32_t fsts = vtd_read32(u, VTD_FSTS_REG);
    if (fsts & VTD_FSTS_PFO) { // faults came while all records were full
        iommu_fault_lost();
        vtd_write32(u, VTD_FSTS_REG, VTD_FSTS_PFO);
    }
    bool any = fsts & VTD_FSTS_PPF && take(u, VTD_FSTS_FRI(fsts) % VTD_CAP_NFR(u->cap), out);
    spin_unlock(&fault_lock, flags);
    return any;
}

static void poll_unit(struct vtd_unit *u) {
    struct iommu_fault fault;
    for (unsigned done = 0; done < RECORDS_PER_CALL; done++) {
        if (!next_fault(u, &fault)) {
            if (interrupt_on && vtd_read32(u, VTD_FECTL_REG) & VTD_FECTL_IM)
                vtd_write32(u, VTD_FECTL_REG, 0);
            return;
        }
        iommu_fault_deliver(&fault);
    }
    vtd_write32(u, VTD_FECTL_REG, VTD_FECTL_IM);
}

void vtd_poll_faults(void) {
    for (unsigned i = 0; i < vtd_unit_count; i++) poll_unit(&vtd_units[i]);
}

static void fault_interrupt(void *arg) {
    (void)arg;
    vtd_poll_faults();
}

void vtd_fault_start(void) {
    int vector = irq_alloc(fault_interrupt, NULL);
    interrupt_on = vector >= 0;
    if (!interrupt_on)
        log_warn("iommu", "no interrupt vector for faults: they are only seen when polled");
    for (unsigned i = 0; i < vtd_unit_count; i++) {
        struct vtd_unit *u = &vtd_units[i];
        struct iommu_fault old;
        for (unsigned k = 0; k < VTD_CAP_NFR(u->cap); k++) // what firmware left behind is nobody's fault here
            take(u, k, &old);
        vtd_write32(u, VTD_FSTS_REG, VTD_FSTS_PFO | VTD_FSTS_IQE | VTD_FSTS_ICE | VTD_FSTS_ITE);
        if (!interrupt_on) {
            vtd_write32(u, VTD_FECTL_REG, VTD_FECTL_IM);
            continue;
        }
        uint64_t address = irq_msi_address();
        vtd_write32(u, VTD_FEDATA_REG, irq_msi_data(vector));
        vtd_write32(u, VTD_FEADDR_REG, (uint32_t)address);
        vtd_write32(u, VTD_FEUADDR_REG, (uint32_t)(address >> 32));
        vtd_write32(u, VTD_FECTL_REG, 0); // IM clear
    }
}
