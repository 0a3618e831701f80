// tables — hostile side tables: a good block whose labels, functions, jump tables and header go wrong in several places at
// once, in arrays of exactly the size that they claim. Built with ASan and UBSan: no step outside. What is accepted all the
// same must satisfy the policy (O2).
#include "tests/fuzz/block.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/judge.h"
#include <stdlib.h>
#include <string.h>

static uint32_t odd_number(const struct sfi_code *c, uint32_t near) {
    switch (fuzz_below(12)) {
    case 0: return 0;
    case 1: return (uint32_t)fuzz_noise();
    case 2: return UINT32_MAX - fuzz_below(64);
    case 3: return 0x80000000u + fuzz_below(64) - 32;
    case 4: return near + fuzz_below(64) - 32;
    case 5: return fuzz_below(c->size / SFI_BUNDLE + 1) * SFI_BUNDLE;
    case 6: return c->size - fuzz_below(5);
    case 7: return c->data + fuzz_below(9) - 4;
    case 8: return near ^ 1u << fuzz_below(32);
    case 9: return c->labels ? c->label[fuzz_below(c->labels)].offset : 0;
    case 10: return c->funcs ? c->func[fuzz_below(c->funcs)].start : 0;
    default: return near;
    }
}

// A copy that ends where the array does.
static void *exactly(const void *from, size_t size) {
    void *p = malloc(size ? size : 1);
    memcpy(p, from, size);
    return p;
}

static void spoil(struct block *b) {
    struct sfi_code *c = &b->code;
    uint32_t pick = fuzz_below(16), *word = NULL;
    if (pick < 4 && c->labels)
        word = (uint32_t *)(void *)b->label + fuzz_below(2 * c->labels);
    else if (pick < 8)
        word = (uint32_t *)(void *)b->func + fuzz_below(4 * c->funcs);
    else if (pick < 10 && c->jump_tables)
        word = (uint32_t *)(void *)b->table + fuzz_below(2 * c->jump_tables);
    else if (pick == 10)
        word = &c->pool;
    else if (pick == 11)
        word = &c->pool_size;
    else if (pick == 12)
        word = &c->data;
    else if (pick == 13)
        word = &b->thunk_sig[fuzz_below(BLOCK_THUNKS)];
    else if (pick == 14)
        memcpy(b->bytes + fuzz_below(c->size - 4), &(uint32_t){odd_number(c, 0)}, 4);
    else if (c->labels > 1) { // two change places
        uint32_t i = fuzz_below(c->labels), k = fuzz_below(c->labels);
        struct sfi_label label = b->label[i];
        b->label[i] = b->label[k], b->label[k] = label;
    }
    if (word) *word = odd_number(c, *word);
}

// Counts may only shrink: that arrays are as long as they say is what the caller promises.
static void shrink(struct sfi_code *c) {
    uint32_t *counts[] = {&c->size, &c->thunks, &c->funcs, &c->labels, &c->jump_tables};
    uint32_t *count = counts[fuzz_below(5)];
    if (*count) *count -= fuzz_one_in(4) ? 1 + fuzz_below(*count) : 1;
}

static void item(uint64_t i) {
    static struct block b;
    (void)i;
    block_make(&b);
    for (unsigned n = fuzz_below(4); n--;) spoil(&b);
    if (fuzz_one_in(8)) shrink(&b.code);
    struct sfi_code c = b.code;
    if (fuzz_one_in(4) && c.funcs) { // the block ends where its last function does
        uint64_t end = (uint64_t)b.func[c.funcs - 1].start + b.func[c.funcs - 1].size;
        if (end < c.size) c.size = c.data = (uint32_t)end, c.pool_size = c.jump_tables = 0;
    }
    uint8_t *bytes = exactly(b.bytes, c.size);
    struct sfi_func *func = exactly(b.func, c.funcs * sizeof *func);
    struct sfi_label *label = exactly(b.label, c.labels * sizeof *label);
    struct sfi_jump_table *table = exactly(b.table, c.jump_tables * sizeof *table);
    uint32_t *sigs = exactly(b.thunk_sig, c.thunks * sizeof *sigs);
    c.bytes = bytes, c.func = func, c.label = label, c.jump_table = table, c.thunk_sigs = sigs;
    if (fuzz_one_in(64)) { // missing, or not where a table can be
        const void **p[] = {(const void **)&c.bytes, (const void **)&c.func, (const void **)&c.label,
                            (const void **)&c.jump_table, (const void **)&c.thunk_sigs};
        *p[fuzz_below(5)] = NULL;
    } else if (fuzz_one_in(64) && c.labels) {
        c.label = (const void *)((const char *)label + 1), c.labels--;
    }
    judge_block(&c, 0);
    free(bytes), free(func), free(label), free(table), free(sigs);
}

int main(int argc, char **argv) {
    static const struct fuzz_campaign campaign = {"tables", 0, true, NULL, item};
    return fuzz_main(argc, argv, &campaign);
}
