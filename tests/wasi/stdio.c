// stdio.c — the standard streams: what they are, what they refuse, and output of many pieces.
// stdout: one two three four
// stdout: last
#include "check.h"
#include <sys/uio.h>
#include <unistd.h>

int main(void) {
    __wasi_fdstat_t s;
    __wasi_filestat_t st;
    size_t n;
    char c;
    uint8_t byte = 'x';
    SAME(read(0, &c, 1), 0); // no terminal: the end
    for (int fd = 0; fd < 3; fd++) {
        SAME(__wasi_fd_fdstat_get(fd, &s), 0);
        SAME(s.fs_filetype, __WASI_FILETYPE_CHARACTER_DEVICE);
        SAME(__wasi_fd_filestat_get(fd, &st), 0);
        SAME(st.filetype, __WASI_FILETYPE_CHARACTER_DEVICE);
        TRUE(isatty(fd));
        __wasi_filesize_t at;
        SAME(__wasi_fd_seek(fd, 0, __WASI_WHENCE_SET, &at), __WASI_ERRNO_SPIPE);
        SAME(__wasi_fd_tell(fd, &at), __WASI_ERRNO_SPIPE);
        SAME(__wasi_fd_advise(fd, 0, 0, 0), __WASI_ERRNO_SPIPE);
        SAME(__wasi_fd_allocate(fd, 0, 1), __WASI_ERRNO_SPIPE);
        SAME(__wasi_fd_filestat_set_size(fd, 0), __WASI_ERRNO_NOTCAPABLE);
        SAME(__wasi_fd_readdir(fd, &byte, 1, 0, &n), __WASI_ERRNO_NOTCAPABLE);
        SAME(__wasi_fd_fdstat_set_flags(fd, __WASI_FDFLAGS_NONBLOCK), 0);
        SAME(__wasi_fd_fdstat_get(fd, &s), 0);
        SAME(s.fs_flags, __WASI_FDFLAGS_NONBLOCK);
        SAME(__wasi_fd_fdstat_set_flags(fd, 0x8000), __WASI_ERRNO_INVAL);
        SAME(__wasi_fd_fdstat_set_flags(fd, 0), 0);
    }
    __wasi_iovec_t in = {&byte, 1};
    __wasi_ciovec_t out = {&byte, 1};
    SAME(__wasi_fd_read(1, &in, 1, &n), __WASI_ERRNO_NOTCAPABLE);
    SAME(__wasi_fd_write(0, &out, 1, &n), __WASI_ERRNO_NOTCAPABLE);
    SAME(__wasi_fd_sync(1), 0);
    SAME(__wasi_fd_datasync(2), 0);
    SAME(__wasi_fd_sync(0), __WASI_ERRNO_NOTCAPABLE);

    struct iovec pieces[] = {{"one ", 4}, {NULL, 0}, {"two ", 4}, {"three ", 6}, {"four\n", 5}};
    SAME(writev(1, pieces, 5), 19);
    static char lines[200000]; // larger than the personality's buffer
    memset(lines, '-', sizeof lines);
    for (size_t i = 99; i < sizeof lines; i += 100) lines[i] = '\n';
    SAME(fwrite(lines, 1, sizeof lines, stderr), sizeof lines);
    puts("last");
    CHECK_END();
}
