// bulk.S — memory.copy and memory.fill of a few bytes, without leaving the module's stack.
//
// Compilers make every struct copy and most calls of memcpy and memset these operators, so a host call for each would cost more than the
// bytes. From the thunk, by jump: rdi, rsi, rdx = the arguments as sandboxed code left them, upper halves unknown; r11 = struct ldr_link.
// What is short and lies wholly in the memory's pages or in the largest of the host's pieces above them (DMA area, channels) is
// done here; all else (long, trapping, device areas, overlaps that have to go backwards) becomes the host call that it would have been, with
// nothing written yet.
//
// Every address is the window plus 32 bits plus at most SHORT: whatever a mispredicted comparison lets through stays in the slot. Touches
// neither the stack nor a saved register, and leaves nothing of the kernel in a register; interrupted here, the thread is in
// trusted code and not unwound, for at most SHORT bytes.
#include "loader/cross.h"

#define CTX_MEM_PAGES 0x105000 // SFI_CTX_MEM_PAGES, asserted in offsets.c
#define PAGE_SHIFT 16          // of WebAssembly's pages
#define SHORT 2048             // a frame of a network is shorter
#define P(field) (field - 0x106000)(%r15) // SFI_CTX_PRIVATE, likewise

// Is [reg, reg + rdx) in the memory, whose size is in rax? If not, on at `or`, behind the routine, which asks for the piece above it. Both spoil rcx.
.macro inside reg, or
        lea     (\reg,%rdx), %rcx
        cmp     %rax, %rcx
        ja      \or\()f
.endm
.macro in_extent reg
        mov     \reg, %rcx
        sub     P(LDR_P_EXTENT_AT), %rcx
        jb      9f
        add     %rdx, %rcx
        cmp     P(LDR_P_EXTENT_SIZE), %rcx
        ja      9f
.endm

.macro memory_size
        mov     -CTX_MEM_PAGES(%r15), %eax
        shl     $PAGE_SHIFT, %rax
.endm

.macro leave
        xor     %eax, %eax
        xor     %r11d, %r11d
        ret
        int3
.endm

        .text
        .balign 32
        .globl  ldr_bulk_copy
ldr_bulk_copy:
        mov     %edx, %edx
        cmp     $SHORT, %edx
        ja      9f
        mov     %edi, %edi
        mov     %esi, %esi
        memory_size
        inside  %rdi, 11
12:     inside  %rsi, 13
14:     add     %r15, %rdi
        add     %r15, %rsi
        cmp     $16, %edx
        jb      2f
        cmp     $32, %edx
        ja      1f
        vmovups (%rsi), %xmm0                   // up to 128 bytes: every load comes before every store
        vmovups -16(%rsi,%rdx), %xmm1
        vmovups %xmm0, (%rdi)
        vmovups %xmm1, -16(%rdi,%rdx)
        leave
1:      vmovups (%rsi), %xmm0
        vmovups 16(%rsi), %xmm1
        vmovups -32(%rsi,%rdx), %xmm2
        vmovups -16(%rsi,%rdx), %xmm3
        cmp     $64, %edx
        ja      5f
        vmovups %xmm0, (%rdi)
        vmovups %xmm1, 16(%rdi)
        vmovups %xmm2, -32(%rdi,%rdx)
        vmovups %xmm3, -16(%rdi,%rdx)
        leave
2:      cmp     $8, %edx
        jb      3f
        mov     (%rsi), %rax
        mov     -8(%rsi,%rdx), %rcx
        mov     %rax, (%rdi)
        mov     %rcx, -8(%rdi,%rdx)
        leave
3:      cmp     $4, %edx
        jb      4f
        mov     (%rsi), %eax
        mov     -4(%rsi,%rdx), %ecx
        mov     %eax, (%rdi)
        mov     %ecx, -4(%rdi,%rdx)
        leave
4:      test    %edx, %edx
        jz      8f
        movzbl  (%rsi), %eax                    // 1 to 3: first, middle, last
        movzbl  -1(%rsi,%rdx), %ecx
        mov     %edx, %r8d
        shr     $1, %r8d
        movzbl  (%rsi,%r8), %r9d
        mov     %al, (%rdi)
        mov     %r9b, (%rdi,%r8)
        mov     %cl, -1(%rdi,%rdx)
8:      leave
5:      cmp     $128, %edx
        ja      6f
        vmovups -64(%rsi,%rdx), %xmm4
        vmovups -48(%rsi,%rdx), %xmm5
        vmovups 32(%rsi), %xmm6
        vmovups 48(%rsi), %xmm7
        vmovups %xmm0, (%rdi)
        vmovups %xmm1, 16(%rdi)
        vmovups %xmm6, 32(%rdi)
        vmovups %xmm7, 48(%rdi)
        vmovups %xmm4, -64(%rdi,%rdx)
        vmovups %xmm5, -48(%rdi,%rdx)
        vmovups %xmm2, -32(%rdi,%rdx)
        vmovups %xmm3, -16(%rdi,%rdx)
        leave
6:      mov     %rdi, %rax                      // upwards, 64 bytes a round; the last 64 are loaded before
        sub     %rsi, %rax
        cmp     %rdx, %rax
        jb      10f                             // the source's end would be overwritten before it is read
        vmovups -64(%rsi,%rdx), %ymm2
        vmovups -32(%rsi,%rdx), %ymm3
        lea     -64(%rdi,%rdx), %rcx
        sub     %rdi, %rsi
7:      vmovups (%rdi,%rsi), %ymm0
        vmovups 32(%rdi,%rsi), %ymm1
        vmovups %ymm0, (%rdi)
        vmovups %ymm1, 32(%rdi)
        add     $64, %rdi
        cmp     %rcx, %rdi
        jb      7b
        vmovups %ymm2, (%rcx)
        vmovups %ymm3, 32(%rcx)
        vzeroupper                              // as sandboxed code has them
        leave
11:     in_extent %rdi
        jmp     12b
13:     in_extent %rsi
        jmp     14b
10:     sub     %r15, %rdi
        sub     %r15, %rsi
9:      call    ldr_host_save
        call    ldr_builtin_copy
        jmp     ldr_host_restore

        .balign 32
        .globl  ldr_bulk_fill
ldr_bulk_fill:
        mov     %edx, %edx
        cmp     $SHORT, %edx
        ja      9f
        mov     %edi, %edi
        memory_size
        inside  %rdi, 11
12:     add     %r15, %rdi
        vmovd   %esi, %xmm0
        vpxor   %xmm1, %xmm1, %xmm1
        vpshufb %xmm1, %xmm0, %xmm0             // the lowest byte, 16 times
        cmp     $16, %edx
        jb      2f
        lea     -16(%rdi,%rdx), %rcx
1:      vmovups %xmm0, (%rdi)
        add     $16, %rdi
        cmp     %rcx, %rdi
        jb      1b
        vmovups %xmm0, (%rcx)
        leave
2:      vmovq   %xmm0, %rax
        cmp     $8, %edx
        jb      3f
        mov     %rax, (%rdi)
        mov     %rax, -8(%rdi,%rdx)
        leave
3:      cmp     $4, %edx
        jb      4f
        mov     %eax, (%rdi)
        mov     %eax, -4(%rdi,%rdx)
        leave
4:      test    %edx, %edx
        jz      8f
        mov     %edx, %ecx
        shr     $1, %ecx
        mov     %al, (%rdi)
        mov     %al, (%rdi,%rcx)
        mov     %al, -1(%rdi,%rdx)
8:      leave
11:     in_extent %rdi
        jmp     12b
9:      call    ldr_host_save
        call    ldr_builtin_fill
        jmp     ldr_host_restore

        .section .note.GNU-stack, "", @progbits
