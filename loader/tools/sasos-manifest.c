// sasos-manifest — gives a WebAssembly module its manifest.
//
//   sasos-manifest IN.wasm MANIFEST OUT.wasm
//
// Appends the manifest's text as the custom section "sasos.manifest" (WebAssembly core 2.0, 5.5.3). The module must have
// the wasm header and well-formed section framing, must not have a manifest yet, and the manifest must be printable ASCII lines
// of `key value`; what the keys mean is the loader's business. The rest of the module is not looked at: the kernel
// validates it anyway.
#include "loader/tools/lib/file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECTION "sasos.manifest"
#define MANIFEST_MAX 65536u // bytes of text

// Reads one unsigned LEB128 of 32 bits (WebAssembly core 2.0, 5.2.2) at *at, which it advances.
static uint32_t leb_read(const char *path, const uint8_t *b, size_t end, size_t *at) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {
        if (*at >= end) die("%s: ends inside a section header", path);
        uint8_t byte = b[(*at)++];
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            if (value > UINT32_MAX) break;
            return (uint32_t)value;
        }
    }
    die("%s: bad LEB128 number at offset %zu", path, *at);
}

static size_t leb_write(uint8_t *b, uint32_t value) {
    size_t n = 0;
    do {
        uint8_t byte = value & 0x7f;
        value >>= 7;
        b[n++] = value ? byte | 0x80 : byte;
    } while (value);
    return n;
}

static void check_module(const char *path, const uint8_t *b, size_t size) {
    if (size < 8 || memcmp(b, "\0asm\1\0\0\0", 8) != 0)
        die("%s: not a WebAssembly module of version 1", path);
    for (size_t at = 8; at < size;) {
        uint8_t id = b[at++];
        uint32_t length = leb_read(path, b, size, &at);
        if (length > size - at) die("%s: section %u is longer than the file", path, id);
        size_t end = at + length;
        if (id == 0) {
            size_t name = at;
            uint32_t n = leb_read(path, b, end, &name);
            if (n > end - name) die("%s: a custom section's name is longer than it", path);
            if (n == strlen(SECTION) && !memcmp(b + name, SECTION, n))
                die("%s: has a manifest already", path);
        }
        at = end;
    }
}

static void check_manifest(const char *path, const uint8_t *text, size_t size) {
    if (size == 0 || size > MANIFEST_MAX) die("%s: empty, or longer than %u", path, MANIFEST_MAX);
    if (text[size - 1] != '\n') die("%s: the last line does not end", path);
    for (size_t i = 0, line = 1; i < size; i++) {
        if (text[i] == '\n')
            line++;
        else if (text[i] < ' ' || text[i] > '~')
            die("%s: line %zu has other than printable ASCII", path, line);
    }
}

int main(int argc, char **argv) {
    tool_name = "sasos-manifest";
    if (argc != 4) die("usage: sasos-manifest IN.wasm MANIFEST OUT.wasm");
    size_t text_size, size;
    uint8_t *text = file_read(argv[2], 0, &text_size);
    check_manifest(argv[2], text, text_size);
    uint8_t *module = file_read(argv[1], text_size + 64, &size);
    check_module(argv[1], module, size);

    uint32_t payload = 1 + (uint32_t)strlen(SECTION) + (uint32_t)text_size; // name length: 1 byte
    module[size++] = 0;
    size += leb_write(module + size, payload);
    size += leb_write(module + size, (uint32_t)strlen(SECTION));
    memcpy(module + size, SECTION, strlen(SECTION));
    size += strlen(SECTION);
    memcpy(module + size, text, text_size);
    file_write(argv[3], module, size + text_size);
    return 0;
}
