// bootinfo.h — what the boot application hands to the kernel.
//
// One struct, written by efi/ after the last GetMemoryMap() and passed in rdi to the kernel's ELF entry point. Everything here
// comes from firmware or from the signed image; the kernel copies what it keeps and checks every range against the memory
// map before it is used. All addresses are physical. The struct and everything it points to lie in memory of type
// BOOT_MEM_LOADER, which the kernel may reclaim once it has copied what it needs.
//
// State at the kernel's entry point: long mode, interrupts off, DF clear, CR0.WP on; page tables made by the boot application:
// identity map of the first 4 GiB and of all RAM (RWX, temporary), the direct map (DIRECT_MAP_BASE in sasos/layout.h, NX) of
// the same, and the kernel image at its linked address with W^X per ELF segment. rsp is a 64 KiB BOOT_MEM_LOADER stack.
#ifndef SASOS_BOOTINFO_H
#define SASOS_BOOTINFO_H
#include <stddef.h>
#include <stdint.h>

#define BOOTINFO_MAGIC 0x31544f4f42534153ull // "SASBOOT1", little endian
#define BOOTINFO_VERSION 1u

enum boot_mem_type {
    BOOT_MEM_RESERVED = 0, // never touched: firmware runtime, MMIO, bad, unknown
    BOOT_MEM_FREE = 1,     // conventional and boot-services memory: free at once
    BOOT_MEM_LOADER = 2, // the boot application's own: reclaimable after the kernel has copied what it needs
    BOOT_MEM_KERNEL = 3, // the kernel image's segments and their page tables
    BOOT_MEM_ACPI_RECLAIM = 4,
    BOOT_MEM_ACPI_NVS = 5,
};

struct boot_mem_range { // sorted by base, not overlapping, page aligned
    uint64_t base, pages;
    uint32_t type; // enum boot_mem_type
    uint32_t efi_type;
};

struct boot_blob { // a section of the boot image, in place
    uint64_t base, size;
};

struct bootinfo {
    uint64_t magic;
    uint32_t version, size;          // sizeof(struct bootinfo)
    uint64_t mem_map, mem_map_count; // struct boot_mem_range[]
    uint64_t rsdp;                   // ACPI 2.0+ root pointer (EFI configuration table), 0 if none
    uint64_t fb_base;                // linear framebuffer, 0 if none
    uint32_t fb_width, fb_height, fb_pitch; // pixels, pixels, bytes
    uint32_t fb_format;           // 0 = BGRX8888, 1 = RGBX8888 (UEFI GraphicsPixelFormat subset)
    uint64_t unix_time;           // seconds, from GetTime(); 0 if the firmware had none
    uint64_t tsc_entry, tsc_exit; // rdtsc at the boot application's entry and at ExitBootServices
    struct boot_blob kernel_elf;  // section .kernel (kept for the panic's symbols)
    struct boot_blob modules;     // section .modules: a pack, see loader/pack/pack.h
    struct boot_blob config;      // section .config: the appliance's configuration, text
    uint64_t kernel_phys, kernel_virt, kernel_pages; // where the image was put: contiguous
};

_Static_assert(sizeof(struct boot_mem_range) == 24, "layout shared by two programs");
_Static_assert(offsetof(struct bootinfo, mem_map) == 16, "layout shared by two programs");
_Static_assert(offsetof(struct bootinfo, fb_width) == 48, "layout shared by two programs");
_Static_assert(offsetof(struct bootinfo, kernel_elf) == 88, "layout shared by two programs");
_Static_assert(sizeof(struct bootinfo) == 160, "layout shared by two programs");
#endif
