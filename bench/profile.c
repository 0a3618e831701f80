// profile.c — see profile.h.
#include "bench/profile.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <ucontext.h>

#define MOST (1u << 20)
static uint32_t *count;
static uint64_t first, length;
static uint32_t outside;

static void tick(int signal, siginfo_t *info, void *context) {
    const ucontext_t *c = context;
    uint64_t offset = (uint64_t)c->uc_mcontext.gregs[REG_RIP] - first;
    (void)signal;
    (void)info;
    if (offset < length)
        count[offset]++;
    else
        outside++;
}

void profile_start(uint64_t base, uint64_t size) {
    struct sigaction action = {.sa_sigaction = tick, .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK};
    struct itimerval every = {{0, 1000}, {0, 1000}};
    first = base;
    length = size < MOST ? size : MOST;
    count = calloc(MOST, sizeof *count);
    if (!count) abort();
    sigaction(SIGPROF, &action, NULL);
    setitimer(ITIMER_PROF, &every, NULL);
}

bool profile_stop(const char *path) {
    struct itimerval never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_PROF, &never, NULL);
    FILE *f = fopen(path, "w");
    if (!f) return false;
    for (uint32_t i = 0; i < length; i++)
        if (count[i]) fprintf(f, "%x %u\n", i, count[i]);
    fprintf(f, "outside %u\n", outside);
    free(count);
    return !fclose(f);
}
