// amdvi_log.c — the event logs of AMD-Vi units: read and handed to iommu_fault.c (48882 rev. 3.09
// §2.5).
//
// An entry counts as written when its event code is not zero; it is cleared when it has been read.
// The tail register would say the same, but QEMU up to 8 does not move it. Nor does its log wrap,
// and an overflow there is for ever; so a log of which LOG_RESTART entries are used is started
// afresh as soon as all of them are read. The unit's own interrupt is not remapped (§2.1.4).
//
// Debian's QEMU 7.2 blocks but records nothing at all (its code for that was compiled away: a shift
// by 64 bits). What is left is Signaled Target Abort in the Status register of the unit's function.
// The boot's self-test finds that out and calls amdvi_expect_unrecorded(); from then on each poll
// looks there, and what it finds is laid to the one function that is attached behind the unit. With
// several of them nobody knows whose it was, and the log says so.
#include "sasos/arch/irq.h"
#include "sasos/dev/amdvi_unit.h"
#include "sasos/lib/log.h"
#include "sasos/lib/mem.h"
#include "sasos/lib/panic.h"
#include "sasos/mem/frame.h"
#include "sasos/mem/pt.h"

#define LOG_LOG2 15u
#define LOG_ENTRIES (1u << LOG_LOG2)
#define LOG_FRAMES (LOG_ENTRIES * 16 / FRAME_SIZE)
#define LOG_RESTART 1024u
#define EVENTS_PER_CALL 4096u // more in one go: the rest waits for the next interrupt or poll

static struct spinlock log_lock;

bool amdvi_log_init(struct amdvi_unit *u) {
    uint64_t phys = frame_alloc_run(LOG_FRAMES, 1, FRAME_ZERO);
    if (!phys) return false;
    u->log = pt_direct(phys);
    amdvi_control(u, u->control & ~AMDVI_CTL_EVENTLOGEN, AMDVI_STS_EVENTLOGRUN);
    amdvi_write(u, AMDVI_EVENT_LOG_BASE, AMDVI_RING(phys, LOG_LOG2));
    amdvi_write(u, AMDVI_EVENT_LOG_HEAD, 0);
    amdvi_write(u, AMDVI_EVENT_LOG_TAIL, 0);
    amdvi_write(u, AMDVI_STATUS, AMDVI_STS_EVENTOVERFLOW | AMDVI_STS_EVENTLOGINT);
    return true;
}

const char *amdvi_fault_text(uint8_t reason) { // §2.5, the events that a device can cause
    static const char *const texts[] = {
        [AMDVI_EVENT_ILLEGAL_DEV_TABLE_ENTRY] = "illegal device table entry",
        [AMDVI_EVENT_IO_PAGE_FAULT] = "not mapped or not permitted",
        [AMDVI_EVENT_DEV_TAB_HARDWARE_ERROR] = "device table not readable",
        [AMDVI_EVENT_PAGE_TAB_HARDWARE_ERROR] = "page table not readable",
        [AMDVI_EVENT_IOTLB_INV_TIMEOUT] = "device does not answer an invalidation",
        [AMDVI_EVENT_INVALID_DEVICE_REQUEST] = "request of a kind that is refused",
        [AMDVI_EVENT_INVALID_PPR_REQUEST] = "page request refused",
        [AMDVI_EVENT_UNRECORDED] = "refused, but the unit did not record what",
    };
    return reason < ARRAY_LEN(texts) && texts[reason] ? texts[reason] : "unknown event";
}

// §2.1.4.2, §2.2.5: where interrupt requests arrive, on PCI and on HyperTransport.
static bool in_interrupt_range(uint64_t address) {
    return address >> 20 == 0xfee || (address >= 0xfdf8000000ull && address < 0xfdf9200000ull);
}

// The next event, taken out of the log; false when there is none.
static bool take(struct amdvi_unit *u, uint64_t out[2]) {
    volatile uint64_t *entry = u->log[u->log_head];
    out[0] = entry[0];
    if (!AMDVI_EVENT_CODE(out[0])) return false;
    out[1] = entry[1];
    entry[0] = entry[1] = 0;
    u->log_head = (u->log_head + 1) % LOG_ENTRIES;
    amdvi_write(u, AMDVI_EVENT_LOG_HEAD, (uint64_t)u->log_head * 16);
    return true;
}

// The log is empty: it begins anew at its first entry. An event that came while it was being
// stopped keeps it as it is.
static void restart(struct amdvi_unit *u) {
    amdvi_control(u, u->control & ~AMDVI_CTL_EVENTLOGEN, AMDVI_STS_EVENTLOGRUN);
    if (!AMDVI_EVENT_CODE(u->log[u->log_head][0])) {
        u->log_head = 0;
        amdvi_write(u, AMDVI_EVENT_LOG_HEAD, 0);
        amdvi_write(u, AMDVI_EVENT_LOG_TAIL, 0);
    }
    amdvi_control(u, u->control | AMDVI_CTL_EVENTLOGEN, AMDVI_STS_EVENTLOGRUN);
}

// The next event of the log; `more`: one was taken just before. Where the log is empty and was, that
// is one read of memory: polling costs no register.
static bool next_event(struct amdvi_unit *u, bool more, uint64_t out[2]) {
    if (!more && !AMDVI_EVENT_CODE(u->log[u->log_head][0])) return false;
    uint64_t flags = spin_lock(&log_lock);
    uint64_t status = amdvi_read(u, AMDVI_STATUS) & (AMDVI_STS_EVENTOVERFLOW | AMDVI_STS_EVENTLOGINT);
    if (status) amdvi_write(u, AMDVI_STATUS, status);
    bool any = take(u, out);
    if (!any && status & AMDVI_STS_EVENTOVERFLOW) iommu_fault_lost();
    if (!any && (u->log_head >= LOG_RESTART || status & AMDVI_STS_EVENTOVERFLOW)) restart(u);
    spin_unlock(&log_lock, flags);
    return any;
}

// Signaled Target Abort (PCIe §7.5.1.1.4, bit 11) since the last call. Cleared by writing a one.
static bool aborted(const struct amdvi_unit *u) { return u->fn && pci_status_take(u->fn, 1 << 11); }

bool amdvi_refused(void) {
    bool any = false;
    for (unsigned i = 0; i < amdvi_unit_count; i++) any |= aborted(&amdvi_units[i]);
    return any;
}

static bool unrecorded;

void amdvi_expect_unrecorded(void) { unrecorded = true; }

static void deliver_unrecorded(struct amdvi_unit *u) {
    const struct pci_fn *fn = iommu_sole_function(u->index);
    const struct iommu_fault f = {
        .segment = u->segment,
        .rid = fn ? fn->rid : u->fn->rid,
        .reason = AMDVI_EVENT_UNRECORDED,
        .address = IOMMU_ADDRESS_UNKNOWN,
    };
    iommu_fault_deliver(&f);
}

static void deliver(const struct amdvi_unit *u, const uint64_t event[2]) {
    unsigned code = AMDVI_EVENT_CODE(event[0]);
    if (code == AMDVI_EVENT_ILLEGAL_COMMAND_ERROR || code == AMDVI_EVENT_COMMAND_HARDWARE_ERROR)
        panic("IOMMU %u refuses a command at 0x%llx (%u)", u->index, (unsigned long long)event[1],
              code);
    // NX without GN says nothing on hardware; there QEMU 7.2 puts what should be RW.
    bool write =
        event[0] & AMDVI_EVENT_RW || (event[0] & AMDVI_EVENT_NX && !(event[0] & AMDVI_EVENT_GN));
    const struct iommu_fault f = {
        .segment = u->segment,
        .rid = AMDVI_EVENT_RID(event[0]),
        .reason = (uint8_t)code,
        .write = write,
        .interrupt = event[0] & AMDVI_EVENT_I && in_interrupt_range(event[1]),
        .address = event[1] & ~0xfffull,
    };
    iommu_fault_deliver(&f);
}

void amdvi_poll_faults(void) {
    uint64_t event[2];
    for (unsigned i = 0; i < amdvi_unit_count; i++) {
        struct amdvi_unit *u = &amdvi_units[i];
        unsigned done = 0;
        while (done < EVENTS_PER_CALL && next_event(u, done > 0, event)) deliver(u, event), done++;
        if (unrecorded && aborted(u) && !done) deliver_unrecorded(u);
    }
}

static void log_interrupt(void *arg) {
    (void)arg;
    amdvi_poll_faults();
}

void amdvi_log_start(void) {
    int vector = irq_alloc(log_interrupt, NULL);
    for (unsigned i = 0; i < amdvi_unit_count; i++) {
        struct amdvi_unit *u = &amdvi_units[i];
        if (vector < 0 || !u->fn || !pci_msi_start(u->fn, irq_msi_address(), irq_msi_data(vector)))
            log_warn("iommu", "unit %u has no interrupt for faults: they are only seen when polled", i);
        else
            amdvi_control(u, u->control | AMDVI_CTL_EVENTINTEN, 0);
    }
}
