// test_x64_encode.c — the encoder against llvm-mc: every form that the emitter uses, over registers and memory operands that make
// a difference to the encoding, written as text, assembled by llvm-mc, and compared byte for byte.
//
// llvm-mc's choices are the canonical ones of sfi.h, but for two short forms with eax (05 id and the like) that the verifier does not accept,
// and moves between xmm registers, for which it picks the store form where that is shorter. Rows avoid those operands.
#include "sfi-jit/sfi.h"
#include "sfi-jit/x64/encode.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
// cmocka wants those four before it
#include <cmocka.h>

enum kind { NO, DIGIT, R8B, R16, R32, R64, X, M8, M16, M32, M64, M128, LEA };
struct row {
    const char *name;
    uint32_t opc;
    bool vex, w;
    uint8_t reg, v, rm,
        mem; // kinds; reg: DIGIT means `digit`; rm: as register, mem: as memory; NO: not that way
    uint8_t digit, imm; // bytes of immediate
    bool rm_first;      // in the text
};
#define L(name, opc, w, reg, rm, mem, digit, imm, first) \
    { name, opc, false, w, reg, NO, rm, mem, digit, imm, first }
#define V(name, opc, w, reg, v, rm, mem, imm) \
    { name, opc, true, w, reg, v, rm, mem, 0, imm, false }
static const struct row rows[] = {
    L("mov", 0x89, 0, R32, R32, M32, 0, 0, true),
    L("mov", 0x89, 1, R64, R64, M64, 0, 0, true),
    L("mov", X64_OPC(PP_66, 0, 0x89), 0, R16, NO, M16, 0, 0, true),
    L("mov", 0x88 | X64_REG8, 0, R8B, NO, M8, 0, 0, true),
    L("mov", 0x8b, 0, R32, NO, M32, 0, 0, false),
    L("mov", 0x8b, 1, R64, NO, M64, 0, 0, false),
    L("mov", 0xc7, 1, DIGIT, R64, M64, 0, 4, true),
    L("mov", 0xc7, 0, DIGIT, NO, M32, 0, 4, true),
    L("mov", X64_OPC(PP_66, 0, 0xc7), 0, DIGIT, NO, M16, 0, 2, true),
    L("mov", 0xc6, 0, DIGIT, NO, M8, 0, 1, true),
    L("movzx", X64_OPC(0, 1, 0xb6) | X64_RM8, 0, R32, R8B, M8, 0, 0, false),
    L("movzx", X64_OPC(0, 1, 0xb7), 0, R32, R16, M16, 0, 0, false),
    L("movsx", X64_OPC(0, 1, 0xbe) | X64_RM8, 0, R32, R8B, M8, 0, 0, false),
    L("movsx", X64_OPC(0, 1, 0xbe) | X64_RM8, 1, R64, R8B, M8, 0, 0, false),
    L("movsx", X64_OPC(0, 1, 0xbf), 0, R32, R16, M16, 0, 0, false),
    L("movsx", X64_OPC(0, 1, 0xbf), 1, R64, R16, M16, 0, 0, false),
    L("movsxd", 0x63, 1, R64, R32, M32, 0, 0, false),
    L("lea", 0x8d, 0, R32, NO, LEA, 0, 0, false),
    L("lea", 0x8d, 1, R64, NO, LEA, 0, 0, false),
    L("add", 0x01, 0, R32, R32, M32, 0, 0, true),
    L("add", 0x01, 1, R64, R64, M64, 0, 0, true),
    L("add", 0x03, 1, R64, NO, M64, 0, 0, false),
    L("or", 0x09, 0, R32, R32, NO, 0, 0, true),
    L("or", 0x0b, 0, R32, NO, M32, 0, 0, false),
    L("and", 0x21, 1, R64, R64, NO, 0, 0, true),
    L("and", 0x23, 0, R32, NO, M32, 0, 0, false),
    L("sub", 0x29, 0, R32, R32, NO, 0, 0, true),
    L("sub", 0x2b, 1, R64, NO, M64, 0, 0, false),
    L("xor", 0x31, 1, R64, R64, NO, 0, 0, true),
    L("xor", 0x33, 0, R32, NO, M32, 0, 0, false),
    L("cmp", 0x39, 0, R32, R32, M32, 0, 0, true),
    L("cmp", 0x3b, 1, R64, NO, M64, 0, 0, false),
    L("test", 0x85, 1, R64, R64, NO, 0, 0, true),
    L("test", 0xf6 | X64_RM8, 0, DIGIT, R8B, NO, 0, 1, true),
    L("test", 0xf7, 0, DIGIT, R32, NO, 0, 4, true),
    L("test", 0xf7, 1, DIGIT, R64, NO, 0, 4, true),
    L("add", 0x83, 0, DIGIT, R32, M32, 0, 1, true),
    L("or", 0x83, 1, DIGIT, R64, M64, 1, 1, true),
    L("and", 0x83, 0, DIGIT, R32, M32, 4, 1, true),
    L("sub", 0x83, 1, DIGIT, R64, M64, 5, 1, true),
    L("xor", 0x81, 0, DIGIT, R32, M32, 6, 4, true),
    L("cmp", 0x81, 1, DIGIT, R64, M64, 7, 4, true),
    L("not", 0xf7, 0, DIGIT, R32, NO, 2, 0, true),
    L("neg", 0xf7, 1, DIGIT, R64, NO, 3, 0, true),
    L("mul", 0xf7, 1, DIGIT, R64, NO, 4, 0, true),
    L("div", 0xf7, 0, DIGIT, R32, NO, 6, 0, true),
    L("idiv", 0xf7, 1, DIGIT, R64, NO, 7, 0, true),
    L("imul", X64_OPC(0, 1, 0xaf), 0, R32, R32, M32, 0, 0, false),
    L("imul", X64_OPC(0, 1, 0xaf), 1, R64, R64, M64, 0, 0, false),
    L("imul", 0x6b, 1, R64, R64, M64, 0, 1, false),
    L("imul", 0x69, 0, R32, R32, M32, 0, 4, false),
    L("rol", 0xc1, 0, DIGIT, R32, NO, 0, 1, true),
    L("ror", 0xc1, 1, DIGIT, R64, NO, 1, 1, true),
    L("shl", 0xc1, 0, DIGIT, R32, NO, 4, 1, true),
    L("shr", 0xc1, 1, DIGIT, R64, NO, 5, 1, true),
    L("sar", 0xc1, 0, DIGIT, R32, NO, 7, 1, true),
    L("lzcnt", X64_OPC(PP_F3, 1, 0xbd), 0, R32, R32, M32, 0, 0, false),
    L("tzcnt", X64_OPC(PP_F3, 1, 0xbc), 1, R64, R64, M64, 0, 0, false),
    L("popcnt", X64_OPC(PP_F3, 1, 0xb8), 1, R64, R64, M64, 0, 0, false),
    L("sete", X64_OPC(0, 1, 0x94) | X64_RM8, 0, DIGIT, R8B, NO, 0, 0, true),
    L("setnp", X64_OPC(0, 1, 0x9b) | X64_RM8, 0, DIGIT, R8B, NO, 0, 0, true),
    L("cmovb", X64_OPC(0, 1, 0x42), 0, R32, R32, M32, 0, 0, false),
    L("cmovg", X64_OPC(0, 1, 0x4f), 1, R64, R64, M64, 0, 0, false),
    V("shlx", X64_OPC(PP_66, 2, 0xf7), 0, R32, R32, R32, M32, 0),
    V("sarx", X64_OPC(PP_F3, 2, 0xf7), 1, R64, R64, R64, M64, 0),
    V("shrx", X64_OPC(PP_F2, 2, 0xf7), 1, R64, R64, R64, M64, 0),
    V("rorx", X64_OPC(PP_F2, 3, 0xf0), 0, R32, NO, R32, M32, 1),
    V("rorx", X64_OPC(PP_F2, 3, 0xf0), 1, R64, NO, R64, M64, 1),
    V("vmovaps", X64_OPC(PP_NONE, 1, 0x28), 0, X, NO, X, NO, 0),
    V("vmovss", X64_OPC(PP_F3, 1, 0x10), 0, X, NO, NO, M32, 0),
    V("vmovsd", X64_OPC(PP_F2, 1, 0x10), 0, X, NO, NO, M64, 0),
    V("vmovups", X64_OPC(PP_NONE, 1, 0x10), 0, X, NO, NO, M128, 0),
    V("vmovd", X64_OPC(PP_66, 1, 0x6e), 0, X, NO, R32, NO, 0),
    V("vmovq", X64_OPC(PP_66, 1, 0x6e), 1, X, NO, R64, NO, 0),
    V("vaddss", X64_OPC(PP_F3, 1, 0x58), 0, X, X, X, M32, 0),
    V("vaddsd", X64_OPC(PP_F2, 1, 0x58), 0, X, X, X, M64, 0),
    V("vmulsd", X64_OPC(PP_F2, 1, 0x59), 0, X, X, X, M64, 0),
    V("vsubss", X64_OPC(PP_F3, 1, 0x5c), 0, X, X, X, M32, 0),
    V("vminsd", X64_OPC(PP_F2, 1, 0x5d), 0, X, X, X, M64, 0),
    V("vdivsd", X64_OPC(PP_F2, 1, 0x5e), 0, X, X, X, M64, 0),
    V("vmaxss", X64_OPC(PP_F3, 1, 0x5f), 0, X, X, X, M32, 0),
    V("vsqrtsd", X64_OPC(PP_F2, 1, 0x51), 0, X, X, X, M64, 0),
    V("vandps", X64_OPC(PP_NONE, 1, 0x54), 0, X, X, X, M128, 0),
    V("vorps", X64_OPC(PP_NONE, 1, 0x56), 0, X, X, X, M128, 0),
    V("vxorps", X64_OPC(PP_NONE, 1, 0x57), 0, X, X, X, M128, 0),
    V("vucomiss", X64_OPC(PP_NONE, 1, 0x2e), 0, X, NO, X, M32, 0),
    V("vucomisd", X64_OPC(PP_66, 1, 0x2e), 0, X, NO, X, M64, 0),
    V("vroundss", X64_OPC(PP_66, 3, 0x0a), 0, X, X, X, M32, 1),
    V("vroundsd", X64_OPC(PP_66, 3, 0x0b), 0, X, X, X, M64, 1),
    V("vcvtss2sd", X64_OPC(PP_F3, 1, 0x5a), 0, X, X, X, M32, 0),
    V("vcvtsd2ss", X64_OPC(PP_F2, 1, 0x5a), 0, X, X, X, M64, 0),
    V("vcvtsi2sd", X64_OPC(PP_F2, 1, 0x2a), 0, X, X, R32, M32, 0),
    V("vcvtsi2ss", X64_OPC(PP_F3, 1, 0x2a), 1, X, X, R64, M64, 0),
    V("vcvttsd2si", X64_OPC(PP_F2, 1, 0x2c), 1, R64, NO, X, M64, 0),
    V("vcvttss2si", X64_OPC(PP_F3, 1, 0x2c), 0, R32, NO, X, M32, 0),
};
#define ROWS (sizeof rows / sizeof *rows)

static const char *const names[16] = {"ax", "cx", "dx", "bx", "sp", "bp", "si", "di",
                                      "8",  "9",  "10", "11", "12", "13", "14", "15"};
static const char *const low8[16] = {"al",  "cl",  "dl",   "bl",   "spl",  "bpl",  "sil",  "dil",
                                     "r8b", "r9b", "r10b", "r11b", "r12b", "r13b", "r14b", "r15b"};

static void put_reg(char *out, enum kind kind, unsigned n) {
    if (kind == X)
        sprintf(out, "xmm%u", n);
    else if (kind == R8B)
        strcpy(out, low8[n]);
    else if (kind == R64)
        sprintf(out, "r%s", names[n]);
    else
        sprintf(out, n < 8 ? "%s%s" : "r%2$s%1$s",
                n < 8 ? (kind == R32 ? "e" : "") : (kind == R32 ? "d" : "w"), names[n]);
}

static void put_mem(char *out, enum kind kind, const struct x64_rm *rm) {
    static const char *const width[] = {
        [M8] = "byte ptr ",   [M16] = "word ptr ",     [M32] = "dword ptr ",
        [M64] = "qword ptr ", [M128] = "xmmword ptr ", [LEA] = ""};
    char base[8], index[8];
    put_reg(base, R64, rm->base);
    put_reg(index, R64, rm->index);
    out += sprintf(out, "%s[", width[kind]);
    if (rm->kind == RM_BASE)
        sprintf(out, "%s%+d]", base, rm->disp);
    else if (rm->kind == RM_SIB)
        sprintf(out, "%s+%s*%d%+d]", base, index, 1 << rm->scale, rm->disp);
    else
        sprintf(out, "%s*%d%+d]", index, 1 << rm->scale, rm->disp);
}

struct batch {
    FILE *text;
    uint8_t (*bytes)[16]; // length, then bytes
    size_t count, cap;
};

static uint64_t imm_of(unsigned bytes) {
    return bytes == 1 ? 0x15 : bytes == 2 ? 0x1234 : 0x12345678;
}

static void one(struct batch *b, const struct row *r, unsigned reg, unsigned v, struct x64_rm rm) {
    char parts[4][64];
    int n = 0;
    char rm_text[64];
    if (rm.kind == RM_REG)
        put_reg(rm_text, r->rm, rm.base);
    else
        put_mem(rm_text, r->mem, &rm);
    if (r->rm_first) strcpy(parts[n++], rm_text);
    if (r->reg != DIGIT) put_reg(parts[n++], r->reg, reg);
    bool count_last = r->vex && (r->v == R32 || r->v == R64); // shlx d, value, count
    if (r->v != NO && !count_last) put_reg(parts[n++], r->v, v);
    if (!r->rm_first) strcpy(parts[n++], rm_text);
    if (count_last) put_reg(parts[n++], r->v, v);
    fprintf(b->text, "%s ", r->name);
    for (int i = 0; i < n; i++) fprintf(b->text, "%s%s", i ? ", " : "", parts[i]);
    if (r->imm) fprintf(b->text, ", 0x%llx", (unsigned long long)imm_of(r->imm));
    fprintf(b->text, "\n");

    if (b->count == b->cap) {
        b->cap = b->cap ? 2 * b->cap : 1024;
        b->bytes = realloc(b->bytes, b->cap * sizeof *b->bytes);
    }
    uint8_t *out = b->bytes[b->count++], *end;
    unsigned field = r->reg == DIGIT ? r->digit : reg;
    end = r->vex ? x64_put_vex(out + 1, r->opc, r->w, field, v, &rm)
                 : x64_put_legacy(out + 1, r->opc, r->w, field, &rm);
    end = x64_put_imm(end, imm_of(r->imm), r->imm);
    assert_true(end <= out + 1 + X64_INSN_MAX);
    out[0] = (uint8_t)(end - out - 1);
}

static bool avoided(const struct row *r, unsigned reg, unsigned rm) {
    bool eax_form = r->imm == 4 && r->reg == DIGIT && rm == 0; // 05 id and the like
    bool test_al = r->opc == (0xf6 | X64_RM8) && rm == 0;
    bool reversed = r->opc == X64_OPC(PP_NONE, 1, 0x28) && rm >= 8 && reg < 8;
    return eax_form || test_al || reversed;
}

static void all_registers(struct batch *b, const struct row *r) {
    for (unsigned rm = 0; rm < 16; rm++)
        for (unsigned reg = 0; reg < (r->reg == DIGIT ? 1 : 16); reg++)
            for (unsigned v = 0; v < (r->v == NO ? 1 : 16); v += r->v == NO ? 1 : 3)
                if (!avoided(r, reg, rm)) one(b, r, reg, v, x64_rm_reg(rm));
}

static void all_memory(struct batch *b, const struct row *r) {
    static const int32_t disp[] = {0, 1, 127, 128, -128, -129, INT32_MAX};
    static const uint8_t some[] = {0, 4, 5, 9, 12, 13, 15};
    for (unsigned d = 0; d < 7; d++)
        for (unsigned i = 0; i < 7; i++) {
            unsigned reg = some[(i + d) % 7], v = r->v == NO ? 0 : some[(i + 2 * d) % 7];
            one(b, r, reg, v, x64_rm_base(some[i], disp[d]));
            for (unsigned k = 0; k < 7; k++)
                if (some[k] != RSP)
                    one(b, r, reg, v, x64_rm_sib(some[i], some[k], r->mem == LEA ? k & 3 : 0, disp[d]));
            if (r->mem == LEA && some[i] != RSP)
                one(b, r, reg, 0,
                    (struct x64_rm){
                        .kind = RM_INDEX, .index = some[i], .scale = 1 + (i & 1), .disp = disp[d]});
        }
}

// Reads llvm-mc's "# encoding: [0x48,0x89,…]" lines and compares.
static void compare(const struct batch *b, const char *path) {
    char command[200], line[400];
    snprintf(command, sizeof command,
             "llvm-mc -triple=x86_64 -x86-asm-syntax=intel -show-encoding %s", path);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    size_t n = 0, wrong = 0;
    while (fgets(line, sizeof line, f)) {
        char *p = strstr(line, "encoding: [");
        if (!p) continue;
        p += strlen("encoding: [");
        uint8_t want[16] = {0};
        while (*p && *p != ']') {
            want[++want[0]] = (uint8_t)strtoul(p, &p, 16);
            if (*p == ',') p++;
        }
        assert_true(n < b->count);
        const uint8_t *have = b->bytes[n++];
        if (memcmp(want, have, (size_t)want[0] + 1) != 0 && wrong++ < 20) {
            print_message("# %s#   is ", line);
            for (unsigned i = 1; i <= have[0]; i++) print_message("%02x ", have[i]);
            print_message("\n");
        }
    }
    assert_int_equal(pclose(f), 0);
    assert_int_equal(n, b->count);
    assert_int_equal(wrong, 0);
    print_message("# %zu instructions\n", n);
}

static void test_llvm_mc(void **state) {
    (void)state;
    char path[] = "/tmp/test-encode-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    struct batch b = {.text = fdopen(fd, "w")};
    for (size_t i = 0; i < ROWS; i++) {
        if (rows[i].rm != NO) all_registers(&b, &rows[i]);
        if (rows[i].mem != NO) all_memory(&b, &rows[i]);
    }
    fclose(b.text);
    compare(&b, path);
    unlink(path);
    free(b.bytes);
}

static void test_nops(void **state) {
    (void)state;
    static const uint8_t forms[][9] = {SFI_NOPS};
    for (unsigned n = 1; n <= 9; n++) {
        uint8_t out[40];
        memset(out, 0xaa, sizeof out);
        x64_put_nops(out, 27 + n);
        for (unsigned k = 0; k < 3; k++) assert_memory_equal(out + 9 * k, forms[8], 9);
        assert_memory_equal(out + 27, forms[n - 1], n);
        assert_int_equal(out[27 + n], 0xaa);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_llvm_mc), cmocka_unit_test(test_nops)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
