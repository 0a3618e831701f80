// nvme.c — NVMe driver (NVM Express Base Specification 1.4): serves the block class to every channel it is given.
//
// Requests come checked from drivers/sdk/blkserve.h. A lane is an I/O queue pair with an interrupt of its own: one for each
// channel, as far as the controller's queues and our grant of interrupts go. A slot's number is the command identifier. There are
// fewer slots than queue entries, so a queue cannot overflow and the submission queue head that the controller reports is not needed.
// PRP lists are not made for each command: a channel has two fixed tables with the address of every page of it, the second half a page
// out of step, and a list is a place in one of them (prp_list).
// Data go to the clients' pages directly; of a queue entry only what differs is written.
// Not trusted: what the controller writes. A completion whose command is not in flight fails the controller: it is disabled, and
// everything in flight ends with E_IO. Identify data is checked before it is used.
#include "drivers/nvme/nvme.h"
#include "drivers/sdk/blkserve.h"

#define PAGE 4096u
#define ADMIN_ENTRIES 16u
#define QUEUE_ENTRIES 256u // at most; more than BS_SLOTS
#define QUEUES_MAX 4u
#define MS 1000000ll
#define PATIENCE_NS (2000 * MS) // for the controller to become ready; below the manifest's budget

struct queue {
    _Alignas(64) uint32_t sq, cq; // addresses
    uint32_t sq_doorbell, cq_doorbell;
    uint32_t mask, shift;         // entries − 1, log2 of entries
    uint32_t tail, head;          // run freely
    uint32_t rung;                // tail at the last doorbell
    uint32_t sq_shadow, sq_event; // 5.7 doorbell buffers; 0: none
    uint32_t cq_shadow, cq_event;
};

struct prp_tables {                  // of a channel; see prp_list()
    uint64_t table[2], channel, pad; // bus addresses
};

static struct {
    uint32_t registers, doorbells, stride;
    uint64_t cap;
    uint32_t scratch; // a page for Identify
    struct queue admin, queue[QUEUES_MAX];
    uint32_t nsid, block_shift; // 512 << block_shift bytes in a logical block
    uint32_t shadow;            // two pages of doorbell buffers, 0: none
    struct prp_tables prp[SASOS_CHANNELS_MAX];
} nvme;

// The bus address of our own memory: the same number, unless nothing fences us.
static uint64_t bus(uint32_t address) { return (uint64_t)sasos_dma_address(address); }

static uint32_t log2_of(uint32_t n) { return 31u - (uint32_t)__builtin_clz(n); }

// ---- queues ----

static bool queue_init(struct queue *q, uint32_t id, uint32_t entries) {
    uint32_t memory = sasos_dma_alloc(entries * (uint32_t)sizeof(struct nvme_command));
    uint32_t cq = sasos_dma_alloc(entries * NVME_CQE_BYTES);
    *q = (struct queue){.sq = memory, .cq = cq, .mask = entries - 1, .shift = log2_of(entries)};
    q->sq_doorbell = nvme.doorbells + 2 * id * nvme.stride;
    q->cq_doorbell = q->sq_doorbell + nvme.stride;
    return memory && cq;
}

// 5.7: the controller follows the shadow by itself while it is busy, and says with the event index when it wants the register written.
static void ring_doorbell(uint32_t doorbell, uint32_t shadow, uint32_t event, uint32_t old,
                          uint32_t new, uint32_t mask) {
    if (shadow) {
        write32(shadow, new &mask);
        barrier_full(); // our index must be visible before we read whether the controller wants to hear of it
        uint32_t wanted = read32(event);
        if (((new - wanted - 1) & mask) >= ((new - old) & mask)) return;
    }
    barrier_compiler(); // the entries before the doorbell
    write32(doorbell, new &mask);
}

// Phase tag, 4.6: inverted each time the queue wraps, 1 in the first round.
static inline bool completion(const struct queue *q, uint32_t *out_dw3) {
    *out_dw3 = read32(q->cq + (q->head & q->mask) * NVME_CQE_BYTES + NVME_CQE_LAST);
    return NVME_CQE_PHASE(*out_dw3) != (q->head >> q->shift & 1);
}

// ---- the controller ----

// Waits for CSTS.RDY to be `ready`, 3.1.6.
static bool wait_ready(uint32_t ready) {
    int64_t patience = NVME_CAP_TO(nvme.cap) * 500 * MS, start = sasos_time_ns();
    if (patience > PATIENCE_NS) patience = PATIENCE_NS;
    for (;;) {
        uint32_t csts = read32(nvme.registers + NVME_CSTS);
        if (csts != UINT32_MAX && (csts & NVME_CSTS_RDY) == ready && !(ready && csts & NVME_CSTS_CFS))
            return true;
        if (sasos_time_ns() - start > patience) return false;
    }
}

// 3.1.5 CC.EN 1 → 0: a controller reset; no queue is known to the controller afterwards.
static bool disable(void) {
    write32(nvme.registers + NVME_CC, 0);
    return wait_ready(0);
}

static int32_t admin(const struct nvme_command *c) {
    struct queue *q = &nvme.admin;
    struct nvme_command *entry =
        (struct nvme_command *)(uintptr_t)(q->sq + (q->tail & q->mask) * sizeof(*c));
    *entry = *c;
    q->tail++;
    barrier_compiler(); // the entry before the doorbell
    write32(q->sq_doorbell, q->tail & q->mask);
    int64_t start = sasos_time_ns();
    uint32_t dw3;
    while (!completion(q, &dw3))
        if (sasos_time_ns() - start > PATIENCE_NS / 4) {
            log_line("admin command %x: no answer", c->opcode);
            return E_IO;
        }
    q->head++;
    write32(q->cq_doorbell, q->head & q->mask);
    if (!NVME_CQE_STATUS(dw3)) return 0;
    log_line("admin command %x: status %x", c->opcode, NVME_CQE_STATUS(dw3));
    return E_IO;
}

static int32_t identify(uint32_t cns, uint32_t nsid) {
    return admin(&(struct nvme_command){
        .opcode = NVME_ADMIN_IDENTIFY, .nsid = nsid, .prp1 = bus(nvme.scratch), .cdw10 = cns});
}

// 7.6.1 Controller initialization, steps 1 to 6.
static int start_controller(void) {
    nvme.registers = sasos_pci_bar_map(0, 0, PAGE);
    if (!nvme.registers) return E_NODEV;
    int error = sasos_pci_enable();
    if (error) return error;
    nvme.cap = read64(nvme.registers + NVME_CAP);
    if (nvme.cap == UINT64_MAX || !NVME_CAP_CSS_NVM(nvme.cap) || NVME_CAP_MPSMIN(nvme.cap)) {
        log_line("capabilities %lx: no NVM command set, or pages of 4 KiB are not supported", nvme.cap);
        return E_NODEV;
    }
    nvme.stride = 4u << NVME_CAP_DSTRD(nvme.cap);
    nvme.doorbells = sasos_pci_bar_map(0, NVME_DOORBELLS, 2 * (QUEUES_MAX + 1) * nvme.stride);
    if (!nvme.doorbells) return E_NODEV;
    if (!disable()) {
        log_line("the controller does not stop");
        return E_IO;
    }
    nvme.scratch = sasos_dma_alloc(PAGE);
    if (!nvme.scratch || !queue_init(&nvme.admin, 0, ADMIN_ENTRIES)) return E_NOMEM;
    write32(nvme.registers + NVME_AQA, (ADMIN_ENTRIES - 1) << 16 | (ADMIN_ENTRIES - 1));
    write64(nvme.registers + NVME_ASQ, bus(nvme.admin.sq));
    write64(nvme.registers + NVME_ACQ, bus(nvme.admin.cq));
    write32(nvme.registers + NVME_CC, NVME_CC_ENABLE);
    if (!wait_ready(1)) {
        log_line("the controller does not become ready, status %x", read32(nvme.registers + NVME_CSTS));
        return E_IO;
    }
    return 0;
}

// The doorbell buffers are worth having where a register access is dear (virtual machines); a controller that refuses them is used without.
static void shadow_doorbells(void) {
    uint32_t memory = sasos_dma_alloc(2 * PAGE);
    if (memory && nvme.stride == 4 &&
        !admin(&(struct nvme_command){
            .opcode = NVME_ADMIN_DOORBELL_BUFFER, .prp1 = bus(memory), .prp2 = bus(memory + PAGE)}))
        nvme.shadow = memory;
}

static int read_controller(void) {
    int error = identify(NVME_CNS_CONTROLLER, 0);
    if (error) return error;
    uint32_t mdts = read8(nvme.scratch + NVME_ID_MDTS);
    bs.part = mdts && mdts < 8 ? PAGE / BLK_SECTOR << mdts : BLK_COUNT_MAX;
    bs.can_flush =
        read8(nvme.scratch + NVME_ID_VWC) & 1; // no volatile cache: each write is stable already
    if (read16(nvme.scratch + NVME_ID_OACS) & NVME_OACS_DOORBELL_BUFFER) shadow_doorbells();
    return 0;
}

// The first active namespace is the disk.
static int read_namespace(void) {
    int error = identify(NVME_CNS_ACTIVE_LIST, 0);
    if (error) return error;
    nvme.nsid = read32(nvme.scratch);
    if (!nvme.nsid) {
        log_line("the controller has no active namespace");
        return E_NODEV;
    }
    error = identify(NVME_CNS_NAMESPACE, nvme.nsid);
    if (error) return error;
    uint32_t format =
        read32(nvme.scratch + NVME_NS_LBAF + 4 * (read8(nvme.scratch + NVME_NS_FLBAS) & 15u));
    uint32_t lbads = format >> 16 & 0xff;
    uint64_t blocks = read64(nvme.scratch + NVME_NS_NSZE);
    // Metadata and protection information would be extra bytes in each block, a block beyond a page no smallest transfer.
    if (lbads < 9 || lbads > 12 || (format & 0xffff) || (read8(nvme.scratch + NVME_NS_DPS) & 7) ||
        blocks > UINT64_MAX >> (lbads - 9)) {
        log_line("namespace %u: format %x, which is not supported", nvme.nsid, format);
        return E_NODEV;
    }
    nvme.block_shift = lbads - 9;
    bs.block = 1u << nvme.block_shift;
    bs.sectors = blocks << nvme.block_shift;
    bs.read_only = read8(nvme.scratch + NVME_NS_NSATTR) & 1;
    return 0;
}

// ---- I/O queues ----

// The queue's entries with all that is the same in each command.
static void prepare_entries(struct queue *q) {
    for (uint32_t i = 0; i <= q->mask; i++) {
        struct nvme_command *c = (struct nvme_command *)(uintptr_t)(q->sq + i * sizeof(*c));
        *c = (struct nvme_command){.nsid = nvme.nsid};
    }
}

static int open_queue(uint32_t index, uint32_t entries) {
    struct queue *q = &nvme.queue[index];
    uint32_t id = index + 1, size = (entries - 1) << 16 | id;
    int error = sasos_irq_enable(index);
    if (error) return error;
    if (!queue_init(q, id, entries)) return E_NOMEM;
    if (nvme.shadow) {
        q->sq_shadow = nvme.shadow + 8 * id;
        q->cq_shadow = q->sq_shadow + 4;
        q->sq_event = q->sq_shadow + PAGE;
        q->cq_event = q->cq_shadow + PAGE;
    }
    prepare_entries(q);
    error = admin(
        &(struct nvme_command){.opcode = NVME_ADMIN_CREATE_CQ,
                               .prp1 = bus(q->cq),
                               .cdw10 = size,
                               .cdw11 = index << 16 | NVME_CQ_INTERRUPT | NVME_QUEUE_CONTIGUOUS});
    if (!error)
        error = admin(&(struct nvme_command){.opcode = NVME_ADMIN_CREATE_SQ,
                                             .prp1 = bus(q->sq),
                                             .cdw10 = size,
                                             .cdw11 = id << 16 | NVME_QUEUE_CONTIGUOUS});
    if (!error) bs_lane_open(entries - 1); // 4.1.2: a queue is full with one entry free
    return error;
}

// As many queue pairs as are of use, and are to be had: the first must succeed.
static int open_queues(void) {
    uint32_t wanted = (uint32_t)sasos_chan_count();
    if (wanted > QUEUES_MAX) wanted = QUEUES_MAX;
    if (wanted < 1) wanted = 1;
    int error = admin(&(struct nvme_command){.opcode = NVME_ADMIN_SET_FEATURES,
                                             .cdw10 = NVME_FEATURE_QUEUES,
                                             .cdw11 = (wanted - 1) << 16 | (wanted - 1)});
    if (error) return error;
    uint32_t entries = QUEUE_ENTRIES;
    while (entries - 1 > NVME_CAP_MQES(nvme.cap)) entries /= 2;
    if (entries < 4) return E_NODEV;
    for (uint32_t i = 0; i < wanted; i++) {
        error = open_queue(i, entries);
        if (error) break;
    }
    return bs.lanes ? 0 : error;
}

// ---- data pointers (4.3 Physical region page entry and list) ----

// A list may not cross a page, or its last entry there would be taken for a pointer to the next page of the list. Table 0 has an entry for each page of
// the channel, 512 in a page; table 1 begins half a page later. A list of at most 256 entries that crosses in one does not in the other.
#define LIST_ENTRIES 512u
#define LIST_HALF 256u
_Static_assert(BLK_COUNT_MAX *BLK_SECTOR / PAGE <= LIST_HALF, "a list fits into half a page");

static uint64_t prp_list(const struct prp_tables *t, uint32_t page, uint32_t entries) {
    if (page % LIST_ENTRIES + entries <= LIST_ENTRIES) return t->table[0] + 8 * page;
    return t->table[1] + 8 * (page - LIST_HALF);
}

static bool open_tables(void) {
    for (uint32_t i = 0; i < bs.channels; i++) {
        uint32_t pages = bs.channel[i].size / PAGE;
        nvme.prp[i].channel = bus(bs.channel[i].address);
        for (uint32_t k = 0; k < 2; k++) {
            uint32_t table = sasos_dma_alloc(8 * pages);
            if (!table) return false;
            nvme.prp[i].table[k] = bus(table);
            for (uint32_t p = k * LIST_HALF; p < pages; p++, table += 8)
                write64(table, nvme.prp[i].channel + p * PAGE);
        }
    }
    return true;
}

// ---- the data path ----

static inline void device_start(uint32_t lane, uint32_t slot, uint32_t channel,
                                const struct bs_work *w) {
    struct queue *q = &nvme.queue[lane];
    keep_base(q);
    volatile struct nvme_command *entry =
        (volatile struct nvme_command *)(uintptr_t)(q->sq + (q->tail++ & q->mask) * sizeof *entry);
    keep_base(entry);
    uint32_t opcode = w->op == BLK_READ ? NVME_READ : w->op == BLK_WRITE ? NVME_WRITE : NVME_FLUSH;
    entry->cdw0 = opcode | slot << 16;
    uint64_t prp1 = 0, prp2 = 0, block = 0;
    uint32_t blocks = 0;
    if (opcode != NVME_FLUSH) {                             // 6.8: it has none of these fields
        uint32_t second = (w->offset & ~(PAGE - 1)) + PAGE; // offset of the second page
        uint32_t end = w->offset + w->count * BLK_SECTOR;
        const struct prp_tables *t = &nvme.prp[channel];
        keep_base(t);
        prp1 = t->channel + w->offset;
        if (end > second + PAGE)
            prp2 = prp_list(t, second / PAGE, (end - second + PAGE - 1) / PAGE);
        else if (end > second)
            prp2 = t->channel + second;
        block = w->sector >> nvme.block_shift;
        blocks = (w->count >> nvme.block_shift) - 1;
    }
    entry->prp1 = prp1;
    entry->prp2 = prp2;
    entry->cdw10 = (uint32_t)block;
    entry->cdw11 = (uint32_t)(block >> 32);
    entry->cdw12 = blocks;
}

static void device_kick(uint32_t lane) {
    struct queue *q = &nvme.queue[lane];
    keep_base(q);
    ring_doorbell(q->sq_doorbell, q->sq_shadow, q->sq_event, q->rung, q->tail, q->mask);
    q->rung = q->tail;
}

static void fail_device(const char *why, uint32_t value) {
    log_line("%s (%u): the controller is disabled, its requests fail", why, value);
    if (!disable()) log_line("and it does not stop");
    bs_fail_all();
}

static int32_t error_of(uint32_t status) {
    switch (status) {
    case NVME_STATUS_LBA_RANGE: return E_RANGE;
    case NVME_STATUS_WRITE_PROTECTED:
    case NVME_STATUS_READ_ONLY_RANGE: return E_READONLY;
    default: return E_IO;
    }
}

static void collect(uint32_t lane) {
    struct queue *q = &nvme.queue[lane];
    keep_base(q);
    uint32_t old = q->head, dw3;
    while (completion(q, &dw3)) {
        uint32_t slot = NVME_CQE_CID(dw3);
        if (!bs_busy(lane, slot)) {
            fail_device("the controller completed a command that is not in flight", slot);
            return;
        }
        q->head++;
        uint32_t status = NVME_CQE_STATUS(dw3);
        bs_finish(lane, slot, status ? error_of(status) : 0);
    }
    if (q->head != old)
        ring_doorbell(q->cq_doorbell, q->cq_shadow, q->cq_event, old, q->head, q->mask);
}

int32_t SASOS_EXPORT(driver_start)(void) {
    int error = start_controller();
    if (!error) error = read_controller();
    if (!error) error = read_namespace();
    if (!error) error = open_queues();
    if (!error) error = bs_open();
    if (!error && !open_tables()) error = E_NOMEM;
    if (error) {
        log_line("the controller cannot be used: error %d", error);
        return error;
    }
    log_line("%lu sectors (%lu MiB) of namespace %u, blocks of %u bytes%s, %u queue pairs of %u "
             "entries%s",
             bs.sectors, bs.sectors >> 11, nvme.nsid, bs.block * BLK_SECTOR,
             bs.read_only ? ", read-only" : "", bs.lanes, nvme.queue[0].mask + 1,
             nvme.shadow ? ", doorbell buffers" : "");
    return 0;
}

int32_t SASOS_EXPORT(driver_event)(uint32_t events) {
    (void)events; // which one came does not matter: all there is to do is done
    for (uint32_t i = 0; i < bs.lanes && !bs.failed; i++) collect(i);
    bs_serve_all();
    return 0;
}
