// platform.h — what the loader needs of its host: the kernel (sasos/run) or a Linux process (sfi-jit/host).
//
// Plain functions, so that no call of the runtime is indirect. Unless said otherwise they may be called from any context
// that may block, never from a trap handler, and never by two threads at once for the same slot or block.
//
// Code        One block holds an instance's code and the stubs made for it. Life: ldr_plat_code_alloc (readable and writable at
//             `rw`, filled with CC, not executable) → written, then verified there with nobody else able to write →
//             ldr_plat_code_seal (`rw` is gone, executable at `rx`) → ldr_plat_code_free, when no CPU is inside.
//             Every rx byte and every function of the host's image must be in rel32 reach (±2 GiB) of each other: thunks
//             call stubs and host functions directly.
// Slots       16 GiB aligned, as sfi-jit/sfi.h draws them; named by the window base (r15). Offsets are relative to it: [0, 4 GiB)
//             is the window, negative ones down to −SFI_TABLE_ENTRIES(0) context and tables. All page aligned.
// Stacks      Protected stacks, outside every slot, zeroed, with at least SFI_STACK_GUARD unmapped bytes below and above.
// Heap        Zeroed, 16-byte aligned.
#ifndef LDR_PLATFORM_H
#define LDR_PLATFORM_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ldr_instance;
struct ldr_memory;

#define LDR_STATUS_LIST(X)                    \
    X(OK, "ok")                               \
    X(NO_MEMORY, "out of memory")             \
    X(NO_SPACE, "out of slots or code space") \
    X(MALFORMED, "malformed module")          \
    X(INVALID, "module does not validate")    \
    X(LIMIT, "beyond a limit")                \
    X(UNSUPPORTED, "not supported")           \
    X(INTERNAL, "compiler error")             \
    X(REJECTED, "rejected by the verifier")   \
    X(UNLINKABLE, "cannot be linked")         \
    X(TRAPPED, "trapped")                     \
    X(DEAD, "instance is dead")               \
    X(ARGUMENT, "bad argument")
enum ldr_status {
#define X(name, text) LDR_##name,
    LDR_STATUS_LIST(X)
#undef X
        LDR_STATUSES,
};

// ---- Code ----
struct ldr_block {
    uint8_t *rw; // NULL once sealed
    uint64_t rx; // final address, 4 KiB aligned
    uint32_t size;
    uint64_t host; // the host's own mark
};
enum ldr_status ldr_plat_code_alloc(uint32_t size, struct ldr_block *out_block);
enum ldr_status ldr_plat_code_seal(struct ldr_block *block); // on failure still writable, may be freed
void ldr_plat_code_free(struct ldr_block *block);

// ---- Slots ----
enum ldr_map {
    LDR_MAP_WRITE = 1 << 0, // always set: the sandbox's own read-only words are fenced by the verifier
    LDR_MAP_SHARABLE = 1 << 1, // may be the source of ldr_plat_share()
};
enum ldr_status ldr_plat_slot_alloc(uint64_t *out_window);
void ldr_plat_slot_free(uint64_t window); // unmaps everything; nobody is inside any more
// Fresh zeroed pages. On failure nothing is mapped. Already mapped pages in the range are a panic.
enum ldr_status ldr_plat_map(uint64_t window, int64_t offset, uint64_t size, unsigned flags);
// The same pages as at another slot's offset, which must be mapped sharable and stay so while this mapping lives.
// LDR_UNSUPPORTED where the host links no memories or tables between instances.
enum ldr_status ldr_plat_share(uint64_t window, int64_t offset, uint64_t from_window,
                               int64_t from_offset, uint64_t size);
void ldr_plat_unmap(uint64_t window, int64_t offset, uint64_t size);

// ---- Stacks and heap ----
enum ldr_status ldr_plat_stack_alloc(uint32_t size, uint64_t *out_top);
void ldr_plat_stack_free(uint64_t top, uint32_t size);
void *ldr_plat_alloc(size_t size); // NULL when memory is out
void ldr_plat_free(void *p, size_t size);

// ---- Waiting ----
// The domain is occupied by another thread: sleeps until ldr_plat_wake() of it; may return early. A wake-up that came since the
// last return from ldr_plat_wait() is not lost: it makes the next call return at once. Called on the thread's C stack.
// One wake-up need wake one sleeper only. ldr_plat_wake() is called from trap handlers too.
void ldr_plat_wait(struct ldr_instance *inst);
void ldr_plat_wake(struct ldr_instance *inst);

// memory.atomic.wait and notify, of a shared memory that several instances, on several threads, may have. A place is a memory and an offset.
// Waits for at most `timeout` ns (negative: for ever) if the 4 or 8 bytes at `p` are `expected` still. 0: woken, 1: they are
// not, 2: the time is over. A host whose domains share no memory has nobody who could notify: it answers 1 or 2 at once.
uint32_t ldr_plat_wait_at(const struct ldr_memory *memory, uint64_t offset, const void *p,
                          unsigned bytes, uint64_t expected, int64_t timeout);
// Wakes at most `count` of those who wait there; returns how many.
uint32_t ldr_plat_notify(const struct ldr_memory *memory, uint64_t offset, uint32_t count);

// A trap has ended a domain, on whatever thread it was entered by. Any context, trap handlers too.
void ldr_plat_died(struct ldr_instance *inst);

// Returns when every trap handler that was running, on any CPU, at the time of the call has returned: what is in no list any more
// may then be freed.
void ldr_plat_sync(void);

// The runtime's own bug. Any context.
_Noreturn void ldr_plat_panic(const char *file, int line, const char *what);
#define LDR_ASSERT(x) ((x) ? (void)0 : ldr_plat_panic(__FILE__, __LINE__, #x))
#endif
