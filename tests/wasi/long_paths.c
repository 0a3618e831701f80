// long_paths.c — names and paths at and above their limits.
// files: yes
#include "check.h"

static char path[8192];
static int root;
static int opens(void) {
    __wasi_fd_t fd;
    int error = open_at(root, path, 0, &fd);
    if (!error) __wasi_fd_close(fd);
    return error;
}

int main(void) {
    root = preopened("/");
    memset(path, 'n', 255);
    SAME(opens(), __WASI_ERRNO_NOENT);
    memset(path, 'n', 256);
    SAME(opens(), __WASI_ERRNO_NAMETOOLONG);
    memset(path, 'n', 100); // ustar's longest name
    path[100] = 0;
    SAME(opens(), 0);
    memset(path, 0, sizeof path);
    for (int i = 0; i < 2043; i++) memcpy(path + 2 * i, "./", 2);
    strcat(path, "hello.txt");
    TRUE(strlen(path) <= 4096);
    SAME(opens(), 0);
    memset(path, '/', sizeof path - 1);
    path[0] = '.';
    SAME(opens(), __WASI_ERRNO_NAMETOOLONG);
    path[4096] = 0;
    SAME(opens(), 0);
    memset(path, 0, sizeof path); // deeper than any tree
    for (int i = 0; i < 300; i++) strcat(path, "deep/../");
    strcat(path, "hello.txt");
    SAME(opens(), 0);
    CHECK_END();
}
