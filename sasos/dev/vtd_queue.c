// vtd_queue.c — commands to a remapping unit: the global command register and the invalidation
// queue (VT-d rev. 5.10 §6.5, §11.4).
//
// Everything here is synchronous: when a call returns, the unit has confirmed. Each wait is bounded
// by time; a unit that does not answer, or that reports an error in its queue, is a panic, because
// translations that we believe to be gone might still be used. The queue is one page (256
// descriptors) and is empty whenever the lock is free, so it cannot overflow.
#include "sasos/arch/time.h"
#include "sasos/dev/vtd_unit.h"
#include "sasos/lib/mem.h"
#include "sasos/lib/panic.h"
#include "sasos/mem/frame.h"
#include "sasos/mem/pt.h"

#define QUEUE_DESCRIPTORS 256u
#define QUEUE_BATCH_MAX 8u
#define ANSWER_NS (1000 * TIME_MS)
#define CACHE_LINE 64ull

void vtd_flush_cache(const struct vtd_unit *u, const void *start, uint64_t size) {
    if (!VTD_ECAP_C(u->ecap)) {
        uint64_t line = (uint64_t)start & ~(CACHE_LINE - 1), end = (uint64_t)start + size;
        for (; line < end; line += CACHE_LINE)
            __asm__ volatile("clflush (%0)" : : "r"(line) : "memory");
        // clflush is ordered against later stores only by a fence (SDM 2A, CLFLUSH).
        __asm__ volatile("mfence" : : : "memory");
    }
    __asm__ volatile("" : : : "memory");
}

static void wait_status(struct vtd_unit *u, uint32_t bit, bool set) {
    uint64_t deadline = time_now_ns() + ANSWER_NS;
    while (!(vtd_read32(u, VTD_GSTS_REG) & bit) == set) {
        if (time_now_ns() > deadline)
            panic("IOMMU %u does not %s command bit 0x%x (GSTS 0x%x)", u->index,
                  set ? "confirm" : "clear", bit, vtd_read32(u, VTD_GSTS_REG));
        cpu_pause();
    }
}

// §11.4.4.1: one bit is changed at a time, the others as the status register has them.
void vtd_command_set(struct vtd_unit *u, uint32_t bit) {
    vtd_write32(u, VTD_GCMD_REG, (vtd_read32(u, VTD_GSTS_REG) & VTD_GSTS_KEEP) | bit);
    wait_status(u, bit, true);
}

void vtd_command_clear(struct vtd_unit *u, uint32_t bit) {
    vtd_write32(u, VTD_GCMD_REG, vtd_read32(u, VTD_GSTS_REG) & VTD_GSTS_KEEP & ~bit);
    wait_status(u, bit, false);
}

void vtd_write_buffer_flush(struct vtd_unit *u) {
    if (!VTD_CAP_RWBF(u->cap)) return; // §6.8
    uint64_t flags = spin_lock(&u->queue_lock);
    vtd_write32(u, VTD_GCMD_REG, (vtd_read32(u, VTD_GSTS_REG) & VTD_GSTS_KEEP) | VTD_GCMD_WBF);
    wait_status(u, VTD_GCMD_WBF, false); // WBFS is set while the flush is under way
    spin_unlock(&u->queue_lock, flags);
}

enum status vtd_queue_start(struct vtd_unit *u) {
    u->queue_phys = frame_alloc(FRAME_ZERO);
    u->status_phys = frame_alloc(FRAME_ZERO);
    if (!u->queue_phys || !u->status_phys) return ST_NO_MEMORY;
    u->queue = pt_direct(u->queue_phys);
    u->status = pt_direct(u->status_phys);
    if (vtd_read32(u, VTD_GSTS_REG) &
        VTD_GCMD_QIE) { // left on by firmware: let it drain first (§11.4.4.1, QIE)
        uint64_t deadline = time_now_ns() + ANSWER_NS;
        while (vtd_read64(u, VTD_IQH_REG) != vtd_read64(u, VTD_IQT_REG) && time_now_ns() < deadline)
            cpu_pause();
        vtd_command_clear(u, VTD_GCMD_QIE);
    }
    u->tail = 0;
    vtd_write64(u, VTD_IQT_REG, 0);
    vtd_write64(u, VTD_IQA_REG, u->queue_phys); // QS = 0: one page; DW = 0: 128-bit descriptors
    vtd_command_set(u, VTD_GCMD_QIE);
    return ST_OK;
}

static void put(struct vtd_unit *u, uint64_t low, uint64_t high) {
    u->queue[u->tail][0] = low;
    u->queue[u->tail][1] = high;
    vtd_flush_cache(u, u->queue[u->tail], 16);
    u->tail = (u->tail + 1) % QUEUE_DESCRIPTORS;
}

void vtd_invalidate(struct vtd_unit *u, const uint64_t (*descriptors)[2], unsigned n) {
    KASSERT(n <= QUEUE_BATCH_MAX);
    uint64_t flags = spin_lock(&u->queue_lock);
    uint32_t sequence = ++u->sequence;
    for (unsigned i = 0; i < n; i++) put(u, descriptors[i][0], descriptors[i][1]);
    put(u, VTD_INV_WAIT(sequence), u->status_phys); // §6.5.2.9: executed when all before it are complete
    // The descriptors are in memory before the tail moves: a store to UC memory is not passed by
    // earlier stores.
    vtd_write64(u, VTD_IQT_REG, (uint64_t)u->tail << 4);
    uint64_t deadline = time_now_ns() + ANSWER_NS;
    while (*u->status != sequence) {
        uint32_t fsts = vtd_read32(u, VTD_FSTS_REG);
        if (fsts & (VTD_FSTS_IQE | VTD_FSTS_ICE | VTD_FSTS_ITE) || time_now_ns() > deadline)
            panic(
                "IOMMU %u does not complete an invalidation (FSTS 0x%x, head 0x%llx, tail 0x%llx)",
                u->index, fsts, (unsigned long long)vtd_read64(u, VTD_IQH_REG),
                (unsigned long long)vtd_read64(u, VTD_IQT_REG));
        cpu_pause();
    }
    spin_unlock(&u->queue_lock, flags);
    iommu_count_invalidation();
}
