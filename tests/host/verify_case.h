// verify_case.h — a module's code and side tables, written down as a line of text: what tests/verify/*.txt are made of.
//
//   4a            a byte                            d16:N d32:N d64:N   a number, little-endian
//   @NAME         a mark                            rel8:NAME rel32:NAME[+N|-N]   distance to a mark, from the field's end
//   L:REGS        a label here; REGS is "-", "all" (but rsp, r15), or rax,rcx,…
//   F:FRAME:WORDS a function begins at the next bundle (CC before it); WORDS of stack arguments; an earlier one ends first
//   end           the function ends                 pad  CC up to the bundle's end     npad  NOPs up to there
//   T:N:WORDS     N thunks (first of all)
//   data pool endpool   parts begin and end here    J:COUNT  a jump table begins here  ent:NAME  an entry of it
//   set:FIELD=N   a field of struct sfi_code, when all is built; func.I.FIELD, label.I.FIELD and table.I.FIELD too
//   raw           (first of all) the text declares its functions itself, even none; F: and T: say so too
//   clean=REGS frame=N words=N   without an F: the bytes become the body of a function with such a frame, behind a label
//                 with such a clean set, and ud2 follows them; "." at the end leaves the ud2 out
#ifndef TESTS_VERIFY_CASE_H
#define TESTS_VERIFY_CASE_H
#include "sfi-jit/sfi.h"

struct vcase {
    struct sfi_code code;
    uint32_t body;  // offset of the body, without an F
    uint8_t *bytes; // owned, exactly as long as the code, so that ASan sees every step outside
    uint32_t *thunk_sigs;
    struct sfi_func *func;
    struct sfi_label *label;
    struct sfi_jump_table *table;
};

// NULL if built, else what is wrong with the text.
const char *vcase_build(struct vcase *out, const char *text);
void vcase_free(struct vcase *c);
#endif
