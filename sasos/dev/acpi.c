// acpi.c — reads the firmware's tables into struct acpi_info (see acpi.h). Pure: no hardware, no
// globals, no allocation.
//
// Invariant: a field is read only through a `struct span` (bytes that the source vouched for) after
// `need()` has checked the offset against the span's size; lengths found in a table can only shrink
// a span, never grow it. Clauses: ACPI 6.5 unless VT-d (rev. 5.10) is named.
#include "sasos/dev/acpi_span.h"

#include "sfi-jit/lib.h"

enum {
    SDT_HEADER_SIZE = 36,       // §5.2.6
    SDT_LENGTH_MAX = 16u << 20, // larger than any real table; bounds checksum time
    RSDP_V1_SIZE = 20,          // §5.2.5.3
    RSDP_V2_SIZE = 36,          //
    ROOT_ENTRIES_MAX = 256,     // tables looked at through the XSDT/RSDT
    FADT_SIZE_MIN = 116, // ACPI 1.0's length; later fields are read only where the table is long enough
    DMAR_HEADER_SIZE = 48,        // VT-d §8.1
    AML_S5_ELEMENTS = 2,          // SLP_TYPa, SLP_TYPb (§7.4.2)
    FADT_RESET_REG_SUP = 1 << 10, // §5.2.9, fixed feature flags
    FADT_TMR_VAL_EXT = 1 << 8,
    FADT_PWR_BUTTON = 1 << 4,
    FADT_HW_REDUCED_ACPI = 1 << 20,
};

static bool sums_to_zero(struct span s, uint64_t size) {
    uint8_t sum = 0;
    for (uint64_t i = 0; i < size; i++) sum = (uint8_t)(sum + s.bytes[i]);
    return sum == 0;
}

static bool map_span(const struct acpi_source *source, uint64_t phys, uint64_t size, struct span *out) {
    if (phys == 0 || phys + size < phys) return false;
    out->bytes = source->map(source->arg, phys, size);
    out->size = size;
    return out->bytes != NULL;
}

static void reject(struct acpi_info *info, const void *signature, enum acpi_status status) {
    if (!room(info, info->reject_count, ACPI_REJECTS_MAX)) return;
    struct acpi_reject *r = &info->rejects[info->reject_count++];
    memcpy(r->signature, signature, 4);
    r->status = (uint8_t)status;
}

// Header first, then the whole: the length field decides how much the second mapping asks for.
static enum acpi_status map_table(const struct acpi_source *source, uint64_t phys, struct span *out) {
    struct span header;
    if (!map_span(source, phys, SDT_HEADER_SIZE, &header)) return ACPI_UNREADABLE;
    uint32_t length = get32(header, 4);
    if (length < SDT_HEADER_SIZE || length > SDT_LENGTH_MAX) return ACPI_LENGTH;
    if (!map_span(source, phys, length, out)) return ACPI_UNREADABLE;
    return sums_to_zero(*out, length) ? ACPI_OK : ACPI_CHECKSUM;
}

static bool has_signature(struct span s, const char *signature) {
    return memcmp(s.bytes, signature, 4) == 0;
}

static struct acpi_gas get_gas(struct span s, uint64_t o) {
    return (struct acpi_gas){
        .space_id = get8(s, o),
        .bit_width = get8(s, o + 1),
        .bit_offset = get8(s, o + 2),
        .access_size = get8(s, o + 3),
        .address = get64(s, o + 4),
    };
}

// ---- MADT, §5.2.12 ----

static void madt_cpu(struct acpi_info *info, uint32_t apic_id, uint32_t flags) {
    if (!(flags & 3)) // neither Enabled nor Online Capable: the slot is empty
        return;
    if (room(info, info->cpu_count, ACPI_CPUS_MAX))
        info->cpus[info->cpu_count++] = (struct acpi_cpu){apic_id, flags & 1};
}

static enum acpi_status parse_madt(struct span t, struct acpi_info *info) {
    enum {
        LOCAL_APIC = 0,
        IO_APIC = 1,
        SOURCE_OVERRIDE = 2,
        LAPIC_ADDRESS_OVERRIDE = 5,
        LOCAL_X2APIC = 9,
        KINDS
    };
    static const uint8_t sizes[KINDS] = {
        [LOCAL_APIC] = 8,    [IO_APIC] = 12, [SOURCE_OVERRIDE] = 10, [LAPIC_ADDRESS_OVERRIDE] = 12,
        [LOCAL_X2APIC] = 16,
    };
    if (!need(t, 36, 8)) return ACPI_LENGTH;
    info->lapic_base = get32(t, 36);

    for (uint64_t o = 44; o < t.size;) {
        if (!need(t, o, 2)) return ACPI_ENTRY_LENGTH;
        uint8_t type = get8(t, o), length = get8(t, o + 1);
        if (length < 2 || !need(t, o, length) || (type < KINDS && length < sizes[type]))
            return ACPI_ENTRY_LENGTH;
        switch (type) {
        case LOCAL_APIC: madt_cpu(info, get8(t, o + 3), get32(t, o + 4)); break;
        case LOCAL_X2APIC: madt_cpu(info, get32(t, o + 4), get32(t, o + 8)); break;
        case LAPIC_ADDRESS_OVERRIDE: info->lapic_base = get64(t, o + 4); break;
        case IO_APIC:
            if (room(info, info->ioapic_count, ACPI_IOAPICS_MAX))
                info->ioapics[info->ioapic_count++] = (struct acpi_ioapic){
                    .id = get8(t, o + 2), .address = get32(t, o + 4), .gsi_base = get32(t, o + 8)};
            break;
        case SOURCE_OVERRIDE:
            if (room(info, info->override_count, ACPI_OVERRIDES_MAX))
                info->overrides[info->override_count++] = (struct acpi_override){
                    .irq = get8(t, o + 3), .gsi = get32(t, o + 4), .flags = get16(t, o + 8)};
            break;
        default: break;
        }
        o += length;
    }
    info->have |= ACPI_HAVE_MADT;
    return ACPI_OK;
}

// ---- MCFG, PCI Firmware 3.3 §4.1.2 ----

static enum acpi_status parse_mcfg(struct span t, struct acpi_info *info) {
    if (!need(t, 36, 8) || (t.size - 44) % 16) return ACPI_LENGTH;
    for (uint64_t o = 44; o < t.size; o += 16) {
        struct acpi_mcfg m = {get64(t, o), get16(t, o + 8), get8(t, o + 10), get8(t, o + 11)};
        uint64_t end = m.base + ((uint64_t)m.bus_last << 20) + (1u << 20) - 1;
        if (m.bus_first > m.bus_last || m.base % (1u << 20) || m.base == 0 || end < m.base)
            return ACPI_ENTRY_LENGTH;
        if (room(info, info->mcfg_count, ACPI_MCFG_MAX)) info->mcfg[info->mcfg_count++] = m;
    }
    if (info->mcfg_count) info->have |= ACPI_HAVE_MCFG;
    return ACPI_OK;
}

// ---- FADT, §5.2.9 ----

// The 64-bit field wins where present and non-zero (§5.2.9, "X_" fields); else the old 32-bit I/O
// port.
static struct acpi_gas fadt_block(struct span t, uint64_t old, uint64_t extended, uint8_t width) {
    if (need(t, extended, 12) && get_gas(t, extended).address) return get_gas(t, extended);
    return (struct acpi_gas){.address = get32(t, old), .space_id = ACPI_SPACE_IO, .bit_width = width};
}

static enum acpi_status parse_fadt(struct span t, struct acpi_info *info, uint64_t *out_dsdt) {
    if (t.size < FADT_SIZE_MIN) return ACPI_LENGTH;
    uint32_t flags = get32(t, 112);
    info->sci_int = get16(t, 46);
    info->pm1a_cnt = fadt_block(t, 64, 172, 16);
    info->pm1b_cnt = fadt_block(t, 68, 184, 16);
    info->pm1a_evt = fadt_block(t, 56, 148, 32);
    info->pm1_evt_length = get8(t, 88);
    info->power_button = !(flags & FADT_PWR_BUTTON);
    info->smi_command = (uint16_t)(get32(t, 48) <= 0xffff ? get32(t, 48) : 0);
    info->acpi_enable = get8(t, 52);
    if (get8(t, 91) >= 4 ||
        (need(t, 208, 12) && get_gas(t, 208).address)) // PM_TMR_LEN: 4 where the timer exists
        info->pm_timer = fadt_block(t, 76, 208, 32);
    info->pm_timer_32bit = flags & FADT_TMR_VAL_EXT;
    info->hw_reduced = flags & FADT_HW_REDUCED_ACPI;
    if ((flags & FADT_RESET_REG_SUP) && need(t, 116, 13)) {
        info->reset_reg = get_gas(t, 116);
        info->reset_value = get8(t, 128);
    }
    *out_dsdt = need(t, 140, 8) && get64(t, 140) ? get64(t, 140) : get32(t, 40);
    info->have |= ACPI_HAVE_FADT;
    return ACPI_OK;
}

// One package element that is an integer constant (§20.2.3); moves *o past it.
static bool aml_integer(struct span t, uint64_t *o, uint64_t *out_value) {
    if (!need(t, *o, 1)) return false;
    uint8_t op = get8(t, (*o)++);
    unsigned size = 0;
    switch (op) {
    case 0x00: // ZeroOp
    case 0x01: // OneOp
        *out_value = op;
        return true;
    case 0xff: // OnesOp
        *out_value = UINT64_MAX;
        return true;
    case 0x0a: // BytePrefix
        size = 1;
        break;
    case 0x0b: // WordPrefix
        size = 2;
        break;
    case 0x0c: // DWordPrefix
        size = 4;
        break;
    default: return false;
    }
    if (!need(t, *o, size)) return false;
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++) value |= (uint64_t)get8(t, *o + i) << 8 * i;
    *o += size;
    *out_value = value;
    return true;
}

// Name(\_S5_, Package(){a, b, …}) at `o`, which is just behind the name. AML is not interpreted: a
// table that computes \_S5_ is not understood, and power-off then uses the caller's fallback.
static bool aml_s5_package(struct span t, uint64_t o, struct acpi_info *info) {
    if (!need(t, o, 2) || get8(t, o) != 0x12) // PackageOp (§20.2.5.4)
        return false;
    uint64_t start = o + 1;
    unsigned extra = get8(t, start) >> 6; // PkgLength (§20.2.4): bits 7:6 = number of further bytes
    if (!need(t, start, 1 + extra + 1)) return false;
    uint64_t length = extra ? get8(t, start) & 0x0f : get8(t, start) & 0x3f;
    for (unsigned i = 0; i < extra; i++) length |= (uint64_t)get8(t, start + 1 + i) << (4 + 8 * i);
    if (length < 1 + extra + 1 || !need(t, start, length)) return false;
    struct span package = {t.bytes, start + length};
    uint64_t cursor = start + 1 + extra;
    uint8_t elements = get8(package, cursor++);
    uint64_t a, b;
    if (elements < AML_S5_ELEMENTS || !aml_integer(package, &cursor, &a) ||
        !aml_integer(package, &cursor, &b))
        return false;
    if (a > 7 || b > 7) // SLP_TYPx is three bits wide (§4.8.3.2.1)
        return false;
    info->s5_slp_typa = (uint8_t)a;
    info->s5_slp_typb = (uint8_t)b;
    info->have |= ACPI_HAVE_S5;
    return true;
}

// DSDT or SSDT: the first NameOp [RootChar] "_S5_" followed by a literal package.
static void scan_s5(struct span t, struct acpi_info *info) {
    for (uint64_t o = SDT_HEADER_SIZE; need(t, o, 5) && !(info->have & ACPI_HAVE_S5); o++) {
        if (get8(t, o) != 0x08) // NameOp (§20.2.5.1)
            continue;
        uint64_t name = o + 1;
        if (get8(t, name) == '\\') name++;
        if (need(t, name, 4) && memcmp(t.bytes + name, "_S5_", 4) == 0)
            aml_s5_package(t, name + 4, info);
    }
}

// ---- HPET, IA-PC HPET 1.0a §3.2.4 ----

static enum acpi_status parse_hpet(struct span t, struct acpi_info *info) {
    if (!need(t, 36, 20)) return ACPI_LENGTH;
    struct acpi_gas base = get_gas(t, 40);
    if (base.space_id != ACPI_SPACE_MEMORY || base.address == 0 || base.address % 8)
        return ACPI_ENTRY_LENGTH;
    if (info->have & ACPI_HAVE_HPET) // further blocks are not needed
        return ACPI_OK;
    info->hpet_base = base.address;
    info->have |= ACPI_HAVE_HPET;
    return ACPI_OK;
}

// ---- DMAR, VT-d §8 ----

// Device scopes fill [o, end). VT-d §8.3.1.
static enum acpi_status parse_scopes(struct span t, uint64_t o, uint64_t end, struct acpi_info *info,
                                     uint16_t *out_first, uint16_t *out_count) {
    *out_first = (uint16_t)info->scope_count;
    *out_count = 0;
    while (o < end) {
        if (end - o < 6) return ACPI_ENTRY_LENGTH;
        uint8_t length = get8(t, o + 1);
        if (length < 8 || length > end - o || length % 2) return ACPI_ENTRY_LENGTH;
        unsigned path_len = (length - 6u) / 2;
        if (info->scope_count == ACPI_SCOPES_MAX || path_len > ACPI_SCOPE_PATH_MAX) {
            info->dropped++;
            info->dmar_incomplete = true;
        } else {
            struct acpi_scope *s = &info->scopes[info->scope_count++];
            *s = (struct acpi_scope){.type = get8(t, o),
                                     .enumeration_id = get8(t, o + 4),
                                     .start_bus = get8(t, o + 5),
                                     .path_len = (uint8_t)path_len};
            for (unsigned i = 0; i < path_len; i++) {
                s->path[i].device = get8(t, o + 6 + 2 * i);
                s->path[i].function = get8(t, o + 7 + 2 * i);
                if (s->path[i].device > 31 || s->path[i].function > 7) return ACPI_ENTRY_LENGTH;
            }
            (*out_count)++;
        }
        o += length;
    }
    return ACPI_OK;
}

static enum acpi_status parse_drhd(struct span t, uint64_t o, uint16_t length, struct acpi_info *info) {
    if (length < 16) return ACPI_ENTRY_LENGTH;
    if (!room(info, info->drhd_count, ACPI_DRHD_MAX)) {
        info->dmar_incomplete = true;
        return ACPI_OK;
    }
    struct acpi_drhd d = {
        .include_pci_all = get8(t, o + 4) & 1,             // Flags.INCLUDE_PCI_ALL
        .register_size = 4096u << (get8(t, o + 5) & 0x0f), // Size: 2^N pages
        .segment = get16(t, o + 6),
        .register_base = get64(t, o + 8),
    };
    if (d.register_base == 0 || d.register_base % 4096) return ACPI_ENTRY_LENGTH;
    enum acpi_status status =
        parse_scopes(t, o + 16, o + length, info, &d.scope_first, &d.scope_count);
    if (status == ACPI_OK) info->drhds[info->drhd_count++] = d;
    return status;
}

enum acpi_status acpi_reserve(struct acpi_info *info, uint64_t base, uint64_t limit) {
    if (base > limit) return ACPI_ENTRY_LENGTH;
    if (room(info, info->reserved_count, ACPI_RESERVED_MAX))
        info->reserved[info->reserved_count++] = (struct acpi_reserved){base, limit};
    return ACPI_OK;
}

static enum acpi_status parse_dmar(struct span t, struct acpi_info *info) {
    enum { DRHD = 0, RMRR = 1 };
    if (t.size < DMAR_HEADER_SIZE) return ACPI_LENGTH;
    info->dmar_host_address_width = (uint8_t)(get8(t, 36) + 1); // Host Address Width is stored minus one
    info->dmar_intr_remap = get8(t, 37) & 1;
    for (uint64_t o = DMAR_HEADER_SIZE; o < t.size;) {
        if (!need(t, o, 4)) return ACPI_ENTRY_LENGTH;
        uint16_t type = get16(t, o), length = get16(t, o + 2);
        if (length < 4 || !need(t, o, length)) return ACPI_ENTRY_LENGTH;
        enum acpi_status status = ACPI_OK;
        if (type == DRHD)
            status = parse_drhd(t, o, length, info);
        else if (type == RMRR)
            status = length < 24 ? ACPI_ENTRY_LENGTH
                                 : acpi_reserve(info, get64(t, o + 8), get64(t, o + 16));
        if (status != ACPI_OK) return status;
        o += length;
    }
    if (info->drhd_count) info->have |= ACPI_HAVE_DMAR;
    return ACPI_OK;
}

// ---- the root ----

// A table that fails half-way leaves nothing behind: its counts go back to zero.
static void parse_table(const struct acpi_source *source, struct span t, struct acpi_info *info) {
    uint64_t dsdt = 0;
    enum acpi_status status = ACPI_OK;
    const uint32_t have = info->have;

    if (has_signature(t, "APIC") && !(have & ACPI_HAVE_MADT)) {
        status = parse_madt(t, info);
        if (status != ACPI_OK)
            info->cpu_count = info->ioapic_count = info->override_count = 0, info->lapic_base = 0;
    } else if (has_signature(t, "MCFG") && !(have & ACPI_HAVE_MCFG)) {
        status = parse_mcfg(t, info);
        if (status != ACPI_OK) info->mcfg_count = 0;
    } else if (has_signature(t, "FACP") && !(have & ACPI_HAVE_FADT)) {
        status = parse_fadt(t, info, &dsdt);
    } else if (has_signature(t, "HPET")) {
        status = parse_hpet(t, info);
    } else if (has_signature(t, "DMAR") && !(have & ACPI_HAVE_DMAR)) {
        status = parse_dmar(t, info);
        if (status != ACPI_OK) info->drhd_count = info->scope_count = info->reserved_count = 0;
    } else if (has_signature(t, "IVRS") && !(have & ACPI_HAVE_IVRS)) {
        status = acpi_parse_ivrs(t, info);
        if (status != ACPI_OK)
            info->ivhd_count = info->ivrs_range_count = info->ivrs_ioapic_count =
                info->reserved_count = 0;
    } else if (has_signature(t, "SSDT")) {
        scan_s5(t, info);
    }
    if (status != ACPI_OK) reject(info, t.bytes, status);

    if (dsdt) {
        struct span d;
        status = map_table(source, dsdt, &d);
        if (status == ACPI_OK && !has_signature(d, "DSDT")) status = ACPI_SIGNATURE;
        if (status == ACPI_OK)
            scan_s5(d, info);
        else
            reject(info, "DSDT", status);
    }
}

static enum acpi_status map_root(const struct acpi_source *source, uint64_t phys,
                                 const char *signature, struct span *out) {
    enum acpi_status status = map_table(source, phys, out);
    return status == ACPI_OK && !has_signature(*out, signature) ? ACPI_SIGNATURE : status;
}

enum acpi_status acpi_parse(const struct acpi_source *source, uint64_t rsdp_phys,
                            struct acpi_info *out) {
    memset(out, 0, sizeof *out);
    struct span rsdp, root;
    if (rsdp_phys == 0) return ACPI_NO_RSDP;
    // §5.2.5.3: the first 20 bytes have a checksum of their own; revision 2 adds a length, the XSDT
    // and a second checksum.
    if (!map_span(source, rsdp_phys, RSDP_V1_SIZE, &rsdp)) return ACPI_UNREADABLE;
    if (memcmp(rsdp.bytes, "RSD PTR ", 8) != 0 || !sums_to_zero(rsdp, RSDP_V1_SIZE))
        return ACPI_RSDP_BAD;
    uint32_t rsdt = get32(rsdp, 16);
    uint64_t xsdt = 0;
    if (get8(rsdp, 15) >= 2) {
        if (!map_span(source, rsdp_phys, RSDP_V2_SIZE, &rsdp)) return ACPI_UNREADABLE;
        uint32_t length = get32(rsdp, 20);
        if (length < RSDP_V2_SIZE || length > 4096 || !map_span(source, rsdp_phys, length, &rsdp) ||
            !sums_to_zero(rsdp, length))
            return ACPI_RSDP_BAD;
        xsdt = get64(rsdp, 24);
    }

    unsigned entry_size = 8;
    enum acpi_status status = map_root(source, xsdt, "XSDT", &root);
    if (status != ACPI_OK) {
        if (xsdt) reject(out, "XSDT", status);
        entry_size = 4;
        if (map_root(source, rsdt, "RSDT", &root) != ACPI_OK) {
            memset(out, 0, sizeof *out);
            return ACPI_NO_ROOT_TABLE;
        }
    }
    uint64_t entries = (root.size - SDT_HEADER_SIZE) / entry_size;
    for (uint64_t i = 0; i < entries; i++) {
        if (i == ROOT_ENTRIES_MAX) {
            out->dropped += (uint32_t)(entries - i);
            break;
        }
        uint64_t o = SDT_HEADER_SIZE + i * entry_size;
        uint64_t phys = entry_size == 8 ? get64(root, o) : get32(root, o);
        struct span header, table;
        if (!map_span(source, phys, SDT_HEADER_SIZE, &header)) {
            reject(out, "????", ACPI_UNREADABLE);
            continue;
        }
        status = map_table(source, phys, &table);
        if (status == ACPI_OK)
            parse_table(source, table, out);
        else
            reject(out, header.bytes, status);
    }
    return ACPI_OK;
}

const char *acpi_status_text(enum acpi_status status) {
    static const char *const texts[] = {
#define X(name, text) text,
        ACPI_STATUS_LIST(X)
#undef X
    };
    return (unsigned)status < sizeof texts / sizeof texts[0] ? texts[status] : "unknown ACPI status";
}
