// exec_enter.S — into foreign code and back: see exec.c. All state is in exec_state: 16 GPRs in encoding order, rip, rflags,
// MXCSR (32 bits, and 32 unused), then xmm0–15 at 160.
    .text
    .globl exec_enter, exec_return, exec_abort
    .type exec_enter, @function
exec_enter:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, exec_host_rsp(%rip)
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    vmovups exec_state+160+16*\n(%rip), %xmm\n
    .endr
    pushq exec_state+136(%rip)
    popfq
    mov exec_state+0(%rip), %rax
    mov exec_state+8(%rip), %rcx
    mov exec_state+16(%rip), %rdx
    mov exec_state+24(%rip), %rbx
    mov exec_state+40(%rip), %rbp
    mov exec_state+48(%rip), %rsi
    mov exec_state+56(%rip), %rdi
    mov exec_state+64(%rip), %r8
    mov exec_state+72(%rip), %r9
    mov exec_state+80(%rip), %r10
    mov exec_state+88(%rip), %r11
    mov exec_state+96(%rip), %r12
    mov exec_state+104(%rip), %r13
    mov exec_state+112(%rip), %r14
    mov exec_state+120(%rip), %r15
    mov exec_state+32(%rip), %rsp
    jmp *exec_state+128(%rip)

// Where the code's return address points.
exec_return:
    mov %rsp, exec_state+32(%rip)
    mov %r15, exec_state+120(%rip)
    mov exec_host_rsp(%rip), %rsp
    pushfq
    popq exec_state+136(%rip)
    stmxcsr exec_state+144(%rip)
    movl $1, exec_returned(%rip)
// Where the signal handler goes on.
exec_abort:
    mov exec_host_rsp(%rip), %rsp
    cld
    ldmxcsr exec_host_mxcsr(%rip)
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret
    .section .note.GNU-stack, "", @progbits
