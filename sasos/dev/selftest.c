// selftest.c — proof, at each boot, that the fence holds: a device is told to reach memory that was
// never mapped for it, and the IOMMU must record the fault, or at least signal that it refused.
// Believing the registers is not enough: a hypervisor may offer an IOMMU and route a device around it.
//
// Any virtio function will do, because each one reads its ring when notified. It is attached to an
// empty domain for the time of the test and reset afterwards, so its driver finds it as it would
// have. The rings are put at the physical address of zeroed frames that are in no domain: if DMA is
// not translated after all, the device finds empty rings there and does nothing.
//
// Then interrupts: the device is made to send one message, by handing it a ring that no driver could
// have written, which is a change of its configuration (VIRTIO 1.2 §2.1.2). First with the message
// that its remapping entry wants, to see that it does send; then with one that names the vector
// itself, as a device that writes into the interrupt window would. If that arrives too, a device can
// raise any vector, whatever the registers say, and the console says so.
#include "sasos/arch/cpu.h"
#include "sasos/arch/time.h"
#include "sasos/dev/dev.h"
#include "sasos/dev/iommu.h"
#include "sasos/dev/msix.h"
#include "sasos/dev/virtio.h"
#include "sasos/lib/log.h"
#include "sasos/mem/frame.h"
#include "sasos/mem/pt.h"

#define RING_FRAMES 3u
// Far more than either takes: a hypervisor may let its device wait while the host is busy, and a test that ends too early tells
// something false.
#define FAULT_NS (2000 * TIME_MS)
#define MESSAGE_NS (250 * TIME_MS)
#define RINGS_IOVA 0x80000000ull

static bool proved;
static bool recorded = true; // false: the unit blocks without saying what

static enum dev_forging forging = DEV_FORGING_UNKNOWN;

bool dev_fence_proved(void) { return proved; }
enum dev_forging dev_forging(void) { return forging; }

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
        *out_ran = virtio_provoke(fn, rings, -1);
        faulted = *out_ran && faults_within(fn, before, FAULT_NS);
        pci_quiesce(fn);
        virtio_reset(fn);
        iommu_poll_faults();
    }
    iommu_fault_expect(NULL);
    iommu_detach(dom, fn);
    return faulted;
}

// ---- interrupts ----

static void on_message(void *arg) { (*(volatile unsigned *)arg)++; }

// Makes the device send its message; true if `arrived` changes.
static bool message_arrives(const struct pci_fn *fn, const volatile unsigned *arrived) {
    unsigned before = *arrived;
    bool ran = pci_enable(fn) == ST_OK && virtio_provoke(fn, RINGS_IOVA, 0);
    uint64_t deadline = time_now_ns() + MESSAGE_NS;
    while (ran && *arrived == before && time_now_ns() < deadline) cpu_irq_window();
    pci_quiesce(fn);
    virtio_reset(fn);
    return *arrived != before;
}

static enum dev_forging forge(const struct pci_fn *fn, struct msix *m) {
    static volatile unsigned arrived, forged; // the handlers' argument
    enum dev_forging found = DEV_FORGING_UNKNOWN;
    int vector = irq_alloc(on_message, (void *)&forged);
    if (vector < 0 || msix_bind(m, 0, on_message, (void *)&arrived) != ST_OK) return found;
    msix_unmask(m, 0);
    if (message_arrives(fn, &arrived)) {
        msix_message(m, 0, irq_msi_address(), irq_msi_data(vector));
        found = message_arrives(fn, &forged) ? DEV_FORGING_OPEN : DEV_FORGING_REFUSED;
    }
    msix_mask(m, 0);
    irq_free(vector);
    return found;
}

static void test_messages(const struct pci_fn *fn, struct iommu_domain *dom) {
    struct msix *m;
    if (iommu_attach(dom, fn) != ST_OK) return;
    if (msix_open(fn, &m) == ST_OK) {
        forging = forge(fn, m);
        msix_close(m);
    }
    iommu_detach(dom, fn);
}

static void selftest_interrupts(struct iommu_domain *dom, uint64_t rings) {
    uint16_t *available = pt_direct(rings + 4096);
    available[1] = 0x8000; // §2.7.6: 32768 requests in a ring of one
    if (iommu_map(dom, RINGS_IOVA, rings, RING_FRAMES * FRAME_SIZE, IOMMU_R | IOMMU_W) != ST_OK)
        return;
    for (unsigned i = 0; i < pci_count() && forging == DEV_FORGING_UNKNOWN; i++)
        if (virtio_is(pci_get(i))) test_messages(pci_get(i), dom);
    iommu_unmap(dom, RINGS_IOVA, RING_FRAMES * FRAME_SIZE);
    if (forging == DEV_FORGING_REFUSED)
        log_info("iommu", "self-test: an interrupt that names its own vector was refused");
    else if (forging == DEV_FORGING_OPEN)
        log_warn("iommu", "self-test: an interrupt that names its own vector was NOT refused: a "
                          "device can raise any vector");
    else
        log_warn(
            "iommu",
            "no proof that forged interrupts are refused: no device here could be made to try");
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
    if (rings && iommu_interrupt_remapping()) selftest_interrupts(dom, rings);
    iommu_domain_destroy(dom);
    if (rings) frame_free(rings, RING_FRAMES);
}
