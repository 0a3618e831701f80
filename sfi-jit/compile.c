// compile.c — the compiler's driver: compile_func() is the list of passes, in their order.
//
// Letters of jit_options.dump: i  the IR as built   o  the IR after the optimiser   m  machine instructions before register
// allocation   r  the same with their registers, and the order of the blocks. Machine code itself is dumped by sfi-dump.
// A function's IR lies in a scratch arena that is emptied behind it; what stays is in the caller's arena.
#include "sfi-jit/ir/ir.h"
#include "sfi-jit/jit.h"
#include "sfi-jit/opt/opt.h"
#include "sfi-jit/x64/link.h"
#include "sfi-jit/x64/minsn.h"

struct compiler {
    struct jit_arena *arena;  // the result's
    struct jit_arena scratch; // a function's
    struct jit_host host;     // scratch's: fails through the caller's arena
    const struct jit_options *options;
    struct x64_module module;
    struct opt_tables *tables;
};

static void *scratch_alloc(void *ctx, size_t bytes) {
    struct compiler *c = ctx;
    return c->arena->host->alloc(c->arena->host->ctx, bytes);
}

static void scratch_release(void *ctx, void *chunk, size_t bytes) {
    struct compiler *c = ctx;
    if (c->arena->host->release) c->arena->host->release(c->arena->host->ctx, chunk, bytes);
}

static _Noreturn void scratch_fail(void *ctx) {
    struct compiler *c = ctx;
    struct jit_error e = c->scratch.error;
    jit_fail(c->arena, e.status, e.offset, e.func, e.message);
}

static bool dumps(const struct compiler *c, char letter, uint32_t func) {
    const struct jit_options *o = c->options;
    if (!o->dump || !o->put || (o->dump_func != UINT32_MAX && o->dump_func != func)) return false;
    const char *p = o->dump;
    while (*p && *p != letter) p++;
    return *p == letter;
}

static void check_ir(struct compiler *c, struct ir_func *f, char letter) {
    if (dumps(c, letter, f->index)) ir_dump(f, c->options->put, c->options->put_ctx);
    const char *breach = c->options->check ? ir_check(f) : NULL;
    if (breach) jit_fail(c->arena, JIT_ERR_INTERNAL, 0, f->index, breach);
}

static void dump_machine(struct compiler *c, uint32_t func, char letter, const struct x64_code *code,
                         const struct ra_output *ra, const struct x64_order *order) {
    if (dumps(c, letter, func)) x64_dump(code, ra, order, c->options->put, c->options->put_ctx);
}

static void allocate(struct compiler *c, const struct x64_code *code, struct ra_input *in,
                     struct ra_output *out, uint32_t func) {
    *in = (struct ra_input){
        .insns = code->insns,
        .operands = code->operands,
        .vregs = code->vregs,
        .blocks = code->blocks,
        .insn = code->ra,
        .operand = code->operand,
        .vreg = code->vreg,
        .block = code->block,
        .allocatable = 0x7fffffff & ~(1u << RSP | 1u << R11 | 1u << R15),
        .callee_saved = 1u << RBX | 1u << RBP | 1u << R12 | 1u << R13 | 1u << R14,
        .scratch_int = R11,
        .scratch_fp = 31, // xmm15
    };
    ra_run(&c->scratch, in, out);
    const char *breach = c->options->check ? ra_check(&c->scratch, in, out) : NULL;
    if (breach) jit_fail(c->arena, JIT_ERR_INTERNAL, 0, func, breach);
}

static void compile_func(struct compiler *c, const struct wasm_module *m, uint32_t index) {
    struct x64_code code;
    struct ra_input in;
    struct ra_output ra;

    struct ir_func *f = ir_build(&c->scratch, m, index); // bytecode → SSA
    check_ir(c, f, 'i');
    opt_direct(f, c->tables);   // indirect calls whose callee is known
    opt_inline(f);              // small leaves
    opt_fold(f);                // constants, identities, divisions by constants
    opt_merge(f);               // blocks in a row
    opt_gvn(f);                 // equal values
    opt_bytes(f);               // bytes in the opposite order
    opt_licm(f);                // what loops need not repeat
    opt_rebase(f);              // counters from zero on
    opt_address(f);             // constants in addresses
    opt_dead(f);                // what nobody uses
    ir_split_critical_edges(f); // room for the moves that PHIs become; blocks in their final order
    opt_sink(f);                // loop variables step where it costs no move
    check_ir(c, f, 'o');
    x64_lower(&c->scratch, &c->module, f, &code); // instruction selection
    dump_machine(c, index, 'm', &code, NULL, NULL);
    allocate(c, &code, &in, &ra, index);                                // registers
    x64_twins(&c->scratch, &code, &ra);                                 // edges with the same moves
    const struct x64_order *order = x64_order(&c->scratch, &code, &ra); // loops rotated
    dump_machine(c, index, 'r', &code, &ra, order);
    const struct wasm_functype *type = &m->type[m->func[index].type];
    x64_emit(&c->scratch, &c->module, &code, &in, &ra, order, // bytes, labels, sites
             c->options->sig_id(c->options->ctx, type));
    c->module.stats.ir_values += f->inss;
}

void jit_compile(struct jit_arena *a, const struct wasm_module *m, const struct jit_options *o,
                 struct jit_code *out) {
    struct compiler c = {.arena = a, .options = o};
    c.host = (struct jit_host){&c, scratch_alloc, scratch_release, scratch_fail};
    jit_arena_init(&c.scratch, &c.host, a->limit);
    x64_module_init(&c.module, a, m, o);
    c.tables = opt_tables(a, m);
    jit_alloc(&c.scratch, 1); // a first chunk, kept from function to function
    for (uint32_t i = m->imported_funcs; i < m->funcs; i++) {
        struct jit_mark mark = jit_mark(&c.scratch);
        compile_func(&c, m, i);
        jit_release(&c.scratch, mark);
    }
    x64_link(&c.module, out);
}
