// witx.h — the numbers and layouts of WASI preview 1 (wasi_snapshot_preview1.witx), under the names that it gives them.
//
// Structures lie in the program's memory exactly as they are here: little-endian, naturally aligned, unused bytes zero.
#ifndef WASI_WITX_H
#define WASI_WITX_H
#include <stdint.h>

enum witx_errno { // $errno
    SUCCESS = 0,
    ERRNO_2BIG = 1,
    ERRNO_ACCES = 2,
    ERRNO_ADDRINUSE = 3,
    ERRNO_AGAIN = 6,
    ERRNO_BADF = 8,
    ERRNO_BUSY = 10,
    ERRNO_CONNABORTED = 13,
    ERRNO_CONNREFUSED = 14,
    ERRNO_CONNRESET = 15,
    ERRNO_EXIST = 20,
    ERRNO_FAULT = 21,
    ERRNO_FBIG = 22,
    ERRNO_HOSTUNREACH = 23,
    ERRNO_INTR = 27,
    ERRNO_INVAL = 28,
    ERRNO_IO = 29,
    ERRNO_ISCONN = 30,
    ERRNO_ISDIR = 31,
    ERRNO_LOOP = 32,
    ERRNO_MFILE = 33,
    ERRNO_MLINK = 34,
    ERRNO_MSGSIZE = 35,
    ERRNO_NAMETOOLONG = 37,
    ERRNO_NETDOWN = 38,
    ERRNO_NFILE = 41,
    ERRNO_NOENT = 44,
    ERRNO_NOMEM = 48,
    ERRNO_NOSPC = 51,
    ERRNO_NOSYS = 52,
    ERRNO_NOTCONN = 53,
    ERRNO_NOTDIR = 54,
    ERRNO_NOTEMPTY = 55,
    ERRNO_NOTSOCK = 57,
    ERRNO_NOTSUP = 58,
    ERRNO_OVERFLOW = 61,
    ERRNO_PERM = 63,
    ERRNO_PIPE = 64,
    ERRNO_ROFS = 69,
    ERRNO_SPIPE = 70,
    ERRNO_TIMEDOUT = 73,
    ERRNO_XDEV = 75,
    ERRNO_NOTCAPABLE = 76,
};

enum witx_clockid {
    CLOCKID_REALTIME,
    CLOCKID_MONOTONIC,
    CLOCKID_PROCESS_CPUTIME,
    CLOCKID_THREAD_CPUTIME
};

#define RIGHTS_FD_DATASYNC (1ull << 0)
#define RIGHTS_FD_READ (1ull << 1)
#define RIGHTS_FD_SEEK (1ull << 2)
#define RIGHTS_FD_FDSTAT_SET_FLAGS (1ull << 3)
#define RIGHTS_FD_SYNC (1ull << 4)
#define RIGHTS_FD_TELL (1ull << 5)
#define RIGHTS_FD_WRITE (1ull << 6)
#define RIGHTS_FD_ADVISE (1ull << 7)
#define RIGHTS_FD_ALLOCATE (1ull << 8)
#define RIGHTS_PATH_CREATE_DIRECTORY (1ull << 9)
#define RIGHTS_PATH_CREATE_FILE (1ull << 10)
#define RIGHTS_PATH_LINK_SOURCE (1ull << 11)
#define RIGHTS_PATH_LINK_TARGET (1ull << 12)
#define RIGHTS_PATH_OPEN (1ull << 13)
#define RIGHTS_FD_READDIR (1ull << 14)
#define RIGHTS_PATH_READLINK (1ull << 15)
#define RIGHTS_PATH_RENAME_SOURCE (1ull << 16)
#define RIGHTS_PATH_RENAME_TARGET (1ull << 17)
#define RIGHTS_PATH_FILESTAT_GET (1ull << 18)
#define RIGHTS_PATH_FILESTAT_SET_SIZE (1ull << 19)
#define RIGHTS_PATH_FILESTAT_SET_TIMES (1ull << 20)
#define RIGHTS_FD_FILESTAT_GET (1ull << 21)
#define RIGHTS_FD_FILESTAT_SET_SIZE (1ull << 22)
#define RIGHTS_FD_FILESTAT_SET_TIMES (1ull << 23)
#define RIGHTS_PATH_SYMLINK (1ull << 24)
#define RIGHTS_PATH_REMOVE_DIRECTORY (1ull << 25)
#define RIGHTS_PATH_UNLINK_FILE (1ull << 26)
#define RIGHTS_POLL_FD_READWRITE (1ull << 27)
#define RIGHTS_SOCK_SHUTDOWN (1ull << 28)
#define RIGHTS_SOCK_ACCEPT (1ull << 29)
#define RIGHTS_ALL ((1ull << 30) - 1)

enum witx_filetype {
    FILETYPE_UNKNOWN,
    FILETYPE_BLOCK_DEVICE,
    FILETYPE_CHARACTER_DEVICE,
    FILETYPE_DIRECTORY,
    FILETYPE_REGULAR_FILE,
    FILETYPE_SOCKET_DGRAM,
    FILETYPE_SOCKET_STREAM,
    FILETYPE_SYMBOLIC_LINK,
};

enum {
    FDFLAGS_APPEND = 1,
    FDFLAGS_DSYNC = 2,
    FDFLAGS_NONBLOCK = 4,
    FDFLAGS_RSYNC = 8,
    FDFLAGS_SYNC = 16
};
enum { OFLAGS_CREAT = 1, OFLAGS_DIRECTORY = 2, OFLAGS_EXCL = 4, OFLAGS_TRUNC = 8 };
enum { FSTFLAGS_ATIM = 1, FSTFLAGS_ATIM_NOW = 2, FSTFLAGS_MTIM = 4, FSTFLAGS_MTIM_NOW = 8 };
enum { WHENCE_SET, WHENCE_CUR, WHENCE_END };
enum { LOOKUPFLAGS_SYMLINK_FOLLOW = 1 };
enum { ADVICE_NOREUSE = 5 }; // the last one
enum { RIFLAGS_RECV_PEEK = 1, RIFLAGS_RECV_WAITALL = 2 };
enum { SDFLAGS_RD = 1, SDFLAGS_WR = 2 };
enum { EVENTTYPE_CLOCK, EVENTTYPE_FD_READ, EVENTTYPE_FD_WRITE };
enum { EVENTRWFLAGS_FD_READWRITE_HANGUP = 1 };
enum { SUBCLOCKFLAGS_ABSTIME = 1 };
enum {
    SIGNAL_NONE = 0,
    SIGNAL_CHLD = 16,
    SIGNAL_CONT = 17,
    SIGNAL_URG = 22,
    SIGNAL_WINCH = 27,
    SIGNAL_SYS = 30
};

struct witx_iovec {
    uint32_t buf, buf_len;
};
struct witx_fdstat {
    uint8_t fs_filetype, pad0;
    uint16_t fs_flags;
    uint32_t pad1;
    uint64_t fs_rights_base, fs_rights_inheriting;
};
struct witx_filestat {
    uint64_t dev, ino;
    uint8_t filetype, pad[7];
    uint64_t nlink, size, atim, mtim, ctim;
};
struct witx_dirent {
    uint64_t d_next, d_ino;
    uint32_t d_namlen;
    uint8_t d_type, pad[3];
};
// A preopened directory has tag 0; there is no other in the specification. A preopened socket answers with tag 1, so that
// libraries which look for directories go on behind it.
struct witx_prestat {
    uint8_t tag, pad[3];
    uint32_t pr_name_len;
};
enum { PREOPENTYPE_DIR = 0, PREOPENTYPE_OTHER = 1 };
struct witx_subscription {
    uint64_t userdata;
    uint8_t tag, pad0[7];
    union {
        struct {
            uint32_t id, pad;
            uint64_t timeout, precision;
            uint16_t flags;
        } clock;
        uint32_t fd;
    } u;
};
struct witx_event {
    uint64_t userdata;
    uint16_t error;
    uint8_t type, pad0[5];
    uint64_t nbytes;
    uint16_t flags, pad1[3];
};
_Static_assert(sizeof(struct witx_fdstat) == 24 && sizeof(struct witx_filestat) == 64 &&
                   sizeof(struct witx_dirent) == 24 && sizeof(struct witx_prestat) == 8 &&
                   sizeof(struct witx_subscription) == 48 && sizeof(struct witx_event) == 32,
               "wasi_snapshot_preview1.witx");
#endif
