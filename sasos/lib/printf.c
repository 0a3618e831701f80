// printf.c — the formatter of printf.h: one pass over the format, each conversion rendered into a small buffer from the right.
#include "sasos/lib/printf.h"
#include "sasos/lib/mem.h"
#include <stdbool.h>
#include <stdint.h>

struct spec { // one conversion
    bool left, zero;
    int width, precision; // precision −1: none given
    int length;           // bytes of the integer argument
};

static void pad(printf_sink *sink, void *arg, char c, int n) {
    static const char spaces[] = "                ", zeros[] = "0000000000000000";
    for (; n > 0; n -= 16) sink(arg, c == '0' ? zeros : spaces, MIN((size_t)n, 16u));
}

// Prefix (sign or 0x), zeros, digits, in a field of the given width.
static void emit_number(printf_sink *sink, void *arg, const struct spec *sp, const char *prefix,
                        const char *digits, int n) {
    int prefix_len = (int)str_len(prefix);
    int zeros = MAX(sp->precision - n, 0);
    if (sp->zero && !sp->left && sp->precision < 0) zeros = MAX(sp->width - prefix_len - n, 0);
    int fill = sp->width - prefix_len - zeros - n;
    if (!sp->left) pad(sink, arg, ' ', fill);
    if (prefix_len) sink(arg, prefix, (size_t)prefix_len);
    pad(sink, arg, '0', zeros);
    if (n) sink(arg, digits, (size_t)n);
    if (sp->left) pad(sink, arg, ' ', fill);
}

static void emit_unsigned(printf_sink *sink, void *arg, const struct spec *sp, uint64_t v,
                          unsigned base, bool upper, const char *prefix) {
    char buf[24];
    char *end = buf + sizeof buf, *p = end;
    const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    for (; v; v /= base) *--p = digits[v % base];
    if (p == end && sp->precision != 0)
        *--p = '0'; // precision 0 and value 0 make no digit (C17 7.21.6.1)
    emit_number(sink, arg, sp, prefix, p, (int)(end - p));
}

static void emit_text(printf_sink *sink, void *arg, const struct spec *sp, const char *s, size_t n) {
    if (!sp->left) pad(sink, arg, ' ', sp->width - (int)n);
    if (n) sink(arg, s, n);
    if (sp->left) pad(sink, arg, ' ', sp->width - (int)n);
}

static int parse_number(const char **p) {
    int v = 0;
    for (; **p >= '0' && **p <= '9'; (*p)++) v = MIN(v * 10 + (**p - '0'), 4096);
    return v;
}

static const char *parse_length(const char *p, struct spec *sp) {
    sp->length = 4;
    if (*p == 'z') return sp->length = 8, p + 1;
    if (*p == 'l') return sp->length = 8, p + (p[1] == 'l' ? 2 : 1);
    if (*p == 'h') return sp->length = p[1] == 'h' ? 1 : 2, p + (p[1] == 'h' ? 2 : 1);
    return p;
}

static uint64_t truncate_unsigned(uint64_t v, int length) {
    return length == 8 ? v : v & ((1ull << (8 * length)) - 1);
}

static int64_t truncate_signed(int64_t v, int length) {
    switch (length) {
    case 1: return (int8_t)v;
    case 2: return (int16_t)v;
    case 4: return (int32_t)v;
    default: return v;
    }
}

void kvformat(printf_sink *sink, void *arg, const char *fmt, va_list ap) {
    for (const char *p = fmt; *p;) {
        const char *start = p;
        while (*p && *p != '%') p++;
        if (p > start) sink(arg, start, (size_t)(p - start));
        if (!*p) return;
        start = p++;

        struct spec sp = {.precision = -1};
        for (;; p++) {
            if (*p == '-')
                sp.left = true;
            else if (*p == '0')
                sp.zero = true;
            else
                break;
        }
        if (*p == '*') {
            p++;
            sp.width = va_arg(ap, int);
            if (sp.width < 0) sp.left = true, sp.width = -MAX(sp.width, -4096);
        } else {
            sp.width = parse_number(&p);
        }
        if (*p == '.') {
            p++;
            if (*p == '*')
                p++, sp.precision = va_arg(ap, int);
            else
                sp.precision = parse_number(&p);
        }
        p = parse_length(p, &sp);

        char conversion = *p ? *p++ : 0;
        switch (conversion) {
        case 'd':
        case 'i': {
            int64_t v =
                truncate_signed(sp.length == 8 ? va_arg(ap, int64_t) : va_arg(ap, int), sp.length);
            emit_unsigned(sink, arg, &sp, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, 10, false,
                          v < 0 ? "-" : "");
            break;
        }
        case 'u':
        case 'x':
        case 'X': {
            uint64_t v = truncate_unsigned(
                sp.length == 8 ? va_arg(ap, uint64_t) : va_arg(ap, unsigned), sp.length);
            emit_unsigned(sink, arg, &sp, v, conversion == 'u' ? 10 : 16, conversion == 'X', "");
            break;
        }
        case 'p':
            emit_unsigned(sink, arg, &sp, (uint64_t)(uintptr_t)va_arg(ap, void *), 16, false, "0x");
            break;
        case 'c': {
            char c = (char)va_arg(ap, int);
            emit_text(sink, arg, &sp, &c, 1);
            break;
        }
        case 's': {
            const char *s = va_arg(ap, const char *);
            if (!s) s = "(null)";
            size_t n = 0; // the argument need not be terminated within the precision
            while ((sp.precision < 0 || n < (size_t)sp.precision) && s[n]) n++;
            emit_text(sink, arg, &sp, s, n);
            break;
        }
        case '%': sink(arg, "%", 1); break;
        default: sink(arg, start, (size_t)(p - start)); break;
        }
    }
}

struct buffer {
    char *at;
    size_t size, used; // used counts what did not fit too
};

static void buffer_sink(void *arg, const char *s, size_t n) {
    struct buffer *b = arg;
    if (b->used + 1 < b->size) memcpy(b->at + b->used, s, MIN(n, b->size - 1 - b->used));
    b->used += n;
}

int kvsnprintf(char *buf, size_t size, const char *fmt, va_list ap) {
    struct buffer b = {.at = buf, .size = size};
    kvformat(buffer_sink, &b, fmt, ap);
    if (size) buf[MIN(b.used, size - 1)] = 0;
    return (int)b.used;
}

int ksnprintf(char *buf, size_t size, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    int n = kvsnprintf(buf, size, fmt, ap);
    va_end(ap);
    return n;
}
