// fs.h — the file service class: what a file system server (apps/ext4) gives its clients.
//
// Calls are exports of the server with scalar arguments; names and data lie in the channel that client and server share. An argument
// called `at` is an offset in that channel, FS_DATA or more, and the range that it begins must end inside the channel. The server finds
// out which client calls from the channel (caller_channel()). Calls are synchronous: when one returns, the server is done with the
// range. A client that lets another thread change it meanwhile gets a result for some mixture of both, nothing worse.
//
// Session. fs_attach() comes first and fills in `struct fs_channel`. It ends the session that the channel had before, with all its
// handles; so do the client's death and the server's (a restarted server knows no handle: FS_EBADF, and the client attaches again).
// fs_detach() ends it in order: everything is on the disk when it returns, and when it was the last session, the file system is left
// clean, as after an unmount. A client that ends calls it.
//
// Handles are numbers of one client's, for files, directories, and (opened with FS_NOFOLLOW) symbolic links. FS_ROOT is always open.
// A handle keeps its file alive after the last name of it is gone. What may be done through a handle was said when it was opened.
//
// Paths are `length` bytes, without a 0, relative to a directory's handle, with '/' between names. They never lead out of that directory:
// an absolute path, a `..` that would leave it, and a symbolic link that would, are FS_EPERM. Links on the way are followed, at most
// FS_LINKS_MAX; the last name's link is followed unless FS_NOFOLLOW says otherwise or the call makes, removes, renames or reads the name.
//
// Durability. fs_sync() returns when everything done before it, by any client, would survive a power cut; whatever is cut, the file
// system is consistent afterwards. Without it, changes reach the disk in the order in which they were made, in the background.
//
// Results: ≥ 0, or enum fs_error, or E_DEAD (−111) when the server died during the call or before.
#ifndef SASOS_FS_H
#define SASOS_FS_H
#include "drivers/sdk/sasos.h"

#define FS_VERSION 0x31736673u // "sfs1": a client can tell by it which of its channels this is
#define FS_DATA 4096u          // where names and data may begin
#define FS_CHANNEL 1048576u // bytes: a good size of channel. The smallest that is of use is 64 KiB
#define FS_NAME_MAX 255u
#define FS_PATH_MAX 4095u
#define FS_LINKS_MAX 16u
#define FS_HANDLES_MAX 512u // open at once, each client
#define FS_ROOT 0
#define FS_NOW INT64_MIN        // a time: that of the call
#define FS_OMIT (INT64_MIN + 1) // a time: leave it as it is
#define FS_END (-1ll)           // an offset: the end of the file, at the time of the call

#define FS_ERRORS(X)                                                      \
    X(FS_EPERM, -32, "the path leads out of its directory")               \
    X(FS_ENOENT, -33, "no such file or directory")                        \
    X(FS_EIO, -34, "the disk failed, or what is on it is damaged")        \
    X(FS_EBADF, -35, "no such handle, or it was not opened for this")     \
    X(FS_EBUSY, -36, "in use")                                            \
    X(FS_EEXIST, -37, "the name is taken")                                \
    X(FS_ENOTDIR, -38, "not a directory")                                 \
    X(FS_EISDIR, -39, "a directory")                                      \
    X(FS_EINVAL, -40, "an argument out of its range")                     \
    X(FS_EMFILE, -41, "too many open handles")                            \
    X(FS_EFBIG, -42, "too large a file")                                  \
    X(FS_ENOSPC, -43, "no space, or no inodes")                           \
    X(FS_EROFS, -44, "the file system is read-only")                      \
    X(FS_EMLINK, -45, "too many names for one file")                      \
    X(FS_ENAMETOOLONG, -46, "a name or a path is too long")               \
    X(FS_ENOTEMPTY, -47, "the directory is not empty")                    \
    X(FS_ELOOP, -48, "too many symbolic links, or one where none may be") \
    X(FS_ENOMEM, -49, "the server is out of memory")                      \
    X(FS_ENOTSUP, -50, "not supported by this file system")               \
    X(FS_EFAULT, -51, "a range that is not in the channel behind FS_DATA")
enum fs_error {
#define X(name, value, text) name = value,
    FS_ERRORS(X)
#undef X
};

enum fs_open_flags {
    FS_READ = 1,
    FS_WRITE = 2,
    FS_CREATE = 4,     // make a regular file when there is none
    FS_EXCL = 8,       // with FS_CREATE: FS_EEXIST when there is something, a link too
    FS_TRUNC = 16,     // to size 0; needs FS_WRITE
    FS_DIRECTORY = 32, // FS_ENOTDIR when it is none
    FS_NOFOLLOW = 64,  // a symbolic link itself: for fs_stat, fs_set_times, fs_readlink
};

enum fs_type { FS_OTHER, FS_REGULAR, FS_DIR, FS_SYMLINK, FS_CHAR, FS_BLOCK, FS_FIFO, FS_SOCKET };

struct fs_channel { // at the channel's start, written by fs_attach()
    uint32_t version;
    uint32_t flags; // enum fs_channel_flags
    uint32_t block_size;
    uint32_t read_ahead; // bytes; reads of about this size and more are the fastest
};
enum fs_channel_flags { FS_READONLY = 1 };

struct fs_stat {
    uint64_t inode;
    uint64_t size;
    uint64_t allocated; // bytes on the disk
    uint32_t links;
    uint32_t type;                       // enum fs_type
    int64_t accessed, modified, changed; // ns since 1970
    uint32_t mode;                       // permission bits, as on the disk; they are not looked at
    uint32_t pad;
};
struct fs_statfs {
    uint64_t bytes, bytes_free;
    uint64_t inodes, inodes_free;
    uint32_t block_size, name_max;
};
struct fs_dirent {   // 8-aligned; the name follows, and bytes up to a multiple of 8
    uint64_t cookie; // give this to read on behind the entry
    uint64_t inode;
    uint16_t size; // of this record, with the name
    uint16_t name_length;
    uint32_t type; // enum fs_type
};
_Static_assert(sizeof(struct fs_channel) == 16 && sizeof(struct fs_stat) == 64 &&
                   sizeof(struct fs_statfs) == 40 && sizeof(struct fs_dirent) == 24,
               "shared layout");

// X(name, (parameters), "what it does"). All return int32_t.
#define FS_CALLS(X)                                                                                      \
    X(fs_attach, (void), "begins a session")                                                             \
    X(fs_detach, (void), "ends the session; see above")                                                  \
    X(fs_open, (int32_t dir, uint32_t path_at, uint32_t length, uint32_t flags),                         \
      "a handle; flags: enum fs_open_flags. A new file's mode is 0644")                                  \
    X(fs_close, (int32_t handle), "the handle is gone, whatever is returned")                            \
    X(fs_read, (int32_t handle, int64_t offset, uint32_t at, uint32_t count),                            \
      "bytes read; fewer than `count` only at the end of the file")                                      \
    X(fs_write, (int32_t handle, int64_t offset, uint32_t at, uint32_t count),                           \
      "bytes written; fewer than `count` when space ran out; FS_END appends")                            \
    X(fs_truncate, (int32_t handle, int64_t size),                                                       \
      "the file gets this size; what is added reads as zeros")                                           \
    X(fs_allocate, (int32_t handle, int64_t offset, int64_t length),                                     \
      "space for the range is there afterwards; the file grows to hold it")                              \
    X(fs_stat, (int32_t handle, uint32_t at), "struct fs_stat")                                          \
    X(fs_stat_path, (int32_t dir, uint32_t path_at, uint32_t length, uint32_t flags, uint32_t at),       \
      "the same by path; flags: FS_NOFOLLOW")                                                            \
    X(fs_set_times, (int32_t handle, int64_t accessed, int64_t modified),                                \
      "ns since 1970, FS_NOW or FS_OMIT")                                                                \
    X(fs_read_dir, (int32_t dir, int64_t cookie, uint32_t at, uint32_t size),                            \
      "bytes of struct fs_dirent records, with . and ..; 0: no more; cookie 0: from the start. "         \
      "FS_EINVAL: `size` is too small for the next one")                                                 \
    X(fs_mkdir, (int32_t dir, uint32_t path_at, uint32_t length), "mode 0755")                           \
    X(fs_rmdir, (int32_t dir, uint32_t path_at, uint32_t length), "an empty directory")                  \
    X(fs_unlink, (int32_t dir, uint32_t path_at, uint32_t length), "a name of anything but a directory") \
    X(fs_rename,                                                                                         \
      (int32_t dir, uint32_t path_at, uint32_t length, int32_t to_dir, uint32_t to_at,                   \
       uint32_t to_length),                                                                              \
      "replaces what `to` names, in one step also across a power cut")                                   \
    X(fs_link,                                                                                           \
      (int32_t dir, uint32_t path_at, uint32_t length, int32_t to_dir, uint32_t to_at,                   \
       uint32_t to_length, uint32_t flags),                                                              \
      "a further name for a file; flags: FS_NOFOLLOW, for the first path")                               \
    X(fs_symlink,                                                                                        \
      (uint32_t target_at, uint32_t target_length, int32_t dir, uint32_t path_at, uint32_t length),      \
      "the target is any text")                                                                          \
    X(fs_readlink, (int32_t dir, uint32_t path_at, uint32_t length, uint32_t at, uint32_t size),         \
      "bytes of the target; cut off at `size`")                                                          \
    X(fs_sync, (int32_t handle), "see above; the handle only has to be an open one")                     \
    X(fs_statfs, (uint32_t at), "struct fs_statfs")
#endif
