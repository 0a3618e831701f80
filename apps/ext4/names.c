// names.c — see names.h.
#include "apps/ext4/names.h"
#include "apps/ext4/orphan.h"
#include "apps/ext4/volume.h"
#include <string.h>

#define DEPTH_MAX 1024u // directories from one to the root
#define LINKS_MAX 65000u

// ---- what a path means ----

enum fs_type names_type(const struct ext2_inode *inode) {
    if (LINUX_S_ISREG(inode->i_mode)) return FS_REGULAR;
    if (LINUX_S_ISDIR(inode->i_mode)) return FS_DIR;
    if (LINUX_S_ISLNK(inode->i_mode)) return FS_SYMLINK;
    if (LINUX_S_ISCHR(inode->i_mode)) return FS_CHAR;
    if (LINUX_S_ISBLK(inode->i_mode)) return FS_BLOCK;
    if (LINUX_S_ISFIFO(inode->i_mode)) return FS_FIFO;
    if (LINUX_S_ISSOCK(inode->i_mode)) return FS_SOCKET;
    return FS_OTHER;
}

int32_t names_target(ext2_ino_t number, char *to, uint32_t size) {
    struct file_inode inode;
    int32_t error = file_inode(number, &inode);
    if (error) return error;
    if (!LINUX_S_ISLNK(inode.base.i_mode)) return FS_EINVAL;
    uint64_t length = EXT2_I_SIZE(&inode.base);
    if (length == 0 || length >= volume.block_size) return FS_EIO;
    if (size > length) size = (uint32_t)length;
    if (ext2fs_is_fast_symlink(&inode.base)) {
        if (length >= sizeof inode.base.i_block) return FS_EIO;
        memcpy(to, inode.base.i_block, size);
        return (int32_t)size;
    }
    blk64_t at;
    static char block[4096];
    if (ext2fs_bmap2(volume.fs, number, &inode.base, NULL, 0, 0, NULL, &at) || at == 0 ||
        io_channel_read_blk64(volume.fs->io, at, 1, block))
        return FS_EIO;
    memcpy(to, block, size);
    return (int32_t)size;
}

// Names that were found lately, so that a path costs no reading of its directories. Only what is there is remembered; whoever takes a name
// away, or gives it to another inode, forgets it here.
#define KNOWN 256u // power of two
static struct known {
    ext2_ino_t directory, inode; // directory 0: nothing
    uint32_t length;
    char name[52];
} known[KNOWN];

static struct known *known_slot(ext2_ino_t directory, const char *name, uint32_t length) {
    uint32_t h = directory * 0x9e3779b1u;
    for (uint32_t i = 0; i < length; i++) h = (h ^ (uint8_t)name[i]) * 0x01000193u;
    return &known[(h ^ h >> 16) & (KNOWN - 1)];
}

static bool is_known(const struct known *k, ext2_ino_t directory, const char *name, uint32_t length) {
    return k->directory == directory && k->length == length && memcmp(k->name, name, length) == 0;
}

static void forget_name(const struct name *at) {
    uint32_t length = (uint32_t)strlen(at->last);
    struct known *k = known_slot(at->parent, at->last, length);
    if (is_known(k, at->parent, at->last, length)) k->directory = 0;
}

static void forget_directory(ext2_ino_t directory) {
    for (uint32_t i = 0; i < KNOWN; i++)
        if (known[i].directory == directory) known[i].directory = 0;
}

static int32_t look_up(ext2_ino_t directory, const char *name, uint32_t length, ext2_ino_t *out) {
    struct known *k = known_slot(directory, name, length);
    if (is_known(k, directory, name, length)) {
        *out = k->inode;
        return 0;
    }
    errcode_t error = ext2fs_lookup(volume.fs, directory, name, (int)length, NULL, out);
    if (error == EXT2_ET_FILE_NOT_FOUND) {
        *out = 0;
        return 0;
    }
    if (!error && (*out == 0 || *out > volume.fs->super->s_inodes_count)) return FS_EIO;
    bool dots = name[0] == '.' && (length == 1 || (length == 2 && name[1] == '.'));
    if (!error && length <= sizeof k->name && !dots) {
        *k = (struct known){.directory = directory, .inode = *out, .length = length};
        memcpy(k->name, name, length);
    }
    return volume_error(error);
}

static int32_t is_directory(ext2_ino_t number) {
    struct file_inode inode;
    int32_t error = file_inode(number, &inode);
    if (error) return error;
    if (!LINUX_S_ISDIR(inode.base.i_mode)) return FS_ENOTDIR;
    return inode.base.i_links_count ? 0 : FS_ENOENT; // removed while open
}

// The rest of a walk: what is left of the path, which links are spliced into.
struct walk {
    char text[2 * (FS_PATH_MAX + 1)];
    uint32_t at, end, links, depth;
};

static int32_t splice(struct walk *w, ext2_ino_t link) {
    static char target[FS_PATH_MAX + 1];
    if (++w->links > FS_LINKS_MAX) return FS_ELOOP;
    int32_t n = names_target(link, target, sizeof target);
    if (n < 0) return n;
    uint32_t rest = w->end - w->at;
    if ((uint32_t)n + 1 + rest > sizeof w->text) return FS_ENAMETOOLONG;
    if (target[0] == '/') return FS_EPERM;
    memmove(w->text + n, w->text + w->at, rest); // begins with '/' or is empty
    memcpy(w->text, target, (size_t)n);
    w->at = 0;
    w->end = (uint32_t)n + rest;
    return 0;
}

int32_t names_walk(ext2_ino_t from, const char *path, uint32_t length, bool follow, struct name *out) {
    static struct walk w; // a domain is entered by one thread at a time
    if (length == 0) return FS_ENOENT;
    if (length > FS_PATH_MAX) return FS_ENAMETOOLONG;
    memcpy(w.text, path, length);
    w.at = 0, w.end = length, w.links = 0, w.depth = 0;
    if (memchr(w.text, 0, length)) return FS_EINVAL;
    if (w.text[0] == '/') return FS_EPERM;
    *out = (struct name){.parent = from, .inode = from, .dot = true};
    ext2_ino_t here = from; // the directory that the next name is in
    int32_t error = is_directory(here);
    while (!error) {
        while (w.at < w.end && w.text[w.at] == '/') w.at++;
        if (w.at == w.end) break;
        uint32_t start = w.at;
        while (w.at < w.end && w.text[w.at] != '/') w.at++;
        uint32_t n = w.at - start;
        bool last = w.at == w.end;
        const char *name = w.text + start;
        for (uint32_t i = w.at; i < w.end && !last; i++)
            if (w.text[i] != '/')
                break;
            else if (i == w.end - 1)
                last = out->directory = true;
        if (n > FS_NAME_MAX) return FS_ENAMETOOLONG;
        if (n == 1 && name[0] == '.') {
            *out =
                (struct name){.parent = here, .inode = here, .dot = true, .directory = out->directory};
            continue;
        }
        bool up = n == 2 && name[0] == '.' && name[1] == '.';
        if (up && w.depth == 0) return FS_EPERM;
        ext2_ino_t found;
        error = look_up(here, name, n, &found);
        if (error) break;
        struct file_inode inode;
        if (found) error = file_inode(found, &inode);
        if (error) break;
        if (found && LINUX_S_ISLNK(inode.base.i_mode) && (!last || follow || out->directory)) {
            out->directory = false; // said again by the rest
            error = splice(&w, found);
            continue;
        }
        out->parent = here;
        out->inode = found;
        out->dot = up;
        memcpy(out->last, name, n);
        out->last[n] = 0;
        if (last) {
            if (found && out->directory && !LINUX_S_ISDIR(inode.base.i_mode)) return FS_ENOTDIR;
            return 0;
        }
        if (!found) return FS_ENOENT;
        if (!LINUX_S_ISDIR(inode.base.i_mode)) return FS_ENOTDIR;
        w.depth += up ? -1u : 1u;
        here = found;
    }
    return error;
}

// ---- making ----

static int32_t can_make(const struct name *at) {
    if (at->dot || at->inode) return FS_EEXIST;
    if (!volume_inodes() || !volume_room(4)) return volume.failed ? FS_EIO : FS_ENOSPC;
    return is_directory(at->parent);
}

// Adds an entry, making the directory longer when it is full.
static errcode_t link_name(ext2_ino_t directory, const char *name, ext2_ino_t inode, int type) {
    errcode_t error = ext2fs_link(volume.fs, directory, name, inode, type);
    if (error != EXT2_ET_DIR_NO_SPACE) return error;
    error = ext2fs_expand_dir(volume.fs, directory);
    return error ? error : ext2fs_link(volume.fs, directory, name, inode, type);
}

// The inode has changed: its count of links by `links`; or its contents, if it is `modified`.
static int32_t touch_inode(ext2_ino_t number, int links, bool modified) {
    struct file_inode inode;
    if (file_inode(number, &inode)) return volume_fail("reading an inode", 0);
    inode.base.i_links_count = (__u16)(inode.base.i_links_count + links);
    if (modified) file_set_time(&inode, FILE_MODIFIED, volume.now);
    file_set_time(&inode, FILE_CHANGED, volume.now);
    return file_inode_write(number, &inode);
}

static int entry_type(enum fs_type type) {
    static const int types[] = {[FS_REGULAR] = EXT2_FT_REG_FILE, [FS_DIR] = EXT2_FT_DIR,
                                [FS_SYMLINK] = EXT2_FT_SYMLINK,  [FS_CHAR] = EXT2_FT_CHRDEV,
                                [FS_BLOCK] = EXT2_FT_BLKDEV,     [FS_FIFO] = EXT2_FT_FIFO,
                                [FS_SOCKET] = EXT2_FT_SOCK,      [FS_OTHER] = EXT2_FT_UNKNOWN};
    return types[type];
}

// The library makes inodes with whole seconds only, and none of its own knows the time of the operation.
static int32_t stamp_new(ext2_ino_t number) {
    struct file_inode inode;
    if (file_inode(number, &inode)) return volume_fail("reading an inode", 0);
    for (int t = FILE_ACCESSED; t <= FILE_CHANGED; t++)
        file_set_time(&inode, (enum file_time)t, volume.now);
    return file_inode_write(number, &inode);
}

int32_t names_make_file(const struct name *at, ext2_ino_t *out) {
    int32_t refused = at->directory ? FS_EISDIR : can_make(at);
    if (refused) return refused;
    ext2_ino_t number;
    errcode_t error = ext2fs_new_inode(volume.fs, at->parent, LINUX_S_IFREG | 0644, NULL, &number);
    if (error) return FS_ENOSPC; // nothing is changed yet
    ext2fs_inode_alloc_stats2(volume.fs, number, +1, 0);
    volume_inode_changed(number);
    struct ext2_inode inode = {.i_mode = LINUX_S_IFREG | 0644, .i_links_count = 1};
    error = ext2fs_write_new_inode(volume.fs, number, &inode);
    if (!error && ext2fs_has_feature_extents(volume.fs->super)) {
        inode.i_flags |= EXT4_EXTENTS_FL;
        ext2_extent_handle_t handle;
        error = ext2fs_extent_open2(volume.fs, number, &inode, &handle); // writes an empty tree
        if (!error) ext2fs_extent_free(handle);
        if (!error) error = ext2fs_write_inode(volume.fs, number, &inode);
    }
    if (!error) error = link_name(at->parent, at->last, number, EXT2_FT_REG_FILE);
    if (error) return volume_fail("making a file", error);
    int32_t failed = stamp_new(number);
    if (!failed) failed = touch_inode(at->parent, 0, true);
    *out = number;
    return failed;
}

int32_t names_make_directory(const struct name *at) {
    int32_t refused = can_make(at);
    if (refused) return refused;
    struct file_inode parent;
    refused = file_inode(at->parent, &parent);
    if (refused) return refused;
    if (parent.base.i_links_count >= LINKS_MAX) return FS_EMLINK;
    ext2_ino_t number;
    errcode_t error = ext2fs_new_inode(volume.fs, at->parent, LINUX_S_IFDIR | 0755, NULL, &number);
    if (error) return FS_ENOSPC;
    error = ext2fs_mkdir(volume.fs, at->parent, number, NULL);
    volume_inode_changed(number);
    if (!error) error = link_name(at->parent, at->last, number, EXT2_FT_DIR);
    if (error) return volume_fail("making a directory", error);
    int32_t failed = stamp_new(number);
    return failed ? failed : touch_inode(at->parent, 0, true);
}

int32_t names_make_link(const struct name *at, const char *target, uint32_t length) {
    static char text[FS_PATH_MAX + 1];
    if (length == 0) return FS_ENOENT;
    if (length > FS_PATH_MAX || length >= volume.block_size) return FS_ENAMETOOLONG;
    memcpy(text, target, length);
    text[length] = 0;
    if (memchr(text, 0, length)) return FS_EINVAL;
    int32_t refused = at->directory ? FS_ENOENT : can_make(at);
    if (refused) return refused;
    ext2_ino_t number;
    errcode_t error = ext2fs_new_inode(volume.fs, at->parent, LINUX_S_IFLNK | 0777, NULL, &number);
    if (error) return FS_ENOSPC;
    error = ext2fs_symlink(volume.fs, at->parent, number, NULL, text);
    volume_inode_changed(number);
    if (!error) error = link_name(at->parent, at->last, number, EXT2_FT_SYMLINK);
    if (error) return volume_fail("making a symbolic link", error);
    int32_t failed = stamp_new(number);
    return failed ? failed : touch_inode(at->parent, 0, true);
}

int32_t names_add(const struct name *at, ext2_ino_t number) {
    struct file_inode inode;
    int32_t refused = file_inode(number, &inode);
    if (!refused && LINUX_S_ISDIR(inode.base.i_mode)) refused = FS_EPERM;
    if (!refused && inode.base.i_links_count == 0) refused = FS_ENOENT;
    if (!refused && inode.base.i_links_count >= LINKS_MAX) refused = FS_EMLINK;
    if (!refused && at->directory) refused = FS_ENOENT;
    if (!refused) refused = can_make(at);
    if (refused) return refused;
    errcode_t error = link_name(at->parent, at->last, number, entry_type(names_type(&inode.base)));
    if (error) return volume_fail("adding a name", error);
    int32_t failed = touch_inode(number, +1, false);
    return failed ? failed : touch_inode(at->parent, 0, true);
}

// ---- removing ----

static int any_entry(ext2_ino_t directory, int entry, struct ext2_dir_entry *e, int offset,
                     int size, char *buffer, void *found) {
    (void)directory, (void)offset, (void)size, (void)buffer;
    if (entry != DIRENT_OTHER_FILE || e->inode == 0) return 0;
    *(bool *)found = true;
    return DIRENT_ABORT;
}

static int32_t is_empty(ext2_ino_t directory) {
    bool found = false;
    errcode_t error = ext2fs_dir_iterate2(volume.fs, directory, 0, NULL, any_entry, &found);
    return error ? FS_EIO : found ? FS_ENOTEMPTY : 0;
}

// A name of the inode is gone; a directory's was its only one.
static int32_t drop(ext2_ino_t number, bool directory) {
    struct file_inode inode;
    if (file_inode(number, &inode)) return volume_fail("reading an inode", 0);
    inode.base.i_links_count =
        directory || inode.base.i_links_count == 0 ? 0 : (__u16)(inode.base.i_links_count - 1);
    file_set_time(&inode, FILE_CHANGED, volume.now);
    int32_t error = file_inode_write(number, &inode);
    if (error || inode.base.i_links_count) return error;
    struct node *open = node_find(number);
    if (!open) return file_destroy(number, false);
    open->nameless = true;
    errcode_t failed = orphan_add(number);
    return failed ? volume_fail("the list of orphans", failed) : 0;
}

int32_t names_remove(const struct name *at, bool directory) {
    if (!at->inode) return FS_ENOENT;
    if (at->dot) return directory ? FS_EINVAL : FS_EISDIR;
    struct file_inode inode;
    int32_t refused = file_inode(at->inode, &inode);
    if (refused) return refused;
    bool is = LINUX_S_ISDIR(inode.base.i_mode);
    if (directory && !is) return FS_ENOTDIR;
    if (!directory && is) return FS_EISDIR;
    if (directory) refused = is_empty(at->inode);
    if (refused) return refused;
    forget_name(at);
    if (directory) forget_directory(at->inode);
    errcode_t error = ext2fs_unlink(volume.fs, at->parent, at->last, at->inode, 0);
    if (error) return volume_fail("removing a name", error);
    int32_t failed = touch_inode(at->parent, 0, true);
    if (!failed && directory) failed = touch_inode(at->parent, -1, false);
    return failed ? failed : drop(at->inode, directory);
}

// ---- renaming ----

struct change { // of one entry
    const char *name;
    uint32_t length;
    ext2_ino_t inode;
    int type;
    bool done;
};

static int change_entry(ext2_ino_t directory, int entry, struct ext2_dir_entry *e, int offset,
                        int size, char *buffer, void *context) {
    (void)directory, (void)entry, (void)offset, (void)size, (void)buffer;
    struct change *c = context;
    if (e->inode == 0 || (uint32_t)ext2fs_dirent_name_len(e) != c->length ||
        memcmp(e->name, c->name, c->length))
        return 0;
    e->inode = c->inode;
    ext2fs_dirent_set_file_type(e, c->type);
    c->done = true;
    return DIRENT_ABORT | DIRENT_CHANGED;
}

static errcode_t change(ext2_ino_t directory, const char *name, ext2_ino_t inode, int type) {
    struct change c = {.name = name, .length = (uint32_t)strlen(name), .inode = inode, .type = type};
    errcode_t error = ext2fs_dir_iterate2(volume.fs, directory, 0, NULL, change_entry, &c);
    return error ? error : c.done ? 0 : EXT2_ET_FILE_NOT_FOUND;
}

// Directory `inner` is `outer` or lies in it.
static int32_t lies_in(ext2_ino_t inner, ext2_ino_t outer) {
    for (uint32_t n = 0; n < DEPTH_MAX; n++) {
        if (inner == outer) return 1;
        if (inner == EXT2_ROOT_INO) return 0;
        ext2_ino_t up;
        int32_t error = look_up(inner, "..", 2, &up);
        if (error || !up) return error ? error : FS_EIO;
        inner = up;
    }
    return FS_EIO;
}

// What forbids the renaming, or 0.
static int32_t check_rename(const struct name *from, const struct name *to, bool directory) {
    struct file_inode there;
    if (!directory && (from->directory || to->directory)) return FS_ENOTDIR;
    if (directory) {
        int32_t inside = lies_in(to->parent, from->inode);
        if (inside) return inside < 0 ? inside : FS_EINVAL;
    }
    if (to->inode) {
        int32_t error = file_inode(to->inode, &there);
        if (error) return error;
        bool other = LINUX_S_ISDIR(there.base.i_mode);
        if (directory && !other) return FS_ENOTDIR;
        if (!directory && other) return FS_EISDIR;
        if (other && (error = is_empty(to->inode))) return error;
    } else if (directory && from->parent != to->parent) {
        int32_t error = file_inode(to->parent, &there);
        if (error) return error;
        if (there.base.i_links_count >= LINKS_MAX) return FS_EMLINK;
    }
    if (!volume_room(4)) return volume.failed ? FS_EIO : FS_ENOSPC;
    return is_directory(to->parent);
}

int32_t names_rename(const struct name *from, const struct name *to) {
    struct file_inode inode;
    if (!from->inode) return FS_ENOENT;
    if (from->dot || to->dot) return FS_EINVAL;
    int32_t failed = file_inode(from->inode, &inode);
    if (failed) return failed;
    bool directory = LINUX_S_ISDIR(inode.base.i_mode);
    if (from->inode == to->inode) return 0; // two names of one file: POSIX wants nothing done
    failed = check_rename(from, to, directory);
    if (failed) return failed;
    int type = entry_type(names_type(&inode.base));
    forget_name(from);
    forget_name(to);
    if (to->inode) forget_directory(to->inode);
    errcode_t error = to->inode ? change(to->parent, to->last, from->inode, type)
                                : link_name(to->parent, to->last, from->inode, type);
    if (!error) error = ext2fs_unlink(volume.fs, from->parent, from->last, from->inode, 0);
    if (!error && directory && from->parent != to->parent)
        error = change(from->inode, "..", to->parent, EXT2_FT_DIR);
    if (error) return volume_fail("renaming", error);
    failed = touch_inode(from->parent, 0, true);
    if (!failed) failed = touch_inode(to->parent, 0, true);
    // `..` of a directory is a link to its parent.
    if (!failed && directory && from->parent != to->parent) {
        failed = touch_inode(from->parent, -1, false);
        if (!failed) failed = touch_inode(to->parent, +1, false);
    }
    if (!failed && to->inode && directory) failed = touch_inode(to->parent, -1, false);
    if (!failed) failed = touch_inode(from->inode, 0, false);
    return !failed && to->inode ? drop(to->inode, directory) : failed;
}

// ---- listing ----

struct listing {
    uint8_t *to;
    uint32_t size, used;
    uint64_t cookie;
    bool full;
};

static enum fs_type type_of_entry(int type) {
    switch (type) {
    case EXT2_FT_REG_FILE: return FS_REGULAR;
    case EXT2_FT_DIR: return FS_DIR;
    case EXT2_FT_SYMLINK: return FS_SYMLINK;
    case EXT2_FT_CHRDEV: return FS_CHAR;
    case EXT2_FT_BLKDEV: return FS_BLOCK;
    case EXT2_FT_FIFO: return FS_FIFO;
    case EXT2_FT_SOCK: return FS_SOCKET;
    default: return FS_OTHER;
    }
}

// One directory block: its entries from `base` + their offset on. The cookie of an entry is where the next one begins, so that it
// keeps its meaning when entries before it go.
static int32_t list_block(struct listing *l, const char *block, uint64_t base) {
    uint32_t at = 0, size = volume.block_size;
    while (at + 8 <= size) {
        const struct ext2_dir_entry *e = (const struct ext2_dir_entry *)(block + at);
        unsigned length;
        if (ext2fs_get_rec_len(volume.fs, (struct ext2_dir_entry *)(uintptr_t)e, &length) ||
            length < 8 || length % 4 || length > size - at)
            return FS_EIO;
        uint32_t name = (uint32_t)ext2fs_dirent_name_len(e);
        if (e->inode && name && base + at >= l->cookie) {
            if (name > length - 8) return FS_EIO;
            uint32_t record = (uint32_t)(sizeof(struct fs_dirent) + name + 7) & ~7u;
            if (record > l->size - l->used) {
                l->full = true;
                return 0;
            }
            struct fs_dirent d = {.cookie = base + at + length,
                                  .inode = e->inode,
                                  .size = (uint16_t)record,
                                  .name_length = (uint16_t)name,
                                  .type = type_of_entry(ext2fs_dirent_file_type(e))};
            memset(l->to + l->used, 0, record);
            memcpy(l->to + l->used, &d, sizeof d);
            memcpy(l->to + l->used + sizeof d, e->name, name);
            l->used += record;
        }
        at += length;
    }
    return 0;
}

int32_t names_list(ext2_ino_t directory, uint64_t cookie, uint8_t *to, uint32_t size) {
    static char block[4096];
    struct file_inode inode;
    int32_t error = file_inode(directory, &inode);
    if (error) return error;
    if (!LINUX_S_ISDIR(inode.base.i_mode)) return FS_ENOTDIR;
    struct listing l = {.to = to, .size = size, .cookie = cookie};
    uint64_t blocks = EXT2_I_SIZE(&inode.base) / volume.block_size;
    for (uint64_t b = cookie / volume.block_size; b < blocks && !l.full; b++) {
        blk64_t at;
        if (ext2fs_bmap2(volume.fs, directory, &inode.base, NULL, 0, b, NULL, &at)) return FS_EIO;
        if (at == 0) return FS_EIO;
        if (ext2fs_read_dir_block4(volume.fs, at, block, 0, directory)) return FS_EIO;
        error = list_block(&l, block, b * volume.block_size);
        if (error) return error;
    }
    return l.full && l.used == 0 ? FS_EINVAL : (int32_t)l.used;
}
