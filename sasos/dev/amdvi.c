// amdvi.c — AMD-Vi (AMD I/O Virtualization Technology specification, 48882 rev. 3.09; "48882" in
// the sources): the units are started with nothing allowed; device table entries; commands. Behind
// iommu.h.
//
// In the device table an entry of zeros lets everything pass, so the table has an entry for every
// requester id of its segment, and all are filled before a unit sees it: a blocked entry is valid,
// names one empty tree of page tables, grants neither reads nor writes, and refuses interrupts.
// Where firmware had translation on, the table is replaced in one store, without a moment of
// disabled translation.
//
// A device table entry changes word by word; the one store that decides (the first word: tables and
// rights; the third: interrupts) is one of 64 bits between two states that are both complete.
#include "sasos/dev/amdvi_unit.h"

#include "sasos/arch/time.h"
#include "sasos/lib/log.h"
#include "sasos/lib/panic.h"
#include "sasos/mem/frame.h"
#include "sasos/mem/pt.h"

#define REQUESTERS 0x10000u
#define LEVELS 4u
#define COMMANDS_LOG2 8u // one page
#define COMMANDS (1u << COMMANDS_LOG2)
#define BATCH_MAX 8u
#define ANSWER_NS (1000 * TIME_MS)

struct amdvi_unit amdvi_units[ACPI_IVHD_MAX];
unsigned amdvi_unit_count;

static uint64_t empty_root; // page tables in which nothing is mapped, for everybody who has none
static bool remap; // interrupts are remapped: every entry refuses them until told otherwise

// ---- commands ----

static void wait_status(struct amdvi_unit *u, uint64_t bits, uint64_t value) {
    uint64_t deadline = time_now_ns() + ANSWER_NS;
    while ((amdvi_read(u, AMDVI_STATUS) & bits) != value) {
        if (time_now_ns() > deadline)
            panic("IOMMU %u does not confirm its control register (status 0x%llx, wanted 0x%llx of "
                  "0x%llx)",
                  u->index, (unsigned long long)amdvi_read(u, AMDVI_STATUS),
                  (unsigned long long)value, (unsigned long long)bits);
        cpu_pause();
    }
}

void amdvi_control(struct amdvi_unit *u, uint64_t value, uint64_t run) {
    u->control = value;
    amdvi_write(u, AMDVI_CONTROL, value);
    uint64_t running = (value & AMDVI_CTL_EVENTLOGEN ? AMDVI_STS_EVENTLOGRUN : 0) |
                       (value & AMDVI_CTL_CMDBUFEN ? AMDVI_STS_CMDBUFRUN : 0);
    if (run) wait_status(u, run, running & run);
}

static void put(struct amdvi_unit *u, uint64_t low, uint64_t high) {
    u->commands[u->tail][0] = low;
    u->commands[u->tail][1] = high;
    u->tail = (u->tail + 1) % COMMANDS;
}

void amdvi_command(struct amdvi_unit *u, const uint64_t (*commands)[2], unsigned n) {
    KASSERT(n <= BATCH_MAX);
    uint64_t flags = spin_lock(&u->command_lock);
    uint64_t sequence = ++u->sequence;
    for (unsigned i = 0; i < n; i++) put(u, commands[i][0], commands[i][1]);
    put(u, AMDVI_CMD_COMPLETION_WAIT(u->status_phys), sequence); // §2.4.1: when all before it are complete
    // The commands are in memory before the tail moves: a store to UC memory is not passed by
    // earlier stores.
    amdvi_write(u, AMDVI_COMMAND_BUFFER_TAIL, (uint64_t)u->tail * 16);
    uint64_t deadline = time_now_ns() + ANSWER_NS;
    while (*u->status != sequence) {
        if (time_now_ns() > deadline)
            panic("IOMMU %u does not complete a command (status 0x%llx, head 0x%llx, tail 0x%llx)",
                  u->index, (unsigned long long)amdvi_read(u, AMDVI_STATUS),
                  (unsigned long long)amdvi_read(u, AMDVI_COMMAND_BUFFER_HEAD),
                  (unsigned long long)amdvi_read(u, AMDVI_COMMAND_BUFFER_TAIL));
        cpu_pause();
    }
    spin_unlock(&u->command_lock, flags);
    iommu_count_invalidation();
}

// ---- start ----

static bool found(void) { return acpi()->have & ACPI_HAVE_IVRS; }

// Maps one unit and reads what it can; nothing is written to it.
static bool unit_probe(struct amdvi_unit *u, const struct acpi_ivhd *d, unsigned index) {
    *u = (struct amdvi_unit){.index = index, .segment = d->segment};
    u->regs = pt_map_mmio(d->register_base, ACPI_IVHD_REGISTERS, PT_W | PT_UC);
    if (!u->regs) {
        log_error("iommu", "cannot map the registers of unit %u at 0x%llx", index,
                  (unsigned long long)d->register_base);
        return false;
    }
    u->fn = pci_find(d->segment, d->rid);
    uint32_t header = u->fn ? pci_config_read(u->fn, d->capability, 4) : 0;
    if (AMDVI_CAP_ID(header) != AMDVI_CAP_ID_SECURE) header = AMDVI_CAP_NPCACHE; // assume the worst
    u->caches_absent = header & AMDVI_CAP_NPCACHE;
    if (header & AMDVI_CAP_EFRSUP) u->features = amdvi_read(u, AMDVI_EXTENDED_FEATURE);
    u->control = amdvi_read(u, AMDVI_CONTROL);
    log_info("iommu", "unit %u at 0x%llx: features 0x%llx%s%s", index,
             (unsigned long long)d->register_base, (unsigned long long)u->features,
             u->caches_absent ? ", caches what is not present" : "",
             u->control & AMDVI_CTL_IOMMUEN ? ", left on by firmware" : "");
    if (u->control == UINT64_MAX) {
        log_error("iommu", "unit %u does not answer", index);
        return false;
    }
    return true;
}

static uint64_t blocked_word(unsigned word) {
    if (word == 0) return AMDVI_DTE0_V | AMDVI_DTE0_TV | AMDVI_DTE0_MODE(LEVELS) | empty_root;
    return word == 2 && remap ? AMDVI_DTE2_IV : 0;
}

// The device table of the unit's segment: the one of another unit, or a new one with every
// requester blocked.
static bool table_make(struct amdvi_unit *u) {
    for (unsigned i = 0; i < u->index; i++)
        if (amdvi_units[i].segment == u->segment) {
            u->table = amdvi_units[i].table;
            return true;
        }
    uint64_t phys = frame_alloc_2m(0);
    if (!phys) return false;
    u->table = pt_direct(phys);
    for (unsigned rid = 0; rid < REQUESTERS; rid++)
        for (unsigned word = 0; word < 4; word++) u->table[rid][word] = blocked_word(word);
    return true;
}

// From the return on every request behind this unit is blocked.
static bool unit_start(struct amdvi_unit *u, const struct acpi_ivhd *d) {
    uint64_t commands = frame_alloc(FRAME_ZERO);
    u->status_phys = frame_alloc(FRAME_ZERO);
    if (!commands || !u->status_phys || !table_make(u) || !amdvi_log_init(u)) {
        log_error("iommu", "no memory for the tables of unit %u", u->index);
        return false;
    }
    u->commands = pt_direct(commands);
    u->status = pt_direct(u->status_phys);
    // Firmware's buffers are let go, its translation is not (§2.4, §2.5: stopped before they move).
    const uint64_t rings = AMDVI_STS_CMDBUFRUN | AMDVI_STS_EVENTLOGRUN;
    amdvi_control(u, u->control & AMDVI_CTL_IOMMUEN, rings);
    amdvi_write(u, AMDVI_EXCLUSION_BASE, 0); // ExEn = 0: no range goes untranslated
    amdvi_write(u, AMDVI_DEVICE_TABLE_BASE, AMDVI_DEVICE_TABLE(pt_direct_pa(u->table)));
    amdvi_write(u, AMDVI_COMMAND_BUFFER_BASE, AMDVI_RING(commands, COMMANDS_LOG2));
    amdvi_write(u, AMDVI_COMMAND_BUFFER_HEAD, 0);
    amdvi_write(u, AMDVI_COMMAND_BUFFER_TAIL, 0);
    uint64_t control = AMDVI_CTL_IOMMUEN | AMDVI_CTL_COHERENT | AMDVI_CTL_CMDBUFEN |
                       AMDVI_CTL_EVENTLOGEN | (remap ? amdvi_remap_features() : 0);
    if (d->flags & 1) control |= AMDVI_CTL_HTTUNEN; // §5.2.2.1: how the platform is wired
    if (d->flags & 2) control |= AMDVI_CTL_PASSPW;
    if (d->flags & 4) control |= AMDVI_CTL_RESPASSPW;
    if (d->flags & 8) control |= AMDVI_CTL_ISOC;
    amdvi_control(u, control, rings);
    if (u->features & AMDVI_EFR_IASUP) {
        const uint64_t all[1][2] = {{AMDVI_CMD_INVALIDATE_IOMMU_ALL, 0}};
        amdvi_command(u, all, 1);
        return true;
    }
    for (unsigned id = 0; id < REQUESTERS; id++) { // what firmware used is not known
        const uint64_t one[3][2] = {{AMDVI_CMD_INVALIDATE_DEVTAB_ENTRY(id), 0},
                                    {AMDVI_CMD_INVALIDATE_IOMMU_PAGES(id), AMDVI_CMD_ALL_PAGES},
                                    {AMDVI_CMD_INVALIDATE_INTERRUPT_TABLE(id), 0}};
        amdvi_command(u, one, 3);
    }
    return true;
}

static bool empty_make(void) {
    empty_root = frame_alloc(0);
    uint64_t *table = empty_root ? pt_direct(empty_root) : NULL;
    for (unsigned i = 0; table && i < 512; i++) table[i] = iommu_pt_amdvi.empty;
    return table;
}

static bool start(struct iommu_limits *out) {
    const struct acpi_info *a = acpi();
    if (a->ivrs_incomplete) {
        log_error("iommu", "the IVRS table describes more than this system can hold");
        return false;
    }
    *out = (struct iommu_limits){
        .units = a->ivhd_count, .levels = LEVELS, .domain_ids = 0x10000, .large_pages = true};
    out->physical_bits = a->ivrs_physical_bits > 52 ? 52 : a->ivrs_physical_bits;
    if (out->physical_bits < 32 || !empty_make()) {
        log_error("iommu", "%s",
                  empty_root ? "the IVRS table has no physical address size" : "no memory");
        return false;
    }
    for (uint32_t i = 0; i < a->ivhd_count; i++)
        if (!unit_probe(&amdvi_units[i], &a->ivhds[i], i)) return false;
    amdvi_unit_count = a->ivhd_count;
    remap = amdvi_remap_possible();
    for (unsigned i = 0; i < amdvi_unit_count; i++)
        if (!unit_start(&amdvi_units[i], &a->ivhds[i])) return false;
    return true;
}

static bool start_interrupts(void) {
    amdvi_log_start();
    return remap;
}

static int unit_of(const struct pci_fn *fn) {
    const struct acpi_info *a = acpi();
    for (uint32_t i = 0; i < a->ivhd_count; i++) {
        const struct acpi_ivhd *d = &a->ivhds[i];
        if (d->segment != fn->segment) continue;
        for (unsigned k = 0; k < d->range_count; k++) {
            const struct acpi_ivrs_range *r = &a->ivrs_ranges[d->range_first + k];
            if (fn->rid < r->first || fn->rid > r->last) continue;
            // Under another's id its requests cannot be told apart, nor can others' be from its.
            return r->aliased && r->alias != fn->rid ? -1 : (int)i;
        }
    }
    return -1;
}

// ---- device table entries and invalidation ----

static void invalidate(unsigned unit, const struct iommu_domain *dom) {
    const uint64_t c[1][2] = {{AMDVI_CMD_INVALIDATE_IOMMU_PAGES(dom->id), AMDVI_CMD_ALL_PAGES}};
    amdvi_command(&amdvi_units[unit], c, 1);
}

static void mapped(unsigned unit, const struct iommu_domain *dom) {
    if (amdvi_units[unit].caches_absent) invalidate(unit, dom);
}

static void entry_changed(struct amdvi_unit *u, const struct pci_fn *fn,
                          const struct iommu_domain *dom) {
    const uint64_t c[2][2] = {{AMDVI_CMD_INVALIDATE_DEVTAB_ENTRY(fn->rid), 0},
                              {AMDVI_CMD_INVALIDATE_IOMMU_PAGES(dom->id), AMDVI_CMD_ALL_PAGES}};
    amdvi_command(u, c, 2);
}

static enum status enter(unsigned unit, const struct pci_fn *fn, const struct iommu_domain *dom) {
    struct amdvi_unit *u = &amdvi_units[unit];
    uint64_t *entry = u->table[fn->rid];
    entry[1] = dom->id; // I = 0: no translations in the device; SysMgt, IoCtl = 00: refused
    __atomic_store_n(&entry[0],
                     AMDVI_DTE0_V | AMDVI_DTE0_TV | AMDVI_DTE0_MODE(LEVELS) | dom->pt.root |
                         AMDVI_DTE0_IR | AMDVI_DTE0_IW,
                     __ATOMIC_RELEASE);
    entry_changed(u, fn, dom);
    return ST_OK;
}

static void leave(unsigned unit, const struct pci_fn *fn, const struct iommu_domain *dom) {
    struct amdvi_unit *u = &amdvi_units[unit];
    uint64_t *entry = u->table[fn->rid];
    __atomic_store_n(&entry[0], blocked_word(0), __ATOMIC_RELEASE);
    entry_changed(u, fn, dom); // still under the old domain's id
    entry[1] = blocked_word(1);
}

// Page walks and DMA snoop the caches (AMDVI_CTL_COHERENT, and FC in each entry).
static void flush(const void *from, uint64_t size) {
    (void)from;
    (void)size;
    __asm__ volatile("" : : : "memory");
}

const struct iommu_backend amdvi_backend = {
    .name = "AMD-Vi",
    .format = &iommu_pt_amdvi,
    .found = found,
    .start = start,
    .start_interrupts = start_interrupts,
    .unit_of = unit_of,
    .enter = enter,
    .leave = leave,
    .invalidate = invalidate,
    .mapped = mapped,
    .flush = flush,
    .poll_faults = amdvi_poll_faults,
    .fault_text = amdvi_fault_text,
    .refused = amdvi_refused,
    .expect_unrecorded = amdvi_expect_unrecorded,
    .irq_alloc = amdvi_irq_alloc,
    .irq_alloc_ioapic = amdvi_irq_alloc_ioapic,
    .irq_free = amdvi_irq_free,
};
