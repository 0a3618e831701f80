// random_denied.c — without the grant there are no random bytes, and no made-up ones.
// no-entropy: yes
#include "check.h"

int main(void) {
    uint8_t a[16] = {0}, zero[16] = {0};
    SAME(__wasi_random_get(a, sizeof a), __WASI_ERRNO_NOTCAPABLE);
    TRUE(!memcmp(a, zero, sizeof a));
    CHECK_END();
}
