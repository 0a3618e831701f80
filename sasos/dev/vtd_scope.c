// vtd_scope.c — which remapping unit sees a function's requests (VT-d rev. 5.10 §8.3, §8.3.1).
// Pure.
//
// A scope names a device by a start bus and a path of (device, function) pairs; all but the last
// are bridges, whose secondary bus is where the next pair is looked up. A bridge scope covers
// everything below that bridge. Paths are input: a step that leads nowhere makes the scope match
// nothing.
#include "sasos/dev/vtd_scope.h"

static const struct pci_fn *resolve(const struct pci_fn *all, unsigned count, uint16_t segment,
                                    const struct acpi_scope *s) {
    uint8_t bus = s->start_bus;
    const struct pci_fn *at = NULL;
    for (unsigned i = 0; i < s->path_len; i++) {
        if (i > 0) {
            if (!at || at->header_type != 1) return NULL;
            bus = at->secondary;
        }
        at = pci_find_in(all, count, segment, pci_rid(bus, s->path[i].device, s->path[i].function));
    }
    return at;
}

int vtd_scope_find(const struct acpi_info *acpi, const struct pci_fn *all, unsigned count,
                   const struct pci_fn *fn) {
    int include_all = -1;
    for (uint32_t i = 0; i < acpi->drhd_count; i++) {
        const struct acpi_drhd *d = &acpi->drhds[i];
        if (d->segment != fn->segment) continue;
        if (d->include_pci_all) include_all = (int)i;
        for (unsigned k = 0; k < d->scope_count; k++) {
            const struct acpi_scope *s = &acpi->scopes[d->scope_first + k];
            if (s->type != ACPI_SCOPE_ENDPOINT && s->type != ACPI_SCOPE_BRIDGE) continue;
            const struct pci_fn *named = resolve(all, count, d->segment, s);
            if (!named) continue;
            if (named == fn) return (int)i;
            if (s->type == ACPI_SCOPE_BRIDGE && pci_below(fn, named)) return (int)i;
        }
    }
    return include_all;
}

bool vtd_scope_ioapic(const struct acpi_info *acpi, const struct pci_fn *all, unsigned count,
                      uint8_t ioapic, uint16_t *out_rid) {
    for (uint32_t i = 0; i < acpi->drhd_count; i++) {
        const struct acpi_drhd *d = &acpi->drhds[i];
        for (unsigned k = 0; k < d->scope_count; k++) {
            const struct acpi_scope *s = &acpi->scopes[d->scope_first + k];
            if (s->type != ACPI_SCOPE_IOAPIC || s->enumeration_id != ioapic || !s->path_len)
                continue;
            // The last step need not be a function that can be seen; the bridges before it must.
            struct acpi_scope above = *s;
            uint8_t bus = s->start_bus, last = --above.path_len;
            if (last) {
                const struct pci_fn *bridge = resolve(all, count, d->segment, &above);
                if (!bridge || bridge->header_type != 1) continue;
                bus = bridge->secondary;
            }
            *out_rid = pci_rid(bus, s->path[last].device, s->path[last].function);
            return true;
        }
    }
    return false;
}
