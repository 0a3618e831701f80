// domain.c — see domain.h: creation (check everything, then commit), the home thread, the end. What it may have is
// checked in grants.c; traps and faults are in fault.c.
#include "sasos/run/domain.h"
#include "sasos/arch/lock.h"
#include "sasos/arch/time.h"
#include "sasos/lib/log.h"
#include "sasos/lib/mem.h"
#include "sasos/lib/panic.h"
#include "sasos/lib/printf.h"
#include "sasos/mem/heap.h"
#include "sasos/mem/slot.h"
#include "sasos/run/fault.h"
#include "sasos/run/run.h"

#define C_STACK (128u << 10)
#define COMPILER_MEMORY \
    (128u << 20) // a module that makes it need more is refused, not the machine starved
#define C_STACK_RESERVE (16u << 10) // what a kernel call may need at most

_Static_assert(SASOS_WINDOW_MEMORY_MAX == SFI_DMA_BASE && SASOS_WINDOW_DEVICE == SFI_DEVICE_BASE,
               "abi.h repeats the contract");

static struct dom *doms[DOM_MAX];
static struct spinlock homes_lock; // a home thread is not interrupted after it has gone

const char *dom_name(const struct dom *d) { return d->config->name; }

struct dom *dom_find(const char *name) {
    for (unsigned i = 0; i < DOM_MAX; i++)
        if (doms[i] && str_eq(dom_name(doms[i]), name)) return doms[i];
    return NULL;
}

struct dom *dom_of_function(const struct pci_fn *fn) {
    for (unsigned i = 0; fn && i < DOM_MAX; i++)
        if (doms[i] && doms[i]->fn == fn) return doms[i];
    return NULL;
}

static bool has_type(const struct wasm_functype *type, uint32_t params, uint32_t results) {
    if (type->params != params || type->results != results) return false;
    for (uint32_t i = 0; i < params + results; i++)
        if (type->type[i] != WASM_I32) return false;
    return true;
}

// What the kernel calls, by kind.
static const struct entry {
    const char *name;
    bool needed;
    uint32_t params, results; // all i32
} entries[][2] = {
    [MANIFEST_DRIVER] = {{"driver_start", true, 0, 1}, {"driver_event", true, 1, 1}},
    [MANIFEST_APP] = {{"app_main", true, 0, 1}},
    [MANIFEST_LIBRARY] = {{"library_start", false, 0, 1}},
    [MANIFEST_PROGRAM] = {{"_start", true, 0, 0}},
};

static bool check_entries(struct dom *d, char error[DOM_ERROR_MAX]) {
    for (unsigned i = 0; i < 2 && entries[d->manifest.kind][i].name; i++) {
        const struct entry *e = &entries[d->manifest.kind][i];
        uint32_t index;
        bool found = ldr_find_func(d->inst, e->name, &index);
        if (found ? has_type(ldr_func_type(d->inst, index), e->params, e->results) : !e->needed)
            continue;
        ksnprintf(error, DOM_ERROR_MAX, "%s must export %s(%s)%s", dom_name(d), e->name,
                  e->params ? "i32" : "", e->results ? " -> i32" : "");
        return false;
    }
    return true;
}

// ---- linking ----

static bool names_equal(const struct wasm_name *a, const char *b) {
    return a->length == str_len(b) && memcmp(a->text, b, a->length) == 0;
}

static int64_t absent(struct ldr_instance *inst, const struct ldr_args *args) {
    (void)inst, (void)args;
    return E_DENIED;
}
// What an optional import is that the configuration does not connect.
static const struct ldr_hostfunc absent_function = {"", "", "*", absent, NULL};

// A program has no manifest: what it imports is what it asks for.
static bool manifest_imports(const struct ldr_manifest *m, const struct wasm_import *import,
                             bool *out_optional) {
    *out_optional = false;
    if (m->kind == MANIFEST_PROGRAM) return true;
    for (uint32_t i = 0; i < m->imports; i++)
        if (names_equal(&import->module, m->import[i].name_space) &&
            names_equal(&import->name, m->import[i].name)) {
            *out_optional = m->import[i].optional;
            return true;
        }
    return false;
}

static bool resolve(void *ctx, const struct wasm_import *import, struct ldr_extern *out) {
    struct dom *d = ctx;
    if (import->kind != WASM_FUNC) return false;
    if (names_equal(&import->module, SASOS_NAMESPACE)) {
        for (unsigned i = 0; i < hc_count; i++)
            if (names_equal(&import->name, hc_functions[i].name)) {
                *out = (struct ldr_extern){.kind = LDR_EXT_HOST, .host = &hc_functions[i]};
                return true;
            }
        return false;
    }
    bool optional;
    if (!manifest_imports(&d->manifest, import, &optional)) return false;
    for (uint32_t i = 0; i < d->config->connects; i++) {
        const struct config_connect *c = &d->config->connect[i];
        if (!names_equal(&import->module, c->name_space)) continue;
        optional = false;
        struct dom *peer = dom_find(c->module);
        if (peer && peer->state == DOM_RUNNING &&
            ldr_manifest_exports(&peer->manifest, import->name.text, import->name.length)) {
            *out = ldr_export(peer->inst, import->name.text, import->name.length);
            return out->kind == LDR_EXT_FUNC;
        }
    }
    *out = (struct ldr_extern){.kind = LDR_EXT_HOST, .host = &absent_function};
    return optional;
}

// ---- creation ----

static bool compile(struct dom *d, const uint8_t *bytes, uint64_t size, char error[DOM_ERROR_MAX]) {
    struct ldr_error e;
    const struct ldr_compile_options options = {.memory_limit = COMPILER_MEMORY};
    if (ldr_compile(bytes, size, &options, &d->code, &e) != LDR_OK) {
        ksnprintf(error, DOM_ERROR_MAX, "%s: %s", dom_name(d), e.text);
        return false;
    }
    if (d->config->program) {
        d->manifest.kind = MANIFEST_PROGRAM;
        str_copy(d->manifest.name, sizeof(d->manifest.name), d->config->file);
        return true;
    }
    uint32_t length;
    const char *text = ldr_code_custom(d->code, MANIFEST_SECTION, &length);
    char why[128];
    if (!text || !ldr_manifest_parse(text, length, &d->manifest, why, sizeof(why))) {
        ksnprintf(error, DOM_ERROR_MAX, "%s: its manifest is %s%s", dom_name(d),
                  text ? "wrong: " : "missing", text ? why : "");
        return false;
    }
    return true;
}

static bool instantiate(struct dom *d, char error[DOM_ERROR_MAX]) {
    struct ldr_error e;
    const struct ldr_imports imports = {d, resolve};
    const struct ldr_limits limits = {.memory_pages = d->manifest.memory >> 16};
    d->store = ldr_store_new(LDR_DOMAIN);
    d->thread = ldr_thread_new(d->stack);
    if (!d->store || !d->thread) {
        ksnprintf(error, DOM_ERROR_MAX, "%s: out of memory", dom_name(d));
        return false;
    }
    if (ldr_instantiate(d->store, d->code, dom_name(d), &imports, &limits, d, &d->inst, &e) != LDR_OK) {
        ksnprintf(error, DOM_ERROR_MAX, "%s: %s", dom_name(d), e.text);
        return false;
    }
    slot_check(slot_of(ldr_window(d->inst)));
    return check_entries(d, error);
}

// Every channel in which this domain has an end, in the configuration's order: a server's clients, then its own servers.
static enum status attach_channels(struct dom *d, const struct config *config) {
    for (uint32_t m = 0; m < config->modules; m++)
        for (uint32_t i = 0; i < config->module[m].connects; i++) {
            struct channel *c = run_channel(m, i);
            bool server = str_eq(config->module[m].connect[i].module, dom_name(d));
            if (!server && &config->module[m] != d->config) continue;
            c->size = config->module[m].connect[i].size;
            enum status s = chan_attach(d, c, server ? CHAN_SERVER : CHAN_CLIENT);
            if (s != ST_OK) return s;
        }
    return ST_OK;
}

static bool commit(struct dom *d, const struct config *config, char error[DOM_ERROR_MAX]) {
    enum status s = d->fn ? dom_device_open(d) : ST_OK;
    if (s == ST_OK) s = attach_channels(d, config);
    if (s != ST_OK)
        ksnprintf(error, DOM_ERROR_MAX, "%s: its device and channels cannot be set up: %s",
                  dom_name(d), status_text(s));
    return s == ST_OK;
}

static void destroy(struct dom *d) {
    chan_detach_all(d);
    dom_device_close(d);
    // No list and no channel leads here any more; a handler or a section with interrupts off on another CPU may have looked
    // before that, and is over afterwards.
    smp_sync();
    if (d->inst && !ldr_instance_free(d->inst))
        panic("%s is freed while others are linked to it", dom_name(d));
    if (d->thread) ldr_thread_free(d->thread);
    if (d->store) ldr_store_free(d->store);
    if (d->code) ldr_code_release(d->code);
    kfree(d);
}

struct dom *dom_create(const struct config *config, const struct config_module *module,
                       const uint8_t *bytes, uint64_t size, char error[DOM_ERROR_MAX]) {
    unsigned place = 0;
    while (place < DOM_MAX && doms[place]) place++;
    struct dom *d = place < DOM_MAX ? kzalloc(sizeof(*d)) : NULL;
    if (!d) {
        ksnprintf(error, DOM_ERROR_MAX, "%s: out of memory for another domain", module->name);
        return NULL;
    }
    d->config = module;
    uint64_t start = time_now_ns();
    d->timer = THR_FOREVER;
    if (!compile(d, bytes, size, error) || !dom_check(d, config, error) || !instantiate(d, error) ||
        !commit(d, config, error)) {
        destroy(d);
        return NULL;
    }
    log_info("run", "%s: %u bytes of WebAssembly, validated, compiled, verified and linked in %u us",
             module->name, (uint32_t)size, (uint32_t)((time_now_ns() - start) / 1000));
    doms[place] = d;
    return d;
}

bool dom_free(struct dom *d) {
    KASSERT(d->state == DOM_ENDED || d->state == DOM_NEW);
    if (d->spawned)
        thr_join(d->spawned); // it has said that it ended, and may not have finished saying so
    d->spawned = NULL;
    for (unsigned i = 0; i < DOM_MAX; i++) // who imports from it holds it
        for (uint32_t k = 0; doms[i] && k < doms[i]->config->connects; k++)
            if (doms[i] != d && str_eq(doms[i]->config->connect[k].module, dom_name(d)))
                return false;
    for (unsigned i = 0; i < DOM_MAX; i++)
        if (doms[i] == d) doms[i] = NULL;
    destroy(d);
    return true;
}

// ---- the home thread ----

static uint32_t export_of(const struct dom *d, const char *name) {
    uint32_t index = 0;
    ldr_find_func(d->inst, name, &index); // checked by instantiate()
    return index;
}

// Calls an export; false when the domain is over. *out is its result, untouched when it gave none.
static bool enter(struct dom *d, uint32_t index, uint64_t arg, int32_t *out) {
    uint64_t result = 0;
    struct ldr_trap_info info;
    d->ticks = 0;
    enum ldr_status s = ldr_call(d->thread, d->inst, index, &arg, &result, &info);
    if (s == LDR_TRAPPED && d->end == DOM_END_NONE) {
        d->info = info;
        d->end = DOM_END_TRAP;
    }
    if (s == LDR_OK) *out = (int32_t)result; // exit() has left its status there
    return s == LDR_OK;
}

static bool start_with(struct dom *d, const char *name) {
    int32_t result = 0;
    if (!enter(d, export_of(d, name), 0, &result)) return false;
    if (result < 0) {
        d->status = result;
        d->end = DOM_END_FAILED;
        return false;
    }
    d->state = DOM_RUNNING;
    thr_wake(&d->done, DOM_DONE_STARTED);
    return true;
}

static void live_driver(struct dom *d) {
    int32_t result;
    if (!start_with(d, "driver_start")) return;
    uint32_t event = export_of(d, "driver_event"); // looked up once: events are on the data path
    for (;;) {
        uint32_t events = thr_wait(&d->events, d->timer);
        if (ldr_is_dead(d->inst)) return;
        events = (events & ~DOM_EVENTS_KERNEL) | dom_timer_due(d);
        if (events && !enter(d, event, events, &result)) return;
    }
}

// Its calls come on its clients' threads; this one waits for its end.
static void live_library(struct dom *d) {
    uint32_t index;
    bool has_start = ldr_find_func(d->inst, "library_start", &index);
    if (has_start && !start_with(d, "library_start")) return;
    d->state = DOM_RUNNING;
    thr_wake(&d->done, DOM_DONE_STARTED);
    while (!ldr_is_dead(d->inst)) thr_wait(&d->life, THR_FOREVER);
}

static void live_app(struct dom *d) {
    d->state = DOM_RUNNING;
    thr_wake(&d->done, DOM_DONE_STARTED);
    uint64_t before = heap_stats().allocations;
    const char *name = d->manifest.kind == MANIFEST_PROGRAM ? "_start" : "app_main";
    if (enter(d, export_of(d, name), 0, &d->status)) d->end = DOM_END_EXIT;
    d->allocations = (uint32_t)(heap_stats().allocations - before);
}

static void live(void *arg) {
    struct dom *d = arg;
    struct ldr_trap_info info;
    thr_set_data(thr_current(), d);
    d->home = thr_current();
    d->started_ns = time_now_ns();
    ldr_thread_set_c_limit(d->thread, thr_stack_bottom(thr_current()) + C_STACK_RESERVE);
    d->state = DOM_STARTING;
    if (ldr_start(d->thread, d->inst, &info) == LDR_TRAPPED) {
        d->info = info;
        d->end = DOM_END_TRAP;
    } else if (d->manifest.kind == MANIFEST_DRIVER) {
        live_driver(d);
    } else if (d->manifest.kind == MANIFEST_LIBRARY) {
        live_library(d);
    } else {
        live_app(d);
    }
    // A trap on a client's thread, inside a call of ours, ends us too.
    if (d->end == DOM_END_NONE && ldr_is_dead(d->inst)) {
        d->info = *ldr_last_trap(d->inst);
        d->end = DOM_END_TRAP;
    }
    ldr_kill(d->inst, SFI_TRAP_KILLED); // nobody enters any more
    smp_stop_sandboxed();               // nobody runs in it,
    smp_sync();                         // on any CPU, from here on
    dom_device_close(d);
    chan_detach_all(d);
    thr_set_data(thr_current(), NULL);
    uint64_t flags = spin_lock(&homes_lock);
    d->home = NULL;
    spin_unlock(&homes_lock, flags);
    d->state = DOM_ENDED;
    thr_wake(&d->monitor, 1);
    thr_wake(&d->done, DOM_DONE_ENDED);
}

// The CPU that the configuration puts it on. Placement is no promise: on a machine with fewer CPUs it runs anywhere.
static int cpu_of(const struct dom *d) {
    if (!d->config->pinned) return THR_ANY_CPU;
    if (d->config->cpu < smp_count()) return (int)d->config->cpu;
    log_warn("run", "%s: there is no CPU %u here; it runs on any", dom_name(d), d->config->cpu);
    return THR_ANY_CPU;
}

void dom_start(struct dom *d) {
    KASSERT(d->state == DOM_NEW);
    enum thr_level level = d->manifest.kind == MANIFEST_DRIVER ? THR_DRIVER : THR_APPLICATION;
    const struct thr_spec spec = {
        .name = dom_name(d), .level = level, .stack_size = C_STACK, .cpu = cpu_of(d), .joinable = true};
    d->spawned = thr_spawn(&spec, live, d);
    if (!d->spawned) {
        d->end = DOM_END_FAILED;
        d->status = E_NOMEM;
        d->state = DOM_ENDED;
        return;
    }
    while (d->state < DOM_RUNNING) thr_wait(&d->done, THR_FOREVER);
}

void dom_died(struct dom *d) {
    thr_wake(&d->events, DOM_EVENT_KILL);
    thr_wake(&d->life, 1);
}

void dom_kill(struct dom *d, enum dom_end end) {
    enum dom_end none = DOM_END_NONE; // one reason, should two CPUs have one each
    __atomic_compare_exchange_n((enum dom_end *)&d->end, &none, end, false, __ATOMIC_SEQ_CST,
                                __ATOMIC_SEQ_CST);
    ldr_kill(d->inst, SFI_TRAP_KILLED);
    dom_died(d);
    // A thread that is inside may wait in another domain, on that one's events: all are made to look.
    uint64_t flags = spin_lock(&homes_lock);
    for (unsigned i = 0; i < DOM_MAX; i++)
        if (doms[i] && doms[i]->home) thr_interrupt(doms[i]->home);
    spin_unlock(&homes_lock, flags);
    smp_stop_sandboxed();
}

uint64_t dom_cpu_ns(const struct dom *d) {
    uint64_t flags = spin_lock(&homes_lock);
    uint64_t ns = d->home ? thr_cpu_ns(d->home) : 0;
    spin_unlock(&homes_lock, flags);
    return ns;
}

uint32_t dom_timer_due(struct dom *d) {
    if (d->timer > time_now_ns()) return 0;
    d->timer = THR_FOREVER;
    return SASOS_EVENT_TIMER;
}

void dom_stop(struct dom *d) {
    if (d->state == DOM_ENDED) return;
    dom_kill(d, DOM_END_STOPPED);
    while (d->state != DOM_ENDED) thr_wait(&d->done, THR_FOREVER);
}

void dom_end_text(const struct dom *d, char *out, size_t size) {
    char where[160];
    switch ((enum dom_end)d->end) {
    case DOM_END_EXIT:
        ksnprintf(out, size, "%s: ended with status %d; the kernel allocated %u times meanwhile",
                  dom_name(d), d->status, d->allocations);
        break;
    case DOM_END_STOPPED: ksnprintf(out, size, "%s: stopped", dom_name(d)); break;
    case DOM_END_FAILED:
        ksnprintf(out, size, "%s: could not start: error %d", dom_name(d), d->status);
        break;
    case DOM_END_TRAP:
        ldr_trap_format(&d->info, where, sizeof(where));
        ksnprintf(out, size, "%s: trapped: %s", dom_name(d), where);
        break;
    case DOM_END_BUDGET:
        ldr_trap_format(ldr_last_trap(d->inst), where, sizeof(where));
        ksnprintf(out, size, "%s: killed: computed for more than its budget of %u ms: %s",
                  dom_name(d), d->manifest.budget_ms, where);
        break;
    case DOM_END_DMA:
        if (d->fault.address == IOMMU_ADDRESS_UNKNOWN)
            ksnprintf(
                out, size,
                "%s: killed: its device %02x:%02x.%x tried to reach outside its DMA area (%s: %s)",
                dom_name(d), d->fault.rid >> 8, d->fault.rid >> 3 & 31, d->fault.rid & 7,
                iommu_kind(), iommu_fault_text(d->fault.reason));
        else
            ksnprintf(
                out,
                size, "%s: killed: its device %02x:%02x.%x tried to %s bus address 0x%llx, outside its DMA area (%s fault %u: %s)",
                dom_name(d), d->fault.rid >> 8, d->fault.rid >> 3 & 31, d->fault.rid & 7,
                d->fault.write ? "write to" : "read from", (unsigned long long)d->fault.address,
                iommu_kind(), d->fault.reason, iommu_fault_text(d->fault.reason));
        break;
    default: ksnprintf(out, size, "%s: running", dom_name(d)); break;
    }
}
