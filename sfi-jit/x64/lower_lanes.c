// lower_lanes.c — between vectors and scalars: splats, extracting and replacing lanes, loads of less than 16 bytes, stores of a lane.
//
// Memory is touched at the operator's exact width, once.
#include "sfi-jit/x64/lower_simd.h"

static void splat_const(struct x64_lower *l, ir_ref r, uint64_t bits) {
    const struct ir_ins *i = x64_ins(l, r);
    switch (i->aux) {
    case OP(I8X16_SPLAT): bits = REPEAT8(bits & 0xff); break;
    case OP(I16X8_SPLAT): bits = REPEAT16(bits & 0xffff); break;
    case OP(I32X4_SPLAT):
    case OP(F32X4_SPLAT): bits = REPEAT32((uint32_t)bits); break;
    }
    uint32_t d = x64_vreg_of(l, r), v = x64_imm_vector(l, bits, bits);
    x64_new(l, MOP_FCOPY, 16);
    x64_out(l, d);
    x64_in(l, v);
}

static void lower_splat(struct x64_lower *l, ir_ref r) {
    const struct ir_ins *i = x64_ins(l, r);
    uint64_t bits;
    if (x64_is_const(l, i->a, &bits)) {
        splat_const(l, r, bits);
        return;
    }
    uint32_t d = x64_vreg_of(l, r), a = x64_use(l, i->a);
    if (!x64_is_float(x64_ins(l, i->a)->type)) {
        uint32_t x = x64_new_vreg(l, IR_V128);
        x64_new(l, MOP_MOVIF, i->aux == OP(I64X2_SPLAT) ? 8 : 4);
        x64_out(l, x);
        x64_in(l, a);
        a = x;
    }
    switch (i->aux) {
    case OP(I8X16_SPLAT): x64_v3(l, d, MOP_VPSHUFB, a, x64_vzero(l)); break;
    case OP(I16X8_SPLAT): x64_v2i(l, d, MOP_VPSHUFD, x64_v2i(l, 0, MOP_VPSHUFLW, a, 0), 0); break;
    case OP(I32X4_SPLAT): x64_v2i(l, d, MOP_VPSHUFD, a, 0); break;
    case OP(I64X2_SPLAT): x64_v3(l, d, MOP_VPUNPCKLQDQ, a, a); break;
    case OP(F32X4_SPLAT): x64_v3i(l, d, MOP_VSHUFPS, a, a, 0); break;
    default: x64_v2(l, d, MOP_VMOVDDUP, a);
    }
}

static void extract_int(struct x64_lower *l, uint32_t d, uint32_t op, uint32_t a, unsigned lane) {
    bool byte = op == OP(I8X16_EXTRACT_LANE_S) || op == OP(I8X16_EXTRACT_LANE_U);
    bool word = op == OP(I16X8_EXTRACT_LANE_S) || op == OP(I16X8_EXTRACT_LANE_U);
    bool is_signed = op == OP(I8X16_EXTRACT_LANE_S) || op == OP(I16X8_EXTRACT_LANE_S);
    uint8_t size = op == OP(I64X2_EXTRACT_LANE) ? 8 : 4;
    uint32_t t = is_signed ? x64_new_vreg(l, IR_I32) : d;
    if (!byte && !word && lane == 0)
        x64_new(l, MOP_MOVFI, size);
    else
        x64_new(l, byte ? MOP_VPEXTRB : word ? MOP_VPEXTRW : MOP_VPEXTRD, size)->imm = lane;
    x64_out(l, t);
    x64_in(l, a);
    if (!is_signed) return;
    x64_new(l, byte ? MOP_MOVSX8 : MOP_MOVSX16, 4);
    x64_out(l, d);
    x64_in(l, t);
}

static void lower_extract(struct x64_lower *l, ir_ref r) {
    const struct ir_ins *i = x64_ins(l, r);
    unsigned lane = (unsigned)i->imm;
    uint32_t d = x64_vreg_of(l, r), a = x64_use(l, i->a);
    if (i->type != IR_F32 && i->type != IR_F64) {
        extract_int(l, d, i->aux, a, lane);
    } else if (lane == 0) {
        x64_new(l, MOP_FCOPY, x64_size(i->type));
        x64_out(l, d);
        x64_in(l, a);
    } else {
        x64_v2i(l, d, MOP_VPSHUFD, a, i->type == IR_F32 ? lane : 0xee);
    }
}

static void lower_replace(struct x64_lower *l, ir_ref r) {
    const struct ir_ins *i = x64_ins(l, r);
    unsigned lane = (unsigned)i->imm;
    uint32_t d = x64_vreg_of(l, r), a = x64_use(l, i->a), b = x64_use(l, i->b);
    enum x64_mop op = MOP_VPINSRD;
    switch (i->aux) {
    case OP(F32X4_REPLACE_LANE): x64_v3i(l, d, MOP_VINSERTPS, a, b, lane << 4); return;
    case OP(F64X2_REPLACE_LANE):
        if (lane == 0)
            x64_v3i(l, d, MOP_VBLENDPD, a, b, 1);
        else
            x64_v3(l, d, MOP_VPUNPCKLQDQ, a, b);
        return;
    case OP(I8X16_REPLACE_LANE): op = MOP_VPINSRB; break;
    case OP(I16X8_REPLACE_LANE): op = MOP_VPINSRW; break;
    }
    x64_new(l, op, i->aux == OP(I64X2_REPLACE_LANE) ? 8 : 4)->imm = lane;
    x64_out(l, d);
    x64_in(l, a);
    x64_in(l, b);
}

// ---- memory --------------------------------------------------------------------------------------

// One instruction with the memory operand, `a` and `b` before it if not 0.
static struct x64_insn *access(struct x64_lower *l, enum x64_mop op, uint8_t size, uint32_t d,
                               uint32_t a, const struct x64_src *mem) {
    x64_new(l, op, size)->fsize = size;
    if (d) x64_out(l, d);
    if (a) x64_in(l, a);
    x64_in_src(l, mem);
    return &l->out.insn[l->out.insns - 1];
}

static void lower_load(struct x64_lower *l, ir_ref r) {
    static const uint8_t extend[] = {MOP_VPMOVSXBW, MOP_VPMOVZXBW, MOP_VPMOVSXWD,
                                     MOP_VPMOVZXWD, MOP_VPMOVSXDQ, MOP_VPMOVZXDQ};
    const struct ir_ins *i = x64_ins(l, r);
    struct x64_src mem = x64_address(l, i);
    uint32_t d = x64_vreg_of(l, r), t, none;
    switch (i->aux) {
    case OP(V128_LOAD8_SPLAT):
        none = x64_vzero(l);
        access(l, MOP_VPINSRB, 4, t = x64_new_vreg(l, IR_V128), none, &mem);
        x64_v3(l, d, MOP_VPSHUFB, t, none);
        break;
    case OP(V128_LOAD16_SPLAT):
        none = x64_vzero(l);
        access(l, MOP_VPINSRW, 4, t = x64_new_vreg(l, IR_V128), none, &mem);
        x64_v2i(l, d, MOP_VPSHUFD, x64_v2i(l, 0, MOP_VPSHUFLW, t, 0), 0);
        break;
    case OP(V128_LOAD32_SPLAT): access(l, MOP_VBROADCASTSS, 16, d, 0, &mem); break;
    case OP(V128_LOAD64_SPLAT): access(l, MOP_VMOVDDUP, 16, d, 0, &mem); break;
    case OP(V128_LOAD32_ZERO): access(l, MOP_FLOAD, 4, d, 0, &mem); break;
    case OP(V128_LOAD64_ZERO): access(l, MOP_FLOAD, 8, d, 0, &mem); break;
    default: access(l, extend[i->aux - OP(V128_LOAD8X8_S)], 16, d, 0, &mem);
    }
}

static void lower_load_lane(struct x64_lower *l, ir_ref r) {
    static const uint8_t op[] = {MOP_VPINSRB, MOP_VPINSRW, MOP_VPINSRD, MOP_VPINSRD};
    const struct ir_ins *i = x64_ins(l, r);
    unsigned k = i->aux - OP(V128_LOAD8_LANE);
    uint32_t a = x64_use(l, i->b);
    struct x64_src mem = x64_address(l, i);
    access(l, op[k], k == 3 ? 8 : 4, x64_vreg_of(l, r), a, &mem)->imm = i->imm >> 32;
}

static void lower_store_lane(struct x64_lower *l, ir_ref r) {
    static const uint8_t op[] = {MOP_VSTOREB, MOP_VSTOREW, MOP_VSTORED, MOP_VSTORED};
    const struct ir_ins *i = x64_ins(l, r);
    unsigned k = i->aux - OP(V128_STORE8_LANE), lane = (unsigned)(i->imm >> 32);
    uint32_t a = x64_use(l, i->b);
    struct x64_src mem = x64_address(l, i);
    if (lane == 0 && k >= 2)
        access(l, MOP_FSTORE, k == 3 ? 8 : 4, 0, a, &mem);
    else
        access(l, op[k], k == 3 ? 8 : 4, 0, a, &mem)->imm = lane;
}

void x64_lower_lanes(struct x64_lower *l, ir_ref r) {
    switch (x64_ins(l, r)->op) {
    case IR_VSPLAT: lower_splat(l, r); break;
    case IR_VEXTRACT: lower_extract(l, r); break;
    case IR_VREPLACE: lower_replace(l, r); break;
    case IR_VLOAD: lower_load(l, r); break;
    case IR_VLOAD_LANE: lower_load_lane(l, r); break;
    case IR_VSTORE_LANE: lower_store_lane(l, r); break;
    }
}
