// stat.c — sizes, types, times, identities.
// files: yes
#include "check.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

int main(void) {
    struct stat a, b;
    SAME(stat("/hello.txt", &a), 0);
    TRUE(S_ISREG(a.st_mode));
    SAME(a.st_size, 14);
    SAME(a.st_mtim.tv_sec, 1700000000);
    int fd = open("/hello.txt", O_RDONLY);
    SAME(fstat(fd, &b), 0);
    TRUE(a.st_ino == b.st_ino && a.st_dev == b.st_dev);
    SAME(b.st_size, 14);
    SAME(stat("/deep", &a), 0);
    TRUE(S_ISDIR(a.st_mode));
    SAME(stat("/", &a), 0);
    TRUE(S_ISDIR(a.st_mode));
    SAME(lstat("/link", &a), 0);
    TRUE(S_ISLNK(a.st_mode));
    SAME(a.st_size, 15);
    SAME(stat("/link", &a), 0);
    SAME(a.st_size, 200001);
    SAME(stat("/hard", &a), 0);
    SAME(a.st_size, 14);
    SAME(stat("/absent", &a), -1);
    SAME(errno, ENOENT);
    SAME(stat("/hello.txt/x", &a), -1);
    SAME(errno, ENOTDIR);
    SAME(stat("/hello.txt/", &a), -1);
    SAME(errno, ENOTDIR);
    SAME(stat("/deep/", &a), 0);
    SAME(stat("/deep//er/../er/./big.bin", &a), 0);
    SAME(access("/hello.txt", R_OK), 0);
    CHECK_END();
}
