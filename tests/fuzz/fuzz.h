// fuzz.h — what a campaign is, and the main() that all of them share.
//
// A campaign is a numbered sequence of items. Item i depends on i and the seed alone, so any item can be run again
// (--seed S --from I --items 1), shards take every n-th one, and a run goes on where the last one stopped. Finite
// campaigns are walked in a scattered order, so that a short run is a sample of the whole.
//
//   NAME [--seed N] [--shard K/N] [--from I] [--items N] [--seconds S] [--repro FOLDER] [--at FILE] [--corpus FOLDER]
//        [--without O2]
//
// --without O2 leaves the policy out, so that a test can see what execution alone notices.
//
// Standard output, a line each: "progress next=I tried=… accepted=… executed=… faults=…" twice a second, "violation
// ORACLE item=I file=F WHAT", and at the end "done complete=0|1 next=I …". FILE holds the item that is running (eight
// bytes), for when the process dies. Exit status 1 after violations.
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H
#include "sfi-jit/verify/verify.h"

struct fuzz_campaign {
    const char *name;
    uint64_t items; // 0: no end
    bool in_order;
    void (*setup)(void);
    void (*item)(uint64_t i);
};

struct fuzz_counts {
    uint64_t tried, accepted, executed, faults;
};
extern struct fuzz_counts fuzz_counts;
extern const char *fuzz_corpus; // --corpus, or NULL
extern bool fuzz_without_policy;

int fuzz_main(int argc, char **argv, const struct fuzz_campaign *campaign);

uint64_t fuzz_seed(void);
// Random numbers: a function of the seed and the item.
uint64_t fuzz_noise(void);
static inline uint32_t fuzz_below(uint32_t n) { return (uint32_t)(fuzz_noise() >> 33) % n; }
static inline bool fuzz_one_in(uint32_t n) { return fuzz_below(n) == 0; }

// An oracle ("O1" …) has fired. Writes a reproducer: the bytes as text, and the block as sfi-verify reads it, if there is
// one. The process ends after a few of them.
void fuzz_violation(const char *oracle, const uint8_t *bytes, unsigned n, const struct sfi_code *code,
                    const char *format, ...) __attribute__((format(printf, 5, 6)));
// For campaigns whose single items run long: is the time up?
bool fuzz_time_is_up(void);
#endif
