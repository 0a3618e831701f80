// caller.c — loops around one kind of call each; the caller of an export divides its time by the number. Each loop has the
// same shape, so that `loop_nothing` is what to subtract.
//
// As an application it does what its arguments say, "NAME:COUNT" each, and prints "cell NAME:COUNT ns=… errors=0"; it looks at the clock exactly
// twice for each.
#include "drivers/sdk/sasos.h"

__attribute__((import_module("callee"), import_name("null"))) int32_t null(void);
__attribute__((import_module("callee"), import_name("buffer"))) int32_t buffer(uint32_t offset,
                                                                               uint32_t length);
__attribute__((import_module("callee"), import_name("touch"))) int32_t touch(uint32_t offset,
                                                                             uint32_t length);

#define TEXT 40u

typedef uint32_t step(uint32_t x);
static __attribute__((noinline)) uint32_t add_one(uint32_t x) {
    __asm__ volatile("" : "+r"(x));
    return x + 1;
}
static __attribute__((noinline)) uint32_t add_two(uint32_t x) {
    __asm__ volatile("" : "+r"(x));
    return x + 2;
}
// Calls something itself, if never: the compiler takes only leaves into their callers.
static __attribute__((noinline)) uint32_t add_called(uint32_t x) {
    if (x == UINT32_MAX) sasos_exit(1);
    return x + 1;
}
static step *volatile chosen[2] = {add_one, add_two};
static uint64_t *message;

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
LOOP(loop_call, x = add_called(x))
LOOP(loop_indirect, x = chosen[i & 1](x))
LOOP(loop_null, x += (uint32_t)null())
LOOP(loop_buffer, x += (uint32_t)buffer((i & 63) * 64, 64))
LOOP(loop_touch, (message[1] = i, x += (uint32_t)touch(0, 64)))
LOOP(loop_kernel, x += (uint32_t)sasos_chan_count())

static const struct {
    const char *name;
    int32_t (*run)(uint32_t n);
} loops[] = {{"nothing", loop_nothing},   {"local", loop_local},  {"call", loop_call},
             {"indirect", loop_indirect}, {"null", loop_null},    {"buffer", loop_buffer},
             {"touch", loop_touch},       {"kernel", loop_kernel}};

static bool measure(const char *text) {
    for (unsigned i = 0; i < sizeof loops / sizeof *loops; i++) {
        const char *at = text, *name = loops[i].name;
        uint32_t n = 0;
        while (*name && *at == *name) at++, name++;
        if (*name || *at++ != ':') continue;
        while (*at >= '0' && *at <= '9') n = n * 10 + (uint32_t)(*at++ - '0');
        int64_t before = sasos_time_ns();
        loops[i].run(n);
        log_line("cell %s ns=%ld errors=0", text, sasos_time_ns() - before);
        return true;
    }
    log_line("cannot do %s", text);
    return false;
}

int32_t SASOS_EXPORT(app_main)(void) {
    char text[TEXT];
    int32_t length;
    message = (uint64_t *)(uintptr_t)sasos_chan_map(0);
    for (uint32_t i = 0; (length = sasos_arg(i, text, TEXT - 1)) > 0; i++) {
        text[length < (int32_t)TEXT ? length : (int32_t)TEXT - 1] = 0;
        if (!measure(text)) return 1;
    }
    return 0;
}
