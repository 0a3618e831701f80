// speed.c — how fast sfi_verify() is on blocks made to be hard for it, and how much longer it takes for twice as much.
//
//   build/fuzz/speed FILE [KIB]      writes the figures to FILE as JSON, and prints them; blocks of KIB (1024) and of twice that
//
// Figures, no test: times are the least of several tries, the two sizes taking turns, so that a busy machine disturbs little.
// Each instruction is decoded once, whatever comes before and behind it; a branch, a call or a table's entry looks its target up
// in a sorted array, in a number of steps that grows with the array's logarithm, and in arrays beyond the caches. So targets at random in
// one huge function take somewhat more than twice as long for twice as much; what compilers make looks nearby.
#include "sfi-jit/sfi.h"
#include "sfi-jit/verify/verify.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TRIES = 9, TABLE_ENTRIES = 16, SIG = 1 << 12 };

static uint32_t noise = 1;
static uint32_t any(uint32_t n) {
    noise ^= noise << 13, noise ^= noise >> 17, noise ^= noise << 5;
    return noise % n;
}

static void put32(uint8_t *p, uint32_t v) { memcpy(p, &v, 4); }

// A block of `bundles` bundles, one function; every bundle begins with a label, if there are labels.
struct big {
    struct sfi_code code;
    uint8_t *bytes;
    struct sfi_func *func;
    struct sfi_label *label;
    struct sfi_jump_table *table;
};

static struct big make(uint32_t bundles, uint32_t funcs, bool labels, uint32_t tables) {
    uint32_t size = bundles * SFI_BUNDLE, more = tables * TABLE_ENTRIES * 4;
    struct big b = {.bytes = aligned_alloc(64, size + more),
                    .func = calloc(funcs, sizeof *b.func),
                    .label = calloc(bundles, sizeof *b.label),
                    .table = calloc(tables + 1, sizeof *b.table)};
    memset(b.bytes, 0xcc, size + more);
    for (uint32_t i = 0; i < funcs; i++)
        b.func[i] = (struct sfi_func){size / funcs * i, size / funcs, 0, SIG};
    for (uint32_t i = 1; labels && i < bundles; i++) b.label[i - 1].offset = SFI_BUNDLE * i;
    b.code = (struct sfi_code){.bytes = b.bytes,
                               .size = size + more,
                               .funcs = funcs,
                               .labels = labels ? bundles - 1 : 0,
                               .jump_tables = tables,
                               .func = b.func,
                               .label = b.label,
                               .jump_table = b.table,
                               .pool = size,
                               .data = size};
    return b;
}

static uint8_t *bundle(struct big *b, uint32_t i) { return b->bytes + (size_t)SFI_BUNDLE * i; }

static void end(struct big *b, uint32_t bundles) {
    memset(bundle(b, bundles - 1), 0xcc, SFI_BUNDLE);
    memcpy(bundle(b, bundles - 1), "\x0f\x0b", 2);
}

static struct big short_instructions(uint32_t bundles) {
    struct big b = make(bundles, 1, false, 0);
    for (uint32_t i = 0; i < bundles; i++)
        for (uint32_t k = 0; k < SFI_BUNDLE; k += 2) memcpy(bundle(&b, i) + k, "\x89\xc8", 2);
    end(&b, bundles);
    return b;
}

static struct big accesses(uint32_t bundles) {
    static const uint8_t text[] = {0x89, 0xc8, 0x41, 0x8b, 0x4c, 0x07, 0x10, 0x41, 0x89, 0x4c, 0x07,
                                   0x14, 0x01, 0xc8, 0x0f, 0xb6, 0xc9, 0x41, 0x03, 0x44, 0x07, 0x18,
                                   0x83, 0xc0, 0x04, 0x66, 0x90, 0x66, 0x90, 0x89, 0xc8, 0x90};
    struct big b = make(bundles, 1, false, 0);
    for (uint32_t i = 0; i < bundles; i++) memcpy(bundle(&b, i), text, SFI_BUNDLE);
    end(&b, bundles);
    return b;
}

static struct big labels_everywhere(uint32_t bundles) {
    struct big b = make(bundles, 1, true, 0);
    for (uint32_t i = 0; i < bundles; i++) memcpy(bundle(&b, i), "\xeb\x1e", 2);
    end(&b, bundles);
    return b;
}

static struct big branches_anywhere(uint32_t bundles) {
    struct big b = make(bundles, 1, true, 0);
    for (uint32_t i = 0; i < bundles; i++) {
        uint8_t *p = bundle(&b, i);
        for (uint32_t k = 0; k < 5; k++, p += 6) {
            uint32_t at = (uint32_t)(p - b.bytes) + 6;
            memcpy(p, "\x0f\x84", 2);
            put32(p + 2, b.label[any(bundles - 1)].offset - at);
        }
        memcpy(p, "\x66\x90", 2);
    }
    end(&b, bundles);
    return b;
}

static struct big calls_of_anything(uint32_t bundles) {
    struct big b = make(bundles, bundles, false, 0);
    for (uint32_t i = 0; i < bundles; i++) {
        uint8_t *p = bundle(&b, i);
        b.func[i].frame = 8;
        memcpy(p, "\x48\x83\xec\x08\xe8", 5);
        put32(p + 5, b.func[any(bundles)].start - (b.func[i].start + 9));
        memcpy(p + 9, "\x48\x83\xc4\x08\xc3", 5);
    }
    return b;
}

static struct big jump_tables(uint32_t bundles) {
    static const uint8_t text[30] = {0x41, 0xbb, 0,    0,    0,    0,    0x44, 0x39, 0xd8, 0x41,
                                     0x0f, 0x47, 0xc3, 0x4c, 0x8d, 0x1d, 0,    0,    0,    0,
                                     0x49, 0x63, 0x04, 0x83, 0x4c, 0x01, 0xd8, 0xff, 0xe0, 0xcc};
    uint32_t n = bundles / 3; // each has two bundles of table
    struct big b = make(n + 1, 1, true, n);
    for (uint32_t i = 0; i < n; i++) {
        uint8_t *p = bundle(&b, i);
        uint32_t at = b.code.data + 4 * TABLE_ENTRIES * i;
        memcpy(p, text, sizeof text);
        put32(p + 2, TABLE_ENTRIES - 1);
        put32(p + 16, at - ((uint32_t)(p - b.bytes) + 20));
        b.table[i] = (struct sfi_jump_table){at, TABLE_ENTRIES};
        for (uint32_t k = 0; k < TABLE_ENTRIES; k++)
            put32(b.bytes + at + 4 * k, b.label[any(n)].offset - at);
    }
    end(&b, n + 1);
    return b;
}

static const struct {
    const char *name;
    struct big (*make)(uint32_t bundles);
} shapes[] = {
    {"short instructions", short_instructions},
    {"memory accesses", accesses},
    {"a label in each bundle", labels_everywhere},
    {"five far branches in each bundle", branches_anywhere},
    {"a function in each bundle, which calls another", calls_of_anything},
    {"a jump table for each bundle", jump_tables},
};

static double seconds_of(const struct big *b, const char *name) {
    struct timespec from, to;
    struct sfi_rejection why;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    enum sfi_status status = sfi_verify(&b->code, &why);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    if (status != SFI_ACCEPTED) {
        fprintf(stderr, "%s: %s at +0x%x\n", name, sfi_rule_name(why.rule), why.offset);
        exit(1);
    }
    return (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) * 1e-9;
}

int main(int argc, char **argv) {
    uint32_t bundles = (argc > 2 ? (uint32_t)atoi(argv[2]) : 1024) * (1024 / SFI_BUNDLE);
    FILE *file = argc > 1 ? fopen(argv[1], "w") : NULL;
    double worst = 0, slowest = 1e18;
    if (!file) return fprintf(stderr, "usage: speed FILE [KIB]\n"), 2;
    fprintf(file, "[");
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct big b[2] = {shapes[i].make(bundles), shapes[i].make(2 * bundles)};
        double least[2] = {1e18, 1e18};
        for (unsigned try = 0; try < 2 * TRIES; try++) {
            double s = seconds_of(&b[try & 1], shapes[i].name);
            if (s < least[try & 1]) least[try & 1] = s;
        }
        double rate = b[1].code.size / least[1] / 1e6, ratio = least[1] / least[0];
        fprintf(file, "%s{\"shape\": \"%s\", \"bytes\": %u, \"mb_s\": %.0f, \"ratio\": %.3f}",
                i ? ",\n " : "", shapes[i].name, b[1].code.size, rate, ratio);
        printf("%-48s %6.0f MB/s, twice as much takes %.2f times as long\n", shapes[i].name, rate,
               ratio);
        if (ratio > worst) worst = ratio;
        if (rate < slowest) slowest = rate;
        for (unsigned k = 0; k < 2; k++)
            free(b[k].bytes), free(b[k].func), free(b[k].label), free(b[k].table);
    }
    fprintf(file, "]\n");
    fclose(file);
    printf("at least %.0f MB/s; twice as much takes at most %.2f times as long\n", slowest, worst);
    return 0;
}
