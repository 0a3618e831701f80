// lower_mem.c — memory, globals and the context's words.
//
// An access is [r15 + index + offset] with a clean index; WebAssembly's index + offset does not wrap, and neither does that sum, whose
// end lies in the slot's guard. Offsets of 2³¹ and more do not fit a displacement: they are added in 32 bits, and a carry traps.
#include "sfi-jit/x64/lower.h"

#define DISP_MAX INT32_MAX

static struct x64_src memory(uint8_t kind, uint32_t vreg, int32_t disp, uint32_t wasm) {
    return (struct x64_src){.kind = SRC_MEM, .vreg = vreg, .mem = kind, .disp = disp, .wasm = wasm};
}

static struct x64_src context(uint32_t distance) {
    return memory(XM_CTX, 0, -(int32_t)distance, 0);
}

struct x64_src x64_address(struct x64_lower *l, const struct ir_ins *i) {
    return x64_address_at(l, i->a, (uint32_t)i->imm, i->wasm); // of lanes: their number above
}

struct x64_src x64_address_at(struct x64_lower *l, ir_ref a, uint64_t offset, uint32_t wasm) {
    uint64_t bits;
    if (x64_is_const(l, a, &bits)) {
        uint64_t address = (uint32_t)bits + offset;
        if (address <= DISP_MAX) return memory(XM_ABS, 0, (int32_t)address, wasm);
        // Beyond the window there is only guard: how far beyond does not matter.
        uint64_t base = address <= UINT32_MAX ? address : UINT32_MAX;
        uint64_t rest = address - base <= DISP_MAX ? address - base : DISP_MAX;
        return memory(XM_INDEX, x64_imm(l, IR_I32, base), (int32_t)rest, wasm);
    }
    uint32_t index = x64_vreg_of(l, a);
    if (offset <= DISP_MAX) return memory(XM_INDEX, index, (int32_t)offset, wasm);
    uint32_t sum = x64_new_vreg(l, IR_I32);
    struct x64_insn *add = x64_new(l, MOP_ADD, 4);
    add->has_imm = true;
    add->imm = (uint64_t)(int64_t)(int32_t)offset;
    x64_out_reuse(l, sum);
    x64_in(l, index);
    x64_trap_if(l, CC_B, SFI_TRAP_MEMORY);
    return memory(XM_INDEX, sum, 0, wasm);
}

static void lower_load(struct x64_lower *l, ir_ref r) {
    static const uint8_t op[] = {
        [IR_MEM_8S] = MOP_MOVSX8,   [IR_MEM_8U] = MOP_MOVZX8,  [IR_MEM_16S] = MOP_MOVSX16,
        [IR_MEM_16U] = MOP_MOVZX16, [IR_MEM_32S] = MOP_MOVSXD, [IR_MEM_32U] = MOP_MOV,
        [IR_MEM_FULL] = MOP_MOV};
    const struct ir_ins *i = x64_ins(l, r);
    struct x64_src from = x64_address(l, i);
    uint8_t size = x64_size(i->type);
    if (i->aux == IR_MEM_8U || i->aux == IR_MEM_16U || i->aux == IR_MEM_32U)
        size = 4; // zeroes the rest
    struct x64_insn *n = x64_new(l, x64_is_float(i->type) ? MOP_FLOAD : op[i->aux], size);
    n->fsize = size;
    // A load whose value nobody wants is made all the same: it may trap, or be a device's register.
    x64_out(l, x64_vreg_of(l, r));
    x64_in_src(l, &from);
}

static void store(struct x64_lower *l, ir_ref value, const struct x64_src *to, uint8_t size) {
    uint8_t type = x64_ins(l, value)->type;
    uint64_t bits;
    bool is_const = x64_is_const(l, value, &bits);
    if (is_const && type == IR_F32) bits = (uint64_t)(int64_t)(int32_t)bits;
    if (is_const && type != IR_V128 && (size < 8 || x64_fits32(bits))) {
        struct x64_insn *n = x64_new(l, MOP_STORE, size);
        n->has_imm = true;
        n->imm = bits;
    } else {
        uint32_t v = x64_use(l, value);
        x64_new(l, x64_is_float(type) ? MOP_FSTORE : MOP_STORE, size)->fsize = size;
        x64_in(l, v);
    }
    x64_in_src(l, to);
}

// The low `size` bytes of bits, sign-extended.
static uint64_t sign_extended(uint64_t bits, uint8_t size) {
    unsigned rest = 64 - 8u * size;
    return (uint64_t)((int64_t)(bits << rest) >> rest);
}

// The load whose place the value `v` is stored to traps as itself: the accesses are two still.
static void update(struct x64_lower *l, ir_ref v, uint8_t size) {
    const struct ir_ins *i = x64_ins(l, v);
    bool right = l->fold[v] & FOLD_RM_B;
    ir_ref load = right ? i->b : i->a, other = right ? i->a : i->b;
    enum x64_mop op = i->op == IR_ADD   ? MOP_ADDTO
                      : i->op == IR_SUB ? MOP_SUBTO
                      : i->op == IR_AND ? MOP_ANDTO
                      : i->op == IR_OR  ? MOP_ORTO
                                        : MOP_XORTO;
    struct x64_src to = x64_address(l, x64_ins(l, load));
    uint64_t bits;
    bool is_const = x64_is_const(l, other, &bits);
    if (is_const) bits = sign_extended(bits, size);
    if (is_const && x64_fits32(bits)) {
        struct x64_insn *n = x64_new(l, op, size);
        n->has_imm = true;
        n->imm = bits;
    } else {
        uint32_t value = x64_use(l, other);
        x64_new(l, op, size);
        x64_in(l, value);
    }
    x64_in_src(l, &to);
}

static void lower_store(struct x64_lower *l, ir_ref r) {
    const struct ir_ins *i = x64_ins(l, r);
    uint8_t size = x64_access_size(l, i);
    if (l->fold[r] & FOLD_RM_B) {
        update(l, i->b, size);
        return;
    }
    struct x64_src to = x64_address(l, i);
    store(l, i->b, &to, size);
}

static void load_context(struct x64_lower *l, ir_ref r, uint32_t distance) {
    uint8_t type = x64_ins(l, r)->type, size = x64_size(type);
    struct x64_src from = context(distance);
    x64_new(l, x64_is_float(type) ? MOP_FLOAD : MOP_MOV, size)->fsize = size;
    x64_out(l, x64_vreg_of(l, r));
    x64_in_src(l, &from);
}

void x64_lower_memory(struct x64_lower *l, ir_ref r) {
    const struct ir_ins *i = x64_ins(l, r);
    switch (i->op) {
    case IR_LOAD: lower_load(l, r); break;
    case IR_STORE: lower_store(l, r); break;
    case IR_MEMSIZE: load_context(l, r, SFI_CTX_MEM_PAGES); break;
    case IR_TABLE_LEN: load_context(l, r, SFI_CTX_TABLE_LEN(i->imm)); break;
    case IR_GLOBAL_GET: load_context(l, r, SFI_CTX_GLOBAL((uint32_t)i->imm)); break;
    case IR_GLOBAL_SET: {
        struct x64_src to = context(SFI_CTX_GLOBAL((uint32_t)i->imm));
        store(l, i->a, &to, x64_size(x64_ins(l, i->a)->type));
        break;
    }
    }
}
