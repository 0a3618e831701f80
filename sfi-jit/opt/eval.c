// eval.c — opt_eval(): integer operators on constants, as WebAssembly 4.3.2 defines them. No floating point: the compiler also runs
// where the FPU may not be touched.
#include "sfi-jit/opt/opt.h"

bool opt_can_eval(enum ir_op op, uint8_t operand_type) {
    if (operand_type != IR_I32 && operand_type != IR_I64) return false;
    switch (op) {
    case IR_DIVS:
    case IR_DIVU:
    case IR_REMS:
    case IR_REMU:
    case IR_SELECT: return false;
    default: return op >= IR_ADD && op <= IR_GEU;
    }
}

static int64_t extend(uint64_t v, unsigned bits) {
    return (int64_t)(v << (64 - bits)) >> (64 - bits);
}

static uint64_t compare(enum ir_op op, uint64_t a, uint64_t b, unsigned width) {
    int64_t sa = extend(a, width), sb = extend(b, width);
    switch (op) {
    case IR_EQ: return a == b;
    case IR_NE: return a != b;
    case IR_LTS: return sa < sb;
    case IR_LTU: return a < b;
    case IR_GTS: return sa > sb;
    case IR_GTU: return a > b;
    case IR_LES: return sa <= sb;
    case IR_LEU: return a <= b;
    case IR_GES: return sa >= sb;
    default: return a >= b;
    }
}

static uint64_t bits(enum ir_op op, uint64_t a, unsigned width) {
    switch (op) {
    case IR_CLZ: return a ? (uint64_t)__builtin_clzll(a) - (64 - width) : width;
    case IR_CTZ: return a ? (uint64_t)__builtin_ctzll(a) : width;
    default: {
        uint64_t n = 0;
        for (; a; a &= a - 1) n++;
        return n;
    }
    }
}

static uint64_t rotate_left(uint64_t a, unsigned n, unsigned width) {
    n &= width - 1;
    return n ? a << n | a >> (width - n) : a;
}

uint64_t opt_eval(enum ir_op op, uint8_t type, uint8_t operand_type, uint64_t a, uint64_t b) {
    unsigned width = operand_type == IR_I32 ? 32 : 64, count = (unsigned)b & (width - 1);
    uint64_t mask = type == IR_I32 ? UINT32_MAX : UINT64_MAX;
    switch (op) {
    case IR_ADD: return (a + b) & mask;
    case IR_SUB: return (a - b) & mask;
    case IR_MUL: return (a * b) & mask;
    case IR_MULHU: return (uint64_t)((unsigned __int128)a * b >> 64);
    case IR_MULHS: return (uint64_t)((__int128)(int64_t)a * (int64_t)b >> 64);
    case IR_AND: return a & b;
    case IR_OR: return a | b;
    case IR_XOR: return a ^ b;
    case IR_SHL: return a << count & mask;
    case IR_SHRS: return (uint64_t)(extend(a, width) >> count) & mask;
    case IR_SHRU: return a >> count;
    case IR_ROTL: return rotate_left(a, count, width) & mask;
    case IR_ROTR: return rotate_left(a, width - count, width) & mask;
    case IR_CLZ:
    case IR_CTZ:
    case IR_POPCNT: return bits(op, a, width);
    case IR_BSWAP: return width == 32 ? __builtin_bswap32((uint32_t)a) : __builtin_bswap64(a);
    case IR_SEXT8: return (uint64_t)extend(a, 8) & mask;
    case IR_SEXT16: return (uint64_t)extend(a, 16) & mask;
    case IR_SEXT32:
    case IR_EXTS: return (uint64_t)extend(a, 32) & mask;
    case IR_WRAP:
    case IR_EXTU: return a & UINT32_MAX;
    default: return compare(op, a, b, width);
    }
}
