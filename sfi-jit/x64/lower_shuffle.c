// lower_shuffle.c — i8x16.shuffle with its constant lane numbers: the shortest instructions that do it.
//
// A shuffle takes 16 bytes out of the 32 of its operands. First it is made canonical: a shuffle of a value with itself, or out of one
// operand only, has numbers below 16 only. Then the patterns are tried from cheap to dear; what fits none is vpshufb with the
// numbers as a constant, twice and combined if there are two operands.
#include "sfi-jit/x64/lower_simd.h"

struct shuffle {
    uint8_t lane[16];
    bool single; // of `a` alone
    uint32_t a, b, d;
};

static void step(struct x64_lower *l, enum x64_mop op, uint32_t d, uint32_t a, uint32_t b,
                 unsigned imm) {
    x64_new(l, op, 16)->imm = imm;
    x64_out(l, d);
    x64_in(l, a);
    if (b) x64_in(l, b);
}

// Lane numbers of elements of `bytes` bytes, if the shuffle moves whole ones.
static bool elements(const struct shuffle *s, unsigned bytes, uint8_t *out) {
    for (unsigned k = 0; k < 16 / bytes; k++) {
        if (s->lane[k * bytes] % bytes) return false;
        out[k] = s->lane[k * bytes] / (uint8_t)bytes;
        for (unsigned j = 1; j < bytes; j++)
            if (s->lane[k * bytes + j] != s->lane[k * bytes] + j) return false;
    }
    return true;
}

// All 16 bytes one behind another, out of b:a, a:b or a:a.
static bool rotate(struct x64_lower *l, const struct shuffle *s) {
    unsigned mask = s->single ? 15 : 31, first = s->lane[0];
    for (unsigned k = 1; k < 16; k++)
        if (s->lane[k] != ((first + k) & mask)) return false;
    if (s->single && first == 0)
        step(l, MOP_FCOPY, s->d, s->a, 0, 0);
    else if (s->single)
        step(l, MOP_VPALIGNR, s->d, s->a, s->a, first);
    else if (first < 16)
        step(l, MOP_VPALIGNR, s->d, s->b, s->a, first);
    else
        step(l, MOP_VPALIGNR, s->d, s->a, s->b, first - 16);
    return true;
}

// One half of each operand, element by element in turns.
static bool unpack(struct x64_lower *l, const struct shuffle *s) {
    static const uint8_t op[][2] = {{MOP_VPUNPCKLBW, MOP_VPUNPCKHBW},
                                    {MOP_VPUNPCKLWD, MOP_VPUNPCKHWD},
                                    {MOP_VPUNPCKLDQ, MOP_VPUNPCKHDQ},
                                    {MOP_VPUNPCKLQDQ, MOP_VPUNPCKHQDQ}};
    uint8_t e[16];
    for (unsigned size = 0; size < 4; size++) {
        unsigned n = 16u >> size, high = 0, even, odd, k = 0;
        if (!elements(s, 1u << size, e)) return false; // larger ones are not whole either
        high = e[0] % n != 0;
        even = e[0] / n;
        odd = e[1] / n;
        while (k < n && e[k] == (k & 1 ? odd : even) * n + high * n / 2 + k / 2) k++;
        if (k < n) continue;
        step(l, (enum x64_mop)op[size][high], s->d, even ? s->b : s->a, odd ? s->b : s->a, 0);
        return true;
    }
    return false;
}

// Four elements of 32 bits: any of one operand, or two of one and then two of another.
static bool by_dwords(struct x64_lower *l, const struct shuffle *s) {
    uint8_t e[16];
    if (!elements(s, 4, e)) return false;
    unsigned imm = (e[0] & 3u) | (e[1] & 3u) << 2 | (e[2] & 3u) << 4 | (e[3] & 3u) << 6;
    if (s->single) {
        step(l, MOP_VPSHUFD, s->d, s->a, 0, imm);
        return true;
    }
    if (e[0] / 4 != e[1] / 4 || e[2] / 4 != e[3] / 4) return false;
    step(l, MOP_VSHUFPS, s->d, e[0] / 4 ? s->b : s->a, e[2] / 4 ? s->b : s->a, imm);
    return true;
}

// Elements of 32 bits: one operand with one of the other's in it; else each operand's in their places, and then both together.
static bool mix_dwords(struct x64_lower *l, const struct shuffle *s) {
    uint8_t e[16];
    unsigned order[2] = {0xe4, 0xe4}, from_b = 0, moved[2] = {0, 0};
    if (!elements(s, 4, e)) return false;
    for (unsigned k = 0; k < 4; k++) {
        unsigned b = e[k] / 4;
        order[b] = (order[b] & ~(3u << 2 * k)) | (e[k] & 3u) << 2 * k;
        moved[b] += e[k] % 4 != k;
        from_b |= b << k;
    }
    for (unsigned b = 0; b < 2; b++) { // the single one comes from b; three are the other's, unmoved
        unsigned only = b ? from_b : ~from_b & 15;
        if (moved[!b] || only == 0 || only & (only - 1)) continue;
        unsigned k = (unsigned)__builtin_ctz(only);
        step(l, MOP_VINSERTPS, s->d, b ? s->a : s->b, b ? s->b : s->a, (e[k] & 3u) << 6 | k << 4);
        return true;
    }
    uint32_t part[2] = {s->a, s->b};
    for (unsigned b = 0; b < 2; b++) {
        if (!moved[b]) continue;
        step(l, MOP_VPSHUFD, part[b] = x64_new_vreg(l, IR_V128), b ? s->b : s->a, 0, order[b]);
    }
    unsigned imm = 0;
    for (unsigned k = 0; k < 4; k++) imm |= (from_b >> k & 1) * 3u << 2 * k;
    step(l, MOP_VPBLENDW, s->d, part[0], part[1], imm);
    return true;
}

// Elements of 16 bits that stay where they are.
static bool blend(struct x64_lower *l, const struct shuffle *s) {
    uint8_t e[16];
    unsigned imm = 0;
    if (!elements(s, 2, e)) return false;
    for (unsigned k = 0; k < 8; k++) {
        if (e[k] % 8 != k) return false;
        imm |= (e[k] / 8u) << k;
    }
    step(l, MOP_VPBLENDW, s->d, s->a, s->b, imm);
    return true;
}

// vpshufb by the numbers of one operand's lanes, zero for the other's.
static void by_bytes(struct x64_lower *l, const struct shuffle *s, uint32_t d, uint32_t a,
                     unsigned from) {
    uint64_t mask[2] = {0, 0};
    for (unsigned k = 0; k < 16; k++) {
        uint64_t number = s->lane[k] / 16u == from ? s->lane[k] % 16u : 0x80;
        mask[k / 8] |= number << 8 * (k % 8);
    }
    struct x64_insn *n = x64_new(l, MOP_VPSHUFB, 16);
    n->mem = XM_POOL;
    n->disp = (int32_t)x64_pool(l->module, 16, mask[0], mask[1]);
    x64_out(l, d);
    x64_in(l, a);
}

static void canonical(struct x64_lower *l, ir_ref r, struct shuffle *s) {
    const struct ir_ins *i = x64_ins(l, r);
    ir_ref a = x64_name(l, i->a), b = x64_name(l, i->b);
    uint64_t lanes[2];
    ir_v128(x64_ins(l, i->c), lanes);
    bool uses_a = false, uses_b = false;
    for (unsigned k = 0; k < 16; k++) {
        s->lane[k] = lanes[k / 8] >> 8 * (k % 8) & 31;
        if (a == b) s->lane[k] &= 15;
        uses_a |= s->lane[k] < 16;
        uses_b |= s->lane[k] >= 16;
    }
    s->single = !uses_a || !uses_b;
    if (!uses_a) {
        for (unsigned k = 0; k < 16; k++) s->lane[k] &= 15;
        a = b;
    }
    s->d = x64_vreg_of(l, r);
    s->a = x64_use(l, a);
    s->b = s->single ? s->a : x64_use(l, b);
}

void x64_lower_shuffle(struct x64_lower *l, ir_ref r) {
    struct shuffle s;
    canonical(l, r, &s);
    if (rotate(l, &s) || unpack(l, &s) || by_dwords(l, &s)) return;
    if (s.single) {
        by_bytes(l, &s, s.d, s.a, 0);
        return;
    }
    if (blend(l, &s) || mix_dwords(l, &s)) return;
    uint32_t from_a = x64_new_vreg(l, IR_V128), from_b = x64_new_vreg(l, IR_V128);
    by_bytes(l, &s, from_a, s.a, 0);
    by_bytes(l, &s, from_b, s.b, 1);
    step(l, MOP_VPOR, s.d, from_a, from_b, 0);
}
