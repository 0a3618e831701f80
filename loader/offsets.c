// offsets.c — every number in cross.h and cross.S, asserted against the structures in C.
#include "loader/private.h"

#define AT(type, field, offset) \
    _Static_assert(offsetof(struct type, field) == (offset), #type "." #field)
AT(ldr_private, thread, LDR_P_THREAD);
AT(ldr_private, instance, LDR_P_INSTANCE);
AT(ldr_private, owner, LDR_P_OWNER);
AT(ldr_private, stop, LDR_P_STOP);
AT(ldr_private, extent_at, LDR_P_EXTENT_AT);
AT(ldr_private, extent_size, LDR_P_EXTENT_SIZE);
AT(ldr_thread, top, LDR_T_TOP);
AT(ldr_thread, end, LDR_T_END);
AT(ldr_thread, csp, LDR_T_CSP);
AT(ldr_thread, c_limit, LDR_T_CLIMIT);
AT(ldr_thread, msp, LDR_T_MSP);
AT(ldr_record, rsp, LDR_R_RSP);
AT(ldr_record, ret, LDR_R_RET);
AT(ldr_record, rbx, LDR_R_RBX);
AT(ldr_record, rbp, LDR_R_RBP);
AT(ldr_record, r12, LDR_R_R12);
AT(ldr_record, r13, LDR_R_R13);
AT(ldr_record, r14, LDR_R_R14);
AT(ldr_record, r15, LDR_R_R15);
AT(ldr_record, inst, LDR_R_INST);
AT(ldr_record, kind, LDR_R_KIND);
AT(ldr_record, csp, LDR_R_CSP);
AT(ldr_record, msp, LDR_R_MSP);
AT(ldr_args, reg, LDR_A_INT);
AT(ldr_args, fp, LDR_A_FP);
AT(ldr_args, others, LDR_A_OTHERS);
AT(ldr_args, link, LDR_A_LINK);
AT(ldr_args, rsp, LDR_A_RSP);
AT(ldr_entry, reg, LDR_E_INT);
AT(ldr_entry, fp, LDR_E_FP);
AT(ldr_entry, rax, LDR_E_RAX);
AT(ldr_entry, xmm0, LDR_E_XMM0);
AT(ldr_entry, vectors, LDR_E_VECTORS);
AT(ldr_link, place, LDR_L_PLACE);
_Static_assert(sizeof(struct ldr_record) == LDR_R_SIZE, "record");
_Static_assert(sizeof(struct ldr_args) == LDR_A_SIZE && LDR_A_SIZE % 16 == 0,
               "args keep the C stack aligned");
_Static_assert(LDR_A_INT == LDR_E_INT && LDR_A_FP == LDR_E_FP, "unspill serves both");
_Static_assert(sizeof(struct ldr_private) <= LDR_PAGE, "one page");
_Static_assert(SFI_CTX_PRIVATE == 0x106000 && SFI_CTX_RESULTS == 0x104000 && LDR_E_DEAD == -111,
               "cross.S");
_Static_assert(SFI_CTX_PRIVATE == 0x106000 && SFI_CTX_MEM_PAGES == 0x105000 && LDR_WASM_PAGE == 1 << 16,
               "bulk.S");
