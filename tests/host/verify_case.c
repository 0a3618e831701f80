// verify_case.c — the little assembler of verify_case.h: one pass over the words, then the references, then the overrides.
#include "tests/host/verify_case.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES = 1 << 16, ENTRIES = 64, WORD = 128 };

struct reference {
    char name[32];
    uint32_t at, from; // the field, and what the distance counts from
    long extra;
    unsigned bytes;
};
struct mark {
    char name[32];
    uint32_t at;
};
struct builder {
    uint8_t bytes[BYTES];
    uint32_t size;
    struct sfi_func func[ENTRIES];
    struct sfi_label label[ENTRIES];
    struct sfi_jump_table table[ENTRIES];
    uint32_t funcs, labels, tables, thunks, thunk_words, data, pool, pool_end;
    bool in_func, has_data, has_pool;
    struct mark mark[ENTRIES];
    struct reference reference[ENTRIES];
    unsigned marks, references;
    char override[ENTRIES][WORD];
    unsigned overrides;
};

static const char *const registers[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                          "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};

static bool parse_registers(const char *text, uint32_t *out) {
    *out = 0;
    if (strcmp(text, "-") == 0) return true;
    if (strcmp(text, "all") == 0) return *out = 0x7fef, true;
    while (*text) {
        size_t n = strcspn(text, ",");
        unsigned r = 0;
        while (r < 16 && (strlen(registers[r]) != n || strncmp(registers[r], text, n) != 0)) r++;
        if (r == 16) return false;
        *out |= 1u << r;
        text += n + (text[n] == ',');
    }
    return true;
}

static void put(struct builder *b, uint64_t value, unsigned bytes) {
    while (bytes-- && b->size < BYTES) b->bytes[b->size++] = (uint8_t)value, value >>= 8;
}

static void pad(struct builder *b, uint8_t byte) {
    while (b->size % SFI_BUNDLE && b->size < BYTES) put(b, byte, 1);
}

static void end_function(struct builder *b) {
    if (b->in_func) b->func[b->funcs - 1].size = b->size - b->func[b->funcs - 1].start;
    b->in_func = false;
}

static void begin_function(struct builder *b, uint32_t frame, uint32_t words) {
    end_function(b);
    pad(b, 0xcc);
    b->func[b->funcs++] =
        (struct sfi_func){.start = b->size, .frame = frame, .sig = SFI_SIG_MAKE(1, words)};
    b->in_func = true;
}

static void refer(struct builder *b, const char *name, unsigned bytes, bool entry) {
    struct reference *r = &b->reference[b->references++];
    size_t n = strcspn(name, "+-");
    snprintf(r->name, sizeof r->name, "%.*s", (int)n, name);
    r->extra = name[n] ? strtol(name + n, NULL, 0) : 0;
    r->at = b->size;
    r->bytes = bytes;
    r->from = entry ? b->table[b->tables - 1].offset : b->size + bytes;
    put(b, 0, bytes);
}

// The words with an argument. False: not one of them.
static bool put_word(struct builder *b, const char *word) {
    const char *arg = strchr(word, ':');
    if (!arg) return false;
    size_t n = (size_t)(arg++ - word);
    char *rest;
#define IS(text) (n == strlen(text) && strncmp(word, text, n) == 0)
    if (IS("d16"))
        put(b, (uint64_t)strtoll(arg, NULL, 0), 2);
    else if (IS("d32"))
        put(b, (uint64_t)strtoll(arg, NULL, 0), 4);
    else if (IS("d64"))
        put(b, strtoull(arg, NULL, 0), 8);
    else if (IS("rel8"))
        refer(b, arg, 1, false);
    else if (IS("rel32"))
        refer(b, arg, 4, false);
    else if (IS("ent"))
        refer(b, arg, 4, true);
    else if (IS("J"))
        b->table[b->tables++] =
            (struct sfi_jump_table){.offset = b->size, .count = (uint32_t)strtoul(arg, NULL, 0)};
    else if (IS("F")) {
        uint32_t frame = (uint32_t)strtoul(arg, &rest, 0);
        begin_function(b, frame, *rest ? (uint32_t)strtoul(rest + 1, NULL, 0) : 0);
    } else if (IS("T")) {
        b->thunks = (uint32_t)strtoul(arg, &rest, 0);
        b->thunk_words = *rest ? (uint32_t)strtoul(rest + 1, NULL, 0) : 0;
        for (uint32_t i = 0; i < b->thunks * SFI_THUNK_SIZE; i++) put(b, 0xcc, 1);
    } else if (IS("L")) {
        struct sfi_label *label = &b->label[b->labels++];
        label->offset = b->size;
        return parse_registers(arg, &label->clean);
    } else if (IS("set")) {
        snprintf(b->override[b->overrides++], WORD, "%s", arg);
    } else {
        return false;
    }
#undef IS
    return true;
}

static const char *put_words(struct builder *b, const char *text) {
    static char error[WORD + 32];
    while (*(text += strspn(text, " \t\n"))) {
        char word[WORD], *end;
        size_t n = strcspn(text, " \t\n");
        snprintf(word, sizeof word, "%.*s", (int)n, text);
        text += n;
        if (b->references == ENTRIES || b->labels == ENTRIES || b->size >= BYTES - 64)
            return "too long a case";
        if (n == 2 && strspn(word, "0123456789abcdefABCDEF") == 2)
            put(b, strtoul(word, &end, 16), 1);
        else if (word[0] == '@') {
            snprintf(b->mark[b->marks].name, sizeof b->mark->name, "%.31s", word + 1);
            b->mark[b->marks++].at = b->size;
        } else if (strcmp(word, "end") == 0)
            end_function(b);
        else if (strcmp(word, "pad") == 0)
            pad(b, 0xcc);
        else if (strcmp(word, "npad") == 0)
            pad(b, 0x90);
        else if (strcmp(word, "data") == 0) {
            end_function(b);
            b->data = b->size;
            b->has_data = true;
        } else if (strcmp(word, "pool") == 0)
            b->pool = b->size, b->has_pool = true;
        else if (strcmp(word, "endpool") == 0)
            b->pool_end = b->size;
        else if (!put_word(b, word)) {
            snprintf(error, sizeof error, "what is \"%s\"?", word);
            return error;
        }
    }
    return NULL;
}

static const char *resolve(struct builder *b) {
    for (unsigned i = 0; i < b->references; i++) {
        struct reference *r = &b->reference[i];
        unsigned m = 0;
        while (m < b->marks && strcmp(b->mark[m].name, r->name) != 0) m++;
        if (m == b->marks) return "a reference to no mark";
        uint64_t value = (uint64_t)((int64_t)b->mark[m].at - r->from + r->extra);
        for (unsigned k = 0; k < r->bytes; k++) b->bytes[r->at + k] = (uint8_t)(value >> 8 * k);
    }
    return NULL;
}

// "FIELD=N" or "func.I.FIELD=N".
static bool override(struct vcase *c, const char *text) {
    char array[16], field[32];
    unsigned i = 0;
    unsigned long long value;
    uint32_t *p = NULL;
    if (sscanf(text, "%15[a-z_].%u.%31[a-z_]=%llu", array, &i, field, &value) != 4) {
        array[0] = 0;
        if (sscanf(text, "%31[a-z_]=%lli", field, (long long *)&value) != 2) return false;
    } else if (sscanf(strchr(text, '=') + 1, "%lli", (long long *)&value) != 1)
        return false;
#define FIELD(a, name, place) \
    if (strcmp(array, a) == 0 && strcmp(field, #name) == 0) p = &(place)->name
    FIELD("", size, &c->code);
    FIELD("", thunks, &c->code);
    FIELD("", funcs, &c->code);
    FIELD("", labels, &c->code);
    FIELD("", jump_tables, &c->code);
    FIELD("", pool, &c->code);
    FIELD("", pool_size, &c->code);
    FIELD("", data, &c->code);
    if (i < c->code.funcs) {
        FIELD("func", start, &c->func[i]);
        FIELD("func", size, &c->func[i]);
        FIELD("func", frame, &c->func[i]);
        FIELD("func", sig, &c->func[i]);
    }
    if (i < c->code.labels) {
        FIELD("label", offset, &c->label[i]);
        FIELD("label", clean, &c->label[i]);
    }
    if (i < c->code.jump_tables) {
        FIELD("table", offset, &c->table[i]);
        FIELD("table", count, &c->table[i]);
    }
#undef FIELD
    if (p) {
        *p = (uint32_t)value;
        return true;
    }
    // Missing and misaligned tables.
    if (strcmp(field, "no_bytes") == 0)
        c->code.bytes = NULL;
    else if (strcmp(field, "no_thunk_sigs") == 0)
        c->code.thunk_sigs = NULL;
    else if (strcmp(field, "no_func") == 0)
        c->code.func = NULL;
    else if (strcmp(field, "no_label") == 0)
        c->code.label = NULL;
    else if (strcmp(field, "no_jump_table") == 0)
        c->code.jump_table = NULL;
    else if (strcmp(field, "skew_func") == 0)
        c->code.func = (const void *)((const char *)c->code.func + value);
    else
        return false;
    return true;
}

static void *copy(const void *from, size_t size) {
    void *p = malloc(size ? size : 1);
    memcpy(p, from, size);
    return p;
}

static void finish(struct builder *b, struct vcase *out) {
    out->bytes = copy(b->bytes, b->size);
    out->func = copy(b->func, b->funcs * sizeof *b->func);
    out->label = copy(b->label, b->labels * sizeof *b->label);
    out->table = copy(b->table, b->tables * sizeof *b->table);
    out->thunk_sigs = calloc(b->thunks + 1, sizeof *out->thunk_sigs);
    for (uint32_t i = 0; i < b->thunks; i++) out->thunk_sigs[i] = SFI_SIG_MAKE(1, b->thunk_words);
    out->code = (struct sfi_code){
        .bytes = out->bytes,
        .size = b->size,
        .thunks = b->thunks,
        .thunk_sigs = out->thunk_sigs,
        .funcs = b->funcs,
        .labels = b->labels,
        .jump_tables = b->tables,
        .func = out->func,
        .label = out->label,
        .jump_table = out->table,
        .pool = b->has_pool ? b->pool : b->size,
        .pool_size = b->has_pool ? b->pool_end - b->pool : 0,
        .data = b->has_data ? b->data : b->size,
    };
}

// The body of a function, when the text declares none: see clean=, frame=, words=.
static const char *put_body(struct builder *b, const char *text, uint32_t *out_body) {
    uint32_t frame = 0, words = 0, clean = 0;
    bool open = false;
    char body[4096] = "";
    while (*(text += strspn(text, " \t\n"))) {
        char word[WORD];
        size_t n = strcspn(text, " \t\n");
        snprintf(word, sizeof word, "%.*s", (int)n, text);
        text += n;
        if (strncmp(word, "clean=", 6) == 0) {
            if (!parse_registers(word + 6, &clean)) return "clean=?";
        } else if (strncmp(word, "frame=", 6) == 0)
            frame = (uint32_t)strtoul(word + 6, NULL, 0);
        else if (strncmp(word, "words=", 6) == 0)
            words = (uint32_t)strtoul(word + 6, NULL, 0);
        else if (strcmp(word, ".") == 0)
            open = true;
        else {
            size_t used = strlen(body);
            snprintf(body + used, sizeof body - used, "%s ", word);
        }
    }
    begin_function(b, frame, words);
    if (frame && frame < 128)
        put(b, 0xec8348 | frame << 24, 4);
    else if (frame)
        put(b, 0xec8148, 3), put(b, frame, 4);
    put(b, 0x0b0f, 2);
    pad(b, 0xcc);
    *out_body = b->size;
    b->label[b->labels++] = (struct sfi_label){b->size, clean};
    const char *error = put_words(b, body);
    if (!open) put(b, 0x0b0f, 2);
    if (b->in_func) pad(b, 0xcc);
    return error;
}

const char *vcase_build(struct vcase *out, const char *text) {
    struct builder *b = calloc(1, sizeof *b);
    *out = (struct vcase){0};
    bool whole = strncmp(text, "F:", 2) == 0 || strncmp(text, "T:", 2) == 0 ||
                 strstr(text, " F:") || strstr(text, "raw") == text;
    if (strncmp(text, "raw", 3) == 0) text += 3;
    const char *error = whole ? put_words(b, text) : put_body(b, text, &out->body);
    end_function(b);
    if (!error) error = resolve(b);
    finish(b, out);
    for (unsigned i = 0; i < b->overrides && !error; i++)
        if (!override(out, b->override[i])) error = "set: what?";
    free(b);
    return error;
}

void vcase_free(struct vcase *c) {
    free(c->bytes);
    free(c->func);
    free(c->label);
    free(c->table);
    free(c->thunk_sigs);
}
