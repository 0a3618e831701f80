// encode.c — see encode.h.
#include "sfi-jit/x64/encode.h"
#include "sfi-jit/lib.h"
#include "sfi-jit/sfi.h"

static bool fits8(int32_t v) { return v >= -128 && v <= 127; }

// ModRM, SIB and displacement (SDM 2.1.3, 2.1.5). rsp and r12 as base need a SIB, rbp and r13 a displacement.
static uint8_t *put_modrm(uint8_t *p, unsigned reg, const struct x64_rm *rm) {
    reg = (reg & 7) << 3;
    unsigned b = rm->base & 7;
    switch ((enum x64_rm_kind)rm->kind) {
    case RM_REG: *p++ = (uint8_t)(0xc0 | reg | b); return p;
    case RM_RIP: *p++ = (uint8_t)(reg | 5); return x64_put_imm(p, 0, 4);
    case RM_INDEX:
        *p++ = (uint8_t)(reg | 4);
        *p++ = (uint8_t)(rm->scale << 6 | (rm->index & 7) << 3 | 5);
        return x64_put_imm(p, (uint32_t)rm->disp, 4);
    case RM_BASE:
    case RM_SIB: break;
    }
    unsigned mod = rm->disp == 0 && b != 5 ? 0 : fits8(rm->disp) ? 1 : 2;
    bool sib = rm->kind == RM_SIB || b == 4;
    *p++ = (uint8_t)(mod << 6 | reg | (sib ? 4 : b));
    if (sib)
        *p++ = (uint8_t)(rm->kind == RM_SIB ? rm->scale << 6 | (rm->index & 7) << 3 | b : 4 << 3 | b);
    return x64_put_imm(p, (uint32_t)rm->disp, mod == 0 ? 0 : mod == 1 ? 1 : 4);
}

static bool high_base(const struct x64_rm *rm) { return rm->kind <= RM_SIB && rm->base >= 8; }

static bool high_index(const struct x64_rm *rm) {
    return (rm->kind == RM_SIB || rm->kind == RM_INDEX) && rm->index >= 8;
}

uint8_t *x64_put_legacy(uint8_t *p, uint32_t opc, bool w, unsigned reg, const struct x64_rm *rm) {
    static const uint8_t prefix[] = {0, 0x66, 0xf3, 0xf2};
    unsigned pp = opc >> 8 & 15, map = opc >> 12 & 15;
    if (opc & X64_LOCK) *p++ = 0xf0;
    if (pp) *p++ = prefix[pp];
    unsigned rex = (unsigned)w << 3 | (reg >> 3 & 1) << 2 | (unsigned)high_index(rm) << 1 |
                   (unsigned)high_base(rm);
    bool byte_reg =
        (opc & X64_REG8 && reg >= 4) || (opc & X64_RM8 && rm->kind == RM_REG && rm->base >= 4);
    if (rex || byte_reg) *p++ = (uint8_t)(0x40 | rex);
    if (map) *p++ = 0x0f;
    if (map >= 2) *p++ = map == 2 ? 0x38 : 0x3a;
    *p++ = (uint8_t)opc;
    return put_modrm(p, reg, rm);
}

uint8_t *x64_put_vex(uint8_t *p, uint32_t opc, bool w, unsigned reg, unsigned v,
                     const struct x64_rm *rm) {
    unsigned pp = opc >> 8 & 15, map = opc >> 12 & 15;
    unsigned r = reg < 8, x = !high_index(rm), b = !high_base(rm);
    if (map == 1 && !w && x && b) {
        *p++ = 0xc5;
        *p++ = (uint8_t)(r << 7 | (~v & 15) << 3 | pp);
    } else {
        *p++ = 0xc4;
        *p++ = (uint8_t)(r << 7 | x << 6 | b << 5 | map);
        *p++ = (uint8_t)((unsigned)w << 7 | (~v & 15) << 3 | pp);
    }
    *p++ = (uint8_t)opc;
    return put_modrm(p, reg, rm);
}

uint8_t *x64_put_imm(uint8_t *p, uint64_t imm, unsigned bytes) {
    for (unsigned i = 0; i < bytes; i++, imm >>= 8) *p++ = (uint8_t)imm;
    return p;
}

void x64_put_nops(uint8_t *p, unsigned n) {
    static const uint8_t nop[][9] = {SFI_NOPS};
    while (n) {
        unsigned k = n < 9 ? n : 9;
        memcpy(p, nop[k - 1], k);
        p += k;
        n -= k;
    }
}
