// text.h — text put together in a buffer, for modules without a C library. What does not fit is cut off; nothing is ever written outside.
#ifndef SASOS_TEXT_H
#define SASOS_TEXT_H
#include <stdarg.h>
#include <stdint.h>

struct text {
    char *bytes;
    uint32_t size, length; // no 0 at the end
};

void text_char(struct text *t, char c);
// %s %d %u %x %lu %lx %ld (64-bit: l) %c %%; a lone % at the end is left out.
void text_format(struct text *t, const char *format, ...);
void text_vformat(struct text *t, const char *format, va_list args);
// Blanks up to column `column` of the text since `from`, but one at least.
void text_pad(struct text *t, uint32_t from, uint32_t column);
#endif
