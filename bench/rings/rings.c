// rings.c — see rings.h: address spaces, descriptor tables and registers for rings.S, and the measurements.
#include "bench/rings/rings.h"
#include <stddef.h>

#define PAGE 4096u
#define USER_BASE 0x400000ull // in the first 512 GiB, of which the copies have nothing else
#define P 1ull
#define RW 2ull
#define US 4ull
#define MSR_EFER 0xc0000080u
#define EFER_SCE 1ull
#define MSR_STAR 0xc0000081u
#define MSR_LSTAR 0xc0000082u
#define MSR_FMASK 0xc0000084u
#define MSR_GS_BASE 0xc0000101u
#define CR4_PCIDE (1ull << 17)
#define CR3_NO_FLUSH (1ull << 63)
#define FLAGS 0x47700ull // TF, IF, DF, IOPL, NT, AC
#define VECTOR 0x80u

struct process { // rings.S knows the offsets
    uint64_t rip, flags, rsp, cr3;
    struct process *other;
};
_Static_assert(offsetof(struct process, cr3) == 24 && offsetof(struct process, other) == 32,
               "rings.S");
struct __attribute__((packed)) table {
    uint16_t limit;
    uint64_t base;
};

void rings_plain(uint32_t n);
void rings_cr3(uint32_t pairs, uint64_t a, uint64_t b);
void rings_run(uint64_t entry, uint32_t n);
extern struct process *rings_current;
extern const uint8_t rings_syscall[], rings_call[], rings_int[], rings_user[], rings_user_int[],
    rings_user_server[], rings_user_end[];

#define X(name, text, what) text,
const char *const rings_name[RINGS_KINDS] = {RINGS(X)};
#undef X

static struct {
    struct table gdt, idt; // as they were
    uint64_t efer, star, lstar, fmask, gs_base, cr3, cr4, flags, rsp0;
    uint64_t *tss_rsp0;
    bool pcid;
    uint64_t root[2]; // physical addresses
    struct process process[2];
} r;

static uint64_t rdmsr(uint32_t msr) {
    uint32_t lo, hi;
    __asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
    return (uint64_t)hi << 32 | lo;
}
static void wrmsr(uint32_t msr, uint64_t v) {
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)) : "memory");
}
__attribute__((noinline)) uint64_t rings_clock(void) {
    uint32_t lo, hi;
    __asm__ volatile("lfence; rdtsc; lfence" : "=a"(lo), "=d"(hi) : : "memory");
    return (uint64_t)hi << 32 | lo;
}
static void copy(void *to, const void *from, size_t n) {
    for (size_t i = 0; i < n; i++) ((volatile uint8_t *)to)[i] = ((const uint8_t *)from)[i];
}
static uint64_t user(const uint8_t *label) { return USER_BASE + (uint64_t)(label - rings_user); }

// A copy of the present address space, whose first 512 GiB are one page of ring 3.
static uint64_t space(rings_page_fn *page, const uint64_t *present) {
    uint64_t physical[5], *level[4];
    for (int i = 0; i < 4; i++) level[i] = page(&physical[i]);
    copy(page(&physical[4]), rings_user, (size_t)(rings_user_end - rings_user));
    for (int i = 1; i < 512; i++) level[0][i] = present[i];
    level[0][0] = physical[1] | P | RW | US;
    level[1][0] = physical[2] | P | RW | US;
    level[2][USER_BASE >> 21] = physical[3] | P | RW | US;
    level[3][0] = physical[4] | P | US;
    return physical[0];
}

// The present descriptor tables, with segments of ring 3 and a gate that they may use.
static void tables(rings_page_fn *page) {
    uint64_t unused, *gdt = page(&unused), *idt = page(&unused);
    uint16_t tr, cs, count = (uint16_t)((r.gdt.limit + 1u) / 8);
    __asm__ volatile("str %0; mov %%cs, %1" : "=r"(tr), "=r"(cs));
    copy(gdt, (const void *)r.gdt.base, r.gdt.limit + 1u);
    copy(idt, (const void *)r.idt.base, r.idt.limit + 1u < PAGE ? r.idt.limit + 1u : PAGE);
    gdt[count] = 0x0000f30000000000ull;     // data, DPL 3
    gdt[count + 1] = 0x0020fb0000000000ull; // 64-bit code, DPL 3
    uint64_t handler = (uint64_t)rings_int;
    idt[VECTOR * 2] = (handler & 0xffff) | (uint64_t)cs << 16 |
                      0xee00ull << 32 | // interrupt gate, DPL 3
                      (handler >> 16 & 0xffff) << 48;
    idt[VECTOR * 2 + 1] = handler >> 32;
    const uint64_t *tss = &gdt[tr / 8];
    uint64_t base = (tss[0] >> 16 & 0xffffff) | (tss[0] >> 56) << 24 | tss[1] << 32;
    r.tss_rsp0 = (uint64_t *)(base + 4);
    copy(&r.rsp0, r.tss_rsp0, 8);
    uint64_t stack = (uint64_t)page(&unused) + PAGE;
    copy(r.tss_rsp0, &stack, 8);
    __asm__ volatile("lgdt %0" : : "m"((struct table){(uint16_t)(count * 8 + 15), (uint64_t)gdt}));
    __asm__ volatile("lidt %0" : : "m"((struct table){PAGE - 1, (uint64_t)idt}));
    // SYSRET takes its stack segment from 8 above this one, its code segment from 16 above.
    wrmsr(MSR_STAR, (uint64_t)((count - 1) * 8 | 3) << 48 | (uint64_t)cs << 32);
}

void rings_begin(rings_page_fn *page, const uint64_t *root) {
    uint32_t a = 1, b, c = 0, d;
    __asm__ volatile("pushfq; popq %0; cli" : "=r"(r.flags) : : "memory");
    __asm__ volatile("sgdt %0; sidt %1" : "=m"(r.gdt), "=m"(r.idt));
    __asm__ volatile("movq %%cr3, %0; movq %%cr4, %1" : "=r"(r.cr3), "=r"(r.cr4));
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    r.pcid = c >> 17 & 1;
    r.efer = rdmsr(MSR_EFER), r.star = rdmsr(MSR_STAR), r.lstar = rdmsr(MSR_LSTAR);
    r.fmask = rdmsr(MSR_FMASK), r.gs_base = rdmsr(MSR_GS_BASE);
    for (int i = 0; i < 2; i++) r.root[i] = space(page, root);
    tables(page);
    wrmsr(MSR_FMASK, FLAGS);
    wrmsr(MSR_EFER, r.efer | EFER_SCE);
}

bool rings_has(enum rings_kind kind) {
    return r.pcid || (kind != RINGS_CR3_PCID && kind != RINGS_CALL_PCID);
}

static void write_cr3(uint64_t v) { __asm__ volatile("movq %0, %%cr3" : : "r"(v) : "memory"); }
static void write_cr4(uint64_t v) { __asm__ volatile("movq %0, %%cr4" : : "r"(v) : "memory"); }

static uint64_t timed(const uint8_t *handler, const uint8_t *entry, uint32_t n) {
    wrmsr(MSR_LSTAR, (uint64_t)handler);
    uint64_t before = rings_clock();
    rings_run(user(entry), n);
    return rings_clock() - before;
}

uint64_t rings_measure(enum rings_kind kind, uint32_t n) {
    bool pcid = kind == RINGS_CR3_PCID || kind == RINGS_CALL_PCID;
    uint64_t cr3[2] = {r.root[0], r.root[1]}, before, cycles = 0;
    // Each space has a number of its own, not 0, which is the present space's.
    for (unsigned i = 0; pcid && i < 2; i++) cr3[i] |= CR3_NO_FLUSH | (i + 1);
    if (pcid) write_cr4(r.cr4 | CR4_PCIDE);
    write_cr3(cr3[0]);
    switch (kind) {
    case RINGS_PLAIN:
        before = rings_clock();
        rings_plain(n);
        cycles = rings_clock() - before;
        break;
    case RINGS_CR3:
    case RINGS_CR3_PCID:
        before = rings_clock();
        rings_cr3(n / 2, cr3[1], cr3[0]);
        cycles = rings_clock() - before;
        break;
    case RINGS_SYSCALL: cycles = timed(rings_syscall, rings_user, n); break;
    case RINGS_INT: cycles = timed(rings_syscall, rings_user_int, n); break;
    case RINGS_CALL:
    case RINGS_CALL_PCID:
        r.process[0] = (struct process){.cr3 = cr3[0], .other = &r.process[1]};
        r.process[1] = (struct process){user(rings_user_server), 2, 0, cr3[1], &r.process[0]};
        rings_current = &r.process[0];
        cycles = timed(rings_call, rings_user, n);
        break;
    case RINGS_KINDS: break;
    }
    write_cr3(r.cr3);
    if (pcid) write_cr4(r.cr4);
    return cycles;
}

void rings_end(void) {
    copy(r.tss_rsp0, &r.rsp0, 8);
    __asm__ volatile("lgdt %0; lidt %1" : : "m"(r.gdt), "m"(r.idt));
    wrmsr(MSR_EFER, r.efer), wrmsr(MSR_STAR, r.star), wrmsr(MSR_LSTAR, r.lstar);
    wrmsr(MSR_FMASK, r.fmask);
    wrmsr(MSR_GS_BASE, r.gs_base); // a return to ring 3 may have cleared it
    if (r.flags & 0x200) __asm__ volatile("sti");
}
