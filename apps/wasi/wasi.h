// wasi.h — the parts of the WASI personality: a library that gives one program the calls of WASI preview 1.
//
// The module runs only while the program is inside one of its calls, on the program's thread. It has no privilege: it reaches the
// program's memory with caller_read() and caller_write(), which the kernel allows for the duration of a call and checks, and everything
// else through what the configuration granted to it. All that the program passes is input: copied once, checked, then used.
//
//   process.c  arguments, environment, clocks, random bytes, exit
//   fd.c       descriptors: what they are, which rights they carry; fd_* calls
//   path.c     path_* calls
//   vfs.h      what a file system gives; archive.c is one; walk.c resolves paths in those that are trees in memory
//   socket.c   sock_* calls      poll.c  poll_oneoff, waiting      stdio.c, terminal.c  the three standard streams
//
// A function that can fail returns a WASI errno, 0 being success.
#ifndef WASI_WASI_H
#define WASI_WASI_H
#include "apps/wasi/vfs.h"
#include "apps/wasi/witx.h"
#include "drivers/sdk/sasos.h"

// Defines the export NAME; in C it is called wasi_NAME, so that a C library's names do not collide with it.
#ifdef __wasm__
#define WASI(name) __attribute__((export_name(#name))) wasi_##name
#else
#define WASI(name) wasi_##name
#endif

#ifdef __wasm__ // no C library: these become instructions
#define memcpy __builtin_memcpy
#define memmove __builtin_memmove
#define memset __builtin_memset
#else
#include <string.h>
#endif

#define BUFFER_SIZE 65536u
#define IOVS_MAX 1024u

// ---- caller.c: the program's memory ----
int32_t caller_get(void *to, uint32_t from, uint32_t n);
int32_t caller_put(uint32_t to, const void *from, uint32_t n);
// The one bounce buffer: what passes between the program and a file, a stream or a socket.
extern uint8_t buffer[BUFFER_SIZE];
// The list of buffers of one call, copied and checked as a whole: INVAL for more than IOVS_MAX or 2³² bytes.
int32_t iov_take(uint32_t list, uint32_t count);
uint64_t iov_left(void); // bytes not gathered or scattered yet
int32_t iov_gather(uint8_t *to, uint32_t n);
int32_t iov_scatter(const uint8_t *from, uint32_t n);

// Zeroed memory that is never given back: for what is made once, at the start. NULL when the module may not grow.
void *more_memory(uint32_t bytes);

int32_t errno_of(int32_t error); // of an error of the kernel's or a service's

// ---- process.c ----
// The value of an option of the personality, cut off at `size`; false if it is not given.
bool option(const char *name, char *out, uint32_t size);
void process_start(void);
void process_enter(void); // at the begin of a call: notices that the program is another one, and its terminal's keys
extern bool process_running; // a program has begun, and is not over
void WASI(proc_exit)(uint32_t status);
extern int64_t process_waited_ns; // time spent in wait, not computing

// ---- stdio.c ----
int32_t stdio_write(uint32_t *out_n); // what iov_take() took
void stdio_flush(void);
void stdio_start(void);
extern bool stdio_console; // output goes to the machine's console

// ---- terminal.c ----
int32_t terminal_start(void);    // an error of the kernel's
extern uint32_t terminal_events; // of the kernel's; 0: there is no terminal
int32_t terminal_write(const uint8_t *bytes, uint32_t n);
int32_t terminal_read(bool nonblock, uint32_t *out_n); // into what iov_take() took
bool terminal_ready(uint64_t *out_n);                  // input, this much, or its end
// Takes what was typed; `event`: one of terminal_events came. True: that was Ctrl-C, and the program is being ended.
bool terminal_look(bool event);
void terminal_forget(void); // another program begins

// ---- fd.c ----
#define FDS_MAX 4096u
enum desc_kind {
    DESC_FREE,
    DESC_INPUT,
    DESC_OUTPUT,
    DESC_FILE,
    DESC_DIR,
    DESC_LISTENER,
    DESC_STREAM
};
struct desc {
    enum desc_kind kind;
    uint16_t flags; // FDFLAGS_*
    uint64_t rights, inheriting;
    const char *preopen; // of a preopened directory: its name; "" for a preopened socket, else NULL
    struct vfs_node node; // FILE, DIR; one reference held
    uint64_t offset;      // FILE
    int32_t socket;       // LISTENER: number of the listener; STREAM: the stack's handle …
    int32_t life;         // … and in which of the stack's lives it was given
};
// BADF, or NOTCAPABLE unless it has all of `rights`.
int32_t fd_get(uint32_t fd, uint64_t rights, struct desc **out);
int32_t fd_peek(uint32_t fd, uint64_t rights, struct desc **out); // the same, not as a call's first step
// Takes the lowest free number. MFILE when there is none.
int32_t fd_add(const struct desc *d, uint32_t *out_fd);
void fd_drop(uint32_t fd); // an open one
#define MOUNTS_MAX 4u
void fd_mount(const char *name, const struct vfs *fs); // nothing when fs is NULL
void fd_open_all(void);                                // the descriptors that a program starts with
void fd_close_all(void);
// $fstflags: TIME_OMIT where nothing is to change. INVAL for a time given twice.
int32_t fd_times(uint32_t flags, uint64_t *atim, uint64_t *mtim);
#define RIGHTS_FILE                                                                              \
    (RIGHTS_FD_DATASYNC | RIGHTS_FD_READ | RIGHTS_FD_SEEK | RIGHTS_FD_FDSTAT_SET_FLAGS |         \
     RIGHTS_FD_SYNC | RIGHTS_FD_TELL | RIGHTS_FD_WRITE | RIGHTS_FD_ADVISE | RIGHTS_FD_ALLOCATE | \
     RIGHTS_FD_FILESTAT_GET | RIGHTS_FD_FILESTAT_SET_SIZE | RIGHTS_FD_FILESTAT_SET_TIMES |       \
     RIGHTS_POLL_FD_READWRITE)
#define RIGHTS_DIR                                                                                    \
    (RIGHTS_FD_FDSTAT_SET_FLAGS | RIGHTS_FD_SYNC | RIGHTS_FD_DATASYNC | RIGHTS_FD_FILESTAT_GET |      \
     RIGHTS_FD_FILESTAT_SET_TIMES | RIGHTS_FD_READDIR | RIGHTS_PATH_CREATE_DIRECTORY |                \
     RIGHTS_PATH_CREATE_FILE | RIGHTS_PATH_LINK_SOURCE | RIGHTS_PATH_LINK_TARGET | RIGHTS_PATH_OPEN | \
     RIGHTS_PATH_READLINK | RIGHTS_PATH_RENAME_SOURCE | RIGHTS_PATH_RENAME_TARGET |                   \
     RIGHTS_PATH_FILESTAT_GET | RIGHTS_PATH_FILESTAT_SET_SIZE | RIGHTS_PATH_FILESTAT_SET_TIMES |      \
     RIGHTS_PATH_SYMLINK | RIGHTS_PATH_REMOVE_DIRECTORY | RIGHTS_PATH_UNLINK_FILE)
#define RIGHTS_SOCKET                                                                         \
    (RIGHTS_FD_READ | RIGHTS_FD_WRITE | RIGHTS_FD_FDSTAT_SET_FLAGS | RIGHTS_FD_FILESTAT_GET | \
     RIGHTS_POLL_FD_READWRITE | RIGHTS_SOCK_SHUTDOWN)
#define RIGHTS_LISTENER                                                               \
    (RIGHTS_FD_FDSTAT_SET_FLAGS | RIGHTS_FD_FILESTAT_GET | RIGHTS_POLL_FD_READWRITE | \
     RIGHTS_SOCK_ACCEPT)

// ---- socket.c ----
extern uint32_t socket_listeners; // preopened ones, at descriptors 3, 4, …; at most 8
extern uint32_t socket_events;    // of the kernel's: something may have become ready
int32_t socket_start(void);    // an error of the kernel's: what the options ask for cannot be had
void socket_connect_all(void); // opens the preopened connections
void socket_close(struct desc *d);
int32_t socket_receive(struct desc *d, uint32_t flags, uint32_t *out_n); // into what iov_take() took
int32_t socket_send(struct desc *d, uint32_t *out_n);
bool socket_ready(struct desc *d, bool write, struct witx_event *out);
void socket_look(void);  // before looking at what is ready and then waiting
void socket_flush(void); // before waiting

// ---- poll.c ----
// Sleeps until one of `events` is pending, the terminal's driver has something, or the time (time_ns) has come.
// Those that are, 0 at that time, or a negative error: then the program is being ended.
int32_t wait_until(uint32_t events, int64_t deadline);
#define FOREVER INT64_MAX

static inline uint32_t text_length(const char *s) {
    uint32_t n = 0;
    while (s[n]) n++;
    return n;
}
static inline bool text_same(const char *a, uint32_t n, const char *b, uint32_t m) {
    if (n != m) return false;
    for (uint32_t i = 0; i < n; i++)
        if (a[i] != b[i]) return false;
    return true;
}
#endif
