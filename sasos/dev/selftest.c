// selftest.c — proof, at each boot, that the fence holds: a device is told to reach memory that was
// never mapped for it, and the IOMMU must record the fault, or at least signal that it refused.
// Believing the registers is not enough: a hypervisor may offer an IOMMU and route a device around it.
//
// Any virtio function will do, because each one reads its ring when notified. It is attached to an
// empty domain for the time of the test and reset afterwards, so its driver finds it as it would
// have. The rings are put at the physical address of zeroed frames that are in no domain: if DMA is
// not translated after all, the device finds empty rings there and does nothing.
#include "sasos/arch/time.h"
#include "sasos/dev/dev.h"
#include "sasos/dev/iommu.h"
#include "sasos/dev/virtio.h"
#include "sasos/lib/log.h"
#include "sasos/mem/frame.h"

#define RING_FRAMES 3u
#define FAULT_NS (100 * TIME_MS)

static bool proved;
static bool recorded = true; // false: the unit blocks without saying what

bool dev_fence_proved(void) { return proved; }

static bool faults_within(const struct pci_fn *fn, uint64_t before, uint64_t ns) {
    uint64_t deadline = time_now_ns() + ns;
    do {
        iommu_poll_faults();
        if (iommu_fault_count(fn) != before) return true;
        if (iommu_refused()) {
            log_warn("iommu", "the unit does not record what it refuses: a fault can be laid to a "
                              "device only where it is the only one attached");
            iommu_expect_unrecorded();
            recorded = false;
            return true;
        }
        time_delay_ns(TIME_MS / 10);
    } while (time_now_ns() < deadline);
    return false;
}

static bool provoke(const struct pci_fn *fn, struct iommu_domain *dom, uint64_t rings, bool *out_ran) {
    bool faulted = false;
    *out_ran = false;
    if (iommu_attach(dom, fn) != ST_OK) return false;
    iommu_fault_expect(fn);
    if (pci_enable(fn) == ST_OK) {
        uint64_t before = iommu_fault_count(fn);
        iommu_refused(); // what was before does not count
        *out_ran = virtio_provoke(fn, rings);
        faulted = *out_ran && faults_within(fn, before, FAULT_NS);
        pci_quiesce(fn);
        virtio_reset(fn);
        iommu_poll_faults();
    }
    iommu_fault_expect(NULL);
    iommu_detach(dom, fn);
    return faulted;
}

void dev_selftest(void) {
    struct iommu_domain *dom;
    if (!iommu_present() || iommu_domain_create(&dom) != ST_OK) return;
    uint64_t rings = frame_alloc_run(RING_FRAMES, 1, FRAME_ZERO | FRAME_LOW);
    for (unsigned i = 0; rings && i < pci_count() && !proved; i++) {
        const struct pci_fn *fn = pci_get(i);
        bool ran = false;
        if (!virtio_is(fn)) continue;
        proved = provoke(fn, dom, rings, &ran);
        if (proved)
            log_info("iommu", "self-test: DMA of %02x:%02x.%u outside of its area was blocked%s",
                     pci_bus(fn), pci_dev(fn), pci_func(fn), recorded ? " and recorded" : "");
        else if (ran)
            log_error("iommu", "self-test: DMA of %02x:%02x.%u outside of its area was NOT seen to be blocked",
                      pci_bus(fn), pci_dev(fn), pci_func(fn));
    }
    if (!proved)
        log_warn("iommu", "no proof that DMA is fenced: no device here could be made to try");
    iommu_domain_destroy(dom);
    if (rings) frame_free(rings, RING_FRAMES);
}
