// uefi.h — the part of the UEFI Specification 2.10 that the boot application uses, with the section that each piece is
// from. Names of types are the specification's, shortened to this repository's style (EFI_BOOT_SERVICES: struct
// efi_boot_services); names of fields are the specification's own. Table entries that are never called are `void *`.
// Every pointer to a service has the Microsoft x64 calling convention, which is this target's default (2.3.4).
#ifndef EFI_UEFI_H
#define EFI_UEFI_H
#include <stddef.h>
#include <stdint.h>

typedef uint64_t efi_status; // 2.3.1 EFI_STATUS
typedef void *efi_handle;    // 2.3.1 EFI_HANDLE
typedef uint16_t efi_char16; // 2.3.1 CHAR16

// Appendix D
#define EFI_ERROR_BIT (1ull << 63)
#define EFI_SUCCESS 0ull
#define EFI_LOAD_ERROR (EFI_ERROR_BIT | 1)
#define EFI_INVALID_PARAMETER (EFI_ERROR_BIT | 2)
#define EFI_BUFFER_TOO_SMALL (EFI_ERROR_BIT | 5)

struct efi_guid { // 2.3.1 EFI_GUID
    uint32_t a;
    uint16_t b, c;
    uint8_t d[8];
};

#define EFI_LOADED_IMAGE_PROTOCOL_GUID /* 9.1 */ \
    ((struct efi_guid){0x5b1b31a1, 0x9562, 0x11d2, {0x8e, 0x3f, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b}})
#define EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID /* 12.9 */ \
    ((struct efi_guid){0x9042a9de, 0x23dc, 0x4a38, {0x96, 0xfb, 0x7a, 0xde, 0xd0, 0x80, 0x51, 0x6a}})
#define EFI_ACPI_20_TABLE_GUID /* 4.6 */ \
    ((struct efi_guid){0x8868e871, 0xe4f1, 0x11d3, {0xbc, 0x22, 0x00, 0x80, 0xc7, 0x3c, 0x88, 0x81}})

enum efi_memory_type { // 7.2 EFI_MEMORY_TYPE
    EFI_RESERVED_MEMORY_TYPE = 0,
    EFI_LOADER_CODE = 1,
    EFI_LOADER_DATA = 2,
    EFI_BOOT_SERVICES_CODE = 3,
    EFI_BOOT_SERVICES_DATA = 4,
    EFI_RUNTIME_SERVICES_CODE = 5,
    EFI_RUNTIME_SERVICES_DATA = 6,
    EFI_CONVENTIONAL_MEMORY = 7,
    EFI_ACPI_RECLAIM_MEMORY = 9,
    EFI_ACPI_MEMORY_NVS = 10,
};
#define EFI_MEMORY_TYPE_OS_LOADER 0x80000000u // and above: for the use of operating system loaders

struct efi_memory_descriptor { // 7.2.3 EFI_MEMORY_DESCRIPTOR; walk by DescriptorSize, never by sizeof
    uint32_t Type;
    uint64_t PhysicalStart, VirtualStart, NumberOfPages, Attribute;
};

struct efi_table_header { // 4.2
    uint64_t Signature;
    uint32_t Revision, HeaderSize, CRC32, Reserved;
};

struct efi_simple_text_output { // 12.4
    void *Reset;
    efi_status (*OutputString)(struct efi_simple_text_output *self, const efi_char16 *string);
};

struct efi_time { // 8.3 EFI_TIME
    uint16_t Year;
    uint8_t Month, Day, Hour, Minute, Second, Pad1;
    uint32_t Nanosecond;
    int16_t TimeZone;
    uint8_t Daylight, Pad2;
};
#define EFI_UNSPECIFIED_TIMEZONE 0x7ff

struct efi_runtime_services { // 4.5
    struct efi_table_header Hdr;
    efi_status (*GetTime)(struct efi_time *out_time, void *out_capabilities);
};

enum efi_allocate_type { EFI_ALLOCATE_ANY_PAGES = 0 }; // 7.2.1

struct efi_boot_services { // 4.4
    struct efi_table_header Hdr;
    void *RaiseTPL, *RestoreTPL;
    efi_status (*AllocatePages)(enum efi_allocate_type, uint32_t type, uint64_t pages,
                                uint64_t *inout_memory);
    efi_status (*FreePages)(uint64_t memory, uint64_t pages);
    efi_status (*GetMemoryMap)(uint64_t *inout_size, void *map, uint64_t *out_key,
                               uint64_t *out_descriptor_size, uint32_t *out_version);
    void *AllocatePool, *FreePool;
    void *CreateEvent, *SetTimer, *WaitForEvent, *SignalEvent, *CloseEvent, *CheckEvent;
    void *InstallProtocolInterface, *ReinstallProtocolInterface, *UninstallProtocolInterface;
    efi_status (*HandleProtocol)(efi_handle, const struct efi_guid *, void **out_interface);
    void *Reserved, *RegisterProtocolNotify, *LocateHandle, *LocateDevicePath;
    void *InstallConfigurationTable;
    efi_status (*LoadImage)(uint8_t boot_policy, efi_handle parent, void *device_path, void *source,
                            uint64_t source_size, efi_handle *out_image);
    efi_status (*StartImage)(efi_handle, uint64_t *out_exit_size, efi_char16 **out_exit_data);
    void *Exit, *UnloadImage;
    efi_status (*ExitBootServices)(efi_handle image, uint64_t map_key);
    void *GetNextMonotonicCount;
    efi_status (*Stall)(uint64_t microseconds);
    efi_status (*SetWatchdogTimer)(uint64_t seconds, uint64_t code, uint64_t size,
                                   const efi_char16 *data);
    void *ConnectController, *DisconnectController, *OpenProtocol, *CloseProtocol;
    void *OpenProtocolInformation, *ProtocolsPerHandle, *LocateHandleBuffer;
    efi_status (*LocateProtocol)(const struct efi_guid *, void *registration, void **out_interface);
};

struct efi_configuration_table { // 4.6
    struct efi_guid VendorGuid;
    void *VendorTable;
};

struct efi_system_table { // 4.3
    struct efi_table_header Hdr;
    efi_char16 *FirmwareVendor;
    uint32_t FirmwareRevision;
    efi_handle ConsoleInHandle;
    void *ConIn;
    efi_handle ConsoleOutHandle;
    struct efi_simple_text_output *ConOut;
    efi_handle StandardErrorHandle;
    struct efi_simple_text_output *StdErr;
    struct efi_runtime_services *RuntimeServices;
    struct efi_boot_services *BootServices;
    uint64_t NumberOfTableEntries;
    struct efi_configuration_table *ConfigurationTable;
};

struct efi_loaded_image { // 9.1
    uint32_t Revision;
    efi_handle ParentHandle;
    struct efi_system_table *SystemTable;
    efi_handle DeviceHandle;
    void *FilePath, *Reserved;
    uint32_t LoadOptionsSize;
    void *LoadOptions;
    void *ImageBase;
    uint64_t ImageSize;
    uint32_t ImageCodeType, ImageDataType;
    void *Unload;
};

enum efi_pixel_format { // 12.9.2 EFI_GRAPHICS_PIXEL_FORMAT
    EFI_PIXEL_RGBX8888 = 0,
    EFI_PIXEL_BGRX8888 = 1,
};

struct efi_graphics_mode_info { // 12.9.2
    uint32_t Version, HorizontalResolution, VerticalResolution;
    uint32_t PixelFormat, PixelInformation[4], PixelsPerScanLine;
};

struct efi_graphics_mode { // 12.9.2
    uint32_t MaxMode, Mode;
    struct efi_graphics_mode_info *Info;
    uint64_t SizeOfInfo, FrameBufferBase, FrameBufferSize;
};

struct efi_graphics_output { // 12.9.2
    void *QueryMode, *SetMode, *Blt;
    struct efi_graphics_mode *Mode;
};

_Static_assert(sizeof(struct efi_memory_descriptor) == 40, "7.2.3");
_Static_assert(offsetof(struct efi_boot_services, ExitBootServices) == 232, "4.4");
_Static_assert(offsetof(struct efi_boot_services, LocateProtocol) == 320, "4.4");
_Static_assert(offsetof(struct efi_system_table, ConfigurationTable) == 112, "4.3");
_Static_assert(offsetof(struct efi_loaded_image, ImageBase) == 64, "9.1");
_Static_assert(sizeof(struct efi_time) == 16, "8.3");
#endif
