// domain.c — see domain.h: creation (check everything, then commit), the home thread, the end. Traps and faults are in fault.c.
#include "sasos/run/domain.h"
#include "sasos/arch/time.h"
#include "sasos/lib/log.h"
#include "sasos/lib/mem.h"
#include "sasos/lib/panic.h"
#include "sasos/lib/printf.h"
#include "sasos/mem/heap.h"
#include "sasos/mem/slot.h"
#include "sasos/run/fault.h"
#include "sasos/run/run.h"

#define MEMORY_DEFAULT (16u << 20)
#define DRIVER_BUDGET_MS 1000u
#define MODULE_STACK (256u << 10)
#define C_STACK (128u << 10)
#define COMPILER_MEMORY \
    (128u << 20) // a module that makes it need more is refused, not the machine starved
#define C_STACK_RESERVE (16u << 10) // what a kernel call may need at most

_Static_assert(SASOS_WINDOW_MEMORY_MAX == SFI_DMA_BASE && SASOS_WINDOW_DEVICE == SFI_DEVICE_BASE,
               "abi.h repeats the contract");

static struct dom *doms[DOM_MAX];

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

// ---- checks: nothing is changed here but *d, which is not yet known to anybody ----

static bool refuse(char error[DOM_ERROR_MAX], const struct dom *d, const char *what, uint32_t asked,
                   uint32_t granted) {
    ksnprintf(error, DOM_ERROR_MAX,
              "%s asks for %s %u, but the configuration (module at line %u) grants %u", dom_name(d),
              what, asked, d->config->line, granted);
    return false;
}

static bool check_quotas(struct dom *d, char error[DOM_ERROR_MAX]) {
    const struct config_module *c = d->config;
    struct ldr_manifest *m = &d->manifest;
    uint32_t memory = c->memory ? c->memory : MEMORY_DEFAULT;
    if (!str_eq(m->name, c->name)) {
        ksnprintf(error, DOM_ERROR_MAX, "the module %s calls itself %s in its manifest", c->name,
                  m->name);
        return false;
    }
    if (m->memory > memory) return refuse(error, d, "memory (KiB)", m->memory >> 10, memory >> 10);
    if (m->dma > c->dma) return refuse(error, d, "DMA pages (KiB)", m->dma >> 10, c->dma >> 10);
    if (m->irqs > c->irqs) return refuse(error, d, "interrupts", m->irqs, c->irqs);
    if (c->budget_ms && m->budget_ms > c->budget_ms)
        return refuse(error, d, "a budget (ms)", m->budget_ms, c->budget_ms);
    m->memory = m->memory ? m->memory : memory;
    m->budget_ms = m->budget_ms                 ? m->budget_ms
                   : c->budget_ms               ? c->budget_ms
                   : m->kind == MANIFEST_DRIVER ? DRIVER_BUDGET_MS
                                                : 0;
    return true;
}

static bool config_grants_pci(const struct config_module *c, uint16_t vendor, uint16_t device) {
    for (uint32_t i = 0; i < c->pcis; i++)
        if (c->pci[i].vendor == vendor && c->pci[i].device == device) return true;
    return false;
}

// The first function that the manifest asks for, the configuration grants, and nobody has.
static bool check_function(struct dom *d, char error[DOM_ERROR_MAX]) {
    bool granted = d->manifest.pcis == 0, taken = false;
    for (uint32_t i = 0; i < d->manifest.pcis && !d->fn; i++) {
        uint16_t vendor = d->manifest.pci[i].vendor, device = d->manifest.pci[i].device;
        if (!config_grants_pci(d->config, vendor, device)) continue;
        granted = true;
        const struct pci_fn *fn;
        for (unsigned n = 0; !d->fn && (fn = pci_match(vendor, device, n)); n++) {
            if (!dom_of_function(fn))
                d->fn = fn;
            else
                taken = true;
        }
    }
    if (d->manifest.pcis == 0 || (d->fn && iommu_present())) return true;
    if (!granted)
        ksnprintf(
            error,
            DOM_ERROR_MAX, "%s asks for a PCI function (%04x:%04x …), but the configuration (module at line %u) grants it none of that kind",
            dom_name(d), d->manifest.pci[0].vendor, d->manifest.pci[0].device, d->config->line);
    else if (d->fn)
        ksnprintf(error,
                  DOM_ERROR_MAX, "%s needs a device that does DMA, and this machine has no usable IOMMU to fence it: refused",
                  dom_name(d));
    else
        ksnprintf(error, DOM_ERROR_MAX, "%s: %s (it drives %04x:%04x)", dom_name(d),
                  taken ? "every device of its kind is held by another domain" : "there is no such device in this machine; is the disk missing from the command line?",
                  d->manifest.pci[0].vendor, d->manifest.pci[0].device);
    return false;
}

static bool check_type(struct dom *d, const char *name, uint32_t params, char error[DOM_ERROR_MAX]) {
    uint32_t index;
    const struct wasm_functype *type =
        ldr_find_func(d->inst, name, &index) ? ldr_func_type(d->inst, index) : NULL;
    if (type && type->params == params && type->results == 1 && type->type[params] == WASM_I32 &&
        (!params || type->type[0] == WASM_I32))
        return true;
    ksnprintf(error, DOM_ERROR_MAX, "%s must export %s(%s) -> i32", dom_name(d), name,
              params ? "i32" : "");
    return false;
}

// ---- linking ----

static bool names_equal(const struct wasm_name *a, const char *b) {
    return a->length == str_len(b) && memcmp(a->text, b, a->length) == 0;
}

static bool manifest_imports(const struct ldr_manifest *m, const struct wasm_import *import) {
    for (uint32_t i = 0; i < m->imports; i++)
        if (names_equal(&import->module, m->import[i].name_space) &&
            names_equal(&import->name, m->import[i].name))
            return true;
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
    if (!manifest_imports(&d->manifest, import)) return false;
    for (uint32_t i = 0; i < d->config->connects; i++) {
        const struct config_connect *c = &d->config->connect[i];
        struct dom *peer = names_equal(&import->module, c->name_space) ? dom_find(c->module) : NULL;
        if (peer && peer->state == DOM_RUNNING &&
            ldr_manifest_exports(&peer->manifest, import->name.text, import->name.length)) {
            *out = ldr_export(peer->inst, import->name.text, import->name.length);
            return out->kind == LDR_EXT_FUNC;
        }
    }
    return false;
}

// A server says how many clients it can serve.
static bool check_clients(struct dom *d, const struct config *config, char error[DOM_ERROR_MAX]) {
    uint32_t clients = 0;
    for (uint32_t m = 0; m < config->modules; m++)
        for (uint32_t i = 0; i < config->module[m].connects; i++)
            clients += str_eq(config->module[m].connect[i].module, dom_name(d));
    if (clients <= d->manifest.channels) return true;
    ksnprintf(error, DOM_ERROR_MAX, "%s can serve %u clients, but the configuration connects %u",
              dom_name(d), d->manifest.channels, clients);
    return false;
}

static bool check_peers(struct dom *d, char error[DOM_ERROR_MAX]) {
    for (uint32_t i = 0; i < d->config->connects; i++) {
        const struct config_connect *c = &d->config->connect[i];
        struct dom *peer = dom_find(c->module);
        if (!peer || peer->state != DOM_RUNNING) {
            ksnprintf(error, DOM_ERROR_MAX, "%s is connected to %s, which is not running",
                      dom_name(d), c->module);
            return false;
        }
        if (c->size < d->manifest.channel) {
            refuse(error, d, "a channel (KiB) of", d->manifest.channel >> 10, c->size >> 10);
            return false;
        }
    }
    return true;
}

// ---- creation ----

static bool compile(struct dom *d, const uint8_t *bytes, uint64_t size, char error[DOM_ERROR_MAX]) {
    struct ldr_error e;
    const struct ldr_compile_options options = {.memory_limit = COMPILER_MEMORY};
    if (ldr_compile(bytes, size, &options, &d->code, &e) != LDR_OK) {
        ksnprintf(error, DOM_ERROR_MAX, "%s: %s", dom_name(d), e.text);
        return false;
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
    d->thread = ldr_thread_new(MODULE_STACK);
    if (!d->store || !d->thread) {
        ksnprintf(error, DOM_ERROR_MAX, "%s: out of memory", dom_name(d));
        return false;
    }
    if (ldr_instantiate(d->store, d->code, dom_name(d), &imports, &limits, d, &d->inst, &e) != LDR_OK) {
        ksnprintf(error, DOM_ERROR_MAX, "%s: %s", dom_name(d), e.text);
        return false;
    }
    slot_check(slot_of(ldr_window(d->inst)));
    if (d->manifest.kind == MANIFEST_APP) return check_type(d, "app_main", 0, error);
    return check_type(d, "driver_start", 0, error) && check_type(d, "driver_event", 1, error);
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
    if (!compile(d, bytes, size, error) || !check_quotas(d, error) || !check_function(d, error) ||
        !check_clients(d, config, error) || !check_peers(d, error) || !instantiate(d, error) ||
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

// Calls an export; false when the domain is over. *out is its result, untouched when it gave none.
static bool enter(struct dom *d, const char *name, uint64_t arg, int32_t *out) {
    uint32_t index = 0;
    uint64_t result = 0;
    struct ldr_trap_info info;
    ldr_find_func(d->inst, name, &index); // checked by instantiate()
    d->ticks = 0;
    enum ldr_status s = ldr_call(d->thread, d->inst, index, &arg, &result, &info);
    if (s == LDR_TRAPPED && d->end == DOM_END_NONE) {
        d->info = info;
        d->end = DOM_END_TRAP;
    }
    if (s == LDR_OK) *out = (int32_t)result; // exit() has left its status there
    return s == LDR_OK;
}

static void live_driver(struct dom *d) {
    int32_t result;
    if (!enter(d, "driver_start", 0, &result)) return;
    if (result < 0) {
        d->status = result;
        d->end = DOM_END_FAILED;
        return;
    }
    d->state = DOM_RUNNING;
    thr_wake(&d->done, DOM_DONE_STARTED);
    for (;;) {
        uint32_t events = thr_wait(&d->events, THR_FOREVER);
        if (ldr_is_dead(d->inst) || (events & DOM_EVENT_KILL)) return;
        if (!enter(d, "driver_event", events, &result)) return;
    }
}

static void live(void *arg) {
    struct dom *d = arg;
    struct ldr_trap_info info;
    thr_set_data(thr_current(), d);
    ldr_thread_set_c_limit(d->thread, thr_stack_bottom(thr_current()) + C_STACK_RESERVE);
    d->state = DOM_STARTING;
    if (ldr_start(d->thread, d->inst, &info) == LDR_TRAPPED) {
        d->info = info;
        d->end = DOM_END_TRAP;
    } else if (d->manifest.kind == MANIFEST_DRIVER) {
        live_driver(d);
    } else {
        d->state = DOM_RUNNING;
        uint64_t before = heap_stats().allocations;
        if (enter(d, "app_main", 0, &d->status)) d->end = DOM_END_EXIT;
        d->allocations = (uint32_t)(heap_stats().allocations - before);
    }
    // A trap on a client's thread, inside a call of ours, ends us too.
    if (d->end == DOM_END_NONE && ldr_is_dead(d->inst)) {
        d->info = *ldr_last_trap(d->inst);
        d->end = DOM_END_TRAP;
    }
    ldr_kill(d->inst, SFI_TRAP_KILLED); // nobody enters any more
    dom_device_close(d);
    chan_detach_all(d);
    thr_set_data(thr_current(), NULL);
    d->state = DOM_ENDED;
    thr_wake(&d->monitor, 1);
    thr_wake(&d->done, DOM_DONE_ENDED);
}

void dom_start(struct dom *d) {
    KASSERT(d->state == DOM_NEW);
    enum thr_level level = d->manifest.kind == MANIFEST_DRIVER ? THR_DRIVER : THR_APPLICATION;
    d->home = thr_create(dom_name(d), level, C_STACK, live, d);
    if (!d->home) {
        d->end = DOM_END_FAILED;
        d->status = E_NOMEM;
        d->state = DOM_ENDED;
        return;
    }
    thr_wait(&d->done, THR_FOREVER);
}

void dom_stop(struct dom *d) {
    if (d->state == DOM_ENDED) return;
    if (d->end == DOM_END_NONE) d->end = DOM_END_STOPPED;
    ldr_kill(d->inst, SFI_TRAP_KILLED);
    thr_wake(&d->events, DOM_EVENT_KILL);
    while (d->state != DOM_ENDED) thr_wait(&d->done, THR_FOREVER);
}

void dom_end_text(const struct dom *d, char *out, size_t size) {
    char where[160];
    switch (d->end) {
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
        ksnprintf(out,
                  size, "%s: killed: its device %02x:%02x.%x tried to %s bus address 0x%llx, outside its DMA area (%s fault %u: %s)",
                  dom_name(d), d->fault.rid >> 8, d->fault.rid >> 3 & 31, d->fault.rid & 7,
                  d->fault.write ? "write to" : "read from", (unsigned long long)d->fault.address,
                  iommu_kind(), d->fault.reason, iommu_fault_text(d->fault.reason));
        break;
    default: ksnprintf(out, size, "%s: running", dom_name(d)); break;
    }
}
