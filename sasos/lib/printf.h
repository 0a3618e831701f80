// printf.h — formatted text, freestanding and without a heap.
//
// %[-][0][width|*][.precision|.*][hh|h|l|ll|z]  d i u x X p s c %   — a subset of C17 7.21.6.1 with the same meaning. There is
// no floating point, no %n, and %s prints "(null)" for NULL. An unknown conversion is printed as it stands: a message with a
// mistake in it must still come out in a panic.
#ifndef SASOS_LIB_PRINTF_H
#define SASOS_LIB_PRINTF_H
#include <stdarg.h>
#include <stddef.h>

// Receives the text piece by piece; n > 0.
typedef void printf_sink(void *arg, const char *s, size_t n);
void kvformat(printf_sink *sink, void *arg, const char *fmt, va_list ap);

// Writes at most size bytes including the terminating zero (size 0: nothing); returns the length the whole text has.
int ksnprintf(char *buf, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int kvsnprintf(char *buf, size_t size, const char *fmt, va_list ap);

// To the console, as it stands: no time, no level, no newline. Any context.
void kprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
#endif
