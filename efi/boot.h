// boot.h — the parts of the boot application.
//
// main.c asks the firmware and leaves it; image.c reads this program's own PE sections and loads the kernel's ELF; paging.c
// makes the page tables that the kernel starts on. Whatever can fail happens before ExitBootServices(), and fails by
// boot_fail(): a sentence for the person in front of the machine, then back to the firmware.
#ifndef EFI_BOOT_H
#define EFI_BOOT_H
#include "efi/bootinfo.h"
#include "efi/libefi.h"

// Memory types by which we find our own allocations in the memory map again.
#define BOOT_TYPE_LOADER EFI_LOADER_DATA
#define BOOT_TYPE_KERNEL (EFI_MEMORY_TYPE_OS_LOADER | 1)

// Says why this machine or image cannot boot and what to do; `status` may be EFI_SUCCESS if the firmware is not to blame.
// Returns to the firmware by unwinding to efi_main(), which returns EFI_LOAD_ERROR.
_Noreturn void boot_fail(const char *why, const char *what_to_do, efi_status status);

// Zeroed pages, or boot_fail().
uint64_t boot_pages(uint32_t memory_type, uint64_t pages);

struct boot_segment { // one PT_LOAD, page granular
    uint64_t virt, phys, pages;
    _Bool writable, executable;
};
#define BOOT_SEGMENTS 8u

struct boot_kernel {
    uint64_t phys, virt, pages; // one contiguous piece of memory of BOOT_TYPE_KERNEL
    uint64_t entry;
    uint32_t count;
    struct boot_segment segments[BOOT_SEGMENTS]; // ascending, no two share a page
};

// The section `name` (1 to 8 bytes) of the PE image that was loaded at `image`; fails if there is none.
struct boot_blob image_section(const uint8_t *image, uint64_t image_size, const char *name);

// Checks the ELF file and copies its segments to fresh memory. Nothing in it is writable and executable at once.
void image_load_kernel(struct boot_blob elf, struct boot_kernel *out_kernel);

// Page tables as bootinfo.h promises; ram_end is the end of the highest RAM. Returns what goes into CR3.
uint64_t paging_make(const struct boot_kernel *kernel, uint64_t ram_end);

// Whether the CPU and its present mode allow these page tables; fails if not.
void paging_check_cpu(void);

// Interrupts off, page tables and stack switched, kernel entered. Firmware must have been left.
_Noreturn void paging_enter(uint64_t cr3, uint64_t stack_top, uint64_t entry,
                            const struct bootinfo *info);
#endif
