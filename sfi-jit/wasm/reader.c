// reader.c — see reader.h. LEB128 by spec 5.2.2: at most ⌈N/7⌉ bytes, and the last one's unused bits are zero (unsigned)
// or copies of the sign (signed).
#include "sfi-jit/wasm/reader.h"
#include "sfi-jit/ir/ir.h"

#define TYPE__ 0
#define TYPE_i WASM_I32
#define TYPE_l WASM_I64
#define TYPE_f WASM_F32
#define TYPE_d WASM_F64
#define TYPE_v WASM_V128
#define TYPE_r WASM_FUNCREF
#define TYPE_t WASM_TYPE_OF_TABLE
#define MEM(width, align) (IR_MEM_##width | (align) << 4)
const struct wasm_op_info wasm_op_info[WASM_OPS] = {
#define X(code, name, text, imm, a, b, c, r, ir, aux) \
    [code] = {text,                                   \
              WASM_IMM_##imm,                         \
              IR_##ir,                                \
              aux,                                    \
              !!TYPE_##a + !!TYPE_##b + !!TYPE_##c,   \
              {TYPE_##a, TYPE_##b, TYPE_##c},         \
              TYPE_##r},
#include "sfi-jit/wasm/ops.def"
#undef X
};

_Noreturn void wasm_fail_at(const struct wasm_reader *r, enum jit_status status, const uint8_t *at,
                            const char *message) {
    jit_fail(r->arena, status, (uint32_t)(at - r->base), r->func, message);
}

_Noreturn void wasm_fail(const struct wasm_reader *r, enum jit_status status, const char *message) {
    wasm_fail_at(r, status, r->p, message);
}

uint64_t wasm_leb_unsigned(struct wasm_reader *r, uint32_t bits) {
    const uint8_t *start = r->p;
    uint64_t value = 0;
    for (uint32_t shift = 0;; shift += 7) {
        uint8_t b = wasm_byte(r);
        if (shift + 7 > bits) { // the last byte there may be
            if (b & 0x80)
                wasm_fail_at(r, JIT_ERR_MALFORMED, start, "integer representation too long");
            if (b >> (bits - shift)) wasm_fail_at(r, JIT_ERR_MALFORMED, start, "integer too large");
        }
        value |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80)) return value;
    }
}

int64_t wasm_leb_signed(struct wasm_reader *r, uint32_t bits) {
    const uint8_t *start = r->p;
    uint64_t value = 0;
    for (uint32_t shift = 0;; shift += 7) {
        uint8_t b = wasm_byte(r);
        if (shift + 7 > bits) {
            if (b & 0x80)
                wasm_fail_at(r, JIT_ERR_MALFORMED, start, "integer representation too long");
            // From the value's sign bit upwards all seven bits are alike.
            uint32_t high = (b & 0x7fu) >> (bits - shift - 1);
            if (high != 0 && high != 0x7fu >> (bits - shift - 1))
                wasm_fail_at(r, JIT_ERR_MALFORMED, start, "integer too large");
        }
        value |= (uint64_t)(b & 0x7f) << shift;
        if (b & 0x80) continue;
        if (b & 0x40 && shift + 7 < 64) value |= ~0ull << (shift + 7);
        return (int64_t)value;
    }
}

uint32_t wasm_opcode_prefixed(struct wasm_reader *r, uint32_t prefix) {
    static const struct {
        uint16_t prefix, first, count;
    } page[] = {{0xfc, 0x100, 0x20}, {0xfd, WASM_OP_SIMD, 0x100}, {0xfe, 0x120, 0x60}};
    const uint8_t *start = r->p - 1;
    for (uint32_t k = 0; k < sizeof page / sizeof *page; k++) {
        if (prefix != page[k].prefix) continue;
        uint32_t number = wasm_u32(r);
        if (number < page[k].count && wasm_op_info[page[k].first + number].text)
            return page[k].first + number;
        if (prefix == 0xfd && number >= 0x100 && number <= 0x12f)
            wasm_fail_at(r, JIT_ERR_UNSUPPORTED, start, "relaxed SIMD is not supported");
    }
    wasm_fail_at(r, JIT_ERR_MALFORMED, start, "illegal opcode");
}

static bool is_ref(uint8_t type) { return type == WASM_FUNCREF || type == WASM_EXTERNREF; }

uint8_t wasm_value_type(struct wasm_reader *r) {
    uint8_t type = wasm_byte(r);
    if ((type >= WASM_V128 && type <= WASM_I32) || is_ref(type)) return type;
    r->p--;
    if (type & 0x80) wasm_fail(r, JIT_ERR_MALFORMED, "integer representation too long");
    wasm_fail(r, JIT_ERR_MALFORMED, "malformed value type");
}

uint8_t wasm_ref_type(struct wasm_reader *r) {
    uint8_t type = wasm_byte(r);
    if (is_ref(type)) return type;
    r->p--;
    wasm_fail(r, JIT_ERR_MALFORMED, "malformed reference type");
}

int64_t wasm_block_type(struct wasm_reader *r) {
    const uint8_t *start = r->p;
    int64_t type = wasm_s33(r);
    if (type >= 0 || type == -1 - (0x7f - WASM_NO_RESULT))
        return type >= 0 ? type : -1 - WASM_NO_RESULT;
    r->p = start; // a value type, which is one byte
    return -1 - (int64_t)wasm_value_type(r);
}

void wasm_skip_immediate(struct wasm_reader *r, uint32_t imm) {
    switch ((enum wasm_imm)imm) {
    case WASM_IMM_NONE: break;
    case WASM_IMM_BLOCK: wasm_block_type(r); break;
    case WASM_IMM_LABELS:
    case WASM_IMM_TYPES:
        for (uint32_t n = wasm_u32(r) + (imm == WASM_IMM_LABELS); n; n--) wasm_u32(r);
        break;
    case WASM_IMM_TYPE_TABLE:
    case WASM_IMM_MEMARG:
    case WASM_IMM_ATOMIC:
    case WASM_IMM_ATOMIC4:
    case WASM_IMM_ATOMIC8:
    case WASM_IMM_MEMORY_MEMORY:
    case WASM_IMM_DATA_MEMORY:
    case WASM_IMM_ELEM_TABLE:
    case WASM_IMM_TABLE_TABLE:
        wasm_u32(r);
        wasm_u32(r);
        break;
    case WASM_IMM_LABEL:
    case WASM_IMM_FUNC:
    case WASM_IMM_REF_FUNC:
    case WASM_IMM_LOCAL:
    case WASM_IMM_GLOBAL:
    case WASM_IMM_TABLE:
    case WASM_IMM_MEMORY:
    case WASM_IMM_DATA:
    case WASM_IMM_ELEM:
    case WASM_IMM_REFTYPE:
    case WASM_IMM_ZERO: wasm_u32(r); break;
    case WASM_IMM_I32: wasm_s32(r); break;
    case WASM_IMM_I64: wasm_s64(r); break;
    case WASM_IMM_F32: wasm_fixed(r, 4); break;
    case WASM_IMM_F64: wasm_fixed(r, 8); break;
    case WASM_IMM_V128:
    case WASM_IMM_SHUFFLE:
        wasm_fixed(r, 8);
        wasm_fixed(r, 8);
        break;
    case WASM_IMM_LANE: wasm_byte(r); break;
    case WASM_IMM_MEMARG_LANE:
        wasm_u32(r);
        wasm_u32(r);
        wasm_byte(r);
        break;
    }
}
