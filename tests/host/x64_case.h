// x64_case.h — what the tests of the code generator share: a module written as text, compiled with the compiler's checks, verified, and run; numbers
// worth trying. Functions are built from many small expressions in one module, since starting a module is what costs.
#ifndef TESTS_X64_CASE_H
#define TESTS_X64_CASE_H
#include "loader/private.h"
#include "sfi-jit/host/host.h"
#include "tests/host/wat.h"
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// cmocka wants those before it
#include <cmocka.h>

static struct ldr_thread *thread;

struct text {
    char *at;
    size_t size, cap;
};

static inline void add(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline void add(struct text *t, const char *format, ...) {
    for (;;) {
        va_list args;
        va_start(args, format);
        char *end = t->at ? t->at + t->size : NULL;
        size_t n = (size_t)vsnprintf(end, t->cap - t->size, format, args);
        va_end(args);
        if (n < t->cap - t->size) {
            t->size += n;
            return;
        }
        t->cap = 2 * t->cap + n + 4096;
        t->at = realloc(t->at, t->cap);
    }
}

struct module {
    struct ldr_store *store;
    struct ldr_instance *inst;
};

static inline bool no_imports(void *ctx, const struct wasm_import *i, struct ldr_extern *out) {
    (void)ctx;
    (void)i;
    (void)out;
    return false;
}

static inline struct module load(struct text *t) {
    struct module m = {.store = ldr_store_new(LDR_STORE)};
    struct ldr_compile_options options = {.check = true, .dump_func = UINT32_MAX};
    struct ldr_imports imports = {NULL, no_imports};
    struct ldr_limits limits = {.memory_pages = 65536};
    struct ldr_code *code;
    struct ldr_error e;
    size_t size;
    uint8_t *bytes = wat(t->at, &size);
    if (ldr_compile(bytes, size, &options, &code, &e) != LDR_OK) fail_msg("%s", e.text);
    if (ldr_instantiate(m.store, code, "m", &imports, &limits, NULL, &m.inst, &e) != LDR_OK)
        fail_msg("%s", e.text);
    ldr_code_release(code);
    free(bytes);
    free(t->at);
    *t = (struct text){0};
    return m;
}

static inline void drop(struct module m) { // instances of such a store go with it
    assert_true(ldr_store_free(m.store));
}

static struct ldr_trap_info info;
static inline bool try(struct module m, uint32_t func, const uint64_t *args, uint64_t *out) {
    memset(&info, 0, sizeof info);
    host_signals();
    return ldr_call(thread, m.inst, func, args, out, &info) == LDR_OK;
}

static inline uint64_t call(struct module m, uint32_t func, uint64_t a, uint64_t b) {
    uint64_t result = 0;
    if (!try(m, func, (uint64_t[]){a, b}, &result))
        fail_msg("func %u trapped: %d", func, info.kind);
    return result;
}

static const uint32_t values32[] = {
    0,   1,          2,          3,          7,          100,        127,
    128, 0x7ffffffe, 0x7fffffff, 0x80000000, 0x80000001, 0xfffffffe, 0xffffffff,
    6,   0x12345678, 0xcafebabe, 99999,      65535,      65536,      1u << 20};
#define VALUES32 (sizeof values32 / sizeof *values32)

static inline double number(uint64_t bits) {
    double d;
    memcpy(&d, &bits, 8);
    return d;
}
static inline uint64_t bits_of(double d) {
    uint64_t bits;
    memcpy(&bits, &d, 8);
    return bits;
}

static inline int setup(void **state) {
    (void)state;
    host_init("test_x64");
    thread = host_thread(1 << 20);
    return 0;
}
static inline int teardown(void **state) {
    (void)state;
    ldr_thread_free(thread);
    return 0;
}

#endif
