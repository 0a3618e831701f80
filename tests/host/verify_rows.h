// verify_rows.h — the verifier's allow-list seen from outside: its rows as data, and an encoder for them.
//
// The tests read insns.def through this, not through the verifier's decoder: what the encoder makes of a row is what an
// assembler would, so that a decoder which misreads its own table is found out.
#ifndef TESTS_VERIFY_ROWS_H
#define TESTS_VERIFY_ROWS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum vrow_map { VROW_1, VROW_0F, VROW_V1, VROW_V2, VROW_V3 };

struct vrow {
    const char *name;
    enum vrow_map map;
    uint8_t pp;                                // 0, 66: 1, F3: 2, F2: 3
    uint8_t op, n;                             // opcodes op … op+n−1
    int digit;                                 // −1: the reg field is an operand, or 000
    bool w0, w1;                               // which W it takes
    char form;                                 // 'P' no ModRM, 'R' register, 'M' memory
    const char *reg, *rm, *vvvv, *imm, *flags; // as spelled in insns.def
};

extern const size_t vrow_count;
struct vrow vrow_get(size_t i); // i < vrow_count

enum vmem_kind { VMEM_BASE_INDEX, VMEM_BASE, VMEM_RIP };
struct vmem {
    enum vmem_kind kind;
    uint8_t base, index, scale;
    int32_t disp;
};

// Bytes of memory that the row accesses with this W (0: none), and whether it reads or writes them.
unsigned vrow_width(const struct vrow *row, bool w, bool *out_reads, bool *out_writes);
// Whether the row must have, or may have, a lock prefix.
bool vrow_needs_lock(const struct vrow *row);
bool vrow_takes_lock(const struct vrow *row);

// Canonical bytes of a row with these registers (unused ones are ignored); `k` selects the opcode, `mem` is for 'M'.
// Returns the length.
unsigned vrow_encode(const struct vrow *row, unsigned k, bool w, unsigned reg, unsigned rm,
                     unsigned vvvv, const struct vmem *mem, bool lock, uint8_t out[16]);
#endif
