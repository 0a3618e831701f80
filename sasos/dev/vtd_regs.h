// vtd_regs.h — registers and memory structures of a DMA remapping unit, by the names of the Intel
// VT-d specification, rev. 5.10.
//
// Only what legacy mode, queued invalidation, fault recording and interrupt remapping use. Offsets
// are §11.4's.
#ifndef SASOS_DEV_VTD_REGS_H
#define SASOS_DEV_VTD_REGS_H
#include <stdint.h>

enum vtd_register {
    VTD_VER_REG = 0x00,     // §11.4.1
    VTD_CAP_REG = 0x08,     // §11.4.2, 64 bits
    VTD_ECAP_REG = 0x10,    // §11.4.3, 64 bits
    VTD_GCMD_REG = 0x18,    // §11.4.4.1
    VTD_GSTS_REG = 0x1c,    // §11.4.4.2
    VTD_RTADDR_REG = 0x20,  // §11.4.5, 64 bits
    VTD_FSTS_REG = 0x34,    // §11.4.7.1
    VTD_FECTL_REG = 0x38,   // §11.4.7.2
    VTD_FEDATA_REG = 0x3c,  // §11.4.7.3
    VTD_FEADDR_REG = 0x40,  // §11.4.7.4
    VTD_FEUADDR_REG = 0x44, // §11.4.7.5
    VTD_PMEN_REG = 0x64,    // §11.4.8.1
    VTD_IQH_REG = 0x80,     // §11.4.9.1, 64 bits
    VTD_IQT_REG = 0x88,     // §11.4.9.2, 64 bits
    VTD_IQA_REG = 0x90,     // §11.4.9.3, 64 bits
    VTD_IRTA_REG = 0xb8,    // §11.4.10, 64 bits
};

// CAP_REG
#define VTD_CAP_ND(cap) ((unsigned)((cap)&7))              // domain ids: 2^(4 + 2·ND)
#define VTD_CAP_RWBF(cap) ((cap) >> 4 & 1)                 // write buffers must be flushed
#define VTD_CAP_PLMR(cap) ((cap) >> 5 & 1)                 // protected low-memory region
#define VTD_CAP_PHMR(cap) ((cap) >> 6 & 1)                 // protected high-memory region
#define VTD_CAP_CM(cap) ((cap) >> 7 & 1)                   // not-present entries may be cached
#define VTD_CAP_SAGAW(cap) ((unsigned)((cap) >> 8 & 0x1f)) // bit 1: 39 bits, bit 2: 48 bits
#define VTD_CAP_MGAW(cap) ((unsigned)((cap) >> 16 & 0x3f) + 1)
#define VTD_CAP_FRO(cap) ((unsigned)((cap) >> 24 & 0x3ff) * 16)
#define VTD_CAP_SSLPS(cap) ((unsigned)((cap) >> 34 & 0xf)) // bit 0: 2 MiB pages
#define VTD_CAP_NFR(cap) ((unsigned)((cap) >> 40 & 0xff) + 1)
#define VTD_CAP_DWD(cap) ((cap) >> 54 & 1) // write draining
#define VTD_CAP_DRD(cap) ((cap) >> 55 & 1) // read draining
#define VTD_SAGAW_39 (1u << 1)
#define VTD_SAGAW_48 (1u << 2)

// ECAP_REG
#define VTD_ECAP_C(ecap) ((ecap)&1) // page walks snoop the processor's caches
#define VTD_ECAP_QI(ecap) ((ecap) >> 1 & 1)
#define VTD_ECAP_IR(ecap) ((ecap) >> 3 & 1)
#define VTD_ECAP_EIM(ecap) ((ecap) >> 4 & 1) // 32-bit APIC ids

// GCMD_REG and GSTS_REG share bit positions.
#define VTD_GCMD_TE (1u << 31)
#define VTD_GCMD_SRTP (1u << 30)
#define VTD_GCMD_WBF (1u << 27)
#define VTD_GCMD_QIE (1u << 26)
#define VTD_GCMD_IRE (1u << 25)
#define VTD_GCMD_SIRTP (1u << 24)
#define VTD_GCMD_CFI (1u << 23)
// What of GSTS_REG goes back into GCMD_REG when one bit is changed: not SRTP, SFL, WBF and SIRTP,
// which are one-shot (§11.4.4.1).
#define VTD_GSTS_KEEP 0x96ffffffu

// FSTS_REG
#define VTD_FSTS_PFO (1u << 0)
#define VTD_FSTS_PPF (1u << 1)
#define VTD_FSTS_IQE (1u << 4)
#define VTD_FSTS_ICE (1u << 5)
#define VTD_FSTS_ITE (1u << 6)
#define VTD_FSTS_FRI(fsts) ((fsts) >> 8 & 0xff)
#define VTD_FECTL_IM (1u << 31)

// PMEN_REG
#define VTD_PMEN_EPM (1u << 31)
#define VTD_PMEN_PRS (1u << 0)

// FRCD_REG (§11.4.7.6): 128 bits at FRO + 16·index
#define VTD_FRCD_F (1ull << 63)                            // upper half
#define VTD_FRCD_T1_READ (1ull << 62)                      // type: read request (1) or write (0)
#define VTD_FRCD_FR(high) ((uint8_t)((high) >> 32 & 0xff)) // fault reason
#define VTD_FRCD_SID(high) ((uint16_t)((high)&0xffff))
#define VTD_FRCD_FI_PAGE(low) ((low) & ~0xfffull) // DMA: the page's address
#define VTD_FRCD_FI_INDEX(low) ((low) >> 48)      // interrupt: the remapping index
#define VTD_REASON_INTERRUPT_FIRST 0x20
#define VTD_REASON_INTERRUPT_LAST 0x2f

// Root entry (§9.1) and context entry (§9.3), legacy mode: two 64-bit words each, 256 a page
#define VTD_ROOT_P 1ull
#define VTD_CONTEXT_P \
    1ull // FPD = 0: faults are recorded; TT = 00: untranslated requests only, through SSPTPTR
#define VTD_CONTEXT_HIGH(aw, did) ((uint64_t)(aw) | (uint64_t)(did) << 8)
#define VTD_AW_39 1u
#define VTD_AW_48 2u

// Invalidation descriptors, 128 bits (§6.5.2): low word
#define VTD_INV_CONTEXT_GLOBAL (0x1ull | 1ull << 4)
#define VTD_INV_CONTEXT_DEVICE(did, sid) \
    (0x1ull | 3ull << 4 | (uint64_t)(did) << 16 | (uint64_t)(sid) << 32)
#define VTD_INV_IOTLB_GLOBAL (0x2ull | 1ull << 4)
#define VTD_INV_IOTLB_DOMAIN(did) (0x2ull | 2ull << 4 | (uint64_t)(did) << 16)
#define VTD_INV_IOTLB_DW (1ull << 6)
#define VTD_INV_IOTLB_DR (1ull << 7)
#define VTD_INV_IEC_GLOBAL 0x4ull
#define VTD_INV_IEC_INDEX(index) (0x4ull | 1ull << 4 | (uint64_t)(index) << 32)
#define VTD_INV_WAIT(data) \
    (0x5ull | 1ull << 5 | (uint64_t)(uint32_t)(data) << 32) // SW: status write

// Interrupt remapping table entry, remapped format (§9.9): low and high word
#define VTD_IRTE_P 1ull         // physical destination, edge, fixed delivery, no redirection hint
#define VTD_IRTE_TM (1ull << 4) // level
#define VTD_IRTE_VECTOR(v) ((uint64_t)(v) << 16)
#define VTD_IRTE_DST(d) ((uint64_t)(d) << 32)
#define VTD_IRTE_HIGH(sid) \
    ((uint64_t)(sid) | 1ull << 18) // SVT = 01, SQ = 00: all 16 bits of the source id are verified
#define VTD_IRTA_EIME (1ull << 11)
#endif
