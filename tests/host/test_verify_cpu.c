// test_verify_cpu.c — what the verifier believes about each row of the allow-list, asked of the CPU.
//
// Every row, both widths, all opcodes of the row, random registers in its holes, runs in a stub from states with dirty
// upper halves (and with low halves of zero: shifts by 0, tzcnt of 0). After it: a register that the decoder calls zeroed
// has an upper half of zero, one that it calls untouched is untouched, memory changed only where the operand lies and only
// if the row writes, and no flag but the arithmetic ones moved. Skipped on a CPU that could not run a module.
#include "tests/host/verify_rows.h"
#include "tests/host/verify_stub.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// cmocka wants those first.
#include <cmocka.h>

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R15 = 15 };
enum { DISP = 0x100, ROUNDS = 24 };

static uint64_t seed = 88172645463325252u;
static uint64_t noise(void) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed * 0x2545f4914f6cdd1du;
}

static uint64_t dirty_value(void) {
    uint64_t value = noise() | 1ull << 63 | 1ull << 32;
    switch (noise() % 4) {
    case 0: return value & ~0xffffffffull;
    case 1: return value & 0xffffffff000000ffull;
    default: return value;
    }
}

static void describe(char *text, const char *name, const uint8_t *bytes, unsigned n) {
    text += sprintf(text, "%s:", name);
    while (n--) text += sprintf(text, " %02x", *bytes++);
}

static void check_run(const char *text, const uint8_t *bytes, unsigned n,
                      const struct sfi_insn *insn, struct vstub_state *state, size_t address) {
    const char *wrong = vstub_check(bytes, n, insn, state, address);
    if (wrong) fail_msg("%s: %s", text, wrong);
}

static bool is(const char *a, const char *b) { return strcmp(a, b) == 0; }

static unsigned any_register(void) {
    unsigned r;
    do r = (unsigned)(noise() % 15);
    while (r == RSP);
    return r;
}

static void check_row(const struct vrow *row, unsigned k, bool w) {
    bool divides = is(row->name, "div") || is(row->name, "idiv"), memory = row->form == 'M';
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct vmem mem = {VMEM_BASE_INDEX, R15, (uint8_t)any_register(), 0, DISP};
        if (is(row->rm, "LEA"))
            mem = (struct vmem){VMEM_BASE_INDEX, (uint8_t)any_register(), (uint8_t)any_register(),
                                (uint8_t)(noise() % 4), (int32_t)noise()};
        unsigned rm = any_register();
        if (divides && rm == RDX) rm = RBX;
        uint8_t bytes[16];
        char text[96];
        unsigned n = vrow_encode(row, k, w, any_register(), rm, any_register(), &mem,
                                 vrow_needs_lock(row), bytes);
        describe(text, row->name, bytes, n);
        struct sfi_insn insn;
        if (sfi_decode(bytes, &insn) != (int)n) fail_msg("%s: not accepted", text);

        struct vstub_state state;
        for (unsigned r = 0; r < 16; r++) state.gpr[r] = dirty_value();
        for (unsigned x = 0; x < 16; x++)
            for (unsigned i = 0; i < 16; i++) state.xmm[x][i] = (uint8_t)noise();
        state.flags = 0x202 | (noise() & 0x8d5);
        state.gpr[R15] = (uint64_t)(uintptr_t)vstub_window;
        size_t address = 0;
        if (memory && !is(row->rm, "LEA")) {
            state.gpr[mem.index] = noise() % (VSTUB_WINDOW - DISP - 16);
            address = DISP + state.gpr[mem.index];
        }
        if (divides) { // a quotient that fits
            state.gpr[rm] |= 0x1001;
            state.gpr[RDX] = w ? 0 : dirty_value() & ~0xffffffffull;
            state.gpr[RAX] &= w ? ~(1ull << 63) : ~(1ull << 31);
        }
        check_run(text, bytes, n, &insn, &state, address);
    }
}

static void test_rows(void **unused) {
    (void)unused;
    for (size_t i = 0; i < vrow_count; i++) {
        struct vrow row = vrow_get(i);
        unsigned opcodes = row.form == 'P' ? 1 : row.n; // PLAIN rows have the register there
        for (unsigned k = 0; k < opcodes; k++) {
            if (row.w0) check_row(&row, k, false);
            if (row.w1) check_row(&row, k, true);
        }
    }
}

// NOPs and mfence have no rows.
static void test_fixed(void **unused) {
    (void)unused;
    static const uint8_t fixed[][10] = {SFI_NOPS, {0x0f, 0xae, 0xf0}};
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
        struct sfi_insn insn;
        int length = sfi_decode(fixed[i], &insn);
        assert_true(length > 0);
        struct vstub_state state;
        memset(&state, 0xa5, sizeof state);
        state.flags = 0x202;
        check_run("fixed", fixed[i], (unsigned)length, &insn, &state, 0);
    }
}

// A state in which the claim is false must be noticed: 90 is no xchg eax, eax.
static void test_notices(void **unused) {
    (void)unused;
    static const uint8_t mov[] = {0x89, 0xc0};
    struct vstub_state state = {.flags = 0x202, .gpr[RAX] = 0x123456789};
    vstub_run(mov, 2, &state);
    assert_true(state.gpr[RAX] == 0x23456789);
    state.gpr[RAX] = 0x123456789;
    vstub_run((const uint8_t *)"\x90", 1, &state);
    assert_true(state.gpr[RAX] == 0x123456789);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_notices),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_fixed),
    };
    const char *why = vstub_setup();
    if (why) {
        printf("1..0 # SKIP %s\n", why);
        return 0;
    }
    for (size_t i = 0; i < VSTUB_WINDOW; i++) vstub_window[i] = (uint8_t)noise();
    return cmocka_run_group_tests_name("verify against the CPU", tests, NULL, NULL);
}
