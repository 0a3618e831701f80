// cross.h — the numbers that cross.S and the C of the loader share: where a thread, a record, a context's private page and the
// saved arguments of a host call have their fields. Each is asserted against its struct in offsets.c.
#ifndef LDR_CROSS_H
#define LDR_CROSS_H

// struct ldr_private, at r15 − SFI_CTX_PRIVATE
#define LDR_P_THREAD 0
#define LDR_P_INSTANCE 8
#define LDR_P_OWNER 16
#define LDR_P_STOP 24
#define LDR_P_EXTENT_AT 32
#define LDR_P_EXTENT_SIZE 40

// struct ldr_thread
#define LDR_T_TOP 0
#define LDR_T_END 8
#define LDR_T_CSP 16
#define LDR_T_CLIMIT 24
#define LDR_T_MSP 32

// struct ldr_record
#define LDR_R_RSP 0
#define LDR_R_RET 8
#define LDR_R_RBX 16
#define LDR_R_RBP 24
#define LDR_R_R12 32
#define LDR_R_R13 40
#define LDR_R_R14 48
#define LDR_R_R15 56
#define LDR_R_INST 64
#define LDR_R_KIND 72
#define LDR_R_CSP 80
#define LDR_R_MSP 88
#define LDR_R_SIZE 96

#define LDR_KIND_ENTER 1  // made by ldr_enter: the border to C
#define LDR_KIND_STORE 2  // crossing inside a store: no border
#define LDR_KIND_DOMAIN 3 // crossing between domains, which took the callee's monitor
#define LDR_KIND_NESTED 4 // the same, but the thread had the monitor already
#define LDR_KIND_SEEN 5   // DOMAIN, and ldr_thread_entered() has told of it

// struct ldr_args, on the C stack
#define LDR_A_INT 0
#define LDR_A_FP 48
#define LDR_A_OTHERS 176
#define LDR_A_LINK 184
#define LDR_A_RSP 192
#define LDR_A_SIZE 208

// struct ldr_entry, what ldr_enter() loads and captures
#define LDR_E_INT 0
#define LDR_E_FP 48
#define LDR_E_RAX 176
#define LDR_E_XMM0 184
#define LDR_E_VECTORS 200

// struct ldr_link
#define LDR_L_PLACE 24

#define LDR_MXCSR 0x1f80 // all exceptions masked, round to nearest, denormals kept

// What a hole in a stub template is filled with: struct ldr_hole.
#define LDR_HOLE_CALLEE 1 // rel32 to the function
#define LDR_HOLE_WINDOW 2 // imm64: the callee's window
#define LDR_HOLE_INST 3   // imm64: the callee's struct ldr_instance
#define LDR_HOLE_BYTES 4  // imm32: bytes of results in the result area
#define LDR_HOLE_ARGS 10  // imm32: bytes of arguments there
#define LDR_HOLE_FULL 5   // rel32 to ldr_cross_full
#define LDR_HOLE_WAIT 6   // rel32 to ldr_cross_wait
#define LDR_HOLE_DEAD 7   // rel32 to ldr_cross_dead
#define LDR_HOLE_STOP 8   // rel32 to ldr_cross_stop
#define LDR_HOLE_LEAVE 9  // rel32 to ldr_cross_leave
#endif
