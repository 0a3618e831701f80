// bytes.c — opt_bytes(): bytes put together in the opposite order by shifts and masks are one BSWAP.
//
// WebAssembly has no such operator, so a program's htonl() reaches us as `x << 24 | (x << 8 & 0xff0000) | (x >> 8 & 0xff00) | x >> 24`,
// in one order or another. So of an OR it is found out, through shifts by whole bytes, masks of whole bytes and ORs, which byte of
// which value each of its bytes is. If all are one value's, and in the opposite order, it is BSWAP of that; if the lowest two of an
// i32 alone are, BSWAP shifted down. Nothing is loaded otherwise than before: loads are values like others here.
#include "sfi-jit/opt/opt.h"

#define NODES_MAX 40u // looked at for one OR: eight bytes take 29

struct bytes {
    const struct ir_func *f;
    ir_ref source; // of all bytes, 0 while there is none
    uint32_t nodes;
};

// A byte of a value: its number in the source, ZERO, or OTHER.
enum { ZERO = 0xf0, OTHER = 0xff };
struct places {
    uint8_t at[8];
};

static unsigned width(const struct bytes *s, ir_ref r) {
    return s->f->ins[r].type == IR_I32 ? 4 : 8;
}

static bool constant(const struct bytes *s, ir_ref r, uint64_t *out) {
    *out = s->f->ins[r].imm;
    return s->f->ins[r].op == IR_CONST;
}

// The value itself, of which a load may leave the upper bytes zero.
static bool leaf(struct bytes *s, ir_ref r, struct places *out) {
    const struct ir_ins *i = &s->f->ins[r];
    unsigned n = width(s, r), real = n;
    if (s->source && s->source != r) return false;
    s->source = r;
    if (i->op == IR_LOAD && i->aux == IR_MEM_8U) real = 1;
    if (i->op == IR_LOAD && i->aux == IR_MEM_16U) real = 2;
    if (i->op == IR_LOAD && i->aux == IR_MEM_32U) real = 4;
    for (unsigned k = 0; k < 8; k++) out->at[k] = (uint8_t)(k < real ? k : ZERO);
    return true;
}

static bool find(struct bytes *s, ir_ref r, struct places *out);

static bool shift(struct bytes *s, ir_ref r, uint64_t by, struct places *out) {
    unsigned n = width(s, r), bytes = (unsigned)(by & (8 * n - 1)) / 8;
    struct places x;
    if (by % 8 || !find(s, s->f->ins[r].a, &x)) return false;
    for (unsigned k = 0; k < 8; k++) {
        unsigned from = s->f->ins[r].op == IR_SHL ? k - bytes : k + bytes;
        out->at[k] = (uint8_t)(k < n && from < n ? x.at[from] : ZERO);
    }
    return true;
}

static bool mask(struct bytes *s, ir_ref r, uint64_t bits, struct places *out) {
    if (!find(s, s->f->ins[r].a, out)) return false;
    for (unsigned k = 0; k < width(s, r); k++) {
        uint8_t keep = (uint8_t)(bits >> 8 * k);
        if (out->at[k] == ZERO || keep == 0xff) continue;
        out->at[k] = keep ? OTHER : ZERO;
    }
    return true;
}

static bool join(struct bytes *s, ir_ref r, struct places *out) {
    struct places x, y;
    if (!find(s, s->f->ins[r].a, &x) || !find(s, s->f->ins[r].b, &y)) return false;
    for (unsigned k = 0; k < 8; k++) {
        uint8_t a = x.at[k], b = y.at[k];
        out->at[k] = a == ZERO ? b : b == ZERO || a == b ? a : (uint8_t)OTHER;
    }
    return true;
}

static bool find(struct bytes *s, ir_ref r, struct places *out) {
    const struct ir_ins *i = &s->f->ins[r];
    uint64_t c;
    if (++s->nodes > NODES_MAX) return false;
    switch (i->op) {
    case IR_OR: return join(s, r, out);
    case IR_AND:
        if (constant(s, i->b, &c)) return mask(s, r, c, out);
        break;
    case IR_SHL:
    case IR_SHRU:
        if (constant(s, i->b, &c) && c % 8 == 0) return shift(s, r, c, out);
        break;
    default: break;
    }
    return leaf(s, r, out);
}

// The lowest `n` of them are the source's lowest n in the opposite order, and the others zero.
static bool is_reversed(const struct places *p, unsigned n) {
    for (unsigned k = 0; k < 8; k++)
        if (p->at[k] != (k < n ? n - 1 - k : ZERO)) return false;
    return true;
}

static void try(struct ir_func *f, ir_ref r) {
    struct bytes s = {.f = f};
    struct places p;
    if (!find(&s, r, &p) || s.source == r || f->ins[s.source].type != f->ins[r].type) return;
    struct ir_ins *i = &f->ins[r];
    if (is_reversed(&p, width(&s, r))) {
        i->op = IR_BSWAP;
        i->a = s.source;
        i->b = 0;
    } else if (i->type == IR_I32 && is_reversed(&p, 2)) {
        ir_ref swapped = ir_insert_before(f, r, IR_BSWAP, IR_I32, s.source, 0, 0, 0);
        ir_ref by = ir_insert_before(f, r, IR_CONST, IR_I32, 0, 0, 0, 16);
        i = &f->ins[r];
        i->op = IR_SHRU;
        i->a = swapped;
        i->b = by;
    }
}

// An OR of a shift or a mask, or of such ORs.
static bool may_be(const struct ir_func *f, ir_ref r) {
    const struct ir_ins *i = &f->ins[r];
    if (i->op == IR_AND && f->ins[i->b].op == IR_CONST) i = &f->ins[i->a];
    if (i->op != IR_OR) return false;
    uint8_t a = f->ins[i->a].op, b = f->ins[i->b].op;
    return (a == IR_OR || a == IR_AND || a == IR_SHL || a == IR_SHRU) &&
           (b == IR_OR || b == IR_AND || b == IR_SHL || b == IR_SHRU);
}

void opt_bytes(struct ir_func *f) {
    // Backwards: an OR that is part of another one comes after it, and may be dead by then.
    for (uint32_t k = f->orders; k-- > 0;)
        for (ir_ref r = f->block[f->order[k]].last; r; r = f->ins[r].prev)
            if (may_be(f, r)) try(f, r);
}
