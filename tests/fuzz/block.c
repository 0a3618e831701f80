// block.c — see block.h. Branches are written as rel32 to labels that are placed later, and resolved at the function's end.
#include "tests/fuzz/block.h"
#include "sfi-jit/verify/decode.h"
#include "tests/fuzz/fuzz.h"
#include "tests/host/verify_rows.h"
#include <string.h>

enum { RAX, RSP = 4, R11 = 11, R15 = 15, EDGES = 64, TABLE_LABELS = 3 };

struct edge {       // a branch that waits for its label
    uint32_t field; // of the rel32
    uint32_t label; // index in the function
};
struct gen {
    struct block *b;
    uint32_t at, clean;
    uint32_t frame, words;
    bool live;
    uint32_t planned, placed; // labels of this function
    uint32_t first_label;     // in b->label
    uint32_t allowed[16];     // of a planned label: what all edges so far have clean
    struct edge edge[EDGES];
    uint32_t edges;
    struct { // jump tables: template field and labels
        uint32_t field, label[TABLE_LABELS];
    } jump[BLOCK_TABLES];
    uint32_t jumps;
    uint32_t labels, tables;
};

static void put(struct gen *g, const void *bytes, unsigned n) {
    memcpy(g->b->bytes + g->at, bytes, n);
    g->at += n;
}
static void put32(struct gen *g, uint32_t value) { put(g, &value, 4); }

// NOPs until n bytes fit into the bundle.
static void make_room(struct gen *g, unsigned n) {
    while (g->at % 32 + n > 32) g->b->bytes[g->at++] = 0x90;
}

static unsigned any_register(void) {
    unsigned r;
    do r = fuzz_below(15);
    while (r == RSP);
    return r;
}

// ---- Memory operands ----

static struct vmem any_operand(struct gen *g, unsigned width, bool writes, bool atomic) {
    static const int32_t disps[] = {0, 1, 8, 127, 128, 0xfff0, 0x7fffffff, 0x7ffffff0, 0x1000};
    int32_t disp = disps[fuzz_below(sizeof disps / sizeof *disps)];
    unsigned kind = fuzz_below(10);
    if (kind < 3 && g->clean) {
        unsigned index;
        do index = any_register();
        while (!(g->clean >> index & 1));
        return (struct vmem){VMEM_BASE_INDEX, R15, (uint8_t)index, 0, disp};
    }
    if (kind < 6 && !atomic && g->frame >= width)
        return (struct vmem){VMEM_BASE, RSP, 0, 0, (int32_t)fuzz_below(g->frame - width + 1)};
    if (kind == 6 && !atomic && !writes && g->words * 8 >= width)
        return (struct vmem){VMEM_BASE, RSP, 0, 0,
                             (int32_t)(g->frame + 8 + fuzz_below(g->words * 8 - width + 1))};
    if (kind == 7 && !atomic)
        return (struct vmem){VMEM_BASE, R15, 0, 0,
                             -(int32_t)(width + fuzz_below(SFI_CTX_GLOBALS - 16))};
    if (kind == 8 && !atomic && !writes && width == 4)
        return (struct vmem){
            VMEM_BASE, R15, 0, 0,
            -(int32_t)(fuzz_one_in(2) ? SFI_CTX_MEM_PAGES : SFI_CTX_TABLE_LEN(fuzz_below(64)))};
    return (struct vmem){VMEM_BASE, R15, 0, 0, disp};
}

// ---- Words: single instructions ----

static void put_word(struct gen *g) {
    struct vrow row = vrow_get(fuzz_below((uint32_t)vrow_count));
    if ((strcmp(row.name, "div") == 0 || strcmp(row.name, "idiv") == 0) && !fuzz_one_in(16))
        return; // traps mostly
    bool w = row.w0 && row.w1 ? fuzz_one_in(2) : row.w1, reads, writes;
    unsigned width = vrow_width(&row, w, &reads, &writes);
    bool lock = vrow_needs_lock(&row) || (vrow_takes_lock(&row) && fuzz_one_in(4));
    struct vmem mem = any_operand(g, width, writes, lock || strcmp(row.flags, "ATOMIC") == 0);
    if (strcmp(row.rm, "LEA") == 0)
        mem = (struct vmem){VMEM_BASE_INDEX, (uint8_t)any_register(), (uint8_t)any_register(),
                            (uint8_t)fuzz_below(4), (int32_t)fuzz_noise()};
    uint8_t bytes[16];
    unsigned k = row.form == 'P' ? 0 : fuzz_below(row.n);
    unsigned n =
        vrow_encode(&row, k, w, any_register(), any_register(), any_register(), &mem, lock, bytes);
    struct sfi_insn insn;
    memset(bytes + n, 0, sizeof bytes - n);
    if (sfi_decode(bytes, &insn) < 0) return;
    make_room(g, n);
    put(g, bytes, n);
    g->clean = (g->clean | insn.zeroed) & ~(uint32_t)insn.dirtied;
}

// mov r32, r32: one more index.
static void put_clean(struct gen *g) {
    unsigned r = any_register();
    make_room(g, 3);
    put(g, (uint8_t[]){r >= 8 ? 0x45 : 0x40, 0x89, (uint8_t)(0xc0 | (r & 7) * 9)}, 3);
    if (r < 8) { // no REX without effect
        g->at -= 3;
        put(g, (uint8_t[]){0x89, (uint8_t)(0xc0 | (r & 7) * 9)}, 2);
    }
    g->clean |= 1u << r;
}

// ---- Control flow ----

// A label that a branch may go to from here: one to come, or rarely one behind whose set is clean here.
static bool choose_label(struct gen *g, uint32_t clean, uint32_t *out) {
    if (g->placed && fuzz_one_in(200)) {
        uint32_t back = fuzz_below(g->placed);
        if (!(g->b->label[g->first_label + back].clean & ~clean)) return *out = back, true;
    }
    if (g->placed == g->planned) return false;
    *out = g->placed + fuzz_below(g->planned - g->placed);
    g->allowed[*out] &= clean;
    return true;
}

static void put_rel32(struct gen *g, uint32_t label) {
    g->edge[g->edges++] = (struct edge){g->at, label};
    put32(g, 0);
}

static void put_branch(struct gen *g) {
    uint32_t label;
    if (g->edges == EDGES || !choose_label(g, g->clean, &label)) return;
    bool jump = fuzz_one_in(6);
    make_room(g, 6);
    if (jump)
        put(g, "\xe9", 1);
    else
        put(g, (uint8_t[]){0x0f, (uint8_t)(0x80 + fuzz_below(16))}, 2);
    put_rel32(g, label);
    if (jump) g->live = false;
}

static void put_call(struct gen *g, uint32_t funcs) {
    uint32_t sig, target;
    if (fuzz_one_in(2)) {
        uint32_t t = fuzz_below(BLOCK_THUNKS);
        sig = g->b->thunk_sig[t], target = t * SFI_THUNK_SIZE;
    } else {
        if (!funcs) return;
        uint32_t f = fuzz_below(funcs); // one before: no endless recursion
        sig = g->b->func[f].sig, target = g->b->func[f].start;
    }
    if (8 * SFI_SIG_STACK_WORDS(sig) > g->frame) return;
    make_room(g, 5);
    put(g, "\xe8", 1);
    put32(g, target - (g->at + 4));
    g->clean = 0;
}

static void put_frame_form(struct gen *g, uint8_t modrm) {
    make_room(g, 8);
    put(g, (uint8_t[]){0x48, g->frame < 128 ? 0x83 : 0x81, modrm}, 3);
    put(g, &g->frame, g->frame < 128 ? 1 : 4);
}

static void put_call_indirect(struct gen *g, uint32_t funcs) {
    uint32_t label,
        sig = funcs && fuzz_one_in(2) ? g->b->func[fuzz_below(funcs)].sig : SFI_SIG_MAKE(77, 0);
    if (8 * SFI_SIG_STACK_WORDS(sig) > g->frame || g->edges == EDGES) return;
    if (!choose_label(g, g->clean | 1, &label)) return;
    uint32_t t = fuzz_one_in(2) ? 0 : fuzz_below(SFI_TABLES_MAX);
    bool tail = fuzz_one_in(3) && SFI_SIG_STACK_WORDS(sig) <= g->words;
    make_room(g, 31);
    put(g, "\x25", 1), put32(g, SFI_TABLE_ROWS - 1);
    put(g, "\x41\x81\xbc\x87", 4), put32(g, 0u - SFI_TABLE_SIGS(t)), put32(g, sig);
    put(g, "\x0f\x85", 2), put_rel32(g, label);
    if (tail) { // what crosses a bundle here is rejected
        if (g->frame) put_frame_form(g, 0xc4);
        put(g, "\x41\xff\xa4\xc7", 4), put32(g, 0u - SFI_TABLE_ENTRIES(t)), put(g, "\xcc", 1);
        g->live = false;
        return;
    }
    put(g, "\x41\xff\x94\xc7", 4), put32(g, 0u - SFI_TABLE_ENTRIES(t));
    g->clean = 0;
}

static void put_jump_table(struct gen *g) {
    if (g->jumps == BLOCK_TABLES || g->tables == BLOCK_TABLES || g->placed == g->planned) return;
    make_room(g, 30);
    put(g, "\x41\xbb", 2), put32(g, TABLE_LABELS - 1);
    put(g, "\x44\x39\xd8\x41\x0f\x47\xc3\x4c\x8d\x1d", 10);
    g->jump[g->jumps].field = g->at;
    for (unsigned i = 0; i < TABLE_LABELS; i++) {
        uint32_t label = g->placed + fuzz_below(g->planned - g->placed);
        g->allowed[label] &= g->clean & ~(1u << RAX | 1u << R11);
        g->jump[g->jumps].label[i] = label;
    }
    g->jumps++;
    put32(g, 0);
    put(g, "\x49\x63\x04\x83\x4c\x01\xd8\xff\xe0\xcc", 10);
    g->live = false;
}

// Bundle aligned, since a jump table may want it.
static void put_label(struct gen *g) {
    struct sfi_label *label = &g->b->label[g->labels++];
    while (g->at % 32) g->b->bytes[g->at++] = g->live ? 0x90 : 0xcc;
    uint32_t clean = g->allowed[g->placed++] & (uint32_t)fuzz_noise() & 0x7fef;
    if (g->live) clean &= g->clean;
    *label = (struct sfi_label){g->at, clean};
    g->clean = clean;
    g->live = true;
}

// ---- Functions ----

static void put_end(struct gen *g, uint32_t funcs) {
    if (fuzz_one_in(8)) {
        make_room(g, 2);
        put(g, "\x0f\x0b", 2);
        return;
    }
    uint32_t tail = funcs && fuzz_one_in(4) ? fuzz_below(funcs) : UINT32_MAX;
    if (tail != UINT32_MAX && SFI_SIG_STACK_WORDS(g->b->func[tail].sig) > g->words)
        tail = UINT32_MAX;
    make_room(g, 12);
    if (g->frame) put_frame_form(g, 0xc4);
    if (tail != UINT32_MAX) {
        put(g, "\xe9", 1);
        put32(g, g->b->func[tail].start - (g->at + 4));
    } else {
        put(g, "\xc3\xcc", 2);
    }
}

static void put_function(struct gen *g, uint32_t index, uint32_t data_from) {
    static const uint32_t frames[] = {0, 0, 8, 16, 64, 120, 128, 256, 4096};
    struct sfi_func *f = &g->b->func[index];
    while (g->at % 32) g->b->bytes[g->at++] = 0xcc;
    g->frame = frames[fuzz_below(sizeof frames / sizeof *frames)];
    g->words = fuzz_one_in(2) ? 0 : fuzz_below(5);
    *f = (struct sfi_func){.start = g->at, .frame = g->frame, .sig = SFI_SIG_MAKE(index + 1, g->words)};
    g->clean = 0;
    g->live = true;
    g->planned = fuzz_below(5);
    g->placed = g->edges = 0;
    g->first_label = g->labels;
    memset(g->allowed, 0xff, sizeof g->allowed);
    if (g->frame) put_frame_form(g, 0xec);
    unsigned words = 2 + fuzz_below(fuzz_one_in(4) ? 62 : 14);
    for (unsigned i = 0; i < words && g->at < data_from - 256; i++) {
        if (!g->live && g->placed == g->planned) break;
        if (g->placed < g->planned && (!g->live || i * (g->planned + 1) / words > g->placed))
            put_label(g);
        else if (!g->live)
            break;
        else if (fuzz_one_in(12))
            put_branch(g);
        else if (fuzz_one_in(24))
            put_call(g, index);
        else if (fuzz_one_in(48))
            put_call_indirect(g, index);
        else if (fuzz_one_in(64))
            put_jump_table(g);
        else if (fuzz_one_in(6))
            put_clean(g);
        else
            put_word(g);
    }
    while (g->placed < g->planned) put_label(g);
    if (g->live) put_end(g, index);
    f->size = g->at - f->start;
    for (uint32_t i = 0; i < g->edges; i++) {
        uint32_t field = g->edge[i].field;
        uint32_t rel = g->b->label[g->first_label + g->edge[i].label].offset - (field + 4);
        memcpy(g->b->bytes + field, &rel, 4);
    }
    for (uint32_t i = 0; i < g->jumps; i++) // to the block's label numbers
        if (g->jump[i].field >= f->start)
            for (unsigned k = 0; k < TABLE_LABELS; k++) g->jump[i].label[k] += g->first_label;
}

static void put_data(struct gen *g) {
    struct block *b = g->b;
    while (g->at % 32) b->bytes[g->at++] = 0xcc;
    b->code.data = b->code.pool = g->at;
    for (unsigned i = 0; i < 4; i++) put(g, &(uint64_t){fuzz_noise()}, 8);
    b->code.pool_size = 32;
    for (uint32_t i = 0; i < g->jumps; i++) {
        uint32_t table = g->at, rel = table - (g->jump[i].field + 4);
        memcpy(b->bytes + g->jump[i].field, &rel, 4);
        b->table[i] = (struct sfi_jump_table){table, TABLE_LABELS};
        for (unsigned k = 0; k < TABLE_LABELS; k++)
            put32(g, b->label[g->jump[i].label[k]].offset - table);
    }
}

void block_make(struct block *out) {
    struct gen g = {.b = out, .at = BLOCK_THUNKS * SFI_THUNK_SIZE};
    memset(out->bytes, 0xcc, g.at);
    for (uint32_t i = 0; i < BLOCK_THUNKS; i++) out->thunk_sig[i] = SFI_SIG_MAKE(50 + i, i * 2);
    uint32_t funcs = 1 + fuzz_below(3);
    out->code = (struct sfi_code){.bytes = out->bytes,
                                  .thunks = BLOCK_THUNKS,
                                  .thunk_sigs = out->thunk_sig,
                                  .func = out->func,
                                  .label = out->label,
                                  .jump_table = out->table};
    for (uint32_t i = 0; i < funcs; i++) put_function(&g, i, BLOCK_BYTES * (i + 1) / (funcs + 1));
    put_data(&g);
    out->code.funcs = funcs;
    out->code.labels = g.labels;
    out->code.jump_tables = g.jumps;
    out->code.size = g.at;
}

// ---- Flaws ----

static uint32_t odd_number(uint32_t near) {
    switch (fuzz_below(7)) {
    case 0: return 0;
    case 1: return (uint32_t)fuzz_noise();
    case 2: return near ^ 1u << fuzz_below(32);
    case 3: return near + 8 - fuzz_below(17);
    case 4: return near + 32;
    case 5: return near - 32;
    default: return near + 1;
    }
}

void block_flaw(struct block *b) {
    struct sfi_code *c = &b->code;
    uint32_t at = SFI_THUNK_SIZE * c->thunks + fuzz_below(c->size - SFI_THUNK_SIZE * c->thunks);
    switch (fuzz_below(11)) {
    case 0: b->bytes[at] ^= (uint8_t)(1u << fuzz_below(8)); break;
    case 1: b->bytes[at] = (uint8_t)fuzz_noise(); break;
    case 2: // an instruction less: NOPs instead
        for (unsigned i = 1 + fuzz_below(6); i-- && at < c->size; at++) b->bytes[at] = 0x90;
        break;
    case 3: // another one instead
        if (at + 16 < c->size)
            memcpy(b->bytes + at, b->bytes + SFI_THUNK_SIZE * c->thunks + fuzz_below(at / 2),
                   1 + fuzz_below(8));
        break;
    case 4:
        if (c->labels) b->label[fuzz_below(c->labels)].clean ^= 1u << fuzz_below(16);
        break;
    case 5:
        if (c->labels) b->label[fuzz_below(c->labels)].offset += fuzz_below(9) - 4;
        break;
    case 6:
        b->func[fuzz_below(c->funcs)].frame = odd_number(b->func[fuzz_below(c->funcs)].frame);
        break;
    case 7: b->func[fuzz_below(c->funcs)].sig ^= 1u << fuzz_below(13); break;
    case 8: b->func[fuzz_below(c->funcs)].size += fuzz_below(9) - 4; break;
    case 9:
        if (at + 4 < c->size) memcpy(b->bytes + at, &(uint32_t){odd_number(0)}, 4);
        break;
    default:
        b->thunk_sig[fuzz_below(BLOCK_THUNKS)] += fuzz_below(4);
        c->pool_size += fuzz_below(3) * 8;
    }
}
