// paging.c — the page tables on which the kernel starts (bootinfo.h), and the switch to them.
//
//   PML4[0...]    identity map, RWX: 4 GiB and all RAM            } the same lower tables: the direct map differs
//   PML4[256...]  direct map, NX                                  } by the NX bit of its PML4 entries alone
//   PML4[511]     the kernel image, 4 KiB pages, W^X by segment
//
// Below 4 GiB, where RAM and device registers mix, pages are of 2 MiB; above of 1 GiB if the CPU has them. Caching
// comes from the MTRRs, which firmware has set. All tables are BOOT_TYPE_KERNEL: they stay in use until the kernel has its own.
// Intel SDM volume 3, chapter 4.5 (4-level paging).
#include "efi/boot.h"
#include "sasos/layout.h"

#define PTE_P (1ull << 0)
#define PTE_W (1ull << 1)
#define PTE_PS (1ull << 7)
#define PTE_NX (1ull << 63)
#define MIB2 (2ull << 20)
#define GIB (1ull << 30)

#define MSR_EFER 0xc0000080u
#define EFER_NXE (1ull << 11)
#define CR0_WP (1ull << 16)
#define CR4_LA57 (1ull << 12)

struct tables { // a row of zeroed pages, handed out one by one
    uint64_t next, end;
};

static uint64_t *take(struct tables *t) {
    if (t->next == t->end) __builtin_trap(); // paging_make() counted wrongly
    t->next += EFI_PAGE_SIZE;
    return (uint64_t *)(t->next - EFI_PAGE_SIZE);
}

static void cpuid(uint32_t leaf, uint32_t out[4]) {
    __asm__ volatile("cpuid"
                     : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3])
                     : "a"(leaf), "c"(0));
}

// CPUID.80000001H:EDX
static uint32_t extended_features(void) {
    uint32_t r[4];
    cpuid(0x80000000u, r);
    if (r[0] < 0x80000001u) return 0;
    cpuid(0x80000001u, r);
    return r[3];
}
#define FEATURE_NX (1u << 20)
#define FEATURE_PAGE1GB (1u << 26)

void paging_check_cpu(void) {
    uint64_t cr4;
    if (!(extended_features() & FEATURE_NX))
        boot_fail("the CPU has no-execute pages off or not at all",
                  "turn NX (XD) on in the firmware's setup", EFI_SUCCESS);
    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    if (cr4 & CR4_LA57) // 4-level tables cannot be loaded without leaving long mode
        boot_fail("the firmware runs with 5-level paging",
                  "turn 5-level paging (LA57) off in the firmware's setup", EFI_SUCCESS);
}

// Identity map of [0, end), end a multiple of 1 GiB, below PML4 entries 0...
static void map_identity(struct tables *t, uint64_t *pml4, uint64_t end, _Bool page1gb) {
    uint64_t *pdpt = NULL;
    for (uint64_t at = 0; at < end; at += GIB) {
        uint64_t i = at / GIB % 512;
        if (i == 0) {
            pdpt = take(t);
            pml4[at / GIB / 512] = (uint64_t)pdpt | PTE_P | PTE_W;
        }
        if (at >= 4 * GIB && page1gb) {
            pdpt[i] = at | PTE_P | PTE_W | PTE_PS;
            continue;
        }
        uint64_t *pd = take(t);
        pdpt[i] = (uint64_t)pd | PTE_P | PTE_W;
        for (uint64_t j = 0; j < 512; j++) pd[j] = (at + j * MIB2) | PTE_P | PTE_W | PTE_PS;
    }
}

static void map_kernel(struct tables *t, uint64_t *pml4, const struct boot_kernel *k) {
    uint64_t *pdpt = take(t), *pd = take(t);
    pml4[KERNEL_BASE >> 39 & 511] = (uint64_t)pdpt | PTE_P | PTE_W;
    pdpt[KERNEL_BASE >> 30 & 511] = (uint64_t)pd | PTE_P | PTE_W;
    for (uint32_t i = 0; i < k->count; i++) {
        const struct boot_segment *s = &k->segments[i];
        uint64_t flags = PTE_P | (s->writable ? PTE_W : 0) | (s->executable ? 0 : PTE_NX);
        for (uint64_t page = 0; page < s->pages; page++) {
            uint64_t virt = s->virt + page * EFI_PAGE_SIZE;
            uint64_t *pde = &pd[virt >> 21 & 511];
            if (!*pde) *pde = (uint64_t)take(t) | PTE_P | PTE_W;
            uint64_t *pt = (uint64_t *)(*pde & ~(EFI_PAGE_SIZE - 1));
            pt[virt >> 12 & 511] = (s->phys + page * EFI_PAGE_SIZE) | flags;
        }
    }
}
_Static_assert(KERNEL_BASE % GIB == 0 && KERNEL_MAX <= GIB, "one page directory holds the kernel");
_Static_assert(DIRECT_MAP_BASE >> 39 << 39 == DIRECT_MAP_BASE, "the direct map shares whole PDPTs");

uint64_t paging_make(const struct boot_kernel *kernel, uint64_t ram_end) {
    _Bool page1gb = (extended_features() & FEATURE_PAGE1GB) != 0;
    uint64_t end = ram_end < 4 * GIB ? 4 * GIB : (ram_end + GIB - 1) / GIB * GIB;
    if (end > DIRECT_MAP_SIZE)
        boot_fail("the machine has memory beyond 16 TiB of addresses", "give it less", EFI_SUCCESS);

    uint64_t pdpts = (end + 512 * GIB - 1) / (512 * GIB);
    uint64_t pds = page1gb ? 4 : end / GIB;
    uint64_t pts = kernel->pages / 512 + 2;
    uint64_t pages = 1 + pdpts + pds + 2 + pts;
    struct tables t;
    t.next = boot_pages(BOOT_TYPE_KERNEL, pages);
    t.end = t.next + pages * EFI_PAGE_SIZE;

    uint64_t *pml4 = take(&t);
    map_identity(&t, pml4, end, page1gb);
    for (uint64_t i = 0; i < pdpts; i++) pml4[(DIRECT_MAP_BASE >> 39 & 511) + i] = pml4[i] | PTE_NX;
    map_kernel(&t, pml4, kernel);
    return (uint64_t)pml4;
}

_Noreturn void paging_enter(uint64_t cr3, uint64_t stack_top, uint64_t entry,
                            const struct bootinfo *info) {
    __asm__ volatile("cli; cld");
    // NXE before the tables that have the bit (it would be reserved otherwise); WP so that read-only holds in ring 0.
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(MSR_EFER));
    __asm__ volatile("wrmsr" ::"a"(low | (uint32_t)EFER_NXE), "d"(high), "c"(MSR_EFER));
    uint64_t cr0;
    __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
    __asm__ volatile("mov %0, %%cr0" ::"r"(cr0 | CR0_WP));
    // A zero return address ends backtraces and aligns the stack as at a function's first instruction.
    __asm__ volatile("mov %0, %%cr3\n\t"
                     "mov %1, %%rsp\n\t"
                     "xor %%ebp, %%ebp\n\t"
                     "push $0\n\t"
                     "jmp *%2" ::"r"(cr3),
                     "r"(stack_top), "r"(entry), "D"(info)
                     : "memory");
    __builtin_unreachable();
}
