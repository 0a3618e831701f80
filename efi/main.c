// main.c — the boot application: finds what rides in this image, asks the firmware what the machine is, leaves the firmware, enters
// the kernel. efi_main() is the whole story, step by step; bootinfo.h says what the kernel finds.
//
// The image may have come from the ESP or from LoadImage() on a buffer: only the loaded sections are used, never a file.
// The memory map changes with every allocation, and also behind our back (timers of the firmware), so it is fetched last,
// into memory with room to spare, and fetched again if ExitBootServices() finds that it has changed (UEFI 2.10, 7.4.6).
#include "efi/boot.h"

#define STACK_PAGES 16u    // 64 KiB, as bootinfo.h promises
#define MAP_SLACK 32u      // descriptors that may appear after the map's size was asked
#define EXIT_ATTEMPTS 4    // of ExitBootServices()
#define READ_TIME 3000000u // microseconds that a message stays before the firmware goes on

struct memory_map {
    uint8_t *bytes;
    uint64_t capacity, size, key, descriptor_size;
};

static struct efi_boot_services *boot_services;
static void *fail_frame[5];

_Noreturn void boot_fail(const char *why, const char *what_to_do, efi_status status) {
    efi_print("\nSASOS cannot boot: ");
    efi_print(why);
    if (status) {
        efi_print(" (UEFI status ");
        efi_print_hex(status);
        efi_print(")");
    }
    efi_print(".\nWhat to do: ");
    efi_print(what_to_do);
    efi_print(".\n");
    boot_services->Stall(READ_TIME);
    __builtin_longjmp(fail_frame, 1);
}

uint64_t boot_pages(uint32_t memory_type, uint64_t pages) {
    efi_status status;
    uint64_t at = efi_pages(memory_type, pages, &status);
    if (status)
        boot_fail("there is not enough memory", "give the machine at least 256 MiB", status);
    return at;
}

static uint64_t read_tsc(void) {
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

static void find_sections(efi_handle self, struct bootinfo *info) {
    struct efi_loaded_image *image = NULL;
    efi_status status =
        boot_services->HandleProtocol(self, &EFI_LOADED_IMAGE_PROTOCOL_GUID, (void **)&image);
    if (status)
        boot_fail("the firmware does not say where this program is", "update the firmware", status);
    info->kernel_elf = image_section(image->ImageBase, image->ImageSize, ".kernel");
    info->modules = image_section(image->ImageBase, image->ImageSize, ".modules");
    info->config = image_section(image->ImageBase, image->ImageSize, ".config");
}

static uint64_t find_rsdp(const struct efi_system_table *st) {
    for (uint64_t i = 0; i < st->NumberOfTableEntries; i++)
        if (efi_guid_equal(&st->ConfigurationTable[i].VendorGuid, &EFI_ACPI_20_TABLE_GUID))
            return (uint64_t)st->ConfigurationTable[i].VendorTable;
    return 0;
}

// A machine without a screen, or with one that cannot be written to directly, is fine: fb_base stays 0.
static void find_framebuffer(struct bootinfo *info) {
    struct efi_graphics_output *gop = NULL;
    if (boot_services->LocateProtocol(&EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID, NULL, (void **)&gop))
        return;
    const struct efi_graphics_mode *mode = gop->Mode;
    if (!mode || !mode->Info) return;
    if (mode->Info->PixelFormat == EFI_PIXEL_BGRX8888)
        info->fb_format = 0;
    else if (mode->Info->PixelFormat == EFI_PIXEL_RGBX8888)
        info->fb_format = 1;
    else
        return;
    info->fb_base = mode->FrameBufferBase;
    info->fb_width = mode->Info->HorizontalResolution;
    info->fb_height = mode->Info->VerticalResolution;
    info->fb_pitch = mode->Info->PixelsPerScanLine * 4;
}

// Seconds since 1970; 0 if the firmware has no sensible time.
static uint64_t unix_time(const struct efi_system_table *st) {
    struct efi_time t;
    if (st->RuntimeServices->GetTime(&t, NULL) || t.Year < 1970 || t.Year > 9999 || t.Month < 1 ||
        t.Month > 12 || t.Day < 1 || t.Day > 31)
        return 0;
    static const uint16_t before[12] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    int64_t y = t.Year, last = t.Month > 2 ? y : y - 1; // the last February that is over
    int64_t leap_days = last / 4 - last / 100 + last / 400 - (1969 / 4 - 1969 / 100 + 1969 / 400);
    int64_t days = (y - 1970) * 365 + leap_days + before[t.Month - 1] + t.Day - 1;
    int64_t seconds = ((days * 24 + t.Hour) * 60 + t.Minute) * 60 + t.Second;
    if (t.TimeZone != EFI_UNSPECIFIED_TIMEZONE)
        seconds += t.TimeZone * 60; // 8.3: local = UTC - TimeZone
    return seconds > 0 ? (uint64_t)seconds : 0;
}

static efi_status fetch_map(struct memory_map *map) {
    uint32_t version;
    map->size = map->capacity;
    return boot_services->GetMemoryMap(&map->size, map->bytes, &map->key, &map->descriptor_size,
                                       &version);
}

// Memory for the map, and a first look at it.
static void make_map(struct memory_map *map) {
    *map = (struct memory_map){0};
    efi_status status = fetch_map(map);
    if (status != EFI_BUFFER_TOO_SMALL || map->descriptor_size < sizeof(struct efi_memory_descriptor))
        boot_fail("the firmware has no memory map", "update the firmware", status);
    map->capacity = map->size + MAP_SLACK * map->descriptor_size;
    map->bytes = (uint8_t *)boot_pages(BOOT_TYPE_LOADER, EFI_PAGES(map->capacity));
    status = fetch_map(map);
    if (status) boot_fail("the firmware's memory map keeps growing", "update the firmware", status);
}

static const struct efi_memory_descriptor *map_at(const struct memory_map *map, uint64_t offset) {
    return (const void *)(map->bytes + offset);
}

static uint32_t range_type(uint32_t efi_type) {
    switch (efi_type) {
    case EFI_CONVENTIONAL_MEMORY:
    case EFI_BOOT_SERVICES_CODE:
    case EFI_BOOT_SERVICES_DATA: return BOOT_MEM_FREE;
    case EFI_LOADER_CODE:
    case EFI_LOADER_DATA: return BOOT_MEM_LOADER;
    case BOOT_TYPE_KERNEL: return BOOT_MEM_KERNEL;
    case EFI_ACPI_RECLAIM_MEMORY: return BOOT_MEM_ACPI_RECLAIM;
    case EFI_ACPI_MEMORY_NVS: return BOOT_MEM_ACPI_NVS;
    default: return BOOT_MEM_RESERVED;
    }
}

static uint64_t ram_end(const struct memory_map *map) {
    uint64_t end = 0;
    for (uint64_t at = 0; at < map->size; at += map->descriptor_size) {
        const struct efi_memory_descriptor *d = map_at(map, at);
        uint64_t d_end = d->PhysicalStart + d->NumberOfPages * EFI_PAGE_SIZE;
        if (range_type(d->Type) != BOOT_MEM_RESERVED && d_end > end) end = d_end;
    }
    return end;
}

// The map in the kernel's terms: sorted (firmware need not do it), neighbours of one kind joined.
static uint64_t convert_map(const struct memory_map *map, struct boot_mem_range *ranges) {
    uint64_t count = 0;
    for (uint64_t at = 0; at < map->size; at += map->descriptor_size) {
        const struct efi_memory_descriptor *d = map_at(map, at);
        struct boot_mem_range r = {d->PhysicalStart, d->NumberOfPages, range_type(d->Type), d->Type};
        // What was the firmware's boot services' is now like any other memory, and joined with it.
        if (r.type == BOOT_MEM_FREE) r.efi_type = EFI_CONVENTIONAL_MEMORY;
        uint64_t i = count++;
        for (; i && ranges[i - 1].base > r.base; i--) ranges[i] = ranges[i - 1];
        ranges[i] = r;
    }
    uint64_t kept = 0;
    for (uint64_t i = 0; i < count; i++) {
        struct boot_mem_range *last = kept ? &ranges[kept - 1] : NULL;
        if (last && last->efi_type == ranges[i].efi_type &&
            last->base + last->pages * EFI_PAGE_SIZE == ranges[i].base)
            last->pages += ranges[i].pages;
        else
            ranges[kept++] = ranges[i];
    }
    return kept;
}

// After the first attempt of ExitBootServices() only GetMemoryMap() and itself may be called (7.4.6); the message of a
// final failure may therefore not come out, but it is better than none.
static void leave_firmware(efi_handle self, struct memory_map *map) {
    efi_status status = EFI_LOAD_ERROR;
    for (int i = 0; i < EXIT_ATTEMPTS && status; i++) {
        status = fetch_map(map);
        if (!status) status = boot_services->ExitBootServices(self, map->key);
    }
    if (status) boot_fail("the firmware does not let go", "update the firmware", status);
}

efi_status efi_main(efi_handle self, struct efi_system_table *st) {
    uint64_t tsc_entry = read_tsc();
    boot_services = st->BootServices;
    efi_lib_init(st);
    if (__builtin_setjmp(fail_frame)) return EFI_LOAD_ERROR;
    boot_services->SetWatchdogTimer(0, 0, 0,
                                    NULL); // else the firmware resets the machine in 5 minutes

    // What the kernel is told, in memory that it can reclaim.
    paging_check_cpu();
    struct bootinfo *info = (void *)boot_pages(BOOT_TYPE_LOADER, EFI_PAGES(sizeof *info));
    *info = (struct bootinfo){.magic = BOOTINFO_MAGIC,
                              .version = BOOTINFO_VERSION,
                              .size = sizeof *info,
                              .tsc_entry = tsc_entry};
    find_sections(self, info);
    info->rsdp = find_rsdp(st);
    find_framebuffer(info);
    info->unix_time = unix_time(st);

    // The kernel, its stack and the page tables that it starts on.
    static struct boot_kernel kernel;
    image_load_kernel(info->kernel_elf, &kernel);
    info->kernel_phys = kernel.phys;
    info->kernel_virt = kernel.virt;
    info->kernel_pages = kernel.pages;
    uint64_t stack = boot_pages(BOOT_TYPE_LOADER, STACK_PAGES);
    struct memory_map map;
    make_map(&map);
    uint64_t cr3 = paging_make(&kernel, ram_end(&map));
    uint64_t max_ranges = map.capacity / map.descriptor_size;
    struct boot_mem_range *ranges =
        (void *)boot_pages(BOOT_TYPE_LOADER, EFI_PAGES(max_ranges * sizeof *ranges));

    // Nothing may be allocated from here on.
    leave_firmware(self, &map);
    info->tsc_exit = read_tsc();
    info->mem_map = (uint64_t)ranges;
    info->mem_map_count = convert_map(&map, ranges);
    paging_enter(cr3, stack + STACK_PAGES * EFI_PAGE_SIZE, kernel.entry, info);
}
