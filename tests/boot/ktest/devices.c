// devices.c — the kernel's device code tested from inside: DMA fence, MSI-X, reset, on real
// (emulated) functions.
//
// The machine brings what is tested: an edu device, which copies between its buffer and any bus
// address that it is told, and virtio-blk functions, each of which must be attachable and read its
// first sector with interrupts, or be refused. What QEMU 7.2 cannot show is left out: faults on
// translations that its IOTLB holds are blocked but not recorded, and faults of interrupt remapping
// are not recorded.
#include "tests/boot/ktest/devices.h"
#include "tests/boot/ktest/disk.h"

#include "sasos/arch/cpu.h"
#include "sasos/arch/io.h"
#include "sasos/arch/time.h"
#include "sasos/dev/dev.h"
#include "sasos/dev/iommu.h"
#include "sasos/dev/msix.h"
#include "sasos/lib/mem.h"
#include "sasos/lib/panic.h"
#include "sasos/lib/printf.h"
#include "sasos/mem/frame.h"
#include "sasos/mem/pt.h"

#define IOVA DISK_IOVA
#define LARGE (2ull << 20)

const struct pci_fn *ktest_function(uint16_t vendor, uint16_t device) {
    for (unsigned i = 0; i < pci_count(); i++)
        if (pci_get(i)->vendor == vendor && pci_get(i)->device == device) return pci_get(i);
    return NULL;
}

static unsigned bad;
static volatile unsigned faults;
static struct iommu_fault last;
static const struct pci_fn *last_fn;

static void check(bool good, const char *name) {
    kprintf("%s %s\n", good ? "ok" : "BAD", name);
    bad += !good;
}

static void on_fault(const struct iommu_fault *fault, const struct pci_fn *fn) {
    last = *fault;
    last_fn = fn;
    faults++;
}

// ---- edu (QEMU docs/specs/edu.txt) ----

static volatile uint8_t *edu;
static const struct pci_fn *edu_fn;

enum {
    EDU_SOURCE = 0x80,
    EDU_DESTINATION = 0x88,
    EDU_COUNT = 0x90,
    EDU_COMMAND = 0x98,
    EDU_BUFFER = 0x40000
};

static void edu_copy(uint64_t source, uint64_t destination, bool from_edu) {
    mmio_write64(edu + EDU_SOURCE, source);
    mmio_write64(edu + EDU_DESTINATION, destination);
    mmio_write64(edu + EDU_COUNT, 64);
    mmio_write64(edu + EDU_COMMAND, from_edu ? 3 : 1);
    uint64_t deadline = time_now_ns() + 1000 * TIME_MS;
    while (mmio_read64(edu + EDU_COMMAND) & 1 && time_now_ns() < deadline) cpu_pause();
}

static void edu_read(uint64_t from) { edu_copy(from, EDU_BUFFER, false); }
static void edu_write(uint64_t to) { edu_copy(EDU_BUFFER, to, true); }

static bool amd; // QEMU 7.2's AMD-Vi says only that it refused something

// One more fault since `before`, with just this content. `reason` is VT-d's; 2: the function has no
// domain.
static bool faulted(unsigned before, uint64_t address, bool write, uint8_t reason) {
    iommu_poll_faults();
    if (amd)
        return faults == before + 1 && last.address == IOMMU_ADDRESS_UNKNOWN &&
               (last_fn == edu_fn) == (reason != 2);
    return faults == before + 1 && last_fn == edu_fn && last.rid == edu_fn->rid &&
           last.write == write && last.address == address && last.reason == reason && !last.interrupt;
}

static void test_fence(void) {
    struct iommu_domain *one, *two;
    edu_fn = ktest_function(0x1234, 0x11e8);
    if (!edu_fn) return;
    check(pci_bar_page_grantable(edu_fn, 0, 0), "edu: its register page may be granted");
    check(!pci_bar_page_grantable(edu_fn, 0, edu_fn->bars[0].size / 4096),
          "edu: not the page behind");
    edu = pt_map_mmio(edu_fn->bars[0].base, 4096, PT_W | PT_UC);
    uint64_t a = frame_alloc_2m(FRAME_ZERO), b = frame_alloc(FRAME_ZERO), c = frame_alloc(FRAME_ZERO);
    KASSERT(edu && a && b && c && iommu_domain_create(&one) == ST_OK &&
            iommu_domain_create(&two) == ST_OK);
    uint8_t *large = pt_direct(a), *page = pt_direct(b), *other = pt_direct(c);
    memset(large, 0x5a, 4096);
    uint64_t counted = iommu_fault_count(edu_fn);
    pci_enable(edu_fn);

    unsigned n = faults;
    edu_read(a);
    check(faulted(n, a, false, 2), "without a domain: read blocked (context entry not present)");
    check(iommu_attach(one, edu_fn) == ST_OK, "attach");
    check(iommu_attach(two, edu_fn) == ST_EXISTS, "a function has one domain");
    n = faults;
    edu_read(a);
    check(faulted(n, a, false, 6), "empty domain: read by physical address blocked");
    n = faults;
    edu_write(b);
    check(faulted(n, b, true, 5) && page[0] == 0,
          "empty domain: write by physical address blocked");

    check(iommu_map(one, IOVA, a, LARGE, IOMMU_R) == ST_OK &&
              iommu_map(one, IOVA + LARGE, b, 4096, IOMMU_R | IOMMU_W) == ST_OK,
          "map");
    check(iommu_map(one, IOVA + LARGE, c, 4096, IOMMU_R) == ST_EXISTS,
          "no second mapping at an address");
    check(iommu_map(one, 0xfee00000, c, 4096, IOMMU_W) == ST_INVALID,
          "nothing in the interrupt range");
    check(iommu_map(one, 0xfffff000, c, 8192, IOMMU_W) == ST_INVALID, "nothing above 4 GiB");
    n = faults;
    edu_read(IOVA);
    edu_write(IOVA + LARGE);
    check(faults == n && page[0] == 0x5a && page[63] == 0x5a && page[64] == 0,
          "DMA through a large and a small page");
    n = faults;
    edu_write(IOVA + LARGE + 4096);
    check(faulted(n, IOVA + LARGE + 4096, true, 5), "the page behind is blocked");
    memset(other, 1, 64);
    check(iommu_map(one, IOVA + 2 * LARGE, c, 4096, IOMMU_R) == ST_OK, "map read only");
    n = faults;
    edu_write(IOVA + 2 * LARGE);
    check((amd || faulted(n, IOVA + 2 * LARGE, true, 5)) && other[0] == 1,
          "a write to it is blocked");

    memset(page, 0, 64);
    check(iommu_unmap(one, IOVA + LARGE, 4096) == ST_OK, "unmap");
    n = faults;
    edu_write(IOVA + LARGE);
    check(faulted(n, IOVA + LARGE, true, 5) && page[0] == 0, "no translation of it is left");
    check(iommu_unmap(one, IOVA + 0x10000, 4096) == ST_OK, "unmap a part of a large page");
    n = faults;
    edu_read(IOVA + 0x10000);
    check(faulted(n, IOVA + 0x10000, false, 6), "it is blocked");
    n = faults;
    edu_read(IOVA + 0x11000);
    check(faults == n, "the page next to it is not");

    iommu_detach(one, edu_fn);
    n = faults;
    edu_read(IOVA);
    check(faulted(n, IOVA, false, 2), "detached: blocked");
    check(iommu_attach(two, edu_fn) == ST_OK, "attach to another domain");
    n = faults;
    edu_read(IOVA);
    check(faulted(n, IOVA, false, 6), "what the first one had is not there");
    // By AMD-Vi without the two that came while it had no domain, and the write to a page to read.
    check(iommu_fault_count(edu_fn) - counted == (amd ? 6 : 9), "every fault is counted");
    pci_quiesce(edu_fn);
    n = faults;
    edu_read(IOVA);
    check(faults == n, "without bus mastering it does not even try");
    iommu_detach(two, edu_fn);
    iommu_domain_destroy(one);
    iommu_domain_destroy(two);
    frame_free(a, 512);
    frame_free(b, 1);
    frame_free(c, 1);
}

// ---- a disk ----

static volatile unsigned interrupts;

static void on_interrupt(void *arg) {
    (void)arg;
    interrupts++;
}

static bool read_sector(struct disk *d) {
    return disk_transfer(d, DISK_IOVA + DISK_DATA, 512, true, 0);
}

static bool is_master(const struct pci_fn *fn) {
    return pci_config_read(fn, PCI_COMMAND, 2) & PCI_COMMAND_BUS_MASTER_ENABLE;
}

static void test_interrupts(const struct pci_fn *fn, struct iommu_domain *dom, uint64_t frame) {
    struct msix *m;
    struct disk d;
    check(msix_open(fn, &m) == ST_OK && msix_count(m) >= 2, "MSI-X is there");
    check(!pci_bar_page_grantable(fn, fn->msix.table_bar, fn->msix.table_offset / 4096),
          "its table cannot be granted");
    check(msix_bind(m, 1, on_interrupt, NULL) == ST_OK &&
              msix_bind(m, 1, on_interrupt, NULL) == ST_EXISTS,
          "bind a vector");
    check(msix_bind(m, msix_count(m), on_interrupt, NULL) == ST_INVALID,
          "no vector behind the table");
    disk_open(&d, fn, dom, frame, 1);
    interrupts = 0;
    check(read_sector(&d) && d.page[DISK_DATA + 510] != 0, "a sector is read by DMA");
    time_delay_ns(20 * TIME_MS); // for the interrupt that should not come
    check(interrupts == 0, "no interrupt while masked");
    msix_unmask(m, 1);
    time_delay_ns(TIME_MS);
    check(interrupts == 1, "the pending one comes with the unmasking");
    check(read_sector(&d), "a second request");
    time_delay_ns(5 * TIME_MS);
    check(interrupts == 2 && msix_interrupts(m, 1) == 2, "one interrupt a request");
    msix_mask(m, 1);
    check(read_sector(&d), "a third request");
    time_delay_ns(20 * TIME_MS);
    check(interrupts == 2, "no interrupt after masking");

    uint64_t before = iommu_fault_count(fn);
    disk_transfer(&d, IOVA + 0x100000, 512, true, 0);
    iommu_poll_faults();
    check(iommu_fault_count(fn) > before && (amd || (last.address == IOVA + 0x100000 && last.write)),
          "data outside of the area: a fault");

    while (is_master(fn) && d.nth < 4000) {
        disk_transfer(&d, IOVA + 0x100000, 512, true, 0);
        iommu_poll_faults();
    }
    check(!is_master(fn) && d.nth > 500, "a function that faults without end loses the bus");

    check(pci_quiesce(fn), "no transaction is left");
    enum pci_reset_kind kind = pci_reset(fn);
    kprintf("reset: %s\n", kind == PCI_RESET_FLR ? "function level reset" : "another");
    check(kind != PCI_RESET_NONE && mmio_read8(d.common + 0x14) == 0, "reset");
    msix_close(m);
    disk_close(&d);
}

static void test_disks(void) {
    const struct pci_fn *fn;
    for (unsigned i = 0; (fn = disk_find(i)); i++) {
        struct iommu_domain *dom;
        uint64_t frame = frame_alloc(FRAME_ZERO);
        if (!iommu_present()) {
            check(iommu_domain_create(&dom) == ST_UNSUPPORTED, "no domains without an IOMMU");
            frame_free(frame, 1);
            continue;
        }
        KASSERT(frame && iommu_domain_create(&dom) == ST_OK);
        enum status s = iommu_attach(dom, fn);
        if (s == ST_OK) {
            test_interrupts(fn, dom, frame);
            iommu_detach(dom, fn);
        }
        kprintf("disk: %s\n", s == ST_OK ? "attached" : s == ST_DENIED ? "denied" : "failed");
        iommu_domain_destroy(dom);
        frame_free(frame, 1);
    }
}

unsigned ktest_devices(void) {
    uint64_t frames = frame_count_free();
    amd = str_eq(iommu_kind(), "AMD-Vi");
    iommu_on_fault(on_fault);
    test_fence();
    test_disks();
    test_disks(); // all of it again: a restarted driver finds everything as it was
    iommu_on_fault(NULL);
    // Page tables of the kernel's own mappings and one context table a bus stay.
    check(frames - frame_count_free() <= 16, "frames are given back");
    return bad;
}
