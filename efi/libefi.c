// libefi.c — see libefi.h.
#include "efi/libefi.h"

static struct efi_system_table *system_table;

void efi_lib_init(struct efi_system_table *st) { system_table = st; }

void efi_print(const char *text) {
    struct efi_simple_text_output *out = system_table->ConOut;
    if (!out) return; // 4.3: a machine without console devices
    efi_char16 line[64];
    while (*text) {
        size_t n = 0;
        while (*text && n < sizeof line / sizeof *line - 2) {
            if (*text == '\n') line[n++] = '\r';
            line[n++] = (efi_char16)*text++;
        }
        line[n] = 0;
        out->OutputString(out, line);
    }
}

void efi_print_hex(uint64_t value) {
    char text[19] = "0x";
    int digits = 1;
    while (digits < 16 && value >> 4 * digits) digits++;
    for (int i = 0; i < digits; i++)
        text[2 + i] = "0123456789abcdef"[value >> 4 * (digits - 1 - i) & 15];
    text[2 + digits] = 0;
    efi_print(text);
}

uint64_t efi_pages(uint32_t memory_type, uint64_t pages, efi_status *out_status) {
    uint64_t at = 0;
    *out_status =
        system_table->BootServices->AllocatePages(EFI_ALLOCATE_ANY_PAGES, memory_type, pages, &at);
    if (*out_status) return 0;
    memset((void *)at, 0, pages * EFI_PAGE_SIZE);
    return at;
}

_Bool efi_guid_equal(const struct efi_guid *a, const struct efi_guid *b) {
    return memcmp(a, b, sizeof *a) == 0;
}

// The string instructions, because a C loop would be compiled into a call of the function itself.
void *memcpy(void *restrict dst, const void *restrict src, size_t n) {
    void *to = dst;
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(src), "+c"(n)::"memory");
    return dst;
}

void *memset(void *dst, int value, size_t n) {
    void *to = dst;
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(value) : "memory");
    return dst;
}

int memcmp(const void *a, const void *b, size_t n) {
    const uint8_t *x = a, *y = b;
    for (; n; n--, x++, y++)
        if (*x != *y) return *x - *y;
    return 0;
}
