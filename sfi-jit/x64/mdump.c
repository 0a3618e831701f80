// mdump.c — x64_dump(): machine instructions as text, one a line: number, operator, operands, immediate, memory operand.
//
//   block 2 <- 0 1 (params v7)
//     14 add.4 v9 = v7, v8          before register allocation
//     14 add.4 rax = rax, [slot 3]  after it; moves in front of it as "move rax -> rcx"
//   order 0 2 1                     behind all blocks, after it: how they are laid out
#include "sfi-jit/x64/minsn.h"

struct out {
    void (*put)(void *ctx, const char *text, size_t n);
    void *ctx;
    const struct x64_code *code;
    const struct ra_output *ra;
    uint32_t move;
};

static void text(struct out *o, const char *s) {
    size_t n = 0;
    while (s[n]) n++;
    o->put(o->ctx, s, n);
}

static void number(struct out *o, uint64_t v) {
    char digits[20], *p = digits + sizeof digits;
    do *--p = (char)('0' + v % 10);
    while (v /= 10);
    o->put(o->ctx, p, (size_t)(digits + sizeof digits - p));
}

static void hex(struct out *o, uint64_t v) {
    char digits[18], *p = digits + sizeof digits;
    do *--p = "0123456789abcdef"[v & 15];
    while (v >>= 4);
    *--p = 'x';
    *--p = '0';
    o->put(o->ctx, p, (size_t)(digits + sizeof digits - p));
}

static void location(struct out *o, ra_loc loc) {
    static const char *const reg[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                      "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
    if (loc < 16) {
        text(o, reg[loc]);
    } else if (RA_IS_REG(loc)) {
        text(o, "xmm");
        number(o, loc - 16);
    } else if (RA_IS_SLOT(loc)) {
        text(o, "[slot ");
        number(o, loc - RA_SLOT(0));
        text(o, "]");
    } else {
        text(o, loc == RA_REMAT ? "constant" : "none");
    }
}

static void vreg(struct out *o, uint32_t v) {
    text(o, "v");
    number(o, v);
}

static void operand(struct out *o, uint32_t index) {
    const struct ra_operand *p = &o->code->operand[index];
    if (o->ra) {
        location(o, o->ra->loc[index]);
        return;
    }
    vreg(o, p->vreg);
    if (p->how == RA_FIXED) {
        text(o, "@");
        location(o, p->fixed);
    } else if (p->how == RA_ANY) {
        text(o, "?");
    }
    if (p->when == (p->kind == RA_USE ? RA_LATE : RA_EARLY)) text(o, "!");
}

static void moves(struct out *o, uint32_t insn) {
    for (; o->ra && o->move < o->ra->moves && o->ra->move[o->move].at == insn; o->move++) {
        const struct ra_move *m = &o->ra->move[o->move];
        text(o, "       move ");
        location(o, m->from);
        text(o, " -> ");
        location(o, m->to);
        text(o, "  ");
        vreg(o, m->vreg);
        text(o, "\n");
    }
}

static void instruction(struct out *o, uint32_t n) {
    static const char *const name[MOPS] = {
#define X(name, text, form, opcode, digit) text,
#include "sfi-jit/x64/mops.def"
#undef X
    };
    static const char *const mem[] = {"", "index", "abs", "ctx", "pool", "base", "scaled"};
    const struct x64_insn *i = &o->code->insn[n];
    const struct ra_insn *r = &o->code->ra[n];
    text(o, "    ");
    number(o, n);
    text(o, " ");
    text(o, name[i->op]);
    text(o, ".");
    number(o, i->size ? i->size : i->fsize);
    for (uint32_t k = 0; k < r->count; k++) {
        bool def = o->code->operand[r->first + k].kind == RA_DEF;
        bool last = k + 1 == r->count;
        text(o, k == 0 ? " " : "");
        operand(o, r->first + k);
        text(o, def && (last || o->code->operand[r->first + k + 1].kind == RA_USE) ? " = "
                : last                                                             ? ""
                                                                                   : ", ");
    }
    if (i->mem) {
        text(o, " ");
        text(o, mem[i->mem]);
        text(o, i->disp < 0 ? "-" : "+");
        hex(o, i->disp < 0 ? 0 - (uint64_t)(int64_t)i->disp : (uint64_t)i->disp);
    }
    if (i->has_imm || i->imm) {
        text(o, " #");
        hex(o, i->imm);
    }
    if (i->cc) {
        text(o, " cc ");
        number(o, i->cc);
    }
    text(o, "\n");
}

static void list(struct out *o, const char *head, const uint32_t *v, uint32_t n) {
    if (!n) return;
    text(o, head);
    for (uint32_t k = 0; k < n; k++) {
        text(o, " ");
        number(o, v[k]);
    }
}

void x64_dump(const struct x64_code *code, const struct ra_output *ra, const struct x64_order *order,
              void (*put)(void *ctx, const char *text, size_t n), void *ctx) {
    struct out o = {put, ctx, code, ra, 0};
    for (uint32_t b = 0; b < code->blocks; b++) {
        const struct ra_block *k = &code->block[b];
        text(&o, "  block ");
        number(&o, b);
        list(&o, " <-", k->pred, k->preds);
        list(&o, " ->", k->succ, k->succs);
        list(&o, " params", k->param, k->params);
        list(&o, " args", k->arg, k->args);
        text(&o, "\n");
        for (uint32_t i = k->begin; i < k->end; i++) {
            moves(&o, i);
            instruction(&o, i);
        }
    }
    if (!order) return;
    list(&o, "  order", order->order, order->blocks);
    text(&o, "\n");
}
