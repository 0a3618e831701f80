// private.h — the loader's own structures. Hosts and modules see loader.h only.
//
// Who may touch what: ldr_private and ldr_record also by cross.S (offsets in cross.h, asserted in offsets.c); `stop` and
// `owner` by several threads at once, through atomics; an instance's tables, memory and globals only by the thread inside it.
#ifndef LDR_PRIVATE_H
#define LDR_PRIVATE_H
#include "loader/cross.h"
#include "loader/loader.h"
#include "sfi-jit/lib.h"

#define LDR_RECORDS 512u      // crossings inside one another on one thread
#define LDR_STACK_SLACK 4096u // what entering may use of a module stack
#define LDR_PAGE 4096u
#define LDR_WASM_PAGE 65536u

// The page at r15 − SFI_CTX_PRIVATE: what stubs find from r15 alone. No accepted instruction reaches it.
struct ldr_private {
    struct ldr_thread *thread; // that is inside
    struct ldr_instance *instance;
    uint64_t owner;                  // the monitor: thread that is inside, bit 0: somebody waits
    uint32_t stop;                   // enum sfi_trap: must not run any more
    uint64_t extent_at, extent_size; // the largest of extent[], where bulk.S finds it
};

struct ldr_record { // one border that a thread has crossed and will come back over
    uint64_t rsp;   // ENTER: C stack; else the caller's, its return address popped
    uint64_t ret;   // where the caller goes on
    uint64_t rbx, rbp, r12, r13, r14, r15;
    struct ldr_instance *inst; // that was entered
    uint32_t kind;             // LDR_KIND_*
    uint32_t unused;
    uint64_t csp, msp; // ENTER: the thread's before
};

static inline bool ldr_has_monitor(const struct ldr_record *r) {
    return r->kind == LDR_KIND_DOMAIN || r->kind == LDR_KIND_SEEN;
}

struct ldr_thread {
    struct ldr_record *top, *end; // next free record, end of them
    uint64_t csp;     // where C called by modules has its stack: below the frame of ldr_enter
    uint64_t c_limit; // csp may not get below this
    uint64_t msp;     // where the module stack ends while C runs
    uint64_t stack_top, stack_bottom;
    uint32_t stack_size;
    void *host;
    struct ldr_trap_info trap; // the latest that reached a border
    struct ldr_record record[LDR_RECORDS];
};

struct ldr_entry {
    uint64_t reg[SFI_INT_ARGS];
    uint64_t fp[SFI_FP_ARGS][2];
    uint64_t rax, xmm0[2];
    uint32_t vectors; // fp is meant; else the vector registers are cleared
};

struct ldr_func { // what a function reference names: a handle is 1 + its index in the store
    struct ldr_instance *inst;
    uint32_t index; // defined in inst, or imported from the host by inst
    uint32_t sig;
    uint64_t entry; // for callers in inst
    uint64_t stub;  // for all others, 0 if there is none
};

struct ldr_mapping { // who has a memory or table in its slot
    struct ldr_instance *inst;
    uint32_t index;
};

struct ldr_memory {
    uint32_t pages, max; // of 64 KiB; max: declared and granted
    bool has_max;        // declared
    bool shared;         // likewise
    uint32_t declared_max;
    uint32_t mappings, room;
    struct ldr_mapping *mapping; // [0] is the owner
};

struct ldr_table {
    uint8_t type;
    uint32_t length, max; // max: granted
    bool has_max;
    uint32_t declared_max;
    uint32_t mapped; // rows that have pages
    bool shared;     // other instances have it: rows hold stubs
    uint32_t mappings, room;
    struct ldr_mapping *mapping; // [0] is the owner
};

struct ldr_code {
    uint32_t uses;
    uint8_t *bytes; // the module
    size_t bytes_size;
    struct wasm_module *module; // in `parse`
    struct ldr_pile *parse;
    struct jit_code jit; // copies, in one allocation
    void *copies;
    size_t copies_size;
    uint32_t *type_sig; // [types] canonical ids, in copies
    uint64_t cycles_parse, cycles_compile;
};

struct ldr_store {
    enum ldr_policy policy;
    struct ldr_instance *instances;
    struct ldr_func *func;
    uint32_t funcs, room;
};

#define LDR_EXTENTS_MAX 24

struct ldr_instance {
    struct ldr_instance *next;       // of all; read by fault handlers
    struct ldr_instance *store_next; // of the store
    struct ldr_store *store;
    struct ldr_code *code;
    const struct wasm_module *m;
    void *user;
    char name[LDR_NAME_MAX];
    uint64_t window;
    struct ldr_private *priv;
    struct ldr_block block; // [verified code | crossing stubs]
    uint32_t links;         // imports of others that lead here
    bool linked;            // its own imports are counted there
    uint64_t cycles_verify;
    struct ldr_trap_info trap;

    struct ldr_extern *from;   // [imports] what they are bound to
    struct ldr_link **link;    // [imported functions] host functions only
    uint64_t *stub;            // [functions] crossing stub, 0 if none
    uint32_t *import_of;       // [imported functions] index into `from`
    uint32_t *ref;             // [functions] handle, 0 if none yet
    uint64_t **cell;           // [globals] 16 bytes each
    struct ldr_table **table;  // [tables]
    struct ldr_memory *memory; // NULL if none
    uint8_t *elem_dropped, *data_dropped;
    struct {
        uint32_t at, size;
    } extent[LDR_EXTENTS_MAX]; // ldr_memory_extend(): sorted, not adjacent
    uint32_t extents;
    void *arrays; // all of the above in one allocation
    size_t arrays_size;
};

// sig.c
uint32_t ldr_sig_id(const struct wasm_functype *type); // 0: no memory, or too many types
// text.c
struct ldr_text {
    char *at, *end; // one byte is kept for the 0
};
void ldr_text_init(struct ldr_text *t, char *buffer, size_t size);
void ldr_text_str(struct ldr_text *t, const char *s);
void ldr_text_name(struct ldr_text *t, const char *s, uint32_t length); // bytes outside of ASCII as '?'
void ldr_text_dec(struct ldr_text *t, uint64_t v);
void ldr_text_hex(struct ldr_text *t, uint64_t v);
enum ldr_status ldr_error(struct ldr_error *e, enum ldr_status status, uint32_t offset,
                          const char *text);
void ldr_name_copy(char *dst, const char *src, uint32_t length); // LDR_NAME_MAX bytes
bool ldr_str_eq(const char *a, const char *b, uint32_t b_length);
// code.c
struct ldr_jump {
    uint64_t rsp;
};
int ldr_protect(struct ldr_jump *j, void (*fn)(void *), void *arg);
_Noreturn void ldr_jump(struct ldr_jump *j);
// cache.c
uint32_t ldr_cache_sig_id(void *module, const struct wasm_functype *type);
enum ldr_status ldr_cache_write(const uint8_t *module, size_t module_size, const struct jit_code *j,
                                uint8_t **out_cache, size_t *out_size, struct ldr_error *e);
// NULL, or a sentence that says what is wrong with it. type_sig: [types] the system's ids.
const char *ldr_cache_read(struct jit_arena *a, const struct wasm_module *m, const uint32_t *type_sig,
                           const uint8_t *cache, size_t size, struct jit_code *out);
// stub.c
uint32_t ldr_stub_size(const struct ldr_instance *inst, uint32_t func);
uint32_t ldr_stub_make(struct ldr_instance *inst, uint32_t func,
                       uint32_t at); // in the block; returns its size
void ldr_thunks_make(struct ldr_instance *inst);
bool ldr_thunk_reaches(const struct ldr_block *block, uint64_t target);
const struct ldr_link *ldr_builtin_link(unsigned builtin);
int64_t ldr_builtin_copy(struct ldr_instance *inst, const struct ldr_args *a);
int64_t ldr_builtin_fill(struct ldr_instance *inst, const struct ldr_args *a);
extern const struct ldr_hostfunc ldr_builtins[SFI_BUILTINS_USED];
// store.c
uint32_t ldr_ref(struct ldr_instance *inst, uint32_t func); // handle, 0: no memory
const struct ldr_func *ldr_ref_get(const struct ldr_store *store, uint64_t handle); // NULL if it is none
void ldr_instance_list_add(struct ldr_instance *inst);
void ldr_instance_list_remove(struct ldr_instance *inst);
struct ldr_instance *ldr_instance_of_window(uint64_t window); // NULL if there is none
void ldr_instance_destroy(struct ldr_instance *inst);
// instance.c
enum sfi_trap ldr_initialise(struct ldr_instance *inst); // globals and segments, as its module says
// table.c
struct ldr_table *ldr_table_new(struct ldr_instance *owner, uint32_t index,
                                const struct wasm_table *type, uint32_t limit);
void ldr_table_delete(struct ldr_table *t);
bool ldr_table_import(struct ldr_table *t, struct ldr_instance *inst, uint32_t index);
void ldr_table_leave(struct ldr_table *t, struct ldr_instance *inst);
bool ldr_table_grow(struct ldr_table *t, uint32_t by);
void ldr_table_reset(struct ldr_table *t, uint32_t length); // all rows null
void ldr_table_set(struct ldr_table *t, uint32_t row, uint32_t ref);
uint32_t ldr_table_get(const struct ldr_table *t, uint32_t row);
bool ldr_table_init(struct ldr_instance *inst, uint32_t table, uint32_t segment, uint32_t dst,
                    uint32_t src, uint32_t n); // false: out of bounds
// memory.c
struct ldr_memory *ldr_memory_new(struct ldr_instance *owner, const struct wasm_limits *type,
                                  uint32_t limit);
void ldr_memory_delete(struct ldr_memory *mem);
bool ldr_memory_import(struct ldr_memory *mem, struct ldr_instance *inst);
void ldr_memory_leave(struct ldr_memory *mem, struct ldr_instance *inst);
uint32_t ldr_memory_grow(struct ldr_memory *mem, uint32_t by); // old pages, UINT32_MAX if not
void ldr_memory_reset(struct ldr_memory *mem, uint32_t pages); // so many, zeroed; the others go
bool ldr_memory_init(struct ldr_instance *inst, uint32_t segment, uint32_t dst, uint32_t src,
                     uint32_t n);
bool ldr_mapping_add(struct ldr_mapping **list, uint32_t *count, uint32_t *room,
                     struct ldr_mapping add);
void ldr_mapping_remove(struct ldr_mapping *list, uint32_t *count, const struct ldr_instance *inst);
// call.c, cross.S
int ldr_enter(struct ldr_thread *t, struct ldr_entry *e, uint64_t code, uint64_t window,
              uint64_t rsp, struct ldr_instance *inst);
_Noreturn void ldr_unwind(struct ldr_thread *t, struct ldr_record *r);
void ldr_monitor_enter(struct ldr_instance *inst, struct ldr_thread *t);
void ldr_monitor_leave(struct ldr_instance *inst, struct ldr_thread *t);
void ldr_host_save(void);
void ldr_host_restore(void);
void ldr_bulk_copy(void); // bulk.S
void ldr_bulk_fill(void);
void ldr_cross_full(void);
void ldr_cross_stop(void);
void ldr_cross_dead(void);
void ldr_cross_wait(void);
void ldr_cross_leave(void);

static inline uint32_t ldr_stop_of(const struct ldr_instance *inst) { // SFI_TRAP_NONE: it is not dead
    return __atomic_load_n(&inst->priv->stop, __ATOMIC_ACQUIRE);
}
static inline uint64_t ldr_cell_bits(const uint64_t *cell) { return *cell; }
static inline void *ldr_context(uint64_t window, uint64_t distance) {
    return (void *)(window - distance);
}
static inline uint64_t ldr_page_up(uint64_t n) {
    return (n + LDR_PAGE - 1) & ~(uint64_t)(LDR_PAGE - 1);
}
#endif
