// trap.h — exceptions and interrupts: the frame every entry makes, and who is asked about it.
//
// Every vector enters through an IST stack with interrupts off, DF clear and AC clear, so the interrupted rsp, which may be
// a module's, is never written (SFI I2). Exceptions except NMI, #DF and #MC are then copied to the CPU's fault stack, so
// that a second fault in the handler cannot overwrite the first one's frame (SFI I4); it is a panic with both.
//
// Dispatch of #PF, #UD, #DE, #GP, #SS: where rip lies in the code arena, or the fault address in the sandbox slots or in a
// stack guard, the sandbox hook is asked first. It returns true when it has claimed the trap and edited the frame (rip, rsp,
// registers) to where execution shall go on; it runs with interrupts off on the fault stack, must not block, allocate or
// fault. Anything unclaimed is a panic.
//
// The tick hook is called from the timer interrupt with the interrupted frame, so that a runaway can be redirected while rip
// is in sandboxed code; same rules. The stop hook likewise, when smp_stop_sandboxed() was called.
//
// A device can raise any vector ≥ 16 (and QEMU lets it forge them): an exception vector whose in-service bit is set in the
// local APIC is counted as a spurious interrupt and ended.
#ifndef SASOS_ARCH_TRAP_H
#define SASOS_ARCH_TRAP_H
#include <stdbool.h>
#include <stdint.h>

struct trap_frame { // offsets are known to arch/entry.S
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss;
};

enum trap_vector {
    TRAP_DE = 0,
    TRAP_DB = 1,
    TRAP_NMI = 2,
    TRAP_UD = 6,
    TRAP_DF = 8,
    TRAP_SS = 12,
    TRAP_GP = 13,
    TRAP_PF = 14,
    TRAP_MC = 18,
};

#define TRAP_PF_PRESENT (1u << 0)
#define TRAP_PF_WRITE (1u << 1)
#define TRAP_PF_FETCH (1u << 4)

// `address` is CR2 for #PF, else 0.
typedef bool trap_sandbox_hook_fn(struct trap_frame *frame, uint64_t address);
typedef void trap_tick_hook_fn(struct trap_frame *frame);
typedef void trap_stop_hook_fn(struct trap_frame *frame);

void trap_init_early(void); // IDT on static stacks: the rest of the boot can panic
void trap_init(void);       // stacks with guards, after memory is up
// Another CPU: its stacks, made by the one that starts it (false: no memory); then, on itself, GDT, TSS and IDT.
struct cpu;
bool trap_prepare(struct cpu *c);
void trap_load(void);
void trap_set_sandbox_hook(trap_sandbox_hook_fn *hook);
void trap_set_tick_hook(trap_tick_hook_fn *hook);
void trap_set_stop_hook(trap_stop_hook_fn *hook);
const char *trap_name(uint64_t vector);

// Where sandboxed code runs and what it may fault on; the three questions of the dispatcher.
bool trap_in_arena(uint64_t rip);
bool trap_in_slots(uint64_t address);
bool trap_in_stack_guard(uint64_t address);

void trap_tick(struct trap_frame *frame); // for irq.c and smp.c
void trap_stop(struct trap_frame *frame);
uint64_t trap_nmi_count(void);
uint64_t trap_forged_count(void); // interrupts that came in on exception vectors
#endif
