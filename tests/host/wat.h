// wat.h — modules for tests as WebAssembly text: runs wat2wasm (Debian's wabt) on it.
#ifndef TESTS_WAT_H
#define TESTS_WAT_H
#include <stddef.h>
#include <stdint.h>

// malloc'ed bytes; prints wat2wasm's complaint and exits if the text is wrong.
uint8_t *wat(const char *text, size_t *out_size);
#endif
