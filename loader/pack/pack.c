// pack.c — the checking reader of pack.h. Everything is checked in pack_open(), in one pass over the table plus a
// comparison of each pair of entries; nothing is checked twice.
#include "loader/pack/pack.h"

static const struct pack_entry_raw *entry(const uint8_t *bytes, uint32_t i) {
    return (const struct pack_entry_raw *)(bytes + sizeof(struct pack_header)) + i;
}

static _Bool same_name(const char *a, const char *b) {
    for (uint32_t i = 0; i < PACK_NAME; i++) {
        if (a[i] != b[i]) return 0;
        if (a[i] == 0) return 1;
    }
    return 1;
}

const char *pack_status_text(enum pack_status status) {
    static const char *const texts[] = {
#define PACK_TEXT(name, text) [name] = text,
        PACK_STATUS(PACK_TEXT)
#undef PACK_TEXT
    };
    return (unsigned)status < sizeof texts / sizeof *texts ? texts[status] : "unknown pack status";
}

_Bool pack_name_ok(const char name[PACK_NAME]) {
    uint32_t n = 0;
    for (; n < PACK_NAME && name[n]; n++) {
        char c = name[n];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-'))
            return 0;
    }
    if (n == 0 || n == PACK_NAME) return 0;
    for (; n < PACK_NAME; n++) // the padding hides nothing
        if (name[n]) return 0;
    return 1;
}

enum pack_status pack_open(const void *bytes, uint64_t size, struct pack *out_pack) {
    *out_pack = (struct pack){0};
    if ((uintptr_t)bytes % PACK_ALIGN) return PACK_MISALIGNED;
    if (size < sizeof(struct pack_header)) return PACK_TRUNCATED;
    const struct pack_header *h = bytes;
    if (h->magic != PACK_MAGIC) return PACK_BAD_MAGIC;
    if (h->version != PACK_VERSION) return PACK_BAD_VERSION;
    if (h->count > PACK_MAX) return PACK_TOO_MANY;
    if (h->size > size) return PACK_TRUNCATED;
    uint64_t table_end = sizeof *h + h->count * (uint64_t)sizeof(struct pack_entry_raw);
    if (table_end > h->size) return PACK_TRUNCATED;

    for (uint32_t i = 0; i < h->count; i++) {
        const struct pack_entry_raw *e = entry(bytes, i);
        if (!pack_name_ok(e->name)) return PACK_BAD_NAME;
        if (e->flags || e->zero) return PACK_BAD_FLAGS;
        if (e->offset % PACK_ALIGN || e->offset < table_end || e->offset > h->size ||
            e->size > h->size - e->offset)
            return PACK_BAD_RANGE;
        for (uint32_t j = 0; j < i; j++) {
            const struct pack_entry_raw *f = entry(bytes, j);
            if (same_name(e->name, f->name)) return PACK_DUPLICATE;
            // Sums cannot wrap: each was just bounded by h->size.
            if (e->offset < f->offset + f->size && f->offset < e->offset + e->size)
                return PACK_BAD_RANGE;
        }
    }
    *out_pack = (struct pack){.bytes = bytes, .count = h->count};
    return PACK_OK;
}

struct pack_module pack_get(const struct pack *pack, uint32_t i) {
    if (i >= pack->count) __builtin_trap(); // our own bug, not the pack's
    const struct pack_entry_raw *e = entry(pack->bytes, i);
    return (struct pack_module){.name = e->name, .bytes = pack->bytes + e->offset, .size = e->size};
}

uint32_t pack_find(const struct pack *pack, const char *name) {
    uint32_t i = 0;
    while (i < pack->count && !same_name(entry(pack->bytes, i)->name, name)) i++;
    return i;
}
