// rings.S — see rings.h: the ways into and out of ring 3, and the loops around them. Clobbers what a C function may.
//
// rings_run(entry, n) starts ring 3 at `entry` with n in ebx. Each system call with eax = 0 is one that is measured; eax = 1 ends
// the loop: the kernel's stack is taken back where rings_run() left it. Two processes, for rings_call: struct process of rings.c.
    .text

    .globl rings_plain // (n)
rings_plain:
1:  call 2f
    decl %edi
    jnz 1b
    ret
2:  ret

    .globl rings_cr3 // (n / 2, one, the other)
rings_cr3:
1:  movq %rsi, %cr3
    movq %rdx, %cr3
    decl %edi
    jnz 1b
    ret

    .globl rings_run
rings_run:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, kernel_rsp(%rip)
    movq %rdi, %rcx
    movl %esi, %ebx
    movl $2, %r11d // flags: interrupts off
    sysretq

// System call: nothing to do but to take the kernel's stack and to leave it again.
    .globl rings_syscall
rings_syscall:
    movq %rsp, user_rsp(%rip)
    movq kernel_rsp(%rip), %rsp
    testl %eax, %eax
    jnz leave
    movq user_rsp(%rip), %rsp
    sysretq

// System call: to the other process.
    .globl rings_call
rings_call:
    testl %eax, %eax
    jnz 1f
    movq rings_current(%rip), %r8
    movq %rcx, 0(%r8)
    movq %r11, 8(%r8)
    movq %rsp, 16(%r8)
    movq 32(%r8), %r8
    movq %r8, rings_current(%rip)
    movq 24(%r8), %r9
    movq %r9, %cr3
    movq 0(%r8), %rcx
    movq 8(%r8), %r11
    movq 16(%r8), %rsp
    sysretq
1:  movq kernel_rsp(%rip), %rsp
leave:
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret

    .globl rings_int
rings_int:
    iretq

// ---- ring 3: copied to a page of its own ----
    .globl rings_user, rings_user_int, rings_user_server, rings_user_end
rings_user:
1:  xorl %eax, %eax
    syscall
    decl %ebx
    jnz 1b
    movl $1, %eax
    syscall
rings_user_int:
1:  int $0x80
    decl %ebx
    jnz 1b
    movl $1, %eax
    syscall
rings_user_server:
1:  xorl %eax, %eax
    syscall
    jmp 1b
rings_user_end:

    .bss
    .balign 8
    .globl rings_current
rings_current: .skip 8
kernel_rsp: .skip 8
user_rsp: .skip 8
    .section .note.GNU-stack, "", @progbits
