# ldr_code.S — hand-made module code for test_ldr_esc.c: what no compiler would emit, but the verifier accepts.
#
# Each block is laid out as sfi.h says: thunks (all CC), then functions. Thunk 32 is the module's first import.
        .bundle_align_mode 5
        .text
        .macro thunks
        .p2align 5
        .fill 33 * 32, 1, 0xcc
        .endm

# f: calls the import, then stores every register it may read into memory from 0x1000, then calls g.
# g: a frame of 4096 bytes that it has not written, copied into memory from 0x2000.
        .globl ldr_look, ldr_look_f, ldr_look_g, ldr_look_end
        .p2align 5
ldr_look:
        thunks
        .p2align 5
ldr_look_f:
        call    ldr_look + 32 * 32
        mov     %rax, 0x1000(%r15)
        mov     %rcx, 0x1008(%r15)
        mov     %rdx, 0x1010(%r15)
        mov     %rbx, 0x1018(%r15)
        mov     %rbp, 0x1020(%r15)
        mov     %rsi, 0x1028(%r15)
        mov     %rdi, 0x1030(%r15)
        mov     %r8, 0x1038(%r15)
        mov     %r9, 0x1040(%r15)
        mov     %r10, 0x1048(%r15)
        mov     %r11, 0x1050(%r15)
        mov     %r12, 0x1058(%r15)
        mov     %r13, 0x1060(%r15)
        mov     %r14, 0x1068(%r15)
        .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        vmovups %xmm\n, 0x1070 + 16 * \n(%r15)
        .endr
        call    ldr_look_g
        ret
        int3
        .balign 32, 0xcc
ldr_look_g:
        sub     $4096, %rsp
        .set    at, 0
        .rept   512
        mov     at(%rsp), %rax
        mov     %rax, 0x2000 + at(%r15)
        .set    at, at + 8
        .endr
        add     $4096, %rsp
        ret
        int3
        .balign 32, 0xcc
ldr_look_end:

# f: calls built-in number (first argument) with the five other arguments, which may be anything.
        .globl ldr_wild, ldr_wild_f, ldr_wild_end
        .p2align 5
ldr_wild:
        thunks
        .p2align 5
ldr_wild_f:
        mov     %rdi, %rax
        mov     %rsi, %rdi
        mov     %rdx, %rsi
        mov     %rcx, %rdx
        mov     %r8, %rcx
        mov     %r9, %r8
        .set    thunk, 0
        .rept   32
        cmp     $thunk, %eax
        jne     1f
        call    ldr_wild + 32 * thunk
        ret
        int3
        .balign 32, 0xcc
1:
        .set    thunk, thunk + 1
        .endr
        ret
        int3
        .balign 32, 0xcc
ldr_wild_end:
# A host function that leaves a secret wherever one can be left: on its stack, in every register that is not callee-saved.
        .globl ldr_leaky
        .p2align 5
ldr_leaky:
        mov     ldr_leaky_secret(%rip), %rdx
        .rept   64
        push    %rdx
        .endr
        .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        vmovq   %rdx, %xmm\n
        vpunpcklqdq %xmm\n, %xmm\n, %xmm\n
        .endr
        mov     %rsp, ldr_leaky_stack(%rip)
        add     $512, %rsp
        mov     %rdx, %rcx
        mov     %rdx, %rsi
        mov     %rdx, %rdi
        mov     %rdx, %r8
        mov     %rdx, %r9
        mov     %rdx, %r10
        mov     %rdx, %r11
        mov     $7, %eax
        ret
        .data
        .globl ldr_leaky_secret, ldr_leaky_stack
        .balign 8
ldr_leaky_secret:
        .quad   0x5ec2e75ec2e75ec2
ldr_leaky_stack:
        .quad   0
        .section .note.GNU-stack, "", @progbits
