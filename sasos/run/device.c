// device.c — a domain's device: DMA and register pages in its window, interrupts, and the order in which all of it ends.
//
// IOVA = the driver's own 32-bit address: dom_map_dma() makes the CPU's and the device's mapping together, so they cannot differ.
// Nothing is unmapped while the domain lives; the fence goes as a whole, before the pages can be reused. The channels' pages stay where they
// are in the window; in the fence they are again at the next life.
//
// Without an IOMMU there is no fence: a virtio device's rings are then the kernel's (shadow.c), and any other device is granted only where the
// configuration trusts it. Pages of a device that would not be reset are never used again, nor is the device.
#include "sasos/arch/time.h"
#include "sasos/dev/ioapic.h"
#include "sasos/dev/virtio.h"
#include "sasos/lib/log.h"
#include "sasos/lib/mem.h"
#include "sasos/lib/panic.h"
#include "sasos/mem/frame.h"
#include "sasos/mem/pt.h"
#include "sasos/mem/slot.h"
#include "sasos/run/domain.h"

static uint32_t pages_up(uint32_t bytes) { return (bytes + 4095) & ~4095u; }

uint32_t dom_map_dma(struct dom *d, uint64_t pa, uint32_t bytes, bool owned) {
    uint32_t at = d->dma_next;
    if (pa % FRAME_2M == 0 && bytes >= FRAME_2M)
        at = (at + (uint32_t)FRAME_2M - 1) &
             ~((uint32_t)FRAME_2M - 1); // large pages, in the window and in the fence
    uint32_t address = SFI_DMA_BASE + at;
    int slot = slot_of(ldr_window(d->inst));
    if (bytes > SFI_DMA_SIZE || at > SFI_DMA_SIZE - bytes ||
        slot_map(slot, address, pa, bytes, PT_W | (owned ? PT_OWNED : 0)) != ST_OK) {
        if (owned) frame_free(pa, bytes / FRAME_SIZE);
        return 0;
    }
    if (d->fence && iommu_map(d->fence, address, pa, bytes, IOMMU_R | IOMMU_W) != ST_OK) {
        slot_unmap(slot, address, bytes); // never seen by the device; owned frames go with the mapping
        return 0;
    }
    d->dma_next = at + bytes;
    TRACE(GRANT, d->number, address, bytes);
    // Refused when the area is in too many pieces (each follows a 2 MiB alignment): the pages then stay mapped, unnamed.
    if (!ldr_memory_extend(d->inst, address, bytes)) return 0;
    if (d->extents < DOM_EXTENTS_MAX)
        d->extent[d->extents++] = (struct vring_extent){address, bytes, pa};
    return address;
}

uint32_t dom_handles(const struct dom *d) {
    uint32_t n = d->mappings + (uint32_t)__builtin_popcount(d->irqs_bound);
    for (uint32_t i = 0; i < SASOS_RINGS_MAX; i++) n += d->ring[i].size != 0;
    return n;
}

bool dom_handle_left(const struct dom *d) { return dom_handles(d) < d->config->handles; }

uint32_t dom_dma_alloc(struct dom *d, uint32_t bytes) {
    if (bytes == 0 || bytes > d->manifest.dma || pages_up(bytes) > d->manifest.dma - d->dma_used)
        return 0;
    if (!dom_handle_left(d) || (d->dma != SASOS_DMA_BY_IOMMU && d->extents == DOM_EXTENTS_MAX))
        return 0;
    bytes = pages_up(bytes);
    uint64_t pa = frame_alloc_run(bytes / FRAME_SIZE, 1, FRAME_ZERO);
    if (!pa) return 0;
    uint32_t address = dom_map_dma(d, pa, bytes, true);
    if (!address) return 0;
    d->dma_used += bytes;
    d->mappings++;
    return address;
}

uint32_t dom_bar_map(struct dom *d, uint32_t bar, uint32_t offset, uint32_t bytes) {
    if (!d->fn || bar >= PCI_BARS || bytes == 0) return 0;
    const struct pci_bar *b = &d->fn->bars[bar];
    bool shadow = d->dma == SASOS_DMA_SHADOW;
    if (!b->usable || b->io || offset >= b->size || bytes > b->size - offset) return 0;
    // A BAR smaller than a page starts anywhere in one: pages are counted from the page of its base.
    uint64_t first = (b->base + offset) & ~4095ull, last = (b->base + offset + bytes - 1) & ~4095ull;
    uint64_t base_page = b->base & ~4095ull;
    for (uint64_t page = first; page <= last; page += 4096)
        if (!pci_bar_page_grantable(d->fn, bar, (page - base_page) / 4096) ||
            (shadow && !virtio_page_harmless(d->fn, bar, page - base_page)))
            return 0;
    uint64_t length = last - first + 4096;
    if (length > SFI_DEVICE_SIZE - d->device_next || !dom_handle_left(d)) return 0;
    uint32_t address = SFI_DEVICE_BASE + d->device_next;
    if (slot_map(slot_of(ldr_window(d->inst)), address, first, length, PT_UC | (shadow ? 0 : PT_W)) !=
        ST_OK)
        return 0;
    d->device_next += (uint32_t)length;
    d->mappings++;
    TRACE(GRANT, d->number, address, length);
    return address + (uint32_t)((b->base + offset) & 4095);
}

static void on_irq(void *arg) {
    struct dom_irq *irq = arg;
    // A device reports success for DMA that was blocked, and this interrupt may come before the unit's own: look there first, so that
    // the driver is dead before it can believe its device.
    iommu_poll_faults();
    irq->dom->interrupts++;
    thr_wake(&irq->dom->events, irq->bit);
}

static void on_line(void *arg) {
    struct dom_irq *irq = arg;
    irq->dom->interrupts++;
    thr_wake(&irq->dom->events, irq->bit);
}

static int32_t line_enable(struct dom *d, uint32_t n) {
    if (n >= d->manifest.irqs || n >= d->config->isa_irqs) return E_DENIED;
    if (!(d->irqs_bound & 1u << n)) {
        if (!dom_handle_left(d)) return E_NOMEM;
        d->irq[n] = (struct dom_irq){d, SASOS_EVENT_IRQ(n)};
        enum status s = ioapic_bind(d->config->isa_irq[n], on_line, &d->irq[n]);
        if (s != ST_OK) return s == ST_NOT_FOUND ? E_NOENT : s == ST_EXISTS ? E_AGAIN : E_NOMEM;
        d->irqs_bound |= 1u << n;
    }
    ioapic_unmask(d->config->isa_irq[n]);
    return 0;
}

int32_t dom_irq_enable(struct dom *d, uint32_t message) {
    if (!d->fn) return line_enable(d, message);
    if (!d->msix || message >= d->manifest.irqs) return E_DENIED;
    if (message >= msix_count(d->msix)) return E_NOENT;
    if (!(d->irqs_bound & 1u << message)) {
        if (!dom_handle_left(d)) return E_NOMEM;
        d->irq[message] = (struct dom_irq){d, SASOS_EVENT_IRQ(message)};
        if (msix_bind(d->msix, message, on_irq, &d->irq[message]) != ST_OK) return E_NOMEM;
        d->irqs_bound |= 1u << message;
    }
    msix_unmask(d->msix, message);
    return 0;
}

// Functions that would not be reset.
static const struct pci_fn *lost[DOM_MAX];
static uint32_t lost_count;

static bool is_lost(const struct pci_fn *fn) {
    uint32_t n = __atomic_load_n(&lost_count, __ATOMIC_ACQUIRE);
    for (uint32_t i = 0; i < MIN(n, DOM_MAX); i++)
        if (lost[i] == fn) return true;
    return n > DOM_MAX; // one that is not remembered could be this one
}

static void lose(struct dom *d) {
    uint32_t i = __atomic_fetch_add(&lost_count, 1, __ATOMIC_ACQ_REL);
    if (i < DOM_MAX) lost[i] = d->fn;
    log_error("run", "%s: its device does not confirm its reset: it stays off, and the pages that it could reach are not used again",
              dom_name(d));
    d->dma_base = d->dma_next;
    d->frames = slot_frames(slot_of(ldr_window(d->inst)));
}

static enum status fence_open(struct dom *d) {
    enum status s = iommu_domain_create(&d->fence);
    for (uint32_t i = 0; s == ST_OK && i < d->channels; i++)
        s = iommu_map(d->fence, d->channel[i].address, d->channel[i].channel->pa,
                      d->channel[i].channel->size, IOMMU_R | IOMMU_W);
    if (s == ST_OK) s = iommu_attach(d->fence, d->fn);
    if (s != ST_OK) {
        if (d->fence) iommu_domain_destroy(d->fence);
        d->fence = NULL;
    }
    return s;
}

enum status dom_device_open(struct dom *d) {
    if (!d->fn) return ST_OK;
    d->ring_fault.why = VRING_OK;
    if (is_lost(d->fn)) return ST_DENIED;
    enum status s = d->dma == SASOS_DMA_BY_IOMMU ? fence_open(d)
                    : d->dma == SASOS_DMA_SHADOW ? shadow_open(d)
                                                 : ST_OK;
    if (s != ST_OK) return s;
    if (d->dma == SASOS_DMA_TRUSTED)
        log_warn("run",
                 "NOTHING FENCES %s: this machine has no usable IOMMU, and the configuration "
                 "(module at line %u) trusts the device "
                 "%02x:%02x.%u and its driver with ALL MEMORY",
                 dom_name(d), d->config->line, pci_bus(d->fn), pci_dev(d->fn), pci_func(d->fn));
    d->device_open = true;
    pci_decode(d->fn); // its registers answer, even where firmware never saw it
    s = msix_open(d->fn, &d->msix);
    if (s == ST_NOT_FOUND) return ST_OK; // no MSI-X: irq_enable() will say so
    if (s != ST_OK) dom_device_close(d);
    return s;
}

void dom_device_stop(struct dom *d) {
    if (d->device_open) pci_stop(d->fn);
}

static void silence(struct dom *d) {
    if (!pci_quiesce(d->fn))
        log_warn("run", "%s: transactions of its device do not end; reset all the same", dom_name(d));
    uint64_t start = time_now_ns();
    bool confirmed = pci_reset(d->fn) != PCI_RESET_NONE;
    if (d->dma == SASOS_DMA_SHADOW) confirmed = shadow_close(d);
    d->reset_ns = time_now_ns() - start;
    if (d->msix) msix_close(d->msix);
    d->msix = NULL;
    d->device_open = false;
    if (!d->fence) {
        if (!confirmed) lose(d);
        return;
    }
    iommu_detach(d->fence, d->fn); // returns when the unit confirms that nothing cached is left
    iommu_poll_faults(); // the last of this life's faults are told while it is the one to blame
    iommu_domain_destroy(d->fence);
    d->fence = NULL;
}

void dom_device_close(struct dom *d) {
    int slot = slot_of(ldr_window(d->inst));
    TRACE(REVOKE, d->number, d->dma_next - d->dma_base, d->device_next);
    screen_release(d);
    for (uint32_t n = 0; !d->fn && n < SASOS_IRQS_MAX; n++)
        if (d->irqs_bound & 1u << n) ioapic_free(d->config->isa_irq[n]);
    d->irqs_bound = 0;
    if (d->device_open) silence(d);
    if (d->dma_next > d->dma_base)
        slot_unmap(slot, SFI_DMA_BASE + d->dma_base, d->dma_next - d->dma_base); // frees the pages
    ldr_memory_retract(d->inst, SFI_DMA_BASE + d->dma_base);
    while (d->extents && d->extent[d->extents - 1].address >= SFI_DMA_BASE + d->dma_base)
        d->extents--;
    if (d->device_next) slot_unmap(slot, SFI_DEVICE_BASE, d->device_next);
    d->dma_next = d->dma_base;
    d->dma_used = d->device_next = d->mappings = 0;
}
