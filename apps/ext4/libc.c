// libc.c — what the C library would ask of WASI. libext2fs uses few of its functions that do; they are given here, so that the module
// imports nothing but the kernel's calls and its disk. Texts for people go nowhere: what matters is logged by whoever calls.
#include "drivers/sdk/sasos.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

time_t time(time_t *out) {
    time_t now = (time_t)(sasos_wall_ns() / 1000000000);
    if (out) *out = now;
    return now;
}

char *getenv(const char *name) {
    (void)name;
    return NULL;
}

// The only end that the library has for its own bugs.
_Noreturn void abort(void) { __builtin_trap(); }

_Noreturn void __assert_fail(const char *what, const char *file, int line, const char *function) {
    log_line("%s:%d: %s: %s does not hold", file, line, function, what);
    abort();
}

int printf(const char *format, ...) {
    (void)format;
    return 0;
}

int fprintf(FILE *file, const char *format, ...) {
    (void)file, (void)format;
    return 0;
}

int puts(const char *text) {
    (void)text;
    return 0;
}

int putchar(int c) { return c; }
int fputs(const char *text, FILE *file) {
    (void)text, (void)file;
    return 0;
}

void com_err(const char *who, long error, const char *format, ...) {
    (void)who;
    log_line("error %d: %s", (int32_t)error, format);
}
