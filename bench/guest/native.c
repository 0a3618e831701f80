// native.c — see native.h: the linker's --wrap puts these in front of the loader's functions of the same names.
// A twin is entered by one thread at a time, by the very monitor that its module would have.
#include "bench/guest/native.h"
#include "loader/private.h"
#include "sasos/arch/cpu.h"
#include "sasos/lib/log.h"
#include "sasos/lib/mem.h"
#include "sasos/lib/panic.h"
#include "sasos/mem/frame.h"
#include "sasos/mem/pt.h"

#define RINGS "rings" // what is done without any driver: rings.c
#define PTE_P (1ull << 0)
#define PTE_W (1ull << 1)
#define PTE_A (1ull << 5)
#define PTE_ADDRESS 0x000ffffffffff000ull
#define GIB (1ull << 30)
#define ENTRIES 512u
#define HALF (ENTRIES / 2) // page-directory entries of half an area
#define FIRST_AREA 2u      // the areas are the third and the fourth GiB of a window
#define AREAS 2u
_Static_assert(SFI_DMA_BASE == FIRST_AREA * GIB && SFI_DMA_SIZE == GIB && SFI_DEVICE_SIZE == GIB,
               "areas");

enum twin {
#define X(twin, name, n) TWIN_##twin,
    NATIVES(X)
#undef X
};
static const char *const names[NATIVE_INSTANCES] = {"native", "native-b"};
struct native native[NATIVE_INSTANCES];
static struct {
    enum twin twin;
    uint32_t start, event; // function indices
} entry[NATIVE_INSTANCES];
static uint64_t *second[AREAS]; // page directories

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

static uint64_t new_table(uint64_t **out) {
    uint64_t frame = frame_alloc(FRAME_ZERO);
    KASSERT(frame);
    *out = pt_direct(frame);
    return frame | PTE_P | PTE_W | PTE_A;
}

static void make_second(void) {
    uint64_t *root = table(cpu_read_cr3()), *pointers;
    KASSERT(!(root[0] & PTE_P));
    root[0] = new_table(&pointers);
    for (unsigned i = 0; i < AREAS; i++) pointers[FIRST_AREA + i] = new_table(&second[i]);
}

// The first has all of an area where there is no second.
static void map_area(unsigned n, unsigned area) {
    uint64_t window = ldr_window(native[n].domain->inst) + (FIRST_AREA + area) * GIB;
    uint64_t pointer = table(table(cpu_read_cr3())[window >> 39 & 511])[window >> 30 & 511];
    const uint64_t *from = pointer & PTE_P ? table(pointer) : NULL;
    bool both = native[0].domain && native[1].domain;
    for (unsigned i = 0; i < ENTRIES; i++) {
        if (both && i / HALF != n)
            KASSERT(!from || !(from[i] & PTE_P));
        else
            second[area][i] = from ? from[i] : 0;
    }
}

void native_map(void) {
    if (!second[0]) make_second();
    for (unsigned n = 0; n < NATIVE_INSTANCES; n++)
        for (unsigned area = 0; native[n].domain && area < AREAS; area++) map_area(n, area);
}

// The instance that this is; NATIVE_INSTANCES: none.
static unsigned which(const struct ldr_instance *inst) {
    unsigned n = 0;
    while (n < NATIVE_INSTANCES && !(native[n].domain && native[n].domain->inst == inst)) n++;
    return n;
}

#define C(twin, name, n, export)                                                                     \
    static int64_t call_##twin##_##export(struct ldr_instance * inst, const struct ldr_args *args) { \
        struct ldr_thread *thread = ldr_current(inst);                                               \
        (void)args;                                                                                  \
        ldr_monitor_enter(native[n].domain->inst, thread);                                           \
        native[n].caller = ldr_user(inst);                                                           \
        int32_t result = twin##_##export();                                                          \
        ldr_monitor_leave(native[n].domain->inst, thread);                                           \
        return result;                                                                               \
    }
NATIVE_CALLS(C)
#undef C
static const struct {
    const char *module;
    unsigned n;
    struct ldr_hostfunc function;
} calls[] = {
#define C(twin, name, n, export) {name, n, {"", #export, ":i", call_##twin##_##export, NULL}},
    NATIVE_CALLS(C)
#undef C
};

// What a client links to is the twin.
static bool resolve(void *ctx, const struct wasm_import *import, struct ldr_extern *out) {
    const struct ldr_imports *real = ctx;
    if (!real->resolve(real->ctx, import, out)) return false;
    unsigned n = out->kind == LDR_EXT_FUNC ? which(out->instance) : NATIVE_INSTANCES;
    if (n == NATIVE_INSTANCES) return true;
    for (unsigned i = 0; i < ARRAY_LEN(calls); i++)
        if (calls[i].n == n && str_eq(calls[i].module, native[n].domain->manifest.name) &&
            import->name.length == str_len(calls[i].function.name) &&
            !memcmp(import->name.text, calls[i].function.name, import->name.length)) {
            *out = (struct ldr_extern){.kind = LDR_EXT_HOST, .host = &calls[i].function};
            return true;
        }
    return false;
}

static void adopt(unsigned n, struct dom *d, struct ldr_instance *inst) {
    static bool used[NATIVE_INSTANCES];
    bool known = false;
    if (used[n]) panic("a native twin has one life: nothing resets its static data");
    used[n] = true;
#define X(which, module, instance)                             \
    if (n == (instance) && str_eq(d->manifest.name, module)) { \
        entry[n].twin = TWIN_##which;                          \
        known = true;                                          \
    }
    NATIVES(X)
#undef X
    if (!known) panic("%s has no native twin called %s in this kernel", d->manifest.name, names[n]);
    bool found = ldr_find_func(inst, "driver_start", &entry[n].start) &&
                 ldr_find_func(inst, "driver_event", &entry[n].event);
    KASSERT(found && !d->dma_next && !d->device_next);
    d->dma_next = d->device_next = n * (uint32_t)(GIB / 2); // nothing is mapped yet
    native[n].domain = d;
}

enum ldr_status __wrap_ldr_instantiate(struct ldr_store *store, struct ldr_code *code,
                                       const char *name, const struct ldr_imports *imports,
                                       const struct ldr_limits *limits, void *user,
                                       struct ldr_instance **out_inst, struct ldr_error *out_error) {
    const struct ldr_imports relinked = {(void *)imports, resolve};
    enum ldr_status s =
        __real_ldr_instantiate(store, code, name, &relinked, limits, user, out_inst, out_error);
    for (unsigned n = 0; s == LDR_OK && n < NATIVE_INSTANCES; n++)
        if (str_eq(name, names[n])) adopt(n, user, *out_inst);
    if (s == LDR_OK && str_eq(name, RINGS)) native_rings();
    return s;
}

enum ldr_status __wrap_ldr_call(struct ldr_thread *thread, struct ldr_instance *inst,
                                uint32_t index, const uint64_t *args, uint64_t *results,
                                struct ldr_trap_info *out_info) {
    unsigned n = which(inst);
    if (n == NATIVE_INSTANCES) return __real_ldr_call(thread, inst, index, args, results, out_info);
    if (index == entry[n].start) native_map();
    bool held = (inst->priv->owner & ~1ull) == (uint64_t)thread; // by the home thread, while it starts
    if (!held) ldr_monitor_enter(inst, thread);
    switch (entry[n].twin) {
#define X(twin, name, instance)                                                                \
    case TWIN_##twin:                                                                          \
        *results = (uint64_t)(index == entry[n].start ? twin##_driver_start()                  \
                                                      : twin##_driver_event((uint32_t)*args)); \
        break;
        NATIVES(X)
#undef X
    }
    if (!held) ldr_monitor_leave(inst, thread);
    return LDR_OK;
}

bool __wrap_ldr_instance_free(struct ldr_instance *inst) {
    unsigned n = which(inst);
    if (n < NATIVE_INSTANCES) {
        native[n].domain = NULL;
        for (unsigned i = 0; second[0] && i < AREAS * ENTRIES; i++)
            second[i / ENTRIES][i % ENTRIES] = 0;
        if (second[0]) native_map();   // the other one's
        cpu_write_cr3(cpu_read_cr3()); // nothing of the second mapping stays cached
    }
    return __real_ldr_instance_free(inst);
}
