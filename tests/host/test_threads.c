// test_threads.c — a shared memory in several instances, on a thread each: atomics lose nothing, waiters are woken.
#include "loader/loader.h"
#include "sfi-jit/host/host.h"
#include "tests/host/wat.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define THREADS 3

static const char memory_text[] = "(module (memory (export \"m\") 1 2 shared))";
static const char worker_text[] =
    "(module (import \"o\" \"m\" (memory 1 2 shared))"
    // n times: adds to an i32, an i64 and a byte; flips its own bit of a word twice; a spin lock around a plain counter
    " (func (export \"work\") (param $n i32) (param $bit i32) (loop $l"
    "  (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1)))"
    "  (drop (i64.atomic.rmw.sub (i32.const 8) (i64.const 1)))"
    "  (drop (i32.atomic.rmw8.add_u (i32.const 16) (i32.const 1)))"
    "  (drop (i32.and (i32.atomic.rmw.or (i32.const 20) (local.get $bit)) (i32.const 1)))"
    "  (if (i32.eqz (i32.and (i32.atomic.rmw.xor (i32.const 20) (local.get $bit)) (local.get "
    "$bit)))"
    "   (then unreachable))"
    "  (drop (i32.atomic.rmw16.xor_u (i32.const 24) (local.get $bit)))"
    "  (loop $lock (br_if $lock (i32.atomic.rmw.cmpxchg (i32.const 28) (i32.const 0) (i32.const "
    "1))))"
    "  (i32.store (i32.const 32) (i32.add (i32.load (i32.const 32)) (i32.const 1)))"
    "  (i32.atomic.store (i32.const 28) (i32.const 0))"
    "  (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))"
    // Passes the turn at 64 on, n times; who sees somebody else's turn waits for it to change.
    " (func (export \"turns\") (param $n i32) (param $me i32) (param $next i32) (local $turn i32) "
    "(loop $l"
    "  (loop $wait"
    "   (if (i32.ne (local.tee $turn (i32.atomic.load (i32.const 64))) (local.get $me)) (then"
    "    (drop (memory.atomic.wait32 (i32.const 64) (local.get $turn) (i64.const -1)))"
    "    (br $wait))))"
    "  (i32.store (i32.const 68) (i32.add (i32.load (i32.const 68)) (i32.const 1)))"
    "  (i32.atomic.store (i32.const 64) (local.get $next))"
    "  (drop (memory.atomic.notify (i32.const 64) (i32.const -1)))"
    "  (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))"
    " (func (export \"get\") (param i32) (result i64) (i64.atomic.load (local.get 0))))";

static struct ldr_store *store;
static struct ldr_instance *owner, *worker[THREADS];

static bool resolve(void *ctx, const struct wasm_import *i, struct ldr_extern *out) {
    (void)ctx;
    *out = ldr_export(owner, i->name.text, i->name.length);
    return true;
}
static struct ldr_instance *instance(const char *text) {
    struct ldr_compile_options options = {.check = true, .dump_func = UINT32_MAX};
    struct ldr_imports imports = {NULL, resolve};
    struct ldr_instance *inst = NULL;
    struct ldr_code *code;
    struct ldr_error e;
    size_t size;
    uint8_t *bytes = wat(text, &size);
    if (ldr_compile(bytes, size, &options, &code, &e) != LDR_OK ||
        ldr_instantiate(store, code, "m", &imports, NULL, NULL, &inst, &e) != LDR_OK)
        fail_msg("%s", e.text);
    ldr_code_release(code);
    free(bytes);
    return inst;
}

struct job {
    uint32_t number, func;
    uint64_t args[3];
};
static void *run(void *arg) {
    struct job *j = arg;
    host_thread_init();
    struct ldr_thread *t = host_thread(64u << 10);
    enum ldr_status status = ldr_call(t, worker[j->number], j->func, j->args, NULL, NULL);
    ldr_thread_free(t);
    return status == LDR_OK ? NULL : j;
}
static void run_all(uint32_t func, uint32_t n) {
    pthread_t threads[THREADS];
    struct job jobs[THREADS];
    for (uint32_t i = 0; i < THREADS; i++) {
        uint64_t last = (i + 1) % THREADS;
        jobs[i] = (struct job){i, func, {n, func == 0 ? 2u << i : i, last}};
        assert_int_equal(pthread_create(&threads[i], NULL, run, &jobs[i]), 0);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
}
static uint64_t word(uint64_t at) {
    uint64_t value;
    struct ldr_thread *t = host_thread(64u << 10);
    assert_int_equal(ldr_call(t, worker[0], 2, &at, &value, NULL), LDR_OK);
    ldr_thread_free(t);
    return value;
}

static void nothing_is_lost(void **state) {
    (void)state;
    enum { N = 20000 };
    run_all(0, N);
    assert_int_equal((uint32_t)word(0), THREADS * N);
    assert_int_equal(word(8), 0 - (uint64_t)(THREADS * N));
    assert_int_equal(word(16) & 0xff, (uint8_t)(THREADS * N));
    assert_int_equal(word(16) >> 32, 0);               // every bit set was cleared
    assert_int_equal((uint32_t)word(24), 0);           // flipped an even number of times
    assert_int_equal((uint32_t)word(32), THREADS * N); // the lock held
}
static void waiters_are_woken(void **state) {
    (void)state;
    run_all(1, 500);
    assert_int_equal(word(64) >> 32, THREADS * 500);
}

static int init(void **state) {
    (void)state;
    host_init("test_threads");
    host_signals();
    store = ldr_store_new(LDR_STORE);
    owner = instance(memory_text);
    for (unsigned i = 0; i < THREADS; i++) worker[i] = instance(worker_text);
    return 0;
}
static int finish(void **state) {
    (void)state;
    return !ldr_store_free(store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost),
        cmocka_unit_test(waiters_are_woken),
    };
    return cmocka_run_group_tests(tests, init, finish);
}
