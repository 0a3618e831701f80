// blocks — random blocks (generator G5), three in ten with a flaw: what sfi_verify() accepts must satisfy the policy (O2),
// and each of its functions runs between guards and canaries (O3).
#include "tests/fuzz/block.h"
#include "tests/fuzz/exec.h"
#include "tests/fuzz/fuzz.h"
#include "tests/host/verify_policy.h"

enum { BLOCKS_AN_ITEM = 64 };

static void one(void) {
    static struct block b;
    struct sfi_rejection why;
    block_make(&b);
    if (fuzz_below(10) < 3) block_flaw(&b);
    fuzz_counts.tried++;
    if (sfi_verify(&b.code, &why) != SFI_ACCEPTED) return;
    fuzz_counts.accepted++;
    uint32_t at;
    const char *wrong = vpolicy_block(&b.code, &at);
    if (wrong) {
        fuzz_violation("O2", b.bytes + at, b.code.size - at, &b.code, "%s at +0x%x", wrong, at);
        return;
    }
    exec_load(&b.code);
    for (uint32_t i = 0; i < b.code.funcs; i++) {
        enum exec_end end;
        wrong = exec_run(&b.code, i, &end);
        if (!wrong) continue;
        fuzz_violation("O3", b.bytes + b.func[i].start, b.func[i].size, &b.code,
                       "%s, in function %u", wrong, i);
        return;
    }
}

static void item(uint64_t i) {
    (void)i;
    for (unsigned k = 0; k < BLOCKS_AN_ITEM; k++) one();
}

int main(int argc, char **argv) {
    static const struct fuzz_campaign campaign = {"blocks", 0, true, exec_setup, item};
    return fuzz_main(argc, argv, &campaign);
}
