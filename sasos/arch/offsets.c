// offsets.c — every offset that assembly uses, asserted.
#include "sasos/arch/offsets.h"
#include "sasos/arch/cpu.h"
#include "sasos/arch/trap.h"
#include <stddef.h>

#define AT(type, field, value) \
    _Static_assert(offsetof(struct type, field) == (value), "entry.S relies on it")
AT(cpu, self, 0);
AT(cpu, current, CPU_CURRENT);
AT(cpu, irq_stack_top, CPU_IRQ_STACK_TOP);
AT(cpu, fault_stack_top, CPU_FAULT_STACK_TOP);
AT(cpu, fault_depth, CPU_FAULT_DEPTH);
AT(trap_frame, r15, FRAME_R15);
AT(trap_frame, r14, FRAME_R14);
AT(trap_frame, r13, FRAME_R13);
AT(trap_frame, r12, FRAME_R12);
AT(trap_frame, r11, FRAME_R11);
AT(trap_frame, r10, FRAME_R10);
AT(trap_frame, r9, FRAME_R9);
AT(trap_frame, r8, FRAME_R8);
AT(trap_frame, rdi, FRAME_RDI);
AT(trap_frame, rsi, FRAME_RSI);
AT(trap_frame, rbp, FRAME_RBP);
AT(trap_frame, rbx, FRAME_RBX);
AT(trap_frame, rdx, FRAME_RDX);
AT(trap_frame, rcx, FRAME_RCX);
AT(trap_frame, rax, FRAME_RAX);
AT(trap_frame, vector, FRAME_VECTOR);
AT(trap_frame, error, FRAME_ERROR);
AT(trap_frame, rip, FRAME_RIP);
AT(trap_frame, cs, FRAME_CS);
AT(trap_frame, rflags, FRAME_RFLAGS);
AT(trap_frame, rsp, FRAME_RSP);
AT(trap_frame, ss, FRAME_SS);
_Static_assert(sizeof(struct trap_frame) == FRAME_BYTES && FRAME_BYTES % 16 == 0,
               "the stack stays aligned under a frame");
