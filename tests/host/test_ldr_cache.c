// test_ldr_cache.c — compiled code that comes with a module (loader/cache.c): the same as compiled here; and whatever else it holds, refused
// with a sentence, rejected by the verifier, or as harmless as any accepted code.
#include "loader/private.h"
#include "sfi-jit/host/host.h"
#include "tests/host/wat.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// Indirect calls of several types, equal ones twice (the table is exported, so that they stay indirect); a tail call; constants; a jump table;
// memory; a trap.
static const char text[] =
    "(module (memory 1) (table (export \"table\") 8 funcref) (elem (i32.const 0) $a $b $c $d)"
    " (type $t0 (func (param i32) (result i32))) (type $t1 (func (param i64) (result i64)))"
    " (type $t2 (func (param i32) (result i32)))"
    " (func $a (type $t0) (i32.add (local.get 0) (i32.const 1)))"
    " (func $b (type $t1) (i64.mul (local.get 0) (i64.const 0x123456789ab)))"
    " (func $c (type $t2) (return_call_indirect (type $t0) (local.get 0) (i32.const 0)))"
    " (func $d (param f64) (result f64) (f64.mul (local.get 0) (f64.const 1.5)))"
    " (func (export \"run\") (param i32) (result i32) (local $x i32)"
    "  (block $3 (block $2 (block $1 (block $0 (br_table $0 $1 $2 $0 $1 $2 $1 $0 $2 $1 $0 $1 $2 $3 "
    "(local.get 0)))"
    "   (return (call_indirect (type $t2) (i32.const 41) (i32.const 0))))"
    "   (return (i32.wrap_i64 (call_indirect (type $t1) (i64.const 3) (i32.const 1)))))"
    "   (return (call_indirect (type $t0) (i32.const 6) (i32.const 2))))"
    "  (i32.store (i32.const 8) (i32.trunc_f64_s (call_indirect (param f64) (result f64) "
    "(f64.const 8) (i32.const 3))))"
    "  (i32.load (i32.const 8)))"
    " (func (export \"wrong\") (param i32) (result i32) (call_indirect (type $t0) (local.get 0) "
    "(i32.const 1))))";

static uint8_t *module;
static size_t module_size;
static struct ldr_thread *thread;

struct loaded {
    struct ldr_store *store;
    struct ldr_instance *inst;
};

static bool nothing(void *ctx, const struct wasm_import *i, struct ldr_extern *out) {
    (void)ctx, (void)i, (void)out;
    return false;
}

// LDR_OK and an instance, or why not. cache NULL: compiled here.
static enum ldr_status load(const uint8_t *bytes, size_t size, const uint8_t *cache,
                            size_t cache_size, struct loaded *out, struct ldr_error *e) {
    struct ldr_compile_options o = {.cached = cache, .cached_size = cache_size};
    struct ldr_imports imports = {NULL, nothing};
    struct ldr_code *code;
    enum ldr_status s = ldr_compile(bytes, size, &o, &code, e);
    if (s != LDR_OK) return s;
    out->store = ldr_store_new(LDR_DOMAIN);
    s = ldr_instantiate(out->store, code, "m", &imports, NULL, NULL, &out->inst, e);
    if (s != LDR_OK) ldr_store_free(out->store);
    ldr_code_release(code);
    return s;
}

static void drop(struct loaded l) {
    assert_true(ldr_instance_free(l.inst));
    assert_true(ldr_store_free(l.store));
}

static enum ldr_status call(struct loaded l, const char *name, uint64_t arg, uint64_t *result) {
    uint32_t func;
    struct ldr_trap_info info;
    *result = 0;
    host_signals();
    assert_true(ldr_find_func(l.inst, name, &func));
    host_budget(l.inst, 5);
    enum ldr_status s = ldr_call(thread, l.inst, func, &arg, result, &info);
    host_budget(l.inst, 0);
    return s;
}

static void check_results(struct loaded l) {
    static const uint32_t want[] = {42, 0xd0369d01, 7, 12};
    uint64_t result;
    for (uint32_t i = 0; i < 20; i++) {
        static const uint8_t way[] = {0, 1, 2, 0, 1, 2, 1, 0, 2, 1, 0, 1, 2};
        assert_int_equal(call(l, "run", i, &result), LDR_OK);
        assert_int_equal((uint32_t)result, want[i < sizeof way ? way[i] : 3]);
    }
    assert_int_equal(call(l, "wrong", 1, &result), LDR_TRAPPED); // another type
}

static uint8_t *cache_of(const uint8_t *bytes, size_t size, size_t *out_size) {
    uint8_t *cache;
    struct ldr_error e;
    if (ldr_cache(bytes, size, &cache, out_size, &e) != LDR_OK) fail_msg("%s", e.text);
    return cache;
}

static void test_same(void **state) {
    (void)state;
    struct loaded here, cached;
    struct ldr_error e;
    size_t size;
    // Ids of the system's are not those of the module: types that it has not come first.
    static const uint8_t types[] = {WASM_F32, WASM_F32, WASM_F32};
    for (uint32_t i = 0; i < 4; i++) ldr_sig_id(&(struct wasm_functype){i % 2, i / 2, types});
    uint8_t *cache = cache_of(module, module_size, &size);
    assert_int_equal(load(module, module_size, NULL, 0, &here, &e), LDR_OK);
    assert_int_equal(load(module, module_size, cache, size, &cached, &e), LDR_OK);
    const struct sfi_code *a = &here.inst->code->jit.sfi, *b = &cached.inst->code->jit.sfi;
    assert_int_equal(a->size, b->size);
    assert_memory_equal(a->bytes, b->bytes, a->size);
    assert_memory_equal(a->func, b->func, a->funcs * sizeof *a->func);
    assert_int_equal(here.inst->code->jit.sig_sites, 6);
    check_results(here);
    check_results(cached);
    drop(here);
    drop(cached);
    ldr_plat_free(cache, size);
}

static void test_wrong_module(void **state) {
    (void)state;
    struct loaded l;
    struct ldr_error e;
    size_t size, other_size;
    uint8_t *cache = cache_of(module, module_size, &size);
    uint8_t *other = wat("(module (func (export \"run\")))", &other_size);
    assert_int_equal(load(other, other_size, cache, size, &l, &e), LDR_ARGUMENT);
    assert_non_null(strstr(e.text, "another module's"));
    free(other);
    ldr_plat_free(cache, size);
}

static void test_cut_off(void **state) {
    (void)state;
    struct loaded l;
    struct ldr_error e;
    size_t size;
    uint8_t *cache = cache_of(module, module_size, &size);
    for (size_t n = 0; n < size; n++) {
        uint8_t *part = malloc(n ? n : 1); // exactly, for ASan
        memcpy(part, cache, n);
        assert_int_equal(load(module, module_size, part, n, &l, &e), LDR_ARGUMENT);
        assert_true(strlen(e.text) > 20);
        free(part);
    }
    ldr_plat_free(cache, size);
}

// Every byte of what stands before the code, and some of the code's, changed in several ways.
static void test_changed(void **state) {
    (void)state;
    struct ldr_error e;
    size_t size;
    uint8_t *cache = cache_of(module, module_size, &size);
    unsigned refused = 0, rejected = 0, accepted = 0;
    for (size_t at = 0; at < size; at += at < 700 ? 1 : 7)
        for (unsigned way = 0; way < 3; way++) {
            struct loaded l;
            uint8_t old = cache[at];
            cache[at] = way == 0 ? old ^ 1 : way == 1 ? 0xff : 0;
            enum ldr_status s = load(module, module_size, cache, size, &l, &e);
            refused += s == LDR_ARGUMENT || s == LDR_INTERNAL || s == LDR_NO_SPACE;
            rejected += s == LDR_REJECTED;
            assert_true(s == LDR_OK || s == LDR_ARGUMENT || s == LDR_REJECTED ||
                        s == LDR_INTERNAL || s == LDR_NO_SPACE);
            if (s == LDR_OK) { // runs or traps, and that is all
                uint64_t result;
                accepted++;
                for (uint32_t i = 0; i < 15; i += 4)
                    if (call(l, "run", i, &result) != LDR_OK) break;
                drop(l);
            }
            cache[at] = old;
        }
    assert_true(refused > 50 && rejected > 50 && accepted > 50);
    ldr_plat_free(cache, size);
}

static int setup(void **state) {
    (void)state;
    module = wat(text, &module_size);
    host_init("test_ldr_cache");
    thread = host_thread(256 << 10);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same),
        cmocka_unit_test(test_wrong_module),
        cmocka_unit_test(test_cut_off),
        cmocka_unit_test(test_changed),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
