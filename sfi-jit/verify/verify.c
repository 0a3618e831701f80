// verify.c — one pass over a block: is every instruction legal in the state that holds there?
//
// The proof state is F, the frame of the function (D, the bytes below its return address, is F everywhere between the
// frame forms, which are checked as units), and Z, 16 bits, "the upper half of this register is zero". Nothing is
// iterated: a label's state is declared, and each edge into it, be it a jump or a fall-through, must imply it.
// The side tables are untrusted. Functions, labels and jump tables are consumed in order by cursors that must come out
// at their ends, so they are sorted if the block is accepted; what is found ahead of the cursors in tables that are not may miss.
//
// Time is linear. What begins in a bundle is written into the caller's memory first, so a target is looked up in one place and not
// searched. As jumps may go anywhere in 64 MiB, that place lies in no cache: edges wait until it arrives, and are checked some at a
// time, in order, and before any other rejection is final.
#include "sfi-jit/verify/decode.h"

#define NEVER UINT32_MAX // no label comes any more

// A jump or call whose target was not looked at yet. Its place in memory has been asked for.
struct edge {
    uint32_t at, target;
    uint32_t have;                // clean registers, or words for stack arguments
    bool enters;                  // at a function or thunk, else at a label
    enum sfi_rule missing, unmet; // what it breaks if nothing begins there; if that needs more than `have`
};
enum { EDGES = 32 }; // that wait: several times what a CPU loads at once

struct state {
    const struct sfi_code *code;
    const struct sfi_func *func;
    uint32_t at, end;  // offsets: next instruction, the function's end
    uint32_t clean;    // Z
    bool live;         // control can reach `at`
    uint32_t label;    // cursor: labels before it have been passed
    uint32_t label_at; // its offset, or NEVER
    uint32_t table;    // cursor: jump tables before it belong to earlier templates
    uint32_t table_at; // their end
    struct sfi_place *place;
    uint32_t edges;
    struct edge edge[EDGES];
};

static const struct {
    const char *name, *text;
} rules[SFI_RULE_COUNT] = {
    {"NONE", "accepted"},
#define RULE(name, text) {#name, text},
#include "sfi-jit/verify/rules.def"
#undef RULE
};

const char *sfi_rule_name(enum sfi_rule rule) {
    return rules[rule < SFI_RULE_COUNT ? rule : 0].name;
}
const char *sfi_rule_text(enum sfi_rule rule) {
    return rules[rule < SFI_RULE_COUNT ? rule : 0].text;
}

// ---- Bytes and tables ----

static uint32_t load32(const uint8_t *p) {
    uint32_t value;
    __builtin_memcpy(&value, p, 4);
    return value;
}

static int32_t load32s(const uint8_t *p) { return (int32_t)load32(p); }

static bool all_cc(const uint8_t *p, uint32_t from, uint32_t to) {
    while (from < to && p[from] == 0xcc) from++;
    return from == to;
}

// The first SFI_INSN_BYTES at `at`: in place, or in `copy`, with zeros, near the end of the block.
static const uint8_t *window(const struct sfi_code *code, uint32_t at, uint8_t *copy) {
    if (code->size - at >= SFI_INSN_BYTES) return code->bytes + at;
    for (uint32_t i = 0; i < SFI_INSN_BYTES; i++)
        copy[i] = i < code->size - at ? code->bytes[at + i] : 0;
    return copy;
}

static void next_label(struct state *s) {
    s->label++;
    s->label_at = s->label < s->code->labels ? s->code->label[s->label].offset : NEVER;
}

// ---- Edges ----

static void fill_places(const struct sfi_code *code, struct sfi_place *place) {
    for (uint32_t i = 0; i < SFI_PLACES(code->size); i++) place[i] = (struct sfi_place){0};
    for (uint32_t i = code->labels; i-- > 0;) { // backwards, so that the first one stays
        struct sfi_label label = code->label[i];
        if (label.offset < code->size)
            place[label.offset / SFI_BUNDLE] = (struct sfi_place){
                .next = i + 1, .at = label.offset % SFI_BUNDLE, .clean = (uint16_t)label.clean};
    }
    for (uint32_t i = 0; i < code->thunks; i++)
        place[i].entry = 1 + SFI_SIG_STACK_WORDS(code->thunk_sigs[i]);
    for (uint32_t i = 0; i < code->funcs; i++)
        if (code->func[i].start < code->size)
            place[code->func[i].start / SFI_BUNDLE].entry = 1 + SFI_SIG_STACK_WORDS(code->func[i].sig);
}

static enum sfi_rule check_edge(const struct sfi_code *code, const struct sfi_place *place,
                                const struct edge *edge) {
    uint32_t clean = place->clean, at = edge->target % SFI_BUNDLE;
    if (edge->enters) {
        if (place->entry == 0) return edge->missing;
        return place->entry - 1u > edge->have ? edge->unmet : SFI_RULE_NONE;
    }
    if (place->next == 0) return edge->missing;
    if (place->at != at) { // one after the first, at most one a byte
        uint32_t i = place->next, end = code->labels - i < at ? code->labels : i + at;
        while (i < end && code->label[i].offset != edge->target) i++;
        if (i == end) return edge->missing;
        clean = code->label[i].clean;
    }
    return clean & ~edge->have ? edge->unmet : SFI_RULE_NONE;
}

// Checks the edges that wait, in order. The first one that fails has its instruction's offset in s->at.
static enum sfi_rule check_edges(struct state *s) {
    enum sfi_rule rule = SFI_RULE_NONE;
    for (uint32_t i = 0; i < s->edges && !rule; i++) {
        rule = check_edge(s->code, &s->place[s->edge[i].target / SFI_BUNDLE], &s->edge[i]);
        if (rule) s->at = s->edge[i].at;
    }
    s->edges = 0;
    return rule;
}

static enum sfi_rule add_edge(struct state *s, struct edge edge) {
    enum sfi_rule rule = s->edges == EDGES ? check_edges(s) : SFI_RULE_NONE;
    if (rule) return rule;
    __builtin_prefetch(&s->place[edge.target / SFI_BUNDLE]);
    s->edge[s->edges++] = edge;
    return SFI_RULE_NONE;
}

// A jump to `target` inside the function with these registers clean.
static enum sfi_rule add_jump(struct state *s, int64_t target, uint32_t clean, enum sfi_rule missing) {
    if (target < s->func->start || target >= s->end) return missing;
    return add_edge(
        s, (struct edge){s->at, (uint32_t)target, clean, false, missing, SFI_RULE_EDGE_CLEAN});
}

// ---- Memory operands: M1 … M4 of sfi.h ----

// M1 [r15 + rX + disp], [r15 + disp]: below window base + 2³² + 2³¹ + 16, which the back guard covers.
static enum sfi_rule check_indexed(const struct state *s, const struct sfi_insn *insn) {
    if (insn->base != SFI_R15 || insn->index == SFI_R15) return SFI_RULE_MEM_FORM;
    if (insn->scale != 0) return SFI_RULE_MEM_SCALE;
    if (insn->disp < 0) return SFI_RULE_MEM_DISP;
    if (!(s->clean >> insn->index & 1)) return SFI_RULE_MEM_DIRTY;
    return SFI_RULE_NONE;
}

// M2 [rsp + disp]: the own frame, or a load from the incoming arguments above the return address.
static enum sfi_rule check_frame(const struct state *s, const struct sfi_insn *insn) {
    uint64_t from = (uint32_t)insn->disp; // below rsp: far above everything
    uint64_t to = from + insn->width, frame = s->func->frame, args = frame + 8;
    if (to <= frame) return SFI_RULE_NONE;
    if (from >= args && to <= args + 8 * SFI_SIG_STACK_WORDS(s->func->sig) && !insn->writes)
        return SFI_RULE_NONE;
    return SFI_RULE_MEM_FRAME;
}

// M3 [r15 − distance]: globals, result area, read-only words. Nothing else below the window is reachable.
static enum sfi_rule check_context(const struct sfi_insn *insn) {
    uint32_t from = 0u - (uint32_t)insn->disp; // distances shrink upwards
    if (insn->width > from) return SFI_RULE_MEM_CONTEXT;
    uint32_t to = from - insn->width;
    if (from <= SFI_CTX_GLOBALS) return SFI_RULE_NONE;
    if (from <= SFI_CTX_RESULTS && to >= SFI_CTX_GLOBALS) return SFI_RULE_NONE;
    if (insn->writes || insn->width != 4) return SFI_RULE_MEM_CONTEXT;
    if (from == SFI_CTX_MEM_PAGES) return SFI_RULE_NONE;
    if (from <= SFI_CTX_TABLE_LEN(0) && from >= SFI_CTX_TABLE_LEN(SFI_TABLES_MAX - 1) &&
        (SFI_CTX_TABLE_LEN(0) - from) % 4 == 0)
        return SFI_RULE_NONE;
    return SFI_RULE_MEM_CONTEXT;
}

// M4 [rip + disp], rip being the instruction's end.
static enum sfi_rule check_pool(const struct state *s, const struct sfi_insn *insn, uint32_t end) {
    int64_t from = (int64_t)end + insn->disp, pool = s->code->pool;
    if (insn->writes || from < pool || from + insn->width > pool + s->code->pool_size)
        return SFI_RULE_MEM_POOL;
    if (insn->width == 16 && from % 16 != 0) return SFI_RULE_MEM_POOL;
    return SFI_RULE_NONE;
}

static enum sfi_rule check_memory(const struct state *s, const struct sfi_insn *insn, uint32_t end) {
    if (insn->index != SFI_NO_REG) return check_indexed(s, insn);
    if (insn->base == SFI_R15 && insn->disp >= 0) return SFI_RULE_NONE;
    if (insn->atomic) return SFI_RULE_MEM_ATOMIC;
    switch (insn->base) {
    case SFI_RSP: return check_frame(s, insn);
    case SFI_R15: return check_context(insn);
    case SFI_RIP: return check_pool(s, insn, end);
    default: return SFI_RULE_MEM_FORM;
    }
}

// ---- Control flow ----

static bool crosses_bundle(uint32_t at, uint32_t length) {
    return at % SFI_BUNDLE + length > SFI_BUNDLE;
}

// An instruction or template of `length` bytes at s->at: inside its bundle and its function, without a label inside?
static enum sfi_rule advance(struct state *s, uint32_t length) {
    if (crosses_bundle(s->at, length)) return SFI_RULE_BUNDLE;
    if (length > s->end - s->at) return SFI_RULE_TRUNCATED;
    if (s->label_at < s->at + length) return SFI_RULE_LABEL_PLACE;
    s->at += length;
    return SFI_RULE_NONE;
}

// call rel32 at s->at, or jmp rel32 when nothing is left of the frame: to functions, calls to thunks too. A callee's stack
// arguments lie in the caller's frame, or where the caller's own are.
static enum sfi_rule check_call(struct state *s, const uint8_t *p) {
    bool tail = *p == 0xe9;
    int64_t target = (int64_t)s->at + 5 + load32s(p + 1);
    struct edge edge = {s->at, (uint32_t)target,     s->func->frame / 8,
                        true,  SFI_RULE_CALL_TARGET, SFI_RULE_CALL_STACK};
    if (tail)
        edge = (struct edge){s->at, (uint32_t)target,     SFI_SIG_STACK_WORDS(s->func->sig),
                             true,  SFI_RULE_JUMP_TARGET, SFI_RULE_TAIL_STACK};
    if (target < (tail ? (int64_t)s->code->thunks * SFI_THUNK_SIZE : 0) ||
        target >= s->code->size || target % SFI_BUNDLE != 0)
        return edge.missing;
    enum sfi_rule rule = add_edge(s, edge);
    s->clean = 0;
    s->live = !tail;
    return rule ? rule : advance(s, 5);
}

// ret at s->at, in the function and without a label behind its first byte, as it has but one.
static enum sfi_rule check_ret(struct state *s) {
    s->live = false;
    s->at++;
    if (s->at == s->end || s->code->bytes[s->at] != 0xcc) return SFI_RULE_RET_TRAP; // speculation
    return SFI_RULE_NONE;
}

static enum sfi_rule check_jump(struct state *s, const uint8_t *p) {
    uint32_t length = *p == 0x0f ? 6 : *p == 0xe9 ? 5 : 2;
    int64_t target = (int64_t)s->at + length + (length == 2 ? (int8_t)p[1] : load32s(p + length - 4));
    if (*p == 0xe9 && s->func->frame == 0 && (target <= s->func->start || target >= s->end))
        return check_call(s, p);
    enum sfi_rule rule = add_jump(s, target, s->clean, SFI_RULE_JUMP_TARGET);
    s->live = *p != 0xe9 && *p != 0xeb; // jcc goes on
    return rule ? rule : advance(s, length);
}

// Length of `sub rsp, F` (digit 5) or `add rsp, F` (digit 0) with the shortest immediate, or 0.
static uint32_t frame_form(const uint8_t *p, uint32_t digit, uint32_t frame) {
    bool is_short = frame < 128;
    if (p[0] != 0x48 || p[1] != (is_short ? 0x83 : 0x81) || p[2] != (0xc4 | digit << 3)) return 0;
    if (is_short) return p[3] == frame ? 4 : 0;
    return load32(p + 3) == frame ? 7 : 0;
}

// add rsp, F and the ret or tail jump after it: one unit, so that no label and no jump sees the state between them.
static enum sfi_rule check_leave(struct state *s, const uint8_t *p) {
    uint8_t copy[SFI_INSN_BYTES];
    uint32_t length = frame_form(p, 0, s->func->frame);
    if (!length || s->func->frame == 0) return SFI_RULE_FRAME_LEAVE;
    enum sfi_rule rule = advance(s, length);
    if (rule) return rule;
    if (s->at == s->end) return SFI_RULE_FRAME_LEAVE;
    if (s->label_at == s->at) return SFI_RULE_LABEL_PLACE;
    p = window(s->code, s->at, copy);
    if (*p == 0xc3) return check_ret(s);
    if (*p == 0xe9) return check_call(s, p);
    return SFI_RULE_FRAME_LEAVE;
}

// ---- Templates: sfi.h gives them, byte for byte ----

enum { CALL_INDIRECT_BYTES = 31, TAIL_HEAD_BYTES = 23, TAIL_JUMP_BYTES = 9, JUMP_TABLE_BYTES = 30 };

static bool equal(const uint8_t *p, const uint8_t *q, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        if (p[i] != q[i]) return false;
    return true;
}

static bool fits(const struct state *s, uint32_t length) { return s->end - s->at >= length; }

// SFI_T_TAIL_INDIRECT, whose head at s->at has been checked: the way out follows it without a gap.
static enum sfi_rule check_tail_indirect(struct state *s, uint32_t entries, uint32_t sig) {
    static const uint8_t jump[] = {0x41, 0xff, 0xa4, 0xc7};
    uint8_t copy[SFI_INSN_BYTES];
    enum sfi_rule rule = advance(s, TAIL_HEAD_BYTES);
    if (rule) return rule;
    rule = advance(s, frame_form(window(s->code, s->at, copy), 0, s->func->frame)); // 0 if there is none
    if (rule) return rule;
    const uint8_t *p = window(s->code, s->at, copy);
    if (!equal(p, jump, 4) || load32(p + 4) != entries || p[8] != 0xcc)
        return SFI_RULE_CALL_TEMPLATE;
    if (SFI_SIG_STACK_WORDS(sig) > SFI_SIG_STACK_WORDS(s->func->sig)) return SFI_RULE_TAIL_STACK;
    s->live = false;
    return advance(s, TAIL_JUMP_BYTES);
}

static enum sfi_rule check_call_indirect(struct state *s) {
    static const uint8_t compare[] = {0x41, 0x81, 0xbc, 0x87};
    static const uint8_t branch[] = {0x0f, 0x85}, call[] = {0x41, 0xff, 0x94, 0xc7};
    static const uint8_t jump[] = {0x41, 0xff, 0xa4, 0xc7};
    const uint8_t *p = s->code->bytes + s->at;
    if (!fits(s, CALL_INDIRECT_BYTES) || load32(p + 1) != SFI_TABLE_ROWS - 1 ||
        !equal(p + 5, compare, 4) || !equal(p + 17, branch, 2))
        return SFI_RULE_CALL_TEMPLATE;
    uint32_t sigs = 0u - load32(p + 9), sig = load32(p + 13), t = 0;
    while (t < SFI_TABLES_MAX && SFI_TABLE_SIGS(t) != sigs) t++;
    if (t == SFI_TABLES_MAX || sig == 0) return SFI_RULE_CALL_TEMPLATE;
    uint32_t frame = s->func->frame, entries = 0u - SFI_TABLE_ENTRIES(t);
    bool leaves = frame ? frame_form(p + TAIL_HEAD_BYTES, 0, frame) != 0
                        : equal(p + TAIL_HEAD_BYTES, jump, 4);
    if (!leaves && (!equal(p + TAIL_HEAD_BYTES, call, 4) || load32(p + 27) != entries))
        return SFI_RULE_CALL_TEMPLATE;
    enum sfi_rule rule = add_jump(s, (int64_t)s->at + TAIL_HEAD_BYTES + load32s(p + 19),
                                  s->clean | 1u << SFI_RAX, SFI_RULE_JUMP_TARGET);
    if (rule) return rule;
    if (leaves) return check_tail_indirect(s, entries, sig);
    if (frame / 8 < SFI_SIG_STACK_WORDS(sig)) return SFI_RULE_CALL_STACK;
    s->clean = 0;
    return advance(s, CALL_INDIRECT_BYTES);
}

// Its first two bytes, 41 BB, have been seen.
static bool is_jump_table(const struct state *s) {
    static const uint8_t clamp[] = {0x44, 0x39, 0xd8, 0x41, 0x0f, 0x47, 0xc3, 0x4c, 0x8d, 0x1d};
    static const uint8_t jump[] = {0x49, 0x63, 0x04, 0x83, 0x4c, 0x01, 0xd8, 0xff, 0xe0, 0xcc};
    const uint8_t *p = s->code->bytes + s->at;
    return fits(s, JUMP_TABLE_BYTES) && equal(p + 6, clamp, 10) && equal(p + 20, jump, 10);
}

// The declared table, as data. It was not read before: each one is checked by the template that uses it.
static enum sfi_rule check_table(struct state *s, uint32_t offset, uint32_t count) {
    const struct sfi_code *code = s->code;
    if (count == 0 || offset % 4 != 0 || offset < s->table_at ||
        offset + 4 * (uint64_t)count > code->size)
        return SFI_RULE_TABLE_RANGE;
    uint32_t clean = s->clean & ~(1u << SFI_RAX | 1u << SFI_R11);
    for (uint32_t k = 0; k < count; k++) {
        int64_t target = (int64_t)offset + load32s(code->bytes + offset + 4 * k);
        if (target % SFI_BUNDLE != 0) return SFI_RULE_TABLE_ENTRY;
        enum sfi_rule rule = add_jump(s, target, clean, SFI_RULE_TABLE_ENTRY);
        if (rule) return rule;
    }
    s->table_at = offset + 4 * count;
    s->table++;
    return SFI_RULE_NONE;
}

static enum sfi_rule check_jump_table(struct state *s) {
    const struct sfi_code *code = s->code;
    const uint8_t *p = code->bytes + s->at;
    int64_t used = (int64_t)s->at + 20 + load32s(p + 16);
    if (s->table == code->jump_tables) return SFI_RULE_TABLE_ORDER;
    const struct sfi_jump_table *table = &code->jump_table[s->table];
    if (used != table->offset || load32(p + 2) != table->count - 1) return SFI_RULE_TABLE_ORDER;
    enum sfi_rule rule = check_table(s, table->offset, table->count);
    if (rule) return rule;
    s->live = false;
    return advance(s, JUMP_TABLE_BYTES);
}

// ---- The pass ----

// What need not go to the decoder: a first byte and a second one with a bit in common.
enum { ANY = 1, AFTER_0F = 2, AFTER_41 = 4, AFTER_48 = 8 };
static const uint8_t first_byte[256] = {
    [0x70 ... 0x7f] = ANY, [0xe8] = ANY, [0xe9] = ANY,      [0xeb] = ANY,      [0xc3] = ANY,
    [0xcc] = ANY,          [0x25] = ANY, [0x0f] = AFTER_0F, [0x41] = AFTER_41, [0x48] = AFTER_48,
};
static const uint8_t second_byte[256] = {
    [0x00 ... 0x0a] = ANY,
    [0x0b] = ANY | AFTER_0F, // ud2
    [0x0c ... 0x7f] = ANY,
    [0x80] = ANY | AFTER_0F,            // jcc, to 8f
    [0x81] = ANY | AFTER_0F | AFTER_48, // add rsp, F
    [0x82] = ANY | AFTER_0F,
    [0x83] = ANY | AFTER_0F | AFTER_48,
    [0x84 ... 0x8f] = ANY | AFTER_0F,
    [0x90 ... 0xba] = ANY,
    [0xbb] = ANY | AFTER_41, // jump table
    [0xbc ... 0xff] = ANY,
};

// Is it one of these? If not, the decoder knows it.
static bool is_control(const struct state *s, const uint8_t *p) {
    if (!(first_byte[p[0]] & second_byte[p[1]])) return false;
    return p[0] == 0x48 ? p[2] == 0xc4 : p[0] != 0x41 || is_jump_table(s);
}

// Direct control flow, a frame form, ud2, filler or a template.
static enum sfi_rule check_control(struct state *s, const uint8_t *p) {
    switch (*p) {
    case 0xe8: return check_call(s, p);
    case 0xc3: return s->func->frame ? SFI_RULE_RET_FRAME : check_ret(s);
    case 0xcc: return SFI_RULE_FILLER_REACHED;
    case 0x25: return check_call_indirect(s);
    case 0x41: return check_jump_table(s);
    case 0x48: return check_leave(s, p);
    }
    if (p[0] == 0x0f && p[1] == 0x0b) return s->live = false, advance(s, 2); // ud2
    return check_jump(s, p);
}

// From s->at on, which control can reach: instructions up to one of the above, the next label or the function's end.
static enum sfi_rule check_instructions(struct state *s) {
    uint32_t stop = s->label_at < s->end ? s->label_at : s->end;
    for (uint32_t at = s->at; at < stop; s->at = at) { // s->at follows `at`, for which everything waits
        uint8_t copy[SFI_INSN_BYTES];
        const uint8_t *p = window(s->code, at, copy);
        if (is_control(s, p)) return check_control(s, p);
        struct sfi_insn insn;
        int length = sfi_decode(p, &insn);
        if (length < 0) return (enum sfi_rule)(-length);
        if (insn.named & 1u << SFI_RSP) return SFI_RULE_RSP;
        if (insn.named & 1u << SFI_R15) return SFI_RULE_R15;
        enum sfi_rule rule = insn.width ? check_memory(s, &insn, at + (uint32_t)length) : SFI_RULE_NONE;
        if (rule) return rule;
        s->clean = (s->clean | insn.zeroed) & ~insn.dirtied;
        if (crosses_bundle(at, (uint32_t)length)) return SFI_RULE_BUNDLE;
        at += (uint32_t)length;
        if (at > stop) return at > s->end ? SFI_RULE_TRUNCATED : SFI_RULE_LABEL_PLACE;
    }
    return SFI_RULE_NONE;
}

static enum sfi_rule pass_label(struct state *s) {
    const struct sfi_label *label = &s->code->label[s->label];
    uint32_t possible = 0xffffu & ~(1u << SFI_RSP | 1u << SFI_R15);
    if (label->clean & ~possible) return SFI_RULE_LABEL_CLEAN;
    if (s->live && label->clean & ~s->clean) return SFI_RULE_EDGE_CLEAN;
    s->live = true;
    s->clean = label->clean;
    next_label(s);
    return s->label_at <= s->at ? SFI_RULE_LABEL_PLACE : SFI_RULE_NONE;
}

// After an instruction that never continues: CC up to the next label or the function's end.
static enum sfi_rule skip_filler(struct state *s) {
    uint32_t stop = s->label_at < s->end ? s->label_at : s->end;
    while (s->at < stop && s->code->bytes[s->at] == 0xcc) s->at++;
    return s->at != stop ? SFI_RULE_DEAD_CODE : SFI_RULE_NONE;
}

static enum sfi_rule enter_function(struct state *s) {
    uint8_t copy[SFI_INSN_BYTES];
    uint32_t frame = s->func->frame;
    s->clean = 0;
    s->live = true;
    if (s->label_at < s->at) return SFI_RULE_LABEL_PLACE; // in the gap before
    if (frame > SFI_FRAME_MAX || frame % 8 != 0) return SFI_RULE_FRAME_SIZE;
    if (frame == 0) return SFI_RULE_NONE;
    uint32_t length = frame_form(window(s->code, s->at, copy), 5, frame);
    return length ? advance(s, length) : SFI_RULE_FRAME_ENTRY;
}

static enum sfi_rule check_function(struct state *s) {
    enum sfi_rule rule = enter_function(s);
    while (rule == SFI_RULE_NONE && s->at < s->end) {
        if (s->at == s->label_at)
            rule = pass_label(s);
        else if (s->live)
            rule = check_instructions(s);
        else
            rule = skip_filler(s);
    }
    if (rule == SFI_RULE_NONE && s->live) rule = SFI_RULE_FALL_OFF;
    return rule;
}

static bool is_missing(const void *table, uint32_t count, uintptr_t alignment) {
    return count != 0 && (table == NULL || (uintptr_t)table % alignment != 0);
}

// What the pass relies on before it starts. The rest of the side tables is checked where it is used.
static enum sfi_rule check_block(const struct sfi_code *code) {
    if (is_missing(code->bytes, code->size, 1) || is_missing(code->thunk_sigs, code->thunks, 4) ||
        is_missing(code->func, code->funcs, _Alignof(struct sfi_func)) ||
        is_missing(code->label, code->labels, _Alignof(struct sfi_label)) ||
        is_missing(code->jump_table, code->jump_tables, _Alignof(struct sfi_jump_table)))
        return SFI_RULE_SIDE_TABLE;
    if (code->size > SFI_CODE_MAX || code->data > code->size) return SFI_RULE_BLOCK_SIZE;
    // More entries than bytes cannot be in order; so sums of indices do not wrap.
    if (code->labels > code->size || code->funcs > code->size) return SFI_RULE_SIDE_TABLE;
    if (code->thunks > code->data / SFI_THUNK_SIZE ||
        !all_cc(code->bytes, 0, code->thunks * SFI_THUNK_SIZE))
        return SFI_RULE_THUNK_AREA;
    if (code->pool_size != 0 &&
        (code->pool < code->data || (uint64_t)code->pool + code->pool_size > code->size))
        return SFI_RULE_POOL_RANGE;
    return SFI_RULE_NONE;
}

static enum sfi_rule check_code(struct state *s) {
    const struct sfi_code *code = s->code;
    enum sfi_rule rule = check_block(code);
    if (rule) return rule;
    s->at = code->thunks * SFI_THUNK_SIZE;
    s->label_at = code->labels ? code->label[0].offset : NEVER;
    s->table_at = code->data;
    fill_places(code, s->place);
    for (uint32_t i = 0; i < code->funcs; i++) {
        uint32_t gap = s->at;
        s->func = &code->func[i];
        s->at = s->func->start;
        if (s->at % SFI_BUNDLE != 0 || s->at < gap || s->at > code->data ||
            s->func->size > code->data - s->at)
            return SFI_RULE_FUNC_RANGE;
        if (!all_cc(code->bytes, gap, s->at)) return SFI_RULE_FILLER;
        s->end = s->at + s->func->size;
        rule = check_function(s);
        if (rule) return rule;
    }
    if (!all_cc(code->bytes, s->at, code->data)) return SFI_RULE_FILLER;
    if (s->label != code->labels) return SFI_RULE_LABEL_PLACE;
    if (s->table != code->jump_tables) return SFI_RULE_TABLE_UNUSED;
    return SFI_RULE_NONE;
}

enum sfi_status sfi_verify(const struct sfi_code *code, struct sfi_place *place,
                           struct sfi_rejection *out) {
    struct state s = {.code = code, .place = place};
    enum sfi_rule rule = check_code(&s), earlier = check_edges(&s);
    out->rule = earlier ? earlier : rule;
    out->offset = out->rule ? s.at : 0;
    return out->rule ? SFI_REJECTED : SFI_ACCEPTED;
}
