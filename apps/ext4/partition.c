// partition.c — see partition.h. The table is the disk's word: everything is checked from a copy, and sizes are bounded.
#include "apps/ext4/partition.h"
#include "drivers/sdk/sasos.h"
#include <string.h>

#define NAME_MAX 36u // UTF-16 units
#define ENTRY 128u
#define ENTRIES_MAX 1024u

struct header {
    char signature[8];
    uint32_t revision, size, crc, zero;
    uint64_t mine, other, first, last;
    uint8_t guid[16];
    uint64_t entries;
    uint32_t count, entry_size, entries_crc;
    uint32_t rest;
};
struct entry {
    uint8_t type[16], guid[16];
    uint64_t first, last, attributes;
    uint16_t name[NAME_MAX];
};
_Static_assert(sizeof(struct header) == 96 && sizeof(struct entry) == ENTRY,
               "UEFI 2.10, tables 5.5 and 5.6");

static const char *read(const struct disk *disk, uint64_t sector, void *to, uint32_t bytes) {
    struct disk_io io = {0};
    uint32_t sectors = (bytes + DISK_SECTOR - 1) / DISK_SECTOR;
    sectors = (sectors + disk->block - 1) / disk->block * disk->block;
    if (sector > disk->sectors || sectors > disk->sectors - sector)
        return "the partition table lies outside the disk";
    disk_start(DISK_READ, sector, sectors, disk->memory, &io);
    if (disk_wait(&io)) return "the disk cannot be read";
    memcpy(to, disk->memory, bytes);
    return NULL;
}

static uint32_t crc32(const uint8_t *bytes, uint32_t n) {
    uint32_t crc = ~0u;
    for (uint32_t i = 0; i < n; i++) {
        crc ^= bytes[i];
        for (int k = 0; k < 8; k++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

static bool is_named(const struct entry *e, const char *name, uint32_t length) {
    for (uint32_t i = 0; i < NAME_MAX; i++)
        if (e->name[i] != (i < length ? (uint8_t)name[i] : 0)) return false;
    return true;
}

// FIRST:COUNT
static bool is_range(const char *text, uint32_t length, uint64_t part[2]) {
    uint32_t which = 0;
    for (uint32_t i = 0; i < length; i++) {
        if (text[i] == ':' && which == 0 && i)
            which = 1;
        else if (text[i] >= '0' && text[i] <= '9' && part[which] < UINT64_MAX / 16)
            part[which] = part[which] * 10 + (uint64_t)(text[i] - '0');
        else
            return false;
    }
    return which == 1;
}

const char *partition_open(struct disk *disk) {
    uint64_t part[2] = {0};
    char name[NAME_MAX];
    static uint8_t table[ENTRIES_MAX * ENTRY];
    struct header h;
    int32_t length = sasos_arg(0, name, sizeof name);
    if (length == E_NOENT) return NULL;
    if (length <= 0 || length > (int32_t)sizeof name)
        return "the partition's name is not 1 to 36 characters long";
    if (is_range(name, (uint32_t)length, part))
        return disk_narrow(disk, part[0], part[1])
                   ? NULL
                   : "FIRST:COUNT, argument 0, does not lie on the disk";
    const char *why = read(disk, disk->block, &h, sizeof h); // block 1
    if (why) return why;
    uint32_t crc = h.crc;
    h.crc = 0;
    if (memcmp(h.signature, "EFI PART", 8) || h.size != 92 || crc32((const uint8_t *)&h, 92) != crc)
        return "the disk has no GPT, or a damaged one";
    if (h.entry_size != ENTRY || h.count > ENTRIES_MAX || h.entries > disk->sectors / disk->block)
        return "the partition table's shape is not supported";
    why = read(disk, h.entries * disk->block, table, h.count * ENTRY);
    if (why) return why;
    if (crc32(table, h.count * ENTRY) != h.entries_crc) return "the partition table is damaged";
    for (uint32_t i = 0; i < h.count; i++) {
        struct entry e;
        memcpy(&e, table + i * ENTRY, sizeof e);
        if (!is_named(&e, name, (uint32_t)length)) continue;
        if (e.first > e.last || e.last >= disk->sectors / disk->block ||
            !disk_narrow(disk, e.first * disk->block, (e.last - e.first + 1) * disk->block))
            return "the partition lies outside the disk";
        return NULL;
    }
    return "the disk has no partition of that name";
}
