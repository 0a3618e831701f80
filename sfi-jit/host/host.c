// host.c — see host.h.
#include "sfi-jit/host/host.h"
#include <cpuid.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

bool plat_linux_arena(void); // plat_linux.c

#define C_STACK_RESERVE (256u << 10) // what one host function may need, sanitizers included
#define C_STACK_MOST (6u << 20)      // of the main thread's stack, however large the limit

static const char *tool_name = "sfi";
static double start_seconds;
static uint64_t start_cycles;

void die(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s: ", tool_name);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(2);
}

// The features that sfi.h asks for; the first that is missing, or NULL.
static const char *missing_feature(void) {
    unsigned a, b, c, d, b7 = 0, c81 = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return "CPUID";
    if (!(c & bit_SSE4_1)) return "SSE4.1";
    if (!(c & bit_POPCNT)) return "POPCNT";
    if (!(c & bit_OSXSAVE) || !(c & bit_AVX)) return "AVX";
    if (__get_cpuid_count(7, 0, &a, &b7, &c, &d) == 0 || !(b7 & bit_BMI)) return "BMI1";
    if (!(b7 & bit_BMI2)) return "BMI2";
    if (!__get_cpuid(0x80000001, &a, &b, &c81, &d) || !(c81 & bit_LZCNT)) return "LZCNT";
    return NULL;
}

void host_init(const char *tool) {
    const char *missing = missing_feature();
    tool_name = tool;
    if (missing)
        die("this CPU has no %s; compiled modules need SSE4.1, POPCNT, AVX, BMI1, BMI2 and LZCNT",
            missing);
    start_seconds = host_seconds();
    start_cycles = __builtin_ia32_rdtsc();
    if (!plat_linux_arena())
        die("no address space for code within 2 GiB of the program: %s", strerror(errno));
    host_signals();
    host_thread_init();
}

struct ldr_thread *host_thread(uint32_t stack_size) {
    struct ldr_thread *t = ldr_thread_new(stack_size);
    struct rlimit limit;
    uint64_t room = C_STACK_MOST, here = (uint64_t)__builtin_frame_address(0);
    if (!t) die("out of memory");
    if (!getrlimit(RLIMIT_STACK, &limit) && limit.rlim_cur / 4 * 3 < room)
        room = limit.rlim_cur / 4 * 3;
    ldr_thread_set_c_limit(t, here - room + C_STACK_RESERVE);
    return t;
}

uint8_t *host_read_file(const char *path, size_t *out_size) {
    FILE *f = fopen(path, "rb");
    struct stat st;
    if (!f) return NULL;
    if (fstat(fileno(f), &st) || !S_ISREG(st.st_mode)) {
        errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
        fclose(f);
        return NULL;
    }
    uint8_t *p = malloc((size_t)st.st_size + 1);
    if (p) *out_size = fread(p, 1, (size_t)st.st_size, f);
    fclose(f);
    return p;
}

double host_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}
double host_cycle_seconds(uint64_t n) {
    uint64_t cycles = __builtin_ia32_rdtsc() - start_cycles;
    return cycles ? (double)n / (double)cycles * (host_seconds() - start_seconds) : 0;
}
