// link.h — one module's code block in the making: functions one behind another, and what ties them together.
//
// Functions are appended in index order by x64_asm_finish(). What cannot be known before the last function is laid out (the
// data part's place, later functions' entries) is kept as relocations and filled in by x64_link().
// The block's shape is sfi.h's: [thunks | functions | constant pool | jump tables].
#ifndef X64_LINK_H
#define X64_LINK_H
#include "sfi-jit/jit.h"

enum x64_reloc_kind { X64_REL_CALL, X64_REL_POOL, X64_REL_TABLE, X64_REL_SIG };
struct x64_reloc {
    uint32_t at; // of the disp32, or (SIG) of the imm32 that is a signature id: in the function's unpadded bytes, later in the block
    uint32_t target; // function index; pool reference; jump table
    uint8_t kind;    // enum x64_reloc_kind
    uint8_t tail;    // bytes of the instruction behind the disp32
};

struct x64_table { // a jump table; entries are block offsets until x64_link()
    uint32_t first, count;
};

struct x64_pool_class { // constants of one size, in order of first use
    uint32_t count, cap;
    uint64_t *word; // one or two words a constant
};

struct x64_module {
    struct jit_arena *arena; // of the result
    const struct wasm_module *wasm;
    const struct jit_options *options;
    uint8_t *bytes;
    uint32_t size, cap;
    struct sfi_func *func; // [defined functions]
    uint32_t funcs;
    struct sfi_label *label;
    uint32_t labels, label_cap;
    struct sfi_trap_site *site;
    uint32_t sites, site_cap;
    struct x64_reloc *reloc;
    uint32_t relocs, reloc_cap;
    struct x64_table *table;
    uint32_t tables, table_cap;
    uint32_t *entry; // of all jump tables
    uint32_t entries, entry_cap;
    struct x64_pool_class pool[3]; // 16, 8, 4 bytes: in this order in the block, so all are aligned
    uint32_t *pool_hash;           // reference + 1
    uint32_t pool_hash_size, pool_used;
    struct jit_stats stats;
};

void x64_module_init(struct x64_module *m, struct jit_arena *a, const struct wasm_module *wasm,
                     const struct jit_options *options);
// Room for n more bytes, filled with CC; returns where they start. `size` is not moved.
uint8_t *x64_module_room(struct x64_module *m, uint32_t n);
// A reference to a constant of 4, 8 or 16 bytes.
uint32_t x64_pool(struct x64_module *m, unsigned bytes, uint64_t lo, uint64_t hi);
// All functions are there: lays out the data part, resolves everything.
void x64_link(struct x64_module *m, struct jit_code *out);
#endif
