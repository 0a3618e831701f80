// domain.c — see domain.h: the records, loading (check everything, then commit), orders. Lives are in life.c; what a module may have is
// checked in grants.c; traps and faults are in fault.c.
#include "sasos/run/domain.h"
#include "sasos/arch/smp.h"
#include "sasos/arch/time.h"
#include "sasos/lib/log.h"
#include "sasos/lib/mem.h"
#include "sasos/lib/panic.h"
#include "sasos/lib/printf.h"
#include "sasos/mem/heap.h"
#include "sasos/mem/slot.h"
#include "sasos/run/run.h"

#define DONE_POLL_NS (10ull * TIME_MS)
#define CLOSE_NS (5000ull * TIME_MS) // to finish its work
#define C_STACK (128u << 10)
#define COMPILER_MEMORY \
    (128u << 20) // a module that makes it need more is refused, not the machine starved

_Static_assert(SASOS_WINDOW_MEMORY_MAX == SFI_DMA_BASE && SASOS_WINDOW_DEVICE == SFI_DEVICE_BASE,
               "abi.h repeats the contract");

static const struct config *config;
static struct dom *doms; // one a module, for ever

void dom_init(const struct config *c) {
    config = c;
    doms = kzalloc(c->modules * sizeof(*doms));
    if (!doms) panic_refuse("there is not enough memory to start");
    for (unsigned i = 0; i < c->modules; i++) {
        doms[i].number = (uint16_t)i;
        doms[i].config = &c->module[i];
        doms[i].timer = THR_FOREVER;
    }
}

unsigned dom_count(void) { return config->modules; }
struct dom *dom_at(unsigned index) {
    return &doms[index];
}
const char *dom_name(const struct dom *d) { return d->config->name; }

struct dom *dom_find(const char *name) {
    for (unsigned i = 0; i < dom_count(); i++)
        if (str_eq(dom_name(&doms[i]), name)) return &doms[i];
    return NULL;
}

struct dom *dom_of_function(const struct pci_fn *fn) {
    for (unsigned i = 0; fn && doms && i < dom_count(); i++)
        if (doms[i].fn == fn) return &doms[i];
    return NULL;
}

// ---- exports that the kernel calls ----

static bool has_type(const struct wasm_functype *type, uint32_t params, uint32_t results) {
    if (type->params != params || type->results != results) return false;
    for (uint32_t i = 0; i < params + results; i++)
        if (type->type[i] != WASM_I32) return false;
    return true;
}

// By kind.
static const struct entry {
    const char *name;
    bool needed;
    uint32_t params, results; // all i32
} entries[][3] = {
    [MANIFEST_DRIVER] = {{"driver_start", true, 0, 1}, {"driver_event", true, 1, 1}},
    [MANIFEST_APP] = {{"app_main", true, 0, 1}},
    [MANIFEST_LIBRARY] = {{"library_start", false, 0, 1},
                          {"library_left", false, 0, 1},
                          {"library_stop", false, 0, 1}},
    [MANIFEST_PROGRAM] = {{"_start", true, 0, 0}},
};

static bool check_entries(struct dom *d, char error[DOM_ERROR_MAX]) {
    for (unsigned i = 0; i < 3 && entries[d->manifest.kind][i].name; i++) {
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
        if (peer && peer->inst &&
            ldr_manifest_exports(&peer->manifest, import->name.text, import->name.length)) {
            *out = ldr_export(peer->inst, import->name.text, import->name.length);
            return out->kind == LDR_EXT_FUNC;
        }
    }
    *out = (struct ldr_extern){.kind = LDR_EXT_HOST, .host = &absent_function};
    return optional;
}

// ---- creation ----

// The image may hold what the compiler made of a module when the image was made: as untrusted as what it would make here.
static bool compile(struct dom *d, const uint8_t *bytes, uint64_t size, char error[DOM_ERROR_MAX]) {
    struct ldr_error e;
    struct ldr_compile_options options = {.memory_limit = COMPILER_MEMORY};
    struct pack_module code;
    char file[PACK_NAME];
    ksnprintf(file, sizeof(file), "%s.code", d->config->file);
    if (run_file(file, &code)) {
        options.cached = code.bytes;
        options.cached_size = code.size;
        d->compiled_before = true;
    }
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
static enum status attach_channels(struct dom *d) {
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

// The CPU that the configuration puts it on. Placement is no promise: on a machine with fewer CPUs it runs anywhere.
static int cpu_of(const struct dom *d) {
    if (!d->config->pinned) return THR_ANY_CPU;
    if (d->config->cpu < smp_count()) return (int)d->config->cpu;
    log_warn("run", "%s: there is no CPU %u here; it runs on any", dom_name(d), d->config->cpu);
    return THR_ANY_CPU;
}

static bool commit(struct dom *d, char error[DOM_ERROR_MAX]) {
    enum status s = attach_channels(d);
    enum thr_level level = d->manifest.kind == MANIFEST_DRIVER ? THR_DRIVER : THR_APPLICATION;
    d->dma_base = d->dma_next;
    d->frames = slot_frames(slot_of(ldr_window(d->inst)));
    ldr_kill(d->inst, SFI_TRAP_KILLED); // it lives from dom_want_start() on
    const struct thr_spec spec = {
        .name = dom_name(d), .level = level, .stack_size = C_STACK, .cpu = cpu_of(d)};
    if (s == ST_OK && !(d->home = thr_spawn(&spec, dom_home, d))) s = ST_NO_MEMORY;
    if (s != ST_OK) {
        ksnprintf(error, DOM_ERROR_MAX, "%s: its channels cannot be set up: %s", dom_name(d),
                  status_text(s));
        return false;
    }
    d->state = DOM_ENDED; // last: who sees that it is loaded (dom_info) reads all of the above
    return true;
}

// Back to a record that nothing was loaded for.
static void unload(struct dom *d) {
    const struct config_module *c = d->config;
    for (uint32_t i = 0; i < d->channels; i++)
        d->channel[i].channel->dom[d->channel[i].side] = NULL;
    if (d->inst && !ldr_instance_free(d->inst))
        panic("%s is unloaded while others are linked to it", dom_name(d));
    if (d->thread) ldr_thread_free(d->thread);
    if (d->store) ldr_store_free(d->store);
    if (d->code) ldr_code_release(d->code);
    *d = (struct dom){.number = d->number, .config = c, .timer = THR_FOREVER};
}

bool dom_load(struct dom *d, const uint8_t *bytes, uint64_t size, char error[DOM_ERROR_MAX]) {
    KASSERT(d->state == DOM_NONE);
    d->log_credit = UINT64_MAX / 2; // all that can be saved up
    uint64_t start = time_now_ns();
    if (!compile(d, bytes, size, error) || !dom_check(d, error) || !dom_check_start(d, error) ||
        !instantiate(d, error) || !commit(d, error)) {
        unload(d);
        return false;
    }
    log_info("run", "%s: %u bytes of WebAssembly, validated, %sverified and linked in %u us",
             dom_name(d), (uint32_t)size, d->compiled_before ? "" : "compiled, ",
             (uint32_t)((time_now_ns() - start) / 1000));
    return true;
}

// ---- orders ----

bool dom_want_start(struct dom *d, char error[DOM_ERROR_MAX]) {
    KASSERT(d->state != DOM_NONE);
    if (d->state != DOM_ENDED) {
        ksnprintf(error, DOM_ERROR_MAX, "%s is running already", dom_name(d));
        return false;
    }
    if (!dom_check_start(d, error)) return false;
    d->due = 0;
    d->was_ready = false;
    d->faults_lately = 0;
    d->state = DOM_STARTING;
    d->wanted = true;
    thr_wake(&d->orders, 1);
    return true;
}

void dom_want_stop(struct dom *d) {
    if (d->state == DOM_NONE) return;
    d->wanted = false;
    dom_kill(d, DOM_END_STOPPED);
}

// Several may wait (the steps, and who switches the machine off), and an event wakes one of them: the others look again soon.
static void wait_done(struct dom *d) { thr_wait(&d->done, time_now_ns() + DONE_POLL_NS); }

void dom_wait_started(struct dom *d) {
    while (d->state == DOM_STARTING) wait_done(d);
}

void dom_wait_ended(struct dom *d) {
    while (d->state != DOM_ENDED && d->state != DOM_NONE) wait_done(d);
}

void dom_close(struct dom *d) {
    if (d->state == DOM_NONE) return;
    uint64_t grace = time_now_ns() + CLOSE_NS;
    d->wanted = false;
    d->closing = d->manifest.kind == MANIFEST_LIBRARY;
    if (d->closing) thr_wake(&d->orders, 1);
    if (d->hears_stop) thr_wake(&d->events, SASOS_EVENT_STOP);
    while ((d->closing || d->hears_stop) && d->state == DOM_RUNNING && time_now_ns() < grace)
        wait_done(d);
    dom_want_stop(d);
    dom_wait_ended(d);
}

void dom_died(struct dom *d) {
    if (d->home) thr_exempt(d->home, true); // its end and its next start wait for no share
    thr_wake(&d->events, DOM_EVENT_KILL);
    thr_wake(&d->orders, 1);
    // A thread that is inside may wait in another domain, on that one's events: all are made to look.
    for (unsigned i = 0; i < dom_count(); i++)
        if (doms[i].home) thr_interrupt(doms[i].home);
}

void dom_kill(struct dom *d, enum dom_end end) {
    if (!d->inst) return;
    enum dom_end none = DOM_END_NONE; // one reason, should two CPUs have one each
    TRACE(KILL, d->number, end, 0);
    __atomic_compare_exchange_n((enum dom_end *)&d->end, &none, end, false, __ATOMIC_SEQ_CST,
                                __ATOMIC_SEQ_CST);
    ldr_kill(d->inst, SFI_TRAP_KILLED);
    dom_died(d);
    smp_stop_sandboxed();
}

// ---- what is told ----

uint64_t dom_cpu_ns(const struct dom *d) { return d->home ? thr_cpu_ns(d->home) : 0; }

void dom_end_text(const struct dom *d, char *out, size_t size) {
    char where[160] = "";
    switch ((enum dom_end)d->end) {
    case DOM_END_EXIT:
        ksnprintf(out, size, "%s: ended with status %d; the kernel allocated %u times meanwhile",
                  dom_name(d), d->status, d->allocations);
        break;
    case DOM_END_REFUSED:
        ksnprintf(out, size, "%s: refused: its device cannot be set up (error %d)", dom_name(d),
                  d->status);
        break;
    case DOM_END_KILLED: ksnprintf(out, size, "%s: killed by order", dom_name(d)); break;
    case DOM_END_STOPPED: ksnprintf(out, size, "%s: stopped", dom_name(d)); break;
    case DOM_END_FAILED:
        ksnprintf(out, size, "%s: could not start: error %d", dom_name(d), d->status);
        break;
    case DOM_END_TRAP:
        ldr_trap_format(&d->info, where, sizeof(where));
        ksnprintf(out, size, "%s: trapped: %s", dom_name(d), where);
        break;
    case DOM_END_BUDGET:
        ldr_trap_format(&d->info, where, sizeof(where));
        ksnprintf(out, size, "%s: killed: computed for more than its budget of %u ms: %s",
                  dom_name(d), d->manifest.budget_ms, where);
        break;
    case DOM_END_DMA:
        if (d->ring_fault.why == VRING_OUTSIDE)
            ksnprintf(where, sizeof(where), " (bus address 0x%llx, %u bytes)",
                      (unsigned long long)d->ring_fault.addr, d->ring_fault.len);
        if (d->ring_fault.why != VRING_OK)
            ksnprintf(out,
                      size, "%s: killed: what it gave its device %02x:%02x.%x in queue %u was refused: descriptor %u%s: %s",
                      dom_name(d), pci_bus(d->fn), pci_dev(d->fn), pci_func(d->fn), d->ring_queue,
                      d->ring_fault.descriptor, where, vring_refusal_text(d->ring_fault.why));
        else if (d->fault.address == IOMMU_ADDRESS_UNKNOWN)
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
