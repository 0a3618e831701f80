// log.c — kprintf and the lines of log.h. A line is made in a buffer on the stack and given to the console at once, so that
// lines of different threads do not mix.
#include "sasos/lib/log.h"
#include "sasos/arch/lock.h"
#include "sasos/arch/time.h"
#include "sasos/lib/console.h"
#include "sasos/lib/mem.h"
#include "sasos/lib/printf.h"

#define LINE_MAX 280
#define KEPT 65536u

static char kept[KEPT];
static uint64_t next; // bytes logged since boot; the last KEPT of them are kept, each at its position mod KEPT
static struct spinlock lock;

void kprintf(const char *fmt, ...) {
    char line[LINE_MAX];
    va_list ap;
    va_start(ap, fmt);
    int n = kvsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    con_write(line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
}

static void keep(const char *line, size_t n) {
    uint64_t flags = spin_lock(&lock);
    for (size_t i = 0; i < n; i++) kept[next++ % KEPT] = line[i];
    spin_unlock(&lock, flags);
}

void log_range(uint64_t *out_first, uint64_t *out_next) {
    uint64_t flags = spin_lock(&lock);
    *out_next = next;
    *out_first = next > KEPT ? next - KEPT : 0;
    spin_unlock(&lock, flags);
}

uint64_t log_read(uint64_t from, char *to, size_t size) {
    size_t n = 0;
    uint64_t flags = spin_lock(&lock);
    if (next > KEPT && from < next - KEPT) from = next - KEPT;
    while (n + 1 < size && from < next) to[n++] = kept[from++ % KEPT];
    spin_unlock(&lock, flags);
    if (size) to[n] = 0;
    return from;
}

void klog(enum log_level level, const char *area, const char *fmt, ...) {
    static const char *const marks[] = {"error: ", "warning: ", ""};
    char line[LINE_MAX];
    uint64_t us = time_now_ns() / 1000;
    int n = ksnprintf(line, sizeof line, "[%3llu.%06llu] %s: %s", (unsigned long long)(us / 1000000),
                      (unsigned long long)(us % 1000000), area, marks[level]);
    va_list ap;
    va_start(ap, fmt);
    n += kvsnprintf(line + n, sizeof line - 1 - (size_t)n, fmt, ap);
    va_end(ap);
    if ((size_t)n > sizeof line - 2) n = sizeof line - 2;
    line[n] = '\n';
    keep(line, (size_t)n + 1);
    con_write(line, (size_t)n + 1);
}
