// test_ldr_reset.c — an instance's next life in place: what it was at first, however it was left; who may reset it; that others' imports stay.
#include "loader/private.h"
#include "sfi-jit/host/host.h"
#include "tests/host/wat.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct ldr_thread *thread, *other;

static bool resolve(void *ctx, const struct wasm_import *i, struct ldr_extern *out) {
    if (!ctx) return false;
    *out = ldr_export(ctx, i->name.text, i->name.length);
    return true;
}
static struct ldr_instance *instance(const char *text, struct ldr_instance *peer) {
    struct ldr_code *code;
    struct ldr_error e;
    struct ldr_instance *inst;
    struct ldr_imports imports = {peer, resolve};
    size_t size;
    uint8_t *bytes = wat(text, &size);
    if (ldr_compile(bytes, size, NULL, &code, &e) != LDR_OK) fail_msg("%s", e.text);
    if (ldr_instantiate(ldr_store_new(LDR_DOMAIN), code, "x", &imports, NULL, NULL, &inst, &e) != LDR_OK)
        fail_msg("%s", e.text);
    ldr_code_release(code);
    free(bytes);
    return inst;
}
static void drop(struct ldr_instance *inst) {
    struct ldr_store *store = inst->store;
    assert_true(ldr_instance_free(inst));
    assert_true(ldr_store_free(store));
}
static enum ldr_status call(struct ldr_instance *inst, const char *name, uint64_t *result) {
    uint32_t func;
    assert_true(ldr_find_func(inst, name, &func));
    host_signals();
    return ldr_call(thread, inst, func, NULL, result, NULL);
}
static int32_t get(struct ldr_instance *inst, const char *name) {
    uint64_t result = 0;
    assert_int_equal(call(inst, name, &result), LDR_OK);
    return (int32_t)result;
}
static void next_life(struct ldr_instance *inst) {
    ldr_hold(inst, thread);
    assert_true(ldr_reset(inst, thread));
    ldr_revive(inst, thread);
    ldr_release(inst, thread);
}

// A trap is the end of that life; here the next one begins at once.
static enum ldr_status bulk(struct ldr_instance *inst, const char *name, uint64_t a, uint64_t b,
                            uint64_t c) {
    uint32_t func;
    assert_true(ldr_find_func(inst, name, &func));
    host_signals();
    enum ldr_status status = ldr_call(thread, inst, func, (uint64_t[]){a, b, c}, NULL, NULL);
    if (status == LDR_TRAPPED) next_life(inst);
    return status;
}

static const char MODULE[] =
    "(module (memory 1 4) (table $t 3 10 funcref) (table $u 2 8 externref)"
    " (type $f (func (result i32)))"
    " (global $g (mut i32) (i32.const 11)) (global $h (mut i64) (i64.const -1))"
    " (data (i32.const 100) \"abc\") (data $p \"passive\")"
    " (elem (i32.const 1) $one $two) (elem $e func $two $two)"
    " (func $one (result i32) (i32.const 1)) (func $two (result i32) (i32.const 2))"
    " (func (export \"spoil\") (result i32)"
    "   (i32.store (i32.const 100) (i32.const -1)) (i32.store (i32.const 5000) (i32.const 7))"
    "   (drop (memory.grow (i32.const 2))) (i32.store (i32.const 0x2fffc) (i32.const 9))"
    "   (global.set $g (i32.const 12)) (global.set $h (i64.const 5))"
    "   (drop (table.grow $t (ref.null func) (i32.const 5)))"
    "   (table.init $t $e (i32.const 0) (i32.const 0) (i32.const 2)) (elem.drop $e) (data.drop $p)"
    "   (table.set $t (i32.const 7) (ref.func $one))"
    "   (unreachable))"
    " (func (export \"state\") (result i32)" // one digit for each thing that must be as at first
    "   (local $n i32)"
    "   (local.set $n (i32.eq (i32.load (i32.const 100)) (i32.const 0x636261)))"
    "   (local.set $n (i32.add (i32.mul (local.get $n) (i32.const 2)) (i32.eqz (i32.load "
    "(i32.const 5000)))))"
    "   (local.set $n (i32.add (i32.mul (local.get $n) (i32.const 2)) (i32.eq (memory.size) "
    "(i32.const 1))))"
    "   (local.set $n (i32.add (i32.mul (local.get $n) (i32.const 2)) (i32.eq (global.get $g) "
    "(i32.const 11))))"
    "   (local.set $n (i32.add (i32.mul (local.get $n) (i32.const 2)) (i64.eq (global.get $h) "
    "(i64.const -1))))"
    "   (local.set $n (i32.add (i32.mul (local.get $n) (i32.const 2)) (i32.eq (table.size $t) "
    "(i32.const 3))))"
    "   (local.set $n (i32.add (i32.mul (local.get $n) (i32.const 2)) (ref.is_null (table.get $t "
    "(i32.const 0)))))"
    "   (local.set $n (i32.add (i32.mul (local.get $n) (i32.const 2))"
    "     (i32.eq (i32.const 1) (call_indirect $t (type $f) (i32.const 1)))))"
    "   (memory.init $p (i32.const 200) (i32.const 0) (i32.const 7))" // traps if it is still dropped
    "   (table.init $t $e (i32.const 0) (i32.const 0) (i32.const 2))"
    "   (drop (memory.grow (i32.const 1)))"
    "   (i32.add (i32.mul (local.get $n) (i32.const 2)) (i32.eqz (i32.load (i32.const 0x1fffc)))))"
    " (func (export \"row7\") (result i32) (call_indirect $t (type $f) (i32.const 7))))";

static void as_at_first(void **state) {
    (void)state;
    struct ldr_instance *i = instance(MODULE, NULL);
    uint64_t result;
    assert_int_equal(get(i, "state"), 511);
    for (int life = 0; life < 3; life++) {
        if (life)
            assert_int_equal(call(i, "spoil", &result), LDR_TRAPPED);
        else
            ldr_kill(i, SFI_TRAP_KILLED);
        assert_int_equal(call(i, "state", &result), LDR_DEAD);
        next_life(i);
        assert_int_equal(ldr_last_trap(i)->kind, SFI_TRAP_NONE);
        assert_int_equal(get(i, "state"), 511);
    }
    next_life((ldr_kill(i, SFI_TRAP_KILLED), i));
    assert_int_equal(call(i, "row7", &result), LDR_TRAPPED); // beyond the table again
    assert_int_equal(ldr_last_trap(i)->kind, SFI_TRAP_TABLE);
    drop(i);
}

static void who_may(void **state) {
    (void)state;
    struct ldr_instance *i = instance(MODULE, NULL);
    assert_false(ldr_reset(i, thread)); // neither dead nor held
    ldr_hold(i, thread);
    assert_false(ldr_reset(i, thread));     // alive
    assert_int_equal(get(i, "state"), 511); // who holds it may enter
    ldr_kill(i, SFI_TRAP_KILLED);
    assert_false(ldr_reset(i, other));
    assert_true(ldr_reset(i, thread));
    assert_true(ldr_is_dead(i)); // until it is revived
    ldr_release(i, thread);
    assert_false(ldr_reset(i, thread));
    next_life(i);
    drop(i);
}

static void extents(void **state) {
    (void)state;
    struct ldr_instance *i = instance(MODULE, NULL);
    assert_true(ldr_memory_extend(i, SFI_DMA_BASE, 8192) &&
                ldr_memory_extend(i, SFI_DMA_BASE + 8192, 4096));
    assert_true(ldr_memory_extend(i, SFI_DMA_BASE + 65536, 4096));
    ldr_memory_retract(i, SFI_DMA_BASE + 4096);
    assert_int_equal(i->extents, 1);
    assert_non_null(ldr_memory_at(i, SFI_DMA_BASE, 4096));
    assert_null(ldr_memory_at(i, SFI_DMA_BASE, 4097));
    assert_true(ldr_memory_extend(i, SFI_DMA_BASE + 4096, 4096)); // may be given again
    assert_non_null(ldr_memory_at(i, SFI_DMA_BASE, 8192));
    ldr_memory_retract(i, SFI_DMA_BASE);
    assert_int_equal(i->extents, 0);
    drop(i);
}

// memory.copy and memory.fill, which look at the largest piece before they ask: not beyond its end, whichever piece that is, and not after it is gone.
static void bulk_in_extents(void **state) {
    (void)state;
    enum { FIRST = SFI_DMA_BASE, SECOND = SFI_DMA_BASE + 65536 };
    struct ldr_instance *i = instance(
        "(module (memory 1) (func (export \"copy\") (param i32 i32 i32) (memory.copy (local.get 0) "
        "(local.get 1) (local.get 2)))"
        " (func (export \"fill\") (param i32 i32) (memory.fill (local.get 0) (i32.const 7) "
        "(local.get 1))))",
        NULL);
    static const struct { uint32_t at, size; } piece[] = {{FIRST, 4096}, {SECOND, 8192}};
    for (unsigned k = 0; k < 2; k++) {
        assert_int_equal(ldr_plat_map(ldr_window(i), piece[k].at, piece[k].size, LDR_MAP_WRITE),
                         LDR_OK);
        assert_true(ldr_memory_extend(i, piece[k].at, piece[k].size));
    }
    for (unsigned k = 0; k < 2; k++)
        for (uint32_t n = 1; n <= 2048; n = 2 * n + 1) {
            uint32_t last = piece[k].at + piece[k].size - n;
            assert_int_equal(bulk(i, "fill", last, n, 0), LDR_OK);
            assert_int_equal(bulk(i, "copy", last, 100, n), LDR_OK);
            assert_int_equal(bulk(i, "copy", 100, last, n), LDR_OK);
            assert_int_equal(bulk(i, "fill", last + 1, n, 0), LDR_TRAPPED);
            assert_int_equal(bulk(i, "copy", last + 1, 100, n), LDR_TRAPPED);
            assert_int_equal(bulk(i, "copy", 100, last + 1, n), LDR_TRAPPED);
            assert_int_equal(bulk(i, "fill", piece[k].at - 1, n, 0), LDR_TRAPPED);
            assert_int_equal(bulk(i, "copy", 0xffffffff, piece[k].at, n), LDR_TRAPPED);
        }
    ldr_memory_retract(i, FIRST);
    assert_int_equal(bulk(i, "fill", SECOND, 1, 0), LDR_TRAPPED);
    assert_int_equal(bulk(i, "copy", 100, SECOND, 1), LDR_TRAPPED);
    drop(i);
}

// A client's linked imports lead to the server's next life; between the lives they give E_DEAD.
static void links_stay(void **state) {
    (void)state;
    struct ldr_instance *server =
        instance("(module (global $g (mut i32) (i32.const 0))"
                 " (func (export \"next\") (result i32) (global.set $g (i32.add (global.get $g) "
                 "(i32.const 1))) (global.get $g)))",
                 NULL);
    struct ldr_instance *client = instance("(module (import \"s\" \"next\" (func $n (result i32)))"
                                           " (func (export \"call\") (result i32) (call $n)))",
                                           server);
    assert_int_equal(get(client, "call"), 1);
    assert_int_equal(get(client, "call"), 2);
    for (int life = 0; life < 1000; life++) {
        ldr_kill(server, SFI_TRAP_KILLED);
        assert_int_equal(get(client, "call"), LDR_E_DEAD);
        next_life(server);
        assert_int_equal(get(client, "call"), 1);
    }
    assert_false(ldr_instance_free(server));
    drop(client);
    ldr_kill(server, SFI_TRAP_KILLED); // linked between two lives
    client = instance("(module (import \"s\" \"next\" (func $n (result i32)))"
                      " (func (export \"call\") (result i32) (call $n)))",
                      server);
    assert_int_equal(get(client, "call"), LDR_E_DEAD);
    next_life(server);
    assert_int_equal(get(client, "call"), 1);
    drop(client);
    drop(server);
}

static int setup(void **state) {
    (void)state;
    host_init("test_ldr_reset");
    thread = host_thread(256u << 10);
    other = ldr_thread_new(65536);
    return !other;
}
static int finish(void **state) {
    (void)state;
    ldr_thread_free(thread);
    ldr_thread_free(other);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_at_first),     cmocka_unit_test(who_may),    cmocka_unit_test(extents),
        cmocka_unit_test(bulk_in_extents), cmocka_unit_test(links_stay),
    };
    return cmocka_run_group_tests(tests, setup, finish);
}
