// loader.h — from WebAssembly bytes to a running domain: compile, verify, link, instantiate, call, and what happens at a trap.
//
// The same code runs in the kernel and in a Linux process; platform.h says what a host must give.
//
//   store     The unit of linking by reference: function references, imported memories, tables and mutable globals are of
//             one store. In the kernel every domain has a store of its own; the specification suite has one for all its modules.
//   code      A module, compiled: machine code as bytes (not executable), with the metadata that outlives the compiler. Shared
//             by its instances. Nothing in it is trusted.
//   instance  A slot, a verified and sealed block of code, globals, tables, memory. A dead one runs again only after ldr_reset().
//   thread    One activity: a protected stack for modules and a stack of records, one a crossing. Host threads own one each.
//
// The only way to executable memory is ldr_instantiate(), which has sfi_verify() accept the very bytes in the arena before they
// are sealed; there is no option that leaves it out.
//
// Death. A trap unwinds the thread to the innermost record that is a domain's border: of a crossing between domains, whose caller
// then sees LDR_E_DEAD as the result and goes on; or of ldr_call(), which returns LDR_TRAPPED. Within a store of policy LDR_STORE
// crossings are no borders: a trap ends the whole ldr_call(), and the instance may be called again (the specification's semantics).
//
// Concurrency: ldr_store_*, ldr_compile, ldr_instantiate, ldr_instance_free are called by one thread at a time (the
// host's lock). ldr_call may run on several threads; a domain (LDR_DOMAIN) is entered by one thread at a time, others wait.
#ifndef LDR_LOADER_H
#define LDR_LOADER_H
#include "loader/platform.h"
#include "sfi-jit/jit.h"
#include "sfi-jit/sfi.h"

struct ldr_store;
struct ldr_code;
struct ldr_instance;
struct ldr_thread;
struct ldr_memory;
struct ldr_table;
struct ldr_args;

#define LDR_E_DEAD (-111) // result of a call into a domain that died or is dead
#define LDR_NAME_MAX 64

struct ldr_error { // filled whenever a function that takes one does not return LDR_OK
    enum ldr_status status;
    uint32_t offset; // in the module, where it makes sense
    char text[200];  // one line, ends with 0; names what is wrong
};
const char *ldr_status_text(enum ldr_status s);
const char *ldr_trap_text(enum sfi_trap kind);

// ---- Stores ------------------------------------------------------------------------------------------------------------
enum ldr_policy {
    LDR_DOMAIN, // crossings are borders with a monitor; a trap kills the instance
    LDR_STORE, // crossings are plain calls; a trap ends the invocation only; memories, tables, globals may be imported
};
struct ldr_store *ldr_store_new(enum ldr_policy policy); // NULL: no memory
// Frees its instances too. False, and nothing happens: a thread is inside, or an instance of another store is linked to one.
bool ldr_store_free(struct ldr_store *store);

// ---- Compiling -----------------------------------------------------------------------------------------------------------
struct ldr_compile_options {
    size_t memory_limit; // bytes for the compiler, 0 = none
    const char *dump;    // as in struct jit_options
    uint32_t dump_func;
    jit_put *put;
    void *put_ctx;
    bool check;
    const uint8_t *cached; // what ldr_cache() once made of this module: taken instead of compiling; NULL: compile
    size_t cached_size;
};
// `options` may be NULL. The bytes may go away afterwards. The code holds one reference for the caller.
enum ldr_status ldr_compile(const uint8_t *bytes, size_t size,
                            const struct ldr_compile_options *options, struct ldr_code **out_code,
                            struct ldr_error *out_error);
// Compiles and writes what comes out of it, for options.cached on whatever machine: as little trusted there as a compiler is here. The
// result is allocated by ldr_plat_alloc(). cache.c says what is in it.
enum ldr_status ldr_cache(const uint8_t *bytes, size_t size, uint8_t **out_cache, size_t *out_size,
                          struct ldr_error *out_error);
// Decoding and validation alone, as the first half of the above.
enum ldr_status ldr_validate(const uint8_t *bytes, size_t size, struct ldr_error *out_error);
void ldr_code_hold(struct ldr_code *code);
void ldr_code_release(struct ldr_code *code);
const struct wasm_module *ldr_code_module(const struct ldr_code *code); // its metadata; bodies and customs too
const struct jit_code *ldr_code_jit(const struct ldr_code *code); // for tools that print it
// Time-stamp counts that decoding with validation and compiling took.
void ldr_code_cycles(const struct ldr_code *code, uint64_t *out_parse, uint64_t *out_compile);
// Contents of a custom section, NULL if there is none; not terminated.
const char *ldr_code_custom(const struct ldr_code *code, const char *name, uint32_t *out_size);

// ---- Host functions ------------------------------------------------------------------------------------------------------
// Called on the thread's C stack, with the caller's instance. The value is the first result (floating point as its bits);
// an i32 result may have anything above. May end the caller: ldr_trap(). Arguments that did not fit the registers (of the seventh integer on)
// lie where results do: they are read before a result is set and before the module is called back.
typedef int64_t ldr_host_fn(struct ldr_instance *inst, const struct ldr_args *args);
struct ldr_hostfunc {
    const char *module, *name;
    // "iIfFvre:i": i32 i64 f32 f64 v128 funcref externref, results (no v128) behind the colon. "*": whatever the import's
    // type is, with at most one result.
    const char *type;
    ldr_host_fn *fn;
    void *ctx;
};
struct ldr_link { // a host function as bound to one import
    const struct ldr_hostfunc *func;
    const struct wasm_functype *type;
    uint32_t params;
    const uint16_t *place; // of each parameter, as jit_arg_place(); NULL: all in integer registers
};
struct ldr_args { // the host looks at none of it
    uint64_t reg[SFI_INT_ARGS];
    uint64_t fp[SFI_FP_ARGS][2]; // with link->place only
    const uint64_t (*others)[2]; // in the caller's result area
    const struct ldr_link *link;
    uint64_t rsp, unused;
};
uint64_t ldr_arg_at_place(const struct ldr_args *args, unsigned i);
static inline uint64_t ldr_arg(const struct ldr_args *args,
                               unsigned i) { // raw bits; upper half of an i32 undefined
    const struct ldr_link *l = args->link;
    return !l->place && i < l->params ? args->reg[i] : ldr_arg_at_place(args, i);
}
static inline uint32_t ldr_arg32(const struct ldr_args *args, unsigned i) {
    return (uint32_t)ldr_arg(args, i);
}
void ldr_arg_v128(const struct ldr_args *args, unsigned i, uint64_t out[2]);
void *ldr_arg_ctx(const struct ldr_args *args); // the hostfunc's ctx
void ldr_set_result(struct ldr_instance *inst, const struct ldr_args *args, unsigned i,
                    uint64_t bits); // i ≥ 1
_Noreturn void ldr_trap(struct ldr_instance *inst, enum sfi_trap kind);
// The instance's memory [at, at + size), or NULL if any of it is outside. A host that reads a byte twice may see two values.
void *ldr_memory_at(struct ldr_instance *inst, uint32_t at, uint64_t size);
// Pages that the host has mapped above the memory, at SFI_DMA_BASE or higher, count as memory from now on: for ldr_memory_at(), and so
// for host functions and bulk operations, as they do for loads and stores. In rising order, and as long as the instance lives; false
// when there are too many separate pieces.
bool ldr_memory_extend(struct ldr_instance *inst, uint32_t at, uint32_t size);
// What the host has unmapped again: everything from `at` on.
void ldr_memory_retract(struct ldr_instance *inst, uint32_t at);

// ---- Linking ---------------------------------------------------------------------------------------------------------------
struct ldr_extern {
    enum {
        LDR_EXT_NONE,
        LDR_EXT_HOST,
        LDR_EXT_FUNC,
        LDR_EXT_TABLE,
        LDR_EXT_MEMORY,
        LDR_EXT_GLOBAL,
        LDR_EXT_CONST
    } kind;
    const struct ldr_hostfunc *host; // HOST
    struct ldr_instance *instance; // FUNC, TABLE, MEMORY, GLOBAL: `index` in that instance's space
    uint32_t index;
    uint8_t type;         // CONST: an immutable global's value
    uint64_t value, high; // high: of a v128
};
// What an instance exports under that name; kind LDR_EXT_NONE if nothing.
struct ldr_extern ldr_export(struct ldr_instance *inst, const char *name, uint32_t length);
struct ldr_imports {
    void *ctx;
    // Returns false (or kind NONE) if there is nothing of that name. Types are checked by the loader.
    bool (*resolve)(void *ctx, const struct wasm_import *import, struct ldr_extern *out);
};
struct ldr_limits {        // NULL where they are asked for: what the address space allows
    uint32_t memory_pages; // of 64 KiB, for the memory that it defines
    uint32_t table_rows;   // per table; 0: SFI_TABLE_ROWS
};

// ---- Instances -----------------------------------------------------------------------------------------------------------------
// Checks everything, then commits. Table and data segments are applied; the start function is not run (ldr_start). On failure
// nothing is left, except in a LDR_STORE store after LDR_TRAPPED by a segment: what earlier segments wrote stays, as
// the specification has it, and the instance lives unnamed until the store is freed.
enum ldr_status ldr_instantiate(struct ldr_store *store, struct ldr_code *code, const char *name,
                                const struct ldr_imports *imports, const struct ldr_limits *limits,
                                void *user, struct ldr_instance **out_inst,
                                struct ldr_error *out_error);
// Frees slot, code and bookkeeping. Refused (false) while a thread is inside or another instance is linked to it.
bool ldr_instance_free(struct ldr_instance *inst);
// Marks it dead: threads inside are stopped when they next return into it or are caught by ldr_interrupt(); entering gives
// LDR_DEAD or LDR_E_DEAD. Any context.
void ldr_kill(struct ldr_instance *inst, enum sfi_trap kind);
bool ldr_is_dead(const struct ldr_instance *inst);
void *ldr_user(const struct ldr_instance *inst);
const char *ldr_name(const struct ldr_instance *inst);
uint64_t ldr_window(const struct ldr_instance *inst);
struct ldr_code *ldr_instance_code(const struct ldr_instance *inst);
uint32_t ldr_memory_pages(const struct ldr_instance *inst);
uint64_t ldr_verify_cycles(const struct ldr_instance *inst); // time-stamp counts

// ---- The next life of a dead instance, in place: reset.c ----
// Takes its monitor for the thread, which is inside nothing: returns when no thread is inside, and none comes in until ldr_release(); the
// thread's own ldr_call()s do.
void ldr_hold(struct ldr_instance *inst, struct ldr_thread *thread);
void ldr_release(struct ldr_instance *inst, struct ldr_thread *thread);
// Makes it what ldr_instantiate() had made, but dead still. Other instances' imports from it stay good. Refused (false) unless it is dead
// and held by that thread, with nobody inside. Domains only. What the host had mapped with ldr_memory_extend() is not touched.
bool ldr_reset(struct ldr_instance *inst, struct ldr_thread *thread);
// It may be entered again. Held, after ldr_reset().
void ldr_revive(struct ldr_instance *inst, struct ldr_thread *thread);

// ---- Threads and calls -----------------------------------------------------------------------------------------------------------
struct ldr_thread *ldr_thread_new(uint32_t stack_size); // NULL: no memory
void ldr_thread_free(struct ldr_thread *thread);        // not inside any instance
// The lowest address that C code called by modules on this thread may still use; call at least once, on the thread.
void ldr_thread_set_c_limit(struct ldr_thread *thread, uint64_t lowest);
void ldr_thread_set_host(struct ldr_thread *thread, void *host);
void *ldr_thread_host(const struct ldr_thread *thread);
struct ldr_thread *ldr_current(const struct ldr_instance *inst); // the thread that is inside
// The instance whose code runs at this moment on the thread, NULL if none.
struct ldr_instance *ldr_thread_instance(const struct ldr_thread *thread);

// For a host function: the instance whose call brought the thread into `inst`, which is running on it. NULL: the host called.
struct ldr_instance *ldr_caller(const struct ldr_instance *inst);
// Some instance that the thread is inside is dead: what it waits for is not wanted any more.
bool ldr_thread_doomed(const struct ldr_thread *thread);
// True once for each time that the thread came into the innermost domain from another one. From the tick, on the thread's CPU.
bool ldr_thread_entered(struct ldr_thread *thread);

struct ldr_trap_info {
    enum sfi_trap kind;
    char module[LDR_NAME_MAX];
    char function[LDR_NAME_MAX]; // from the name section; else an export's; else "func[N]"
    uint32_t func_index;         // UINT32_MAX if unknown
    uint32_t wasm_offset;        // 0 if unknown
    bool has_address;            // MEMORY: which address
    uint64_t address;            // wasm address (offset from the window base)
};
// One line, always terminated. Returns the length.
size_t ldr_trap_format(const struct ldr_trap_info *info, char *buffer, size_t size);
// Of the instance's latest trap.
const struct ldr_trap_info *ldr_last_trap(const struct ldr_instance *inst);

// Function index by export name; false if there is no such function.
bool ldr_find_func(struct ldr_instance *inst, const char *name, uint32_t *out_index);
const struct wasm_functype *ldr_func_type(const struct ldr_instance *inst, uint32_t index);
// Calls function `index`. args and results are raw bits, as many as the type says, a v128 being two, low half first. LDR_TRAPPED: out_info (may be NULL) says why.
// LDR_DEAD: the instance was dead already. Nests: a host function may call back.
enum ldr_status ldr_call(struct ldr_thread *thread, struct ldr_instance *inst, uint32_t index,
                         const uint64_t *args, uint64_t *results, struct ldr_trap_info *out_info);
// Runs the start function if there is one.
enum ldr_status ldr_start(struct ldr_thread *thread, struct ldr_instance *inst,
                          struct ldr_trap_info *out_info);
// A v128 fills two words.
bool ldr_global_value(struct ldr_instance *inst, uint32_t index, uint8_t *out_type, uint64_t *out_bits);

// ---- Faults: called by the host's handlers ------------------------------------------------------------------------------------------
struct ldr_machine { // of the interrupted code; changed when the answer is true
    uint64_t rip, rsp, rax, rdi, rsi, r15;
};
enum ldr_fault { LDR_FAULT_PAGE, LDR_FAULT_INVALID_OPCODE, LDR_FAULT_DIVIDE };
// True: it was a domain's trap, and the machine now goes on at the unwinding. False: the fault is no module's. The
// host stops loudly. Allocates nothing, takes no lock; for trap handlers.
bool ldr_fault(struct ldr_machine *m, enum ldr_fault fault, uint64_t address);
// From the tick: if rip is in code of a module that must stop (ldr_kill, or `kind` ≠ SFI_TRAP_NONE: now), redirects it. False:
// not in module code at this moment; try again at the next tick.
bool ldr_interrupt(struct ldr_machine *m, enum sfi_trap kind);
// The instance whose verified code contains rip, NULL if none. Any context.
struct ldr_instance *ldr_instance_at(uint64_t rip);
#endif
