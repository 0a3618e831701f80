// nvme.c — model of an NVMe controller (NVM Express Base Specification 1.4) with one namespace over a disk in memory: blocks of 512 bytes, no
// limit of a transfer, interrupts by MSI-X, no doorbell buffers (5.7), which hardware does not have either.
//
// Registers: page 0 the controller's, page 1 the doorbells. While the driver starts each doorbell is answered at once, so that it may wait for
// its administrative commands; afterwards the doorbells are memory that the model looks at.
#include "bench/rig/rig.h"
#include <stdlib.h>
#include <string.h>

enum { CAP = 0x00, CC = 0x14, CSTS = 0x1c, AQA = 0x24, ASQ = 0x28, ACQ = 0x30 }; // 3.1
enum { ADMIN_CREATE_SQ = 1, ADMIN_CREATE_CQ = 5, ADMIN_IDENTIFY = 6, ADMIN_SET_FEATURES = 9 }; // 5
enum { IO_FLUSH = 0, IO_WRITE = 1, IO_READ = 2 };                                              // 6
enum { STATUS_OPCODE = 0x01, STATUS_FIELD = 0x02, STATUS_RANGE = 0x80 }; // 4.6.1.2
enum { ID_VWC = 525, NS_NSZE = 0, NS_LBAF = 128 };                       // 5.15.2
#define QUEUES 5u // with the administrative one
#define ENTRIES 256u
#define SECTOR 512u
#define DOORBELLS RIG_PAGE

struct command { // 4.2
    uint8_t opcode, flags;
    uint16_t cid;
    uint32_t nsid;
    uint64_t reserved, metadata, prp1, prp2;
    uint32_t cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
};
struct completion { // 4.6
    uint32_t result, reserved;
    uint16_t sq_head, sq_id, cid, status; // with the phase in bit 0
};
_Static_assert(sizeof(struct command) == 64 && sizeof(struct completion) == 16, "4.2, 4.6");

struct queue {
    uint64_t at;
    uint32_t entries; // 0: not there
    uint32_t place;   // of ours: submission head, completion tail
    uint16_t phase, vector, completion;
};
struct model {
    struct rig_device device;
    struct rig_disk *disk;
    struct queue submission[QUEUES], completion[QUEUES];
};

static void *reach(struct model *m, uint64_t address, uint64_t size) {
    void *p = rig_dma(m->device.space, address, size);
    if (!p) rig_fail("nvme: DMA outside of the driver's area: 0x%lx", address);
    return p;
}

static uint32_t get32(struct model *m, uint32_t at) {
    uint32_t v;
    memcpy(&v, m->device.pages.at + at, 4);
    return v;
}
static uint64_t get64(struct model *m, uint32_t at) {
    return get32(m, at) | (uint64_t)get32(m, at + 4) << 32;
}

// ---- data (4.3: physical region pages) ----
static void copy(struct model *m, bool to_driver, uint8_t *disk, uint64_t address, uint64_t size) {
    uint8_t *p = reach(m, address, size);
    memcpy(to_driver ? p : disk, to_driver ? disk : p, size);
}
static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

static void transfer(struct model *m, const struct command *c, bool to_driver, uint8_t *disk,
                     uint64_t size) {
    uint64_t now = least(size, RIG_PAGE - c->prp1 % RIG_PAGE);
    copy(m, to_driver, disk, c->prp1, now);
    disk += now;
    size -= now;
    if (size && size <= RIG_PAGE) {
        copy(m, to_driver, disk, c->prp2, size);
        return;
    }
    for (uint64_t list = c->prp2; size; list += 8) {
        if ((list + 8) % RIG_PAGE == 0 && size > RIG_PAGE)
            rig_fail("nvme: a list that goes on in another page"); // which the driver does not do
        uint64_t page;
        memcpy(&page, reach(m, list, 8), 8);
        now = least(size, RIG_PAGE);
        copy(m, to_driver, disk, page, now);
        disk += now;
        size -= now;
    }
}

static uint16_t io(struct model *m, const struct command *c) {
    uint64_t block = c->cdw10 | (uint64_t)c->cdw11 << 32, blocks = (c->cdw12 & 0xffff) + 1;
    if (c->opcode == IO_FLUSH) return 0;
    if (c->opcode != IO_READ && c->opcode != IO_WRITE) return STATUS_OPCODE;
    if (block > m->disk->sectors || blocks > m->disk->sectors - block) return STATUS_RANGE;
    transfer(m, c, c->opcode == IO_READ, m->disk->data + block * SECTOR, blocks * SECTOR);
    return 0;
}

// ---- administration ----
static uint16_t identify(struct model *m, const struct command *c) {
    uint8_t *p = reach(m, c->prp1, RIG_PAGE);
    uint32_t one = 1, format = 9u << 16; // 2⁹ bytes
    memset(p, 0, RIG_PAGE);
    switch (c->cdw10 & 0xff) {
    case 0:
        memcpy(p + NS_NSZE, &m->disk->sectors, 8);
        memcpy(p + NS_LBAF, &format, 4);
        return 0;
    case 1: p[ID_VWC] = 1; return 0;
    case 2: memcpy(p, &one, 4); return 0;
    default: return STATUS_FIELD;
    }
}

static uint16_t create(struct model *m, const struct command *c, bool submission) {
    uint32_t id = c->cdw10 & 0xffff, entries = (c->cdw10 >> 16) + 1, other = c->cdw11 >> 16;
    if (!id || id >= QUEUES || entries > ENTRIES || (submission && other >= QUEUES))
        return STATUS_FIELD;
    struct queue q = {.at = c->prp1, .entries = entries, .phase = 1};
    if (submission)
        q.completion = (uint16_t)other;
    else
        q.vector = (uint16_t)other;
    reach(m, q.at, entries * (submission ? sizeof(struct command) : sizeof(struct completion)));
    *(submission ? &m->submission[id] : &m->completion[id]) = q;
    return 0;
}

static uint16_t administer(struct model *m, const struct command *c, uint32_t *out_result) {
    switch (c->opcode) {
    case ADMIN_IDENTIFY: return identify(m, c);
    case ADMIN_CREATE_CQ: return create(m, c, false);
    case ADMIN_CREATE_SQ: return create(m, c, true);
    case ADMIN_SET_FEATURES: // 5.21.1.7: all the queues that there are
        *out_result = (QUEUES - 2) << 16 | (QUEUES - 2);
        return 0;
    default: return STATUS_OPCODE;
    }
}

// ---- queues ----
static bool serve(struct model *m, uint32_t id) {
    struct queue *s = &m->submission[id];
    if (!s->entries) return false;
    uint32_t tail = get32(m, DOORBELLS + 8 * id), first = s->place;
    if (tail >= s->entries) rig_fail("nvme: doorbell %u beyond its queue", id);
    struct queue *q = &m->completion[s->completion];
    while (s->place != tail) {
        const struct command *c = reach(m, s->at + s->place * sizeof *c, sizeof *c);
        uint32_t result = 0;
        s->place = (s->place + 1) % s->entries;
        uint16_t status = id ? io(m, c) : administer(m, c, &result);
        struct completion *entry = reach(m, q->at + q->place * sizeof *entry, sizeof *entry);
        entry->result = result;
        entry->sq_head = (uint16_t)s->place;
        entry->sq_id = (uint16_t)id;
        entry->cid = c->cid;
        __atomic_store_n(&entry->status, (uint16_t)(status << 1 | q->phase), __ATOMIC_RELEASE);
        q->place = (q->place + 1) % q->entries;
        if (!q->place) q->phase ^= 1;
    }
    if (id && s->place != first) m->device.irqs |= 1u << q->vector;
    return s->place != first;
}

static bool pump(struct rig_device *d) {
    struct model *m = (struct model *)d;
    bool moved = false;
    for (uint32_t i = 1; i < QUEUES; i++) moved |= serve(m, i);
    return moved;
}

static void before(struct rig_device *d, uint32_t offset, bool write) {
    (void)d, (void)offset, (void)write;
}

static void after(struct rig_device *d, uint32_t offset, bool write) {
    struct model *m = (struct model *)d;
    if (!write) return;
    if (offset == CC) { // 3.1.5: what is asked for is so at once
        uint32_t ready = get32(m, CC) & 1, aqa = get32(m, AQA);
        memcpy(m->device.pages.at + CSTS, &ready, 4);
        memset(m->submission, 0, sizeof m->submission);
        memset(m->completion, 0, sizeof m->completion);
        memset(m->device.pages.at + DOORBELLS, 0, RIG_PAGE);
        if (ready) {
            m->submission[0] = (struct queue){.at = get64(m, ASQ), .entries = (aqa & 0xfff) + 1};
            m->completion[0] =
                (struct queue){.at = get64(m, ACQ), .entries = (aqa >> 16 & 0xfff) + 1, .phase = 1};
        }
    } else if (offset == DOORBELLS) {
        serve(m, 0);
    }
}

struct rig_device *rig_nvme(struct rig_disk *disk) {
    struct model *m = calloc(1, sizeof *m);
    if (!m) rig_fail("no memory");
    uint64_t cap = (ENTRIES - 1) | 10ull << 24 | 1ull << 37; // MQES, TO 5 s, CSS NVM
    uint32_t ids = 0x1b36u | 0x0010u << 16;
    m->disk = disk;
    m->device = (struct rig_device){
        .name = "nvme", .doorbells = 1 << 1, .before = before, .after = after, .pump = pump};
    m->device.pages = rig_pages_new(2 * RIG_PAGE);
    memcpy(m->device.pages.at + CAP, &cap, 8);
    memcpy(m->device.config, &ids, 4);
    return &m->device;
}
