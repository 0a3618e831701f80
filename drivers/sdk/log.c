// log.c — log_line(): a small formatter over the kernel's log call, for modules without a C library.
#include "drivers/sdk/sasos.h"
#include <stdarg.h>

#define LINE 256u

struct line {
    char text[LINE];
    uint32_t length;
};

static void put(struct line *l, char c) {
    if (l->length < LINE) l->text[l->length++] = c;
}

static void put_number(struct line *l, uint64_t value, uint32_t base) {
    char digits[20];
    uint32_t n = 0;
    do {
        digits[n++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    while (n) put(l, digits[--n]);
}

void log_line(const char *format, ...) {
    struct line l = {.length = 0};
    va_list args;
    va_start(args, format);
    for (const char *f = format; *f; f++) {
        if (*f != '%') {
            put(&l, *f);
            continue;
        }
        bool wide = *++f == 'l';
        if (wide) f++;
        if (*f == 's') {
            for (const char *s = va_arg(args, const char *); *s; s++) put(&l, *s);
        } else if (*f == 'c') {
            put(&l, (char)va_arg(args, int));
        } else if (*f == 'd') {
            int64_t v = wide ? va_arg(args, int64_t) : va_arg(args, int32_t);
            if (v < 0) put(&l, '-');
            put_number(&l, v < 0 ? -(uint64_t)v : (uint64_t)v, 10);
        } else if (*f == 'u' || *f == 'x') {
            uint64_t v = wide ? va_arg(args, uint64_t) : va_arg(args, uint32_t);
            put_number(&l, v, *f == 'u' ? 10 : 16);
        } else if (*f) {
            put(&l, *f);
        } else {
            break; // a lone % at the end
        }
    }
    va_end(args);
    sasos_log(l.text, l.length);
}
