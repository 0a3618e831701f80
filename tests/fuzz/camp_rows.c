// rows — a walk over the accepted language (generator G3): every row of the allow-list, both widths, each of its opcodes,
// all pairs of registers, every memory form, immediates at their boundaries. Each is judged by two decoders and the policy
// (O1, O2), and runs on the CPU from random states against what the verifier believes of it (O4).
//
// The encoder is tests/host/verify_rows.h's, not the JIT's. An item is a row; rounds over all rows differ in their states.
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/probe.h"
#include "tests/host/verify_rows.h"
#include "tests/host/verify_stub.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RAX, RDX = 2, RSP = 4, R15 = 15, DISP = 0x100 };

static void setup(void) {
    probe_setup();
    const char *why = vstub_setup();
    if (!why) return;
    fprintf(stderr, "rows: %s\n", why);
    exit(2);
}

static unsigned imm_bytes(const char *imm) {
    return strcmp(imm, "NO") == 0 ? 0 : strcmp(imm, "IS4") == 0 ? 1 : (unsigned)atoi(imm) / 8;
}

static void put_immediate(uint8_t *end, unsigned bytes, unsigned pick) {
    static const uint64_t values[] = {0,           1,          0x7f,       0x80,       0xff,
                                      0x7fff,      0x8000,     0x7fffffff, 0x80000000, 0xffffffff,
                                      0x100000000, 1ull << 63, UINT64_MAX};
    memcpy(end - bytes, &values[pick % (sizeof values / sizeof *values)], bytes);
}

static uint64_t dirty_value(void) {
    uint64_t value = fuzz_noise() | 1ull << 63 | 1ull << 32;
    switch (fuzz_below(4)) {
    case 0: return value & ~0xffffffffull;
    case 1: return value & 0xffffffff000000ffull;
    default: return value;
    }
}

// Divisors that are not zero and quotients that fit: nothing else can trap in the stub.
static void tame_division(struct vstub_state *s, bool w, unsigned rm) {
    s->gpr[rm] |= 0x1001;
    s->gpr[RDX] = w ? 0 : dirty_value() & ~0xffffffffull;
    s->gpr[RAX] &= w ? ~(1ull << 63) : ~(1ull << 31);
}

static void run_row(const struct vrow *row, const uint8_t *bytes, unsigned n, bool w, unsigned rm,
                    const struct vmem *mem) {
    struct sfi_insn insn;
    bool divides = strcmp(row->name, "div") == 0 || strcmp(row->name, "idiv") == 0;
    int length = sfi_decode(bytes, &insn);
    if (length < 0 || (divides && rm == RDX)) return; // an immediate that fits a shorter form
    struct vstub_state s;
    for (unsigned r = 0; r < 16; r++) s.gpr[r] = dirty_value();
    for (unsigned x = 0; x < 32; x++) memcpy(s.xmm[0] + 8 * x, &(uint64_t){fuzz_noise()}, 8);
    s.flags = 0x202 | (fuzz_noise() & 0x8d5);
    s.gpr[R15] = (uint64_t)(uintptr_t)vstub_window;
    size_t address = 0;
    if (insn.width) {
        s.gpr[mem->index] = fuzz_below(VSTUB_WINDOW - DISP - 16);
        address = DISP + s.gpr[mem->index];
    }
    if (divides) tame_division(&s, w, rm);
    fuzz_counts.executed++;
    const char *wrong = vstub_check(bytes, (unsigned)length, &insn, &s, address);
    if (wrong) fuzz_violation("O4", bytes, n, NULL, "%s: %s", row->name, wrong);
}

// One operand combination: all immediates' boundaries in turn, judged and run.
static void try_row(const struct vrow *row, unsigned k, bool w, unsigned reg, unsigned rm,
                    unsigned vvvv, const struct vmem *mem, bool lock, bool runnable) {
    uint8_t bytes[32] = {0};
    unsigned n = vrow_encode(row, k, w, reg, rm, vvvv, mem, lock, bytes), imm = imm_bytes(row->imm);
    static unsigned turn;
    for (unsigned i = 0; i < (imm ? 3u : 1u); i++) {
        if (i) put_immediate(bytes + n, imm, turn++);
        memset(bytes + n, 0, sizeof bytes - n);
        probe_try(bytes);
        if (runnable) run_row(row, bytes, n, w, rm, mem);
    }
}

// A field that the row does not use has one value only.
static void try_vvvv(const struct vrow *row, unsigned k, bool w) {
    uint8_t bytes[32] = {0};
    vrow_encode(row, k, w, 1, 2, 0, &(struct vmem){VMEM_BASE_INDEX, R15, RAX, 0, DISP}, false, bytes);
    for (unsigned v = 0; v < 15; v++) {
        uint8_t *field = bytes + (bytes[0] == 0xc5 ? 1 : 2);
        *field = (uint8_t)((*field & 0x87) | v << 3);
        probe_try(bytes);
    }
}

static void try_opcode(const struct vrow *row, unsigned k, bool w) {
    static const int32_t disps[] = {0,          1,  127, 128,  0x7ffffff0,
                                    0x7fffffff, -1, -16, -128, -(int32_t)SFI_CTX_MEM_PAGES};
    bool memory = row->form == 'M', lea = strcmp(row->rm, "LEA") == 0, lock = vrow_needs_lock(row);
    for (unsigned reg = 0; reg < 16; reg++) {
        for (unsigned rm = 0; rm < 16; rm++) {
            struct vmem mem = {VMEM_BASE_INDEX, lea ? (uint8_t)((reg + rm) % 16) : R15, (uint8_t)rm,
                               0, DISP};
            if (memory && rm == RSP) continue; // no index
            if (lea) mem.scale = (uint8_t)fuzz_below(4);
            bool runnable = reg != RSP && reg != R15 && rm != RSP && rm != R15 && mem.base != RSP;
            if (lea) runnable = runnable && mem.base != R15;
            unsigned vvvv = fuzz_below(15);
            if (vvvv == RSP) vvvv++;
            try_row(row, k, w, reg, rm, vvvv, &mem, lock, runnable);
            if (vrow_takes_lock(row) && !lock)
                try_row(row, k, w, reg, rm, vvvv, &mem, true, runnable);
        }
        for (unsigned i = 0; memory && i < sizeof disps / sizeof *disps; i++) {
            static const uint8_t bases[] = {R15, RSP, RAX};
            for (unsigned b = 0; b < 3; b++)
                try_row(row, k, w, reg, 0, 1, &(struct vmem){VMEM_BASE, bases[b], 0, 0, disps[i]},
                        lock, false);
            try_row(row, k, w, reg, 0, 1, &(struct vmem){VMEM_RIP, 0, 0, 0, disps[i] / 4 + 48},
                    lock, false);
            for (uint8_t scale = 0; scale < 4; scale++)
                try_row(row, k, w, reg, 0, 1,
                        &(struct vmem){VMEM_BASE_INDEX, R15, RAX, scale, disps[i]}, lock, false);
        }
    }
    if (row->map >= VROW_V1 && strcmp(row->vvvv, "NO") == 0) try_vvvv(row, k, w);
    for (unsigned r = 0; r < 16; r++) // rsp and r15 in vvvv too
        try_row(row, k, w, 1, 2, r, &(struct vmem){VMEM_BASE_INDEX, R15, RAX, 0, DISP}, lock, false);
}

static void item(uint64_t i) {
    struct vrow row = vrow_get(i % vrow_count);
    unsigned opcodes = row.form == 'P' ? 1 : row.n; // PLAIN rows have the register there
    for (unsigned k = 0; k < opcodes; k++) {
        if (row.w0) try_opcode(&row, k, false);
        if (row.w1) try_opcode(&row, k, true);
    }
}

int main(int argc, char **argv) {
    struct fuzz_campaign campaign = {"rows", vrow_count, false, setup, item};
    return fuzz_main(argc, argv, &campaign);
}
