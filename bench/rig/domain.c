// domain.c — see rig.h: the domains of a stack, sandboxed or native, what ties them together, and entering them.
#include "bench/rig/rig.h"
#include "sfi-jit/host/host.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODULE_STACK (256u << 10)
#define BRIDGES_MAX 16u
#define IMPORTS_MAX 4u // of an application

typedef int64_t export_fn(uint64_t a, uint64_t b, uint64_t c, uint64_t e);

// The areas of all native domains lie side by side.
static uint32_t native_dma_next = SFI_DMA_BASE, native_device_next = SFI_DEVICE_BASE;

// A call of the driver by the application that goes through C, because the driver or the clock is there.
static struct bridge {
    struct rig_domain *driver;
    struct rig_entry entry;
    struct ldr_hostfunc host;
    void **import; // native: the application's pointer
} bridges[BRIDGES_MAX];
static unsigned bridge_count;
static const struct bridge *native_bridge[IMPORTS_MAX]; // those of the stack which runs

void rig_fail(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("rig: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

static void *allocate(size_t size) {
    void *p = calloc(1, size);
    if (!p) rig_fail("no memory");
    return p;
}

uint64_t rig_tsc(void) {
    __builtin_ia32_lfence();
    uint64_t t = __builtin_ia32_rdtsc();
    __builtin_ia32_lfence();
    return t;
}
uint64_t rig_tsc_cost(void) {
    static uint64_t cost;
    if (cost) return cost;
    cost = UINT64_MAX;
    for (int i = 0; i < 10000; i++) {
        uint64_t a = rig_tsc(), b = rig_tsc();
        if (b - a < cost) cost = b - a;
    }
    return cost;
}

void *rig_pointer(struct rig_domain *d, uint64_t pointer, uint64_t size) {
    return d->inst ? ldr_memory_at(d->inst, (uint32_t)pointer, size) : (void *)pointer;
}

void rig_attach(struct rig_domain *d, struct rig_channel *c, unsigned side) {
    unsigned n = d->channels++;
    // Native domains have one address space, so the channel is there once, unless the environment wants it twice.
    bool shared = d->twin && c->end[!side] && !getenv("CHANNEL_TWICE");
    d->channel_address[n] = shared ? c->end[!side]->channel_address[c->index[!side]]
                                   : rig_map_dma(&d->space, &c->pages);
    if (!d->channel_address[n]) rig_fail("%s: no address space for its channel", d->name);
    d->channel[n] = c;
    d->channel_side[n] = (uint8_t)side;
    c->end[side] = d;
    c->index[side] = (uint8_t)n;
}

// ---- Entering ----
static _Noreturn void report_trap(struct rig_domain *d, const struct ldr_trap_info *info) {
    char text[300];
    ldr_trap_format(info, text, sizeof text);
    rig_fail("%s: %s", d->name, text);
}

static struct rig_entry find(struct rig_domain *d, const char *name) {
    struct rig_entry e = {0, NULL};
    if (d->inst && ldr_find_func(d->inst, name, &e.index)) return e;
    for (const struct rig_export *x = d->twin ? d->twin->exports : NULL; x && x->name; x++)
        if (!strcmp(x->name, name)) {
            e.fn = x->fn;
            return e;
        }
    rig_fail("%s: no export %s", d->name, name);
}

int32_t rig_enter(struct rig_domain *d, const struct rig_entry *entry, uint32_t argument) {
    struct ldr_trap_info info;
    uint64_t in = argument, out = 0;
    if (d->twin) return (int32_t)((export_fn *)entry->fn)(argument, 0, 0, 0);
    if (ldr_call(d->thread, d->inst, entry->index, &in, &out, &info) != LDR_OK)
        report_trap(d, &info);
    return (int32_t)out;
}
int32_t rig_call(struct rig_domain *d, const char *export, uint32_t argument) {
    struct rig_entry e = find(d, export);
    return rig_enter(d, &e, argument);
}

static struct bridge *bridge_new(struct rig_domain *driver, struct rig_entry entry) {
    if (bridge_count == BRIDGES_MAX) rig_fail("too many calls between domains");
    bridges[bridge_count] = (struct bridge){.driver = driver, .entry = entry};
    return &bridges[bridge_count++];
}

static int64_t cross(const struct bridge *b) {
    struct rig_stack *s = b->driver->stack;
    uint64_t before = rig_tsc();
    int32_t result = rig_enter(b->driver, &b->entry, 0);
    s->time.submit += rig_tsc() - before - rig_tsc_cost();
    s->time.submits++;
    return result;
}

// ---- Native domains ----
static struct rig_domain *native_domain(struct rig_stack *s, const struct rig_twin *twin) {
    struct rig_domain *d = allocate(sizeof *d);
    d->name = twin->name;
    d->stack = s;
    d->twin = twin;
    d->space = (struct rig_space){.dma_next = &native_dma_next, .device_next = &native_device_next};
    *twin->domain = d;
    return d;
}

static struct rig_stack *stack_new(struct rig_device *const device[RIG_PORTS], uint32_t channel_bytes) {
    struct rig_stack *s = allocate(sizeof *s);
    for (; s->ports < RIG_PORTS && device[s->ports]; s->ports++) {
        s->port[s->ports].device = device[s->ports];
        s->port[s->ports].channel.pages = rig_pages_new(channel_bytes);
    }
    return s;
}

// Its port's device has this driver.
static void port_driver(struct rig_port *p, struct rig_domain *driver) {
    p->driver = driver;
    driver->device = p->device;
    p->device->space = &driver->space;
}

// The port whose name is this letter.
static struct rig_domain *driver_of(struct rig_stack *s, char port) {
    return s->port[s->ports > 1 && port == 'b'].driver;
}

struct rig_stack *rig_stack_native(const struct rig_twin *app,
                                   const struct rig_twin *const driver[RIG_PORTS],
                                   struct rig_device *const device[RIG_PORTS], uint32_t channel_bytes) {
    struct rig_stack *s = stack_new(device, channel_bytes);
    for (unsigned i = 0; i < s->ports; i++) port_driver(&s->port[i], native_domain(s, driver[i]));
    s->app = native_domain(s, app);
    for (const struct rig_export *i = app->imports; i->name; i++) {
        struct rig_domain *d = driver_of(s, *i->name);
        struct bridge *b = bridge_new(d, find(d, s->ports > 1 ? i->name + 2 : i->name));
        b->import = i->fn;
        *b->import = b->entry.fn;
    }
    return s;
}

#define CROSS(n)                                                                      \
    static int64_t cross_native_##n(uint64_t a, uint64_t b, uint64_t c, uint64_t e) { \
        (void)a, (void)b, (void)c, (void)e;                                           \
        return cross(native_bridge[n]);                                               \
    }
CROSS(0)
CROSS(1)
CROSS(2)
CROSS(3)
#undef CROSS
static export_fn *const cross_native[IMPORTS_MAX] = {cross_native_0, cross_native_1, cross_native_2,
                                                     cross_native_3};

void rig_stack_bracket(struct rig_stack *s, bool on) {
    unsigned n = 0;
    for (unsigned i = 0; i < bridge_count; i++)
        if (bridges[i].driver->stack == s && bridges[i].import) {
            if (n == IMPORTS_MAX) rig_fail("too many imports");
            native_bridge[n] = &bridges[i];
            *bridges[i].import = on ? (void *)cross_native[n] : bridges[i].entry.fn;
            n++;
        }
}

// ---- Sandboxed domains ----
#define X(result, name, parameters, types, text)                                       \
    static int64_t hc_##name(struct ldr_instance *inst, const struct ldr_args *args) { \
        uint64_t a[4] = {0};                                                           \
        for (unsigned i = 0; i < 4 && types[i] != ':'; i++) a[i] = ldr_arg(args, i);   \
        return rig_##name(ldr_user(inst), a[0], a[1], a[2], a[3]);                     \
    }
#include "sasos/run/hostcall.def"
#undef X
static const struct ldr_hostfunc host_functions[] = {
#define X(result, name, parameters, types, text) {SASOS_NAMESPACE, #name, types, hc_##name, NULL},
#include "sasos/run/hostcall.def"
#undef X
};
static bool offered(unsigned i) {
    static int64_t (*const functions[])(struct rig_domain *, uint64_t, uint64_t, uint64_t, uint64_t) = {
#define X(result, name, parameters, types, text) rig_##name,
#include "sasos/run/hostcall.def"
#undef X
    };
    return functions[i];
}

static bool is(const struct wasm_name *a, const char *b) {
    return a->length == strlen(b) && !memcmp(a->text, b, a->length);
}

static int64_t cross_sandboxed(struct ldr_instance *inst, const struct ldr_args *args) {
    (void)inst;
    return cross(ldr_arg_ctx(args));
}

struct linking {
    struct rig_stack *stack; // whose drivers it may call; NULL: none
    bool bracket;
};

static bool resolve(void *ctx, const struct wasm_import *import, struct ldr_extern *out) {
    const struct linking *l = ctx;
    for (unsigned i = 0; i < sizeof host_functions / sizeof *host_functions; i++)
        if (is(&import->module, SASOS_NAMESPACE) && is(&import->name, host_functions[i].name) &&
            offered(i)) {
            *out = (struct ldr_extern){.kind = LDR_EXT_HOST, .host = &host_functions[i]};
            return true;
        }
    if (!l->stack || import->kind != WASM_FUNC || !import->module.length) return false;
    struct rig_domain *driver = driver_of(l->stack, (char)*import->module.text);
    *out = ldr_export(driver->inst, import->name.text, import->name.length);
    if (out->kind != LDR_EXT_FUNC || !l->bracket) return out->kind == LDR_EXT_FUNC;
    struct bridge *b = bridge_new(driver, (struct rig_entry){out->index, NULL});
    b->host = (struct ldr_hostfunc){"", "", ":i", cross_sandboxed, b};
    *out = (struct ldr_extern){.kind = LDR_EXT_HOST, .host = &b->host};
    return true;
}

static struct rig_domain *sandboxed_domain(struct rig_stack *s, const char *path,
                                           struct linking linking) {
    struct rig_domain *d = allocate(sizeof *d);
    struct ldr_store *store = ldr_store_new(LDR_DOMAIN);
    const struct ldr_imports imports = {&linking, resolve};
    struct ldr_code *code;
    struct ldr_error e;
    size_t size = 0;
    uint8_t *bytes = host_read_file(path, &size);
    if (!store || !bytes) rig_fail("%s: cannot be read", path);
    const char *slash = strrchr(path, '/');
    d->name = slash ? slash + 1 : path;
    d->stack = s;
    d->thread = host_thread(MODULE_STACK);
    if (ldr_compile(bytes, size, NULL, &code, &e) != LDR_OK) rig_fail("%s: %s", path, e.text);
    if (ldr_instantiate(store, code, d->name, &imports, NULL, d, &d->inst, &e) != LDR_OK)
        rig_fail("%s: %s", path, e.text);
    free(bytes);
    uint32_t *next = allocate(2 * sizeof *next);
    next[0] = SFI_DMA_BASE;
    next[1] = SFI_DEVICE_BASE;
    d->space = (struct rig_space){
        .base = ldr_window(d->inst), .inst = d->inst, .dma_next = next, .device_next = next + 1};
    return d;
}

struct rig_stack *rig_stack_sandboxed(const char *app, const char *driver,
                                      struct rig_device *const device[RIG_PORTS],
                                      uint32_t channel_bytes, bool bracket) {
    struct rig_stack *s = stack_new(device, channel_bytes);
    for (unsigned i = 0; i < s->ports; i++)
        port_driver(&s->port[i], sandboxed_domain(s, driver, (struct linking){NULL, false}));
    s->app = sandboxed_domain(s, app, (struct linking){s, bracket});
    return s;
}

// ---- Stacks ----
void rig_stack_start(struct rig_stack *s) {
    for (unsigned i = 0; i < s->ports; i++) {
        struct rig_domain *driver = s->port[i].driver;
        rig_attach(driver, &s->port[i].channel, 1);
        rig_attach(s->app, &s->port[i].channel, 0);
        driver->event = find(driver, "driver_event");
        int32_t result = rig_call(driver, "driver_start", 0);
        if (result < 0) rig_fail("%s: driver_start: error %d", driver->name, result);
        rig_registers_release(driver->device);
    }
}

int32_t rig_stack_run(struct rig_stack *s, const char *argument) {
    s->marks = 0;
    s->app->arg[0] = argument;
    s->app->args = 1;
    return rig_call(s->app, "app_main", 0);
}
