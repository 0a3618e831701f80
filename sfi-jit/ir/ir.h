// ir.h — the compiler's intermediate form: one function in SSA.
//
// A value is the instruction that makes it: ir_ref is an index into f->ins, 0 is "none". Instructions of a block are a doubly
// linked list in order; PHIs first, exactly one terminator last. Blocks are numbered; block 0 is the entry, has no predecessors,
// and begins with the PARAMs. f->order lists the reachable blocks in reverse post order (loop bodies contiguous), which is also
// the layout. An edge appears once in succ and once in pred of its ends. A block may be twice the successor of another; the
// PHIs there then have the same operand both times, so that either entry may go. The graph is reducible: a loop is entered
// through its head only.
//
// Edges   ir_add_edge() makes them (capacity of pred and succ: the count rounded up to a power of two, at least 2). To drop
//         edges a pass rewrites its own block's terminator and succ; ir_analyse() then removes the stale entries of pred, with the
//         operands of PHIs that belong to them.
//
// Invariants (ir_check() finds breaches, and runs between passes in test builds):
//   every use is dominated by its definition; a PHI has as many operands as its block has predecessors, in that order;
//   types agree with ops.def; terminators match the number of successors; PARAM and PHI only at heads; RESULT behind its call.
// Effects (E in ops.def) keep their order and number: a module's load may be a device register. LOAD, GLOBAL_GET are effects too.
// i32 values: the upper half of whatever holds one is not part of the value; who needs it clean says so (x64/).
// Lifetime: all of a function's IR lies in the arena and dies with the function.
#ifndef IR_H
#define IR_H
#include "sfi-jit/arena.h"
#include "sfi-jit/sfi.h"
#include "sfi-jit/wasm/module.h"

typedef uint32_t ir_ref;

enum ir_type { IR_VOID, IR_I32, IR_I64, IR_F32, IR_F64, IR_V128 }; // references are IR_I64

static inline enum ir_type ir_type_of(uint8_t wasm) { // enum wasm_type
    return wasm == WASM_I32    ? IR_I32
           : wasm == WASM_F32  ? IR_F32
           : wasm == WASM_F64  ? IR_F64
           : wasm == WASM_V128 ? IR_V128
                               : IR_I64;
}

enum { IR_POOL = 15 };
enum {
    IRF_EFFECT = 1,
    IRF_LOAD = 2,
    IRF_TERM = 4,
    IRF_COMM = 8,
    IRF_PIN = 16, // stays where it is in its block
};
enum ir_op {
#define X(name, text, operands, flags) IR_##name,
#include "sfi-jit/ir/ops.def"
#undef X
    IR_OPS,
};
enum ir_mem {
    IR_MEM_8S,
    IR_MEM_8U,
    IR_MEM_16S,
    IR_MEM_16U,
    IR_MEM_32S,
    IR_MEM_32U,
    IR_MEM_FULL
}; // FULL: the type's width; stores use 8U 16U 32U FULL

struct ir_op_info {
    const char *text;
    uint8_t operands, flags;
};
extern const struct ir_op_info ir_op_info[IR_OPS];

struct ir_ins {
    uint8_t op;   // enum ir_op
    uint8_t type; // enum ir_type, of the value
    uint16_t aux;
    ir_ref a, b, c; // operands, or a = start and b = count in f->pool
    uint32_t block, prev, next;
    uint32_t wasm; // offset of the operator in the module, for traps and dumps
    uint64_t imm;
};

struct ir_block {
    ir_ref first, last;
    uint32_t preds, succs; // counts
    uint32_t *pred, *succ;
    uint32_t order; // position in f->order; UINT32_MAX if unreachable
    uint32_t idom;  // block; entry: itself
    uint32_t loop;  // innermost loop's head block, UINT32_MAX if none
    uint32_t loop_depth;
    uint32_t outer; // of a loop's head: the head of the loop around it, UINT32_MAX if none
};

struct ir_func {
    struct jit_arena *arena;
    const struct wasm_module *module;
    uint32_t index; // function index
    uint32_t inss, ins_cap, blocks, block_cap, pools, pool_cap, orders, order_cap;
    struct ir_ins *ins; // [0] is unused
    struct ir_block *block;
    ir_ref *pool;
    uint32_t *order;
    bool calls; // makes any call
};

// Builds the SSA of defined function `index` of a valid module; cannot fail but by limits or memory. (ir/build.c)
struct ir_func *ir_build(struct jit_arena *a, const struct wasm_module *m, uint32_t index);
// Recomputes order, idom, loops after the graph has changed; linear but for a logarithm. Unreachable blocks are emptied and
// leave their successors' PHIs. (ir/graph.c)
void ir_analyse(struct ir_func *f);
// Splits edges from blocks with several successors to blocks with several different predecessors (a block reached several
// times from one SWITCH only, which has no PHIs, stays as it is), and analyses anew. (ir/graph.c)
void ir_split_critical_edges(struct ir_func *f);
// NULL, or the first breach, as text. (ir/check.c; costs time, for tests)
const char *ir_check(const struct ir_func *f);
// The one textual form, which the tests read. (ir/dump.c)
void ir_dump(const struct ir_func *f, void (*put)(void *ctx, const char *text, size_t n), void *ctx);

// Building blocks for passes. (ir/edit.c) Instructions have aux = 0; wasm is that of `at`, or of the block's last one.
struct ir_func *ir_new_func(struct jit_arena *a, const struct wasm_module *m,
                            uint32_t index); // without blocks
ir_ref ir_append(struct ir_func *f, uint32_t block, enum ir_op op, enum ir_type type, ir_ref a,
                 ir_ref b, ir_ref c, uint64_t imm);
ir_ref ir_insert_before(struct ir_func *f, ir_ref at, enum ir_op op, enum ir_type type, ir_ref a,
                        ir_ref b, ir_ref c, uint64_t imm);
void ir_remove(struct ir_func *f, ir_ref ins); // becomes a NOP, unlinked
uint32_t ir_new_block(struct ir_func *f);
void ir_add_edge(struct ir_func *f, uint32_t from, uint32_t to);
// Uses of r become uses of to[r] wherever to[r] is not 0; chains in `to` are followed, and shortened in place.
void ir_forward(struct ir_func *f, ir_ref *to);
uint32_t ir_pool_add(struct ir_func *f, const ir_ref *refs, uint32_t count); // → start
// The 16 bytes of a V128 constant; making one (imm is the lower half).
static inline void ir_v128(const struct ir_ins *i, uint64_t out[2]) {
    out[0] = i->imm;
    out[1] = i->b | (uint64_t)i->c << 32;
}
#define IR_V128_HIGH(bits) 0, (uint32_t)(bits), (uint32_t)((bits) >> 32)
// Operands of an instruction: where they lie, and how many. Valid until the function's instructions or pool grow.
static inline ir_ref *ir_operands(struct ir_func *f, ir_ref r, uint32_t *out_count) {
    struct ir_ins *i = &f->ins[r];
    bool pool = ir_op_info[i->op].operands == IR_POOL;
    *out_count = pool ? i->b : ir_op_info[i->op].operands;
    return pool ? f->pool + i->a : &i->a;
}
#endif
