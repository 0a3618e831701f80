// ap.S — the first instructions of every CPU but the one that booted: from real mode to smp_ap_main() in the kernel image.
//
// smp.c copies [ap_code, ap_code_end) to a page below 1 MiB, fills in the words at its end and sends a start-up IPI with that
// page's number (Intel SDM volume 3A, 9.4.4): the CPU begins at its first byte, in real mode, cs = page × 256. Real mode goes to
// long mode at once (PE and PG are set together), on page tables that map this page and the kernel.
//
// It is data here: nothing of it is executed where it is linked.
#include "sasos/arch/offsets.h"

#define CR0_PE_ET_NE_WP_PG 0x80010031
#define CR4_PAE 0x20
#define MSR_EFER 0xc0000080
#define EFER_LME_NXE 0x900
#define AT(symbol) (symbol - ap_code)

        .section .rodata.ap, "a"
        .balign 16
        .globl ap_code
ap_code:
        .code16
        cli
        cld
        movw    %cs, %ax
        movw    %ax, %ds
        lgdtl   AT(ap_gdt_pointer)
        movl    AT(ap_cr3), %eax
        movl    %eax, %cr3
        movl    $CR4_PAE, %eax
        movl    %eax, %cr4
        movl    $MSR_EFER, %ecx
        movl    $EFER_LME_NXE, %eax
        xorl    %edx, %edx
        wrmsr
        movl    $CR0_PE_ET_NE_WP_PG, %eax
        movl    %eax, %cr0
        ljmpl   *AT(ap_far)
        .code64
        .globl ap_long
ap_long:
        movl    $SEL_DATA, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movq    ap_stack(%rip), %rsp
        movq    ap_cpu(%rip), %rdi
        movq    ap_entry(%rip), %rax
        xorl    %ebp, %ebp
        pushq   %rbp // return address of nobody: a backtrace ends here
        jmpq    *%rax

        .balign 8
ap_gdt:
        .quad 0, 0x00209b0000000000, 0x0000930000000000 // as arch/trap.c
        .globl ap_gdt_pointer, ap_far, ap_cr3, ap_stack, ap_cpu, ap_entry
ap_gdt_pointer:
        .word . - ap_gdt - 1
        .long AT(ap_gdt) // + page
ap_far:
        .long AT(ap_long) // + page
        .word SEL_CODE
ap_cr3:
        .long 0
        .balign 8
ap_stack:
        .quad 0
ap_cpu:
        .quad 0
ap_entry:
        .quad 0
        .globl ap_code_end
ap_code_end:
        .section .note.GNU-stack, "", @progbits
