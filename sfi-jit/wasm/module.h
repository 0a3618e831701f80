// module.h — a decoded and validated WebAssembly module, as the compiler and the loader see it.
//
// Made by wasm_parse() in one eager pass: structure (spec 5), then validation (spec 3) of everything, function bodies included.
// After it returned JIT_OK every index below is in range, every constant expression is well typed and every body is well
// formed, so that later code needs only asserts. All pointers point into the caller's arena or into `bytes`, which must stay unchanged.
// Language: WebAssembly 2.0, extended constant expressions, tail calls, threads' atomics and shared memories.
#ifndef WASM_MODULE_H
#define WASM_MODULE_H
#include "sfi-jit/arena.h"
#include <stdbool.h>

enum wasm_type { // spec 5.3: the binary format's own bytes
    WASM_I32 = 0x7f,
    WASM_I64 = 0x7e,
    WASM_F32 = 0x7d,
    WASM_F64 = 0x7c,
    WASM_V128 = 0x7b,
    WASM_FUNCREF = 0x70,
    WASM_EXTERNREF = 0x6f,
};
enum wasm_kind { WASM_FUNC, WASM_TABLE, WASM_MEMORY, WASM_GLOBAL };

struct wasm_functype {
    uint32_t params, results;
    const uint8_t *type; // [params + results], enum wasm_type
};
struct wasm_limits {
    uint32_t min, max; // pages or rows; max = UINT32_MAX when has_max is false
    bool has_max, shared;
};
struct wasm_name { // not terminated; checked to be UTF-8
    const char *text;
    uint32_t length;
};
struct wasm_constexpr {
    enum { WASM_CE_CONST, WASM_CE_GLOBAL, WASM_CE_REF_FUNC, WASM_CE_REF_NULL, WASM_CE_SUM } kind;
    uint8_t type;   // of the value
    uint64_t value; // constant's bits, or global/function index; SUM: its first operation
    uint64_t high;  // of a v128; SUM: how many operations
};
struct wasm_constop { // extended constants: one operation of a SUM, in postfix order
    enum { WASM_CO_CONST, WASM_CO_GLOBAL, WASM_CO_ADD, WASM_CO_SUB, WASM_CO_MUL } kind;
    bool is_32;     // ADD, SUB, MUL
    uint64_t value; // constant's bits, global
};
struct wasm_import {
    struct wasm_name module, name;
    enum wasm_kind kind;
    uint32_t index; // in its index space
};
struct wasm_export {
    struct wasm_name name;
    enum wasm_kind kind;
    uint32_t index;
};
struct wasm_func {
    uint32_t type;
    bool declared_ref;        // may be named by ref.func (spec 3.4.10: C.refs)
    uint32_t body, body_size; // defined functions: byte offset and size of locals + code in `bytes`
    uint32_t locals;          // params + declared locals
    struct wasm_name debug_name; // from the name section; length 0 if none
};
struct wasm_table {
    uint8_t elem_type;
    bool named; // by an instruction, other than an indirect call: only then can the module itself write it
    struct wasm_limits limits;
};
struct wasm_global {
    uint8_t type;
    bool is_mutable;
    struct wasm_constexpr init; // defined globals
};
struct wasm_elem {
    enum { WASM_ELEM_ACTIVE, WASM_ELEM_PASSIVE, WASM_ELEM_DECLARATIVE } mode;
    uint8_t type;
    uint32_t table;
    struct wasm_constexpr offset;
    uint32_t count;
    struct wasm_constexpr *init; // [count]
};
struct wasm_data {
    bool active;
    uint32_t memory;
    struct wasm_constexpr offset;
    uint32_t start, size; // in `bytes`
};
struct wasm_custom {
    struct wasm_name name;
    uint32_t start, size; // contents, in `bytes`
};

struct wasm_module {
    const uint8_t *bytes;
    uint32_t size;
    // Index spaces: imports first, then definitions (spec 2.5.1).
    uint32_t types, imports, exports, funcs, tables, memories, globals, elems, datas, customs;
    uint32_t imported_funcs, imported_tables, imported_memories, imported_globals;
    struct wasm_functype *type;
    struct wasm_import *import;
    struct wasm_export *export;
    struct wasm_func *func;
    struct wasm_table *table;
    struct wasm_limits *memory;
    struct wasm_global *global;
    struct wasm_elem *elem;
    struct wasm_data *data;
    struct wasm_custom *custom;
    struct wasm_constop *constop; // of all constant expressions
    uint32_t start;               // function index, UINT32_MAX if none
    struct wasm_name name;        // from the name section
};

// Limits, each with a named error: documented in docs/limits.md.
#define WASM_MAX_SIZE (64u << 20)
#define WASM_MAX_TYPES 1000000u
#define WASM_MAX_FUNCS 1000000u
#define WASM_MAX_IMPORTS 100000u
#define WASM_MAX_EXPORTS 100000u
#define WASM_MAX_GLOBALS 65536u      // SFI_GLOBALS_MAX
#define WASM_MAX_TABLES 64u          // SFI_TABLES_MAX
#define WASM_MAX_SEGMENTS 100000u    // of elements, of data
#define WASM_MAX_ELEM_INITS 4000000u // in all element segments together
#define WASM_MAX_PARAMS 1000u
#define WASM_MAX_RESULTS 1000u
#define WASM_MAX_LOCALS 50000u
#define WASM_MAX_ALL_LOCALS(size) \
    (1000000u + 16u * (size)) // of all functions, in a module of that many bytes
#define WASM_MAX_BODY 7654321u
#define WASM_MAX_CONST_STACK 256u // operands of a constant expression on the stack at once
#define WASM_MAX_NESTING 10000u   // blocks inside one another; kept on the heap, not on the stack

// Decodes and validates. Does not return on failure: a->host->fail() is called with a->error set.
struct wasm_module *wasm_parse(struct jit_arena *a, const uint8_t *bytes, size_t size);
// The export of that name and kind, or NULL.
const struct wasm_export *wasm_find_export(const struct wasm_module *m, const char *name,
                                           enum wasm_kind kind);
// The value of a SUM, whose globals' values are at cell[global].
uint64_t wasm_const_sum(const struct wasm_module *m, const struct wasm_constexpr *e,
                        uint64_t *const *cell);
bool wasm_functype_equal(const struct wasm_functype *a, const struct wasm_functype *b);
#endif
