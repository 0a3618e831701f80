// test_verify_zydis.c — every encoding that the verifier accepts, judged by a foreign decoder.
//
// Enumerates legacy prefixes × REX × opcode maps × ModRM × SIB, VEX2 and VEX3, the escapes to EVEX, XOP and REX2, and
// all strings of three bytes. What sfi_verify accepts as the body of a function must be one instruction of the same
// length to Zydis, and must obey the policy of verify_policy.h, computed from Zydis' operands (explicit and hidden) alone:
// no privileged or system instruction, no register but GPRs, xmm and arithmetic flags, nothing of rsp and r15, memory in
// the forms, places, widths and directions of sfi.h. A disagreement fails. Rejecting too much is not this test's business.
#include "sfi-jit/host/verify.h"
#include "sfi-jit/verify/decode.h"
#include "tests/host/verify_policy.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// cmocka wants those first.
#include <cmocka.h>

enum { BODY_AT = 32, POOL_AT = 96, POOL_SIZE = 48, FRAME = 64, WORDS = 4, ALL_CLEAN = 0x7fef };

static ZydisDecoder decoder;
static struct {
    uint8_t bytes[POOL_AT + POOL_SIZE];
    struct sfi_func func;
    struct sfi_label label;
    struct sfi_code code;
} body;
static uint64_t tried, accepted;

static int setup(void **state) {
    (void)state;
    static const uint8_t enter[] = {0x48, 0x83, 0xec, FRAME, 0x0f, 0x0b};
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
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
    return 0;
}

// Is it accepted as a function's body, where all registers but rsp and r15 are clean?
static bool is_accepted(const uint8_t *bytes, unsigned n) {
    struct sfi_rejection why;
    uint8_t *p = body.bytes + BODY_AT;
    memcpy(p, bytes, n);
    p[n] = 0x0f;
    p[n + 1] = 0x0b;
    host_verify(&body.code, &why);
    memset(p, 0xcc, n + 2);
    return why.rule == SFI_RULE_NONE;
}

// ---- One encoding, in a buffer of 16 bytes ----

static void fail_on(const uint8_t *bytes, unsigned n, const char *what) {
    char text[64] = "";
    for (unsigned i = 0; i < n; i++) snprintf(text + 3 * i, 4, "%02x ", bytes[i]);
    fail_msg("%s: %s", text, what);
}

static void try_encoding(const uint8_t *bytes) {
    struct sfi_insn ours;
    tried++;
    int length = sfi_decode(bytes, &ours);
    if (length < 0) return;
    unsigned n = (unsigned)length;
    if (!is_accepted(bytes, n)) return;
    accepted++;
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes, 15, &insn, ops)))
        fail_on(bytes, n, "no instruction");
    if (insn.length != n) fail_on(bytes, n, "another length");
    static const struct vplace place = {BODY_AT, FRAME, WORDS, POOL_AT, POOL_SIZE};
    struct veffects theirs;
    const char *wrong = vpolicy_insn(&insn, ops, &place, &theirs);
    if (wrong) fail_on(bytes, n, wrong);
    // What the verifier thinks of it must be no less than what it does.
    if (theirs.written & ~(ours.zeroed | ours.dirtied)) fail_on(bytes, n, "a write not noticed");
    if (ours.zeroed & ~theirs.written32) fail_on(bytes, n, "called zero-extending");
    if (theirs.width != ours.width || theirs.reads != ours.reads || theirs.writes != ours.writes)
        fail_on(bytes, n, "another access");
}

// ---- Enumerations ----

static uint8_t buffer[24];
static unsigned turn;

// All ModRM and SIB bytes behind the n bytes in `buffer`; displacement and immediate differ from one to the next.
static void try_operands(unsigned n) {
    static const uint8_t sibs[] = {0x24, 0x04, 0x25, 0xe4, 0x64, 0x07, 0x37, 0x3f, 0x47, 0xc7};
    static const uint8_t fills[][8] = {
        {0, 0, 0, 0, 0, 0, 0, 0},
        {0x7f, 0, 0, 0x40, 0x30, 0, 0, 0x40},
        {0x80, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
        {0xf0, 0xff, 0xef, 0xff, 0x11, 0x22, 0x33, 0x44},
        {0x20, 0, 0, 0, 0x80, 0, 0, 0x12},
        {0x00, 0xb0, 0xef, 0xff, 0x55, 0, 0, 0x12}, // −SFI_CTX_MEM_PAGES
        {0x30, 0x02, 0, 0, 0x80, 0xff, 0xff, 0xff},
    };
    for (unsigned modrm = 0; modrm < 256; modrm++) {
        bool sib = modrm < 0xc0 && (modrm & 7) == 4;
        buffer[n] = (uint8_t)modrm;
        for (unsigned s = 0; s < (sib ? sizeof sibs : 1); s++) {
            buffer[n + 1] = sibs[s];
            memcpy(buffer + n + (sib ? 2 : 1), fills[turn++ % 7], 8);
            try_encoding(buffer);
        }
    }
}

static void test_legacy(void **state) {
    (void)state;
    static const char *const prefixes[] = {"", "\x66", "\xf2", "\xf3", "\xf0", "\xf0\x66"};
    static const uint8_t rexes[] = {0, 0x40, 0x41, 0x42, 0x44, 0x48, 0x4d, 0x4f}; // 0: none
    for (unsigned p = 0; p < sizeof prefixes / sizeof *prefixes; p++) {
        for (unsigned r = 0; r < sizeof rexes; r++) {
            for (unsigned map = 0; map < 4; map++) {
                unsigned n = (unsigned)strlen(prefixes[p]);
                memcpy(buffer, prefixes[p], n);
                if (rexes[r]) buffer[n++] = rexes[r];
                if (map) buffer[n++] = 0x0f;
                if (map >= 2) buffer[n++] = map == 2 ? 0x38 : 0x3a;
                for (unsigned op = 0; op < 256; op++) {
                    buffer[n] = (uint8_t)op;
                    try_operands(n + 1);
                }
            }
        }
    }
}

static void test_vex2(void **state) {
    (void)state;
    buffer[0] = 0xc5;
    for (unsigned i = 0; i < 1 << 16; i++) {
        buffer[1] = (uint8_t)(i >> 8);
        buffer[2] = (uint8_t)i;
        if (i >> 10 & 1) { // L=1: must be rejected at once
            memset(buffer + 3, 0xc1, 12);
            try_encoding(buffer);
        } else {
            try_operands(3);
        }
    }
}

// Maps 1–3 with L=0 in full but for vvvv, which is unused and one of four others; what must be rejected at once, which
// is L=1 and the other maps, with few operands.
static void test_vex3(void **state) {
    (void)state;
    static const uint8_t others[] = {0, 4, 11, 3}; // inverted: r15, r11, rsp, r12
    buffer[0] = 0xc4;
    for (unsigned rxb = 0; rxb < 8; rxb++) {
        for (unsigned i = 0; i < 16 * 256; i++) { // W, L, pp, opcode
            unsigned last = (i >> 11 & 1) << 7 | (i >> 8 & 7);
            buffer[3] = (uint8_t)i;
            for (unsigned map = 0; map < 32; map++) {
                buffer[1] = (uint8_t)(rxb << 5 | map);
                buffer[2] = (uint8_t)(last | 0x78);
                memset(buffer + 4, 0xc1, 8);
                try_encoding(buffer);
                if (map < 1 || map > 3 || last & 4) continue;
                try_operands(4);
                buffer[2] = (uint8_t)(last | others[turn % sizeof others] << 3);
                if ((rxb ^ i) & 1) try_operands(4);
            }
        }
    }
}

static void test_other_escapes(void **state) {
    (void)state;
    static const uint8_t first[] = {0x62, 0x8f, 0xd5, 0x0f};
    for (unsigned f = 0; f < sizeof first; f++) {
        for (unsigned i = 0; i < 1 << 16; i++) {
            buffer[0] = first[f];
            buffer[1] = (uint8_t)(i >> 8);
            buffer[2] = (uint8_t)i;
            for (unsigned k = 0; k < 4; k++) {
                memset(buffer + 3, "\x00\x28\x7c\xc1"[k], 12);
                try_encoding(buffer);
            }
        }
    }
}

static void test_three_bytes(void **state) {
    (void)state;
    for (unsigned i = 0; i < 1u << 24; i++) {
        buffer[0] = (uint8_t)(i >> 16);
        buffer[1] = (uint8_t)(i >> 8);
        buffer[2] = (uint8_t)i;
        memset(buffer + 3, i & 1 ? 0x40 : 0, 12);
        try_encoding(buffer);
    }
}

static void test_nothing_was_idle(void **state) {
    (void)state;
    print_message("# %llu encodings tried, %llu accepted\n", (unsigned long long)tried,
                  (unsigned long long)accepted);
    assert_true(tried > 80000000 && accepted > 500000);
}

// ESC-054: all that Zydis calls privileged or system, under every prefix: none accepted, by the whole verifier.
static void test_privileged(void **state) {
    (void)state;
    static const uint8_t prefixes[] = {0,    0x66, 0xf2, 0xf3, 0xf0, 0x67,
                                       0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65};
    bool seen[ZYDIS_MNEMONIC_MAX_VALUE + 1] = {false};
    unsigned mnemonics = 0;
    for (unsigned i = 0; i < 4u << 20; i++) {
        unsigned pp = i & 3, map = i >> 2 & 3, op = i >> 4 & 255, modrm = i >> 12 & 255, n = 0,
                 core, length;
        uint8_t bytes[32] = {0};
        if (modrm < 0xc0 && (modrm & 0xc7) != 4) continue; // of memory operands, [rsp] will do
        if (pp) bytes[n++] = prefixes[pp];
        core = n;
        if (map) bytes[n++] = 0x0f;
        if (map >= 2) bytes[n++] = map == 2 ? 0x38 : 0x3a;
        bytes[n++] = (uint8_t)op;
        bytes[n++] = (uint8_t)modrm;
        bytes[n] = 0x24;
        ZydisDecodedInstruction insn;
        if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, NULL, bytes, 15, &insn)))
            continue;
        if (!vpolicy_is_system(&insn)) continue;
        mnemonics += !seen[insn.mnemonic];
        seen[insn.mnemonic] = true;
        length = insn.length - core;
        for (unsigned p = 0; p < sizeof prefixes; p++) {
            for (unsigned rex = 0; rex <= 16; rex++) {
                uint8_t variant[32];
                unsigned k = 0;
                if (p) variant[k++] = prefixes[p];
                if (pp && p != pp) variant[k++] = prefixes[pp];
                if (rex) variant[k++] = (uint8_t)(0x3f + rex);
                memcpy(variant + k, bytes + core, length);
                if (is_accepted(variant, k + length)) fail_on(variant, k + length, "accepted");
            }
        }
    }
    print_message("# %u mnemonics\n", mnemonics);
    assert_true(mnemonics > 100);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_legacy),      cmocka_unit_test(test_vex2),
        cmocka_unit_test(test_vex3),        cmocka_unit_test(test_other_escapes),
        cmocka_unit_test(test_three_bytes), cmocka_unit_test(test_nothing_was_idle),
        cmocka_unit_test(test_privileged),
    };
    return cmocka_run_group_tests_name("verify against Zydis", tests, setup, NULL);
}
