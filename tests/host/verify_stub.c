// verify_stub.c — see verify_stub.h.
#include "tests/host/verify_stub.h"
#include <cpuid.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

_Static_assert(offsetof(struct vstub_state, flags) == 128 && offsetof(struct vstub_state, xmm) == 256,
               "what the stub uses");
enum { RSP = 4, RDI = 7 };

static uint8_t *stub; // a page
uint8_t vstub_window[VSTUB_WINDOW];
static uint8_t before_window[VSTUB_WINDOW];

// ---- The stub ----

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

// void stub(struct vstub_state *): state in, one instruction, state out.
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

void vstub_run(const uint8_t *bytes, unsigned n, struct vstub_state *state) {
    make_stub(bytes, n);
    void (*call)(struct vstub_state *);
    memcpy(&call, &stub, sizeof call);
    call(state);
}

// ---- What is claimed of it ----

const char *vstub_check(const uint8_t *bytes, unsigned n, const struct sfi_insn *insn,
                        struct vstub_state *state, size_t address) {
    static const uint64_t arithmetic = 0x8d5;
    static char text[64];
    struct vstub_state before = *state;
    size_t width = insn->writes ? insn->width : 0, behind = address + width;
    memcpy(before_window, vstub_window, VSTUB_WINDOW);
    vstub_run(bytes, n, state);
    for (unsigned r = 0; r < 16; r++) {
        if (r == SFI_RSP || insn->dirtied >> r & 1) continue;
        bool zeroed = insn->zeroed >> r & 1;
        if (zeroed ? state->gpr[r] >> 32 == 0 : state->gpr[r] == before.gpr[r]) continue;
        snprintf(text, sizeof text, "r%u %s", r, zeroed ? "has an upper half" : "has changed");
        return text;
    }
    if ((state->flags ^ before.flags) & ~arithmetic) return "a flag that is state has changed";
    if (memcmp(vstub_window, before_window, address) != 0 ||
        memcmp(vstub_window + behind, before_window + behind, VSTUB_WINDOW - behind) != 0)
        return "memory elsewhere has changed";
    return NULL;
}

// ---- Set-up ----

// LZCNT and TZCNT are BSR and BSF on a CPU without them.
static bool is_fit(void) {
    unsigned a, b, c = 0, d;
    __get_cpuid(0x80000001, &a, &b, &c, &d);
    return c & 1 << 5 && __builtin_cpu_supports("avx") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt");
}

const char *vstub_setup(void) {
    if (!is_fit()) return "this CPU has not AVX, BMI1, BMI2, LZCNT and POPCNT";
    stub = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return stub == MAP_FAILED ? "no executable memory" : NULL;
}
