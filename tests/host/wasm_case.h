// wasm_case.h — what tests of the compiler's front end need of a host: memory that is counted and can run out, a way back
// from jit_fail(), modules from text.
//
// wcase_try() runs a function and says how it ended; everything allocated stays until wcase_end(), which wants each chunk
// returned or still in the arena, so that a chunk given back twice is seen.
#ifndef TESTS_WASM_CASE_H
#define TESTS_WASM_CASE_H
#include "sfi-jit/ir/ir.h"
#include <setjmp.h>

struct wcase {
    struct jit_host host;
    struct jit_arena arena;
    jmp_buf unwind;
    size_t chunks;      // held by the arena
    size_t allocations; // so far
    size_t fail_at;     // this allocation (from 1) finds no memory; 0: none does
};

void wcase_begin(struct wcase *c);
void wcase_end(struct wcase *c);
// JIT_OK if fn came back, else the status it failed with; c->arena.error says more.
enum jit_status wcase_try(struct wcase *c, void (*fn)(struct wcase *c, void *arg), void *arg);

struct wbytes { // on the heap, exactly as long as it says, so that ASan sees every step outside
    uint8_t *bytes;
    size_t size;
};
struct wbytes wbytes_copy(const void *bytes, size_t size);
struct wbytes wbytes_hex(const char *hex);  // blanks are skipped; a bad digit ends the test
struct wbytes wbytes_wat(const char *path); // by wat2wasm, with names
struct wbytes wbytes_file(const char *path);

// The module in c->arena, parsed and its functions built and checked (also after splitting critical edges): NULL or what is wrong.
// Only to be called below wcase_try().
const char *wcase_build_all(struct wcase *c, const struct wbytes *module);
#endif
