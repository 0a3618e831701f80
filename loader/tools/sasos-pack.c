// sasos-pack — writes a module pack (loader/pack/pack.h).
//
//   sasos-pack OUT.pack FILE.wasm...      a module is called like its file, without the folder
//
// What it wrote is opened again with the kernel's own reader before it is written out, so a pack that this tool makes is
// a pack that the kernel takes. Modules keep the order of the command line.
#include "loader/pack/pack.h"
#include "loader/tools/lib/file.h"
#include <stdlib.h>
#include <string.h>

static size_t align_up(size_t n) { return (n + PACK_ALIGN - 1) & ~(size_t)(PACK_ALIGN - 1); }

static void set_name(struct pack_entry_raw *e, const char *path) {
    const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    size_t n = strlen(base);
    if (n >= PACK_NAME) die("the name of %s is longer than %u bytes", path, PACK_NAME - 1);
    memcpy(e->name, base, n);
    if (!pack_name_ok(e->name)) die("%s: a module's name may have only a-z 0-9 _ . -", path);
}

int main(int argc, char **argv) {
    tool_name = "sasos-pack";
    if (argc < 2) die("usage: sasos-pack OUT.pack FILE.wasm...");
    uint32_t count = (uint32_t)argc - 2;
    if (count > PACK_MAX) die("more than %u modules", PACK_MAX);

    uint8_t **data = alloc(count * sizeof *data);
    struct pack_entry_raw *entries = alloc(count * sizeof *entries);
    size_t size = align_up(sizeof(struct pack_header) + count * sizeof *entries);
    for (uint32_t i = 0; i < count; i++) {
        size_t n;
        data[i] = file_read(argv[2 + i], 0, &n);
        set_name(&entries[i], argv[2 + i]);
        entries[i].offset = size;
        entries[i].size = n;
        size = align_up(size + n);
    }

    uint8_t *pack = aligned_alloc(PACK_ALIGN, size);
    if (!pack) die("out of memory");
    memset(pack, 0, size);
    struct pack_header header = {
        .magic = PACK_MAGIC, .version = PACK_VERSION, .count = count, .size = size};
    memcpy(pack, &header, sizeof header);
    memcpy(pack + sizeof header, entries, count * sizeof *entries);
    for (uint32_t i = 0; i < count; i++) memcpy(pack + entries[i].offset, data[i], entries[i].size);

    struct pack check;
    enum pack_status status = pack_open(pack, size, &check);
    if (status != PACK_OK) die("%s", pack_status_text(status));
    file_write(argv[1], pack, size);
    return 0;
}
