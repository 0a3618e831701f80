// file.c — see file.h.
#include "loader/tools/lib/file.h"
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *tool_name = "tool";

void die(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s: ", tool_name);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

void *alloc(size_t size) {
    void *p = calloc(1, size ? size : 1);
    if (!p) die("out of memory for %zu bytes", size);
    return p;
}

uint8_t *file_read(const char *path, size_t extra, size_t *out_size) {
    FILE *f = fopen(path, "rb");
    struct stat st;
    if (!f || fstat(fileno(f), &st) != 0) die("cannot open %s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode)) die("%s is not a file", path);
    size_t size = (size_t)st.st_size;
    uint8_t *bytes = alloc(size + extra);
    if (fread(bytes, 1, size, f) != size) die("cannot read %s", path);
    fclose(f);
    *out_size = size;
    return bytes;
}

// Blocks of zeros are not written: a large file system that is nearly empty stays small.
static bool write_sparse(FILE *f, const uint8_t *bytes, size_t size) {
    static const uint8_t zeros[4096];
    for (size_t at = 0; at < size; at += sizeof zeros) {
        size_t n = size - at < sizeof zeros ? size - at : sizeof zeros;
        bool hole = memcmp(bytes + at, zeros, n) == 0;
        if (hole ? fseek(f, (long)n, SEEK_CUR) != 0 : fwrite(bytes + at, 1, n, f) != n)
            return false;
    }
    return fflush(f) == 0 && ftruncate(fileno(f), (off_t)size) == 0;
}

void file_write(const char *path, const void *bytes, size_t size) {
    char *tmp = alloc(strlen(path) + 32);
    sprintf(tmp, "%s.%ld.tmp", path, (long)getpid());
    FILE *f = fopen(tmp, "wb");
    if (!f) die("cannot create %s: %s", tmp, strerror(errno));
    if (!write_sparse(f, bytes, size) || fclose(f) != 0 || rename(tmp, path) != 0) {
        int e = errno;
        unlink(tmp);
        die("cannot write %s: %s", path, strerror(e));
    }
    free(tmp);
}
