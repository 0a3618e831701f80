// walk.h — resolving paths in a file system that is a tree of numbered nodes in memory and is never changed.
#ifndef WASI_WALK_H
#define WASI_WALK_H
#include "apps/wasi/vfs.h"

struct walk_tree {
    uint8_t (*type)(uint32_t node); // FILETYPE_*
    bool (*lookup)(uint32_t dir, const char *name, uint32_t n, uint32_t *out_node);
    // NULL: there are no symbolic links. Not terminated.
    const char *(*target)(uint32_t node, uint32_t *out_n);
};
// NOENT, NOTDIR, LOOP, NAMETOOLONG, NOTCAPABLE.
int32_t walk(const struct walk_tree *t, const struct vfs_path *p, uint32_t *out_node);
// open() of such a file system: what its flags ask for cannot be had where nothing is ever made.
int32_t walk_open(const struct walk_tree *t, const struct vfs_path *p, uint32_t oflags, bool write,
                  uint32_t *out_node, uint8_t *out_type);
#endif
