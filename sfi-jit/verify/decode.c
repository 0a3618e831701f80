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
    IS_WIDE = 1, // with W: never in a row, but in what `effects` is asked for
    IS_OPERAND = 2,
    IS_GPR = 4,
    IS_WRITTEN = 8, // upper half zeroed if 32 bits wide
    IS_PARTLY = 16, // written, upper half unknown
    IS_BYTE = 32,
    KIND_NO = 0,
    KIND_X = IS_OPERAND,
    KIND_R = IS_OPERAND | IS_GPR,
    KIND_B = IS_OPERAND | IS_GPR | IS_BYTE,
    KIND_W = IS_OPERAND | IS_GPR | IS_WRITTEN,
    KIND_U = IS_OPERAND | IS_GPR | IS_PARTLY,
    KIND_C = IS_OPERAND | IS_GPR | IS_PARTLY | IS_BYTE,
    KINDS = 64,
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
    FLAG_000 = 64,
};
enum { W_LO_0, W_LO_1, W_LO_01 = 0, W_HI_0 = 0, W_HI_1, W_HI_01 = 1 };

struct row {
    _Alignas(8) uint8_t reg;
    uint8_t rm, vvvv, imm, flags, ext; // ext: EXT_ bits that register operands use or it was found by
};
enum { EXT_B = 1, EXT_X = 2, EXT_R = 4, EXT_W = 8, EXT_REX = 0x40 }; // as in a REX prefix
enum {
    ROW_NONE,
#define INSN(name, map, pp, op, n, w, form, reg, rm, vvvv, imm, flags) ROW_##name,
#include "sfi-jit/verify/insns.def"
#undef INSN
    ROWS
};
#define EXT_USED(form, reg, rm) \
    (EXT_REX | EXT_W | ((reg) != 0 ? EXT_R : 0) | ((form) == FORM_REG && (rm) != 0 ? EXT_B : 0))
static const struct row rows[ROWS] = {
#define INSN(name, map, pp, op, n, w, form, reg, rm, vvvv, imm, flags) \
    [ROW_##name] = {KIND_##reg, RM_##rm,      KIND_##vvvv,             \
                    IMM_##imm,  FLAG_##flags, EXT_USED(FORM_##form, KIND_##reg, RM_##rm)},
#include "sfi-jit/verify/insns.def"
#undef INSN
};

enum { G80, G81, G83, GC1, GC6, GC7, GD3, GF6, GF7, GBA, G71, G72, G73, GF3, GROUPS };
#define D(group, digit) ((group)*8 + (digit))
_Static_assert(D(GROUPS, 0) <= 256, "group and digit fit the opcode dimension");
#define KEY(map, op) ((uint32_t)(map) << 8 | (op))
// By opcode, which has its cache line, and then by the rest: the row's number, and above it the bytes of the immediate.
enum { ROW_BITS = 12 };
#define VARIANT(form, pp, w) ((form) << 3 | (pp) << 1 | (w))
static const uint16_t row_of[KEY(MAPS, 0)][VARIANT(2, 0, 0)] = {
#define INSN(name, map, pp, op, n, w, form, reg, rm, vvvv, imm, flags)                         \
    [KEY(MAP_##map, op)... KEY(MAP_##map, (op) + (n)-1)]                                       \
        [VARIANT(FORM_##form, PP_##pp, W_LO_##w)... VARIANT(FORM_##form, PP_##pp, W_HI_##w)] = \
            ROW_##name | (IMM_##imm & IMM_BYTES) << ROW_BITS,
#include "sfi-jit/verify/insns.def"
#undef INSN
};
_Static_assert(ROWS <= 1 << ROW_BITS && IMM_BYTES << ROW_BITS <= UINT16_MAX, "both fit");

// Of a group: the key of its digit 0.
enum { SHAPE_IS_MODRM, SHAPE_IS_PLAIN, SHAPE_IS_GROUP = KEY(MAP_GRP, 0) };
static const uint16_t shapes[KEY(MAP_GRP, 0)] = {
#define SHAPE_PLAIN(map, op, n) \
    [KEY(MAP_##map, op)... KEY(MAP_##map, (op) + (n)-1)] = SHAPE_IS_PLAIN,
#define SHAPE_GROUP(map, op, group) [KEY(MAP_##map, op)] = KEY(MAP_GRP, D(group, 0)),
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
static const uint64_t effects[KINDS] = {
    [KIND_R... KIND_R | IS_WIDE] = LANE(NAMED),
    [KIND_B... KIND_B | IS_WIDE] = LANE(NAMED) | LANE(BYTE),
    [KIND_W] = LANE(NAMED) | LANE(ZEROED),
    [KIND_W | IS_WIDE] = LANE(NAMED) | LANE(DIRTIED),
    [KIND_U... KIND_U | IS_WIDE] = LANE(NAMED) | LANE(DIRTIED),
    [KIND_C... KIND_C | IS_WIDE] = LANE(NAMED) | LANE(DIRTIED) | LANE(BYTE),
};

// What precedes ModRM, and what was found out on the way.
struct prefix {
    uint32_t pp, key;    // key: of the opcode, with its map
    uint32_t modrm, sib; // the bytes after it, if it has them
    uint32_t ext, vvvv;  // ext: EXT_
    bool lock, vex;
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
    bool rex = (bits & 0xf0) == EXT_REX;
    out->ext = rex ? bits & 0xff : 0;
    bits >>= rex * 8;
    bool escape = (bits & 0xff) == 0x0f;
    bits >>= escape * 8;
    out->key = KEY(escape ? MAP_0F : MAP_1, bits & 0xff);
    out->modrm = bits >> 8 & 0xff;
    out->sib = bits >> 16 & 0xff;
    *p = q + rex + escape + 1;
}

// ModRM's memory operand: SIB only where needed, the shortest displacement. Adds to *used what it has of EXT_B and EXT_X.
static inline enum sfi_rule decode_memory(const uint8_t **p, const struct prefix *prefix,
                                          uint32_t *used, struct sfi_insn *out) {
    static const uint8_t disp_bytes[] = {0, 1, 4}, spare_bits[] = {0, 24, 0};
    uint32_t mod = prefix->modrm >> 6, base = prefix->modrm & 7, index = SFI_NO_REG, scale = 0;
    const uint8_t *q = *p;
    bool has_sib = base == 4;
    if (has_sib) {
        index = (prefix->sib >> 3 & 7) | (prefix->ext & EXT_X) << 2;
        base = prefix->sib & 7, scale = prefix->sib >> 6, q++;
        if (index == 4) {
            if (base != 4 || scale != 0) return SFI_RULE_SIB;
            index = SFI_NO_REG;
        } else
            *used |= EXT_X;
    }
    int32_t disp = load32(q);
    if (mod == 0 && base == 5) {
        if (has_sib && scale == 0) return SFI_RULE_SIB; // the index could be the base
        base = has_sib ? SFI_NO_REG : SFI_RIP;
        q += 4;
    } else {
        disp = (int32_t)((uint32_t)disp << spare_bits[mod]) >> spare_bits[mod];
        if (mod == 0) disp = 0;
        bool none = (disp == 0) & (base != 5);
        uint32_t shortest = none ? 0 : disp == (int8_t)disp ? 1 : 2;
        if (mod != shortest) return SFI_RULE_DISP;
        *used |= EXT_B;
        base |= (prefix->ext & EXT_B) << 3;
        q += disp_bytes[mod];
    }
    out->base = (uint8_t)base;
    out->index = (uint8_t)index;
    out->scale = (uint8_t)scale;
    out->disp = disp;
    *p = q;
    return SFI_RULE_NONE;
}

// Is the immediate of this checked kind canonical?
static bool is_canonical(const uint8_t *p, unsigned kind) {
    int16_t word = (int16_t)(p[0] | p[1] << 8);
    int32_t low = load32(p);
    switch (kind) {
    case IMM_IS4: return (*p & 15) == 0;
    case IMM_16N: return word != (int8_t)word;
    case IMM_32N: return low != (int8_t)low;
    case IMM_32S: return low < 0;                                            // else B8 does it
    default: return load32(p + 4) != 0 && !(load32(p + 4) == -1 && low < 0); // fits no 32-bit form
    }
}

// What few rows have: registers that are written without being named.
static uint64_t flag_effects(unsigned flags, uint32_t wide) {
    uint64_t all = 0;
    if (flags & FLAG_A) all |= effects[KIND_W | wide] << SFI_RAX;
    if (flags & FLAG_D) all |= effects[KIND_W | wide] << SFI_RDX;
    if (flags & FLAG_AU) all |= effects[KIND_U | wide] << SFI_RAX;
    return all;
}

// Without a row: a NOP, or nothing.
static int decode_fixed(const uint8_t *start, uint32_t key) {
    int length = fixed_length(start);
    if (key < KEY(MAP_0F, 0) && prefixes[key]) return -SFI_RULE_PREFIX;
    return length ? length : -SFI_RULE_OPCODE;
}

// The rest of the instruction from `start`, whose prefix and opcode end at p. Its callers know parts of the prefix, for which
// the compiler makes a copy each.
static inline __attribute__((always_inline)) int
decode_rest(const uint8_t *start, const uint8_t *p, struct prefix prefix, struct sfi_insn *out) {
    *out = (struct sfi_insn){.base = SFI_NO_REG, .index = SFI_NO_REG};
    // An opcode without ModRM is one whose register operand has its number in the opcode.
    uint32_t shape = shapes[prefix.key], plain = shape == SHAPE_IS_PLAIN, modrm = prefix.modrm;
    uint32_t digit = modrm >> 3 & 7, key = shape >= SHAPE_IS_GROUP ? shape + digit : prefix.key;
    uint32_t memory = (modrm < 0xc0) & !plain, wide = prefix.ext / EXT_W & 1;
    uint32_t found = row_of[key][VARIANT(memory, prefix.pp, wide)];
    if (found == ROW_NONE) return decode_fixed(start, prefix.key);
    p += !plain;
    const struct row *row = &rows[found % (1 << ROW_BITS)];
    uint32_t used = row->ext;
    uint64_t all = effects[row->reg | wide] << (digit | (prefix.ext & EXT_R) << 1);
    if (memory) {
        enum sfi_rule rule = decode_memory(&p, &prefix, &used, out);
        if (rule) return -(int)rule;
        out->width = (row->rm & MEM_WIDTH) << (row->rm & MEM_BY_W && wide);
        out->reads = row->rm & MEM_LD;
        out->writes = row->rm & MEM_ST;
        if (row->rm == RM_LEA) {
            if (out->base == SFI_RIP)
                return -SFI_RULE_MEM_FORM; // the address of code stays unknown
            all |= (1u << out->base | 1u << out->index) & 0xffff;
        }
    } else {
        all |= effects[row->rm | wide]
               << (((plain ? prefix.key : modrm) & 7) | (prefix.ext & EXT_B) << 3);
    }
    if (prefix.vex) {
        if (!row->vvvv && prefix.vvvv) return -SFI_RULE_VEX;
        all |= effects[row->vvvv | wide] << prefix.vvvv;
    }
    if (row->flags | prefix.lock) {
        unsigned locks = row->flags & (prefix.lock ? FLAG_LOCK | FLAG_LOCKED : FLAG_LOCKED);
        if (prefix.lock != (locks != 0)) return -SFI_RULE_PREFIX;
        if (row->flags & FLAG_000 && digit != 0) return -SFI_RULE_OPCODE; // the CPU ignores it
        all |= flag_effects(row->flags, wide);
        out->atomic = prefix.lock || row->flags & FLAG_ATOMIC;
    }
    if (prefix.ext & ~used) return prefix.vex ? -SFI_RULE_VEX : -SFI_RULE_REX;
    if (all >> LANE_BYTE & 0xf0) { // spl … dil, or ah … bh without REX
        if (prefix.ext == 0) return -SFI_RULE_BYTE_REG;
    } else if (prefix.ext == EXT_REX)
        return -SFI_RULE_REX; // 40 is for those only
    if (row->imm & IMM_CHECKED && !is_canonical(p, row->imm)) return -SFI_RULE_IMM;
    out->named = (uint16_t)(all >> LANE_NAMED);
    out->zeroed = (uint16_t)(all >> LANE_ZEROED);
    out->dirtied = (uint16_t)(all >> LANE_DIRTIED);
    return (int)(p - start) + (int)(found >> ROW_BITS);
}

// VEX, or F0 and what else may follow.
static __attribute__((noinline)) int decode_rare(const uint8_t *p, struct sfi_insn *out) {
    const uint8_t *start = p;
    struct prefix prefix = {0};
    enum sfi_rule rule = SFI_RULE_NONE;
    if ((*p & 0xfe) == 0xc4)
        rule = decode_vex(&p, &prefix);
    else
        prefix.lock = true, p++, decode_legacy(&p, &prefix);
    return rule ? -(int)rule : decode_rest(start, p, prefix, out);
}

int sfi_decode(const uint8_t *p, struct sfi_insn *out) {
    const uint8_t *start = p;
    struct prefix prefix = {0};
    if ((*p & 0xfe) == 0xc4 || *p == 0xf0) return decode_rare(p, out);
    decode_legacy(&p, &prefix);
    return decode_rest(start, p, prefix, out);
}
