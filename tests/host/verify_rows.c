// verify_rows.c — see verify_rows.h. Intel SDM volume 2, 2.1–2.3, written down a second time on purpose.
#include "tests/host/verify_rows.h"
#include <stdlib.h>
#include <string.h>

// What SHAPE_GROUP says: group number → map and opcode.
enum { G80, G81, G83, GC1, GC6, GC7, GD3, GF6, GF7, GBA, G71, G72, G73, GF3, GROUPS };
static const struct {
    uint8_t map, op;
} groups[GROUPS] = {
#define VMAP_1 VROW_1
#define VMAP_0F VROW_0F
#define VMAP_V1 VROW_V1
#define VMAP_V2 VROW_V2
#define VMAP_V3 VROW_V3
#define VMAP_GRP 99
#define SHAPE_PLAIN(map, op, n)
#define SHAPE_GROUP(map, op, group) [group] = {VMAP_##map, op},
#include "sfi-jit/verify/insns.def"
#undef SHAPE_PLAIN
#undef SHAPE_GROUP
};

struct raw {
    const char *name, *pp, *w, *form, *reg, *rm, *vvvv, *imm, *flags;
    int map, op, n;
};
#define D(group, digit) ((group)*8 + (digit))
static const struct raw raws[] = {
#define INSN(name, map, pp, op, n, w, form, reg, rm, vvvv, imm, flags) \
    {#name, #pp, #w, #form, #reg, #rm, #vvvv, #imm, #flags, VMAP_##map, op, n},
#include "sfi-jit/verify/insns.def"
#undef INSN
};

const size_t vrow_count = sizeof raws / sizeof *raws;

static uint8_t pp_number(const char *pp) {
    return strcmp(pp, "66") == 0 ? 1 : strcmp(pp, "F3") == 0 ? 2 : strcmp(pp, "F2") == 0 ? 3 : 0;
}

struct vrow vrow_get(size_t i) {
    const struct raw *raw = &raws[i];
    struct vrow row = {.name = raw->name,
                       .map = (enum vrow_map)raw->map,
                       .pp = pp_number(raw->pp),
                       .op = (uint8_t)raw->op,
                       .n = (uint8_t)raw->n,
                       .digit = -1,
                       .w0 = raw->w[0] == '0',
                       .w1 = strchr(raw->w, '1') != NULL,
                       .form = raw->form[0],
                       .reg = raw->reg,
                       .rm = raw->rm,
                       .vvvv = raw->vvvv,
                       .imm = raw->imm,
                       .flags = raw->flags};
    if (raw->map == VMAP_GRP) {
        row.map = (enum vrow_map)groups[raw->op / 8].map;
        row.digit = raw->op % 8;
        row.op = groups[raw->op / 8].op;
    }
    return row;
}

unsigned vrow_width(const struct vrow *row, bool w, bool *out_reads, bool *out_writes) {
    *out_reads = *out_writes = false;
    if (row->form != 'M' || strcmp(row->rm, "LEA") == 0) return 0;
    *out_reads = row->rm[0] != 'S';
    *out_writes = row->rm[0] != 'L';
    return row->rm[2] == 'V' ? (w ? 8 : 4) : (unsigned)atoi(row->rm + 2);
}

bool vrow_needs_lock(const struct vrow *row) { return strncmp(row->flags, "LOCKED", 6) == 0; }
bool vrow_takes_lock(const struct vrow *row) { return strncmp(row->flags, "LOCK", 4) == 0; }

static bool is_high_byte(const char *kind, unsigned number) {
    return (strcmp(kind, "B") == 0 || strcmp(kind, "C") == 0) && number >= 4 && number < 8;
}

static uint8_t *put(uint8_t *p, uint64_t value, unsigned bytes) {
    while (bytes--) *p++ = (uint8_t)value, value >>= 8;
    return p;
}

static uint8_t *put_imm(uint8_t *p, const char *imm) {
    if (strcmp(imm, "8") == 0) return put(p, 5, 1);
    if (strcmp(imm, "IS4") == 0) return put(p, 0x30, 1);
    if (strncmp(imm, "16", 2) == 0) return put(p, 0x1234, 2);
    if (strcmp(imm, "32S") == 0) return put(p, 0x87654321, 4);
    if (strncmp(imm, "32", 2) == 0) return put(p, 0x12345678, 4);
    if (strcmp(imm, "64N") == 0) return put(p, 0x123456789abcdef0, 8);
    return p;
}

static uint8_t *put_mem(uint8_t *p, unsigned reg, const struct vmem *mem) {
    if (mem->kind == VMEM_RIP) {
        *p++ = (uint8_t)(5 | (reg & 7) << 3);
        return put(p, (uint32_t)mem->disp, 4);
    }
    unsigned mod = mem->disp == 0 && (mem->base & 7) != 5 ? 0
                   : mem->disp == (int8_t)mem->disp       ? 1
                                                          : 2;
    bool sib = mem->kind == VMEM_BASE_INDEX || (mem->base & 7) == 4;
    *p++ = (uint8_t)(mod << 6 | (reg & 7) << 3 | (sib ? 4 : mem->base & 7));
    if (sib) {
        unsigned index = mem->kind == VMEM_BASE_INDEX ? mem->index & 7u : 4;
        *p++ = (uint8_t)(mem->scale << 6 | index << 3 | (mem->base & 7));
    }
    return put(p, (uint32_t)mem->disp, mod == 0 ? 0 : mod == 1 ? 1 : 4);
}

unsigned vrow_encode(const struct vrow *row, unsigned k, bool w, unsigned reg, unsigned rm,
                     unsigned vvvv, const struct vmem *mem, bool lock, uint8_t out[16]) {
    uint8_t *p = out;
    bool plain = row->form == 'P', memory = row->form == 'M';
    if (row->digit >= 0)
        reg = (unsigned)row->digit;
    else if (strcmp(row->reg, "NO") == 0)
        reg = 0;
    if (strcmp(row->vvvv, "NO") == 0) vvvv = 0;
    if (plain && strcmp(row->rm, "NO") == 0) rm = 0;
    bool r = reg >= 8, x = memory && mem->kind == VMEM_BASE_INDEX && mem->index >= 8;
    bool b = memory ? mem->kind != VMEM_RIP && mem->base >= 8 : rm >= 8;
    unsigned op = row->op + (plain && strcmp(row->rm, "NO") != 0 ? rm & 7 : k);
    if (row->map >= VROW_V1) {
        unsigned last = (~vvvv & 15) << 3 | row->pp;
        if (row->map == VROW_V1 && !w && !x && !b) {
            *p++ = 0xc5;
            *p++ = (uint8_t)(last | (r ? 0 : 0x80));
        } else {
            *p++ = 0xc4;
            *p++ = (uint8_t)((r ? 0 : 0x80) | (x ? 0 : 0x40) | (b ? 0 : 0x20) |
                             (row->map - VROW_V1 + 1));
            *p++ = (uint8_t)(last | (w ? 0x80 : 0));
        }
    } else {
        static const uint8_t prefixes[] = {0, 0x66, 0xf3, 0xf2};
        if (lock) *p++ = 0xf0;
        if (row->pp) *p++ = prefixes[row->pp];
        uint8_t rex = (uint8_t)((w ? 8 : 0) | (r ? 4 : 0) | (x ? 2 : 0) | (b ? 1 : 0));
        if (rex || (row->digit < 0 && is_high_byte(row->reg, reg)) ||
            (!memory && is_high_byte(row->rm, rm)))
            *p++ = 0x40 | rex;
        if (row->map == VROW_0F) *p++ = 0x0f;
    }
    *p++ = (uint8_t)op;
    if (memory)
        p = put_mem(p, reg, mem);
    else if (!plain)
        *p++ = (uint8_t)(0xc0 | (reg & 7) << 3 | (rm & 7));
    p = put_imm(p, row->imm);
    return (unsigned)(p - out);
}
