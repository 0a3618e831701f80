// caller.c — loops around one kind of call each; the caller of an export divides its time by the number. Each loop has the
// same shape, so that `loop_nothing` is what to subtract.
#include "drivers/sdk/sasos.h"

__attribute__((import_module("callee"), import_name("null"))) int32_t null(void);
__attribute__((import_module("callee"), import_name("touch"))) int32_t touch(uint32_t offset,
                                                                             uint32_t length);

typedef uint32_t step(uint32_t x);
static __attribute__((noinline)) uint32_t add_one(uint32_t x) {
    __asm__ volatile("" : "+r"(x));
    return x + 1;
}
static __attribute__((noinline)) uint32_t add_two(uint32_t x) {
    __asm__ volatile("" : "+r"(x));
    return x + 2;
}
static step *volatile chosen[2] = {add_one, add_two};
static uint64_t *message;

int32_t SASOS_EXPORT(app_main)(void) {
    message = (uint64_t *)(uintptr_t)sasos_chan_map(0);
    return 0;
}

#define LOOP(name, call)                     \
    int32_t SASOS_EXPORT(name)(uint32_t n) { \
        uint32_t x = 0;                      \
        for (uint32_t i = 0; i < n; i++) {   \
            call;                            \
            __asm__ volatile("" : "+r"(x));  \
        }                                    \
        return (int32_t)x;                   \
    }
LOOP(loop_nothing, x += 1)
LOOP(loop_local, x = add_one(x))
LOOP(loop_indirect, x = chosen[i & 1](x))
LOOP(loop_null, x += (uint32_t)null())
LOOP(loop_touch, (message[1] = i, x += (uint32_t)touch(0, 64)))
LOOP(loop_kernel, x += (uint32_t)sasos_chan_count())
