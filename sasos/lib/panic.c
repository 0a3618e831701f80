// panic.c — the last words: message, registers, symbolised backtrace; then the machine stops (panic.h).
//
// Nothing here trusts the state that it describes: frame pointers are followed only through mapped stack memory and only
// upwards, symbols only inside the ELF image as checked at boot, and a panic within the panic prints its own message and halts.
#include "sasos/lib/panic.h"
#include "efi/bootinfo.h"
#include "sasos/arch/cpu.h"
#include "sasos/arch/power.h"
#include "sasos/arch/smp.h"
#include "sasos/arch/trap.h"
#include "sasos/layout.h"
#include "sasos/lib/console.h"
#include "sasos/lib/mem.h"
#include "sasos/lib/printf.h"
#include "sasos/lib/trace.h"
#include "sasos/mem/pt.h"
#include "sasos/run/thread.h"

#define BACKTRACE_MAX 32

// ELF-64 (System V ABI, "Object Files"), the parts that are read.
struct elf_header {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, phoff, shoff;
    uint32_t flags;
    uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
struct elf_section {
    uint32_t name, type;
    uint64_t flags, addr, offset, size;
    uint32_t link, info;
    uint64_t addralign, entsize;
};
struct elf_symbol {
    uint32_t name;
    uint8_t info, other;
    uint16_t shndx;
    uint64_t value, size;
};
#define ELF_SHT_SYMTAB 2
#define ELF_STT_FUNC 2

static const struct elf_symbol *symbols;
static uint64_t symbol_count, names_size;
static const char *names;
static bool panicking; // only by the CPU that stopped the others

void panic_symbols(const struct bootinfo *info) {
    uint64_t size = info->kernel_elf.size;
    if (size < sizeof(struct elf_header) || !pt_in_direct(info->kernel_elf.base, size)) return;
    const uint8_t *image = pt_direct(info->kernel_elf.base);
    const struct elf_header *h = (const void *)image;
    if (memcmp(h->ident, "\177ELF\2\1", 6) || h->shentsize != sizeof(struct elf_section)) return;
    if (h->shoff > size || h->shoff % 8 || h->shnum > (size - h->shoff) / sizeof(struct elf_section))
        return;
    const struct elf_section *sections = (const void *)(image + h->shoff);
    for (unsigned i = 0; i < h->shnum; i++) {
        const struct elf_section *s = &sections[i];
        if (s->type != ELF_SHT_SYMTAB || s->link >= h->shnum) continue;
        const struct elf_section *str = &sections[s->link];
        if (s->offset > size || s->size > size - s->offset || s->offset % 8) return;
        if (str->offset > size || str->size > size - str->offset || !str->size) return;
        if (image[str->offset + str->size - 1]) return; // every name ends inside the table
        symbols = (const void *)(image + s->offset);
        symbol_count = s->size / sizeof(struct elf_symbol);
        names = (const char *)(image + str->offset);
        names_size = str->size;
        return;
    }
}

// Name of the function that contains `address` and the distance from its start; NULL if unknown.
static const char *symbol(uint64_t address, uint64_t *out_offset) {
    const struct elf_symbol *best = NULL;
    for (uint64_t i = 0; i < symbol_count; i++) {
        const struct elf_symbol *s = &symbols[i];
        if ((s->info & 15) != ELF_STT_FUNC || s->name >= names_size) continue;
        if (address - s->value < s->size) best = s;
    }
    if (!best || address < KERNEL_BASE || address >= ARENA_BASE) return NULL;
    *out_offset = address - best->value;
    return names + best->name;
}

// A return address may lie one past its function's end: a call that never returns is the last instruction.
static void print_address(const char *what, uint64_t address, unsigned back) {
    uint64_t offset = 0;
    const char *name = symbol(address - back, &offset);
    offset += back;
    if (name)
        kprintf("  %s %016llx %s+0x%llx\n", what, (unsigned long long)address, name,
                (unsigned long long)offset);
    else if (trap_in_arena(address))
        kprintf("  %s %016llx (module code)\n", what, (unsigned long long)address);
    else
        kprintf("  %s %016llx\n", what, (unsigned long long)address);
}

static bool readable(uint64_t address) {
    uint64_t pa;
    unsigned flags;
    return address >= DIRECT_MAP_BASE && !(address & 7) && pt_lookup(address, &pa, &flags);
}

static void backtrace(uint64_t rbp) {
    for (int i = 0; i < BACKTRACE_MAX && readable(rbp) && readable(rbp + 8); i++) {
        uint64_t next = ((uint64_t *)rbp)[0], ret = ((uint64_t *)rbp)[1];
        if (!ret) break;
        print_address("from", ret, 1);
        if (next <= rbp) break; // stacks grow down: a frame of a caller lies above
        rbp = next;
    }
}

static void print_registers(const struct trap_frame *f) {
#define U(x) ((unsigned long long)(x))
    kprintf("  rax %016llx rbx %016llx rcx %016llx rdx %016llx\n", U(f->rax), U(f->rbx), U(f->rcx),
            U(f->rdx));
    kprintf("  rsi %016llx rdi %016llx rbp %016llx rsp %016llx\n", U(f->rsi), U(f->rdi), U(f->rbp),
            U(f->rsp));
    kprintf("  r8  %016llx r9  %016llx r10 %016llx r11 %016llx\n", U(f->r8), U(f->r9), U(f->r10),
            U(f->r11));
    kprintf("  r12 %016llx r13 %016llx r14 %016llx r15 %016llx\n", U(f->r12), U(f->r13), U(f->r14),
            U(f->r15));
    kprintf("  rip %016llx rflags %08llx error %llx cr2 %016llx cr3 %llx\n", U(f->rip),
            U(f->rflags), U(f->error), U(cpu_read_cr2()), U(cpu_read_cr3()));
#undef U
}

static void begin(void) {
    __asm__ volatile("cli");
    // One report: whoever panics while another CPU does it, or was stopped by it, stays silent.
    if (!smp_stop_others())
        for (;;) cpu_halt();
    con_panic();
    if (panicking) {
        kprintf("\npanic inside of a panic\n");
        power_halt_failed();
    }
    panicking = true;
    kprintf("\nPANIC: ");
}

static void print_where(const char *fmt, va_list ap) {
    char text[256];
    kvsnprintf(text, sizeof text, fmt, ap);
    const struct thread *t = cpu_this()->current;
    kprintf("%s\n  thread %s", text, t ? thr_name(t) : "(boot)");
    if (smp_count() > 1) kprintf(", CPU %u of %u", cpu_this()->index, smp_count());
    kprintf("\n");
}

_Noreturn void panic_at(const char *file, int line, const char *fmt, ...) {
    begin();
    kprintf("%s:%d: ", file, line);
    va_list ap;
    va_start(ap, fmt);
    print_where(fmt, ap);
    va_end(ap);
    print_address("at  ", (uint64_t)__builtin_return_address(0), 1);
    // Registers at the time of a failed assertion are the compiler's business; the chain of frames is what tells.
    backtrace(*(uint64_t *)__builtin_frame_address(0));
    if (trace_on) trace_print();
    power_halt_failed();
}

_Noreturn void panic_trap(const struct trap_frame *frame, const char *fmt, ...) {
    begin();
    va_list ap;
    va_start(ap, fmt);
    print_where(fmt, ap);
    va_end(ap);
    print_registers(frame);
    print_address("at  ", frame->rip, 0);
    backtrace(frame->rbp);
    if (trace_on) trace_print();
    power_halt_failed();
}

_Noreturn void panic_refuse(const char *fmt, ...) {
    __asm__ volatile("cli");
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    kvsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (!smp_stop_others())
        for (;;) cpu_halt();
    kprintf("\nSASOS cannot run here: %s\n", text);
    power_halt_failed();
}
