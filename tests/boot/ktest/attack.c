// attack.c — a device that attacks: the catalogue's part E (tests/escape), from inside the kernel, so
// that the device can be told anything.
//
// A virtio disk copies sectors to and from whatever bus address a test names. Each attempt outside
// of its domain must be refused, laid to this function at that address, and leave what was there as
// it was. Where QEMU's AMD-Vi records no addresses (amdvi_log.c), refusal and function are all that
// is asked for.
#include "sasos/arch/apic.h"
#include "sasos/arch/cpu.h"
#include "sasos/arch/io.h"
#include "sasos/arch/irq.h"
#include "sasos/arch/time.h"
#include "sasos/arch/trap.h"
#include "sasos/dev/acpi.h"
#include "sasos/dev/amdvi_unit.h"
#include "sasos/dev/msix.h"
#include "sasos/dev/vtd_unit.h"
#include "sasos/lib/mem.h"
#include "sasos/lib/panic.h"
#include "sasos/lib/printf.h"
#include "sasos/mem/frame.h"
#include "sasos/mem/pt.h"
#include "sasos/run/thread.h"
#include "tests/boot/ktest/devices.h"
#include "tests/boot/ktest/disk.h"

#define LARGE_IOVA 0x90000000ull
#define SPARE_IOVA (DISK_IOVA + 0x10000)
#define LARGE (2ull << 20)
#define VECTORS 256u
#define SCRATCH 4000u // what the device "read" from a forbidden place lands in this sector

static unsigned bad, attempts;
static volatile unsigned faults;
static struct iommu_fault last;
static const struct pci_fn *last_fn;
static bool amd;
static struct disk disk;
static struct iommu_domain *dom, *other_dom;

static void check(bool good, const char *name) {
    kprintf("%s %s\n", good ? "ok" : "BAD", name);
    bad += !good;
}

static void on_fault(const struct iommu_fault *fault, const struct pci_fn *fn) {
    last = *fault;
    last_fn = fn;
    faults++;
}

// The device says what it likes; the fault record is what counts.
static bool refused(uint64_t target, uint32_t bytes, bool write, uint64_t page) {
    unsigned before = faults;
    attempts++;
    disk_transfer(&disk, target, bytes, write, SCRATCH);
    iommu_poll_faults();
    bool good = faults > before && last_fn == disk.fn && !last.interrupt &&
                (amd || (last.write == write && last.address == page));
    if (!good)
        kprintf("BAD %s at 0x%llx: %u faults, last 0x%llx\n", write ? "write" : "read",
                (unsigned long long)target, faults - before, (unsigned long long)last.address);
    return good;
}

static bool refused_both(uint64_t target) {
    uint64_t page = target & ~0xfffull;
    return refused(target, 512, true, page) && refused(target, 512, false, page);
}

// The same, and not a byte of that memory has changed.
static bool refused_memory(uint64_t pa) {
    uint8_t before[512];
    const volatile uint8_t *at = pt_direct(pa);
    for (unsigned i = 0; i < sizeof before; i++) before[i] = at[i];
    bool good = refused_both(pa);
    for (unsigned i = 0; i < sizeof before; i++) good &= at[i] == before[i];
    return good;
}

// A new owner: faults are counted from the start, the device is as after its reset.
static void attach_again(void) {
    pci_quiesce(disk.fn);
    iommu_detach(dom, disk.fn);
    pci_reset(disk.fn);
    KASSERT(iommu_attach(dom, disk.fn) == ST_OK && pci_enable(disk.fn) == ST_OK);
    disk_start(&disk, 0xffff);
}

static uint64_t text_sum(void) {
    extern const char kernel_text_start[], kernel_text_end[];
    uint64_t sum = 0;
    for (const char *p = kernel_text_start; p < kernel_text_end; p += 8)
        sum = sum * 31 + *(const uint64_t *)p;
    return sum;
}

static void test_memory(uint64_t kernel, uint64_t other) {
    uint64_t sum = text_sum();
    check(refused_both(kernel) && refused_both(kernel + 0x10000) && text_sum() == sum,
          "kernel image");
    uint64_t top;
    __asm__ volatile("mov %%cr3, %0" : "=r"(top));
    top &= ~0xfffull;
    uint64_t next = *(uint64_t *)pt_direct(top + 8 * 511) & 0x000ffffffffff000ull;
    check(refused_memory(top) && refused_memory(top + 0xe00) && refused_memory(next),
          "page tables");
    uint64_t devices = amd ? pt_direct_pa(amdvi_units[0].table) : vtd_units[0].root;
    uint64_t queue = amd ? pt_direct_pa(amdvi_units[0].commands) : vtd_units[0].queue_phys;
    check(refused_memory(devices + 32ull * (disk.fn->rid & 0x7f)) && refused_memory(devices) &&
              refused_memory(queue) && refused_memory(dom->pt.root) &&
              refused_memory(other_dom->pt.root),
          "tables of the IOMMU");
    check(refused_memory(other) && refused_both(LARGE_IOVA),
          "another domain's page, by either address");
    check(refused_both(pt_direct_pa(disk.page)), "its own page by its physical address");
    check(refused_both(DISK_IOVA - 4096) && refused_both(DISK_IOVA + 4096),
          "the page before, the page behind");
    // The device's first half may go where it may; the second may not.
    check(refused(DISK_IOVA + 4096 - 256, 512, true, DISK_IOVA + 4096) &&
              refused(DISK_IOVA - 256, 512, true, DISK_IOVA - 4096),
          "across the border of a page");
    check(refused_both(0) && refused_both(0x1000) && refused_both(1ull << 32) &&
              refused_both((1ull << 39) - 4096) && refused_both((1ull << 47)),
          "the ends of the address space");
}

// The same at thousands of places: any page of memory and beyond it, what the tests above name, the neighbours of what it has, at any
// offset and of one or several sectors. What it has is left as it was, and so is a page of everything that is named.
enum { MANY = 5000, MARKS = 5 };

static uint64_t noise(void) {
    static uint64_t state = 88172645463325252ull;
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

static uint64_t any_target(const uint64_t marks[MARKS]) {
    uint64_t page = 0;
    switch (noise() >> 30 & 7) {
    case 0: page = noise() >> 33 << 12; break;                          // 2 TiB
    case 1: page = (noise() >> 40 & 0xffff) << 12; break;               // 256 MiB
    case 2: page = 0xfed00000 - (noise() >> 40 & 0x3fff) * 4096; break; // where registers are
    case 3: page = DISK_IOVA + 4096 + (noise() >> 50) * 4096; break;
    case 4: page = DISK_IOVA - 4096 - (noise() >> 50) * 4096; break;
    case 5: page = 1ull << (12 + noise() % 36); break;
    default: page = marks[noise() % MARKS];
    }
    if (page == DISK_IOVA || (page & ~0xfffffull) == 0xfee00000)
        page = 0; // its own, and interrupts
    return page + (noise() >> 20 & 0xe00);
}

static void test_many(uint64_t kernel, uint64_t other) {
    const uint64_t devices = amd ? pt_direct_pa(amdvi_units[0].table) : vtd_units[0].root;
    const uint64_t marks[MARKS] = {kernel, dom->pt.root, other_dom->pt.root, devices, other};
    uint64_t text = text_sum(), sums[2] = {0};
    unsigned wrong = 0;
    for (unsigned pass = 0; pass < 2; pass++) {
        for (unsigned m = 1; m < MARKS; m++)
            for (unsigned i = 0; i < 512; i++)
                sums[pass] = sums[pass] * 31 + ((volatile uint64_t *)pt_direct(marks[m]))[i];
        for (unsigned i = 0; !pass && i < MANY && wrong < 4; i++) {
            uint64_t at = any_target(marks);
            if (i % 500 == 0) attach_again(); // or it would be put off for its many faults
            wrong += !refused(at, 512u << (noise() >> 40 & 3), noise() >> 50 & 1, at & ~0xfffull);
        }
    }
    check(!wrong && sums[0] == sums[1] && text_sum() == text, "5000 more, wherever");
    attach_again();
}

static void test_devices(void) {
    bool good = true;
    unsigned tried = 0;
    for (unsigned i = 0; i < pci_count(); i++)
        for (unsigned b = 0; b < PCI_BARS; b++) {
            const struct pci_bar *bar = &pci_get(i)->bars[b];
            if (!bar->usable || bar->io) continue;
            good &= refused_both(bar->base & ~0xfffull);
            tried++;
        }
    check(good && tried >= 3, "registers of every function, its own too");
    const struct acpi_info *a = acpi();
    good = refused_both(a->ioapics[0].address) && refused_both(a->hpet_base) &&
           refused_both(a->mcfg[0].base) &&
           refused_both(amd ? a->ivhds[0].register_base : a->drhds[0].register_base);
    check(good, "registers of the chipset: I/O APIC, HPET, configuration space, the IOMMU itself");
}

// ESC-067, ESC-070: what was taken away is gone when the call returns.
static void test_revoked(void) {
    uint64_t frame = frame_alloc(FRAME_ZERO), large = frame_alloc_2m(FRAME_ZERO);
    uint8_t *page = pt_direct(frame);
    bool reached = true, kept = true;
    struct iommu_counters before = iommu_counters();
    for (unsigned i = 0; i < 300; i++) {
        KASSERT(iommu_map(dom, SPARE_IOVA, frame, 4096, IOMMU_R | IOMMU_W) == ST_OK);
        memset(page, 0, 512);
        reached &= disk_transfer(&disk, SPARE_IOVA, 512, true, 0) && page[510];
        KASSERT(iommu_unmap(dom, SPARE_IOVA, 4096) == ST_OK);
        memset(page, 0x77, 512); // somebody else's now
        kept &= refused(SPARE_IOVA, 512, true, SPARE_IOVA);
        for (unsigned k = 0; k < 512; k++) kept &= page[k] == 0x77;
    }
    struct iommu_counters after = iommu_counters();
    check(reached && kept, "300 pages just revoked");
    check(after.unmaps - before.unmaps == 300 && after.invalidations - before.invalidations >= 300,
          "each revocation was confirmed by the unit");
    attach_again();

    KASSERT(iommu_map(dom, LARGE_IOVA, large, LARGE, IOMMU_R | IOMMU_W) == ST_OK);
    kept = disk_transfer(&disk, LARGE_IOVA + 0x5000, 512, true, 0); // the unit holds the large translation
    KASSERT(iommu_unmap(dom, LARGE_IOVA + 0x5000, 4096) == ST_OK);
    kept &= refused_memory(LARGE_IOVA + 0x5000 - LARGE_IOVA + large) &&
            refused_both(LARGE_IOVA + 0x5000);
    kept &= disk_transfer(&disk, LARGE_IOVA + 0x4000, 512, true, 0) &&
            disk_transfer(&disk, LARGE_IOVA + 0x6000, 512, true, 0);
    check(kept, "one small page out of a large one");
    KASSERT(iommu_unmap(dom, LARGE_IOVA, LARGE) == ST_OK);
    KASSERT(iommu_map(dom, LARGE_IOVA, large, 4096, IOMMU_R) == ST_OK);
    memset(pt_direct(large), 0x33, 512);
    unsigned n = faults;
    disk_transfer(&disk, LARGE_IOVA, 512, true, 0); // its rights were read and write a moment ago
    iommu_poll_faults();
    kept = *(uint8_t *)pt_direct(large) == 0x33 && (amd || faults > n);
    kept &= disk_transfer(&disk, LARGE_IOVA, 512, false, SCRATCH);
    check(kept, "a page that may only be read now");
    KASSERT(iommu_unmap(dom, LARGE_IOVA, 4096) == ST_OK);
    attach_again();
    frame_free(frame, 1);
    frame_free(large, 512);
}

// One sector written into the interrupt window is 128 messages to this CPU in each of its forms. To
// QEMU these have no sender: VT-d lets them through, AMD-Vi takes them for the I/O APIC's.
static void send(const uint32_t messages[128]) {
    memcpy(disk.page + DISK_DATA, messages, 512);
    attempts++;
    disk_transfer(&disk, DISK_IOVA + DISK_DATA, 512, false, SCRATCH);
    disk_transfer(&disk, 0xfee00000, 512, true, SCRATCH);
}

// ESC-065. How many of the vectors arrived.
static unsigned forge(unsigned mode) {
    unsigned handled = 0;
    uint32_t data[128];
    uint64_t before[VECTORS];
    for (unsigned v = 0; v < VECTORS; v++) before[v] = irq_count((int)v);
    uint64_t exceptions = trap_forged_count() + trap_nmi_count();
    for (unsigned first = 0; first < VECTORS; first += 32) {
        for (unsigned i = 0; i < 128; i++) data[i] = (first + i / 4) | mode << 8;
        send(data);
    }
    time_delay_ns(5 * TIME_MS);
    for (unsigned v = 0; v < VECTORS; v++)
        if (v != IRQ_VECTOR_TIMER) handled += irq_count((int)v) != before[v];
    return handled + (unsigned)(trap_forged_count() + trap_nmi_count() - exceptions);
}

static volatile unsigned others, own;
static void count(void *arg) { (*(volatile unsigned *)arg)++; }

static volatile uint32_t *msix_entry(const struct pci_fn *fn, unsigned index) {
    volatile uint32_t *e = pt_map_mmio(
        fn->bars[fn->msix.table_bar].base + fn->msix.table_offset + 16 * index, 16, PT_W | PT_UC);
    KASSERT(e);
    return e;
}

// The disk interrupts with whatever its MSI-X entry holds.
static void interrupt(void) {
    disk_transfer(&disk, DISK_IOVA + DISK_DATA, 512, true, 0);
    time_delay_ns(5 * TIME_MS);
}

static void test_interrupts(void) {
    const struct pci_fn *victim = ktest_function(0x1af4, 0x1044); // virtio-rng
    struct msix *m, *mine;
    pci_reset(disk.fn);
    pci_enable(disk.fn);
    KASSERT(victim && iommu_attach(other_dom, victim) == ST_OK && msix_open(victim, &m) == ST_OK &&
            msix_bind(m, 0, count, (void *)&others) == ST_OK &&
            msix_open(disk.fn, &mine) == ST_OK && msix_bind(mine, 1, count, (void *)&own) == ST_OK);
    msix_unmask(m, 0);
    msix_unmask(mine, 1);
    disk_start(&disk, 1);
    own = 0;
    interrupt();
    check(own == 1 && !others, "its own entry");
    volatile uint32_t *entry = msix_entry(disk.fn, 1), *theirs = msix_entry(victim, 0);
    uint32_t saved[3] = {entry[0], entry[1], entry[2]};
    for (unsigned i = 0; i < 3; i++) entry[i] = theirs[i]; // as if the table had been granted
    interrupt();
    check(!others, "another function's entry");
    entry[0] = 0xfee00000u | 200u << 5 | 1u << 4;
    entry[2] = 200;
    own = 0;
    interrupt();
    check(!others && !own, "an entry that nobody has");
    for (unsigned i = 0; i < 3; i++) entry[i] = saved[i];
    interrupt();
    check(own == 1, "its own entry again");
    msix_close(mine);
    attach_again();
    unsigned arrived = 0, modes = amd ? 8 : 2; // SMI, NMI, INIT, ExtINT too, where they do not arrive
    for (unsigned mode = 0; mode < modes; mode++) arrived += forge(mode);
    kprintf("forged %u of %u vectors in %u modes\n", arrived, VECTORS, modes);
    check(!amd || (!arrived && !others), "forged interrupts do not arrive");
    check(disk_transfer(&disk, DISK_IOVA + DISK_DATA, 512, true, 0),
          "the machine and its clock go on");
    msix_close(m);
    iommu_detach(other_dom, victim);
}

// A forged timer interrupt is no tick: or a device could use up others' budgets.
static unsigned ticks;
static void on_tick(struct trap_frame *frame) {
    (void)frame;
    ticks++;
}

static void test_forged_ticks(void) {
    trap_set_tick_hook(on_tick);
    uint64_t start = time_now_ns();
    ticks = 0;
    for (unsigned i = 0; i < 1000; i++) apic_self_ipi(IRQ_VECTOR_TIMER);
    uint64_t ms = (time_now_ns() - start) / TIME_MS;
    trap_set_tick_hook(NULL);
    check(ticks <= ms + 2, "a thousand forged timer interrupts are not a thousand ticks");
}

// ESC-078: an entry whose messages come too fast is masked for a while; so it is here by its vector.
static void test_storm(void) {
    struct msix *m;
    int vector = irq_alloc(count, (void *)&others); // the next one after it is the entry's
    irq_free(vector);
    KASSERT(msix_open(disk.fn, &m) == ST_OK && msix_bind(m, 1, count, (void *)&own) == ST_OK);
    volatile uint32_t *entry = msix_entry(disk.fn, 1);
    const uint32_t limit = msix_storm_limit;
    msix_storm_limit = 100;
    msix_unmask(m, 1);
    uint64_t deadline = time_now_ns() + 2000 * TIME_MS;
    own = 0;
    while (!(entry[3] & 1) && time_now_ns() < deadline) apic_self_ipi((uint8_t)vector);
    check(entry[3] & 1 && own > 100 && msix_storms(m, 1) == 1,
          "a storm of interrupts is held back");
    msix_unmask(m, 1);
    check(entry[3] & 1, "its driver cannot open it before its time");
    while (entry[3] & 1 && time_now_ns() < deadline) thr_yield();
    check(!(entry[3] & 1), "then it is heard again");
    msix_storm_limit = limit;
    msix_close(m);
}

// Configuration space as boot left it (ESC-068, ESC-069).
static void test_configuration(void) {
    bool quiet = true, translated_by_us = true;
    for (unsigned i = 0; i < pci_count(); i++) {
        const struct pci_fn *fn = pci_get(i);
        bool unit = amd && fn == amdvi_units[0].fn;
        if (fn != disk.fn && fn->header_type == 0 && !unit &&
            pci_config_read(fn, PCI_COMMAND, 2) & PCI_COMMAND_BUS_MASTER_ENABLE)
            quiet = false;
        if (fn->caps.ats && pci_config_read(fn, fn->caps.ats + 6u, 2) & 0x8000)
            translated_by_us = false;
        if (fn->caps.pri && pci_config_read(fn, fn->caps.pri + 4u, 2) & 1) translated_by_us = false;
        if (fn->caps.pasid && pci_config_read(fn, fn->caps.pasid + 6u, 2) & 1)
            translated_by_us = false;
        for (unsigned o = 0; o < 8; o += 2)
            if (fn->caps.ats && pci_config_write(fn, fn->caps.ats + o, 2, 0x8000) == ST_OK)
                translated_by_us = false;
    }
    check(quiet, "nobody but the attacker may master the bus");
    check(translated_by_us, "no device translates for itself, and no driver can let it");
    kprintf("ats %s\n", disk.fn->caps.ats ? "there" : "none");
}

// The data path: a thousand requests cost the IOMMU nothing.
static void test_data_path(void) {
    struct iommu_counters before = iommu_counters();
    bool good = true;
    for (unsigned i = 0; i < 1000; i++) {
        good &= disk_transfer(&disk, DISK_IOVA + DISK_DATA, 512, true, i);
        iommu_poll_faults(); // as each interrupt of a driver does
    }
    struct iommu_counters after = iommu_counters();
    check(good && after.invalidations == before.invalidations && after.maps == before.maps &&
              after.unmaps == before.unmaps && after.faults == before.faults,
          "1000 requests: no invalidation, no map, no fault");
}

// ESC-077: taken from its driver in the middle of a request. What it still writes does not arrive.
static void test_in_flight(void) {
    uint64_t frames = frame_alloc_run(16, 1, FRAME_ZERO);
    uint8_t *pages = pt_direct(frames);
    bool untouched = true;
    for (unsigned round = 0; round < 50; round++) {
        KASSERT(iommu_map(dom, SPARE_IOVA, frames, 16 * 4096, IOMMU_R | IOMMU_W) == ST_OK);
        disk_submit(&disk, SPARE_IOVA, 16 * 4096, true, 0);
        for (volatile unsigned spin = 0; spin < round * 400; spin++) {
        }
        pci_quiesce(disk.fn);
        pci_reset(disk.fn);
        iommu_detach(dom, disk.fn);
        KASSERT(iommu_unmap(dom, SPARE_IOVA, 16 * 4096) == ST_OK);
        memset(pages, 0xa5, 16 * 4096); // freed, and somebody else's
        time_delay_ns(TIME_MS);
        for (unsigned i = 0; i < 16 * 4096; i++) untouched &= pages[i] == 0xa5;
        KASSERT(iommu_attach(dom, disk.fn) == ST_OK && pci_enable(disk.fn) == ST_OK);
        disk_start(&disk, 0xffff);
    }
    check(untouched, "taken away in the middle of 50 requests");
    frame_free(frames, 16);
}

unsigned ktest_attack(uint64_t kernel) {
    uint64_t frame = frame_alloc(FRAME_ZERO), other = frame_alloc(FRAME_ZERO);
    const struct pci_fn *fn = disk_find(0);
    amd = str_eq(iommu_kind(), "AMD-Vi");
    KASSERT(fn && frame && other && iommu_domain_create(&dom) == ST_OK &&
            iommu_domain_create(&other_dom) == ST_OK && iommu_attach(dom, fn) == ST_OK);
    KASSERT(iommu_map(other_dom, LARGE_IOVA, other, 4096, IOMMU_R | IOMMU_W) == ST_OK);
    memset(pt_direct(other), 0x5e, 4096);
    iommu_on_fault(on_fault);
    disk_open(&disk, fn, dom, frame, 0xffff);
    test_configuration();
    test_data_path();
    test_memory(kernel, other);
    test_many(kernel, other);
    test_devices();
    attach_again();
    test_revoked();
    test_in_flight();
    test_forged_ticks();
    test_storm();
    test_interrupts();
    kprintf("attempts %u\n", attempts);
    pci_quiesce(fn);
    pci_reset(fn);
    disk_close(&disk);
    iommu_detach(dom, fn);
    iommu_on_fault(NULL);
    iommu_domain_destroy(dom);
    iommu_domain_destroy(other_dom);
    frame_free(frame, 1);
    frame_free(other, 1);
    return bad;
}
