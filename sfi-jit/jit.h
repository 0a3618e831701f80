// jit.h — the compiler's public face: a WebAssembly binary in, machine code with side tables out.
//
// Freestanding and re-entrant: no globals, all memory from the arena, which the caller may throw away once it has copied what it keeps.
// The result is *not* trusted by anybody: the loader has sfi_verify() look at it before it can become executable.
#ifndef JIT_H
#define JIT_H
#include "sfi-jit/arena.h"
#include "sfi-jit/sfi.h"
#include "sfi-jit/wasm/module.h"

// A pass's letter in jit_options.dump, in the order they run: see compile.c.
typedef void jit_put(void *ctx, const char *text, size_t n);

struct jit_options {
    uint32_t (*sig_id)(void *ctx, const struct wasm_functype *type); // canonical signature ids, from the kernel: never 0
    void *ctx;                                                       // of sig_id
    const char *dump;                                                // letters, NULL = nothing
    uint32_t dump_func; // function index, UINT32_MAX = all
    jit_put *put;
    void *put_ctx;
    bool check; // run ir_check() and ra_check() between passes; a breach is JIT_ERR_INTERNAL
};

struct jit_stats {
    uint32_t wasm_bytes, code_bytes, ir_values, spills, nop_bytes;
};

struct jit_code {
    struct sfi_code sfi; // thunk_sigs filled in the module's order: built-ins (signature number 0, see below), then imports
    uint8_t *bytes; // = sfi.bytes, still writable
    struct sfi_trap_site *site;
    uint32_t sites;
    uint32_t *sig_site; // offsets of the 4-byte signature ids in the code, one an indirect call
    uint32_t sig_sites;
    struct jit_stats stats;
};

// Where result i of a type is returned: returns −1 for rax, −2 for xmm0, else the index of its SFI_CTX_RESULT.
int jit_result_place(const struct wasm_functype *type, uint32_t i);
// Where argument i of a type is passed: 0–5 integer register number (rdi rsi rdx rcx r8 r9), 16–23 xmm0–7, or 32 + n for SFI_CTX_RESULT(n).
uint32_t jit_arg_place(const struct wasm_functype *type, uint32_t i);
// How many arguments, and how many results, lie in the context's result area, from SFI_CTX_RESULT(0) on.
void jit_context_places(const struct wasm_functype *type, uint32_t *out_args, uint32_t *out_results);

// Compiles all defined functions of a parsed module. Does not return on failure (arena.h).
void jit_compile(struct jit_arena *a, const struct wasm_module *m, const struct jit_options *o,
                 struct jit_code *out);
#endif
