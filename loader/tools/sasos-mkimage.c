// sasos-mkimage — a raw disk image with a GPT, an EFI system partition and, if there is one, a partition for data.
//
//   sasos-mkimage OUT.img ESP.fat [DATA.fs]
//
// The partitions' contents are the given file systems. The data partition is of the type "Linux filesystem" and is called DATA.
// Both start at multiples of 4 KiB, the first as early as it may: an image is not much larger than what is in it. Protective MBR, primary and backup GPT as in
// UEFI 2.10, 5.2 and 5.3, 512-byte blocks. All GUIDs are fixed, so equal input gives equal output; whoever needs two such
// disks in one machine must change them. No root, no loop device.
#include "loader/tools/lib/file.h"
#include <stdlib.h>
#include <string.h>

#define BLOCK 512u
#define ALIGN 4096u
#define FIRST_LBA 40u // of the first partition: behind the table, aligned
#define ENTRIES 128u
#define ENTRY_SIZE 128u
#define TABLE_BLOCKS (ENTRIES * ENTRY_SIZE / BLOCK)

static void put(uint8_t *p, uint64_t v, unsigned bytes) {
    for (unsigned i = 0; i < bytes; i++) p[i] = (uint8_t)(v >> 8 * i);
}

// CRC-32 as in UEFI 2.10, 4.2.1 (the one of Ethernet).
static uint32_t crc32(const uint8_t *p, size_t n) {
    uint32_t crc = ~0u;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

// EFI_PARTITION_TYPE_EFI_SYSTEM_PART_GUID c12a7328-f81f-11d2-ba4b-00a0c93ec93b (UEFI 2.10, table 5.7)
static const uint8_t esp_type[16] = {0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11,
                                     0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b};
// Linux filesystem data, 0fc63daf-8483-4772-8e79-3d69d8477de4 (UAPI group, discoverable partitions)
static const uint8_t data_type[16] = {0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47,
                                      0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4};
static const uint8_t disk_guid[16] = "SASOS\0\x40\x40\x80 disk 1";
static const uint8_t esp_guid[16] = "SASOS\0\x40\x40\x80 part 1";
static const uint8_t data_guid[16] = "SASOS\0\x40\x40\x80 part 2";

static uint64_t align_up(uint64_t n, uint64_t to) { return (n + to - 1) / to * to; }

// One GPT header (UEFI 2.10, table 5.5) at block `own`, whose table starts at block `table`.
static void gpt_header(uint8_t *image, uint64_t blocks, uint64_t own, uint64_t other, uint64_t table) {
    uint8_t *h = image + own * BLOCK;
    memcpy(h, "EFI PART", 8);
    put(h + 8, 0x00010000, 4); // revision 1.0
    put(h + 12, 92, 4);        // header size
    put(h + 24, own, 8);
    put(h + 32, other, 8);
    put(h + 40, 2 + TABLE_BLOCKS, 8);          // first usable block
    put(h + 48, blocks - 2 - TABLE_BLOCKS, 8); // last usable block
    memcpy(h + 56, disk_guid, 16);
    put(h + 72, table, 8);
    put(h + 80, ENTRIES, 4);
    put(h + 84, ENTRY_SIZE, 4);
    put(h + 88, crc32(image + table * BLOCK, ENTRIES * ENTRY_SIZE), 4);
    put(h + 16, crc32(h, 92), 4); // over the header, this field being 0
}

// One entry of the table (UEFI 2.10, table 5.6).
static void gpt_entry(uint8_t *e, const uint8_t type[16], const uint8_t guid[16], uint64_t first,
                      uint64_t blocks, const char *name) {
    memcpy(e, type, 16);
    memcpy(e + 16, guid, 16);
    put(e + 32, first, 8);
    put(e + 40, first + blocks - 1, 8);
    for (unsigned i = 0; name[i]; i++) e[56 + 2 * i] = (uint8_t)name[i];
}

int main(int argc, char **argv) {
    tool_name = "sasos-mkimage";
    if (argc != 3 && argc != 4) die("usage: sasos-mkimage OUT.img ESP.fat [DATA.fs]");
    size_t esp_size, data_size = 0;
    uint8_t *esp = file_read(argv[2], 0, &esp_size);
    uint8_t *data = argc == 4 ? file_read(argv[3], 0, &data_size) : NULL;
    if (esp_size < BLOCK || esp_size % BLOCK || esp[510] != 0x55 || esp[511] != 0xaa)
        die("%s: not a FAT file system", argv[2]);
    if (data_size % ALIGN) die("%s: not a multiple of 4 KiB", argv[3]);
    uint64_t esp_blocks = esp_size / BLOCK, data_blocks = data_size / BLOCK;
    uint64_t data_first = align_up(FIRST_LBA + esp_blocks, ALIGN / BLOCK);
    uint64_t blocks = align_up(data_first + data_blocks + 1 + TABLE_BLOCKS, ALIGN / BLOCK);
    if (blocks > UINT32_MAX) die("%s: too big", argv[1]);
    uint8_t *image = alloc(blocks * BLOCK);

    uint8_t *mbr = image + 446; // protective MBR: one partition over everything (UEFI 2.10, 5.2.3)
    put(mbr + 1, 0x000200, 3);  // starting CHS
    mbr[4] = 0xee;
    put(mbr + 5, 0xffffff, 3);
    put(mbr + 8, 1, 4);
    put(mbr + 12, blocks - 1, 4);
    put(image + 510, 0xaa55, 2);

    uint8_t *table = image + 2 * BLOCK;
    gpt_entry(table, esp_type, esp_guid, FIRST_LBA, esp_blocks, "ESP");
    if (data_size)
        gpt_entry(table + ENTRY_SIZE, data_type, data_guid, data_first, data_blocks, "DATA");
    uint64_t backup = blocks - 1, backup_table = backup - TABLE_BLOCKS;
    memcpy(image + backup_table * BLOCK, table, ENTRIES * ENTRY_SIZE);
    gpt_header(image, blocks, 1, backup, 2);
    gpt_header(image, blocks, backup, 1, backup_table);

    memcpy(image + FIRST_LBA * BLOCK, esp, esp_size);
    if (data_size) memcpy(image + data_first * BLOCK, data, data_size);
    file_write(argv[1], image, blocks * BLOCK);
    return 0;
}
