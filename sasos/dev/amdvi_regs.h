// amdvi_regs.h — registers and memory structures of an AMD-Vi unit, by the names of the AMD I/O
// Virtualization Technology specification, 48882 rev. 3.09.
//
// Only what host translation, command buffer, event log and interrupt remapping use.
#ifndef SASOS_DEV_AMDVI_REGS_H
#define SASOS_DEV_AMDVI_REGS_H
#include <stdint.h>

enum amdvi_register { // §3.4, all 64 bits
    AMDVI_DEVICE_TABLE_BASE = 0x00,
    AMDVI_COMMAND_BUFFER_BASE = 0x08,
    AMDVI_EVENT_LOG_BASE = 0x10,
    AMDVI_CONTROL = 0x18,
    AMDVI_EXCLUSION_BASE = 0x20,
    AMDVI_EXTENDED_FEATURE = 0x30,
    AMDVI_COMMAND_BUFFER_HEAD = 0x2000,
    AMDVI_COMMAND_BUFFER_TAIL = 0x2008,
    AMDVI_EVENT_LOG_HEAD = 0x2010,
    AMDVI_EVENT_LOG_TAIL = 0x2018,
    AMDVI_STATUS = 0x2020,
};

// Capability block in the configuration space of the unit's function, §3.2.1
#define AMDVI_CAP_ID(header) ((header)&0xff)
#define AMDVI_CAP_ID_SECURE 0x0fu
#define AMDVI_CAP_NPCACHE (1u << 26) // entries that are not present may be cached
#define AMDVI_CAP_EFRSUP (1u << 27)  // AMDVI_EXTENDED_FEATURE is there

// AMDVI_EXTENDED_FEATURE, §3.4.2
#define AMDVI_EFR_XTSUP (1ull << 2) // x2APIC ids
#define AMDVI_EFR_IASUP (1ull << 6) // INVALIDATE_IOMMU_ALL
#define AMDVI_EFR_GASUP (1ull << 7) // 128-bit interrupt entries

// AMDVI_CONTROL, §3.4.1
#define AMDVI_CTL_IOMMUEN (1ull << 0)
#define AMDVI_CTL_HTTUNEN (1ull << 1)
#define AMDVI_CTL_EVENTLOGEN (1ull << 2)
#define AMDVI_CTL_EVENTINTEN (1ull << 3)
#define AMDVI_CTL_PASSPW (1ull << 8)
#define AMDVI_CTL_RESPASSPW (1ull << 9)
#define AMDVI_CTL_COHERENT (1ull << 10) // the device table is read through the caches
#define AMDVI_CTL_ISOC (1ull << 11)
#define AMDVI_CTL_CMDBUFEN (1ull << 12)
#define AMDVI_CTL_GAEN (1ull << 17)
#define AMDVI_CTL_XTEN (1ull << 50)

// AMDVI_STATUS, §3.4.11: the first two are cleared by writing ones
#define AMDVI_STS_EVENTOVERFLOW (1ull << 0)
#define AMDVI_STS_EVENTLOGINT (1ull << 1)
#define AMDVI_STS_EVENTLOGRUN (1ull << 3)
#define AMDVI_STS_CMDBUFRUN (1ull << 4)

// Rings: log2 of their entries in bits 59:56 of the base register; 16 bytes an entry
#define AMDVI_RING(phys, log2) ((phys) | (uint64_t)(log2) << 56)
#define AMDVI_DEVICE_TABLE(phys) ((phys) | 0x1ff) // 2 MiB: every requester id has an entry

// Device table entry, 256 bits (§2.2.2.1). V = 0 would let everything pass: every entry has V.
#define AMDVI_DTE0_V 1ull
#define AMDVI_DTE0_TV 2ull
#define AMDVI_DTE0_MODE(levels) ((uint64_t)(levels) << 9)
#define AMDVI_DTE0_IR (1ull << 61)
#define AMDVI_DTE0_IW (1ull << 62)
// Third word: interrupts. IntCtl = 00 refuses, 10 remaps; messages other than fixed and arbitrated
// (NMI, INIT, ExtInt, SMI) have bits of their own, which stay clear: refused.
#define AMDVI_DTE2_IV 1ull
#define AMDVI_DTE2_TABLE(phys, log2) ((phys) | (uint64_t)(log2) << 1 | 2ull << 60)

// Commands, 128 bits (§2.4): low word
#define AMDVI_CMD_COMPLETION_WAIT(phys) (1ull << 60 | (phys) | 1) // s: stores the second word
#define AMDVI_CMD_INVALIDATE_DEVTAB_ENTRY(rid) (2ull << 60 | (uint64_t)(rid))
#define AMDVI_CMD_INVALIDATE_IOMMU_PAGES(domain) (3ull << 60 | (uint64_t)(domain) << 32)
#define AMDVI_CMD_ALL_PAGES 0x7ffffffffffff003ull // second word: S, PDE, and the largest size
#define AMDVI_CMD_INVALIDATE_INTERRUPT_TABLE(rid) (5ull << 60 | (uint64_t)(rid))
#define AMDVI_CMD_INVALIDATE_IOMMU_ALL (8ull << 60)

// Event log entry, 128 bits (§2.5): low word; the second one is an address
#define AMDVI_EVENT_CODE(low) ((unsigned)((low) >> 60))
#define AMDVI_EVENT_RID(low) ((uint16_t)(low))
#define AMDVI_EVENT_GN (1ull << 48)
#define AMDVI_EVENT_NX (1ull << 49)
#define AMDVI_EVENT_I (1ull << 51)  // an interrupt request
#define AMDVI_EVENT_RW (1ull << 53) // a write
enum amdvi_event {
    AMDVI_EVENT_ILLEGAL_DEV_TABLE_ENTRY = 1,
    AMDVI_EVENT_IO_PAGE_FAULT,
    AMDVI_EVENT_DEV_TAB_HARDWARE_ERROR,
    AMDVI_EVENT_PAGE_TAB_HARDWARE_ERROR,
    AMDVI_EVENT_ILLEGAL_COMMAND_ERROR,
    AMDVI_EVENT_COMMAND_HARDWARE_ERROR,
    AMDVI_EVENT_IOTLB_INV_TIMEOUT,
    AMDVI_EVENT_INVALID_DEVICE_REQUEST,
    AMDVI_EVENT_INVALID_PPR_REQUEST,
    AMDVI_EVENT_UNRECORDED = 15, // not the specification's: see amdvi_log.c
};

// Interrupt table entries: 32 bits, or 128 where GAEn is set (§2.2.5.2). RemapEn; IntType = 000
// (fixed), DM = 0 (physical).
#define AMDVI_IRTE_REMAPEN 1ull
#define AMDVI_IRTE32(vector, dest) \
    (AMDVI_IRTE_REMAPEN | (uint64_t)((dest)&0xff) << 8 | (uint64_t)(vector) << 16)
#define AMDVI_IRTE128_LOW(dest) (AMDVI_IRTE_REMAPEN | (uint64_t)((dest)&0xffffff) << 8)
#define AMDVI_IRTE128_HIGH(vector, dest) ((uint64_t)(vector) | (uint64_t)((dest) >> 24) << 56)
#endif
