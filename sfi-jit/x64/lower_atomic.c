// lower_atomic.c — atomic accesses: sequentially consistent, as all of WebAssembly's are.
//
// On x86 an aligned load is one already, and a store is if it is an exchange (SDM volume 3, 9.2); read-modify-writes are locked
// instructions. An address that is not a multiple of the width traps before anything is touched. What these instructions leave in a
// register's upper part is not the value's: each result is zero-extended from its width.
#include "sfi-jit/x64/lower.h"

static uint8_t width(const struct ir_ins *i, uint8_t type) {
    static const uint8_t bytes[] = {[IR_MEM_8U] = 1, [IR_MEM_16U] = 2, [IR_MEM_32U] = 4};
    return i->aux == IR_MEM_FULL ? x64_size(type) : bytes[i->aux];
}

// The memory operand, once it is known to be aligned.
static struct x64_src aligned_address(struct x64_lower *l, const struct ir_ins *i, uint8_t size) {
    uint32_t offset = (uint32_t)i->imm;
    if (size > 1) {
        uint32_t v = x64_use(l, i->a);
        if (offset % size) {
            uint32_t sum = x64_new_vreg(l, IR_I32);
            struct x64_insn *lea = x64_new(l, MOP_LEA, 4);
            lea->mem = XM_BASE;
            lea->disp = (int32_t)offset; // modulo 2³², which changes no low bit
            x64_out(l, sum);
            x64_in(l, v);
            v = sum;
        }
        struct x64_insn *test = x64_new(l, MOP_TEST, 4);
        test->has_imm = true;
        test->imm = size - 1u;
        x64_in(l, v);
        x64_trap_if(l, CC_NE, SFI_TRAP_UNALIGNED);
    }
    return x64_address(l, i);
}

// r = v, zero-extended from `size` bytes.
static void extended(struct x64_lower *l, ir_ref r, uint32_t v, uint8_t size) {
    x64_new(l,
            size == 1   ? MOP_MOVZX8
            : size == 2 ? MOP_MOVZX16
            : size == 4 ? MOP_MOV32
                        : MOP_COPY,
            size == 8 ? 8 : 4);
    x64_out(l, x64_vreg_of(l, r));
    x64_in(l, v);
}

static void lower_load(struct x64_lower *l, ir_ref r) {
    static const uint8_t op[] = {[1] = MOP_MOVZX8, [2] = MOP_MOVZX16, [4] = MOP_MOV, [8] = MOP_MOV};
    const struct ir_ins *i = x64_ins(l, r);
    uint8_t size = width(i, i->type);
    struct x64_src from = aligned_address(l, i, size);
    x64_new(l, op[size], size == 8 ? 8 : 4);
    x64_out(l, x64_vreg_of(l, r));
    x64_in_src(l, &from);
}

// xchg, xadd: the value goes in and the old one comes out in the same register.
static void exchange(struct x64_lower *l, ir_ref r, enum x64_mop op, uint32_t value, uint8_t size,
                     const struct x64_src *mem, bool wanted) {
    uint32_t old = x64_new_vreg(l, size == 8 ? IR_I64 : IR_I32);
    x64_new(l, op, size);
    x64_out_reuse(l, old);
    x64_in(l, value);
    x64_in_src(l, mem);
    if (wanted) extended(l, r, old, size);
}

static uint32_t negative(struct x64_lower *l, uint32_t value, uint8_t type) {
    uint32_t v = x64_new_vreg(l, type);
    x64_new(l, MOP_NEG, x64_size(type));
    x64_out_reuse(l, v);
    x64_in(l, value);
    return v;
}

static void lower_cmpxchg(struct x64_lower *l, ir_ref r) {
    const struct ir_ins *i = x64_ins(l, r);
    uint8_t size = width(i, i->type);
    uint32_t expected = x64_use(l, i->b), replacement = x64_use(l, i->c);
    struct x64_src mem = aligned_address(l, i, size);
    uint32_t old = x64_new_vreg(l, size == 8 ? IR_I64 : IR_I32);
    x64_new(l, MOP_CMPXCHG, size);
    x64_out_fixed(l, old, RAX);
    x64_in_fixed(l, expected, RAX);
    x64_in(l, replacement);
    x64_in_src(l, &mem);
    x64_clobber(l, 1u << RAX);
    extended(l, r, old, size);
}

void x64_lower_atomic(struct x64_lower *l, ir_ref r) {
    const struct ir_ins *i = x64_ins(l, r);
    if (i->op == IR_ATOMIC_LOAD) {
        lower_load(l, r);
        return;
    }
    if (i->op == IR_ATOMIC_CMPXCHG) {
        lower_cmpxchg(l, r);
        return;
    }
    uint8_t type = x64_ins(l, i->b)->type, size = width(i, type);
    uint32_t value = x64_use(l, i->b);
    if (i->op == IR_ATOMIC_SUB) value = negative(l, value, type);
    struct x64_src mem = aligned_address(l, i, size);
    switch (i->op) {
    case IR_ATOMIC_STORE: exchange(l, r, MOP_XCHG, value, size, &mem, false); break;
    case IR_ATOMIC_XCHG: exchange(l, r, MOP_XCHG, value, size, &mem, true); break;
    case IR_ATOMIC_ADD:
    case IR_ATOMIC_SUB: exchange(l, r, MOP_XADD, value, size, &mem, true); break;
    default: // lock and, or, xor
        x64_new(l,
                i->op == IR_ATOMIC_AND  ? MOP_LOCKAND
                : i->op == IR_ATOMIC_OR ? MOP_LOCKOR
                                        : MOP_LOCKXOR,
                size);
        x64_in(l, value);
        x64_in_src(l, &mem);
    }
}
