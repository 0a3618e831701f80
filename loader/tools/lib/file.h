// file.h — whole files in and out, for the image tools. Any failure ends the tool with a sentence and status 1; a
// file that is being written is replaced only when it is complete, so that make never sees half of one.
#ifndef LOADER_TOOLS_LIB_FILE_H
#define LOADER_TOOLS_LIB_FILE_H
#include <stddef.h>
#include <stdint.h>

// Printed in front of each message; set first thing in main().
extern const char *tool_name;

_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

// The file's bytes, malloc'ed with `extra` zero bytes behind them.
uint8_t *file_read(const char *path, size_t extra, size_t *out_size);
// Holes where there are whole blocks of zeros.
void file_write(const char *path, const void *bytes, size_t size);

// Zeroed memory; never null.
void *alloc(size_t size);
#endif
