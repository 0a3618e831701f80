// crossings.c — what it costs to call: inside a module, between two, into the host; and how Linux processes do it. One line of JSON with
// time-stamp counts a call, each a list of one number a round: the loop's cost without the call is subtracted.
//
//   crossings CALLER.wasm CALLEE.wasm ROUNDS
//
// sandboxed and native are bench/apps/caller and callee as modules and as twins (whose call between domains is one through a pointer). Linux: a system
// call that does nothing; one byte to and fro through two pipes, and a word handed over by futex, between two processes on one CPU,
// so that each way is one switch of address spaces.
#include "bench/rig/rig.h"
#include "sfi-jit/host/host.h"
#include <linux/futex.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHANNEL 4096u
#define CALLS 50000u
#define TRIES 4
#define TRIPS 2000u
#define ROUNDS_MAX 101

extern const struct rig_twin twin_caller, twin_callee;

static bool idle(struct rig_device *d) {
    (void)d;
    return false;
}
static struct rig_device device = {.name = "none", .pump = idle};

// The fastest of some tries, so that what else the machine does is left out.
static double loop(struct rig_domain *d, const char *name, uint32_t n) {
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < TRIES; i++) {
        uint64_t before = rig_tsc();
        rig_call(d, name, n);
        uint64_t cycles = rig_tsc() - before;
        if (cycles < least) least = cycles;
    }
    return (double)least / n;
}

// C into a domain and back, as the kernel delivers an event.
static double enter(struct rig_domain *d) {
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < TRIES; i++) {
        uint64_t before = rig_tsc();
        for (unsigned k = 0; k < CALLS; k++) rig_enter(d, &d->event, 0);
        uint64_t cycles = rig_tsc() - before;
        if (cycles < least) least = cycles;
    }
    return (double)least / CALLS;
}

static void print(const char *name, const double *value, int rounds, bool last) {
    printf("\"%s\": [", name);
    for (int i = 0; i < rounds; i++) printf("%s%.2f", i ? ", " : "", value[i]);
    printf("]%s", last ? "}\n" : ", ");
}

static void calls(struct rig_stack *s, const char *side, int rounds) {
    static const char *const names[] = {"local",  "call",  "indirect", "null",
                                        "buffer", "touch", "kernel"};
    enum { NAMES = sizeof names / sizeof *names };
    static double value[NAMES][ROUNDS_MAX], entering[ROUNDS_MAX];
    char text[40];
    for (int r = -1; r < rounds; r++) { // the first is to warm up
        double nothing = loop(s->app, "loop_nothing", CALLS);
        for (int i = 0; i < NAMES; i++) {
            snprintf(text, sizeof text, "loop_%s", names[i]);
            double cost = loop(s->app, text, CALLS) - nothing;
            if (r >= 0) value[i][r] = cost > 0 ? cost : 0;
        }
        if (r >= 0) entering[r] = enter(s->port[0].driver);
    }
    snprintf(text, sizeof text, "%s.enter", side);
    print(text, entering, rounds, false);
    for (int i = 0; i < NAMES; i++) {
        snprintf(text, sizeof text, "%s.%s", side, names[i]);
        print(text, value[i], rounds, false);
    }
}

static double system_call(void) {
    uint64_t before = rig_tsc();
    for (unsigned i = 0; i < CALLS; i++) syscall(SYS_getppid);
    return (double)(rig_tsc() - before) / CALLS;
}

static void fail_if(bool bad, const char *what) {
    if (bad) rig_fail("%s failed", what);
}

static void echo(int from, int to, unsigned n) {
    char byte;
    while (n-- && read(from, &byte, 1) == 1 && write(to, &byte, 1) == 1)
        ;
}

static double pipes(void) {
    int there[2], back[2];
    char byte = 1;
    fail_if(pipe(there) || pipe(back), "pipe");
    pid_t child = fork();
    fail_if(child < 0, "fork");
    if (!child) {
        echo(there[0], back[1], TRIPS);
        _exit(0);
    }
    uint64_t before = rig_tsc();
    for (unsigned i = 0; i < TRIPS; i++)
        fail_if(write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1, "pipe");
    uint64_t cycles = rig_tsc() - before;
    waitpid(child, NULL, 0);
    close(there[0]), close(there[1]), close(back[0]), close(back[1]);
    return (double)cycles / TRIPS;
}

static void hand_over(uint32_t *turn, uint32_t mine) {
    uint32_t now;
    while ((now = __atomic_load_n(turn, __ATOMIC_ACQUIRE)) != mine)
        syscall(SYS_futex, turn, FUTEX_WAIT, now, NULL, NULL, 0);
    __atomic_store_n(turn, !mine, __ATOMIC_RELEASE);
    syscall(SYS_futex, turn, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static double futexes(void) {
    uint32_t *turn = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    fail_if(turn == MAP_FAILED, "mmap");
    pid_t child = fork();
    fail_if(child < 0, "fork");
    for (unsigned i = 0; !child && i < TRIPS; i++) hand_over(turn, 1);
    if (!child) _exit(0);
    uint64_t before = rig_tsc();
    for (unsigned i = 0; i < TRIPS; i++) hand_over(turn, 0);
    waitpid(child, NULL, 0); // it answers the last one
    uint64_t cycles = rig_tsc() - before;
    munmap(turn, 4096);
    return (double)cycles / TRIPS;
}

int main(int argc, char **argv) {
    static double value[3][ROUNDS_MAX];
    int rounds = argc == 4 ? atoi(argv[3]) : 0;
    if (rounds < 1 || rounds > ROUNDS_MAX) {
        fprintf(stderr, "usage: crossings CALLER.wasm CALLEE.wasm ROUNDS\n");
        return 2;
    }
    host_init("crossings");
    rig_space_init();
    struct rig_device *const devices[RIG_PORTS] = {&device};
    const struct rig_twin *const callees[RIG_PORTS] = {&twin_callee};
    struct rig_stack *s = rig_stack_sandboxed(argv[1], argv[2], devices, CHANNEL, false);
    struct rig_stack *n = rig_stack_native(&twin_caller, callees, devices, CHANNEL);
    rig_stack_start(s);
    rig_stack_start(n);
    rig_stack_run(s, "");
    rig_stack_run(n, "");
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET((size_t)sched_getcpu(), &one);
    fail_if(sched_setaffinity(0, sizeof one, &one), "sched_setaffinity");
    printf("{");
    calls(s, "sandboxed", rounds);
    calls(n, "native", rounds);
    for (int r = 0; r < rounds; r++) {
        value[0][r] = system_call();
        value[1][r] = pipes();
        value[2][r] = futexes();
    }
    print("linux.syscall", value[0], rounds, false);
    print("linux.pipe", value[1], rounds, false);
    print("linux.futex", value[2], rounds, true);
    return fflush(stdout) != 0;
}
