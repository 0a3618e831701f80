// wgen.c — see wgen.h. Spec 5.4 and 5.5, written down here a second time on purpose.
#include "tests/fuzz/wgen.h"
#include "tests/fuzz/fuzz.h"
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum type { I, L, F, D, V, TYPES }; // i32 i64 f32 f64 v128
static const uint8_t type_bytes[TYPES] = {0x7f, 0x7e, 0x7d, 0x7c, 0x7b};

struct op {
    uint16_t code;
    uint8_t operands;   // how many
    uint8_t operand[3]; // enum type
    uint8_t result;     // enum type, or TYPES
    char imm; // 'N' none, 'M' memarg, 'A' memarg of an atomic, 'm' memarg and lane, 'L' lane, 'S' shuffle
    uint8_t natural; // alignment, log2
    uint8_t lanes;
    uint8_t floats; // lanes of the vector that it makes: 4 or 2; 0: no floats
};
static struct op ops[512];
static unsigned op_count;

enum { FUNCS = 6, PARAMS = 8, LOCALS = 14, ROWS = 8, EXPORTS = 4, BUDGET = 900 };
struct func {
    uint8_t param[PARAMS], params, result; // result TYPES: none
};
struct gen {
    uint8_t *p, *end;
    struct func func[FUNCS + EXPORTS];
    unsigned funcs, index;  // index: of the function that is being made
    uint8_t local[LOCALS];  // types; the last TYPES of them are scratch
    unsigned locals, depth; // depth: of blocks
    bool inside;            // the block around a function's statements
    int budget;
};

static void byte(struct gen *g, unsigned b) {
    if (g->p < g->end) *g->p++ = (uint8_t)b;
}
static void bytes(struct gen *g, const void *from, size_t n) {
    for (size_t i = 0; i < n; i++) byte(g, ((const uint8_t *)from)[i]);
}
static void leb(struct gen *g, uint64_t v) {
    do byte(g, (v & 0x7f) | (v >> 7 ? 0x80 : 0)), v >>= 7;
    while (v);
}
static void sleb(struct gen *g, int64_t v) {
    for (;;) {
        unsigned low = v & 0x7f;
        v >>= 7;
        bool last = (v == 0 && !(low & 0x40)) || (v == -1 && low & 0x40);
        byte(g, low | (last ? 0 : 0x80));
        if (last) return;
    }
}

// ---- The table ----

static enum type type_of(char c) {
    return c == 'i' ? I : c == 'l' ? L : c == 'f' ? F : c == 'd' ? D : c == 'v' ? V : TYPES;
}

static void add_op(unsigned code, const char *name, const char *imm, const char *operands,
                   const char *operator, const char * aux) {
    static const struct {
        const char *name;
        char imm;
    } kinds[] = {{"NONE", 'N'},        {"MEMARG", 'M'}, {"ATOMIC", 'A'},
                 {"MEMARG_LANE", 'm'}, {"LANE", 'L'},   {"SHUFFLE", 'S'}};
    struct op op = {.code = (uint16_t)code};
    // Not here: references, bulk operations; waiting; what engines may do differently (relaxed).
    if (strcmp(operator, "NOP") == 0 || (code >= 0x3f && code < 0x45)) return;
    if ((code >= 0x108 && code < 0x130) || code >= 0x300) return;
    for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(imm, kinds[i].name) == 0) op.imm = kinds[i].imm;
    if (op.imm == 'L') op.lanes = (uint8_t)atoi(aux);
    if (op.imm == 'M' || op.imm == 'A' || op.imm == 'm')
        op.natural = (uint8_t)(aux[strlen(aux) - 2] - '0');
    if (op.imm == 'm') op.lanes = (uint8_t)(16 >> op.natural);
    bool compares = code >= 0x241 && code <= 0x24c;
    if (operands[3] == 'v' && !compares)
        op.floats = strncmp(name, "F32X4", 5) == 0 ? 4 : strncmp(name, "F64X2", 5) == 0 ? 2 : 0;
    if (!op.imm) return;
    for (unsigned i = 0; i < 3; i++)
        if (type_of(operands[i]) != TYPES)
            op.operand[op.operands++] = (uint8_t)type_of(operands[i]);
    op.result = (uint8_t)type_of(operands[3]);
    if (op.operands && op_count < sizeof ops / sizeof *ops) ops[op_count++] = op;
}

static void read_table(void) {
    if (op_count) return;
#define X(code, name, text, imm, a, b, c, r, operator, aux) \
    add_op(code, #name, #imm, (const char[]){#a[0], #b[0], #c[0], #r[0], 0}, #operator, #aux);
#include "sfi-jit/wasm/ops.def"
#undef X
}

// ---- Expressions ----

static void expr(struct gen *g, enum type t, unsigned depth);
static void stmts(struct gen *g, unsigned n, unsigned depth);

static void constant(struct gen *g, enum type t) {
    static const int64_t odd[] = {0,          1,           -1,        2,          0x7f,
                                  0x80,       0xffff,      0x10000,   0x7fffffff, 0x80000000,
                                  0xffffffff, 0x100000000, INT64_MAX, INT64_MIN,  INT64_MIN + 1,
                                  -2,         7,           31,        63,         64,
                                  32};
    static const double odd_floats[] = {
        0.0,    -0.0,         1.0,          -1.0,         0.5,           1e300,
        -1e300, 2147483647.0, 2147483648.0, 4294967296.0, -2147483649.0, 9223372036854775808.0,
        1e-320, 3.4e38,       1e39};
    int64_t v = fuzz_one_in(3) ? (int64_t)fuzz_noise() : odd[fuzz_below(sizeof odd / sizeof *odd)];
    double d = fuzz_one_in(3) ? (double)(int64_t)fuzz_noise() / 65536
                              : odd_floats[fuzz_below(sizeof odd_floats / sizeof *odd_floats)];
    if (fuzz_one_in(16)) memcpy(&d, &v, 8);
    float f = d > 3e38 || d < -3e38 ? __builtin_inff() : (float)d;
    if (t != V) byte(g, 0x41 + t);
    switch (t) {
    case I: sleb(g, (int32_t)v); break;
    case L: sleb(g, v); break;
    case F: bytes(g, &f, 4); break;
    case D: bytes(g, &d, 8); break;
    default:
        byte(g, 0xfd), byte(g, 0x0c);
        if (fuzz_one_in(2))
            bytes(g, &v, 8), bytes(g, &d, 8);
        else
            for (unsigned i = 0; i < 4; i++) bytes(g, fuzz_one_in(2) ? (const void *)&f : &v, 4);
    }
}

static int find_local(struct gen *g, enum type t) {
    unsigned start = fuzz_below(g->locals);
    for (unsigned i = 0; i < g->locals; i++) {
        unsigned k = (start + i) % g->locals;
        if (g->local[k] == t) return (int)k;
    }
    return -1;
}

static void leaf(struct gen *g, enum type t) {
    int local = find_local(g, t);
    if (local >= 0 && !fuzz_one_in(3)) {
        byte(g, 0x20), leb(g, (unsigned)local);
    } else if (fuzz_one_in(4)) {
        byte(g, 0x23), leb(g, 1 + t); // global of that type; 0 is the fuel
    } else {
        constant(g, t);
    }
}

// An NaN becomes the NaN.
static void canonical(struct gen *g, enum type t) {
    static const uint8_t nan[2][8] = {{0, 0, 0xc0, 0x7f}, {0, 0, 0, 0, 0, 0, 0xf8, 0x7f}};
    unsigned scratch = g->locals + t;
    byte(g, 0x22), leb(g, scratch);
    byte(g, 0x41 + t), bytes(g, nan[t == D], t == D ? 8 : 4);
    byte(g, 0x20), leb(g, scratch), byte(g, 0x20), leb(g, scratch);
    byte(g, t == D ? 0x61 : 0x5b), byte(g, 0x1b);
}

// The same in each lane: v128.bitselect of the value, NaNs, and where it equals itself.
static void canonical_lanes(struct gen *g, unsigned lanes) {
    static const uint8_t nan[2][8] = {{0, 0, 0xc0, 0x7f, 0, 0, 0xc0, 0x7f},
                                      {0, 0, 0, 0, 0, 0, 0xf8, 0x7f}};
    unsigned scratch = g->locals + V;
    byte(g, 0x22), leb(g, scratch);
    byte(g, 0xfd), byte(g, 0x0c), bytes(g, nan[lanes == 2], 8), bytes(g, nan[lanes == 2], 8);
    byte(g, 0x20), leb(g, scratch), byte(g, 0x20), leb(g, scratch);
    byte(g, 0xfd), byte(g, lanes == 2 ? 0x47 : 0x41), byte(g, 0xfd), byte(g, 0x52);
}

// A multiple of 1 << align, as a rule. Returns the offset.
static uint32_t address(struct gen *g, unsigned depth, unsigned align) {
    static const uint32_t odd[] = {0,          0xffff,     0x10000,    0x1fff8,   0x20000,
                                   0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff};
    if (fuzz_one_in(250)) {
        byte(g, 0x41), sleb(g, (int32_t)((odd[fuzz_below(9)] - fuzz_below(17)) >> align << align));
        return fuzz_one_in(2) ? 0 : odd[fuzz_below(9)] >> align << align;
    }
    if (align && fuzz_one_in(100)) align = 0;
    expr(g, I, depth);
    byte(g, 0x41), sleb(g, (fuzz_one_in(2) ? 0xfff0 : 0xff) >> align << align);
    byte(g, 0x71);
    return fuzz_below(8) >> align << align;
}

static void opcode(struct gen *g, unsigned code) {
    if (code < 0x100)
        byte(g, code);
    else if (code < 0x120)
        byte(g, 0xfc), leb(g, code - 0x100);
    else if (code < 0x200)
        byte(g, 0xfe), leb(g, code - 0x120);
    else
        byte(g, 0xfd), leb(g, code - 0x200);
}

static bool in_memory(const struct op *op) {
    return op->imm == 'M' || op->imm == 'A' || op->imm == 'm';
}

static void immediates(struct gen *g, const struct op *op, uint32_t offset) {
    if (in_memory(op))
        leb(g, op->imm == 'A' ? op->natural : fuzz_below(op->natural + 1u)), leb(g, offset);
    if (op->lanes) byte(g, fuzz_below(op->lanes));
    for (unsigned i = 0; op->imm == 'S' && i < 16; i++) byte(g, fuzz_below(32));
}

static bool keeps_nan(unsigned code) { // bit operations
    return code == 0x8b || code == 0x8c || code == 0x98 || code == 0x99 || code == 0x9a ||
           code == 0xa6 || code >= 0xbc;
}

static void operation(struct gen *g, enum type t, unsigned depth) {
    const struct op *op;
    do op = &ops[fuzz_below(op_count)];
    while (op->result != t);
    uint32_t offset = 0;
    if (in_memory(op)) {
        offset = address(g, depth, op->imm == 'A' ? op->natural : 0);
        for (unsigned i = 1; i < op->operands; i++) expr(g, op->operand[i], depth);
    } else
        for (unsigned i = 0; i < op->operands; i++) {
            expr(g, op->operand[i], depth);
            bool divisor = i == 1 && (t == I || t == L) && op->code >= 0x6d && op->code <= 0x82 &&
                           !fuzz_one_in(120);
            if (divisor)
                byte(g, 0x41 + t), sleb(g, 1 + fuzz_below(9)),
                    byte(g, t == I ? 0x72 : 0x84); // or: not zero
        }
    bool traps = op->code >= 0xa8 && op->code <= 0xb1 && op->operand[0] >= F;
    if (traps && !fuzz_one_in(40))
        opcode(g, (op->code >= 0xae ? 0x104u + op->code - 0xae : 0x100u + op->code - 0xa8)); // the saturating one
    else
        opcode(g, op->code);
    immediates(g, op, offset);
    if ((t == F || t == D) && op->imm == 'N' && !keeps_nan(op->code)) canonical(g, t);
    if (op->floats) canonical_lanes(g, op->floats);
}

// Arguments and a call of a function before this one with that result. False: there is none.
static bool call(struct gen *g, enum type t, unsigned depth) {
    for (unsigned tries = 0; tries < 4 && g->index; tries++) {
        unsigned f = fuzz_below(g->index < g->funcs ? g->index : g->funcs);
        if (g->func[f].result != t) continue;
        for (unsigned i = 0; i < g->func[f].params; i++) expr(g, g->func[f].param[i], depth);
        if (fuzz_one_in(4)) { // through the table, where it stands at its own index
            byte(g, 0x41), sleb(g, fuzz_one_in(60) ? fuzz_below(ROWS + 3) : f);
            byte(g, 0x11), leb(g, f), byte(g, 0);
        } else {
            byte(g, 0x10), leb(g, f);
        }
        return true;
    }
    return false;
}

static void if_else(struct gen *g, enum type t, unsigned depth) {
    expr(g, I, depth);
    byte(g, 0x04), byte(g, type_bytes[t]);
    g->depth++;
    expr(g, t, depth);
    byte(g, 0x05);
    if (fuzz_one_in(2)) stmts(g, 1, depth);
    expr(g, t, depth);
    byte(g, 0x0b);
    g->depth--;
}

static void expr(struct gen *g, enum type t, unsigned depth) {
    if (depth == 0 || --g->budget < 0) {
        leaf(g, t);
        return;
    }
    depth--;
    switch (fuzz_below(16)) {
    case 0:
    case 1: leaf(g, t); break;
    case 2: if_else(g, t, depth); break;
    case 3:
        expr(g, t, depth), expr(g, t, depth), expr(g, I, depth);
        byte(g, 0x1b);
        break;
    case 4:
        if (!call(g, t, depth)) leaf(g, t);
        break;
    case 5: { // tee
        int local = find_local(g, t);
        expr(g, t, depth);
        if (local >= 0) byte(g, 0x22), leb(g, (unsigned)local);
        break;
    }
    case 6: // block with an early exit
        byte(g, 0x02), byte(g, type_bytes[t]);
        g->depth++;
        expr(g, t, depth), expr(g, I, depth);
        byte(g, 0x0d), leb(g, 0), byte(g, 0x1a);
        expr(g, t, depth);
        byte(g, 0x0b);
        g->depth--;
        break;
    default: operation(g, t, depth);
    }
}

// ---- Statements ----

static void store(struct gen *g, unsigned depth) {
    const struct op *op;
    do op = &ops[fuzz_below(op_count)];
    while (op->result != TYPES || !in_memory(op));
    uint32_t offset = address(g, depth, op->imm == 'A' ? op->natural : 0);
    expr(g, op->operand[1], depth);
    opcode(g, op->code);
    immediates(g, op, offset);
}

static void loop(struct gen *g, unsigned depth) {
    byte(g, 0x02), byte(g, 0x40), byte(g, 0x03), byte(g, 0x40);
    g->depth += 2;
    byte(g, 0x23), leb(g, 0), byte(g, 0x45), byte(g, 0x0d), leb(g, 1); // no fuel: out
    byte(g, 0x23), leb(g, 0), byte(g, 0x41), sleb(g, 1), byte(g, 0x6b), byte(g, 0x24), leb(g, 0);
    stmts(g, 1 + fuzz_below(3), depth);
    expr(g, I, depth);
    byte(g, 0x0d), leb(g, 0); // again
    byte(g, 0x0b), byte(g, 0x0b);
    g->depth -= 2;
}

static void branch_table(struct gen *g, unsigned depth) {
    unsigned blocks = 1 + fuzz_below(4), entries = 1 + fuzz_below(6);
    for (unsigned i = 0; i < blocks; i++) byte(g, 0x02), byte(g, 0x40);
    g->depth += blocks;
    expr(g, I, depth);
    byte(g, 0x0e), leb(g, entries);
    for (unsigned i = 0; i <= entries; i++) leb(g, fuzz_below(blocks));
    for (unsigned i = 0; i < blocks; i++) {
        byte(g, 0x0b);
        g->depth--;
        if (fuzz_one_in(2)) stmts(g, 1, depth);
    }
}

static void bulk(struct gen *g, unsigned depth) {
    switch (fuzz_below(4)) {
    case 0:
        address(g, depth, 0), expr(g, I, depth);
        byte(g, 0x41), sleb(g, fuzz_below(64));
        byte(g, 0xfc), leb(g, 11), byte(g, 0);
        break;
    case 1:
        address(g, depth, 0), address(g, depth, 0);
        byte(g, 0x41), sleb(g, fuzz_below(64));
        byte(g, 0xfc), leb(g, 10), byte(g, 0), byte(g, 0);
        break;
    case 2:
        address(g, depth, 0);
        byte(g, 0x41), sleb(g, fuzz_below(16)), byte(g, 0x41), sleb(g, fuzz_below(17));
        byte(g, 0xfc), leb(g, 8), leb(g, 0), byte(g, 0);
        break;
    default:
        byte(g, 0x41), sleb(g, fuzz_below(2)), byte(g, 0x40), byte(g, 0); // memory.grow
        byte(g, 0x1a);
    }
}

static void stmt(struct gen *g, unsigned depth) {
    enum type t = (enum type)fuzz_below(TYPES);
    int local = find_local(g, t);
    switch (fuzz_below(12)) {
    case 0:
    case 1:
    case 2:
        if (local < 0) break;
        expr(g, t, depth);
        byte(g, 0x21), leb(g, (unsigned)local);
        break;
    case 3:
        expr(g, t, depth);
        byte(g, 0x24), leb(g, 1 + t);
        break;
    case 4:
    case 5: store(g, depth); break;
    case 6:
        expr(g, I, depth);
        byte(g, 0x04), byte(g, 0x40);
        g->depth++;
        stmts(g, 1 + fuzz_below(2), depth);
        if (fuzz_one_in(2)) byte(g, 0x05), stmts(g, 1, depth);
        byte(g, 0x0b);
        g->depth--;
        break;
    case 7: loop(g, depth); break;
    case 8: branch_table(g, depth); break;
    case 9: bulk(g, depth); break;
    case 10:
        if (call(g, TYPES, depth)) break;
        expr(g, t, depth), byte(g, 0x1a);
        break;
    default: // out of some block
        if (!g->inside) break;
        expr(g, I, depth);
        byte(g, 0x0d), leb(g, g->depth);
    }
}

static void stmts(struct gen *g, unsigned n, unsigned depth) {
    while (n-- && --g->budget > 0 && depth) stmt(g, depth - 1);
}

// ---- Modules ----

static uint8_t *begin(struct gen *g, unsigned id) { // a section or a body; its size follows as five bytes
    if (id) byte(g, id);
    uint8_t *at = g->p;
    bytes(g, "\x80\x80\x80\x80\x00", 5);
    return at;
}
static void finish(struct gen *g, uint8_t *at) {
    uint32_t size = (uint32_t)(g->p - at - 5);
    for (unsigned i = 0; i < 5; i++) at[i] = (uint8_t)((size >> 7 * i & 0x7f) | (i < 4 ? 0x80 : 0));
}

// Early exits leave a void block around the statements, since the function's own would want a result.
static void body(struct gen *g, unsigned index, bool is_export) {
    struct func *f = &g->func[index];
    uint8_t *at = begin(g, 0);
    g->index = index;
    g->locals = f->params;
    memcpy(g->local, f->param, f->params);
    unsigned more = 3 + fuzz_below(LOCALS - PARAMS - 2);
    leb(g, more + TYPES);
    for (unsigned i = 0; i < more + TYPES; i++) {
        enum type t = i < more ? (enum type)fuzz_below(TYPES) : (enum type)(i - more);
        leb(g, 1), byte(g, type_bytes[t]);
        if (i < more) g->local[g->locals++] = (uint8_t)t;
    }
    g->budget = BUDGET;
    g->depth = 0;
    byte(g, 0x02), byte(g, 0x40);
    g->inside = true;
    stmts(g, 3 + fuzz_below(10), 6);
    g->inside = false;
    byte(g, 0x0b);
    if (is_export) {
        enum type t = (enum type)fuzz_below(TYPES);
        expr(g, t, 5);
        if (t == I) byte(g, 0xad);
        if (t == F) byte(g, 0xbc), byte(g, 0xad);
        if (t == D) byte(g, 0xbd);
        if (t == V) byte(g, 0xfd), byte(g, 0x1d), byte(g, fuzz_below(2)); // i64x2.extract_lane
    } else if (f->result != TYPES) {
        expr(g, (enum type)f->result, 5);
    }
    byte(g, 0x0b);
    finish(g, at);
}

// for (i = 0; i < 64 KiB; i += 8) h = (h ^ load(i)) · prime; then the globals.
static void hash_body(struct gen *g) {
    static const uint8_t code[] = {
        2,    1,    0x7f, 1,    0x7e, // i, h
        0x03, 0x40,                   // loop
        0x20, 1,    0x20, 0,    0x29, 3,    0,    0x85, 0x42, 0xb3, 0x83, 0x80, 0x80,
        0x80, 0x20, 0x7e, 0x21, 1,    0x20, 0,    0x41, 8,    0x6a, 0x22, 0,    0x41,
        0x80, 0x80, 4,    0x49, 0x0d, 0,    0x0b,                                     //
        0x20, 1,    0x23, 0,    0xad, 0x85, 0x23, 1,    0xad, 0x85, 0x23, 2,    0x85, //
        0x23, 3,    0xbc, 0xad, 0x85, 0x23, 4,    0xbd, 0x85, 0x3f, 0,    0xad, 0x85, //
        0x23, 5,    0xfd, 0x1d, 0,    0x85, 0x23, 5,    0xfd, 0x1d, 1,    0x85, 0x0b};
    uint8_t *at = begin(g, 0);
    bytes(g, code, sizeof code);
    finish(g, at);
}

static void types_and_functions(struct gen *g, unsigned exports) {
    uint8_t *at = begin(g, 1);
    unsigned all = g->funcs + exports + 1;
    leb(g, all);
    for (unsigned i = 0; i < all; i++) {
        struct func none = {.result = L}, *f = i < g->funcs ? &g->func[i] : &none;
        byte(g, 0x60), leb(g, f->params);
        for (unsigned k = 0; k < f->params; k++) byte(g, type_bytes[f->param[k]]);
        leb(g, f->result != TYPES);
        if (f->result != TYPES) byte(g, type_bytes[f->result]);
    }
    finish(g, at);
    at = begin(g, 3);
    leb(g, all);
    for (unsigned i = 0; i < all; i++) leb(g, i);
    finish(g, at);
}

static void globals(struct gen *g) {
    uint8_t *at = begin(g, 6);
    leb(g, 1 + TYPES);
    byte(g, 0x7f), byte(g, 1), byte(g, 0x41), sleb(g, 3000), byte(g, 0x0b);
    for (unsigned t = 0; t < TYPES; t++) {
        byte(g, type_bytes[t]), byte(g, 1);
        constant(g, (enum type)t);
        byte(g, 0x0b);
    }
    finish(g, at);
}

static void export_section(struct gen *g, unsigned exports) {
    uint8_t *at = begin(g, 7);
    leb(g, exports + 1);
    for (unsigned i = 0; i < exports; i++) {
        leb(g, 2), byte(g, 'r'), byte(g, '0' + i);
        byte(g, 0), leb(g, g->funcs + i);
    }
    leb(g, 1), byte(g, 'h'), byte(g, 0), leb(g, g->funcs + exports);
    finish(g, at);
}

size_t wgen_module(uint8_t out[WGEN_MAX], unsigned *out_exports) {
    struct gen g = {.p = out, .end = out + WGEN_MAX};
    read_table();
    bytes(&g, "\0asm\1\0\0\0", 8);
    unsigned exports = 1 + fuzz_below(EXPORTS);
    g.funcs = 1 + fuzz_below(FUNCS);
    for (unsigned i = 0; i < g.funcs; i++) {
        struct func *f = &g.func[i];
        f->params = (uint8_t)fuzz_below(fuzz_one_in(4) ? PARAMS + 1 : 4);
        for (unsigned k = 0; k < f->params; k++) f->param[k] = (uint8_t)fuzz_below(TYPES);
        f->result = (uint8_t)fuzz_below(TYPES + 1);
    }
    types_and_functions(&g, exports);
    uint8_t *at = begin(&g, 4); // table of ROWS
    leb(&g, 1), byte(&g, 0x70), byte(&g, 0), leb(&g, ROWS), finish(&g, at);
    at = begin(&g, 5); // memory
    leb(&g, 1), byte(&g, 1), leb(&g, 1), leb(&g, 2), finish(&g, at);
    globals(&g);
    export_section(&g, exports);
    at = begin(&g, 9); // elements: each function at its index
    leb(&g, 1), leb(&g, 0), byte(&g, 0x41), sleb(&g, 0), byte(&g, 0x0b), leb(&g, g.funcs);
    for (unsigned i = 0; i < g.funcs; i++) leb(&g, i);
    finish(&g, at);
    at = begin(&g, 12); // one data segment follows
    leb(&g, 1), finish(&g, at);
    at = begin(&g, 10);
    leb(&g, g.funcs + exports + 1);
    for (unsigned i = 0; i < g.funcs + exports; i++) body(&g, i, i >= g.funcs);
    hash_body(&g);
    finish(&g, at);
    at = begin(&g, 11); // a passive one
    leb(&g, 1), leb(&g, 1), leb(&g, 32);
    for (unsigned i = 0; i < 4; i++) bytes(&g, &(uint64_t){fuzz_noise()}, 8);
    finish(&g, at);
    *out_exports = exports;
    return g.p < g.end ? (size_t)(g.p - out) : 0;
}
