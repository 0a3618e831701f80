// lib.h — the four functions that a freestanding compiler may call, given by the kernel (sasos/lib/mem.c) or by libc.
#ifndef SFI_LIB_H
#define SFI_LIB_H
#include <stddef.h>
void *memcpy(void *restrict dst, const void *restrict src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int value, size_t n);
int memcmp(const void *a, const void *b, size_t n);
#endif
