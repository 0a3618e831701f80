// acpi_ivrs.c — the table of AMD-Vi units, IVRS (AMD I/O Virtualization Technology specification,
// 48882 rev. 3.09, §5.2). Part of the pure parser; its rules are acpi.c's.
//
// Firmware describes one unit up to three times, in blocks of types 10h, 11h and 40h for older and
// newer readers; only those of the highest type that occurs count (§5.2.2). What a device entry
// says about interrupts that should pass unmapped is ignored: nothing passes.
#include "sasos/dev/acpi_span.h"

enum {
    IVRS_HEADER_SIZE = 48, // §5.2.1
    IVHD_10 = 0x10,
    IVHD_11 = 0x11,
    IVHD_40 = 0x40,
    IVMD_ALL = 0x20,
    IVMD_RANGE = 0x22,
    IVMD_SIZE = 32,
};

enum ivhd_entry { // §5.2.2.2, tables 103 to 107
    ENTRY_ALL = 1,
    ENTRY_SELECT = 2,
    ENTRY_RANGE_START = 3,
    ENTRY_RANGE_END = 4,
    ENTRY_ALIAS_SELECT = 66,
    ENTRY_ALIAS_START = 67,
    ENTRY_EXTENDED_SELECT = 70,
    ENTRY_EXTENDED_START = 71,
    ENTRY_SPECIAL = 72,
    ENTRY_ACPI_HID = 240,
    SPECIAL_IOAPIC = 1,
};

static bool is_ivhd(uint8_t type) { return type == IVHD_10 || type == IVHD_11 || type == IVHD_40; }

static void add_range(struct acpi_info *info, struct acpi_ivhd *unit, struct acpi_ivrs_range r) {
    if (unit->range_count && !r.aliased) { // firmware lists one function an entry: neighbours are joined
        struct acpi_ivrs_range *last = &info->ivrs_ranges[info->ivrs_range_count - 1];
        if (!last->aliased && last->last + 1u == r.first) {
            last->last = r.last;
            return;
        }
    }
    if (!room(info, info->ivrs_range_count, ACPI_IVRS_RANGES_MAX)) {
        info->ivrs_incomplete = true;
        return;
    }
    info->ivrs_ranges[info->ivrs_range_count++] = r;
    unit->range_count++;
}

static void add_ioapic(struct acpi_info *info, uint8_t id, uint16_t rid) {
    if (room(info, info->ivrs_ioapic_count, ACPI_IOAPICS_MAX))
        info->ivrs_ioapics[info->ivrs_ioapic_count++] =
            (struct acpi_ivrs_ioapic){.rid = rid, .id = id, .unit = (uint8_t)info->ivhd_count};
}

// Bytes of the entry at o: the upper two bits of its type say (§5.2.2.2); entries that name an ACPI
// device carry a length (§5.2.2.7). 0 where it does not fit before `end`.
static uint64_t entry_size(struct span t, uint64_t o, uint64_t end) {
    uint8_t type = get8(t, o);
    uint64_t size = 4ull << (type >> 6);
    if (type == ENTRY_ACPI_HID) {
        if (end - o < 22) return 0;
        size = 22ull + get8(t, o + 21);
    }
    return size <= end - o ? size : 0;
}

static enum acpi_status parse_entries(struct span t, uint64_t o, uint64_t end,
                                      struct acpi_info *info, struct acpi_ivhd *unit) {
    bool open = false; // a range was begun
    struct acpi_ivrs_range range = {0};
    for (uint64_t size; o < end; o += size) {
        size = entry_size(t, o, end);
        if (size == 0) return ACPI_ENTRY_LENGTH;
        uint8_t type = get8(t, o);
        if (type == 0) continue; // padding
        uint16_t id = get16(t, o + 1);
        if (open != (type == ENTRY_RANGE_END)) return ACPI_ENTRY_LENGTH;
        switch (type) {
        case ENTRY_ALL: add_range(info, unit, (struct acpi_ivrs_range){.last = 0xffff}); break;
        case ENTRY_SELECT:
        case ENTRY_EXTENDED_SELECT:
            add_range(info, unit, (struct acpi_ivrs_range){.first = id, .last = id});
            break;
        case ENTRY_ALIAS_SELECT:
            add_range(info, unit, (struct acpi_ivrs_range){id, id, get16(t, o + 5), true});
            break;
        case ENTRY_RANGE_START:
        case ENTRY_EXTENDED_START:
            range = (struct acpi_ivrs_range){.first = id}, open = true;
            break;
        case ENTRY_ALIAS_START:
            range = (struct acpi_ivrs_range){id, id, get16(t, o + 5), true}, open = true;
            break;
        case ENTRY_RANGE_END:
            if (id < range.first) return ACPI_ENTRY_LENGTH;
            range.last = id;
            add_range(info, unit, range);
            open = false;
            break;
        case ENTRY_SPECIAL: // handle, id, variety (§5.2.2.3)
            if (get8(t, o + 7) == SPECIAL_IOAPIC) add_ioapic(info, get8(t, o + 4), get16(t, o + 5));
            break;
        default: break;
        }
    }
    return open ? ACPI_ENTRY_LENGTH : ACPI_OK;
}

static enum acpi_status parse_ivhd(struct span t, uint64_t o, uint16_t length, struct acpi_info *info) {
    unsigned header = get8(t, o) == IVHD_10 ? 24 : 40; // §5.2.2.1, tables 95 and 98
    if (length < header) return ACPI_ENTRY_LENGTH;
    if (!room(info, info->ivhd_count, ACPI_IVHD_MAX)) {
        info->ivrs_incomplete = true;
        return ACPI_OK;
    }
    struct acpi_ivhd d = {
        .flags = get8(t, o + 1) & 0x0f,
        .rid = get16(t, o + 4),
        .capability = get16(t, o + 6),
        .register_base = get64(t, o + 8),
        .segment = get16(t, o + 16),
        .range_first = (uint16_t)info->ivrs_range_count,
    };
    if (d.register_base == 0 || d.register_base % ACPI_IVHD_REGISTERS) return ACPI_ENTRY_LENGTH;
    enum acpi_status status = parse_entries(t, o + header, o + length, info, &d);
    if (status == ACPI_OK) info->ivhds[info->ivhd_count++] = d;
    return status;
}

static enum acpi_status parse_ivmd(struct span t, uint64_t o, uint16_t length, struct acpi_info *info) {
    if (length < IVMD_SIZE) return ACPI_ENTRY_LENGTH;
    uint64_t base = get64(t, o + 16), size = get64(t, o + 24);
    return size ? acpi_reserve(info, base, base + (size - 1)) : ACPI_ENTRY_LENGTH;
}

enum acpi_status acpi_parse_ivrs(struct span t, struct acpi_info *info) {
    uint8_t newest = 0;
    if (t.size < IVRS_HEADER_SIZE) return ACPI_LENGTH;
    info->ivrs_physical_bits = get32(t, 36) >> 8 & 0x7f; // IVinfo.PASize
    for (uint64_t o = IVRS_HEADER_SIZE; o < t.size; o += get16(t, o + 2)) {
        if (!need(t, o, 4)) return ACPI_ENTRY_LENGTH;
        uint16_t length = get16(t, o + 2);
        if (length < 4 || !need(t, o, length)) return ACPI_ENTRY_LENGTH;
        if (is_ivhd(get8(t, o)) && get8(t, o) > newest) newest = get8(t, o);
    }
    for (uint64_t o = IVRS_HEADER_SIZE; o < t.size; o += get16(t, o + 2)) {
        uint8_t type = get8(t, o);
        enum acpi_status status = ACPI_OK;
        if (is_ivhd(type) && type == newest)
            status = parse_ivhd(t, o, get16(t, o + 2), info);
        else if (type >= IVMD_ALL && type <= IVMD_RANGE)
            status = parse_ivmd(t, o, get16(t, o + 2), info);
        if (status != ACPI_OK) return status;
    }
    if (info->ivhd_count) info->have |= ACPI_HAVE_IVRS;
    return ACPI_OK;
}
