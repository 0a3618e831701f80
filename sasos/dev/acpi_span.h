// acpi_span.h — bytes that the source vouched for, and how the parser's files read them. Only for
// them; see acpi.c.
#ifndef SASOS_DEV_ACPI_SPAN_H
#define SASOS_DEV_ACPI_SPAN_H
#include "sasos/dev/acpi.h"

struct span {
    const uint8_t *bytes;
    uint64_t size;
};

static inline bool need(struct span s, uint64_t offset, uint64_t count) {
    return offset <= s.size && count <= s.size - offset;
}

// Little-endian reads; the caller has made sure of need().
static inline uint8_t get8(struct span s, uint64_t o) { return s.bytes[o]; }

static inline uint16_t get16(struct span s, uint64_t o) {
    return (uint16_t)(s.bytes[o] | s.bytes[o + 1] << 8);
}

static inline uint32_t get32(struct span s, uint64_t o) {
    return (uint32_t)get16(s, o) | (uint32_t)get16(s, o + 2) << 16;
}

static inline uint64_t get64(struct span s, uint64_t o) {
    return (uint64_t)get32(s, o) | (uint64_t)get32(s, o + 4) << 32;
}

// True if an array of `max` entries, `count` of them in use, has room for one more; what has none is counted.
static inline bool room(struct acpi_info *info, uint32_t count, uint32_t max) {
    info->dropped += count == max;
    return count < max;
}

enum acpi_status acpi_reserve(struct acpi_info *info, uint64_t base, uint64_t limit);
// IVRS (acpi_ivrs.c). A table that fails leaves counts behind that the caller clears.
enum acpi_status acpi_parse_ivrs(struct span t, struct acpi_info *info);
#endif
