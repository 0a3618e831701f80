// verify_policy.c — see verify_policy.h. First single instructions, then the walk over a block.
#include "tests/host/verify_policy.h"
#include <stdlib.h>
#include <string.h>

// ---- One instruction ----

// As an instruction of the extensions that sfi.h names, or their predecessors.
static bool is_known_set(ZydisISASet set) {
    switch (set) {
    case ZYDIS_ISA_SET_I86:
    case ZYDIS_ISA_SET_I186:
    case ZYDIS_ISA_SET_I386:
    case ZYDIS_ISA_SET_I486REAL:
    case ZYDIS_ISA_SET_PENTIUMREAL:
    case ZYDIS_ISA_SET_CMOV:
    case ZYDIS_ISA_SET_FAT_NOP:
    case ZYDIS_ISA_SET_LONGMODE:
    case ZYDIS_ISA_SET_SSE2: // mfence
    case ZYDIS_ISA_SET_LZCNT:
    case ZYDIS_ISA_SET_POPCNT:
    case ZYDIS_ISA_SET_BMI1:
    case ZYDIS_ISA_SET_BMI2:
    case ZYDIS_ISA_SET_AVX: return true;
    default: return false;
    }
}

bool vpolicy_is_system(const ZydisDecodedInstruction *insn) {
    if (insn->attributes & ZYDIS_ATTRIB_IS_PRIVILEGED) return true;
    switch (insn->meta.category) {
    case ZYDIS_CATEGORY_SYSTEM:
    case ZYDIS_CATEGORY_IO:
    case ZYDIS_CATEGORY_IOSTRINGOP:
    case ZYDIS_CATEGORY_INTERRUPT:
    case ZYDIS_CATEGORY_SYSCALL:
    case ZYDIS_CATEGORY_SYSRET:
    case ZYDIS_CATEGORY_SEGOP:
    case ZYDIS_CATEGORY_VTX:
    case ZYDIS_CATEGORY_SMAP:
    case ZYDIS_CATEGORY_RDWRFSGS:
    case ZYDIS_CATEGORY_PKU:
    case ZYDIS_CATEGORY_RDPID:
    case ZYDIS_CATEGORY_RDPRU:
    case ZYDIS_CATEGORY_RDRAND:
    case ZYDIS_CATEGORY_RDSEED:
    case ZYDIS_CATEGORY_CET:
    case ZYDIS_CATEGORY_SGX:
    case ZYDIS_CATEGORY_XSAVE:
    case ZYDIS_CATEGORY_XSAVEOPT:
    case ZYDIS_CATEGORY_UINTR:
    case ZYDIS_CATEGORY_WAITPKG:
    case ZYDIS_CATEGORY_STRINGOP:
    case ZYDIS_CATEGORY_FLAGOP:
    case ZYDIS_CATEGORY_PREFETCH:
    case ZYDIS_CATEGORY_CLFLUSHOPT:
    case ZYDIS_CATEGORY_CLWB:
    case ZYDIS_CATEGORY_CLDEMOTE:
    case ZYDIS_CATEGORY_CLZERO:
    case ZYDIS_CATEGORY_PUSH:
    case ZYDIS_CATEGORY_POP: return true;
    default: return false;
    }
}

// A cmov whose condition is false still clears the upper half; cmpxchg, bsf and bsr may leave everything as it was.
static bool always_writes(const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *op) {
    if (insn->meta.category == ZYDIS_CATEGORY_CMOV) return true;
    if (insn->mnemonic == ZYDIS_MNEMONIC_BSF || insn->mnemonic == ZYDIS_MNEMONIC_BSR) return false;
    return op->actions & ZYDIS_OPERAND_ACTION_WRITE;
}

static const char *judge_register(const ZydisDecodedInstruction *insn,
                                  const ZydisDecodedOperand *op, struct veffects *out) {
    ZydisRegister reg = op->reg.value;
    bool writes = op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;
    switch (ZydisRegisterGetClass(reg)) {
    case ZYDIS_REGCLASS_XMM:
    case ZYDIS_REGCLASS_FLAGS: return NULL;
    case ZYDIS_REGCLASS_IP: return writes ? "writes rip" : NULL;
    case ZYDIS_REGCLASS_GPR8:
    case ZYDIS_REGCLASS_GPR16:
    case ZYDIS_REGCLASS_GPR32:
    case ZYDIS_REGCLASS_GPR64: break;
    default: return reg == ZYDIS_REGISTER_MXCSR && !writes ? NULL : "an unexpected register";
    }
    if (reg == ZYDIS_REGISTER_AH || reg == ZYDIS_REGISTER_CH || reg == ZYDIS_REGISTER_DH ||
        reg == ZYDIS_REGISTER_BH)
        return "a high byte";
    ZydisRegister full = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg);
    if (full == ZYDIS_REGISTER_RSP || full == ZYDIS_REGISTER_R15) return "rsp or r15";
    uint16_t bit = (uint16_t)(1u << ZydisRegisterGetId(full));
    if (writes) {
        out->written |= bit;
        if (ZydisRegisterGetClass(reg) == ZYDIS_REGCLASS_GPR32 && always_writes(insn, op))
            out->written32 |= bit;
    }
    return NULL;
}

static const char *judge_memory(const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *op,
                                const struct vplace *place, struct veffects *out) {
    const ZydisDecodedOperandMem *mem = &op->mem;
    int64_t disp = mem->disp.value, width = op->size / 8, pool = place->pool;
    int64_t args = (int64_t)place->frame + 8;
    if (mem->type == ZYDIS_MEMOP_TYPE_AGEN) {
        if (mem->base == ZYDIS_REGISTER_RSP || mem->base == ZYDIS_REGISTER_R15 ||
            mem->index == ZYDIS_REGISTER_R15 || mem->base == ZYDIS_REGISTER_RIP)
            return "lea of rsp, r15 or rip";
        return NULL;
    }
    if (mem->type != ZYDIS_MEMOP_TYPE_MEM) return "an unexpected kind of memory operand";
    // What 0F 1F names is not accessed.
    if (insn->mnemonic == ZYDIS_MNEMONIC_NOP) return NULL;
    bool reads = op->actions & ZYDIS_OPERAND_ACTION_MASK_READ;
    bool writes = op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;
    bool atomic = insn->attributes & ZYDIS_ATTRIB_HAS_LOCK || insn->mnemonic == ZYDIS_MNEMONIC_XCHG;
    if (out->width) return "two memory operands";
    out->width = (unsigned)width;
    out->reads = reads;
    out->writes = writes;
    if (width == 0 || width > 16) return "an access too wide";
    if (insn->address_width != 64) return "a short address";
    if (mem->segment != ZYDIS_REGISTER_DS && mem->segment != ZYDIS_REGISTER_SS) return "a segment";
    if (mem->base == ZYDIS_REGISTER_R15) {
        if (mem->index != ZYDIS_REGISTER_NONE) {
            out->needs_clean |= (uint16_t)(1u << ZydisRegisterGetId(mem->index));
            return mem->scale == 1 && disp >= 0 && mem->index != ZYDIS_REGISTER_R15 ? NULL : "not M1";
        }
        if (disp >= 0) return NULL;
        if (atomic) return "an atomic access to the context";
        if (disp >= -(int64_t)SFI_CTX_GLOBALS && disp + width <= 0) return NULL;
        if (disp >= -(int64_t)SFI_CTX_RESULTS && disp + width <= -(int64_t)SFI_CTX_GLOBALS)
            return NULL;
        if (width == 4 && !writes && disp == -(int64_t)SFI_CTX_MEM_PAGES) return NULL;
        for (int64_t t = 0; t < SFI_TABLES_MAX; t++)
            if (width == 4 && !writes && disp == -(int64_t)SFI_CTX_TABLE_LEN(t)) return NULL;
        return "not M3";
    }
    if (mem->index != ZYDIS_REGISTER_NONE || atomic) return "no accepted form";
    if (mem->base == ZYDIS_REGISTER_RSP) {
        if (disp >= 0 && disp + width <= place->frame) return NULL;
        if (disp >= args && disp + width <= args + 8 * place->words && !writes) return NULL;
        return "not M2";
    }
    if (mem->base == ZYDIS_REGISTER_RIP) {
        int64_t at = (int64_t)place->at + insn->length + disp;
        bool aligned = width < 16 || at % 16 == 0;
        return at >= pool && at + width <= pool + place->pool_size && !writes && aligned ? NULL
                                                                                         : "not M4";
    }
    return "no accepted form";
}

const char *vpolicy_insn(const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *ops,
                         const struct vplace *place, struct veffects *out) {
    static const ZydisAccessedFlagsMask arithmetic = ZYDIS_CPUFLAG_CF | ZYDIS_CPUFLAG_PF |
                                                     ZYDIS_CPUFLAG_AF | ZYDIS_CPUFLAG_ZF |
                                                     ZYDIS_CPUFLAG_SF | ZYDIS_CPUFLAG_OF;
    *out = (struct veffects){0};
    if (vpolicy_is_system(insn)) return "a system instruction";
    if (!is_known_set(insn->meta.isa_set)) return "an unexpected extension";
    if (insn->meta.branch_type != ZYDIS_BRANCH_TYPE_NONE) return "a branch";
    if (insn->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY &&
        insn->encoding != ZYDIS_INSTRUCTION_ENCODING_VEX)
        return "an unexpected encoding";
    if (insn->cpu_flags && (insn->cpu_flags->modified | insn->cpu_flags->set_0 |
                            insn->cpu_flags->set_1 | insn->cpu_flags->undefined) &
                               ~arithmetic)
        return "a flag that is state";
    for (unsigned i = 0; i < insn->operand_count; i++) {
        const char *wrong = NULL;
        if (ops[i].type == ZYDIS_OPERAND_TYPE_REGISTER)
            wrong = judge_register(insn, &ops[i], out);
        else if (ops[i].type == ZYDIS_OPERAND_TYPE_MEMORY)
            wrong = judge_memory(insn, &ops[i], place, out);
        else if (ops[i].type != ZYDIS_OPERAND_TYPE_IMMEDIATE)
            wrong = "a far pointer";
        if (wrong) return wrong;
    }
    return NULL;
}

// ---- A block ----

struct walk {
    const struct sfi_code *code;
    const struct sfi_func *func;
    ZydisDecoder decoder;
    uint32_t *label_at, *func_at; // by offset: index + 1, or 0
    uint32_t at, end, clean, tables;
    bool live, framed;            // framed: the frame is made
    ZydisDecodedInstruction insn; // at `at`
    ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
};

// Reads the instruction at `at`, which must end before the function does.
static bool read_insn(struct walk *w, uint32_t at) {
    return at < w->end && ZYAN_SUCCESS(ZydisDecoderDecodeFull(&w->decoder, w->code->bytes + at,
                                                              w->end - at, &w->insn, w->op));
}

static bool in_one_bundle(uint32_t at, uint32_t length) {
    return at / 32 == (at + length - 1) / 32;
}

static bool has_label_inside(const struct walk *w, uint32_t length) {
    for (uint32_t i = 1; i < length; i++)
        if (w->label_at[w->at + i]) return true;
    return false;
}

static int64_t branch_target(const struct walk *w, uint32_t at) {
    return (int64_t)at + w->insn.length + w->op[0].imm.value.s;
}

static const char *walk_edge(const struct walk *w, int64_t target, uint32_t clean) {
    if (target < w->func->start || target >= w->end) return "a jump out of its function";
    uint32_t label = w->label_at[target];
    if (!label) return "a jump to no label";
    return w->code->label[label - 1].clean & ~clean ? "an edge with a dirty register" : NULL;
}

static const char *walk_stack_words(const struct walk *w, uint32_t sig) {
    return w->framed && w->func->frame >= 8 * SFI_SIG_STACK_WORDS(sig) ? NULL
           : SFI_SIG_STACK_WORDS(sig) ? "a call without room for its arguments"
                                      : NULL;
}

static const char *walk_call(struct walk *w) {
    int64_t target = branch_target(w, w->at);
    w->clean = 0;
    if (target >= 0 && target < (int64_t)w->code->thunks * SFI_THUNK_SIZE) {
        if (target % SFI_THUNK_SIZE) return "a call into a thunk";
        return walk_stack_words(w, w->code->thunk_sigs[target / SFI_THUNK_SIZE]);
    }
    if (target < 0 || target >= w->code->size || !w->func_at[target])
        return "a call to no function";
    return walk_stack_words(w, w->code->func[w->func_at[target] - 1].sig);
}

static const char *walk_tail(struct walk *w) {
    int64_t target = branch_target(w, w->at);
    w->live = false;
    if (w->framed && w->func->frame) return "a tail call with a frame";
    if (target < 0 || target >= w->code->size || !w->func_at[target])
        return "a jump to no label or function";
    uint32_t words = SFI_SIG_STACK_WORDS(w->code->func[w->func_at[target] - 1].sig);
    return words > SFI_SIG_STACK_WORDS(w->func->sig) ? "a tail call with too many arguments" : NULL;
}

static bool is_reg(const ZydisDecodedOperand *op, ZydisRegister reg) {
    return op->type == ZYDIS_OPERAND_TYPE_REGISTER && op->reg.value == reg;
}

// sub rsp, F and add rsp, F.
static bool is_frame_form(const struct walk *w, ZydisMnemonic mnemonic) {
    return w->insn.mnemonic == mnemonic && is_reg(&w->op[0], ZYDIS_REGISTER_RSP) &&
           w->op[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE && w->op[1].imm.value.u == w->func->frame;
}

// The way out of an indirect tail call: add rsp, F where there is a frame, then the jump, which is read.
static const char *walk_leave_indirect(struct walk *w, uint32_t *at) {
    if (w->func->frame) {
        if (!in_one_bundle(*at, w->insn.length)) return "a bundle crossed";
        *at += w->insn.length;
        if (!read_insn(w, *at)) return "no jump";
    }
    if (w->insn.mnemonic != ZYDIS_MNEMONIC_JMP) return "no jump";
    uint32_t end = *at + w->insn.length;
    if (end >= w->code->size || !in_one_bundle(*at, w->insn.length + 1u) || w->code->bytes[end] != 0xcc)
        return "no trap behind the jump";
    w->live = false;
    return NULL;
}

// cmp [r15 + rax*4 - …], imm; jne; call [r15 + rax*8 - …], after and eax, mask: the one indirect call. Or a jump, which ends the frame.
static const char *walk_call_indirect(struct walk *w, uint32_t *out_length, uint32_t *out_bundle) {
    uint32_t at = w->at + w->insn.length;
    if (w->op[1].imm.value.u != SFI_TABLE_ROWS - 1 || !read_insn(w, at)) return "no mask";
    const ZydisDecodedOperandMem *m = &w->op[0].mem;
    if (w->insn.mnemonic != ZYDIS_MNEMONIC_CMP || w->op[0].type != ZYDIS_OPERAND_TYPE_MEMORY ||
        m->base != ZYDIS_REGISTER_R15 || m->index != ZYDIS_REGISTER_RAX || m->scale != 4 ||
        w->op[0].size != 32 || w->op[1].type != ZYDIS_OPERAND_TYPE_IMMEDIATE ||
        w->insn.address_width != 64)
        return "no signature check";
    int64_t sigs = -m->disp.value;
    uint32_t sig = (uint32_t)w->op[1].imm.value.u;
    at += w->insn.length;
    if (!sig || !read_insn(w, at) || w->insn.mnemonic != ZYDIS_MNEMONIC_JNZ)
        return "no branch on the signature";
    const char *wrong = walk_edge(w, branch_target(w, at), w->clean | 1);
    if (wrong) return wrong;
    at += w->insn.length;
    if (!read_insn(w, at)) return "no indirect call";
    *out_bundle = at - w->at;
    bool leaves = w->insn.mnemonic != ZYDIS_MNEMONIC_CALL &&
                  (w->func->frame == 0 || is_frame_form(w, ZYDIS_MNEMONIC_ADD));
    if (leaves && (wrong = walk_leave_indirect(w, &at))) return wrong;
    if ((!leaves && w->insn.mnemonic != ZYDIS_MNEMONIC_CALL) ||
        w->op[0].type != ZYDIS_OPERAND_TYPE_MEMORY || m->base != ZYDIS_REGISTER_R15 ||
        m->index != ZYDIS_REGISTER_RAX || m->scale != 8 || w->insn.address_width != 64 ||
        w->insn.operand_width != 64)
        return "no indirect call";
    int64_t entries = -m->disp.value, t = (SFI_TABLE_ENTRIES(0) - entries) / SFI_TABLE_STRIDE;
    if (t < 0 || t >= SFI_TABLES_MAX || entries != SFI_TABLE_ENTRIES((uint32_t)t) ||
        sigs != SFI_TABLE_SIGS((uint32_t)t))
        return "no table";
    *out_length = at + w->insn.length + leaves - w->at;
    if (leaves)
        return SFI_SIG_STACK_WORDS(sig) > SFI_SIG_STACK_WORDS(w->func->sig)
                   ? "a tail call with too many arguments"
                   : NULL;
    *out_bundle = *out_length;
    w->clean = 0;
    return walk_stack_words(w, sig);
}

// The next instruction is `mnemonic first, second`; second NONE: something else than a register.
static bool next_is(struct walk *w, uint32_t *at, ZydisMnemonic mnemonic, ZydisRegister first,
                    ZydisRegister second) {
    *at += w->insn.length;
    return read_insn(w, *at) && w->insn.mnemonic == mnemonic && is_reg(&w->op[0], first) &&
           (second == ZYDIS_REGISTER_NONE || is_reg(&w->op[1], second));
}

// mov r11d, n was read. True: the jump through a table follows, out_wrong says whether it is right.
static bool walk_jump_table(struct walk *w, uint32_t *out_length, const char **out_wrong) {
    uint32_t at = w->at, n = (uint32_t)w->op[1].imm.value.u;
    if (!next_is(w, &at, ZYDIS_MNEMONIC_CMP, ZYDIS_REGISTER_EAX, ZYDIS_REGISTER_R11D) ||
        !next_is(w, &at, ZYDIS_MNEMONIC_CMOVNBE, ZYDIS_REGISTER_EAX, ZYDIS_REGISTER_R11D) ||
        !next_is(w, &at, ZYDIS_MNEMONIC_LEA, ZYDIS_REGISTER_R11, ZYDIS_REGISTER_NONE) ||
        w->op[1].mem.base != ZYDIS_REGISTER_RIP)
        return false;
    int64_t table = (int64_t)at + w->insn.length + w->op[1].mem.disp.value;
    const ZydisDecodedOperandMem *m = &w->op[1].mem;
    if (!next_is(w, &at, ZYDIS_MNEMONIC_MOVSXD, ZYDIS_REGISTER_RAX, ZYDIS_REGISTER_NONE) ||
        m->base != ZYDIS_REGISTER_R11 || m->index != ZYDIS_REGISTER_RAX || m->scale != 4 ||
        m->disp.value || !next_is(w, &at, ZYDIS_MNEMONIC_ADD, ZYDIS_REGISTER_RAX, ZYDIS_REGISTER_R11) ||
        !next_is(w, &at, ZYDIS_MNEMONIC_JMP, ZYDIS_REGISTER_RAX, ZYDIS_REGISTER_NONE))
        return false;
    *out_length = at + w->insn.length - w->at;
    *out_wrong = NULL;
    w->live = false;
    w->tables++;
    if (table < w->code->data || table + 4 * ((int64_t)n + 1) > w->code->size) {
        *out_wrong = "a jump table outside the data part";
        return true;
    }
    uint32_t clean = w->clean & ~(1u << 0 | 1u << 11);
    for (uint32_t k = 0; k <= n && !*out_wrong; k++) {
        int32_t entry;
        memcpy(&entry, w->code->bytes + table + 4 * k, 4);
        *out_wrong = (table + entry) % 32 ? "a jump to the middle of a bundle"
                                          : walk_edge(w, table + entry, clean);
    }
    return true;
}

static const char *walk_branch(struct walk *w) {
    bool direct = w->op[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE && w->insn.operand_width == 64;
    switch (w->insn.meta.category) {
    case ZYDIS_CATEGORY_RET:
        w->live = false;
        if (w->insn.length != 1 || w->code->bytes[w->at] != 0xc3) return "not the plain ret";
        if (w->framed && w->func->frame) return "ret with a frame";
        return w->at + 1 < w->end && w->code->bytes[w->at + 1] == 0xcc ? NULL : "ret without CC";
    case ZYDIS_CATEGORY_CALL: return direct ? walk_call(w) : "an indirect call";
    case ZYDIS_CATEGORY_UNCOND_BR: {
        if (!direct) return "an indirect jump";
        if (!w->framed || !walk_edge(w, branch_target(w, w->at), w->clean)) {
            w->live = false;
            return w->framed ? NULL : walk_tail(w);
        }
        int64_t target = branch_target(w, w->at);
        return target >= 0 && target < w->code->size && w->label_at[target] &&
                       target >= w->func->start && target < w->end
                   ? "an edge with a dirty register"
                   : walk_tail(w);
    }
    case ZYDIS_CATEGORY_COND_BR:
        if (w->insn.mnemonic == ZYDIS_MNEMONIC_JRCXZ || w->insn.mnemonic == ZYDIS_MNEMONIC_JECXZ ||
            w->insn.mnemonic == ZYDIS_MNEMONIC_LOOP || w->insn.mnemonic == ZYDIS_MNEMONIC_LOOPE ||
            w->insn.mnemonic == ZYDIS_MNEMONIC_LOOPNE || !direct)
            return "an unexpected branch";
        return walk_edge(w, branch_target(w, w->at), w->clean);
    default: return "an unexpected branch";
    }
}

// What stands at w->at, and can be reached.
static const char *walk_insn(struct walk *w) {
    const char *wrong = NULL;
    if (!read_insn(w, w->at)) return "no instruction, or one that reaches over the function's end";
    uint32_t length = w->insn.length, mov = 0, bundle = 0; // of a template's first part
    if (!w->framed) { // after add rsp: ret or a tail jump, and no label before it
        if (w->label_at[w->at]) return "a label without the frame";
        if (w->insn.meta.category != ZYDIS_CATEGORY_RET &&
            w->insn.meta.category != ZYDIS_CATEGORY_UNCOND_BR)
            return "code without the frame";
    }
    if (w->insn.mnemonic == ZYDIS_MNEMONIC_UD2) {
        w->live = false;
    } else if (w->insn.mnemonic == ZYDIS_MNEMONIC_AND && w->code->bytes[w->at] == 0x25) {
        wrong = walk_call_indirect(w, &length, &bundle);
    } else if (w->func->frame && is_frame_form(w, ZYDIS_MNEMONIC_ADD)) {
        w->framed = false;
    } else if (w->insn.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE) {
        wrong = walk_branch(w);
    } else {
        mov = w->insn.mnemonic == ZYDIS_MNEMONIC_MOV && is_reg(&w->op[0], ZYDIS_REGISTER_R11D) &&
              w->op[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
        if (!(mov && walk_jump_table(w, &length, &wrong))) {
            struct vplace place = {w->at, w->func->frame, SFI_SIG_STACK_WORDS(w->func->sig),
                                   w->code->pool, w->code->pool_size};
            struct veffects effects;
            if (mov) read_insn(w, w->at); // it looked ahead
            wrong = vpolicy_insn(&w->insn, w->op, &place, &effects);
            if (!wrong && effects.needs_clean & ~w->clean) wrong = "a dirty index";
            w->clean = (w->clean & ~(uint32_t)effects.written) | effects.written32;
        }
    }
    if (wrong) return wrong;
    if (!in_one_bundle(w->at, bundle ? bundle : length)) return "a bundle crossed";
    if (has_label_inside(w, length)) return "a label inside an instruction";
    w->at += length;
    return NULL;
}

static const char *walk_function(struct walk *w) {
    w->at = w->func->start;
    w->end = w->at + w->func->size;
    w->clean = 0;
    w->live = w->framed = true;
    if (w->func->frame) {
        if (!read_insn(w, w->at) || !is_frame_form(w, ZYDIS_MNEMONIC_SUB))
            return "no frame is made";
        if (w->label_at[w->at] || has_label_inside(w, w->insn.length))
            return "a label before the frame";
        w->at += w->insn.length;
    }
    while (w->at < w->end) {
        uint32_t label = w->label_at[w->at];
        if (label) {
            uint32_t clean = w->code->label[label - 1].clean;
            if (w->live && !w->framed) return "a label without the frame";
            if (clean & ~0x7fefu) return "a clean set with rsp or r15";
            if (w->live && clean & ~w->clean) return "a fall-through with a dirty register";
            w->live = w->framed = true;
            w->clean = clean;
        }
        if (w->live) {
            const char *wrong = walk_insn(w);
            if (wrong) return wrong;
        } else if (w->code->bytes[w->at++] != 0xcc) {
            return w->at--, "something behind the end";
        }
    }
    return w->live ? "control falls off a function" : NULL;
}

static const char *walk_tables(struct walk *w) {
    const struct sfi_code *code = w->code;
    uint64_t from = (uint64_t)code->thunks * SFI_THUNK_SIZE;
    if (code->data > code->size || code->size > SFI_CODE_MAX || from > code->data)
        return "parts do not fit";
    if (code->pool_size &&
        (code->pool < code->data || (uint64_t)code->pool + code->pool_size > code->size))
        return "the pool does not fit";
    for (uint32_t i = 0; i < code->labels; i++) {
        if (code->label[i].offset >= code->data || w->label_at[code->label[i].offset])
            return "a label outside";
        w->label_at[code->label[i].offset] = i + 1;
    }
    for (uint32_t i = 0; i < code->funcs; i++) {
        const struct sfi_func *f = &code->func[i];
        if (f->start % 32 || f->start < from || f->start >= code->data || f->size > code->data - f->start)
            return "a function outside";
        if (f->frame % 8 || f->frame > SFI_FRAME_MAX) return "a frame too large";
        for (uint64_t k = from; k < f->start; k++)
            if (code->bytes[k] != 0xcc) return w->at = (uint32_t)k, "something between functions";
        w->func_at[f->start] = i + 1;
        from = (uint64_t)f->start + f->size;
    }
    for (uint64_t k = from; k < code->data; k++)
        if (code->bytes[k] != 0xcc) return w->at = (uint32_t)k, "something behind the functions";
    return NULL;
}

const char *vpolicy_block(const struct sfi_code *code, uint32_t *out_at) {
    struct walk w = {.code = code};
    ZydisDecoderInit(&w.decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    w.label_at = calloc((size_t)code->size + 1, sizeof *w.label_at);
    w.func_at = calloc((size_t)code->size + 1, sizeof *w.func_at);
    const char *wrong = w.label_at && w.func_at ? walk_tables(&w) : "no memory";
    for (uint32_t i = 0; i < code->funcs && !wrong; i++) {
        w.func = &code->func[i];
        wrong = walk_function(&w);
    }
    *out_at = w.at;
    free(w.label_at);
    free(w.func_at);
    return wrong;
}
