// read_only.c — the archive cannot be changed, by whatever call.
// files: yes
#include "check.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

int main(void) {
    __wasi_fd_t fd;
    int root = preopened("/");
    SAME(open("/hello.txt", O_RDWR), -1);
    SAME(errno, EROFS);
    SAME(open("/hello.txt", O_WRONLY), -1);
    SAME(errno, EROFS);
    SAME(open("/new", O_RDWR | O_CREAT, 0666), -1);
    SAME(errno, EROFS);
    SAME(open("/hello.txt", O_RDONLY | O_CREAT | O_EXCL, 0666), -1);
    SAME(errno, EEXIST);
    TRUE(open("/hello.txt", O_RDONLY | O_CREAT, 0666) > 3);
    SAME(open("/hello.txt", O_RDONLY | O_TRUNC), -1);
    SAME(errno, EROFS);
    SAME(__wasi_path_create_directory(root, "new"), __WASI_ERRNO_ROFS);
    SAME(__wasi_path_remove_directory(root, "deep"), __WASI_ERRNO_ROFS);
    SAME(__wasi_path_unlink_file(root, "hello.txt"), __WASI_ERRNO_ROFS);
    SAME(__wasi_path_rename(root, "hello.txt", root, "x"), __WASI_ERRNO_ROFS);
    SAME(__wasi_path_link(root, 0, "hello.txt", root, "x"), __WASI_ERRNO_ROFS);
    SAME(__wasi_path_symlink("hello.txt", root, "x"), __WASI_ERRNO_ROFS);
    SAME(__wasi_path_filestat_set_times(root, 0, "hello.txt", 0, 0, __WASI_FSTFLAGS_MTIM),
         __WASI_ERRNO_ROFS);
    SAME(open_at(root, "hello.txt", 0, &fd), 0);
    SAME(__wasi_fd_filestat_set_times(fd, 0, 0, __WASI_FSTFLAGS_ATIM_NOW), __WASI_ERRNO_ROFS);
    SAME(__wasi_fd_filestat_set_times(fd, 0, 0, __WASI_FSTFLAGS_ATIM_NOW | __WASI_FSTFLAGS_ATIM),
         __WASI_ERRNO_INVAL);
    SAME(__wasi_fd_filestat_set_times(fd, 0, 0, 16), __WASI_ERRNO_INVAL);
    SAME(__wasi_fd_filestat_set_size(fd, 3), __WASI_ERRNO_NOTCAPABLE);
    SAME(__wasi_fd_allocate(fd, 0, 3), __WASI_ERRNO_NOTCAPABLE);
    SAME(__wasi_fd_sync(fd), 0);
    CHECK_END();
}
