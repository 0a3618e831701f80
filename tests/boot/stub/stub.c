// stub.c — an EFI application for the tests: waits, in a booted firmware, for a boot image to appear in QEMU's fw_cfg, and
// starts it.
//
// tests/boot/qemu.py boots this once, takes a migration snapshot of the machine when it says STUB-READY, and restores that
// snapshot for each test with `-fw_cfg name=opt/kernel,file=IMAGE`: the contents of fw_cfg are not part of the snapshot, so
// the restored stub finds the test's image at once. That saves the seconds which firmware takes to boot.
//
// QEMU docs/specs/fw_cfg: selector port 510h, data port 511h, DMA address port 514h (big endian, high half first); the file
// directory is item 19h. LoadImage() and StartImage(): UEFI 2.10, 7.4.
#include "efi/libefi.h"

#define FW_CFG_SELECTOR 0x510
#define FW_CFG_DATA 0x511
#define FW_CFG_DMA 0x514
#define FW_CFG_FILE_DIR 0x19
#define DMA_ERROR 1u
#define DMA_READ 2u
#define DMA_SELECT 8u
#define NAME "opt/kernel"

static void out16(uint16_t port, uint16_t v) {
    __asm__ volatile("outw %0, %1" ::"a"(v), "Nd"(port));
}
static void out32(uint16_t port, uint32_t v) {
    __asm__ volatile("outl %0, %1" ::"a"(v), "Nd"(port));
}
static uint8_t in8(uint16_t port) {
    uint8_t v;
    __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}

static uint32_t next_big_endian(int bytes) {
    uint32_t v = 0;
    while (bytes--) v = v << 8 | in8(FW_CFG_DATA);
    return v;
}

// The selector of the file NAME, or 0 if it is not there (0 is the signature's, never a file's).
static uint16_t find_image(uint32_t *out_size) {
    uint16_t found = 0;
    out16(FW_CFG_SELECTOR, FW_CFG_FILE_DIR);
    for (uint32_t count = next_big_endian(4); count; count--) {
        uint32_t size = next_big_endian(4);
        uint16_t select = (uint16_t)next_big_endian(2);
        char name[56];
        next_big_endian(2);
        for (unsigned i = 0; i < sizeof name; i++) name[i] = (char)in8(FW_CFG_DATA);
        if (memcmp(name, NAME, sizeof NAME) == 0) {
            found = select;
            *out_size = size;
        }
    }
    return found;
}

static _Bool read_image(uint16_t select, void *to, uint32_t size) {
    static volatile struct { // FWCfgDmaAccess, big endian
        uint32_t control, length;
        uint64_t address;
    } access;
    access.control = __builtin_bswap32((uint32_t)select << 16 | DMA_SELECT | DMA_READ);
    access.length = __builtin_bswap32(size);
    access.address = __builtin_bswap64((uint64_t)to);
    uint64_t at = (uint64_t)&access;
    out32(FW_CFG_DMA, __builtin_bswap32((uint32_t)(at >> 32)));
    out32(FW_CFG_DMA + 4, __builtin_bswap32((uint32_t)at)); // starts it
    uint32_t control;
    while ((control = __builtin_bswap32(access.control)) & ~DMA_ERROR) {
    }
    return control == 0;
}

efi_status efi_main(efi_handle self, struct efi_system_table *st) {
    struct efi_boot_services *bs = st->BootServices;
    efi_lib_init(st);
    bs->SetWatchdogTimer(0, 0, 0, NULL); // else the firmware resets the machine in 5 minutes
    efi_print("STUB-READY\n");
    uint32_t size;
    uint16_t select;
    while (!(select = find_image(&size))) bs->Stall(1000);

    efi_status status;
    void *image = (void *)efi_pages(EFI_LOADER_DATA, EFI_PAGES(size), &status);
    efi_handle handle;
    if (!status && !read_image(select, image, size)) status = EFI_LOAD_ERROR;
    if (!status) status = bs->LoadImage(0, self, NULL, image, size, &handle);
    if (!status) status = bs->StartImage(handle, NULL, NULL);
    efi_print("STUB-FAILED: the boot image came back with status ");
    efi_print_hex(status);
    efi_print("\n");
    for (;;) bs->Stall(1000000);
}
