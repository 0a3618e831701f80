// grants.c — what a module asks for in its manifest against what the configuration grants it. Everything is checked before anything is
// set up: nothing is changed here but *d, which is not yet known to anybody.
#include "sasos/dev/acpi.h"
#include "sasos/dev/virtio.h"
#include "sasos/lib/mem.h"
#include "sasos/lib/printf.h"
#include "sasos/run/domain.h"
#include "sasos/run/run.h"

#define MODULE_STACK (256u << 10)
#define PROGRAM_STACK (1u << 20) // languages with deep recursion; libraries run on it too
#define SERVICE_BUDGET_MS 1000u  // drivers and libraries: others wait for them

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
    uint32_t memory = c->memory ? c->memory : CONFIG_MEMORY;
    bool program = m->kind == MANIFEST_PROGRAM;
    if (!str_eq(m->name, c->file)) {
        ksnprintf(error, DOM_ERROR_MAX, "the module %s calls itself %s in its manifest", c->file,
                  m->name);
        return false;
    }
    if (m->memory > memory) return refuse(error, d, "memory (KiB)", m->memory >> 10, memory >> 10);
    if (m->dma > c->dma) return refuse(error, d, "DMA pages (KiB)", m->dma >> 10, c->dma >> 10);
    uint32_t irqs = m->pcis ? c->irqs : c->isa_irqs;
    if (m->irqs > irqs)
        return refuse(error, d, m->pcis ? "interrupts" : "interrupt lines", m->irqs, irqs);
    if (c->budget_ms && m->budget_ms > c->budget_ms)
        return refuse(error, d, "a budget (ms)", m->budget_ms, c->budget_ms);
    m->memory = m->memory ? m->memory : memory;
    bool service = m->kind == MANIFEST_DRIVER || m->kind == MANIFEST_LIBRARY;
    m->budget_ms = m->budget_ms   ? m->budget_ms
                   : c->budget_ms ? c->budget_ms
                   : service      ? SERVICE_BUDGET_MS
                                  : 0;
    d->stack = c->stack ? c->stack : program ? PROGRAM_STACK : MODULE_STACK;
    return true;
}

static bool fits(const struct words_pci *kind, const struct pci_fn *fn) {
    if (!kind->class) return kind->vendor == fn->vendor && kind->device == fn->device;
    return kind->vendor == fn->base_class && kind->device == (fn->sub_class << 8 | fn->prog_if);
}

static bool any_fits(const struct words_pci *kinds, uint32_t n, const struct pci_fn *fn) {
    for (uint32_t i = 0; i < n; i++)
        if (fits(&kinds[i], fn)) return true;
    return false;
}

// Whether what is granted could be what is asked for: a kind by ids may be one of a class, which only a function tells.
static bool kinds_meet(const struct ldr_manifest *m, const struct config_module *c) {
    for (uint32_t i = 0; i < m->pcis; i++)
        for (uint32_t k = 0; k < c->pcis; k++) {
            const struct words_pci *a = &m->pci[i], *b = &c->pci[k];
            if (a->class != b->class || (a->vendor == b->vendor && a->device == b->device))
                return true;
        }
    return false;
}

// What is to keep d->fn to its driver's area; false if there is nothing, and the configuration does not trust it.
static bool choose_dma(struct dom *d) {
    const struct config_module *c = d->config;
    bool trusted = false;
    for (uint32_t i = 0; i < c->pcis; i++) trusted |= c->trusted[i] && fits(&c->pci[i], d->fn);
    d->dma = iommu_present()                 ? SASOS_DMA_BY_IOMMU
             : virtio_can_be_shadowed(d->fn) ? SASOS_DMA_SHADOW
                                             : SASOS_DMA_TRUSTED;
    return d->dma != SASOS_DMA_TRUSTED || trusted;
}

// The first function that the manifest asks for, the configuration grants, and nobody has.
static bool check_function(struct dom *d, char error[DOM_ERROR_MAX]) {
    const struct ldr_manifest *m = &d->manifest;
    const struct config_module *c = d->config;
    bool taken = false;
    for (unsigned i = 0; m->pcis && !d->fn && i < pci_count(); i++) {
        const struct pci_fn *fn = pci_get(i);
        if (!any_fits(m->pci, m->pcis, fn) || !any_fits(c->pci, c->pcis, fn)) continue;
        if (dom_of_function(fn))
            taken = true;
        else
            d->fn = fn;
    }
    if (m->pcis == 0 || (d->fn && choose_dma(d))) return true;
    char kind[24];
    ksnprintf(kind, sizeof(kind), m->pci[0].class ? "class %02x:%04x" : "%04x:%04x",
              m->pci[0].vendor, m->pci[0].device);
    if (!kinds_meet(m, c))
        ksnprintf(error,
                  DOM_ERROR_MAX, "%s asks for a PCI function (%s …), but the configuration (module at line %u) grants it none of that kind",
                  dom_name(d), kind, c->line);
    else if (d->fn)
        ksnprintf(error,
                  DOM_ERROR_MAX, "%s needs a device that does DMA, and this machine has no usable IOMMU to fence it (%s): refused (only `trusted` in its pci line would allow it)",
                  dom_name(d), iommu_why_not());
    else
        ksnprintf(error, DOM_ERROR_MAX, "%s: %s (it drives %s)", dom_name(d),
                  taken ? "every device of its kind is held by another domain" : "there is no such device in this machine; is the disk missing from the command line?",
                  kind);
    return false;
}

// A server says how many clients it can serve.
static bool check_clients(struct dom *d, char error[DOM_ERROR_MAX]) {
    uint32_t clients = 0;
    for (uint32_t m = 0; m < dom_count(); m++) {
        const struct config_module *c = dom_at(m)->config;
        for (uint32_t i = 0; i < c->connects; i++)
            clients += str_eq(c->connect[i].module, dom_name(d));
    }
    if (clients <= d->manifest.channels) return true;
    ksnprintf(error, DOM_ERROR_MAX, "%s can serve %u clients, but the configuration connects %u",
              dom_name(d), d->manifest.channels, clients);
    return false;
}

static bool check_peers(struct dom *d, char error[DOM_ERROR_MAX]) {
    for (uint32_t i = 0; i < d->config->connects; i++) {
        const struct config_connect *c = &d->config->connect[i];
        struct dom *peer = dom_find(c->module);
        bool between = peer && peer->wanted && // two lives: it is as good as running
                       (peer->state == DOM_PAUSED || peer->state == DOM_STARTING);
        if (!peer || (peer->state != DOM_RUNNING && !between)) {
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

static bool in_register(const struct config_ports *p, const struct acpi_gas *g, uint32_t bytes) {
    return g->address && g->space_id == ACPI_SPACE_IO && g->address <= p->last &&
           g->address + bytes > p->first;
}

// Ports that only this machine's tables name: those that switch it off or reset it.
static bool check_ports(struct dom *d, char error[DOM_ERROR_MAX]) {
    for (uint32_t i = 0; i < d->config->ports; i++) {
        const struct config_ports *p = &d->config->port[i];
        if (!in_register(p, &acpi()->pm1a_cnt, 2) && !in_register(p, &acpi()->pm1b_cnt, 2) &&
            !in_register(p, &acpi()->reset_reg, 1))
            continue;
        ksnprintf(error,
                  DOM_ERROR_MAX, "%s is granted ports %x-%x, of which some switch this machine off: they are the kernel's own",
                  dom_name(d), p->first, p->last);
        return false;
    }
    return true;
}

static bool check_blobs(struct dom *d, char error[DOM_ERROR_MAX]) {
    for (uint32_t i = 0; i < d->config->blobs; i++)
        if (!run_file(d->config->blob[i], &d->blob[i])) {
            ksnprintf(error, DOM_ERROR_MAX, "%s is granted the file %s, which is not in this image",
                      dom_name(d), d->config->blob[i]);
            return false;
        }
    return true;
}

bool dom_check(struct dom *d, char error[DOM_ERROR_MAX]) {
    return check_quotas(d, error) && check_blobs(d, error) && check_ports(d, error) &&
           check_clients(d, error);
}

bool dom_check_start(struct dom *d, char error[DOM_ERROR_MAX]) {
    if (check_function(d, error) && check_peers(d, error)) return true;
    d->fn = NULL;
    return false;
}
