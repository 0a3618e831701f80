// test_verify_cpu.c — what the verifier believes about each row of the allow-list, asked of the CPU.
//
// Every row, both widths, all opcodes of the row, random registers in its holes, runs in a stub from states with dirty
// upper halves (and with low halves of zero: shifts by 0, tzcnt of 0). After it: a register that the decoder calls zeroed
// has an upper half of zero, one that it calls untouched is untouched, memory changed only where the operand lies and only
// if the row writes, and no flag but the arithmetic ones moved. Skipped on a CPU that could not run a module.
#include "sfi-jit/verify/decode.h"
#include "tests/host/verify_rows.h"
#include <cpuid.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
// cmocka wants those first.
#include <cmocka.h>

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R15 = 15 };
enum { WINDOW = 1 << 14, DISP = 0x100, ROUNDS = 24 };

struct cpu_state {
    uint64_t gpr[16];
    uint64_t flags;
    uint64_t unused[15];
    uint8_t xmm[16][16];
};
_Static_assert(offsetof(struct cpu_state, flags) == 128 && offsetof(struct cpu_state, xmm) == 256,
               "what the stub uses");

static uint8_t *stub; // a page
static uint8_t window[WINDOW], before_window[WINDOW];

static uint64_t seed = 88172645463325252u;
static uint64_t noise(void) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed * 0x2545f4914f6cdd1du;
}

static uint8_t *put_bytes(uint8_t *p, const void *bytes, size_t n) {
    memcpy(p, bytes, n);
    return p + n;
}
#define PUT(p, text) put_bytes(p, text, sizeof text - 1)

// mov [rdi + disp32], reg (opcode 89) or the other way round (8B).
static uint8_t *put_mov(uint8_t *p, uint8_t opcode, unsigned reg) {
    *p++ = reg >= 8 ? 0x4c : 0x48;
    *p++ = opcode;
    *p++ = (uint8_t)(0x87 | (reg & 7) << 3);
    uint32_t disp = 8 * reg;
    return put_bytes(p, &disp, 4);
}

// void stub(struct cpu_state *): state in, one instruction, state out.
static void make_stub(const uint8_t *insn, unsigned n) {
    uint8_t *p = stub;
    p = PUT(p, "\x53\x55\x41\x54\x41\x55\x41\x56\x41\x57\x57"); // push callee-saved, rdi
    for (unsigned x = 0; x < 16; x++) {                         // vmovups xmm, [rdi + 256 + 16x]
        uint32_t disp = 256 + 16 * x;
        *p++ = 0xc5;
        *p++ = x >= 8 ? 0x78 : 0xf8;
        *p++ = 0x10;
        *p++ = (uint8_t)(0x87 | (x & 7) << 3);
        p = put_bytes(p, &disp, 4);
    }
    p = PUT(p, "\xff\xb7\x80\x00\x00\x00\x9d"); // push [rdi + 128]; popfq
    for (unsigned r = 0; r < 16; r++)
        if (r != RSP && r != RDI) p = put_mov(p, 0x8b, r);
    p = put_mov(p, 0x8b, RDI);
    p = put_bytes(p, insn, n);
    p = PUT(p, "\x57\x48\x8b\x7c\x24\x08"); // push rdi; mov rdi, [rsp + 8]
    for (unsigned r = 0; r < 16; r++)
        if (r != RSP && r != RDI) p = put_mov(p, 0x89, r);
    p = PUT(p, "\x8f\x47\x38");                                         // pop [rdi + 56]
    p = PUT(p, "\x9c\x8f\x87\x80\x00\x00\x00");                         // pushfq; pop [rdi + 128]
    p = PUT(p, "\x5f\x41\x5f\x41\x5e\x41\x5d\x41\x5c\x5d\x5b\xfc\xc3"); // pop all; cld; ret
}

static void run_stub(struct cpu_state *state) {
    void (*call)(struct cpu_state *);
    memcpy(&call, &stub, sizeof call);
    call(state);
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

// Runs the instruction once from `state` and holds the outcome against what the decoder said.
static void check_run(const char *text, const struct sfi_insn *insn, struct cpu_state *state,
                      size_t address) {
    static const uint64_t arithmetic = 0x8d5;
    struct cpu_state before = *state;
    memcpy(before_window, window, WINDOW);
    run_stub(state);
    for (unsigned r = 0; r < 16; r++) {
        if (r == RSP) continue;
        if (insn->zeroed >> r & 1 && !(insn->dirtied >> r & 1)) {
            if (state->gpr[r] >> 32) fail_msg("%s: r%u has an upper half", text, r);
        } else if (!(insn->dirtied >> r & 1) && state->gpr[r] != before.gpr[r]) {
            fail_msg("%s: r%u has changed", text, r);
        }
    }
    if ((state->flags ^ before.flags) & ~arithmetic)
        fail_msg("%s: flags %llx", text, (unsigned long long)state->flags);
    size_t width = insn->writes ? insn->width : 0;
    if (memcmp(window, before_window, address) != 0 ||
        memcmp(window + address + width, before_window + address + width, WINDOW - address - width) != 0)
        fail_msg("%s: memory elsewhere has changed", text);
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
        if (sfi_decode(bytes, &insn) != SFI_RULE_NONE || insn.length != n)
            fail_msg("%s: not accepted", text);
        make_stub(bytes, n);

        struct cpu_state state;
        for (unsigned r = 0; r < 16; r++) state.gpr[r] = dirty_value();
        for (unsigned x = 0; x < 16; x++)
            for (unsigned i = 0; i < 16; i++) state.xmm[x][i] = (uint8_t)noise();
        state.flags = 0x202 | (noise() & 0x8d5);
        state.gpr[R15] = (uint64_t)(uintptr_t)window;
        size_t address = 0;
        if (memory && !is(row->rm, "LEA")) {
            state.gpr[mem.index] = noise() % (WINDOW - DISP - 16);
            address = DISP + state.gpr[mem.index];
        }
        if (divides) { // a quotient that fits
            state.gpr[rm] |= 0x1001;
            state.gpr[RDX] = w ? 0 : dirty_value() & ~0xffffffffull;
            state.gpr[RAX] &= w ? ~(1ull << 63) : ~(1ull << 31);
        }
        check_run(text, &insn, &state, address);
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
        assert_int_equal(sfi_decode(fixed[i], &insn), SFI_RULE_NONE);
        make_stub(fixed[i], insn.length);
        struct cpu_state state;
        memset(&state, 0xa5, sizeof state);
        state.flags = 0x202;
        check_run("fixed", &insn, &state, 0);
    }
}

// A state in which the claim is false must be noticed: 90 is no xchg eax, eax.
static void test_notices(void **unused) {
    (void)unused;
    static const uint8_t mov[] = {0x89, 0xc0};
    struct cpu_state state = {.flags = 0x202, .gpr[RAX] = 0x123456789};
    make_stub(mov, 2);
    run_stub(&state);
    assert_true(state.gpr[RAX] == 0x23456789);
    state.gpr[RAX] = 0x123456789;
    make_stub((const uint8_t *)"\x90", 1);
    run_stub(&state);
    assert_true(state.gpr[RAX] == 0x123456789);
}

// LZCNT and TZCNT are BSR and BSF on a CPU without them.
static bool is_fit(void) {
    unsigned a, b, c = 0, d;
    __get_cpuid(0x80000001, &a, &b, &c, &d);
    return c & 1 << 5 && __builtin_cpu_supports("avx") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt");
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_notices),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_fixed),
    };
    if (!is_fit()) {
        printf("1..0 # SKIP this CPU has not AVX, BMI1, BMI2, LZCNT and POPCNT\n");
        return 0;
    }
    stub = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stub == MAP_FAILED) {
        printf("1..0 # SKIP no executable memory\n");
        return 0;
    }
    for (size_t i = 0; i < WINDOW; i++) window[i] = (uint8_t)noise();
    return cmocka_run_group_tests_name("verify against the CPU", tests, NULL, NULL);
}
