// blocks — random blocks (generator G5), three in ten with a flaw: what sfi_verify() accepts must satisfy the policy (O2),
// and each of its functions runs between guards and canaries (O3).
#include "tests/fuzz/block.h"
#include "tests/fuzz/exec.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/judge.h"

enum { BLOCKS_AN_ITEM = 64 };

static void item(uint64_t i) {
    static struct block b;
    (void)i;
    for (unsigned k = 0; k < BLOCKS_AN_ITEM; k++) {
        block_make(&b);
        if (fuzz_below(10) < 3) block_flaw(&b);
        judge_block(&b.code, BLOCK_FUNCS);
    }
}

int main(int argc, char **argv) {
    static const struct fuzz_campaign campaign = {"blocks", 0, true, exec_setup, item};
    return fuzz_main(argc, argv, &campaign);
}
