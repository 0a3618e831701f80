// pack.h — the module pack: the modules that ride in one boot image, by name (NAME.wasm).
//
//   struct pack_header | struct pack_entry_raw[count] | module bytes, each at a multiple of PACK_ALIGN
//
// Little endian. Written on the build machine by sasos-pack, read by the kernel from the section .modules of the boot image.
// The image may be signed or not: to the reader the pack is hostile input. pack_open() checks everything that can
// be wrong (bounds, overflow, names, duplicates, overlap); a pack that it accepted is then read without further checks, so
// its bytes must not change afterwards. No allocation, no copy: entries point into the caller's bytes.
#ifndef LOADER_PACK_PACK_H
#define LOADER_PACK_PACK_H
#include <stddef.h>
#include <stdint.h>

#define PACK_MAGIC 0x314b434150534153ull // "SASPACK1"
#define PACK_VERSION 1u
#define PACK_MAX 256u  // modules in a pack
#define PACK_NAME 48u  // bytes of a name, with at least one NUL at its end
#define PACK_ALIGN 16u // of the module bytes, and of the pack itself

struct pack_header {
    uint64_t magic;
    uint32_t version, count;
    uint64_t size; // of the whole pack; what lies behind it (section padding) is not looked at
};

struct pack_entry_raw {
    char name[PACK_NAME]; // [a-z0-9_.-]+, for example virtio-blk.wasm; padded with NULs
    uint64_t offset;      // from the header
    uint64_t size;
    uint32_t flags; // none defined: 0
    uint32_t zero;
};

_Static_assert(sizeof(struct pack_header) == 24, "file format");
_Static_assert(offsetof(struct pack_entry_raw, offset) == 48, "file format");
_Static_assert(sizeof(struct pack_entry_raw) == 72, "file format");

#define PACK_STATUS(X)                                                                     \
    X(PACK_OK, "ok")                                                                       \
    X(PACK_MISALIGNED, "the pack does not start at a multiple of 16")                      \
    X(PACK_TRUNCATED, "the pack is shorter than it says")                                  \
    X(PACK_BAD_MAGIC, "this is not a module pack")                                         \
    X(PACK_BAD_VERSION, "the pack has another version than this kernel")                   \
    X(PACK_TOO_MANY, "the pack holds more than 256 modules")                               \
    X(PACK_BAD_NAME, "a module's name is empty, too long or has other than a-z 0-9 _ . -") \
    X(PACK_DUPLICATE, "two modules have the same name")                                    \
    X(PACK_BAD_RANGE, "a module's bytes do not lie where they may")                        \
    X(PACK_BAD_FLAGS, "a module has flags that this kernel does not know")

enum pack_status {
#define PACK_ENUM(name, text) name,
    PACK_STATUS(PACK_ENUM)
#undef PACK_ENUM
};

struct pack { // made by pack_open() only
    const uint8_t *bytes;
    uint32_t count;
};

struct pack_module { // points into the pack
    const char *name;
    const uint8_t *bytes;
    uint64_t size;
};

// A sentence for people.
const char *pack_status_text(enum pack_status status);

// Checks the pack in [bytes, bytes + size) completely. On failure *out_pack is an empty pack.
// The checks of names and overlap are quadratic in the number of modules, which PACK_MAX bounds.
enum pack_status pack_open(const void *bytes, uint64_t size, struct pack *out_pack);

// Module i of an opened pack; i < pack->count is the caller's duty (asserted).
struct pack_module pack_get(const struct pack *pack, uint32_t i);

// The index of the module of that name, or pack->count if there is none.
uint32_t pack_find(const struct pack *pack, const char *name);

// Whether these PACK_NAME bytes are a legal name (the writer asks this too).
_Bool pack_name_ok(const char name[PACK_NAME]);
#endif
