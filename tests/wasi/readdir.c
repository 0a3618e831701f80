// readdir.c — directories: every name once, cookies, buffers of all sizes.
// files: yes
#include "check.h"
#include <dirent.h>

static int count(const char *path, const char *wanted) {
    int n = 0, found = 0;
    DIR *d = opendir(path);
    if (!d) return -1;
    for (struct dirent *e; (e = readdir(d));) {
        n++;
        found += !strcmp(e->d_name, wanted);
    }
    closedir(d);
    SAME(found, 1);
    return n;
}

int main(void) {
    static uint8_t buffer[65536], whole[65536];
    size_t n, total = 0;
    int root = preopened("/"), names = 0;
    SAME(count("/many", "file-0999"), 1002);
    SAME(count("/deep", "er"), 4);
    SAME(count("/deep", ".."), 4);
    TRUE(!opendir("/hello.txt"));
    SAME(errno, ENOTDIR);

    __wasi_fd_t fd;
    SAME(open_at(root, "many", __WASI_OFLAGS_DIRECTORY, &fd), 0);
    SAME(__wasi_fd_readdir(fd, whole, sizeof whole, 0, &n), 0);
    total = n;
    SAME(total, 1000 * (24 + 9) + 24 + 1 + 24 + 2);
    // Small buffers: an entry that is cut off is asked for again.
    for (size_t size = 24; size <= 100; size += 19) {
        uint64_t cookie = 0;
        size_t at = 0;
        names = 0;
        for (;;) {
            SAME(__wasi_fd_readdir(fd, buffer, size, cookie, &n), 0);
            size_t used = 0;
            while (n - used >= 24) {
                __wasi_dirent_t e;
                memcpy(&e, buffer + used, sizeof e);
                if (size < 24 + e.d_namlen) { // too small for it: only the head can be had
                    TRUE(!memcmp(buffer, whole + at, size));
                    at += 24 + e.d_namlen;
                    cookie = e.d_next;
                    names++;
                    break;
                }
                if (n - used < 24 + e.d_namlen) break;
                TRUE(!memcmp(buffer + used, whole + at, 24 + e.d_namlen));
                at += 24 + e.d_namlen;
                used += 24 + e.d_namlen;
                cookie = e.d_next;
                names++;
            }
            if (n < size) break;
        }
        SAME(at, total);
        SAME(names, 1002);
    }
    SAME(__wasi_fd_readdir(fd, buffer, sizeof buffer, 0x123456789abcdefull, &n), 0);
    SAME(n, 0);
    SAME(__wasi_fd_readdir(fd, buffer, 0, 0, &n), 0);
    SAME(n, 0);
    CHECK_END();
}
