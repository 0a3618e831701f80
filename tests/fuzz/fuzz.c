// fuzz.c — see fuzz.h.
#include "tests/fuzz/fuzz.h"
#include "sfi-jit/host/codefile.h"
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { MANY_VIOLATIONS = 8 };

struct fuzz_counts fuzz_counts;
const char *fuzz_corpus;
bool fuzz_without_policy;

static const struct fuzz_campaign *campaign;
static const char *repro_folder;
static uint64_t seed = 1, noise_state, from, items = UINT64_MAX, current;
static unsigned shard, shards = 1, violations;
static double seconds = 1e18, started, reported;
static uint64_t *at; // the mapped file

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static uint64_t scramble(uint64_t x) { // splitmix64
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

uint64_t fuzz_noise(void) {
    noise_state ^= noise_state << 13;
    noise_state ^= noise_state >> 7;
    noise_state ^= noise_state << 17;
    return noise_state * 0x2545f4914f6cdd1du;
}

uint64_t fuzz_seed(void) { return seed; }

bool fuzz_time_is_up(void) { return now() - started > seconds; }

static void print_counts(const char *what, uint64_t next, const char *more) {
    printf("%s next=%llu tried=%llu accepted=%llu executed=%llu faults=%llu%s\n", what,
           (unsigned long long)next, (unsigned long long)fuzz_counts.tried,
           (unsigned long long)fuzz_counts.accepted, (unsigned long long)fuzz_counts.executed,
           (unsigned long long)fuzz_counts.faults, more);
    fflush(stdout);
}

static _Noreturn void finish(uint64_t next, bool complete) {
    print_counts("done", next, complete ? " complete=1" : " complete=0");
    _exit(violations ? 1 : 0);
}

void fuzz_violation(const char *oracle, const uint8_t *bytes, unsigned n,
                    const struct sfi_code *code, const char *format, ...) {
    char path[512] = "-", what[256];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    if (repro_folder) {
        snprintf(path, sizeof path, "%s/%s-%llu-%llu", repro_folder, campaign->name,
                 (unsigned long long)seed, (unsigned long long)current);
        FILE *file = fopen(path, "w");
        if (file) {
            fprintf(file, "# %s: %s\n# %s --seed %llu --from %llu --items 1\n", oracle, what,
                    campaign->name, (unsigned long long)seed, (unsigned long long)current);
            for (unsigned i = 0; i < n; i++) fprintf(file, "%02x ", bytes[i]);
            fprintf(file, "\n");
            fclose(file);
        }
        if (code) {
            char saved[520];
            snprintf(saved, sizeof saved, "%s.code", path);
            codefile_save(saved, code);
        }
    }
    printf("violation %s item=%llu file=%s %s:", oracle, (unsigned long long)current, path, what);
    for (unsigned i = 0; i < n && i < 48; i++) printf(" %02x", bytes[i]);
    printf("\n");
    fflush(stdout);
    if (++violations >= MANY_VIOLATIONS) finish(current, false);
}

static const char *value(int argc, char **argv, int *i) {
    if (++*i == argc) {
        fprintf(stderr, "%s: %s wants a value\n", argv[0], argv[*i - 1]);
        exit(2);
    }
    return argv[*i];
}

static void read_options(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        const char *option = argv[i], *v = value(argc, argv, &i);
        if (!strcmp(option, "--seed"))
            seed = strtoull(v, NULL, 0);
        else if (!strcmp(option, "--from"))
            from = strtoull(v, NULL, 0);
        else if (!strcmp(option, "--items"))
            items = strtoull(v, NULL, 0);
        else if (!strcmp(option, "--seconds"))
            seconds = strtod(v, NULL);
        else if (!strcmp(option, "--repro"))
            repro_folder = v;
        else if (!strcmp(option, "--corpus"))
            fuzz_corpus = v;
        else if (!strcmp(option, "--without"))
            fuzz_without_policy = !strcmp(v, "O2");
        else if (!strcmp(option, "--shard") && sscanf(v, "%u/%u", &shard, &shards) == 2 && shard < shards)
            continue;
        else if (!strcmp(option, "--at")) {
            int fd = open(v, O_RDWR | O_CREAT, 0644);
            if (fd < 0 || ftruncate(fd, 8)) continue;
            at = mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
            close(fd);
        } else {
            fprintf(stderr, "%s: what is %s %s?\n", argv[0], option, v);
            exit(2);
        }
    }
}

int fuzz_main(int argc, char **argv, const struct fuzz_campaign *c) {
    static const uint64_t stride = 2654435761u; // prime, and larger than any campaign is long
    campaign = c;
    read_options(argc, argv);
    if (c->setup) c->setup();
    started = reported = now();
    uint64_t next = from, end = c->items;
    if (items < UINT64_MAX - from && (!end || from + items < end)) end = from + items;
    for (; !end || next < end; next++) {
        if (next % shards != shard) continue;
        if (now() - reported > 0.5) {
            reported = now();
            print_counts("progress", next, "");
            if (fuzz_time_is_up()) finish(next, false);
        }
        current = next;
        if (at) *at = next;
        uint64_t i = c->items && !c->in_order ? next % c->items * stride % c->items : next;
        noise_state = scramble(seed * 0xd1342543de82ef95u + i) | 1;
        c->item(i);
    }
    finish(next, true);
}
