// sasos-mkboot — puts files into a PE32+ image as sections: the unified-kernel-image shape.
//
//   sasos-mkboot OUT.EFI BASE.EFI .NAME=FILE...
//
// Each file becomes one more section (readable initialised data, not discardable) behind those of BASE, in order. Everything
// that says how big the image is gets updated; a signature, if BASE had one, would be void and is refused. Linker
// independent on purpose: a test makes a boot image of its own modules and configuration with this tool alone.
// PE/COFF specification, "Optional Header" and "Section Table".
#include "loader/tools/lib/file.h"
#include <stdlib.h>
#include <string.h>

enum { // offsets into the file header (from "PE\0\0") and, from OPT on, into the optional header of PE32+
    PE_NUMBER_OF_SECTIONS = 6,
    PE_SIZE_OF_OPTIONAL_HEADER = 20,
    OPT = 24,
    OPT_SIZE_OF_INITIALIZED_DATA = OPT + 8,
    OPT_SECTION_ALIGNMENT = OPT + 32,
    OPT_FILE_ALIGNMENT = OPT + 36,
    OPT_SIZE_OF_IMAGE = OPT + 56,
    OPT_SIZE_OF_HEADERS = OPT + 60,
    OPT_CHECK_SUM = OPT + 64,
    OPT_NUMBER_OF_RVA_AND_SIZES = OPT + 108,
    OPT_SECURITY_DIRECTORY = OPT + 112 + 4 * 8, // Certificate Table
    OPT_MINIMUM = OPT + 112 + 5 * 8,
    SECTION_SIZE = 40,
};
#define SECTION_CHARACTERISTICS 0x40000040u // IMAGE_SCN_CNT_INITIALIZED_DATA | IMAGE_SCN_MEM_READ

static uint32_t get16(const uint8_t *p) { return p[0] | (uint32_t)p[1] << 8; }
static uint32_t get32(const uint8_t *p) { return get16(p) | get16(p + 2) << 16; }
static void put16(uint8_t *p, uint32_t v) {
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}
static void put32(uint8_t *p, uint32_t v) {
    put16(p, v);
    put16(p + 2, v >> 16);
}
static size_t align_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

struct image {
    const char *path;
    uint8_t *bytes;
    size_t size;
    uint8_t *pe;       // at "PE\0\0"
    uint8_t *sections; // the section table
};

static struct image open_base(const char *path) {
    struct image m = {.path = path};
    m.bytes = file_read(path, 0, &m.size);
    size_t pe = m.size >= 64 && !memcmp(m.bytes, "MZ", 2) ? get32(m.bytes + 60) : m.size;
    if (m.size < OPT_MINIMUM || pe > m.size - OPT_MINIMUM || memcmp(m.bytes + pe, "PE\0\0", 4) ||
        get16(m.bytes + pe + OPT) != 0x20b)
        die("%s: not a PE32+ image", path);
    m.pe = m.bytes + pe;
    m.sections = m.pe + OPT + get16(m.pe + PE_SIZE_OF_OPTIONAL_HEADER);
    size_t headers = get32(m.pe + OPT_SIZE_OF_HEADERS);
    size_t table_end =
        (size_t)(m.sections - m.bytes) + get16(m.pe + PE_NUMBER_OF_SECTIONS) * SECTION_SIZE;
    if (headers > m.size || table_end > headers) die("%s: bad PE headers", path);
    if (!get32(m.pe + OPT_SECTION_ALIGNMENT) || !get32(m.pe + OPT_FILE_ALIGNMENT))
        die("%s: bad alignments", path);
    if (get32(m.pe + OPT_NUMBER_OF_RVA_AND_SIZES) > 4 && get32(m.pe + OPT_SECURITY_DIRECTORY))
        die("%s: is signed; sign the result instead", path);
    return m;
}

// Appends one section; m->bytes moves.
static void add_section(struct image *m, const char *name, size_t name_size, const char *file) {
    if (name_size == 0 || name_size > 8) die("%s: a section's name has 1 to 8 bytes", name);
    uint32_t n = get16(m->pe + PE_NUMBER_OF_SECTIONS);
    uint8_t *header = m->sections + n * SECTION_SIZE;
    size_t headers = get32(m->pe + OPT_SIZE_OF_HEADERS);
    if ((size_t)(header - m->bytes) + SECTION_SIZE > headers)
        die("%s: no room for another section header; link it with more", m->path);
    for (uint32_t i = 0; i < n; i++) {
        char padded[8] = {0};
        memcpy(padded, name, name_size);
        if (!memcmp(m->sections + i * SECTION_SIZE, padded, 8))
            die("%s: has a section %.*s already", m->path, (int)name_size, name);
    }

    size_t data_size;
    uint8_t *data = file_read(file, 0, &data_size);
    size_t file_align = get32(m->pe + OPT_FILE_ALIGNMENT);
    size_t raw_at = align_up(m->size, file_align), raw_size = align_up(data_size, file_align);
    size_t virtual_at =
        align_up(get32(m->pe + OPT_SIZE_OF_IMAGE), get32(m->pe + OPT_SECTION_ALIGNMENT));
    size_t image_size =
        align_up(virtual_at + (data_size ? data_size : 1), get32(m->pe + OPT_SECTION_ALIGNMENT));
    if (image_size > INT32_MAX || raw_at + raw_size > INT32_MAX) die("%s: too big", file);

    memset(header, 0, SECTION_SIZE);
    memcpy(header, name, name_size);
    put32(header + 8,
          (uint32_t)data_size); // VirtualSize: the exact size, which the boot application reads
    put32(header + 12, (uint32_t)virtual_at);
    put32(header + 16, (uint32_t)raw_size);
    put32(header + 20, (uint32_t)raw_at);
    put32(header + 36, SECTION_CHARACTERISTICS);
    put16(m->pe + PE_NUMBER_OF_SECTIONS, n + 1);
    put32(m->pe + OPT_SIZE_OF_IMAGE, (uint32_t)image_size);
    put32(m->pe + OPT_SIZE_OF_INITIALIZED_DATA,
          get32(m->pe + OPT_SIZE_OF_INITIALIZED_DATA) + (uint32_t)raw_size);
    put32(m->pe + OPT_CHECK_SUM, 0); // not used by UEFI

    uint8_t *grown = alloc(raw_at + raw_size);
    memcpy(grown, m->bytes, m->size);
    memcpy(grown + raw_at, data, data_size);
    m->pe = grown + (m->pe - m->bytes);
    m->sections = grown + (m->sections - m->bytes);
    free(m->bytes);
    free(data);
    m->bytes = grown;
    m->size = raw_at + raw_size;
}

int main(int argc, char **argv) {
    tool_name = "sasos-mkboot";
    if (argc < 3) die("usage: sasos-mkboot OUT.EFI BASE.EFI .NAME=FILE...");
    struct image m = open_base(argv[2]);
    for (int i = 3; i < argc; i++) {
        char *eq = strchr(argv[i], '=');
        if (!eq) die("%s: expected .NAME=FILE", argv[i]);
        add_section(&m, argv[i], (size_t)(eq - argv[i]), eq + 1);
    }
    file_write(argv[1], m.bytes, m.size);
    return 0;
}
