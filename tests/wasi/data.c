// data.c — persistent files: every call that changes something, and what is refused.
// data: yes
#include "check.h"
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static char big[200000];

static void files(void) {
    char text[64];
    struct stat s;
    int fd = open("/data/a", O_RDWR | O_CREAT | O_EXCL, 0666);
    TRUE(fd > 3);
    SAME(open("/data/a", O_RDWR | O_CREAT | O_EXCL, 0666), -1);
    SAME(errno, EEXIST);
    SAME(write(fd, "hello, disk", 11), 11);
    SAME(lseek(fd, 7, SEEK_SET), 7);
    SAME(write(fd, "DISK", 4), 4);
    SAME(pwrite(fd, "H", 1, 0), 1);
    SAME(pread(fd, text, sizeof text, 0), 11);
    TRUE(!memcmp(text, "Hello, DISK", 11));
    SAME(ftruncate(fd, 5), 0);
    SAME(fstat(fd, &s), 0);
    SAME(s.st_size, 5);
    SAME(ftruncate(fd, 10), 0);
    SAME(pread(fd, text, sizeof text, 0), 10);
    TRUE(!memcmp(text, "Hello\0\0\0\0\0", 10));
    SAME(posix_fallocate(fd, 0, 100000), 0);
    SAME(fstat(fd, &s), 0);
    SAME(s.st_size, 100000);
    SAME(fsync(fd), 0);
    SAME(fdatasync(fd), 0);
    struct timespec times[2] = {{1600000000, 5}, {1500000000, 7}};
    SAME(futimens(fd, times), 0);
    SAME(fstat(fd, &s), 0);
    SAME(s.st_atim.tv_sec, 1600000000);
    SAME(s.st_mtim.tv_sec, 1500000000);
    SAME(__wasi_path_filestat_set_times(preopened("/data"), 0, "a", 0, 0, __WASI_FSTFLAGS_MTIM_NOW), 0);
    SAME(stat("/data/a", &s), 0);
    SAME(s.st_atim.tv_sec, 1600000000);
    TRUE(s.st_mtim.tv_sec > 1600000000);
    SAME(close(fd), 0);

    fd = open("/data/log", O_WRONLY | O_CREAT | O_APPEND, 0666);
    SAME(write(fd, "one ", 4), 4);
    SAME(lseek(fd, 0, SEEK_SET), 0);
    SAME(write(fd, "two", 3), 3); // at the end all the same
    close(fd);
    fd = open("/data/log", O_RDONLY);
    SAME(read(fd, text, sizeof text), 7);
    TRUE(!memcmp(text, "one two", 7));
    SAME(write(fd, "x", 1), -1);
    SAME(errno, EBADF); // wasi-libc's word for a missing right to write
    close(fd);
    fd = open("/data/log", O_RDWR | O_TRUNC);
    SAME(fstat(fd, &s), 0);
    SAME(s.st_size, 0);
    close(fd);

    for (size_t i = 0; i < sizeof big; i++) big[i] = (char)(i * 31 + i / 256);
    fd = open("/data/big", O_RDWR | O_CREAT | O_SYNC, 0666);
    SAME(write(fd, big, sizeof big), sizeof big);
    static char again[sizeof big + 10];
    SAME(pread(fd, again, sizeof again, 0), sizeof big);
    TRUE(!memcmp(big, again, sizeof big));
    SAME(pread(fd, again, 10, sizeof big - 3), 3);
    close(fd);
}

static void names(void) {
    struct stat s;
    char text[32];
    int n = 0, fd;
    SAME(mkdir("/data/dir", 0777), 0);
    SAME(mkdir("/data/dir", 0777), -1);
    SAME(errno, EEXIST);
    SAME(mkdir("/data/dir/sub", 0777), 0);
    SAME(rmdir("/data/dir"), -1);
    SAME(errno, ENOTEMPTY);
    SAME(unlink("/data/dir"), -1);
    TRUE(errno == EISDIR || errno == EPERM);
    SAME(rmdir("/data/a"), -1);
    SAME(errno, ENOTDIR);
    SAME(link("/data/a", "/data/dir/hard"), 0);
    SAME(stat("/data/a", &s), 0);
    SAME(s.st_nlink, 2);
    SAME(symlink("dir/hard", "/data/soft"), 0);
    SAME(readlink("/data/soft", text, sizeof text), 8);
    TRUE(!memcmp(text, "dir/hard", 8));
    SAME(stat("/data/soft", &s), 0);
    TRUE(S_ISREG(s.st_mode));
    SAME(lstat("/data/soft", &s), 0);
    TRUE(S_ISLNK(s.st_mode));
    SAME(rename("/data/big", "/data/dir/moved"), 0);
    SAME(stat("/data/big", &s), -1);
    SAME(errno, ENOENT);
    SAME(rename("/data/log", "/data/dir/moved"), 0); // replaces it
    SAME(stat("/data/dir/moved", &s), 0);
    SAME(s.st_size, 0);
    SAME(rename("/data/absent", "/data/x"), -1);
    SAME(errno, ENOENT);
    DIR *d = opendir("/data/dir");
    for (struct dirent *e; d && (e = readdir(d));) n++;
    closedir(d);
    SAME(n, 5); // ".", "..", sub, hard, moved
    fd = open("/data/dir/moved", O_RDWR);
    SAME(unlink("/data/dir/moved"), 0);
    SAME(write(fd, "still", 5), 5); // a file without a name
    SAME(pread(fd, text, 5, 0), 5);
    SAME(close(fd), 0);
    SAME(unlink("/data/dir/hard"), 0);
    SAME(stat("/data/soft", &s), -1); // dangling now
    SAME(rmdir("/data/dir/sub"), 0);
    SAME(rmdir("/data/dir"), 0);
}

static void escapes(void) {
    __wasi_fd_t fd;
    int data = preopened("/data");
    TRUE(data > 2);
    SAME(open_at(data, "..", 0, &fd), __WASI_ERRNO_NOTCAPABLE);
    SAME(open_at(data, "../x", 0, &fd), __WASI_ERRNO_NOTCAPABLE);
    SAME(open_at(data, "/data/a", 0, &fd), __WASI_ERRNO_NOTCAPABLE);
    SAME(symlink("/data/a", "/data/absolute"), 0); // any text may be kept
    SAME(open_at(data, "absolute", 0, &fd), __WASI_ERRNO_NOTCAPABLE);
    SAME(symlink("../..", "/data/up"), 0);
    SAME(open_at(data, "up/x", 0, &fd), __WASI_ERRNO_NOTCAPABLE);
    SAME(symlink("loop", "/data/loop"), 0);
    SAME(open_at(data, "loop", 0, &fd), __WASI_ERRNO_LOOP);
    SAME(open_at(data, "a/x", 0, &fd), __WASI_ERRNO_NOTDIR);
    static char long_name[300];
    memset(long_name, 'n', 256);
    SAME(open_at(data, long_name, 0, &fd), __WASI_ERRNO_NAMETOOLONG);
    SAME(__wasi_path_open(data, 0, "a", 0, __WASI_RIGHTS_FD_READ, 0, 0, BAD), __WASI_ERRNO_FAULT);
    SAME(unlink("/data/absolute") | unlink("/data/up") | unlink("/data/loop") | unlink("/data/soft"),
         0);
}

// More descriptors than the file service has handles.
static void many(void) {
    int n = 0, error, fds[600];
    while (n < 600 && (fds[n] = open("/data/a", O_RDONLY)) >= 0) n++;
    error = errno;
    SAME(error, ENFILE);
    TRUE(n > 400);
    while (n) close(fds[--n]);
    int fd = open("/data/a", O_RDONLY);
    TRUE(fd > 3);
    close(fd);
}

int main(void) {
    files();
    names();
    escapes();
    many();
    int fd = open("/data/kept", O_WRONLY | O_CREAT, 0666);
    SAME(write(fd, "kept over switching off\n", 24), 24);
    SAME(fsync(fd), 0);
    close(fd);
    CHECK_END();
}
