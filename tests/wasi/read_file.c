// read_file.c — reading: whole, in pieces, from a place, beyond the end; seeking; through the C library.
// files: yes
#include "check.h"
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

int main(void) {
    char text[64];
    static uint8_t big[300000];
    uint64_t at;
    int fd = open("/hello.txt", O_RDONLY);
    TRUE(fd > 3);
    SAME(read(fd, text, sizeof text), 14);
    TRUE(!memcmp(text, "Hello, files!\n", 14));
    SAME(read(fd, text, sizeof text), 0);
    SAME(lseek(fd, 7, SEEK_SET), 7);
    SAME(read(fd, text, 5), 5);
    TRUE(!memcmp(text, "files", 5));
    SAME(lseek(fd, -3, SEEK_CUR), 9);
    SAME(lseek(fd, -1, SEEK_END), 13);
    SAME(lseek(fd, 100, SEEK_SET), 100);
    SAME(read(fd, text, 5), 0);
    SAME(__wasi_fd_seek(fd, -101, 1, &at), __WASI_ERRNO_INVAL);
    SAME(__wasi_fd_seek(fd, INT64_MAX, 1, &at), __WASI_ERRNO_INVAL);
    SAME(__wasi_fd_seek(fd, INT64_MIN, 0, &at), __WASI_ERRNO_INVAL);
    SAME(__wasi_fd_seek(fd, 0, 3, &at), __WASI_ERRNO_INVAL);
    SAME(__wasi_fd_tell(fd, &at), 0);
    SAME(at, 100);
    SAME(pread(fd, text, 5, 0), 5);
    TRUE(!memcmp(text, "Hello", 5));
    SAME(lseek(fd, 0, SEEK_CUR), 100); // pread does not move
    SAME(pread(fd, text, 5, INT64_MAX), -1);
    SAME(errno, EINVAL);
    struct iovec v[3] = {{text, 2}, {text + 10, 3}, {text + 20, 40}};
    SAME(preadv(fd, v, 3, 0), 14);
    TRUE(!memcmp(text, "He", 2) && !memcmp(text + 10, "llo", 3) && !memcmp(text + 20, ", files!\n", 9));
    SAME(close(fd), 0);

    fd = open("/deep/er/big.bin", O_RDONLY);
    TRUE(fd > 3);
    SAME(read(fd, big, sizeof big), 200001); // more than the personality's buffer, and no multiple of it
    unsigned wrong = 0;
    for (unsigned i = 0; i < 200001; i++) wrong += big[i] != (uint8_t)(i * 7 + i / 256);
    SAME(wrong, 0);
    SAME(pread(fd, big, 10, 199999), 2);
    FILE *f = fdopen(fd, "r");
    SAME(fseek(f, 65535, SEEK_SET), 0);
    SAME(getc(f), (uint8_t)(65535 * 7 + 255));
    fclose(f);
    f = fopen("/empty", "r");
    TRUE(f && getc(f) == EOF && feof(f));
    fclose(f);
    TRUE(!fopen("/absent", "r"));
    SAME(errno, ENOENT);
    CHECK_END();
}
