// asm.c — see asm.h: collecting units. Their layout is in layout.c.
#include "sfi-jit/x64/asm.h"
#include "sfi-jit/lib.h"

#define NO_UNIT UINT32_MAX

void x64_asm_init(struct x64_asm *s, struct jit_arena *scratch, struct x64_module *m, uint32_t blocks) {
    *s = (struct x64_asm){
        .arena = scratch, .module = m, .block = UINT32_MAX, .blocks = blocks, .first_table = m->tables};
    s->label = jit_grow(scratch, NULL, &s->label_cap, blocks + 16, sizeof *s->label);
    s->labels = blocks;
    for (uint32_t i = 0; i < blocks; i++)
        s->label[i] = (struct x64_label){NO_UNIT, i, {0, 0xffff}, false};
    s->block_out = JIT_ARRAY(scratch, struct x64_zstate, blocks);
}

static struct x64_unit *new_unit(struct x64_asm *s, uint8_t kind) {
    s->unit = jit_grow(s->arena, s->unit, &s->unit_cap, s->units + 1, sizeof *s->unit);
    struct x64_unit *u = &s->unit[s->units++];
    *u = (struct x64_unit){.at = s->size, .kind = kind, .align = s->align_next};
    s->align_next = false;
    s->dead = false;
    return u;
}

static uint8_t *room(struct x64_asm *s) {
    s->bytes = jit_grow(s->arena, s->bytes, &s->cap, s->size + SFI_BUNDLE, 1);
    return s->bytes + s->size;
}

static void close_unit(struct x64_asm *s, const uint8_t *start, const uint8_t *end) {
    struct x64_unit *u = new_unit(s, UNIT_PLAIN);
    u->len = (uint8_t)(end - start);
    s->size += u->len;
}

void x64_reloc(struct x64_asm *s, enum x64_reloc_kind kind, uint32_t target, unsigned back,
               unsigned tail) {
    s->reloc = jit_grow(s->arena, s->reloc, &s->reloc_cap, s->relocs + 1, sizeof *s->reloc);
    s->reloc_unit =
        jit_grow(s->arena, s->reloc_unit, &s->reloc_unit_cap, s->relocs + 1, sizeof *s->reloc_unit);
    s->reloc_unit[s->relocs] = s->units - 1;
    s->reloc[s->relocs++] = (struct x64_reloc){s->size - back, target, (uint8_t)kind, (uint8_t)tail};
}

void x64_op(struct x64_asm *s, uint32_t opc, bool w, unsigned reg, struct x64_rm rm,
            unsigned imm_bytes, uint64_t imm) {
    uint8_t *start = room(s);
    uint8_t *p = x64_put_legacy(start, opc, w, reg, &rm);
    p = x64_put_imm(p, imm, imm_bytes);
    close_unit(s, start, p);
    if (rm.kind == RM_RIP) x64_reloc(s, X64_REL_POOL, (uint32_t)rm.disp, imm_bytes + 4, imm_bytes);
}

void x64_vex(struct x64_asm *s, uint32_t opc, bool w, unsigned reg, unsigned v, struct x64_rm rm,
             unsigned imm_bytes, uint64_t imm) {
    uint8_t *start = room(s);
    uint8_t *p = x64_put_vex(start, opc, w, reg, v, &rm);
    p = x64_put_imm(p, imm, imm_bytes);
    close_unit(s, start, p);
    if (rm.kind == RM_RIP) x64_reloc(s, X64_REL_POOL, (uint32_t)rm.disp, imm_bytes + 4, imm_bytes);
}

void x64_raw(struct x64_asm *s, const uint8_t *bytes, unsigned n) {
    uint8_t *start = room(s);
    memcpy(start, bytes, n);
    close_unit(s, start, start + n);
}

void x64_end(struct x64_asm *s) {
    s->unit[s->units - 1].end = true;
    s->dead = true;
}

void x64_site(struct x64_asm *s, uint16_t kind, uint32_t wasm, uint16_t aux) {
    s->site = jit_grow(s->arena, s->site, &s->site_cap, s->sites + 1, sizeof *s->site);
    s->site[s->sites++] = (struct x64_asm_site){s->units, wasm, kind, aux};
}

// ---- labels ------------------------------------------------------------------------------------

uint32_t x64_new_label(struct x64_asm *s) {
    s->label = jit_grow(s->arena, s->label, &s->label_cap, s->labels + 1, sizeof *s->label);
    s->label[s->labels] = (struct x64_label){NO_UNIT, s->block, {0, 0}, false};
    return s->labels++;
}

static struct x64_zstate meet(struct x64_zstate a, struct x64_zstate b) {
    // Clean here and kept there is as good as kept: it is clean if it was clean at the head.
    uint16_t clean = a.clean & b.clean;
    uint16_t good = (uint16_t)((a.clean | a.kept) & (b.clean | b.kept));
    return (struct x64_zstate){clean, (uint16_t)(good & ~clean)};
}

void x64_use_label(struct x64_asm *s, uint32_t label) {
    struct x64_label *l = &s->label[label];
    if (label >= s->blocks) l->z = l->used ? meet(l->z, s->z) : s->z;
    l->used = true;
}

void x64_inner_branch(struct x64_asm *s, uint32_t label, unsigned back) {
    s->inner = jit_grow(s->arena, s->inner, &s->inner_cap, s->inners + 1, sizeof *s->inner);
    s->inner[s->inners++] = (struct x64_asm_inner){s->units - 1, s->size - back, label};
    x64_use_label(s, label);
}

static void branch(struct x64_asm *s, uint8_t kind, uint8_t cc, uint32_t label) {
    struct x64_unit *u = new_unit(s, kind);
    u->len = 2;
    u->cc = cc;
    u->label = label;
    x64_use_label(s, label);
}

void x64_jmp(struct x64_asm *s, uint32_t label) {
    branch(s, UNIT_JMP, 0, label);
    x64_end(s);
}

void x64_jcc(struct x64_asm *s, enum x64_cc cc, uint32_t label) {
    branch(s, UNIT_JCC, (uint8_t)cc, label);
}

void x64_begin_block(struct x64_asm *s, uint32_t block, bool align) {
    s->block = block;
    s->z = (struct x64_zstate){0, 0xffff};
    s->label[block].unit = s->units;
    s->align_next |= align;
}

void x64_end_block(struct x64_asm *s) { s->block_out[s->block] = s->z; }

void x64_bind(struct x64_asm *s, uint32_t label) {
    struct x64_label *l = &s->label[label];
    l->unit = s->units;
    s->z = l->z = s->dead ? l->z : l->used ? meet(l->z, s->z) : s->z;
    s->dead = false;
}

void x64_bind_stub(struct x64_asm *s, uint32_t label) {
    struct x64_label *l = &s->label[label];
    l->unit = s->units;
    l->block = UINT32_MAX;
    s->z = l->z = (struct x64_zstate){0, 0};
    s->dead = false;
}

uint32_t x64_new_table(struct x64_asm *s, const uint32_t *label, uint32_t count) {
    struct x64_module *m = s->module;
    m->table = jit_grow(m->arena, m->table, &m->table_cap, m->tables + 1, sizeof *m->table);
    m->entry = jit_grow(m->arena, m->entry, &m->entry_cap, m->entries + count, sizeof *m->entry);
    for (uint32_t i = 0; i < count; i++) {
        m->entry[m->entries + i] = label[i];
        x64_use_label(s, label[i]);
    }
    m->table[m->tables] = (struct x64_table){m->entries, count};
    m->entries += count;
    return m->tables++;
}
