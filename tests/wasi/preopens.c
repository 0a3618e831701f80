// preopens.c — the directories that are open at the start, and numbers behind the last one.
// files: yes
#include "check.h"

int main(void) {
    __wasi_prestat_t p;
    __wasi_fdstat_t s;
    uint8_t name[8] = "xxxxxxx";
    int root = preopened("/");
    SAME(root, 3);
    SAME(__wasi_fd_prestat_get(root, &p), 0);
    SAME(p.tag, __WASI_PREOPENTYPE_DIR);
    SAME(p.u.dir.pr_name_len, 1);
    SAME(__wasi_fd_prestat_dir_name(root, name, 0), __WASI_ERRNO_NAMETOOLONG);
    SAME(__wasi_fd_prestat_dir_name(root, name, sizeof name), 0);
    TRUE(!memcmp(name, "/xxxxxx", 7));
    SAME(__wasi_fd_prestat_get(1, &p), __WASI_ERRNO_BADF);
    SAME(__wasi_fd_prestat_get(100, &p), __WASI_ERRNO_BADF);
    SAME(__wasi_fd_fdstat_get(root, &s), 0);
    SAME(s.fs_filetype, __WASI_FILETYPE_DIRECTORY);
    TRUE(s.fs_rights_base & __WASI_RIGHTS_PATH_OPEN);
    TRUE(s.fs_rights_inheriting & __WASI_RIGHTS_FD_READ);
    TRUE(!(s.fs_rights_base & __WASI_RIGHTS_FD_SEEK));
    SAME(__wasi_fd_close(root), 0); // may be closed like any other
    SAME(__wasi_fd_prestat_get(root, &p), __WASI_ERRNO_BADF);
    CHECK_END();
}
