// text.c — messages: bounded, always terminated, no format strings. What comes from a module is printed as ASCII.
#include "loader/private.h"

static const char *const status_texts[LDR_STATUSES] = {
#define X(name, text) text,
    LDR_STATUS_LIST(X)
#undef X
};
static const char *const trap_texts[SFI_TRAP_COUNT] = {"none",
#define X(name, text) text,
                                                       SFI_TRAP_LIST(X)
#undef X
};

const char *ldr_status_text(enum ldr_status s) {
    return (unsigned)s < LDR_STATUSES ? status_texts[s] : "unknown status";
}
const char *ldr_trap_text(enum sfi_trap kind) {
    return (unsigned)kind < SFI_TRAP_COUNT ? trap_texts[kind] : "unknown trap";
}

void ldr_text_init(struct ldr_text *t, char *buffer, size_t size) {
    *t = (struct ldr_text){buffer, buffer + size - 1};
    *buffer = 0;
}
static void put(struct ldr_text *t, char c) {
    if (t->at == t->end) return;
    *t->at++ = c;
    *t->at = 0;
}
void ldr_text_str(struct ldr_text *t, const char *s) {
    while (*s) put(t, *s++);
}
void ldr_text_name(struct ldr_text *t, const char *s, uint32_t length) {
    for (uint32_t i = 0; i < length; i++) put(t, s[i] >= ' ' && s[i] < 0x7f ? s[i] : '?');
}
void ldr_text_dec(struct ldr_text *t, uint64_t v) {
    char digits[20];
    unsigned n = 0;
    do digits[n++] = (char)('0' + v % 10);
    while (v /= 10);
    while (n) put(t, digits[--n]);
}
void ldr_text_hex(struct ldr_text *t, uint64_t v) {
    unsigned shift = 60;
    while (shift && !(v >> shift)) shift -= 4;
    put(t, '0');
    put(t, 'x');
    for (;; shift -= 4) {
        put(t, "0123456789abcdef"[v >> shift & 15]);
        if (!shift) return;
    }
}

enum ldr_status ldr_error(struct ldr_error *e, enum ldr_status status, uint32_t offset,
                          const char *text) {
    struct ldr_text t;
    e->status = status;
    e->offset = offset;
    ldr_text_init(&t, e->text, sizeof e->text);
    ldr_text_str(&t, text);
    return status;
}
void ldr_name_copy(char *dst, const char *src, uint32_t length) {
    struct ldr_text t;
    ldr_text_init(&t, dst, LDR_NAME_MAX);
    ldr_text_name(&t, src, length);
}
bool ldr_str_eq(const char *a, const char *b, uint32_t b_length) {
    for (uint32_t i = 0; i < b_length; i++)
        if (!a[i] || a[i] != b[i]) return false;
    return !a[b_length];
}

size_t ldr_trap_format(const struct ldr_trap_info *info, char *buffer, size_t size) {
    struct ldr_text t;
    ldr_text_init(&t, buffer, size);
    ldr_text_str(&t, ldr_trap_text(info->kind));
    ldr_text_str(&t, " in ");
    ldr_text_str(&t, info->module);
    if (info->func_index != UINT32_MAX) {
        ldr_text_str(&t, ", function ");
        ldr_text_str(&t, info->function);
    }
    if (info->wasm_offset) {
        ldr_text_str(&t, ", offset ");
        ldr_text_hex(&t, info->wasm_offset);
    }
    if (info->has_address) {
        ldr_text_str(&t, ", address ");
        ldr_text_hex(&t, info->address);
    }
    return (size_t)(t.at - buffer);
}
