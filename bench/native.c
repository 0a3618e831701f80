// native.c — times one kernel built for this machine, by clang or by wasm2c and clang: native N CALLS [--profile FILE]
//
// Prints one line of JSON as run.c does: the checksum, and the CPU time of each call in nanoseconds, the first call not being counted.
// Compiled with -DWASM2C="file.h" it calls what wasm2c made of the module named "kernel" instead.
#include "bench/profile.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#ifdef WASM2C
#include WASM2C

static Z_kernel_instance_t instance;
static void set_up(void) {
    wasm_rt_init();
    Z_kernel_init_module();
    Z_kernel_instantiate(&instance);
}
static uint64_t call(uint32_t n) { return Z_kernelZ_kernel(&instance, n); }
#else
uint64_t kernel(uint32_t n);
static void set_up(void) {}
static uint64_t call(uint32_t n) { return kernel(n); }
#endif

extern char __executable_start[], etext[]; // the linker's: offsets are those that objdump shows

static uint64_t cpu_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int main(int argc, char **argv) {
    if (argc != 3 && !(argc == 5 && !strcmp(argv[3], "--profile"))) {
        fprintf(stderr, "usage: native N CALLS [--profile FILE]\n");
        return 2;
    }
    uint32_t n = (uint32_t)strtoul(argv[1], NULL, 0);
    unsigned long calls = strtoul(argv[2], NULL, 0);
    uint64_t start = (uint64_t)__executable_start, sum = 0;
    set_up();
    printf("{\"ns\": [");
    if (argc == 5) profile_start(start, (uint64_t)etext - start);
    for (unsigned long i = 0; i <= calls; i++) {
        uint64_t before = cpu_ns(), result = call(n), ns = cpu_ns() - before;
        if (i && result != sum) {
            fprintf(stderr, "native: two calls, two results: %016" PRIx64 ", %016" PRIx64 "\n", sum,
                    result);
            return 1;
        }
        sum = result;
        if (i) printf("%s%" PRIu64, i > 1 ? ", " : "", ns);
    }
    printf("], \"checksum\": \"%016" PRIx64 "\"}\n", sum);
    if (argc == 5 && !profile_stop(argv[4])) {
        perror(argv[4]);
        return 1;
    }
    return fflush(stdout) != 0;
}
