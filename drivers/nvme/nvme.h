// nvme.h — registers, commands and structures of NVM Express Base Specification 1.4, as far as this driver uses them. Names are
// the specification's; the clause stands at each group.
#ifndef SASOS_NVME_H
#define SASOS_NVME_H
#include "drivers/sdk/sasos.h"

enum { // 3.1 Register definition: offsets in BAR0
    NVME_CAP = 0x00,
    NVME_INTMS = 0x0c,
    NVME_CC = 0x14,
    NVME_CSTS = 0x1c,
    NVME_AQA = 0x24,
    NVME_ASQ = 0x28,
    NVME_ACQ = 0x30,
    NVME_DOORBELLS = 0x1000, // 3.1.16: SQ y tail at (2y)·stride, CQ y head at (2y + 1)·stride
};
// 3.1.1 CAP
#define NVME_CAP_MQES(cap) ((uint32_t)(cap)&0xffff)         // entries, zero-based
#define NVME_CAP_TO(cap) ((uint32_t)((cap) >> 24) & 0xff)   // 500 ms
#define NVME_CAP_DSTRD(cap) ((uint32_t)((cap) >> 32) & 0xf) // 4 << this
#define NVME_CAP_CSS_NVM(cap) ((cap) >> 37 & 1)
#define NVME_CAP_MPSMIN(cap) ((uint32_t)((cap) >> 48) & 0xf) // 4096 << this
// 3.1.5 CC: 64-byte submission and 16-byte completion entries, pages of 4 KiB, NVM command set
#define NVME_CC_ENABLE (4u << 20 | 6u << 16 | 1u)
#define NVME_CSTS_RDY 1u // 3.1.6
#define NVME_CSTS_CFS 2u

enum nvme_admin { // 5
    NVME_ADMIN_CREATE_SQ = 0x01,
    NVME_ADMIN_CREATE_CQ = 0x05,
    NVME_ADMIN_IDENTIFY = 0x06,
    NVME_ADMIN_SET_FEATURES = 0x09,
    NVME_ADMIN_DOORBELL_BUFFER = 0x7c,
};
enum { NVME_CNS_NAMESPACE = 0, NVME_CNS_CONTROLLER = 1, NVME_CNS_ACTIVE_LIST = 2 }; // 5.15
enum { NVME_FEATURE_QUEUES = 0x07 };                                                // 5.21.1.7
enum { NVME_QUEUE_CONTIGUOUS = 1, NVME_CQ_INTERRUPT = 2 };                          // 5.3, 5.4
enum nvme_io { NVME_FLUSH = 0, NVME_WRITE = 1, NVME_READ = 2 };                     // 6

enum { // 5.15.2.2 Identify controller
    NVME_ID_MDTS = 77,
    NVME_ID_OACS = 256,
    NVME_ID_VWC = 525,
    NVME_OACS_DOORBELL_BUFFER = 1 << 8,
};
enum { // 5.15.2.1 Identify namespace
    NVME_NS_NSZE = 0,
    NVME_NS_FLBAS = 26,
    NVME_NS_DPS = 29,
    NVME_NS_NSATTR = 99,
    NVME_NS_LBAF = 128,
};

struct nvme_command { // 4.2 Submission queue entry
    union {
        struct {
            uint8_t opcode, flags;
            uint16_t cid;
        };
        uint32_t cdw0; // all three
    };
    uint32_t nsid;
    uint64_t reserved, metadata, prp1, prp2;
    uint32_t cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
};
_Static_assert(sizeof(struct nvme_command) == 64, "4.2");

// 4.6 Completion queue entry, its last dword: command, phase, status. Nothing else of an entry is used.
enum { NVME_CQE_BYTES = 16, NVME_CQE_LAST = 12 };
#define NVME_CQE_CID(dw3) ((dw3)&0xffff)
#define NVME_CQE_PHASE(dw3) ((dw3) >> 16 & 1)
#define NVME_CQE_STATUS(dw3) ((dw3) >> 17 & 0x7ff) // status code type and code, without retry hints
enum {                                             // 4.6.1.2: code type << 8 | code
    NVME_STATUS_WRITE_PROTECTED = 0x020,
    NVME_STATUS_LBA_RANGE = 0x080,
    NVME_STATUS_READ_ONLY_RANGE = 0x182,
};
#endif
