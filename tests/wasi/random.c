// random.c — random bytes, more than one kernel call gives at once.
#include "check.h"
#include <unistd.h>

static uint8_t a[10000], b[10000];

int main(void) {
    unsigned seen[256] = {0}, values = 0;
    SAME(__wasi_random_get(a, sizeof a), 0);
    SAME(__wasi_random_get(b, sizeof b), 0);
    TRUE(memcmp(a, b, sizeof a));
    TRUE(memcmp(a + 9000, a + 100, 1000));
    for (unsigned i = 0; i < sizeof a; i++) seen[a[i]]++;
    for (unsigned i = 0; i < 256; i++) values += seen[i] > 0;
    TRUE(values > 250);
    SAME(__wasi_random_get(a, 0), 0);
    SAME(__wasi_random_get(BAD, 100), __WASI_ERRNO_FAULT);
    SAME(getentropy(a, 256), 0);
    CHECK_END();
}
