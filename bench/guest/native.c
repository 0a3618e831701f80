// native.c — see native.h: the linker's --wrap puts these in front of the loader's functions of the same names.
// The twin is entered by one thread at a time, by the very monitor that its module would have.
#include "bench/guest/native.h"
#include "loader/private.h"
#include "sasos/arch/cpu.h"
#include "sasos/lib/log.h"
#include "sasos/lib/mem.h"
#include "sasos/lib/panic.h"
#include "sasos/mem/frame.h"
#include "sasos/mem/pt.h"

#define NAME "native"
#define RINGS "rings" // what is done without any driver: rings.c
#define PTE_P (1ull << 0)
#define PTE_W (1ull << 1)
#define PTE_A (1ull << 5)
#define PTE_ADDRESS 0x000ffffffffff000ull
#define GIB (1ull << 30)

enum twin {
#define X(twin, name) TWIN_##twin,
    NATIVES(X)
#undef X
};
struct dom *native_domain, *native_caller;
static struct {
    enum twin twin;
    uint32_t start, event; // function indices
} native;
static uint64_t *second; // the page-directory pointers of the low 512 GiB

enum ldr_status __real_ldr_instantiate(struct ldr_store *store, struct ldr_code *code,
                                       const char *name, const struct ldr_imports *imports,
                                       const struct ldr_limits *limits, void *user,
                                       struct ldr_instance **out_inst, struct ldr_error *out_error);
enum ldr_status __wrap_ldr_instantiate(struct ldr_store *store, struct ldr_code *code,
                                       const char *name, const struct ldr_imports *imports,
                                       const struct ldr_limits *limits, void *user,
                                       struct ldr_instance **out_inst, struct ldr_error *out_error);
enum ldr_status __real_ldr_call(struct ldr_thread *thread, struct ldr_instance *inst,
                                uint32_t index, const uint64_t *args, uint64_t *results,
                                struct ldr_trap_info *out_info);
enum ldr_status __wrap_ldr_call(struct ldr_thread *thread, struct ldr_instance *inst,
                                uint32_t index, const uint64_t *args, uint64_t *results,
                                struct ldr_trap_info *out_info);
bool __real_ldr_instance_free(struct ldr_instance *inst);
bool __wrap_ldr_instance_free(struct ldr_instance *inst);

static uint64_t *table(uint64_t entry) { return pt_direct(entry & PTE_ADDRESS); }

void native_map(void) {
    uint64_t window = ldr_window(native_domain->inst);
    uint64_t *root = table(cpu_read_cr3());
    const uint64_t *from = table(root[window >> 39 & 511]);
    if (!second) {
        uint64_t frame = frame_alloc(FRAME_ZERO);
        KASSERT(frame && !(root[0] & PTE_P));
        second = pt_direct(frame);
        root[0] = frame | PTE_P | PTE_W | PTE_A;
    }
    for (unsigned i = 2; i < 4; i++)
        second[i] = from[(window / GIB + i) & 511]; // DMA area, device area
}

#define C(twin, name, export)                                                                        \
    static int64_t call_##twin##_##export(struct ldr_instance * inst, const struct ldr_args *args) { \
        struct ldr_thread *thread = ldr_current(inst);                                               \
        (void)args;                                                                                  \
        ldr_monitor_enter(native_domain->inst, thread);                                              \
        native_caller = ldr_user(inst);                                                              \
        int32_t result = twin##_##export();                                                          \
        ldr_monitor_leave(native_domain->inst, thread);                                              \
        return result;                                                                               \
    }
NATIVE_CALLS(C)
#undef C
static const struct {
    const char *module;
    struct ldr_hostfunc function;
} calls[] = {
#define C(twin, name, export) {name, {"", #export, ":i", call_##twin##_##export, NULL}},
    NATIVE_CALLS(C)
#undef C
};

// What a client links to is the twin.
static bool resolve(void *ctx, const struct wasm_import *import, struct ldr_extern *out) {
    const struct ldr_imports *real = ctx;
    if (!real->resolve(real->ctx, import, out)) return false;
    if (out->kind != LDR_EXT_FUNC || !native_domain || out->instance != native_domain->inst)
        return true;
    for (unsigned i = 0; i < ARRAY_LEN(calls); i++)
        if (str_eq(calls[i].module, native_domain->manifest.name) &&
            import->name.length == str_len(calls[i].function.name) &&
            !memcmp(import->name.text, calls[i].function.name, import->name.length)) {
            *out = (struct ldr_extern){.kind = LDR_EXT_HOST, .host = &calls[i].function};
            return true;
        }
    return false;
}

static void adopt(struct dom *d, struct ldr_instance *inst) {
    static bool used;
    bool known = false;
    if (used) panic("a native twin has one life: nothing resets its static data");
    used = true;
#define X(which, module)                    \
    if (str_eq(d->manifest.name, module)) { \
        native.twin = TWIN_##which;         \
        known = true;                       \
    }
    NATIVES(X)
#undef X
    if (!known) panic("%s has no native twin in this kernel", d->manifest.name);
    bool found = ldr_find_func(inst, "driver_start", &native.start) &&
                 ldr_find_func(inst, "driver_event", &native.event);
    KASSERT(found);
    native_domain = d;
}

enum ldr_status __wrap_ldr_instantiate(struct ldr_store *store, struct ldr_code *code,
                                       const char *name, const struct ldr_imports *imports,
                                       const struct ldr_limits *limits, void *user,
                                       struct ldr_instance **out_inst, struct ldr_error *out_error) {
    const struct ldr_imports relinked = {(void *)imports, resolve};
    enum ldr_status s =
        __real_ldr_instantiate(store, code, name, &relinked, limits, user, out_inst, out_error);
    if (s == LDR_OK && str_eq(name, NAME)) adopt(user, *out_inst);
    if (s == LDR_OK && str_eq(name, RINGS)) native_rings();
    return s;
}

enum ldr_status __wrap_ldr_call(struct ldr_thread *thread, struct ldr_instance *inst,
                                uint32_t index, const uint64_t *args, uint64_t *results,
                                struct ldr_trap_info *out_info) {
    if (!native_domain || inst != native_domain->inst)
        return __real_ldr_call(thread, inst, index, args, results, out_info);
    if (index == native.start) native_map();
    bool held = (inst->priv->owner & ~1ull) == (uint64_t)thread; // by the home thread, while it starts
    if (!held) ldr_monitor_enter(inst, thread);
    switch (native.twin) {
#define X(twin, name)                                                                        \
    case TWIN_##twin:                                                                        \
        *results = (uint64_t)(index == native.start ? twin##_driver_start()                  \
                                                    : twin##_driver_event((uint32_t)*args)); \
        break;
        NATIVES(X)
#undef X
    }
    if (!held) ldr_monitor_leave(inst, thread);
    return LDR_OK;
}

bool __wrap_ldr_instance_free(struct ldr_instance *inst) {
    if (native_domain && inst == native_domain->inst) {
        native_domain = NULL;
        for (unsigned i = 0; second && i < 512; i++) second[i] = 0;
        cpu_write_cr3(cpu_read_cr3()); // nothing of the second mapping stays cached
    }
    return __real_ldr_instance_free(inst);
}
