// walk.c — see walk.h.
#include "apps/wasi/walk.h"
#include "apps/wasi/wasi.h"

#define DEPTH 128u
#define LINKS_MAX 32u

static struct {
    uint32_t node[DEPTH]; // from the directory that the path is relative to, downwards
    uint32_t depth;
    char rest[2 * PATH_MAX_BYTES]; // what is to be resolved yet: links are put in front of it
    uint32_t at, end;
} w;

// The target of a link takes the place of the name before w.at.
static int32_t expand(const struct walk_tree *t, uint32_t link) {
    uint32_t n;
    const char *target = t->target(link, &n);
    if (!n) return ERRNO_NOENT;
    if (target[0] == '/') return ERRNO_NOTCAPABLE;
    uint32_t left = w.end - w.at;
    if (n + left > PATH_MAX_BYTES) return ERRNO_NAMETOOLONG;
    memmove(w.rest + n, w.rest + w.at, left); // begins with its '/', or is empty
    memcpy(w.rest, target, n);
    w.at = 0;
    w.end = n + left;
    return SUCCESS;
}

int32_t walk(const struct walk_tree *t, const struct vfs_path *p, uint32_t *out_node) {
    uint32_t links = 0;
    if (!p->n) return ERRNO_NOENT;
    if (p->text[0] == '/') return ERRNO_NOTCAPABLE;
    if (p->n > PATH_MAX_BYTES) return ERRNO_NAMETOOLONG;
    memcpy(w.rest, p->text, p->n);
    w.at = 0;
    w.end = p->n;
    w.node[0] = p->dir;
    w.depth = 1;
    for (;;) {
        uint32_t here = w.node[w.depth - 1];
        bool slash = w.at < w.end && w.rest[w.at] == '/';
        while (w.at < w.end && w.rest[w.at] == '/') w.at++;
        // "name/" must be a directory, as what is before any other '/'
        if ((slash || w.at < w.end) && t->type(here) != FILETYPE_DIRECTORY) return ERRNO_NOTDIR;
        if (w.at == w.end) break;
        const char *name = w.rest + w.at;
        uint32_t n = 0;
        while (w.at + n < w.end && name[n] != '/') n++;
        w.at += n;
        if (n == 1 && name[0] == '.') continue;
        if (n == 2 && name[0] == '.' && name[1] == '.') {
            if (--w.depth == 0) return ERRNO_NOTCAPABLE;
            continue;
        }
        if (n > NAME_MAX_BYTES) return ERRNO_NAMETOOLONG;
        uint32_t next;
        if (!t->lookup(here, name, n, &next)) return ERRNO_NOENT;
        if (t->type(next) == FILETYPE_SYMBOLIC_LINK && (w.at < w.end || p->follow)) {
            if (++links > LINKS_MAX) return ERRNO_LOOP;
            int32_t error = expand(t, next);
            if (error) return error;
            continue;
        }
        if (w.depth == DEPTH) return ERRNO_NAMETOOLONG;
        w.node[w.depth++] = next;
    }
    *out_node = w.node[w.depth - 1];
    return SUCCESS;
}

int32_t walk_open(const struct walk_tree *t, const struct vfs_path *p, uint32_t oflags, bool write,
                  uint32_t *out_node, uint8_t *out_type) {
    int32_t error = walk(t, p, out_node);
    if (error == ERRNO_NOENT && oflags & OFLAGS_CREAT) return ERRNO_ROFS;
    if (error) return error;
    *out_type = t->type(*out_node);
    if (oflags & OFLAGS_CREAT && oflags & OFLAGS_EXCL) return ERRNO_EXIST;
    if (*out_type == FILETYPE_SYMBOLIC_LINK) return ERRNO_LOOP;
    if (oflags & OFLAGS_DIRECTORY && *out_type != FILETYPE_DIRECTORY) return ERRNO_NOTDIR;
    if (*out_type == FILETYPE_DIRECTORY) return write ? ERRNO_ISDIR : SUCCESS;
    return write || oflags & OFLAGS_TRUNC ? ERRNO_ROFS : SUCCESS;
}
