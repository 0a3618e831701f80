// probe.c — see probe.h. The verdict is the whole verifier's; a length is where control falls off the function's end.
#include "tests/fuzz/probe.h"
#include "sfi-jit/host/verify.h"
#include "sfi-jit/verify/decode.h"
#include "tests/fuzz/fuzz.h"
#include "tests/host/verify_policy.h"
#include <capstone/capstone.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// sub rsp, FRAME; ud2; label; the instruction, in the first bundle; the pool in the third.
enum { BODY_AT = 6, POOL_AT = 64, POOL_SIZE = 64, FRAME = 64, WORDS = 4, ALL_CLEAN = 0x7fef };

static ZydisDecoder zydis;
static csh capstone;
static cs_insn *theirs;
static struct {
    _Alignas(32) uint8_t bytes[POOL_AT + POOL_SIZE];
    struct sfi_func func;
    struct sfi_label label;
    struct sfi_code code;
} body;

void probe_setup(void) {
    static const uint8_t enter[] = {0x48, 0x83, 0xec, FRAME, 0x0f, 0x0b};
    ZydisDecoderInit(&zydis, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    if (cs_open(CS_ARCH_X86, CS_MODE_64, &capstone) != CS_ERR_OK) abort();
    theirs = cs_malloc(capstone);
    memset(body.bytes, 0xcc, sizeof body.bytes);
    memcpy(body.bytes, enter, sizeof enter);
    body.func = (struct sfi_func){0, POOL_AT, FRAME, SFI_SIG_MAKE(1, WORDS)};
    body.label = (struct sfi_label){BODY_AT, ALL_CLEAN};
    body.code = (struct sfi_code){.bytes = body.bytes,
                                  .size = sizeof body.bytes,
                                  .funcs = 1,
                                  .labels = 1,
                                  .func = &body.func,
                                  .label = &body.label,
                                  .pool = POOL_AT,
                                  .pool_size = POOL_SIZE,
                                  .data = POOL_AT};
}

// Verifies with the function ending `n` bytes into the instruction.
static enum sfi_rule verify(unsigned n, uint32_t *out_offset) {
    struct sfi_rejection why;
    body.func.size = BODY_AT + n;
    host_verify(&body.code, &why);
    *out_offset = why.offset;
    return why.rule;
}

// The verifier's length of what it accepts, 0 if it accepts nothing: either it falls off the end right behind it, or (ud2 and
// jumps) all is well.
static unsigned accepted_length(void) {
    uint32_t offset;
    if (verify(15, &offset) && offset == BODY_AT) return 0;
    for (unsigned n = 1; n <= 15; n++) {
        enum sfi_rule rule = verify(n, &offset);
        if ((rule == SFI_RULE_FALL_OFF && offset == BODY_AT + n) || rule == SFI_RULE_NONE ||
            rule == SFI_RULE_FILLER)
            return n;
    }
    return 0; // part of something longer
}

static const char *judge(unsigned n) {
    const uint8_t *bytes = body.bytes + BODY_AT;
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&zydis, bytes, 15, &insn, ops)))
        return "O1 Zydis: no instruction";
    if (insn.length != n) return "O1 Zydis: another length";
    const uint8_t *p = bytes;
    size_t left = 15;
    uint64_t address = 0;
    if (!cs_disasm_iter(capstone, &p, &left, &address, theirs))
        return "O1 Capstone: no instruction";
    if (theirs->size != n) return "O1 Capstone: another length";
    if (insn.mnemonic == ZYDIS_MNEMONIC_UD2) return NULL;
    if (insn.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE) {
        bool jump = insn.meta.category == ZYDIS_CATEGORY_UNCOND_BR ||
                    insn.meta.category == ZYDIS_CATEGORY_COND_BR;
        if (insn.meta.category == ZYDIS_CATEGORY_CALL && ops[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE &&
            BODY_AT + (int64_t)n + ops[0].imm.value.s == 0)
            return NULL; // to itself
        if (!jump || ops[0].type != ZYDIS_OPERAND_TYPE_IMMEDIATE || insn.operand_width != 64)
            return "O2 a branch";
        return BODY_AT + (int64_t)n + ops[0].imm.value.s == BODY_AT ? NULL : "O2 a jump to no label";
    }
    static const struct vplace place = {BODY_AT, FRAME, WORDS, POOL_AT, POOL_SIZE};
    struct veffects effects;
    const char *wrong = vpolicy_insn(&insn, ops, &place, &effects);
    if (wrong) {
        static char text[96];
        snprintf(text, sizeof text, "O2 %s", wrong);
        return text;
    }
    // What the verifier believes of it must be no less than what it does.
    struct sfi_insn ours;
    if (sfi_decode(bytes, &ours) != (int)n) return "O1 the decoder: another length";
    if (effects.written & ~(ours.zeroed | ours.dirtied)) return "O2 a write not noticed";
    if (ours.zeroed & ~ours.dirtied & ~effects.written32) return "O2 called zero-extending";
    if (effects.width != ours.width || effects.reads != ours.reads || effects.writes != ours.writes)
        return "O2 another access";
    return NULL;
}

void probe_try(const uint8_t *bytes) {
    fuzz_counts.tried++;
    memcpy(body.bytes + BODY_AT, bytes, 15);
    unsigned n = accepted_length();
    if (!n) return;
    fuzz_counts.accepted++;
    const char *wrong = judge(n);
    if (wrong) fuzz_violation((char[]){wrong[0], wrong[1], 0}, bytes, n, NULL, "%s", wrong + 3);
}
