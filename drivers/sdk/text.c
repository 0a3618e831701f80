// text.c — see text.h.
#include "drivers/sdk/text.h"
#include <stdbool.h>

void text_char(struct text *t, char c) {
    if (t->length < t->size) t->bytes[t->length++] = c;
}

static void put_number(struct text *t, uint64_t value, uint32_t base) {
    char digits[20];
    uint32_t n = 0;
    do {
        digits[n++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    while (n) text_char(t, digits[--n]);
}

void text_vformat(struct text *t, const char *format, va_list args) {
    for (const char *f = format; *f; f++) {
        if (*f != '%') {
            text_char(t, *f);
            continue;
        }
        bool wide = *++f == 'l';
        if (wide) f++;
        if (*f == 's') {
            for (const char *s = va_arg(args, const char *); *s; s++) text_char(t, *s);
        } else if (*f == 'c') {
            text_char(t, (char)va_arg(args, int));
        } else if (*f == 'd') {
            int64_t v = wide ? va_arg(args, int64_t) : va_arg(args, int32_t);
            if (v < 0) text_char(t, '-');
            put_number(t, v < 0 ? -(uint64_t)v : (uint64_t)v, 10);
        } else if (*f == 'u' || *f == 'x') {
            uint64_t v = wide ? va_arg(args, uint64_t) : va_arg(args, uint32_t);
            put_number(t, v, *f == 'u' ? 10 : 16);
        } else if (*f) {
            text_char(t, *f);
        } else {
            break;
        }
    }
}

void text_format(struct text *t, const char *format, ...) {
    va_list args;
    va_start(args, format);
    text_vformat(t, format, args);
    va_end(args);
}

void text_pad(struct text *t, uint32_t from, uint32_t column) {
    do {
        text_char(t, ' ');
    } while (t->length < t->size && t->length - from < column);
}
