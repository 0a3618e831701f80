// archive.c — the read-only files: a ustar archive that rides in the boot image as a blob (POSIX.1-2008, pax, "ustar Interchange Format").
//
// The archive is read once at the start and an index is made of it; data is then read from the blob in place. The name of the blob is the
// option SASOS_FILES. Whatever is not exactly understood refuses the start with a sentence: a wrong checksum, names that lead out of the
// archive, types other than files, directories, hard and symbolic links. Later entries of the same name replace earlier ones.
#include "apps/wasi/walk.h"
#include "apps/wasi/wasi.h"

#define BLOCK 512u
#define ENTRIES_MAX 65535u
#define NONE UINT32_MAX

struct ustar { // one block
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], chksum[8], typeflag, linkname[100];
    char magic[6], version[2], uname[32], gname[32], devmajor[8], devminor[8], prefix[155], pad[12];
};
_Static_assert(sizeof(struct ustar) == BLOCK, "POSIX.1-2008, pax");

struct entry {
    uint32_t parent, hash_next;
    uint32_t first, last, next; // children, in the archive's order
    uint32_t name, name_length; // in the pool
    uint32_t target, target_length;
    uint8_t type;               // FILETYPE_*
    uint64_t data, size, mtime; // data: offset in the blob
};

static struct {
    uint32_t blob, entries, entries_max, pool_used, pool_size, buckets; // buckets: a power of two
    struct entry *entry;                                                // 0 is the root
    char *pool;
    uint32_t *bucket;
    const char *problem;
} a;

static uint32_t hash(uint32_t parent, const char *name, uint32_t n) { // FNV-1a
    uint32_t h = 2166136261u ^ parent;
    for (uint32_t i = 0; i < n; i++) h = (h ^ (uint8_t)name[i]) * 16777619u;
    return h & (a.buckets - 1);
}

static bool lookup(uint32_t dir, const char *name, uint32_t n, uint32_t *out) {
    for (uint32_t i = a.bucket[hash(dir, name, n)]; i != NONE; i = a.entry[i].hash_next) {
        const struct entry *e = &a.entry[i];
        if (e->parent == dir && text_same(a.pool + e->name, e->name_length, name, n)) {
            *out = i;
            return true;
        }
    }
    return false;
}

static uint8_t type(uint32_t node) { return a.entry[node].type; }

static const char *target(uint32_t node, uint32_t *out_n) {
    *out_n = a.entry[node].target_length;
    return a.pool + a.entry[node].target;
}

static const struct walk_tree tree = {type, lookup, target};

// ---- Making the index ----
static bool problem(const char *text) {
    a.problem = text;
    return false;
}

static uint32_t keep(const char *text, uint32_t n) { // the pool was measured
    memcpy(a.pool + a.pool_used, text, n);
    a.pool_used += n;
    return a.pool_used - n;
}

static uint32_t add(uint32_t parent, const char *name, uint32_t n, uint8_t kind) {
    uint32_t i = a.entries++, *bucket = &a.bucket[hash(parent, name, n)];
    a.entry[i] = (struct entry){.parent = parent,
                                .hash_next = *bucket,
                                .first = NONE,
                                .last = NONE,
                                .next = NONE,
                                .name = keep(name, n),
                                .name_length = n,
                                .type = kind};
    *bucket = i;
    if (a.entry[parent].first == NONE)
        a.entry[parent].first = i;
    else
        a.entry[a.entry[parent].last].next = i;
    a.entry[parent].last = i;
    return i;
}

static bool octal(const char *field, uint32_t n, uint64_t *out) {
    uint32_t i = 0;
    *out = 0;
    while (i < n && field[i] == ' ') i++;
    for (; i < n && field[i] >= '0' && field[i] <= '7'; i++)
        *out = *out * 8 + (uint64_t)(field[i] - '0');
    return i == n || field[i] == ' ' || field[i] == 0;
}

static uint32_t field_length(const char *field, uint32_t n) {
    uint32_t i = 0;
    while (i < n && field[i]) i++;
    return i;
}

static bool good_header(const struct ustar *h) {
    uint64_t sum = 8 * ' ', said;
    const uint8_t *byte = (const uint8_t *)h;
    for (uint32_t i = 0; i < BLOCK; i++) sum += byte[i];
    for (uint32_t i = 0; i < sizeof(h->chksum); i++) sum -= (uint8_t)h->chksum[i];
    if (!octal(h->chksum, sizeof(h->chksum), &said) || sum != said)
        return problem("a header's checksum is wrong");
    return text_same(h->magic, 5, "ustar", 5) || problem("it is not in the ustar format");
}

// The whole name, without "./" before it and '/' behind it, in `out` (256 bytes). Length 0: the root.
static uint32_t full_name(const struct ustar *h, char *out) {
    uint32_t n = field_length(h->prefix, sizeof(h->prefix)),
             m = field_length(h->name, sizeof(h->name)), skip = 0;
    memcpy(out, h->prefix, n);
    if (n) out[n++] = '/';
    memcpy(out + n, h->name, m);
    n += m;
    while (n && out[n - 1] == '/') n--;
    while (n - skip >= 2 && out[skip] == '.' && out[skip + 1] == '/') skip += 2;
    if (n - skip == 1 && out[skip] == '.') skip = n;
    memmove(out, out + skip, n - skip);
    return n - skip;
}

// Finds or makes each directory on the way. *out_n bytes at *out_name are left: the last component.
static bool make_parents(const char *name, uint32_t n, uint32_t *out_dir, const char **out_name,
                         uint32_t *out_n) {
    *out_dir = 0;
    for (;;) {
        uint32_t k = 0, next;
        while (k < n && name[k] != '/') k++;
        if (!k || k > NAME_MAX_BYTES || (k == 1 && name[0] == '.') ||
            (k == 2 && name[0] == '.' && name[1] == '.'))
            return problem("it has a name that is empty, absolute, too long, or has . or .. in it");
        if (k == n) {
            *out_name = name;
            *out_n = n;
            return true;
        }
        if (!lookup(*out_dir, name, k, &next)) {
            if (a.entries == a.entries_max)
                return problem("too many directories that it does not list");
            next = add(*out_dir, name, k, FILETYPE_DIRECTORY);
        }
        if (a.entry[next].type != FILETYPE_DIRECTORY)
            return problem("it has a name below something that is no directory");
        *out_dir = next;
        name += k + 1;
        n -= k + 1;
    }
}

static bool take(const struct ustar *h, uint64_t data, uint64_t size) {
    char name[256];
    const char *last;
    uint32_t n = full_name(h, name), dir, node;
    uint64_t mtime;
    if (!octal(h->mtime, sizeof(h->mtime), &mtime) || mtime > INT64_MAX / 1000000000)
        return problem("a time is no number");
    uint8_t kind = h->typeflag == '5'   ? FILETYPE_DIRECTORY
                   : h->typeflag == '2' ? FILETYPE_SYMBOLIC_LINK
                                        : FILETYPE_REGULAR_FILE;
    if (!n) {
        a.entry[0].mtime = mtime;
        return kind == FILETYPE_DIRECTORY || problem("its root is no directory");
    }
    if (!make_parents(name, n, &dir, &last, &n)) return false;
    if (!lookup(dir, last, n, &node)) {
        if (a.entries == a.entries_max)
            return problem("too many directories that it does not list");
        node = add(dir, last, n, kind);
    }
    struct entry *e = &a.entry[node];
    if ((e->type == FILETYPE_DIRECTORY) != (kind == FILETYPE_DIRECTORY))
        return problem("the same name is a directory and something else");
    e->type = kind;
    e->mtime = mtime;
    e->data = data;
    e->size = kind == FILETYPE_REGULAR_FILE ? size : 0;
    uint32_t linked = field_length(h->linkname, sizeof(h->linkname));
    if (kind == FILETYPE_SYMBOLIC_LINK) {
        e->target = keep(h->linkname, linked);
        e->target_length = e->size = linked;
    } else if (h->typeflag == '1') { // a further name of an earlier file
        uint32_t to;
        struct ustar as_name = {.typeflag = '0'};
        memcpy(as_name.name, h->linkname, sizeof(as_name.name));
        n = full_name(&as_name, name);
        if (walk(&tree, &(struct vfs_path){0, name, n, false}, &to) ||
            a.entry[to].type != FILETYPE_REGULAR_FILE)
            return problem("a hard link names no earlier file");
        e->data = a.entry[to].data;
        e->size = a.entry[to].size;
    }
    return true;
}

// Calls take() for each entry; with `measure` only counts what the index needs.
static bool scan(uint64_t blob_size, bool measure) {
    struct ustar h;
    for (uint64_t at = 0; at + BLOCK <= blob_size;) {
        if (sasos_blob_read(a.blob, (int64_t)at, (uint8_t *)&h, BLOCK) < 0)
            return problem("it cannot be read");
        if (!h.name[0] && !h.magic[0]) return true; // the blocks of zeros at the end
        if (!good_header(&h)) return false;
        uint64_t size = 0;
        if (h.typeflag != 0 && !(h.typeflag >= '0' && h.typeflag <= '2') && h.typeflag != '5')
            return problem("it has an entry that is no file, directory or link (make it with tar "
                           "--format=ustar)");
        if ((h.typeflag == '0' || h.typeflag == 0) && !octal(h.size, sizeof(h.size), &size))
            return problem("a size is no number");
        if (size > blob_size - at - BLOCK) return problem("it is cut off");
        if (measure) {
            // Directories that are only named by what is below them need entries too: one for each '/'.
            for (uint32_t i = 0; i < sizeof(h.name); i++) a.entries_max += h.name[i] == '/';
            for (uint32_t i = 0; i < sizeof(h.prefix); i++) a.entries_max += h.prefix[i] == '/';
            a.entries_max += 2;
            a.pool_size += sizeof(h.name) + sizeof(h.prefix) + sizeof(h.linkname) + 1;
            if (a.entries_max > ENTRIES_MAX)
                return problem("it has more than about 65,000 entries");
        } else if (!take(&h, at + BLOCK, size)) {
            return false;
        }
        at += BLOCK + ((size + BLOCK - 1) & ~(uint64_t)(BLOCK - 1));
    }
    return true;
}

static bool make_index(uint64_t blob_size) {
    a.entries_max = 1;
    a.pool_size = a.pool_used = 0;
    if (!scan(blob_size, true)) return false;
    for (a.buckets = 16; a.buckets < a.entries_max;) a.buckets *= 2;
    a.entry = more_memory(a.entries_max * (uint32_t)sizeof(*a.entry));
    a.bucket = more_memory(a.buckets * (uint32_t)sizeof(*a.bucket));
    a.pool = more_memory(a.pool_size);
    if (!a.entry || !a.bucket || !a.pool)
        return problem("its index does not fit the memory of this module");
    for (uint32_t i = 0; i < a.buckets; i++) a.bucket[i] = NONE;
    a.entry[0] = (struct entry){.type = FILETYPE_DIRECTORY, .first = NONE, .last = NONE, .next = NONE};
    a.entries = 1;
    return scan(blob_size, false);
}

// ---- The file system ----
static int32_t open(const struct vfs_path *p, uint32_t oflags, bool read, bool write,
                    uint32_t *out_handle, uint8_t *out_type) {
    (void)read;
    return walk_open(&tree, p, oflags, write, out_handle, out_type);
}

static void close(uint32_t handle) { (void)handle; }

static int32_t stat(uint32_t node, struct witx_filestat *out) {
    const struct entry *e = &a.entry[node];
    uint64_t ns = e->mtime * 1000000000u;
    *out = (struct witx_filestat){.ino = node + 1,
                                  .filetype = e->type,
                                  .nlink = 1,
                                  .size = e->size,
                                  .atim = ns,
                                  .mtim = ns,
                                  .ctim = ns};
    return SUCCESS;
}

static int32_t stat_path(const struct vfs_path *p, struct witx_filestat *out) {
    uint32_t node;
    int32_t error = walk(&tree, p, &node);
    return error ? error : stat(node, out);
}

static int32_t readlink(const struct vfs_path *p, char *out, uint32_t size, uint32_t *out_n) {
    uint32_t node;
    int32_t error = walk(&tree, p, &node);
    if (error) return error;
    if (type(node) != FILETYPE_SYMBOLIC_LINK) return ERRNO_INVAL;
    const char *text = target(node, out_n);
    if (*out_n > size) *out_n = size;
    memcpy(out, text, *out_n);
    return SUCCESS;
}

static int32_t read(uint32_t node, uint64_t at, uint8_t *to, uint32_t n, uint32_t *out_n) {
    const struct entry *e = &a.entry[node];
    *out_n = 0;
    if (at >= e->size) return SUCCESS;
    if (n > e->size - at) n = (uint32_t)(e->size - at);
    *out_n = n;
    return errno_of(sasos_blob_read(a.blob, (int64_t)(e->data + at), to, n));
}

static int32_t readdir(uint32_t dir, uint64_t cookie, struct vfs_entry *out) {
    uint64_t node = cookie ? cookie - 1 : a.entry[dir].first;
    if (node >= a.entries || a.entry[node].parent != dir || !node) return ERRNO_NOENT;
    const struct entry *e = &a.entry[node];
    *out = (struct vfs_entry){.next = (uint64_t)e->next + 1,
                              .ino = node + 1,
                              .type = e->type,
                              .length = (uint8_t)e->name_length};
    memcpy(out->name, a.pool + e->name, e->name_length);
    return SUCCESS;
}

static const struct vfs archive = {.dev = 1,
                                   .root = 0,
                                   .open = open,
                                   .close = close,
                                   .stat = stat,
                                   .stat_path = stat_path,
                                   .readlink = readlink,
                                   .read = read,
                                   .readdir = readdir};

const struct vfs *archive_start(int32_t *out_error) {
    char name[64];
    if (!option("FILES", name, sizeof(name))) return NULL;
    int32_t blob = sasos_blob_find(name, text_length(name));
    a.blob = (uint32_t)blob;
    int64_t size = blob < 0 ? blob : sasos_blob_size(a.blob);
    if (size < 0) {
        log_line("there is no blob %s for this module: is there a line 'blob %s'?", name, name);
    } else if (make_index((uint64_t)size)) {
        log_line("%s: %u names in %lu bytes", name, a.entries - 1, size);
        return &archive;
    } else {
        log_line("the archive %s cannot be used: %s", name, a.problem);
    }
    *out_error = E_INVAL;
    return NULL;
}
