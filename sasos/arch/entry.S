// entry.S — every way into the kernel: from the boot application, from 256 vectors, from a thread that gives up the CPU;
// and the one way out, frame_resume.
//
// All vectors come in on IST stacks through interrupt gates: IF is clear, rsp is 16-aligned before the CPU pushes five words
// or, with an error code, six. So the word count shows in rsp's bit 3, which is looked at rather than assumed: a device that
// forges the vector of an exception with an error code would otherwise shift the frame.
// No swapgs: gs is set once. No sysret, no `mov ss`.
#include "sasos/arch/offsets.h"

.text

// ---- from the boot application: rdi = physical address of struct bootinfo -----------------------------------------------
.globl kernel_entry
.type kernel_entry, @function
kernel_entry:
    cli
    cld
    leaq boot_stack_top(%rip), %rsp // the boot application's stack is its own memory
    xorl %ebp, %ebp                 // end of every backtrace
    pushq %rbp
    pushq %rbp
    call kernel_main
    ud2
.size kernel_entry, . - kernel_entry

// Loads the data selectors and reloads cs after lgdt: rdi = struct of limit and base.
.globl cpu_load_gdt
.type cpu_load_gdt, @function
cpu_load_gdt:
    lgdt (%rdi)
    movl $SEL_DATA, %eax
    movl %eax, %ds
    movl %eax, %es
    xorl %eax, %eax
    movl %eax, %fs
    // ss is left for the iretq below: a `mov ss` would hold off debug exceptions, and none is to stand in the image.
    popq %rdx
    movq %rsp, %rcx
    pushq $SEL_DATA
    pushq %rcx
    pushfq
    pushq $SEL_CODE
    pushq %rdx
    iretq
.size cpu_load_gdt, . - cpu_load_gdt

// ---- 256 vectors ---------------------------------------------------------------------------------------------------------
.balign 32
.globl vector_stubs
.type vector_stubs, @function
vector_stubs:
.set n, 0
.rept 256
    .balign 32
    .if n == 8 || (n >= 10 && n <= 14) || n == 17 || n == 21 || n == 29 || n == 30
    testb $8, %spl // set: no error code was pushed, so it is no exception
    jz 1f
    .endif
    pushq $0
1:
    pushq $n
    .if n < 32
    jmp exception_entry
    .else
    jmp interrupt_entry
    .endif
    .set n, n + 1
.endr
.size vector_stubs, . - vector_stubs

.macro SAVE_REGISTERS
    pushq %rax
    pushq %rcx
    pushq %rdx
    pushq %rbx
    pushq %rbp
    pushq %rsi
    pushq %rdi
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    cld // modules cannot set DF or AC; a mistake there must not become the kernel's
    cmpb $0, cpu_has_smap(%rip)
    je 2f
    clac
2:
.endm

.type exception_entry, @function
exception_entry:
    SAVE_REGISTERS
    movq %rsp, %rdi
    movq FRAME_VECTOR(%rsp), %rax
    // NMI, #DF and #MC stay on their own IST: they may arrive while another handler is between any two instructions.
    cmpq $2, %rax
    je .Lstay
    cmpq $8, %rax
    je .Lstay
    cmpq $18, %rax
    je .Lstay
    cmpq $0, %gs:CPU_FAULT_DEPTH
    jne .Lnested
    // Leave the IST before anything can fault: the next fault of this vector starts at its top again.
    incq %gs:CPU_FAULT_DEPTH
    movq %rsp, %rsi
    movq %gs:CPU_FAULT_STACK_TOP, %rdi
    subq $FRAME_BYTES, %rdi
    movq %rdi, %rsp
    movl $(FRAME_BYTES / 8), %ecx
    rep movsq
    movq %rsp, %rdi
    call trap_exception
    decq %gs:CPU_FAULT_DEPTH
    movq %rsp, %rdi
    jmp frame_resume
.Lstay:
    call trap_immediate
    movq %rsp, %rdi
    jmp frame_resume
.Lnested:
    call trap_nested
    ud2
.size exception_entry, . - exception_entry

.type interrupt_entry, @function
interrupt_entry:
    SAVE_REGISTERS
    movq %rsp, %rdi
    call irq_dispatch // rax = the frame to go on with
    movq %rax, %rdi
    jmp frame_resume
.size interrupt_entry, . - interrupt_entry

// rdi = struct trap_frame, on a stack or in a struct thread: with interrupts off nothing is pushed below it.
.globl frame_resume
.type frame_resume, @function
frame_resume:
    movq %rdi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rdi
    popq %rsi
    popq %rbp
    popq %rbx
    popq %rdx
    popq %rcx
    popq %rax
    addq $16, %rsp
    iretq
.size frame_resume, . - frame_resume

// ---- a thread gives up the CPU: rdi = its struct trap_frame; interrupts are off and off again when it returns ------------
// Keeps what the calling convention preserves; the rest reads zero, so that nothing of an older preemption comes back.
.globl thread_switch_away
.type thread_switch_away, @function
thread_switch_away:
    movq %r15, FRAME_R15(%rdi)
    movq %r14, FRAME_R14(%rdi)
    movq %r13, FRAME_R13(%rdi)
    movq %r12, FRAME_R12(%rdi)
    movq %rbp, FRAME_RBP(%rdi)
    movq %rbx, FRAME_RBX(%rdi)
    xorl %eax, %eax
    movq %rax, FRAME_R11(%rdi)
    movq %rax, FRAME_R10(%rdi)
    movq %rax, FRAME_R9(%rdi)
    movq %rax, FRAME_R8(%rdi)
    movq %rax, FRAME_RDI(%rdi)
    movq %rax, FRAME_RSI(%rdi)
    movq %rax, FRAME_RDX(%rdi)
    movq %rax, FRAME_RCX(%rdi)
    movq %rax, FRAME_RAX(%rdi)
    movq %rax, FRAME_VECTOR(%rdi)
    movq %rax, FRAME_ERROR(%rdi)
    pushfq
    popq FRAME_RFLAGS(%rdi)
    popq FRAME_RIP(%rdi) // the return address; rsp is the caller's again
    movq %rsp, FRAME_RSP(%rdi)
    movq $SEL_CODE, FRAME_CS(%rdi)
    movq $SEL_DATA, FRAME_SS(%rdi)
    movq %gs:CPU_IRQ_STACK_TOP, %rsp // free while interrupts are off
    xorl %ebp, %ebp
    call thread_switch_to
    movq %rax, %rdi
    jmp frame_resume
.size thread_switch_away, . - thread_switch_away

// First instruction of a thread: rbx = function, r12 = argument (set in its frame by thr_create).
.globl thread_begin
.type thread_begin, @function
thread_begin:
    xorl %ebp, %ebp
    movq %r12, %rdi
    pushq %rbp // return address and frame of nobody: a backtrace ends here
    pushq %rbp
    movq %rsp, %rbp
    movq %rbx, %r11
    call __llvm_retpoline_r11 // as the compiler's indirect calls: no branch of the kernel is predicted from a module's
    call thr_exit
    ud2
.size thread_begin, . - thread_begin

.bss
.balign 4096
boot_stack:
    .skip 32768
.globl boot_stack_top
boot_stack_top:
