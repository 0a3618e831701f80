// arena.h — the compiler's only allocator: bump allocation in chunks that the host gives.
//
// Nothing is freed singly. `jit_mark`/`jit_release` give back everything since a point (one function's IR, say). When the host
// has no more memory, or a limit is passed, jit_fail() is called and never returns: hosts unwind to the call of jit_compile()
// (longjmp hosted, a trap where the compiler itself is a sandboxed module). So allocation results need no checks.
// All memory is zeroed. One arena belongs to one compilation; different arenas may be used at once by different threads.
#ifndef JIT_ARENA_H
#define JIT_ARENA_H
#include <stddef.h>
#include <stdint.h>

struct jit_host { // what the library needs of its host
    void *ctx;
    void *(*alloc)(void *ctx, size_t bytes); // zeroed, 16-byte aligned, or NULL; the host frees all of it after the compilation
    void (*release)(void *ctx, void *chunk, size_t bytes); // may be NULL: chunks are then kept to the end
    _Noreturn void (*fail)(void *ctx);                     // unwind: the arena's error says why
};

enum jit_status {
    JIT_OK,
    JIT_ERR_MALFORMED, // not a WebAssembly binary (spec: 5, binary format)
    JIT_ERR_INVALID,   // does not validate (spec: 3, validation)
    JIT_ERR_LIMIT,     // beyond a documented limit
    JIT_ERR_UNSUPPORTED,
    JIT_ERR_MEMORY, // the host has no more
    JIT_ERR_INTERNAL,
};

struct jit_error {
    enum jit_status status;
    uint32_t offset;     // byte offset in the module
    uint32_t func;       // function index, UINT32_MAX if outside any
    const char *message; // static text, the specification suite's wording where it has one
};

struct jit_chunk;
struct jit_arena {
    const struct jit_host *host;
    struct jit_chunk *chunk; // newest; the rest behind it
    struct jit_chunk *spare; // the largest that jit_release() gave up, zeroed: the next function wants it again
    uint8_t *next, *end;
    size_t used, limit; // bytes; limit 0 = none
    struct jit_error error;
};
struct jit_mark {
    struct jit_chunk *chunk;
    uint8_t *next, *end;
    size_t used;
};

void jit_arena_init(struct jit_arena *a, const struct jit_host *host, size_t limit);
void *jit_alloc(struct jit_arena *a, size_t bytes); // zeroed, 16-byte aligned; does not return on failure
struct jit_mark jit_mark(struct jit_arena *a);
void jit_release(struct jit_arena *a, struct jit_mark mark);
_Noreturn void jit_fail(struct jit_arena *a, enum jit_status status, uint32_t offset, uint32_t func,
                        const char *message);
// Grows a vector in the arena: returns storage for `want` elements of `size` bytes, old contents kept. *cap is updated.
void *jit_grow_further(struct jit_arena *a, void *old, uint32_t *cap, uint32_t want, size_t size);
static inline void *jit_grow(struct jit_arena *a, void *old, uint32_t *cap, uint32_t want, size_t size) {
    return want <= *cap ? old : jit_grow_further(a, old, cap, want, size);
}

#define JIT_NEW(a, type) ((type *)jit_alloc((a), sizeof(type)))
#define JIT_ARRAY(a, type, n) ((type *)jit_alloc((a), sizeof(type) * (size_t)(n)))
#endif
