// libefi.h — the little that every EFI program here needs: sentences on the console, and memory for programs that have no
// libc. Usable until ExitBootServices() (the memory functions: always).
#ifndef EFI_LIBEFI_H
#define EFI_LIBEFI_H
#include "efi/uefi.h"

#define EFI_PAGE_SIZE 4096ull
#define EFI_PAGES(bytes) (((bytes) + EFI_PAGE_SIZE - 1) / EFI_PAGE_SIZE)

// Call first; keeps the system table for the functions below.
void efi_lib_init(struct efi_system_table *st);

// ASCII to ConOut; '\n' becomes CR LF.
void efi_print(const char *text);
void efi_print_hex(uint64_t value);

// Zeroed pages, or 0 and *out_status.
uint64_t efi_pages(uint32_t memory_type, uint64_t pages, efi_status *out_status);

_Bool efi_guid_equal(const struct efi_guid *a, const struct efi_guid *b);

void *memcpy(void *restrict dst, const void *restrict src, size_t n);
void *memset(void *dst, int value, size_t n);
int memcmp(const void *a, const void *b, size_t n);
#endif
