// cells.h — what the load generators share: their arguments are cells, one measurement each, of words and numbers with colons between, such as
// "read:rand:4096:32:1000".
#ifndef BENCH_CELLS_H
#define BENCH_CELLS_H
#include "drivers/sdk/sasos.h"

#define CELL_MAX 64u

// The next word of the cell, if it is that one: *at moves behind its colon.
static inline bool cell_word(const char **at, const char *word) {
    const char *p = *at;
    while (*word && *p == *word) p++, word++;
    if (*word || *p != ':') return false;
    *at = p + 1;
    return true;
}

static inline uint32_t cell_number(const char **at) {
    uint32_t v = 0;
    while (**at >= '0' && **at <= '9') v = v * 10 + (uint32_t)(*(*at)++ - '0');
    if (**at == ':') (*at)++;
    return v;
}

// Measures each argument; the exit status: 1 if one of them failed.
static inline int32_t cells(int32_t (*measure)(const char *cell)) {
    char text[CELL_MAX];
    int32_t length, failed = 0;
    for (uint32_t i = 0; (length = sasos_arg(i, text, CELL_MAX - 1)) >= 0; i++) {
        text[length < (int32_t)CELL_MAX ? length : (int32_t)CELL_MAX - 1] = 0;
        failed |= measure(text);
    }
    return failed ? 1 : 0;
}
#endif
