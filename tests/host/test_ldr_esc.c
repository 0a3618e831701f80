// test_ldr_esc.c — what hostile code tries on the runtime: looking for the host's secrets, wrong arguments to built-ins, forged
// references, code that was changed after the compiler; and what happens when memory runs out, a domain is killed or contended.
#include "loader/private.h"
#include "sfi-jit/host/host.h"
#include "tests/host/wat.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

extern const uint8_t ldr_look[], ldr_look_f[], ldr_look_g[], ldr_look_end[];
extern const uint8_t ldr_wild[], ldr_wild_f[], ldr_wild_end[];

static struct ldr_thread *thread;

static bool resolve(void *ctx, const struct wasm_import *i, struct ldr_extern *out) {
    (void)i;
    *out = (struct ldr_extern){.kind = LDR_EXT_HOST, .host = ctx};
    return ctx;
}
static struct ldr_code *compiled(const char *text) {
    struct ldr_code *code;
    struct ldr_error e;
    size_t size;
    uint8_t *bytes = wat(text, &size);
    if (ldr_compile(bytes, size, NULL, &code, &e) != LDR_OK) fail_msg("%s", e.text);
    free(bytes);
    return code;
}
static struct ldr_instance *linked(struct ldr_store *store, struct ldr_code *code,
                                   const struct ldr_hostfunc *host) {
    struct ldr_imports imports = {(void *)host, resolve};
    struct ldr_instance *inst;
    struct ldr_error e;
    host_signals();
    if (ldr_instantiate(store, code, "m", &imports, NULL, NULL, &inst, &e) != LDR_OK)
        fail_msg("%s", e.text);
    ldr_code_release(code);
    return inst;
}
static void drop(struct ldr_instance *inst) {
    struct ldr_store *store = inst->store;
    assert_true(ldr_store_free(store));
}

// Puts hand-made code in the place of what the compiler made: the verifier has to accept it like any other.
static void replace(struct ldr_code *code, const uint8_t *start, const uint8_t *end,
                    struct sfi_func *funcs, uint32_t count, struct sfi_label *labels,
                    uint32_t label_count) {
    struct sfi_code *s = &code->jit.sfi;
    for (uint32_t i = 0; i < count; i++) funcs[i].sig = s->func[i].sig;
    s->bytes = start;
    s->size = s->data = (uint32_t)(end - start);
    s->pool = s->size;
    s->pool_size = 0;
    s->func = funcs;
    s->funcs = count;
    s->label = labels;
    s->labels = label_count;
    s->jump_tables = 0;
    code->jit.sites = 0;
}

// ---- ESC-049: nothing of the host is left in registers, on the stack or in the context ----
extern const uint64_t ldr_leaky_secret, ldr_leaky_stack;
int64_t ldr_leaky(struct ldr_instance *inst, const struct ldr_args *args);

static int64_t nothing(struct ldr_instance *inst, const struct ldr_args *args) {
    (void)inst, (void)args;
    return 7;
}
static bool near(uint64_t value, const void *what, uint64_t size) {
    return value - ((uint64_t)what - size) < 2 * size;
}
static void secrets_stay(void **state) {
    (void)state;
    static const struct ldr_hostfunc host = {"h", "f", "", ldr_leaky, NULL};
    static struct sfi_func funcs[2];
    struct ldr_code *code = compiled("(module (import \"h\" \"f\" (func)) (memory 1)"
                                     " (func (export \"f\")) (func))");
    funcs[0].start = (uint32_t)(ldr_look_f - ldr_look);
    funcs[0].size = (uint32_t)(ldr_look_g - ldr_look_f);
    funcs[1].start = (uint32_t)(ldr_look_g - ldr_look);
    funcs[1].size = (uint32_t)(ldr_look_end - ldr_look_g);
    funcs[1].frame = 4096;
    replace(code, ldr_look, ldr_look_end, funcs, 2, NULL, 0);
    struct ldr_instance *inst = linked(ldr_store_new(LDR_DOMAIN), code, &host);
    uint64_t *seen = ldr_memory_at(inst, 0x1000, 0x2000);
    assert_int_equal(ldr_call(thread, inst, 1, NULL, NULL, NULL), LDR_OK);
    assert_int_equal(seen[0], 7); // rax: the result
    seen[0x70 / 8] = 0;           // xmm0 likewise
    for (size_t i = 1; i < 0x2000 / 8; i++) {
        uint64_t v = seen[i];
        bool bad = v == ldr_leaky_secret || near(v, thread, sizeof *thread) ||
                   near(v, inst, sizeof *inst) || near(v, inst->link[0], 64) ||
                   near(v, (void *)inst->window, SFI_SLOT_SIZE) ||
                   near(v, (void *)ldr_leaky_stack, 1 << 20) ||
                   near(v, (void *)(uintptr_t)&secrets_stay, 64 << 20) ||
                   near(v, (void *)thread->stack_bottom, 4 << 20);
        if (bad && !near(v, (void *)inst->block.rx, inst->block.size))
            fail_msg("at %zx: %lx is the host's", i * 8, v);
    }
    drop(inst);
}

// ---- ESC-016, 029: built-ins called with anything ----
static uint64_t random_state = 88172645463325252ull;
static uint64_t random64(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    return random_state ^= random_state << 17;
}
static uint64_t nasty(void) {
    static const uint64_t values[] = {0,          1,
                                      2,          3,
                                      7,          15,
                                      65535,      65536,
                                      0x7fffffff, 0x80000000,
                                      0xfffffffe, 0xffffffff,
                                      1ull << 32, 0xdeadbeef00000001,
                                      INT64_MAX,  1ull << 63,
                                      UINT64_MAX, UINT64_MAX - 1};
    return random64() & 3 ? values[random64() % (sizeof values / sizeof *values)] : random64();
}
static void wild_builtins(void **state) {
    (void)state;
    static struct sfi_func func;
    static struct sfi_label labels[32];
    struct ldr_code *code =
        compiled("(module (import \"h\" \"f\" (func)) (memory 1 3) (table 4 8 funcref)"
                 " (table 2 4 externref) (global (mut i64) (i64.const 5)) (data \"abcdef\")"
                 " (data (i32.const 0) \"xy\") (elem (i32.const 0) 0 1) (elem func 1 1 1)"
                 " (func (export \"f\") (param i64 i64 i64 i64 i64 i64)))");
    func.start = (uint32_t)(ldr_wild_f - ldr_wild);
    func.size = (uint32_t)(ldr_wild_end - ldr_wild_f);
    for (uint32_t i = 0; i < 32; i++) labels[i].offset = func.start + 32 * (i + 1);
    replace(code, ldr_wild, ldr_wild_end, &func, 1, labels, 32);
    static const struct ldr_hostfunc host = {"h", "f", "", nothing, NULL};
    struct ldr_store *store = ldr_store_new(LDR_STORE); // lives on after a trap
    struct ldr_instance *inst = linked(store, code, &host);
    unsigned ok = 0, trapped = 0;
    for (int i = 0; i < 200000; i++) {
        uint64_t args[6] = {random64() % 33, nasty(), nasty(), nasty(), nasty(), nasty()};
        struct ldr_trap_info info;
        enum ldr_status status = ldr_call(thread, inst, 1, args, NULL, &info);
        assert_true(status == LDR_OK || status == LDR_TRAPPED);
        status == LDR_OK ? ok++ : trapped++;
        assert_true(inst->memory->pages <= 3 && inst->table[0]->length <= 8 &&
                    inst->table[1]->length <= 4);
        for (uint32_t k = 0; k < inst->table[0]->length; k++) { // rows name functions of the store only
            uint32_t ref = ldr_table_get(inst->table[0], k);
            uint32_t sig = ((uint32_t *)(inst->window - SFI_TABLE_SIGS(0)))[k];
            assert_true(!ref ? !sig : ldr_ref_get(store, ref) && sig == store->func[ref - 1].sig);
        }
    }
    assert_true(ok > 1000 && trapped > 1000);
    drop(inst);
}

// ---- The gate: what the compiler says is not believed ----
static void changed_code_is_rejected(void **state) {
    (void)state;
    unsigned rejected = 0;
    struct ldr_store *store = ldr_store_new(LDR_DOMAIN);
    for (unsigned i = 0; i < 400; i++) {
        struct ldr_code *code = compiled(
            i ? "(module (memory 1) (func (export \"f\") (param i32) (result i32) (local i32)"
                " (loop (local.set 1 (i32.add (local.get 1) (i32.load offset=4 (local.get 0))))"
                " (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (local.get 1)))"
              : "(module (func))");
        struct ldr_instance *inst;
        struct ldr_error e;
        uint32_t at = code->jit.sfi.func[0].start + i % code->jit.sfi.func[0].size;
        if (i) code->jit.bytes[at] ^= (uint8_t)(1u << (random64() & 7));
        enum ldr_status status = ldr_instantiate(store, code, "m", NULL, NULL, NULL, &inst, &e);
        if (status == LDR_OK) {
            assert_true(ldr_instance_free(inst));
        } else {
            assert_int_equal(status, LDR_REJECTED);
            assert_non_null(strstr(e.text, "rejected by the verifier: "));
            rejected++;
        }
        ldr_code_release(code);
        if (i == 40) i = 360; // wat2wasm is slow
    }
    assert_true(rejected > 20);
    assert_true(ldr_store_free(store));
}
static void code_is_never_writable_and_executable(void **state) {
    (void)state;
    struct ldr_instance *inst =
        linked(ldr_store_new(LDR_DOMAIN), compiled("(module (func (export \"f\")))"), NULL);
    char line[512];
    FILE *f = fopen("/proc/self/maps", "r");
    unsigned executable = 0;
    assert_non_null(f);
    assert_null(inst->block.rw);
    while (fgets(line, sizeof line, f)) {
        assert_null(strstr(line, "rwx"));
        if (strstr(line, "sasos-code")) {
            assert_null(strstr(line, " rw-"));
            executable += strstr(line, " r-x") != NULL;
        }
    }
    fclose(f);
    assert_int_equal(executable, 1);
    drop(inst);
}

// ---- ESC-013: one number a type ----
static void signatures_are_canonical(void **state) {
    (void)state;
    static uint8_t bytes[4] = {WASM_I32, WASM_I64, WASM_I32, WASM_F64};
    uint8_t copy[4];
    memcpy(copy, bytes, 4);
    for (uint32_t a = 0; a <= 4; a++)
        for (uint32_t b = 0; b <= 4; b++) {
            struct wasm_functype x = {a, 4 - a, bytes}, y = {b, 4 - b, copy};
            assert_true(ldr_sig_id(&x) != 0);
            assert_true((ldr_sig_id(&x) == ldr_sig_id(&y)) == (a == b));
        }
    struct wasm_functype none = {0, 0, NULL};
    assert_int_equal(ldr_sig_id(&none), ldr_sig_id(&none));
}

// ---- Memory runs out, at every request in turn ----
static void every_request_fails_once(void **state) {
    (void)state;
    size_t size;
    uint8_t *bytes =
        wat("(module (import \"h\" \"f\" (func $h)) (memory 1) (table 3 funcref) (global i32 "
            "(i32.const 1)) (elem (i32.const 0) $f $h) (data (i32.const 0) \"x\") (func $f (export "
            "\"f\") (result i32 i32) (i32.const 1) (i32.const 2)))",
            &size);
    static const struct ldr_hostfunc host = {"h", "f", "", nothing, NULL};
    unsigned n = 1, failures = 0;
    for (;; n++) {
        struct ldr_code *code = NULL;
        struct ldr_instance *inst = NULL;
        struct ldr_error e;
        struct ldr_imports imports = {(void *)&host, resolve};
        host_fail_at(n);
        struct ldr_store *store = ldr_store_new(LDR_STORE);
        enum ldr_status status = LDR_NO_MEMORY;
        if (store) status = ldr_compile(bytes, size, NULL, &code, &e);
        if (status == LDR_OK)
            status = ldr_instantiate(store, code, "m", &imports, NULL, NULL, &inst, &e);
        unsigned requests = host_fail_at(0);
        if (status != LDR_OK) {
            assert_true(status == LDR_NO_MEMORY || status == LDR_NO_SPACE || status == LDR_LIMIT);
            assert_null(inst);
            failures++;
        }
        if (code) ldr_code_release(code);
        if (store) assert_true(ldr_store_free(store));
        if (requests < n) {
            assert_int_equal(status, LDR_OK);
            break;
        }
    }
    assert_true(failures > 15);
    free(bytes);
    // Growth that fails leaves everything as it was.
    struct ldr_instance *inst = linked(
        ldr_store_new(LDR_DOMAIN),
        compiled(
            "(module (memory 1) (table 1 funcref) (func (export \"g\") (result i32 i32 i32 i32)"
            " (memory.grow (i32.const 2)) (memory.size)"
            " (table.grow 0 (ref.null func) (i32.const 5000)) (table.size 0)))"),
        NULL);
    uint64_t r[4];
    for (unsigned k = 2; k <= 4; k++) { // 1: the memory; 2–4: the table's three arrays
        host_fail_at(k);
        assert_int_equal(ldr_call(thread, inst, 0, NULL, r, NULL), LDR_OK);
        assert_int_equal((int32_t)r[0], 2 * k - 3);
        assert_int_equal((int32_t)r[1], 2 * k - 1);
        assert_int_equal((int32_t)r[2], -1);
        assert_int_equal((int32_t)r[3], 1);
    }
    host_fail_at(1);
    assert_int_equal(ldr_call(thread, inst, 0, NULL, r, NULL), LDR_OK);
    assert_int_equal((int32_t)r[0], -1);
    assert_int_equal((int32_t)r[1], 7);
    assert_int_equal((int32_t)r[2], 1);
    assert_int_equal((int32_t)r[3], 5001);
    host_fail_at(0);
    drop(inst);
}

// ---- Two threads, one domain ----
static struct ldr_instance *shared;
static int64_t pause_a_little(struct ldr_instance *inst, const struct ldr_args *args) {
    (void)inst, (void)args;
    usleep(200);
    return 0;
}
static void *adds(void *arg) {
    struct ldr_thread *t;
    (void)arg;
    host_thread_init();
    t = host_thread(64u << 10);
    for (int i = 0; i < 300; i++)
        if (ldr_call(t, shared, 1, NULL, NULL, NULL) != LDR_OK) return "failed";
    ldr_thread_free(t);
    return NULL;
}
static void one_activity_at_a_time(void **state) {
    (void)state;
    static const struct ldr_hostfunc host = {"h", "f", "", pause_a_little, NULL};
    shared = linked(
        ldr_store_new(LDR_DOMAIN),
        compiled("(module (import \"h\" \"f\" (func $pause)) (global $n (mut i32) (i32.const 0))"
                 " (func (export \"add\") (local i32) (local.set 0 (global.get $n))"
                 " (call $pause) (global.set $n (i32.add (local.get 0) (i32.const 1)))))"),
        &host);
    pthread_t threads[3];
    uint64_t n;
    uint8_t type;
    void *error;
    for (int i = 0; i < 3; i++) assert_int_equal(pthread_create(&threads[i], NULL, adds, NULL), 0);
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], &error);
        assert_null(error);
    }
    ldr_global_value(shared, 0, &type, &n);
    assert_int_equal((uint32_t)n, 900);
    drop(shared);
}

// The same at a crossing stub: three domains with a thread each call into a fourth. What waits keeps its arguments, what leaves while
// others wait keeps its results.
static bool resolve_both(void *ctx, const struct wasm_import *i, struct ldr_extern *out) {
    static const struct ldr_hostfunc host = {"h", "f", "", pause_a_little, NULL};
    (void)ctx;
    *out = i->module.text[0] == 'h' ? (struct ldr_extern){.kind = LDR_EXT_HOST, .host = &host}
                                    : ldr_export(shared, i->name.text, i->name.length);
    return true;
}
static void *crosses(void *arg) {
    struct ldr_instance *inst = arg;
    host_thread_init();
    struct ldr_thread *t = host_thread(64u << 10);
    for (uint64_t i = 0; i < 200; i++) {
        uint64_t args[2] = {i, 0}, r[3];
        double x = (double)i, y;
        memcpy(&args[1], &x, 8);
        if (ldr_call(t, inst, 1, args, r, NULL) != LDR_OK) return "failed";
        memcpy(&y, &r[1], 8);
        if ((uint32_t)r[0] != i + 1 || y != x * 2 || r[2] != i * 3) return "wrong result";
    }
    ldr_thread_free(t);
    return NULL;
}
static void one_activity_at_a_stub(void **state) {
    (void)state;
    static const struct ldr_hostfunc host = {"h", "f", "", pause_a_little, NULL};
    shared = linked(
        ldr_store_new(LDR_DOMAIN),
        compiled(
            "(module (import \"h\" \"f\" (func $pause)) (global $in (mut i32) (i32.const 0))"
            " (func (export \"add\") (param i32 f64) (result i32 f64 i64)"
            " (if (global.get $in) (then unreachable)) (global.set $in (i32.const 1)) (call $pause)"
            " (i32.add (local.get 0) (i32.const 1)) (f64.add (local.get 1) (local.get 1))"
            " (i64.mul (i64.extend_i32_u (local.get 0)) (i64.const 3)) (global.set $in (i32.const "
            "0))))"),
        &host);
    struct ldr_instance *client[3];
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        struct ldr_code *code = compiled(
            "(module (import \"b\" \"add\" (func $add (param i32 f64) (result i32 f64 i64)))"
            " (func (export \"go\") (param i32 f64) (result i32 f64 i64)"
            " (call $add (local.get 0) (local.get 1))))");
        struct ldr_imports imports = {NULL, resolve_both};
        struct ldr_error e;
        assert_int_equal(ldr_instantiate(ldr_store_new(LDR_DOMAIN), code, "client", &imports, NULL,
                                         NULL, &client[i], &e),
                         LDR_OK);
        ldr_code_release(code);
    }
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, crosses, client[i]), 0);
    for (int i = 0; i < 3; i++) {
        void *error;
        pthread_join(threads[i], &error);
        if (error) fail_msg("%s", (const char *)error);
    }
    for (int i = 0; i < 3; i++) drop(client[i]);
    drop(shared);
}

// ---- ESC-050: the floating-point environment is the module's own ----
static uint32_t mxcsr_seen;
static int64_t looks_at_mxcsr(struct ldr_instance *inst, const struct ldr_args *args) {
    (void)inst, (void)args;
    mxcsr_seen = __builtin_ia32_stmxcsr();
    return 0;
}
static void rounding_is_ours(void **state) {
    (void)state;
    static const struct ldr_hostfunc host = {"h", "f", "", looks_at_mxcsr, NULL};
    struct ldr_instance *inst = linked(
        ldr_store_new(LDR_DOMAIN),
        compiled("(module (import \"h\" \"f\" (func $f)) (func (export \"go\") (param f32 f32)"
                 " (result i32) (call $f) (i32.reinterpret_f32 (f32.div (local.get 0) (local.get "
                 "1)))))"),
        &host);
    uint64_t r;
    __builtin_ia32_ldmxcsr(0xff80); // towards zero, denormals flushed
    enum ldr_status status =
        ldr_call(thread, inst, 1, (uint64_t[]){0x3f800000, 0x40400000}, &r, NULL); // 1 / 3
    uint32_t after = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(0x1f80);
    assert_int_equal(status, LDR_OK);
    assert_int_equal((uint32_t)r, 0x3eaaaaab);
    assert_int_equal(mxcsr_seen & ~0x3fu, 0x1f80);
    assert_int_equal(after & ~0x3fu, 0xff80);
    drop(inst);
}

// ---- ESC-014: killed anywhere ----
static void killed_in_a_loop(void **state) {
    (void)state;
    static const struct ldr_hostfunc host = {"h", "f", "", pause_a_little, NULL};
    static const char *const bodies[] = {
        "(loop (br 0))", "(loop (call 0) (br 0))",
        "(loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 65536)) (br 0))"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        char text[256];
        snprintf(text, sizeof text,
                 "(module (import \"h\" \"f\" (func)) (memory 1) (func (export \"f\") %s))",
                 bodies[i]);
        struct ldr_instance *inst = linked(ldr_store_new(LDR_DOMAIN), compiled(text), &host);
        struct ldr_trap_info info;
        host_budget(inst, 0.02);
        assert_int_equal(ldr_call(thread, inst, 1, NULL, NULL, &info), LDR_TRAPPED);
        assert_int_equal(info.kind, SFI_TRAP_KILLED);
        assert_string_equal(info.function, "f");
        assert_int_equal(ldr_call(thread, inst, 1, NULL, NULL, &info), LDR_DEAD);
        host_budget(NULL, 0);
        drop(inst);
    }
}

// ---- ESC-010: a new instance sees nothing of an old one ----
static void slots_come_clean(void **state) {
    (void)state;
    for (int i = 0; i < 50; i++) {
        struct ldr_instance *inst = linked(
            ldr_store_new(LDR_DOMAIN),
            compiled(
                "(module (memory 2) (global $g (mut i64) (i64.const 0)) (func (export \"f\")"
                " (memory.fill (i32.const 0) (i32.const 0xa5) (i32.const 131072))"
                " (global.set $g (i64.const 0xa5a5a5a5a5a5a5a5)) (drop (memory.grow (i32.const 1)))"
                " (memory.fill (i32.const 131072) (i32.const 0xa5) (i32.const 65536))))"),
            NULL);
        const uint64_t *memory = (const uint64_t *)inst->window;
        const uint64_t *results = (const uint64_t *)(inst->window - SFI_CTX_RESULTS);
        for (size_t k = 0; k < 131072 / 8; k++) assert_int_equal(memory[k], 0);
        for (size_t k = 0; k < 2048; k++) assert_int_equal(results[k], 0);
        assert_int_equal(ldr_call(thread, inst, 0, NULL, NULL, NULL), LDR_OK);
        assert_int_equal(memory[196608 / 8 - 1], 0xa5a5a5a5a5a5a5a5);
        drop(inst);
        if (i == 5) i = 45;
    }
}

static int init(void **state) {
    (void)state;
    host_init("test_ldr_esc");
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
        cmocka_unit_test(secrets_stay),
        cmocka_unit_test(wild_builtins),
        cmocka_unit_test(changed_code_is_rejected),
        cmocka_unit_test(code_is_never_writable_and_executable),
        cmocka_unit_test(signatures_are_canonical),
        cmocka_unit_test(every_request_fails_once),
        cmocka_unit_test(one_activity_at_a_time),
        cmocka_unit_test(one_activity_at_a_stub),
        cmocka_unit_test(rounding_is_ours),
        cmocka_unit_test(killed_in_a_loop),
        cmocka_unit_test(slots_come_clean),
    };
    return cmocka_run_group_tests(tests, init, finish);
}
