// probe.c — a kernel that does nothing but look at what the boot application hands over, line by line of efi/bootinfo.h.
//
// Prints one line a promise, "ok WHAT" or "BAD WHAT", then facts as "KEY VALUE" for test_handover.py, and ends the
// machine with 0x10 (all well) whatever it found. It has no traps: a promise that is broken badly enough is a triple fault.
#include "efi/bootinfo.h"
#include "sasos/layout.h"

#define PAGE 4096ull
#define P 1ull
#define W 2ull
#define PS 0x80ull
#define NX (1ull << 63)
#define ADDRESS 0x000ffffffffff000ull

static uint32_t initialised = 0x5a505a50;
static uint8_t zeroed[3 * PAGE];

_Noreturn void probe_main(const struct bootinfo *b);

static void out8(uint16_t port, uint8_t v) { __asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(port)); }

static void print(const char *s) {
    for (; *s; s++) out8(0x3f8, (uint8_t)*s);
}

static void fact(const char *key, uint64_t value) {
    print(key);
    print(" 0x");
    for (int shift = 60; shift >= 0; shift -= 4)
        out8(0x3f8, (uint8_t) "0123456789abcdef"[value >> shift & 15]);
    print("\n");
}

static void check(_Bool good, const char *what) {
    print(good ? "ok " : "BAD ");
    print(what);
    print("\n");
}

// The leaf entry that maps an address, with W and NX accumulated over the levels; 0 if not mapped.
static uint64_t walk(uint64_t virt) {
    uint64_t table, rights = W;
    __asm__ volatile("mov %%cr3, %0" : "=r"(table));
    for (int shift = 39; shift >= 12; shift -= 9) {
        uint64_t e = ((uint64_t *)(table & ADDRESS))[virt >> shift & 511];
        if (!(e & P)) return 0;
        rights = (rights & e & W) | ((rights | e) & NX);
        if (shift == 12 || (e & PS)) {
            uint64_t offset = (1ull << shift) - 1;
            return (e & ADDRESS & ~offset) | (virt & ADDRESS & offset) | rights | P;
        }
        table = e;
    }
    return 0;
}

static const struct boot_mem_range *range_of(const struct bootinfo *b, uint64_t at) {
    const struct boot_mem_range *r = (const void *)b->mem_map;
    for (uint64_t i = 0; i < b->mem_map_count; i++)
        if (at >= r[i].base && at - r[i].base < r[i].pages * PAGE) return &r[i];
    return NULL;
}

static _Bool lies_in(const struct bootinfo *b, uint64_t at, uint64_t size, uint32_t type) {
    for (uint64_t p = at & ~(PAGE - 1); p < at + size; p += PAGE)
        if (!range_of(b, p) || range_of(b, p)->type != type) return 0;
    return 1;
}

static void check_map(const struct bootinfo *b) {
    const struct boot_mem_range *r = (const void *)b->mem_map;
    _Bool sorted = b->mem_map_count > 0, aligned = 1, mapped = 1;
    uint64_t free_pages = 0;
    for (uint64_t i = 0; i < b->mem_map_count; i++) {
        uint64_t end = r[i].base + r[i].pages * PAGE;
        if (i + 1 < b->mem_map_count && end > r[i + 1].base) sorted = 0;
        if (r[i].base % PAGE || r[i].pages == 0) aligned = 0;
        if (r[i].type == BOOT_MEM_RESERVED) continue;
        if (r[i].type == BOOT_MEM_FREE) free_pages += r[i].pages;
        for (uint64_t p = r[i].base; p < end; p += PAGE) {
            uint64_t e = walk(DIRECT_MAP_BASE + p);
            if (walk(p) != (p | P | W) || e != (p | P | W | NX)) mapped = 0;
        }
    }
    check(sorted, "the memory map is sorted and does not overlap");
    check(aligned, "the memory map is page aligned");
    check(mapped, "all RAM is in the identity map and, no-execute, in the direct map");
    fact("free-pages", free_pages);
    fact("ranges", b->mem_map_count);
}

static void check_kernel(const struct bootinfo *b) {
    _Bool exact = 1, xor = 1, none_else = 1;
    for (uint64_t i = 0; i < b->kernel_pages; i++) {
        uint64_t e = walk(b->kernel_virt + i * PAGE);
        if ((e & ADDRESS) != b->kernel_phys + i * PAGE) exact = 0;
        if ((e & W) && !(e & NX)) xor = 0;
    }
    for (uint64_t i = b->kernel_pages; i < 1024; i++)
        if (walk(b->kernel_virt + i * PAGE)) none_else = 0;
    check(exact, "the kernel is mapped where it was put");
    check(xor, "nothing of the kernel is writable and executable");
    check(none_else, "nothing behind the kernel is mapped");
    check((walk((uint64_t)&probe_main) & (W | NX)) == 0, "text is executable and read-only");
    check((walk((uint64_t) "rodata") & (W | NX)) == NX, "rodata is read-only");
    check((walk((uint64_t)&initialised) & (W | NX)) == (W | NX), "data is writable");
    check(lies_in(b, b->kernel_phys, b->kernel_pages * PAGE, BOOT_MEM_KERNEL),
          "the kernel's memory has its type");
    uint64_t cr3;
    __asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
    check(lies_in(b, cr3 & ADDRESS, PAGE, BOOT_MEM_KERNEL), "the page tables' memory has its type");
    _Bool zero = 1;
    for (size_t i = 0; i < sizeof zeroed; i++) zero &= zeroed[i] == 0;
    check(zero && initialised == 0x5a505a50, "data is loaded, bss is zero");
}

static void check_cpu(const struct bootinfo *b) {
    uint64_t flags, cr0, rsp;
    __asm__ volatile("pushf; pop %0" : "=r"(flags));
    __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
    __asm__ volatile("mov %%rsp, %0" : "=r"(rsp));
    check(!(flags & (1u << 9)), "interrupts are off");
    check(!(flags & (1u << 10)), "the direction flag is clear");
    check(cr0 & (1u << 16), "CR0.WP is on");
    check(lies_in(b, rsp - 60 * 1024, 60 * 1024, BOOT_MEM_LOADER),
          "the stack is 64 KiB of loader memory");
}

_Noreturn void probe_main(const struct bootinfo *b) {
    print("\nPROBE\n");
    check(b->magic == BOOTINFO_MAGIC && b->version == BOOTINFO_VERSION && b->size == sizeof *b,
          "the boot information has its magic, version and size");
    check_cpu(b);
    check_map(b);
    check_kernel(b);
    check(lies_in(b, (uint64_t)b, sizeof *b, BOOT_MEM_LOADER),
          "the boot information is in loader memory");
    check(lies_in(b, b->mem_map, b->mem_map_count * sizeof(struct boot_mem_range), BOOT_MEM_LOADER),
          "the memory map is in loader memory");
    check(lies_in(b, b->kernel_elf.base, b->kernel_elf.size, BOOT_MEM_LOADER) &&
              lies_in(b, b->modules.base, b->modules.size, BOOT_MEM_LOADER) &&
              lies_in(b, b->config.base, b->config.size, BOOT_MEM_LOADER),
          "the sections are in loader memory");
    check(*(uint32_t *)b->kernel_elf.base == 0x464c457f, "the kernel's own file is there");
    check(b->rsdp && *(uint64_t *)b->rsdp == 0x2052545020445352ull /* "RSD PTR " */,
          "the RSDP is one");
    check(b->tsc_exit > b->tsc_entry, "time went by");
    fact("unix-time", b->unix_time);
    fact("modules-size", b->modules.size);
    fact("fb-base", b->fb_base);
    fact("fb-width", b->fb_width);
    fact("fb-height", b->fb_height);
    fact("fb-pitch", b->fb_pitch);
    print("config [");
    for (uint64_t i = 0; i < b->config.size; i++) out8(0x3f8, ((const uint8_t *)b->config.base)[i]);
    print("]\n");
    __asm__ volatile("outl %0, %1" ::"a"(0x10), "Nd"((uint16_t)0xf4));
    for (;;) __asm__ volatile("cli; hlt");
}
