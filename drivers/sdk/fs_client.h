// fs_client.h — the client's side of drivers/sdk/fs.h: the imports, and a few steps that every client takes.
//
// The imports are of namespace "fs": `connect fs ext4 1M` in the configuration, `import fs.fs_open` … in the manifest. A client lays a path
// or data into the channel (fs_put) and calls. FS_PATH, FS_PATH2 and FS_BUFFER are places that do not overlap; any others do as well.
#ifndef SASOS_FS_CLIENT_H
#define SASOS_FS_CLIENT_H
#include "drivers/sdk/fs.h"

#define X(name, parameters, text) \
    __attribute__((import_module("fs"), import_name(#name))) int32_t name parameters;
FS_CALLS(X)
#undef X

#define FS_PATH FS_DATA                // 4 KiB for a path
#define FS_PATH2 (FS_DATA + 4096)      // 4 KiB for a second one
#define FS_BUFFER (FS_DATA + 3 * 4096) // the rest, for data; the 4 KiB before it, for structs
#define FS_STRUCT (FS_DATA + 2 * 4096)

struct fs_client {
    uint8_t *base; // the channel
    uint32_t size;
};

// Attaches through the given channel. 0, or an error.
static inline int32_t fs_client_open(struct fs_client *c, uint32_t channel) {
    c->base = (uint8_t *)(uintptr_t)sasos_chan_map(channel);
    c->size = sasos_chan_size(channel);
    if (!c->base || c->size < FS_BUFFER + 4096) return E_NOENT;
    return fs_attach();
}

// Copies bytes into the channel; false: they do not fit there.
static inline bool fs_put(struct fs_client *c, uint32_t at, const void *bytes, uint32_t n) {
    if (at > c->size || n > c->size - at) return false;
    __builtin_memcpy(c->base + at, bytes, n);
    return true;
}

static inline uint32_t fs_text_length(const char *text) {
    uint32_t n = 0;
    while (text[n]) n++;
    return n;
}

// The same for a path that ends with 0; returns its length. One that is too long is cut at 4 KiB, which the server refuses.
static inline uint32_t fs_put_path(struct fs_client *c, uint32_t at, const char *path) {
    uint32_t n = fs_text_length(path);
    if (n > FS_PATH_MAX + 1) n = FS_PATH_MAX + 1;
    return fs_put(c, at, path, n) ? n : 0;
}

static inline int32_t fs_open_path(struct fs_client *c, int32_t dir, const char *path, uint32_t flags) {
    uint32_t n = fs_put_path(c, FS_PATH, path);
    return fs_open(dir, FS_PATH, n, flags);
}
#endif
