// emit_simd.c — vector operators: one VEX.128 instruction each. What takes several is put together in lower_simd.c.
#include "sfi-jit/x64/emit.h"

// Register numbers of the operands before the one that may be memory.
static unsigned first(const struct x64_emitter *e, uint32_t insn) { return x64_reg(e, insn, 0); }
static unsigned second(const struct x64_emitter *e, uint32_t insn) { return x64_reg(e, insn, 1); }

void x64_emit_simd(struct x64_emitter *e, uint32_t insn) {
    struct x64_asm *s = &e->s;
    const struct x64_insn *i = &e->code->insn[insn];
    const struct x64_mop_info *info = &x64_mop_info[i->op];
    enum x64_form form = (enum x64_form)info->form;
    uint32_t opc = info->opcode;
    bool wide = i->size == 8;
    switch (form) {
    case FORM_V3:
        x64_vex(s, opc, false, first(e, insn), second(e, insn), x64_rm_of(e, insn, 2), 0, 0);
        break;
    case FORM_V3I:
        x64_vex(s, opc, wide, first(e, insn), second(e, insn), x64_rm_of(e, insn, 2), 1, i->imm);
        break;
    case FORM_V2: x64_vex(s, opc, false, first(e, insn), 0, x64_rm_of(e, insn, 1), 0, 0); break;
    case FORM_V2I:
        x64_vex(s, opc, false, first(e, insn), 0, x64_rm_of(e, insn, 1), 1, i->imm);
        break;
    case FORM_VSI:
        x64_vex(s, opc, false, info->digit, first(e, insn), x64_rm_reg(second(e, insn)), 1, i->imm);
        break;
    case FORM_VEX: // the general register is ModRM.rm
        x64_vex(s, opc, wide, second(e, insn), 0, x64_rm_reg(first(e, insn)), 1, i->imm);
        x64_def_size(s, first(e, insn), i->size);
        break;
    case FORM_VMASK: // vpextrw alone has an immediate
        x64_vex(s, opc, false, first(e, insn), 0, x64_rm_reg(second(e, insn)),
                i->op == MOP_VPEXTRW ? 1 : 0, i->imm);
        x64_def32(s, first(e, insn));
        break;
    case FORM_VTEST: x64_vex(s, opc, false, first(e, insn), 0, x64_rm_of(e, insn, 1), 0, 0); break;
    case FORM_VST:
        x64_vex(s, opc, wide, first(e, insn), 0, x64_rm_of(e, insn, 1), 1, i->imm);
        break;
    default: __builtin_trap();
    }
}
