// reader.h — reading a WebAssembly binary: bytes, LEB128 numbers, opcodes and their immediates (spec 5.2, 5.4).
//
// A reader never leaves [p, end): whatever is malformed ends in wasm_fail(), which does not return. Shared by decode.c,
// validate.c and ir/build.c, so that what one has accepted the next cannot read differently. Private to the compiler.
#ifndef WASM_READER_H
#define WASM_READER_H
#include "sfi-jit/lib.h"
#include "sfi-jit/wasm/module.h"

struct wasm_reader {
    struct jit_arena *arena;
    const uint8_t *base, *p, *end; // offsets count from base
    uint32_t func;                 // for errors: function index, UINT32_MAX outside of any
};

// What follows an opcode. MEMORY is a zero byte until there are several memories.
enum wasm_imm {
    WASM_IMM_NONE,
    WASM_IMM_BLOCK,  // block type
    WASM_IMM_LABEL,  // depth
    WASM_IMM_LABELS, // vector of depths, then the default
    WASM_IMM_FUNC,
    WASM_IMM_REF_FUNC,   // a function that may be referred to
    WASM_IMM_TYPE_TABLE, // type index, table index
    WASM_IMM_TYPES,      // vector of value types
    WASM_IMM_LOCAL,
    WASM_IMM_GLOBAL,
    WASM_IMM_TABLE,
    WASM_IMM_MEMARG, // log2 alignment, offset
    WASM_IMM_MEMORY,
    WASM_IMM_MEMORY_MEMORY,
    WASM_IMM_DATA_MEMORY,
    WASM_IMM_DATA,
    WASM_IMM_ELEM_TABLE,
    WASM_IMM_TABLE_TABLE,
    WASM_IMM_ELEM,
    WASM_IMM_I32,
    WASM_IMM_I64,
    WASM_IMM_F32,
    WASM_IMM_F64,
    WASM_IMM_REFTYPE,
    WASM_IMM_ZERO,    // a reserved zero byte
    WASM_IMM_V128,    // 16 bytes
    WASM_IMM_SHUFFLE, // 16 lane numbers below 32
    WASM_IMM_LANE,    // a byte, below the row's aux
    WASM_IMM_MEMARG_LANE,
    WASM_IMM_ATOMIC,  // MEMARG, of an atomic access: the alignment is the natural one
    WASM_IMM_ATOMIC4, // of 4 and 8 bytes, for built-ins
    WASM_IMM_ATOMIC8,
};

enum wasm_op {
#define X(code, name, text, imm, a, b, c, r, ir, aux) WASM_OP_##name = code,
#include "sfi-jit/wasm/ops.def"
#undef X
    WASM_OP_SIMD = 0x200, // the first number of prefix 0xfd
    WASM_OPS = 0x300,
};
#define WASM_TYPE_OF_TABLE 1 // in wasm_op_info: the type of the table that the immediate names
struct wasm_op_info {
    const char *text; // NULL: no such instruction
    uint8_t imm, ir, aux;
    uint8_t operands, operand[3], result; // enum wasm_type, 0 = none
};
extern const struct wasm_op_info wasm_op_info[WASM_OPS];

_Noreturn void wasm_fail_at(const struct wasm_reader *r, enum jit_status status, const uint8_t *at,
                            const char *message);
_Noreturn void wasm_fail(const struct wasm_reader *r, enum jit_status status, const char *message);
// The parts of the functions below that are rarely needed.
uint64_t wasm_leb_unsigned(struct wasm_reader *r, uint32_t bits);
int64_t wasm_leb_signed(struct wasm_reader *r, uint32_t bits);
uint32_t wasm_opcode_prefixed(struct wasm_reader *r, uint32_t prefix);

static inline uint32_t wasm_offset(const struct wasm_reader *r) {
    return (uint32_t)(r->p - r->base);
}

static inline uint32_t wasm_left(const struct wasm_reader *r) { return (uint32_t)(r->end - r->p); }

static inline uint8_t wasm_byte(struct wasm_reader *r) {
    if (r->p == r->end) wasm_fail(r, JIT_ERR_MALFORMED, "unexpected end of section or function");
    return *r->p++;
}

static inline uint32_t wasm_u32(struct wasm_reader *r) {
    if (r->p < r->end && *r->p < 0x80) return *r->p++;
    return (uint32_t)wasm_leb_unsigned(r, 32);
}

static inline int32_t wasm_s32(struct wasm_reader *r) {
    if (r->p < r->end && *r->p < 0x80) return (int32_t)((uint32_t)*r->p++ << 25) >> 25;
    return (int32_t)wasm_leb_signed(r, 32);
}

static inline int64_t wasm_s33(struct wasm_reader *r) {
    if (r->p < r->end && *r->p < 0x80) return (int32_t)((uint32_t)*r->p++ << 25) >> 25;
    return wasm_leb_signed(r, 33);
}

static inline int64_t wasm_s64(struct wasm_reader *r) { return wasm_leb_signed(r, 64); }

// Little-endian, of 4 or 8 bytes.
static inline uint64_t wasm_fixed(struct wasm_reader *r, uint32_t bytes) {
    if (wasm_left(r) < bytes)
        wasm_fail_at(r, JIT_ERR_MALFORMED, r->end, "unexpected end of section or function");
    uint64_t value = 0;
    for (uint32_t i = 0; i < bytes; i++) value |= (uint64_t)r->p[i] << 8 * i;
    r->p += bytes;
    return value;
}

// Index into wasm_op_info of the next instruction, which is one that exists.
static inline uint32_t wasm_opcode(struct wasm_reader *r) {
    uint32_t op = wasm_byte(r);
    return wasm_op_info[op].text ? op : wasm_opcode_prefixed(r, op);
}

// A value type, a reference type (spec 5.3.1–5.3.4).
uint8_t wasm_value_type(struct wasm_reader *r);
uint8_t wasm_ref_type(struct wasm_reader *r);
// A block type (spec 5.4.1): index into the types, or −1 − enum wasm_type for one result, or −1 − WASM_NO_RESULT.
#define WASM_NO_RESULT 0x40
int64_t wasm_block_type(struct wasm_reader *r);
// Passes over the immediates of an instruction, looking at their form only.
void wasm_skip_immediate(struct wasm_reader *r, uint32_t imm);

// ---- validate.c -----------------------------------------------------------------------------------------------------------
// Validates all bodies (spec 3.3, 3.4.3). data_count: the data count section is there, as memory.init and data.drop demand.
void wasm_validate_bodies(struct jit_arena *a, struct wasm_module *m, bool data_count);
// ---- names.c --------------------------------------------------------------------------------------------------------------
void wasm_parse_names(struct wasm_module *m, uint32_t start, uint32_t size);
bool wasm_is_utf8(const uint8_t *text, uint32_t length);
#endif
