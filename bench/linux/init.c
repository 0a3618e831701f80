// init.c — the only program of the Linux peer: process 1 of an initramfs, which loads the kernel modules that are there, does to a block device what
// bench/apps/blkload does, prints the same lines, and switches the machine off.
// What it does with a network interface is in frames.c and serve.c.
//
// /modules names the modules in order, /cells has one measurement a line, "DEVICE OP:PATTERN:SIZE:DEPTH:COUNT", or
// "INTERFACE OP:SIZE:BATCH:COUNT", or "INTERFACE serve:ADDRESS". O_DIRECT, so that
// the page cache is out of the way; one request at a time by pread and pwrite, more by Linux's asynchronous I/O (io_submit), all that
// may be in flight submitted together. The generator of sectors is blkload's.
#define _GNU_SOURCE
#include "init.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define DEPTH_MAX 128
#define SECTOR 512

struct cell {
    char device[32], text[64];
    bool write, random;
    uint32_t size, depth, count;
};
static uint64_t sectors, next, state;
static uint8_t *buffers;

static uint64_t next_sector(const struct cell *c) {
    uint32_t step = c->size / SECTOR;
    if (c->random) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        return ((state >> 32) * (sectors / step) >> 32) * step;
    }
    uint64_t sector = next;
    next += step;
    if (next + step > sectors) next = 0;
    return sector;
}

static uint32_t one_by_one(const struct cell *c, int fd) {
    uint32_t errors = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        off_t at = (off_t)next_sector(c) * SECTOR;
        ssize_t n = c->write ? pwrite(fd, buffers, c->size, at) : pread(fd, buffers, c->size, at);
        errors += n != (ssize_t)c->size;
    }
    return errors;
}

static uint32_t many(const struct cell *c, int fd) {
    static struct iocb block[DEPTH_MAX], *list[DEPTH_MAX];
    static struct io_event event[DEPTH_MAX];
    uint32_t errors = 0, issued = 0, done = 0, free_count = 0, free_block[DEPTH_MAX];
    aio_context_t context = 0;
    if (syscall(SYS_io_setup, DEPTH_MAX, &context)) return c->count;
    for (uint32_t i = c->depth; i-- > 0;) free_block[free_count++] = i;
    while (done < c->count) {
        long n = 0;
        while (free_count && issued < c->count) {
            uint32_t i = free_block[--free_count];
            block[i] = (struct iocb){.aio_data = i,
                                     .aio_lio_opcode = c->write ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD,
                                     .aio_fildes = (uint32_t)fd,
                                     .aio_buf = (uint64_t)(buffers + (size_t)i * c->size),
                                     .aio_nbytes = c->size,
                                     .aio_offset = (int64_t)next_sector(c) * SECTOR};
            list[n++] = &block[i];
            issued++;
        }
        if (n && syscall(SYS_io_submit, context, n, list) != n) return c->count;
        long got = syscall(SYS_io_getevents, context, 1L, (long)DEPTH_MAX, event, NULL);
        for (long i = 0; i < got; i++) {
            errors += event[i].res != (int64_t)c->size;
            free_block[free_count++] = (uint32_t)event[i].data;
        }
        done += got > 0 ? (uint32_t)got : c->count;
    }
    syscall(SYS_io_destroy, context);
    return errors;
}

__attribute__((noinline)) int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void measure(const struct cell *c) {
    int fd = -1;
    for (int i = 0; i < 5000 && fd < 0; i++) { // the driver may still be looking at its device
        fd = open(c->device, O_RDWR | O_DIRECT);
        if (fd < 0) usleep(1000);
    }
    uint64_t bytes = 0;
    if (fd < 0 || ioctl(fd, BLKGETSIZE64, &bytes)) {
        printf("cell %s: there is no %s\n", c->text, c->device);
        return;
    }
    sectors = bytes / SECTOR;
    next = 0;
    state = 88172645463325252ull;
    int64_t before = now();
    uint32_t errors = c->depth == 1 ? one_by_one(c, fd) : many(c, fd);
    printf("cell %s ns=%ld errors=%u\n", c->text, now() - before, errors);
    close(fd);
}

static bool parse(const char *line, struct cell *c) {
    char op[8], pattern[8];
    if (sscanf(line, "%31s %63s", c->device, c->text) != 2) return false;
    if (sscanf(c->text, "%7[a-z]:%7[a-z]:%u:%u:%u", op, pattern, &c->size, &c->depth, &c->count) != 5)
        return false;
    c->write = !strcmp(op, "write");
    c->random = !strcmp(pattern, "rand");
    return c->size && c->depth && c->depth <= DEPTH_MAX;
}

static void insert_modules(void) {
    char line[128];
    FILE *f = fopen("/modules", "r");
    while (f && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        int fd = open(line, O_RDONLY);
        if (fd < 0 || syscall(SYS_finit_module, fd, "", 0)) printf("cannot insert %s: %m\n", line);
        if (fd >= 0) close(fd);
    }
}

int main(void) {
    char line[128];
    setvbuf(stdout, NULL, _IONBF, 0);
    mount("none", "/dev", "devtmpfs", 0, NULL);
    printf("init: started at %ld ms\n", now() / 1000000);
    insert_modules();
    buffers = mmap(NULL, 16u << 20, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    FILE *f = fopen("/cells", "r");
    while (f && buffers != MAP_FAILED && fgets(line, sizeof line, f)) {
        struct cell c = {0};
        if (frames_line(line)) continue;
        if (parse(line, &c)) measure(&c);
    }
    printf("init: done\n");
    sync();
    reboot(RB_POWER_OFF);
    return 1;
}
