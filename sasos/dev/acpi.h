// acpi.h — what the firmware's ACPI tables say, read once and kept in plain numbers (ACPI 6.5; VT-d
// specification 5.10 for DMAR; AMD 48882 rev. 3.09 for IVRS).
//
// Every table is hostile input: acpi_parse() reads memory only through the given source, checks
// signature, length and checksum of each table before it looks inside, never follows a length past
// the end of what contains it, and copies what is wanted into struct acpi_info. Nothing keeps a
// pointer into firmware memory, so the tables may be reclaimed afterwards.
//
// A broken table is left out and listed in `rejects`; only a broken root (RSDP, XSDT/RSDT) fails
// the whole parse. Too many entries of a kind are counted in `dropped`, never written past the
// arrays. Whoever needs a table asks `have` first.
//
// acpi_parse() is pure (no hardware, no globals). acpi_init() runs it once on the machine's own
// tables and logs what it found; acpi() is that result, read-only from then on.
#ifndef SASOS_DEV_ACPI_H
#define SASOS_DEV_ACPI_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bootinfo;

#define ACPI_CPUS_MAX 256u
#define ACPI_IOAPICS_MAX 16u
#define ACPI_OVERRIDES_MAX 32u
#define ACPI_MCFG_MAX 8u
#define ACPI_DRHD_MAX 16u
#define ACPI_SCOPES_MAX 128u
#define ACPI_SCOPE_PATH_MAX 8u
#define ACPI_IVHD_MAX 16u
#define ACPI_IVHD_REGISTERS 0x4000u // 48882 §3.4: bytes at register_base
#define ACPI_IVRS_RANGES_MAX 256u
#define ACPI_RESERVED_MAX 16u
#define ACPI_REJECTS_MAX 8u

#define ACPI_STATUS_LIST(X)                                                        \
    X(OK, "ok")                                                                    \
    X(NO_RSDP, "the firmware handed over no ACPI root pointer")                    \
    X(RSDP_BAD, "the ACPI root pointer has a wrong signature, length or checksum") \
    X(NO_ROOT_TABLE, "neither XSDT nor RSDT is valid")                             \
    X(UNREADABLE, "table lies outside of readable memory")                         \
    X(SIGNATURE, "table has a wrong signature")                                    \
    X(LENGTH, "table has an impossible length")                                    \
    X(CHECKSUM, "table has a wrong checksum")                                      \
    X(ENTRY_LENGTH, "an entry of the table has an impossible length")

enum acpi_status {
#define X(name, text) ACPI_##name,
    ACPI_STATUS_LIST(X)
#undef X
};

enum acpi_have { // bits of acpi_info.have
    ACPI_HAVE_MADT = 1 << 0,
    ACPI_HAVE_MCFG = 1 << 1,
    ACPI_HAVE_FADT = 1 << 2,
    ACPI_HAVE_HPET = 1 << 3,
    ACPI_HAVE_DMAR = 1 << 4,
    ACPI_HAVE_S5 = 1 << 5,
    ACPI_HAVE_IVRS = 1 << 6,
};

enum acpi_space { ACPI_SPACE_MEMORY = 0, ACPI_SPACE_IO = 1, ACPI_SPACE_PCI_CONFIG = 2 }; // §5.2.3.2

struct acpi_gas { // §5.2.3.2 generic address structure; address 0 = register is absent
    uint64_t address;
    uint8_t space_id, bit_width, bit_offset, access_size;
};

struct acpi_cpu { // §5.2.12.2, §5.2.12.12; only processors that are enabled or can be brought online
    uint32_t apic_id;
    bool enabled;
};

struct acpi_ioapic { // §5.2.12.3
    uint32_t address, gsi_base;
    uint8_t id;
};

struct acpi_override { // §5.2.12.5: ISA interrupt `irq` arrives as `gsi`
    uint32_t gsi;
    uint16_t flags; // MPS INTI: bits 1:0 polarity, bits 3:2 trigger
    uint8_t irq;
};

struct acpi_mcfg { // PCI Firmware 3.3 §4.1.2; `base` is the address of bus 0 even if bus_first > 0
    uint64_t base;
    uint16_t segment;
    uint8_t bus_first, bus_last;
};

enum acpi_scope_type { // VT-d §8.3.1
    ACPI_SCOPE_ENDPOINT = 1,
    ACPI_SCOPE_BRIDGE = 2,
    ACPI_SCOPE_IOAPIC = 3,
};

struct acpi_scope { // VT-d §8.3.1: start bus, then a path of (device, function) through bridges
    uint8_t type, enumeration_id, start_bus, path_len;
    struct {
        uint8_t device, function;
    } path[ACPI_SCOPE_PATH_MAX];
};

struct acpi_drhd { // VT-d §8.3: one DMA remapping hardware unit
    uint64_t register_base;
    uint32_t register_size;
    uint16_t segment;
    bool include_pci_all;
    uint16_t scope_first, scope_count; // into acpi_info.scopes
};

// VT-d §8.4 (RMRR), 48882 §5.2.2.8 (IVMD): memory that firmware says devices must reach; reported, never mapped silently.
struct acpi_reserved {
    uint64_t base, limit; // limit is the last byte
};

struct acpi_ivhd { // 48882 §5.2.2.1: one AMD-Vi unit
    uint64_t register_base;
    uint16_t segment, rid;             // rid: of its own function
    uint16_t capability;               // offset of its capability block in that configuration space
    uint8_t flags;                     // bits 3:0 HtTunEn, PassPW, ResPassPW, Isoc
    uint16_t range_first, range_count; // into acpi_info.ivrs_ranges
};

struct acpi_ivrs_range { // 48882 §5.2.2.2: requester ids first … last are behind the unit
    uint16_t first, last;
    uint16_t alias; // where aliased: their requests arrive under this id
    bool aliased;
};

struct acpi_ivrs_ioapic { // 48882 §5.2.2.3: under which id an I/O APIC's interrupts arrive
    uint16_t rid;
    uint8_t id, unit; // unit: index of the IVHD
};

struct acpi_reject {
    char signature[4];
    uint8_t status; // enum acpi_status
};

struct acpi_info {
    uint32_t have;    // enum acpi_have bits
    uint32_t dropped; // entries for which an array below had no room
    uint32_t reject_count;
    struct acpi_reject rejects[ACPI_REJECTS_MAX];

    // MADT (§5.2.12)
    uint64_t lapic_base;
    uint32_t cpu_count, ioapic_count, override_count;
    struct acpi_cpu cpus[ACPI_CPUS_MAX];
    struct acpi_ioapic ioapics[ACPI_IOAPICS_MAX];
    struct acpi_override overrides[ACPI_OVERRIDES_MAX];

    // MCFG
    uint32_t mcfg_count;
    struct acpi_mcfg mcfg[ACPI_MCFG_MAX];

    // FADT (§5.2.9)
    struct acpi_gas pm_timer; // 3.579545 MHz counter
    bool pm_timer_32bit;      // TMR_VAL_EXT: 32 bits wide, else 24
    struct acpi_gas pm1a_cnt, pm1b_cnt;
    struct acpi_gas pm1a_evt; // status, then enable; each half of pm1_evt_length
    uint8_t pm1_evt_length;
    bool power_button;    // a fixed one: its bits are in pm1a_evt
    uint16_t smi_command; // port that takes acpi_enable; 0: ACPI mode is all there is
    uint8_t acpi_enable;
    struct acpi_gas reset_reg; // address 0 where RESET_REG_SUP is clear
    uint8_t reset_value;
    bool hw_reduced;
    uint16_t sci_int;
    uint8_t s5_slp_typa, s5_slp_typb; // valid with ACPI_HAVE_S5

    // HPET (IA-PC HPET 1.0a §3.2.4)
    uint64_t hpet_base; // memory mapped, 1 KiB

    // DMAR (VT-d §8.1)
    uint8_t dmar_host_address_width; // in bits
    bool dmar_intr_remap;            // INTR_REMAP: platform supports interrupt remapping
    bool dmar_incomplete;            // units or scopes had no room: not every device can be fenced
    uint32_t drhd_count, scope_count;
    struct acpi_drhd drhds[ACPI_DRHD_MAX];
    struct acpi_scope scopes[ACPI_SCOPES_MAX];

    // IVRS (48882 §5.2.1)
    uint8_t ivrs_physical_bits; // PASize
    bool ivrs_incomplete;       // units or ranges had no room: not every device can be fenced
    uint32_t ivhd_count, ivrs_range_count, ivrs_ioapic_count;
    struct acpi_ivhd ivhds[ACPI_IVHD_MAX];
    struct acpi_ivrs_range ivrs_ranges[ACPI_IVRS_RANGES_MAX];
    struct acpi_ivrs_ioapic ivrs_ioapics[ACPI_IOAPICS_MAX];

    uint32_t reserved_count; // of DMAR or IVRS
    struct acpi_reserved reserved[ACPI_RESERVED_MAX];
};

// How the parser reads physical memory: a pointer to `size` readable bytes, or NULL if that range
// must not be read. The bytes must not change while acpi_parse() runs.
struct acpi_source {
    const void *(*map)(void *arg, uint64_t phys, uint64_t size);
    void *arg;
};

// Fills *out (zeroed first). Anything but ACPI_OK means that *out is empty.
enum acpi_status acpi_parse(const struct acpi_source *source, uint64_t rsdp, struct acpi_info *out);

const char *acpi_status_text(enum acpi_status status);

// Kernel only: parses the machine's tables once (and keeps the memory map for space.h), logs
// findings, panics if the root is unusable. Needs the direct map and the console, nothing else;
// call it before clocks are calibrated.
void acpi_init(const struct bootinfo *info);
const struct acpi_info *acpi(void);

// Kernel only: power off through PM1x_CNT (§4.8.3.2) and reset through RESET_REG (§4.8.3.6). Both
// return if the machine has no such way, so the caller falls back (isa-debug-exit, keyboard
// controller, triple fault).
void acpi_power_off(void);
bool acpi_is_port(const struct acpi_gas *g); // an I/O port that is there
void acpi_reset(void);
#endif
