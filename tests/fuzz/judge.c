// judge.c — see judge.h.
#include "tests/fuzz/judge.h"
#include "sfi-jit/host/verify.h"
#include "tests/fuzz/exec.h"
#include "tests/fuzz/fuzz.h"
#include "tests/host/verify_policy.h"

bool judge_block(const struct sfi_code *code, unsigned run) {
    struct sfi_rejection why;
    uint32_t at;
    fuzz_counts.tried++;
    if (host_verify(code, &why) != SFI_ACCEPTED) return false;
    fuzz_counts.accepted++;
    const char *wrong = fuzz_without_policy ? NULL : vpolicy_block(code, &at);
    if (wrong) {
        fuzz_violation("O2", code->bytes + at, code->size - at, code, "%s at +0x%x", wrong, at);
        return true;
    }
    if (run) exec_load(code);
    for (uint32_t i = 0; i < code->funcs && i < run; i++) {
        enum exec_end end;
        wrong = exec_run(code, i, &end);
        if (!wrong) continue;
        fuzz_violation("O3", code->bytes + code->func[i].start, code->func[i].size, code,
                       "%s, in function %u", wrong, i);
        break;
    }
    return true;
}
