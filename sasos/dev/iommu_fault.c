// iommu_fault.c — recorded faults of either kind of IOMMU: attributed, counted, handed on.
//
// A device decides how often it faults: one that does so FAULT_STORM times under one owner loses
// its bus mastering here, and the log names only the first few. Interrupt context.
#include "sasos/dev/iommu_backend.h"
#include "sasos/lib/log.h"

#define FAULT_STORM 1024u
#define FAULT_LOGGED 4u

struct fault_counter {
    uint64_t total;
    uint32_t since_attach;
};

static struct fault_counter counters[PCI_FUNCTIONS_MAX];
static uint64_t recorded, lost;
static uint32_t unknown; // of ids that no function has
static iommu_fault_fn *on_fault;
static const struct pci_fn *expected;
static struct spinlock fault_lock; // for the counters

void iommu_on_fault(iommu_fault_fn *callback) {
    __atomic_store_n(&on_fault, callback, __ATOMIC_RELEASE);
}

void iommu_fault_expect(const struct pci_fn *fn) {
    __atomic_store_n(&expected, fn, __ATOMIC_RELEASE);
}

static struct fault_counter *counter_of(const struct pci_fn *fn) {
    return &counters[fn - pci_get(0)];
}

uint64_t iommu_fault_count(const struct pci_fn *fn) {
    return __atomic_load_n(&counter_of(fn)->total, __ATOMIC_RELAXED);
}

void iommu_fault_totals(uint64_t *out_faults, uint64_t *out_lost) {
    *out_faults = __atomic_load_n(&recorded, __ATOMIC_RELAXED);
    *out_lost = __atomic_load_n(&lost, __ATOMIC_RELAXED);
}

void iommu_fault_lost(void) { __atomic_fetch_add(&lost, 1, __ATOMIC_RELAXED); }

void iommu_fault_forget(const struct pci_fn *fn) {
    uint64_t flags = spin_lock(&fault_lock);
    counter_of(fn)->since_attach = 0;
    spin_unlock(&fault_lock, flags);
}

void iommu_fault_deliver(const struct iommu_fault *f) {
    const struct pci_fn *fn = pci_find(f->segment, f->rid);
    uint64_t flags = spin_lock(&fault_lock);
    recorded++;
    if (fn) counter_of(fn)->total++;
    uint32_t nth = fn ? ++counter_of(fn)->since_attach : ++unknown;
    spin_unlock(&fault_lock, flags);
    if (fn && nth == FAULT_STORM) {
        pci_stop(fn);
        log_error("iommu", "%02x:%02x.%u faulted %u times: its bus mastering is off", f->rid >> 8,
                  f->rid >> 3 & 31, f->rid & 7, nth);
    }
    bool wanted = fn && fn == __atomic_load_n(&expected, __ATOMIC_ACQUIRE);
    if (nth <= FAULT_LOGGED && !wanted && f->address == IOMMU_ADDRESS_UNKNOWN)
        log_error("iommu", "%02x:%02x.%u: %s", f->rid >> 8, f->rid >> 3 & 31, f->rid & 7,
                  iommu_fault_text(f->reason));
    else if (nth <= FAULT_LOGGED && !wanted)
        log_error("iommu", "%02x:%02x.%u: %s blocked at 0x%llx: %s (%02x)", f->rid >> 8,
                  f->rid >> 3 & 31, f->rid & 7,
                  f->interrupt ? "interrupt"
                  : f->write   ? "DMA write"
                               : "DMA read",
                  (unsigned long long)f->address, iommu_fault_text(f->reason), f->reason);
    iommu_fault_fn *callback = __atomic_load_n(&on_fault, __ATOMIC_ACQUIRE);
    if (callback) callback(f, fn);
}
