// decode.c — bytes to struct sfi_insn, by the allow-list of insns.def.
//
// Three constant tables are made from insns.def: the rows, an index from (W, register or memory, mandatory prefix, map,
// opcode) to a row, and the shape of an opcode (ModRM or not, or a group whose digit selects the row). So an instruction
// costs a few loads, however long the list is; two rows for one key do not compile (-Winitializer-overrides).
// Canonical form (sfi.h, "Encoding") is enforced here and only here. Row 0 is the row that rejects.
//
// What differs from one instruction to the next is computed rather than branched on, as nobody can predict it: REX, 0F,
// groups, SIB, displacement. Memory or register, a violation, and whatever is rare are branches.
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
    KINDS = 32,
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
    MEM_WIDTH = 0x1f,
    MEM_LD = 0x20,
    MEM_ST = 0x40,
    MEM_BY_W = 0x80, // twice as wide with W
#define WIDTHS(name, flags)                                                             \
    RM_##name##1 = (flags) | 1, RM_##name##2 = (flags) | 2, RM_##name##4 = (flags) | 4, \
    RM_##name##8 = (flags) | 8, RM_##name##16 = (flags) | 16, RM_##name##V = (flags) | 4 | MEM_BY_W
    WIDTHS(LD, MEM_LD),
    WIDTHS(ST, MEM_ST),
    WIDTHS(RW, MEM_LD | MEM_ST),
#undef WIDTHS
};
enum {
    IMM_BYTES = 0x0f,
    IMM_CHECKED = 0x30, // not every value is canonical
    IMM_NO = 0,
    IMM_8 = 1,
    IMM_IS4 = 0x11,
    IMM_16 = 2,
    IMM_16N = 0x12,
    IMM_32 = 4,
    IMM_32N = 0x14,
    IMM_32S = 0x24,
    IMM_64N = 0x18,
};
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
    _Alignas(8) uint8_t reg;
    uint8_t rm, vvvv, imm, flags;
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
#define KEY(map, op) ((uint32_t)(map) << 8 | (op))
static const uint16_t row_of[2][2][4][KEY(MAPS, 0)] = {
#define INSN(name, map, pp, op, n, w, form, reg, rm, vvvv, imm, flags) \
    [W_LO_##w... W_HI_##                                               \
        w][FORM_##form][PP_##pp][KEY(MAP_##map, op)... KEY(MAP_##map, (op) + (n)-1)] = ROW_##name,
#include "sfi-jit/verify/insns.def"
#undef INSN
};

enum { SHAPE_IS_MODRM, SHAPE_IS_PLAIN, SHAPE_IS_GROUP };
static const uint8_t shapes[KEY(MAP_GRP, 0)] = {
#define SHAPE_PLAIN(map, op, n) \
    [KEY(MAP_##map, op)... KEY(MAP_##map, (op) + (n)-1)] = SHAPE_IS_PLAIN,
#define SHAPE_GROUP(map, op, group) [KEY(MAP_##map, op)] = SHAPE_IS_GROUP + (group),
#include "sfi-jit/verify/insns.def"
#undef SHAPE_PLAIN
#undef SHAPE_GROUP
};
#undef D

static const uint8_t nops[][10] = {SFI_NOPS}; // by length − 1
_Static_assert(sizeof nops / sizeof *nops == 9, "nine NOPs");

// What an operand of a kind does if it is register 0, by W: lanes of one bit a register, to be shifted by its number.
enum { LANE_NAMED = 0, LANE_ZEROED = 16, LANE_DIRTIED = 32, LANE_BYTE = 48 };
#define LANE(name) (1ull << LANE_##name)
static const uint64_t effects[2][KINDS] = {
#define EFFECTS(w, written)                                  \
    [w] = {                                                  \
        [KIND_R] = LANE(NAMED),                              \
        [KIND_B] = LANE(NAMED) | LANE(BYTE),                 \
        [KIND_W] = LANE(NAMED) | LANE(written),              \
        [KIND_U] = LANE(NAMED) | LANE(DIRTIED),              \
        [KIND_C] = LANE(NAMED) | LANE(DIRTIED) | LANE(BYTE), \
    }
    EFFECTS(0, ZEROED),
    EFFECTS(1, DIRTIED),
#undef EFFECTS
};
#define HIGH_BYTES (0xf0ull << LANE_BYTE) // byte registers 4 to 7

enum { EXT_B = 1, EXT_X = 2, EXT_R = 4, EXT_W = 8 }; // as in a REX prefix

// What precedes ModRM, and what was found out on the way.
struct prefix {
    uint32_t pp, key;    // key: of the opcode, with its map
    uint32_t modrm, sib; // the bytes after it, if it has them
    uint32_t ext;        // EXT_
    uint32_t vvvv;
    bool lock, rex, vex;
};

// Opcodes that are none: prefixes that may not be here.
static const bool prefixes[256] = {
    [0x26] = true, [0x2e] = true, [0x36] = true, [0x3e] = true, [0x40 ... 0x4f] = true,
    [0x64] = true, [0x65] = true, [0x66] = true, [0x67] = true, [0xc4] = true,
    [0xc5] = true, [0xf0] = true, [0xf2] = true, [0xf3] = true,
};

static int32_t load32(const uint8_t *p) {
    int32_t value;
    __builtin_memcpy(&value, p, 4);
    return value;
}

static uint64_t load64(const uint8_t *p) {
    uint64_t value;
    __builtin_memcpy(&value, p, 8);
    return value;
}

// Length of the NOP at p, or of mfence (0F AE F0), which is as harmless; 0 if it is neither.
static uint8_t fixed_length(const uint8_t *p) {
    static const uint8_t disp_bytes[] = {0, 1, 4, 0};
    if (p[0] == 0x0f && p[1] == 0xae && p[2] == 0xf0) return 3;
    // As long as its ModRM says, and then compared in full.
    uint32_t prefix = p[0] == 0x66, modrm = p[prefix + 2];
    uint32_t length = prefix + 3 + ((modrm & 7) == 4) + disp_bytes[modrm >> 6];
    if (p[prefix] == 0x90) length = prefix + 1;
    uint32_t spare = length < 8 ? 64 - 8 * length : 0;
    uint64_t differs = (load64(p) ^ load64(nops[length - 1])) << spare;
    return differs == 0 && (length < 9 || p[8] == 0) ? (uint8_t)length : 0;
}

// VEX.128 in its shortest form. The two-byte form C5 stands for map 0F, W0, no X, no B.
static enum sfi_rule decode_vex(const uint8_t **p, struct prefix *out) {
    const uint8_t *q = *p;
    uint32_t last, map = 1; // W or R, vvvv, L, pp
    if (q[0] == 0xc5) {
        last = q[1];
        out->ext = last & 0x80 ? 0 : EXT_R;
        q += 2;
    } else {
        last = q[2];
        map = q[1] & 0x1f;
        if (map < 1 || map > 3) return SFI_RULE_VEX;
        out->ext = (~q[1] >> 5 & 7) | (last & 0x80 ? EXT_W : 0); // R, X, B in REX's order
        if (map == 1 && !(out->ext & (EXT_W | EXT_X | EXT_B))) return SFI_RULE_VEX;
        q += 3;
    }
    if (last & 0x04) return SFI_RULE_VEX; // L: 256 bits
    out->vex = true;
    out->vvvv = ~last >> 3 & 15;
    out->pp = last & 3;
    out->key = KEY(MAP_V1 + map - 1, *q);
    out->modrm = q[1];
    out->sib = q[2];
    *p = q + 1;
    return SFI_RULE_NONE;
}

// [66|F2|F3] [REX] [0F] opcode.
static inline void decode_legacy(const uint8_t **p, struct prefix *out) {
    const uint8_t *q = *p;
    if (*q == 0x66)
        out->pp = PP_66, q++;
    else if (*q == 0xf3)
        out->pp = PP_F3, q++;
    else if (*q == 0xf2)
        out->pp = PP_F2, q++;
    // Shifts, as loads would be twice as slow, and the next instruction waits for this one's length.
    uint64_t bits = load64(q);
    out->rex = (bits & 0xf0) == 0x40;
    out->ext = out->rex ? bits & 15 : 0;
    bits >>= out->rex * 8;
    bool escape = (bits & 0xff) == 0x0f;
    bits >>= escape * 8;
    out->key = KEY(escape ? MAP_0F : MAP_1, bits & 0xff);
    out->modrm = bits >> 8 & 0xff;
    out->sib = bits >> 16 & 0xff;
    *p = q + out->rex + escape + 1;
}

// ModRM's memory operand: SIB only where needed, the shortest displacement.
static inline enum sfi_rule decode_memory(const uint8_t **p, const struct prefix *prefix,
                                          uint32_t *used, struct sfi_insn *out) {
    uint32_t mod = prefix->modrm >> 6, rm = prefix->modrm & 7;
    bool has_sib = rm == 4;
    uint32_t sib = has_sib ? prefix->sib : 0x24; // 24: base 4, no index
    const uint8_t *q = *p + has_sib;
    uint32_t base = has_sib ? sib & 7 : rm, scale = sib >> 6, bytes = (mod & 1) | (mod & 2) << 1;
    uint32_t index = (sib >> 3 & 7) | (has_sib && prefix->ext & EXT_X ? 8 : 0);
    bool has_index = index != 4;
    // No index, and yet not 24. Both are negative then.
    int32_t differs = -(int32_t)((sib ^ 0x24) & 0xc7), none = (int32_t)(index ^ 4) - 1;
    if ((differs & none) < 0) return SFI_RULE_SIB;
    *used |= has_index ? EXT_X : 0;
    if (mod == 0 && base == 5) {
        bytes = 4;
        if (has_sib && scale == 0) return SFI_RULE_SIB; // the index could be the base
        base = has_sib ? SFI_NO_REG : SFI_RIP;
    } else {
        *used |= EXT_B;
        base |= (prefix->ext & EXT_B) << 3;
    }
    // Sign-extended from its bytes, of which there may be none.
    uint64_t top = (uint64_t)load32(q) << 32 << (32 - 8 * bytes);
    int32_t disp = (int32_t)((int64_t)top >> (32 - 8 * bytes) >> 32);
    bool zero_disp8 = (mod == 1) & (disp == 0) & ((base & 7) != 5);
    bool small_disp32 = (mod == 2) & (disp == (int8_t)disp);
    if (zero_disp8 | small_disp32) return SFI_RULE_DISP;
    out->base = (uint8_t)base;
    out->index = has_index ? (uint8_t)index : SFI_NO_REG;
    out->scale = (uint8_t)scale;
    out->disp = disp;
    *p = q + bytes;
    return SFI_RULE_NONE;
}

// IMM_64N: does it fit no 32-bit form?
static bool needs_64(int32_t low, int32_t high) { return high != 0 && !(high == -1 && low < 0); }

// Is the immediate of this checked kind canonical?
static bool is_canonical(const uint8_t *p, unsigned kind) {
    int16_t word = (int16_t)(p[0] | p[1] << 8);
    int32_t low = load32(p);
    switch (kind) {
    case IMM_IS4: return (*p & 15) == 0;
    case IMM_16N: return word != (int8_t)word;
    case IMM_32N: return low != (int8_t)low;
    case IMM_32S: return low < 0; // else B8 does it
    default: return needs_64(low, load32(p + 4));
    }
}

// What few rows have: registers that are written without being named.
static uint64_t flag_effects(unsigned flags, bool wide) {
    uint64_t all = 0;
    if (flags & FLAG_A) all |= effects[wide][KIND_W] << SFI_RAX;
    if (flags & FLAG_D) all |= effects[wide][KIND_W] << SFI_RDX;
    if (flags & FLAG_AU) all |= effects[wide][KIND_U] << SFI_RAX;
    return all;
}

// Without a row: a NOP, or nothing.
static enum sfi_rule decode_fixed(const uint8_t *start, uint32_t key, struct sfi_insn *out) {
    *out = (struct sfi_insn){.base = SFI_NO_REG, .index = SFI_NO_REG};
    out->length = fixed_length(start);
    if (key < KEY(MAP_0F, 0) && prefixes[key]) return SFI_RULE_PREFIX;
    return out->length ? SFI_RULE_NONE : SFI_RULE_OPCODE;
}

// The rest of the instruction from `start`, whose prefix and opcode end at p. Its callers know parts of the prefix, for which
// the compiler makes a copy each.
static inline __attribute__((always_inline)) enum sfi_rule
decode_rest(const uint8_t *start, const uint8_t *p, struct prefix prefix, struct sfi_insn *out) {
    enum sfi_rule rule;
    // An opcode without ModRM is one whose register operand has its number in the opcode.
    uint32_t shape = shapes[prefix.key], modrm = prefix.modrm;
    if (shape == SHAPE_IS_PLAIN)
        modrm = 0xc0 | (prefix.key & 7);
    else
        p++;
    uint32_t digit = modrm >> 3 & 7, group_key = KEY(MAP_GRP, (shape - SHAPE_IS_GROUP) * 8 + digit);
    bool memory = modrm < 0xc0, wide = prefix.ext & EXT_W, group = shape >= SHAPE_IS_GROUP;
    uint32_t number = row_of[wide][memory][prefix.pp][group ? group_key : prefix.key];
    const struct row *row = &rows[number];
    bool odd_digit = !row->reg & !group & (digit != 0); // setcc ignores the field, we do not
    if ((number == ROW_NONE) | odd_digit) return decode_fixed(start, prefix.key, out);

    // What the operands are, and do.
    uint32_t used = EXT_W | (row->reg ? EXT_R : 0); // the index above knows which rows have W
    uint64_t all = effects[wide][row->reg] << (digit | (prefix.ext & EXT_R) << 1);
    if (memory) {
        rule = decode_memory(&p, &prefix, &used, out);
        if (rule) return rule;
        out->width = (row->rm & MEM_WIDTH) << (row->rm & MEM_BY_W && wide);
        out->reads = row->rm & MEM_LD;
        out->writes = row->rm & MEM_ST;
        if (row->rm == RM_LEA) {
            if (out->base == SFI_RIP) return SFI_RULE_MEM_FORM; // the address of code stays unknown
            all |= (1u << out->base | 1u << out->index) & 0xffff;
        }
    } else {
        *out = (struct sfi_insn){.base = SFI_NO_REG, .index = SFI_NO_REG};
        used |= row->rm ? EXT_B : 0;
        all |= effects[wide][row->rm] << ((modrm & 7) | (prefix.ext & EXT_B) << 3);
    }
    if (all & HIGH_BYTES << (prefix.rex ? 16 : 0)) return SFI_RULE_BYTE_REG; // ah … bh, but for REX
    if (prefix.vex) {
        if (!row->vvvv && prefix.vvvv) return SFI_RULE_VEX;
        all |= effects[wide][row->vvvv] << prefix.vvvv;
    }
    out->atomic = false;
    if (row->flags | prefix.lock) {
        unsigned locks = row->flags & (prefix.lock ? FLAG_LOCK | FLAG_LOCKED : FLAG_LOCKED);
        if (prefix.lock != (locks != 0)) return SFI_RULE_PREFIX;
        all |= flag_effects(row->flags, wide);
        out->atomic = prefix.lock || row->flags & FLAG_ATOMIC;
    }
    if (prefix.ext & ~used) return prefix.vex ? SFI_RULE_VEX : SFI_RULE_REX;
    if (prefix.rex > prefix.ext && !(all & HIGH_BYTES))
        return SFI_RULE_REX; // 40: for spl … dil only
    if (row->imm & IMM_CHECKED && !is_canonical(p, row->imm)) return SFI_RULE_IMM;
    out->length = (uint8_t)(p - start + (row->imm & IMM_BYTES));
    out->named = (uint16_t)(all >> LANE_NAMED);
    out->zeroed = (uint16_t)(all >> LANE_ZEROED);
    out->dirtied = (uint16_t)(all >> LANE_DIRTIED);
    return SFI_RULE_NONE;
}

// VEX, or F0 and what else may follow.
static __attribute__((noinline)) enum sfi_rule decode_rare(const uint8_t *p, struct sfi_insn *out) {
    const uint8_t *start = p;
    struct prefix prefix = {0};
    enum sfi_rule rule = SFI_RULE_NONE;
    if ((*p & 0xfe) == 0xc4)
        rule = decode_vex(&p, &prefix);
    else
        prefix.lock = true, p++, decode_legacy(&p, &prefix);
    return rule ? rule : decode_rest(start, p, prefix, out);
}

enum sfi_rule sfi_decode(const uint8_t *p, struct sfi_insn *out) {
    const uint8_t *start = p;
    struct prefix prefix = {0};
    if ((*p & 0xfe) == 0xc4 || *p == 0xf0) return decode_rare(p, out);
    decode_legacy(&p, &prefix);
    return decode_rest(start, p, prefix, out);
}
