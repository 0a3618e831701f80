// codefile.h — a compiled module in a file: struct sfi_code, as sfi-run and sfi-dump save it and sfi-verify reads it.
//
// Little-endian, no padding: "SFICODE1", then eight uint32 (size, thunks, funcs, labels, jump_tables, pool, pool_size,
// data), then the arrays thunk_sigs, func, label, jump_table, then the bytes. A file is input: what it says about code is
// for the verifier to judge, only its lengths are checked here.
#ifndef SFI_HOST_CODEFILE_H
#define SFI_HOST_CODEFILE_H
#include "sfi-jit/sfi.h"

// Writes *code to `path`. False, with errno set, if the file cannot be written.
bool codefile_save(const char *path, const struct sfi_code *code);

// Reads a file into memory of its own; free with codefile_free. NULL, with a sentence in *out_error, if it cannot be
// read or its lengths do not add up.
struct sfi_code *codefile_load(const char *path, const char **out_error);

// The same from memory, which may be freed afterwards.
struct sfi_code *codefile_parse(const void *data, size_t size, const char **out_error);

void codefile_free(struct sfi_code *code);
#endif
