// jit — mutation of the JIT's own output (generator G6). A corpus of modules is compiled; of each function there is a block
// with only ud2 in the places of the others, so that a mutant is judged in microseconds. In each mutant of the code and its
// side tables one to three things are wrong that a miscompilation could get wrong: bits and bytes, an instruction gone or
// in another's place, a REX bit, ModRM, SIB scale, displacement or immediate, a branch that goes elsewhere, bundles that
// change places, a label's place or clean set, a frame, a signature. What is accepted must satisfy the policy (O2); the
// function with the mutation runs (O3).
#include "loader/loader.h"
#include "sfi-jit/host/host.h"
#include "sfi-jit/host/verify.h"
#include "tests/fuzz/exec.h"
#include "tests/fuzz/fuzz.h"
#include "tests/host/verify_policy.h"
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLICES = 2048, MUTANTS_AN_ITEM = 256, LARGEST = 64 << 10, LARGEST_FUNC = 2048 };

struct slice {
    struct sfi_code code; // arrays of the mutant that is being made; the originals follow
    uint8_t *bytes;
    struct sfi_func *func;
    struct sfi_label *label;
    struct sfi_code original;
    uint32_t index; // of the function
    uint32_t *insn; // offsets of all its instructions
    uint32_t insns;
};
static struct slice slices[SLICES];
static uint32_t slice_count;
static ZydisDecoder decoder;

static void *copy(const void *from, size_t size) {
    void *p = malloc(size + 1);
    memcpy(p, from, size);
    return p;
}

static uint32_t insn_length(const struct slice *m, uint32_t at) {
    ZydisDecodedInstruction insn;
    const struct sfi_code *o = &m->original;
    return ZYAN_SUCCESS(
               ZydisDecoderDecodeInstruction(&decoder, NULL, o->bytes + at, o->size - at, &insn))
               ? insn.length
               : 1;
}

static bool is_jump_table(const uint8_t *p) {
    return memcmp(p, "\x41\xbb", 2) == 0 && memcmp(p + 6, "\x44\x39\xd8\x41\x0f\x47\xc3", 7) == 0;
}

// Lists the function's instructions. Returns how many jump tables it uses.
static uint32_t list_insns(struct slice *m) {
    const struct sfi_func *f = &m->original.func[m->index];
    uint32_t tables = 0;
    m->insn = malloc((f->size + 1) * sizeof *m->insn);
    for (uint32_t at = f->start; at < f->start + f->size; at += insn_length(m, at)) {
        if (m->original.bytes[at] == 0xcc) continue;
        m->insn[m->insns++] = at;
        tables += f->start + f->size - at >= 30 && is_jump_table(m->original.bytes + at);
    }
    return tables;
}

// The block with function `index` alone; *tables counts those of the functions before.
static void add_slice(const struct sfi_code *code, uint32_t index, uint32_t *tables) {
    struct slice *m = &slices[slice_count];
    struct sfi_func *func = copy(code->func, code->funcs * sizeof *func);
    uint8_t *bytes = copy(code->bytes, code->size);
    uint32_t first = 0, last, from = func[index].start, to = from + func[index].size;
    *m = (struct slice){.original = *code, .index = index};
    for (uint32_t i = 0; i < code->funcs; i++) {
        if (i == index) continue;
        memset(bytes + func[i].start, 0xcc, func[i].size);
        memcpy(bytes + func[i].start, "\x0f\x0b", 2);
        func[i].size = 2, func[i].frame = 0;
    }
    while (first < code->labels && code->label[first].offset < from) first++;
    for (last = first; last < code->labels && code->label[last].offset < to;) last++;
    m->original.bytes = bytes;
    m->original.func = func;
    m->original.label += first;
    m->original.labels = last - first;
    m->original.jump_table += *tables;
    m->original.jump_tables = list_insns(m);
    *tables += m->original.jump_tables;
    m->bytes = copy(bytes, code->size);
    m->func = copy(func, code->funcs * sizeof *func);
    m->label = copy(m->original.label, m->original.labels * sizeof *m->label);
    struct sfi_rejection why;
    if (host_verify(&m->original, &why) != SFI_ACCEPTED) {
        fprintf(stderr, "jit: a function alone is rejected: %s at 0x%x\n", sfi_rule_name(why.rule),
                why.offset);
        exit(2);
    }
    if (m->insns > 4 && to - from <= LARGEST_FUNC) slice_count++;
}

static void add_module(const char *path) {
    size_t size;
    uint8_t *bytes = host_read_file(path, &size);
    struct ldr_code *compiled;
    struct ldr_error error;
    if (!bytes || ldr_compile(bytes, size, NULL, &compiled, &error) != LDR_OK)
        return; // the corpus has bad ones too
    const struct sfi_code *code = &ldr_code_jit(compiled)->sfi;
    struct sfi_rejection why;
    if (host_verify(code, &why) != SFI_ACCEPTED)
        fuzz_violation("O6", bytes, (unsigned)size, code, "%s: rejected as it is: %s", path,
                       sfi_rule_name(why.rule));
    uint32_t tables = 0;
    for (uint32_t i = 0; i < code->funcs && code->size <= LARGEST && slice_count < SLICES; i++)
        add_slice(code, i, &tables);
    free(bytes);
}

static void setup(void) {
    glob_t files;
    char pattern[512];
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    snprintf(pattern, sizeof pattern, "%s/*.wasm", fuzz_corpus ? fuzz_corpus : "build/fuzz/corpus");
    if (glob(pattern, 0, NULL, &files) == 0)
        for (size_t i = 0; i < files.gl_pathc; i++) add_module(files.gl_pathv[i]);
    if (!slice_count) {
        fprintf(stderr, "jit: no module in %s compiles\n", pattern);
        exit(2);
    }
    exec_setup();
}

static void reset(struct slice *m) {
    const struct sfi_code *o = &m->original;
    memcpy(m->bytes, o->bytes, o->size);
    memcpy(m->func, o->func, o->funcs * sizeof *o->func);
    memcpy(m->label, o->label, o->labels * sizeof *o->label);
    m->code = *o;
    m->code.bytes = m->bytes;
    m->code.func = m->func;
    m->code.label = m->label;
}

// Finds the fields of the instruction at `at` and spoils one.
static void spoil_fields(struct slice *m, uint32_t at) {
    ZydisDecodedInstruction insn;
    uint8_t *p = m->bytes + at;
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, NULL, p, m->code.size - at, &insn)))
        return;
    bool has_modrm = insn.attributes & ZYDIS_ATTRIB_HAS_MODRM,
         has_sib = insn.attributes & ZYDIS_ATTRIB_HAS_SIB;
    unsigned disp = insn.raw.disp.size / 8, imm = insn.raw.imm[0].size / 8;
    switch (fuzz_below(7)) {
    case 0:
        if (insn.attributes & ZYDIS_ATTRIB_HAS_REX)
            p[insn.raw.rex.offset] ^= (uint8_t)(1 << fuzz_below(4));
        break;
    case 1:
        if (has_modrm) p[insn.raw.modrm.offset] ^= (uint8_t)(1 << fuzz_below(8));
        break;
    case 2:
        if (has_modrm)
            p[insn.raw.modrm.offset] = (uint8_t)(0xe4 - fuzz_below(2) * 0x20 + fuzz_below(32)); // to rsp …
        break;
    case 3:
        if (has_sib) p[insn.raw.sib.offset] ^= (uint8_t)(1 << (fuzz_one_in(2) ? 6 : fuzz_below(8)));
        break;
    case 4:
        if (disp == 4)
            memcpy(p + insn.raw.disp.offset,
                   &(uint32_t){(uint32_t)insn.raw.disp.value + (1u << fuzz_below(32))}, 4);
        if (disp == 1) p[insn.raw.disp.offset] += (uint8_t)(1 << fuzz_below(8));
        break;
    case 5:
        if (imm == 4) {
            uint32_t to =
                m->code.labels ? m->label[fuzz_below(m->code.labels)].offset - (at + insn.length) : 0;
            if (fuzz_one_in(2)) to = (uint32_t)insn.raw.imm[0].value.u ^ 1u << fuzz_below(32);
            memcpy(p + insn.raw.imm[0].offset, &to, 4);
        }
        break;
    default:
        if (imm == 1) p[insn.raw.imm[0].offset] ^= (uint8_t)(1 << fuzz_below(8));
        p[insn.raw.modrm.offset ? insn.raw.modrm.offset - 1 : 0] ^=
            (uint8_t)(1 << fuzz_below(8)); // the opcode
    }
}

static void mutate(struct slice *m) {
    uint32_t k = fuzz_below(m->insns), at = m->insn[k], other = m->insn[fuzz_below(m->insns)];
    uint32_t length = insn_length(m, at), other_length = insn_length(m, other);
    struct sfi_func *f = &m->func[fuzz_one_in(2) ? m->index : fuzz_below(m->code.funcs)];
    switch (fuzz_below(12)) {
    case 0: m->bytes[at + fuzz_below(length)] ^= (uint8_t)(1 << fuzz_below(8)); break;
    case 1: m->bytes[at + fuzz_below(length)] = (uint8_t)fuzz_noise(); break;
    case 2: memset(m->bytes + at, 0x90, length); break; // it is gone
    case 3:                                             // another one in its place, and NOPs
        if (other_length <= length) {
            memset(m->bytes + at, 0x90, length);
            memcpy(m->bytes + at, m->original.bytes + other, other_length);
        }
        break;
    case 4: // two neighbours change places
        if (k + 1 < m->insns && m->insn[k + 1] == at + length) {
            uint32_t next = insn_length(m, at + length);
            memcpy(m->bytes + at, m->original.bytes + at + length, next);
            memcpy(m->bytes + at + next, m->original.bytes + at, length);
        }
        break;
    case 5: // two bundles do
        memcpy(m->bytes + at / 32 * 32, m->original.bytes + other / 32 * 32, 32);
        memcpy(m->bytes + other / 32 * 32, m->original.bytes + at / 32 * 32, 32);
        break;
    case 6:
        if (m->code.labels) m->label[fuzz_below(m->code.labels)].clean ^= 1u << fuzz_below(16);
        break;
    case 7:
        if (m->code.labels) m->label[fuzz_below(m->code.labels)].offset = at;
        break;
    case 8: f->frame += fuzz_one_in(2) ? 8u : -8u; break;
    case 9: f->sig ^= 1u << fuzz_below(14); break;
    default: spoil_fields(m, at);
    }
}

static void one(struct slice *m) {
    struct sfi_rejection why;
    uint32_t at;
    reset(m);
    for (unsigned n = fuzz_below(3) + 1; n--;) mutate(m);
    fuzz_counts.tried++;
    if (host_verify(&m->code, &why) != SFI_ACCEPTED) return;
    fuzz_counts.accepted++;
    const char *wrong = vpolicy_block(&m->code, &at);
    if (wrong) {
        fuzz_violation("O2", m->bytes + at, m->code.size - at, &m->code, "%s at +0x%x", wrong, at);
        return;
    }
    if (!fuzz_one_in(4)) return; // loops over garbage run until the timer ends them
    enum exec_end end;
    exec_load(&m->code);
    wrong = exec_run(&m->code, m->index, &end);
    if (!wrong) return;
    fuzz_violation("O3", m->bytes + m->func[m->index].start, m->func[m->index].size, &m->code, "%s",
                   wrong);
}

static void item(uint64_t i) {
    for (unsigned n = 0; n < MUTANTS_AN_ITEM && !fuzz_time_is_up(); n++)
        one(&slices[i % slice_count]);
}

int main(int argc, char **argv) {
    static const struct fuzz_campaign campaign = {"jit", 0, true, setup, item};
    return fuzz_main(argc, argv, &campaign);
}
