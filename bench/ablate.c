// ablate.c — the compiler with a mechanism of the sandbox left out, to measure what the mechanism costs.
//
// Linked into build/bench/run-ablate only, by the linker's --wrap: the compiler itself has no switch for any of this, and neither the kernel nor any other tool
// contains this file. Code made so is *not* confined; the verifier refuses it, so it is not asked. What is left out stands in
// the environment variable ABLATE, letters:
//   m  masking: `mov r32, r32` that only shows the verifier a clean upper half (of parameters, of results, behind calls), and the
//      mask on the row of an indirect call. Left is what WebAssembly's meaning needs, under the convention that callers pass i32s extended
//   b  bundles: no padding, no aligned labels (ablate_layout.c); functions begin at multiples of 4 KiB instead
//   g  guards: each access with an index compares its end with the memory's size first, as without guard regions; for modules
//      whose memory does not grow
// Empty: nothing is left out, and the code is verified as ever.
#include "loader/private.h"
#include "sfi-jit/verify/verify.h"
#include "sfi-jit/x64/emit.h"
#include <stdlib.h>
#include <string.h>

// Where the memory's size in bytes lies for the comparison: a result that no kernel has.
#define BOUND SFI_CTX_RESULT(SFI_RESULTS_MAX - 1)

static bool left_out(char mechanism) {
    const char *letters = getenv("ABLATE");
    return letters && strchr(letters, mechanism);
}

enum sfi_status __real_sfi_verify(const struct sfi_code *code, struct sfi_place *place,
                                  struct sfi_rejection *out);
enum sfi_status __wrap_sfi_verify(const struct sfi_code *code, struct sfi_place *place,
                                  struct sfi_rejection *out) {
    if (!left_out('m') && !left_out('b') && !left_out('g'))
        return __real_sfi_verify(code, place, out);
    *out = (struct sfi_rejection){SFI_RULE_NONE, 0};
    return SFI_ACCEPTED;
}

// ---- masking ----
uint16_t *__real_x64_reclean(struct jit_arena *a, const struct x64_code *code,
                             const struct ra_output *ra);
uint16_t *__wrap_x64_reclean(struct jit_arena *a, const struct x64_code *code,
                             const struct ra_output *ra) {
    if (!left_out('m')) return __real_x64_reclean(a, code, ra);
    return JIT_ARRAY(a, uint16_t, code->insns);
}

// Is it one of the moves that clean parameters or a call's result, and moves nothing?
static bool only_cleans(const struct x64_emitter *e, uint32_t insn) {
    const struct x64_insn *i = &e->code->insn[insn];
    if (i->op != MOP_MOV32 || x64_loc(e, insn, 0) != x64_loc(e, insn, 1)) return false;
    while (insn > 0 && e->code->insn[insn].op == MOP_MOV32) insn--;
    uint8_t op = e->code->insn[insn].op;
    return op == MOP_PARAMS || op == MOP_CALL || op == MOP_CALLI;
}
void __real_x64_emit_int(struct x64_emitter *e, uint32_t insn);
void __wrap_x64_emit_int(struct x64_emitter *e, uint32_t insn) {
    if (left_out('m') && only_cleans(e, insn)) return;
    __real_x64_emit_int(e, insn);
}

// SFI_T_CALL_INDIRECT begins with `and eax, imm32`; nothing else that is emitted raw does.
void __real_x64_raw(struct x64_asm *s, const uint8_t *bytes, unsigned n);
void __wrap_x64_raw(struct x64_asm *s, const uint8_t *bytes, unsigned n) {
    unsigned skip = left_out('m') && n > 5 && bytes[0] == 0x25 ? 5 : 0;
    __real_x64_raw(s, bytes + skip, n - skip);
}

// ---- bundles ----
void ablate_asm_finish(struct x64_asm *s, const struct ra_input *ra, uint32_t frame, uint32_t sig);
void __real_x64_asm_finish(struct x64_asm *s, const struct ra_input *ra, uint32_t frame, uint32_t sig);
void __wrap_x64_asm_finish(struct x64_asm *s, const struct ra_input *ra, uint32_t frame, uint32_t sig) {
    if (!left_out('b')) {
        __real_x64_asm_finish(s, ra, frame, sig);
        return;
    }
    for (uint32_t i = 0; i < s->units; i++) s->unit[i].align = false;
    ablate_asm_finish(s, ra, frame, sig);
}

// ---- guards ----
static int32_t width(const struct x64_insn *i) {
    switch (i->op) {
    case MOP_MOVZX8:
    case MOP_MOVSX8: return 1;
    case MOP_MOVZX16:
    case MOP_MOVSX16: return 2;
    case MOP_MOVSXD: return 4;
    default: return i->fsize ? i->fsize : i->size;
    }
}
struct x64_rm __real_x64_rm_of(struct x64_emitter *e, uint32_t insn, uint32_t operand);
struct x64_rm __wrap_x64_rm_of(struct x64_emitter *e, uint32_t insn, uint32_t operand) {
    const struct x64_insn *i = &e->code->insn[insn];
    int64_t end = (int64_t)i->disp + width(i);
    if (left_out('g') && i->mem == XM_INDEX && i->op != MOP_LEA && end <= INT32_MAX) {
        struct x64_asm *s = &e->s;
        x64_op(s, 0x8d, true, R11, x64_rm_base(x64_reg(e, insn, operand), (int32_t)end), 0,
               0); // lea r11, [index + end]
        x64_op(s, 0x3b, true, R11, x64_rm_base(R15, -(int32_t)BOUND), 0, 0); // cmp r11, bound
        x64_jcc(s, CC_A, x64_trap_label(e, SFI_TRAP_MEMORY, i->wasm, 0));
    }
    return __real_x64_rm_of(e, insn, operand);
}

enum ldr_status __real_ldr_call(struct ldr_thread *t, struct ldr_instance *inst, uint32_t index,
                                const uint64_t *args, uint64_t *results,
                                struct ldr_trap_info *out_info);
enum ldr_status __wrap_ldr_call(struct ldr_thread *t, struct ldr_instance *inst, uint32_t index,
                                const uint64_t *args, uint64_t *results,
                                struct ldr_trap_info *out_info) {
    // 16 too many: width() takes some vector loads, which extend what they read, for wider than they are.
    *(uint64_t *)(ldr_window(inst) - BOUND) = ((uint64_t)ldr_memory_pages(inst) << 16) + 16;
    return __real_ldr_call(t, inst, index, args, results, out_info);
}
