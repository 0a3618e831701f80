// scan.h — the builder's first look at a body: which locals are written in each block, loop and if. Private to ir/.
#ifndef IR_SCAN_H
#define IR_SCAN_H
#include "sfi-jit/ir/ir.h"
#include "sfi-jit/wasm/reader.h"

struct ir_scan_block {
    uint32_t first,
        count; // in ir_scan.written, each local once; empty for a block or loop that is no target
    bool is_target; // of some branch
};
struct ir_scan {
    struct wasm_reader code;     // at the first instruction
    const uint8_t *local_type;   // [locals], enum wasm_type
    struct ir_scan_block *block; // in the order of their opcodes
    uint32_t *written;
    uint32_t ration; // work left that is not paid for by bytes of the body
};

// The body must have been validated.
void ir_scan(struct ir_scan *s, struct jit_arena *a, const struct wasm_module *m, uint32_t index);
// Fails with JIT_ERR_LIMIT when the ration is used up.
static inline void ir_scan_spend(struct ir_scan *s, uint32_t work) {
    if (work > s->ration) wasm_fail(&s->code, JIT_ERR_LIMIT, "function too complex");
    s->ration -= work;
}
#endif
