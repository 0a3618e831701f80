// decode.c — bytes to struct sfi_insn, by the allow-list of insns.def.
//
// Three constant tables are made from insns.def: the rows, an index from (W, register or memory, map, mandatory prefix,
// opcode) to a row, and the shape of an opcode (ModRM or not, or a group whose digit selects the row). So an instruction
// costs a few loads, however long the list is; two rows for one key do not compile (-Winitializer-overrides).
// Canonical form (sfi.h, "Encoding") is enforced here and only here. Row 0 is the row that rejects.
#include "sfi-jit/verify/decode.h"

enum { MAP_1, MAP_0F, MAP_V1, MAP_V2, MAP_V3, MAP_GRP, MAPS };
enum { PP_NP, PP_66, PP_F3, PP_F2 }; // as VEX.pp numbers them
enum { FORM_REG, FORM_PLAIN = FORM_REG, FORM_MEM };

// Register operands: what is done to the register. Memory operands (rm only): a width and a direction.
enum {
    IS_OPERAND = 1,
    IS_GPR = 2,
    IS_WRITTEN = 4, // upper half zeroed if 32 bits wide
    IS_PARTLY = 8,  // written, upper half unknown
    IS_BYTE = 16,
    KIND_NO = 0,
    KIND_X = IS_OPERAND,
    KIND_R = IS_OPERAND | IS_GPR,
    KIND_B = IS_OPERAND | IS_GPR | IS_BYTE,
    KIND_W = IS_OPERAND | IS_GPR | IS_WRITTEN,
    KIND_U = IS_OPERAND | IS_GPR | IS_PARTLY,
    KIND_C = IS_OPERAND | IS_GPR | IS_PARTLY | IS_BYTE,
};
enum {
    RM_NO = KIND_NO,
    RM_X = KIND_X,
    RM_R = KIND_R,
    RM_B = KIND_B,
    RM_W = KIND_W,
    RM_U = KIND_U,
    RM_C = KIND_C,
    RM_LEA = 0,
    MEM_WIDTH = 0x1f, // 0: by W
    MEM_LD = 0x20,
    MEM_ST = 0x40,
#define WIDTHS(name, flags)                                                             \
    RM_##name##1 = (flags) | 1, RM_##name##2 = (flags) | 2, RM_##name##4 = (flags) | 4, \
    RM_##name##8 = (flags) | 8, RM_##name##16 = (flags) | 16, RM_##name##V = (flags)
    WIDTHS(LD, MEM_LD),
    WIDTHS(ST, MEM_ST),
    WIDTHS(RW, MEM_LD | MEM_ST),
#undef WIDTHS
};
enum { IMM_NO, IMM_8, IMM_IS4, IMM_16, IMM_16N, IMM_32, IMM_32N, IMM_32S, IMM_64N };
enum {
    FLAG_0 = 0,
    FLAG_A = 1,
    FLAG_D = 2,
    FLAG_AD = FLAG_A | FLAG_D,
    FLAG_LOCK = 4,
    FLAG_LOCKED = 8,
    FLAG_AU = 16,
    FLAG_LOCKED_U = FLAG_LOCKED | FLAG_AU,
    FLAG_ATOMIC = 32,
};
enum { W_LO_0, W_LO_1, W_LO_01 = 0, W_HI_0 = 0, W_HI_1, W_HI_01 = 1 };

struct row {
    uint8_t reg, rm, vvvv, imm, flags;
};
enum {
    ROW_NONE,
#define INSN(name, map, pp, op, n, w, form, reg, rm, vvvv, imm, flags) ROW_##name,
#include "sfi-jit/verify/insns.def"
#undef INSN
    ROWS
};
static const struct row rows[ROWS] = {
#define INSN(name, map, pp, op, n, w, form, reg, rm, vvvv, imm, flags) \
    [ROW_##name] = {KIND_##reg, RM_##rm, KIND_##vvvv, IMM_##imm, FLAG_##flags},
#include "sfi-jit/verify/insns.def"
#undef INSN
};

enum { G80, G81, G83, GC1, GC6, GC7, GD3, GF6, GF7, GBA, G71, G72, G73, GF3, GROUPS };
#define D(group, digit) ((group)*8 + (digit))
_Static_assert(D(GROUPS, 0) <= 256, "group and digit fit the opcode dimension");
static const uint16_t row_of[2][2][MAPS][4][256] = {
#define INSN(name, map, pp, op, n, w, form, reg, rm, vvvv, imm, flags) \
    [W_LO_##w... W_HI_##w][FORM_##form][MAP_##map][PP_##pp][(op)...(op) + (n)-1] = ROW_##name,
#include "sfi-jit/verify/insns.def"
#undef INSN
};

enum { SHAPE_IS_MODRM, SHAPE_IS_PLAIN, SHAPE_IS_GROUP };
static const uint8_t shapes[MAP_GRP][256] = {
#define SHAPE_PLAIN(map, op, n) [MAP_##map][(op)...(op) + (n)-1] = SHAPE_IS_PLAIN,
#define SHAPE_GROUP(map, op, group) [MAP_##map][op] = SHAPE_IS_GROUP + (group),
#include "sfi-jit/verify/insns.def"
#undef SHAPE_PLAIN
#undef SHAPE_GROUP
};
#undef D

static const uint8_t nops[][10] = {SFI_NOPS};
static const uint8_t nop_lengths[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
_Static_assert(sizeof nops / sizeof *nops == sizeof nop_lengths, "nine NOPs");

enum { EXT_B = 1, EXT_X = 2, EXT_R = 4, EXT_W = 8 }; // as in a REX prefix

// What precedes ModRM, and what was found out on the way.
struct prefix {
    uint32_t map, pp, opcode;
    uint32_t ext, used; // EXT_: bits given, and those which select something
    uint32_t vvvv;
    bool lock, rex, vex;
};

// An opcode that is none: a prefix that may not be here.
static bool is_prefix(uint8_t byte) {
    switch (byte) {
    case 0x26:
    case 0x2e:
    case 0x36:
    case 0x3e:
    case 0x64:
    case 0x65:
    case 0x66:
    case 0x67:
    case 0xc4:
    case 0xc5:
    case 0xf0:
    case 0xf2:
    case 0xf3: return true;
    default: return (byte & 0xf0) == 0x40;
    }
}

static int32_t load32(const uint8_t *p) {
    return (int32_t)(p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24);
}

// Length of the NOP at p, or of mfence (0F AE F0), which is as harmless; 0 if it is neither.
static unsigned fixed_length(const uint8_t *p) {
    if (p[0] == 0x0f && p[1] == 0xae && p[2] == 0xf0) return 3;
    for (unsigned i = 0; i < sizeof nop_lengths; i++) {
        unsigned k = 0;
        while (k < nop_lengths[i] && p[k] == nops[i][k]) k++;
        if (k == nop_lengths[i]) return k;
    }
    return 0;
}

// VEX.128 in its shortest form. The two-byte form C5 stands for map 0F, W0, no X, no B.
static enum sfi_rule decode_vex(const uint8_t **p, struct prefix *out) {
    const uint8_t *q = *p;
    uint8_t last; // W or R, vvvv, L, pp
    out->vex = true;
    if (q[0] == 0xc5) {
        last = q[1];
        out->map = MAP_V1;
        out->ext = last & 0x80 ? 0 : EXT_R;
        *p += 2;
    } else {
        last = q[2];
        uint8_t map = q[1] & 0x1f;
        if (map < 1 || map > 3) return SFI_RULE_VEX;
        out->map = MAP_V1 + map - 1;
        out->ext = (~q[1] >> 5 & 7) | (last & 0x80 ? EXT_W : 0); // R, X, B in REX's order
        if (map == 1 && !(out->ext & (EXT_W | EXT_X | EXT_B))) return SFI_RULE_VEX;
        *p += 3;
    }
    if (last & 0x04) return SFI_RULE_VEX; // L: 256 bits
    out->vvvv = ~last >> 3 & 15;
    out->pp = last & 3;
    out->opcode = *(*p)++;
    return SFI_RULE_NONE;
}

// [F0] [66|F2|F3] [REX] [0F] opcode, or VEX.
static enum sfi_rule decode_prefix(const uint8_t **p, struct prefix *out) {
    const uint8_t *q = *p;
    if ((*q & 0xfe) == 0xc4) return decode_vex(p, out);
    if (*q == 0xf0) out->lock = true, q++;
    if (*q == 0x66)
        out->pp = PP_66, q++;
    else if (*q == 0xf3)
        out->pp = PP_F3, q++;
    else if (*q == 0xf2)
        out->pp = PP_F2, q++;
    // No branches here and below where the predictor could only guess: half of all instructions have a REX.
    out->rex = (*q & 0xf0) == 0x40;
    out->ext = out->rex ? *q & 15 : 0;
    q += out->rex;
    out->map = *q == 0x0f ? MAP_0F : MAP_1;
    q += out->map == MAP_0F;
    out->opcode = *q++;
    *p = q;
    return SFI_RULE_NONE;
}

// ModRM's memory operand: SIB only where needed, the shortest displacement.
static enum sfi_rule decode_memory(const uint8_t **p, uint32_t modrm, struct prefix *prefix,
                                   struct sfi_insn *out) {
    static const uint8_t disp_bytes[] = {0, 1, 4};
    const uint8_t *q = *p;
    uint32_t mod = modrm >> 6, rm = modrm & 7, bytes = disp_bytes[mod];
    uint32_t base = rm, index = 4, sib = 0; // index 4: none
    if (rm == 4) {
        sib = *q++;
        base = sib & 7;
        index = (sib >> 3 & 7) | (prefix->ext & EXT_X ? 8 : 0);
        if (index == 4 && (sib >> 6 || base != 4)) return SFI_RULE_SIB; // neither says anything
        prefix->used |= index == 4 ? 0 : EXT_X;
    }
    if (base == 5 && mod == 0) {
        bytes = 4;
        if (rm == 4 && sib >> 6 == 0) return SFI_RULE_SIB; // the index could be the base
        base = rm == 4 ? SFI_NO_REG : SFI_RIP;
    } else {
        prefix->used |= EXT_B;
        base |= prefix->ext & EXT_B ? 8 : 0;
    }
    int32_t disp = load32(q);
    disp = bytes == 4 ? disp : bytes == 1 ? (int8_t)disp : 0;
    bool zero_disp8 = mod == 1 && disp == 0 && (base & 7) != 5;
    bool small_disp32 = mod == 2 && disp == (int8_t)disp;
    if (zero_disp8 | small_disp32) return SFI_RULE_DISP;
    out->base = base;
    out->index = index == 4 ? SFI_NO_REG : index;
    out->scale = sib >> 6;
    out->disp = disp;
    *p = q + bytes;
    return SFI_RULE_NONE;
}

static enum sfi_rule decode_immediate(const uint8_t **p, unsigned kind) {
    const uint8_t *q = *p;
    bool shortest = true;
    switch (kind) {
    case IMM_NO: return SFI_RULE_NONE;
    case IMM_8: *p += 1; return SFI_RULE_NONE;
    case IMM_IS4:
        shortest = (*q & 15) == 0;
        *p += 1;
        break;
    case IMM_16: *p += 2; return SFI_RULE_NONE;
    case IMM_16N: {
        int16_t value = (int16_t)(q[0] | q[1] << 8);
        shortest = value != (int8_t)value;
        *p += 2;
        break;
    }
    case IMM_32: *p += 4; return SFI_RULE_NONE;
    case IMM_32N:
        shortest = load32(q) != (int8_t)load32(q);
        *p += 4;
        break;
    case IMM_32S:
        shortest = load32(q) < 0; // else B8 does it
        *p += 4;
        break;
    case IMM_64N: {
        int32_t low = load32(q), high = load32(q + 4);
        shortest = high != 0 && !(high == -1 && low < 0);
        *p += 8;
        break;
    }
    }
    return shortest ? SFI_RULE_NONE : SFI_RULE_IMM;
}

// Notes register `number` as an operand of this kind. False: it is ah, ch, dh or bh.
static inline bool use_register(unsigned kind, unsigned number, const struct prefix *prefix,
                                struct sfi_insn *out) {
    bool wide = prefix->ext & EXT_W, written = kind & IS_WRITTEN, partly = kind & IS_PARTLY;
    bool gpr = kind & IS_GPR, byte = kind & IS_BYTE;
    out->named |= (uint32_t)gpr << number;
    out->zeroed |= (uint32_t)(written & !wide) << number;
    out->dirtied |= (uint32_t)(partly | (written & wide)) << number;
    return !(byte & !prefix->rex & (number >= 4));
}

// What few rows have: registers that are written without being named, and lock. False: lock is missing or not allowed.
static bool use_flags(unsigned flags, const struct prefix *prefix, struct sfi_insn *out) {
    if (flags & FLAG_A) use_register(KIND_W, SFI_RAX, prefix, out);
    if (flags & FLAG_D) use_register(KIND_W, SFI_RDX, prefix, out);
    if (flags & FLAG_AU) use_register(KIND_U, SFI_RAX, prefix, out);
    out->atomic = prefix->lock || flags & FLAG_ATOMIC;
    return prefix->lock ? flags & (FLAG_LOCK | FLAG_LOCKED) : !(flags & FLAG_LOCKED);
}

// What the row says about its operands, now that their numbers are known.
static enum sfi_rule use_operands(const struct row *row, struct prefix *prefix, unsigned reg,
                                  unsigned rm, bool memory, struct sfi_insn *out) {
    bool wide = prefix->ext & EXT_W;
    if (!use_register(row->reg, reg, prefix, out)) return SFI_RULE_BYTE_REG;
    if (!memory) {
        if (!use_register(row->rm, rm, prefix, out)) return SFI_RULE_BYTE_REG;
    } else if (row->rm == RM_LEA) {
        if (out->base == SFI_RIP) return SFI_RULE_MEM_FORM; // the address of code stays unknown
        if (out->base < SFI_RIP) out->named |= 1u << out->base;
        if (out->index < SFI_RIP) out->named |= 1u << out->index;
    } else {
        unsigned width = row->rm & MEM_WIDTH;
        out->width = width ? width : wide ? 8 : 4;
        out->reads = row->rm & MEM_LD;
        out->writes = row->rm & MEM_ST;
    }
    if (row->vvvv)
        use_register(row->vvvv, prefix->vvvv, prefix, out);
    else if (prefix->vvvv)
        return SFI_RULE_VEX;
    if ((row->flags || prefix->lock) && !use_flags(row->flags, prefix, out)) return SFI_RULE_PREFIX;
    if (prefix->ext & ~prefix->used) return prefix->vex ? SFI_RULE_VEX : SFI_RULE_REX;
    if (prefix->rex && !prefix->ext) { // 40: for spl … dil only
        bool reg_needs = row->reg & IS_BYTE && reg >= 4;
        bool rm_needs = !memory && row->rm & IS_BYTE && rm >= 4;
        if (!reg_needs && !rm_needs) return SFI_RULE_REX;
    }
    return SFI_RULE_NONE;
}

enum sfi_rule sfi_decode(const uint8_t *p, struct sfi_insn *out) {
    const uint8_t *start = p;
    struct prefix prefix = {.used = EXT_W}; // the index below knows which rows have W
    *out = (struct sfi_insn){.base = SFI_NO_REG, .index = SFI_NO_REG};
    enum sfi_rule rule = decode_prefix(&p, &prefix);
    if (rule) return rule;

    unsigned shape = shapes[prefix.map][prefix.opcode], wide = prefix.ext & EXT_W ? 1 : 0;
    unsigned reg = 0, rm = prefix.opcode & 7;
    bool memory = false;
    const struct row *row;
    if (shape == SHAPE_IS_PLAIN) {
        row = &rows[row_of[wide][FORM_PLAIN][prefix.map][prefix.pp][prefix.opcode]];
        if (row->rm) prefix.used |= EXT_B;
    } else {
        uint8_t modrm = *p++, digit = modrm >> 3 & 7;
        memory = modrm < 0xc0;
        reg = digit;
        rm = modrm & 7;
        if (shape >= SHAPE_IS_GROUP) {
            unsigned op = (shape - SHAPE_IS_GROUP) * 8u + digit;
            row = &rows[row_of[wide][memory][MAP_GRP][prefix.pp][op]];
        } else {
            row = &rows[row_of[wide][memory][prefix.map][prefix.pp][prefix.opcode]];
            if (row->reg)
                prefix.used |= EXT_R;
            else if (digit)
                row = &rows[ROW_NONE]; // setcc ignores the field, we do not
        }
        if (row != &rows[ROW_NONE]) {
            if (!memory)
                prefix.used |= EXT_B;
            else if ((rule = decode_memory(&p, modrm, &prefix, out)))
                return rule;
        }
    }
    if (row == &rows[ROW_NONE]) {
        if (prefix.map == MAP_1 && is_prefix(prefix.opcode)) return SFI_RULE_PREFIX;
        out->length = fixed_length(start);
        return out->length ? SFI_RULE_NONE : SFI_RULE_OPCODE;
    }
    if (prefix.ext & EXT_R) reg |= 8;
    if (prefix.ext & EXT_B) rm |= 8;
    rule = use_operands(row, &prefix, reg, rm, memory, out);
    if (rule == SFI_RULE_NONE) rule = decode_immediate(&p, row->imm);
    out->length = (uint32_t)(p - start);
    return rule;
}
