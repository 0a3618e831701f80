// callconv.c — where arguments and results of a function type live: the module-internal calling convention.
//
// Integers (references too) in rdi rsi rdx rcx r8 r9, floating point in xmm0–7, in order of appearance each; the rest in 8-byte
// words from [callee's rsp + 8] upwards, a v128 taking two. The first integer result is in rax, the first floating-point one in
// xmm0, the others in the context's result area, in order of appearance. An i32's upper half is undefined everywhere.
#include "sfi-jit/x64/callconv.h"
#include "sfi-jit/jit.h"

uint32_t x64_next_arg(struct x64_args *a, bool is_float, unsigned bytes) {
    if (is_float && a->floats < SFI_FP_ARGS) return 16 + a->floats++;
    if (!is_float && a->ints < SFI_INT_ARGS) return a->ints++;
    uint32_t word = a->words;
    a->words += bytes == 16 ? 2 : 1;
    return 32 + word;
}

int x64_next_result(struct x64_results *r, bool is_float) {
    if (is_float ? r->floats++ == 0 : r->ints++ == 0) return is_float ? -2 : -1;
    return (int)r->others++;
}

static uint32_t next_arg(struct x64_args *a, uint8_t type) {
    bool is_float = type == WASM_F32 || type == WASM_F64 || type == WASM_V128;
    return x64_next_arg(a, is_float, type == WASM_V128 ? 16 : 8);
}

uint32_t jit_stack_words(const struct wasm_functype *type) {
    struct x64_args a = {0};
    for (uint32_t i = 0; i < type->params; i++) next_arg(&a, type->type[i]);
    return a.words;
}

uint32_t jit_arg_place(const struct wasm_functype *type, uint32_t i) {
    struct x64_args a = {0};
    for (uint32_t k = 0; k < i; k++) next_arg(&a, type->type[k]);
    return next_arg(&a, type->type[i]);
}

int jit_result_place(const struct wasm_functype *type, uint32_t i) {
    struct x64_results r = {0};
    int place = 0;
    for (uint32_t k = 0; k <= i; k++) {
        uint8_t t = type->type[type->params + k];
        place = x64_next_result(&r, t == WASM_F32 || t == WASM_F64 || t == WASM_V128);
    }
    return place;
}
