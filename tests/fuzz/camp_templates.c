// templates — all single edits of everything that the verifier takes as a unit, or proves by what precedes it (generator
// G4): each byte replaced by all others, each byte inserted and deleted at each place, prefixes and foreign instructions
// between the members, a label and a branch to every offset, one number of the side tables off by one; then random pairs
// of edits without end. What is accepted must satisfy the policy (O2) and behave (O3).
#include "sfi-jit/host/verify.h"
#include "tests/fuzz/exec.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/judge.h"
#include "tests/host/verify_case.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CALL_INDIRECT(sig)                                \
    "25 d32:0xfffff 41 81 bc 87 d32:-0x5f800000 d32:" sig \
    " 0f 85 rel32:x 41 ff 94 c7 d32:-0x60000000 90 "
#define TAIL_INDIRECT(sig, leave)                                                 \
    "25 d32:0xfffff 41 81 bc 87 d32:-0x5f800000 d32:" sig " 0f 85 rel32:x " leave \
    "41 ff a4 c7 d32:-0x60000000 cc "
#define JUMP_TABLE \
    "41 bb d32:1 44 39 d8 41 0f 47 c3 4c 8d 1d rel32:t 49 63 04 83 4c 01 d8 ff e0 cc pad "

// In the language of verify_case.h; edits go to the first function's first two bundles behind its frame.
static const char *const templates[] = {
    ("F:0:0 " CALL_INDIRECT("0x1000") "0f 0b pad L:- @x 0f 0b"),
    ("F:16:0 48 83 ec 10 npad " CALL_INDIRECT("0x2002") "48 83 c4 10 c3 cc pad L:rax @x 0f 0b"),
    ("F:0:0 89 c9 npad " CALL_INDIRECT("0x1000") "c3 cc pad L:rax,rcx @x 41 8b 04 0f c3 cc"),
    ("F:0:0 " TAIL_INDIRECT("0x1000", "") "L:- @x 0f 0b"),
    ("F:16:1 48 83 ec 10 0f 1f 44 00 00 " TAIL_INDIRECT("0x1001",
                                                        "48 83 c4 10 ") "pad L:rax @x 0f 0b"),
    ("F:0:0 " JUMP_TABLE "L:- @a 0f 0b pad L:- @b c3 cc data pad @t J:2 ent:a ent:b"),
    ("F:0:0 89 c9 npad " JUMP_TABLE "L:rcx @a 41 8b 04 0f c3 cc data pad @t J:2 ent:a ent:a"),
    "F:16:1 48 83 ec 10 48 89 04 24 48 8b 44 24 18 48 83 c4 10 c3 cc", // the frame and an argument
    "F:128:0 48 81 ec 80 00 00 00 89 44 24 7c c5 f8 11 44 24 70 48 81 c4 80 00 00 00 c3 cc",
    "F:8:0 48 83 ec 08 48 83 c4 08 e9 rel32:g F:0:0 @g c3 cc", // tail call
    "F:8:1 48 83 ec 08 48 83 c4 08 e9 rel32:g F:0:1 @g 48 8b 44 24 08 c3 cc",
    "F:0:0 c3 cc",
    "F:0:0 89 c9 41 8b 04 0f c3 cc",                // M1
    "F:0:0 89 c9 41 89 84 0f d32:0x7fffffff c3 cc", // its largest displacement
    "F:0:0 89 c9 c4 c1 78 10 04 0f c4 c1 78 11 44 0f 10 c3 cc",
    "F:0:0 89 c9 f0 41 0f c1 04 0f 41 87 04 0f f0 41 0f b1 04 0f c3 cc", // atomics
    "F:0:0 41 8b 87 d32:-0x1000 49 89 87 d32:-0x100000 41 8b 87 d32:-0x105000 41 8b 87 "
    "d32:-0x104f00 "
    "c3 cc", // M3
    "F:0:0 c5 fa 10 05 rel32:p c5 f8 10 05 rel32:p c3 cc pad data pool @p d64:0 d64:0 endpool", // M4
    "F:0:0 89 c9 eb rel8:x pad L:rcx @x 41 8b 04 0f c3 cc", // a clean set
    "F:0:0 89 c9 74 rel8:x 89 c9 0f 8f rel32:x 0f 0b pad L:rcx @x 41 8b 04 0f c3 cc",
    "T:2:1 @t F:16:0 48 83 ec 10 e8 rel32:t-64 e8 rel32:t-32 89 c0 41 8b 04 07 48 83 c4 10 c3 cc", // calls
    "F:16:0 48 83 ec 10 e8 rel32:g 48 83 c4 10 c3 cc F:0:2 @g 48 8b 44 24 10 c3 cc",
    "F:0:0 48 8d 44 8b 08 89 c0 41 8b 04 07 c3 cc",       // lea is free, its result is not
    "F:0:0 0f 44 c8 41 8b 04 0f d3 e2 41 8b 04 17 c3 cc", // cmov and a shift by cl clear
    "F:0:0 f3 0f bc c8 41 8b 04 0f c5 f9 7e c2 41 8b 04 17 c3 cc",
    "F:0:0 99 f7 f9 41 8b 04 17 41 8b 04 07 0f 0b",
    "F:0:0 90 66 90 0f 1f 00 0f 1f 40 00 0f 1f 44 00 00 66 0f 1f 44 00 00 c3 cc", // NOPs
};
enum { TEMPLATES = sizeof templates / sizeof *templates, SPAN = 64 };

static const char *const foreign[] = {
    "\x90",
    "\x66\x90",
    "\x89\xc0",
    "\x89\xc9",
    "\x41\x89\xc3",
    "\x48\x89\xc8",
    "\x48\x89\xc1",
    "\x49\x89\xc3",
    "\x0f\x0b",
    "\xcc",
    "\xc3",
    "\x01\xc8",
    "\x48\x01\xc8",
    "\x0f\xa2",
    "\x0f\x05",
    "\xf4",
    "\xfa",
    "\xfc",
    "\x9d",
    "\x50",
    "\x5c",
    "\x54",
    "\x4c\x89\xfc",
    "\x49\x89\xe7",
    "\x87\xc0",
    "\x0f\xbc\xc8",
    "\x48\x63\xc8",
    "\xb1\x01",
    "\x66\x89\xc8",
    "\x0f\x94\xc1",
    "\x31\xc0",
    "\x29\xc9",
    "\x67\x90",
    "\x64\x90",
    "\xf0\x90",
    "\x48\x98",
    "\x41\xff\xe3",
    "\xff\xe0",
    "\xff\xd0",
    "\x48\xff\xe0",
    "\x0f\x01\xf8",
    "\x0f\x22\xd8",
    "\x8e\xd0",
    "\xa4",
    "\xec",
    "\x0f\x30",
    "\x48\x83\xc4\x10",
    "\x48\x83\xec\x10",
    "\xeb\xfe",
    "\x74\xfe",
    "\x41\x8b\x04\x0f",
    "\x41\x8b\x04\x8f",
};
enum { FOREIGN = sizeof foreign / sizeof *foreign };
static const uint8_t prefixes[] = {0x66, 0xf2, 0xf3, 0xf0, 0x67, 0x26, 0x2e, 0x36, 0x3e, 0x64,
                                   0x65, 0x40, 0x41, 0x42, 0x44, 0x48, 0x49, 0x4a, 0x4c, 0x4f};
enum { PREFIXES = sizeof prefixes };

enum { REPLACE, INSERT, DELETE, PREFIX, BETWEEN, LABEL, NUMBER, KINDS };
static const unsigned choices[KINDS] = {256, 256, 1, PREFIXES *PREFIXES, FOREIGN, 4, 48};

// Puts n bytes in, and moves the rest of the template on.
static void insert(uint8_t *code, uint32_t size, uint32_t at, const void *bytes, uint32_t n) {
    uint32_t end = (at / 32 + 1) * 32; // the following bundle stays where it is
    if (end > size) end = size;
    if (at + n > end) n = end - at;
    memmove(code + at + n, code + at, end - at - n);
    memcpy(code + at, bytes, n);
}

static void edit(struct vcase *c, unsigned kind, uint32_t at, unsigned choice) {
    uint8_t *bytes = c->bytes;
    uint32_t size = c->code.size;
    if (at >= size) at %= size;
    switch (kind) {
    case REPLACE: bytes[at] = (uint8_t)choice; break;
    case INSERT: insert(bytes, size, at, &(uint8_t){(uint8_t)choice}, 1); break;
    case DELETE: {
        uint32_t end = (at / 32 + 1) * 32;
        if (end > size) end = size;
        memmove(bytes + at, bytes + at + 1, end - at - 1);
        break;
    }
    case PREFIX:
        insert(bytes, size, at,
               (uint8_t[]){prefixes[choice / PREFIXES], prefixes[choice % PREFIXES]}, 2);
        break;
    case BETWEEN:
        insert(bytes, size, at, foreign[choice], (uint32_t)strlen(foreign[choice]));
        break;
    case LABEL: // the first label comes here, with and without a clean set
        if (!c->code.labels) break;
        c->label[0].offset = at;
        if (choice & 1) c->label[0].clean ^= 1u << 1;
        if (choice & 2 && at + 2 < size) bytes[at] = 0xeb;
        break;
    case NUMBER: {
        uint32_t *words[] = {&c->func[0].size,
                             &c->func[0].frame,
                             &c->func[0].sig,
                             &c->func[0].start,
                             &c->code.data,
                             &c->code.pool,
                             &c->code.pool_size,
                             &c->code.thunks,
                             c->code.labels ? &c->label[0].clean : NULL,
                             c->code.jump_tables ? &c->table[0].offset : NULL,
                             c->code.jump_tables ? &c->table[0].count : NULL,
                             c->code.thunks ? c->thunk_sigs : NULL};
        static const uint32_t deltas[] = {1, -1u, 8, -8u};
        if (words[choice / 4] == &c->code.thunks && deltas[choice % 4] < 100)
            break; // thunk_sigs has its length
        if (words[choice / 4]) *words[choice / 4] += deltas[choice % 4];
    }
    }
}

static struct vcase build(unsigned t) {
    struct vcase c;
    const char *error = vcase_build(&c, templates[t]);
    if (!error) return c;
    fprintf(stderr, "template %u: %s\n", t, error);
    abort();
}

// All choices of one kind at one place of one template.
static void single(unsigned t, unsigned kind, uint32_t at) {
    for (unsigned choice = 0; choice < choices[kind]; choice++) {
        struct vcase c = build(t);
        edit(&c, kind, at + c.code.thunks * SFI_THUNK_SIZE, choice);
        judge_block(&c.code, 4);
        vcase_free(&c);
    }
}

static void pair(void) {
    for (unsigned n = 0; n < 256; n++) {
        struct vcase c = build(fuzz_below(TEMPLATES));
        for (unsigned k = 0; k < 2; k++) {
            unsigned kind = fuzz_below(KINDS);
            edit(&c, kind, fuzz_below(SPAN) + c.code.thunks * SFI_THUNK_SIZE,
                 fuzz_below(choices[kind]));
        }
        judge_block(&c.code, 4);
        vcase_free(&c);
    }
}

static void item(uint64_t i) {
    enum { SINGLES = TEMPLATES * KINDS * SPAN };
    if (i < SINGLES)
        single(i % TEMPLATES, i / TEMPLATES % KINDS, (uint32_t)(i / TEMPLATES / KINDS));
    else
        pair();
}

// As they stand they are accepted, else nothing here would mean much.
static void setup(void) {
    exec_setup();
    for (unsigned t = 0; t < TEMPLATES; t++) {
        struct vcase c = build(t);
        struct sfi_rejection why;
        if (host_verify(&c.code, &why) != SFI_ACCEPTED) {
            fprintf(stderr, "template %u: %s at 0x%x\n", t, sfi_rule_name(why.rule), why.offset);
            exit(2);
        }
        vcase_free(&c);
    }
}

int main(int argc, char **argv) {
    static const struct fuzz_campaign campaign = {"templates", 0, true, setup, item};
    return fuzz_main(argc, argv, &campaign);
}
