// stdlib.h — what lwIP uses of the C library's: memory (apps/lwip/memory.c) and the number at the end of an interface's name.
#ifndef LWIP_PORT_STDLIB_H
#define LWIP_PORT_STDLIB_H
#include <stddef.h>

static inline int atoi(const char *s) {
    int n = 0;
    while (*s >= '0' && *s <= '9') n = n * 10 + *s++ - '0';
    return n;
}
#endif
