// lower_bulk.c — memory.copy and memory.fill of a few bytes, a constant number: done in place, without a call.
//
// WebAssembly wants all or nothing: if a byte of either range lies outside, nothing is written (spec 4.4.7). Loads write nothing, so all of
// them come first, which also makes overlaps right. Then the last bytes are stored, and only then the others: memory is contiguous from
// 0, so where the last byte lies inside, all do; and a store that crosses the memory's end faults as a whole. Accesses behind
// 4 GiB end in the guard, as any access does.
// The pieces are as wide as possible, and the last one overlaps the one before.
#include "sfi-jit/lib.h"
#include "sfi-jit/sfi.h"
#include "sfi-jit/x64/lower.h"

#define COPY_MAX 64u  // bytes: four vector registers
#define FILL_MAX 128u // bytes: one register, many stores
#define PIECES_MAX (FILL_MAX / 16)

struct pieces {
    uint32_t size, count; // all of one size
    uint32_t offset[PIECES_MAX + 1];
};

static struct pieces cut(uint32_t n) {
    struct pieces p = {.size = n >= 16 ? 16 : n >= 8 ? 8 : n >= 4 ? 4 : n >= 2 ? 2 : 1};
    uint32_t at = 0;
    for (; at + p.size <= n; at += p.size) p.offset[p.count++] = at;
    if (at < n) p.offset[p.count++] = n - p.size;
    return p;
}

bool x64_is_short_bulk(const struct x64_lower *l, const struct ir_ins *i) {
    if (i->op != IR_CALL_BUILTIN) return false;
    const ir_ref *arg = l->f->pool + i->a;
    uint64_t n, value;
    if (i->imm == SFI_BI_MEMORY_COPY) return x64_is_const(l, arg[2], &n) && n >= 1 && n <= COPY_MAX;
    return i->imm == SFI_BI_MEMORY_FILL && x64_is_const(l, arg[2], &n) && n >= 1 && n <= FILL_MAX &&
           x64_is_const(l, arg[1], &value);
}

static uint8_t type_of(uint32_t size) { return size == 16 ? IR_V128 : size == 8 ? IR_I64 : IR_I32; }

static uint32_t load(struct x64_lower *l, ir_ref address, uint32_t offset, uint32_t size,
                     uint32_t wasm) {
    struct x64_src from = x64_address_at(l, address, offset, wasm);
    uint8_t bytes = size < 4 ? 4 : (uint8_t)size;
    enum x64_mop op = size == 16  ? MOP_FLOAD
                      : size == 2 ? MOP_MOVZX16
                      : size == 1 ? MOP_MOVZX8
                                  : MOP_MOV;
    uint32_t v = x64_new_vreg(l, type_of(size));
    x64_new(l, op, bytes)->fsize = bytes;
    x64_out(l, v);
    x64_in_src(l, &from);
    return v;
}

static void store(struct x64_lower *l, uint32_t vreg, ir_ref address, uint32_t offset,
                  uint32_t size, uint32_t wasm) {
    struct x64_src to = x64_address_at(l, address, offset, wasm);
    x64_new(l, size == 16 ? MOP_FSTORE : MOP_STORE, (uint8_t)size)->fsize = (uint8_t)size;
    x64_in(l, vreg);
    x64_in_src(l, &to);
}

static uint32_t filling(struct x64_lower *l, uint64_t value, uint32_t size) {
    uint64_t bytes = (value & 0xff) * 0x0101010101010101;
    if (size == 16) return x64_imm_vector(l, bytes, bytes);
    return x64_imm(l, type_of(size), bytes);
}

void x64_lower_bulk(struct x64_lower *l, ir_ref r) {
    const struct ir_ins *i = x64_ins(l, r);
    const ir_ref *arg = l->f->pool + i->a;
    bool copy = i->imm == SFI_BI_MEMORY_COPY;
    uint32_t wasm = i->wasm, vreg[PIECES_MAX + 1];
    uint64_t n = 0, value = 0;
    x64_is_const(l, arg[2], &n);
    if (!copy) x64_is_const(l, arg[1], &value);
    struct pieces p = cut((uint32_t)n);
    uint32_t fill = copy ? 0 : filling(l, value, p.size);
    for (uint32_t k = 0; k < p.count; k++)
        vreg[k] = copy ? load(l, arg[1], p.offset[k], p.size, wasm) : fill;
    uint32_t last = p.count - 1;
    store(l, vreg[last], arg[0], p.offset[last], p.size, wasm);
    for (uint32_t k = 0; k < last; k++) store(l, vreg[k], arg[0], p.offset[k], p.size, wasm);
}
