// mem.h — the kernel's bytes: memcpy, memmove, memset, memcmp (declared in sfi-jit/lib.h, defined in lib/mem.c) and a few
// string helpers that work on bounded input.
#ifndef SASOS_LIB_MEM_H
#define SASOS_LIB_MEM_H
#include "sfi-jit/lib.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

size_t str_len(const char *s);
bool str_eq(const char *a, const char *b);
// Copies at most size-1 bytes and always ends dst with a zero byte.
void str_copy(char *dst, size_t size, const char *src);

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define ALIGN_DOWN(x, a) ((x) & ~((uint64_t)(a)-1))
#define ALIGN_UP(x, a) ALIGN_DOWN((x) + (uint64_t)(a)-1, a)
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#endif
