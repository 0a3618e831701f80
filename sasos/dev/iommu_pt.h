// iommu_pt.h — page tables of the IOMMU: what one domain's devices can reach. One builder for the
// second-stage tables of VT-d (rev. 5.10 §3.7, §9.8) and the I/O page tables of AMD-Vi (48882 rev.
// 3.09 §2.2.3): trees of 64-bit entries, 512 a page, which differ in their bits only.
//
// Pure: memory comes from the ops, so the same builder runs on the machine and in the hosted tests.
// Leaves are 4 KiB and, where asked for, 2 MiB. The hardware reads the tables while they change:
// each entry is written in one store, a new table is complete before an entry points to it, and
// everything written is passed to ops->flush, which makes it visible to hardware that does not
// snoop.
//
// Tables are only freed by iommu_pt_destroy(): a walker may still hold a pointer to one until the
// caller has invalidated.
#ifndef SASOS_DEV_IOMMU_PT_H
#define SASOS_DEV_IOMMU_PT_H
#include "sasos/status.h"
#include <stdbool.h>
#include <stdint.h>

#define IOMMU_PT_PAGE 4096ull
#define IOMMU_PT_LARGE (2ull << 20)

enum iommu_pt_rights { IOMMU_PT_READ = 1 << 0, IOMMU_PT_WRITE = 1 << 1 };

// How entries are written. An entry with no bit of `present` translates nothing.
struct iommu_pt_format {
    uint64_t read, write; // rights; they count in every level
    uint64_t present;     // any of these bits
    uint64_t leaf;        // in every leaf besides its rights
    uint64_t large;       // and in those of 2 MiB
    uint64_t large_mask;  // above level 1 an entry is a leaf if its bits here are `large`
    uint64_t table;       // in every pointer to a table
    uint64_t table_level; // and this times the level of that table
    uint64_t empty;       // what an entry that is not present holds
};
extern const struct iommu_pt_format iommu_pt_vtd, iommu_pt_amdvi;

struct iommu_pt_ops {
    uint64_t (*alloc)(void *arg); // a zeroed page, 0 when there is none
    void (*free)(void *arg, uint64_t phys);
    uint64_t *(*table)(void *arg, uint64_t phys); // where the CPU sees it
    void (*flush)(void *arg, const void *start, uint64_t size);
    void *arg;
};

struct iommu_pt {
    const struct iommu_pt_ops *ops;
    const struct iommu_pt_format *format;
    uint64_t root;         // physical address of the top table, 4 KiB aligned
    unsigned levels;       // 3 (39 bits) or 4 (48 bits)
    unsigned address_bits; // of physical addresses that an entry may hold
    bool large;            // 2 MiB leaves allowed
    uint64_t tables;       // pages that the tree takes, the root included
};

// NO_MEMORY, or INVALID for other levels than 3 and 4.
enum status iommu_pt_init(struct iommu_pt *pt, const struct iommu_pt_ops *ops,
                          const struct iommu_pt_format *format, unsigned levels,
                          unsigned address_bits, bool large);
void iommu_pt_destroy(struct iommu_pt *pt); // no unit may use the tree any more

// [iova, iova + len) → [phys, phys + len); page aligned, len > 0. INVALID: alignment, range or
// rights; EXISTS: a page of the range is mapped; NO_MEMORY. Checked first, so a failure changes no
// translation.
enum status iommu_pt_map(struct iommu_pt *pt, uint64_t iova, uint64_t phys, uint64_t len,
                         unsigned rights);
// Pages that are not mapped are skipped. *out_pages counts what was unmapped (in 4 KiB). NO_MEMORY
// if a 2 MiB leaf at an end of the range had to be split and could not; then nothing is changed.
enum status iommu_pt_unmap(struct iommu_pt *pt, uint64_t iova, uint64_t len, uint64_t *out_pages);
#endif
