// guest.c — all there is in the virtual machine of vm.c, which has put it into memory, in 64-bit mode, with the first 16 MiB of memory at GUEST_BASE:
// measures, leaves the numbers where vm.c looks for them, and halts.
#include "bench/rings/vm.h"

static uint64_t next_page = GUEST_PAGES;

static void *page(uint64_t *out_physical) {
    *out_physical = next_page;
    next_page += 4096;
    return (void *)(GUEST_BASE + *out_physical);
}

_Noreturn void guest_main(void);
_Noreturn __attribute__((section(".text.first"))) void guest_main(void) {
    struct vm_numbers *out = (struct vm_numbers *)(GUEST_BASE + GUEST_NUMBERS);
    rings_begin(page, (const uint64_t *)(GUEST_BASE + GUEST_ROOT));
    for (uint32_t round = 0; round < out->rounds + 1; round++) // the first is to warm up
        for (int kind = 0; kind < RINGS_KINDS; kind++)
            if (rings_has(kind))
                out->cycles[kind][round ? round - 1 : 0] = rings_measure(kind, out->times);
    rings_end();
    out->done = 1;
    for (;;) __asm__ volatile("cli; hlt");
}
