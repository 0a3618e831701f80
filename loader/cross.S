// cross.S — every way into and out of sandboxed code, and between two sandboxes.
//
//   ldr_enter          C → module, on the thread's protected stack
//   ldr_host_save/_restore   module → C and back: a host thunk is `mov r11, link; call save; call fn; jmp restore`, so the
//                      function itself is called directly. C runs on the thread's C stack, never on the modules' one:
//                      nothing of the host is left where an uninitialised frame slot of a module could show it.
//   ldr_link_*         templates of crossing stubs, copied and filled per exported function (stub.c), direct calls only
//   ldr_unwind         gives up everything above a record
//
// Sandboxed code keeps rbx rbp r12–r14 only if it likes (callee-saved is a habit of the compiler, not of the verifier), so a
// crossing saves them in the record. r15 is right whenever sandboxed code runs; DF is clear and MXCSR is 1F80 since ldr_enter,
// because no accepted instruction changes them. r10, r11 and rax are free in a stub; r10 and r11 are cleared before
// sandboxed code sees them, since they held kernel pointers. The record is made before the switch and dropped after it,
// so that whoever interrupts a stub sees a consistent stack of records; only rip in verified code is ever unwound by force.
//
// The return address of a crossing moves from the module stack into the record and the stub's own call takes its place: so calls and
// returns stay paired. Arguments and results that are not in registers are copied between the two contexts' result areas.
#include "loader/cross.h"

#define CTX_PRIVATE 0x106000 // SFI_CTX_PRIVATE, asserted in offsets.c
#define CTX_RESULTS 0x104000 // SFI_CTX_RESULTS
#define E_DEAD -111          // LDR_E_DEAD
#define P(field) (field - CTX_PRIVATE)(%r15)

// A place in the template that stub.c fills: listed in NAME_holes as (offset, kind), ended by kind 0.
.macro hole name, kind
        .pushsection .rodata.ldr_holes, "a"
        .long 9f - \name, \kind
        .popsection
9:
.endm

// ---- Crossing stubs --------------------------------------------------------------------------------------------------------
.macro link name, domain, args, results
        .pushsection .rodata.ldr_holes, "a"
        .balign 8
        .globl \name\()_holes
\name\()_holes:
        .popsection
        .balign 32
        .globl \name
\name:
        mov     P(LDR_P_THREAD), %r11
        mov     LDR_T_TOP(%r11), %r10
        cmp     LDR_T_END(%r11), %r10
        jae     5f
        mov     %r15, LDR_R_R15(%r10)
        mov     %rbx, LDR_R_RBX(%r10)
        mov     %rbp, LDR_R_RBP(%r10)
        mov     %r12, LDR_R_R12(%r10)
        mov     %r13, LDR_R_R13(%r10)
        mov     %r14, LDR_R_R14(%r10)
        pop     %r14                            // saved above; comes back from the record
        mov     %r14, LDR_R_RET(%r10)
        mov     %rsp, LDR_R_RSP(%r10)
        .byte   0x48, 0xb8                      // movabs $instance, %rax
        hole    \name, LDR_HOLE_INST
        .quad   0
        mov     %rax, LDR_R_INST(%r10)
        .byte   0x49, 0xbf                      // movabs $window, %r15
        hole    \name, LDR_HOLE_WINDOW
        .quad   0
.if \domain
        movl    $LDR_KIND_DOMAIN, LDR_R_KIND(%r10)
        xor     %eax, %eax
        lock cmpxchg %r11, P(LDR_P_OWNER)
        jne     6f
1:      add     $LDR_R_SIZE, %r10
        mov     %r10, LDR_T_TOP(%r11)
        mov     %r11, P(LDR_P_THREAD)
        cmpl    $0, P(LDR_P_STOP)
        jne     7f
.else
        movl    $LDR_KIND_STORE, LDR_R_KIND(%r10)
        add     $LDR_R_SIZE, %r10
        mov     %r10, LDR_T_TOP(%r11)
        mov     %r11, P(LDR_P_THREAD)
.endif
.if \args
        mov     LDR_R_R15 - LDR_R_SIZE(%r10), %r14
        .byte   0xb8                            // mov $bytes, %eax
        hole    \name, LDR_HOLE_ARGS
        .long   0
11:     sub     $16, %eax
        vmovups -CTX_RESULTS(%r14,%rax), %xmm8
        vmovups %xmm8, -CTX_RESULTS(%r15,%rax)
        jnz     11b
.endif
        xor     %eax, %eax
        xor     %r10d, %r10d
        xor     %r11d, %r11d
        xor     %r14d, %r14d
        .byte   0xe8                            // call callee
        hole    \name, LDR_HOLE_CALLEE
        .long   0
        mov     P(LDR_P_THREAD), %r11
        mov     LDR_T_TOP(%r11), %r10
        sub     $LDR_R_SIZE, %r10
.if \results
        mov     LDR_R_R15(%r10), %r14
        .byte   0xb9                            // mov $bytes, %ecx
        hole    \name, LDR_HOLE_BYTES
        .long   0
2:      sub     $16, %ecx
        vmovups -CTX_RESULTS(%r15,%rcx), %xmm1
        vmovups %xmm1, -CTX_RESULTS(%r14,%rcx)
        jnz     2b
.endif
.if \domain
        cmpl    $LDR_KIND_NESTED, LDR_R_KIND(%r10)
        je      3f
        // Plain store, then a look at the waiters would need a fence between: the exchange is one.
        xor     %r14d, %r14d
        xchg    %r14, P(LDR_P_OWNER)
        cmp     %r14, %r11                      // a waiter leaves its mark in the owner's word
        jne     8f
3:
.endif
        mov     LDR_R_R15(%r10), %r15
        mov     %r10, LDR_T_TOP(%r11)
.if \domain
        cmpl    $0, P(LDR_P_STOP)
        jne     4f
.endif
        mov     LDR_R_RBX(%r10), %rbx
        mov     LDR_R_RBP(%r10), %rbp
        mov     LDR_R_R12(%r10), %r12
        mov     LDR_R_R13(%r10), %r13
        mov     LDR_R_R14(%r10), %r14
        push    LDR_R_RET(%r10)
        xor     %r10d, %r10d
        xor     %r11d, %r11d
        ret
        int3
5:      .byte   0xe9                            // no room for a record: the caller's stack is exhausted
        hole    \name, LDR_HOLE_FULL
        .long   0
.if \domain
4:      .byte   0xe9                            // the caller was killed meanwhile
        hole    \name, LDR_HOLE_STOP
        .long   0
6:      cmp     %rax, %r11                      // ours already: a nested entry
        je      10f
        andq    $-2, %rax                       // perhaps with a waiter's mark
        cmp     %rax, %r11
        je      10f
        .byte   0xe8                            // call ldr_cross_wait: comes back with the monitor
        hole    \name, LDR_HOLE_WAIT
        .long   0
        jmp     1b
10:     movl    $LDR_KIND_NESTED, LDR_R_KIND(%r10)
        jmp     1b
7:      .byte   0xe9
        hole    \name, LDR_HOLE_DEAD
        .long   0
8:      .byte   0xe8                            // call ldr_cross_leave: wakes who waits
        hole    \name, LDR_HOLE_LEAVE
        .long   0
        jmp     3b
.endif
        .balign 32, 0xcc
        .globl \name\()_end
\name\()_end:
        .pushsection .rodata.ldr_holes, "a"
        .long 0, 0
        .popsection
.endm

        .text
        link    ldr_link_store, 0, 0, 0
        link    ldr_link_store_results, 0, 0, 1
        link    ldr_link_store_args, 0, 1, 0
        link    ldr_link_store_args_results, 0, 1, 1
        link    ldr_link_domain, 1, 0, 0
        link    ldr_link_domain_results, 1, 0, 1
        link    ldr_link_domain_args, 1, 1, 0
        link    ldr_link_domain_args_results, 1, 1, 1

// ---- Cold paths of the crossing stubs -------------------------------------------------------------------------------------------
// The caller has no room for another record. Still its own r15 and stack.
        .globl  ldr_cross_full
ldr_cross_full:
        mov     LDR_T_CSP(%r11), %rax
        mov     %rsp, LDR_T_MSP(%r11)
        mov     %rax, %rsp
        mov     P(LDR_P_INSTANCE), %rdi
        call    ldr_stack_full
        ud2

// Back in a caller (r15, records) that must not go on.
        .globl  ldr_cross_stop
ldr_cross_stop:
        mov     LDR_R_RSP(%r10), %rax
        sub     $8, %rax
        mov     %rax, LDR_T_MSP(%r11)           // where its return address was
        mov     LDR_R_RET(%r10), %rcx
        mov     %rcx, (%rax)
        mov     LDR_T_CSP(%r11), %rsp
        mov     P(LDR_P_INSTANCE), %rdi
        call    ldr_stopped
        ud2

// The callee was dead on arrival: the record is the topmost. Leaves like an unwinding.
        .globl  ldr_cross_dead
ldr_cross_dead:
        mov     LDR_T_CSP(%r11), %rsp
        mov     P(LDR_P_INSTANCE), %rdi
        mov     %r11, %rsi
        call    ldr_arrived_dead
        ud2

// All that vzeroall clears. That one is microcode; these are done with when they are renamed.
.macro clear_vectors
.irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        vpxor   %xmm\n, %xmm\n, %xmm\n
.endr
.endm

// struct ldr_args: the argument registers.
.macro spill
        spill_integers
        spill_vectors
.endm
.macro spill_integers
        mov     %rdi, LDR_A_INT(%rsp)
        mov     %rsi, LDR_A_INT+8(%rsp)
        mov     %rdx, LDR_A_INT+16(%rsp)
        mov     %rcx, LDR_A_INT+24(%rsp)
        mov     %r8, LDR_A_INT+32(%rsp)
        mov     %r9, LDR_A_INT+40(%rsp)
.endm
.macro spill_vectors
        vmovups %xmm0, LDR_A_FP(%rsp)
        vmovups %xmm1, LDR_A_FP+16(%rsp)
        vmovups %xmm2, LDR_A_FP+32(%rsp)
        vmovups %xmm3, LDR_A_FP+48(%rsp)
        vmovups %xmm4, LDR_A_FP+64(%rsp)
        vmovups %xmm5, LDR_A_FP+80(%rsp)
        vmovups %xmm6, LDR_A_FP+96(%rsp)
        vmovups %xmm7, LDR_A_FP+112(%rsp)
.endm
// The same from `base`, struct ldr_entry beginning alike. base may be rsi.
.macro unspill base
        unspill_vectors \base
        unspill_integers \base
.endm
.macro unspill_vectors base
        vmovups LDR_A_FP(\base), %xmm0
        vmovups LDR_A_FP+16(\base), %xmm1
        vmovups LDR_A_FP+32(\base), %xmm2
        vmovups LDR_A_FP+48(\base), %xmm3
        vmovups LDR_A_FP+64(\base), %xmm4
        vmovups LDR_A_FP+80(\base), %xmm5
        vmovups LDR_A_FP+96(\base), %xmm6
        vmovups LDR_A_FP+112(\base), %xmm7
.endm
.macro unspill_integers base
        mov     LDR_A_INT(\base), %rdi
        mov     LDR_A_INT+16(\base), %rdx
        mov     LDR_A_INT+24(\base), %rcx
        mov     LDR_A_INT+32(\base), %r8
        mov     LDR_A_INT+40(\base), %r9
        mov     LDR_A_INT+8(\base), %rsi
.endm

// Somebody else is in the callee (r15). r10 = record, not yet pushed; r11 = thread. The argument registers live.
        .globl  ldr_cross_wait
ldr_cross_wait:
        pop     %r14                            // dead here: back into the stub
        mov     %rsp, %r12                      // saved in the record already, as rbx and rbp are
        mov     %r10, %rbx
        mov     %r11, %rbp
        mov     LDR_T_CSP(%r11), %rsp
        sub     $LDR_A_SIZE, %rsp
        spill
        mov     P(LDR_P_INSTANCE), %rdi
        mov     %rbp, %rsi
        call    ldr_monitor_enter               // waits; in the end it is ours
        unspill %rsp
        mov     %rbx, %r10
        mov     %rbp, %r11
        mov     %r12, %rsp
        push    %r14
        ret
        int3

// Left the callee (r15) while others wait. Keeps rax and xmm0, the callee's results.
        .globl  ldr_cross_leave
ldr_cross_leave:
        pop     %r14
        mov     %rsp, %r12
        mov     %r10, %rbx
        mov     %r11, %rbp
        mov     %rax, %r13
        mov     LDR_T_CSP(%r11), %rsp
        sub     $LDR_A_SIZE, %rsp
        spill
        mov     P(LDR_P_INSTANCE), %rdi
        call    ldr_plat_wake
        unspill %rsp
        mov     %rbx, %r10
        mov     %rbp, %r11
        mov     %r13, %rax
        mov     %r12, %rsp
        push    %r14
        ret
        int3

// ---- Host calls ------------------------------------------------------------------------------------------------------------------
// From a thunk, by call; the module's return address lies above ours. r11 = struct ldr_link.
        .globl  ldr_host_save
ldr_host_save:
        mov     P(LDR_P_THREAD), %rax
        lea     8(%rsp), %r10                   // the module's, our return address dropped
        mov     %r10, LDR_T_MSP(%rax)
        mov     LDR_T_CSP(%rax), %rsp
        cmp     LDR_T_CLIMIT(%rax), %rsp
        jb      2f
        sub     $LDR_A_SIZE, %rsp
        spill_integers
        cmpq    $0, LDR_L_PLACE(%r11)           // all arguments are integers: nobody looks at the others
        je      1f
        spill_vectors
1:      mov     %r11, LDR_A_LINK(%rsp)
        mov     %r10, LDR_A_RSP(%rsp)
        lea     -CTX_RESULTS(%r15), %rax
        mov     %rax, LDR_A_OTHERS(%rsp)
        mov     P(LDR_P_INSTANCE), %rdi
        mov     %rsp, %rsi
        push    -8(%r10)
        ret
        int3
2:      mov     P(LDR_P_INSTANCE), %rdi         // calls back and forth have used up the C stack
        call    ldr_stack_full
        ud2

// From the thunk, by jump, when the function has returned: rax = its result.
        .globl  ldr_host_restore
ldr_host_restore:
        cmpl    $0, P(LDR_P_STOP)
        jne     1f
        mov     LDR_A_RSP(%rsp), %rsp
        clear_vectors
        vmovq   %rax, %xmm0
        xor     %ecx, %ecx
        xor     %edx, %edx
        xor     %esi, %esi
        xor     %edi, %edi
        xor     %r8d, %r8d
        xor     %r9d, %r9d
        xor     %r10d, %r10d
        xor     %r11d, %r11d
        ret
        int3
1:      mov     P(LDR_P_INSTANCE), %rdi
        call    ldr_stopped
        ud2

// ---- C to module -----------------------------------------------------------------------------------------------------------------
// int ldr_enter(struct ldr_thread *, struct ldr_entry *, uint64_t code, uint64_t window, uint64_t rsp, struct ldr_instance *): 0 when the function
// returned, 1 when it was unwound. What decides where it goes comes in registers: until the return in ldr_call_rax has its target, nothing is fetched.
// The caller has put further arguments into the context, has seen to room below rsp and among the records, and holds the monitor.
        .globl  ldr_enter
ldr_enter:
        push    %rbp
        push    %rbx
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        sub     $24, %rsp                       // 16-aligned again
        mov     %rsi, 8(%rsp)
        stmxcsr 16(%rsp)
        movl    $LDR_MXCSR, 20(%rsp)
        ldmxcsr 20(%rsp)                        // DF is clear: C's convention
        mov     LDR_T_TOP(%rdi), %r10
        mov     %rsp, LDR_R_RSP(%r10)
        movl    $LDR_KIND_ENTER, LDR_R_KIND(%r10)
        mov     LDR_T_CSP(%rdi), %rax
        mov     %rax, LDR_R_CSP(%r10)
        mov     LDR_T_MSP(%rdi), %rax
        mov     %rax, LDR_R_MSP(%r10)
        mov     %r9, LDR_R_INST(%r10)
        mov     %rcx, %r15
        mov     %rsp, LDR_T_CSP(%rdi)
        add     $LDR_R_SIZE, %r10
        mov     %r10, LDR_T_TOP(%rdi)
        mov     %rdi, P(LDR_P_THREAD)
        mov     %r8, %rsp
        mov     %rdx, %rax
        clear_vectors
        cmpl    $0, LDR_E_VECTORS(%rsi)
        je      1f
        unspill_vectors %rsi
1:      unspill_integers %rsi
        xor     %ebx, %ebx
        xor     %ebp, %ebp
        xor     %r10d, %r10d
        xor     %r11d, %r11d
        xor     %r12d, %r12d
        xor     %r13d, %r13d
        xor     %r14d, %r14d
        call    ldr_call_rax
        mov     P(LDR_P_THREAD), %rdi
        mov     LDR_T_TOP(%rdi), %r10
        sub     $LDR_R_SIZE, %r10
        mov     LDR_R_RSP(%r10), %rsp
        mov     8(%rsp), %rsi
        mov     %rax, LDR_E_RAX(%rsi)
        vmovups %xmm0, LDR_E_XMM0(%rsi)
        xor     %eax, %eax
enter_leave: // rdi = thread, r10 = its record, rsp = the record's
        mov     %r10, LDR_T_TOP(%rdi)
        mov     LDR_R_CSP(%r10), %rcx
        mov     %rcx, LDR_T_CSP(%rdi)
        mov     LDR_R_MSP(%r10), %rcx
        mov     %rcx, LDR_T_MSP(%rdi)
        ldmxcsr 16(%rsp)
        add     $24, %rsp
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbx
        pop     %rbp
        ret
        int3

// An indirect call that the branch target predictor, which modules can train, does not steer (SFI S2). Clears rax.
ldr_call_rax:
        call    2f
1:      pause
        lfence
        jmp     1b
2:      mov     %rax, (%rsp)
        xor     %eax, %eax
        ret
        int3

// ---- Unwinding --------------------------------------------------------------------------------------------------------------------
// _Noreturn void ldr_unwind(struct ldr_thread *, struct ldr_record *): drops everything above the record, and leaves through it. Entered by a
// call, or from a fault handler with rsp anywhere.
        .globl  ldr_unwind
ldr_unwind:
        cld
        mov     LDR_T_CSP(%rdi), %rsp
        mov     %rsi, %r10
        mov     $16, %ecx                       // the return predictor still holds what was dropped (SFI S3)
1:      call    2f
        int3
2:      call    3f
        int3
3:      sub     $1, %ecx
        jnz     1b
        cmpl    $LDR_KIND_ENTER, LDR_R_KIND(%r10)
        mov     LDR_R_RSP(%r10), %rsp
        mov     $1, %eax
        je      enter_leave
        mov     %rdi, %r11
        mov     LDR_R_R15(%r10), %r15
        mov     %r10, LDR_T_TOP(%r11)
        cmpl    $0, P(LDR_P_STOP)
        jne     ldr_cross_stop
        mov     LDR_R_RBX(%r10), %rbx
        mov     LDR_R_RBP(%r10), %rbp
        mov     LDR_R_R12(%r10), %r12
        mov     LDR_R_R13(%r10), %r13
        mov     LDR_R_R14(%r10), %r14
        push    LDR_R_RET(%r10)
        vzeroall
        mov     $E_DEAD, %rax
        xor     %ecx, %ecx
        xor     %edx, %edx
        xor     %esi, %esi
        xor     %edi, %edi
        xor     %r8d, %r8d
        xor     %r9d, %r9d
        xor     %r10d, %r10d
        xor     %r11d, %r11d
        ret
        int3

// ---- Leaving the compiler ---------------------------------------------------------------------------------------------------------
// int ldr_protect(struct ldr_jump *, void (*fn)(void *), void *arg): 0 when fn returned, 1 when somebody in it called
// ldr_jump() with the same jump.
        .globl  ldr_protect
ldr_protect:
        push    %rbp
        push    %rbx
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        push    %rdi
        mov     %rsp, (%rdi)
        mov     %rdx, %rdi
        mov     %rsi, %rax
        call    ldr_call_rax
        xor     %eax, %eax
1:      pop     %rdi
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbx
        pop     %rbp
        ret
        int3
// _Noreturn void ldr_jump(struct ldr_jump *)
        .globl  ldr_jump
ldr_jump:
        mov     (%rdi), %rsp
        mov     $1, %eax
        jmp     1b

        .section .note.GNU-stack, "", @progbits
