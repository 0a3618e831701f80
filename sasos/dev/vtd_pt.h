// vtd_pt.h — second-stage page tables of the IOMMU: what one domain's devices can reach (VT-d rev.
// 5.10 §3.7, §9.8).
//
// Pure: memory comes from the ops, so the same builder runs on the machine and in the hosted tests.
// Entries are 64 bits, 512 a page, 3 or 4 levels; leaves are 4 KiB and, where asked for, 2 MiB. The
// hardware reads the tables while they change: each entry is written in one store, a new table is
// complete before an entry points to it, and everything written is passed to ops->flush, which
// makes it visible to hardware that does not snoop (ECAP.C = 0).
//
// Tables are only freed by vtd_pt_destroy(): a walker may still hold a pointer to one until the
// caller has invalidated.
#ifndef SASOS_DEV_VTD_PT_H
#define SASOS_DEV_VTD_PT_H
#include "sasos/status.h"
#include <stdbool.h>
#include <stdint.h>

#define VTD_PT_PAGE 4096ull
#define VTD_PT_LARGE (2ull << 20)

enum vtd_pt_rights {
    VTD_PT_READ = 1 << 0,
    VTD_PT_WRITE = 1 << 1
}; // the entry's own bits R and W (§9.8)

struct vtd_pt_ops {
    uint64_t (*alloc)(void *arg); // a zeroed page, 0 when there is none
    void (*free)(void *arg, uint64_t phys);
    uint64_t *(*table)(void *arg, uint64_t phys); // where the CPU sees it
    void (*flush)(void *arg, const void *start, uint64_t size);
    void *arg;
};

struct vtd_pt {
    const struct vtd_pt_ops *ops;
    uint64_t root;         // physical address of the top table, 4 KiB aligned
    unsigned levels;       // 3 (39 bits) or 4 (48 bits)
    unsigned address_bits; // of physical addresses that an entry may hold
    bool large;            // 2 MiB leaves allowed (CAP.SLLPS bit 0)
    uint64_t tables;       // pages that the tree takes, the root included
};

// NO_MEMORY, or INVALID for other levels than 3 and 4.
enum status vtd_pt_init(struct vtd_pt *pt, const struct vtd_pt_ops *ops, unsigned levels,
                        unsigned address_bits, bool large);
void vtd_pt_destroy(struct vtd_pt *pt); // no unit may use the tree any more

// [iova, iova + len) → [phys, phys + len); page aligned, len > 0. INVALID: alignment, range or
// rights; EXISTS: a page of the range is mapped; NO_MEMORY. Checked first, so a failure changes no
// translation.
enum status vtd_pt_map(struct vtd_pt *pt, uint64_t iova, uint64_t phys, uint64_t len, unsigned rights);
// Pages that are not mapped are skipped. *out_pages counts what was unmapped (in 4 KiB). NO_MEMORY
// if a 2 MiB leaf at an end of the range had to be split and could not; then nothing is changed.
enum status vtd_pt_unmap(struct vtd_pt *pt, uint64_t iova, uint64_t len, uint64_t *out_pages);
bool vtd_pt_lookup(const struct vtd_pt *pt, uint64_t iova, uint64_t *out_phys, unsigned *out_rights);
#endif
