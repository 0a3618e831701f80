// callconv.c — where arguments and results of a function type live: the module-internal calling convention.
//
// Integers (references too) in rdi rsi rdx rcx r8 r9, floating point and vectors in xmm0–7, in order of appearance each. The first integer
// result is in rax, the first of the others in xmm0. All further arguments, and all further results, are in the context's result area, in
// order of appearance, 16 bytes each: written directly before the call or the return, read first thing behind it. Nothing goes on the
// stack (all signatures have 0 stack words), so that a tail call may have more arguments than its caller had, with a callee of
// any module behind a table. An i32's upper half is undefined everywhere.
#include "sfi-jit/x64/callconv.h"
#include "sfi-jit/jit.h"

_Static_assert(WASM_MAX_PARAMS <= SFI_RESULTS_MAX && WASM_MAX_RESULTS <= SFI_RESULTS_MAX,
               "all of them fit the result area");

uint32_t x64_next_arg(struct x64_args *a, bool is_float) {
    if (is_float && a->floats < SFI_FP_ARGS) return 16 + a->floats++;
    if (!is_float && a->ints < SFI_INT_ARGS) return a->ints++;
    return 32 + a->others++;
}

int x64_next_result(struct x64_results *r, bool is_float) {
    if (is_float ? r->floats++ == 0 : r->ints++ == 0) return is_float ? -2 : -1;
    return (int)r->others++;
}

static bool is_float(uint8_t type) {
    return type == WASM_F32 || type == WASM_F64 || type == WASM_V128;
}

uint32_t jit_arg_place(const struct wasm_functype *type, uint32_t i) {
    struct x64_args a = {0};
    for (uint32_t k = 0; k < i; k++) x64_next_arg(&a, is_float(type->type[k]));
    return x64_next_arg(&a, is_float(type->type[i]));
}

int jit_result_place(const struct wasm_functype *type, uint32_t i) {
    struct x64_results r = {0};
    int place = 0;
    for (uint32_t k = 0; k <= i; k++)
        place = x64_next_result(&r, is_float(type->type[type->params + k]));
    return place;
}

void jit_context_places(const struct wasm_functype *type, uint32_t *out_args, uint32_t *out_results) {
    struct x64_args a = {0};
    struct x64_results r = {0};
    for (uint32_t k = 0; k < type->params; k++) x64_next_arg(&a, is_float(type->type[k]));
    for (uint32_t k = 0; k < type->results; k++)
        x64_next_result(&r, is_float(type->type[type->params + k]));
    *out_args = a.others;
    *out_results = r.others;
}
