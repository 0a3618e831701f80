// speed.c — how fast sfi_verify() is on blocks made to be hard for it, and how much longer it takes for twice as much.
//
//   build/fuzz/speed FILE [MIB]      writes the figures to FILE as JSON, and prints them; blocks from 1 MiB up to MIB (64, the most)
//
// Figures, no test. A ratio is the median of several, each of one run of a block between two of one half as large, in CPU time: a busy
// machine disturbs a run or two of them. The goal is 2.1 for each shape at each size. Memory is mapped in large pages, as the kernel's heap
// and its arena are; otherwise what grows with the block is the time that the CPU takes to translate addresses.
#include "sfi-jit/sfi.h"
#include "sfi-jit/verify/verify.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { ROUNDS = 7, PARTS = 6, SIG = 1 << 12, TABLE_ENTRIES = 16, LARGE_PAGE = 2 << 20 };

static uint32_t noise = 1;
static uint32_t any(uint32_t n) {
    noise ^= noise << 13, noise ^= noise >> 17, noise ^= noise << 5;
    return noise % n;
}

static void put32(uint8_t *p, uint32_t v) { memcpy(p, &v, 4); }

struct big {
    struct sfi_code code;
    uint8_t *bytes;
    uint32_t *thunk_sig;
    struct sfi_func *func;
    struct sfi_label *label;
    struct sfi_jump_table *table;
    struct sfi_place *place;
    struct {
        void *p;
        size_t size;
    } part[PARTS];
    unsigned parts;
};

static void *take(struct big *b, size_t size) {
    size = (size + LARGE_PAGE) & -(size_t)LARGE_PAGE;
    uint8_t *p =
        mmap(NULL, size + LARGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) perror("speed"), exit(1);
    b->part[b->parts].p = p;
    b->part[b->parts++].size = size + LARGE_PAGE;
    p += -(uintptr_t)p & (LARGE_PAGE - 1);
    madvise(p, size, MADV_HUGEPAGE);
    return p;
}

// CC: thunks, functions of `each` bundles, data.
static void make(struct big *b, uint32_t bundles, uint32_t thunks, uint32_t each, uint32_t data) {
    uint32_t funcs = each ? (bundles - thunks - data) / each : 1;
    *b = (struct big){.parts = 0};
    b->code.size = bundles * SFI_BUNDLE;
    b->code.data = b->code.pool = (bundles - data) * SFI_BUNDLE;
    b->code.bytes = b->bytes = take(b, b->code.size);
    b->code.thunk_sigs = b->thunk_sig = take(b, thunks * sizeof *b->thunk_sig);
    b->code.func = b->func = take(b, funcs * sizeof *b->func);
    b->code.jump_table = b->table = take(b, data * sizeof *b->table);
    b->place = take(b, bundles * sizeof *b->place);
    memset(b->bytes, 0xcc, b->code.size);
    b->code.thunks = thunks;
    b->code.funcs = funcs;
    uint32_t size = each ? each * SFI_BUNDLE : b->code.data - thunks * SFI_BUNDLE;
    for (uint32_t i = 0; i < funcs; i++)
        b->func[i] = (struct sfi_func){thunks * SFI_THUNK_SIZE + i * size, size, 0, SIG};
}

// `n` labels in each bundle of the function but the first, `step` bytes apart; one in the last.
static void label(struct big *b, uint32_t n, uint32_t step) {
    uint32_t first = b->func->start / SFI_BUNDLE + 1, end = b->code.data / SFI_BUNDLE;
    b->code.label = b->label = take(b, (end - first) * n * sizeof *b->label);
    for (uint32_t i = first; i < end; i++)
        for (uint32_t k = 0; k < n; k++)
            b->label[b->code.labels++].offset = i * SFI_BUNDLE + k * step;
    b->code.labels -= n - 1;
}

static uint8_t *bundle(struct big *b, uint32_t i) { return b->bytes + (size_t)SFI_BUNDLE * i; }

// The same bytes from the first function to the last bundle but one, then ud2.
static void fill(struct big *b, const void *text, uint32_t size) {
    uint32_t end = b->code.data - SFI_BUNDLE;
    for (uint32_t at = b->func->start; at < end; at += SFI_BUNDLE)
        memcpy(b->bytes + at, text, size);
    memcpy(b->bytes + end, "\x0f\x0b", 2);
}

// A rel32 at `at`.
static void aim(struct big *b, uint32_t at, uint32_t target) {
    put32(b->bytes + at, target - at - 4);
}
static uint32_t any_label(struct big *b) { return b->label[any(b->code.labels)].offset; }

static void short_instructions(struct big *b, uint32_t bundles) {
    make(b, bundles, 0, 0, 0);
    fill(b,
         "\x89\xc8\x89\xc8\x89\xc8\x89\xc8\x89\xc8\x89\xc8\x89\xc8\x89\xc8"
         "\x89\xc8\x89\xc8\x89\xc8\x89\xc8\x89\xc8\x89\xc8\x89\xc8\x89\xc8",
         32);
}

static void accesses(struct big *b, uint32_t bundles) {
    make(b, bundles, 0, 0, 0);
    fill(b,
         "\x89\xc8\x41\x8b\x4c\x07\x10\x41\x89\x4c\x07\x14\x01\xc8\x0f\xb6"
         "\xc9\x41\x03\x44\x07\x18\x83\xc0\x04\x66\x90\x66\x90\x89\xc8\x90",
         32);
}

static void labels_everywhere(struct big *b, uint32_t bundles) {
    make(b, bundles, 0, 0, 0);
    label(b, 8, 4);
    fill(b,
         "\x0f\x1f\x40\x00\x0f\x1f\x40\x00\x0f\x1f\x40\x00\x0f\x1f\x40\x00"
         "\x0f\x1f\x40\x00\x0f\x1f\x40\x00\x0f\x1f\x40\x00\x0f\x1f\x40\x00",
         32);
}

// Sixteen, from 30 to 0 bytes before their label.
static void near_branches(struct big *b, uint32_t bundles) {
    make(b, bundles, 0, 0, 0);
    label(b, 1, 0);
    fill(b,
         "\x74\x1e\x75\x1c\x74\x1a\x75\x18\x74\x16\x75\x14\x74\x12\x75\x10"
         "\x74\x0e\x75\x0c\x74\x0a\x75\x08\x74\x06\x75\x04\x74\x02\x75\x00",
         32);
}

static void far_branches(struct big *b, uint32_t bundles) {
    make(b, bundles, 0, 0, 0);
    label(b, 1, 0);
    fill(b, "\x0f\x84....\x0f\x85....\x0f\x84....\x0f\x85....\x0f\x84....\x66\x90", 32);
    for (uint32_t at = 0; at < b->code.size - SFI_BUNDLE; at += SFI_BUNDLE)
        for (uint32_t k = 0; k < 5; k++) aim(b, at + 6 * k + 2, any_label(b));
}

// To labels that are mostly not the first ones of their bundles.
static void far_jumps(struct big *b, uint32_t bundles) {
    make(b, bundles, 0, 0, 0);
    label(b, 6, 5);
    fill(b, "\xeb\x1e", 2);
    for (uint32_t i = 0; i < b->code.labels - 1; i++) {
        uint32_t at = b->label[i].offset;
        b->bytes[at] = 0xe9;
        aim(b, at + 1, any_label(b));
    }
}

static void calls(struct big *b, uint32_t bundles) {
    make(b, bundles, 0, 1, 0);
    for (uint32_t i = 0; i < bundles; i++) {
        memcpy(bundle(b, i), "\x48\x83\xec\x08\xe8....\xe8....\xe8....\xe8....\x48\x83\xc4\x08\xc3",
               29);
        b->func[i].frame = 8;
        for (uint32_t k = 0; k < 4; k++)
            aim(b, i * SFI_BUNDLE + 5 + 5 * k, b->func[any(bundles)].start);
    }
}

static void calls_of_thunks(struct big *b, uint32_t bundles) {
    make(b, bundles, bundles / 2, 0, 0);
    fill(b, "\xe8....\xe8....\xe8....\xe8....\xe8....\xe8....\x66\x90", 32);
    for (uint32_t at = b->func->start; at < b->code.size - SFI_BUNDLE; at += SFI_BUNDLE)
        for (uint32_t k = 0; k < 6; k++)
            aim(b, at + 5 * k + 1, any(b->code.thunks) * SFI_THUNK_SIZE);
}

// Each in a function of its own.
static void tail_calls(struct big *b, uint32_t bundles) {
    make(b, bundles, 0, 1, 0);
    for (uint32_t i = 0; i < bundles; i++) {
        *bundle(b, i) = 0xe9;
        aim(b, i * SFI_BUNDLE + 1, b->func[any(bundles)].start);
    }
}

static void use_table(struct big *b, uint32_t at, uint32_t table, uint32_t entries) {
    static const uint8_t text[30] = {0x41, 0xbb, 0,    0,    0,    0,    0x44, 0x39, 0xd8, 0x41,
                                     0x0f, 0x47, 0xc3, 0x4c, 0x8d, 0x1d, 0,    0,    0,    0,
                                     0x49, 0x63, 0x04, 0x83, 0x4c, 0x01, 0xd8, 0xff, 0xe0, 0xcc};
    memcpy(b->bytes + at, text, sizeof text);
    put32(b->bytes + at + 2, entries - 1);
    aim(b, at + 16, table);
    b->table[b->code.jump_tables++] = (struct sfi_jump_table){table, entries};
    for (uint32_t k = 0; k < entries; k++) put32(b->bytes + table + 4 * k, any_label(b) - table);
}

static void small_tables(struct big *b, uint32_t bundles) {
    uint32_t n = bundles / 3 - 1; // each has two bundles of entries
    make(b, bundles, 0, 0, 2 * n);
    label(b, 1, 0);
    fill(b, "\x0f\x0b", 2);
    for (uint32_t i = 0; i < n; i++)
        use_table(b, i * SFI_BUNDLE, b->code.data + 4 * TABLE_ENTRIES * i, TABLE_ENTRIES);
}

static void huge_table(struct big *b, uint32_t bundles) {
    make(b, bundles, 0, 0, bundles / 2);
    label(b, 1, 0);
    fill(b, "\xeb\x1e", 2);
    use_table(b, 0, b->code.data, (b->code.size - b->code.data) / 4);
}

static const struct {
    const char *name;
    void (*make)(struct big *b, uint32_t bundles);
} shapes[] = {
    {"short instructions", short_instructions},
    {"memory accesses", accesses},
    {"eight labels in each bundle", labels_everywhere},
    {"sixteen near branches in each bundle", near_branches},
    {"five far branches in each bundle", far_branches},
    {"six far jumps between any of six labels", far_jumps},
    {"a function in each bundle, with four calls", calls},
    {"six calls of any thunk in each bundle", calls_of_thunks},
    {"a function in each bundle, a tail call", tail_calls},
    {"a jump table for each bundle of code", small_tables},
    {"one huge jump table", huge_table},
};

static double seconds_of(const struct big *b, const char *name) {
    struct timespec from, to;
    struct sfi_rejection why;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    enum sfi_status status = sfi_verify(&b->code, b->place, &why);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    if (status != SFI_ACCEPTED) {
        fprintf(stderr, "%s: %s at +0x%x\n", name, sfi_rule_name(why.rule), why.offset);
        exit(1);
    }
    return (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) * 1e-9;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// Of shape i: how many times as long `twice` as many bytes take. Also how fast that is, at best.
static double ratio_of(unsigned i, uint32_t twice, double *out_rate) {
    struct big half, whole;
    double ratio[ROUNDS], least = 1e18;
    shapes[i].make(&half, twice / 2 / SFI_BUNDLE);
    shapes[i].make(&whole, twice / SFI_BUNDLE);
    seconds_of(&half, shapes[i].name); // touches the memory
    seconds_of(&whole, shapes[i].name);
    for (unsigned round = 0; round < ROUNDS; round++) {
        double before = seconds_of(&half, shapes[i].name);
        double time = seconds_of(&whole, shapes[i].name);
        ratio[round] = 2 * time / (before + seconds_of(&half, shapes[i].name));
        if (time < least) least = time;
    }
    for (unsigned k = 0; k < PARTS; k++) {
        if (k < half.parts) munmap(half.part[k].p, half.part[k].size);
        if (k < whole.parts) munmap(whole.part[k].p, whole.part[k].size);
    }
    qsort(ratio, ROUNDS, sizeof *ratio, by_value);
    *out_rate = twice / least / 1e6;
    return ratio[ROUNDS / 2];
}

int main(int argc, char **argv) {
    uint32_t most = (argc > 2 ? (uint32_t)atoi(argv[2]) : 64) << 20;
    FILE *file = argc > 1 ? fopen(argv[1], "w") : NULL;
    double worst = 0, slowest = 1e18;
    if (!file || most < 2 << 20 || most > SFI_CODE_MAX)
        return fprintf(stderr, "usage: speed FILE [MIB]\n"), 2;
    fprintf(file, "[");
    for (unsigned i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        double rate = 0;
        fprintf(file, "%s{\"shape\": \"%s\", \"ratios\": [", i ? ",\n " : "", shapes[i].name);
        printf("%-44s", shapes[i].name);
        for (uint32_t size = 2 << 20; size <= most; size *= 2) {
            double ratio = ratio_of(i, size, &rate);
            fprintf(file, "%s%.3f", size > 2 << 20 ? ", " : "", ratio);
            printf(" %5.2f", ratio);
            fflush(stdout);
            if (ratio > worst) worst = ratio;
        }
        fprintf(file, "], \"mb_s\": %.0f}", rate);
        printf(" %6.0f MB/s\n", rate);
        if (rate < slowest) slowest = rate;
    }
    fprintf(file, "]\n");
    fclose(file);
    printf("at least %.0f MB/s; twice as much takes at most %.2f times as long\n", slowest, worst);
    return 0;
}
