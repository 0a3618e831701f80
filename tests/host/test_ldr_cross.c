// test_ldr_cross.c — crossings between domains: what arrives, what comes back, and who dies of what.
//
// Two domains with a store each, as the kernel has them. "a" imports functions of "b", or host functions; "b" misbehaves.
#include "loader/private.h"
#include "sfi-jit/host/host.h"
#include "tests/host/wat.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct ldr_thread *thread;

struct domain {
    struct ldr_store *store;
    struct ldr_instance *inst;
};
struct world { // what imports are resolved from
    struct ldr_instance *peer;
    const struct ldr_hostfunc *host;
};
static bool resolve(void *ctx, const struct wasm_import *i, struct ldr_extern *out) {
    const struct world *w = ctx;
    if (i->module.length == 4 && w->host) { // "host"
        *out = (struct ldr_extern){.kind = LDR_EXT_HOST, .host = w->host};
        return true;
    }
    if (!w->peer) return false;
    *out = ldr_export(w->peer, i->name.text, i->name.length);
    return true;
}
static struct domain domain(const char *name, const char *text, struct world w) {
    struct domain d = {.store = ldr_store_new(LDR_DOMAIN)};
    struct ldr_code *code;
    struct ldr_error e;
    struct ldr_imports imports = {&w, resolve};
    size_t size;
    uint8_t *bytes = wat(text, &size);
    if (ldr_compile(bytes, size, NULL, &code, &e) != LDR_OK) fail_msg("%s", e.text);
    if (ldr_instantiate(d.store, code, name, &imports, NULL, NULL, &d.inst, &e) != LDR_OK)
        fail_msg("%s", e.text);
    ldr_code_release(code);
    free(bytes);
    return d;
}
static void drop(struct domain d) {
    assert_true(ldr_instance_free(d.inst));
    assert_true(ldr_store_free(d.store));
}
static struct ldr_trap_info info;
static enum ldr_status call(struct domain d, const char *name, uint64_t *results, const uint64_t *args) {
    uint32_t func;
    assert_true(ldr_find_func(d.inst, name, &func));
    memset(&info, 0, sizeof info);
    host_signals();
    enum ldr_status status = ldr_call(thread, d.inst, func, args, results, &info);
    assert_ptr_equal(thread->top, thread->record); // whatever happened
    assert_int_equal(thread->msp, thread->stack_top);
    return status;
}
static int32_t call32(struct domain d, const char *name) {
    uint64_t result = 0;
    assert_int_equal(call(d, name, &result, (uint64_t[]){0}), LDR_OK);
    return (int32_t)result;
}

static void arguments_and_results(void **state) {
    (void)state;
    struct domain b = domain(
        "b",
        "(module (func (export \"f\")"
        " (param i32 i64 i32 i64 i32 i64 i32 i64 f32 f64 f64 f64 f64 f64 f64 f64 f64 f32)"
        " (result i64 f64 i32 f32 i64)"
        " (i64.add (local.get 7) (i64.extend_i32_s (local.get 6))) (f64.add (local.get 16) "
        "(local.get 15)) (i32.sub (local.get 0) (local.get 4)) (f32.add (local.get 8) (local.get "
        "17)) (i64.sub (local.get 1) (local.get 5))))",
        (struct world){0});
    struct domain a = domain(
        "a",
        "(module (import \"b\" \"f\" (func $f "
        " (param i32 i64 i32 i64 i32 i64 i32 i64 f32 f64 f64 f64 f64 f64 f64 f64 f64 f32)"
        " (result i64 f64 i32 f32 i64)))"
        " (func (export \"go\") (result i64 f64 i32 f32 i64)"
        " (call $f (i32.const 1) (i64.const 2) (i32.const 3) (i64.const 4) (i32.const 50)"
        " (i64.const 60) (i32.const -7) (i64.const 800) (f32.const 9) (f64.const 10) (f64.const 11)"
        " (f64.const 12) (f64.const 13) (f64.const 14) (f64.const 15) (f64.const 16)"
        " (f64.const 17) (f32.const 18))))",
        (struct world){.peer = b.inst});
    uint64_t r[5];
    double d;
    float f;
    assert_int_equal(call(a, "go", r, NULL), LDR_OK);
    assert_int_equal(r[0], 793);
    memcpy(&d, &r[1], 8);
    assert_true(d == 33);
    assert_int_equal((int32_t)r[2], -49);
    memcpy(&f, &r[3], 4);
    assert_true(f == 27);
    assert_int_equal((int64_t)r[4], -58);
    drop(a);
    drop(b);
}

enum { MIXED = 18 };
static const char mixed[] = "iIiIiIiIfFFFFFFFFf";
static uint64_t seen[MIXED];
static int64_t sees(struct ldr_instance *inst, const struct ldr_args *args) {
    (void)inst;
    for (unsigned i = 0; i < MIXED; i++) seen[i] = ldr_arg(args, i);
    return (int64_t)seen[7];
}

// More of each kind than there are registers, from C through a module into C; and each kind of single result.
static void between_c_and_a_module(void **state) {
    (void)state;
    const struct ldr_hostfunc host = {"host", "h", "iIiIiIiIfFFFFFFFFf:I", sees, NULL};
    struct domain a = domain(
        "a",
        "(module (type $t (func"
        " (param i32 i64 i32 i64 i32 i64 i32 i64 f32 f64 f64 f64 f64 f64 f64 f64 f64 f32) (result "
        "i64)))"
        " (import \"host\" \"h\" (func $h (type $t)))"
        " (func (export \"go\") (type $t)"
        " (call $h (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) "
        "(local.get "
        "5) (local.get 6) (local.get 7) (local.get 8) (local.get 9) (local.get 10) (local.get 11)"
        " (local.get 12) (local.get 13) (local.get 14) (local.get 15) (local.get 16) (local.get "
        "17)))"
        " (func (export \"i32\") (param f64 i32) (result i32) (local.get 1))"
        " (func (export \"f64\") (param i32 f64) (result f64) (local.get 1))"
        " (func (export \"v128\") (param i64 v128) (result v128) (local.get 1)))",
        (struct world){.host = &host});
    uint64_t in[MIXED], r[2] = {0};
    for (unsigned i = 0; i < MIXED; i++) in[i] = 0x0101010101010101 * (i + 1);
    assert_int_equal(call(a, "go", r, in), LDR_OK);
    assert_int_equal(r[0], in[7]);
    for (unsigned i = 0; i < MIXED; i++) {
        bool wide = mixed[i] == 'I' || mixed[i] == 'F';
        assert_int_equal(wide ? seen[i] : (uint32_t)seen[i], wide ? in[i] : (uint32_t)in[i]);
    }
    assert_int_equal(call(a, "i32", r, in), LDR_OK);
    assert_int_equal((uint32_t)r[0], (uint32_t)in[1]);
    assert_int_equal(call(a, "f64", r, in), LDR_OK);
    assert_int_equal(r[0], in[1]);
    assert_int_equal(call(a, "v128", r, in), LDR_OK);
    assert_memory_equal(r, in + 1, 16);
    drop(a);
}

static const struct death {
    const char *what, *body;
    enum sfi_trap kind;
} deaths[] = {
    {"unreachable", "unreachable", SFI_TRAP_UNREACHABLE},
    {"load", "(drop (i32.load (i32.const 65533)))", SFI_TRAP_MEMORY},
    {"far store", "(i64.store offset=4294967295 (i32.const -1) (i64.const 1))", SFI_TRAP_MEMORY},
    {"divide", "(drop (i32.div_s (i32.const 1) (global.get $zero)))", SFI_TRAP_DIV_ZERO},
    {"overflow", "(drop (i32.div_s (i32.const 0x80000000) (global.get $m1)))", SFI_TRAP_OVERFLOW},
    {"too large", "(drop (i32.trunc_f32_s (f32.const 1e20)))", SFI_TRAP_OVERFLOW},
    {"conversion", "(drop (i32.trunc_f64_u (f64.const nan)))", SFI_TRAP_CONVERSION},
    {"table", "(call_indirect (type $t) (i32.const 99))", SFI_TRAP_TABLE},
    {"null row", "(call_indirect (type $t) (i32.const 1))", SFI_TRAP_NULL_ELEMENT},
    {"signature", "(call_indirect (type $t) (i32.const 0))", SFI_TRAP_SIGNATURE},
    {"recursion", "(call $die)", SFI_TRAP_STACK},
    {"fill", "(memory.fill (i32.const 65530) (i32.const 1) (i32.const 7))", SFI_TRAP_MEMORY},
    {"copy", "(memory.copy (i32.const 0) (i32.const -1) (i32.const 2))", SFI_TRAP_MEMORY},
    {"table copy", "(table.copy (i32.const 1) (i32.const 0) (i32.const 2))", SFI_TRAP_TABLE_ACCESS},
};

static void death_of_the_callee(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof deaths / sizeof *deaths; i++) {
        char text[1024];
        snprintf(text, sizeof text,
                 "(module (memory 1) (table 2 funcref) (elem (i32.const 0) $other) (type $t (func))"
                 " (global $zero (mut i32) (i32.const 0)) (global $m1 (mut i32) (i32.const -1))"
                 " (func $other (param i32))"
                 " (func $die (export \"f\") (result i32) %s (i32.const 5)%s))",
                 strcmp(deaths[i].what, "recursion") ? deaths[i].body : "",
                 strcmp(deaths[i].what, "recursion") ? "" : " (i32.add (call $die))");
        struct domain b = domain("b", text, (struct world){0});
        struct domain a = domain("a",
                                 "(module (import \"b\" \"f\" (func $f (result i32)))"
                                 " (func (export \"go\") (param i32) (result i32)"
                                 "  (i32.add (i32.mul (call $f) (i32.const 1000)) (call $f))))",
                                 (struct world){.peer = b.inst});
        // The caller sees the error twice, at the death and afterwards, and lives.
        assert_int_equal(call32(a, "go"), -111 * 1001);
        assert_int_equal(call32(a, "go"), -111 * 1001);
        assert_false(ldr_is_dead(a.inst));
        assert_true(ldr_is_dead(b.inst));
        const struct ldr_trap_info *t = ldr_last_trap(b.inst);
        if (t->kind != deaths[i].kind) fail_msg("%s: %s", deaths[i].what, ldr_trap_text(t->kind));
        assert_string_equal(t->module, "b");
        assert_string_equal(t->function, "die");
        assert_int_equal(t->func_index, 1);
        uint64_t none;
        assert_int_equal(call(b, "f", &none, NULL), LDR_DEAD);
        assert_false(ldr_instance_free(b.inst)); // linked
        drop(a);
        drop(b);
    }
}

static void trap_at_the_outermost_border(void **state) {
    (void)state;
    struct domain b =
        domain("b",
               "(module (memory 1) (func $poke (param i32)" // no leaf: it would be a part of f
               " (if (i32.eqz (local.get 0)) (then (call $poke (i32.const 16))))"
               " (i32.store offset=8 (local.get 0) (i32.const 1)))"
               " (func (export \"f\") (call $poke (i32.const 0x7ffffff0))))",
               (struct world){0});
    char line[200];
    assert_int_equal(call(b, "f", NULL, NULL), LDR_TRAPPED);
    assert_int_equal(info.kind, SFI_TRAP_MEMORY);
    assert_true(info.has_address);
    assert_int_equal(info.address, 0x7ffffff8);
    assert_string_equal(info.function, "poke");
    ldr_trap_format(&info, line, sizeof line);
    assert_non_null(strstr(line, "out of bounds memory access in b, function poke, offset 0x"));
    assert_non_null(strstr(line, ", address 0x7ffffff8"));
    assert_int_equal(call(b, "f", NULL, NULL), LDR_DEAD);
    drop(b);
}

// ---- Host functions that call back ----
static struct domain inner;
static const char *inner_name;
static int64_t call_back(struct ldr_instance *inst, const struct ldr_args *args) {
    uint32_t func;
    uint64_t arg = ldr_arg(args, 0), result = 0;
    struct ldr_trap_info why;
    assert_true(ldr_find_func(inner.inst, inner_name, &func));
    assert_ptr_equal(ldr_thread_instance(ldr_current(inst)), inst);
    enum ldr_status status = ldr_call(ldr_current(inst), inner.inst, func, &arg, &result, &why);
    return status == LDR_OK ? (int64_t)result : -1000 - (int)status;
}
static const struct ldr_hostfunc back = {"host", "back", "i:i", call_back, NULL};

static void host_function_calls_back(void **state) {
    (void)state;
    // a → host → a → host → a …: the same domain on the same thread, a factorial.
    struct domain a =
        domain("a",
               "(module (import \"host\" \"back\" (func $back (param i32) (result i32)))"
               " (func (export \"fac\") (param i32) (result i32)"
               "  (if (result i32) (local.get 0) (then (i32.mul (local.get 0)"
               "   (call $back (i32.sub (local.get 0) (i32.const 1))))) (else (i32.const 1)))))",
               (struct world){.host = &back});
    inner = a;
    inner_name = "fac";
    uint64_t result = 0;
    assert_int_equal(call(a, "fac", &result, (uint64_t[]){10}), LDR_OK);
    assert_int_equal((uint32_t)result, 3628800);
    // Endless: ends by one of the stacks or the records, in the innermost call; the callers get an error each.
    assert_int_equal(call(a, "fac", &result, (uint64_t[]){UINT32_MAX}), LDR_OK);
    drop(a);
}
static void inner_death_outer_stopped(void **state) {
    (void)state;
    // a → host → a traps: the inner call ends, and the outer one, of the same domain, must not go on.
    struct domain a =
        domain("a",
               "(module (import \"host\" \"back\" (func $back (param i32) (result i32)))"
               " (global $after (export \"after\") (mut i32) (i32.const 0))"
               " (func (export \"bad\") (param i32) (result i32) unreachable)"
               " (func (export \"go\") (result i32) (call $back (i32.const 0)) (global.set $after "
               "(i32.const 1))))",
               (struct world){.host = &back});
    inner = a;
    inner_name = "bad";
    uint64_t result = 0;
    uint8_t type;
    assert_int_equal(call(a, "go", &result, NULL), LDR_TRAPPED);
    assert_int_equal(ldr_last_trap(a.inst)->kind, SFI_TRAP_UNREACHABLE);
    ldr_global_value(a.inst, 0, &type, &result);
    assert_int_equal(result, 0);
    drop(a);
}

// ---- What a host function leaves behind ----
static int64_t ends_caller(struct ldr_instance *inst, const struct ldr_args *args) {
    (void)args;
    ldr_trap(inst, SFI_TRAP_HOST);
}
static void host_function_ends_its_caller(void **state) {
    (void)state;
    static const struct ldr_hostfunc end = {"host", "end", "", ends_caller, NULL};
    struct domain b =
        domain("b",
               "(module (import \"host\" \"end\" (func $end)) (func $inside call $end)"
               " (func (export \"f\") (result i32) call $inside i32.const 1))",
               (struct world){.host = &end});
    struct domain a = domain("a",
                             "(module (import \"b\" \"f\" (func $f (result i32)))"
                             " (func (export \"go\") (result i32) call $f))",
                             (struct world){.peer = b.inst});
    assert_int_equal(call32(a, "go"), LDR_E_DEAD);
    assert_int_equal(ldr_last_trap(b.inst)->kind, SFI_TRAP_HOST);
    assert_string_equal(ldr_last_trap(b.inst)->function, "inside");
    drop(a);
    drop(b);
}

static int64_t kills_peer(struct ldr_instance *inst, const struct ldr_args *args) {
    (void)inst;
    ldr_kill(ldr_arg_ctx(args), SFI_TRAP_KILLED);
    return 0;
}
static void killed_while_away(void **state) {
    (void)state;
    // a → b → host, which kills a: b finishes, a does not go on.
    static struct ldr_hostfunc kill = {"host", "kill", "", kills_peer, NULL};
    struct domain b = domain("b",
                             "(module (import \"host\" \"kill\" (func $kill))"
                             " (global (export \"g\") (mut i32) (i32.const 0))"
                             " (func (export \"f\") call $kill (global.set 0 (i32.const 1))))",
                             (struct world){.host = &kill});
    struct domain a =
        domain("a",
               "(module (import \"b\" \"f\" (func $f)) (global (mut i32) (i32.const 0))"
               " (func (export \"go\") call $f (global.set 0 (i32.const 1))))",
               (struct world){.peer = b.inst});
    kill.ctx = a.inst;
    uint64_t v;
    uint8_t type;
    assert_int_equal(call(a, "go", NULL, NULL), LDR_TRAPPED);
    assert_int_equal(info.kind, SFI_TRAP_KILLED);
    ldr_global_value(a.inst, 0, &type, &v);
    assert_int_equal(v, 0);
    ldr_global_value(b.inst, 0, &type, &v);
    assert_int_equal(v, 1);
    assert_false(ldr_is_dead(b.inst));
    drop(a);
    drop(b);
}

// ESC-028: nobody pulls the rug away from under a running domain.
static int64_t frees_caller(struct ldr_instance *inst, const struct ldr_args *args) {
    (void)args;
    assert_false(ldr_instance_free(inst));
    assert_false(ldr_store_free(inst->store));
    return 1;
}
static void not_freed_while_inside(void **state) {
    (void)state;
    static const struct ldr_hostfunc host = {"host", "free", ":i", frees_caller, NULL};
    struct domain b =
        domain("b",
               "(module (import \"host\" \"free\" (func $free (result i32)))"
               " (func (export \"f\") (result i32) call $free) (export \"direct\" (func $free)))",
               (struct world){.host = &host});
    struct domain a =
        domain("a",
               "(module (import \"b\" \"f\" (func $f (result i32))) (export \"again\" (func $f))"
               " (func (export \"go\") (result i32) call $f))",
               (struct world){.peer = b.inst});
    assert_int_equal(call32(a, "go"), 1);
    assert_int_equal(call32(a, "again"), 1);  // b's function, exported by a
    assert_int_equal(call32(b, "direct"), 1); // the host's, exported by b
    drop(a);
    drop(b);
}

static void failed_links_leave_nothing(void **state) {
    (void)state;
    struct domain b =
        domain("b", "(module (func (export \"f\")) (memory (export \"m\") 1))", (struct world){0});
    static const struct {
        const char *text, *error;
    } wrong[] = {
        {"(module (import \"b\" \"f\" (func (param i32))))", "incompatible import type: b.f"},
        {"(module (import \"b\" \"g\" (func)))", "unknown import: b.g"},
        {"(module (import \"b\" \"m\" (memory 1)))",
         "only functions are shared between domains: b.m"},
        {"(module (memory 1) (data (i32.const 65536) \"x\"))", "out of bounds memory access"},
        {"(module (table 1 funcref) (func $f) (elem (i32.const 1) $f))",
         "out of bounds table access"},
    };
    struct ldr_store *store = ldr_store_new(LDR_DOMAIN);
    struct world w = {.peer = b.inst};
    struct ldr_imports imports = {&w, resolve};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct ldr_code *code;
        struct ldr_instance *inst = NULL;
        struct ldr_error e;
        size_t size;
        uint8_t *bytes = wat(wrong[i].text, &size);
        assert_int_equal(ldr_compile(bytes, size, NULL, &code, &e), LDR_OK);
        assert_int_not_equal(ldr_instantiate(store, code, "x", &imports, NULL, NULL, &inst, &e),
                             LDR_OK);
        assert_string_equal(e.text, wrong[i].error);
        assert_null(inst);
        ldr_code_release(code);
        free(bytes);
    }
    assert_int_equal(b.inst->links, 0);
    assert_true(ldr_store_free(store));
    drop(b);
}

static int init(void **state) {
    (void)state;
    host_init("test_ldr_cross");
    thread = host_thread(256u << 10);
    return 0;
}
static int finish(void **state) {
    (void)state;
    ldr_thread_free(thread);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arguments_and_results),
        cmocka_unit_test(between_c_and_a_module),
        cmocka_unit_test(death_of_the_callee),
        cmocka_unit_test(trap_at_the_outermost_border),
        cmocka_unit_test(host_function_calls_back),
        cmocka_unit_test(inner_death_outer_stopped),
        cmocka_unit_test(host_function_ends_its_caller),
        cmocka_unit_test(killed_while_away),
        cmocka_unit_test(not_freed_while_inside),
        cmocka_unit_test(failed_links_leave_nothing),
    };
    return cmocka_run_group_tests(tests, init, finish);
}
