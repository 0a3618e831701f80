// emit_control.c — branches, switches, calls, returns, traps.
#include "sfi-jit/lib.h"
#include "sfi-jit/x64/emit.h"

// ---- where control goes ------------------------------------------------------------------------

static uint32_t resolve(const struct x64_emitter *e, uint32_t block) {
    return e->order->goes_to[block];
}

// What a jump table can reach is bundle aligned.
void x64_find_targets(struct x64_emitter *e) {
    e->align = JIT_ARRAY(e->arena, bool, e->code->blocks);
    for (uint32_t b = 0; b < e->code->blocks; b++) {
        const struct x64_insn *i = &e->code->insn[e->in->block[b].end - 1];
        for (uint32_t k = 0; i->op == MOP_JTABLE && k < i->imm; k++)
            e->align[resolve(e, e->code->target[(uint32_t)i->disp + k])] = true;
    }
}

static uint32_t next_block(const struct x64_emitter *e) { return e->order->order[e->at + 1]; }

static uint32_t successor(const struct x64_emitter *e, uint32_t k) {
    return resolve(e, e->in->block[e->block].succ[k]);
}

static void go_to(struct x64_emitter *e, uint32_t block) {
    if (block != next_block(e)) x64_jmp(&e->s, block);
}

static void emit_jcc(struct x64_emitter *e, const struct x64_insn *i) {
    uint32_t yes = successor(e, 0), no = successor(e, 1), next = next_block(e);
    uint8_t cc = i->cc;
    if (yes == no) {
        go_to(e, yes);
        return;
    }
    if (cc == CC_FEQ) { // ask for the opposite
        uint32_t t = yes;
        yes = no;
        no = t;
        cc = CC_FNE;
    }
    if (cc == CC_FNE && yes == next) {
        x64_jcc(&e->s, CC_P, yes);
        x64_jcc(&e->s, CC_E, no);
    } else if (cc == CC_FNE) {
        x64_jcc(&e->s, CC_NE, yes);
        x64_jcc(&e->s, CC_P, yes);
        go_to(e, no);
    } else if (yes == next) {
        x64_jcc(&e->s, cc ^ 1, no);
    } else {
        x64_jcc(&e->s, cc, yes);
        go_to(e, no);
    }
}

static uint32_t target(const struct x64_emitter *e, const struct x64_insn *i, uint32_t k) {
    return resolve(e, e->code->target[(uint32_t)i->disp + k]);
}

// A switch in pieces: from `first` on, up to the next piece's first, it goes to `to`.
struct piece {
    uint32_t first, to;
};

static void compare_index(struct x64_emitter *e, unsigned index, uint32_t with) {
    if (with < 128)
        x64_op(&e->s, 0x83, false, 7, x64_rm_reg(index), 1, with);
    else
        x64_op(&e->s, 0x81, false, 7, x64_rm_reg(index), 4, with);
}

// Bisects the pieces: at most log2(n) compare-and-branches. Code that follows is not the next block but more of this switch, unless
// this is the `last` part.
static void emit_pieces(struct x64_emitter *e, unsigned index, const struct piece *p, uint32_t n,
                        bool last) {
    uint32_t to = p[n - 1].to;
    if (n == 3 && p[0].to == to && p[2].first - p[1].first == 1) {
        compare_index(e, index, p[1].first);
        x64_jcc(&e->s, CC_E, p[1].to);
    } else if (n == 2) {
        compare_index(e, index, p[1].first);
        if (last && p[0].to == next_block(e)) {
            x64_jcc(&e->s, CC_AE, to);
            return;
        }
        x64_jcc(&e->s, CC_B, p[0].to);
    } else if (n > 2) {
        uint32_t above = x64_new_label(&e->s), half = n / 2;
        compare_index(e, index, p[half].first);
        x64_jcc(&e->s, CC_AE, above);
        emit_pieces(e, index, p, half, false);
        x64_bind(&e->s, above);
        emit_pieces(e, index, p + half, n - half, last);
        return;
    }
    if (!last || to != next_block(e)) x64_jmp(&e->s, to);
}

// A switch between two places, by one of 32 bits: no branch for each piece, which is wrong as often as the pieces alternate.
static bool emit_bits(struct x64_emitter *e, unsigned index, const struct piece *p, uint32_t n) {
    if (n < 4 || p[n - 1].first > 32) return false;
    uint32_t other = p[n - 1].to, one = p[n - 2].to, mask = 0, end = p[n - 1].first;
    for (uint32_t k = 0; k < n; k++) {
        if (p[k].to != one && p[k].to != other) return false;
        uint64_t to = k + 1 < n ? p[k + 1].first : end;
        if (p[k].to == one) mask |= (uint32_t)((1ull << to) - (1ull << p[k].first));
    }
    compare_index(e, index, end);
    x64_jcc(&e->s, CC_AE, other);
    x64_load_imm(&e->s, SCRATCH, mask);
    x64_vex(&e->s, x64_mop_info[MOP_SHRX].opcode, false, SCRATCH, index, x64_rm_reg(SCRATCH), 0, 0);
    x64_op(&e->s, 0x83, false, 4, x64_rm_reg(SCRATCH), 1, 1); // and
    x64_def(&e->s, SCRATCH); // clean here, but not on the first edge
    if (one == next_block(e)) {
        x64_jcc(&e->s, CC_E, other);
    } else {
        x64_jcc(&e->s, CC_NE, one);
        go_to(e, other);
    }
    return true;
}

static void emit_switch(struct x64_emitter *e, uint32_t insn) {
    const struct x64_insn *i = &e->code->insn[insn];
    struct piece *piece = JIT_ARRAY(e->arena, struct piece, (size_t)i->imm);
    uint32_t n = 0;
    for (uint32_t k = 0; k < i->imm; k++) {
        uint32_t to = target(e, i, k);
        if (n == 0 || piece[n - 1].to != to) piece[n++] = (struct piece){k, to};
    }
    unsigned index = x64_reg(e, insn, 0);
    if (!emit_bits(e, index, piece, n)) emit_pieces(e, index, piece, n, true);
}

// SFI_T_JUMP_TABLE of sfi.h.
static void emit_jump_table(struct x64_emitter *e, const struct x64_insn *i) {
    struct x64_asm *s = &e->s;
    uint32_t n = (uint32_t)i->imm;
    uint32_t *label = JIT_ARRAY(e->arena, uint32_t, n);
    for (uint32_t k = 0; k < n; k++) label[k] = target(e, i, k);
    uint8_t t[30] = {0x41, 0xbb, 0,    0,    0,    0,    0x44, 0x39, 0xd8, 0x41,
                     0x0f, 0x47, 0xc3, 0x4c, 0x8d, 0x1d, 0,    0,    0,    0,
                     0x49, 0x63, 0x04, 0x83, 0x4c, 0x01, 0xd8, 0xff, 0xe0, 0xcc};
    x64_put_imm(t + 2, n - 1, 4);
    x64_raw(s, t, sizeof t);
    x64_def(s, RAX);
    x64_def(s, R11);
    x64_reloc(s, X64_REL_TABLE, x64_new_table(s, label, n), sizeof t - 16, 0);
    x64_end(s);
}

// ---- calls -------------------------------------------------------------------------------------

// The verifier forgets what was clean. The callee kept its saved registers, and what is an address in them is cleaned again.
static void after_call(struct x64_emitter *e, uint32_t insn) {
    struct x64_asm *s = &e->s;
    s->z = (struct x64_zstate){0, 0};
    for (unsigned r = 0; r < 16; r++)
        if (e->reclean[insn] >> r & 1) {
            x64_op(s, 0x89, false, r, x64_rm_reg(r), 0, 0);
            x64_def32(s, r);
        }
}

static void emit_call(struct x64_emitter *e, uint32_t insn, const struct x64_insn *i) {
    static const uint8_t call[5] = {0xe8};
    x64_raw(&e->s, call, sizeof call);
    x64_reloc(&e->s, X64_REL_CALL, (uint32_t)i->imm, 4, 0);
    after_call(e, insn);
}

enum { TABLE_HEAD_BYTES = 23, TAIL_JUMP_BYTES = 9 };

// The index is compared with the table's length, for the trap that WebAssembly wants; the templates are safe by themselves.
static void check_row(struct x64_emitter *e, const struct x64_insn *i) {
    uint32_t table = (uint32_t)i->disp;
    x64_op(&e->s, 0x3b, false, RAX, x64_rm_base(R15, -(int32_t)SFI_CTX_TABLE_LEN(table)), 0, 0);
    x64_jcc(&e->s, CC_AE, x64_trap_label(e, SFI_TRAP_TABLE, i->wasm, (uint16_t)table));
}

// What the templates of indirect calls begin with: and, cmp, jne, whose rel32 are the last bytes.
static void put_table_head(uint8_t *t, const struct x64_insn *i) {
    static const uint8_t head[TABLE_HEAD_BYTES] = {
        0x25, 0, 0, 0, 0, 0x41, 0x81, 0xbc, 0x87, 0, 0, 0, 0, 0, 0, 0, 0, 0x0f, 0x85, 0, 0, 0, 0};
    memcpy(t, head, sizeof head);
    x64_put_imm(t + 1, SFI_TABLE_ROWS - 1, 4);
    x64_put_imm(t + 9, 0 - SFI_TABLE_SIGS((uint32_t)i->disp), 4);
    x64_put_imm(t + 13, i->imm, 4);
}

// SFI_T_CALL_INDIRECT of sfi.h.
static void emit_call_indirect(struct x64_emitter *e, uint32_t insn, const struct x64_insn *i) {
    struct x64_asm *s = &e->s;
    uint32_t table = (uint32_t)i->disp;
    uint8_t t[TABLE_HEAD_BYTES + 8] = {[TABLE_HEAD_BYTES] = 0x41, 0xff, 0x94, 0xc7};
    check_row(e, i);
    put_table_head(t, i);
    x64_put_imm(t + 27, 0 - SFI_TABLE_ENTRIES(table), 4);
    uint32_t label = x64_trap_label(e, SFI_TRAP_SIGNATURE, i->wasm, (uint16_t)table);
    x64_raw(s, t, sizeof t);
    x64_inner_branch(s, label, sizeof t - 19);
    x64_reloc(s, X64_REL_SIG, 0, sizeof t - 13, 0);
    after_call(e, insn);
}

static void restore_saved(struct x64_emitter *e) {
    struct x64_asm *s = &e->s;
    uint32_t at = e->saved;
    for (unsigned r = 0; r < 16; r++)
        if (e->ra->used & e->in->callee_saved & 1u << r) {
            x64_op(s, 0x8b, true, r, x64_rm_base(RSP, (int32_t)at), 0, 0);
            x64_def(s, r);
            at += 8;
        }
}

// `add rsp, F`, if there is a frame, and what it stands directly before: one unit, so that no padding comes between them.
static void leave(struct x64_emitter *e, const uint8_t *last, unsigned n) {
    uint8_t bytes[X64_INSN_MAX + TAIL_JUMP_BYTES], *p = bytes;
    if (e->frame) {
        bool is_short = e->frame < 128;
        struct x64_rm rsp = x64_rm_reg(RSP);
        p = x64_put_legacy(p, is_short ? 0x83 : 0x81, true, 0, &rsp);
        p = x64_put_imm(p, e->frame, is_short ? 1 : 4);
    }
    memcpy(p, last, n);
    x64_raw(&e->s, bytes, (unsigned)(p - bytes) + n);
    x64_end(&e->s);
}

static void emit_return(struct x64_emitter *e) {
    static const uint8_t ret[] = {0xc3, 0xcc};
    restore_saved(e);
    leave(e, ret, sizeof ret);
}

static void emit_tail_call(struct x64_emitter *e, const struct x64_insn *i) {
    static const uint8_t jmp[5] = {0xe9};
    restore_saved(e);
    leave(e, jmp, sizeof jmp);
    x64_reloc(&e->s, X64_REL_CALL, (uint32_t)i->imm, 4, 0);
}

// SFI_T_TAIL_INDIRECT. Its head ends with a bundle, behind a NOP, so that what must follow directly needs no padding before it.
static void emit_tail_indirect(struct x64_emitter *e, const struct x64_insn *i) {
    struct x64_asm *s = &e->s;
    uint32_t table = (uint32_t)i->disp;
    uint8_t head[SFI_BUNDLE], jmp[TAIL_JUMP_BYTES] = {0x41, 0xff, 0xa4, 0xc7, 0, 0, 0, 0, 0xcc};
    check_row(e, i);
    restore_saved(e);
    x64_put_nops(head, SFI_BUNDLE - TABLE_HEAD_BYTES);
    put_table_head(head + SFI_BUNDLE - TABLE_HEAD_BYTES, i);
    s->align_next = true;
    x64_raw(s, head, sizeof head);
    x64_inner_branch(s, x64_trap_label(e, SFI_TRAP_SIGNATURE, i->wasm, (uint16_t)table), 4);
    x64_reloc(s, X64_REL_SIG, 0, TABLE_HEAD_BYTES - 13, 0);
    x64_put_imm(jmp + 4, 0 - SFI_TABLE_ENTRIES(table), 4);
    leave(e, jmp, sizeof jmp);
}

// ---- traps -------------------------------------------------------------------------------------

static uint32_t new_stub(struct x64_emitter *e, struct x64_stub stub) {
    // The same stub was asked for a moment ago, if ever: a template's two labels, an access with a folded check.
    for (uint32_t k = e->stubs; k > 0 && e->stubs - k < 4; k--) {
        const struct x64_stub *o = &e->stub[k - 1];
        if (o->kind == stub.kind && o->wasm == stub.wasm && o->aux == stub.aux &&
            o->ftoi_size == stub.ftoi_size && o->ftoi_reg == stub.ftoi_reg)
            return o->label;
    }
    stub.label = x64_new_label(&e->s);
    e->stub = jit_grow(e->arena, e->stub, &e->stub_cap, e->stubs + 1, sizeof *e->stub);
    e->stub[e->stubs++] = stub;
    return stub.label;
}

uint32_t x64_trap_label(struct x64_emitter *e, enum sfi_trap kind, uint32_t wasm, uint16_t aux) {
    return new_stub(e, (struct x64_stub){.wasm = wasm, .kind = (uint16_t)kind, .aux = aux});
}

uint32_t x64_ftoi_label(struct x64_emitter *e, uint32_t wasm, unsigned reg, unsigned fsize) {
    return new_stub(e, (struct x64_stub){.wasm = wasm,
                                         .kind = SFI_TRAP_OVERFLOW,
                                         .ftoi_size = (uint8_t)fsize,
                                         .ftoi_reg = (uint8_t)reg});
}

static void ud2(struct x64_asm *s, uint16_t kind, uint32_t wasm, uint16_t aux) {
    static const uint8_t bytes[2] = {0x0f, 0x0b};
    x64_site(s, kind, wasm, aux);
    x64_raw(s, bytes, sizeof bytes);
    x64_end(s);
}

static void mfence(struct x64_asm *s) {
    static const uint8_t bytes[3] = {0x0f, 0xae, 0xf0};
    x64_raw(s, bytes, sizeof bytes);
}

void x64_emit_stubs(struct x64_emitter *e) {
    struct x64_asm *s = &e->s;
    s->block = UINT32_MAX; // no block's clean set holds here
    for (uint32_t k = 0; k < e->stubs; k++) {
        const struct x64_stub *t = &e->stub[k];
        x64_bind_stub(s, t->label);
        if (t->ftoi_size) {
            uint32_t nan = x64_new_label(s);
            x64_vex(s, X64_OPC(t->ftoi_size == 4 ? PP_NONE : PP_66, 1, 0x2e), false, t->ftoi_reg, 0,
                    x64_rm_reg(t->ftoi_reg), 0, 0); // vucomiss, vucomisd
            x64_jcc(s, CC_P, nan);
            ud2(s, SFI_TRAP_OVERFLOW, t->wasm, 0);
            x64_bind_stub(s, nan);
            ud2(s, SFI_TRAP_CONVERSION, t->wasm, 0);
        } else {
            ud2(s, t->kind, t->wasm, t->aux);
        }
    }
}

void x64_emit_control(struct x64_emitter *e, uint32_t insn) {
    const struct x64_insn *i = &e->code->insn[insn];
    switch ((enum x64_form)x64_mop_info[i->op].form) {
    case FORM_JMP: go_to(e, successor(e, 0)); break;
    case FORM_JCC: emit_jcc(e, i); break;
    case FORM_SWITCH: emit_switch(e, insn); break;
    case FORM_JTABLE: emit_jump_table(e, i); break;
    case FORM_RET: emit_return(e); break;
    case FORM_TAIL: emit_tail_call(e, i); break;
    case FORM_TAILI: emit_tail_indirect(e, i); break;
    case FORM_CALL: emit_call(e, insn, i); break;
    case FORM_CALLI: emit_call_indirect(e, insn, i); break;
    case FORM_TRAPIF:
        x64_jcc(&e->s, i->cc, x64_trap_label(e, (enum sfi_trap)i->imm, i->wasm, 0));
        break;
    case FORM_TRAP: ud2(&e->s, (uint16_t)i->imm, i->wasm, 0); break;
    case FORM_FENCE: mfence(&e->s); break;
    default: __builtin_trap();
    }
}
