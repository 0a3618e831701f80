// codefile.c — see codefile.h. Everything that a loaded struct sfi_code points to lies in one allocation after it.
#include "sfi-jit/host/codefile.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC "SFICODE1"

struct header {
    char magic[8];
    uint32_t size, thunks, funcs, labels, jump_tables, pool, pool_size, data;
};
_Static_assert(sizeof(struct header) == 40 && sizeof(struct sfi_func) == 16 &&
                   sizeof(struct sfi_label) == 8 && sizeof(struct sfi_jump_table) == 8,
               "the file's layout");

bool codefile_save(const char *path, const struct sfi_code *code) {
    struct header header = {.size = code->size,
                            .thunks = code->thunks,
                            .funcs = code->funcs,
                            .labels = code->labels,
                            .jump_tables = code->jump_tables,
                            .pool = code->pool,
                            .pool_size = code->pool_size,
                            .data = code->data};
    memcpy(header.magic, MAGIC, sizeof header.magic);
    FILE *file = fopen(path, "wb");
    if (!file) return false;
    fwrite(&header, sizeof header, 1, file);
    fwrite(code->thunk_sigs, sizeof *code->thunk_sigs, code->thunks, file);
    fwrite(code->func, sizeof *code->func, code->funcs, file);
    fwrite(code->label, sizeof *code->label, code->labels, file);
    fwrite(code->jump_table, sizeof *code->jump_table, code->jump_tables, file);
    fwrite(code->bytes, 1, code->size, file);
    bool failed = ferror(file);
    return fclose(file) == 0 && !failed;
}

struct sfi_code *codefile_parse(const void *data, size_t size, const char **out_error) {
    struct header header;
    *out_error = "not a file of compiled code";
    if (size < sizeof header) return NULL;
    memcpy(&header, data, sizeof header);
    if (memcmp(header.magic, MAGIC, sizeof header.magic) != 0) return NULL;
    // Sums of a few 36-bit products do not wrap.
    size_t sigs = (size_t)header.thunks * sizeof(uint32_t);
    size_t funcs = (size_t)header.funcs * sizeof(struct sfi_func);
    size_t labels = (size_t)header.labels * sizeof(struct sfi_label);
    size_t tables = (size_t)header.jump_tables * sizeof(struct sfi_jump_table);
    size_t arrays = sigs + funcs + labels + tables;
    *out_error = "the lengths in its header do not fit the file";
    if (arrays + header.size != size - sizeof header) return NULL;

    // [struct sfi_code, to a bundle | bytes, to a bundle | arrays]
    size_t bytes_at = (sizeof(struct sfi_code) + SFI_BUNDLE - 1) / SFI_BUNDLE * SFI_BUNDLE;
    size_t arrays_at = bytes_at + ((size_t)header.size + SFI_BUNDLE - 1) / SFI_BUNDLE * SFI_BUNDLE;
    size_t total = (arrays_at + arrays + SFI_BUNDLE - 1) / SFI_BUNDLE * SFI_BUNDLE;
    uint8_t *block = aligned_alloc(SFI_BUNDLE, total);
    *out_error = "out of memory";
    if (!block) return NULL;
    const uint8_t *from = (const uint8_t *)data + sizeof header;
    memcpy(block + arrays_at, from, arrays);
    memcpy(block + bytes_at, from + arrays, header.size);
    struct sfi_code *code = (struct sfi_code *)(void *)block;
    uint8_t *p = block + arrays_at;
    *code = (struct sfi_code){
        .bytes = block + bytes_at,
        .size = header.size,
        .thunks = header.thunks,
        .thunk_sigs = (const uint32_t *)(void *)p,
        .funcs = header.funcs,
        .labels = header.labels,
        .jump_tables = header.jump_tables,
        .func = (const struct sfi_func *)(void *)(p + sigs),
        .label = (const struct sfi_label *)(void *)(p + sigs + funcs),
        .jump_table = (const struct sfi_jump_table *)(void *)(p + sigs + funcs + labels),
        .pool = header.pool,
        .pool_size = header.pool_size,
        .data = header.data,
    };
    *out_error = NULL;
    return code;
}

struct sfi_code *codefile_load(const char *path, const char **out_error) {
    FILE *file = fopen(path, "rb");
    if (!file) {
        *out_error = strerror(errno);
        return NULL;
    }
    size_t size = 0, room = 1 << 16;
    uint8_t *data = malloc(room);
    while (data) {
        size += fread(data + size, 1, room - size, file);
        if (size < room) break;
        room *= 2;
        uint8_t *more = realloc(data, room);
        if (!more) free(data);
        data = more;
    }
    bool failed = ferror(file);
    fclose(file);
    struct sfi_code *code = NULL;
    if (!data)
        *out_error = "out of memory";
    else if (failed)
        *out_error = "cannot be read";
    else
        code = codefile_parse(data, size, out_error);
    free(data);
    return code;
}

void codefile_free(struct sfi_code *code) { free(code); }
