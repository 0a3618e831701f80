// test_simd.c — every vector operator against its model in C, on edge values and random lanes: operands in registers, from memory, and
// where it matters constant (shift counts, lanes, shuffles). Each is a function of one module, which goes through the verifier.
#include "loader/loader.h"
#include "sfi-jit/host/host.h"
#include "sfi-jit/ir/ir.h"
#include "sfi-jit/wasm/reader.h"
#include "tests/host/simd_model.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROUNDS = 120, FUNCS_MAX = 4000 };
enum source {
    REGISTERS,
    LOAD_A,
    LOAD_B,
    CONST_N
}; // where operands come from: a from address 0, b from 16

struct func {
    uint32_t op;
    enum source source;
    uint32_t n; // CONST_N
    unsigned lane;
    uint8_t shuffle[16];
};
static struct func func[FUNCS_MAX];
static uint32_t funcs;
static uint8_t module[1 << 20];
static uint32_t size;
static struct ldr_thread *thread;

static uint64_t noise(void) {
    static uint64_t s = 88172645463325252u;
    s ^= s << 13;
    s ^= s >> 7;
    return s ^= s << 17;
}

// ---- the module ---------------------------------------------------------------------------------------------------------------
static void put(unsigned n, ...) {
    va_list bytes;
    va_start(bytes, n);
    while (n--) module[size++] = (uint8_t)va_arg(bytes, int);
    va_end(bytes);
}
static void leb(uint32_t v) {
    for (; v >= 0x80; v >>= 7) module[size++] = (uint8_t)(v | 0x80);
    module[size++] = (uint8_t)v;
}
static void vector_op(uint32_t op) {
    module[size++] = 0xfd;
    leb(op - WASM_OP_SIMD);
}
static void operand(const struct func *f, unsigned k) {
    if ((f->source == LOAD_A && k == 0) || (f->source == LOAD_B && k == 1)) {
        put(2, 0x41, 16 * k); // i32.const
        vector_op(WASM_OP_V128_LOAD);
        put(2, 0, 0);
    } else {
        put(2, 0x20, k); // local.get
    }
}
static void extract_first(uint8_t type, uint32_t narrow) {
    vector_op(narrow             ? narrow
              : type == WASM_I32 ? WASM_OP_I32X4_EXTRACT_LANE
              : type == WASM_I64 ? WASM_OP_I64X2_EXTRACT_LANE
              : type == WASM_F32 ? WASM_OP_F32X4_EXTRACT_LANE
                                 : WASM_OP_F64X2_EXTRACT_LANE);
    put(1, 0);
}
static void body(const struct func *f) {
    const struct wasm_op_info *info = &wasm_op_info[f->op];
    uint8_t scalar = info->ir == IR_VREPLACE ? info->operand[1] : info->operand[0];
    unsigned operands = info->ir == IR_VSHIFT || info->ir == IR_VREPLACE ? 1 : info->operands;
    put(1, 0); // no locals
    if (info->ir == IR_VSPLAT && scalar == WASM_I32) {
        put(2, 0x20, 3);
    } else {
        for (unsigned k = 0; k < operands; k++) operand(f, k);
        if (info->ir == IR_VSPLAT) extract_first(scalar, 0);
    }
    if (info->ir == IR_VREPLACE) {
        put(2, 0x20, 1);
        extract_first(scalar, 0);
    }
    if (info->ir == IR_VSHIFT && f->source == CONST_N) {
        put(1, 0x41);
        put(2, 0x80 | (f->n & 0x7f), f->n >> 7 & 0x3f);
    } else if (info->ir == IR_VSHIFT) {
        put(2, 0x20, 3);
    }
    vector_op(f->op);
    if (info->imm == WASM_IMM_LANE) put(1, f->lane);
    for (unsigned k = 0; k < 16 && info->imm == WASM_IMM_SHUFFLE; k++) put(1, f->shuffle[k]);
    if (info->result == WASM_I32) vector_op(WASM_OP_I32X4_SPLAT);
    if (info->result == WASM_I64) vector_op(WASM_OP_I64X2_SPLAT);
    if (info->result == WASM_F32) vector_op(WASM_OP_F32X4_SPLAT);
    if (info->result == WASM_F64) vector_op(WASM_OP_F64X2_SPLAT);
    put(1, 0x0b);
}
static void section(uint8_t id,
                    uint32_t start) { // the contents lie at `start`, behind room for a head of six bytes
    uint32_t n = size - start;
    uint8_t *head = module + start - 6;
    head[0] = id;
    for (unsigned k = 0; k < 5; k++)
        head[1 + k] = (uint8_t)(n >> 7 * k & 0x7f) | (k < 4 ? 0x80 : 0);
}
static void write_module(void) {
    static const uint8_t head[] = {0, 'a',  's', 'm',  1,    0,    0,    0, 1,   9,
                                   1, 0x60, 4,   0x7b, 0x7b, 0x7b, 0x7f, 1, 0x7b};
    memcpy(module, head, sizeof head);
    size = sizeof head;
    uint32_t start = size += 6;
    leb(funcs);
    for (uint32_t k = 0; k < funcs; k++) put(1, 0);
    section(3, start);
    put(5, 5, 3, 1, 0, 1);
    start = size += 6;
    leb(funcs);
    for (uint32_t k = 0; k < funcs; k++) {
        uint32_t at = size;
        size += 2;
        body(&func[k]);
        uint32_t n = size - at - 2;
        module[at] = (uint8_t)(n | 0x80);
        module[at + 1] = (uint8_t)(n >> 7);
    }
    section(10, start);
}
static void add(struct func f) {
    assert_true(funcs < FUNCS_MAX);
    func[funcs++] = f;
}

static struct ldr_store *store;
static struct ldr_instance *load(void) {
    struct ldr_compile_options options = {.check = true, .dump_func = UINT32_MAX};
    struct ldr_instance *inst = NULL;
    struct ldr_code *code;
    struct ldr_error e;
    write_module();
    if (ldr_compile(module, size, &options, &code, &e) != LDR_OK) fail_msg("%s", e.text);
    store = ldr_store_new(LDR_DOMAIN);
    if (ldr_instantiate(store, code, "simd", NULL, NULL, NULL, &inst, &e) != LDR_OK)
        fail_msg("%s", e.text);
    ldr_code_release(code);
    return inst;
}

// ---- values -------------------------------------------------------------------------------------------------------------------
static union vec value(void) {
    static const uint8_t bytes[] = {0, 1, 0x7f, 0x80, 0xff, 0x0f, 0x10, 0x70};
    static const uint32_t words[] = {0,          1,      0x7fffffff, 0x80000000,
                                     0xffffffff, 0x8000, 0x7fff,     0x80008000};
    static const float floats[] = {0.0f,          -0.0f,         1.5f,          -2.5f,
                                   0.5f,          2147483648.0f, 2147483520.0f, -2147483648.0f,
                                   4294967296.0f, 4294967040.0f, 1e30f,         -1e30f};
    static const double doubles[] = {
        0.0,           -0.0,         0.5,          -1.5,  2147483647.0,       2147483647.5,
        -2147483648.5, 4294967295.0, 4294967295.5, 1e300, 4503599627370497.5, 0x1p-1074};
    union vec v;
    unsigned kind = (unsigned)(noise() % 8);
    for (unsigned k = 0; k < 2; k++) v.u64[k] = noise();
    for (unsigned k = 0; k < 16 && kind == 0; k++) v.u8[k] = bytes[noise() % 8];
    for (unsigned k = 0; k < 4 && kind == 1; k++) v.u32[k] = words[noise() % 8];
    for (unsigned k = 0; k < 4 && kind == 2; k++) v.f32[k] = floats[noise() % 12];
    for (unsigned k = 0; k < 2 && kind == 3; k++) v.f64[k] = doubles[noise() % 12];
    for (unsigned k = 0; k < 4 && kind == 4; k++) // NaNs with payloads, infinities
        v.u32[k] = 0x7f800000 | (noise() & 1 ? (uint32_t)noise() & 0x807fffff : 0);
    for (unsigned k = 0; k < 2 && kind == 5; k++)
        v.u64[k] = 0x7ffull << 52 | (noise() & 1 ? noise() & 0x800fffffffffffff : 0);
    for (unsigned k = 0; k < 16 && kind == 6; k++) v.u8[k] &= 31;
    return v;
}

// NaNs: any quiet one for any.
static bool same(const union vec *want, const union vec *got, unsigned float_lanes) {
    for (unsigned k = 0; k < 4 && float_lanes == 32; k++)
        if (isnan(want->f32[k]) ? (got->u32[k] & 0x7fc00000) != 0x7fc00000
                                : want->u32[k] != got->u32[k])
            return false;
    for (unsigned k = 0; k < 2 && float_lanes == 64; k++)
        if (isnan(want->f64[k]) ? (got->u64[k] >> 51 & 0xfff) != 0xfff : want->u64[k] != got->u64[k])
            return false;
    return float_lanes || !memcmp(want, got, sizeof *want);
}

static void expect(const struct func *f, const union vec in[3], uint32_t n, union vec *out) {
    if (f->op == WASM_OP_I8X16_SHUFFLE) {
        for (unsigned k = 0; k < 16; k++)
            out->u8[k] = f->shuffle[k] < 16 ? in[0].u8[f->shuffle[k]] : in[1].u8[f->shuffle[k] - 16];
    } else if (!simd_model(f->op, &in[0], &in[1], &in[2], n, f->lane, out)) {
        fail_msg("no model of %s", wasm_op_info[f->op].text);
    }
}

static void run_all(void) {
    struct ldr_instance *inst = load();
    host_signals();
    for (uint32_t k = 0; k < funcs; k++)
        for (unsigned round = 0; round < ROUNDS; round++) {
            union vec in[3] = {value(), value(), value()}, want, got;
            uint64_t args[7];
            uint32_t n = (uint32_t)noise();
            if (round & 1) n &= 63;
            memcpy(args, in, sizeof in);
            args[6] = n;
            memcpy(ldr_memory_at(inst, 0, 32), in, 32);
            expect(&func[k], in, func[k].source == CONST_N ? func[k].n : n, &want);
            assert_int_equal(ldr_call(thread, inst, k, args, got.u64, NULL), LDR_OK);
            if (!same(&want, &got, simd_float_lanes(func[k].op)))
                fail_msg("%s, source %u, n %u, lane %u of %llx %llx, %llx %llx: %llx %llx, not "
                         "%llx %llx",
                         wasm_op_info[func[k].op].text, func[k].source, n, func[k].lane,
                         (unsigned long long)in[0].u64[1], (unsigned long long)in[0].u64[0],
                         (unsigned long long)in[1].u64[1], (unsigned long long)in[1].u64[0],
                         (unsigned long long)got.u64[1], (unsigned long long)got.u64[0],
                         (unsigned long long)want.u64[1], (unsigned long long)want.u64[0]);
        }
    assert_true(ldr_store_free(store));
    funcs = 0;
}

// ---- tests --------------------------------------------------------------------------------------------------------------------
static void every_operator(void **state) {
    (void)state;
    for (uint32_t op = WASM_OP_SIMD; op < WASM_OPS; op++) {
        const struct wasm_op_info *info = &wasm_op_info[op];
        if (!info->text || info->ir < IR_VUN || info->ir >= IR_VLOAD || info->ir == IR_VSHUFFLE)
            continue;
        unsigned lanes = info->imm == WASM_IMM_LANE ? info->aux : 1;
        for (unsigned lane = 0; lane < lanes; lane++) {
            add((struct func){.op = op, .lane = lane});
            add((struct func){.op = op, .lane = lane, .source = LOAD_A});
            add((struct func){.op = op, .lane = lane, .source = LOAD_B});
        }
    }
    run_all();
}

static void constant_shifts(void **state) {
    (void)state;
    for (uint32_t op = WASM_OP_SIMD; op < WASM_OPS; op++)
        for (uint32_t n = 0; n <= 72 && wasm_op_info[op].ir == IR_VSHIFT; n++)
            add((struct func){.op = op, .source = CONST_N, .n = n});
    run_all();
}

static void add_shuffle(const uint8_t lanes[16]) {
    struct func f = {.op = WASM_OP_I8X16_SHUFFLE};
    memcpy(f.shuffle, lanes, 16);
    add(f);
}
static void shuffles(void **state) {
    (void)state;
    uint8_t s[16];
    for (unsigned first = 0; first < 32; first++) { // rotations of both, of one
        for (unsigned k = 0; k < 16; k++) s[k] = (first + k) & 31;
        add_shuffle(s);
        for (unsigned k = 0; k < 16; k++) s[k] = ((first + k) & 15) | (first & 16);
        add_shuffle(s);
    }
    for (unsigned bytes = 1; bytes <= 8; bytes *= 2) // interleaving halves: which operands, which half
        for (unsigned which = 0; which < 8; which++) {
            for (unsigned k = 0; k < 16; k++) {
                unsigned element = k / bytes, from = element & 1 ? which & 1 : which >> 1 & 1;
                s[k] = (uint8_t)(16 * from + (which & 4 ? 8 : 0) + element / 2 * bytes + k % bytes);
            }
            add_shuffle(s);
        }
    for (unsigned bytes = 1; bytes <= 8;
         bytes *= 2) // whole elements, anywhere and in place; one operand and two
        for (unsigned round = 0; round < 150; round++) {
            unsigned random[16];
            for (unsigned k = 0; k < 16; k++) random[k] = (unsigned)noise();
            for (unsigned k = 0; k < 16; k++) {
                unsigned r = random[k / bytes], n = 32 / bytes, e = r % n;
                if (round % 4 == 0) e = k / bytes + (r & 1 ? n / 2 : 0);
                if (round % 4 == 1) e = e % (n / 2);
                if (round % 4 == 2) e = e % (n / 2) + (k < 8 ? n / 2 : 0);
                s[k] = (uint8_t)(e * bytes + k % bytes);
            }
            add_shuffle(s);
        }
    run_all();
}

static int init(void **state) {
    (void)state;
    host_init("test_simd");
    thread = host_thread(64u << 10);
    return 0;
}
static int finish(void **state) {
    (void)state;
    ldr_thread_free(thread);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operator),
        cmocka_unit_test(constant_shifts),
        cmocka_unit_test(shuffles),
    };
    return cmocka_run_group_tests(tests, init, finish);
}
