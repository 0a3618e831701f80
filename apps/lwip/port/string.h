// string.h — what lwIP uses of the C library's, for a module without one. Copies are the machine's bulk operations.
#ifndef LWIP_PORT_STRING_H
#define LWIP_PORT_STRING_H
#include <stddef.h>

#define memcpy __builtin_memcpy
#define memmove __builtin_memmove
#define memset __builtin_memset

static inline int memcmp(const void *a, const void *b, size_t n) {
    const unsigned char *x = a, *y = b;
    for (; n; n--, x++, y++)
        if (*x != *y) return *x - *y;
    return 0;
}
static inline size_t strlen(const char *s) {
    size_t n = 0;
    while (s[n]) n++;
    return n;
}
static inline int strncmp(const char *a, const char *b, size_t n) {
    for (; n; n--, a++, b++)
        if (*a != *b || !*a) return (unsigned char)*a - (unsigned char)*b;
    return 0;
}
static inline int strcmp(const char *a, const char *b) { return strncmp(a, b, (size_t)-1); }
#endif
