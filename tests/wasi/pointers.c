// pointers.c — buffers and lists of buffers that are outside the memory, overlap its end, or are too many.
// files: yes
#include "check.h"

int main(void) {
    static __wasi_ciovec_t many[1025];
    static uint8_t text[8];
    size_t n;
    __wasi_fd_t fd;
    uint8_t *end = (uint8_t *)(__builtin_wasm_memory_size(0) * 65536);
    SAME(__wasi_fd_write(1, BAD, 1, &n), __WASI_ERRNO_FAULT);
    SAME(__wasi_fd_write(1, (void *)(end - 4), 1, &n), __WASI_ERRNO_FAULT);
    SAME(__wasi_fd_write(1, (void *)(end - 8), 2, &n), __WASI_ERRNO_FAULT);
    __wasi_ciovec_t v[2] = {{text, 0}, {BAD, 5}};
    SAME(__wasi_fd_write(1, v, 2, &n), __WASI_ERRNO_FAULT);
    v[1] = (__wasi_ciovec_t){end - 3, 4};
    SAME(__wasi_fd_write(1, v, 2, &n), __WASI_ERRNO_FAULT);
    v[1] = (__wasi_ciovec_t){end - 3, 0xffffffff};
    SAME(__wasi_fd_write(1, v, 2, &n), __WASI_ERRNO_FAULT);
    v[0] = (__wasi_ciovec_t){text, 0xffffffff};
    SAME(__wasi_fd_write(1, v, 2, &n), __WASI_ERRNO_INVAL); // the sum is no size
    v[0] = (__wasi_ciovec_t){text, 0};
    SAME(__wasi_fd_write(1, v, 1, BAD), __WASI_ERRNO_FAULT);
    SAME(__wasi_fd_write(1, many, 1024, &n), 0);
    SAME(n, 0);
    SAME(__wasi_fd_write(1, many, 1025, &n), __WASI_ERRNO_INVAL);
    SAME(__wasi_fd_write(1, many, 0xffffffff, &n), __WASI_ERRNO_INVAL);
    SAME(__wasi_fd_write(1, NULL, 0, &n), 0);

    int root = preopened("/");
    SAME(open_at(root, "hello.txt", 0, &fd), 0);
    __wasi_iovec_t r = {BAD, 4};
    SAME(__wasi_fd_read(fd, &r, 1, &n), __WASI_ERRNO_FAULT);
    r = (__wasi_iovec_t){text, 4};
    SAME(__wasi_fd_read(fd, &r, 1, BAD), __WASI_ERRNO_FAULT); // nothing was taken
    SAME(__wasi_fd_read(fd, &r, 1, &n), 0);
    TRUE(n == 4 && !memcmp(text, "Hell", 4));
    SAME(__wasi_fd_pread(fd, BAD, 1, 0, &n), __WASI_ERRNO_FAULT);
    SAME(__wasi_fd_seek(fd, 0, 0, BAD), __WASI_ERRNO_FAULT);
    SAME(__wasi_fd_tell(fd, BAD), __WASI_ERRNO_FAULT);
    SAME(__wasi_fd_fdstat_get(fd, BAD), __WASI_ERRNO_FAULT);
    SAME(__wasi_fd_filestat_get(fd, BAD), __WASI_ERRNO_FAULT);
    SAME(__wasi_fd_prestat_get(root, BAD), __WASI_ERRNO_FAULT);
    SAME(__wasi_fd_prestat_dir_name(root, BAD, 1), __WASI_ERRNO_FAULT);
    SAME(__wasi_fd_readdir(root, BAD, 100, 0, &n), __WASI_ERRNO_FAULT);
    SAME(__wasi_poll_oneoff(BAD, BAD, 1, &n), __WASI_ERRNO_FAULT);
    // wasi-libc measures paths itself: the import is called here
    __attribute__((import_module("wasi_snapshot_preview1"), import_name("path_filestat_get"))) int32_t
    path_filestat_get(int32_t, int32_t, const void *, uint32_t, void *);
    SAME(path_filestat_get(root, 0, BAD, 5, text), __WASI_ERRNO_FAULT);
    SAME(path_filestat_get(root, 0, "hello.txt", 9, BAD), __WASI_ERRNO_FAULT);
    SAME(path_filestat_get(root, 0, "a\0b", 3, text), __WASI_ERRNO_INVAL);
    SAME(path_filestat_get(root, 0, "a", 0, text), __WASI_ERRNO_NOENT);
    SAME(path_filestat_get(root, 0, text, 4097, text), __WASI_ERRNO_NAMETOOLONG);
    SAME(path_filestat_get(root, 2, "hello.txt", 9, text), __WASI_ERRNO_INVAL);
    CHECK_END();
}
